"""The resampler against scipy, and its grid."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from bci.dsp.resample import HALF_LENGTH, Resample, design
from bci.types import Chunk, Flag, rate_ratio

RATES = [(200.0, 50.0), (200.0, 125.0), (200.0, 256.0), (512.0, 500.0), (1000.0, 256.0)]


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_equals_upfirdn(rate_in, rate_out, info, recording, run) -> None:
    stage = Resample(sfreq=rate_out).build()
    after = stage.reset(replace(info, sfreq=rate_in))
    assert after.sfreq == rate_out
    out = run(stage, recording, [1, 50, 50, 700])
    ratio = rate_ratio(rate_out, rate_in)
    expected = signal.upfirdn(
        design(ratio), recording[:, :-1], ratio.numerator, ratio.denominator, axis=0
    )
    reach = ceil(2 * HALF_LENGTH * max(1, ratio)) + 1  # outputs that see what was before
    assert len(out.data) == ceil(len(recording) * ratio)
    np.testing.assert_allclose(
        out.data[reach:, :-1], expected[reach : len(out.data)], rtol=0, atol=1e-9
    )


def test_equals_resample_poly_late_by_the_delay(info, recording, run) -> None:
    stage = Resample(sfreq=50).build()
    stage.reset(info)
    out = run(stage, recording, [333]).data[:, 0]
    late = round(stage.delay_s * 50)
    assert late == stage.delay_s * 50 == HALF_LENGTH
    expected = signal.resample_poly(recording[:, 0], 1, 4)
    np.testing.assert_allclose(out[2 * late :], expected[late:-late], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_a_sine_comes_out_late_by_the_stated_delay(rate_in, rate_out, info, run) -> None:
    stage = Resample(sfreq=rate_out).build()
    stage.reset(replace(info, sfreq=rate_in), 1234)
    t = np.arange(1234, 1234 + 2000)[:, None] / rate_in
    out = run(stage, np.repeat(np.sin(2 * np.pi * 9 * t), info.n_channels, axis=1), [7], 1234)
    t_out = (out.start + np.arange(len(out.data))) / rate_out - stage.delay_s
    error = out.data[100:, 0] - np.sin(2 * np.pi * 9 * t_out[100:])
    assert np.abs(error).max() < 5e-3


def test_an_offset_makes_no_step(info, run) -> None:
    stage = Resample(sfreq=125).build()
    stage.reset(info)
    out = run(stage, np.full((400, info.n_channels), 1e4))
    np.testing.assert_allclose(out.data, 1e4, rtol=2e-3)


def test_same_rate_changes_nothing(info, recording, run) -> None:
    stage = Resample(sfreq=200).build()
    assert stage.reset(info) == info
    assert stage.delay_s == 0
    np.testing.assert_array_equal(run(stage, recording, [50]).data, recording)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    start=st.integers(0, 2**40),
    n=st.integers(0, 300),
    rates=st.sampled_from(RATES),
)
def test_outputs_lie_on_the_absolute_grid(start, n, rates, info) -> None:
    """Output k belongs to input index k·down/up, wherever the stream begins."""
    ratio = rate_ratio(rates[1], rates[0])
    stage = Resample(sfreq=rates[1]).build()
    stage.reset(replace(info, sfreq=rates[0]), start)
    out = stage(Chunk(start, np.zeros((n, info.n_channels))))
    assert out.start == ceil(start * ratio)
    assert out.stop == ceil((start + n) * ratio)


def test_after_a_gap_the_grid_is_the_same(info, recording, run) -> None:
    """Away from the restart, samples and indices are those of the unbroken stream."""
    stage = Resample(sfreq=125).build()
    stage.reset(info, 1000)
    whole = run(stage, recording, (), 1000)
    for gap in (1301, 1302, 1303, 1307):
        stage.reset(info, gap)
        out = run(stage, recording[gap - 1000 :], (), gap)
        expected = whole.data[out.start - whole.start :]
        np.testing.assert_allclose(out.data[30:], expected[30:], rtol=0, atol=1e-9)


def test_triggers_are_held_and_not_smoothed(info, recording, run) -> None:
    stage = Resample(sfreq=125).build()
    stage.reset(info)
    newest = (np.arange(1125) * 8) // 5
    np.testing.assert_array_equal(run(stage, recording).data[:, -1], recording[newest, -1])


@pytest.mark.parametrize("rate_out", [50.0, 125.0, 256.0])
def test_a_flag_covers_what_the_flagged_sample_touches(rate_out, info, run) -> None:
    data = np.zeros((600, info.n_channels))
    data[300] = 1.0
    stage = Resample(sfreq=rate_out).build()
    stage.reset(info)
    out = run(stage, data, range(0, 600, 7), 0, [Flag(300, 301, "amplitude")])
    mask = out.flagged["amplitude", None, True]
    touched = np.abs(out.data[:, 0]) > 1e-9
    assert not (touched & ~mask).any()
    reach = round(2 * HALF_LENGTH * max(1, rate_out / 200))
    assert touched.sum() <= mask.sum() <= reach + 2
