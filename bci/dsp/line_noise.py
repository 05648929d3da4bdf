"""Line noise that drifts: sinusoids at the tracked frequency, estimated and subtracted.

References
----------
Widrow et al., Proc. IEEE 63, 1692, 1975, doi:10.1109/PROC.1975.10036: cancelling with a
sine and a cosine as reference is a notch that follows them. Frequency from the phase that
the line gains from one block to the next, as in Kay, IEEE Trans. ASSP 37, 1987, 1989.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bci.config import StageSettings
from bci.dsp.block_least_squares import BlockLeastSquares, predicted, stretches
from bci.dsp.channels import Columns
from bci.errors import ConfigError
from bci.types import Chunk, FloatArray, StreamInfo

#: Blocks over which the line's phase is looked at, to be compared with that of the next ones.
N_BLOCKS = 5
#: Sum of squares of a look that is silence, µV².
TINY = 1e-12
#: Coherence of the line from look to look below which its frequency is left alone.
MIN_COHERENCE = 0.5


class LineNoise(StageSettings):
    """Removal of line noise and its harmonics, following the frequency; narrower than a notch.

    One frequency for all channels, amplitude and phase for each. From its onset the line is
    down by 20 dB within 2 s at the default `memory_s` (a change of amplitude alone: 2.3 times
    `memory_s`). A tone 1.5 Hz beside the line stays within 0.5 dB; without a line less than
    1 % of the EEG's power is altered. No delay. Samples get no flag, as those of a notch.
    After a break in the stream it settles anew.
    """

    kind: Literal["line_noise"] = "line_noise"
    freq_hz: float = Field(50.0, gt=0, description="nominal line frequency, Hz (50 or 60)")
    range_hz: float = Field(0.5, gt=0, le=2, description="how far the line may drift, Hz")
    harmonics: int = Field(1, ge=1, le=20, description="sinusoids, the fundamental included")
    memory_s: float = Field(0.5, gt=0, le=60, description="time constant of amplitudes, seconds")
    frequency_memory_s: float = Field(
        1.0, gt=0, le=60, description="time constant of the frequency, seconds"
    )
    block_s: float = Field(0.04, gt=0, le=0.2, description="time between estimates, seconds")

    @model_validator(mode="after")
    def _tells_turns_apart(self) -> LineNoise:
        most = 1.0 / (2 * N_BLOCKS * self.block_s)  # half a turn from look to look
        if self.range_hz > most:
            raise ValueError(
                f"with block_s {self.block_s:g} a drift of {most:g} Hz at most can be followed, "
                f"and range_hz is {self.range_hz:g}; lower either"
            )
        return self

    def build(self) -> LineCanceller:
        """Make the stage."""
        return LineCanceller(self)


class FrequencyTracker:
    """Frequency of a line that all channels share, from how its phase turns between looks.

    A look is `N_BLOCKS` blocks long, and the oscillator's frequency is the same throughout.
    Each channel counts by the share that the line has of its power, so that none with a large
    artifact drowns the others.

    Attributes
    ----------
    hz : float
        As estimated now.
    coherence : float
        From 0, no line or too little seen of it, to 1, nothing but a line.
    """

    def __init__(self, settings: LineNoise, length: int, sfreq: float) -> None:
        self.hz = settings.freq_hz
        self._low = settings.freq_hz - settings.range_hz
        self._high = settings.freq_hz + settings.range_hz
        n = N_BLOCKS * length
        # tapered: alpha and drifts are far from the line
        self._tapers = np.hanning(n + 2)[1:-1].reshape(N_BLOCKS, length)
        self._look_s = n / sfreq
        self._keep = float(np.exp(-self._look_s / settings.frequency_memory_s))
        self._n_seen = 0  # blocks of this look
        self._line: NDArray[np.complex128] = np.zeros(0, complex)  # its amplitudes, this look
        self._squares: FloatArray = np.zeros(0)  # of the signals, this look
        self._before: tuple[NDArray[np.complex128], FloatArray] | None = None  # both, last look
        self._turn = 0j  # from look to look, summed over channels, fading
        self._power = 0.0
        self._weight = 0.0  # of the looks seen, against endless ones

    @property
    def coherence(self) -> float:
        """See the class."""
        return self._weight * abs(self._turn) / self._power if self._power > 0 else 0.0

    def update(self, signals: FloatArray, phase: FloatArray) -> None:
        """Take in a block of signals around zero, and the oscillator's phase."""
        part = (self._tapers[self._n_seen] * np.exp(-1j * phase)) @ signals
        squares = np.sum(signals**2, axis=0)
        if self._n_seen == 0:
            self._line, self._squares = part, squares
        else:
            self._line, self._squares = self._line + part, self._squares + squares
        self._n_seen += 1
        if self._n_seen == N_BLOCKS:
            self._n_seen = 0
            if self._before is not None:
                scale = 1.0 / np.sqrt(self._before[1] + self._squares + TINY)
                self._follow(scale * self._before[0], scale * self._line)
            self._before = self._line, self._squares

    def _follow(self, before: NDArray[np.complex128], line: NDArray[np.complex128]) -> None:
        """Move the frequency by what the phase has turned beside the oscillator."""
        self._turn = self._keep * self._turn + complex(np.vdot(before, line))
        powers = 0.5 * (np.vdot(before, before).real + np.vdot(line, line).real)
        self._power = self._keep * self._power + float(powers)
        self._weight = 1.0 - self._keep * (1.0 - self._weight)
        if self.coherence < MIN_COHERENCE:
            return
        old = self.hz
        off = float(np.angle(self._turn)) / (2 * np.pi * self._look_s)
        self.hz = min(max(old + off, self._low), self._high)
        # from here on the line turns by that much less
        self._turn *= np.exp(-2j * np.pi * (self.hz - old) * self._look_s)


