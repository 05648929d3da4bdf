"""Calibration of cleaning stages on a recording: files, what is said of them, and their use."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.signal import butter, lfilter, sosfilt

from bci import cli, config
from bci.calibration.cleaning import entering, self_calibrating, train
from bci.decoders.manifest import Manifest, check, describe_processing
from bci.dsp.artifacts.calibration import read
from bci.errors import CalibrationFailed, ConfigError, ModelError
from bci.pipeline import Pipeline
from bci.sources.files import load_recording
from bci.types import Break, Chunk

SFREQ, N = 128.0, 5120
NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "Cz", "C4", "P3", "P4", "Oz")
OPENBCI = (
    Path(__file__)
    .parents[2]
    .joinpath("../shared/data/openbci/OpenBCI_GUI-v5-blinks-jawClench-alpha.txt")
)
PHYSIONET = Path(__file__).parents[2].joinpath("../shared/data/physionet-s001/S001R03.edf")


def session(*stages, **changes):
    text = yaml.safe_dump(
        {
            "source": {"kind": "simulated"},
            "channels": {"pick": "all"},
            "processing": [{"kind": "highpass", "freq_hz": 0.5, "order": 2}, *stages],
            "window": {"kind": "sliding", "length_s": 1.0, "hop_s": 0.5},
            **changes,
        }
    )
    return config.loads(text)


ASR = {"kind": "asr", "cutoff": 10.0}
ICA = {"kind": "ica", "labeller": "rules", "remove": ["Eye"]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Brain with alpha, blinks seen by an EOG channel, and two bursts of everything."""
    rng = np.random.default_rng(0)
    alpha = butter(2, (8, 12), "bandpass", fs=SFREQ, output="sos")
    sources = lfilter([1], [1, -0.9], rng.laplace(size=(10, N)))
    sources += 8 * sosfilt(alpha, rng.laplace(size=(10, N)))
    x = sources.T @ (np.eye(10) + 0.3 * rng.standard_normal((10, 10))) * 3
    blinks = np.zeros(N)
    for at in rng.integers(300, N - 60, 12):
        blinks[at : at + 50] += np.hanning(50)
    x += np.outer(blinks, [120, 120, 50, 50, 10, 10, 10, 3, 3, 0])
    x[4000:4060] += 900 * rng.standard_normal((60, 1)) * rng.standard_normal(10)
    data = np.column_stack([x + 300.0, 200 * blinks])
    path = tmp_path_factory.mktemp("cleaning") / "run1.npz"
    np.savez(
        path, data=data, sfreq=SFREQ, ch_names=(*NAMES, "VEOG"), ch_types=("eeg",) * 10 + ("eog",)
    )
    return path


@pytest.fixture(scope="module")
def made(path, tmp_path_factory):
    """Folder, lines that were said, and the configuration with the files named."""
    said = []
    folder = tmp_path_factory.mktemp("out") / "cleaning"
    named = train(session(ICA, ASR), path, folder, report=said.append)
    return folder, "\n".join(said), named


def test_a_file_for_each_stage_and_what_was_found(made) -> None:
    folder, said, named = made
    assert sorted(p.name for p in folder.iterdir()) == ["2-ica.safetensors", "3-asr.safetensors"]
    assert "stage 2 (ica), 40.0 s of" in said
    assert "s of 40.0 s are clean, of rank 9 in 10 channels" in said
    assert "components are taken out, told by rules" in said
    assert "Eye (correlates" in said
    lines = said[said.index("- kind: ica") :]
    stages = yaml.safe_load(lines)
    assert stages == [
        {**ICA, "calibration": str(folder / "2-ica.safetensors")},
        {**ASR, "calibration": str(folder / "3-asr.safetensors")},
    ]
    assert session(*stages).processing == named.processing
    header, _ = read(folder / "2-ica.safetensors")
    assert "Eye" in header["found"]
    assert "run1.npz" in header["found"]


def test_the_pipeline_works_with_them(made, path) -> None:
    _, _, named = made
    recording = load_recording(path)
    pipeline = Pipeline(named, recording.info)
    assert pipeline.info.rank == 9
    windows = [w for w in pipeline.windows(Chunk(0, recording.data)) if w.data is not None]
    repaired = {word for window in windows for word in window.quality.repaired}
    assert repaired == {"asr", "ica"}
    assert not any("uncalibrated" in window.quality.reasons for window in windows)
    front = np.concatenate([w.data[0] for w in windows[2::2]])
    assert np.abs(front).max() < 0.5 * np.ptp(recording.data[:, 0])


def test_each_stage_learns_from_what_enters_it(made, path) -> None:
    _, _, named = made
    recording = load_recording(path)
    info, block, usable = entering(named, 2, recording, 1000)
    assert info.ch_names == (*NAMES, "VEOG")
    assert len(block) == N - 1000
    assert usable.all()
    _, before, _ = entering(named, 1, recording, 1000)
    blinking = before[:, -1] > 100
    power = [float(np.mean(x[blinking, 0] ** 2)) for x in (before, block)]
    assert power[1] < 0.2 * power[0]  # blinks are gone before the second stage learns


def test_a_break_is_in_no_window(path) -> None:
    recording = load_recording(path)
    recording.breaks.append((2000, Break("lost", 1.0)))
    data = recording.data
    data[3000:3010, 1] = np.nan
    _, block, usable = entering(session(), 1, recording)
    assert len(block) == N
    np.testing.assert_array_equal(np.flatnonzero(~usable), [2000, *range(3000, 3010)])


