"""Tangent space in several frequency bands.

Each band's covariances are mapped to the tangent space at their own mean, as
Barachant, Bonnet, Congedo & Jutten, IEEE Trans Biomed Eng 59(4), 920-928, 2012,
doi:10.1109/TBME.2011.2172210, do in one band, and one logistic regression weighs
them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pyriemann.tangentspace import TangentSpace
from sklearn.linear_model import LogisticRegression

from bci.decoders.covariance.band_covariance import BANDS_HZ, BandCovariances, BandSettings
from bci.decoders.covariance.classifier import Learned, Shrinkage, linear_logits, linear_weights
from bci.decoders.covariance.estimation import inverse_root, log_spd
from bci.types import FloatArray, StreamInfo


class FilterBankTangentSpace(BandCovariances):
    """Logistic regression on the tangent spaces of several bands.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    bands : sequence of (low, high)
        Hz; processing before must let them pass.
    C : float
        Inverse strength of the L2 penalty.
    rank : int or None
        Directions to keep, where processing has lowered the rank; None: found from
        the training data.
    shrinkage : "oas" or None
        How a window's covariance is regularised.

    Attributes
    ----------
    classes_, n_channels_, basis_, inverse_temperature_, learned_
        As in `bci.decoders.covariance.classifier.Calibrated`; learned are the
        ``whiteners`` of each band's mean and the weights.
    """

    kind: ClassVar[str] = "fb_tangent_space"

    def __init__(
        self,
        sfreq: float,
        bands: Sequence[tuple[float, float]] = BANDS_HZ,
        C: float = 1.0,
        *,
        rank: int | None = None,
        shrinkage: Shrinkage = "oas",
    ) -> None:
        self.sfreq = sfreq
        self.bands = bands
        self.C = C
        self.rank = rank
        self.shrinkage = shrinkage

    def _learn(self, covariances: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        means = [TangentSpace().fit(band).reference_ for band in covariances.swapaxes(0, 1)]
        whiteners = inverse_root(np.stack(means))
        # balanced: which class was cued more often says nothing about what will be wanted
        regression = LogisticRegression(C=self.C, class_weight="balanced", max_iter=1000)
        regression.fit(_features(covariances, whiteners), codes)
        return {"whiteners": whiteners} | linear_weights(regression)

    def _raw_logits(self, covariances: FloatArray, learned: Learned) -> FloatArray:
        return linear_logits(_features(covariances, learned["whiteners"]), learned)


def _features(covariances: FloatArray, whiteners: FloatArray) -> FloatArray:
    """Upper triangles of the logarithms, off-diagonal entries times √2, band after band."""
    logs = log_spd(whiteners @ covariances @ whiteners)
    rows, columns = np.triu_indices(logs.shape[-1])
    scale = np.where(rows == columns, 1.0, np.sqrt(2.0))
    features: FloatArray = (logs[..., rows, columns] * scale).reshape(
        len(logs), len(whiteners) * len(rows)
    )
    return features


class FilterBankTangentSpaceSettings(BandSettings):
    """Tangent spaces of several bands; to be trained on labelled windows."""

    decoder: ClassVar[type[FilterBankTangentSpace]] = FilterBankTangentSpace

    kind: Literal["fb_tangent_space"] = "fb_tangent_space"
    C: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty")

    def build(self, info: StreamInfo) -> FilterBankTangentSpace:
        """Make an untrained decoder for a processed stream."""
        return FilterBankTangentSpace(
            info.sfreq, self.bands_hz, self.C, rank=info.rank, shrinkage=self.shrinkage
        )
