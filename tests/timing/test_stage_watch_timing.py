"""What it costs to time the stages of a session: with and without the watch, in turn.

Eight channels at 250 Hz in chunks of 10 samples, five stages, a decision of FBCCA each 0.1 s.

Run alone: ``pytest -m timing tests/timing/test_stage_watch_timing.py -s``
"""

from time import perf_counter

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bci.config import loads
from bci.decoders.artifact import load_decoder
from bci.pipeline import Pipeline
from bci.stage_watch import StageWatch
from bci.types import Chunk, StreamInfo

CHUNK, SFREQ, ROUNDS = 10, 250.0, 1000
#: Pushes that are timed as one: two hops.
N_PUSHES = 5
CONFIG = loads("""
source: {kind: lsl}
channels: {montage: null}
processing:
  - {kind: bad_channels, action: exclude}
  - {kind: notch}
  - {kind: bandpass, low_hz: 6, high_hz: 40, order: 4}
  - {kind: reference}
  - {kind: amplitude, max_uv: 900}
window: {length_s: 1.0, hop_s: 0.1}
decoder:
  kind: fbcca
  frequencies_hz: [9.25, 9.75, 10.25, 10.75, 11.25, 11.75, 12.25, 12.75, 13.25, 13.75, 14.25, 14.75]
""")


class Engine:
    """A pipeline, watched or not, and what its pushes took."""

    def __init__(self, watched):
        names = tuple(f"E{i}" for i in range(8))
        self.pipeline = Pipeline(CONFIG, StreamInfo("timing", SFREQ, names, ("eeg",) * 8))
        self.pipeline.use(*load_decoder(CONFIG, self.pipeline.info))
        self.watch = StageWatch(self.pipeline) if watched else None
        self.seconds = []

    def play(self, data):
        began = perf_counter()
        for x in data:
            self.pipeline.push(Chunk(self.pipeline.position, x))
            if self.watch is not None:
                list(self.watch.observe(CHUNK / SFREQ))
        self.seconds.append(perf_counter() - began)


@pytest.mark.timing
def test_watching_costs_less_than_two_percent():
    rng = np.random.default_rng(0)
    data = 10.0 * rng.standard_normal((N_PUSHES, CHUNK, 8))
    engines = {"plain": Engine(False), "again": Engine(False), "watched": Engine(True)}
    with threadpool_limits(1):
        for k in range(ROUNDS):
            for engine in list(engines.values())[:: 1 if k % 2 else -1]:
                engine.play(data)
    seconds = {name: np.array(engine.seconds[100:]) for name, engine in engines.items()}
    plain = np.median(seconds["plain"])
    more = {name: np.median(found - seconds["plain"]) / plain for name, found in seconds.items()}
    print(
        f"\n{1e3 * plain / N_PUSHES:.3f} ms a push, watched {100 * more['watched']:+.2f} %, "
        f"an equal one {100 * more['again']:+.2f} %"
    )
    assert more["watched"] < 0.02 + abs(more["again"])
