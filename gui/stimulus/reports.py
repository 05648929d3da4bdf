"""What the flicker's process says of a run, when there is something new."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

from bci.paradigms import spelling_log
from bci.paradigms.flash_run import FlashRun
from bci.paradigms.graz_run import CueScene, GrazRun
from bci.paradigms.spelling import SpellingRun
from bci.paradigms.spelling_scene import Phase, Scene
from bci.paradigms.spelling_score import score
from gui.stimulus.screen import Screen
from gui.stimulus.talk import Talk

__all__ = ["Reports"]

#: Seconds between two reports of frames.
REPORT_S = 1.0


class Reports:
    """Says scenes, selections, scores and frames.

    Parameters
    ----------
    talk : Talk
    run : SpellingRun, FlashRun or GrazRun
    screen : Screen
    n_targets : int
    keep : callable
        Takes what is to stand in the recording (see `bci.paradigms.spelling_log`).

    Attributes
    ----------
    told : Scene, CueScene or None
        What was said last.
    """

    def __init__(
        self,
        talk: Talk,
        run: SpellingRun | FlashRun | GrazRun,
        screen: Screen,
        n_targets: int,
        keep: Callable[[str], None],
    ) -> None:
        self.told: Scene | CueScene | None = None
        self._talk, self._run, self._screen = talk, run, screen
        self._n_targets, self._keep = n_targets, keep
        self._n_told = 0  # selections
        self._reported = -math.inf

    def ready(self, objections: list[str]) -> None:
        """The screen is measured."""
        timing = self._screen.timing
        assert timing is not None
        self._talk.say(
            "ready",
            **asdict(timing),
            pace="screen" if timing.vsync else "clock",
            flicker_share=self._screen.picture.flicker_share,
            objections=objections,
        )

    def begin(self, mode: str) -> None:
        """The run begins."""
        hz = 1.0 / self._screen.schedule.period_s
        self._keep(spelling_log.begin(mode, self._run.task.phrase, self._n_targets, hz))

    def tell(self, scene: Scene | CueScene, t: float, n_markers_lost: int) -> None:
        """Say what is new, `scene` being on the screen at `t`."""
        run, frames = self._run, self._screen.schedule
        selections = run.selections
        if len(selections) > self._n_told:
            for selection in selections[self._n_told :]:
                self._talk.say("selection", **asdict(selection), right=selection.right)
                self._keep(
                    spelling_log.selected(selection, run.text, frames.n_flips, frames.n_dropped)
                )
            self._n_told = len(selections)
            self._tell_score()
        if scene is not self.told:
            self._talk.say(
                "state",
                phase=scene.phase,
                text=scene.text,
                cue=scene.cue,
                chosen=scene.chosen,
                note=scene.note,
                asleep=scene.asleep,
                n_done=run.n_done,
                n_void=self._run.n_void,
            )
            if scene.phase is Phase.OVER:
                self._tell_frames(t, n_markers_lost)
                self._tell_score()
                self._talk.say("over", why=scene.note, text=scene.text)
                self._keep(
                    spelling_log.end(
                        scene.note, scene.text, run.n_void, frames.n_flips, frames.n_dropped
                    )
                )
            self.told = scene
        if t - self._reported >= REPORT_S:
            self._tell_frames(t, n_markers_lost)

    def _tell_score(self) -> None:
        run = self._run
        found = score(run.selections, run.text, run.task.phrase, self._n_targets)
        self._talk.say("score", **asdict(found))

    def _tell_frames(self, t: float, n_markers_lost: int) -> None:
        self._reported = t
        schedule = self._screen.schedule
        self._talk.say(
            "frames",
            t=t,
            n_flips=schedule.n_flips,
            n_dropped=schedule.n_dropped,
            refresh_hz=1.0 / schedule.period_s,
            pace="clock" if self._screen.paced else "screen",
            n_markers_lost=n_markers_lost,
            n_lines_lost=self._talk.n_lost,
        )
