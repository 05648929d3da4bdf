"""Alignment and the recentring decoder: what stays the same, what is refused, what is forgotten."""

from __future__ import annotations

import numpy as np
import pytest
from imagery_windows import average_referenced, rhythms
from scipy.linalg import eigvalsh
from scipy.stats import binom
from sklearn.base import clone
from sklearn.covariance import oas as sklearn_oas

from bci.decoders import (
    CSPLDA,
    FBCSP,
    MDM,
    ACMClassifier,
    AdaptiveDecoder,
    Alignment,
    MomentsDecoder,
    Recentred,
    TangentSpaceLR,
)
from bci.decoders.artifact import PickedMoments
from bci.decoders.covariance.recentred import RecentredSettings
from bci.decoders.manifest import Manifest
from bci.decoders.storage import load, save
from bci.types import Moments, StreamInfo

METRICS = pytest.mark.parametrize("metric", ["riemann", "euclid"])


def covariances(X):
    return np.array([sklearn_oas(window.T)[0] for window in X])


def distance_riemann(one, other):
    return float(np.sqrt(np.sum(np.log(eigvalsh(one, other)) ** 2)))


def sums(window):
    return Moments(window @ window.T, window.sum(axis=1), window.shape[1])


# --- alignment ------------------------------------------------------------------------------------


@METRICS
def test_the_mean_of_aligned_windows_is_the_identity(metric):
    X, _ = rhythms(0)
    found = Alignment(metric).fit(X)
    aligned = found.whitener_ @ covariances(X) @ found.whitener_.T
    if metric == "riemann":  # at the Riemannian mean the logarithms add up to 0
        values, vectors = np.linalg.eigh(aligned)
        logs = (vectors * np.log(values)[:, None]) @ vectors.swapaxes(1, 2)
        np.testing.assert_allclose(logs.mean(axis=0), 0.0, atol=1e-7)
    else:
        np.testing.assert_allclose(aligned.mean(axis=0), np.eye(6), atol=1e-10)
    np.testing.assert_allclose(found.transform(X)[3], found.whitener_ @ X[3])


def test_the_running_euclidean_mean_is_that_of_the_batch():
    X, _ = rhythms(1)
    running, batch = Alignment("euclid"), Alignment("euclid").fit(X)
    for window in X:
        running.partial_fit(window[np.newaxis])
    assert running.n_windows_ == len(X)
    np.testing.assert_allclose(
        np.linalg.inv(running.whitener_.T @ running.whitener_),
        np.linalg.inv(batch.whitener_.T @ batch.whitener_),
        rtol=1e-8,
    )


def test_the_running_riemannian_mean_goes_to_that_of_the_batch():
    X, _ = rhythms(2, n_windows=800)
    batch = Alignment().fit(X)
    mean = np.linalg.inv(batch.whitener_.T @ batch.whitener_)
    running, far = Alignment(), []
    for part in np.split(X, [25, 100, 400]):
        running.partial_fit(part)
        seen = np.linalg.inv(running.whitener_.T @ running.whitener_)
        far.append(distance_riemann(seen, mean))
    assert far == sorted(far, reverse=True)
    assert far[-1] < 0.01


@METRICS
def test_alignment_knows_lost_rank(metric):
    X, _ = rhythms(3)
    found = Alignment(metric).fit_transform(average_referenced(X))
    assert found.shape == (60, 5, 256)
    with pytest.raises(ValueError, match="all channels of X are flat"):
        Alignment(metric).fit(np.zeros_like(X))
    with pytest.raises(ValueError, match="metric must be 'riemann' or 'euclid', found 'log'"):
        Alignment("log").fit(X)


# --- the adapting decoder -------------------------------------------------------------------------


