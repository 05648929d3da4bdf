"""Salvage: whatever is cut, flipped or zeroed, every untouched chunk comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.recording.salvage import salvage
from bci.recording.scan import ChunkAt, open_file, read_samples, read_strings, scan
from bci.recording.verify import verify
from bci.recording.writer import Recorder
from bci.recording.xdf import Tag
from bci.types import StreamInfo

DATA = Path(__file__).parents[3] / "shared" / "data"
INFO = StreamInfo("EEG", 100.0, ("a", "b", "c"), ("eeg", "eeg", "eeg"))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A recording of samples, text, offsets, boundaries: raw bytes, chunks, rows by chunk."""
    path = tmp_path_factory.mktemp("original") / "a.xdf"
    rng = np.random.default_rng(3)
    now = [0.0]
    with Recorder(path, clock=lambda: now[0]) as recorder:
        eeg = recorder.add_stream(INFO, dtype=np.float32)
        markers = recorder.add_marker_stream("markers")
        for i in range(40):
            now[0] += 0.7
            data = (rng.standard_normal((12, 3)) * 50).astype(np.float32)
            recorder.write_samples(eeg, data, 10 + (12 * i + np.arange(12)) / 100)
            recorder.write_marker(markers, f"cue {i} ü", 10 + i / 10)
            if i % 10 == 0:
                recorder.write_clock_offset(eeg, 10 + i, 0.25)
    headers = {}
    chunks = list(scan(open_file(path), headers))
    assert all(isinstance(c, ChunkAt) for c in chunks)
    assert [c.tag for c in chunks].count(Tag.BOUNDARY) == 2
    return path.read_bytes(), chunks, rows(path)


def rows(path):
    """(stream, stamp, values) of all samples, by chunk."""
    data, headers, found = open_file(path), {}, []
    for chunk in scan(data, headers):
        assert isinstance(chunk, ChunkAt), f"{path} is not whole"
        if chunk.tag is Tag.SAMPLES:
            header = headers[chunk.stream]
            read = read_strings if header.dtype is None else read_samples
            stamps, values = read(data, chunk, header)
            values = values if header.dtype is None else values.tolist()
            part = zip(stamps.tolist(), map(tuple, values), strict=True)
            found.append((chunk, [(chunk.stream, *row) for row in part]))
    return found


def check(tmp_path, original, damaged, touched, pyxdf_too=True):
    """Salvage `damaged`; all samples of chunks where not `touched` must be in the result."""
    bad, out = tmp_path / "bad.xdf", tmp_path / "out.xdf"
    bad.write_bytes(damaged)
    out.unlink(missing_ok=True)
    result = salvage(bad, out)
    expected = [row for chunk, part in original[2] if not touched(chunk) for row in part]
    found = [row for _, part in rows(out) for row in part]
    assert set(expected) <= set(found)
    report = verify(out, reopen=pyxdf_too)
    assert report.ok, str(report)
    assert report.closed
    assert {s.id: s.n_samples for s in report.streams} == result.n_kept
    return result, found, expected


def headers_end(chunks):
    return max(c.stop for c in chunks if c.tag is Tag.STREAM_HEADER)


def test_a_good_file_comes_through_unchanged(tmp_path, original):
    result, found, expected = check(tmp_path, original, original[0], lambda chunk: False)
    assert found == expected
    assert result.n_lost_bytes == 0
    assert set(result.n_lost.values()) == {0}
    assert Path(result).stat().st_size == len(original[0])
    assert (tmp_path / "out.xdf").stat().st_mode & 0o777 == 0o600


def test_cut_at_every_byte_around_chunk_borders(tmp_path, original):
    raw, chunks, _ = original
    first = headers_end(chunks)
    offsets = [c for c in chunks if c.tag is Tag.CLOCK_OFFSET]
    boundaries = [c for c in chunks if c.tag is Tag.BOUNDARY]
    footers = [c for c in chunks if c.tag is Tag.STREAM_FOOTER]
    borders = [first, offsets[1].start, boundaries[0].start, boundaries[1].stop, footers[0].start]
    for border in borders:
        for cut in range(max(first, border - 12), border + 25):
            _, found, expected = check(
                tmp_path,
                original,
                raw[:cut],
                lambda chunk, cut=cut: chunk.stop > cut,
                pyxdf_too=cut % 16 == 0,
            )
            assert found == expected  # nothing made up either


def test_cut_anywhere(tmp_path, original):
    raw, chunks, _ = original
    rng = np.random.default_rng(5)
    for cut in rng.integers(headers_end(chunks), len(raw), 40):
        check(tmp_path, original, raw[:cut], lambda chunk, cut=cut: chunk.stop > cut)


def test_a_flipped_byte_anywhere(tmp_path, original):
    raw, chunks, _ = original
    rng = np.random.default_rng(6)
    for at in rng.integers(headers_end(chunks), len(raw), 80):
        damaged = bytearray(raw)
        damaged[at] ^= int(rng.integers(1, 256))
        check(
            tmp_path,
            original,
            bytes(damaged),
            lambda chunk, at=at: chunk.start <= at < chunk.stop,
            pyxdf_too=at % 4 == 0,
        )


