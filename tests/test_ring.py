"""The ring against a plain list of samples."""

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.errors import Overrun
from bci.ring import Cursor, RingBuffer


@given(
    capacity=st.integers(1, 17),
    steps=st.lists(st.tuples(st.sampled_from(["write", "skip", "read"]), st.integers(0, 23))),
)
def test_ring_equals_a_list(capacity, steps):
    ring = RingBuffer(capacity, 2)
    cursor = Cursor(ring)
    there: dict[int, float] = {}
    index = n_read = 0
    for action, n in steps:
        if action == "write":
            ring.write(np.column_stack([np.arange(index, index + n)] * 2).astype(float))
            there.update({i: float(i) for i in range(index, index + n)})
            index += n
        elif action == "skip" and n:
            ring.skip(n)
            index += n
            there.clear()
        else:
            got = cursor.read()
            n_read += len(got)
            assert (np.diff(got[:, 0]) == 1).all()
            assert n_read + cursor.n_lost == index
        held = [i for i in there if i >= index - capacity]
        assert ring.latest(capacity)[:, 1].tolist() == held
        assert ring.written == index


def test_view_says_how_many_samples_are_lost():
    ring = RingBuffer(8, 1)
    ring.write(np.arange(20.0)[:, None])
    assert ring.view(12, 20)[:, 0].tolist() == list(range(12, 20))
    assert ring.view(12, 20).flags.c_contiguous
    with pytest.raises(Overrun) as caught:
        ring.view(9, 15)
    assert caught.value.n_lost == 3
    with pytest.raises(ValueError, match="20 are written"):
        ring.view(15, 21)


def test_views_do_not_copy():
    ring = RingBuffer(8, 1)
    ring.write(np.ones((5, 1)))
    assert np.shares_memory(ring.latest(3), ring.latest(3))


def test_a_write_longer_than_the_ring_keeps_the_newest():
    ring = RingBuffer(8, 1)
    cursor = Cursor(ring)
    ring.write(np.arange(5.0)[:, None])
    ring.write(np.arange(5.0, 30.0)[:, None])
    assert ring.latest(99)[:, 0].tolist() == list(range(22, 30))
    assert cursor.read()[:, 0].tolist() == list(range(22, 30))
    assert cursor.n_lost == 22


def test_a_ring_of_nothing_is_refused():
    for capacity, n_channels in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="holds nothing"):
            RingBuffer(capacity, n_channels)


def write_all(ring, total):
    """Chunks of all sizes, some longer than the ring, and skips, until `total` are written."""
    rng = np.random.default_rng(0)
    while ring.written < total:
        n = int(rng.integers(1, 2 * ring.capacity if ring.written % 7 == 0 else 50))
        if ring.written % 11 == 0:
            ring.skip(n)
        indices = np.arange(ring.written, ring.written + n, dtype=float)
        ring.write(np.repeat(indices[:, None], 40, axis=1))


@pytest.fixture
def hasty_threads():
    """Threads change places all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("capacity", [64, 5000])
def test_readers_in_other_threads_see_each_sample_whole_once_or_lost(capacity, hasty_threads):
    """Samples tell their index in each channel: a torn, doubled or invented one shows."""
    ring = RingBuffer(capacity, 40)
    cursors = [Cursor(ring) for _ in range(2)]
    started, wrong, n_read = threading.Barrier(3), [], [0, 0]
    ended = threading.Event()

    def write():
        started.wait()
        write_all(ring, max(300_000, 200 * capacity))
        ended.set()

    def read(k):
        cursor = cursors[k]
        started.wait()
        last = False
        while not last:
            last = ended.is_set()
            before = cursor.position
            data = cursor.read()
            n_read[k] += len(data)
            first = cursor.position - len(data)
            if first < before or not (data == np.arange(first, cursor.position)[:, None]).all():
                wrong.append((k, before, first, len(data)))

    threads = [threading.Thread(target=write)]
    threads += [threading.Thread(target=read, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    for k, cursor in enumerate(cursors):
        assert n_read[k] + cursor.n_lost == cursor.position == ring.written
        assert n_read[k] > 0
