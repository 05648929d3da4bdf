"""Common spatial patterns, in one band or in several.

Ramoser, Müller-Gerking & Pfurtscheller, "Optimal spatial filtering of single
trial EEG during imagined hand movement", IEEE Trans Rehabil Eng 8(4), 441-446,
2000, doi:10.1109/86.895946.

Ang, Chin, Wang, Guan & Zhang, "Filter bank common spatial pattern algorithm on
BCI competition IV datasets 2a and 2b", Front Neurosci 6:39, 2012,
doi:10.3389/fnins.2012.00039.

Filters of a class have the largest share of the power in that class against that
in all; for two classes these are the two ends of one decomposition. The logarithm
of their power goes to linear discriminant analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import mutual_info_classif

from bci.decoders.covariance.band_covariance import BANDS_HZ, BandCovariances, BandSettings
from bci.decoders.covariance.classifier import (
    Calibrated,
    CovarianceSettings,
    FromSums,
    Learned,
    Shrinkage,
    linear_logits,
    linear_weights,
)
from bci.decoders.spatialfilters import leading_filters
from bci.types import FloatArray, StreamInfo


def common_spatial_patterns(
    covariances: FloatArray, codes: NDArray[np.intp], n_filters: int
) -> FloatArray:
    """Filters of all classes, one class after the other, shape (..., n, n_channels).

    Parameters
    ----------
    covariances : array, shape (n_windows, ..., n_channels, n_channels)
        Of full rank; each counts the same, however strong its window is.
    codes : array of int, shape (n_windows,)
    n_filters : int
        Of each class; fewer where there are not so many channels.
    """
    n_channels, n_classes = covariances.shape[-1], int(codes.max()) + 1
    share = covariances / np.trace(covariances, axis1=-2, axis2=-1)[..., None, None]
    means = np.stack([share[codes == code].mean(axis=0) for code in range(n_classes)])
    places = [max(1, len(p)) for p in np.array_split(np.arange(n_channels), n_classes)]
    filters = [
        leading_filters(mean, means.mean(axis=0), min(n_filters, n))
        for mean, n in zip(means, places, strict=True)
    ]
    return np.concatenate(filters, axis=-1).swapaxes(-1, -2)


def _log_power(filters: FloatArray, covariances: FloatArray) -> FloatArray:
    """Logarithm of the power behind each filter, shape (n_windows, ..., n)."""
    power: FloatArray = np.sum((filters @ covariances) * filters, axis=-1)
    return np.log(power)


def _discriminant(features: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
    """Weights of linear discriminant analysis; which class was cued more often doesn't count."""
    n_classes = int(codes.max()) + 1
    analysis = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage="auto", priors=np.full(n_classes, 1.0 / n_classes)
    )
    return linear_weights(analysis.fit(features, codes))


class CSPLDA(Calibrated, FromSums):
    """Common spatial patterns and linear discriminant analysis.

    Parameters
    ----------
    n_filters : int
        Filters of each class.
    rank : int or None
        Directions to keep, where processing has lowered the rank; None: found from
        the training data.
    shrinkage : "oas" or None
        How a window's covariance is regularised.

    Attributes
    ----------
    classes_, n_channels_, basis_, inverse_temperature_, learned_
        As in `bci.decoders.covariance.classifier.Calibrated`; learned are the
        ``filters`` and the weights on the logarithm of their power.
    """

    kind: ClassVar[str] = "csp"

    def __init__(
        self, n_filters: int = 3, rank: int | None = None, shrinkage: Shrinkage = "oas"
    ) -> None:
        self.n_filters = n_filters
        self.rank = rank
        self.shrinkage = shrinkage

    def _learn(self, covariances: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        filters = common_spatial_patterns(covariances, codes, self.n_filters)
        return {"filters": filters} | _discriminant(_log_power(filters, covariances), codes)

    def _raw_logits(self, covariances: FloatArray, learned: Learned) -> FloatArray:
        return linear_logits(_log_power(learned["filters"], covariances), learned)


class FBCSP(BandCovariances):
    """Common spatial patterns in several bands, the features that tell most, and LDA.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    bands : sequence of (low, high)
        Hz; processing before must let them pass.
    n_filters : int
        Filters of each class in each band.
    n_features : int
        Features to keep, those of the largest mutual information with the labels.
    rank, shrinkage
        As in `CSPLDA`.
    random_state : int
        Of the estimate of mutual information.

    Attributes
    ----------
    classes_, n_channels_, basis_, inverse_temperature_, learned_
        As in `bci.decoders.covariance.classifier.Calibrated`; learned are the
        ``filters`` kept, the ``band`` of each, and the weights.
    """

    kind: ClassVar[str] = "fbcsp"

    def __init__(
        self,
        sfreq: float,
        bands: Sequence[tuple[float, float]] = BANDS_HZ,
        n_filters: int = 2,
        n_features: int = 8,
        *,
        rank: int | None = None,
        shrinkage: Shrinkage = "oas",
        random_state: int = 0,
    ) -> None:
        self.sfreq = sfreq
        self.bands = bands
        self.n_filters = n_filters
        self.n_features = n_features
        self.rank = rank
        self.shrinkage = shrinkage
        self.random_state = random_state

    def _learn(self, covariances: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        filters = common_spatial_patterns(covariances, codes, self.n_filters)
        features = _log_power(filters, covariances).reshape(len(covariances), -1)
        told = mutual_info_classif(
            features,
            codes,
            n_neighbors=min(3, int(np.bincount(codes).min()) - 1) or 1,
            random_state=self.random_state,
        )
        kept = np.sort(np.argsort(-told, kind="stable")[: self.n_features])
        band, number = np.divmod(kept, filters.shape[1])
        return {
            "filters": filters[band, number],
            "band": band.astype(np.float64),
        } | _discriminant(features[:, kept], codes)

    def _raw_logits(self, covariances: FloatArray, learned: Learned) -> FloatArray:
        chosen = covariances[:, learned["band"].astype(np.intp)]
        filters = learned["filters"][:, None]
        return linear_logits(_log_power(filters, chosen)[..., 0], learned)


class CSPSettings(CovarianceSettings):
    """Common spatial patterns and discriminant analysis; to be trained on labelled windows."""

    decoder: ClassVar[type[CSPLDA]] = CSPLDA

    kind: Literal["csp"] = "csp"
    filters: int = Field(3, ge=1, le=20, description="spatial filters of each class")

    def build(self, info: StreamInfo) -> CSPLDA:
        """Make an untrained decoder for a processed stream."""
        return CSPLDA(self.filters, rank=info.rank, shrinkage=self.shrinkage)


class FBCSPSettings(BandSettings):
    """Common spatial patterns in several bands; to be trained on labelled windows."""

    decoder: ClassVar[type[FBCSP]] = FBCSP

    kind: Literal["fbcsp"] = "fbcsp"
    filters: int = Field(2, ge=1, le=20, description="spatial filters of each class in each band")
    features: int = Field(8, ge=1, le=200, description="how many to keep")

    def build(self, info: StreamInfo) -> FBCSP:
        """Make an untrained decoder for a processed stream."""
        return FBCSP(
            info.sfreq, self.bands_hz, self.filters, self.features,
            rank=info.rank, shrinkage=self.shrinkage,
        )  # fmt: skip
