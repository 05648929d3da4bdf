"""Figures of denoising against formulas of their own, and what must hold for any cleaning."""

import math

import numpy as np
import pytest
from scipy.stats import pearsonr
from scipy.stats import t as student

from bci.denoise import metrics

SFREQ = 128.0


def epochs(seed, n=5, n_times=256, scale=10.0):
    rng = np.random.default_rng(seed)
    return scale * np.cumsum(rng.standard_normal((n, n_times)), axis=-1) / 8.0


def mixture(snr_db, seed=0):
    """EEG and artifact at EEGdenoiseNet's own dB."""
    clean, artifact = epochs(seed), epochs(seed + 1, scale=70.0)
    rms = [math.sqrt(np.mean(x * x)) for x in clean], [math.sqrt(np.mean(a * a)) for a in artifact]
    weight = np.array([x / (a * 10 ** (snr_db / 10)) for x, a in zip(*rms, strict=True)])
    return clean, clean + weight[:, None] * artifact


@pytest.mark.parametrize("snr_db", [-7.0, -4.0, 0.0, 2.0])
def test_untouched_mixtures_have_the_error_that_their_snr_says(snr_db):
    clean, noisy = mixture(snr_db)
    np.testing.assert_allclose(metrics.rrmse_temporal(noisy, clean), 10 ** (-snr_db / 10), 1e-12)
    np.testing.assert_allclose(metrics.snr_db(noisy, clean), snr_db, atol=1e-10)
    np.testing.assert_array_equal(metrics.snr_gain_db(noisy, noisy, clean), np.zeros(5))


def test_published_anchors_of_doing_nothing():
    found = [metrics.rrmse_temporal(*mixture(s)[::-1])[0] for s in (-7.0, 2.0)]
    assert found == pytest.approx([5.01, 0.63], abs=0.005)


def test_a_perfect_cleaning():
    clean, noisy = mixture(-3.0)
    found = metrics.per_epoch(clean, noisy, clean, SFREQ)
    assert tuple(found) == metrics.FIGURES
    assert not found["rrmse_t"].any()
    assert not found["rrmse_s"].any()
    np.testing.assert_allclose(found["cc"], 1.0)
    assert np.isposinf(found["snr_gain_db"]).all()


def test_halving_the_artifact_gains_three_of_these_decibels():
    clean, noisy = mixture(-5.0)
    half = 0.5 * (clean + noisy)
    np.testing.assert_allclose(
        metrics.snr_gain_db(half, noisy, clean), 10 * math.log10(2), rtol=1e-9
    )


def test_zeros_are_no_cleaning():
    clean, noisy = mixture(0.0)
    found = metrics.per_epoch(np.zeros_like(clean), noisy, clean, SFREQ)
    for figure, value in (("rrmse_t", 1.0), ("rrmse_s", 1.0), ("cc", 0.0)):
        np.testing.assert_allclose(found[figure], value, atol=1e-12)


def hann_psd(x, n):
    """Welch's density, segment by segment."""
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * k / n) for k in range(n)])
    parts = []
    for at in range(0, len(x) - n + 1, n // 2):
        part = x[at : at + n] - np.mean(x[at : at + n])
        spectrum = np.fft.rfft(window * part)
        power = np.abs(spectrum) ** 2 / (SFREQ * np.sum(window**2))
        power[1:-1] *= 2
        parts.append(power)
    return np.mean(parts, axis=0)


def test_the_spectral_error_is_that_of_welchs_densities():
    clean, noisy = mixture(-2.0)
    found = metrics.rrmse_spectral(noisy, clean, SFREQ)
    for value, got, true in zip(found, noisy, clean, strict=True):
        p, q = hann_psd(got, 128), hann_psd(true, 128)
        assert value == pytest.approx(math.sqrt(np.mean((p - q) ** 2) / np.mean(q**2)))


def test_phase_is_the_business_of_the_temporal_error_alone():
    clean = epochs(3)
    assert metrics.rrmse_spectral(-clean, clean, SFREQ) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(metrics.rrmse_temporal(-clean, clean), 2.0)
    np.testing.assert_allclose(metrics.correlation(-clean, clean), -1.0)


def test_correlation_is_pearsons():
    clean, noisy = mixture(1.0)
    expected = [pearsonr(a, b).statistic for a, b in zip(noisy, clean, strict=True)]
    np.testing.assert_allclose(metrics.correlation(noisy, clean), expected)


def test_channels_of_an_epoch_are_judged_together():
    clean, noisy = mixture(-4.0)
    three = [np.stack([x, 0.1 * x, 0 * x], axis=1) for x in (noisy, clean)]  # one channel is flat
    one = metrics.per_epoch(0.7 * noisy, noisy, clean, SFREQ)
    found = metrics.per_epoch(0.7 * three[0], *three, SFREQ)
    for figure in metrics.FIGURES:
        if figure != "rrmse_s":
            np.testing.assert_allclose(found[figure], one[figure])
    offset = three[0] + np.array([5.0, -80.0, 3.0])[:, None]  # a channel's mean is no correlation
    np.testing.assert_allclose(metrics.correlation(offset, three[1]), metrics.correlation(*three))


def test_an_interval_has_people_for_its_observations():
    values = [1.0, 3.0, 2.0, 6.0, 6.0, 6.0]
    found = metrics.by_source(values, ["a", "a", "b", "c", "c", "c"])
    assert (found.mean, found.n, found.n_sources) == (4.0, 6, 3)
    means = np.array([2.0, 2.0, 6.0])
    half = student.ppf(0.975, 2) * means.std(ddof=1) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half))


def test_one_person_gives_no_interval():
    found = metrics.by_source([1.0, 2.0], ["a", "a"])
    assert found.mean == 1.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize(
    ("cleaned", "clean", "said"),
    [
        (np.ones((2, 8)), np.ones((2, 9)), "of one shape"),
        (np.ones(8), np.ones(8), "of one shape"),
        (np.ones((0, 8)), np.ones((0, 8)), "of one shape"),
        (np.full((2, 8), np.nan), np.ones((2, 8)), "16 samples of the cleaned"),
        (np.ones((2, 8)), np.zeros((2, 8)), "2 of 2 true epochs are 0"),
    ],
)
def test_what_cannot_be_judged_is_refused(cleaned, clean, said):
    with pytest.raises(ValueError, match=said):
        metrics.rrmse_temporal(cleaned, clean)


def test_figures_without_a_meaning_are_refused():
    ones = np.ones((2, 64))
    with pytest.raises(ValueError, match="constant"):
        metrics.correlation(ones, ones)
    with pytest.raises(ValueError, match="no spectrum"):
        metrics.rrmse_spectral(ones, ones, 64.0)
    with pytest.raises(ValueError, match="above 0 Hz"):
        metrics.rrmse_spectral(ones, ones, 0.0)
    with pytest.raises(ValueError, match="no SNR to gain"):
        metrics.snr_gain_db(ones, ones, ones)
    with pytest.raises(ValueError, match="one source for each"):
        metrics.by_source([1.0], ["a", "b"])
