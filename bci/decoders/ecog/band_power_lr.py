"""Logistic regression on the power of a low and a high band: the baseline for ECoG.

Movement lowers 8 to 32 Hz and raises 76 to 100 Hz: Miller, Leuthardt, Schalk, Rao,
Anderson, Moran, Miller & Ojemann, "Spectral changes in cortical surface potentials during
motor movement", J Neurosci 27, 2424, 2007, doi:10.1523/JNEUROSCI.3886-06.2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bci.config import DecoderSettings
from bci.decoders.covariance.band_covariance import in_bands
from bci.decoders.covariance.classifier import N_CALIBRATION_FOLDS, linear_logits, linear_weights
from bci.decoders.ecog.classifier import FeatureClassifier
from bci.decoders.temperature import fit_inverse_temperature
from bci.types import FloatArray, StreamInfo

#: Hz: what falls with movement, and what rises.
BANDS_HZ = ((8.0, 32.0), (76.0, 100.0))


class BandPowerLR(FeatureClassifier):
    """Logistic regression on the logarithm of each channel's power in each band.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    bands : sequence of (low, high)
        Hz.
    C : float
        Inverse strength of the L2 penalty.

    Attributes
    ----------
    classes_, n_channels_, learned_
        As in `bci.decoders.ecog.classifier.FeatureClassifier`; learned are the weights on
        logarithms of power, calibrated on training windows left out.
    """

    kind: ClassVar[str] = "band_power_lr"

    def __init__(
        self,
        sfreq: float,
        bands: Sequence[tuple[float, float]] = BANDS_HZ,
        C: float = 1.0,
    ) -> None:
        self.sfreq = sfreq
        self.bands = bands
        self.C = C

    def _features(self, windows: FloatArray) -> FloatArray:
        powers = [band.var(axis=2) for band in in_bands(windows, self.sfreq, self.bands)]
        # a flat channel says nothing: the smallest number there is stands for no power
        logs: FloatArray = np.log(np.maximum(np.concatenate(powers, axis=1), np.finfo(float).tiny))
        return logs

    def _learn(self, windows: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise ValueError(
                f"{type(self).__name__} needs two windows of each class to calibrate its "
                f"probabilities; found one of '{self.classes_[counts.argmin()]}'"
            )
        features = self._features(windows)
        logits = np.empty((len(codes), len(counts)))
        folds = StratifiedKFold(min(N_CALIBRATION_FOLDS, int(counts.min())))
        for train, test in folds.split(features, codes):
            logits[test] = linear_logits(
                features[test], self._weights(features[train], codes[train])
            )
        beta = fit_inverse_temperature(logits, codes)
        return {k: beta * v for k, v in self._weights(features, codes).items()}

    def _weights(self, features: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        """Weights on unscaled features; the scale is that of these windows."""
        regression = LogisticRegression(C=self.C, class_weight="balanced", max_iter=1000)
        scaler, fitted = make_pipeline(StandardScaler(), regression).fit(features, codes)
        weights = linear_weights(fitted)
        coef = weights["coef"] / scaler.scale_
        return {"coef": coef, "intercept": weights["intercept"] - coef @ scaler.mean_}

    def _log_proba(self, windows: FloatArray) -> FloatArray:
        logs: FloatArray = log_softmax(
            linear_logits(self._features(windows), self.learned_), axis=1
        )
        return logs


class BandPowerLRSettings(DecoderSettings):
    """Logistic regression on band power; to be trained on labelled windows."""

    decoder: ClassVar[type[BandPowerLR]] = BandPowerLR

    kind: Literal["band_power_lr"] = "band_power_lr"
    bands_hz: list[tuple[Annotated[float, Field(gt=0)], float]] = Field(
        list(BANDS_HZ), min_length=1, description="(low, high) of each band"
    )
    C: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty")

    def build(self, info: StreamInfo) -> BandPowerLR:
        """Make an untrained decoder for a processed stream."""
        return BandPowerLR(info.sfreq, self.bands_hz, self.C)
