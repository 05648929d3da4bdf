"""What classifiers of covariances share: full rank, labels, probabilities, their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from bci.config import DecoderSettings
from bci.decoders._checks import check_labels, check_windows
from bci.decoders.covariance.estimation import (
    checked_eigenvalues,
    covariance_of,
    oas,
    sample_covariances,
    signal_subspace,
)
from bci.decoders.temperature import fit_inverse_temperature
from bci.types import FloatArray, Moments

Shrinkage = Literal["oas"] | None

#: What a decoder has learned, by name.
Learned = Mapping[str, FloatArray]

#: Numbers of the windows to learn from, and of those left out.
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]

N_CALIBRATION_FOLDS = 3


class CovarianceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """From windows to covariances of full rank, and back to labels.

    A subclass whose covariances are of several bands says so in `_covariances`.
    """

    any_length: ClassVar[bool] = False

    shrinkage: Shrinkage
    rank: int | None
    classes_: NDArray[Any]
    n_channels_: int
    basis_: FloatArray | None

    def _covariances(self, windows: FloatArray) -> FloatArray:
        """Covariances of windows, shape (n_windows, …, n_channels, n_channels)."""
        return sample_covariances(windows)

    def _fit_covariances(self, X: ArrayLike, y: ArrayLike) -> tuple[FloatArray, NDArray[np.intp]]:
        if self.shrinkage not in ("oas", None):
            raise ValueError(f"shrinkage must be 'oas' or None, found {self.shrinkage!r}")
        windows = check_windows(X)
        self.classes_, codes = check_labels(y, len(windows))
        self.n_channels_ = windows.shape[1]
        if self.rank is not None and not 1 <= self.rank <= self.n_channels_:
            raise ValueError(f"rank is {self.rank}, the windows have {self.n_channels_} channels")
        covariances = self._covariances(windows)
        everything = covariances.reshape(-1, self.n_channels_, self.n_channels_)
        self.basis_ = signal_subspace(everything.mean(axis=0), self.rank)
        if self.basis_ is not None and self.basis_.shape[1] == 0:
            raise ValueError("all channels of X are flat: there is no covariance to learn from")
        covariances = self._full_rank(covariances, windows.shape[2])
        checked_eigenvalues(np.linalg.eigvalsh(covariances))
        return covariances, codes

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
        return self._logits(self._covariances(windows), windows.shape[2])

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

    def _basis_state(self) -> dict[str, FloatArray]:
        check_is_fitted(self, "classes_")
        return {} if self.basis_ is None else {"basis": self.basis_}

    def _restore_basis(
        self, state: Mapping[str, FloatArray], classes: Sequence[Any], n: int
    ) -> None:
        self.classes_ = np.array(classes)
        self.basis_ = state.get("basis")
        self.n_channels_ = n if self.basis_ is None else self.basis_.shape[0]


class FromSums(CovarianceClassifier):
    """One that needs the covariance of the window as it is, so that block sums are enough."""

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


class Calibrated(CovarianceClassifier):
    """One whose probabilities are calibrated on windows that its weights have not seen.

    Attributes
    ----------
    classes_ : array of labels, sorted
    n_channels_ : int
    basis_ : array, shape (n_channels, r), or None
        Subspace of the training data; None where that is everything.
    inverse_temperature_ : float
        What logits are multiplied by, found by cross-validation inside the training data.
    learned_ : mapping of str to array
        What the subclass learned.
    """

    inverse_temperature_: float
    learned_: dict[str, FloatArray]

    # --- what each decoder says ------------------------------------------------------------------

    def _learn(self, covariances: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        """Learn from covariances of full rank and the number of each window's class."""
        raise NotImplementedError

    def _raw_logits(self, covariances: FloatArray, learned: Learned) -> FloatArray:
        """Logits before calibration, shape (n_windows, n_classes)."""
        raise NotImplementedError

    def _held_out(
        self, covariances: FloatArray, codes: NDArray[np.intp], folds: Sequence[Fold]
    ) -> FloatArray:
        """Logits of each window, (n_windows, n_classes), by what was learned without its fold."""
        logits = np.empty((len(codes), int(codes.max()) + 1))
        for train, test in folds:
            learned = self._learn(covariances[train], codes[train])
            logits[test] = self._raw_logits(covariances[test], learned)
        return logits

    # --- what follows ----------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, fewer than two
            windows of one, covariances that are singular without shrinkage.
        """
        covariances, codes = self._fit_covariances(X, y)
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise ValueError(
                f"{type(self).__name__} needs two windows of each class to calibrate its "
                f"probabilities; found one of '{self.classes_[counts.argmin()]}'"
            )
        folds = StratifiedKFold(min(N_CALIBRATION_FOLDS, int(counts.min())))
        logits = self._held_out(covariances, codes, list(folds.split(covariances, codes)))
        self.inverse_temperature_ = fit_inverse_temperature(logits, codes)
        # the order in memory decides the last bit of a product: as it is loaded from an artifact
        self.learned_ = {
            name: np.ascontiguousarray(array, np.float64)
            for name, array in self._learn(covariances, codes).items()
        }
        return self

    def _logits(self, covariances: FloatArray, n_times: int) -> FloatArray:
        logits = self._raw_logits(self._full_rank(covariances, n_times), self.learned_)
        return self.inverse_temperature_ * logits

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        return {
            **self._basis_state(),
            **self.learned_,
            "inverse_temperature": np.array([self.inverse_temperature_]),
            "n_channels": np.array([float(self.n_channels_)]),
        }

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        learned = dict(state)
        self._restore_basis(state, classes, int(learned.pop("n_channels")[0]))
        learned.pop("basis", None)
        self.inverse_temperature_ = float(learned.pop("inverse_temperature")[0])
        self.learned_ = learned


def linear_weights(classifier: Any) -> dict[str, FloatArray]:
    """``coef`` and ``intercept`` of a fitted linear classifier, a row for each class."""
    coef, intercept = classifier.coef_, classifier.intercept_
    if len(coef) == 1:  # two classes: the log-odds of the second
        coef, intercept = (np.concatenate([0 * part, part]) for part in (coef, intercept))
    return {"coef": coef, "intercept": intercept}


def linear_logits(features: FloatArray, learned: Learned) -> FloatArray:
    """Logits of features, shape (n_windows, n_features), by `linear_weights`."""
    logits: FloatArray = features @ learned["coef"].T + learned["intercept"]
    return logits


class CovarianceSettings(DecoderSettings):
    """What the settings of these decoders share."""

    shrinkage: Literal["oas"] | None = Field("oas", description="of each covariance; null: none")
