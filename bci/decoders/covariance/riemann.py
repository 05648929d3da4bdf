"""Riemannian decoders of covariance: tangent space with logistic regression, and MDM.

Barachant, Bonnet, Congedo & Jutten, "Multiclass brain-computer interface
classification by Riemannian geometry", IEEE Trans Biomed Eng 59(4), 920-928,
2012, doi:10.1109/TBME.2011.2172210.

Means, distances and the tangent map come from pyRiemann while fitting. To
decide on one window, all that is linear is folded beforehand: what is left is
one eigenvalue decomposition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from pyriemann import classification
from pyriemann.tangentspace import TangentSpace
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_windows
from bci.decoders.covariance.alignment import moved
from bci.decoders.covariance.classifier import CovarianceSettings, FromSums, Shrinkage
from bci.decoders.covariance.estimation import (
    checked_eigenvalues,
    covariance_of,
    inverse_root,
    log_spd,
    sample_covariances,
    symmetric,
)
from bci.types import FloatArray, Moments, StreamInfo


class _Learning(FromSums):
    """One that goes on learning from windows whose labels are confirmed."""

    rate: float

    def _learn_from(self, covariance: FloatArray, code: int) -> None:
        """Learn from a covariance of full rank and the number of its class."""
        raise NotImplementedError

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Go on learning from windows, in their order, after `fit`.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, or a label that `fit` has not seen.
        """
        check_is_fitted(self, "classes_")
        windows, labels = check_windows(X, self.n_channels_), np.asarray(y).tolist()
        for window, label in zip(windows, labels, strict=True):
            self.learn(window, label)
        return self

    def learn(self, window: FloatArray | Moments, label: Any) -> None:
        """Go on learning from one window, shape (n_channels, n_times), or its sums."""
        known = np.flatnonzero(self.classes_ == label)
        if not known.size:
            raise ValueError(f"label '{label}' is none of {self.classes_.tolist()}")
        if isinstance(window, Moments):
            covariance, n_times = covariance_of(window)[np.newaxis], window.n_times
        else:
            covariance, n_times = sample_covariances(window[np.newaxis]), window.shape[1]
        self._learn_from(self._full_rank(covariance, n_times)[0], int(known[0]))


