"""Bad channels: found for each reason, causally, and repaired as MNE does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bci.dsp.bad_channels import BadChannels
from bci.errors import ConfigError
from bci.types import Chunk, StreamInfo

SFREQ, BLOCK = 200.0, 200


@pytest.fixture(scope="module")
def clean(info: StreamInfo) -> np.ndarray:
    """Ten seconds of noise and alpha, alike on all channels, with offsets and drift."""
    rng = np.random.default_rng(3)
    t = np.arange(2000)[:, None] / SFREQ
    data = 10 * rng.standard_normal((2000, info.n_channels)) + 8 * np.sin(2 * np.pi * 10 * t)
    return data + np.linspace(-2e4, 2e4, info.n_channels) + 300 * t


def flat(x: np.ndarray) -> np.ndarray:
    return np.full_like(x, x[0])


def railed(x: np.ndarray) -> np.ndarray:
    low, high = np.quantile(x - x.mean(), [0.3, 0.7])
    return np.clip(x - x.mean(), low, high)


def noisy(x: np.ndarray) -> np.ndarray:
    return x.mean() + 9 * (x - x.mean())


def loud(x: np.ndarray) -> np.ndarray:
    return x + 400 * np.sin(0.1 * np.arange(len(x)))


def line(x: np.ndarray) -> np.ndarray:
    return x + 45 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / SFREQ)


def mask(out, name, rejects=False):
    return out.flagged.get(("bad-channel", name, rejects), np.zeros(len(out.data), bool))


def test_clean_data_is_left_alone(info, clean, run) -> None:
    stage = BadChannels().build()
    assert stage.reset(info) == info
    out = run(stage, clean, [7, 300])
    np.testing.assert_array_equal(out.data, clean)
    assert out.flagged == {}


@pytest.mark.parametrize("defect", [flat, railed, noisy, loud, line])
def test_each_defect_is_found_after_its_blocks_and_forgiven_after_more(
    defect, info, clean, run
) -> None:
    """Bad in samples 400 to 1200: known from 400 + 2 blocks on, good again 3 blocks after."""
    stage = BadChannels(action="exclude", bad_after=2, good_after=3).build()
    stage.reset(info)
    data = clean.copy()
    column = info.ch_names.index("P3")
    data[400:1200, column] = defect(data[400:1200, column])
    out = run(stage, data, [100, 799, 801])
    expected = np.zeros(2000, bool)
    expected[800:1800] = True
    assert set(out.flagged) == {("bad-channel", "P3", False)}
    np.testing.assert_array_equal(mask(out, "P3"), expected)
    assert (out.data[800:1800, column] == 0).all()
    np.testing.assert_array_equal(out.data[~expected], data[~expected])


def test_line_noise_is_told_from_other_noise_by_its_frequency(info, clean, run) -> None:
    data = clean.copy()
    data[:, 0] = line(data[:, 0])
    for hz, found in [(50.0, True), (60.0, False), (None, False), (100.0, False)]:
        stage = BadChannels(action="exclude", line_hz=hz, noisy_z=9).build()
        stage.reset(info)
        assert mask(run(stage, data), "Fp1").any() == found


def test_a_single_bad_block_is_no_bad_channel(info, clean, run) -> None:
    stage = BadChannels(action="exclude", bad_after=2).build()
    stage.reset(info)
    data = clean.copy()
    data[400:600, 0] = 0
    data[800:1000, 0] = 0
    assert run(stage, data).flagged == {}


def test_a_channel_that_is_good_again_at_once_still_waits(info, clean, run) -> None:
    stage = BadChannels(action="exclude", bad_after=2, good_after=3).build()
    stage.reset(info)
    data = clean.copy()
    data[400:800, 0] = 0
    flagged = np.flatnonzero(mask(run(stage, data), "Fp1"))
    np.testing.assert_array_equal(flagged, np.arange(800, 1400))


def test_blocks_lie_on_absolute_indices(info, clean, run) -> None:
    """A stream that starts within a block waits for the next one."""
    data = clean.copy()
    data[:, 0] = 5.0
    for start, known in [(0, 200), (1, 400), (199, 400), (200, 400), (1000, 1200)]:
        stage = BadChannels(action="exclude", bad_after=1).build()
        stage.reset(info, start)
        out = run(stage, data, [3, 350], start)
        assert start + np.argmax(mask(out, "Fp1")) == known


def test_only_eeg_is_judged(info, clean, run) -> None:
    data = clean.copy()
    data[:, [4, -1]] = 0
    stage = BadChannels(bad_after=1).build()
    stage.reset(info)
    out = run(stage, data)
    np.testing.assert_array_equal(out.data, data)
    assert out.flagged == {}


@pytest.mark.parametrize("bads", [["C3"], ["Fp1", "Oz", "P4"]])
def test_interpolation_equals_mne(bads, head, run) -> None:
    """64 channels; the bads are found, not told, and the rest is compared with MNE's own."""
    mne = pytest.importorskip("mne")
    names = tuple(head)
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((3000, 6)) @ rng.standard_normal((6, 3)) * 10
    data = sources @ (np.array(list(head.values())).T * 10) + rng.standard_normal((3000, 64))
    for name in bads:
        data[:, names.index(name)] += 300 * rng.standard_normal(3000)
    info = StreamInfo("test", 1000.0, names, ("eeg",) * 64, head)
    stage = BadChannels(bad_after=2).build()
    stage.reset(info)
    out = run(stage, data, [20, 1999, 2500])
    assert {channel for _, channel, _ in out.flagged} == set(bads)

    minfo = mne.create_info(list(names), 1000.0, "eeg")
    minfo.set_montage(mne.channels.make_dig_montage(head, coord_frame="head"))
    minfo["bads"] = list(bads)
    raw = mne.io.RawArray(data.T.copy(), minfo, verbose=False)
    raw.interpolate_bads(verbose=False)
    expected = raw.get_data().T
    np.testing.assert_allclose(out.data[2000:], expected[2000:], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(out.data[:2000], data[:2000])


def test_few_electrodes_that_fix_no_sphere_still_interpolate(head) -> None:
    names = ("TP7", "AF7", "AF8", "TP8", "Fpz")
    info = StreamInfo("headband", 256.0, names, ("eeg",) * 5, head)
    stage = BadChannels(always=("Fpz",)).build()
    stage.reset(info)
    data = np.repeat(np.arange(50.0)[:, None], 5, axis=1)
    out = stage(Chunk(0, data)).data
    np.testing.assert_allclose(out[:, 4], data[:, 4], atol=1e-6)  # a constant field stays so


@pytest.mark.parametrize(("action", "n_bad", "rejects"), [("interpolate", 7, True),
    ("interpolate", 6, False), ("exclude", 9, False), ("exclude", 10, True)])  # fmt: skip
def test_too_few_good_channels_reject(action, n_bad, rejects, info, clean, run) -> None:
    eeg = [name for name, t in zip(info.ch_names, info.ch_types, strict=True) if t == "eeg"]
    stage = BadChannels(action=action, always=tuple(eeg[:n_bad])).build()
    stage.reset(info)
    out = run(stage, clean[:100])
    assert mask(out, None, True).all() == rejects
    zeroed = (out.data == 0).all(axis=0).sum()
    assert zeroed == (n_bad if rejects or action == "exclude" else 0)


def test_unknown_positions_are_a_clear_error(info) -> None:
    without = replace(info, positions={k: v for k, v in info.positions.items() if k != "Cz"})
    with pytest.raises(ConfigError, match="position of every EEG channel, and that of Cz is not"):
        BadChannels().build().reset(without)
    BadChannels(action="exclude").build().reset(without)


def test_wrong_settings_are_clear_errors(info) -> None:
    with pytest.raises(ConfigError, match=r"block_s of 0.05 s is 10 samples at sfreq 200 Hz"):
        BadChannels(block_s=0.05).build().reset(info)
    with pytest.raises(ConfigError, match=r"no channel 'Ozz', did you mean 'Oz'\?"):
        BadChannels(always=("Ozz",)).build().reset(info)
    with pytest.raises(ConfigError, match="'TRIG' is of type 'stim'"):
        BadChannels(always=("TRIG",)).build().reset(info)
