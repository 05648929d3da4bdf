"""Decoders of ECoG against independent forms of them; what UMAP and the network owe."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from ecog_windows import SFREQ, moved
from scipy import signal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bci.benchmark.config import PipelineSettings
from bci.benchmark.leaks import check_noise
from bci.decoders import BandPowerLR, ECoGLSTMCNN, HighGammaKNN, HighGammaPower
from bci.decoders.deep.ecog_lstm_cnn import ECoGLSTMCNNSettings
from bci.decoders.ecog.band_power_lr import BandPowerLRSettings
from bci.decoders.ecog.high_gamma_knn import HighGammaKNNSettings
from bci.errors import MissingDependency
from bci.types import StreamInfo

NETWORK = ECoGLSTMCNN(SFREQ, n_epochs=30, learning_rate=0.02, device="cpu")
UMAP = HighGammaKNN(SFREQ, "umap", 2)
needs_umap = pytest.mark.skipif(find_spec("umap") is None, reason="umap-learn is not installed")
#: It compiles first, and places each window by itself.
umap_slowly = [needs_umap, pytest.mark.slow, pytest.mark.timeout(1800)]


def power_of(X, baseline=None):
    """The recipe with SciPy: high-pass, square, low-pass, over the mean of what is given."""
    for kind, hz in (("highpass", 50), ("lowpass", 10)):
        sos = signal.butter(3, hz, kind, fs=SFREQ, output="sos")
        X = signal.sosfiltfilt(sos, X, padlen=3 * (2 * len(sos) + 1))
        X = X**2 if kind == "highpass" else np.maximum(X, 0)
    return X / X.mean(axis=(0, 2), keepdims=True) if baseline is None else X / baseline[:, None]


# --- golden values --------------------------------------------------------------------------------


def test_power_is_relative_to_the_training_whatever_comes_later():
    (X, _), (new, _) = moved(0), moved(1)
    power = HighGammaPower(SFREQ).fit(X)
    np.testing.assert_allclose(power.transform(X), power_of(X))
    np.testing.assert_allclose(power.transform(X).mean(axis=(0, 2)), 1.0)
    louder = power.transform(3 * new)  # nothing of these has been seen
    np.testing.assert_allclose(louder, power_of(3 * new, power.baseline_))
    assert louder.mean() == pytest.approx(9.0, rel=0.1)
    np.testing.assert_allclose(power.transform(3 * new[:1]), louder[:1])


@pytest.mark.parametrize("n_bins", [1, 4])
def test_neighbours_are_scikit_learns(n_bins):
    (X, y), (new, _) = moved(2), moved(3)

    def features(windows, baseline):
        parts = np.array_split(power_of(windows, baseline), n_bins, axis=2)
        return np.log(np.concatenate([p.mean(axis=2) for p in parts], axis=1))

    baseline = HighGammaPower(SFREQ).fit(X).baseline_
    reference = make_pipeline(StandardScaler(), PCA(3), KNeighborsClassifier(5))
    reference.fit(features(X, baseline), y)
    found = HighGammaKNN(SFREQ, n_components=3, n_neighbors=5, n_bins=n_bins).fit(X, y)
    expected = (5 * reference.predict_proba(features(new, baseline)) + 1) / 7
    np.testing.assert_allclose(found.predict_proba(new), expected)


def test_logistic_regression_is_scikit_learns():
    (X, y), (new, _) = moved(4), moved(5)

    def features(windows):
        bands = [
            signal.sosfiltfilt(
                signal.butter(4, band, "bandpass", fs=SFREQ, output="sos"), windows, padlen=27
            )
            for band in ((8, 32), (76, 100))
        ]
        return np.log(np.concatenate([band.var(axis=2) for band in bands], axis=1))

    regression = LogisticRegression(C=0.3, class_weight="balanced", max_iter=1000)
    reference = make_pipeline(StandardScaler(), regression).fit(features(X), y)
    found = BandPowerLR(SFREQ, C=0.3).fit(X, y)
    ratio = found.decision_function(new) / reference.decision_function(features(new))
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)  # the calibration


# --- what all of them owe -------------------------------------------------------------------------

ALL = [
    HighGammaKNN(SFREQ, n_bins=1, n_components=2),
    BandPowerLR(SFREQ),
    pytest.param(NETWORK, marks=pytest.mark.slow),
    pytest.param(clone(UMAP).set_params(n_bins=1), marks=umap_slowly, id="umap"),
]


@pytest.mark.parametrize("decoder", ALL, ids=lambda d: d.kind)
def test_power_is_found_and_each_window_decided_by_itself(decoder):
    (X, y), (new, truth) = moved(6), moved(7)
    fitted = clone(decoder).fit(X, y)
    assert fitted.score(new, truth) > 0.75
    together = fitted.predict_proba(new)
    alone = np.concatenate([fitted.predict_proba(window[np.newaxis]) for window in new[:8]])
    np.testing.assert_allclose(alone, together[:8], atol=1e-5)
    np.testing.assert_array_equal(clone(decoder).fit(X, y).predict_proba(new), together)
    copy = clone(decoder)
    copy.restore(fitted.state(), fitted.classes_.tolist())
    np.testing.assert_array_equal(copy.predict_proba(new), together)
    flat = X.copy()
    flat[:, 2] = 7.0
    assert np.isfinite(clone(decoder).fit(flat, y).predict_proba(flat)).all()


def test_power_of_the_live_stage_is_taken_as_it_is():
    (X, y), (new, _) = moved(8), moved(9)
    power = HighGammaPower(SFREQ).fit(X)
    live = HighGammaKNN(SFREQ, highpass_hz=None).fit(power.transform(X), y)
    expected = HighGammaKNN(SFREQ).fit(X, y).predict_proba(new)
    np.testing.assert_allclose(live.predict_proba(power.transform(new)), expected)


def test_wrong_input_is_refused():
    X, y = moved(10)
    with pytest.raises(ValueError, match="reduction must be 'pca' or 'umap', found 'tsne'"):
        HighGammaKNN(SFREQ, "tsne").fit(X, y)
    with pytest.raises(ValueError, match="n_bins 999 must be 1 at least"):
        HighGammaKNN(SFREQ, n_bins=999).fit(X, y)
    with pytest.raises(ValueError, match="highpass_hz 50 and lowpass_hz 10 must lie between"):
        HighGammaKNN(90.0).fit(X, y)
    with pytest.raises(ValueError, match="76 to 100 Hz does not lie between"):
        BandPowerLR(128.0).fit(X, y)
    for decoder in (BandPowerLR(SFREQ), NETWORK):
        with pytest.raises(ValueError, match=r"two windows of each class.*found one of 'tongue'"):
            clone(decoder).fit(X[:4], ["hand", "hand", "hand", "tongue"])
    with pytest.raises(ValueError, match="X has 3 channels, the decoder expects 5"):
        BandPowerLR(SFREQ).fit(X, y).predict(X[:, :3])


def test_settings_carry_what_the_stream_knows():
    info = StreamInfo("grid", 500.0, ("G1", "G2"), ("eeg",) * 2)
    knn = HighGammaKNNSettings(reduction="umap", n_components=2, seed=3).build(info)
    assert (knn.sfreq, knn.reduction, knn.n_components, knn.random_state) == (500.0, "umap", 2, 3)
    assert BandPowerLRSettings(bands_hz=[(8, 30)], C=0.1).build(info).bands == [(8.0, 30.0)]
    network = ECoGLSTMCNNSettings(n_filters=3, highpass_hz=None, seed=2).build(info)
    assert (network.n_filters, network.highpass_hz, network.random_state) == (3, None, 2)


# --- the network ----------------------------------------------------------------------------------


def test_the_network_says_how_many_weights_it_has():
    from models.ecog_lstm_cnn import ECoGNet, ECoGNetConfig

    config = ECoGNetConfig(48, 75, 2)
    n = sum(p.numel() for p in ECoGNet(config).parameters())
    assert config.n_parameters == n == 1010
    X, y = moved(11)
    fitted = clone(NETWORK).set_params(n_epochs=1).fit(X, y)
    assert fitted.n_parameters_ == ECoGNetConfig(5, 25, 2).n_parameters
    with pytest.raises(ValueError, match="give 12 values of power, the network expects 25"):
        fitted.predict(X[..., :125])
    for wrong in ({"n_classes": 1}, {"n_times": 3}, {"n_filters": 0}, {"n_taps": 4}):
        with pytest.raises(ValueError, match=r"needs|must be odd"):
            ECoGNetConfig(**{"n_channels": 4, "n_times": 75, "n_classes": 2} | wrong)


# --- UMAP -----------------------------------------------------------------------------------------


def test_without_umap_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    X, y = moved(12)
    with pytest.raises(MissingDependency, match=r"place of 'pca'.*pip install 'neuroloop\[umap\]'"):
        HighGammaKNN(SFREQ, "umap").fit(X, y)


@needs_umap
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_training_windows_stay_where_they_are():
    (X, y), (new, _) = moved(13), moved(14)
    fitted = clone(UMAP).fit(X, y)
    before = fitted.learned_["places"].copy()
    fitted.predict(new + 500.0)
    np.testing.assert_array_equal(fitted._umap.places, before)
    np.testing.assert_array_equal(fitted._umap._umap.embedding_, before)


@needs_umap
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("order", ["random", "blocks"])
def test_noise_in_chance_out_with_umap(order):
    given = {"kind": "high_gamma_knn", "reduction": "umap", "highpass_hz": 5, "n_components": 2}
    found = check_noise(PipelineSettings(decoder=given), order=order, seeds=8)
    assert found.passed, str(found)


@needs_umap
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_planted_signal_is_found_with_umap():
    given = {"kind": "high_gamma_knn", "reduction": "umap", "highpass_hz": 5, "n_bins": 1}
    found = check_noise(PipelineSettings(decoder=given), planted=1.0, seeds=3)
    assert found.exceeds, str(found)
