"""What the classifiers of ECoG features share: labels, probabilities, their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_labels, check_windows
from bci.types import FloatArray


class FeatureClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One that keeps what it learned as arrays.

    Attributes
    ----------
    classes_ : array of labels, sorted
    n_channels_ : int
    learned_ : dict of arrays
        What the subclass learned.
    """

    any_length: ClassVar[bool] = False

    classes_: NDArray[Any]
    n_channels_: int
    learned_: dict[str, FloatArray]

    def _learn(self, windows: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        """Learn from windows and the number of each one's class."""
        raise NotImplementedError

    def _log_proba(self, windows: FloatArray) -> FloatArray:
        """Logarithms of probabilities, shape (n_windows, n_classes)."""
        raise NotImplementedError

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, a parameter out of range.
        """
        windows = check_windows(X)
        self.classes_, codes = check_labels(y, len(windows))
        self.n_channels_ = windows.shape[1]
        self.learned_ = {
            name: np.ascontiguousarray(array, np.float64)
            for name, array in self._learn(windows, codes).items()
        }
        return self

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        return np.exp(self._checked(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable label of each window, shape (n_windows,)."""
        labels: NDArray[Any] = self.classes_[self._checked(X).argmax(axis=1)]
        return labels

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Logarithms of probabilities; for two classes the log-odds of the second."""
        logs = self._checked(X)
        return logs[:, 1] - logs[:, 0] if logs.shape[1] == 2 else logs

    def _checked(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "classes_")
        windows = check_windows(X, self.n_channels_)
        if not len(windows):
            return np.empty((0, len(self.classes_)))
        return self._log_proba(windows)

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "classes_")
        return {**self.learned_, "n_channels": np.array([float(self.n_channels_)])}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        learned = dict(state)
        self.n_channels_ = int(learned.pop("n_channels")[0])
        self.classes_ = np.array(classes)
        self.learned_ = learned
