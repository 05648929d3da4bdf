"""Damage that the readers would let pass: what a header declares against what is there."""

from __future__ import annotations

import re
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bci.errors import SourceError

#: Fewer line feeds than this are no evidence for or against rewritten line endings.
_MIN_FEEDS = 16


def check_edf(path: Path) -> list[str]:
    """Compare an EDF or BDF file with its header; returns notes.

    Raises
    ------
    SourceError
        Line endings were rewritten, the file is cut off, or its size is not the
        declared one.
    """
    content = path.read_bytes()
    is_bdf = content[:1] == b"\xff"
    width = 3 if is_bdf else 2
    kind = "BDF" if is_bdf else "EDF"
    if content[:8] not in (b"\xffBIOSEMI", b"0       "):
        raise SourceError(f"{path}: is no EDF or BDF file: its first bytes are {content[:8]!r}")
    try:
        n_header, n_records = int(content[184:192]), int(content[236:244])
        n_channels = int(content[252:256])
        at = 256 + 216 * n_channels
        counts = [int(content[at + 8 * k : at + 8 * k + 8]) for k in range(n_channels)]
    except ValueError as error:
        raise SourceError(f"{path}: the {kind} header is damaged or cut off") from error
    record = sum(counts) * width
    size = len(content) - n_header
    if _line_endings_rewritten(content[n_header:], width):
        raise SourceError(
            f"{path}: line endings were rewritten (each line feed follows a carriage return), so "
            f"samples are shifted; copy the {kind} file again in binary mode"
        )
    if n_records < 0 and record > 0 and size >= 0 and size % record == 0:
        return []  # not closed properly; all records are whole, and MNE notes it
    if size != n_records * record:
        what = "is cut off" if size < n_records * record else "is damaged"
        raise SourceError(
            f"{path}: {what}: the {kind} header declares {n_records} records, "
            f"{n_header + n_records * record} bytes, but the file has {len(content)} bytes"
        )
    labels = [content[256 + 16 * k : 272 + 16 * k].decode("latin-1") for k in range(n_channels)]
    if content[192:197] in (b"EDF+D", b"BDF+D"):
        starts = np.concatenate([[0], np.cumsum(counts)]) * width
        onsets = [n_header + int(s) for s, n in zip(starts, labels, strict=False) if _marks(n)]
        _check_continuous(path, content, onsets[:1], record, n_records)
    return _rates(labels, counts)


def _line_endings_rewritten(data: bytes, width: int) -> bool:
    """Say whether every line feed follows a carriage return, wherever in a sample it falls."""
    values = np.frombuffer(data, np.uint8)
    feeds = np.flatnonzero(values == 0x0A)
    if len(feeds) < _MIN_FEEDS or feeds[0] == 0:
        return False
    places = np.bincount(feeds % width, minlength=width)
    return bool(np.all(values[feeds - 1] == 0x0D) and np.count_nonzero(places) > 1)


def _marks(label: str) -> bool:
    """Say whether a channel of an EDF+ or BDF+ file holds annotations."""
    return label.strip() in ("EDF Annotations", "BDF Annotations")


def _check_continuous(
    path: Path, content: bytes, first: list[int], record: int, n_records: int
) -> None:
    """Refuse a file marked as discontinuous when its records really leave time out.

    Each record's annotations begin with its onset; MNE reads all as continuous,
    and puts every annotation after a gap on a wrong sample.
    """
    duration = float(content[244:252])
    onsets = np.array(
        [
            float(content[at : at + 40].split(b"\x14", 1)[0])
            for at in (first[0] + record * np.arange(n_records) if first else ())
        ]
    )
    gaps = np.flatnonzero(np.abs(np.diff(onsets) - duration) > 1e-3)
    if len(gaps):
        raise SourceError(
            f"{path}: is discontinuous, with {len(gaps)} gaps, the first after "
            f"{(gaps[0] + 1) * duration:g} s; export its parts as continuous files (EDF+C, BDF+C)"
        )


def _rates(labels: list[str], counts: list[int]) -> list[str]:
    """Note the channels that MNE brings up to the highest rate of the file."""
    signals = [(k.strip(), n) for k, n in zip(labels, counts, strict=True) if not _marks(k)]
    slow = [label for label, n in signals if n < max(n for _, n in signals)]
    if not slow:
        return []
    return [f"recorded at a lower rate, brought up to that of the others: {', '.join(slow)}"]


#: Bytes of a sample by GDF's type number.
_GDF_WIDTH = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 8, 8: 8, 16: 4, 17: 8, 279: 3, 535: 3}


