"""A decoder that follows the slow drift of a session: recentring, with a guard.

Windows are whitened by a reference covariance before another decoder sees them
(see `bci.decoders.covariance.alignment`). While decisions are made, each window draws the
reference a little along, as Zanini et al., IEEE Trans Biomed Eng 65(5),
1107-1116, 2018, doi:10.1109/TBME.2017.2742541, do from session to session.

Without labels a class that comes more often than others draws the reference towards
itself, and is missed: no window tells by itself whether the session drifts or one
class is frequent. Where labels are confirmed afterwards, each takes back what its
class has drawn, and the reference follows nothing but the drift. Where decisions are
only called right or wrong, each class takes back its share by what it has come to be
probable then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from bci.config import DecoderPart, DecoderSettings
from bci.decoders._checks import check_labels, check_windows
from bci.decoders.covariance.alignment import Metric, moved, whitener_of
from bci.decoders.covariance.estimation import (
    covariance_of,
    log_spd,
    oas,
    sample_covariances,
    signal_subspace,
)
from bci.types import FloatArray, Moments, StreamInfo

INNER = "decoder."


def _takes_sums(recentred: Any) -> bool:
    inner = recentred.decoder
    # sums of delayed copies are not whitened here: such a decoder is given windows
    return hasattr(inner, "predict_proba_moments") and not hasattr(type(inner), "embedding")


def _is_rewarded(recentred: Any) -> bool:
    return hasattr(recentred.decoder, "reward")


class Recentred(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Another decoder on windows that are whitened by a reference which follows the session.

    Parameters
    ----------
    decoder : estimator
        Decides on the whitened windows; with probabilities.
    metric : "riemann" or "euclid"
        Of the mean that the training gives as reference.
    rate : float
        Part of a window's way that the reference goes: 0.04 remembers some 25 windows.
    max_distance : float
        A window further from the reference than so many times the median training
        window is not learnt from. So one window moves the reference by at most
        ``rate * max_distance`` of that median, as a Riemannian distance; the first ones
        after `fit` on several subjects by more, the n-th by 1 / (n + 1) of its way.
    rank : int or None
        Directions to keep, where processing has lowered the rank; None: found from
        the training data.

    Attributes
    ----------
    classes_ : array of labels, sorted
    decoder_ : estimator
        The fitted decoder.
    basis_ : array, shape (n_channels, r)
        Subspace of the training data.
    whitener_ : array, shape (r, n_channels)
        As it stands now; `fit` and `rollback` set it back.
    class_logs_ : array, shape (n_classes, r, r)
        Mean logarithm of each class's whitened covariances in training.
    typical_distance_ : float
        Median Riemannian distance of a training window from the reference.
    n_learnt_ : int
        Windows that the reference was drawn by since then.
    """

    kind: ClassVar[str] = "recentred"
    any_length: ClassVar[bool] = False
    #: Sessions of one person differ as people do: each has a reference of its own.
    per_session: ClassVar[bool] = True

    def __init__(
        self,
        decoder: Any,
        metric: Metric = "riemann",
        rate: float = 0.04,
        max_distance: float = 3.0,
        rank: int | None = None,
    ) -> None:
        self.decoder = decoder
        self.metric = metric
        self.rate = rate
        self.max_distance = max_distance
        self.rank = rank

    # --- learning --------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike, subjects: ArrayLike | None = None) -> Self:
        """Learn from windows, each aligned with the others of its subject.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts.
        y : array of labels, shape (n_windows,)
        subjects : array, shape (n_windows,), or None
            Whose each window is, or from which session. With several, decoding starts
            from the mean of their references, and the first windows of the new person
            draw it faster; None: all from one.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, or what the decoder
            refuses.
        """
        if not (0 < self.rate < 1 and self.max_distance > 0):
            raise ValueError(
                f"rate {self.rate} must lie between 0 and 1, max_distance {self.max_distance} "
                "above 0"
            )
        windows = check_windows(X)
        n, n_channels, n_times = windows.shape
        self.classes_, codes = check_labels(y, n)
        whose = np.zeros(n) if subjects is None else np.asarray(subjects)
        if whose.shape != (n,):
            raise ValueError(f"subjects must name one for each of {n} windows; found {whose.shape}")
        covariances = sample_covariances(windows)
        basis = signal_subspace(covariances.mean(axis=0), self.rank)
        basis = np.eye(n_channels) if basis is None else basis
        if basis.shape[1] == 0:
            raise ValueError("all channels of X are flat: there is no covariance to learn from")
        spd = oas(basis.T @ covariances @ basis, n_times)
        people, number = np.unique(whose, return_inverse=True)
        roots = np.stack([whitener_of(spd[number == k], self.metric) for k in range(len(people))])
        own = roots[number]
        logs = log_spd(own @ spd @ own)
        self.class_logs_ = np.stack([logs[codes == k].mean(axis=0) for k in range(codes.max() + 1)])
        references = np.linalg.inv(roots @ roots)
        start = whitener_of((references + references.swapaxes(1, 2)) / 2, self.metric)
        self.typical_distance_ = float(np.median(_length(log_spd(start @ spd @ start))))
        self.basis_, self.whitener_ = basis, start @ basis.T
        self._n_before = 1 if len(people) > 1 else int(np.ceil(1 / self.rate))
        aligned = own @ basis.T @ windows
        self.decoder_ = clone(self.decoder).fit(aligned, np.asarray(y))
        self._begin()
        return self

    def _begin(self) -> None:
        self.n_learnt_, self._rate = 0, self.rate
        self._trained = (self.whitener_, deepcopy(self.decoder_))

    def rollback(self) -> None:
        """Forget what was learnt since `fit`."""
        check_is_fitted(self, "decoder_")
        self.whitener_, self.decoder_ = self._trained
        self._begin()

    def adapt(self, X: ArrayLike) -> Self:
        """Start from the reference of somebody's windows, of which no labels are known.

        They are aligned as those of one of the people of the training were. What is decided
        on them afterwards is transductive, and must be called so.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)

        Raises
        ------
        ValueError
            Wrong shape, values not finite, or directions of the training are missing.
        """
        check_is_fitted(self, "decoder_")
        self.rollback()
        windows = check_windows(X, self.whitener_.shape[1])
        spd = oas(self.basis_.T @ sample_covariances(windows) @ self.basis_, windows.shape[2])
        self.whitener_ = whitener_of(spd, self.metric) @ self.basis_.T
        self._n_before = int(np.ceil(1 / self.rate))
        self._begin()
        return self

    def update(self, window: FloatArray | Moments, label: Any = None) -> bool:
        """Learn from one window that was decided on; say whether it was accepted.

        Parameters
        ----------
        window : array, shape (n_channels, n_times), or Moments
        label : label or None
            None: the reference follows. The confirmed label of a window that was
            accepted before: what the class has drawn is taken back, by the rate of the
            newest step, and the decoder learns, where it can.

        Returns
        -------
        bool
            False: the window is too far from the reference, and nothing has changed.
        """
        check_is_fitted(self, "decoder_")
        seen = self._log(window)
        if _length(seen) > self.max_distance * self.typical_distance_:
            return False
        if label is None:
            self.n_learnt_ += 1
            self._rate = max(self.rate, 1.0 / (self.n_learnt_ + self._n_before))
            self.whitener_ = moved(self.whitener_, self._rate * seen)
            return True
        self.whitener_ = moved(self.whitener_, -self._rate * self.class_logs_[self._code(label)])
        if hasattr(self.decoder_, "learn"):
            self.decoder_.learn(self._whitened(window), label)
        return True

    @available_if(_is_rewarded)  # type: ignore[untyped-decorator]
    def reward(self, window: FloatArray | Moments, label: Any, correct: bool) -> bool:
        """Learn whether it was right to decide `label` for a window that was accepted before.

        For decoders that learn from rewards, as `bci.decoders.ContextualBandit` does.

        Returns
        -------
        bool
            As `update`.
        """
        check_is_fitted(self, "decoder_")
        code = self._code(label)
        if _length(self._log(window)) > self.max_distance * self.typical_distance_:
            return False
        seen = self._whitened(window)
        if isinstance(seen, Moments):
            probable = self.decoder_.predict_proba_moments(seen)
        else:
            probable = self.decoder_.predict_proba(seen[np.newaxis])[0]
        decided, error = np.arange(len(probable)) == code, self.decoder_.reward_error
        probable = probable * np.where(decided == correct, 1.0 - error, error)
        share = probable / probable.sum()
        self.whitener_ = moved(
            self.whitener_, -self._rate * np.tensordot(share, self.class_logs_, 1)
        )
        return bool(self.decoder_.reward(self._whitened(window), label, correct))

    def _code(self, label: Any) -> int:
        known = np.flatnonzero(self.classes_ == label)
        if not known.size:
            raise ValueError(f"label '{label}' is none of {self.classes_.tolist()}")
        return int(known[0])

    def partial_fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Let the reference follow windows in their order, and the decoder learn their labels.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, or labels that are not known.
        """
        windows = check_windows(X, self.whitener_.shape[1])
        labels = [None] * len(windows) if y is None else np.asarray(y).tolist()
        for window, label in zip(windows, labels, strict=True):
            if self.update(window) and label is not None:
                self.update(window, label)
        return self

    def _log(self, window: FloatArray | Moments) -> FloatArray:
        """Logarithm of the whitened covariance."""
        if isinstance(window, Moments):
            covariance, n_times = covariance_of(window), window.n_times
        else:
            covariance, n_times = sample_covariances(window[np.newaxis])[0], window.shape[1]
        return log_spd(oas(self.whitener_ @ covariance @ self.whitener_.T, n_times))

    # --- deciding --------------------------------------------------------------------------------

    def _aligned(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "decoder_")
        aligned: FloatArray = self.whitener_ @ check_windows(X, self.whitener_.shape[1])
        return aligned

    def _whitened(self, window: FloatArray | Moments) -> Any:
        w = self.whitener_
        if isinstance(window, Moments):
            return Moments(w @ window.second @ w.T, w @ window.first, window.n_times)
        return w @ window

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable label of each window, shape (n_windows,); nothing is learnt."""
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes); nothing is learnt."""
        probabilities: FloatArray = self.decoder_.predict_proba(self._aligned(X))
        return probabilities

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """As the decoder's own."""
        values: FloatArray = self.decoder_.decision_function(self._aligned(X))
        return values

    @available_if(_takes_sums)  # type: ignore[untyped-decorator]
    def predict_proba_moments(self, moments: Moments) -> FloatArray:
        """As `predict_proba` for one window, shape (n_classes,), from its sums."""
        probabilities: FloatArray = self.decoder_.predict_proba_moments(self._whitened(moments))
        return probabilities

    # --- an artifact -----------------------------------------------------------------------------

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact; not what was learnt since."""
        check_is_fitted(self, "decoder_")
        whitener, decoder = self._trained
        inner = {f"{INNER}{name}": array for name, array in decoder.state().items()}
        return inner | {
            "basis": self.basis_,
            "whitener": whitener,
            "class_logs": self.class_logs_,
            "typical_distance": np.array([self.typical_distance_]),
            "n_before": np.array([float(self._n_before)]),
        }

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        self.classes_ = np.array(classes)
        self.decoder_ = clone(self.decoder)
        self.decoder_.restore(
            {k.removeprefix(INNER): v for k, v in state.items() if k.startswith(INNER)}, classes
        )
        self.basis_, self.whitener_ = state["basis"], state["whitener"]
        self.class_logs_ = state["class_logs"]
        self.typical_distance_ = float(state["typical_distance"][0])
        self._n_before = int(state["n_before"][0])
        self._begin()


def _length(logs: FloatArray) -> Any:
    """Riemannian distance from the reference of covariances whose logarithms these are."""
    return np.sqrt(np.sum(logs**2, axis=(-2, -1)))


class RecentredSettings(DecoderSettings):
    """Another decoder on windows whose reference follows the session; to be trained."""

    decoder: ClassVar[type[Recentred]] = Recentred

    kind: Literal["recentred"] = "recentred"
    of: DecoderPart = Field(
        {"kind": "tangent_space"}, validate_default=True, description="what decides"
    )
    metric: Metric = Field("riemann", description="of the mean covariance of the training")
    rate: float = Field(0.04, gt=0, lt=1, description="part of a window's way that it goes")
    max_distance: float = Field(
        3.0, gt=0, description="of a window that is learnt from, in medians of the training"
    )

    def build(self, info: StreamInfo) -> Recentred:
        """Make an untrained decoder for a processed stream."""
        inner = self.of.build(replace(info, rank=None))  # what is whitened has full rank
        return Recentred(inner, self.metric, self.rate, self.max_distance, info.rank)
