"""The real recordings in ../shared/data: everything loads, and the broken ones say why."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from bci.channels import ChannelAdapter
from bci.config import Channels
from bci.errors import SourceError
from bci.sources.files import load_recording

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}")


def files(pattern: str) -> list[Path]:
    return sorted(DATA.glob(pattern))


def named(path: Path) -> str:
    return path.name


# --- XDF by LabRecorder and others ---------------------------------------------------------------

REGULAR = [p for p in files("xdf/*.xdf") if p.stem not in ("clock_resets", "empty_streams")]


@pytest.mark.parametrize("path", REGULAR, ids=named)
def test_effective_rate_is_near_nominal(path: Path) -> None:
    recording = load_recording(path)
    rate = (recording.n_samples - 1) / (recording.stamps[-1] - recording.stamps[0])
    assert rate == pytest.approx(recording.info.sfreq, rel=1e-3)
    assert recording.markers
    assert recording.breaks == []
    indices = [m.index for m in recording.markers]
    assert indices == sorted(indices)
    for marker in recording.markers:  # sample and time of a marker agree
        assert marker.index is not None
        assert abs(recording.stamps[marker.index] - marker.t) < 0.2


def test_xdf_samples_are_those_that_pyxdf_reads() -> None:
    pyxdf = pytest.importorskip("pyxdf")
    (path,) = files("xdf/sub-P001_ses-S001_task-P300*.xdf") or [None]
    if path is None:
        pytest.skip("no P300 recording")
    recording = load_recording(path)
    streams, _ = pyxdf.load_xdf(str(path))
    amp = next(s for s in streams if s["info"]["type"] == ["EEG"])
    unity = next(s for s in streams if s["info"]["name"] == ["UnityMarkerStream"])
    np.testing.assert_array_equal(recording.data, amp["time_series"])
    assert recording.info.ch_names[:2] == ("F3", "Fz")
    assert [m.value for m in recording.markers] == [v[0] for v in unity["time_series"]]
    nearest = np.searchsorted(amp["time_stamps"], unity["time_stamps"])
    found = np.array([m.index for m in recording.markers])
    assert np.max(np.abs(found - nearest)) <= 1  # as by pyxdf's own dejitter, to one sample


def test_clock_resets_load_with_their_break() -> None:
    path = DATA / "xdf" / "clock_resets.xdf"
    recording = load_recording(path)
    assert recording.n_samples == 27815
    ((at, broken),) = recording.breaks
    assert at == 12870
    assert broken.missing_s == pytest.approx(276, abs=3)


def test_empty_streams_load() -> None:
    recording = load_recording(DATA / "xdf" / "empty_streams.xdf")
    assert recording.n_samples == 10
    assert any("no stream of type EEG" in note for note in recording.notes)


# --- FIF, EDF, BDF, EEGLAB, OpenBCI --------------------------------------------------------------


def test_ssvep_exo_has_32_markers_each() -> None:
    paths = files("ssvep-exo/*/*_raw.fif")
    if not paths:
        pytest.skip("no ssvep-exo recordings")
    for path in paths:
        recording = load_recording(path)
        assert recording.info.sfreq == 256
        assert recording.info.ch_names == ("Oz", "O1", "O2", "PO3", "POz", "PO7", "PO8", "PO4")
        values = [m.value for m in recording.markers]
        assert sorted(values) == sorted("1234" * 8), path.name
        last = recording.markers[-1].index
        assert last is not None
        assert last + 5 * 256 <= recording.n_samples + 256


def test_ssvep_exo_samples_are_mnes_times_a_million() -> None:
    mne = pytest.importorskip("mne")
    paths = files("ssvep-exo/subject01/*_raw.fif")
    if not paths:
        pytest.skip("no ssvep-exo recordings")
    raw = mne.io.read_raw_fif(paths[0], preload=True, verbose="ERROR")
    recording = load_recording(paths[0])
    np.testing.assert_array_equal(recording.data, raw.get_data().T * 1e6)
    events = mne.read_events(str(paths[0]).replace("_raw.fif", "-eve.fif"), verbose="ERROR")
    assert [m.index for m in recording.markers] == (events[:, 0] - raw.first_samp).tolist()


@pytest.mark.parametrize("path", files("physionet-s001/*.edf"), ids=named)
def test_physionet_loads_under_10_05_names(path: Path) -> None:
    recording = load_recording(path)
    assert recording.data.shape[1] == 64
    assert {m.value for m in recording.markers} == {"T0", "T1", "T2"}
    assert 10 < np.std(recording.data) < 200  # microvolts
    out = ChannelAdapter(Channels()).reset(recording.info)
    assert {"FC5", "Fp1", "T7", "P8", "Oz", "Iz"} <= set(out.ch_names)
    assert set(out.positions) == set(out.ch_names)


@pytest.mark.parametrize(
    ("name", "shape", "n_markers"),
    [
        ("eeglab_data.set", (30504, 32), 154),
        ("test.edf", (15360, 16), 0),
        ("test.bdf", (15360, 17), 40),
    ],
)
def test_eeglab_samples(name: str, shape: tuple[int, int], n_markers: int) -> None:
    recording = load_recording(DATA / "eeglab" / name)
    assert recording.data.shape == shape
    assert len(recording.markers) == n_markers
    if name.endswith(".set"):  # float32 microvolts, bit for bit
        single = np.fromfile(DATA / "eeglab" / "eeglab_data.fdt", "<f4").reshape(-1, 32)
        np.testing.assert_array_equal(recording.data, single)


def test_both_openbci_generations_hold_the_same_samples() -> None:
    old, new = (load_recording(p) for p in files("openbci/*.txt"))
    np.testing.assert_array_equal(old.data, new.data)
    assert old.data.shape == (22490, 8)
    assert old.data[0, 0] == 61379.36
    assert old.breaks == new.breaks == []
    rate = (old.n_samples - 1) / (old.stamps[-1] - old.stamps[0])
    assert rate == pytest.approx(250, rel=0.01)


# --- broken --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("crlf-damaged.edf", "line endings were rewritten"),
        ("truncated.edf", "line endings were rewritten|cut off"),
        ("truncated.mat", r"'\.mat' cannot be read; the formats known are XDF"),
    ],
)
def test_broken_files_give_one_clear_line(name: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as error:
        load_recording(DATA / "broken" / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.999])
@pytest.mark.parametrize(
    "pattern",
    ["physionet-s001/S001R04.edf", "eeglab/test.bdf", "xdf/ssvep_example.xdf",
     "ssvep-exo/subject01/*_raw.fif"],
)  # fmt: skip
def test_real_files_cut_off_anywhere_are_refused(tmp_path: Path, pattern: str, keep: float) -> None:
    original = files(pattern)[0]
    content = original.read_bytes()
    path = tmp_path / original.name
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(SourceError) as error:
        load_recording(path)
    assert "\n" not in str(error.value)


def test_loading_changes_no_file() -> None:
    path = files("eeglab/test.edf")[0]
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    load_recording(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
