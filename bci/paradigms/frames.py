"""A screen's frames: their schedule, what was dropped, and whether the timing will do.

What a frame shows is a function of its *scheduled* time, on a grid of one refresh
period that late frames do not move. A frame that comes late is a frame dropped,
and the flicker goes on in phase.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

#: A flip may be stamped so much before its scheduled time and still be that frame, periods.
EARLY = 0.25
#: Share of a flip's distance from the grid by which a screen in step moves it: at once towards
#: earlier flips, for none can come before the screen's own; slowly towards later ones, for
#: stamps are late by chance.
_PULL_EARLIER, _PULL_LATER = 0.5, 0.005
#: Frames from which the refresh rate is measured, at least.
MIN_FRAMES = 30


class FrameSchedule:
    """Numbers the frames on a fixed grid, and counts those that nobody saw.

    Parameters
    ----------
    period_s : float
        Of one frame, seconds.
    start_s : float
        Scheduled time of frame 0, seconds of any clock.
    vsync : bool
        Whether flips wait for the screen: the grid then follows it. Otherwise the
        grid is the clock's, and whoever draws waits for it.

    Attributes
    ----------
    number : int
        Of the frame on the screen; -1 before the first.
    n_flips : int
    n_dropped : int
        Frames since the first that were never shown in their time.
    """

    def __init__(self, period_s: float, start_s: float, *, vsync: bool) -> None:
        self.period_s = period_s
        self.vsync = vsync
        self.number = -1
        self.n_flips = 0
        self.n_dropped = 0
        self._start = start_s

    def time_of(self, number: int) -> float:
        """Scheduled time of a frame, seconds."""
        return self._start + number * self.period_s

    def next(self, t: float) -> int:
        """Number of the frame to draw at time `t`: the first that can still be shown in time."""
        passed = (t - self._start) / self.period_s
        due = math.ceil(passed) if self.vsync else math.floor(passed + EARLY)
        return max(self.number + 1, due)

    def flipped(self, t: float) -> int:
        """Take note of a flip at time `t`; the number of the frame in whose time it came."""
        passed = (t - self._start) / self.period_s
        came_in = math.floor(passed + EARLY)
        number = max(self.number + 1, came_in)
        if self.n_flips:
            self.n_dropped += number - self.number - 1
        self.number = number
        self.n_flips += 1
        if self.vsync and came_in == number:  # or it did not wait, and says nothing of the screen
            off = t - self.time_of(number)
            self._start += off * (_PULL_EARLIER if off < 0.0 else _PULL_LATER)
        return number


@dataclass(frozen=True, slots=True)
class FrameTiming:
    """How a screen keeps its frames.

    Attributes
    ----------
    refresh_hz : float
        Measured where flips wait for the screen, else the one that is kept by the clock.
    vsync : bool
        Whether flips wait for the screen.
    n_frames, n_dropped : int
        Flips looked at, and frames missing between them.
    jitter_ms : float
        99th percentile of a flip's distance from the grid, milliseconds.
    """

    refresh_hz: float
    vsync: bool
    n_frames: int
    n_dropped: int
    jitter_ms: float

    @property
    def dropped_share(self) -> float:
        """Share of the frames that were dropped."""
        return self.n_dropped / max(1, self.n_frames + self.n_dropped)


def measure(flips: ArrayLike, nominal_hz: float, *, paced: bool) -> FrameTiming:
    """Find the refresh rate, and how regular it is, from the times of flips.

    Parameters
    ----------
    flips : array, shape (n_flips,)
        Seconds, in order.
    nominal_hz : float
        What the screen says, Hz.
    paced : bool
        Whether flips were made by the clock at `nominal_hz`, for nothing made them wait.

    Raises
    ------
    ValueError
        There are fewer than `MIN_FRAMES` flips.
    """
    t = np.asarray(flips, dtype=np.float64)
    if len(t) < MIN_FRAMES:
        raise ValueError(f"{len(t)} frames do not show a refresh rate; {MIN_FRAMES} are needed")
    steps = np.diff(t)
    period = 1.0 / nominal_hz if paced else float(np.median(steps))
    numbers = np.concatenate([[0], np.cumsum(np.maximum(1, np.rint(steps / period)))])
    if paced:
        off = t - numbers * period
        off -= np.min(off)
    else:
        period, start = (float(x) for x in np.polyfit(numbers, t, 1))
        off = np.abs(t - start - numbers * period)
    return FrameTiming(
        refresh_hz=1.0 / period,
        vsync=not paced,
        n_frames=len(t),
        n_dropped=int(numbers[-1]) - (len(t) - 1),
        jitter_ms=float(np.percentile(off, 99)) * 1e3,
    )


def objections(
    timing: FrameTiming,
    nominal_hz: float,
    frequencies_hz: Sequence[float],
    max_dropped: float = 0.01,
) -> list[str]:
    """Say why this screen should not calibrate anybody, one line each; empty: it may.

    Parameters
    ----------
    timing : FrameTiming
    nominal_hz : float
        What the screen says, Hz.
    frequencies_hz : sequence of float
        Of the targets.
    max_dropped : float
        Share of dropped frames that is accepted.
    """
    found = []
    if timing.dropped_share > max_dropped:
        found.append(
            f"{timing.n_dropped} of {timing.n_frames + timing.n_dropped} frames were dropped "
            f"({100 * timing.dropped_share:.1f} %; {100 * max_dropped:g} % are accepted): close "
            "other programs, and switch off power saving and effects of the desktop"
        )
    period_ms = 1e3 / timing.refresh_hz
    if timing.vsync and timing.jitter_ms > 0.25 * period_ms:
        found.append(
            f"flips are {timing.jitter_ms:.1f} ms off their frames of {period_ms:.1f} ms: the "
            "screen's own rate is not what drives them; show the window on one screen, full size"
        )
    if timing.vsync and abs(timing.refresh_hz / nominal_hz - 1.0) > 0.02:
        found.append(
            f"the screen flips at {timing.refresh_hz:.2f} Hz, and says {nominal_hz:.2f} Hz: a "
            "variable refresh rate must be switched off"
        )
    too_fast = sorted(hz for hz in frequencies_hz if hz >= timing.refresh_hz / 2)
    if too_fast:
        found.append(
            f"{', '.join(f'{hz:g}' for hz in too_fast)} Hz cannot be shown at "
            f"{timing.refresh_hz:.2f} Hz: plan targets below half of it"
        )
    return found