def test_what_cannot_be_done_is_said(path, tmp_path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"there is none among them \(highpass\); put one there"):
        train(session(), path, out, report=print)
    with pytest.raises(CalibrationFailed, match=r"run1.npz: asr: E?.*put a highpass"):
        train(session(processing=[ASR]), path, out, report=print)
    with pytest.raises(CalibrationFailed, match="nothing is left from sample 9000 on"):
        train(session(ASR), path, out, from_sample=9000, report=print)
    assert not out.exists()
    out.mkdir()
    with pytest.raises(ModelError, match="exists already"):
        train(session(ASR), path, out, report=print)


def test_command_line(path, tmp_path, capsys, monkeypatch) -> None:
    yaml_path = tmp_path / "session.yaml"
    yaml_path.write_text(config.dump(session(ASR)), encoding="utf-8")

    def bci(*arguments):
        monkeypatch.setattr(sys, "argv", ["bci", "train", str(yaml_path), *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        said = capsys.readouterr()
        return exit_.value.code or 0, said.out + said.err

    cleaning = ("--kind", "cleaning", "--out", tmp_path / "new")
    code, said = bci(path, *cleaning)
    assert code == 0, said
    assert "name the files in 'processing'" in said
    assert (tmp_path / "new" / "2-asr.safetensors").exists()
    code, said = bci(path, path, *cleaning)
    assert (code, "calibrated on one recording, and 2 are named" in said) == (2, True)
    code, said = bci(path, *cleaning, "--decoder", "csp")
    assert (code, "--decoder does not go with --kind cleaning" in said) == (2, True)


def test_a_model_notices_another_calibration(path, tmp_path) -> None:
    folder = tmp_path / "a"
    named = train(session(ASR), path, folder, report=lambda _: None)
    recording = load_recording(path)

    def described(settings):
        pipeline = Pipeline(settings, recording.info)
        return pipeline.info, describe_processing(settings.processing, pipeline.chain.stages)

    info, trained = described(named)
    manifest = Manifest(ch_names=info.ch_names, sfreq=info.sfreq, processing=trained)
    check(manifest, info, trained)
    moved = tmp_path / "elsewhere.safetensors"
    moved.write_bytes((folder / "2-asr.safetensors").read_bytes())
    check(manifest, *described(session({**ASR, "calibration": str(moved)})))
    other = train(session(ASR), path, tmp_path / "b", from_sample=700, report=lambda _: None)
    with pytest.raises(
        ModelError,
        match=r"stage 2 \(asr\): calibrated from .*2-asr.safetensors \(\w{8}\) in training",
    ):
        check(manifest, *described(other))
    with pytest.raises(ModelError, match="in training, on the stream itself now"):
        check(manifest, *described(session(ASR)))
    with pytest.raises(ModelError, match="cutoff 10.0 in training, 20.0 now"):
        check(manifest, *described(session({"kind": "asr", "calibration": str(moved)})))


def test_training_says_what_calibrates_itself() -> None:
    assert list(self_calibrating(session())) == []
    (note,) = self_calibrating(session({**ASR, "calibration_s": 20.0}))
    assert "processing stage 2 (asr) has no calibration file: it learns from the first 20 s" in note


@pytest.mark.skipif(not OPENBCI.exists(), reason="../shared/data/openbci is not there")
def test_blinks_and_a_clenched_jaw_go_and_alpha_stays(tmp_path) -> None:
    """Of OpenBCI's sample recording: blinks until 20 s, alpha from 30 s on, the jaw from 76 s."""
    notch = {"kind": "notch", "freq_hz": 60, "harmonics": 2}
    asr = {"kind": "asr"}
    named = train(session(notch, asr), OPENBCI, tmp_path / "asr", report=lambda _: None)
    recording = load_recording(OPENBCI)
    info, before, _ = entering(named, 2, recording)
    _, after, _ = entering(named, 3, recording)
    late = round(0.25 * info.sfreq)

    def rms(x, start_s, stop_s):
        return np.sqrt(np.mean(x[round(start_s * info.sfreq) : round(stop_s * info.sfreq)] ** 2))

    before, after = before[:-late], after[late:]
    for disturbed in ((1, 16), (82, 89)):
        assert rms(after, *disturbed) < 0.6 * rms(before, *disturbed)
        assert rms(after, *disturbed) < 1.6 * rms(before, 30, 74)
    alpha = slice(round(30 * info.sfreq), round(74 * info.sfreq))
    np.testing.assert_array_equal(after[alpha], before[alpha])


@pytest.mark.slow
@pytest.mark.skipif(not PHYSIONET.exists(), reason="../shared/data/physionet-s001 is not there")
def test_ica_then_asr_of_a_real_recording(tmp_path) -> None:
    """64 channels: what ICA takes out, and the rank that the stage behind it finds."""
    said = []
    reference = {"kind": "reference"}
    stages = reference, {"kind": "ica", "labeller": "rules"}, ASR
    named = train(session(*stages), PHYSIONET, tmp_path / "both", report=said.append)
    assert any("Eye (topography correlates" in line for line in said)
    pipeline = Pipeline(named, load_recording(PHYSIONET).info)
    n_out = sum(line.endswith(", taken out") for line in said)
    assert pipeline.info.rank == 63 - n_out
    assert any(f"of rank {63 - n_out} in 64 channels" in line for line in said)
