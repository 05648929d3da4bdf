"""Regression: what EEG channels share with the eyes, as calibrated, is subtracted.

References
----------
Gratton, Coles & Donchin, Electroencephalogr. Clin. Neurophysiol. 55, 468, 1983,
doi:10.1016/0013-4694(83)90135-9; Croft & Barry, Clin. Neurophysiol. 111, 1979, 2000,
doi:10.1016/S1388-2457(00)00446-4: coefficients from stretches with large eye movements.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bci.dsp.artifacts.alive import check_alive, check_usable
from bci.dsp.artifacts.calibration import Arrays, CalibratedSettings, CalibratedStage
from bci.dsp.artifacts.eye_reference import (
    PLAUSIBLE_UV,
    EyeReference,
    EyeReferenceSettings,
    mended,
)
from bci.dsp.block_least_squares import predicted
from bci.errors import CalibrationFailed, ConfigError
from bci.types import Chunk, FloatArray, StreamInfo

#: A reference is active this many robust standard deviations from its median.
ACTIVE_Z = 3.0
#: Seconds of signal, and of eye movements in it, without which there is nothing to fit.
MIN_USABLE_S, MIN_ACTIVE_S = 2.0, 0.5
#: From a standard deviation to that of a normal distribution's median absolute deviation.
_MAD = 1.4826


class EOGRegression(EyeReferenceSettings, CalibratedSettings):
    """Subtraction of eye artifacts with coefficients calibrated by least squares.

    Belongs after a high-pass (drifts of the electrodes would be taken for eye movements)
    and before an amplitude gate (which would withhold the blinks from the calibration).
    Let the person blink and look around while it is calibrated.

    While a reference channel is flat, railed or more than 1.5 mV from rest nothing is
    subtracted, under a note "no-reference". The rank of the EEG is not lowered: EOG channels
    are no EEG, and of frontal ones what lies above the low-pass remains.
    """

    kind: Literal["eog_regression"] = "eog_regression"
    fit: Literal["active", "all"] = Field(
        "active", description="fit on eye movements only (3 robust SD off the median), or on all"
    )

    def build(self) -> EOGRegressor:
        """Make the stage."""
        return EOGRegressor(self)


class EOGRegressor(CalibratedStage):
    """x - (r - r₀) B for reference r, at rest r₀; B has shape (n_references, n_targets).

    Samples altered by more than 2 robust standard deviations of the cleaned calibration are
    flagged "eog"; what is taken from a frontal reference itself does not count.
    """

    def __init__(self, settings: EOGRegression) -> None:
        super().__init__(settings)
        self._asked = settings

    def prepare(self, info: StreamInfo, start: int) -> StreamInfo:
        """See `CalibratedStage`."""
        self._info = info
        self._reference = EyeReference(self._asked, info)
        self.delay_s = self._reference.delay_s
        return info

    def calibrate(self, block: FloatArray, usable: NDArray[np.bool_]) -> Arrays:
        """Least squares of the EEG on the reference, both around their means."""
        eyes = EyeReference(self._asked, self._info)
        check_usable("eog_regression", usable, MIN_USABLE_S, self._info.sfreq)
        check_alive("eog_regression", block[:, eyes.columns], eyes.names, self._info.sfreq)
        chunk, reference, _ = eyes(Chunk(0, block))
        n_delay = round(eyes.delay_s * self._info.sfreq)
        usable = np.concatenate([np.zeros(n_delay, bool), usable[: len(usable) - n_delay]])
        rest = np.median(reference[usable], axis=0)
        usable &= np.all(np.abs(reference - rest) <= PLAUSIBLE_UV, axis=1)
        eeg, reference = chunk.data[usable][:, eyes.targets], reference[usable]
        on = self._active(reference)
        coefficients = np.linalg.lstsq(
            reference[on] - reference[on].mean(axis=0), eeg[on] - eeg[on].mean(axis=0), rcond=None
        )[0]
        cleaned = eeg - (reference - rest) @ coefficients
        spread = _MAD * np.median(np.abs(cleaned - np.median(cleaned, axis=0)), axis=0)
        spread[~eyes.counts] = np.inf
        return {
            "references": eyes.columns.astype(float),
            "coefficients": coefficients,
            "rest": rest,
            "spread": spread,
        }

    def _active(self, reference: FloatArray) -> NDArray[np.bool_]:
        """Samples to fit on."""
        if self._asked.fit == "all":
            return np.ones(len(reference), bool)
        off = np.abs(reference - np.median(reference, axis=0))
        active: NDArray[np.bool_] = np.any(off > ACTIVE_Z * _MAD * np.median(off, axis=0), axis=1)
        sfreq = self._info.sfreq
        if active.sum() < MIN_ACTIVE_S * sfreq:
            raise CalibrationFailed(
                f"eog_regression: in {len(active) / sfreq:.3g} s the reference shows "
                f"{active.sum() / sfreq:.2g} s of eye movements, and {MIN_ACTIVE_S:g} s are "
                "needed; let the person blink and look around, or set 'fit: all'"
            )
        return active

    def adopt(self, arrays: Arrays) -> None:
        """See `CalibratedStage`."""
        found = np.asarray(arrays.get("references", ()), int).tolist()
        if found != self._reference.columns.tolist():
            names = [self._info.ch_names[i] for i in found if i < self._info.n_channels]
            raise ConfigError(
                f"eog_regression: calibrated with the reference {', '.join(names) or 'missing'}, "
                f"and the settings ask for {', '.join(self._reference.names)}; calibrate it with "
                "these settings"
            )
        self.arrays = arrays

    def process(self, chunk: Chunk) -> Chunk:
        """See `CalibratedStage`."""
        rest = 0.0 if self.arrays is None else self.arrays["rest"]
        chunk, reference, dead = self._reference(chunk, rest)
        if self.arrays is None or len(chunk.data) == 0:
            return chunk
        correction = predicted(reference - rest, self.arrays["coefficients"])
        correction[dead] = 0.0
        out = chunk.data.copy()
        out[:, self._reference.targets] -= correction
        flags = mended(chunk.start, correction, self.arrays["spread"])
        return Chunk(chunk.start, out, (*chunk.flags, *flags))