def test_adaptation_is_the_same_whatever_the_mixing():
    """A session seen through another mixing of the channels gives the same answers."""
    (X, y), (new, _) = rhythms(6), rhythms(7)
    mixing = np.random.default_rng(1).standard_normal((6, 6)) + 3 * np.eye(6)
    one = Recentred(MDM()).fit(X, y)
    other = Recentred(MDM()).fit(X, y)
    other.whitener_ = other.whitener_ @ np.linalg.inv(mixing)
    for window in new:
        one.update(window)
        other.update(mixing @ window)
    np.testing.assert_allclose(
        other.predict_proba(mixing @ new), one.predict_proba(new), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("inner", [MDM(), TangentSpaceLR(), FBCSP(128.0, ((8, 12),))], ids=str)
def test_rollback_restores_the_answers_to_the_last_bit(inner, tmp_path):
    (X, y), (new, truth) = rhythms(8), rhythms(9)
    fitted = Recentred(inner).fit(X, y)
    before = fitted.predict_proba(new)
    fitted.partial_fit(new, truth)
    after = fitted.predict_proba(new)
    assert not np.allclose(after, before, atol=1e-3)
    manifest = Manifest(
        ch_names=tuple("abcdef"), sfreq=128.0, processing=(), window={}, training_sha256="0" * 64
    )
    save(fitted, manifest, tmp_path / "m")
    fitted.rollback()
    np.testing.assert_array_equal(fitted.predict_proba(new), before)
    loaded, _ = load(tmp_path / "m")  # as training left it, whatever was learnt when it was saved
    np.testing.assert_array_equal(loaded.predict_proba(new), before)
    loaded.partial_fit(new, truth)
    np.testing.assert_array_equal(loaded.predict_proba(new), after)
    assert isinstance(loaded, MomentsDecoder) == isinstance(fitted.decoder_, MomentsDecoder)
    assert isinstance(loaded, AdaptiveDecoder)


def test_a_window_too_far_away_is_refused():
    (X, y), (new, _) = rhythms(10), rhythms(11)
    fitted = Recentred(MDM(), rate=0.1, max_distance=2.0).fit(X, y)
    before = fitted.whitener_
    assert not fitted.update(20 * new[0])
    assert not fitted.update(20 * new[0], "left")
    np.testing.assert_array_equal(fitted.whitener_, before)
    for window in new:
        old = np.linalg.inv(fitted.whitener_.T @ fitted.whitener_)
        fitted.update(window)
        now = np.linalg.inv(fitted.whitener_.T @ fitted.whitener_)
        assert distance_riemann(old, now) <= 0.1 * 2.0 * fitted.typical_distance_ * (1 + 1e-9)


@pytest.mark.parametrize("inner", [MDM(), TangentSpaceLR(), CSPLDA()], ids=lambda d: d.kind)
def test_sums_teach_the_same_as_samples(inner):
    (X, y), (new, truth) = rhythms(12), rhythms(13)
    samples, moments = Recentred(inner).fit(X, y), Recentred(inner).fit(X, y)
    for window, label in zip(new, truth, strict=True):
        samples.update(window)
        moments.update(sums(window))
        samples.update(window, label)
        moments.update(sums(window), label)
    found = [moments.predict_proba_moments(sums(window)) for window in new]
    np.testing.assert_allclose(found, samples.predict_proba(new), atol=1e-8)


def test_picked_channels_teach_the_decoder():
    (X, y), (new, _) = rhythms(14), rhythms(15)
    alone = Recentred(MDM()).fit(X, y)
    picked = PickedMoments(Recentred(MDM()).fit(X, y), [5, 4, 3, 2, 1, 0])
    assert isinstance(picked, AdaptiveDecoder)
    assert not isinstance(PickedMoments(MDM().fit(X, y), [0]), AdaptiveDecoder)
    for window in new:
        assert picked.update(sums(window[::-1])) == alone.update(window)
    np.testing.assert_allclose(picked.predict_proba(new[:, ::-1]), alone.predict_proba(new))
    picked.rollback()
    assert picked.decoder.n_learnt_ == 0


@pytest.mark.parametrize("inner", [MDM(), TangentSpaceLR()], ids=lambda d: d.kind)
def test_noise_gives_chance_also_while_labels_are_learnt(inner):
    """Each label is told after its decision; the labels are in an order drawn at random."""
    right, n = 0, 0
    for seed in range(8):
        X, _ = rhythms(300 + seed, n_windows=120, strength=0.0)
        y = np.random.default_rng(seed).permutation(np.tile(["left", "right"], 60))
        fitted = Recentred(inner).fit(X[:40], y[:40])
        for window, label in zip(X[40:], y[40:], strict=True):
            right += fitted.predict(window[np.newaxis])[0] == label
            fitted.update(window)
            fitted.update(window, label)
            n += 1
    low, high = binom.interval(0.99, n, 0.5)
    assert low <= right <= high


def test_other_peoples_windows_are_a_start_for_somebody_new():
    """Everybody has a mixing of their own; aligned per subject one decoder serves all."""
    rng = np.random.default_rng(16)
    people = []
    for seed in range(5):
        X, y = rhythms(20 + seed, n_windows=120)
        values = np.exp(rng.uniform(-1.0, 1.0, 6))
        people.append((values[:, None] * X, y))
    X, y = (np.concatenate(parts) for parts in zip(*people[:4], strict=True))
    subjects = np.repeat(["a", "b", "c", "d"], 120)
    new, truth = people[4]
    aligned = Recentred(TangentSpaceLR(), max_distance=10.0).fit(X, y, subjects)
    aligned.partial_fit(new[:40])
    pooled = TangentSpaceLR().fit(X, y)
    assert aligned.score(new[40:], truth[40:]) > pooled.score(new[40:], truth[40:]) + 0.05
    with pytest.raises(ValueError, match="subjects must name one for each of 480 windows"):
        aligned.fit(X, y, subjects[:-1])


def test_lost_rank_is_decoded():
    (X, y), (new, truth) = rhythms(17), rhythms(18, n_windows=120)
    fitted = Recentred(TangentSpaceLR()).fit(average_referenced(X), y)
    assert fitted.whitener_.shape == (5, 6)
    assert fitted.partial_fit(average_referenced(new)).score(average_referenced(new), truth) > 0.8


# --- learning from labels -------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [MDM(rate=0.1), TangentSpaceLR(rate=1.0)], ids=str)
def test_confirmed_labels_teach_classes_that_have_changed_places(estimator):
    (X, y), (new, truth) = rhythms(19, n_windows=200), rhythms(30, n_windows=600)
    swapped = np.where(truth == "left", "feet", "left")
    fitted = clone(estimator).fit(X, y)
    assert fitted.score(new, swapped) < 0.2
    assert fitted.partial_fit(new, swapped).score(new, swapped) > 0.8
    with pytest.raises(ValueError, match="label 'tongue' is none of"):
        fitted.partial_fit(new[:1], ["tongue"])


def test_mdm_moves_its_mean_along_the_geodesic():
    (X, y), (new, _) = rhythms(31), rhythms(32)
    fitted = MDM(rate=0.25).fit(X, y)
    window = covariances(new[:1])[0]

    def far(decoder):
        return distance_riemann(
            np.linalg.inv(decoder.whiteners_[1].T @ decoder.whiteners_[1]), window
        )

    before = far(fitted)
    assert far(fitted.partial_fit(new[:1], ["left"])) == pytest.approx(0.75 * before)


def test_settings_name_the_decoder_inside():
    info = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg",) * 3, rank=2)
    made = RecentredSettings.model_validate({"of": {"kind": "mdm"}, "rate": 0.1}).build(info)
    assert isinstance(made.decoder, MDM)
    assert (made.rank, made.decoder.rank, made.rate) == (2, None, 0.1)
    assert isinstance(RecentredSettings().build(info).decoder, TangentSpaceLR)
    X, y = rhythms(33)
    with pytest.raises(ValueError, match="rate 2 must lie between 0 and 1"):
        Recentred(MDM(), rate=2).fit(X, y)


def test_a_decoder_of_delayed_copies_is_given_windows():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3, 200)), np.repeat(["a", "b"], 20)
    decoder = Recentred(ACMClassifier(2, random_state=0)).fit(X, y)
    assert not isinstance(decoder, MomentsDecoder)
    assert isinstance(Recentred(MDM()).fit(X, y), MomentsDecoder)
    np.testing.assert_allclose(decoder.predict_proba(X[:3]).sum(axis=1), 1.0)
