"""Adaptive filters: what EEG channels share with the eyes, learnt while it streams.

References
----------
He, Wilson & Russell, Med. Biol. Eng. Comput. 42, 407, 2004, doi:10.1007/BF02344717 (RLS on
EOG references); Haykin, Adaptive Filter Theory (RLS, normalised and block LMS).
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from pydantic import Field

from bci.dsp.artifacts.eye_reference import EyeReference, EyeReferenceSettings, mended
from bci.dsp.block_least_squares import BlockLeastSquares, predicted, stretches
from bci.types import Chunk, FloatArray, StreamInfo


class AdaptiveFilter(EyeReferenceSettings):
    """Subtraction of eye artifacts with weights that follow the signal; nothing to calibrate.

    rls: least squares over the last `memory_s`; finds the weights with the first blinks.
    lms: small steps down the error's gradient, relative to the reference's power; cheaper
    with many channels and taps, and slower.

    Weights change at the end of each block only. Belongs after a high-pass: an offset of the
    electrodes would be filtered, too. Brain activity that the reference picks up is lost;
    a long memory, with blinks in it, loses least.

    While a reference channel is flat, railed or beyond 1.5 mV nothing is subtracted or learnt,
    under a note "no-reference". The rank of the EEG is not lowered. After a break in the
    stream the weights begin at zero.
    """

    kind: Literal["adaptive_filter"] = "adaptive_filter"
    algorithm: Literal["rls", "lms"] = Field("rls", description="least squares, or gradient steps")
    taps: int = Field(3, ge=1, le=64, description="samples of each reference in the filter")
    block_s: float = Field(0.02, gt=0, le=1, description="time between changes of weights, seconds")
    memory_s: float = Field(
        20.0, gt=0, le=3600, description="rls: time constant of forgetting, seconds"
    )
    step: float = Field(
        0.1, gt=0, lt=2, description="lms: share of the error corrected in a block (stable below 2)"
    )
    floor_uv: float = Field(1.0, gt=0, description="references below this, µV RMS, count as silent")

    def build(self) -> AdaptiveCanceller:
        """Make the stage."""
        return AdaptiveCanceller(self)


class Weights(Protocol):
    """Filter weights that learn from blocks."""

    weights: FloatArray  # shape (n_regressors, n_signals)

    def update(self, regressors: FloatArray, signals: FloatArray) -> None:
        """Take in a block of both, (n_samples, n_regressors) and (n_samples, n_signals)."""
        ...


class BlockLMS:
    """LMS with the gradient of a whole block, relative to the reference's power.

    That is the block's own, or the mean so far (fading over 10 s) where that is larger:
    blinks then count, and what lies between them hardly does. The largest eigenvalue of the
    block's squares is bounded by their trace, so that no reference can make it diverge.
    """

    def __init__(
        self, n_regressors: int, n_signals: int, step: float, floor: float, keep: float
    ) -> None:
        self.weights: FloatArray = np.zeros((n_regressors, n_signals))
        self._step = step
        self._floor = floor  # µV², for each sample and regressor
        self._keep = keep  # of the mean power, from one sample to the next
        self._mean = 0.0

    def update(self, regressors: FloatArray, signals: FloatArray) -> None:
        """See `Weights`."""
        n = len(regressors)
        error = signals - regressors @ self.weights
        power = float(np.sum(regressors**2)) / n
        old = self._keep**n
        self._mean = old * self._mean + (1 - old) * power
        scale = n * (max(power, self._mean) + self._floor * regressors.shape[1])
        self.weights = self.weights + self._step / scale * (regressors.T @ error)


class AdaptiveCanceller:
    """x - U W, where row n of U holds the last `taps` samples of each reference.

    Samples altered by more than twice the root mean square of what was left of the channel,
    over the last ten seconds, are flagged "eog"; what is taken from a frontal reference
    itself does not count.
    """

    #: Time constant of powers that others are held against, seconds.
    _POWER_S = 10.0

    def __init__(self, settings: AdaptiveFilter) -> None:
        self._settings = settings
        self.delay_s = 0.0
        self.weights: Weights

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        asked, sfreq = self._settings, info.sfreq
        self._reference = EyeReference(asked, info)
        self.delay_s = self._reference.delay_s
        n_refs, n_eeg = len(self._reference.names), len(self._reference.targets)
        n = n_refs * asked.taps
        self._length = max(1, round(asked.block_s * sfreq))
        self._fade = float(np.exp(-1.0 / (self._POWER_S * sfreq)))
        if asked.algorithm == "rls":
            forgetting = float(np.exp(-1.0 / (asked.memory_s * sfreq)))
            ridge = asked.floor_uv**2 / (1.0 - forgetting)
            self.weights = BlockLeastSquares(n, n_eeg, forgetting, ridge)
        else:
            self.weights = BlockLMS(n, n_eeg, asked.step, asked.floor_uv**2, self._fade)
        self._past: FloatArray = np.zeros((asked.taps - 1, n_refs))
        self._block = np.empty((self._length, n + n_eeg))  # regressors and EEG, side by side
        self._filled = 0
        self._learns = True  # no reference was dead in this block so far
        self._power: FloatArray = np.zeros(n_eeg)  # of what was left, summed and fading
        self._n_power = 0.0
        self._spread: FloatArray = np.full(n_eeg, np.inf)  # its root mean square, µV
        return info

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = np.ascontiguousarray(chunk.data, np.float64)
        chunk, reference, dead = self._reference(Chunk(chunk.start, data, chunk.flags))
        if len(data) == 0:
            return chunk
        eeg = np.take(chunk.data, self._reference.targets, axis=1)
        delayed = self._delayed(reference)
        correction: FloatArray = np.empty(eeg.shape)
        spread: FloatArray = np.empty(eeg.shape)
        for start, stop in stretches(chunk.start, chunk.stop, self._length):
            part = slice(start - chunk.start, stop - chunk.start)
            correction[part] = predicted(delayed[part], self.weights.weights)
            spread[part] = self._spread
            block = self._block[self._filled : self._filled + stop - start]
            n = delayed.shape[1]
            block[:, :n], block[:, n:] = delayed[part], eeg[part]
            self._filled += stop - start
            self._learns &= not dead[part].any()
            if stop % self._length == 0:
                self._learn()
        correction[dead] = 0.0
        out = chunk.data.copy()
        out[:, self._reference.targets] = eeg - correction
        flags = mended(chunk.start, correction, spread)
        return Chunk(chunk.start, out, (*chunk.flags, *flags))

    def _delayed(self, reference: FloatArray) -> FloatArray:
        """Regressors: each reference, now and up to `taps` - 1 samples before."""
        taps = self._settings.taps
        both = np.concatenate([self._past, reference])
        self._past = both[len(both) - (taps - 1) :]
        n = len(reference)
        return np.concatenate([both[taps - 1 - k : taps - 1 - k + n] for k in range(taps)], axis=1)

    def _learn(self) -> None:
        """At the end of a block: new weights, and what the EEG measures when it is clean."""
        block, n = self._block[: self._filled], len(self.weights.weights)
        if self._learns:
            rest = block[:, n:] - block[:, :n] @ self.weights.weights
            old = self._fade ** len(block)
            self._power = old * self._power + np.sum(rest**2, axis=0)
            self._n_power = old * self._n_power + len(block)
            counts = self._reference.counts
            self._spread[counts] = np.sqrt(self._power[counts] / self._n_power)
            self.weights.update(block[:, :n], block[:, n:])
        self._filled, self._learns = 0, True
