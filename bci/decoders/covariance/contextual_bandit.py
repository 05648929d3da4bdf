"""A decoder that learns in a session from "right" and "wrong" alone: a contextual bandit.

A fitted decoder stays as it is and gives the prior. On its log-odds comes a linear
correction by the window's tangent-space features, learnt from one reward after the other
(`bci.decoders.covariance.reward_filter`). A confirmed label is the reward for naming it,
without error.

Li, Chu, Langford & Schapire, "A contextual-bandit approach to personalized news article
recommendation", WWW 2010, doi:10.1145/1772690.1772758, has the setting: of each decision
only its own reward is seen.

The most probable class is always the decision unless `exploration` says otherwise: a
decision tried out moves something for a person who meant something else. With two
classes it would tell nothing more, as "wrong" names the other one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from scipy.special import softmax
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from bci.config import DecoderPart
from bci.decoders._checks import check_windows
from bci.decoders.covariance.classifier import CovarianceClassifier, CovarianceSettings, Shrinkage
from bci.decoders.covariance.estimation import covariance_of, sample_covariances
from bci.decoders.covariance.reward_filter import RewardFilter, told_right
from bci.decoders.covariance.tangent_features import TangentFeatures
from bci.types import FloatArray, Moments, StreamInfo

log = logging.getLogger(__name__)

INNER = "decoder."

#: Probabilities of the decoder below this are taken to be this: nobody is that certain.
LEAST = 1e-6


def _takes_sums(bandit: Any) -> bool:
    inner = bandit.decoder
    return hasattr(inner, "predict_proba_moments") and not hasattr(type(inner), "embedding")


class ContextualBandit(CovarianceClassifier):
    """Another decoder, corrected by what it is told of its decisions: right or wrong.

    Inside a `bci.decoders.Recentred` the drift of the session is followed too, and the
    correction is left with what recentring cannot do.

    Parameters
    ----------
    decoder : estimator
        Decides on windows, with probabilities; stays as training leaves it.
    reward_error : float
        ε, how often a reward is expected to be wrong; 0 to below 0.5.
    prior_scale : float
        Standard deviation, before the first reward, of what is added to a class's
        log-odds for a typical window: how far from the decoder it may come to go. This
        and `forgetting` were chosen on sessions 1 to 3 of BCI Competition IV 2b.
    forgetting : float
        Above 0, up to 1: what a reward leaves of all learnt before. What is forgotten
        goes back to the decoder as it was trained.
    n_features : int
        Most directions of the tangent space, those of the largest variance in training.
    max_distance : float
        A window further from the training's mean than so many times the median
        training window is not learnt from.
    guard : float
        The correction is taken back whole once its squared errors (of the probability
        of "right") exceed the decoder's own by so much in a row; see `reward`.
    exploration : float
        0: the most probable class is decided. Above: by a correction drawn from the
        posterior, of so many of its standard deviations (1 is Thompson sampling).
    rank, shrinkage
        As in `TangentSpaceLR`.
    random_state : int
        Of the exploration.

    Attributes
    ----------
    classes_, n_channels_, basis_
        As in `TangentSpaceLR`.
    decoder_ : estimator
        The fitted decoder.
    features_ : TangentFeatures
        What the correction rests on.
    correction_ : RewardFilter
        What is known of the weights, for 1 and the features.
    n_rewards_, n_rollbacks_ : int
        Rewards and labels learnt from, and corrections taken back by the guard, since
        `fit` or `rollback`.
    """

    kind: ClassVar[str] = "contextual_bandit"

    def __init__(
        self,
        decoder: Any,
        reward_error: float = 0.0,
        prior_scale: float = 0.5,
        forgetting: float = 0.99,
        *,
        n_features: int = 20,
        max_distance: float = 3.0,
        guard: float = 3.0,
        exploration: float = 0.0,
        rank: int | None = None,
        shrinkage: Shrinkage = "oas",
        random_state: int = 0,
    ) -> None:
        self.decoder = decoder
        self.reward_error = reward_error
        self.prior_scale = prior_scale
        self.forgetting = forgetting
        self.n_features = n_features
        self.max_distance = max_distance
        self.guard = guard
        self.exploration = exploration
        self.rank = rank
        self.shrinkage = shrinkage
        self.random_state = random_state

    # --- training --------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train the decoder, and learn where its windows lie.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts.
        y : array of labels, shape (n_windows,)

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, a parameter out of
            its range, or what the decoder refuses.
        """
        self._check_parameters()
        covariances, _ = self._fit_covariances(X, y)
        self.features_ = TangentFeatures.of(covariances, self.n_features)
        self.decoder_ = clone(self.decoder).fit(np.asarray(X, np.float64), np.asarray(y))
        self.rollback()
        return self

    def _check_parameters(self) -> None:
        if not 0 <= self.reward_error < 0.5:
            raise ValueError(
                f"reward_error must be at least 0 and below 0.5, found {self.reward_error}: a "
                "reward that is wrong every second time tells nothing"
            )
        if not 0 < self.forgetting <= 1:
            raise ValueError(
                f"forgetting must be above 0 and at most 1 (nothing is forgotten), found "
                f"{self.forgetting}"
            )
        if not (self.prior_scale > 0 and self.n_features >= 1):
            raise ValueError(
                f"prior_scale {self.prior_scale} must be above 0, n_features {self.n_features} at "
                "least 1"
            )
        if not (self.max_distance > 0 and self.guard > 0 and self.exploration >= 0):
            raise ValueError(
                f"max_distance {self.max_distance} and guard {self.guard} must be above 0, "
                f"exploration {self.exploration} at least 0"
            )

    def rollback(self) -> None:
        """Forget what was learnt since `fit`."""
        check_is_fitted(self, "decoder_")
        self._to_prior()
        self.n_rewards_ = self.n_rollbacks_ = 0

    def _to_prior(self) -> None:
        self.correction_ = RewardFilter(
            len(self.classes_), 1 + self.features_.n_features, self.prior_scale, self.forgetting
        )
        self._worse = 0.0

    # --- learning --------------------------------------------------------------------------------

    def update(self, window: FloatArray | Moments, label: Any = None) -> bool:
        """Say whether a window can be learnt from; with its confirmed label, learn it.

        Parameters
        ----------
        window : array, shape (n_channels, n_times), or Moments
        label : label or None
            None: nothing changes yet.

        Returns
        -------
        bool
            False: the window is too far from those of the training, and nothing has changed.
        """
        return self._learn(window, label, True, 0.0)

    def reward(self, window: FloatArray | Moments, label: Any, correct: bool) -> bool:
        """Learn whether it was right to decide `label` for a window.

        Before it is learnt from, the reward is compared with the probability of "right"
        by the corrected decoder and by the decoder alone. Squared errors beyond the
        decoder's are added up, but never below 0; above `guard` the correction goes.

        Parameters
        ----------
        window : array, shape (n_channels, n_times), or Moments
        label : label
            That was decided.
        correct : bool

        Returns
        -------
        bool
            As `update`.
        """
        return self._learn(window, label, correct, self.reward_error)

    def learn(self, window: FloatArray | Moments, label: Any) -> None:
        """Learn the confirmed label of a window; what is too far away is passed over."""
        self.update(window, label)

    def partial_fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn windows with their labels, in their order, after `fit`.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, or labels that are not known.
        """
        check_is_fitted(self, "decoder_")
        windows = check_windows(X, self.n_channels_)
        for window, label in zip(windows, np.asarray(y).tolist(), strict=True):
            self.update(window, label)
        return self

    def _learn(self, window: FloatArray | Moments, label: Any, correct: bool, error: float) -> bool:
        check_is_fitted(self, "decoder_")
        features, distances = self.features_(self._covariance(window))
        if distances[0] > self.max_distance:
            return False
        if label is None:
            return True
        known = np.flatnonzero(self.classes_ == label)
        if not known.size:
            raise ValueError(f"label '{label}' is none of {self.classes_.tolist()}")
        seen, own = _with_intercept(features)[0], self._own(window)
        self._guard(own, seen, int(known[0]), correct, error)
        self.correction_.learn(own, seen, int(known[0]), correct, error)
        self.n_rewards_ += 1
        return True

    def _guard(
        self, own: FloatArray, features: FloatArray, code: int, correct: bool, error: float
    ) -> None:
        """Take the correction back where the decoder alone would have foretold the rewards."""
        alone = told_right(softmax(own)[code], error)
        corrected = told_right(softmax(self.correction_.corrected(own, features))[code], error)
        excess = (correct - corrected) ** 2 - (correct - alone) ** 2
        self._worse = max(0.0, self._worse + float(excess))
        if self._worse > self.guard:
            log.warning(
                "what %d rewards taught is taken back: the decoder alone foretells them better",
                self.n_rewards_,
            )
            self._to_prior()
            self.n_rollbacks_ += 1

    def _covariance(self, window: FloatArray | Moments) -> FloatArray:
        """Covariance of one window, of full rank, shape (1, r, r)."""
        if isinstance(window, Moments):
            return self._full_rank(covariance_of(window)[np.newaxis], window.n_times)
        windows = check_windows(window[np.newaxis], self.n_channels_)
        return self._full_rank(sample_covariances(windows), windows.shape[2])

    def _own(self, window: FloatArray | Moments) -> FloatArray:
        """Log-probabilities of the decoder alone for one window."""
        if isinstance(window, Moments):
            return _logarithm(self.decoder_.predict_proba_moments(window))
        return _logarithm(self.decoder_.predict_proba(window[np.newaxis])[0])

    # --- deciding --------------------------------------------------------------------------------

    def _corrected(self, own: FloatArray, covariances: FloatArray) -> FloatArray:
        weights = self.correction_.mean
        if self.exploration:
            rng = np.random.default_rng([self.random_state, self.n_rewards_])
            weights = weights + self.exploration * self.correction_.drawn(rng)
        logits: FloatArray = own + _with_intercept(self.features_(covariances)[0]) @ weights.T
        return logits

    def _window_logits(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "decoder_")
        windows = check_windows(X, self.n_channels_)
        covariances = self._full_rank(sample_covariances(windows), windows.shape[2])
        return self._corrected(_logarithm(self.decoder_.predict_proba(windows)), covariances)

    @available_if(_takes_sums)  # type: ignore[untyped-decorator]
    def predict_proba_moments(self, moments: Moments) -> FloatArray:
        """As `predict_proba` for one window, shape (n_classes,), from its sums."""
        check_is_fitted(self, "decoder_")
        logits = self._corrected(self._own(moments), self._covariance(moments))[0]
        probabilities: FloatArray = softmax(logits)
        return probabilities

    # --- an artifact -----------------------------------------------------------------------------

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact; not what was learnt since."""
        check_is_fitted(self, "decoder_")
        inner = {f"{INNER}{name}": array for name, array in self.decoder_.state().items()}
        return self._basis_state() | self.features_.state() | inner

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        self.decoder_ = clone(self.decoder)
        self.decoder_.restore(
            {k.removeprefix(INNER): v for k, v in state.items() if k.startswith(INNER)}, classes
        )
        self.features_ = TangentFeatures.restored(state)
        self._restore_basis(state, classes, len(self.features_.whitener))
        self.rollback()


