"""What every decoder owes to scikit-learn, and to chance."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import clone, is_classifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import bci.decoders
from bci.decoders import (
    CCA,
    CSPLDA,
    FBCCA,
    FBCSP,
    MDM,
    TDCA,
    TRCA,
    ACMClassifier,
    BandPower,
    BandPowerLR,
    BlockToeplitzMDM,
    ContextualBandit,
    Decoder,
    DeepImagery,
    DeepSSVEP,
    ECoGLSTMCNN,
    ExtendedCCA,
    ExtendedCovariance,
    FgMDM,
    FilterBankTangentSpace,
    HighGammaKNN,
    MultiStimulusCCA,
    OffsetFBCCA,
    Recentred,
    RLEEGNet,
    TangentSpaceEN,
    TangentSpaceLR,
    TangentSpaceSVM,
)

SFREQ = 128.0
FREQUENCIES = {"10 Hz": 10.0, "13 Hz": 13.0, "16 Hz": 16.0}
#: A network and a training that suit a test's patience.
DEEP = DeepSSVEP(
    SFREQ, FREQUENCIES, window_s=(0.5,), n_filters=8, n_epochs=(25, 25), learning_rate=5e-3,
    dropout=((0.1, 0.1, 0.5), (0.2, 0.2, 0.5)), calibration_folds=0, device="cpu", n_parallel=8,
)  # fmt: skip
IMAGERY = DeepImagery(
    "cnn_lstm", SFREQ, n_epochs=10, batch_size=16, learning_rate=1e-2, device="cpu"
)
DECODERS = [
    CCA(SFREQ, FREQUENCIES),
    FBCCA(SFREQ, FREQUENCIES),
    ExtendedCCA(SFREQ, FREQUENCIES, n_bands=2),
    MultiStimulusCCA(SFREQ, FREQUENCIES, n_bands=2),
    TRCA(SFREQ, n_bands=2),
    TDCA(SFREQ, FREQUENCIES, n_bands=2),
    OffsetFBCCA(SFREQ, FREQUENCIES),
    ExtendedCovariance(SFREQ, FREQUENCIES),
    BandPower(SFREQ, FREQUENCIES),
    DEEP,
    IMAGERY,
    TangentSpaceLR(),
    TangentSpaceSVM(),
    TangentSpaceEN(random_state=0),
    MDM(),
    ACMClassifier(3, random_state=0),
    BlockToeplitzMDM(2, 3, random_state=0),
    CSPLDA(),
    FBCSP(SFREQ, n_filters=1),
    FgMDM(),
    FilterBankTangentSpace(SFREQ),
    Recentred(TangentSpaceLR()),
    ContextualBandit(TangentSpaceLR()),
    BandPowerLR(SFREQ, ((8.0, 12.0), (12.0, 20.0))),
    HighGammaKNN(SFREQ, highpass_hz=5.0),
    pytest.param(
        ECoGLSTMCNN(SFREQ, highpass_hz=5.0, n_epochs=40, learning_rate=0.02, device="cpu"),
        marks=pytest.mark.slow,
    ),
]
#: It trains for long, and tests of its own stand in `test_decoder_rleegnet`.
RLEEGNET = RLEEGNet(
    SFREQ, n_components=2, n_epochs=40, learning_rate=5e-3, batch_size=16, device="cpu"
)
LONG = (pytest.mark.slow, pytest.mark.timeout(900))
every_decoder = pytest.mark.parametrize(
    "decoder", [*DECODERS, pytest.param(RLEEGNET, marks=LONG)], ids=lambda d: d.kind
)


def draw(seed, n_windows, amplitude):
    """Windows of noise with a spectrum like 1/f, balanced labels, and a planted oscillation.

    The oscillation has a topography of its own for each class, so that decoders
    of covariance see it as well, and one phase, for those with templates.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.tile(list(FREQUENCIES), n_windows // 3))
    spectrum = np.fft.rfft(rng.standard_normal((n_windows, 5, 256)))
    X = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(129), 1)), 256)
    X /= X.std()
    t = np.arange(256) / SFREQ
    topography = np.random.default_rng(99).standard_normal((3, 5))
    for window, label in zip(X, labels, strict=True):
        k = list(FREQUENCIES).index(label)
        wave = np.sin(2 * np.pi * FREQUENCIES[label] * t)
        window += amplitude * np.outer(topography[k], wave)
    return X, labels


