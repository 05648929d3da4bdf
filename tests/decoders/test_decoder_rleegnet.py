"""RLEEGNet and its supervised twin: nothing leaks, nothing is lost, and what it needs it says."""

from __future__ import annotations

import numpy as np
import pytest
from imagery_windows import SFREQ, average_referenced, rhythms
from scipy.linalg import eigh
from scipy.stats import binom
from sklearn.base import clone

from bci.decoders import OvRCSPBank, RLEEGNet
from bci.decoders.deep.rleegnet import RLEEGNetSettings
from bci.decoders.manifest import Manifest
from bci.decoders.storage import load, save
from bci.errors import ConfigError, TrainingStopped
from bci.types import StreamInfo

#: A training that suits a test's patience.
SHORT = {
    "n_epochs": 12, "learning_rate": 5e-3, "batch_size": 12, "n_components": 2, "device": "cpu"
}  # fmt: skip
OBJECTIVES = ["dqn", "supervised"]


def short_rhythms(*args, **kwargs):
    """Windows of a second."""
    X, y = rhythms(*args, **kwargs)
    return X[..., :128], y


@pytest.fixture(scope="module", params=OBJECTIVES)
def fitted(request):
    X, y = short_rhythms(0, n_windows=60, strength=1.5)
    return RLEEGNet(SFREQ, request.param, **SHORT).fit(X, y)


# --- the bank -------------------------------------------------------------------------------------


def test_every_window_passes_all_banks_and_keeps_its_time():
    X, y = rhythms(1, n_classes=3, n_channels=9)
    bank = OvRCSPBank(n_components=2).fit(X, y)
    found = bank.transform(X)
    assert found.shape == (60, 3 * 2, 256)
    np.testing.assert_allclose(found[5], bank.filters_ @ X[5])
    centred = found - found.mean(axis=2, keepdims=True)
    np.testing.assert_allclose((centred**2).mean(axis=(0, 2)), 1.0)


def test_filters_are_those_of_one_class_against_the_rest():
    X, y = rhythms(2, n_classes=3, n_channels=9, n_windows=90)
    bank = OvRCSPBank(n_components=2).fit(X, y)
    from sklearn.covariance import oas

    share = np.array([oas(window.T)[0] for window in X])
    share /= np.trace(share, axis1=1, axis2=2)[:, None, None]
    means = np.stack([share[y == label].mean(axis=0) for label in bank.classes_])
    for k in range(3):
        rest = np.delete(means, k, axis=0).mean(axis=0)
        expected = eigh(means[k], rest)[1][:, ::-1][:, :2].T
        for one, other in zip(bank.filters_[2 * k : 2 * k + 2], expected, strict=True):
            cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
            assert abs(cosine) == pytest.approx(1.0, abs=1e-6)


def test_the_bank_knows_lost_rank_and_flat_channels():
    X, y = rhythms(3)
    found = OvRCSPBank().fit(average_referenced(X), y)
    np.testing.assert_allclose(found.filters_.sum(axis=1), 0.0, atol=1e-9)
    with pytest.raises(ValueError, match="all channels of X are flat"):
        OvRCSPBank().fit(np.zeros_like(X), y)
    with pytest.raises(ValueError, match="n_components must be 1 or more"):
        OvRCSPBank(0).fit(X, y)


# --- the decoder ----------------------------------------------------------------------------------


def test_a_rhythm_is_found(fitted):
    X, y = short_rhythms(4, n_windows=60, strength=1.5)
    assert fitted.score(X, y) > 0.8
    longer = np.concatenate([X, X[..., :40]], axis=2)
    np.testing.assert_array_equal(fitted.predict(longer), fitted.predict(X))  # it takes the start
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert fitted.predict_proba(X[:0]).shape == (0, 2)
    np.testing.assert_array_equal(fitted.predict_proba(X[3:4])[0], proba[3])


def test_what_is_held_out_teaches_neither_filters_nor_network():
    X, y = short_rhythms(5, n_windows=30)
    short = SHORT | {"n_epochs": 1}  # so that the judges have one epoch to choose from
    one = RLEEGNet(SFREQ, held_out=0.2, **short).fit(X, y)
    changed = X.copy()
    changed[24:] = 50 * np.random.default_rng(0).standard_normal((6, 6, 128))  # the last of each
    other = RLEEGNet(SFREQ, held_out=0.2, **short).fit(changed, y)
    np.testing.assert_array_equal(one.bank_.filters_, other.bank_.filters_)
    for name, values in one.weights_.items():
        np.testing.assert_array_equal(values, other.weights_[name])


def test_the_seed_decides():
    X, y = short_rhythms(6, n_windows=30)
    short = SHORT | {"n_epochs": 2}
    one, again, other = (
        RLEEGNet(SFREQ, random_state=seed, **short).fit(X, y).decision_function(X)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_an_artifact_decides_the_same_and_asks_for_torch_when_it_has_to(fitted, tmp_path):
    X, _ = short_rhythms(7, n_windows=10)
    manifest = Manifest(ch_names=tuple("abcdef"), sfreq=SFREQ, training_sha256="0" * 64)
    save(fitted, manifest, tmp_path / "m")
    loaded, _ = load(tmp_path / "m")
    assert loaded.get_params() == {**fitted.get_params(), "band_hz": [8.0, 30.0]}
    assert loaded._decides is None
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert "weights_" not in vars(clone(fitted))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_noise_gives_chance(objective):
    right = n = 0
    for seed in range(4):
        X, _ = short_rhythms(400 + seed, n_windows=90, strength=0.0)
        y = np.random.default_rng(seed).permutation(np.tile(["left", "right"], 45))
        decoder = RLEEGNet(SFREQ, objective, **(SHORT | {"n_epochs": 4}), random_state=seed)
        decoder.fit(X[:40], y[:40])
        right += int((decoder.predict(X[40:]) == y[40:]).sum())
        n += 50
    low, high = binom.interval(0.99, n, 0.5)
    assert low <= right <= high


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"objective": "sarsa"}, "objective must be 'dqn' or 'supervised', found 'sarsa'"),
        ({"held_out": 1.0}, "held_out must lie between 0 and 1"),
        ({"band_hz": (8.0, 70.0)}, "the band 8 to 70 Hz does not lie between"),
    ],
)
def test_parameters_out_of_range(given, says):
    X, y = short_rhythms(8, n_windows=10)
    with pytest.raises(ValueError, match=says):
        RLEEGNet(SFREQ, **given).fit(X, y)


def test_windows_that_do_not_fit_are_refused(fitted):
    X, y = short_rhythms(9, n_windows=10)
    with pytest.raises(ValueError, match="100 samples is shorter than those of the training, 128"):
        fitted.predict(X[..., :100])
    with pytest.raises(ValueError, match="needs two of each class, found one of 'left'"):
        RLEEGNet(SFREQ).fit(X[:3], ["feet", "feet", "left"])
    with pytest.raises(TrainingStopped, match="after epoch 0 of at most 12"):
        RLEEGNet(SFREQ, **SHORT).fit(X, y, should_stop=lambda: True)


def test_settings():
    info = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg",) * 3, rank=2)
    made = RLEEGNetSettings(objective="supervised", n_epochs=3).build(info)
    assert (made.objective, made.sfreq, made.rank, made.n_epochs) == ("supervised", 250.0, 2, 3)
    with pytest.raises(ConfigError, match="decoder rleegnet: band_hz 8 to 30 Hz must lie"):
        RLEEGNetSettings().build(StreamInfo("amp", 50.0, ("C3",), ("eeg",)))
