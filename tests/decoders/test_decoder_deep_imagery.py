"""Networks for imagery as a decoder: what is held out, crops, calibration, artifact, errors."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import skops.io
from scipy.special import softmax
from scipy.stats import binom
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from bci.config import Config
from bci.decoders import DeepImagery
from bci.decoders.artifact import Manifest, load, load_decoder, save
from bci.decoders.deep.imagery_settings import DeepImagerySettings
from bci.decoders.deep.imagery_training import Shape, make_network, scorer
from bci.decoders.storage import TRUSTED
from bci.decoders.temperature import fit_inverse_temperature
from bci.errors import (
    ConfigError,
    MissingDependency,
    ModelError,
    TrainingStopped,
    UntrainedDecoder,
)
from bci.types import StreamInfo

_spec = importlib.util.spec_from_file_location(
    "imagery_windows", Path(__file__).with_name("imagery_windows.py")
)
imagery_windows = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(imagery_windows)
SFREQ = imagery_windows.SFREQ
NETWORKS = ("eegnet", "shallow", "deep4", "conformer", "atcnet", "cnn_lstm")
BRAINDECODE = importlib.util.find_spec("braindecode") is not None
CHANNELS = tuple(f"C{k}" for k in range(4))


def windows(seed, n=60, **options):
    return imagery_windows.rhythms(seed, n, n_channels=4, strength=1.5, **options)


def make(**parameters):
    """A network and a training that suit a test's patience."""
    quick = {
        "network": "cnn_lstm", "sfreq": SFREQ, "n_epochs": 15, "batch_size": 16,
        "learning_rate": 1e-2, "device": "cpu",
    }  # fmt: skip
    return DeepImagery(**{**quick, **parameters})


@pytest.fixture(scope="module")
def data():
    return windows(0)


@pytest.fixture(scope="module")
def fitted(data):
    return make().fit(*data)


@pytest.fixture(scope="module")
def cropping(data):
    """It sees windows of a second, from one to the next a quarter of it."""
    return make(window_s=1.0, stride_s=0.25, augment=True, class_weight="balanced").fit(*data)


def assert_same_weights(one, other):
    assert one.weights_.keys() == other.weights_.keys()
    for name, value in one.weights_.items():
        np.testing.assert_array_equal(other.weights_[name], value, err_msg=name)


@pytest.mark.parametrize("which", ["fitted", "cropping"])
def test_rhythms_are_told_apart(which, request):
    decoder = request.getfixturevalue(which)
    X, y = windows(1, 100)
    assert (decoder.predict(X) == y).sum() > binom.ppf(0.9999, 100, 0.5)


def test_trials_are_held_out_of_each_class_and_statistics_are_of_the_others():
    X, y = windows(2, 50)
    X[np.arange(0, 50, 7)] *= 30.0  # so that it shows whose statistics they are
    decoder = make(n_epochs=1, validation=0.3).fit(X, y)
    codes = np.searchsorted(decoder.classes_, y)
    learned, held_out = decoder._split(codes)
    assert sorted([*learned, *held_out]) == list(range(50))
    assert np.bincount(codes[held_out]).tolist() == [8, 8]  # of 25 of each
    np.testing.assert_allclose(decoder.mean_, X[learned].mean(axis=(0, 2)))
    np.testing.assert_allclose(decoder.scale_, X[learned].std(axis=(0, 2)))
    other = make(random_state=1).fit(X, y)._split(codes)[1]
    assert set(other.tolist()) != set(held_out.tolist())


def test_probabilities_are_calibrated_on_what_was_held_out(fitted, data):
    X, y = data
    codes = np.searchsorted(fitted.classes_, y)
    held_out = fitted._split(codes)[1]
    standard = (X - fitted.mean_[:, None]) / fitted.scale_[:, None]
    network = make_network(Shape("cnn_lstm", 4, 256, 2, SFREQ), 0)
    scores = scorer(network, fitted.weights_)(standard.astype(np.float32))
    beta = fit_inverse_temperature(scores[held_out], codes[held_out])
    assert fitted.inverse_temperature_ == pytest.approx(beta, rel=1e-4)
    expected = softmax(beta * scores, axis=1)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-5)
    difference = np.diff(beta * scores, axis=1)[:, 0]
    np.testing.assert_allclose(fitted.decision_function(X), difference, rtol=1e-3, atol=1e-4)


def test_scores_of_crops_are_averaged(cropping):
    X, _ = windows(3, 6)
    assert cropping.n_times_ == 128
    alone = [cropping._scores(X[..., start : start + 128]) for start in range(0, 129, 32)]
    np.testing.assert_allclose(cropping._scores(X), np.mean(alone, axis=0), atol=1e-4)
    np.testing.assert_allclose(
        cropping._scores(X[..., :159]), alone[0], atol=1e-5
    )  # one fits, as the next begins at 32
    halves = make(window_s=1.0)
    assert halves._stride(128) == 64


