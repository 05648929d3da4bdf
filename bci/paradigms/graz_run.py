"""The run of a Graz-style session on a screen: cross, beep, arrow, bar, from its timetable.

A state machine like `bci.paradigms.spelling.SpellingRun`, without screen, clock or thread.
Each marker of the timetable changes what is shown, and is sent with the time of the flip that
brought the change. The participant goes on after each run by hand; the runs with feedback wait
for the decoder. A trial that is cut short does not count and is done again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bci.paradigms.graz import GrazTimetable
from bci.paradigms.spelling_scene import Phase, Selection
from bci.paradigms.spelling_tasks import FreeSpelling, Task
from bci.paradigms.timetable import (
    BEEP,
    FEEDBACK_OFF,
    FEEDBACK_ON,
    FIXATION,
    IMAGERY_OFF,
    IMAGERY_ON,
    RUN_CALIBRATION,
    RUN_FEEDBACK,
    RUN_OFF,
    TimedMarker,
    Trial,
    cued_label,
)

__all__ = ["CueScene", "GrazRun"]

ALL_DONE = "all runs are done"
#: A marker is due with the frame that is nearest to it, seconds.
_NEAR_S = 1e-3
#: Phases in which the timetable runs.
_RUNNING = frozenset({Phase.REST, Phase.CUE, Phase.IMAGERY})
_OPENS = frozenset({RUN_CALIBRATION, RUN_FEEDBACK})


@dataclass(frozen=True, slots=True)
class CueScene:
    """What a frame shows.

    Attributes
    ----------
    phase : Phase
    cross : bool
    attention : bool
        Whether the cue comes soon: the cross stands out, with a beep.
    cue : str or None
        Label of what is to be imagined.
    bar : float or None
        From -1 to 1 towards the cue; None: there is no bar.
    held : bool
        Whether the bar stands still, for nothing was decoded.
    note : str
        A line for the participant.
    """

    phase: Phase
    cross: bool = False
    attention: bool = False
    cue: str | None = None
    bar: float | None = None
    held: bool = False
    note: str = ""

    # as of a speller's scene: nothing is written here, nothing flickers, nobody sleeps
    @property
    def text(self) -> str:  # noqa: D102
        return ""

    @property
    def chosen(self) -> None:  # noqa: D102
        return None

    @property
    def flicker_since(self) -> None:  # noqa: D102
        return None

    @property
    def asleep(self) -> bool:  # noqa: D102
        return False


class GrazRun:
    """All runs of a session.

    Parameters
    ----------
    timetable : GrazTimetable

    Attributes
    ----------
    phase : Phase
    n_done, n_void : int
        Trials done, and those that were cut short.
    selections : list of Selection
        Trials with a bar that are done: what was asked, and the label of the largest mean
        probability while the bar was shown.
    """

    task: Task = FreeSpelling(None)
    text = ""

    def __init__(self, timetable: GrazTimetable) -> None:
        self.phase = Phase.READY
        self.n_done = self.n_void = 0
        self.selections: list[Selection] = []
        self._trials = list(timetable.trials())
        self._n_runs = timetable.settings.n_runs
        self._n_runs_done = 0
        self._is_ready = timetable.settings.calibration_runs == 0  # the decoder
        self._since: float | None = None  # scheduled time at which the trial began
        self._ahead: list[TimedMarker] = []  # of the trial under way, seconds from its start
        self._due: list[str] = []  # come with the next flip
        self._run_is_open = False
        self._cross = self._attention = self._held = False
        self._cue: str | None = None
        self._bar: float | None = None
        self._sums: Counter[str] = Counter()
        self._n_decoded = 0
        self._note = f"{self._n_runs} runs of {timetable.settings.run_length} trials"
        self._scene: CueScene | None = None

    # --- what somebody asks for ------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether it cannot begin or go on yet: the runs with feedback need their decoder."""
        return self.phase is not Phase.OVER and not self._is_ready and self._next_has_feedback

    @property
    def _next_has_feedback(self) -> bool:
        return any(m.value == FEEDBACK_ON for m in self._trials[self.n_done].markers)

    def start(self) -> None:
        """Begin, or go on after a pause or between two runs."""
        if self.phase in (Phase.READY, Phase.BREAK, Phase.PAUSED) and not self.waits:
            self._enter(Phase.REST)
            self._begin_trial()

    def pause(self, note: str = "paused") -> None:
        """Blank the screen with the next frame; the trial under way does not count."""
        if self.phase in (Phase.PAUSED, Phase.OVER):
            return
        self._leave_trial()
        if self.n_done == len(self._trials):
            self._enter(Phase.OVER, ALL_DONE)
        else:
            self._enter(Phase.PAUSED, note)

    def stop(self, note: str = "stopped") -> None:
        """End; a run that is under way is closed."""
        if self.phase is not Phase.OVER:
            self._leave_trial()
            if self._run_is_open:
                self._due.append(RUN_OFF)
            self._enter(Phase.OVER, note)

    def undo(self) -> None:
        """Nothing is written here."""

    def clear(self) -> None:
        """Nothing is written here."""

    def _leave_trial(self) -> None:
        """Book the trial under way if all of it was shown; else say that it goes on no longer."""
        if self.phase not in _RUNNING or self._since is None:
            return
        if all(m.value == RUN_OFF for m in self._ahead):  # nothing is left but the pause after it
            for marker in self._ahead:
                self._take(marker.value)
            self._book(self._trials[self.n_done])
            return
        self.n_void += 1
        self._due += [FEEDBACK_OFF] * (self._bar is not None)
        self._due += [IMAGERY_OFF] * (self._cue is not None)

    def _enter(self, phase: Phase, note: str = "") -> None:
        self.phase, self._note, self._scene = phase, note, None
        self._cross = self._attention = self._held = False
        self._cue = self._bar = None

    # --- what the screen does --------------------------------------------------------------------

    def frame(self, t: float) -> CueScene:
        """What the frame shows that is scheduled at `t`, seconds; times never go back."""
        while self.phase in _RUNNING:
            self._since = t if self._since is None else self._since
            passed, trial = t - self._since + _NEAR_S, self._trials[self.n_done]
            while self._ahead and self._ahead[0].t <= passed:
                self._take(self._ahead.pop(0).value)
            length = trial.stop_s - trial.start_s
            if passed < length:
                break
            self._finish(trial, self._since + length)
        if self._scene is None:
            self._scene = CueScene(
                self.phase, self._cross, self._attention, self._cue, self._bar, self._held,
                self._note,
            )  # fmt: skip
        return self._scene

    def flipped(self, scene: CueScene, t: float) -> Iterator[TimedMarker]:
        """Give the markers of what the flip at `t` has changed."""
        due, self._due = self._due, []
        for value in due:
            yield TimedMarker(t, value)

    def _begin_trial(self, since: float | None = None) -> None:
        trial = self._trials[self.n_done]
        self._since = since
        self._ahead = [TimedMarker(m.t - trial.start_s, m.value) for m in trial.markers]
        if self._run_is_open:  # by a trial that is done again
            self._ahead = [m for m in self._ahead if m.value not in _OPENS]
        self._sums, self._n_decoded = Counter(), 0

    def _take(self, value: str) -> None:
        """Do what a marker means."""
        self._due.append(value)
        self._scene = None
        if (label := cued_label(value)) is not None:
            self._cue, self._attention = label, False
            return
        match value:
            case _ if value in _OPENS:
                self._run_is_open = True
            case _ if value == FIXATION:
                self.phase, self._cross = Phase.CUE, True
            case _ if value == BEEP:
                self._attention = True
            case _ if value == IMAGERY_ON:
                self.phase = Phase.IMAGERY
            case _ if value == FEEDBACK_ON:
                self._bar = 0.0
            case _ if value == FEEDBACK_OFF:
                self._bar, self._held = None, False
            case _ if value == IMAGERY_OFF:
                self.phase, self._cross, self._cue = Phase.REST, False, None
            case _ if value == RUN_OFF:
                self._run_is_open = False

    def _finish(self, trial: Trial, at: float) -> None:
        """Book a trial; the next one begins at `at`, or after a rest."""
        self._book(trial)
        if self._run_is_open:
            self._begin_trial(at)
            return
        done = f"run {self._n_runs_done} of {self._n_runs} is done"
        if self.n_done == len(self._trials):
            self._enter(Phase.OVER, ALL_DONE)
        elif self.waits:
            self._enter(Phase.BREAK, f"{done}: rest; the decoder is being trained …")
        else:
            self._enter(Phase.BREAK, f"{done}: rest; Enter goes on")

    def _book(self, trial: Trial) -> None:
        """Count a trial that is done, and its run where it was the last."""
        self.n_done += 1
        self._n_runs_done += not self._run_is_open
        if not any(m.value == FEEDBACK_ON for m in trial.markers):
            return
        decoded = max(self._sums, key=self._sums.__getitem__, default=None)
        self.selections.append(
            Selection(
                wanted=trial.label,
                label=decoded,
                unaided=decoded,
                caption=decoded or "",
                action="none",
                probability=None if decoded is None else self._sums[decoded] / self._n_decoded,
                forced=False,
                seconds=trial.stop_s - trial.start_s,
                reason="" if decoded else "nothing was decoded",
            )
        )

    # --- what the engine says --------------------------------------------------------------------

    def decide(self, decision: Mapping[str, Any]) -> bool:
        """Move the bar, as a decision on the wire says (`bci.types.Decision.to_json`).

        False where it does not belong to the trial under way.
        """
        bar = decision.get("bar")
        if bar is None or self._bar is None or bar["towards"] != self._cue:
            return False
        self._bar, self._held, self._scene = float(bar["value"]), bool(bar["held"]), None
        if decision["proba"]:
            self._sums.update(decision["proba"])
            self._n_decoded += 1
        return True

    def see_engine(self, status: Mapping[str, Any] | None) -> None:
        """Look whether the decoder is trained (`bci.session.Session.status`)."""
        paradigm = (status or {}).get("paradigm")
        if self._is_ready or paradigm is None or not paradigm["ready"]:
            return
        self._is_ready = True
        if self.phase is not Phase.BREAK:
            return
        if paradigm["error"]:
            self.stop(f"without feedback: {paradigm['error']}")
        else:
            self._enter(Phase.BREAK, "the decoder is trained: Enter goes on, with feedback")
