"""MDOP and mutual information against their definitions, point by point."""

from __future__ import annotations

import numpy as np
import pytest

from bci.decoders import ACMClassifier
from bci.decoders.covariance.mdop import (
    auto_mutual_information,
    embedding_of,
    first_minimum,
    mdop_delays,
)


def two_tones(period, n=600, seed=0):
    t = np.arange(n)
    wave = np.sin(2 * np.pi * t / period) + 0.5 * np.sin(2 * np.pi * t / (1.27 * period))
    return wave + 0.05 * np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize("lag", [0, 1, 7])
def test_mutual_information_is_the_sum_over_bins(lag):
    x = two_tones(20, 320)
    bins = np.argsort(np.argsort(x)) * 16 // 320
    joint, _, _ = np.histogram2d(bins[: 320 - lag], bins[lag:], bins=16, range=[[0, 16]] * 2)
    joint /= joint.sum()
    expected = sum(
        joint[a, b] * np.log(joint[a, b] / (joint[a].sum() * joint[:, b].sum()))
        for a in range(16) for b in range(16) if joint[a, b] > 0
    )  # fmt: skip
    assert auto_mutual_information(x, 10)[lag] == pytest.approx(expected, abs=1e-12)


def test_mutual_information_of_noise_is_small_and_of_a_signal_with_itself_whole():
    found = auto_mutual_information(np.random.default_rng(1).standard_normal(4800), 5)
    assert found[0] == pytest.approx(np.log(16))
    assert found[1:].max() < 0.04


@pytest.mark.parametrize("period", [20, 40])
def test_the_first_minimum_lies_between_quarters_of_the_two_periods(period):
    found = first_minimum(auto_mutual_information(two_tones(period), 30))
    assert period / 4 - 1 <= found <= 1.27 * period / 4 + 1


def test_the_first_minimum_of_a_row_without_one_is_its_lowest():
    assert first_minimum(np.array([5.0, 4.0, 3.0, 2.0])) == 3
    assert first_minimum(np.array([5.0, 4.0, 3.0, 3.5, 1.0])) == 2
    assert first_minimum(np.array([1.0, 2.0, 3.0])) == 1


def test_delays_are_those_of_the_definition():
    """The first two delays, with neighbours and their derivatives counted one by one."""
    x, theiler, longest = two_tones(20, 160), 5, 12
    points = range(longest, len(x))
    delays = [0]
    for _ in range(2):
        mean = {}
        for delay in set(range(longest + 1)) - set(delays):
            logs = []
            for i in points:
                distances = [
                    (np.hypot.reduce([x[i - d] - x[j - d] for d in delays]), j)
                    for j in points if abs(i - j) > theiler
                ]  # fmt: skip
                distance, j = min(distances)
                logs.append(np.log(abs(x[i - delay] - x[j - delay]) / distance))
            mean[delay] = np.mean(logs)
        delays.append(max(mean, key=mean.get))
    assert mdop_delays(x, theiler, longest)[:3] == delays


def test_slower_signals_get_longer_lags_and_noise_many_delays():
    fast, slow = (np.stack([[two_tones(period, seed=k)] for k in range(4)]) for period in (12, 36))
    assert embedding_of(slow)[1] > embedding_of(fast)[1]
    noise = np.random.default_rng(2).standard_normal((4, 1, 600))
    assert embedding_of(noise)[0] > embedding_of(fast)[0] >= 2


def test_flat_and_short_signals_get_no_delays():
    assert mdop_delays(np.zeros(100), 3, 10) == [0]
    assert mdop_delays(np.random.default_rng(3).standard_normal(12), 30, 10) == [0]


def test_the_classifier_takes_the_embedding_of_its_training_windows():
    rng = np.random.default_rng(4)
    X = np.stack([[two_tones(16, 200, k), two_tones(25, 200, 99 + k)] for k in range(12)])
    X += 0.3 * rng.standard_normal(X.shape)
    y = np.arange(12) % 2
    order, lag = embedding_of(X, 8)
    found = ACMClassifier(selection="mdop", lags=range(1, 9), random_state=0).fit(X, y)
    assert (found.order_, found.lag_) == (order, lag)
    swapped = ACMClassifier(selection="mdop", lags=range(1, 9), random_state=0).fit(X, 1 - y)
    assert (swapped.order_, swapped.lag_) == (order, lag)
    assert set(zip(found.results_["C"], found.results_["kernel"], strict=True)) == {
        (C, kernel) for C in (0.5, 1.0, 1.5) for kernel in ("linear", "rbf")
    }
    limited = ACMClassifier(selection="mdop", orders=[1, 2], lags=[1], random_state=0).fit(X, y)
    assert limited.order_ <= 2
    assert limited.lag_ == 1
