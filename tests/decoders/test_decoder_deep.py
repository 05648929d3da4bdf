"""The deep decoder: its two stages, lengths, calibration, artifact and errors."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binom

from bci.decoders import DeepSSVEP
from bci.decoders.artifact import Manifest, check, load, save
from bci.decoders.deep.deep_ssvep import DeepSSVEPSettings
from bci.errors import ConfigError, ModelError, TrainingStopped, UntrainedDecoder
from bci.types import StreamInfo

_spec = importlib.util.spec_from_file_location(
    "deep_toys", Path(__file__).with_name("deep_toys.py")
)
toys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toys)
SFREQ, LABELS, QUICK = toys.SFREQ, toys.LABELS, toys.QUICK


def make(**parameters):
    return DeepSSVEP(SFREQ, window_s=(0.3,), **{**QUICK, **parameters})


@pytest.fixture(scope="module")
def data():
    return toys.blocks_of(0, n_subjects=3, n_blocks=9)


@pytest.fixture(scope="module")
def fitted(data):
    X, y, subjects, blocks = data
    train = (subjects != "S0") | (blocks < 3)
    decoder = DeepSSVEP(SFREQ, window_s=(0.4, 0.3), target="S0", **QUICK, calibration_folds=2)
    return decoder.fit(X[train], y[train], subjects[train])


def test_two_stages_learn_a_person(fitted, data):
    X, y, subjects, blocks = data
    test = (subjects == "S0") & (blocks >= 3)
    assert fitted.classes_.tolist() == LABELS
    assert (fitted.predict(X[test]) == y[test]).sum() > binom.ppf(0.999, test.sum(), 1 / 3)


def test_a_window_is_cut_to_the_longest_length_that_fits(fitted, data):
    X = data[0][:5]
    np.testing.assert_allclose(fitted.lengths_, [0.3, 0.4])
    scores = {n: fitted.scores(X[..., :n]) for n in (30, 39, 40, 44)}
    np.testing.assert_array_equal(scores[39], scores[30])
    np.testing.assert_array_equal(scores[44], scores[40])
    assert not np.allclose(scores[40], scores[30])
    with pytest.raises(
        ValueError, match=r"29 samples is shorter than the shortest .* 30 \(0.3 s\)"
    ):
        fitted.predict(X[..., :29])


def test_probabilities_are_those_of_the_inverse_temperature(fitted, data):
    X = data[0][:5]
    for n, length in ((30, 0.3), (40, 0.4), (44, 0.44)):
        expected = softmax(fitted.inverse_temperature(length) * fitted.scores(X[..., :n]), axis=1)
        np.testing.assert_allclose(fitted.predict_proba(X[..., :n]), expected)
    assert fitted.inverse_temperature(0.39) == fitted.inverse_temperatures_[0]
    with pytest.raises(ValueError, match=r"0.2 s is shorter"):
        fitted.inverse_temperature(0.2)


def test_it_goes_through_an_artifact(fitted, data, tmp_path):
    X = data[0][:6]
    manifest = Manifest(ch_names=("Pz", "O1", "Oz", "O2"), sfreq=SFREQ)
    save(fitted, manifest, tmp_path / "model")
    loaded, found = load(tmp_path / "model")
    assert found.kind == "deep_ssvep"
    assert found.any_length
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_a_model_is_refused_where_windows_start_elsewhere(fitted, tmp_path):
    names = ("Pz", "O1", "Oz", "O2")
    window = {"kind": "marker", "length_s": 0.4, "offset_s": 0.14}
    save(fitted, Manifest(ch_names=names, sfreq=SFREQ, window=window), tmp_path / "model")
    manifest = load(tmp_path / "model")[1]
    info = StreamInfo("amp", SFREQ, names, ("eeg",) * 4)
    check(manifest, info, window=window)
    for changed in ({"kind": "sliding"}, {"offset_s": 0.0}):
        with pytest.raises(ModelError, match="does not fit"):
            check(manifest, info, window={**window, **changed})


def test_deciding_with_a_loaded_model_needs_no_torch(fitted, data, tmp_path):
    save(fitted, Manifest(ch_names=("Pz", "O1", "Oz", "O2"), sfreq=SFREQ), tmp_path / "model")
    np.save(tmp_path / "X.npy", data[0][:2])
    code = (
        "import sys, numpy as np\n"
        "from bci.decoders.artifact import load\n"
        f"decoder, _ = load({str(tmp_path / 'model')!r})\n"
        f"print(decoder.predict_proba(np.load({str(tmp_path / 'X.npy')!r})).shape)\n"
        "assert not {'torch', 'models'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.strip() == "(2, 3)"


def test_networks_of_held_out_trials_have_seen_them_in_neither_stage():
    _, y, subjects, _ = toys.blocks_of(1, n_subjects=3, n_blocks=5)
    codes = np.searchsorted(LABELS, y)
    decoder = make(target="S1", calibration_folds=2)
    decoder.classes_ = np.array(LABELS)
    first, second, folds = decoder._plan(codes, subjects)
    own = np.flatnonzero(subjects == "S1")
    np.testing.assert_array_equal(first[0], np.arange(45))
    np.testing.assert_array_equal(second[0][0], own)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), own)
    for k, fold in enumerate(folds, start=1):
        rows, origin = second[k]
        assert origin == k
        assert not np.isin(fold, first[k]).any()
        assert not np.isin(fold, rows).any()
        assert set(codes[rows]) == {0, 1, 2}


def test_without_a_target_whole_subjects_are_held_out():
    _, y, subjects, _ = toys.blocks_of(1, n_subjects=3, n_blocks=2)
    decoder = make(calibration_folds=2)
    decoder.classes_ = np.array(LABELS)
    first, second, folds = decoder._plan(np.searchsorted(LABELS, y), subjects)
    assert second == []
    for rows, fold in zip(first[1:], folds, strict=True):
        assert not set(subjects[rows]) & set(subjects[fold])


def test_calibration_changes_no_label_and_no_network(data):
    X, y, subjects, _ = data
    mine = subjects == "S1"
    with_, without = (make(calibration_folds=k).fit(X[mine], y[mine]) for k in (2, 0))
    assert without.inverse_temperatures_.tolist() == [1.0]
    assert with_.inverse_temperatures_[0] != 1.0
    assert with_.weights_[0]["fir_weight"].shape == without.weights_[0]["fir_weight"].shape


def test_probabilities_say_how_often_they_are_right():
    X, y, _, blocks = toys.blocks_of(3, n_subjects=1, n_blocks=80, amplitude=0.25)
    train = blocks < 14
    decoder = make(calibration_folds=7)  # networks that learn from almost as many trials
    proba = decoder.fit(X[train], y[train]).predict_proba(X[~train])
    right = decoder.classes_[proba.argmax(axis=1)] == y[~train]
    assert 0.4 < right.mean() < 0.999  # neither trivial
    assert proba.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.15)


def test_the_seed_decides_everything(data):
    X, y, subjects, _ = data
    mine = subjects == "S1"
    scores = [
        make(calibration_folds=0, n_epochs=(3, 3), random_state=seed)
        .fit(X[mine], y[mine])
        .scores(X)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_a_stopped_training_goes_on_from_its_checkpoint(data, tmp_path):
    X, y, subjects, _ = data
    decoder = make(target="S2", calibration_folds=2, n_epochs=(4, 4), checkpoint=str(tmp_path))
    calls = []

    def after_six():
        calls.append(1)
        return len(calls) > 6

    with pytest.raises(TrainingStopped, match=r"second stage after epoch 2 of 4; called again"):
        decoder.fit(X, y, subjects, should_stop=after_six)
    assert not hasattr(decoder, "weights_")
    seen = []
    decoder.fit(X, y, subjects, progress=lambda *what: seen.append(what[:3]))
    assert seen == [("second stage", 3, 4), ("second stage", 4, 4)]
    whole = make(target="S2", calibration_folds=2, n_epochs=(4, 4)).fit(X, y, subjects)
    np.testing.assert_array_equal(decoder.predict_proba(X), whole.predict_proba(X))


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros((81, 44))}, r"\(n_windows, n_channels, n_times\)"),
        ({"X": np.full((81, 4, 44), np.nan)}, r"window 0 \(81 such windows"),
        ({"X": np.zeros((81, 4, 20))}, r"20 samples cannot train a network for 30 \(0.3 s\)"),
        ({"y": ["9 Hz"] * 81}, "at least two classes"),
        ({"y": ["9 Hz"] * 3}, "one label for each of 81"),
        ({"subjects": ["S0"] * 3}, "one for each of 81 windows"),
        ({"target": "S9"}, r"'S9' is none of the subjects \['S0', 'S1', 'S2'\]"),
        ({"frequencies": {**toys.FREQUENCIES, "20 Hz": 20.0}}, r"must hold each of .*'20 Hz'"),
        ({"n_bands": 6}, "room for 1 to 5 sub-bands"),
        ({"window_s": ()}, "one length at least"),
        ({"channels": [0, 7]}, "has 4 channels, the decoder uses number 7"),
    ],
)
def test_what_cannot_be_trained_is_refused(data, change, message):
    given = {"X": data[0], "y": data[1], "subjects": data[2]}
    parameters = {"target": "S0"}
    for key, value in change.items():
        (given if key in given else parameters)[key] = value
    with pytest.raises(ValueError, match=message):
        make().set_params(**parameters).fit(**given)


def test_too_little_to_calibrate_or_a_missing_class_is_refused(data):
    X, y, subjects, blocks = data
    once = (blocks == 0) & (subjects == "S0")
    with pytest.raises(
        ValueError, match="two or more trials of each class, found 1; calibration_fo"
    ):
        make().fit(X[once], y[once])
    make(calibration_folds=0, n_epochs=(1, 1)).fit(X[once], y[once])
    gone = (subjects == "S1") & (y == "12 Hz")
    with pytest.raises(ValueError, match=r"target 'S1' has no trial of \['12 Hz'\]"):
        make(target="S1").fit(X[~gone], y[~gone], subjects[~gone])
    with pytest.raises(ValueError, match="two or more subjects"):
        make().fit(X[once], y[once], ["S0"] * once.sum())


def test_other_channels_than_trained_are_refused(fitted, data):
    with pytest.raises(ValueError, match="has 3 channels, the decoder expects 4"):
        fitted.predict(data[0][:, :3])


def test_without_torch_training_says_what_to_install(data):
    code = (
        "import sys\n"
        "import numpy as np\n"
        "class Absent:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torch':\n"
        "            raise ModuleNotFoundError('No module named torch', name='torch')\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from bci.decoders import DeepSSVEP\n"
        "X = np.random.default_rng(0).standard_normal((8, 3, 50))\n"
        "DeepSSVEP(100.0, window_s=(0.4,)).fit(X, list('abababab'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, timeout=60, capture_output=True, text=True
    )
    assert "MissingDependency" in done.stderr
    assert "pip install 'neuroloop[deep]'" in done.stderr


# --- settings -------------------------------------------------------------------------------------

INFO = StreamInfo("amp", 250.0, ("Oz", "O1", "O2", "EOG"), ("eeg", "eeg", "eeg", "eog"))


def test_settings_build_the_decoder():
    decoder = DeepSSVEPSettings(window_s=[0.4, 1.0], n_epochs=200, dropout=0.7).build(INFO)
    assert (decoder.sfreq, decoder.channels, decoder.n_epochs) == (250.0, [0, 1, 2], (200, 200))
    assert decoder.dropout[1] == (0.7, 0.7, 0.95)
    assert not hasattr(decoder, "classes_")
    with pytest.raises(ConfigError, match="channels POz asked for, the stream has Oz, O1, O2, EOG"):
        DeepSSVEPSettings(channels=["POz"]).build(INFO)
    with pytest.raises(ConfigError, match="decoder deep_ssvep: a window of 2 samples is too short"):
        DeepSSVEPSettings(window_s=[0.01]).build(INFO)


def test_an_untrained_network_cannot_decide():
    from bci.config import Config
    from bci.decoders.artifact import load_decoder

    config = Config.model_validate(
        {"source": {"kind": "simulated"}, "decoder": {"kind": "deep_ssvep"}}
    )
    with pytest.raises(UntrainedDecoder, match="'deep_ssvep' must be trained"):
        load_decoder(config, INFO)
