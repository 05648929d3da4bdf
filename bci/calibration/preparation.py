"""What a session needs so that its decoder can be calibrated while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from bci import config as configs
from bci.config import Config, DecoderSettings, Recording
from bci.errors import ConfigError
from bci.paradigms.timetable import CUE, IMAGERY_ON

if TYPE_CHECKING:
    from bci.paradigms.planner import Plan

#: Rungs above a decoder that needs no training, from the one that needs least.
RUNGS = ("offset_fbcca", "ecca", "trca", "tdca")


def frequencies_of(settings: DecoderSettings) -> dict[str, float]:
    """Label: stimulus frequency, Hz; empty where the decoder knows none."""
    hz = getattr(settings, "frequencies_hz", None) or {}
    return dict(hz) if isinstance(hz, dict) else {f"{f:g} Hz": f for f in hz}


def led_by_client(config: Config) -> Config:
    """Let a simulated subject follow the cues of whoever shows them; others do that anyway."""
    if not hasattr(config.source, "cues"):
        return config
    told = {"cues": "told", "stim_s": None, "n_trials": None, "speed": 1.0}
    source = config.source.model_copy(update=told)
    return config if source == config.source else config.model_copy(update={"source": source})


def planned(config: Config, plan: Plan) -> Config:
    """Let a speller's session flicker by another plan: decoder, cues, screen and simulation.

    Targets are called by their frequencies. A ladder's rungs follow the decoder.

    Raises
    ------
    ConfigError
        Its decoder knows no frequencies, or another number of them.
    """
    old = {} if config.decoder is None else frequencies_of(config.decoder)
    hz = {f.label: round(f.frequency_hz, 9) for f in plan.flickers}
    if len(hz) != len(old):
        raise ConfigError(
            f"the decoder has {len(old)} targets, and the plan {len(hz)} different ones: plan as "
            "many as the decoder has"
        )
    asked = config.model_dump(mode="json")
    for part in (asked["decoder"], *(asked["ladder"] or {"rungs": ()})["rungs"]):
        if part.get("frequencies_hz") is not None:
            part["frequencies_hz"] = hz
    kept = {label: code for label, code in asked["events"].items() if label not in old}
    asked["events"] = {**{label: CUE + label for label in hz}, **kept}
    asked["screen"] = {"flicker": plan.method, "refresh_hz": plan.refresh_hz}
    if asked["source"]["kind"] == "simulated":
        asked["source"]["frequencies_hz"] = list(hz.values())
    return configs.loads(yaml.safe_dump(asked, sort_keys=False), "plan")


def prepared(config: Config) -> Config:
    """Give a speller's session what calibration takes: cues, a recording, the ladder.

    A simulated subject follows the cues that are shown.

    What it has already stays as it is; the same configuration comes back where nothing
    is missing.

    A session with a timetable (Graz) has the rest already. Another decoder that has no targets
    and must be trained gets a recording only: its cues come with the samples, unless they are
    to be shown here (`with_cues`).

    Raises
    ------
    ConfigError
        Its decoder is trained already; its windows do not open at the flicker; or nobody says
        which marker means which label.
    """
    if config.decoder is None or config.decoder.kind == "model":
        raise ConfigError(
            "calibration starts on a decoder that needs no training, such as fbcca: choose it "
            "under 'decoder'"
        )
    if config.paradigm is not None:
        return led_by_client(config)
    frequencies = frequencies_of(config.decoder)
    if not frequencies and not config.labels:
        raise ConfigError(
            f"decoder '{config.decoder.kind}' has neither frequencies nor labels to calibrate for: "
            "map labels to the markers of their cues under 'events'"
        )
    if not frequencies:
        keep = config.recording or Recording()
        return config.model_copy(update={"recording": keep})
    if config.window.kind == "sliding":
        raise ConfigError(
            "windows of this session slide; a selection is calibrated on windows that open at its "
            "flicker: {kind: growing, markers: [stim_on], …} under 'window'"
        )
    asked = led_by_client(config).model_dump(mode="json")
    asked["events"] = {**{label: CUE + label for label in frequencies}, **asked["events"]}
    asked["recording"] = asked["recording"] or Recording().model_dump(mode="json")
    if asked["ladder"] is None:  # by kind: they share what the decoder has
        asked["ladder"] = {"rungs": [kind for kind in RUNGS if kind != config.decoder.kind]}
    return configs.loads(yaml.safe_dump(asked, sort_keys=False), "calibration")


def with_cues(config: Config) -> Config:
    """Let a session of imagery be led by this program's cues, in the manner of Graz.

    Raises
    ------
    ConfigError
        Its windows open at markers, or its labels are fewer than two.
    """
    labels = tuple(dict.fromkeys(config.labels.values()))
    idle = "rest" if "rest" in labels else None
    asked = led_by_client(config).model_dump(mode="json")
    asked["events"] = {label: CUE + label for label in labels}
    asked["paradigm"] = {
        "kind": "graz", "labels": [label for label in labels if label != idle], "idle": idle,
    }  # fmt: skip
    asked["recording"] = asked["recording"] or Recording().model_dump(mode="json")
    asked["window"]["markers"] = asked["window"]["markers"] or [IMAGERY_ON]
    return configs.loads(yaml.safe_dump(asked, sort_keys=False), "cues")