@every_decoder
def test_follows_scikit_learn(decoder):
    X, y = draw(0, 60, 1.0)
    copy = clone(decoder)
    assert copy is not decoder
    assert repr(copy.get_params()) == repr(decoder.get_params())  # decoders among them
    assert is_classifier(copy)
    assert copy.fit(X, y) is copy
    assert isinstance(copy, Decoder)
    proba = copy.predict_proba(X)
    assert proba.shape == (60, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    np.testing.assert_array_equal(copy.predict(X), copy.classes_[proba.argmax(axis=1)])
    assert copy.classes_.tolist() == sorted(FREQUENCIES)
    before = X.copy()
    copy.predict(X)
    np.testing.assert_array_equal(X, before)
    assert copy.predict_proba(X[:0]).shape == (0, 3)


@every_decoder
def test_works_in_pipelines_and_cross_validation(decoder):
    X, y = draw(1, 60, 1.0)
    pipeline = make_pipeline(FunctionTransformer(lambda x: x[:, :4]), clone(decoder))
    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.8
    assert cross_val_score(clone(decoder), X, y, cv=3, scoring="neg_log_loss").mean() > -0.8


@every_decoder
def test_set_params_takes_effect(decoder):
    X, y = draw(2, 30, 0.5)
    changed = {
        "cca": {"n_harmonics": 2},
        "fbcca": {"n_bands": 2},
        "ecca": {"n_bands": 1},
        "mscca": {"n_neighbours": 0},
        "trca": {"ensemble": False},
        "tdca": {"n_delays": 2},
        "extended_covariance": {"n_harmonics": 1},
        "band_power": {"C": 0.01},
        "offset_fbcca": {"n_bands": 2},
        "deep_ssvep": {"random_state": 1},
        "deep_imagery": {"network": "shallow"},
        "tangent_space": {"C": 0.01},
        "tangent_space_svm": {"kernels": ("rbf",)},
        "tangent_space_en": {"C": 0.1},
        "mdm": {"rank": 3},
        "acm": {"order": 1},
        "bt_acm": {"lag": 1},
        "csp": {"n_filters": 1},
        "fbcsp": {"n_features": 2},
        "fgmdm": {"rank": 3},
        "fb_tangent_space": {"C": 0.01},
        "recentred": {"rank": 3},
        "contextual_bandit": {"decoder": MDM()},
        "rleegnet": {"objective": "supervised"},
        "band_power_lr": {"C": 0.01},
        "ecog_lstm_cnn": {"random_state": 1},
        "high_gamma_knn": {"n_neighbors": 7},
    }
    one = clone(decoder).fit(X, y)
    before = one.decision_function(X)
    one.set_params(**changed[decoder.kind]).fit(X, y)
    assert not np.allclose(one.decision_function(X), before)


def hits(decoder, amplitude, seeds, n_test=60):
    """Windows decoded right, over independent draws, each with its own training.

    Training and test are balanced each by itself: with halves of one balanced set, whoever
    favours the majority of the one falls below chance on the other.
    """
    right = 0
    for seed in seeds:
        X, y = draw(1000 + seed, 60 + n_test, amplitude)
        by_class = np.argsort(y, kind="stable").reshape(3, -1)
        train, test = by_class[:, :20].ravel(), by_class[:, 20:].ravel()
        fitted = clone(decoder).fit(X[train], y[train])
        right += int((fitted.predict(X[test]) == y[test]).sum())
    return right, len(seeds) * n_test


@every_decoder
def test_noise_in_chance_out(decoder):
    right, n = hits(decoder, 0.0, range(12))
    low, high = binom.interval(0.99, n, 1 / 3)
    assert low <= right <= high


@every_decoder
def test_a_planted_signal_is_found(decoder):
    right, n = hits(decoder, 0.5, range(2))
    assert right > binom.ppf(0.9999, n, 1 / 3)


def test_importing_the_package_is_light_and_its_names_are_there():
    code = (
        "import sys, bci.decoders\n"
        "heavy = {'sklearn', 'scipy', 'pyriemann', 'skops', 'torch'}\n"
        "assert not heavy & set(sys.modules), sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    for name in bci.decoders.__all__:
        assert getattr(bci.decoders, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'CSP'"):
        _ = bci.decoders.CSP
