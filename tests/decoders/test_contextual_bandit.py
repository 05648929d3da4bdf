"""A decoder that learns from right and wrong: its likelihood, its guards, what it wins back."""

from __future__ import annotations

import numpy as np
import pytest
from imagery_drift import rewarded
from imagery_windows import average_referenced, rhythms
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import binom
from sklearn.base import clone

from bci.decoders import (
    MDM,
    ACMClassifier,
    ContextualBandit,
    MomentsDecoder,
    Recentred,
    RewardedDecoder,
    TangentSpaceLR,
)
from bci.decoders.artifact import PickedMoments
from bci.decoders.covariance.contextual_bandit import ContextualBanditSettings
from bci.decoders.manifest import Manifest
from bci.decoders.storage import load, save
from bci.types import Moments, StreamInfo


def sums(window):
    return Moments(window @ window.T, window.sum(axis=1), window.shape[1])


def features_of(bandit, window):
    return np.concatenate([[1.0], bandit.features_(bandit._covariance(window))[0][0]])


@pytest.fixture(scope="module")
def two():
    """A fitted decoder for two classes, and windows that it has not seen."""
    return ContextualBandit(TangentSpaceLR()).fit(*rhythms(0)), *rhythms(1)


@pytest.fixture(scope="module")
def three():
    return ContextualBandit(TangentSpaceLR()).fit(*rhythms(2, n_classes=3)), *rhythms(3, 60, 6, 3)


# --- what is learnt -------------------------------------------------------------------------------


def test_it_starts_as_the_decoder_and_a_rollback_brings_it_back(two):
    bandit, X, y = two
    bandit.rollback()
    alone = TangentSpaceLR().fit(*rhythms(0)).predict_proba(X)
    before = bandit.predict_proba(X)
    np.testing.assert_allclose(before, alone, atol=1e-12)
    rewarded(bandit, X, y)
    assert bandit.n_rewards_ == len(X)
    assert not np.allclose(bandit.predict_proba(X), before, atol=1e-3)
    bandit.rollback()
    np.testing.assert_array_equal(bandit.predict_proba(X), before)
    assert bandit.n_rewards_ == 0


