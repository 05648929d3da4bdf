"""Verify: what is wrong with a recording is found and said, and nothing crashes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.recording.scan import ChunkAt, open_file, read_samples, read_strings, scan
from bci.recording.verify import verify
from bci.recording.writer import Recorder
from bci.recording.xdf import Tag
from bci.types import StreamInfo

DATA = Path(__file__).parents[3] / "shared" / "data"
INFO = StreamInfo("EEG", 100.0, ("a", "b"), ("eeg", "eeg"))


def record(path, data, stamps):
    with Recorder(path) as recorder:
        stream = recorder.add_stream(INFO, dtype=data.dtype)
        for i in range(0, len(data), 10):
            recorder.write_samples(stream, data[i : i + 10], stamps[i : i + 10])
    return path


@pytest.fixture
def good(tmp_path):
    data = np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)
    return record(tmp_path / "a_eeg.xdf", data, 5.0 + np.arange(1000) / 100)


def test_a_good_recording(good):
    report = verify(good)
    assert report.ok
    assert (report.closed, report.truncated, report.ledger) == (True, False, True)
    assert report.notes == []
    (eeg,) = report.streams
    assert (eeg.n_samples, eeg.n_footer, eeg.n_ledger) == (1000, 1000, 1000)
    assert (eeg.first, eeg.last) == (5.0, 14.99)
    assert eeg.effective_sfreq == pytest.approx(100.0)
    assert "1000 samples, 100.000 of 100 Hz" in str(report)


def test_gaps_rate_and_nan_are_notes(tmp_path):
    stamps = np.arange(1000) / 97.0
    stamps[400:] += 3.0
    stamps[700:] -= 8.0
    data = np.zeros((1000, 2))
    data[5, 1] = np.nan
    data[6] = np.inf
    report = verify(record(tmp_path / "a.xdf", data, stamps))
    (eeg,) = report.streams
    assert report.ok
    assert [gap.index for gap in eeg.gaps] == [400, 700]
    np.testing.assert_allclose([g.seconds for g in eeg.gaps], [3.0 + 1 / 97, -8.0 + 1 / 97])
    assert eeg.n_nan == 3
    assert eeg.effective_sfreq == pytest.approx(97.0)
    said = "\n".join(report.notes)
    assert "2 gaps" in said
    assert "NaN" in said
    assert "97.000 Hz, nominal 100 Hz" in said


def test_gaps_are_found_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("bci.recording.verify.BLOCK", 32)
    stamps = np.arange(1000) / 100.0
    cuts = [1, 39, 40, 41, 80, 500, 999]
    for cut in cuts:
        stamps[cut:] += 1.0
    (eeg,) = verify(record(tmp_path / "a.xdf", np.zeros((1000, 2)), stamps)).streams
    assert [gap.index for gap in eeg.gaps] == cuts
    assert eeg.effective_sfreq == pytest.approx(100.0)


@pytest.mark.parametrize("lost", [1, 5, 100, 3000])
def test_a_cut_tail_is_found(good, lost):
    good.write_bytes(good.read_bytes()[:-lost])
    report = verify(good)
    assert not report.ok
    assert not report.closed
    assert report.truncated == (report.damage != [])
    assert report.streams[0].n_ledger == 1000


def test_lost_samples_are_counted_against_the_ledger(good):
    raw = good.read_bytes()
    found = list(scan(open_file(good), {}))
    second = [f for f in found if isinstance(f, ChunkAt) and f.tag is Tag.SAMPLES][1]
    good.write_bytes(raw[: second.start] + raw[second.stop :])  # a whole chunk is missing
    problems = "\n".join(verify(good).problems)
    assert "10 of the ledger's 1000 samples are not in the file" in problems
    assert "the footer counts 1000 samples, 990 are there" in problems


def test_a_damaged_ledger_is_a_problem(good):
    ledger = good.with_name("a_ledger.jsonl")
    lines = ledger.read_text().splitlines()
    ledger.write_text("\n".join([lines[0], "{broken", *lines[1:]]))
    assert any("a_ledger.jsonl:2" in problem for problem in verify(good).problems)
    ledger.write_text(json.dumps({"schema": "bci.ledger/1"}) + '\n{"streams": {"x": 1}}\n')
    assert any("not complete" in problem for problem in verify(good).problems)
    ledger.unlink()
    assert verify(good).ok


@pytest.mark.parametrize("content", [b"", b"XD", b"not an XDF file", b"\x00" * 1000])
def test_what_is_no_xdf_is_one_line(tmp_path, content):
    path = tmp_path / "a.xdf"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        verify(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(RecordingError, match="No such file"):
        verify(tmp_path / "none.xdf")
    with pytest.raises(RecordingError, match="cannot be read"):
        verify(tmp_path)


def test_a_file_with_nothing_in_it_is_a_problem(tmp_path):
    (tmp_path / "a.xdf").write_bytes(b"XDF:")
    assert not verify(tmp_path / "a.xdf").ok


# --- real recordings -----------------------------------------------------------------------------

REAL = {
    "clock_resets.xdf": 27990,
    "empty_streams.xdf": 11,
    "minimal.xdf": 18,
    "ssvep_example.xdf": 33260,
    "sub-P001_ses-S001_task-MISwitch_run-002_eeg.xdf": 31631,
    "sub-P001_ses-S001_task-P300Checkboard_run-001_eeg.xdf": 19146,
}


def real(name):
    path = DATA / "xdf" / name
    if not path.exists():
        pytest.skip(f"real recording {path} is not here")
    return path


@pytest.mark.parametrize("name", REAL)
def test_real_recordings_read_as_in_pyxdf(name):
    pyxdf = pytest.importorskip("pyxdf")
    path = real(name)
    expected, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    data, headers = open_file(path), {}
    chunks = list(scan(data, headers))
    for stream in expected:
        header = headers[stream["info"]["stream_id"]]
        read = read_strings if header.dtype is None else read_samples
        stamps, values, last = [], [], 0.0
        for found in chunks:
            if found.tag is Tag.SAMPLES and found.stream == header.id:
                t, x = read(data, found, header, last)
                stamps.extend(t)
                values.extend(x)
                last = stamps[-1]
        assert np.array_equal(stamps, stream["time_stamps"])
        if header.dtype is None:
            assert values == stream["time_series"]
        elif values:
            assert np.array_equal(np.array(values), stream["time_series"])


@pytest.mark.parametrize("name", REAL)
def test_real_recordings_are_counted(name):
    report = verify(real(name))
    assert sum(s.n_samples for s in report.streams) == REAL[name]
    assert report.damage == []
    # the P300 file of LabRecorder has no footer for one marker stream
    assert report.ok == ("P300" not in name), str(report)
    for s in report.streams:
        if s.sfreq and s.n_samples and name != "clock_resets.xdf":
            assert s.effective_sfreq == pytest.approx(s.sfreq, rel=2e-3)


def test_clock_resets_are_reported_as_gaps():
    report = verify(real("clock_resets.xdf"))
    eeg = next(s for s in report.streams if s.name == "BioSemi")
    assert eeg.gaps
    assert min(gap.seconds for gap in eeg.gaps) < -600_000
    assert any(
        "gap in the time stamps" in note or "gaps in the time stamps" in note
        for note in report.notes
    )
    assert any("effective rate" in note for note in report.notes)


def test_other_formats_and_broken_files_are_one_line(tmp_path):
    files = [f for f in (DATA / "broken").glob("*") if f.suffix.lower() in (".edf", ".mat")]
    if not files:
        pytest.skip(f"broken files are not at {DATA / 'broken'}")
    for file in files:
        copy = tmp_path / "a.xdf"
        shutil.copyfile(file, copy)
        with pytest.raises(RecordingError, match="no XDF file") as caught:
            verify(copy)
        assert "\n" not in str(caught.value)
        copy.unlink()
