"""Frame after frame: asks the run what to show, shows it, and sends markers with the flip's time.

One thread, which never waits for the engine or for the application: both are
listened to between two frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QCoreApplication, QSize, Qt, QTimer

from bci.clock import now
from bci.paradigms.expectation import expect
from bci.paradigms.flash_run import FlashRun
from bci.paradigms.frames import FrameTiming, objections
from bci.paradigms.frequencies import luminance
from bci.paradigms.graz_run import CueScene, GrazRun
from bci.paradigms.language import LanguageModel
from bci.paradigms.planner import off_plan
from bci.paradigms.spelling import SpellingRun
from bci.paradigms.spelling_scene import Phase, Scene
from bci.paradigms.timetable import BEEP
from gui.link import Answer, EngineLink
from gui.stimulus.cue_painting import CuePicture
from gui.stimulus.painting import Picture
from gui.stimulus.reports import Reports
from gui.stimulus.screen import Screen
from gui.stimulus.settings import StimulusSettings
from gui.stimulus.surfaces import Surface, choose
from gui.stimulus.talk import Talk
from gui.stimulus.window import StimulusWindow

__all__ = ["Presenter"]

#: Seconds that the last markers get to reach the engine.
LEAVE_S = 1.0


class Presenter:
    """Shows a run.

    Parameters
    ----------
    settings : StimulusSettings
    link : EngineLink
        Started and closed by the caller.
    talk : Talk
    clock : callable
        Seconds of the engine's clock.
    surface : Surface or None
        None: what the settings say.

    Attributes
    ----------
    window : StimulusWindow
    screen : Screen
    run : SpellingRun, FlashRun or GrazRun
    n_markers_lost : int
        Markers that the engine did not take.
    """

    def __init__(
        self,
        settings: StimulusSettings,
        link: EngineLink,
        talk: Talk,
        *,
        clock: Callable[[], float] = now,
        surface: Surface | None = None,
    ) -> None:
        self.settings = settings
        self.run = settings.run()
        self.window = StimulusWindow(settings.window, settings.screen)
        surface = surface or choose(self.window, settings.surface)
        self.screen = Screen(self.window, surface, self._draw, clock, settings.measure_s)
        self.n_markers_lost = 0
        self._link, self._talk, self._clock = link, talk, clock
        self._reports = Reports(talk, self.run, self.screen, settings.n_targets, self._keep)
        self._levels: list[list[int]] = []  # of each key, by frame of the flicker
        self._at_rest: list[int] | None = None  # as the picture has it
        self._objections: list[str] | None = None  # None before the screen is measured
        self._seq = -1  # newest decision seen
        self._n_asked = 0  # markers under way
        self._expects = settings.expects
        self._told_prior = False
        self._wants_start = False
        self._lost = False
        self._leaves: float | None = None
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._tick)
        self.window.blank_asked.connect(self.blank)
        self.window.go_on_asked.connect(self.go_on)
        self.window.undo_asked.connect(self.run.undo)
        self.window.close_asked.connect(self.leave)

    def _draw(self, size: QSize, ratio: float) -> Picture | CuePicture:
        if isinstance(self.run, GrazRun):
            return CuePicture(size)
        return Picture(self.settings.cells(), size, ratio)

    def begin(self) -> None:
        """Show the window, measure the screen, and go on until told to stop."""
        self.window.present()
        self._timer.start(0)

    # --- what somebody asks for --------------------------------------------------------------

    def blank(self) -> None:
        """Blank with the next frame, whatever else is going on."""
        self._pause("blank: Enter goes on")

    def _pause(self, note: str) -> None:
        self._wants_start = False
        self.run.pause(note)

    def go_on(self) -> None:
        """Start, or go on; once the screen is measured and the engine is there."""
        self._wants_start = True

    def leave(self) -> None:
        """Blank, send what is left to send, and end."""
        if self._leaves is None:
            self.run.stop()
            if self._told_prior:  # one that still waits would be taken by the next run
                self._link.post("/v1/prior", {"proba": None})
            self._leaves = self._clock() + LEAVE_S

    def _obey(self, command: dict[str, Any]) -> None:
        deeds: dict[str, Callable[[], None]] = {
            "start": self.go_on,
            "blank": self.blank,
            "pause": lambda: self._pause("paused: Enter goes on"),
            "undo": self.run.undo,
            "clear": self.run.clear,
            "stop": self.leave,
        }
        deed = deeds.get(str(command.get("do")))
        if deed is None:
            self._talk.say("trouble", why=f"unknown command; there are: {', '.join(deeds)}")
        else:
            deed()

    def _start_if_asked(self) -> None:
        if not self._wants_start or self._objections is None or self._link.state != "live":
            return
        if isinstance(self.run, GrazRun) and self.run.waits:
            return
        self._wants_start = False
        if why := self._refusals():
            self._talk.say("refused", why=why)
        else:
            if self.run.phase is Phase.READY:
                self._reports.begin(self.settings.mode)
            self.run.start()

    def _refusals(self) -> list[str]:
        """Why this run may not start."""
        if self.settings.mode == "timing":
            return []
        if self.settings.graz is not None:
            shown = (self._link.status or {}).get("paradigm") is not None
            return [] if shown else ["the engine's session has no paradigm, which would train"]
        if self.settings.mode == "calibration":
            return self._objections or []
        known = ((self._link.status or {}).get("decoder") or {}).get("labels") or []
        missing = [t.label for t in self.settings.targets if t.label not in known]
        if not missing:
            return []
        named = ", ".join(known) or "nothing: it has to be calibrated first"
        return [
            f"{len(missing)} of {len(self.settings.targets)} keys would never be selected (first: "
            f"{missing[0]}): the engine's decoder names {named}"
        ]

    # --- frames ------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.show_frame()
        if self._may_end():
            self.window.destroy()
            QCoreApplication.quit()
        else:
            self._timer.start(math.ceil(1e3 * self.screen.wait_s))

    def _may_end(self) -> bool:
        """Whether the last scene is shown and its markers are with the engine, or have no hope."""
        drawn = self.screen.drawn
        if self._leaves is None or drawn is None or drawn.phase is not Phase.OVER:
            return False
        return self._n_asked == 0 or self._clock() > self._leaves

    def show_frame(self) -> None:
        """Listen, and show the next frame."""
        self._listen()
        number = self.screen.next()
        due = self.screen.schedule.time_of(number)
        scene = self.run.frame(due)
        t = self.screen.show(number, scene, self.levels(scene, due))
        if scene.phase is Phase.CUE and scene is not self._reports.told and not scene.asleep:
            self._expect()  # before the marker that opens the trial's window
        run: Any = self.run  # which knows its own kind of scene
        for marker in run.flipped(scene, t):
            self._post(marker.value, marker.t)
            if marker.value == BEEP:
                self._talk.say("beep")
        if self._objections is None and self.screen.timing is not None:
            self._get_ready(self.screen.timing)
        self._reports.tell(scene, self._clock(), self.n_markers_lost)

    def levels(self, scene: Scene | CueScene, due: float) -> Sequence[int] | None:
        """Level of each key, 0 to 255, in the frame scheduled at `due`; None: all at rest."""
        if scene.flicker_since is None or not self._levels:
            return self._at_rest
        frame = round((due - scene.flicker_since) / self.screen.schedule.period_s)
        return self._levels[min(frame, len(self._levels) - 1)]

    def _get_ready(self, timing: FrameTiming) -> None:
        """Compute what the flicker shows at the measured rate, and judge it."""
        hz, targets = timing.refresh_hz, self.settings.targets
        if isinstance(self.run, FlashRun):
            self._levels, self._at_rest = [[255]], [0]
        else:
            n_frames = math.ceil(self.settings.times.stim_s * hz) + 1
            table = np.array([luminance(target.flicker(), hz, n_frames) for target in targets])
            self._levels = np.rint(255.0 * table.T).astype(int).tolist()
        frequencies = [target.frequency_hz for target in targets]
        self._objections = [
            *objections(timing, self.window.nominal_hz, frequencies, self.settings.max_dropped),
            *off_plan([target.flicker() for target in targets], hz),
        ]
        self._reports.ready(self._objections)
        if self.settings.mode == "measure":
            self.leave()

    def _listen(self) -> None:
        for command in self._talk.commands():
            self._obey(command)
        self._link.poll()
        self._watch_link()
        self._start_if_asked()
        decisions = self._link.decisions
        if decisions.last_seq < self._seq:  # another session
            self._seq = -1
        for decision in decisions.since(self._seq):
            self._seq = decision["seq"]
            self.run.decide(decision)
        if isinstance(self.run, GrazRun):
            self.run.see_engine(self._link.status)

    def _watch_link(self) -> None:
        lost = self._link.state == "lost"
        if lost and not self._lost:
            running = self.run.phase not in (Phase.READY, Phase.BREAK, Phase.PAUSED, Phase.OVER)
            self._wants_start = self._wants_start or running
            self.run.pause("the engine is lost: waiting for it")
            self._talk.say("trouble", why=f"the engine is lost: {self._link.reason}")
        self._lost = lost

    # --- what the engine is told -------------------------------------------------------------

    def _expect(self) -> None:
        """Tell the engine which keys the language makes probable for this trial."""
        run = self.run
        if not isinstance(run, SpellingRun) or not self._expects:
            return
        words = run.keyboard.words
        if isinstance(words, LanguageModel):
            self._told_prior = True
            self._link.post("/v1/prior", {"proba": expect(run.keyboard, words)}, self._hear_prior)

    def _hear_prior(self, answer: Answer) -> None:
        if not answer.ok:  # a session that cannot use it will not learn to
            self._expects = False
            self._talk.say("trouble", why=f"the language's prior is not used: {answer.error}")

    def _post(self, value: str, t: float) -> None:
        if self.settings.mode == "timing":
            self._talk.say("flip", value=value, t=t)
        self._n_asked += 1
        trial = self._trial
        self._link.post(
            "/v1/markers", {"value": value, "t": t}, lambda answer: self._take_answer(answer, trial)
        )

    def _keep(self, marker: str) -> None:
        """Let the engine record what a report tells later; nothing waits for the answer."""
        if self.settings.mode not in ("graz", "measure", "timing"):
            self._link.post("/v1/markers", {"value": marker})

    @property
    def _trial(self) -> tuple[int, int]:
        """What tells the trial under way from others."""
        return self.run.n_done, self.run.n_void

    def _take_answer(self, answer: Answer, trial: tuple[int, int]) -> None:
        self._n_asked -= 1
        if answer.ok:
            return
        self.n_markers_lost += 1
        self._talk.say("trouble", why=f"the engine did not take a marker: {answer.error}")
        if trial == self._trial:  # of which the engine knows nothing: it is none
            self._pause("a marker was lost: Enter goes on")
