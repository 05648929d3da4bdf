"""The running spectrum against SciPy's Welch, and its bands against known sines."""

import numpy as np
import pytest
from scipy.signal import welch

from bci.dsp.spectrum import RunningSpectrum, band_power

SFREQ = 250.0


@pytest.mark.parametrize("chunk", [1, 40, 10_000])
def test_equals_welch_whatever_the_chunks(chunk):
    x = np.random.default_rng(1).standard_normal((1000, 3)) + 5.0
    running = RunningSpectrum(SFREQ, 3, segment_s=1.0, n_segments=100)
    for start in range(0, len(x), chunk):
        running.push(x[start : start + chunk])
    freqs, expected = welch(x, SFREQ, nperseg=250, noverlap=125, axis=0)
    np.testing.assert_allclose(running.freqs, freqs)
    np.testing.assert_allclose(running.psd, expected, rtol=1e-10)
    assert running.n_seen == 7


def test_only_the_newest_segments_count_and_losses_are_left_out():
    x = np.random.default_rng(2).standard_normal((2000, 1))
    running = RunningSpectrum(SFREQ, 1, segment_s=1.0, n_segments=3)
    x[900] = np.nan
    running.push(x)
    _, expected = welch(x[-500:], SFREQ, nperseg=250, axis=0)
    np.testing.assert_allclose(running.psd, expected, rtol=1e-10)
    assert running.n_seen == 15 - 2


def test_before_a_whole_segment_there_is_nothing():
    running = RunningSpectrum(SFREQ, 2)
    assert running.push(np.zeros((10, 2))) == 0
    assert running.psd is None
    assert running.latest is None


def test_a_sine_has_its_power_in_its_band():
    t = np.arange(2500) / SFREQ
    x = np.column_stack([10 * np.sin(2 * np.pi * 10 * t), 4 * np.sin(2 * np.pi * 20 * t)])
    running = RunningSpectrum(SFREQ, 2)
    running.push(x)
    alpha = band_power(running.freqs, running.psd, 8, 13)
    beta = band_power(running.freqs, running.psd, 13, 30)
    np.testing.assert_allclose(alpha, [50.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(beta, [0.0, 8.0], atol=1e-3)