def _with_intercept(features: FloatArray) -> FloatArray:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)


def _logarithm(probabilities: FloatArray) -> FloatArray:
    logarithms: FloatArray = np.log(np.maximum(probabilities, LEAST))
    return logarithms


class ContextualBanditSettings(CovarianceSettings):
    """Another decoder, corrected in the session by "right" and "wrong"; to be trained."""

    decoder: ClassVar[type[ContextualBandit]] = ContextualBandit

    kind: Literal["contextual_bandit"] = "contextual_bandit"
    of: DecoderPart = Field(
        {"kind": "tangent_space"}, validate_default=True, description="what decides"
    )
    reward_error: float = Field(
        0.0, ge=0, lt=0.5, description="how often a reward is expected to be wrong"
    )
    prior_scale: float = Field(
        0.5, gt=0, description="how far, in log-odds, it may come to go from what decides"
    )
    forgetting: float = Field(
        0.99, gt=0, le=1, description="what a reward leaves of all learnt before"
    )
    max_distance: float = Field(
        3.0, gt=0, description="of a window that is learnt from, in medians of the training"
    )
    guard: float = Field(
        3.0, gt=0, description="squared errors beyond those of what decides, to take all back"
    )
    exploration: float = Field(
        0.0,
        ge=0,
        description="0: the most probable class is decided; above: others are tried on a person",
    )

    def build(self, info: StreamInfo) -> ContextualBandit:
        """Make an untrained decoder for a processed stream."""
        return ContextualBandit(
            self.of.build(info), self.reward_error, self.prior_scale, self.forgetting,
            max_distance=self.max_distance, guard=self.guard, exploration=self.exploration,
            rank=info.rank, shrinkage=self.shrinkage,
        )  # fmt: skip
