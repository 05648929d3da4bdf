"""A decoder that is trained at once on cued trials (imagery): collected, trained, put to use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gui.link import Answer, EngineLink

__all__ = ["Training", "model_folder"]


class Training:
    """Counts cues that come with the samples, or from another program, and asks for training.

    Parameters
    ----------
    labels : mapping of str to str
        Value of a cue's marker: label.

    Attributes
    ----------
    state : str
        "", "collecting", "training", "trained" or "failed".
    error : str
        Why it failed.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = dict(labels)
        self.state, self.error = "", ""
        self._counts: Counter[str] = Counter()
        self._seen_to = -1  # onset of the newest marker that was looked at

    def collect(self, link: EngineLink) -> None:
        """Trials from now on count."""
        self._counts.clear()
        self._seen_to = max((m["onset"] for m in _newest(link)), default=-1)
        self.state, self.error = "collecting", ""
        link.post("/v1/calibration", {"action": "start"}, self._started)

    def _started(self, answer: Answer) -> None:
        if not answer.ok:
            self.state, self.error = "failed", answer.error

    def count(self, link: EngineLink) -> int:
        """Count the cues that are new; how often each label was asked for, at least."""
        for marker in _newest(link):
            if marker["onset"] > self._seen_to:
                self._seen_to = marker["onset"]
                if (label := self.labels.get(marker["value"])) is not None:
                    self._counts[label] += 1
        return min(self._counts[label] for label in self.labels.values())

    def __str__(self) -> str:
        """What was cued so far."""
        return ", ".join(f"{n} {label}" for label, n in sorted(self._counts.items())) or "nothing"

    def finish(self, link: EngineLink) -> None:
        """Train on what was collected; the engine then decides by it."""
        self.state = "training"
        link.post("/v1/calibration", {"action": "finish"}, self._finished)

    def _finished(self, answer: Answer) -> None:
        self.state, self.error = ("trained", "") if answer.ok else ("failed", answer.error)


def _newest(link: EngineLink) -> list[dict[str, Any]]:
    status = link.status or {}
    return list(status.get("markers", {}).get("newest", []))


def model_folder(status: Mapping[str, Any]) -> Path:
    """Folder of the model that decides, among the session's files."""
    folder = Path(status["recording"]["path"]).parents[1]
    return folder / "models" / str(status["decoder"]["model"])
