"""The flicker's process: ``python -m gui.stimulus``; see the package."""

from __future__ import annotations

import gc
import sys

from pydantic import ValidationError
from PySide6.QtGui import QGuiApplication

from bci.api.wire import dumps
from gui.link import EngineLink
from gui.stimulus.presenter import Presenter
from gui.stimulus.settings import StimulusSettings
from gui.stimulus.talk import Talk

#: Seconds that a thread may keep the interpreter from the one that draws.
SWITCH_S = 1e-3


def main() -> int:
    """Run until told to stop; 2: the settings are wrong, and a line says how."""
    try:
        settings = StimulusSettings.model_validate_json(sys.stdin.readline())
    except ValidationError as error:
        why = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        sys.stdout.write(dumps({"say": "refused", "why": [why]}) + "\n")
        return 2
    sys.setswitchinterval(SWITCH_S)
    app = QGuiApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    talk = Talk(sys.stdin, sys.stdout)
    link = EngineLink(settings.url, settings.token, samples=False)
    presenter = Presenter(settings, link, talk)
    talk.start()
    if settings.mode != "measure":
        link.start()
    presenter.begin()
    gc.collect()
    gc.freeze()  # what is loaded now stays; the collector need not walk it between two frames
    code = app.exec()
    talk.close()
    link.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
