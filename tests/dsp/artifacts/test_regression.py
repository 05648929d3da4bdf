"""Regression on EOG and frontal channels: against MNE, against the truth, and when it can't."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bci.dsp.artifacts.calibration import save
from bci.dsp.artifacts.regression import EOGRegression
from bci.errors import ConfigError
from bci.types import Flag, StreamInfo

EEGLAB = Path(__file__).parents[3] / "../shared/data/eeglab/eeglab_data.set"


def built(info, **settings):
    stage = EOGRegression(**settings).build()
    stage.reset(info)
    return stage


def test_same_as_mne(blinking, run) -> None:
    mne = pytest.importorskip("mne")
    stage = built(blinking.info, fit="all", calibration_s=30.0)
    out = run(stage, blinking.data, range(0, 12000, 77))

    info = mne.create_info(list(blinking.info.ch_names), 200.0, list(blinking.info.ch_types))
    raws = [
        mne.io.RawArray(part.T * 1e-6, info, verbose="error").set_eeg_reference([], verbose="error")
        for part in (blinking.data[:6000], blinking.data[6000:])
    ]
    model = mne.preprocessing.EOGRegression(picks="eeg", picks_artifact="eog").fit(raws[0])
    expected = model.apply(raws[1]).get_data().T * 1e6
    np.testing.assert_allclose(stage.arrays["coefficients"][0], model.coef_[:, 0], rtol=1e-9)
    # MNE takes the mean of the reference in the data at hand; a constant for each channel
    difference = out.data[6000:] - expected
    np.testing.assert_allclose(difference - difference[0], 0, atol=1e-9)


def test_blinks_go_and_the_rest_stays(blinking, run) -> None:
    stage = built(blinking.info, calibration_s=20.0)
    out = run(stage, blinking.data)
    np.testing.assert_array_equal(out.data[:4000], blinking.data[:4000])
    after, blinks = slice(4000, None), blinking.blinks[4000:]
    error = out.data[after, :6] - blinking.brain[after]
    artifact = np.outer(blinking.eyes, blinking.mixing)[after]
    assert np.all(error[blinks].std(axis=0) < 0.15 * np.abs(artifact[blinks]).max(axis=0))
    assert np.abs(error[blinks]).max() < 0.2 * np.abs(artifact).max()
    np.testing.assert_array_equal(out.data[:, 6], blinking.data[:, 6])
    # flagged where it was altered, and hardly elsewhere; never rejected
    flagged = out.flagged["eog", None, False]
    assert flagged[after][blinks].mean() > 0.95
    assert flagged[after][blinking.eyes[after] == 0].mean() < 0.01
    assert not flagged[:4000].any()


def test_fitting_on_eye_movements_takes_less_brain_for_them(blinking) -> None:
    """An EOG channel that picks up much of the brain, and eyes that move little."""
    brain = blinking.brain
    eyes = np.where(np.arange(12000) < 3000, 0.3 * blinking.eyes, 0.0)
    eog = eyes + 0.5 * brain[:, 2]
    eeg = brain + np.outer(eyes, blinking.mixing)
    found = {}
    for fit in ("active", "all"):
        stage = built(blinking.info, fit=fit)
        arrays = stage.calibrate(np.column_stack([eeg, eog]), np.ones(12000, bool))
        found[fit] = np.abs(arrays["coefficients"][0] - blinking.mixing).max()
    assert found["active"] < 0.7 * found["all"]


def test_a_frontal_reference(blinking, run) -> None:
    """Without EOG channels; what is slow at the front is lost, what is fast stays."""
    info = StreamInfo("blinking", 200.0, blinking.info.ch_names[:6], ("eeg",) * 6)
    stage = built(info, reference="frontal", calibration_s=20.0)
    n_delay = round(stage.delay_s * 200)
    assert 1 <= n_delay <= 6
    out = run(stage, blinking.data[:, :6], range(0, 12000, 33))
    cleaned = out.data[4000 + n_delay :]
    brain, eyes = blinking.brain[4000:-n_delay], blinking.eyes[4000:-n_delay]
    blinks = blinking.blinks[4000:-n_delay]
    # Cz, Pz, Oz: a blink is gone, and alpha is not
    for i in (3, 4, 5):
        left = (cleaned[blinks, i] - brain[blinks, i]).mean()
        assert abs(left) < 3.0 + 0.1 * blinking.mixing[i] * eyes[blinks].mean()
        assert np.corrcoef(cleaned[:, i], brain[:, i])[0, 1] > 0.85
    t = np.arange(len(cleaned)) / 200
    carrier = np.exp(-2j * np.pi * 10.3 * t)
    assert abs(carrier @ cleaned[:, 5]) == pytest.approx(abs(carrier @ brain[:, 5]), rel=0.1)
    # the whole spectrum taken, no direction is lost
    values = np.linalg.eigvalsh(np.cov(cleaned.T))
    assert values[0] > 1e-4 * values[-1]
    assert stage.reset(info).rank is None


def test_named_references(blinking, run) -> None:
    as_eeg = replace(blinking.info, ch_types=("eeg",) * 7)
    stage = built(as_eeg, channels=("VEOG",), calibration_s=20.0)
    out = run(stage, blinking.data)
    np.testing.assert_array_equal(out.data[:, 6], blinking.data[:, 6])
    other = run(built(blinking.info, calibration_s=20.0), blinking.data)
    np.testing.assert_array_equal(out.data, other.data)


def test_references_that_are_not_there(blinking) -> None:
    eeg = StreamInfo("eeg", 200.0, ("C3", "C4"), ("eeg", "eeg"))
    with pytest.raises(ConfigError, match=r"type eog, and the stream has none \(C3, C4\).*frontal"):
        built(eeg)
    with pytest.raises(ConfigError, match=r"no channel 'HEOG', did you mean 'VEOG'.*frontal"):
        built(blinking.info, channels=("VEOG", "HEOG"))
    with pytest.raises(ConfigError, match=r"looks for Fp1, Fpz, Fp2.*the stream has C3, C4"):
        built(eeg, reference="frontal")
    with pytest.raises(ConfigError, match="'VEOG' is of type 'eog'"):
        built(blinking.info, reference="frontal", channels=("VEOG",))
    with pytest.raises(ConfigError, match="lowpass_hz is 100 Hz.*below 100 Hz"):
        built(blinking.info, lowpass_hz=100.0)
    with pytest.raises(ConfigError, match="none is left to be cleaned"):
        built(eeg, channels=("C3", "C4"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda eog: np.full_like(eog, 3.0), "VEOG is flat"),
        (lambda eog: np.clip(eog, None, 3.0), "VEOG is railed"),
        (lambda eog: np.random.default_rng(0).standard_normal(len(eog)), "of eye movements"),
    ],
)
def test_nothing_to_calibrate_on(spoil, says, blinking, run, caplog) -> None:
    data = np.array(blinking.data)
    data[:, 6] = spoil(data[:, 6])
    stage = built(blinking.info, calibration_s=20.0)
    with caplog.at_level(logging.WARNING):
        out = run(stage, data[:5000])
    assert says in stage.problem
    assert says in caplog.text
    np.testing.assert_array_equal(out.data, data[:5000])
    assert out.flagged["uncalibrated", None, False].all()


def test_rejected_throughout(blinking, run) -> None:
    stage = built(blinking.info, calibration_s=20.0)
    run(stage, blinking.data[:4000], (), 0, (Flag(0, 3700, "amplitude"),))
    assert "2 s without rejected samples are needed, and of 20 s only 1.5 s" in stage.problem


def test_a_reference_that_dies_later(blinking, run) -> None:
    data = np.array(blinking.data)
    data[6000:8000, 6] = 187500.0
    stage = built(blinking.info, calibration_s=20.0)
    out = run(stage, data, range(0, 12000, 41))
    dead = out.flagged["no-reference", "VEOG", False]
    np.testing.assert_array_equal(np.flatnonzero(dead), np.arange(6000, 8000))
    np.testing.assert_array_equal(out.data[dead], data[dead])
    alive = run(built(blinking.info, calibration_s=20.0), blinking.data)
    np.testing.assert_array_equal(out.data[8000:], alive.data[8000:])
    data[6000:8000, 6] = 5.0  # flat: known when it has not moved for 100 ms
    out = run(built(blinking.info, calibration_s=20.0), data, range(0, 12000, 41))
    dead = out.flagged["no-reference", "VEOG", False]
    np.testing.assert_array_equal(np.flatnonzero(dead), np.arange(6020, 8000))


def test_a_flat_eeg_channel_is_left_alone(blinking, run) -> None:
    data = np.array(blinking.data)
    data[:, 3] = 5.1
    stage = built(blinking.info, calibration_s=20.0)
    out = run(stage, data)
    np.testing.assert_allclose(out.data[:, 3], 5.1, atol=1e-9)
    assert stage.arrays["spread"][3] < 1e-9
    assert out.flagged["eog", None, False].mean() < 0.3


def test_a_calibration_from_a_file(blinking, tmp_path, run) -> None:
    stage = built(blinking.info, calibration_s=20.0)
    expected = run(stage, blinking.data)
    path = tmp_path / "eog.safetensors"
    save(path, stage.arrays, "eog_regression", blinking.info)
    out = run(built(blinking.info, calibration=path), blinking.data)
    np.testing.assert_array_equal(out.data[4000:], expected.data[4000:])
    with pytest.raises(ConfigError, match="with the reference VEOG, and the settings ask for Fp1"):
        built(blinking.info, calibration=path, reference="frontal")


@pytest.mark.skipif(not EEGLAB.exists(), reason=f"real recordings are not there: {EEGLAB}")
def test_a_real_recording(run) -> None:
    """Calibrated on the first minute, the slow activity of the eyes falls; the back stays."""
    from bci.dsp.filters import Highpass
    from bci.sources.files import load_recording

    recording = load_recording(EEGLAB)
    names = recording.info.ch_names
    types = tuple("eog" if name.startswith("EOG") else "eeg" for name in names)
    info = replace(recording.info, ch_types=types)
    highpass = Highpass(freq_hz=0.5, order=2).build()
    highpass.reset(info)
    data = run(highpass, recording.data).data
    out = run(built(info, calibration_s=60.0), data, range(0, 30504, 64))
    later = slice(round(60 * info.sfreq), None)

    def slow(x):
        return np.convolve(x, np.hanning(32) / 16, "same").var()

    def kept(name):
        i = names.index(name)
        return slow(out.data[later, i]) / slow(data[later, i])

    assert kept("FPz") < 0.7
    assert kept("F3") < 0.8
    assert 0.9 < kept("Oz") < 1.1
