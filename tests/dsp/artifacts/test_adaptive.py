"""Adaptive filters: against plain implementations, drifting mixing, references that fail."""

from __future__ import annotations

import numpy as np
import pytest

from bci.dsp.artifacts.adaptive import AdaptiveFilter
from bci.errors import ConfigError
from bci.types import StreamInfo


def built(info, **settings):
    stage = AdaptiveFilter(**settings).build()
    stage.reset(info)
    return stage


def regressor_rows(reference, taps):
    """Row n: reference now and before, zero before the first."""
    padded = np.concatenate([np.zeros(taps - 1), reference])
    return np.array([padded[n : n + taps][::-1] for n in range(len(reference))])


def test_rls_in_blocks(blinking, run) -> None:
    """Weighted least squares over all the past, solved afresh at each block's end."""
    stage = built(blinking.info, taps=2, memory_s=3.0, block_s=0.05, floor_uv=2.0)
    n, length = 1500, 10
    out = run(stage, blinking.data[:n], range(0, n, 37))
    rows, forgetting = regressor_rows(blinking.data[:n, 6], 2), np.exp(-1 / (3.0 * 200))
    weights, expected = np.zeros((2, 6)), np.empty((n, 6))
    for i in range(n):
        expected[i] = blinking.data[i, :6] - rows[i] @ weights
        if (i + 1) % length == 0:
            age = forgetting ** np.arange(i, -1, -1.0)
            squares = (rows[: i + 1] * age[:, None]).T @ rows[: i + 1]
            products = (rows[: i + 1] * age[:, None]).T @ blinking.data[: i + 1, :6]
            ridge = 2.0**2 / (1 - forgetting) * np.eye(2)
            weights = np.linalg.inv(squares + ridge) @ products
    np.testing.assert_allclose(out.data[:, :6], expected, atol=1e-7)
    np.testing.assert_array_equal(out.data[:, 6], blinking.data[:n, 6])


def test_rls_with_blocks_of_one_sample_is_the_textbook_recursion(blinking, run) -> None:
    """Gain vector and inverse correlation matrix, sample by sample, as in Haykin's table."""
    stage = built(blinking.info, taps=3, memory_s=5.0, block_s=0.005, floor_uv=1e-3)
    n = 3000
    out = run(stage, blinking.data[:n])
    rows, forgetting = regressor_rows(blinking.data[:n, 6], 3), np.exp(-1 / (5.0 * 200))
    inverse, weights, errors = np.eye(3) / 1e-6, np.zeros((3, 6)), np.empty((n, 6))
    for i, u in enumerate(rows):
        gain = inverse @ u / (forgetting + u @ inverse @ u)
        errors[i] = blinking.data[i, :6] - u @ weights
        weights = weights + np.outer(gain, errors[i])
        inverse = (inverse - np.outer(gain, u @ inverse)) / forgetting
    np.testing.assert_allclose(out.data[200:, :6], errors[200:], atol=1e-3)


def test_lms_with_blocks_of_one_sample(blinking, run) -> None:
    """Normalised by the power now, or by its fading mean where that is larger."""
    stage = built(blinking.info, algorithm="lms", taps=2, block_s=0.005, step=0.2, floor_uv=2.0)
    n = 1500
    out = run(stage, blinking.data[:n], range(0, n, 53))
    rows, weights = regressor_rows(blinking.data[:n, 6], 2), np.zeros((2, 6))
    mean, keep = 0.0, np.exp(-1 / (10.0 * 200))
    for i, u in enumerate(rows):
        mean = keep * mean + (1 - keep) * (u @ u)
        error = blinking.data[i, :6] - u @ weights
        np.testing.assert_allclose(out.data[i, :6], error, atol=1e-8)
        weights = weights + 0.2 * np.outer(u, error) / (max(u @ u, mean) + 2 * 2.0**2)


