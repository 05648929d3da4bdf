"""The amplitude gate."""

from __future__ import annotations

import numpy as np
import pytest

from bci.dsp.amplitude import AmplitudeGate
from bci.errors import ConfigError
from bci.types import Chunk


def planted(info, at, channel="Cz"):
    data = np.zeros((400, info.n_channels))
    data[at, info.ch_names.index(channel)] = -151.0
    return data


def test_flags_the_samples_beyond_and_changes_nothing(info, run) -> None:
    stage = AmplitudeGate(max_uv=150).build()
    assert stage.reset(info) == info
    data = planted(info, [5, 6, 7, 300])
    out = run(stage, data, [6, 299])
    np.testing.assert_array_equal(out.data, data)
    assert set(out.flagged) == {("amplitude", None, True)}
    mask = out.flagged["amplitude", None, True]
    np.testing.assert_array_equal(np.flatnonzero(mask), [5, 6, 7, 300])


def test_one_flag_per_run(info) -> None:
    stage = AmplitudeGate().build()
    stage.reset(info)
    flags = stage(Chunk(0, planted(info, [0, 1, 9, 399]))).flags
    assert [(f.start, f.stop) for f in flags] == [(0, 2), (9, 10), (399, 400)]


def test_the_limit_itself_is_allowed(info) -> None:
    stage = AmplitudeGate(max_uv=151).build()
    stage.reset(info)
    assert stage(Chunk(0, planted(info, [3]))).flags == ()


def test_padding_reaches_forward_over_chunks(info, run) -> None:
    stage = AmplitudeGate(max_uv=150, pad_s=0.1).build()  # 20 samples
    stage.reset(info, 1000)
    out = run(stage, planted(info, [5, 15]), [16, 18, 30, 200], 1000)
    mask = out.flagged["amplitude", None, True]
    np.testing.assert_array_equal(np.flatnonzero(mask), np.arange(5, 36))


def test_padding_ends_at_a_reset(info) -> None:
    stage = AmplitudeGate(max_uv=150, pad_s=5).build()
    stage.reset(info, 0)
    assert stage(Chunk(0, planted(info, [5]))).flags
    stage.reset(info, 400)
    assert stage(Chunk(400, planted(info, []))).flags == ()


@pytest.mark.parametrize("channel", ["VEOG", "TRIG"])
def test_other_types_may_be_large(channel, info) -> None:
    stage = AmplitudeGate().build()
    stage.reset(info)
    assert stage(Chunk(0, planted(info, [5], channel))).flags == ()


def test_needs_eeg(info) -> None:
    from dataclasses import replace

    with pytest.raises(ConfigError, match="amplitude: the stream has no EEG channel"):
        AmplitudeGate().build().reset(replace(info, ch_types=("eog",) * info.n_channels))
