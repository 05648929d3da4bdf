"""The parts that every timetable is made of.

Values of markers, the same in calibration, free use and simulation:

``cue/<label>``
    The participant is told which target to look at, or which movement to imagine.
``stim_on``, ``stim_off``
    The flicker starts and ends (speller).
``fixation``, ``imagery_on``, ``imagery_off``
    The cross appears; imagery begins and ends (motor imagery).
``run/calibration``, ``run/feedback``, ``run_off``
    A run of trials without or with feedback begins; it ends.
``beep``, ``feedback_on``, ``feedback_off``
    Attention; the bar appears and goes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

CUE = "cue/"
STIM_ON = "stim_on"
STIM_OFF = "stim_off"
FIXATION = "fixation"
IMAGERY_ON = "imagery_on"
IMAGERY_OFF = "imagery_off"
RUN_CALIBRATION = "run/calibration"
RUN_FEEDBACK = "run/feedback"
RUN_OFF = "run_off"
BEEP = "beep"
FEEDBACK_ON = "feedback_on"
FEEDBACK_OFF = "feedback_off"


@dataclass(frozen=True, slots=True)
class TimedMarker:
    """An event `t` seconds after the timetable's start."""

    t: float
    value: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: its true label, its time span in seconds, and what is shown when."""

    label: str
    start_s: float
    stop_s: float
    markers: tuple[TimedMarker, ...]


class Timetable(Protocol):
    """A seeded sequence of trials, finite or endless, the same at every call."""

    def trials(self) -> Iterator[Trial]:
        """Trials in order of time."""
        ...


def markers(trials: Iterable[Trial]) -> Iterator[TimedMarker]:
    """All markers of `trials`, in order of time."""
    for trial in trials:
        yield from trial.markers


def cued_label(value: str) -> str | None:
    """Return the label of a cue marker; None for any other marker."""
    return value.removeprefix(CUE) if value.startswith(CUE) else None
