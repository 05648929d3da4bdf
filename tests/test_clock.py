"""Fitted times against the true ones, under the faults that real devices show."""

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


def test_the_clock_runs_forward():
    first = clock.now()
    assert clock.now() >= first