def test_all_crops_of_a_trial_are_on_one_side():
    X, y = windows(4, 20)
    X += np.arange(20)[:, None, None] * 1000.0  # a trial is known by its level
    decoder = make(window_s=0.75, stride_s=0.25, n_epochs=1).fit(X, y)
    codes = np.searchsorted(decoder.classes_, y)
    sides = [decoder._cropped(X[rows], codes[rows]) for rows in decoder._split(codes)]
    scale, mean = decoder.scale_[0], decoder.mean_[0]
    levels = [
        set(np.round((part.X[:, 0].mean(axis=1) * scale + mean) / 1000.0).tolist())
        for part in sides
    ]
    assert [len(part.y) for part in sides] == [16 * 6, 4 * 6]
    assert len(levels[0] | levels[1]) == 20
    assert not levels[0] & levels[1]


def test_the_seed_decides_and_nothing_else(fitted, data):
    assert_same_weights(fitted, clone(fitted).fit(*data))
    other = make(random_state=1).fit(*data)
    assert not np.array_equal(other.weights_["classes.weight"], fitted.weights_["classes.weight"])


def test_a_training_that_stopped_ends_as_one_that_did_not(fitted, data, tmp_path):
    decoder = make(checkpoint=str(tmp_path))
    seen = []
    with pytest.raises(TrainingStopped, match="cnn_lstm was stopped after epoch 4 .* goes on from"):
        decoder.fit(
            *data, progress=lambda *told: seen.append(told), should_stop=lambda: len(seen) == 4
        )
    assert [told[:3] for told in seen] == [("cnn_lstm", k, 15) for k in (1, 2, 3, 4)]
    decoder.fit(*data, progress=lambda *told: seen.append(told))
    assert seen[4][1] == 5
    assert_same_weights(fitted, decoder)
    with pytest.raises(TrainingStopped, match="after epoch 0 of at most 15$"):
        make().fit(*data, should_stop=lambda: True)


def test_it_goes_through_an_artifact(fitted, data, tmp_path):
    X, _ = data
    save(fitted, Manifest(ch_names=CHANNELS, sfreq=SFREQ), tmp_path / "model")
    loaded, manifest = load(tmp_path / "model")
    assert (manifest.kind, manifest.file) == ("deep_imagery", "arrays.safetensors")
    assert not manifest.any_length
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    skops_file = skops.io.dumps(make_pipeline(fitted))
    read = skops.io.loads(skops_file, trusted=list(TRUSTED))
    np.testing.assert_array_equal(read.predict_proba(X), fitted.predict_proba(X))
    copied = pickle.loads(pickle.dumps(fitted))  # as worker processes hand it over
    np.testing.assert_array_equal(copied.predict_proba(X), fitted.predict_proba(X))


def test_labels_keep_their_type(data, tmp_path):
    X, y = data
    numbers = np.where(y == "left", 7, 3)
    decoder = make(n_epochs=1).fit(X, numbers)
    save(decoder, Manifest(ch_names=CHANNELS, sfreq=SFREQ), tmp_path / "model")
    assert load(tmp_path / "model")[0].predict(X).dtype.kind == "i"
    assert set(decoder.predict(X).tolist()) <= {3, 7}


def test_weights_of_another_network_are_refused(fitted, tmp_path):
    other = clone(fitted)
    other.restore(fitted.state(), fitted.classes_.tolist())
    other.set_params(network="shallow")
    save(other, Manifest(ch_names=CHANNELS, sfreq=SFREQ), tmp_path / "model")
    with pytest.raises(ModelError, match="does not hold a decoder of kind 'deep_imagery'"):
        load(tmp_path / "model")


def test_deciding_leaves_threads_as_they_are(fitted, data):
    import torch

    before = torch.get_num_threads()
    fitted.predict(data[0][:1])
    assert torch.get_num_threads() == before


# --- noise ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("network", NETWORKS)
def test_noise_in_chance_out(network):
    """Coloured noise, balanced in training and test each; every session with its own training."""
    right, n_sessions, n_test = 0, 10, 60
    for seed in range(n_sessions):
        rng = np.random.default_rng(seed)
        spectrum = np.fft.rfft(rng.standard_normal((40 + n_test, 3, 450)))
        X = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(226), 1)), 450)
        y = np.arange(40 + n_test) % 2
        decoder = make(network=network, learning_rate=1e-3, n_epochs=10, random_state=seed)
        right += int((decoder.fit(X[:40], y[:40]).predict(X[40:]) == y[40:]).sum())
    low, high = binom.interval(0.99, n_sessions * n_test, 0.5)
    assert low <= right <= high


# --- what is refused ------------------------------------------------------------------------------


