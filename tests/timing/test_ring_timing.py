"""What a chunk costs in the ring: the same for any capacity, unlike shifting the buffer.

Run alone:  pytest -m timing tests/timing/test_ring_timing.py -s
"""

from time import perf_counter_ns

import numpy as np
import pytest

from bci.ring import Cursor, RingBuffer

pytestmark = pytest.mark.timing

N_CHANNELS, N_SAMPLES, SFREQ = 64, 20, 1000
SECONDS = (1, 10, 60, 300)
ROUNDS, CHUNKS = 60, 100


def written(seconds, data):
    ring = RingBuffer(seconds * SFREQ, N_CHANNELS)
    return lambda: ring.write(data)


def written_and_read(seconds, data):
    ring = RingBuffer(seconds * SFREQ, N_CHANNELS)
    cursor = Cursor(ring)

    def step():
        ring.write(data)
        cursor.read()

    return step


def shifted(seconds, data):
    """A buffer whose newest samples are always its last rows."""
    buffer = np.zeros((seconds * SFREQ, N_CHANNELS))

    def step():
        buffer[:] = np.roll(buffer, -len(data), axis=0)
        buffer[-len(data) :] = data

    return step


def measure(steps, n):
    """Time per chunk in µs, shape (rounds,), for each; in turn, so that all share the weather."""
    took = {name: [] for name in steps}
    for _ in range(ROUNDS if n > 1 else 15):
        for name, step in steps.items():
            began = perf_counter_ns()
            for _ in range(n):
                step()
            took[name].append((perf_counter_ns() - began) / n / 1e3)
    return {name: np.array(times) for name, times in took.items()}


def test_ring_write_does_not_depend_on_its_length():
    data = np.random.default_rng(0).normal(size=(N_SAMPLES, N_CHANNELS))
    ours = measure({s: written(s, data) for s in SECONDS}, CHUNKS)
    read = measure({s: written_and_read(s, data) for s in SECONDS}, CHUNKS)
    roll = measure({s: shifted(s, data) for s in SECONDS}, 1)
    print(
        f"\nring, chunks of {N_SAMPLES} x {N_CHANNELS}: median [99th percentile] µs a chunk, "
        f"{ROUNDS} rounds of {CHUNKS} chunks (np.roll: 15 chunks), 1 thread"
    )
    for s in SECONDS:
        row = (
            f"{np.median(times[s]):8.1f} [{np.percentile(times[s], 99):8.1f}]"
            for times in (ours, read, roll)
        )
        print("{:4d} s: write {}   write and read {}   np.roll {}".format(s, *row))
    ratio = np.median(ours[SECONDS[-1]]) / np.median(ours[SECONDS[0]])
    print(f"write, {SECONDS[-1]} s over {SECONDS[0]} s: {ratio:.2f} times")
    # beyond 1 s (1 MB, mirrored) the ring leaves the cache, which costs once; then it is flat
    assert np.median(ours[SECONDS[-1]]) < 2 * np.median(ours[SECONDS[1]])
