"""`bci train --kind denoiser`: from a bank to a denoiser on disk, stopped and resumed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from bci import cli
from bci.calibration import denoising
from bci.calibration.denoising import train
from bci.config import load_as
from bci.denoise import artifact
from bci.denoise.bank import Bank
from bci.errors import ConfigError, ModelError, TrainingStopped

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "denoiser").glob("*.yaml"))
N_TIMES = 64


def write_bank(path, seed=0):
    """Alpha-like sines of ten people, slow waves of six."""
    rng = np.random.default_rng(seed)
    t = np.arange(N_TIMES) / 64

    def sines(n, low, high, amplitude):
        f, phase = rng.uniform(low, high, (n, 1)), rng.uniform(0, 7, (n, 1))
        return (amplitude * np.sin(2 * np.pi * f * t + phase)).astype(np.float32)

    np.savez(
        path, fs=64, eeg=sines(120, 8, 12, 10), eeg_src=np.repeat([f"P{k}" for k in range(10)], 12),
        eog=sines(60, 0.5, 2, 80), eog_src=np.repeat([f"E{k}" for k in range(6)], 10),
    )  # fmt: skip
    return path


@pytest.fixture
def config(tmp_path):
    settings = {
        "network": {"name": "u_net", "widths": [6, 8], "taps": 5},
        "data": {"kind": "bank", "path": str(write_bank(tmp_path / "bank.npz")),
                 "artifacts": ["eog"], "n_validation": 30},
        "recipe": {"n_epochs": 4, "learning_rate": 1e-2, "decay": "cosine", "unit": "clean"},
        "batch_size": 16,
        "device": "cpu",
    }  # fmt: skip
    path = tmp_path / "denoiser.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a denoiser, and the lines that were told."""
    folder = tmp_path_factory.mktemp("denoiser")
    told = []
    path = folder / "denoiser.yaml"
    data = {"kind": "bank", "path": str(write_bank(folder / "bank.npz")), "artifacts": ["eog"],
            "n_validation": 30}  # fmt: skip
    settings = {"network": {"name": "u_net", "widths": [6, 8], "taps": 5}, "data": data,
                "recipe": {"n_epochs": 6, "learning_rate": 1e-2, "unit": "clean"}}  # fmt: skip
    path.write_text(yaml.safe_dump(settings))
    train(path, folder / "model", report=told.append)
    return folder / "model", told


