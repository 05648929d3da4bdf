"""Minimum distance to mean after geodesic filtering (FgMDM).

Barachant, Bonnet, Congedo & Jutten, "Riemannian geometry applied to BCI
classification", LVA/ICA 2010, LNCS 6365, 629-636,
doi:10.1007/978-3-642-15995-4_78.

In the tangent space at the mean, discriminant analysis says which directions
tell the classes apart; covariances are projected on those, and the nearest class
mean decides. The mean is taken as the identity throughout: the metric does not
know the difference.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pyriemann import classification
from pyriemann.tangentspace import TangentSpace
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bci.decoders.covariance.classifier import (
    Calibrated,
    CovarianceSettings,
    FromSums,
    Learned,
    Shrinkage,
)
from bci.decoders.covariance.estimation import checked_eigenvalues, inverse_root, log_spd, symmetric
from bci.types import FloatArray, StreamInfo


class FgMDM(Calibrated, FromSums):
    """Minimum distance to Riemannian means after geodesic filtering.

    Decides as pyRiemann's does; its probabilities are calibrated on training
    windows that the filter has not seen.

    Parameters
    ----------
    rank : int or None
        Directions to keep, where processing has lowered the rank; None: found from
        the training data.
    shrinkage : "oas" or None
        How a window's covariance is regularised.

    Attributes
    ----------
    classes_, n_channels_, basis_, inverse_temperature_, learned_
        As in `bci.decoders.covariance.classifier.Calibrated`; learned are the
        ``whitener`` of the mean, the ``directions`` kept, and the ``whiteners`` of
        the filtered class means.
    """

    kind: ClassVar[str] = "fgmdm"

    def __init__(self, rank: int | None = None, shrinkage: Shrinkage = "oas") -> None:
        self.rank = rank
        self.shrinkage = shrinkage

    def _learn(self, covariances: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        tangent = TangentSpace(metric="riemann")
        features = tangent.fit_transform(covariances)
        analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        analysis.fit(features, codes)
        # around the mean the classes' weights add up to 0: one direction fewer than classes
        rows = np.linalg.svd(analysis.coef_, full_matrices=False)[2][: codes.max()]
        filtering = {
            "whitener": inverse_root(tangent.reference_),
            "directions": symmetric(rows, covariances.shape[-1]),
        }
        filtered = _filtered(covariances, filtering)
        means = classification.MDM(metric="riemann").fit(filtered, codes).covmeans_
        return {**filtering, "whiteners": inverse_root(np.asarray(means))}

    def _raw_logits(self, covariances: FloatArray, learned: Learned) -> FloatArray:
        spd = _filtered(covariances, learned)[:, None]
        values = np.linalg.eigvalsh(learned["whiteners"] @ spd @ learned["whiteners"])
        logits: FloatArray = -np.sum(np.log(checked_eigenvalues(values)) ** 2, axis=-1)
        return logits


def _filtered(covariances: FloatArray, learned: Learned) -> FloatArray:
    """Whitened covariances with nothing left but the directions kept."""
    logs = log_spd(learned["whitener"] @ covariances @ learned["whitener"])
    directions = learned["directions"]
    size = directions.shape[1] * directions.shape[2]
    parts = logs.reshape(-1, size) @ directions.reshape(-1, size).T
    kept = (parts @ directions.reshape(-1, size)).reshape(logs.shape)
    values, vectors = np.linalg.eigh(kept)
    filtered: FloatArray = (vectors * np.exp(values)[..., None, :]) @ vectors.swapaxes(-1, -2)
    return filtered


class FgMDMSettings(CovarianceSettings):
    """Riemannian means after geodesic filtering; to be trained on labelled windows."""

    decoder: ClassVar[type[FgMDM]] = FgMDM

    kind: Literal["fgmdm"] = "fgmdm"

    def build(self, info: StreamInfo) -> FgMDM:
        """Make an untrained decoder for a processed stream."""
        return FgMDM(rank=info.rank, shrinkage=self.shrinkage)