class TangentSpaceLR(_Learning):
    """Logistic regression on covariances mapped to the tangent space at their mean.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty.
    rank : int or None
        Directions to keep, where processing has lowered the rank (average
        reference, interpolation); None: found from the training data.
    shrinkage : "oas" or None
        How a window's covariance is regularised.
    max_iter : int
        Most iterations of the logistic regression's solver.
    rate : float
        Step of `partial_fit`: part of its error that a window takes away.

    Attributes
    ----------
    classes_ : array of labels, sorted
    n_channels_ : int
    basis_ : array, shape (n_channels, r), or None
        Subspace of the training data; None where that is everything.
    whitener_ : array, shape (r, r)
        Inverse square root of the Riemannian mean of the training covariances.
    weights_ : array, shape (n_classes, r, r), or (1, r, r) for two classes
        Weights on the logarithm of the whitened covariance.
    intercept_ : array, shape (n_classes,) or (1,)
    """

    kind: ClassVar[str] = "tangent_space"

    def __init__(
        self,
        C: float = 1.0,
        rank: int | None = None,
        shrinkage: Shrinkage = "oas",
        max_iter: int = 1000,
        rate: float = 0.04,
    ) -> None:
        self.C = C
        self.rank = rank
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.rate = rate

    def fit(self, X: ArrayLike, y: ArrayLike) -> TangentSpaceLR:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, covariances
            that are singular without shrinkage.
        """
        covariances, codes = self._fit_covariances(X, y)
        tangent = TangentSpace(metric="riemann")
        features = tangent.fit_transform(covariances)
        regression = LogisticRegression(C=self.C, max_iter=self.max_iter).fit(features, codes)
        self.whitener_ = inverse_root(tangent.reference_)
        self.weights_ = symmetric(regression.coef_, len(self.whitener_))
        self.intercept_ = regression.intercept_
        return self

    def _logits(self, covariances: FloatArray, n_times: int) -> FloatArray:
        return self._weighed(self._logs(self._full_rank(covariances, n_times)))

    def _logs(self, covariances: FloatArray) -> FloatArray:
        return log_spd(self.whitener_ @ covariances @ self.whitener_)

    def _weighed(self, logs: FloatArray) -> FloatArray:
        size = logs.shape[1] * logs.shape[2]
        logits = logs.reshape(-1, size) @ self.weights_.reshape(-1, size).T + self.intercept_
        if logits.shape[1] == 1:  # two classes: the log-odds of the second
            return np.concatenate([np.zeros_like(logits), logits], axis=1)
        return logits  # type: ignore[no-any-return]

    def _learn_from(self, covariance: FloatArray, code: int) -> None:
        """One step down the gradient of the logistic loss, no longer for a strong window."""
        logs = self._logs(covariance[np.newaxis])
        error = np.eye(len(self.classes_))[code] - softmax(self._weighed(logs)[0])
        error = error[-len(self.weights_) :] * self.rate / (1.0 + np.sum(logs**2))
        self.weights_ = self.weights_ + error[:, None, None] * logs
        self.intercept_ = self.intercept_ + error

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        return self._basis_state() | {
            "whitener": self.whitener_,
            "weights": self.weights_,
            "intercept": self.intercept_,
        }

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        self.whitener_ = state["whitener"]
        self.weights_ = state["weights"]
        self.intercept_ = state["intercept"]
        self._restore_basis(state, classes, len(self.whitener_))


class MDM(_Learning):
    """Minimum distance to the Riemannian mean of each class.

    Probabilities are ``softmax(-d²)`` of the distances, as pyRiemann has them.
    They are right in order but not calibrated: d² grows with the number of
    channels, so that with many channels they are close to 0 and 1.

    Parameters
    ----------
    rank, shrinkage
        As in `TangentSpaceLR`.
    rate : float
        Part of the way to a window that `partial_fit` moves the mean of its class.

    Attributes
    ----------
    classes_, n_channels_, basis_
        As in `TangentSpaceLR`.
    whiteners_ : array, shape (n_classes, r, r)
        What makes the mean covariance of each class the identity.
    """

    kind: ClassVar[str] = "mdm"

    def __init__(
        self, rank: int | None = None, shrinkage: Shrinkage = "oas", rate: float = 0.04
    ) -> None:
        self.rank = rank
        self.shrinkage = shrinkage
        self.rate = rate

    def fit(self, X: ArrayLike, y: ArrayLike) -> MDM:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Raises
        ------
        ValueError
            As `TangentSpaceLR.fit`.
        """
        covariances, codes = self._fit_covariances(X, y)
        means = classification.MDM(metric="riemann").fit(covariances, codes).covmeans_
        self.whiteners_ = inverse_root(np.asarray(means))
        return self

    def _logits(self, covariances: FloatArray, n_times: int) -> FloatArray:
        spd = self._full_rank(covariances, n_times)[:, None]
        values = np.linalg.eigvalsh(self.whiteners_ @ spd @ self.whiteners_.swapaxes(1, 2))
        distances_squared = np.sum(np.log(checked_eigenvalues(values)) ** 2, axis=-1)
        return -distances_squared  # type: ignore[no-any-return]

    def _learn_from(self, covariance: FloatArray, code: int) -> None:
        """Move the class's mean along the geodesic."""
        whitener = self.whiteners_[code]
        step = self.rate * log_spd(whitener @ covariance @ whitener.T)
        self.whiteners_ = self.whiteners_.copy()
        self.whiteners_[code] = moved(whitener, step)

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        return self._basis_state() | {"whiteners": self.whiteners_}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        self.whiteners_ = state["whiteners"]
        self._restore_basis(state, classes, self.whiteners_.shape[1])


class TangentSpaceSettings(CovarianceSettings):
    """Tangent space and logistic regression; to be trained on labelled windows."""

    decoder: ClassVar[type[TangentSpaceLR]] = TangentSpaceLR

    kind: Literal["tangent_space"] = "tangent_space"
    C: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty")

    def build(self, info: StreamInfo) -> TangentSpaceLR:
        """Make an untrained decoder for a processed stream."""
        return TangentSpaceLR(C=self.C, rank=info.rank, shrinkage=self.shrinkage)


class MDMSettings(CovarianceSettings):
    """Minimum distance to Riemannian means; to be trained on labelled windows."""

    decoder: ClassVar[type[MDM]] = MDM

    kind: Literal["mdm"] = "mdm"

    def build(self, info: StreamInfo) -> MDM:
        """Make an untrained decoder for a processed stream."""
        return MDM(rank=info.rank, shrinkage=self.shrinkage)