def run_cli(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["bci", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


# --- training --------------------------------------------------------------------------------


def test_a_trained_denoiser_says_what_it_is_and_cleans(trained):
    folder, told = trained
    loaded = artifact.load(folder)
    manifest = loaded.manifest
    assert (manifest.network, manifest.n_channels, manifest.n_times) == ("u_net", 1, N_TIMES)
    assert manifest.settings == {"widths": [6, 8], "taps": 5}
    assert (manifest.sfreq, manifest.removes, manifest.ch_names) == (64.0, ("eog",), ())
    bank = Bank.load(folder.parent / "bank.npz")
    train_part, validation, test = bank.split()
    for kind, parts in {
        "eeg": [p.clean_sources for p in (train_part, validation, test)],
        "eog": [p.artifacts["eog"][1] for p in (train_part, validation, test)],
    }.items():
        seen = {*parts[0].tolist(), *parts[1].tolist()}
        assert set(manifest.sources[kind]) == seen
        assert not seen & set(parts[2].tolist())
    scores = manifest.scores
    assert scores["validation_loss"] < 0.5 * scores["validation_loss_untouched"]
    assert any("validation" in line for line in told)
    assert f"wrote denoiser {manifest.model_id}" in told[-1]
    assert not folder.with_name("model-training").exists()
    noisy = np.random.default_rng(0).normal(size=(3, N_TIMES)).astype(np.float32)
    one = loaded.clean(noisy)
    assert one.shape == noisy.shape
    several = loaded.clean(noisy[np.newaxis])  # three channels, each by itself
    np.testing.assert_allclose(several[0], one, atol=1e-5)
    assert loaded.fit(noisy, noisy, 64.0) is loaded


def test_a_training_that_was_stopped_gives_the_same_denoiser(config, tmp_path):
    whole = train(config, tmp_path / "whole", report=lambda _: None)
    asked, told = iter([False, False, True]), []
    with pytest.raises(TrainingStopped, match=r"after epoch 2 of at most 4; go on with --resume"):
        train(config, tmp_path / "rest", should_stop=lambda: next(asked), report=told.append)
    assert not (tmp_path / "rest").exists()
    with pytest.raises(ConfigError, match="begun before and is kept in.*--resume"):
        train(config, tmp_path / "rest", report=told.append)
    rest = train(config, tmp_path / "rest", resume=True, report=told.append)
    assert "goes on after epoch 2" in told
    assert rest.digest == whole.digest
    arrays = [(tmp_path / name / "arrays.safetensors").read_bytes() for name in ("whole", "rest")]
    assert arrays[0] == arrays[1]
    assert not (tmp_path / "rest-training").exists()


def test_nothing_to_resume_is_told(config, tmp_path):
    with pytest.raises(ConfigError, match="nothing to resume"):
        train(config, tmp_path / "model", resume=True, report=lambda _: None)


def test_noise_comes_out_as_not_better(tmp_path, config):
    """Artifacts that look like the EEG itself: what is told must not sound like success."""
    rng = np.random.default_rng(0)
    eeg, eog = rng.normal(size=(2, 60, N_TIMES)).astype(np.float32)
    sources = np.repeat([f"P{k}" for k in range(6)], 10)
    np.savez(tmp_path / "bank.npz", fs=64, eeg=eeg, eeg_src=sources, eog=eog, eog_src=sources)
    told = []
    at_high_snr = ["data.snr_db=[10, 10]", "recipe.learning_rate=1.0", "recipe.n_epochs=1"]
    train(config, tmp_path / "model", overrides=at_high_snr, report=told.append)
    assert "NOT better than untouched" in told[-2]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["network.name=art2"], "no network 'art2'"),
        (["network={}"], "'network' needs a 'name'"),
        (["network.depth=3"], "no setting 'depth'; it has widths, taps"),
        (["recipe.epochs=3"], "unknown key 'recipe.epochs'; known are n_epochs"),
        (["recipe.n_epochs=many"], "'recipe.n_epochs': Input should be a valid integer"),
        (["recipe.n_epochs=0"], "n_epochs and patience must be 1 or more"),
        (["data.path=nowhere.npz"], "bank 'nowhere.npz' does not exist"),
        (["data.artifacts=[emg]"], "no artifact 'emg'; it has eog"),
        (["data.snr_db=[2, -7]"], "a lowest and a highest SNR"),
        (["batch=3"], "unknown key 'batch'; did you mean 'batch_size'"),
        (["device=tpu"], "'device': Input should be 'cpu' or 'cuda'"),
    ],
)
def test_what_is_wrong_is_told(config, tmp_path, overrides, told):
    with pytest.raises((ConfigError, ModelError)) as error:
        train(config, tmp_path / "model", overrides=overrides, report=lambda _: None)
    assert told in str(error.value)
    assert not (tmp_path / "model").exists()


def test_pairs_of_the_simulated_subject(tmp_path):
    path = tmp_path / "pairs.yaml"
    path.write_text(yaml.safe_dump({
        "network": {"name": "u_net", "widths": [4, 6], "taps": 5},
        "data": {"kind": "pairs", "train": {"simulated": [1]}, "validation": {"simulated": [2]},
                 "n_times": 256, "simulated_s": 20},
        "recipe": {"n_epochs": 1}, "batch_size": 8,
    }))  # fmt: skip
    told = []
    manifest = train(path, tmp_path / "model", report=told.append)
    assert (manifest.n_channels, manifest.n_times, manifest.sfreq) == (30, 256, 256.0)
    assert len(manifest.ch_names) == 30
    assert manifest.sources == {"pairs": ("simulated-1", "simulated-2")}
    assert {"Eye", "LineNoise"} <= set(manifest.removes)
    assert told[0].startswith("simulated subject 1: ")
    with pytest.raises(ConfigError, match="'2' is in 'train' and in 'validation'"):
        train(path, tmp_path / "m", overrides=["data.train.simulated=[1, 2]"], report=told.append)
    with pytest.raises(ConfigError, match="needs 'recordings' or 'simulated' subjects"):
        train(path, tmp_path / "m", overrides=["data.validation={}"], report=told.append)


