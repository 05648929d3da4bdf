"""How fast a recording is decoded as fast as it goes, against real time.

Run alone:  pytest -m timing tests/timing/test_replay_timing.py -s
"""

from time import perf_counter

import numpy as np
import pytest

from bci import config
from bci.decoders.covariance.riemann import TangentSpaceLR
from bci.pipeline import Pipeline
from bci.types import Chunk, StreamInfo

pytestmark = pytest.mark.timing

SFREQ, N_CHANNELS, SECONDS, REPEATS = 1000.0, 64, 60, 7
SESSION = """
source: {kind: lsl}
channels: {pick: all, montage: null}
processing:
  - {kind: notch, freq_hz: 50}
  - {kind: bandpass, low_hz: 8, high_hz: 32, order: 4}
  - {kind: reference, mode: average}
window: {kind: sliding, length_s: 1.0, hop_s: 0.1}
decoder: {kind: tangent_space}
"""


def noise(seconds):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(N_CHANNELS, N_CHANNELS))
    return rng.normal(size=(round(seconds * SFREQ), N_CHANNELS)) @ mix


def trained(session, info):
    pipeline = Pipeline(session, info)
    windows = [w for w in pipeline.windows(Chunk(0, noise(30))) if w.data is not None]
    X = np.stack([w.data for w in windows])
    y = np.array(["left", "right"])[np.arange(len(X)) % 2]
    return TangentSpaceLR(rank=pipeline.info.rank).fit(X, y)


@pytest.mark.parametrize("chunk", [20, 100, 1000])
def test_replay_speed(chunk):
    session = config.loads(SESSION)
    info = StreamInfo(
        "noise", SFREQ, tuple(f"Ch{i}" for i in range(N_CHANNELS)), ("eeg",) * N_CHANNELS
    )
    decoder = trained(session, info)
    data = noise(SECONDS)
    times, n = [], 0
    for _ in range(REPEATS):
        pipeline = Pipeline(session, info, decoder, "ts")
        began = perf_counter()
        n = sum(
            len(pipeline.push(Chunk(i, data[i : i + chunk]))) for i in range(0, len(data), chunk)
        )
        times.append(perf_counter() - began)
    assert n == 10 * SECONDS - 9
    speeds = SECONDS / np.array(times)
    print(
        f"\nreplay, {N_CHANNELS} ch {SFREQ:g} Hz, chunks of {chunk}: "
        f"median {np.median(speeds):.0f}, slowest {speeds.min():.0f}, "
        f"fastest {speeds.max():.0f} times real time "
        f"({REPEATS} repeats of {SECONDS} s, 1 thread)"
    )
