"""Figures of merit against published anchors and independent formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from bci import metrics


def wolpaw(p, m, t):
    bits = math.log2(m)
    if p > 0:
        bits += p * math.log2(p)
    if p < 1:
        bits += (1 - p) * math.log2((1 - p) / (m - 1))
    return 60 / t * bits


def test_itr_of_the_benchmark_set_at_its_mean_accuracy():
    # SSVEP DNN, 9 channels, 0.4 s + 0.5 s gaze shift, 40 targets
    assert metrics.itr(0.7989, 40, 0.4 + 0.5) == pytest.approx(235.7, abs=0.05)


@given(p=st.floats(0, 1), m=st.integers(2, 60), t=st.floats(0.1, 20))
def test_itr_is_wolpaws_formula_and_zero_below_chance(p, m, t):
    expected = max(0.0, wolpaw(p, m, t)) if p >= 1 / m else 0.0
    assert metrics.itr(p, m, t) == pytest.approx(expected, abs=1e-9 / t)


def test_itr_at_its_ends():
    assert metrics.itr(1.0, 40, 1.0) == pytest.approx(60 * math.log2(40))
    assert metrics.itr(0.0, 40, 1.0) == 0.0
    assert metrics.itr(1 / 12, 12, 2.5) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "wrong", [(1.1, 4, 1), (-0.1, 4, 1), (0.5, 1, 1), (0.5, 4, 0), (math.nan, 4, 1)]
)
def test_itr_refuses_what_has_no_rate(wrong):
    with pytest.raises(ValueError, match="no transfer rate"):
        metrics.itr(*wrong)


@given(st.lists(st.floats(1 / 40, 1), min_size=1, max_size=8))
def test_mean_itr_is_at_least_the_itr_of_the_mean(accuracies):
    mean = metrics.mean_itr(accuracies, 40, 1.5)
    assert mean >= metrics.itr(min(1.0, float(np.mean(accuracies))), 40, 1.5) - 1e-9
    assert mean == pytest.approx(np.mean([wolpaw(p, 40, 1.5) for p in accuracies]), abs=1e-9)


def test_mean_itr_needs_a_block():
    with pytest.raises(ValueError, match="at least one block"):
        metrics.mean_itr([], 12, 2.0)


def at_least(k, n, m):
    """P(X ≥ k) of guessing, in whole numbers."""
    ways = sum(math.comb(n, i) * (m - 1) ** (n - i) for i in range(k, n + 1))
    return ways / m**n


def test_chance_of_100_trials_with_4_classes_is_33_hits():
    assert metrics.chance_bound(100, 4) == 33


@given(n=st.integers(0, 80), m=st.integers(2, 40), level=st.sampled_from([0.9, 0.95, 0.99]))
def test_chance_bound_is_the_fewest_hits_that_guessing_seldom_reaches(n, m, level):
    bound = metrics.chance_bound(n, m, level)
    assert bound == n + 1 or at_least(bound, n, m) <= (1 - level) * (1 + 1e-9)
    assert bound == 0 or at_least(bound - 1, n, m) > (1 - level) * (1 - 1e-9)


@given(data=st.data(), n=st.integers(1, 80), m=st.integers(2, 40))
def test_p_value_against_counting(data, n, m):
    hits = data.draw(st.integers(0, n))
    assert metrics.chance_p_value(hits, n, m) == pytest.approx(at_least(hits, n, m), rel=1e-9)


@given(data=st.data(), n=st.integers(1, 300), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_accuracy_interval_is_wilsons(data, n, level):
    hits = data.draw(st.integers(0, n))
    expected = binomtest(hits, n).proportion_ci(level, method="wilson")
    assert metrics.accuracy_interval(hits, n, level) == pytest.approx(tuple(expected), abs=1e-12)


def test_counts_that_are_none():
    assert metrics.accuracy_interval(0, 0) == (0.0, 1.0)
    for call in (
        lambda: metrics.accuracy_interval(5, 4),
        lambda: metrics.accuracy_interval(1, 4, 1.0),
        lambda: metrics.chance_bound(-1, 4),
        lambda: metrics.chance_bound(10, 1),
        lambda: metrics.chance_p_value(-1, 4, 2),
    ):
        with pytest.raises(ValueError, match=r"not a proportion|2 classes"):
            call()


def test_typing_speed_counts_right_characters_only():
    assert metrics.correct_characters_per_minute("HELLO", "HELLO", 30.0) == 10.0
    assert metrics.correct_characters_per_minute("HELXO", "HELLO", 30.0) == 6.0
    assert metrics.correct_characters_per_minute("", "HELLO", 30.0) == 0.0
    assert metrics.n_correct("HELLO BCI!", "HELLO BCI") == 9
    with pytest.raises(ValueError, match="not defined"):
        metrics.correct_characters_per_minute("A", "A", 0.0)


def test_latency_percentiles():
    found = metrics.latency_percentiles(list(range(101)))
    assert found == {50.0: 50.0, 99.0: 99.0}
    assert metrics.latency_percentiles([]) == {}


# --- dynamic stopping ----------------------------------------------------------------------------


@given(st.floats(0.55, 1.0), st.integers(0, 2**20))
def test_correct_selections_with_undo_are_those_of_a_simulated_typist(p, seed):
    """Each right selection brings a step forward (a letter, or an undo), each wrong one back."""
    n = 20000
    steps = np.where(np.random.default_rng(seed).random(n) < p, 1, -1)
    per_selection = metrics.correct_selections_per_minute(p, 60.0)
    assert steps.mean() == pytest.approx(per_selection, abs=5 / math.sqrt(n))


def test_below_one_half_undoing_never_ends():
    assert metrics.correct_selections_per_minute(0.5, 1.0) == 0.0
    assert metrics.correct_selections_per_minute(0.2, 1.0) == 0.0
    assert metrics.correct_selections_per_minute(1.0, 1.5) == 40.0
    for wrong in ((1.1, 1.0), (0.5, 0.0)):
        with pytest.raises(ValueError, match="no typing speed"):
            metrics.correct_selections_per_minute(*wrong)


def test_a_report_of_selections_by_hand():
    report = metrics.selection_report(
        [1.0, 1.0, 2.0, 4.0], [True, True, False, False], [True, True, True, False], 4
    )
    assert (report.n, report.mean_s, report.accuracy, report.n_passed) == (4, 2.0, 0.5, 3)
    assert (report.error_passed, report.error_forced) == (pytest.approx(1 / 3), 1.0)
    assert report.forced_share == 0.25
    assert report.itr == pytest.approx(wolpaw(0.5, 4, 2.5))
    assert report.itr_evidence == pytest.approx(wolpaw(0.5, 4, 2.0))
    assert report.correct_per_min == 0.0
    sure = metrics.selection_report([1.5], [True], [True], 4)
    assert (sure.error_passed, sure.error_forced) == (0.0, None)
    assert sure.correct_per_min == 30.0
    for wrong in (([], [], []), ([1.0], [True, False], [True])):
        with pytest.raises(ValueError, match="at least one selection"):
            metrics.selection_report(*wrong, 4)


def test_calibration_error_is_the_gap_between_promise_and_outcome():
    promised = np.repeat([0.6, 0.9], 100)
    right = np.tile([True] * 6 + [False] * 4, 20)
    assert metrics.expected_calibration_error(promised, right, 2) == pytest.approx(0.15)
    assert metrics.expected_calibration_error(promised[:100], right[:100]) == pytest.approx(0)
    rng = np.random.default_rng(0)
    honest = rng.uniform(0.2, 1.0, 20000)
    came = rng.random(20000) < honest
    assert metrics.expected_calibration_error(honest, came) < 0.02
    assert metrics.expected_calibration_error(honest**0.2, came) > 0.2
    with pytest.raises(ValueError, match="needs answers"):
        metrics.expected_calibration_error([], [])
