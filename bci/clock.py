"""The one clock, and the robust line from sample index to time.

Device stamps come jittered, bunched and sometimes with a jump. `Dejitter`
fits ``time = t0 + index / rate`` through them while they arrive, in a fixed
amount of work per chunk; live session and offline replay use the same code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

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


@dataclass(slots=True)
class _Line:
    """Time of sample `index` is ``time + (index - self.index) * period``."""

    index: float
    time: float
    period: float


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
        self._line: _Line | None = None
        self._previous: _Line | None = None
        self._segment_start = 0
        self._period = self._expected = self.nominal
        self._restart()

    def _restart(self) -> None:
        # weight, and weighted centred sums of index and time about their means
        self._w = self._i = self._t = self._ii = self._it = 0.0
        self._noise = 0.005**2  # variance of a chunk's residual, s²
        self._n_chunks = 0
        self._off: list[tuple[int, FloatArray]] = []
        self._off_since = 0.0

    def update(self, start: int, stamps: FloatArray) -> Jump | None:
        """Take the stamps of samples ``start … start + n``; report a clock jump, once confirmed."""
        step = max(1, int(0.5 * self.confirm / self.nominal))  # a long chunk may hold a jump
        jump = None
        for i in range(0, len(stamps), step):
            jump = self._take(start + i, stamps[i : i + step]) or jump
        return jump

    def _take(self, start: int, stamps: FloatArray) -> Jump | None:
        if self._line is None:
            self._segment_start = start
            self._absorb(start, stamps)
            return None
        residual = float(np.mean(stamps)) - self.time_of(start + 0.5 * (len(stamps) - 1))
        limit = max(self.jump, 5.0 * self._noise**0.5)
        if abs(residual) <= limit:
            self._off.clear()
            self._absorb(start, stamps)
            return None
        return self._suspect(start, stamps, residual)

    def _suspect(self, start: int, stamps: FloatArray, residual: float) -> Jump | None:
        if self._off and residual * self._off_since < 0:
            self._off.clear()
        if not self._off:
            self._off_since = residual
        self._off.append((start, stamps))
        first = int(self._off[0][0])
        if (start + len(stamps) - first) * self._period < self.confirm:
            return None
        pending = self._off
        means = np.array([np.mean(s) for _, s in pending])
        middles = np.array([i + 0.5 * (len(s) - 1) for i, s in pending])
        offsets = means - np.array([self.time_of(i) for i in middles])
        jump = float(np.median(offsets))
        self.restart(first)
        for (i, s), offset in zip(pending, offsets, strict=True):
            if abs(offset - jump) <= self.jump:  # not the chunk that the jump cut in two
                self._absorb(i, s)
        self.n_jumps += 1
        return Jump(first, jump)

    def restart(self, index: int) -> None:
        """The stream broke off before sample `index`; the next stamps start a new line."""
        self._previous, self._line = self._line, None
        self._restart()
        self._segment_start = index
        self._expected = self._period

    def _absorb(self, start: int, stamps: FloatArray) -> None:
        n = len(stamps)
        i = start + 0.5 * (n - 1)
        t = float(np.mean(stamps))
        if self._line is not None:
            residual = t - self.time_of(i)
            self._n_chunks += 1
            rate = max(0.01, 1.0 / (self._n_chunks + 10))
            self._noise += rate * (residual * residual - self._noise)
        keep = np.exp(-n * self._period / self.memory)
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
        prior = self._noise / (self.tolerance * self.nominal) ** 2 * max(n, 1)
        self._period = (self._it + prior * self._expected) / (self._ii + prior)
        self._line = _Line(self._i, self._t, self._period)

    @property
    def sfreq(self) -> float:
        """Effective rate of the stream, Hz."""
        return 1.0 / self._period

    @property
    def ready(self) -> bool:
        """Whether a stamp has been seen, so that times have indices."""
        return self._line is not None

    def time_of(self, index: float) -> float:
        """Fitted time of sample `index`, seconds; NaN before the first stamp."""
        line = self._line
        if line is None or (index < self._segment_start and self._previous is not None):
            line = self._previous
        if line is None:
            return float("nan")
        return line.time + (index - line.index) * line.period

    def index_of(self, t: float) -> int:
        """Index of the first sample at or after time `t` (half a sample of tolerance)."""
        line = self._line
        if line is None:
            raise ValueError("no sample has been seen yet, so a time has no index")
        return round(line.index + (t - line.time) / line.period)
