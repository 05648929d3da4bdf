"""Reading the chunks of an XDF file, damaged or not.

`scan` walks a file and yields, in order and without holes, either a whole chunk
or a stretch of damage. A chunk counts as whole only if its content fits its
header to the byte, so after damage the walk goes on at the first place where a
whole chunk begins.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.recording.xdf import BOUNDARY_UUID, DTYPES, MAGIC, Tag, sample_dtype
from bci.types import FloatArray

Bytes = NDArray[np.uint8]
SEARCH_BLOCK = 1 << 20
MAX_CHANNELS = 1 << 20
_WITH_STREAM = frozenset({Tag.STREAM_HEADER, Tag.SAMPLES, Tag.CLOCK_OFFSET, Tag.STREAM_FOOTER})
_FORMATS = {1: struct.Struct("<B"), 4: struct.Struct("<I"), 8: struct.Struct("<Q")}


@dataclass(frozen=True, slots=True)
class Header:
    """What a stream's header says; `dtype` is None for text."""

    id: int
    xml: ET.Element
    name: str
    type: str
    n_channels: int
    dtype: np.dtype[Any] | None
    sfreq: float


@dataclass(frozen=True, slots=True)
class ChunkAt:
    """A whole chunk: bytes ``[start, stop)`` of the file, its content from `content` on."""

    start: int
    stop: int
    content: int
    tag: Tag
    stream: int | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes ``[start, stop)`` that belong to no whole chunk."""

    start: int
    stop: int

    @property
    def n_bytes(self) -> int:
        """Length of the stretch."""
        return self.stop - self.start


class DamageError(ValueError):
    """The bytes of a chunk contradict each other."""


def open_file(path: str | Path) -> Bytes:
    """Map a file into memory.

    Raises
    ------
    RecordingError
        It cannot be read, or is empty.
    """
    try:
        if Path(path).stat().st_size == 0:
            raise RecordingError(f"{path} is empty")
        return np.memmap(path, np.uint8, mode="r").view(np.ndarray)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error


def scan(data: Bytes, headers: dict[int, Header]) -> Iterator[ChunkAt | Damage]:
    """Yield all chunks and all damage of a file, in order.

    Parameters
    ----------
    data : array of bytes
        The file.
    headers : dict
        Filled with the streams found; may know some beforehand (from a ledger).
    """
    at = damaged_from = len(MAGIC) if bytes(data[: len(MAGIC)]) == MAGIC else 0
    while at < len(data):
        try:
            found = chunk_at(data, at, headers)
        except DamageError:
            at = _next_chunk(data, at + 1, headers)
            continue
        if at > damaged_from:
            yield Damage(damaged_from, at)
        if found.tag is Tag.STREAM_HEADER and found.stream not in headers:
            header = parse_header(int(found.stream or 0), bytes(data[found.content : found.stop]))
            headers[header.id] = header
        yield found
        at = damaged_from = found.stop
    if len(data) > damaged_from:
        yield Damage(damaged_from, len(data))


def chunk_at(data: Bytes, at: int, headers: dict[int, Header]) -> ChunkAt:
    """Read the whole chunk that begins at byte `at`.

    Raises
    ------
    DamageError
        There is none.
    """
    length, body = _varlen(data, at, len(data))
    stop = body + length
    if length < 2 or stop > len(data):
        raise DamageError("a chunk longer than the file")
    number = int(data[body]) | int(data[body + 1]) << 8
    if not 1 <= number <= len(Tag):
        raise DamageError(f"unknown chunk {number}")
    tag, content, stream = Tag(number), body + 2, None
    if tag in _WITH_STREAM:
        if length < 6:
            raise DamageError("a chunk without a stream")
        stream = int.from_bytes(bytes(data[content : content + 4]), "little")
        content += 4
    found = ChunkAt(at, stop, content, tag, stream)
    _check(data, found, headers)
    return found


def _check(data: Bytes, found: ChunkAt, headers: dict[int, Header]) -> None:
    """Raise DamageError where the content does not fit the chunk."""
    size = found.stop - found.content
    if found.tag is Tag.FILE_HEADER:
        _parse_xml(bytes(data[found.content : found.stop]))
    elif found.tag is Tag.STREAM_HEADER:
        parse_header(int(found.stream or 0), bytes(data[found.content : found.stop]))
    elif found.tag is Tag.BOUNDARY:
        if bytes(data[found.content : found.stop]) != BOUNDARY_UUID:
            raise DamageError("a boundary without its mark")
    elif found.stream not in headers:
        raise DamageError("a stream without a header")
    elif found.tag is Tag.CLOCK_OFFSET and size != 16:
        raise DamageError("a clock offset of another length")
    elif found.tag is Tag.STREAM_FOOTER:
        _parse_xml(bytes(data[found.content : found.stop]))
    elif found.tag is Tag.SAMPLES:
        header = headers[found.stream]
        if header.dtype is None:
            read_strings(data, found, header)
        else:
            _runs(data, found, header, header.dtype)


def parse_header(stream: int, raw: bytes) -> Header:
    """Read the description of a stream.

    Raises
    ------
    DamageError
        It is no XML, or says too little to read the stream.
    """
    xml = _parse_xml(raw)
    fmt = xml.findtext("channel_format", "")
    if fmt != "string" and fmt not in DTYPES:
        raise DamageError(f"unknown channel format '{fmt}'")
    try:
        n_channels = int(xml.findtext("channel_count", ""))
        sfreq = float(xml.findtext("nominal_srate", ""))
    except ValueError as error:
        raise DamageError("a stream without channel count or rate") from error
    if not 0 <= n_channels < MAX_CHANNELS:
        raise DamageError(f"a stream of {n_channels} channels")
    name, kind = xml.findtext("name") or "", xml.findtext("type") or ""
    return Header(stream, xml, name, kind, n_channels, DTYPES.get(fmt), sfreq)


def read_samples(
    data: Bytes, found: ChunkAt, header: Header, previous: float = 0.0
) -> tuple[FloatArray, NDArray[Any]]:
    """Stamps, shape (n_samples,), and values, shape (n_samples, n_channels), of a numeric chunk.

    `previous` is the stream's last stamp before the chunk, from which stamps
    that were left out follow at the nominal rate.
    """
    assert header.dtype is not None
    runs = _runs(data, found, header, header.dtype)
    if len(runs) == 1 and "stamp" in (runs[0].dtype.names or ()):
        return runs[0]["stamp"].astype(np.float64), runs[0]["values"].copy()
    step = 1.0 / header.sfreq if header.sfreq > 0 else 0.0
    stamps = []
    for run in runs:
        if "stamp" in (run.dtype.names or ()):
            stamps.append(run["stamp"].astype(np.float64))
        else:  # one addition after the other, as every reader does
            stamps.append(np.cumsum(np.r_[previous, np.full(len(run), step)])[1:])
        previous = float(stamps[-1][-1])
    if not runs:
        return np.empty(0), np.empty((0, header.n_channels), header.dtype)
    return np.concatenate(stamps), np.concatenate([run["values"] for run in runs])


def read_strings(
    data: Bytes, found: ChunkAt, header: Header, previous: float = 0.0
) -> tuple[FloatArray, list[list[str]]]:
    """Stamps and rows of text of a chunk; `previous` as in `read_samples`."""
    n, at = _varlen(data, found.content, found.stop)
    if n > found.stop - at:
        raise DamageError("more samples than bytes")
    step = 1.0 / header.sfreq if header.sfreq > 0 else 0.0
    stamps, rows = np.empty(n), []
    for i in range(n):
        size = _byte(data, at, found.stop)
        if size not in (0, 8) or at + 1 + size > found.stop:
            raise DamageError("no time stamp")
        raw = bytes(data[at + 1 : at + 1 + size])
        previous = struct.unpack("<d", raw)[0] if size else previous + step
        stamps[i] = previous
        at += 1 + size
        row = []
        for _ in range(header.n_channels):
            length, at = _varlen(data, at, found.stop)
            if at + length > found.stop:
                raise DamageError("a text longer than its chunk")
            row.append(bytes(data[at : at + length]).decode("utf-8", "replace"))
            at += length
        rows.append(row)
    if at != found.stop:
        raise DamageError("bytes after the last sample")
    return stamps, rows


def read_offset(data: Bytes, found: ChunkAt) -> tuple[float, float]:
    """Time and value of a clock offset."""
    t, value = struct.unpack("<dd", bytes(data[found.content : found.stop]))
    return t, value


def date_of(data: Bytes, found: ChunkAt) -> datetime | None:
    """Read when the file was begun from its header; UTC, None where it says nothing."""
    text = _parse_xml(bytes(data[found.content : found.stop])).findtext("datetime")
    try:
        started = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return started.astimezone(UTC) if started else None


def footer_count(data: Bytes, found: ChunkAt) -> int | None:
    """Read the number of samples that a footer promises; None where it does not say."""
    text = _parse_xml(bytes(data[found.content : found.stop])).findtext("sample_count")
    return int(text) if text is not None and text.isdecimal() else None


def _runs(
    data: Bytes, found: ChunkAt, header: Header, value: np.dtype[Any]
) -> list[NDArray[np.void]]:
    """Stretches of samples that all have a stamp, or all have none, as views of the file."""
    n, at = _varlen(data, found.content, found.stop)
    stamped = sample_dtype(value, header.n_channels)
    bare = np.dtype([("size", "u1"), ("values", value, (header.n_channels,))])
    if not n * bare.itemsize <= found.stop - at <= n * stamped.itemsize:
        raise DamageError("samples and length do not agree")
    runs: list[NDArray[np.void]] = []
    ahead = n  # recordings with all stamps are one run; others have many short ones
    while n:
        size = _byte(data, at, found.stop)
        if size not in (0, 8):
            raise DamageError("no time stamp")
        dtype = stamped if size else bare
        length = min(n, ahead, (found.stop - at) // dtype.itemsize)
        run = data[at : at + length * dtype.itemsize].view(dtype)
        other = run["size"] != size
        if other.any():
            length = int(np.argmax(other))
            ahead = 64
        else:
            ahead *= 2
        if length == 0:
            raise DamageError("a sample longer than its chunk")
        runs.append(run[:length])
        at += length * dtype.itemsize
        n -= length
    if at != found.stop:
        raise DamageError("bytes after the last sample")
    return runs


def _next_chunk(data: Bytes, start: int, headers: dict[int, Header]) -> int:
    """Find where the next whole chunk begins; the file's length where there is none."""
    for first in range(start, len(data), SEARCH_BLOCK):
        for at in _candidates(data, first, min(first + SEARCH_BLOCK, len(data))):
            try:
                chunk_at(data, at, headers)
            except DamageError:
                continue
            return at
    return len(data)