def test_every_byte_of_a_chunks_beginning(tmp_path, original):
    raw, chunks, _ = original
    victims = [c for c in chunks if c.tag in (Tag.SAMPLES, Tag.CLOCK_OFFSET, Tag.BOUNDARY)]
    boundary = next(c for c in victims if c.tag is Tag.BOUNDARY)
    for victim in (victims[6], victims[7], boundary):
        for at in range(victim.start, min(victim.start + 22, victim.stop)):
            for value in (0, 255):
                damaged = bytearray(raw)
                damaged[at] = value
                check(
                    tmp_path,
                    original,
                    bytes(damaged),
                    lambda chunk, victim=victim: chunk.start == victim.start,
                    pyxdf_too=False,
                )


@pytest.mark.parametrize("fill", ["zero", "noise", "removed"])
def test_a_damaged_stretch_in_the_middle(tmp_path, original, fill):
    raw, chunks, _ = original
    rng = np.random.default_rng(7)
    first = headers_end(chunks)
    for _ in range(12):
        start = int(rng.integers(first, len(raw) - 10))
        stop = min(len(raw), start + int(rng.integers(1, 3000)))
        stretch = {
            "zero": bytes(stop - start),
            "noise": rng.bytes(stop - start),
            "removed": b"",
        }[fill]
        result, _, _ = check(
            tmp_path,
            original,
            raw[:start] + stretch + raw[stop:],
            lambda chunk, start=start, stop=stop: chunk.start < stop and start < chunk.stop,
        )
        if fill == "zero" and stop - start > 1000:
            assert result.n_lost_bytes >= stop - start - 1000
            assert sum(result.n_lost.values()) > 0


def test_an_intact_chunk_between_two_damaged_ones_is_kept(tmp_path, original):
    raw, chunks, _ = original
    eeg = [c for c in chunks if c.tag is Tag.SAMPLES and c.stream == 1]
    damaged = bytearray(raw)
    for chunk in chunks:
        if chunk.start >= headers_end(chunks) and chunk is not eeg[5]:
            damaged[chunk.start] ^= 0xFF
    _, found, expected = check(
        tmp_path, original, bytes(damaged), lambda chunk: chunk.start != eeg[5].start
    )
    assert found == expected
    assert len(found) == 12


@pytest.mark.parametrize("what", ["magic", "file header", "stream headers"])
def test_lost_headers_come_back_from_the_ledger(tmp_path, original, what):
    raw, chunks, _ = original
    damaged = bytearray(raw)
    if what == "magic":
        damaged[0:4] = bytes(4)
    elif what == "file header":
        damaged[4 : chunks[0].stop] = bytes(chunks[0].stop - 4)
    else:
        damaged[chunks[0].stop : headers_end(chunks)] = bytes(headers_end(chunks) - chunks[0].stop)
        source = Recorder(tmp_path / "bad.xdf")  # its ledger describes the same streams
        source.add_stream(INFO, dtype=np.float32)
        source.add_marker_stream("markers")
        source.close()
    _, found, expected = check(tmp_path, original, bytes(damaged), lambda chunk: False)
    assert found == expected


def test_losses_are_counted_from_the_ledger(tmp_path):
    path = tmp_path / "a_eeg.xdf"
    with Recorder(path) as recorder:
        eeg = recorder.add_stream(INFO, dtype=np.float32)
        for i in range(100):
            recorder.write_samples(eeg, np.ones((10, 3), np.float32), i / 10 + np.arange(10) / 100)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    result = salvage(path)
    assert result.path == tmp_path / "a_eeg_salvaged.xdf"
    assert result.n_kept[eeg] + result.n_lost[eeg] == 1000
    assert "samples kept, about" in str(result)
    assert path.read_bytes() == raw[: len(raw) // 2]  # the damaged file is not touched
    # the companions are the damaged file's: what is lost stays visible
    assert any("of the ledger's 1000" in problem for problem in verify(result.path).problems)


def test_what_cannot_be_saved_is_one_line(tmp_path, original):
    path = tmp_path / "a.xdf"
    for content in (b"no recording", b"XDF:", b"XDF:" + bytes(5000)):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match="nothing to save"):
            salvage(path)
    path.write_bytes(original[0])
    (tmp_path / "there.xdf").write_text("precious")
    with pytest.raises(RecordingError, match="File exists"):
        salvage(path, tmp_path / "there.xdf")
    with pytest.raises(RecordingError, match="cannot be written"):
        salvage(path, tmp_path / "there.xdf" / "x.xdf")
    assert (tmp_path / "there.xdf").read_text() == "precious"


def test_real_recordings_cut_and_zeroed(tmp_path):
    names = ["ssvep_example.xdf", "sub-P001_ses-S001_task-P300Checkboard_run-001_eeg.xdf"]
    files = [DATA / "xdf" / name for name in names]
    if not all(f.exists() for f in files):
        pytest.skip(f"real recordings are not at {DATA / 'xdf'}")
    rng = np.random.default_rng(8)
    for file in files:
        raw = bytearray(file.read_bytes())
        at = int(rng.integers(len(raw) // 3, len(raw) // 2))
        raw[at : at + 5000] = bytes(5000)
        bad = tmp_path / file.name
        bad.write_bytes(raw[: -len(raw) // 10])
        kept = verify(salvage(bad).path)
        whole = {s.id: s.n_samples for s in verify(file, reopen=False).streams}
        assert kept.ok, str(kept)
        for s in kept.streams:
            assert s.n_samples >= 0.8 * whole[s.id] or whole[s.id] < 100