class LineCanceller:
    """x - Σ_h a_h cos hφ + b_h sin hφ, with a and b by least squares over the last seconds.

    An offset is estimated beside them, so that electrodes' need no high-pass before.

    Attributes
    ----------
    tracker : FrequencyTracker
    """

    delay_s = 0.0

    def __init__(self, settings: LineNoise) -> None:
        self._settings = settings
        self.tracker: FrequencyTracker
        self._columns: Columns = np.empty(0, np.intp)

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        asked, sfreq = self._settings, info.sfreq
        top = asked.freq_hz + asked.range_hz
        if top >= sfreq / 2:
            raise ConfigError(
                f"line_noise: the line may reach {top:g} Hz, but the stream's sfreq of {sfreq:g} "
                f"Hz allows only frequencies below {sfreq / 2:g} Hz; leave the stage out"
            )
        self._sfreq = sfreq
        self._length = max(4, round(asked.block_s * sfreq))
        orders = np.arange(1, asked.harmonics + 1)
        self._orders = orders[orders * top < sfreq / 2]
        self._columns = np.flatnonzero(~np.isin(info.ch_types, ("stim", "misc")))
        n, c = 1 + 2 * len(self._orders), len(self._columns)
        forgetting = float(np.exp(-1.0 / (asked.memory_s * sfreq)))
        prior = np.full(n, self._length / 2)  # a block of zeros: the first one's noise is no line
        prior[0] = 0.0
        self._fit = BlockLeastSquares(n, c, forgetting, ridge=1e-6, prior=prior)
        self.tracker = FrequencyTracker(asked, self._length, sfreq)
        self._phase = 0.0  # of the sample at which this block began
        self._block = np.empty((self._length, c))
        self._regressors = np.empty((self._length, n))
        self._filled = 0
        return info

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        out = np.array(chunk.data, np.float64, order="C")
        for start, stop in stretches(chunk.start, chunk.stop, self._length):
            n = stop - start
            seen = slice(self._filled, self._filled + n)
            rows = slice(start - chunk.start, stop - chunk.start)
            part = out[rows, self._columns]
            self._block[seen] = part
            self._regressors[seen] = self._carriers(n)
            line = predicted(self._regressors[seen, 1:], self._fit.weights[1:])
            out[rows, self._columns] = part - line
            self._filled += n
            if stop % self._length == 0:
                self._learn()
        return Chunk(chunk.start, out, chunk.flags)

    def _step(self) -> float:
        """Phase from one sample to the next, radians."""
        return 2 * np.pi * self.tracker.hz / self._sfreq

    def _carriers(self, n: int) -> FloatArray:
        """A constant, and cosine and sine of each harmonic, for the next `n` samples."""
        phase = self._phase + self._step() * np.arange(self._filled, self._filled + n)
        angles = phase[:, None] * self._orders
        return np.concatenate([np.ones((n, 1)), np.cos(angles), np.sin(angles)], axis=1)

    def _learn(self) -> None:
        """At the end of a block: amplitudes, then the frequency of the next block."""
        n, step = self._filled, self._step()
        self._fit.update(self._regressors[:n], self._block[:n])
        if n == self._length:
            centred: FloatArray = self._block - self._fit.weights[0]
            self.tracker.update(centred, self._phase + step * np.arange(float(n)))
        self._phase = (self._phase + step * n) % (2 * np.pi)
        self._filled = 0
