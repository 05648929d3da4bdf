"""Components taken out: against MNE, and what is left of blinks and muscle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, lfilter, sosfilt

from bci.denoise import decomposition
from bci.denoise.components import has_iclabel
from bci.dsp.artifacts.calibration import save
from bci.dsp.artifacts.ica import ICA
from bci.dsp.chain import Chain
from bci.dsp.reference import Reference
from bci.electrodes import montage_positions
from bci.errors import CalibrationFailed, ConfigError
from bci.sources.files import load_recording
from bci.types import StreamInfo

mne = pytest.importorskip("mne")

SFREQ, N = 128.0, 5120
NAMES = ("Fp1", "Fp2", "F3", "Fz", "F4", "T7", "C3", "Cz", "C4", "T8", "P3", "Pz", "P4", "Oz")
EEGLAB = Path(__file__).parents[3].joinpath("../shared/data/eeglab/eeglab_data.set")


@pytest.fixture(scope="module")
def info():
    at = montage_positions("standard_1020")
    positions = {name: at[name.casefold()] for name in NAMES}
    return StreamInfo("test", SFREQ, (*NAMES, "VEOG"), ("eeg",) * 14 + ("eog",), positions)


def around(info, name, width):
    apart = [np.subtract(info.positions[n], info.positions[name]) for n in NAMES]
    return np.exp(-((np.linalg.norm(apart, axis=1) / width) ** 2))


@pytest.fixture(scope="module")
def parts(info):
    """Brain, and artifacts: blinks and a muscle; each (n_samples, 15) with the EOG channel."""
    rng = np.random.default_rng(0)
    alpha = butter(2, (8, 12), "bandpass", fs=SFREQ, output="sos")
    brain = np.zeros((N, 15))
    for name in NAMES:
        source = lfilter([1], [1, -0.9], rng.laplace(size=N)) + 8 * sosfilt(
            alpha, rng.laplace(size=N)
        )
        brain[:, :14] += np.outer(source, around(info, name, 0.09) * rng.uniform(1, 3))
    blinks = np.zeros(N)
    for at in rng.integers(0, N - 60, 18):
        blinks[at : at + 50] += np.hanning(50)
    envelope = np.convolve(rng.random(N) > 0.995, np.hanning(60), "same")
    muscle = sosfilt(butter(2, 20, "highpass", fs=SFREQ, output="sos"), rng.standard_normal(N))
    artifacts = np.zeros((N, 15))
    eyes = around(info, "Fp1", 0.07) + around(info, "Fp2", 0.07)
    artifacts[:, :14] = 150 * np.outer(blinks, eyes)
    artifacts[:, :14] += 30 * np.outer(muscle * (0.2 + envelope), around(info, "T8", 0.08))
    artifacts[:, 14] = 250 * blinks
    return brain, artifacts


@pytest.fixture(scope="module")
def fitted(info, parts):
    """A calibrated stage's arrays and findings, and MNE's objects that they were made with."""
    kept = []
    fit = decomposition._fit

    def spy(*args):
        kept.append(fit(*args))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decomposition, "_fit", spy)
        stage = ICA(labeller="rules").build()
        stage.prepare(info, 0)
        arrays = stage.calibrate(sum(parts), np.ones(N, bool))
    return arrays, stage.findings, kept[0]


@pytest.fixture(scope="module")
def path(fitted, info, tmp_path_factory):
    path = tmp_path_factory.mktemp("ica") / "1-ica.safetensors"
    save(path, fitted[0], "ica", info, {"findings": fitted[1]})
    return path


@pytest.fixture
def stage(path, info):
    stage = ICA(calibration=path).build()
    stage.reset(info)
    return stage


def test_equals_mne(stage, fitted, parts, run) -> None:
    _, findings, (_, ica) = fitted
    removed = [int(f.split()[1].rstrip(":")) for f in findings if f.endswith(", taken out")]
    assert 2 <= len(removed) <= 5
    x = sum(parts)
    raw = mne.io.RawArray(
        1e-6 * x[:, :14].T,
        mne.create_info([str(k) for k in range(14)], SFREQ, "eeg"),
        verbose="ERROR",
    )
    expected = 1e6 * ica.apply(raw, exclude=removed, verbose="ERROR").get_data().T
    out = run(stage, x)
    np.testing.assert_allclose(out.data[:, :14], expected, atol=1e-9 * np.abs(x).max(), rtol=0)
    np.testing.assert_array_equal(out.data[:, 14], x[:, 14])


def test_any_chunking_gives_the_same_output(stage, info, parts, run) -> None:
    x = sum(parts)[:900]
    whole = run(stage, x)

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(st.lists(st.integers(0, 900), max_size=9))
    def check(cuts) -> None:
        stage.reset(info)
        cut = run(stage, x, cuts)
        np.testing.assert_array_equal(cut.data, whole.data)
        for key, mask in whole.flagged.items():
            np.testing.assert_array_equal(cut.flagged[key], mask)

    check()


def test_artifacts_go_and_brain_stays(stage, fitted, parts, run) -> None:
    brain, artifacts = parts
    out = run(stage, brain + artifacts)
    left = (out.data - brain)[:, :14]
    strong = np.abs(artifacts[:, 0]) > 50
    assert np.sqrt(np.mean(left[strong] ** 2)) < np.sqrt(np.mean(artifacts[strong, :14] ** 2)) / 4
    for name in ("Cz", "Pz", "Oz"):
        i = NAMES.index(name)
        assert np.corrcoef(out.data[:, i], brain[:, i])[0, 1] > 0.95
    # what was mended is said where there was something to mend
    mended = out.flagged["ica", None, False]
    assert mended[np.abs(artifacts[:, 0]) > 100].mean() > 0.9
    assert mended[~strong].mean() < 0.1
    labels = " ".join(fitted[1])
    assert "Eye (correlates" in labels
    assert "Muscle (spectral slope" in labels
    assert " s of 40.0 s used; 2 of 14 components are taken out, told by rules" in fitted[1][0]


def test_the_rank_is_said(path, fitted, info) -> None:
    n_out = len(fitted[0]["unmixing"])
    assert ICA(calibration=path).build().reset(info).rank == 14 - n_out
    chain = Chain([Reference().build(), ICA(calibration=path).build()])
    assert chain.reset(info).rank == 13 - n_out


def test_nothing_to_take_out(info, parts, run, tmp_path) -> None:
    stage = ICA(labeller="rules", remove=("LineNoise",)).build()
    stage.prepare(info, 0)
    block = sum(parts)[:2000]
    arrays = stage.calibrate(block, np.ones(2000, bool))
    assert "0 of 9 components are taken out" in stage.findings[0]
    path = tmp_path / "none.safetensors"
    save(path, arrays, "ica", info)
    stage = ICA(calibration=path).build()
    assert stage.reset(info).rank == 14
    out = run(stage, block)
    np.testing.assert_array_equal(out.data, block)
    assert out.flagged == {}


def test_what_cannot_be_done_is_said(info, parts, path) -> None:
    with pytest.raises(ConfigError, match="bci train --kind cleaning CONFIG FILE --out FOLDER"):
        ICA().build().reset(info)
    one = StreamInfo("test", SFREQ, ("Cz",), ("eeg",))
    with pytest.raises(ConfigError, match="two EEG channels or more, the stream has only 'Cz'"):
        ICA().build().prepare(one, 0)
    types = ("eog", *info.ch_types[1:])
    other = StreamInfo("test", SFREQ, info.ch_names, types)
    with pytest.raises(ConfigError, match="expected for the 13 EEG channels that enter the stage"):
        ICA(calibration=path).build().reset(other)
    x = sum(parts)

    def calibrated(block, usable=None, stream=info, **changes):
        stage = ICA(**{"labeller": "rules", **changes}).build()
        stage.prepare(stream, 0)
        stage.calibrate(block, np.ones(len(block), bool) if usable is None else usable)

    with pytest.raises(CalibrationFailed, match="14 windows are without a flag, and 20 are needed"):
        calibrated(x[:350])
    with pytest.raises(CalibrationFailed, match="0 windows are without a flag"):
        calibrated(x[:2000], np.zeros(2000, bool))
    with pytest.raises(ConfigError, match="of 14 channels, of rank 1, give 1 components"):
        calibrated(np.repeat(x[:2000, :1], 15, axis=1))
    with pytest.raises(CalibrationFailed, match="all 9 components are artifacts"):
        calibrated(x[:2000], remove=("Brain", "Other", "Eye", "Muscle", "ChannelNoise"))
    if has_iclabel():
        lost = StreamInfo("test", SFREQ, info.ch_names, info.ch_types)
        with pytest.raises(ConfigError, match="the place of every electrode, and that of Fp1"):
            calibrated(x, stream=lost, labeller="iclabel")


@pytest.mark.slow
@pytest.mark.skipif(not EEGLAB.exists(), reason="../shared/data/eeglab is not there")
@pytest.mark.skipif(not has_iclabel(), reason="mne-icalabel or onnxruntime is not installed")
def test_iclabel_and_rules_agree_on_the_eyes_of_a_real_recording() -> None:
    recording = load_recording(EEGLAB)
    names = recording.info.ch_names
    types = tuple("eog" if "EOG" in name else "eeg" for name in names)
    eeg = [i for i, kind in enumerate(types) if kind == "eeg"]
    sos = butter(2, 0.5, "highpass", fs=SFREQ, output="sos")
    x = sosfilt(sos, np.asarray(recording.data, float), axis=0)
    x[:, eeg] -= x[:, eeg].mean(axis=1, keepdims=True)
    at = montage_positions("standard_1005")
    positions = {name: at[name.casefold()] for name in names if name.casefold() in at}
    info = StreamInfo("eeglab", SFREQ, names, types, positions)
    told = {}
    for labeller in ("iclabel", "rules"):
        stage = ICA(labeller=labeller).build()
        stage.prepare(info, 0)
        arrays = stage.calibrate(x, np.ones(len(x), bool))
        told[labeller] = {f.split()[1] for f in stage.findings[1:] if ": Eye (" in f}
        removed = x[:, eeg] @ arrays["unmixing"].T @ arrays["mixing"].T
        front = x[:, names.index("FPz")]
        left = front - removed[:, eeg.index(names.index("FPz"))]
        loud = np.abs(front) > 60.0
        assert np.sum(left[loud] ** 2) < 0.3 * np.sum(front[loud] ** 2)
    assert told["iclabel"] & told["rules"]
