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
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from pyriemann import classification
from pyriemann.tangentspace import TangentSpace
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from bci.config import DecoderSettings
from bci.decoders._checks import check_labels, check_windows
from bci.decoders.covariance import covariance_of, oas, sample_covariances, signal_subspace
from bci.types import FloatArray, Moments, StreamInfo

Shrinkage = Literal["oas"] | None


class _CovarianceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What both decoders share: from windows to covariances of full rank, and back to labels."""

    any_length: ClassVar[bool] = False

    shrinkage: Shrinkage
    rank: int | None
    classes_: NDArray[Any]
    n_channels_: int
    basis_: FloatArray | None

    def _fit_covariances(self, X: ArrayLike, y: ArrayLike) -> tuple[FloatArray, NDArray[np.intp]]:
        if self.shrinkage not in ("oas", None):
            raise ValueError(f"shrinkage must be 'oas' or None, found {self.shrinkage!r}")
        windows = check_windows(X)
        self.classes_, codes = check_labels(y, len(windows))
        if self.rank is not None and not 1 <= self.rank <= windows.shape[1]:
            raise ValueError(f"rank is {self.rank}, the windows have {windows.shape[1]} channels")
        covariances = sample_covariances(windows)
        self.n_channels_ = windows.shape[1]
        self.basis_ = signal_subspace(covariances.mean(axis=0), self.rank)
        if self.basis_ is not None and self.basis_.shape[1] == 0:
            raise ValueError("all channels of X are flat: there is no covariance to learn from")
        return self._full_rank(covariances, windows.shape[2]), codes

    def _full_rank(self, covariances: FloatArray, n_times: int) -> FloatArray:
        """Covariances in the subspace of the training data, shrunk and checked."""
        if self.basis_ is not None:
            covariances = self.basis_.T @ covariances @ self.basis_
        if self.shrinkage == "oas":
            return oas(covariances, n_times)
        return covariances

    def _logits(self, covariances: FloatArray, n_times: int) -> FloatArray:
        """Log-probabilities up to a constant, shape (n_windows, n_classes)."""
        raise NotImplementedError

    def _window_logits(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "classes_")
        windows = check_windows(X, self.n_channels_)
        return self._logits(sample_covariances(windows), windows.shape[2])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable label of each window, shape (n_windows,)."""
        labels: NDArray[Any] = self.classes_[self._window_logits(X).argmax(axis=1)]
        return labels

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Log-probabilities up to a constant; for two classes their difference, (n_windows,)."""
        logits = self._window_logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        probabilities: FloatArray = softmax(self._window_logits(X), axis=1)
        return probabilities

    def predict_proba_moments(self, moments: Moments) -> FloatArray:
        """As `predict_proba` for one window, shape (n_classes,), from its sums."""
        covariance = covariance_of(moments)
        if covariance.shape != (self.n_channels_, self.n_channels_):
            raise ValueError(
                f"sums of {len(covariance)} channels, the decoder expects {self.n_channels_}"
            )
        logits = self._logits(covariance[None], moments.n_times)[0]
        odds = np.exp(logits - logits.max())
        probabilities: FloatArray = odds / odds.sum()
        return probabilities

    def _basis_state(self) -> dict[str, FloatArray]:
        check_is_fitted(self, "classes_")
        return {} if self.basis_ is None else {"basis": self.basis_}

    def _restore_basis(
        self, state: Mapping[str, FloatArray], classes: Sequence[Any], n: int
    ) -> None:
        self.classes_ = np.array(classes)
        self.basis_ = state.get("basis")
        self.n_channels_ = n if self.basis_ is None else self.basis_.shape[0]


def _checked(eigenvalues: NDArray[Any]) -> NDArray[Any]:
    """Eigenvalues (ascending along the last axis), all well above rounding.

    Raises
    ------
    ValueError
        A window's covariance is singular: a channel is flat or a copy, or the
        window is too short.
    """
    if not np.all(eigenvalues[..., 0] > 1e-14 * eigenvalues[..., -1]):
        raise ValueError(
            "the covariance of a window is singular: a channel is flat or the sum of others, or "
            "the window has fewer samples than channels; use shrinkage 'oas' or longer windows"
        )
    return eigenvalues


def _inverse_root(spd: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(spd)
    root: FloatArray = (vectors / np.sqrt(_checked(values))[..., None, :]) @ vectors.swapaxes(
        -1, -2
    )
    return root


class TangentSpaceLR(_CovarianceClassifier):
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
    ) -> None:
        self.C = C
        self.rank = rank
        self.shrinkage = shrinkage
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike) -> TangentSpaceLR:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, covariances
            that are singular without shrinkage.
        """
        covariances, codes = self._fit_covariances(X, y)
        _checked(np.linalg.eigvalsh(covariances))
        tangent = TangentSpace(metric="riemann")
        features = tangent.fit_transform(covariances)
        regression = LogisticRegression(C=self.C, max_iter=self.max_iter).fit(features, codes)
        self.whitener_ = _inverse_root(tangent.reference_)
        self.weights_ = _symmetric(regression.coef_, len(self.whitener_))
        self.intercept_ = regression.intercept_
        return self

    def _logits(self, covariances: FloatArray, n_times: int) -> FloatArray:
        whitened = self.whitener_ @ self._full_rank(covariances, n_times) @ self.whitener_
        values, vectors = np.linalg.eigh(whitened)
        logs = (vectors * np.log(_checked(values))[:, None, :]) @ vectors.swapaxes(1, 2)
        size = logs.shape[1] * logs.shape[2]
        logits = logs.reshape(-1, size) @ self.weights_.reshape(-1, size).T + self.intercept_
        if logits.shape[1] == 1:  # two classes: the log-odds of the second
            return np.concatenate([np.zeros_like(logits), logits], axis=1)
        return logits  # type: ignore[no-any-return]

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


