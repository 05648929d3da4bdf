"""Change of the sampling rate by a rational factor, causal, on absolute sample indices.

Output sample `k` belongs to input index ``k * down / up``, wherever the stream
started and however it is cut, so that a restart after a gap falls on the same grid.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal import firwin

from bci.config import StageSettings
from bci.dsp.channels import Columns
from bci.types import Chunk, Flag, FloatArray, StreamInfo, rate_ratio

#: Half the filter's length, in periods of the lower of the two rates.
HALF_LENGTH = 10
#: Output samples computed at a time, which bounds the memory a long chunk needs.
BLOCK = 256


class Resample(StageSettings):
    """Another sampling rate; the anti-aliasing filter is that of `scipy.signal.resample_poly`."""

    kind: Literal["resample"] = "resample"
    sfreq: float = Field(gt=0, description="sampling rate of the output, Hz")

    def build(self) -> Resampler:
        """Make the stage."""
        return Resampler(self)


def design(ratio: Fraction) -> FloatArray:
    """Low-pass FIR (Kaiser, β = 5) at the rate up × input, shape (2 * half + 1,), gain `up`.

    -6 dB at half the lower rate; delay `half` samples of the high rate.
    """
    up, down = ratio.numerator, ratio.denominator
    widest = max(up, down)
    half = HALF_LENGTH * widest
    taps: FloatArray = up * firwin(2 * half + 1, 1 / widest, window=("kaiser", 5.0))
    return taps


class Resampler:
    """Polyphase FIR. Before the first sample the stream is taken to have had its value.

    With h the taps at the high rate, output k is Σ_j h[φ + j·up] x[i - j] with
    i = floor(k·down / up) the newest input and φ = k·down mod up. A flag covers
    every output whose filter saw a flagged sample. Channels of type "stim" and
    "misc" are codes: each output takes the newest one.
    """

    def __init__(self, settings: Resample) -> None:
        self._sfreq = settings.sfreq
        self.delay_s = 0.0
        self._ratio = Fraction(1)
        self._taps: FloatArray = np.empty((0, 0))
        self._history: FloatArray | None = None  # (n_taps - 1, n_channels), None until a sample
        self._codes: Columns = np.empty(0, np.intp)
        self._pending: list[Flag] = []  # in output indices, reaching past the newest output

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        self._ratio = rate_ratio(self._sfreq, info.sfreq)
        up = self._ratio.numerator
        taps = design(self._ratio) if self._ratio != 1 else np.ones(1)
        self.delay_s = (len(taps) - 1) / 2 / (up * info.sfreq)
        padded = np.zeros(-(-len(taps) // up) * up)
        padded[: len(taps)] = taps
        # row φ: taps of that phase, oldest sample first, shape (up, n_taps)
        self._taps = np.ascontiguousarray(padded.reshape(-1, up).T[:, ::-1])
        self._history = None
        self._codes = np.flatnonzero([t in ("stim", "misc") for t in info.ch_types])
        self._pending = []
        return replace(info, sfreq=self._sfreq)

    def _output(self, index: int) -> int:
        """Return the number of the first output at or after an input index."""
        return -(-index * self._ratio.numerator // self._ratio.denominator)

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = np.ascontiguousarray(chunk.data, np.float64)
        first, stop = self._output(chunk.start), self._output(chunk.stop)
        out = np.empty((stop - first, data.shape[1]))
        if len(data):
            n_past = self._taps.shape[1] - 1
            if self._history is None:
                self._history = np.repeat(data[:1], n_past, axis=0)
            x = np.concatenate([self._history, data])
            for k in range(first, stop, BLOCK):
                self._filter(x, chunk.start, np.arange(k, min(k + BLOCK, stop)), out[k - first :])
            self._history = x[len(x) - n_past :].copy()
        return Chunk(first, out, self._flags(chunk.flags, first, stop))

    def _filter(self, x: FloatArray, start: int, k: NDArray[np.int_], out: FloatArray) -> None:
        """Write outputs `k` to the head of `out`; row 0 of `x` is input start - n_taps + 1."""
        newest, phase = np.divmod(k * self._ratio.denominator, self._ratio.numerator)
        oldest = newest - start  # in rows of x
        seen = x[oldest[:, None] + np.arange(self._taps.shape[1])]  # (n_out, n_taps, n_channels)
        out[: len(k)] = np.matmul(self._taps[phase][:, None, :], seen)[:, 0]
        out[: len(k), self._codes] = seen[:, -1, self._codes]

    def _flags(self, flags: tuple[Flag, ...], first: int, stop: int) -> tuple[Flag, ...]:
        """Map flags to outputs ``[first, stop)``; keep what reaches further for later chunks."""
        if not flags and not self._pending:
            return ()
        reach = self._taps.shape[1] - 1  # inputs before the newest that an output sees
        mapped = [
            replace(f, start=self._output(f.start), stop=self._output(f.stop + reach))
            for f in flags
        ]
        current = self._pending + mapped
        self._pending = [replace(f, start=max(f.start, stop)) for f in current if f.stop > stop]
        clipped = (replace(f, start=max(f.start, first), stop=min(f.stop, stop)) for f in current)
        return tuple(f for f in clipped if f.start < f.stop)