def check_gdf(path: Path) -> None:
    """Compare a GDF file with what its header and its table of events declare.

    Raises
    ------
    SourceError
        It is cut off, or is no GDF file.
    """
    content = path.read_bytes()
    if content[:4] != b"GDF ":
        raise SourceError(f"{path}: is no GDF file: its first bytes are {content[:4]!r}")
    cut = SourceError(
        f"{path}: is cut off: {len(content)} bytes are less than its header and event table need"
    )
    if len(content) < 256:
        raise cut
    second = float(content[4:8]) >= 1.9
    n_header = int.from_bytes(content[184:186] if second else content[184:192], "little")
    n_header *= 256 if second else 1
    n_records = int(np.frombuffer(content, "<i8", 1, 236)[0])
    n_channels = int.from_bytes(content[252:254], "little")
    if len(content) < max(n_header, 256 * (n_channels + 1)):
        raise cut
    counts = np.frombuffer(content, "<u4", n_channels, 256 + 216 * n_channels)
    kinds = np.frombuffer(content, "<u4", n_channels, 256 + 220 * n_channels)
    record = sum(int(n) * _GDF_WIDTH[int(kind)] for n, kind in zip(counts, kinds, strict=True))
    table = n_header + n_records * record
    if n_records < 0 or len(content) < table + 8:
        raise cut
    mode, count = content[table], content[table + 1 : table + 4]
    n_events = int.from_bytes(count if second else content[table + 4 : table + 8], "little")
    if len(content) < table + 8 + n_events * {1: 6, 3: 12}.get(mode, 0):
        raise cut


def check_brainvision(path: Path) -> None:
    """Compare the size of a BrainVision data file with its header.

    Raises
    ------
    SourceError
        The data file is missing, or holds no whole number of samples, or not the
        number declared.
    """
    text = path.read_text(encoding="latin-1")

    def setting(key: str) -> str | None:
        match = re.search(rf"^{key}\s*=\s*(.+?)\s*$", text, re.MULTILINE)
        return match[1] if match else None

    name, channels = setting("DataFile"), setting("NumberOfChannels")
    width = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}.get(
        setting("BinaryFormat") or ""
    )
    if name is None or channels is None:
        raise SourceError(f"{path}: no BrainVision header: DataFile or NumberOfChannels is missing")
    data = path.with_name(name.replace("$b", path.stem))
    if not data.exists():
        raise SourceError(f"{path}: its data file '{data.name}' is not beside it")
    if width is None:
        return  # text data: MNE counts the lines
    size, sample = data.stat().st_size, int(channels) * width
    declared = setting("DataPoints")
    if size % sample or (declared is not None and size != int(declared) * sample):
        expected = f"{int(declared) * sample}" if declared else f"a multiple of {sample}"
        raise SourceError(f"{data}: is cut off or damaged: {expected} bytes declared, {size} found")


def check_xdf(path: Path, file: BinaryIO) -> None:
    """Follow the chunks of an XDF file to its end, then go back to its beginning.

    pyxdf fills up a sample that is cut off with what it read before.

    Raises
    ------
    SourceError
        The file is cut off, or is no XDF file.
    """
    if file.read(4) != b"XDF:":
        raise SourceError(f"{path}: is no XDF file: it does not begin with 'XDF:'")
    size = file.seek(0, SEEK_END)
    at = file.seek(4)
    while at < size:
        width = int.from_bytes(file.read(1), "little")
        length = int.from_bytes(file.read(width), "little")
        if width not in (1, 4, 8) or length < 2:
            raise damaged_xdf(path, f"no chunk begins at byte {at}")
        if (end := at + 1 + width + length) > size:
            raise damaged_xdf(path, f"the last chunk needs {end - size} bytes more")
        at = file.seek(end)
    file.seek(0)


def damaged_xdf(path: Path, what: str) -> SourceError:
    """Make the error for a damaged XDF file, with the remedy."""
    return SourceError(
        f"{path}: is damaged or cut off ({what}); save what is whole with: bci salvage {path}"
    )


def check_fif(path: Path) -> None:
    """Follow the tags of a FIF file to its end.

    Raises
    ------
    SourceError
        The file is cut off, or is no FIF file.
    """
    if path.suffix == ".gz":
        return  # the compression has its own check
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        if len(head) < 16 or head[:4] != b"\x00\x00\x00\x64":
            raise SourceError(f"{path}: is no FIF file: its first bytes are {head[:4]!r}")
        at = 0
        while at >= 0:
            file.seek(at)
            tag = file.read(16)
            if len(tag) < 16:
                raise SourceError(f"{path}: is cut off after {size} bytes: its list has no end")
            length, following = np.frombuffer(tag[8:], ">i4").tolist()
            if length < 0 or at + 16 + length > size:
                raise SourceError(
                    f"{path}: is cut off: an entry needs {at + 16 + length} bytes, {size} are there"
                )
            if following == 0 and at + 16 + length == size:
                return
            if 0 < following <= at:
                raise SourceError(f"{path}: is damaged: an entry at byte {at} points backwards")
            at = at + 16 + length if following == 0 else following
