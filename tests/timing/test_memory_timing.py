"""Memory over eight hours of a simulated session, and how fast they pass.

Run alone:  pytest -m timing tests/timing/test_memory_timing.py -s
"""

import gc
import logging
from time import perf_counter

import numpy as np
import psutil
import pytest

from bci import config
from bci.decoders.covariance.riemann import TangentSpaceLR
from bci.pipeline import Pipeline
from bci.types import Chunk, Command, DecoderSwap, Gap, Marker, StreamInfo

pytestmark = [pytest.mark.timing, pytest.mark.timeout(600)]

SFREQ, CHUNK, HOURS = 250.0, 250, 8
LIMIT_MB = 5.0
COMMON = """
source: {kind: lsl}
channels: {pick: eeg, montage: null}
processing:
  - {kind: notch, freq_hz: 50}
  - {kind: bandpass, low_hz: 6, high_hz: 45, order: 4}
  - {kind: reference, mode: average}
  - {kind: amplitude, max_uv: 60, pad_s: 0.1}
events: {'8 Hz': 1, '10 Hz': 2, '12 Hz': 3}
"""
SESSIONS = {
    "sliding, tangent space": COMMON
    + "window: {kind: sliding, length_s: 1.0, hop_s: 0.1}\ndecoder: {kind: tangent_space}\n",
    "growing, FBCCA": COMMON
    + "window: {kind: growing, length_s: 3.0, min_s: 1.0, hop_s: 0.5}\n"
    + "decision: {kind: dynamic, target_error: 0.05}\n"
    + "decoder: {kind: fbcca, frequencies_hz: {8 Hz: 8, 10 Hz: 10, 12 Hz: 12}, harmonics: 3}\n",
}


def stream(n_channels):
    names = (*(f"E{i}" for i in range(n_channels)), "status")
    return StreamInfo("noise", SFREQ, names, ("eeg",) * n_channels + ("stim",))


def second(rng, n_channels, k):
    """One second of noise, every now and then with what goes wrong in a session."""
    data = rng.normal(0, 15, (CHUNK, n_channels + 1)).astype(np.float32)
    if k % 13 == 0:
        data[40:60, k % n_channels] += 400  # a jerk
    if k % 17 == 0:
        data[100 : 100 + k % 90, k % n_channels] = np.nan  # a wireless link
    return data


def events(k, decoder):
    """What comes before second `k`."""
    start = k * CHUNK
    if k % 4 == 0:
        yield Marker(start, start - 10, str(1 + k % 3))
    if k % 601 == 600:
        yield Gap(start, start + k % 400, "lost")
    if k % 1201 == 1200:
        yield Command(start, "pause")
        yield Command(start + 700, "resume")
    if k % 1801 == 1800:
        yield DecoderSwap(start, decoder, f"swapped in second {k}")


def trained(session, info):
    """The session's decoder; a tangent space is fitted to noise."""
    pipeline = Pipeline(session, info)
    if session.decoder.kind == "fbcca":
        return session.decoder.build(pipeline.info)
    rng = np.random.default_rng(1)
    chunks = (Chunk(k * CHUNK, second(rng, info.n_channels - 1, 1)) for k in range(30))
    X = np.stack([w.data for c in chunks for w in pipeline.windows(c) if w.data is not None])
    return TangentSpaceLR(rank=pipeline.info.rank).fit(X, np.arange(len(X)) % 3)


@pytest.mark.parametrize(("name", "n_channels"), list(zip(SESSIONS, (16, 8), strict=True)))
def test_memory_over_eight_hours(name, n_channels, caplog):
    caplog.set_level(logging.ERROR)
    session, info = config.loads(SESSIONS[name]), stream(n_channels)
    decoder = trained(session, info)
    pipeline, rng = Pipeline(session, info, decoder, "first"), np.random.default_rng(0)
    process, resident, n, n_abstained = psutil.Process(), [], 0, 0
    began = perf_counter()
    for k in range(HOURS * 3600):
        for event in (*events(k, decoder), Chunk(k * CHUNK, second(rng, n_channels, k))):
            for decision in pipeline.push(event):
                n += 1
                n_abstained += decision.label is None
        if k % 300 == 299:
            gc.collect()
            resident.append(process.memory_info().rss / 2**20)
    took = perf_counter() - began
    warm = resident[2:]  # 15 minutes to warm up
    print(
        f"\n{HOURS} h of {n_channels} ch {SFREQ:g} Hz, {name}: "
        f"{n} decisions, {n_abstained} abstained; resident {warm[0]:.1f} MB after 15 min, "
        f"{warm[-1]:.1f} MB at the end, {min(warm):.1f} to {max(warm):.1f} MB between; "
        f"{took:.0f} s ({HOURS * 3600 / took:.0f} times real time)"
    )
    assert n > HOURS * 800
    assert 0 < n_abstained < n
    assert pipeline.n_decoder_errors == 0
    assert max(warm) - warm[0] < LIMIT_MB
