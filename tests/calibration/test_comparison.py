"""Comparing decoders: the test against McNemar's, its spending, and the forecast's curve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from bci.calibration.comparison import level_of, smallest_p, swap_test
from bci.calibration.forecast import extrapolate
from bci.calibration.outcomes import Outcomes, gain_interval
from bci.metrics import itr


def outcomes(right, seconds=2.5, n_classes=4):
    right = np.asarray(right, dtype=bool)
    return Outcomes(right, np.broadcast_to(np.float64(seconds), right.shape).copy(), n_classes)


def test_the_rate_is_that_of_all_selections_together():
    some = outcomes([1, 1, 1, 0], [1.0, 2.0, 3.0, 2.0])
    assert some.itr == pytest.approx(itr(0.75, 4, 2.0))
    low, high = some.interval()
    assert low < some.itr < high
    assert outcomes([1] * 20).interval()[0] > 0  # no certainty from a few right ones


@pytest.mark.parametrize(("n_better", "n_worse"), [(6, 0), (7, 2), (3, 3), (1, 5)])
def test_with_equal_times_it_is_mcnemars_exact_test(n_better, n_worse):
    both = [1] * 20
    one = outcomes([*both, *[1] * n_better, *[0] * n_worse])
    other = outcomes([*both, *[0] * n_better, *[1] * n_worse])
    expected = binom.sf(n_better - 1, n_better + n_worse, 0.5)
    assert swap_test(one, other) == pytest.approx(expected)
    assert smallest_p(one, other) == 0.5 ** (n_better + n_worse)


def test_faster_selections_count_as_much_as_right_ones():
    rng = np.random.default_rng(0)
    right = rng.random(40) < 0.9
    slow, fast = outcomes(right, 3.0), outcomes(right, 2.0)
    assert swap_test(fast, slow) < 0.001
    assert swap_test(slow, fast) == 1.0
    assert swap_test(slow, slow) == 1.0
    low, high = gain_interval(fast, slow, 0.95, 0)
    assert 0 < low < fast.itr - slow.itr < high


def test_all_looks_together_spend_no_more_than_alpha():
    levels = [level_of(look, 0.05) for look in range(1, 10_000)]
    assert levels[0] == 0.025
    assert sum(levels) < 0.05
    assert sum(levels) == pytest.approx(0.05, rel=1e-3)


def test_looking_again_and_again_finds_no_more_than_it_may():
    """Two equally good decoders, six looks at growing data."""
    rng = np.random.default_rng(1)
    n_false = 0
    for _ in range(60):
        one, other = rng.random((2, 64)) < 0.7
        look = 1
        for n in range(8, 49, 8):
            pair = outcomes(one[:n]), outcomes(other[:n])
            if smallest_p(*pair) > level_of(look, 0.05):
                continue
            if swap_test(*pair) <= level_of(look, 0.05):
                n_false += 1
                break
            look += 1
    assert n_false <= binom.ppf(0.999, 60, 0.05)


def test_a_power_law_is_followed_and_stops_at_the_ceiling():
    sizes = np.array([1.0, 2.0, 4.0, 6.0])
    rates = np.array([60.0 - 40.0 / sizes, 50.0 - 10.0 / sizes**0.5, [30.0] * 4, [9, 8, 7, 6.0]])
    found = extrapolate(sizes, rates, 12.0, ceiling=100.0)
    np.testing.assert_allclose(
        found, [60 - 40 / 12, 50 - 10 / np.sqrt(12), 30.0, 7.5], atol=1e-9
    )  # a curve that falls is taken as flat
    assert extrapolate(sizes, rates[:1], 1e6, ceiling=55.0)[0] <= 55.0
