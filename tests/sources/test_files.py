"""Every format, read back exactly, with markers on exact samples; every damage, one clear line."""

from __future__ import annotations

import gzip
import struct
from itertools import pairwise
from pathlib import Path

import edfio
import mne
import numpy as np
import pybv
import pytest

from bci.errors import BciError, SourceError
from bci.recording import xdf
from bci.sources.files import Recording, load_recording
from bci.types import Chunk, Gap, Marker, StreamInfo

SFREQ = 200.0
NAMES = ["Fz", "Cz", "Pz"]
N = 1000


@pytest.fixture
def microvolts() -> np.ndarray:
    """Noise on top of a counting channel, shape (n_samples, n_channels), float64."""
    data = np.random.default_rng(1).normal(0, 20, (N, 3))
    data[:, 0] = np.arange(N)
    return data


def raw_of(microvolts: np.ndarray, events: list[tuple[int, str]] = ()) -> mne.io.RawArray:
    info = mne.create_info(NAMES, SFREQ, "eeg")
    raw = mne.io.RawArray(microvolts.T * 1e-6, info, verbose="ERROR")
    onsets, texts = zip(*events, strict=True) if events else ((), ())
    raw.set_annotations(mne.Annotations(np.array(onsets) / SFREQ, 0.1, list(texts)))
    return raw


def marks(recording: Recording) -> list[tuple[int | None, str]]:
    return [(m.index, m.value) for m in recording.markers]


def assert_close(recording: Recording, microvolts: np.ndarray, step: float = 1e-9) -> None:
    assert recording.data.shape == microvolts.shape
    assert np.max(np.abs(recording.data - microvolts)) <= step
    assert recording.info.ch_names == tuple(NAMES)
    assert set(recording.info.ch_types) == {"eeg"}
    assert recording.info.sfreq == SFREQ
    np.testing.assert_array_equal(recording.stamps, np.arange(len(microvolts)) / SFREQ)


def one_line(error: pytest.ExceptionInfo[BciError], path: Path) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert path.name in text
    return text


# --- formats by MNE ------------------------------------------------------------------------------


def test_fif_with_annotations_and_sidecar(tmp_path: Path, microvolts: np.ndarray) -> None:
    raw = raw_of(microvolts, [(100, "left"), (300, "right"), (400, "BAD_blink")])
    raw.crop(tmin=0.25)  # the file's samples no longer begin at 0
    raw.save(tmp_path / "x_raw.fif", fmt="double", verbose="ERROR")
    events = np.array([[raw.first_samp + 7, 0, 3], [raw.first_samp + 500, 0, 4]])
    mne.write_events(tmp_path / "x-eve.fif", events, verbose="ERROR")
    recording = load_recording(tmp_path / "x_raw.fif")
    assert_close(recording, microvolts[50:])
    assert marks(recording) == [(7, "3"), (50, "left"), (250, "right"), (500, "4")]
    assert recording.markers[0].t == 7 / SFREQ
    assert any("annotated as bad" in note for note in recording.notes)


def test_fif_with_stim_channel(tmp_path: Path, microvolts: np.ndarray) -> None:
    info = mne.create_info(["Cz", "EOG1", "STI"], SFREQ, ["eeg", "eog", "stim"])
    data = microvolts.T * np.array([[1e-6], [1e-6], [0]])
    data[2, 100:110] = 5
    data[2, 600] = 7  # of one sample only
    mne.io.RawArray(data, info, verbose="ERROR").save(tmp_path / "s_raw.fif", verbose="ERROR")
    recording = load_recording(tmp_path / "s_raw.fif")
    assert marks(recording) == [(100, "5"), (600, "7")]
    assert recording.info.ch_types == ("eeg", "eog", "stim")
    assert recording.data[105, 2] == 5.0  # codes are no voltages
    assert recording.data[100, 0] == pytest.approx(100.0)


