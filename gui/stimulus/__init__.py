"""The flicker's own process: one full-screen window, frame-locked; no plots, no engine.

``python -m gui.stimulus`` reads one line of JSON (`gui.stimulus.settings`), then
lines with commands; it writes lines with what happens (`gui.stimulus.talk`). Its
markers go straight to the engine with the time of their flip, and it reads the
engine's decisions itself, so that a blocked application costs no trial.
"""

import bci.config  # noqa: F401  # pydantic before Qt: its late imports fail under Qt's import hook