@pytest.mark.parametrize(
    ("settings", "left"), [({"taps": 1}, 0.2), ({"algorithm": "lms", "taps": 1}, 0.25)]
)
def test_a_mixing_that_drifts(settings, left, blinking, run) -> None:
    """The share of the eyes doubles within a minute; what is left is a part of it."""
    drift = np.linspace(0.5, 1.0, 12000)[:, None]
    artifact = drift * np.outer(blinking.eyes, blinking.mixing)
    data = np.column_stack([blinking.brain + artifact, blinking.data[:, 6]])
    out = run(built(blinking.info, **settings), data, range(0, 12000, 64))
    late = np.arange(12000) >= 4000
    on = late & blinking.blinks
    error = out.data[on, :3] - blinking.brain[on, :3]
    assert np.sqrt(np.mean(error**2)) < left * np.sqrt(np.mean(artifact[on, :3] ** 2))
    flagged = out.flagged["eog", None, False]
    assert flagged[on].mean() > 0.9
    assert flagged[late & (blinking.eyes == 0)].mean() < 0.02
    # and between blinks the brain stays
    quiet = late & (blinking.eyes == 0)
    for i in range(6):
        assert np.corrcoef(out.data[quiet, i], blinking.brain[quiet, i])[0, 1] > 0.92


@pytest.mark.parametrize("algorithm", ["rls", "lms"])
@pytest.mark.parametrize("dead", [0.0, 187500.0, np.nan])
def test_a_reference_that_fails(algorithm, dead, blinking, run) -> None:
    """Zero, railed, or held by the pipeline in place of NaN: nothing is subtracted or learnt."""
    data = np.array(blinking.data)
    data[4000:9000, 6] = data[3999, 6] if np.isnan(dead) else dead
    stage = built(blinking.info, algorithm=algorithm)
    out = run(stage, data, range(0, 12000, 47))
    assert np.isfinite(out.data).all()
    noted = np.flatnonzero(out.flagged["no-reference", "VEOG", False])
    assert noted[-1] == 8999
    assert noted[0] == (4000 if dead == 187500.0 else 4019 if np.isnan(dead) else 4020)
    np.testing.assert_array_equal(out.data[4020:9000], data[4020:9000])
    back = np.arange(12000) >= 10000  # weights are those of before, or have found back
    on = back & blinking.blinks
    artifact = np.outer(blinking.eyes, blinking.mixing)[on, :3]
    error = out.data[on, :3] - blinking.brain[on, :3]
    assert np.sqrt(np.mean(error**2)) < 0.3 * np.sqrt(np.mean(artifact**2))


@pytest.mark.parametrize("algorithm", ["rls", "lms"])
def test_silence_and_bursts_are_bounded(algorithm, run) -> None:
    """A silent reference leaves the EEG alone; a huge one makes nothing diverge."""
    rng = np.random.default_rng(5)
    info = StreamInfo("bursts", 200.0, ("C3", "C4", "EOG"), ("eeg", "eeg", "eog"))
    data = 10.0 * rng.standard_normal((9000, 3))
    data[:, 2] *= 1e-6
    stage = built(info, algorithm=algorithm)
    out = run(stage, data[:3000])
    np.testing.assert_allclose(out.data, data[:3000], atol=1e-3)
    data[3000:, 2] *= rng.choice([1e-3, 1.0, 1e9, 1e12], 6000)
    out = run(stage, data[3000:], range(0, 6000, 100), 3000)
    assert np.isfinite(out.data).all()
    assert np.abs(out.data[-2000:, :2]).max() < 1e3


def test_a_frontal_reference(blinking, run) -> None:
    info = StreamInfo("blinking", 200.0, blinking.info.ch_names[:6], ("eeg",) * 6)
    stage = built(info, reference="frontal", taps=1)
    n_delay = round(stage.delay_s * 200)
    out = run(stage, blinking.data[:, :6], range(0, 12000, 50))
    on = blinking.blinks[4000:-n_delay]
    left = (out.data[4000 + n_delay :] - blinking.brain[4000:-n_delay])[on]
    artifact = np.outer(blinking.eyes, blinking.mixing)[4000:-n_delay][on]
    for i in (2, 3):
        assert abs(left[:, i].mean()) < 0.2 * artifact[:, i].mean()


def test_no_reference_at_all() -> None:
    with pytest.raises(ConfigError, match="adaptive_filter: reference 'eog' asks for a channel"):
        built(StreamInfo("eeg", 200.0, ("C3", "C4"), ("eeg", "eeg")))