def _symmetric(coefficients: FloatArray, size: int) -> FloatArray:
    """Weights on the upper triangle (off-diagonal ones times √2) as symmetric matrices.

    ``sum(weights * S)`` is then the weighted sum over pyRiemann's features of S.
    """
    rows, columns = np.triu_indices(size)
    scale = np.where(rows == columns, 1.0, np.sqrt(0.5))
    weights = np.zeros((len(coefficients), size, size))
    weights[:, rows, columns] = coefficients * scale
    weights[:, columns, rows] = coefficients * scale
    return weights


class MDM(_CovarianceClassifier):
    """Minimum distance to the Riemannian mean of each class.

    Probabilities are ``softmax(-d²)`` of the distances, as pyRiemann has them.
    They are right in order but not calibrated: d² grows with the number of
    channels, so that with many channels they are close to 0 and 1.

    Parameters
    ----------
    rank, shrinkage
        As in `TangentSpaceLR`.

    Attributes
    ----------
    classes_, n_channels_, basis_
        As in `TangentSpaceLR`.
    whiteners_ : array, shape (n_classes, r, r)
        Inverse square root of the mean covariance of each class.
    """

    kind: ClassVar[str] = "mdm"

    def __init__(self, rank: int | None = None, shrinkage: Shrinkage = "oas") -> None:
        self.rank = rank
        self.shrinkage = shrinkage

    def fit(self, X: ArrayLike, y: ArrayLike) -> MDM:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Raises
        ------
        ValueError
            As `TangentSpaceLR.fit`.
        """
        covariances, codes = self._fit_covariances(X, y)
        _checked(np.linalg.eigvalsh(covariances))
        means = classification.MDM(metric="riemann").fit(covariances, codes).covmeans_
        self.whiteners_ = _inverse_root(np.asarray(means))
        return self

    def _logits(self, covariances: FloatArray, n_times: int) -> FloatArray:
        spd = self._full_rank(covariances, n_times)[:, None]
        values = np.linalg.eigvalsh(self.whiteners_ @ spd @ self.whiteners_)
        distances_squared = np.sum(np.log(_checked(values)) ** 2, axis=-1)
        return -distances_squared  # type: ignore[no-any-return]

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        return self._basis_state() | {"whiteners": self.whiteners_}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        self.whiteners_ = state["whiteners"]
        self._restore_basis(state, classes, self.whiteners_.shape[1])


class TangentSpaceSettings(DecoderSettings):
    """Tangent space and logistic regression; to be trained on labelled windows."""

    decoder: ClassVar[type[TangentSpaceLR]] = TangentSpaceLR

    kind: Literal["tangent_space"] = "tangent_space"
    C: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty")
    shrinkage: Literal["oas"] | None = Field("oas", description="of each covariance; null: none")

    def build(self, info: StreamInfo) -> TangentSpaceLR:
        """Make an untrained decoder for a processed stream."""
        return TangentSpaceLR(C=self.C, rank=info.rank, shrinkage=self.shrinkage)


class MDMSettings(DecoderSettings):
    """Minimum distance to Riemannian means; to be trained on labelled windows."""

    decoder: ClassVar[type[MDM]] = MDM

    kind: Literal["mdm"] = "mdm"
    shrinkage: Literal["oas"] | None = Field("oas", description="of each covariance; null: none")

    def build(self, info: StreamInfo) -> MDM:
        """Make an untrained decoder for a processed stream."""
        return MDM(rank=info.rank, shrinkage=self.shrinkage)
