"""The ring against a plain list of samples."""

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
    ring, cursor = RingBuffer(capacity, 2), None
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
