"""The Wiener filter: least squares, and what is known of it in closed form."""

import numpy as np
import pytest

from bci.denoise.metrics import rrmse_temporal
from bci.denoise.wiener import WienerFilter

SFREQ = 64.0


def white(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def smooth(x):
    """Slow activity, beside which white noise is an artifact."""
    kernel = np.hanning(17)
    return np.apply_along_axis(np.convolve, -1, x, kernel / np.linalg.norm(kernel), mode="same")


def test_it_is_the_least_squares_solution():
    clean, noisy = smooth(white(0, 6, 40)), white(1, 6, 40)
    noisy += clean
    fitted = WienerFilter(length_s=4 / SFREQ).fit(noisy, clean, SFREQ)
    rows, aims = [], []
    for x, target in zip(noisy, clean, strict=True):
        padded = np.concatenate([np.zeros(2), x, np.zeros(2)]) / np.sqrt(np.mean(x**2))
        rows += [padded[t : t + 5] for t in range(40)]
        aims += (target / np.sqrt(np.mean(x**2))).tolist()
    expected = np.linalg.lstsq(np.array(rows), np.array(aims), rcond=None)[0]
    np.testing.assert_allclose(fitted.taps_[0, 0], expected, rtol=1e-6)
    by_hand = [np.convolve(x, expected[::-1], mode="same") for x in noisy]
    np.testing.assert_allclose(fitted.clean(noisy), by_hand, rtol=1e-5)


def test_white_signal_in_white_noise_is_scaled_by_its_share_of_the_power():
    clean, noise = white(0, 200, 128), white(1, 200, 128)
    taps = WienerFilter(length_s=0.1).fit(clean + 2.0 * noise, clean, SFREQ).taps_[0, 0]
    assert taps[len(taps) // 2] == pytest.approx(1 / 5, abs=0.01)
    assert np.abs(np.delete(taps, len(taps) // 2)).max() < 0.02


def test_it_cleans_pairs_that_it_has_not_seen():
    clean, noise = smooth(white(0, 60, 128)), white(1, 60, 128)
    fitted = WienerFilter(length_s=0.4).fit((clean + noise)[:40], clean[:40], SFREQ)
    unseen, truth = (clean + noise)[40:], clean[40:]
    assert rrmse_temporal(fitted.clean(unseen), truth).mean() < 0.7 * (
        rrmse_temporal(unseen, truth).mean()
    )


def test_what_was_clean_passes_untouched():
    clean = smooth(white(0, 20, 100))
    fitted = WienerFilter(length_s=0.05).fit(clean, clean, SFREQ)
    np.testing.assert_allclose(fitted.clean(clean), clean, atol=1e-4)


def test_channels_help_each_other():
    """An artifact that a second channel shows alone is subtracted, lag included."""
    eeg, artifact = white(0, 50, 100), 5.0 * smooth(white(1, 50, 100))
    late = np.pad(artifact, ((0, 0), (1, 0)))[:, :-1]  # arrives one sample later
    noisy = np.stack([eeg + late, artifact], axis=1)
    clean = np.stack([eeg, np.zeros_like(eeg)], axis=1)
    fitted = WienerFilter(length_s=2 / SFREQ).fit(noisy[:40], clean[:40], SFREQ)
    assert fitted.taps_.shape == (2, 2, 3)
    np.testing.assert_allclose(fitted.taps_[0], [[0, 1, 0], [-1, 0, 0]], atol=0.05)
    found = fitted.clean(noisy[40:])[:, 0]
    assert rrmse_temporal(found, eeg[40:]).max() < 0.15
    alone = WienerFilter(length_s=2 / SFREQ).fit(noisy[:40, 0], eeg[:40], SFREQ)
    assert rrmse_temporal(alone.clean(noisy[40:, 0]), eeg[40:]).min() > 0.5


def test_the_length_follows_the_sampling_rate_and_the_channels():
    x = white(0, 40, 128)
    assert WienerFilter().fit(x, x, SFREQ).taps_.shape == (1, 1, 33)
    several = x.reshape(20, 2, 128)
    assert WienerFilter().fit(several, several, SFREQ).taps_.shape == (2, 2, 5)


def test_mistakes_are_told():
    x = white(0, 4, 32)
    with pytest.raises(ValueError, match="not fitted"):
        WienerFilter().clean(x)
    with pytest.raises(ValueError, match="differ in shape"):
        WienerFilter(0.1).fit(x, x[:, :-1], SFREQ)
    with pytest.raises(ValueError, match="shorten 'length_s'"):
        WienerFilter(1.0).fit(x, x, SFREQ)
    with pytest.raises(ValueError, match="0 throughout"):
        WienerFilter(0.1).fit(0 * x, x, SFREQ)
    with pytest.raises(ValueError, match="not finite"):
        WienerFilter(0.1).fit(np.full_like(x, np.nan), x, SFREQ)
    with pytest.raises(ValueError, match="fitted to 1 channels, found 2"):
        WienerFilter(0.1).fit(x, x, SFREQ).clean(x.reshape(2, 2, 32))
