"""A small stream with EEG, EOG and trigger channels, and one way to feed a stage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bci.dsp import Stage
from bci.types import Chunk, Flag, FloatArray, StreamInfo

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one

EEG = ("Fp1", "Fp2", "C3", "Cz", "C4", "P3", "P4", "O1", "Oz", "O2")


@dataclass
class Output:
    """What a stage made of a whole stream."""

    start: int
    data: FloatArray
    #: (reason, channel, rejects): which output samples have it
    flagged: dict[tuple[str, str | None, bool], np.ndarray] = field(default_factory=dict)


def feed(
    stage: Stage,
    data: np.ndarray,
    cuts: Sequence[int] = (),
    start: int = 0,
    flags: Sequence[Flag] = (),
) -> Output:
    """Feed `data` cut at `cuts` (positions in it; doubled ones give empty chunks)."""
    data = data.copy()
    data.flags.writeable = False  # a stage that writes to its input fails here
    bounds = [0, *sorted(cuts), len(data)]
    outs: list[Chunk] = []
    for a, b in pairwise(bounds):
        lo, hi = start + a, start + b
        mine = tuple(
            Flag(max(f.start, lo), min(f.stop, hi), f.reason, f.channel, f.rejects)
            for f in flags
            if max(f.start, lo) < min(f.stop, hi)
        )
        out = stage(Chunk(lo, data[a:b], mine))
        assert out.data.dtype == np.float64
        assert out.data.flags.c_contiguous
        assert out.data.ndim == 2
        if outs:
            assert out.start == outs[-1].stop
        assert all(out.start <= f.start < f.stop <= out.stop for f in out.flags)
        outs.append(out)
    first, n = outs[0].start, outs[-1].stop - outs[0].start
    flagged: dict[tuple[str, str | None, bool], np.ndarray] = {}
    for f in (f for out in outs for f in out.flags):
        mask = flagged.setdefault((f.reason, f.channel, f.rejects), np.zeros(n, bool))
        mask[f.start - first : f.stop - first] = True
    return Output(first, np.concatenate([out.data for out in outs]), flagged)


@pytest.fixture(scope="session")
def run() -> Callable[..., Output]:
    return feed


@pytest.fixture(scope="session")
def head() -> dict[str, tuple[float, float, float]]:
    """Positions of the 64 BioSemi electrodes in head coordinates, metres."""
    mne = pytest.importorskip("mne")
    montage = mne.channels.make_standard_montage("biosemi64")
    info = mne.create_info(montage.ch_names, 256.0, "eeg").set_montage(montage)
    return {ch["ch_name"]: tuple(ch["loc"][:3].tolist()) for ch in info["chs"]}


@pytest.fixture(scope="session")
def info(head: dict[str, tuple[float, float, float]]) -> StreamInfo:
    """Ten EEG channels with an EOG and a trigger channel among them, 200 Hz."""
    names = (*EEG[:4], "VEOG", *EEG[4:], "TRIG")
    types = tuple({"VEOG": "eog", "TRIG": "stim"}.get(name, "eeg") for name in names)
    return StreamInfo("test", 200.0, names, types, {name: head[name] for name in EEG})


@pytest.fixture(scope="session")
def recording(info: StreamInfo) -> FloatArray:
    """Nine seconds: drifting offsets, common activity, spikes, a dead and a noisy channel."""
    rng = np.random.default_rng(7)
    n, sfreq = 1800, info.sfreq
    t = np.arange(n)[:, None] / sfreq
    data = 12.0 * rng.standard_normal((n, info.n_channels))
    data += 10.0 * np.sin(2 * np.pi * 10 * t) + 5.0 * np.sin(2 * np.pi * 50 * t)
    data += np.linspace(-300, 300, info.n_channels) + 4.0 * t
    data[500:1300, 2] = 17.0  # C3 goes dead
    data[700:1500, 6] *= 40.0  # and P3 loose
    data[900, 3] += 5000.0
    data[:, -1] = (np.arange(n) // 100) % 4
    data.flags.writeable = False
    return data
