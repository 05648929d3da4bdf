"""A denoiser in the stream: what it does not take away comes out, delayed exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from bci.denoise.artifact import DenoiserManifest
from bci.dsp.artifacts.denoiser import DenoiserSettings, DenoiserStage
from bci.errors import ConfigError, ModelError
from bci.types import Chunk, Flag, StreamInfo

NAMES = ("Fp1", "Fz", "C3", "Cz", "C4", "Oz")
N_TIMES = 64  # of a window, 0.25 s at 256 Hz


@dataclass
class Known:
    """In place of a trained network: a function of windows, and what it was given."""

    manifest: DenoiserManifest
    function: object

    def __post_init__(self):
        self.seen = []

    def clean(self, x):
        self.seen.append(np.array(x))
        return self.function(x)


def known(function, ch_names=NAMES, **more):
    manifest = DenoiserManifest(
        network="art", n_channels=len(ch_names) or 1, n_times=N_TIMES, sfreq=256.0,
        ch_names=ch_names, digest="0" * 8, **more,
    )  # fmt: skip
    return Known(manifest, function)


def stream(sfreq=256.0, names=NAMES, types=None):
    return StreamInfo("test", sfreq, names, types or ("eeg",) * len(names))


def stage(denoiser, info, start=0, *, hop_s=0.1, **settings):
    made = DenoiserStage(DenoiserSettings(path="none", hop_s=hop_s, **settings), denoiser)
    made.reset(info, start)
    return made


def run(made, data, start=0, cuts=(), flags=()):
    bounds = [0, *cuts, len(data)]
    outs = []
    for a, b in pairwise(bounds):
        mine = tuple(f for f in flags if start + a <= f.start < start + b)
        outs.append(made(Chunk(start + a, data[a:b], mine)))
    return np.concatenate([out.data for out in outs]), [f for out in outs for f in out.flags]


def noise(n, n_channels=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, n_channels)) * 10


def covered(flags, reason, n):
    mask = np.zeros(n, bool)
    for f in flags:
        if f.reason == reason:
            mask[f.start : f.stop] = True
    return mask


@pytest.mark.parametrize("sfreq", [160.0, 256.0, 500.0])
@pytest.mark.parametrize("start", [0, 1234])
@pytest.mark.parametrize("names", [NAMES, ("O1", "Oz", "T3", "VEOG", "Fp1")])
def test_a_network_that_removes_nothing_gives_the_input_back_delayed(sfreq, start, names):
    types = tuple("eog" if name == "VEOG" else "eeg" for name in names)
    made = stage(known(lambda x: x), stream(sfreq, names, types), start, hop_s=0.05)
    late = 2 * int(0.05 * sfreq)
    assert made.delay_s == late / sfreq <= 0.1
    data = noise(700, len(names))
    out, _ = run(made, data, start, cuts=[1, 300])
    np.testing.assert_allclose(out[late:], data[:-late], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(out[:late], np.repeat(data[:1], late, axis=0))


def test_what_the_network_removes_is_gone_once_windows_are_full():
    """A network of zeros: nothing of the EEG is left, other channels pass."""
    names, types = (*NAMES, "TRIG"), ("eeg",) * 6 + ("stim",)
    made = stage(known(np.zeros_like), stream(256.0, names, types), hop_s=0.05)
    data = noise(600, 7)
    out, flags = run(made, data)
    hop = 12
    # the first full window ends at 72, and cleans as the later of the two from 48 on
    first = 72 - 2 * hop
    np.testing.assert_allclose(out[first + 3 * hop :, :6], 0.0, atol=1e-12)
    np.testing.assert_array_equal(out[2 * hop : first + 2 * hop], data[:first])
    np.testing.assert_array_equal(out[2 * hop :, 6], data[: -2 * hop, 6])
    repaired, warm = covered(flags, "denoiser", 600), covered(flags, "warm-up", 600)
    assert repaired[72:].all()
    assert warm[hop:72].all()
    assert not (repaired & warm).any()
    assert all(f.repairs and not f.rejects for f in flags if f.reason == "denoiser")
    assert not any(f.repairs or f.rejects for f in flags if f.reason == "warm-up")


def test_little_removed_is_no_repair():
    assert not covered(run(stage(known(lambda x: 0.95 * x), stream()), noise(900))[1],
                       "denoiser", 900).any()  # fmt: skip
    made = stage(known(lambda x: 0.95 * x), stream(), noted_from=0.0, hop_s=0.1)
    assert covered(run(made, noise(900))[1], "denoiser", 900)[75:].all()


def test_neighbouring_windows_are_blended():
    """Each window is lowered by its own constant; the output passes from one to the next."""
    steps = iter(range(1, 1000))
    made = stage(known(lambda x: x - next(steps)), stream(), hop_s=0.125)
    hop = 32
    out, _ = run(made, np.zeros((900, 6)) + noise(900, 6) * 1e-9)
    blend = (1 - np.cos(np.pi * (np.arange(hop) + 0.5) / hop)) / 2
    expected = np.concatenate([blend * 1] + [k + blend for k in range(1, 20)])
    got = -out[2 * hop :, 0][: 20 * hop]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_windows_come_one_at_a_time_at_multiples_of_the_hop():
    denoiser = known(lambda x: x)
    run(stage(denoiser, stream(), 5, hop_s=0.05), data := noise(200), 5)
    hop, n = 12, N_TIMES
    ends = [e for e in range(hop, 206, hop) if e - 5 >= n]
    assert [x.shape for x in denoiser.seen] == [(1, 6, n)] * len(ends)
    for x, end in zip(denoiser.seen, ends, strict=True):
        np.testing.assert_array_equal(x[0], data[end - 5 - n : end - 5].T)


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_a_dead_channel_passes_and_its_place_is_filled(value):
    denoiser = known(np.zeros_like)
    made = stage(denoiser, stream(), hop_s=0.05)
    data = noise(600)
    data[300:, 3] = value
    out, _ = run(made, data)
    np.testing.assert_array_equal(out[400:, 3], data[376:-24, 3])
    np.testing.assert_allclose(np.delete(out[400:], 3, axis=1), 0.0, atol=1e-12)
    around = denoiser.seen[-1][0]
    assert np.isfinite(around).all()
    assert np.ptp(around[3]) > 0  # Cz has what C3, C4, Fz and so on have
    assert all(np.isfinite(x).all() for x in denoiser.seen)


def test_nothing_left_alive_passes_as_it_is():
    denoiser = known(np.zeros_like)
    out, flags = run(stage(denoiser, stream(), hop_s=0.05), np.full((300, 6), 3.0))
    np.testing.assert_array_equal(out, 3.0)
    assert not denoiser.seen
    assert not covered(flags, "denoiser", 300).any()


def test_flags_go_with_their_samples():
    made = stage(known(lambda x: x), stream(), hop_s=0.05)
    flags = [Flag(100, 110, "gap"), Flag(150, 151, "bad-channel", "Cz", False)]
    _, out = run(made, noise(300), cuts=[110, 130, 151], flags=flags)
    np.testing.assert_array_equal(np.flatnonzero(covered(out, "gap", 300)), range(124, 134))
    np.testing.assert_array_equal(np.flatnonzero(covered(out, "bad-channel", 300)), [174])
    np.testing.assert_array_equal(np.flatnonzero(covered(out, "delay", 300)), range(24))
    assert next(f for f in out if f.reason == "delay").rejects


def test_each_channel_by_itself_where_the_denoiser_knows_no_names():
    denoiser = known(lambda x: x, ch_names=())
    run(stage(denoiser, stream(256.0, ("Lead 1", "Lead 2"))), noise(400, 2))
    assert denoiser.seen[0].shape == (1, 2, N_TIMES)


def test_more_channels_than_places_are_cleaned_in_groups():
    names = ("Fp1", "Fz", "C3", "Cz", "C4", "Oz", "O1", "P3", "Pz")
    denoiser = known(lambda x: x / 2)
    data = noise(500, 9)
    out, _ = run(stage(denoiser, stream(256.0, names), hop_s=0.05), data)
    assert denoiser.seen[0].shape == (2, 6, N_TIMES)
    np.testing.assert_allclose(out[200:], data[176:-24] / 2, atol=1e-12)


@pytest.mark.parametrize(
    ("info", "settings", "more", "message"),
    [
        (stream(100.0), {}, {}, "trained at 256 Hz, and the stream's 100 Hz"),
        (stream(names=("Lead 1",)), {}, {}, "Lead 1: no electrode"),
        (stream(types=("eog",) * 6), {}, {}, "no EEG channel"),
        (stream(), {"hop_s": 0.2}, {}, "two hops long at least"),
        (stream(), {}, {"training": {"data": {"kind": "pairs"}}}, "average-referenced"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused(info, settings, more, message):
    with pytest.raises(ConfigError, match=message):
        stage(known(lambda x: x, **more), info, **settings)


def test_behind_an_average_reference_it_is_taken():
    denoiser = known(lambda x: x, training={"data": {"kind": "pairs"}})
    assert stage(denoiser, replace(stream(), rank=5), hop_s=0.1).delay_s == 50 / 256


def test_a_folder_that_is_not_there_is_said():
    with pytest.raises(ModelError, match="does not exist"):
        DenoiserSettings(path="nowhere").build()