@pytest.mark.parametrize("kind", ["edf", "bdf"])
def test_edf_and_bdf(tmp_path: Path, microvolts: np.ndarray, kind: str) -> None:
    signal, write, step = {
        "edf": (edfio.EdfSignal, edfio.Edf, 2000 / 2**16),
        "bdf": (edfio.BdfSignal, edfio.Bdf, 2000 / 2**24),
    }[kind]
    signals = [
        signal(c, SFREQ, label=f"EEG {n}", physical_dimension="uV", physical_range=(-1000, 1000))
        for c, n in zip(microvolts.T, NAMES, strict=True)
    ]
    notes = [edfio.EdfAnnotation(0.5, 0.0, "T1"), edfio.EdfAnnotation(2.0, 1.0, "T2")]
    path = tmp_path / f"a.{kind}"
    write(signals, annotations=notes).write(path)
    recording = load_recording(path)
    assert_close(recording, microvolts, step)
    assert marks(recording) == [(100, "T1"), (400, "T2")]


def write_gdf(path: Path, data: np.ndarray, events: list[tuple[int, int]]) -> None:
    """A GDF 1.25 file of float32 microvolts, one record per second."""
    n, n_ch = data.shape
    rate = int(SFREQ)
    head = b"GDF 1.25" + b" " * 160 + b"2020010112000000"
    head += struct.pack("<q", 256 * (n_ch + 1)) + bytes(24) + bytes(20)
    head += struct.pack("<qIII", n // rate, 1, 1, n_ch)
    per = [name.encode().ljust(16) for name in NAMES]
    head += b"".join(per) + b" " * 80 * n_ch + b"uV      " * n_ch
    head += struct.pack(f"<{n_ch}d", *[-1000.0] * n_ch) + struct.pack(f"<{n_ch}d", *[1000.0] * n_ch)
    head += struct.pack(f"<{n_ch}q", *[-1000] * n_ch) + struct.pack(f"<{n_ch}q", *[1000] * n_ch)
    head += b" " * 80 * n_ch + struct.pack(f"<{n_ch}i", *[rate] * n_ch)
    head += struct.pack(f"<{n_ch}i", *[16] * n_ch) + bytes(32 * n_ch)
    records = data.astype("<f4").reshape(n // rate, rate, n_ch).transpose(0, 2, 1)
    table = struct.pack("<B3sI", 1, bytes([rate, 0, 0]), len(events))
    table += b"".join(struct.pack("<I", i + 1) for i, _ in events)
    table += b"".join(struct.pack("<H", code) for _, code in events)
    path.write_bytes(head + records.tobytes() + table)


def test_gdf(tmp_path: Path, microvolts: np.ndarray) -> None:
    write_gdf(tmp_path / "a.gdf", microvolts, [(100, 769), (400, 770)])
    recording = load_recording(tmp_path / "a.gdf")
    assert_close(recording, microvolts.astype(np.float32), 1e-3)
    assert marks(recording) == [(100, "769"), (400, "770")]
    whole = (tmp_path / "a.gdf").read_bytes()
    for n in (100, 300, 1000, len(whole) - 400, len(whole) - 20, len(whole) - 1):
        (tmp_path / "b.gdf").write_bytes(whole[:n])
        with pytest.raises(SourceError, match=r"b\.gdf: is cut off"):
            load_recording(tmp_path / "b.gdf")


def test_brainvision_float32_comes_back_bit_for_bit(tmp_path: Path, microvolts: np.ndarray) -> None:
    events = [
        {"onset": 100, "duration": 1, "description": 1, "type": "Stimulus"},
        {"onset": 400, "duration": 1, "description": 2, "type": "Response"},
    ]
    pybv.write_brainvision(
        data=microvolts.T * 1e-6,
        sfreq=SFREQ,
        ch_names=NAMES,
        fname_base="v",
        folder_out=tmp_path,
        events=events,
        unit="µV",
        resolution=1.0,
        fmt="binary_float32",
    )
    in_file = np.fromfile(tmp_path / "v.eeg", "<f4").reshape(N, 3)
    np.testing.assert_allclose(in_file, microvolts, rtol=1e-6)
    recording = load_recording(tmp_path / "v.vhdr")
    assert recording.data.dtype == np.float32
    np.testing.assert_array_equal(recording.data, in_file)
    assert marks(recording) == [(100, "Stimulus/S  1"), (400, "Response/R  2")]
    with pytest.raises(SourceError, match=r"open the \.vhdr file"):
        load_recording(tmp_path / "v.eeg")
    data = tmp_path / "v.eeg"
    data.write_bytes(data.read_bytes()[:-5])
    with pytest.raises(SourceError, match="cut off"):
        load_recording(tmp_path / "v.vhdr")


def write_eeglab(path: Path, data: np.ndarray, events: list[tuple[int, str]]) -> None:
    from scipy.io import savemat

    chanlocs = np.array([(n,) for n in NAMES], dtype=[("labels", object)])
    event = np.array(
        [(v, float(i + 1), 0.0) for i, v in events],
        dtype=[("type", object), ("latency", object), ("duration", object)],
    )
    eeg = {
        "setname": "t", "nbchan": 3.0, "trials": 1.0, "pnts": float(len(data)), "srate": SFREQ,
        "xmin": 0.0, "xmax": (len(data) - 1) / SFREQ, "data": data.T, "chanlocs": chanlocs,
        "event": event, "epoch": np.empty(0), "icawinv": np.empty(0), "icasphere": np.empty(0),
        "icaweights": np.empty(0), "icachansind": np.empty(0), "ref": "common",
    }  # fmt: skip
    savemat(path, {"EEG": eeg})


def test_eeglab_float32_comes_back_bit_for_bit(tmp_path: Path, microvolts: np.ndarray) -> None:
    single = microvolts.astype(np.float32)
    events = [(100, "left"), (250, "boundary"), (400, "right")]
    write_eeglab(tmp_path / "e.set", single, events)
    recording = load_recording(tmp_path / "e.set")
    assert recording.data.dtype == np.float32
    np.testing.assert_array_equal(recording.data, single)
    assert marks(recording) == [(100, "left"), (400, "right")]
    assert [at for at, _ in recording.breaks] == [250]


# --- XDF -----------------------------------------------------------------------------------------

Streams = list[tuple[int, bytes, list[bytes]]]


def write_xdf(path: Path, streams: Streams) -> None:
    from datetime import UTC, datetime

    parts = [xdf.MAGIC, xdf.file_header(datetime(2026, 1, 1, tzinfo=UTC))]
    parts += [xdf.stream_header(k, xml) for k, xml, _ in streams]
    parts += [chunk for _, _, chunks in streams for chunk in chunks]
    path.write_bytes(b"".join(parts))


def eeg_stream(
    data: np.ndarray, stamps: np.ndarray, number: int = 1, name: str = "amp"
) -> tuple[int, bytes, list[bytes]]:
    positions = {"Cz": (0.0, 0.01, 0.12)}
    info = StreamInfo(name, SFREQ, tuple(NAMES), ("eeg", "eog", "stim"), positions, "serial-7")
    step = 37
    chunks = [
        xdf.samples(number, data[i : i + step], stamps[i : i + step])
        for i in range(0, len(data), step)
    ]
    return number, xdf.stream_xml(info, data.dtype), chunks


def marker_stream(
    number: int, name: str, found: list[tuple[float, str]]
) -> tuple[int, bytes, list[bytes]]:
    chunks = [xdf.strings(number, [[v] for _, v in found], [t for t, _ in found])] if found else []
    return number, xdf.marker_xml(name), chunks


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_xdf_exact(tmp_path: Path, microvolts: np.ndarray, dtype: type) -> None:
    stamps = 5000.0 + np.arange(N) / SFREQ
    data = microvolts.astype(dtype)
    data[11, 1] = np.nan
    write_xdf(
        tmp_path / "r.xdf",
        [
            eeg_stream(data, stamps),
            marker_stream(2, "a", [(stamps[100], "left"), (stamps[400] + 0.4 / SFREQ, "same")]),
            marker_stream(3, "b", [(stamps[300], "right"), (stamps[0] - 1, "before")]),
            marker_stream(4, "decisions", [(stamps[500], "left")]),
            marker_stream(5, "empty", []),
        ],
    )
    recording = load_recording(tmp_path / "r.xdf")
    assert recording.data.dtype == dtype
    np.testing.assert_array_equal(recording.data, data)
    np.testing.assert_array_equal(recording.stamps, stamps)
    assert marks(recording) == [(100, "left"), (300, "right"), (400, "same")]
    assert recording.info.ch_types == ("eeg", "eog", "stim")
    assert recording.info.source_id == "serial-7"
    assert recording.info.positions["Cz"] == pytest.approx((0.0, 0.01, 0.12))
    assert any("1 markers outside" in note for note in recording.notes)
    assert any("'decisions'" in note for note in recording.notes)
    named = load_recording(tmp_path / "r.xdf", markers=["decisions"])
    assert marks(named) == [(500, "left")]
    with pytest.raises(SourceError, match="marker stream 'c' is not there"):
        load_recording(tmp_path / "r.xdf", markers=["c"])


def test_xdf_clock_offset_and_jitter_leave_samples_alone(
    tmp_path: Path, microvolts: np.ndarray
) -> None:
    rng = np.random.default_rng(3)
    stamps = 100.0 + np.arange(N) / SFREQ + rng.normal(0, 0.002, N)
    number, xml, chunks = eeg_stream(microvolts, stamps)
    chunks += [xdf.clock_offset(1, 100.0 + t, 30.0) for t in range(5)]
    at = 130.0 + 500 / SFREQ
    write_xdf(tmp_path / "j.xdf", [(number, xml, chunks), marker_stream(2, "m", [(at, "go")])])
    recording = load_recording(tmp_path / "j.xdf")
    np.testing.assert_array_equal(recording.data, microvolts)
    np.testing.assert_allclose(recording.stamps, stamps + 30.0, atol=1e-6)
    assert recording.markers[0].index == pytest.approx(500, abs=1)


def test_xdf_hole_is_a_break(tmp_path: Path, microvolts: np.ndarray) -> None:
    stamps = 10.0 + np.arange(N) / SFREQ
    stamps[600:] += 4.0
    write_xdf(
        tmp_path / "h.xdf",
        [eeg_stream(microvolts, stamps), marker_stream(2, "m", [(stamps[700], "go")])],
    )
    recording = load_recording(tmp_path / "h.xdf")
    ((at, broken),) = recording.breaks
    assert at == 600
    assert broken.missing_s == pytest.approx(4.0, abs=0.01)
    assert marks(recording) == [(700, "go")]


def test_xdf_ambiguous_and_missing_streams_are_listed(
    tmp_path: Path, microvolts: np.ndarray
) -> None:
    stamps = np.arange(N) / SFREQ
    two = [eeg_stream(microvolts, stamps), eeg_stream(microvolts + 1, stamps, 2, "other")]
    write_xdf(tmp_path / "two.xdf", two)
    with pytest.raises(SourceError, match="ambiguous") as error:
        load_recording(tmp_path / "two.xdf")
    text = one_line(error, tmp_path / "two.xdf")
    assert "'amp'" in text
    assert "'other'" in text
    recording = load_recording(tmp_path / "two.xdf", stream="other")
    np.testing.assert_array_equal(recording.data, microvolts + 1)
    with pytest.raises(SourceError, match=r"stream 'x'.*'amp'"):
        load_recording(tmp_path / "two.xdf", stream="x")
    write_xdf(tmp_path / "none.xdf", [marker_stream(1, "m", [(1.0, "a")])])
    with pytest.raises(SourceError, match="streams found: 'm'"):
        load_recording(tmp_path / "none.xdf")


def test_xdf_empty_stream_is_an_empty_recording(tmp_path: Path) -> None:
    write_xdf(tmp_path / "e.xdf", [eeg_stream(np.empty((0, 3)), np.empty(0))])
    recording = load_recording(tmp_path / "e.xdf")
    assert recording.data.shape == (0, 3)
    assert [type(e) for e in recording.events()] == [Chunk]


def test_xdf_volts_become_microvolts(tmp_path: Path, microvolts: np.ndarray) -> None:
    number, xml, chunks = eeg_stream(microvolts, np.arange(N) / SFREQ)
    xml = xml.replace(b"<unit>microvolts</unit>", b"<unit>millivolts</unit>", 1)
    write_xdf(tmp_path / "v.xdf", [(number, xml, chunks)])
    recording = load_recording(tmp_path / "v.xdf")
    np.testing.assert_array_equal(recording.data, microvolts * [1000.0, 1.0, 1.0])


def test_xdf_compressed(tmp_path: Path, microvolts: np.ndarray) -> None:
    write_xdf(tmp_path / "a.xdf", [eeg_stream(microvolts, np.arange(N) / SFREQ)])
    for name in ("b.xdf.gz", "c.xdfz"):
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / "a.xdf").read_bytes()))
        np.testing.assert_array_equal(load_recording(tmp_path / name).data, microvolts)


