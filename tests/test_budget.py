"""When a stage is too slow: spans over the budget in a row, and never one outlier."""

import numpy as np
import pytest

from bci.budget import CLEAR, N_OVER, StageMeter

BUDGET = 0.1


class Stream:
    """One stage beside a free one, in chunks of any length."""

    def __init__(self, chunk_s=0.05, budget=BUDGET):
        self.meter = StageMeter([budget, None], hop_s=0.1)
        self.chunk_s = chunk_s
        self.spent = [0.0, 0.0]

    def second(self, load, used=True, peak_s=0.0):
        """One second of signal; whether the stage was found too slow."""
        found = []
        for k in range(round(1 / self.chunk_s)):
            cost = load * self.chunk_s + (peak_s if k == 3 else 0.0)
            self.spent = [self.spent[0] + cost, self.spent[1] + 5 * cost]
            if self.meter.due(self.chunk_s):
                found += self.meter.observe(self.spent, [used, True])
        assert found in ([], [0])
        return bool(found)


@pytest.mark.parametrize("chunk_s", [0.004, 0.05, 0.2, 1.0])
def test_three_seconds_in_a_row_are_too_many(chunk_s):
    stream = Stream(chunk_s)
    assert not stream.second(3.0)  # its first: it compiles
    assert [stream.second(1.1 * BUDGET) for _ in range(6)] == [k == N_OVER - 1 for k in range(6)]


def test_outliers_alone_are_none():
    stream = Stream()
    for k in range(30):  # half a second's page fault every third second
        assert not stream.second(0.5 * BUDGET, peak_s=0.5 if k % 3 == 0 else 0.0)


def test_hovering_about_the_budget_counts():
    """A second between 80 and 100 % of the budget neither counts nor clears."""
    stream = Stream()
    stream.second(0.0)
    loads = [1.2, 0.9, 1.2, 0.9, 1.2]
    assert [stream.second(load * BUDGET) for load in loads] == [False] * 4 + [True]
    cleared = Stream()
    cleared.second(0.0)
    assert not any(cleared.second(f * BUDGET) for f in (1.2, 1.2, 0.99 * CLEAR, 1.2, 1.2))


def test_it_is_judged_anew_when_it_comes_back():
    stream = Stream()
    assert [stream.second(1.0) for _ in range(4)][-1]
    assert not any(stream.second(0.0, used=False) for _ in range(3))
    stream.meter.restart(0)
    assert stream.meter.status(0)["load"] is None
    assert [stream.second(1.0) for _ in range(4)] == [False, False, False, True]


def test_without_a_budget_nothing_is_judged():
    stream = Stream(budget=None)
    assert not any(stream.second(9.0) for _ in range(10))


def test_what_is_shown():
    stream = Stream()
    rng = np.random.default_rng(0)
    loads = rng.uniform(0.0, 0.05, 14)
    for load in loads:
        stream.second(load)
    status = stream.meter.status(0)
    assert status["budget"] == BUDGET
    assert status["load"] == pytest.approx(loads[-10:].mean())
    hops = np.sort(np.repeat(loads, 10))  # ten a second
    assert status["hop_ms"]["p50"] == pytest.approx(100 * hops[69])
    assert status["hop_ms"]["max"] == pytest.approx(100 * hops[-1])
    assert stream.meter.newest(0) == pytest.approx(loads[-1])
