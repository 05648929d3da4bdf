"""Sums over windows and their delayed copies, against stacking the copies."""

import numpy as np
import pytest

from bci.block_sums import BlockSums
from bci.ring import RingBuffer


def stacked(x, order, lag):
    """The embedding by its definition, samples first; order 1 is the window itself."""
    n = len(x)
    return np.hstack([x[k * lag : n - (order - k) * lag] for k in range(order)]) if order > 1 else x


@pytest.mark.parametrize("order", [1, 2, 4, 9])
@pytest.mark.parametrize("lag", [1, 3, 8])
@pytest.mark.parametrize(("length", "hop"), [(100, 20), (97, 13), (64, 64)])
@pytest.mark.parametrize("blocks", [True, False])
def test_moments_are_those_of_the_stacked_copies(order, lag, length, hop, blocks):
    rng = np.random.default_rng(order)
    x = rng.standard_normal((600, 3)) + 2.0
    ring = RingBuffer(200, 3)
    block = np.gcd(length, hop) if blocks else 0
    sums = BlockSums(ring, 3, block, length // block if block else 0, order, lag)
    start = 0
    for i in range(0, 600, 10):
        ring.write(x[i : i + 10])
        while start + length <= ring.written:
            got = sums.over(start, start + length)
            if order > 1 and order * lag >= length:
                assert got is None
            else:
                z = stacked(x[start : start + length], order, lag)
                assert got.n_times == len(z)
                np.testing.assert_allclose(got.second, z.T @ z, rtol=1e-11, atol=1e-11)
                np.testing.assert_allclose(got.first, z.sum(axis=0), rtol=1e-11, atol=1e-11)
            start += hop


def test_a_burst_leaves_no_trace():
    """After 10⁴ µV the sums are as exact as before it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 4))
    x[500:600] *= 1e4
    ring = RingBuffer(2000, 4)
    sums = BlockSums(ring, 4, 20, 10, 5, 3)
    ring.write(x)
    for start in range(0, 1800, 20):
        got = sums.over(start, start + 200)
        if start >= 600:
            z = stacked(x[start : start + 200], 5, 3)
            np.testing.assert_allclose(got.second, z.T @ z, rtol=0, atol=1e-11)


def test_windows_may_be_left_out():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3000, 2))
    ring = RingBuffer(400, 2)
    sums = BlockSums(ring, 2, 20, 10, 3, 4)
    for start in (0, 20, 1000, 1020, 1100, 2600):
        ring.write(x[ring.written : start + 250])
        z = stacked(x[start : start + 200], 3, 4)
        np.testing.assert_allclose(sums.over(start, start + 200).second, z.T @ z, rtol=1e-11,
                                   atol=1e-11)  # fmt: skip