@pytest.mark.parametrize("cut", [3, 5, 200, 5000, -20])
def test_xdf_cut_off(tmp_path: Path, microvolts: np.ndarray, cut: int) -> None:
    path = tmp_path / "c.xdf"
    write_xdf(path, [eeg_stream(microvolts, np.arange(N) / SFREQ)])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SourceError) as error:
        load_recording(path)
    one_line(error, path)


# --- text and NumPy ------------------------------------------------------------------------------


def write_openbci(path: Path, generation: int, n: int = 600) -> None:
    lines = [f"%OpenBCI Raw E{'X' if generation > 5 else 'E'}G Data", "%Number of channels = 2"]
    lines += ["%Sample Rate = 250 Hz", "%Board = OpenBCI_GUI$BoardCytonSerial"]
    if generation > 5:
        lines.append(
            "Sample Index, EXG Channel 0, EXG Channel 1, Accel Channel 0, Timestamp, "
            "Marker Channel, Timestamp (Formatted)"
        )
    for i in range(n):
        marker = f" {3.0 if i == 40 else 0.0}," if generation > 5 else ""
        lines.append(f"{i % 256}, {i}.25, -{i}.5, 0.1, {1.5e9 + i / 250:.3f},{marker} 12:00:00.1")
    path.write_text("\r\n".join(lines) + "\r\n")


