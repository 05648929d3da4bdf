"""Line noise that drifts: held against the fixed notch, its neighbours, and nothing at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.dsp.filters import Notch
from bci.dsp.line_noise import LineNoise
from bci.errors import ConfigError
from bci.types import StreamInfo

SFREQ, N_CHANNELS = 250.0, 4
N, SHORT = round(100 * SFREQ), round(40 * SFREQ)
T = np.arange(N) / SFREQ
INFO = StreamInfo("line", SFREQ, ("C3", "C4", "O1", "O2"), ("eeg",) * N_CHANNELS)
AFTER = slice(round(3 * SFREQ), None)
OPENBCI = Path(__file__).parents[2] / "../shared/data/openbci"


@pytest.fixture(scope="module")
def eeg():
    """Noise with a falling spectrum, 10 µV."""
    rng = np.random.default_rng(3)
    spectrum = np.fft.rfft(rng.standard_normal((N, N_CHANNELS)), axis=0)
    spectrum /= np.sqrt(1.0 + np.arange(len(spectrum)) * SFREQ / N)[:, None]
    noise = np.fft.irfft(spectrum, N, axis=0)
    return 10.0 * noise / noise.std(axis=0)


def line(hz, amplitudes=(2.0, 5.0, 10.0, 20.0), order=1):
    """A line at the frequencies `hz`, of another amplitude and phase in each channel."""
    phase = order * 2 * np.pi * np.cumsum(np.broadcast_to(hz, N)) / SFREQ
    return np.cos(phase[:, None] + np.arange(N_CHANNELS)) * np.asarray(amplitudes)


def canceller(**settings):
    stage = LineNoise(**settings).build()
    stage.reset(INFO)
    return stage


def notch():
    stage = Notch(q=35).build()
    stage.reset(INFO)
    return stage


def rms(x):
    return np.sqrt(np.mean(x**2, axis=0))


DRIFT = 50 + 0.3 * np.sin(2 * np.pi * T / 100)


def test_a_line_that_drifts(eeg, run) -> None:
    """Both let the EEG through almost unchanged; what differs is how much line is left."""
    stage = canceller()
    ours = run(stage, eeg + line(DRIFT), range(0, N, 50)).data
    assert stage.tracker.hz == pytest.approx(DRIFT[-1], abs=0.05)
    theirs = run(notch(), eeg + line(DRIFT)).data
    left = rms((ours - run(canceller(), eeg, range(0, N, 50)).data)[AFTER])
    assert np.all(left[2:] < 0.4 * rms((theirs - run(notch(), eeg).data)[AFTER])[2:])
    assert np.all(left[2:] < 0.1 * np.array([10.0, 20.0]) / np.sqrt(2))
    assert np.all(rms((ours - eeg)[AFTER]) < rms((theirs - eeg)[AFTER]))


@pytest.mark.parametrize("hz", [48.5, 51.5])
def test_neighbours_stay(hz, eeg, run) -> None:
    """Of a tone 1.5 Hz from the line less is lost than by the notch, and at most 0.5 dB."""
    after = slice(AFTER.start, SHORT)
    tone = 3.0 * np.cos(2 * np.pi * hz * T)[:, None] * np.ones(N_CHANNELS)
    carrier = np.exp(-2j * np.pi * hz * T[after])

    def gain_db(stage):
        out = run(stage, (eeg + line(DRIFT) + tone)[:SHORT], range(0, SHORT, 50)).data
        passed = carrier @ out[after] / (carrier @ (eeg + tone)[after])
        return 20 * np.log10(np.abs(passed))

    assert np.all(np.abs(gain_db(canceller())) < 0.5)
    assert np.all(gain_db(notch()) < -0.5)


def test_without_a_line_little_is_altered(eeg, run) -> None:
    stage = canceller()
    out = run(stage, eeg[:SHORT], range(0, SHORT, 50)).data
    assert np.all(rms(out - eeg[:SHORT]) < 0.08 * rms(eeg))
    assert stage.tracker.coherence < 0.5
    silence = run(canceller(), np.zeros((1000, N_CHANNELS)))
    np.testing.assert_array_equal(silence.data, 0.0)


def test_it_settles_within_the_time_stated(run) -> None:
    """From the onset, 0.4 Hz off the nominal frequency, 20 dB in 2 s; of amplitude alone, 1.2 s."""
    x = line(50.4)[:SHORT]
    x[: round(10 * SFREQ)] = 0.0
    x[round(20 * SFREQ) :] *= 3.0
    out = run(canceller(), x, range(0, SHORT, 50)).data

    def left(start_s):
        rows = slice(round(start_s * SFREQ), round((start_s + 0.2) * SFREQ))
        return rms(out[rows]) / rms(x[rows])

    assert np.all(left(12.0) < 0.1)
    assert np.all(left(15.0) < 0.01)
    assert np.all(left(21.2) < 0.1)


def test_harmonics_and_offsets(eeg, run) -> None:
    offsets = np.array([0.0, -3e4, 6e4, 1e5])  # electrodes' own, without a high-pass
    clean = eeg[:SHORT] + offsets
    x = clean + (line(49.8) + line(49.8, order=2))[:SHORT]
    out = run(canceller(harmonics=2), x, range(0, SHORT, 50)).data
    assert np.all(rms(out[AFTER] - clean[AFTER]) < 2.0)
    one = run(canceller(harmonics=1), x, range(0, SHORT, 50)).data
    assert np.all(rms(one[AFTER] - clean[AFTER])[2:] > 5.0)


def test_it_stays_within_its_range(eeg, run) -> None:
    """A strong tone outside is no line to follow."""
    stage = canceller(range_hz=0.2)
    run(stage, (eeg + line(51.0))[:SHORT])
    assert stage.tracker.hz <= 50.2
    tone = canceller()
    run(tone, (eeg + line(45.0))[:SHORT])
    assert 49.5 <= tone.tracker.hz <= 50.5


def test_flat_and_railed_channels_spoil_no_others(eeg, run) -> None:
    x = (eeg + line(DRIFT))[:SHORT]
    alone = run(canceller(), x).data
    x[:, 0] = 0.0
    x[SHORT // 2 :, 1] = 187500.0
    out = run(canceller(), x, range(0, SHORT, 50)).data
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out[:, 0], 0.0)
    settled = slice(SHORT // 2 + round(10 * SFREQ), None)
    np.testing.assert_allclose(out[settled, 1], 187500.0, atol=0.1)
    error, before = rms((out - eeg[:SHORT])[AFTER, 2:]), rms((alone - eeg[:SHORT])[AFTER, 2:])
    assert np.all(error < 1.5 * before)


def test_stimulus_channels_pass(run) -> None:
    info = StreamInfo("line", SFREQ, ("Oz", "TRIG"), ("eeg", "stim"))
    stage = LineNoise().build()
    assert stage.reset(info) == info
    x = line(50.0)[:2500, :2]
    np.testing.assert_array_equal(run(stage, x).data[:, 1], x[:, 1])


def test_what_cannot_be() -> None:
    slow = StreamInfo("line", 100.0, ("Oz",), ("eeg",))
    with pytest.raises(ConfigError, match=r"may reach 50\.5 Hz, but the stream's sfreq of 100 Hz"):
        LineNoise().build().reset(slow)
    with pytest.raises(ValueError, match=r"a drift of 0\.5 Hz at most can be followed"):
        LineNoise(block_s=0.2, range_hz=0.6)


@pytest.mark.skipif(not OPENBCI.exists(), reason=f"real recordings are not there: {OPENBCI}")
def test_a_real_recording(run) -> None:
    """60 Hz of some 100 µV, whose amplitude falls all the time: less is left than by a notch."""
    from bci.sources.files import load_recording

    recording = load_recording(next(OPENBCI.glob("*v5*.txt")))

    def left(stage):
        stage.reset(recording.info)
        out = run(stage, recording.data, range(0, 22490, 25)).data
        spectrum = np.abs(np.fft.rfft(out[1000:] - out[1000:].mean(axis=0), axis=0)) ** 2
        hz = np.fft.rfftfreq(21490, 1 / 250)
        return spectrum[np.abs(hz - 60) < 0.5].sum(axis=0)

    assert np.all(
        left(LineNoise(freq_hz=60.0).build()) < 0.5 * left(Notch(freq_hz=60, q=35).build())
    )
