"""Nearest neighbours in a few dimensions of broadband power.

The recipe is that of Bafana, arXiv 2311.13507, 2023: broadband power, standard scores, UMAP
or principal components, 4 neighbours. There the points are averages over the trials of a
stimulus, one for each channel, UMAP is fitted to all of them, and a random part of those is
the test. Here a point is a trial, and all that is fitted is fitted to training trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from bci.config import DecoderSettings
from bci.decoders.ecog.broadband import HighGammaPower, log_means
from bci.decoders.ecog.classifier import FeatureClassifier
from bci.decoders.ecog.umap_reduction import UmapReduction
from bci.types import FloatArray, StreamInfo

Reduction = Literal["pca", "umap"]


class HighGammaKNN(FeatureClassifier):
    """Broadband power, standard scores, PCA or UMAP, and the nearest neighbours' labels.

    Features are logarithms of each channel's mean power in equal parts of the window.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    reduction : "pca" or "umap"
        "umap" needs the package umap-learn. A new window is placed by itself among the
        training windows, which stay where they are.
    n_components : int
        Dimensions that are left; fewer where there are not so many features or windows.
    n_neighbors : int
        Of a window, among those of the training.
    n_bins : int
        Parts of the window.
    highpass_hz : float or None
        Power above it counts; None: windows hold broadband power already, as stage
        `bci.dsp.broadband.BroadbandPower` gives it.
    random_state : int or None
        Of UMAP.

    Attributes
    ----------
    classes_, n_channels_, learned_
        As in `bci.decoders.ecog.classifier.FeatureClassifier`; learned are the ``baseline``
        of power, ``mean`` and ``scale`` of features, ``components`` (PCA) or ``features``
        (UMAP), and the ``places`` and ``codes`` of training windows.
    """

    kind: ClassVar[str] = "high_gamma_knn"

    def __init__(
        self,
        sfreq: float,
        reduction: Reduction = "pca",
        n_components: int = 5,
        n_neighbors: int = 4,
        n_bins: int = 3,
        highpass_hz: float | None = 50.0,
        random_state: int | None = 0,
    ) -> None:
        self.sfreq = sfreq
        self.reduction = reduction
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.n_bins = n_bins
        self.highpass_hz = highpass_hz
        self.random_state = random_state

    def _learn(self, windows: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        if self.reduction not in ("pca", "umap"):
            raise ValueError(f"reduction must be 'pca' or 'umap', found {self.reduction!r}")
        least = min(self.n_components, self.n_neighbors, self.n_bins)
        if least < 1 or self.n_bins > windows.shape[2]:
            raise ValueError(
                f"n_components {self.n_components}, n_neighbors {self.n_neighbors} and n_bins "
                f"{self.n_bins} must be 1 at least, and a window of {windows.shape[2]} samples "
                "must have so many parts"
            )
        power = HighGammaPower(self.sfreq, self.highpass_hz).fit(windows)
        learned = {"baseline": power.baseline_}
        features = self._features(windows, learned["baseline"])
        spread = features.std(axis=0)
        learned |= {
            "mean": features.mean(axis=0),
            "scale": np.where(spread > 0.0, spread, 1.0),
            "codes": codes.astype(np.float64),
        }
        scores = (features - learned["mean"]) / learned["scale"]
        n_components = min(self.n_components, *scores.shape)
        if self.reduction == "umap":
            self._umap = UmapReduction.fit(scores, n_components, self.random_state)
            return learned | {"features": scores, "places": self._umap.places}
        components = PCA(n_components, svd_solver="full").fit(scores).components_
        return learned | {"components": components, "places": scores @ components.T}

    def _features(self, windows: FloatArray, baseline: FloatArray) -> FloatArray:
        """Logarithms of mean power, shape (n_windows, n_channels * n_bins)."""
        power = HighGammaPower.restored(self.sfreq, self.highpass_hz, baseline).transform(windows)
        return log_means(power, self.n_bins).reshape(len(windows), -1)

    def _log_proba(self, windows: FloatArray) -> FloatArray:
        learned, n_classes = self.learned_, len(self.classes_)
        features = self._features(windows, learned["baseline"])
        scores = (features - learned["mean"]) / learned["scale"]
        if self.reduction == "umap":
            places = self._umap.place(scores)
        else:
            places = scores @ learned["components"].T
        distances = cdist(places, learned["places"])
        n = min(self.n_neighbors, distances.shape[1])
        nearest = learned["codes"][np.argsort(distances, axis=1, kind="stable")[:, :n]]
        counts = np.sum(nearest[..., None] == np.arange(n_classes), axis=1)
        # rule of succession: a few neighbours that agree are no certainty
        logs: FloatArray = np.log((counts + 1.0) / (n + n_classes))
        return logs

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        super().restore(state, classes)
        if self.reduction == "umap":
            scores, places = self.learned_["features"], self.learned_["places"]
            self._umap = UmapReduction.restored(scores, places, self.random_state)


class HighGammaKNNSettings(DecoderSettings):
    """Nearest neighbours in broadband power; to be trained on labelled windows."""

    decoder: ClassVar[type[HighGammaKNN]] = HighGammaKNN

    kind: Literal["high_gamma_knn"] = "high_gamma_knn"
    reduction: Reduction = Field("pca", description="to a few dimensions; umap needs umap-learn")
    n_components: int = Field(5, ge=1, description="dimensions that are left")
    n_neighbors: int = Field(4, ge=1, description="training windows that are asked")
    n_bins: int = Field(3, ge=1, description="parts of the window")
    highpass_hz: float | None = Field(
        50.0,
        gt=0,
        description="power above it counts, Hz; null: the stage broadband_power stands before",
    )
    seed: int = Field(0, ge=0, description="of UMAP")

    def build(self, info: StreamInfo) -> HighGammaKNN:
        """Make an untrained decoder for a processed stream."""
        given = self.model_dump(exclude={"kind", "seed"})
        return HighGammaKNN(info.sfreq, **given, random_state=self.seed)