@pytest.mark.parametrize("generation", [5, 6])
def test_openbci_text(tmp_path: Path, generation: int) -> None:
    path = tmp_path / "o.txt"
    write_openbci(path, generation)
    recording = load_recording(path)
    index = np.arange(600.0)
    np.testing.assert_array_equal(recording.data[:, 0], index + 0.25)
    np.testing.assert_array_equal(recording.data[:, 1], -(index + 0.5))
    np.testing.assert_allclose(recording.stamps, 1.5e9 + index / 250, atol=1e-3)
    assert recording.info.sfreq == 250
    assert marks(recording) == ([(40, "3")] if generation > 5 else [])
    assert recording.breaks == []


def test_openbci_lost_samples_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "o.txt"
    write_openbci(path, 6)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:205] + lines[208:]))  # 3 samples are gone
    ((at, broken),) = load_recording(path).breaks
    assert (at, broken.reason) == (200, "3 samples lost")
    path.write_text("\n".join(lines)[:-20])
    assert any("last line" in note for note in load_recording(path).notes)
    path.write_text("\n".join([*lines[:50], "7, 1", *lines[50:]]))
    with pytest.raises(SourceError, match=r"o\.txt:51: 2 columns where"):
        load_recording(path)
    path.write_text("hello\n")
    with pytest.raises(SourceError, match="no recording of the OpenBCI GUI"):
        load_recording(path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_npz(tmp_path: Path, microvolts: np.ndarray, dtype: type) -> None:
    data = microvolts.astype(dtype)
    markers = np.array([["400", "right"], ["100", "left"], ["2000", "late"]])
    np.savez(tmp_path / "a.npz", data=data, sfreq=SFREQ, ch_names=NAMES, markers=markers)
    recording = load_recording(tmp_path / "a.npz")
    assert recording.data.dtype == dtype
    np.testing.assert_array_equal(recording.data, data)
    assert marks(recording) == [(100, "left"), (400, "right")]
    np.savez(tmp_path / "b.npz", data=data, sfreq=SFREQ, ch_names=NAMES, markers=[[5, 1], [9, 2]])
    assert marks(load_recording(tmp_path / "b.npz")) == [(5, "1"), (9, "2")]


def test_npy(tmp_path: Path, microvolts: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", microvolts)
    recording = load_recording(tmp_path / "a.npy", sfreq=SFREQ)
    np.testing.assert_array_equal(recording.data, microvolts)
    assert recording.info.ch_names == ("Ch1", "Ch2", "Ch3")
    with pytest.raises(SourceError, match="no sampling rate"):
        load_recording(tmp_path / "a.npy")
    with pytest.raises(SourceError, match="shape"):
        load_recording(tmp_path / "a.npy", sfreq=SFREQ, ch_names=["a"])
    with pytest.raises(SourceError, match="XDF files only"):
        load_recording(tmp_path / "a.npy", stream="x", sfreq=SFREQ)


def test_npz_that_is_something_else(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X=np.zeros((3, 2, 5)), y=np.zeros(3))
    with pytest.raises(SourceError, match="found: X, y"):
        load_recording(tmp_path / "x.npz")
    np.savez(tmp_path / "p.npz", data=np.array([{}]), sfreq=1.0, ch_names=["a"])
    with pytest.raises(SourceError, match=r"damaged|pickle"):
        load_recording(tmp_path / "p.npz")


# --- damage --------------------------------------------------------------------------------------


def edf_of(path: Path, microvolts: np.ndarray, physical: float = 1000.0) -> None:
    signals = [
        edfio.EdfSignal(c, SFREQ, label=n, physical_range=(-physical, physical))
        for c, n in zip(microvolts.T, NAMES, strict=True)
    ]
    edfio.Edf(signals).write(path)


def test_damaged_edf(tmp_path: Path, microvolts: np.ndarray) -> None:
    path = tmp_path / "d.edf"
    edf_of(path, np.tile(microvolts, (4, 1)))
    whole = path.read_bytes()
    for damaged, says in (
        (whole[:-7], "is cut off"),
        (whole[:300], "cut off"),
        (whole[:100], "cut off"),
        (whole + b"xxxx", "is damaged"),
        (whole.replace(b"\n", b"\r\n"), "line endings were rewritten"),
        (b"", "no EDF"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match=says) as error:
            load_recording(path)
        one_line(error, path)


def test_discontinuous_edf_is_refused_when_time_is_left_out(
    tmp_path: Path, microvolts: np.ndarray
) -> None:
    path = tmp_path / "d.edf"
    signals = [edfio.EdfSignal(microvolts[:, 1], SFREQ, label="Cz")]
    edfio.Edf(signals, annotations=[edfio.EdfAnnotation(0.5, 0.0, "T1")]).write(path)
    whole = path.read_bytes().replace(b"EDF+C", b"EDF+D")
    path.write_bytes(whole)
    assert marks(load_recording(path)) == [(100, "T1")]
    assert whole.count(b"+3\x14\x14") == 1
    path.write_bytes(whole.replace(b"+3\x14\x14", b"+9\x14\x14"))
    with pytest.raises(SourceError, match=r"discontinuous, with 2 gaps, the first after 3 s"):
        load_recording(path)


def test_lower_rates_are_noted(tmp_path: Path, microvolts: np.ndarray) -> None:
    signals = [
        edfio.EdfSignal(microvolts[:, 1], SFREQ, label="Cz"),
        edfio.EdfSignal(microvolts[::2, 1], SFREQ / 2, label="Resp"),
    ]
    edfio.Edf(signals).write(tmp_path / "m.edf")
    recording = load_recording(tmp_path / "m.edf")
    assert any("lower rate" in note and "Resp" in note for note in recording.notes)


def test_constant_samples_are_not_taken_for_line_endings(tmp_path: Path) -> None:
    """An undamaged file whose samples all are 0x0A0D, which is a line ending on disk."""
    path = tmp_path / "c.edf"
    edf_of(path, np.zeros((N, 3)), physical=32768.0)
    whole = bytearray(path.read_bytes())
    n_header = int(whole[184:192])
    whole[n_header:] = b"\x0d\x0a" * ((len(whole) - n_header) // 2)
    path.write_bytes(whole)
    assert np.ptp(load_recording(path).data) == 0.0


@pytest.mark.parametrize("keep", [0, 10, 1000, 0.5, 0.99])
def test_truncated_fif(tmp_path: Path, microvolts: np.ndarray, keep: float) -> None:
    path = tmp_path / "t_raw.fif"
    raw_of(microvolts).save(path, verbose="ERROR")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(SourceError) as error:
        load_recording(path)
    one_line(error, path)


@pytest.mark.parametrize("suffix", [".xdf", ".fif", ".edf", ".bdf", ".gdf", ".vhdr", ".set",
                                    ".txt", ".npz", ".npy"])  # fmt: skip
@pytest.mark.parametrize("content", [b"", b"nonsense" * 100])
def test_nonsense_gives_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"n{suffix}"
    path.write_bytes(content)
    with pytest.raises(SourceError) as error:
        load_recording(path, sfreq=100.0 if suffix == ".npy" else None)
    one_line(error, path)


def test_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"'\.mat' cannot be read.*XDF \(\.xdf.*\.npz"):
        load_recording(tmp_path / "a.mat")
    with pytest.raises(SourceError, match="no such file"):
        load_recording(tmp_path / "b.xdf")
    with pytest.raises(SourceError, match="folder"):
        load_recording(tmp_path)


# --- events --------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 100, 5000, (3, 0, 11)])
def test_events_cover_every_sample_once_in_order(
    tmp_path: Path, microvolts: np.ndarray, chunk: int | tuple[int, ...]
) -> None:
    write_eeglab(tmp_path / "e.set", microvolts, [(0, "a"), (250, "boundary"), (250, "b"),
                                                  (999, "c")])  # fmt: skip
    recording = load_recording(tmp_path / "e.set")
    events = list(recording.events(chunk))
    chunks = [e for e in events if isinstance(e, Chunk)]
    np.testing.assert_array_equal(np.concatenate([c.data for c in chunks]), recording.data)
    assert all(a.stop == b.start for a, b in pairwise(chunks))
    assert all(np.shares_memory(c.data, recording.data) for c in chunks if len(c.data))
    assert [(e.at, e.onset, e.value) for e in events if isinstance(e, Marker)] == [
        (0, 0, "a"), (250, 250, "b"), (999, 999, "c")]  # fmt: skip
    assert [(e.at, e.resume) for e in events if isinstance(e, Gap)] == [(250, 250)]
    position = 0
    for event in events:
        if isinstance(event, Chunk):
            position = event.stop
        else:
            assert event.at >= position  # known before the samples that it concerns
    assert [repr(e) for e in recording.events(chunk)] == [repr(e) for e in events]


def test_chunk_sizes_that_lead_nowhere(microvolts: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", microvolts)
    recording = load_recording(tmp_path / "a.npy", sfreq=SFREQ)
    for wrong in (0, -1, (), (0, 0)):
        with pytest.raises(ValueError, match="chunk sizes"):
            next(iter(recording.events(wrong)))
