"""Fitted times against the true ones, under the faults that real devices show."""

import sys
import threading

import numpy as np
import pytest

from bci import clock
from bci.clock import Dejitter

SFREQ = 250.0


def fit(true, arrivals, chunks):
    """Times as a live session would fit them: each sample right after its chunk arrived."""
    dejitter = Dejitter(SFREQ)
    fitted, jumps, start = np.empty_like(true), [], 0
    for n in chunks:
        jump = dejitter.update(start, arrivals[start : start + n])
        if jump:
            jumps.append(jump)
        fitted[start : start + n] = [dejitter.time_of(i) for i in range(start, start + n)]
        start += n
    return fitted, jumps, dejitter


def chunking(n_samples, rng, low=1, high=25):
    sizes = rng.integers(low, high, n_samples // low + 1)
    stops = np.minimum(np.cumsum(sizes), n_samples)
    return np.diff(np.r_[0, np.unique(stops)])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("drift_ppm", [0, 80, -400])
def test_jitter_of_5_ms_and_a_clock_jump(seed, drift_ppm):
    rng = np.random.default_rng(seed)
    n = int(240 * SFREQ)
    true = 1000.0 + np.arange(n) / SFREQ * (1 + drift_ppm * 1e-6)
    at = n // 2
    true[at:] += 3.7
    chunks = chunking(n, rng)
    late = np.repeat(rng.normal(0, 0.005, len(chunks)), chunks)  # each chunk has one delay
    fitted, jumps, dejitter = fit(true, true + late, chunks)
    residual = fitted - true
    settled, away = int(15 * SFREQ), int(15 * SFREQ)
    for part in (residual[settled : at - away], residual[at + away :]):
        assert part.std() <= 1e-3
    assert len(jumps) == 1
    assert abs(jumps[0].index - at) <= 25
    assert jumps[0].seconds == pytest.approx(3.7, abs=0.01)
    assert dejitter.sfreq == pytest.approx(SFREQ / (1 + drift_ppm * 1e-6), rel=2e-4)


def test_bunched_chunks():
    """Nine samples 10 µs apart, then 35 ms of nothing (a wireless amplifier's pattern)."""
    n = int(120 * SFREQ)
    true = np.arange(n) / SFREQ
    group = np.arange(n) // 9
    arrivals = (group * 9 + 8) / SFREQ + (np.arange(n) % 9) * 1e-5
    arrivals += np.random.default_rng(0).normal(0, 0.005, group[-1] + 1)[group]
    fitted, jumps, _ = fit(true, arrivals, [9] * (n // 9))
    n -= n % 9
    assert not jumps
    assert (fitted - true)[int(15 * SFREQ) : n].std() <= 1e-3


def test_single_outliers_are_no_jump():
    n = int(60 * SFREQ)
    true = np.arange(n) / SFREQ
    arrivals = true.copy()
    arrivals[5000:5010] += 2.0  # one chunk held up
    fitted, jumps, _ = fit(true, arrivals, [10] * (n // 10))
    assert not jumps
    assert np.abs(fitted - true)[100:].max() < 1e-3


def test_index_of_is_the_inverse_of_time_of():
    dejitter = Dejitter(SFREQ)
    dejitter.update(0, 5.0 + np.arange(500) / SFREQ)
    assert [dejitter.index_of(dejitter.time_of(i)) for i in (0, 17, 499, 900)] == [0, 17, 499, 900]
    assert np.isnan(Dejitter(SFREQ).time_of(3))
    with pytest.raises(ValueError, match="no sample"):
        Dejitter(SFREQ).index_of(1.0)


def test_restart_keeps_the_rate_and_takes_the_new_time():
    dejitter = Dejitter(SFREQ)
    dejitter.update(0, np.arange(5000) / SFREQ)
    dejitter.restart(5000)
    dejitter.update(5000, 100 + np.arange(50) / SFREQ)
    assert dejitter.time_of(5000) == pytest.approx(100, abs=1e-6)
    assert dejitter.time_of(4999) == pytest.approx(4999 / SFREQ, abs=1e-6)


def test_stamps_that_are_no_numbers_are_left_out():
    n = int(60 * SFREQ)
    true = 100 + np.arange(n) / SFREQ
    arrivals = true.copy()
    arrivals[:10] = np.nan  # a whole chunk, the very first
    arrivals[3003:3007] = np.nan
    arrivals[5001:5004] = [np.inf, -np.inf, np.nan]
    arrivals[8000:9000] = np.nan
    fitted, jumps, _ = fit(true, arrivals, [10] * (n // 10))
    assert not jumps
    assert np.isnan(fitted[:10]).all()
    np.testing.assert_allclose(fitted[10:], true[10:], atol=1e-6)


def test_a_first_chunk_that_waited_in_a_queue_is_left_behind_soon():
    n = int(30 * SFREQ)
    true = np.arange(n) / SFREQ
    arrivals = true.copy()
    arrivals[:10] -= 20.0
    fitted, jumps, _ = fit(true, arrivals, [10] * (n // 10))
    assert [j.index for j in jumps] == [10]
    np.testing.assert_allclose(fitted[round(0.6 * SFREQ) :], true[round(0.6 * SFREQ) :], atol=1e-6)


@pytest.mark.parametrize("percent", [1.0, -1.0, 0.3])
def test_a_rate_far_from_the_nominal_one_is_found(percent):
    n = int(60 * SFREQ)
    true = np.arange(n) / SFREQ * (1 + percent / 100)
    rng = np.random.default_rng(0)
    arrivals = true + np.repeat(rng.normal(0, 0.005, n // 10), 10)
    fitted, jumps, dejitter = fit(true, arrivals, [10] * (n // 10))
    assert not jumps
    assert (fitted - true)[int(15 * SFREQ) :].std() <= 1e-3
    assert dejitter.sfreq == pytest.approx(SFREQ / (1 + percent / 100), rel=2e-4)


def test_a_clock_that_steps_back():
    n = int(60 * SFREQ)
    true = 50 + np.arange(n) / SFREQ
    true[n // 2 :] -= 5.0
    fitted, jumps, dejitter = fit(true, true, [5] * (n // 5))
    assert [(j.index, round(j.seconds, 6)) for j in jumps] == [(n // 2, -5.0)]
    np.testing.assert_allclose(fitted[n // 2 + 130 :], true[n // 2 + 130 :], atol=1e-6)
    assert dejitter.index_of(true[-1]) == n - 1


@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_arrivals_far_more_jittered_than_a_jump_are_no_jump(spread):
    n = int(120 * SFREQ)
    true = np.arange(n) / SFREQ
    late = np.random.default_rng(1).exponential(spread, n // 10)
    fitted, jumps, _ = fit(true, true + np.repeat(late, 10), [10] * (n // 10))
    assert len(jumps) <= 1
    residual = (fitted - true)[int(30 * SFREQ) :]
    assert residual.std() < 0.1 * spread


def test_one_sample_at_a_time_is_the_same_line():
    n = 5000
    true = 3 + np.arange(n) / SFREQ
    arrivals = true + np.random.default_rng(2).normal(0, 0.003, n)
    _, _, single = fit(true, arrivals, [1] * n)
    _, _, chunked = fit(true, arrivals, [10] * (n // 10))
    assert single.time_of(n) == pytest.approx(chunked.time_of(n), abs=1e-4)


def test_times_on_both_sides_of_a_break():
    dejitter = Dejitter(SFREQ)
    dejitter.update(0, np.arange(1000) / SFREQ)
    dejitter.restart(1000)
    assert not dejitter.ready
    assert dejitter.index_of(2.0) == 500  # while nothing came after it
    dejitter.update(1000, 60 + np.arange(100) / SFREQ)
    assert dejitter.ready
    assert dejitter.index_of(2.0) == 500
    assert dejitter.index_of(30.0) == 1000  # in the silence: the sample after it
    assert dejitter.index_of(60.1) == 1025
    assert [dejitter.time_of(i) for i in (999, 1000)] == pytest.approx([999 / SFREQ, 60.0])


def test_breaks_without_samples_between_them_keep_the_last_line():
    dejitter = Dejitter(SFREQ)
    dejitter.update(0, np.arange(1000) / SFREQ)
    dejitter.restart(1000)
    dejitter.restart(1000)
    assert dejitter.time_of(500) == pytest.approx(2.0)


def test_a_reader_in_another_thread_never_meets_half_a_line():
    """While the owner breaks off and starts anew, times keep their indices."""
    dejitter, stop, wrong = Dejitter(SFREQ), threading.Event(), []
    dejitter.update(0, np.arange(500) / SFREQ)

    def read():
        while not stop.is_set():
            if dejitter.index_of(1.0) != 250 or abs(dejitter.time_of(250) - 1.0) > 1e-6:
                wrong.append(1)

    reader = threading.Thread(target=read)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    reader.start()
    try:
        for _ in range(3000):
            dejitter.restart(500)
            dejitter.restart(500)
    finally:
        stop.set()
        reader.join()
        sys.setswitchinterval(interval)
    assert not wrong


def test_the_clock_runs_forward():
    first = clock.now()
    assert clock.now() >= first
