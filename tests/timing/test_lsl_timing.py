"""LSL on loopback, 64 channels of float32: how much comes through, and how late.

Run alone: ``pytest -m timing tests/timing/test_lsl_timing.py -s``. Sender and receiver
are two processes; the receiver is one thread, liblsl adds its own.
"""

import subprocess
import sys
import time
import uuid

import numpy as np
import pytest

from bci.clock import now
from bci.ring import RingBuffer
from bci.sources.lsl import LSLSettings
from bci.types import Samples

pylsl = pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)
pytestmark = pytest.mark.timing

N_CHANNELS = 64
SENDER = """
import sys, time
import numpy as np
import pylsl

name, chunk, sfreq = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
info = pylsl.StreamInfo(name, "EEG", 64, 1000.0, "float32", name)
info.set_channel_types("EEG")
info.set_channel_units("microvolts")
outlet = pylsl.StreamOutlet(info, chunk)
data = np.random.default_rng(0).normal(size=(chunk, 64)).astype(np.float32)
data[:, 0] = np.arange(chunk)  # so that a chunk's last sample is known
due = pylsl.local_clock()
while True:
    if sfreq:
        due += chunk / sfreq
        time.sleep(max(0.0, due - pylsl.local_clock()))
    outlet.push_chunk(data, pylsl.local_clock())  # the stamp of the chunk's last sample
"""


@pytest.fixture
def send():
    """Start a sender in a process of its own; returns the stream's name."""
    started = []

    def start(chunk, sfreq):
        name = f"timing-{uuid.uuid4().hex[:12]}"
        arguments = [sys.executable, "-c", SENDER, name, str(chunk), str(sfreq)]
        started.append(subprocess.Popen(arguments, stderr=subprocess.DEVNULL))
        assert pylsl.resolve_byprop("name", name, 1, 20.0)
        return name

    yield start
    for process in started:
        process.kill()
        process.wait()


class Bare:
    """pylsl alone: `pull_chunk` into a preallocated array."""

    def __init__(self, name):
        (info,) = pylsl.resolve_byprop("name", name, 1, 5.0)
        self.inlet = pylsl.StreamInlet(info, max_buflen=60, recover=False)
        self.inlet.open_stream(5.0)
        self.data = np.empty((1024, N_CHANNELS), np.float32)

    def receive(self):
        return len(self.inlet.pull_chunk(0.1, 1024, self.data)[1])

    def close(self):
        self.inlet = None


class IntoRing:
    """The source, each reading written to a ring of 10 s."""

    def __init__(self, name):
        self.source = LSLSettings(name=name).build()
        self.source.open()
        self.ring = RingBuffer(10_000, N_CHANNELS, np.float32)

    def receive(self):
        before = self.ring.written
        for reading in self.source.read(0.1):
            assert isinstance(reading, Samples)
            self.ring.write(reading.data)
        return self.ring.written - before

    def close(self):
        self.source.close()


def rate(receiver, seconds):
    """Samples received per second."""
    start = time.perf_counter()
    n = 0
    while (spent := time.perf_counter() - start) < seconds:
        n += receiver.receive()
    return n / spent


@pytest.mark.parametrize("chunk", [20, 200])
def test_throughput_into_the_ring(send, chunk):
    """At least 80 % of what bare pylsl receives from the same sender, in turns."""
    name = send(chunk, 0)
    repeats = 15
    rates = {Bare: [], IntoRing: []}
    for turn in range(repeats):
        for kind in (Bare, IntoRing) if turn % 2 else (IntoRing, Bare):
            receiver = kind(name)
            rate(receiver, 0.1)  # past the burst of the connection's start
            rates[kind].append(rate(receiver, 0.3))
            receiver.close()
    bare, ring = (np.array(rates[kind]) for kind in (Bare, IntoRing))
    ratios = ring / bare  # of neighbours in time, so that a busy spell counts for both
    ratio = np.median(ratios)
    print(f"\nchunks of {chunk}, {repeats} turns of 0.3 s, samples/s, median (1st percentile):")
    for label, values in (("bare pull_chunk", bare), ("source into ring", ring)):
        print(f"  {label:18s} {np.median(values):9,.0f} ({np.percentile(values, 1):9,.0f})")
    print(f"  ratio of each turn {ratio:9.2f} ({np.percentile(ratios, 1):9.2f})")
    assert ratio >= 0.8


def test_latency_of_a_read(send):
    """From the push of a chunk to the return of the read that holds its last sample."""
    name = send(20, 1000.0)
    source = LSLSettings(name=name).build()
    source.open()
    offset = source.take_clock_offsets()[0][1]
    late, n_reads = [], 0
    end = now() + 20.0
    while now() < end:
        for reading in source.read(0.1):
            arrived = now()
            n_reads += 1
            last = reading.data[:, 0] == 19
            late.extend((arrived - (reading.stamps[last] - offset)).tolist())
    source.close()
    ms = 1e3 * np.array(late[10:])
    p50, p99 = np.percentile(ms, [50, 99])
    print(f"\npush to read, 64 ch 1 kHz in chunks of 20, {len(ms)} chunks in {n_reads} reads:")
    print(f"  median {p50:.2f} ms, p99 {p99:.2f} ms, longest {ms.max():.2f} ms")
    assert len(ms) > 900
