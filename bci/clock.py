"""The one clock, and the robust line from sample index to time.

Device stamps come jittered, bunched and sometimes with a jump. `Dejitter`
fits ``time = t0 + index / rate`` through them while they arrive, in a fixed
amount of work per chunk; live session and offline replay use the same code.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from bci.types import FloatArray


@cache
def _local_clock() -> Callable[[], float]:
    try:
        from pylsl import local_clock

        local_clock()
    except (ImportError, OSError, RuntimeError):
        return time.monotonic
    return local_clock  # type: ignore[no-any-return]


def now() -> float:
    """Seconds of the LSL clock (monotonic); `time.monotonic` where liblsl cannot load."""
    return _local_clock()()


@dataclass(frozen=True, slots=True)
class Jump:
    """The stream's clock jumped by `seconds` before sample `index`."""

    index: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Line:
    """Time of sample `index` is ``time + (index - self.index) * period``, from `first` on."""

    first: int
    index: float
    time: float
    period: float

    def time_of(self, index: float) -> float:
        return self.time + (index - self.index) * self.period

    def index_of(self, t: float) -> int:
        return round(self.index + (t - self.time) / self.period)


class _Point(NamedTuple):
    """The stamps of a few samples from `start` on as one: number, mean index, mean time."""

    start: int
    n: int
    middle: float
    time: float


class Dejitter:
    """Fit of sample times by recursive least squares with outlier rejection.

    A chunk enters with its mean index and mean stamp, weighted by its samples;
    the past is forgotten over `memory_s`. The period is held near the nominal
    (or earlier) one until the data says more (`rate_tolerance`, relative, one SD). A chunk
    far off the line is left out; when chunks stay off it on one side for
    `confirm_s`, that is a clock jump: it is reported and the line starts anew
    there, with the period it had.

    Parameters
    ----------
    sfreq : float
        Nominal rate, Hz.
    memory_s : float
        Time constant of forgetting, seconds.
    jump_s : float
        Smallest offset that can be a jump, seconds (5 SD of the residual if
        that is more).
    confirm_s : float
        How long chunks must stay off the line to be a jump, seconds.
    """

    def __init__(
        self,
        sfreq: float,
        memory_s: float = 60.0,
        jump_s: float = 0.05,
        confirm_s: float = 0.5,
        rate_tolerance: float = 1e-3,
    ) -> None:
        self.nominal = 1.0 / sfreq
        self.memory = memory_s
        self.jump = jump_s
        self.confirm = confirm_s
        self.tolerance = rate_tolerance
        self.n_jumps = 0
        # the line before the last break, and the present one; read by other threads, so both
        # change in one assignment
        self._lines: tuple[_Line | None, _Line | None] = (None, None)
        self._first = 0  # of the present line
        self._period = self._expected = self.nominal
        self._clear()

    def _clear(self) -> None:
        # weight, and weighted centred sums of index and time about their means
        self._w = self._i = self._t = self._ii = self._it = 0.0
        self._noise = 0.005**2  # variance of a chunk's residual, s²
        self._n_chunks = 0
        self._off: list[_Point] = []
        self._off_side = 0.0

    def update(self, start: int, stamps: FloatArray) -> Jump | None:
        """Take the stamps of samples ``start … start + n``; report a clock jump, once confirmed.

        Stamps that are not finite are left out.
        """
        step = max(1, int(0.5 * self.confirm / self.nominal))  # a long chunk may hold a jump
        jump = None
        for i in range(0, len(stamps), step):
            point = _mean(start + i, stamps[i : i + step])
            if point is not None:
                jump = self._take(point) or jump
        return jump

    def _take(self, point: _Point) -> Jump | None:
        line = self._lines[1]
        if line is not None:
            residual = point.time - line.time_of(point.middle)
            if abs(residual) > max(self.jump, 5.0 * math.sqrt(self._noise)):
                return self._suspect(point, residual)
            self._off.clear()
            self._n_chunks += 1
            rate = max(0.01, 1.0 / (self._n_chunks + 10))
            self._noise += rate * (residual * residual - self._noise)
        self._absorb(point)
        return None

    def _suspect(self, point: _Point, residual: float) -> Jump | None:
        """Keep a point off the line in mind, until they are enough to be a jump."""
        if residual * self._off_side < 0:
            self._off.clear()
        self._off_side = residual
        self._off.append(point)
        pending = self._off
        first = pending[0].start
        if (point.start + point.n - first) * self._period < self.confirm:
            return None
        offsets = [p.time - self.time_of(p.middle) for p in pending]
        jump = float(np.median(offsets))
        self.restart(first)
        for p, offset in zip(pending, offsets, strict=True):
            if abs(offset - jump) <= self.jump:  # not the chunk that the jump cut in two
                self._absorb(p)
        self.n_jumps += 1
        return Jump(first, jump)

    def restart(self, index: int) -> None:
        """The stream broke off before sample `index`; the next stamps start a new line."""
        previous, line = self._lines
        self._lines = (line or previous, None)
        self._first = index
        self._expected = self._period
        self._clear()

    def _absorb(self, point: _Point) -> None:
        _, n, i, t = point
        keep = math.exp(-n * self._period / self.memory)
        self._w *= keep
        self._ii *= keep
        self._it *= keep
        di, dt = i - self._i, t - self._t
        total = self._w + n
        gain = n / total
        self._ii += self._w * gain * di * di
        self._it += self._w * gain * di * dt
        self._w = total
        self._i += gain * di
        self._t += gain * dt
        # the expected period counts as observations whose spread makes it worth its tolerance
        prior = self._noise / (self.tolerance * self.nominal) ** 2 * n
        self._period = (self._it + prior * self._expected) / (self._ii + prior)
        self._lines = (self._lines[0], _Line(self._first, self._i, self._t, self._period))

    @property
    def sfreq(self) -> float:
        """Effective rate of the stream, Hz."""
        return 1.0 / self._period

    @property
    def ready(self) -> bool:
        """Whether a stamp has been seen since the last break, so that times have indices."""
        return self._lines[1] is not None

    def time_of(self, index: float) -> float:
        """Fitted time of sample `index`, seconds; NaN before the first stamp."""
        previous, line = self._lines
        if line is None or (previous is not None and index < line.first):
            line = previous
        return float("nan") if line is None else line.time_of(index)

    def index_of(self, t: float) -> int:
        """Index of the sample nearest to time `t`.

        A time before the last break has its index in the samples before it; one
        in the silence of the break has that of the first sample after it.

        Raises
        ------
        ValueError
            No sample has been seen yet.
        """
        previous, line = self._lines
        if line is None:
            line, previous = previous, None
        if line is None:
            raise ValueError("no sample has been seen yet, so a time has no index")
        index = line.index_of(t)
        if previous is not None and index < line.first:
            return min(previous.index_of(t), line.first)
        return index


def _mean(start: int, stamps: FloatArray) -> _Point | None:
    """The finite ones of a few stamps as one; None where there is none."""
    n = len(stamps)
    t = float(np.add.reduce(stamps)) / n if np.isfinite(stamps).all() else math.nan
    if math.isfinite(t):
        return _Point(start, n, start + 0.5 * (n - 1), t)
    rows = np.flatnonzero(np.isfinite(stamps))
    if len(rows) == 0:
        return None
    return _Point(start, len(rows), start + float(rows.mean()), float(stamps[rows].mean()))
