"""The run of a timing check: one patch that turns white and black (see `timing_check`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bci.paradigms.keyboard import Key
from bci.paradigms.spelling_scene import Phase, Scene, Selection
from bci.paradigms.spelling_tasks import FreeSpelling, Task
from bci.paradigms.timetable import TimedMarker
from bci.paradigms.timing_check import changes

#: Label of the patch.
PATCH = "patch"
#: Its markers: not those of a trial, which would open one.
WHITE, BLACK = "flip/white", "flip/black"


class FlashRun:
    """Shows the patch; to whoever shows it, a run like `bci.paradigms.spelling.SpellingRun`.

    A frame in which the patch is white is one of a flicker that has begun.

    Parameters
    ----------
    seconds : float
        How long it takes.
    seed : int
        Of the times.
    caption : str
        Of the patch.
    """

    task: Task = FreeSpelling(None)
    text = ""
    n_void = n_done = 0

    def __init__(self, seconds: float, seed: int = 0, caption: str = "") -> None:
        self.phase = Phase.READY
        self.selections: list[Selection] = []
        self._seconds, self._seed = seconds, seed
        self._changes = changes(seconds, seed)
        self._since: float | None = None
        key = Key("none", caption=caption)
        self._scene = Scene(Phase.READY, "", None, (PATCH,), (key,))
        self._shown = self._scene

    def start(self) -> None:
        """Begin; after a pause all over again."""
        if self.phase in (Phase.READY, Phase.PAUSED):
            self.phase, self._since = Phase.REST, None

    def pause(self, note: str = "paused") -> None:
        """Turn black with the next frame."""
        if self.phase is not Phase.OVER:
            self._halt(Phase.PAUSED, note)

    def stop(self, note: str = "stopped") -> None:
        """End."""
        if self.phase is not Phase.OVER:
            self._halt(Phase.OVER, note)

    def undo(self) -> None:
        """Nothing is written here."""

    def clear(self) -> None:
        """Nothing is written here."""

    def decide(self, decision: Mapping[str, Any]) -> bool:
        """Nothing is decided here."""
        return False

    def _halt(self, phase: Phase, note: str) -> None:
        self.phase = phase
        self._scene = replace(self._scene, phase=phase, flicker_since=None, note=note)

    def frame(self, t: float) -> Scene:
        """See `SpellingRun.frame`."""
        if self.phase not in (Phase.REST, Phase.FLICKER):
            return self._scene
        self._since = t if self._since is None else self._since
        passed = t - self._since
        if passed >= self._seconds:
            self._halt(Phase.OVER, "all flips are made")
            return self._scene
        n = int(np.searchsorted(self._changes, passed, side="right"))
        white = n % 2 == 1
        self.phase = Phase.FLICKER if white else Phase.REST
        since = self._since + float(self._changes[n - 1]) if white else None
        if (self._scene.phase, self._scene.flicker_since) != (self.phase, since):
            self._scene = replace(self._scene, phase=self.phase, flicker_since=since, note="")
        return self._scene

    def flipped(self, scene: Scene, t: float) -> Iterator[TimedMarker]:
        """See `SpellingRun.flipped`."""
        before, self._shown = self._shown, scene
        if before.flicker_since is not None and scene.flicker_since != before.flicker_since:
            yield TimedMarker(t, BLACK)
        if scene.flicker_since is not None and scene.flicker_since != before.flicker_since:
            yield TimedMarker(t, WHITE)
