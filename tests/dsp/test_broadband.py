"""Broadband power against SciPy, its baseline, and what it says while that is measured."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from bci.dsp.broadband import BroadbandPower
from bci.errors import ConfigError
from bci.types import Flag, StreamInfo

SFREQ = 500.0
INFO = StreamInfo("grid", SFREQ, ("G1", "G2", "TRIG"), ("eeg", "eeg", "stim"), rank=1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = 20 * rng.standard_normal((5000, 3)) + 100.0
    x[2500:, 0] *= 2  # four times the power
    x[:, 2] = np.arange(5000) // 1000
    return x


def scipy_power(x):
    """The definition, with filters that start in the steady state of their first sample."""
    for kind, hz in (("highpass", 50), ("lowpass", 10)):
        sos = signal.butter(3, hz, kind, fs=SFREQ, output="sos")
        x, _ = signal.sosfilt(sos, x, axis=0, zi=signal.sosfilt_zi(sos)[:, :, None] * x[0])
        x = x**2 if kind == "highpass" else x
    return x


def test_equals_scipy_over_the_mean_of_the_first_seconds(data, run):
    stage = BroadbandPower(baseline_s=2.0).build()
    assert stage.reset(INFO).rank is None
    out = run(stage, data, [10, 999, 1000, 1001])
    expected = scipy_power(data[:, :2])
    baseline = expected[:1000].mean(axis=0)
    np.testing.assert_allclose(stage.baseline, [*baseline, 1.0])
    np.testing.assert_allclose(out.data[1000:, :2], (expected / baseline)[1000:])
    np.testing.assert_array_equal(out.data[:, 2], data[:, 2])
    assert out.data[3000:, 0].mean() == pytest.approx(4.0, rel=0.15)
    assert out.data[3000:, 1].mean() == pytest.approx(1.0, rel=0.15)


def test_windows_are_not_decided_on_before_there_is_a_baseline(data, run):
    stage = BroadbandPower(baseline_s=2.0).build()
    stage.reset(INFO)
    flagged = run(stage, data, [10, 1200], 70, [Flag(75, 80, "gap")]).flagged
    assert np.flatnonzero(flagged["baseline", None, True]).tolist() == list(range(1000))
    assert flagged["gap", None, True].sum() == 5


def test_a_baseline_of_training_is_taken_as_it_is(data, run):
    stage = BroadbandPower(baseline=[100.0, 50.0]).build()
    stage.reset(INFO)
    out = run(stage, data)
    np.testing.assert_allclose(out.data[:, :2], scipy_power(data[:, :2]) / [100, 50])
    assert not out.flagged
    with pytest.raises(ConfigError, match="baseline has 1 values, but the stream has 2 channels"):
        BroadbandPower(baseline=[1.0]).build().reset(INFO)


def test_a_flat_channel_has_no_power(run):
    stage = BroadbandPower(baseline_s=0.1).build()
    stage.reset(INFO)
    assert not run(stage, np.full((200, 3), 7.0)).data[:, :2].any()


def test_a_cut_off_beyond_half_the_rate_is_refused():
    slow = StreamInfo("slow", 100.0, ("G1",), ("eeg",))
    with pytest.raises(ConfigError, match=r"highpass: freq_hz is 50 Hz, but the stream's sfreq"):
        BroadbandPower().build().reset(slow)