def test_windows_and_labels_are_checked(data, fitted, cropping):
    X, y = data
    bad = X.copy()
    bad[3, 1, 5] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite values in window 3"):
        make().fit(bad, y)
    with pytest.raises(ValueError, match="at least two classes, found"):
        make().fit(X, ["left"] * 60)
    rare = np.array(["left"] * 59 + ["right"])
    with pytest.raises(ValueError, match="two windows of each class.* found one of 'right'"):
        make().fit(X, rare)
    with pytest.raises(ValueError, match="all channels of X are flat"):
        make().fit(np.ones_like(X), y)
    with pytest.raises(ValueError, match="has 3 channels, the decoder expects 4"):
        fitted.predict(X[:, :3])
    with pytest.raises(ValueError, match=r"255 samples, the decoder was trained for 256 \(2 s\)$"):
        fitted.predict(X[..., :255])
    with pytest.raises(ValueError, match="300 samples, the decoder was trained for 256"):
        fitted.predict(np.zeros((1, 4, 300)))
    with pytest.raises(ValueError, match=r"127 samples, .* for 128 \(1 s\) or more"):
        cropping.predict(X[..., :127])


def test_parameters_are_checked(data):
    for given, message in (
        ({"network": "resnet"}, "no network 'resnet'; known are eegnet, .* 'braindecode:EEGNeX'"),
        ({"network": "deep4"}, "DeepConvNet needs windows of 441 samples at least, found 256"),
        ({"validation": 0.0}, "validation must be between 0 and 1, found 0"),
        ({"window_s": 3.0}, "window_s is 3 s, 384 samples; the trials have 256"),
        ({"window_s": 1.0, "stride_s": 0.001}, "stride_s must be a sample or more"),
        ({"stride_s": 0.5}, "window_s, which is None"),
        ({"class_weight": "rare"}, "class_weight must be 'balanced' or None"),
        ({"learning_rate": 1e30}, r"diverged: its loss is no number; lower learning_rate, 1e\+30"),
        ({"n_epochs": 0}, "n_epochs, batch_size and patience must be 1 or more"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**given).fit(*data)


def test_a_channel_that_is_flat_says_nothing(data):
    X, y = data
    X = X.copy()
    X[:, 2] = 0.1
    decoder = make(n_epochs=2).fit(X, y)
    assert decoder.scale_[2] == 1.0
    assert np.isfinite(decoder.predict_proba(X)).all()


def test_without_torch_it_says_what_to_install(data, fitted, tmp_path, monkeypatch):
    save(fitted, Manifest(ch_names=CHANNELS, sfreq=SFREQ), tmp_path / "model")
    monkeypatch.setitem(sys.modules, "torch", None)
    for asked in (lambda: make().fit(*data), lambda: load(tmp_path / "model")):
        with pytest.raises(MissingDependency, match=r"pip install 'neuroloop\[deep\]'"):
            asked()


# --- braindecode ----------------------------------------------------------------------------------


@pytest.mark.skipif(BRAINDECODE, reason="braindecode is installed")
def test_without_braindecode_its_networks_say_what_to_install(data):
    with pytest.raises(MissingDependency, match=r"pip install 'neuroloop\[braindecode\]'"):
        make(network="braindecode:EEGNeX").fit(*data)


@pytest.mark.skipif(not BRAINDECODE, reason="braindecode is not installed")
@pytest.mark.filterwarnings("ignore")  # what it warns of is its own
def test_a_network_of_braindecode(data, tmp_path):
    X, y = data
    decoder = make(network="braindecode:EEGNeX", n_epochs=3).fit(X, y)
    save(decoder, Manifest(ch_names=CHANNELS, sfreq=SFREQ), tmp_path / "model")
    loaded, _ = load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), decoder.predict_proba(X))
    with pytest.raises(ValueError, match="braindecode has no model 'Nothing'; it has ATCNet"):
        make(network="braindecode:Nothing").fit(X, y)
    with pytest.raises(ValueError, match="does not take windows of 4 channels and 256 samples"):
        make(network="braindecode:SleepStagerBlanco2020").fit(X, y)


# --- settings -------------------------------------------------------------------------------------

INFO = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg", "eeg", "eeg"))


def test_settings_build_the_decoder():
    decoder = DeepImagerySettings(network="shallow", window_s=2.0, patience=None, seed=3).build(
        INFO
    )
    assert isinstance(decoder, DeepImagery)
    assert (decoder.network, decoder.sfreq, decoder.random_state) == ("shallow", 250.0, 3)
    assert (decoder.window_s, decoder.patience, decoder.checkpoint) == (2.0, None, None)
    assert DeepImagerySettings().build(INFO).get_params() == DeepImagery().get_params()
    with pytest.raises(ConfigError, match="decoder deep_imagery: there is no network 'resnet'"):
        DeepImagerySettings(network="resnet").build(INFO)


def test_an_untrained_network_cannot_decide():
    config = Config.model_validate(
        {"source": {"kind": "simulated"}, "decoder": {"kind": "deep_imagery"}}
    )
    with pytest.raises(UntrainedDecoder, match="'deep_imagery' must be trained"):
        load_decoder(config, INFO)
