"""Sub-bands, inference without torch, and checkpoints of the deep decoders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal

from bci.decoders.deep.checkpoint import Checkpoint, array_hash
from bci.decoders.deep.folded_network import FoldedNetwork
from bci.decoders.deep.subbands import subbands
from bci.decoders.deep.training import occurrences, without
from bci.errors import ModelError
from models.ssvep_dnn import SSVEPNet, SSVEPNetConfig

# --- sub-bands ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_times", [7, 50, 100, 251])
def test_subbands_equal_filtfilt_of_each_channel(n_times):
    X = 20 * np.random.default_rng(0).standard_normal((2, 3, n_times))
    found = subbands(X, 250.0, 4)
    assert found.shape == (2, 4, 3, n_times)
    for r in range(1, 5):
        b, a = signal.cheby1(1, 1, [8 * r, 90], "bandpass", fs=250)
        for window, filtered in zip(X, found[:, r - 1], strict=True):
            for channel, expected in zip(window, filtered, strict=True):
                by_scipy = signal.filtfilt(b, a, channel, padlen=6)
                np.testing.assert_allclose(expected, by_scipy, rtol=0, atol=1e-11)


def test_subbands_attenuate_as_their_filters_do_twice():
    hz = np.array([4.0, 12.0, 20.0, 40.0])
    waves = np.sin(2 * np.pi * hz[:, None] * np.arange(1000) / 250.0)
    rms = subbands(waves[None], 250.0, 3)[0][..., 250:750].std(axis=-1) * np.sqrt(2)
    for r, found in enumerate(rms, 1):
        b, a = signal.cheby1(1, 1, [8 * r, 90], "bandpass", fs=250)
        gain = np.abs(signal.freqz(b, a, hz, fs=250)[1]) ** 2
        np.testing.assert_allclose(found, gain, atol=0.01)


@pytest.mark.parametrize(
    ("sfreq", "n_bands", "n_times", "message"),
    [
        (250.0, 11, 100, "room for 1 to 10 sub-bands"),
        (100.0, 6, 100, r"to 45 Hz; asked for 6"),
        (250.0, 3, 6, r"6 samples is too short .* need 7 \(0.028 s\)"),
    ],
)
def test_subbands_that_cannot_work_are_refused(sfreq, n_bands, n_times, message):
    with pytest.raises(ValueError, match=message):
        subbands(np.zeros((1, 2, n_times)), sfreq, n_bands)


# --- deciding without torch -----------------------------------------------------------------------


@pytest.mark.parametrize("n_times", [40, 41])
@pytest.mark.parametrize("n_taps", [10, 3])
def test_the_folded_network_gives_the_scores_of_the_network(n_times, n_taps):
    network = SSVEPNet(SSVEPNetConfig(4, n_times, 5, n_filters=7, n_taps=n_taps)).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    X = 10 * np.random.default_rng(1).standard_normal((6, 4, n_times))
    with torch.no_grad():
        expected = network(torch.from_numpy(subbands(X, 250.0, 3))[:, None])[:, 0].numpy()
    weights = {name: p.detach().numpy()[0] for name, p in network.named_parameters()}
    folded = FoldedNetwork(weights, 250.0, n_times)
    np.testing.assert_allclose(folded.scores(X), expected, rtol=1e-10, atol=1e-10)
    one_by_one = np.concatenate([folded.scores(x[None]) for x in X])
    np.testing.assert_allclose(one_by_one, folded.scores(X), rtol=0, atol=1e-12)


# --- checkpoints ----------------------------------------------------------------------------------


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path):
    kept = Checkpoint(tmp_path / "new" / "stage", {"seed": 3})
    assert kept.read() is None
    arrays = {
        "weights": np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32),
        "step": np.float32(4),
        "losses": np.array([[np.pi, 1 / 3]]),
    }
    kept.write({name: np.asarray(value) for name, value in arrays.items()})
    found = Checkpoint(tmp_path / "new" / "stage", {"seed": 3}).read()
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == np.asarray(value).dtype
    assert [path.name for path in kept.path.parent.iterdir()] == ["stage"]


def test_a_checkpoint_of_something_else_or_damaged_is_refused(tmp_path):
    kept = Checkpoint(tmp_path / "stage", {"seed": 3})
    kept.write({"weights": np.zeros(3)})
    with pytest.raises(ModelError, match="belongs to another training"):
        Checkpoint(kept.path, {"seed": 4}).read()
    kept.path.write_bytes(kept.path.read_bytes()[:20])
    with pytest.raises(ModelError, match="cannot be read"):
        kept.read()
    with pytest.raises(ModelError, match="cannot be written"):
        Checkpoint(kept.path / "below", {}).write({})


def test_trainings_in_one_folder_do_not_meet(tmp_path):
    one, other = (Checkpoint.of(tmp_path, "first stage", {"seed": seed}) for seed in (1, 2))
    one.write({"epoch": np.array([1])})
    assert other.read() is None
    again = Checkpoint.of(tmp_path, "first stage", {"seed": 1})
    assert again.path.name.startswith("first-stage-")
    assert again.read()["epoch"] == [1]


def test_a_crash_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    kept = Checkpoint(tmp_path / "stage", {})
    kept.write({"epoch": np.array([1])})
    monkeypatch.setattr("os.fsync", lambda descriptor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kept.write({"epoch": np.array([2])})
    assert kept.read()["epoch"] == [1]


def test_the_hash_sees_values_shapes_and_types():
    a = np.arange(6.0)
    hashes = {array_hash(x) for x in (a, a.reshape(2, 3), a.astype(np.float32), a + 1e-12)}
    assert len(hashes) == 4
    assert array_hash(a) == array_hash(a.copy())


# --- folds ----------------------------------------------------------------------------------------


def test_blocks_are_found_from_the_order_of_trials():
    codes = np.array([1, 0, 0, 2, 1, 1, 2, 0])
    np.testing.assert_array_equal(occurrences(codes), [0, 0, 1, 0, 1, 2, 1, 2])


def test_what_is_held_out_is_left_out():
    rows = np.array([3, 5, 7, 9])
    parts = without(rows, [np.array([5, 7]), np.array([9])])
    assert [part.tolist() for part in parts] == [[3, 5, 7, 9], [3, 9], [3, 5, 7]]
