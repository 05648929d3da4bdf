"""The chunks of an XDF file, as bytes.

A file is ``XDF:`` and then chunks, each ``[length of length][length][tag][content]``,
little-endian. Nothing is ever rewritten: a file cut between two chunks is a
valid file. Every sample carries its own 8-byte time stamp, so stamps and values
come back bit for bit, and every chunk can be read without the one before it.

Format: https://github.com/sccn/xdf/wiki/Specifications (version 1.0). Channel
description: https://github.com/sccn/xdf/wiki/EEG-Meta-Data.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import DTypeLike

from bci.types import FloatArray, SampleArray, StreamInfo

MAGIC = b"XDF:"
#: Content of a boundary chunk: what a reader looks for after damage.
BOUNDARY_UUID = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")
#: Numeric channel formats of XDF, as they lie in the file.
DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "double64": np.dtype("<f8"),
    "int8": np.dtype("i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
}
MICROVOLT_TYPES = frozenset({"eeg", "eog", "emg", "ecg"})
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Tag(IntEnum):
    """What a chunk holds."""

    FILE_HEADER = 1
    STREAM_HEADER = 2
    SAMPLES = 3
    CLOCK_OFFSET = 4
    BOUNDARY = 5
    STREAM_FOOTER = 6


def varlen(n: int) -> bytes:
    """Encode `n` with the number of its bytes (1, 4 or 8) in front."""
    if n < 1 << 8:
        return struct.pack("<BB", 1, n)
    if n < 1 << 32:
        return struct.pack("<BI", 4, n)
    return struct.pack("<BQ", 8, n)


def chunk(tag: Tag, *parts: bytes) -> bytes:
    """Make one chunk with the content `parts`, joined."""
    return b"".join((varlen(2 + sum(len(part) for part in parts)), struct.pack("<H", tag), *parts))


def file_header(started: datetime) -> bytes:
    """Begin a file; `started` is the wall-clock time, with time zone."""
    root = ET.Element("info")
    _text(root, "version", "1.0")
    _text(root, "datetime", started.isoformat(timespec="seconds"))
    return chunk(Tag.FILE_HEADER, _xml(root))


def channel_format(dtype: DTypeLike) -> str:
    """Give XDF's name of a numeric type.

    Raises
    ------
    ValueError
        XDF has no such type.
    """
    wanted = np.dtype(dtype).newbyteorder("<")
    for name, known in DTYPES.items():
        if known == wanted:
            return name
    raise ValueError(f"XDF cannot hold samples of type {np.dtype(dtype)}, only {', '.join(DTYPES)}")


def stream_xml(info: StreamInfo, dtype: DTypeLike, created_at: float = 0.0) -> bytes:
    """Describe a stream of samples: microvolts, positions in millimetres."""
    root = _stream_root(
        info.name, "EEG", info.n_channels, info.sfreq, channel_format(dtype), info.source_id
    )
    _text(root, "created_at", repr(float(created_at)))
    channels = ET.SubElement(ET.SubElement(root, "desc"), "channels")
    for name, kind in zip(info.ch_names, info.ch_types, strict=True):
        channel = ET.SubElement(channels, "channel")
        _text(channel, "label", name)
        _text(channel, "unit", "microvolts" if kind in MICROVOLT_TYPES else "none")
        _text(channel, "type", kind.upper())
        if name in info.positions:
            location = ET.SubElement(channel, "location")
            for axis, metres in zip("XYZ", info.positions[name], strict=True):
                _text(location, axis, repr(1000.0 * float(metres)))
    return _xml(root)


def marker_xml(name: str, source_id: str = "") -> bytes:
    """Describe a stream of text markers at irregular times."""
    root = _stream_root(name, "Markers", 1, 0.0, "string", source_id)
    ET.SubElement(root, "desc")
    return _xml(root)


def stream_header(stream_id: int, xml: bytes) -> bytes:
    """Announce a stream; this comes before anything else of the stream."""
    return chunk(Tag.STREAM_HEADER, struct.pack("<I", stream_id), xml)


def samples(stream_id: int, data: SampleArray, stamps: FloatArray) -> bytes:
    """Encode samples with their time stamps.

    Parameters
    ----------
    stream_id : int
    data : array, shape (n_samples, n_channels)
        Of one of the types in `DTYPES`, which is the stream's.
    stamps : array, shape (n_samples,)
        Seconds; stored as they are.
    """
    value = DTYPES[channel_format(data.dtype)]
    records = np.empty(len(data), sample_dtype(value, data.shape[1]))
    records["size"] = 8
    records["stamp"] = stamps
    records["values"] = data
    head = struct.pack("<I", stream_id) + varlen(len(data))
    return chunk(Tag.SAMPLES, head, records.tobytes())


def sample_dtype(value: np.dtype[Any], n_channels: int) -> np.dtype[np.void]:
    """Lay out a numeric sample with its time stamp."""
    return np.dtype([("size", "u1"), ("stamp", "<f8"), ("values", value, (n_channels,))])


def strings(stream_id: int, rows: Sequence[Sequence[str]], stamps: Iterable[float]) -> bytes:
    """Encode samples of text: `rows` has one text per channel for each sample."""
    parts = [struct.pack("<I", stream_id), varlen(len(rows))]
    for row, stamp in zip(rows, stamps, strict=True):
        parts.append(struct.pack("<Bd", 8, stamp))
        for text in row:
            raw = text.encode("utf-8", "replace")
            parts += [varlen(len(raw)), raw]
    return chunk(Tag.SAMPLES, *parts)


def clock_offset(stream_id: int, t: float, offset: float) -> bytes:
    """Note that at time `t`, `offset` seconds were to be added to the stream's stamps."""
    return chunk(Tag.CLOCK_OFFSET, struct.pack("<Idd", stream_id, t, offset))


def boundary() -> bytes:
    """Set a landmark by which readers find their way after damage."""
    return chunk(Tag.BOUNDARY, BOUNDARY_UUID)


def stream_footer(
    stream_id: int,
    first: float,
    last: float,
    n_samples: int,
    offsets: Iterable[tuple[float, float]] = (),
) -> bytes:
    """End a stream: first and last stamp, number of samples, ``(time, offset)`` pairs."""
    root = ET.Element("info")
    _text(root, "first_timestamp", repr(float(first)))
    _text(root, "last_timestamp", repr(float(last)))
    _text(root, "sample_count", str(int(n_samples)))
    parent = ET.SubElement(root, "clock_offsets")
    for t, value in offsets:
        offset = ET.SubElement(parent, "offset")
        _text(offset, "time", repr(float(t)))
        _text(offset, "value", repr(float(value)))
    return chunk(Tag.STREAM_FOOTER, struct.pack("<I", stream_id), _xml(root))


def _stream_root(
    name: str, kind: str, n_channels: int, sfreq: float, fmt: str, source_id: str
) -> ET.Element:
    root = ET.Element("info")
    _text(root, "name", name)
    _text(root, "type", kind)
    _text(root, "channel_count", str(n_channels))
    _text(root, "nominal_srate", repr(float(sfreq)))
    _text(root, "channel_format", fmt)
    _text(root, "source_id", source_id)
    _text(root, "version", "1.0")
    return root


def _text(parent: ET.Element, tag: str, text: str) -> None:
    # devices send control characters in their names, which XML cannot hold
    ET.SubElement(parent, tag).text = _NOT_XML.sub("\ufffd", text)


def _xml(root: ET.Element) -> bytes:
    return f'<?xml version="1.0"?>{ET.tostring(root, encoding="unicode")}'.encode()
