"""Filters against scipy over a whole recording."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import signal

from bci.dsp import filters
from bci.dsp.filters import Bandpass, Highpass, Lowpass, Notch, group_delay_s
from bci.errors import ConfigError
from bci.types import Chunk

SFREQ = 200.0
DESIGNS = [
    (
        Bandpass(low_hz=1, high_hz=40),
        signal.butter(4, [1, 40], "bandpass", fs=SFREQ, output="sos"),
    ),
    (Highpass(freq_hz=0.5, order=2), signal.butter(2, 0.5, "highpass", fs=SFREQ, output="sos")),
    (Lowpass(freq_hz=30, order=5), signal.butter(5, 30, "lowpass", fs=SFREQ, output="sos")),
    (Notch(), signal.tf2sos(*signal.iirnotch(50, 30, SFREQ))),
    (
        Notch(freq_hz=30, harmonics=5, q=20),
        np.vstack([signal.tf2sos(*signal.iirnotch(f, 20, SFREQ)) for f in (30, 60, 90)]),
    ),
]


@pytest.mark.parametrize(("settings", "sos"), DESIGNS)
def test_equals_scipy_over_the_whole_recording(settings, sos, info, recording, run) -> None:
    stage = settings.build()
    assert stage.reset(info) == info
    np.testing.assert_allclose(stage.sos, sos, rtol=1e-12, atol=1e-15)
    eeg = recording[:, :-1]
    zi = signal.sosfilt_zi(stage.sos)[:, :, None] * eeg[0]
    expected, _ = signal.sosfilt(stage.sos, eeg, axis=0, zi=zi)
    out = run(stage, recording, [1, 2, 77, 77, 1000])
    np.testing.assert_array_equal(out.data[:, :-1], expected)
    np.testing.assert_array_equal(out.data[:, -1], recording[:, -1])  # the trigger channel


def test_an_offset_makes_no_step(info, run) -> None:
    data = np.full((300, info.n_channels), 40_000.0)
    for settings, gain in [(Bandpass(low_hz=1, high_hz=40), 0.0), (Notch(), 1.0)]:
        stage = settings.build()
        stage.reset(info)
        np.testing.assert_allclose(
            run(stage, data, [1, 50]).data[:, :-1], gain * data[:, :-1], rtol=0, atol=1e-6
        )


def test_the_first_sample_decides_also_after_an_empty_chunk(info, recording, run) -> None:
    stage = Highpass(freq_hz=1).build()
    stage.reset(info, 500)
    whole = run(stage, recording, (), 500)
    stage.reset(info, 500)
    np.testing.assert_array_equal(run(stage, recording, [0, 0], 500).data, whole.data)


@pytest.mark.parametrize(("settings", "sos"), DESIGNS)
def test_group_delay_agrees_with_scipy(settings, sos, info) -> None:
    stage = settings.build()
    stage.reset(info)
    b, a = signal.sos2tf(sos)
    centre = settings.centre_hz(SFREQ)
    _, expected = signal.group_delay((b, a), w=[centre], fs=SFREQ)
    assert stage.delay_s == pytest.approx(expected[0] / SFREQ, rel=1e-5)


def test_delay_is_that_of_a_packet_at_the_centre() -> None:
    settings = Bandpass(low_hz=8, high_hz=12, order=2)
    sos = settings.design(SFREQ)
    t = np.arange(2000) / SFREQ
    packet = np.exp(-0.5 * ((t - 4) / 0.8) ** 2)
    out = signal.sosfilt(sos, packet * np.cos(2 * np.pi * settings.centre_hz(SFREQ) * t))
    envelope = np.abs(signal.hilbert(out))
    seen = np.sum(t * envelope) / np.sum(envelope) - 4
    assert seen == pytest.approx(group_delay_s(sos, settings.centre_hz(SFREQ), SFREQ), rel=0.03)


def test_public_scipy_gives_the_same_bits(info, recording, run, monkeypatch) -> None:
    stage = Bandpass(low_hz=1, high_hz=40).build()
    stage.reset(info)
    direct = run(stage, recording, [5, 900])
    monkeypatch.setattr(filters, "_kernel", filters._public_kernel)
    stage.reset(info)
    np.testing.assert_array_equal(run(stage, recording, [5, 900]).data, direct.data)


def test_a_changed_compiled_recursion_is_not_used(monkeypatch) -> None:
    from scipy.signal import _sosfilt

    assert filters._find_kernel() is _sosfilt._sosfilt

    def other(sos, x, zi):
        x *= 1.0 + 1e-15

    monkeypatch.setattr(_sosfilt, "_sosfilt", other)
    assert filters._find_kernel() is filters._public_kernel


def test_all_channels_filtered_where_all_are_signals(info, recording) -> None:
    names, types = info.ch_names[:-1], info.ch_types[:-1]
    stage = Notch().build()
    stage.reset(replace(info, ch_names=names, ch_types=types))
    assert stage.columns is None
    out = stage(Chunk(0, recording[:1, :-1]))
    np.testing.assert_allclose(out.data, recording[:1, :-1], rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (Bandpass(low_hz=1, high_hz=100), "bandpass: high_hz is 100 Hz"),
        (Highpass(freq_hz=120), "highpass: freq_hz is 120 Hz"),
        (Lowpass(freq_hz=100), "lowpass: freq_hz is 100 Hz"),
        (Notch(freq_hz=100), "notch: freq_hz is 100 Hz"),
    ],
)
def test_cutoff_at_half_the_rate_is_refused(settings, what, info) -> None:
    with pytest.raises(ConfigError) as error:
        settings.build().reset(info)
    assert str(error.value).startswith(what)
    assert "sfreq of 200 Hz" in str(error.value)
    assert "below 100 Hz" in str(error.value)


def test_band_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValidationError, match="low_hz is 40, not below high_hz, 1"):
        Bandpass(low_hz=40, high_hz=1)