def test_with_two_classes_true_rewards_teach_as_labels_do(two):
    bandit, X, y = two
    bandit.rollback()
    rewarded(bandit, X, y)
    mean, covariance = bandit.correction_.mean, bandit.correction_.covariance
    bandit.rollback()
    bandit.partial_fit(X, y)
    np.testing.assert_allclose(bandit.correction_.mean, mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(bandit.correction_.covariance, covariance, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("error", [0.0, 0.2])
@pytest.mark.parametrize("correct", [True, False])
def test_a_reward_is_weighed_by_its_likelihood(three, error, correct):
    """The step goes up the gradient of log P(reward), as differences give it; worked out here."""
    bandit, X, _ = three
    bandit.set_params(reward_error=error, forgetting=1.0).rollback()
    logits = np.log(bandit.decoder_.predict_proba(X[:1])[0])
    features = features_of(bandit, X[0])
    code = 1

    def log_likelihood(weights):
        p = softmax(logits + weights.reshape(3, -1) @ features)[code]
        right = (1 - error) * p + error * (1 - p)
        return np.log(right if correct else 1 - right)

    nudge = 1e-6 * np.eye(3 * len(features))
    slope = np.array([(log_likelihood(n) - log_likelihood(-n)) / 2e-6 for n in nudge])
    assert bandit.reward(X[0], bandit.classes_[code], correct)
    step = bandit.correction_.mean.ravel()
    cosine = step @ slope / np.linalg.norm(step) / np.linalg.norm(slope)
    assert cosine == pytest.approx(1.0, abs=1e-6)
    bandit.set_params(reward_error=0.0, forgetting=0.99)


def test_wrong_says_not_that_class_and_leaves_the_odds_of_the_others(three):
    bandit, X, _ = three
    bandit.rollback()
    before = bandit.predict_proba(X[:1])[0]
    k = int(before.argmax())
    bandit.reward(X[0], bandit.classes_[k], False)
    after = bandit.predict_proba(X[:1])[0]
    assert after[k] < before[k]
    others = np.arange(3) != k
    assert (after[others] > before[others]).all()
    assert after.argsort()[np.isin(after.argsort(), np.flatnonzero(others))].tolist() == (
        before.argsort()[np.isin(before.argsort(), np.flatnonzero(others))].tolist()
    )


def test_many_labels_give_the_posterior_of_logistic_regression(two):
    """Nothing forgotten, a weak prior step each: near the mode that an optimiser finds."""
    bandit, X, y = two
    bandit.set_params(forgetting=1.0).rollback()
    bandit.partial_fit(X, y)
    own = np.log(bandit.decoder_.predict_proba(X))
    features = np.stack([features_of(bandit, x) for x in X])
    codes = np.searchsorted(bandit.classes_, y)
    variance = bandit.prior_scale**2 / features.shape[1]

    def loss(weights):
        logits = own + features @ weights.reshape(2, -1).T
        fit = log_softmax(logits, axis=1)[np.arange(len(codes)), codes].sum()
        return weights @ weights / (2 * variance) - fit

    mode = minimize(loss, np.zeros(2 * features.shape[1])).x.reshape(2, -1)
    found, best = features @ bandit.correction_.mean.T, features @ mode.T
    assert np.corrcoef((found[:, 1] - found[:, 0]), (best[:, 1] - best[:, 0]))[0, 1] > 0.98
    bandit.set_params(forgetting=0.99)


def test_a_reward_that_may_be_wrong_moves_less(two):
    bandit, X, _ = two
    moved = []
    for error in (0.0, 0.15, 0.3):
        bandit.set_params(reward_error=error).rollback()
        bandit.reward(X[0], "left", False)
        moved.append(np.linalg.norm(bandit.correction_.mean))
    assert moved[0] > 1.2 * moved[1] > 1.2**2 * moved[2] > 0
    bandit.set_params(reward_error=0.0)


def test_what_is_forgotten_goes_back_to_the_decoder(two):
    bandit, X, y = two
    left = []
    for forgetting in (1.0, 0.9):
        bandit.set_params(forgetting=forgetting).rollback()
        bandit.partial_fit(X[:20], np.roll(y, 1)[:20])  # wrong labels
        bandit.partial_fit(X[20:], y[20:])
        left.append(bandit.correction_.covariance)
    prior = np.diag(bandit.correction_.prior)
    assert (np.diag(left[0]) < np.diag(left[1])).all()  # who forgets is less certain
    assert (np.diag(left[1]) <= prior * (1 + 1e-12)).all()  # but never less than at the start
    bandit.set_params(forgetting=0.99)


# --- guards ---------------------------------------------------------------------------------------


def test_a_window_too_far_away_is_refused(two):
    bandit, X, _ = two
    bandit.rollback()
    assert not bandit.update(100 * X[0])
    assert not bandit.update(100 * X[0], "left")
    assert not bandit.reward(100 * X[0], "left", True)
    assert bandit.update(X[0])
    assert not bandit.correction_.mean.any()
    with pytest.raises(ValueError, match="label 'tongue' is none of"):
        bandit.reward(X[0], "tongue", True)


def test_what_makes_it_worse_is_taken_back(two, caplog):
    """Somebody who presses the wrong key for a while, and then the right one."""
    bandit, X, y = two
    bandit.set_params(prior_scale=2.0).rollback()
    for window, label in zip(X, y, strict=True):
        bandit.reward(window, label, False)
    assert bandit.score(X, y) < 0.5
    bandit.partial_fit(X[:30], y[:30])
    assert bandit.n_rollbacks_ == 1
    assert "the decoder alone foretells them better" in caplog.text
    assert bandit.score(X, y) > 0.8
    bandit.set_params(prior_scale=0.5)


def test_there_is_no_exploration_unless_asked_for(three):
    bandit, X, _ = three
    bandit.rollback()
    np.testing.assert_array_equal(bandit.predict(X), bandit.decoder_.predict(X))
    bandit.set_params(exploration=3.0)
    tried = bandit.predict(X)
    np.testing.assert_array_equal(bandit.predict(X), tried)  # asking twice draws nothing new
    assert (tried != bandit.decoder_.predict(X)).any()
    bandit.reward(X[0], tried[0], True)
    assert (bandit.predict(X) != tried).any()  # each reward is followed by another draw
    bandit.set_params(exploration=0.0)


def test_recentring_is_rewarded_as_it_is_told_labels():
    """With two classes and no wrong reward each class takes back what a label takes back."""
    (X, y), (new, truth) = rhythms(20), rhythms(21, n_windows=20)
    told, labelled = (
        Recentred(ContextualBandit(TangentSpaceLR()), max_distance=10.0).fit(X, y) for _ in range(2)
    )
    for window, label in zip(new, truth, strict=True):
        decided = told.predict(window[np.newaxis])[0]
        assert told.update(window) == labelled.update(window)
        assert told.reward(window, decided, bool(decided == label))
        labelled.update(window, label)
    np.testing.assert_allclose(told.whitener_, labelled.whitener_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(told.predict_proba(new), labelled.predict_proba(new), atol=1e-9)
    before = told.whitener_
    told.decoder_.set_params(reward_error=0.49)  # such a reward tells next to nothing
    told.reward(new[0], "left", True)
    likely = told.predict_proba(new[:1])[0] @ told.class_logs_.reshape(2, -1)
    step = np.linalg.norm(told.whitener_ - before)
    assert 0 < step < 2 * told._rate * np.linalg.norm(likely) * np.linalg.norm(before)
    assert not told.reward(100 * new[0], "left", True)
    assert not hasattr(Recentred(MDM()), "reward")


def test_noise_gives_chance_also_while_rewards_are_learnt():
    right = n = 0
    for seed in range(8):
        X, _ = rhythms(300 + seed, n_windows=120, strength=0.0)
        y = np.random.default_rng(seed).permutation(np.tile(["left", "right"], 60))
        bandit = ContextualBandit(TangentSpaceLR()).fit(X[:40], y[:40])
        right += round(80 * rewarded(bandit, X[40:], y[40:]))
        n += 80
    low, high = binom.interval(0.99, n, 0.5)
    assert low <= right <= high


# --- as every decoder -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decoder",
    [
        ContextualBandit(MDM(), reward_error=0.1),
        ContextualBandit(TangentSpaceLR()),
        Recentred(ContextualBandit(TangentSpaceLR()), max_distance=10.0),
    ],
    ids=str,
)
def test_it_is_stored_as_training_left_it(decoder, tmp_path):
    (X, y), (new, truth) = rhythms(8), rhythms(9)
    fitted = clone(decoder).fit(X, y)
    before = fitted.predict_proba(new)
    rewarded(fitted, new, truth)
    after = fitted.predict_proba(new)
    assert not np.allclose(after, before, atol=1e-3)
    manifest = Manifest(ch_names=tuple("abcdef"), sfreq=128.0, training_sha256="0" * 64)
    save(fitted, manifest, tmp_path / "m")
    loaded, _ = load(tmp_path / "m")
    assert isinstance(loaded, RewardedDecoder)
    np.testing.assert_array_equal(loaded.predict_proba(new), before)
    rewarded(loaded, new, truth)
    np.testing.assert_array_equal(loaded.predict_proba(new), after)


def test_sums_teach_the_same_as_samples(two):
    samples, X, y = two
    samples.rollback()
    moments = ContextualBandit(TangentSpaceLR()).fit(*rhythms(0))
    for window, label in zip(X, y, strict=True):
        assert moments.update(sums(window)) == samples.update(window)
        moments.reward(sums(window), label, True)
        samples.reward(window, label, True)
    found = [moments.predict_proba_moments(sums(window)) for window in X]
    np.testing.assert_allclose(found, samples.predict_proba(X), atol=1e-8)
    copies = ContextualBandit(ACMClassifier(2, random_state=0))
    assert not isinstance(copies.fit(*rhythms(0)), MomentsDecoder)


def test_picked_channels_are_rewarded(two):
    alone, X, _ = two
    alone.rollback()
    inside = ContextualBandit(TangentSpaceLR()).fit(*rhythms(0))
    picked = PickedMoments(inside, [5, 4, 3, 2, 1, 0])
    assert isinstance(picked, RewardedDecoder)
    for window in X[:10]:
        assert picked.reward(sums(window[::-1]), "left", True)
        alone.reward(window, "left", True)
    np.testing.assert_allclose(picked.predict_proba(X[:, ::-1]), alone.predict_proba(X))


def test_lost_rank_is_decoded():
    (X, y), (new, truth) = rhythms(17), rhythms(18, n_windows=80)
    bandit = ContextualBandit(TangentSpaceLR()).fit(average_referenced(X), y)
    assert bandit.basis_.shape == (6, 5)
    assert rewarded(bandit, average_referenced(new), truth) > 0.8


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"reward_error": 0.5}, "reward_error must be at least 0 and below 0.5, found 0.5"),
        ({"forgetting": 0.0}, "forgetting must be above 0 and at most 1"),
        ({"prior_scale": 0.0}, "prior_scale 0.0 must be above 0"),
        ({"guard": 0.0}, "guard 0.0 must be above 0"),
    ],
)
def test_parameters_out_of_range(given, says):
    with pytest.raises(ValueError, match=says):
        ContextualBandit(MDM(), **given).fit(*rhythms(0))


def test_settings_name_the_decoder_inside():
    info = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg",) * 3, rank=2)
    given = {"of": {"kind": "mdm"}, "reward_error": 0.1}
    made = ContextualBanditSettings.model_validate(given).build(info)
    assert isinstance(made.decoder, MDM)
    assert (made.rank, made.decoder.rank, made.reward_error) == (2, 2, 0.1)
    assert isinstance(ContextualBanditSettings().build(info).decoder, TangentSpaceLR)
