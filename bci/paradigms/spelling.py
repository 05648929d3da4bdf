"""The speller's run: what is shown when, which markers go with it, what a decision does.

A state machine without screen, clock or thread. It is told the scheduled time of
each frame and answers with the scene to draw; it is told when that scene came on
the screen and answers with the markers to send; it is told decisions. The rules
of a trial, the same in calibration and in spelling::

    cue ─► flicker ─► (waiting) ─► feedback ─► rest ─► cue …
              │ the decision ends it, or the time

What somebody asks for between two frames (pause, undo, …) takes effect with the
next frame. A trial that is cut short does not count and is done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bci.paradigms.keyboard import NOTHING, Keyboard
from bci.paradigms.spelling_scene import Phase, Scene, Selection, SpellingTimes
from bci.paradigms.spelling_tasks import Task
from bci.paradigms.timetable import CUE, STIM_OFF, STIM_ON, TimedMarker

#: Evidence of a trial may begin so much before its flicker, seconds: a marker is given to the
#: nearest sample, and its time may be corrected by what the timing check measured.
EARLY_S = 0.1
#: What a speller says that waits for its participant.
ASLEEP = "asleep: look at any key to go on"
#: A phase ends with the frame that is nearest to its end, seconds.
_NEAR_S = 1e-3


#: Phases in which a trial is under way and not yet decided.
UNDECIDED = frozenset({Phase.CUE, Phase.FLICKER, Phase.WAITING})
_DECIDED = frozenset({Phase.FEEDBACK, Phase.REST})


class SpellingRun:
    """One run of a speller; see the module.

    Parameters
    ----------
    task : Task
        What is to be done: calibrate, copy or write freely.
    keyboard : Keyboard
        As it is at the beginning.
    times : SpellingTimes

    Attributes
    ----------
    keyboard : Keyboard
        As it is now.
    phase : Phase
    selections : list of Selection
        Trials done, in order of time.
    n_void : int
        Trials that were cut short.
    """

    def __init__(self, task: Task, keyboard: Keyboard, times: SpellingTimes) -> None:
        self.task, self.times = task, times
        self.keyboard = keyboard
        self.phase = Phase.READY
        self.selections: list[Selection] = []
        self.n_void = 0
        self._note = ""
        self._since: float | None = None  # scheduled time of the phase's first frame
        self._now = 0.0  # scheduled time of the newest frame
        self._began: float | None = None  # the trial, with its cue
        self._wanted: str | None = None
        self._onset: float | None = None  # when this trial's flicker came on the screen
        self._decision: Mapping[str, Any] | None = None
        self._key = NOTHING  # that was selected
        self._n_unanswered = 0  # in a row
        self._asleep = False
        self._counts = True  # the trial that was decided last
        self._scene: Scene | None = None
        self._shown = self._draw()

    @property
    def text(self) -> str:
        """What is written."""
        return self.keyboard.text

    @property
    def n_done(self) -> int:
        """Trials that are done."""
        return len(self.selections)

    # --- what somebody asks for ------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or go on after a pause or a break."""
        if self.phase in (Phase.READY, Phase.BREAK, Phase.PAUSED):
            self._asleep, self._n_unanswered = False, 0
            self._begin_trial()

    def pause(self, note: str = "paused") -> None:
        """Blank the screen with the next frame; the trial under way does not count."""
        if self.phase in (Phase.PAUSED, Phase.OVER):
            return
        self._cut_short()
        self._enter(Phase.PAUSED, note)

    def undo(self) -> None:
        """Take the last selection back, by hand."""
        self._edit(self.keyboard.undo())

    def clear(self) -> None:
        """Delete the text; undone, it comes back."""
        self._edit(self.keyboard.clear())

    def stop(self, note: str = "stopped") -> None:
        """End the run."""
        if self.phase is not Phase.OVER:
            self._cut_short()
            self._enter(Phase.OVER, note)

    def _edit(self, keyboard: Keyboard) -> None:
        if not self.task.types or self.phase is Phase.OVER:
            return
        self.keyboard = keyboard
        self._scene = None
        if self.phase in UNDECIDED:  # what is wanted now may be another target
            self._cut_short()
            self._begin_trial()

    def _cut_short(self) -> None:
        if self.phase in UNDECIDED:
            self.n_void += 1
        elif self.phase in _DECIDED:
            self._record()
        self._onset = None

    # --- what the screen does --------------------------------------------------------------------

    def frame(self, t: float) -> Scene:
        """What the frame shows that is scheduled at `t`, seconds; times never go back."""
        self._now = t
        if self._since is None:
            self._since, self._scene = t, None
        while (length := self._length()) is not None and t >= self._since + length - _NEAR_S:
            self._advance()
            self._since = t
        if self._began is None and self.phase is Phase.CUE:
            self._began = t
        if self._scene is None:
            self._scene = self._draw()
        return self._scene

    def flipped(self, scene: Scene, t: float) -> Iterator[TimedMarker]:
        """Give the markers of the flip that brought `scene` on the screen at `t`.

        `t` is on the engine's clock, and need not be on that of the schedule.
        """
        before, self._shown = self._shown, scene
        if before.flicker_since is not None and scene.flicker_since != before.flicker_since:
            yield TimedMarker(t, STIM_OFF)
        is_new = (before.phase, before.cue) != (scene.phase, scene.cue)
        if scene.phase is Phase.CUE and scene.cue is not None and is_new:
            yield TimedMarker(t, CUE + scene.cue)
        if scene.flicker_since is not None and scene.flicker_since != before.flicker_since:
            self._onset = t
            yield TimedMarker(t, STIM_ON)

    # --- what the engine says --------------------------------------------------------------------

    def decide(self, decision: Mapping[str, Any]) -> bool:
        """Take a decision as it is on the wire (`bci.types.Decision.to_json`).

        False where it does not belong to the trial under way.
        """
        if not self._awaits(decision):
            return False
        self._decision = decision
        self._scene = None
        if self.phase is Phase.WAITING or (self.phase is Phase.FLICKER and self.task.ends_early):
            self._conclude()
        return True

    def _awaits(self, decision: Mapping[str, Any]) -> bool:
        if self._decision is not None or self._onset is None:
            return False
        if self.phase in _DECIDED and self.task.ends_early:
            return False  # its time was over
        t_first = decision["t_first"]
        if t_first is None or t_first < self._onset - EARLY_S:
            return False  # of an earlier trial
        return decision["label"] is not None or decision["marker"] is not None

    # --- from phase to phase ---------------------------------------------------------------------

    def _enter(self, phase: Phase, note: str = "") -> None:
        self.phase, self._note = phase, note
        self._since = self._scene = None

    def _length(self) -> float | None:
        """Duration of the phase, seconds; None: until something happens."""
        times = self.times
        return {
            Phase.CUE: times.cue_s,
            Phase.FLICKER: times.stim_s,
            Phase.WAITING: times.wait_s,
            Phase.FEEDBACK: times.feedback_s,
            Phase.REST: times.rest_s,
        }.get(self.phase)

    def _advance(self) -> None:
        match self.phase:
            case Phase.CUE:
                self._enter(Phase.FLICKER)
            case Phase.FLICKER if self.task.ends_early:
                self._enter(Phase.WAITING)
            case Phase.FLICKER | Phase.WAITING:
                self._conclude()
            case Phase.FEEDBACK:
                self._enter(Phase.REST)
            case Phase.REST:
                self._record()
                self._next()

    def _next(self) -> None:
        n = len(self.selections)
        if why := self.task.over(n, self.keyboard):
            self._enter(Phase.OVER, why)
        elif note := self.task.break_after(n):
            self._enter(Phase.BREAK, note)
        else:
            self._begin_trial()

    def _begin_trial(self) -> None:
        n = len(self.selections)
        if why := self.task.over(n, self.keyboard):
            self._enter(Phase.OVER, why)
            return
        self._began = self._onset = self._decision = None
        self._key = NOTHING
        self._wanted = self.task.wanted(n, self.keyboard)
        self._enter(Phase.CUE, ASLEEP if self._asleep else "")

    def _conclude(self) -> None:
        """Do what was selected, and show it."""
        label, note, self._counts = self._label, "", not self._asleep
        if label is None:
            self._n_unanswered += 1
            self._asleep = self._asleep or self._n_unanswered == self.task.idle_after
            note = "no decision" if self.task.ends_early else ""
        elif self._asleep:  # nothing is written by whoever only looks back
            self._asleep = self._decision is not None and bool(self._decision["forced"])
            self._n_unanswered = 0
        else:
            self._n_unanswered = 0
            self._key = self.keyboard.key(label)
            if self.task.types:
                self.keyboard = self.keyboard.select(label)
        self._enter(Phase.FEEDBACK, ASLEEP if self._asleep else note)

    @property
    def _label(self) -> str | None:
        """What was selected; None as well where that is no target of this keyboard."""
        label = None if self._decision is None else self._decision["label"]
        return label if label in self.keyboard.layout.labels else None

    def _record(self) -> None:
        """Book the trial; only those of a speller that is awake count."""
        self._onset = None
        if not self._counts or self._began is None:
            return
        decision, label = self._decision or {}, self._label
        proba = decision.get("proba", {})
        alone = decision.get("proba_decoder") or proba
        self.selections.append(
            Selection(
                wanted=self._wanted,
                label=label,
                unaided=max(alone, key=alone.__getitem__, default=None) if label else None,
                caption=self._key.caption,
                action=self._key.action if self.task.types else "none",
                probability=proba.get(label),
                forced=decision.get("forced", False),
                seconds=self._now - self._began,
                reason=self._reason(),
            )
        )

    def _reason(self) -> str:
        if self._decision is None:
            return "no decision came"
        if self._decision["label"] is None:
            return ", ".join(self._decision["quality"]["reasons"]) or "undecided"
        return "" if self._label else f"'{self._decision['label']}' is no target"

    def _draw(self) -> Scene:
        scene = Scene(
            self.phase,
            self.text,
            self.task.phrase,
            self.keyboard.layout.labels,
            self.keyboard.keys,
            note=self._note,
            asleep=self._asleep,
        )
        if self.phase in UNDECIDED:
            since = self._since if self.phase is Phase.FLICKER else None
            return replace(scene, cue=self._wanted, flicker_since=since)
        if self.phase is Phase.FEEDBACK:
            chosen = self._label
            right = None if None in (chosen, self._wanted) else chosen == self._wanted
            return replace(scene, chosen=chosen, right=right)
        return scene
