"""A whole Graz-style imagery session: runs without feedback, runs with it, rests between.

The trials are those of `bci.paradigms.imagery`, with a beep before the cue. A *calibration*
run asks for imagery and shows nothing of it; between `feedback_on` and `feedback_off` of a
*feedback* run a bar shows what is decoded. The idle label is cued as any other, and asks
for nothing: without such trials a decoder knows only which movement, not whether any.

.. [1] Pfurtscheller, Neuper (2001). Motor imagery and direct brain-computer
   communication. Proc. IEEE 89, 1123.
.. [2] Leeb, Lee, Keinrath, Scherer, Bischof, Pfurtscheller (2007). Brain-computer
   communication: motivation, aim, and impact of exploring a virtual apartment. IEEE
   TNSRE 15, 473: cross at 0 s, beep at 2 s, cue at 3 s, feedback to 7.5 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bci.config import GrazSettings
from bci.paradigms.imagery import ImageryTimetable
from bci.paradigms.timetable import (
    BEEP,
    FEEDBACK_OFF,
    FEEDBACK_ON,
    RUN_CALIBRATION,
    RUN_FEEDBACK,
    RUN_OFF,
    TimedMarker,
    Trial,
)


@dataclass(frozen=True, slots=True)
class GrazTimetable:
    """Runs of cued trials, balanced within each run, in an order drawn from the seed.

    Attributes
    ----------
    settings : bci.config.GrazSettings
        All durations and numbers.
    """

    settings: GrazSettings

    def trials(self) -> Iterator[Trial]:
        """Trials in order of time; the same at every call."""
        of = self.settings
        plain = ImageryTimetable(
            of.asked, of.n_runs, of.trials_per_label, of.fixation_s, of.imagery_s, of.pause_s,
            seed=of.seed,
        )  # fmt: skip
        for number, trial in enumerate(plain.trials()):
            run, place = divmod(number, of.run_length)
            feedback = run >= of.calibration_runs
            shown = [*trial.markers, *self._added(trial, feedback)]
            if place == 0:
                opens = RUN_FEEDBACK if feedback else RUN_CALIBRATION
                shown.insert(0, TimedMarker(trial.start_s, opens))
            if place == of.run_length - 1:
                shown.append(TimedMarker(trial.stop_s, RUN_OFF))
            later = run * of.rest_s
            yield Trial(
                trial.label, trial.start_s + later, trial.stop_s + later,
                tuple(replace(m, t=m.t + later) for m in sorted(shown, key=lambda m: m.t)),
            )  # fmt: skip

    def _added(self, trial: Trial, feedback: bool) -> Iterator[TimedMarker]:
        """What a trial has beyond a plain one."""
        of, cue = self.settings, trial.start_s + self.settings.fixation_s
        yield TimedMarker(trial.start_s + of.beep_s, BEEP)
        if feedback:
            yield TimedMarker(cue + of.feedback_delay_s, FEEDBACK_ON)
            yield TimedMarker(cue + of.imagery_s, FEEDBACK_OFF)
