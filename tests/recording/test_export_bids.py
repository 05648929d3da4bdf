"""BIDS export: what mne-bids reads back is what was recorded."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.eventlog import EventLog
from bci.recording.export import export_bids
from bci.recording.layout import new_run
from bci.recording.writer import Recorder
from bci.types import Marker, StreamInfo

INFO = StreamInfo(
    name="Amp SN-4711",
    sfreq=250.0,
    ch_names=("Fz", "Cz", "EOG", "TRIG"),
    ch_types=("eeg", "eeg", "eog", "stim"),
    positions={"Fz": (0.001, 0.087, 0.053), "Cz": (0.0, -0.01, 0.1)},
    source_id="device-4711",
)
CUES = {300: "13 Hz", 900: "Größe", 2000: "13 Hz"}


def record(root, session=1, log=False, jitter=0.0):
    rng = np.random.default_rng(session)
    paths = new_run(root, "P001", session, "bci", "a: 1\n")
    data = (rng.standard_normal((2500, 4)) * 40).astype(np.float32)
    data[:, 3] = rng.integers(0, 8, 2500)
    true = 100.0 + np.arange(2500) / 250
    stamps = true + rng.normal(0, jitter, 2500) if jitter else true.copy()
    true[1500:] += 5.0
    stamps[1500:] += 5.0
    with Recorder(paths.xdf) as recorder:
        eeg = recorder.add_stream(INFO, dtype=np.float32)
        markers = recorder.add_marker_stream("markers", source_id="keyboard-4711")
        decisions = recorder.add_marker_stream("decisions")
        recorder.write_marker(decisions, "not a marker", true[400])
        for i in range(0, 2500, 50):
            recorder.write_samples(eeg, data[i : i + 50], stamps[i : i + 50])
        for at, text in CUES.items():
            recorder.write_marker(markers, text, true[at])
    if log:
        events = EventLog(paths.events, INFO)
        for at, text in CUES.items():
            events.append(Marker(at + 20, at + 7, text))
        events.close()
    return paths, data


def read(root, session="001"):
    mne_bids = pytest.importorskip("mne_bids")
    path = mne_bids.BIDSPath(
        subject="P001", session=session, task="bci", run="001", datatype="eeg", root=root
    )
    return mne_bids.read_raw_bids(path, verbose="error")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    recorded = {s: record(folder / "rec", s, log=s == 2, jitter=0.002) for s in (1, 2)}
    written = export_bids(folder / "rec", folder / "bids")
    return folder, recorded, written


def test_samples_come_back_in_volts_and_exact(exported):
    folder, recorded, written = exported
    assert [p.suffix for p in written] == [".vhdr", ".vhdr"]
    for session, (_, data) in recorded.items():
        raw = read(folder / "bids", f"{session:03d}")
        assert raw.info["sfreq"] == 250.0
        assert raw.ch_names == list(INFO.ch_names)
        assert raw.get_channel_types() == ["eeg", "eeg", "eog", "stim"]
        found = raw.get_data()
        np.testing.assert_allclose(found[:3].T * 1e6, data[:, :3], rtol=3e-7, atol=1e-7)
        np.testing.assert_allclose(found[3], data[:, 3], rtol=3e-7)


def test_markers_and_breaks_are_events(exported):
    folder, _, _ = exported
    for session, late in (("001", 0), ("002", 7)):  # the event log knows better than the stamps
        file = f"sub-P001_ses-{session}_task-bci_run-001_events.tsv"
        with (folder / "bids/sub-P001" / f"ses-{session}" / "eeg" / file).open() as tsv:
            events = [
                (int(e["sample"]), e["trial_type"]) for e in csv.DictReader(tsv, delimiter="\t")
            ]
        breaks = [at for at, text in events if text == "BAD_ACQ_SKIP"]
        cues = [(at, text) for at, text in events if text != "BAD_ACQ_SKIP"]
        assert breaks == [1500]
        assert [text for _, text in cues] == list(CUES.values())
        assert np.abs(np.array([at for at, _ in cues]) - np.array(list(CUES)) - late).max() <= (
            0 if late else 1
        )


def test_positions_are_metres(exported):
    folder, _, _ = exported
    (file,) = (folder / "bids/sub-P001/ses-001/eeg").glob("*_electrodes.tsv")
    with file.open() as tsv:
        places = {e["name"]: e for e in csv.DictReader(tsv, delimiter="\t")}
    np.testing.assert_allclose(
        [float(places["Fz"][axis]) for axis in "xyz"], INFO.positions["Fz"], atol=1e-6
    )


def test_the_recording_is_kept_as_source_data(exported):
    folder, recorded, _ = exported
    for session, (paths, _) in recorded.items():
        copy = folder / "bids/sourcedata/sub-P001" / f"ses-{session:03d}" / "eeg" / paths.xdf.name
        assert copy.read_bytes() == paths.xdf.read_bytes()


def test_the_sidecar_does_not_name_a_wrong_maker(exported):
    folder, _, _ = exported
    (file,) = (folder / "bids/sub-P001/ses-001/eeg").glob("*_eeg.json")
    assert json.loads(file.read_text())["Manufacturer"] == "n/a"


def test_a_second_export_overwrites_nothing(exported):
    folder, recorded, _ = exported
    with pytest.raises(RecordingError, match=r"is in .* already"):
        export_bids(recorded[1][0].xdf, folder / "bids")


def test_anonymized_export_names_neither_device_nor_date(exported, tmp_path):
    folder, recorded, _ = exported
    export_bids(folder / "rec", tmp_path, anonymize=True)
    assert not (tmp_path / "sourcedata").exists()
    dates = set()
    for session, (_, data) in recorded.items():
        raw = read(tmp_path, f"{session:03d}")
        np.testing.assert_allclose(raw.get_data()[:3].T * 1e6, data[:, :3], rtol=3e-7, atol=1e-7)
        dates.add(raw.info["meas_date"].date())
        assert 1902 < raw.info["meas_date"].year < 1925
    assert len(dates) == 1  # recorded on one day, shifted by one number
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.suffix != ".eeg":
            assert "4711" not in file.read_text()


def test_what_cannot_be_exported_is_one_line(tmp_path):
    with pytest.raises(RecordingError, match="no recording"):
        export_bids(tmp_path, tmp_path / "bids")
    (tmp_path / "x.xdf").write_bytes(b"XDF:")
    with pytest.raises(RecordingError, match="does not say whose"):
        export_bids(tmp_path / "x.xdf", tmp_path / "bids")
    paths, _ = record(tmp_path / "rec")
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot be written"):
        export_bids(paths.xdf, tmp_path / "file" / "bids")
    paths.xdf.write_bytes(paths.xdf.read_bytes()[:-300])
    with pytest.raises(RecordingError, match="bci salvage"):
        export_bids(paths.xdf, tmp_path / "bids")
    empty = new_run(tmp_path / "rec", "P002", 1, "bci", "")
    Recorder(empty.xdf).close()
    with pytest.raises(RecordingError, match="expected one EEG stream, found 0"):
        export_bids(empty.xdf, tmp_path / "bids")