def test_a_folder_in_use_is_told_before_the_work(config, tmp_path, monkeypatch):
    monkeypatch.setattr(denoising, "_fit", lambda *_: pytest.fail("trained"))
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match="exists already"):
        train(config, tmp_path / "model", report=lambda _: None)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_can_be_read(path):
    settings = load_as(denoising.DenoiserTrainingSettings, path)
    denoising._recipe(settings, path)
    from models.denoising import NETWORKS

    assert settings.network["name"] in NETWORKS


# --- the command -----------------------------------------------------------------------------


def test_the_command_trains(config, tmp_path, monkeypatch, capsys):
    arguments = ["train", "--kind", "denoiser", config, "--out", tmp_path / "model",
                 "--set", "recipe.n_epochs=1"]  # fmt: skip
    code, out, err = run_cli(monkeypatch, capsys, *arguments)
    assert (code, err) == (0, "")
    assert "epoch 1 of 1" in out
    assert "wrote denoiser u_net-" in out
    code, _, err = run_cli(monkeypatch, capsys, *arguments)
    assert (code, err.count("\n")) == (1, 1)
    assert "exists already" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--kind", "denoiser", "x.yaml", "a.xdf"], "FILE does not go with --kind denoiser"),
        (["--kind", "denoiser", "x.yaml", "--subject", "a"], "--subject does not go with"),
        (["--kind", "denoiser", "x.yaml"], "x.yaml: cannot be read"),
        (["x.yaml", "--resume"], "--resume does not go with --kind decoder"),
        (["x.yaml"], "--kind decoder is trained on recordings; name one FILE or more"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, told, tmp_path, monkeypatch, capsys):
    given = ["train", *arguments, "--out", tmp_path / "model"]
    code, _, err = run_cli(monkeypatch, capsys, *given)
    assert code == 2
    assert told in err
    assert err.count("\n") == 1


# --- the denoiser on disk --------------------------------------------------------------------


@pytest.fixture
def copy(trained, tmp_path):
    return Path(shutil.copytree(trained[0], tmp_path / "copy"))


def test_a_changed_byte_of_the_weights_is_told(copy):
    data = bytearray((copy / "arrays.safetensors").read_bytes())
    data[-3] ^= 1
    (copy / "arrays.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        artifact.load(copy)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m | {"sfreq": 250.0}, "was altered after saving"),
        (lambda m: m | {"network": 5}, "manifest.json is damaged, or is not that of a denoiser"),
        (lambda m: m | {"schema_version": "bci.model/1"}, "is not that of a denoiser"),
        (lambda m: {}, "is not that of a denoiser: network: Field required"),
    ],
)
def test_a_changed_manifest_is_told(copy, change, told):
    path = copy / "manifest.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ModelError, match=told):
        artifact.load(copy)


def test_torn_or_missing_files_are_told(copy):
    (copy / "manifest.json").write_text('{"network": "u_n')
    with pytest.raises(ModelError, match="manifest.json is damaged"):
        artifact.load(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(ModelError, match="manifest.json is missing"):
        artifact.load(copy)
    with pytest.raises(ModelError, match="does not exist; a denoiser is a folder"):
        artifact.load(copy / "other")


def test_weights_of_another_network_are_refused(trained, tmp_path):
    loaded = artifact.load(trained[0])
    other = loaded.manifest.model_copy(update={"settings": {"widths": [6, 10]}})
    with pytest.raises(ModelError, match="not the one that its manifest describes"):
        artifact.save(tmp_path / "model", loaded.denoiser, other)
    assert not (tmp_path / "model").exists()


def test_a_denoiser_refuses_what_it_was_not_trained_for(trained):
    loaded = artifact.load(trained[0])
    with pytest.raises(ValueError, match=r"windows of shape \(n, channels, 64\), found \(2, 65\)"):
        loaded.clean(np.zeros((2, 65)))
    with pytest.raises(ValueError, match="no numbers"):
        loaded.clean(np.full((2, 64), np.nan))
    with pytest.raises(ValueError, match="trained at 64 Hz, the windows have 128 Hz"):
        loaded.fit(np.zeros((2, 64)), np.zeros((2, 64)), 128.0)