def _candidates(data: Bytes, start: int, stop: int) -> list[int]:
    """Places in ``[start, stop)`` where a length and a tag could stand, in order."""
    found = []
    for size in _FORMATS:
        last = min(stop, len(data) - size - 3)  # where length and tag still fit
        if last <= start:
            continue
        low = data[start + 1 + size : last + 1 + size]
        fits = (data[start:last] == size) & (low >= 1) & (low <= len(Tag))
        fits &= data[start + 2 + size : last + 2 + size] == 0
        found.append(np.flatnonzero(fits) + start)
    return [int(at) for at in np.sort(np.concatenate(found))] if found else []


def _varlen(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Read a number with its size in front; returns it and the place after it."""
    fmt = _FORMATS.get(_byte(data, at, stop))
    if fmt is None or at + 1 + fmt.size > stop:
        raise DamageError("no length")
    return int(fmt.unpack(bytes(data[at + 1 : at + 1 + fmt.size]))[0]), at + 1 + fmt.size


def _byte(data: Bytes, at: int, stop: int) -> int:
    if at >= stop:
        raise DamageError("a chunk that ends too early")
    return int(data[at])


def _parse_xml(raw: bytes) -> ET.Element:
    try:
        return ET.fromstring(raw.decode("utf-8", "replace"))
    except ET.ParseError as error:
        raise DamageError("XML that cannot be read") from error
