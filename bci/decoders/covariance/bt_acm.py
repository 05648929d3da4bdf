"""Classifier of augmented covariances taken as block-Toeplitz: nearest mean, or tangent space.

Carrara & Papadopoulo, "Enhancing computational efficiency of motor imagery BCI classification
with block-Toeplitz augmented covariance matrices and Siegel metric", arXiv 2406.16909, 2024.
The geometry is in `bci.decoders.covariance.block_toeplitz`; its matrices have as many rows as
there are channels, whatever the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from bci.config import DecoderSettings
from bci.decoders._checks import check_labels, check_windows
from bci.decoders.covariance.acm_selection import folds_of
from bci.decoders.covariance.augmented import augmented_covariances, check_embedding
from bci.decoders.covariance.block_toeplitz import (
    Toeplitz,
    coordinates,
    distances_squared,
    mean_of,
    tangent_vectors,
)
from bci.decoders.covariance.estimation import sample_covariances, signal_subspace
from bci.decoders.temperature import fit_inverse_temperature
from bci.types import FloatArray, StreamInfo


class BlockToeplitzMDM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Minimum distance to the mean of each class, on block-Toeplitz augmented covariances.

    Parameters
    ----------
    order, lag : int
        Of the augmented covariance, lag in samples.
    n_folds : int
        Stratified folds of the training windows on which probabilities are calibrated.
    rank : int or None
        Directions to keep, as in `bci.decoders.TangentSpaceLR`.
    random_state : int or None
        Of the folds.

    Attributes
    ----------
    classes_ : array of labels, sorted
    beta_ : float
        Negative squared distances are multiplied by it before they become probabilities.
    n_channels_ : int
    basis_ : array, shape (n_channels, r), or None
        Subspace of the training data; None where that is everything.
    powers_ : array, shape (n_classes, r, r)
    partials_ : array, shape (n_classes, order - 1, r, r)
        Mean of each class, see `bci.decoders.covariance.block_toeplitz.Toeplitz`.
    """

    kind: ClassVar[str] = "bt_acm"
    any_length: ClassVar[bool] = False

    def __init__(
        self,
        order: int = 4,
        lag: int = 1,
        n_folds: int = 3,
        rank: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.order = order
        self.lag = lag
        self.n_folds = n_folds
        self.rank = rank
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> BlockToeplitzMDM:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes or two windows of a
            class, windows too short for order and lag, covariances that are singular.
        """
        windows = check_windows(X)
        self.classes_, codes = check_labels(y, len(windows))
        check_embedding(windows.shape[2], self.order, self.lag)
        if self.rank is not None and not 1 <= self.rank <= windows.shape[1]:
            raise ValueError(f"rank is {self.rank}, the windows have {windows.shape[1]} channels")
        folds = folds_of(codes, self.n_folds, self.random_state)
        self.n_channels_ = windows.shape[1]
        self.basis_ = signal_subspace(sample_covariances(windows).mean(axis=0), self.rank)
        if self.basis_ is not None and self.basis_.shape[1] == 0:
            raise ValueError("all channels of X are flat: there is no covariance to learn from")
        found = self._coordinates(windows)
        held_out = np.empty((len(codes), len(self.classes_)))
        for train, test in folds:
            means = _class_means(found[train], codes[train])
            held_out[test] = _scores(found[test], means)
        self.beta_ = fit_inverse_temperature(held_out, codes)
        means = _class_means(found, codes)
        self.powers_ = np.concatenate([mean.power for mean in means])
        self.partials_ = np.concatenate([mean.partial for mean in means])
        return self

    def _coordinates(self, X: FloatArray) -> Toeplitz:
        if self.basis_ is not None:
            X = self.basis_.T @ X
        return coordinates(augmented_covariances(X, self.order, self.lag), self.order)

    def _window_scores(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "powers_")
        windows = check_windows(X, self.n_channels_)
        check_embedding(windows.shape[2], self.order, self.lag)
        if len(windows) == 0:
            return np.empty((0, len(self.classes_)))
        classes = range(len(self.classes_))
        means = [Toeplitz(self.powers_[[k]], self.partials_[[k]]) for k in classes]
        return _scores(self._coordinates(windows), means)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable label of each window, shape (n_windows,)."""
        labels: NDArray[Any] = self.classes_[self._window_scores(X).argmax(axis=1)]
        return labels

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Negative squared distances; for two classes their difference, (n_windows,)."""
        scores = self._window_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        scores = self._window_scores(X)
        probabilities: FloatArray = softmax(self.beta_ * scores, axis=1)
        return probabilities

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "powers_")
        state = {
            "beta": np.array([self.beta_]),
            "powers": self.powers_,
            "partials": self.partials_,
        }
        return state if self.basis_ is None else state | {"basis": self.basis_}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        self.beta_ = float(state["beta"][0])
        self.powers_, self.partials_ = state["powers"], state["partials"]
        self.classes_ = np.array(classes)
        self.basis_ = state.get("basis")
        self.n_channels_ = (self.powers_[0] if self.basis_ is None else self.basis_).shape[0]


def _class_means(found: Toeplitz, codes: NDArray[np.intp]) -> list[Toeplitz]:
    return [mean_of(found[np.flatnonzero(codes == k)]) for k in range(int(codes.max()) + 1)]


def _scores(found: Toeplitz, means: Sequence[Toeplitz]) -> FloatArray:
    return -np.stack([distances_squared(found, mean) for mean in means], axis=1)


class BlockToeplitzTangentSpace(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Windows to vectors in the tangent space at the mean of block-Toeplitz covariances.

    For any classifier of vectors. Both factors stand beside one another, weighted so that a
    vector's length is the distance from the mean.

    Parameters
    ----------
    order, lag : int
        Of the augmented covariance, lag in samples.

    Attributes
    ----------
    mean_ : Toeplitz
    n_channels_ : int
    """

    def __init__(self, order: int = 4, lag: int = 1) -> None:
        self.order = order
        self.lag = lag

    def fit(self, X: ArrayLike, y: object = None) -> BlockToeplitzTangentSpace:
        """Find the mean of windows, shape (n_windows, n_channels, n_times).

        Raises
        ------
        ValueError
            Wrong shape, values not finite, windows too short for order and lag, or
            covariances that are singular.
        """
        windows = check_windows(X)
        self.n_channels_ = windows.shape[1]
        self.mean_ = mean_of(self._coordinates(windows))
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Shape (n_windows, order · n_channels²)."""
        check_is_fitted(self, "mean_")
        windows = check_windows(X, self.n_channels_)
        return tangent_vectors(self._coordinates(windows), self.mean_)

    def _coordinates(self, windows: FloatArray) -> Toeplitz:
        return coordinates(augmented_covariances(windows, self.order, self.lag), self.order)


class BlockToeplitzSettings(DecoderSettings):
    """Block-Toeplitz augmented covariance, nearest mean; to be trained on labelled windows."""

    decoder: ClassVar[type[BlockToeplitzMDM]] = BlockToeplitzMDM

    kind: Literal["bt_acm"] = "bt_acm"
    order: int = Field(4, ge=1, description="delayed copies of the channels; 1: no delays")
    lag: int = Field(1, ge=1, description="samples between copies")
    seed: int = Field(0, ge=0, description="of the folds on which probabilities are calibrated")

    def build(self, info: StreamInfo) -> BlockToeplitzMDM:
        """Make an untrained decoder for a processed stream."""
        return BlockToeplitzMDM(self.order, self.lag, rank=info.rank, random_state=self.seed)
