"""Rebuild a valid XDF file from a cut or damaged one.

Every whole chunk is kept as it is, byte for byte; what lies between is left
out and counted; streams without a right footer get one. The damaged file is
not touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bci.errors import RecordingError
from bci.recording import xdf
from bci.recording.layout import create_private
from bci.recording.ledger import Ledger, read_ledger
from bci.recording.scan import (
    Bytes,
    ChunkAt,
    Damage,
    DamageError,
    Header,
    footer_count,
    open_file,
    parse_header,
    read_offset,
    read_samples,
    read_strings,
    scan,
)
from bci.recording.xdf import MAGIC, Tag


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A mended recording and what could not be mended; usable as its path.

    Attributes
    ----------
    path : Path
        The new file.
    n_lost_bytes : int
        Bytes of the damaged file that belong to no whole chunk.
    n_kept : dict
        Stream number: samples in the new file.
    n_lost : dict
        Stream number: samples lost, as far as known: from the ledger or the
        footer; without them estimated from the bytes.
    names : dict
        Stream number: name.
    """

    path: Path
    n_lost_bytes: int
    n_kept: dict[int, int]
    n_lost: dict[int, int]
    names: dict[int, str]

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        """Say in one line what was kept and what is lost."""
        streams = ", ".join(
            f"{name}: {self.n_kept[i]} samples kept, about {self.n_lost[i]} lost"
            for i, name in self.names.items()
        )
        return f"{self.path}: {self.n_lost_bytes} damaged bytes left out; {streams}"


@dataclass(slots=True)
class _Content:
    """What of one stream is kept."""

    header: Header
    n: int = 0
    n_bytes: int = 0
    first: float = 0.0
    last: float = 0.0
    offsets: list[tuple[float, float]] = field(default_factory=list)
    footer: ChunkAt | None = None
    n_footer: int | None = None
    announced: bool = False  # its header is in the damaged file

    def add(self, data: Bytes, found: ChunkAt) -> None:
        if found.tag is Tag.STREAM_HEADER:
            self.announced = True
        elif found.tag is Tag.CLOCK_OFFSET:
            self.offsets.append(read_offset(data, found))
        elif found.tag is Tag.STREAM_FOOTER:
            self.footer, self.n_footer = found, footer_count(data, found)
        else:
            read = read_strings if self.header.dtype is None else read_samples
            stamps, _ = read(data, found, self.header, self.last)
            if len(stamps):
                self.first = self.first if self.n else float(stamps[0])
                self.last = float(stamps[-1])
                self.n += len(stamps)
                self.n_bytes += found.stop - found.start


def salvage(path: str | Path, out: str | Path | None = None) -> Salvaged:
    """Rebuild a valid recording from all whole chunks of a damaged one.

    Parameters
    ----------
    path : path
        The damaged file; its ledger is used where it lies beside.
    out : path or None
        The new file, which must not exist; None: ``…_salvaged.xdf`` beside the old one.

    Raises
    ------
    RecordingError
        There is nothing to save, or the new file cannot be written.
    """
    path = Path(path)
    out = path.with_name(f"{path.stem}_salvaged.xdf") if out is None else Path(out)
    data = open_file(path)
    ledger = _ledger(path)
    headers = _headers(ledger)
    kept: list[ChunkAt] = []
    contents: dict[int, _Content] = {}
    n_lost_bytes = 0
    for found in scan(data, headers):
        if isinstance(found, Damage):
            n_lost_bytes += found.n_bytes
            continue
        if found.stream is not None:
            header = headers[found.stream]
            contents.setdefault(found.stream, _Content(header)).add(data, found)
        kept.append(found)
    if not contents:
        raise RecordingError(f"{path}: there is no stream of an XDF file in it, nothing to save")
    _write(out, data, kept, contents, ledger)
    return Salvaged(
        out,
        n_lost_bytes,
        {i: c.n for i, c in contents.items()},
        {i: _lost(i, c, n_lost_bytes, contents, ledger) for i, c in contents.items()},
        {i: c.header.name for i, c in contents.items()},
    )


def _ledger(path: Path) -> Ledger | None:
    try:
        return read_ledger(path)
    except RecordingError:  # the same damage may have hit it; the file alone must do
        return None


def _headers(ledger: Ledger | None) -> dict[int, Header]:
    found = {}
    for stream, text in ledger.xml.items() if ledger else ():
        try:
            found[stream] = parse_header(stream, text.encode())
        except DamageError:
            continue
    return found


def _lost(
    stream: int,
    content: _Content,
    n_lost_bytes: int,
    contents: dict[int, _Content],
    ledger: Ledger | None,
) -> int:
    promised = [n for n in (content.n_footer, ledger and ledger.n_samples.get(stream)) if n]
    if promised:
        return max(0, max(promised) - content.n)
    n_bytes = sum(c.n_bytes for c in contents.values())
    return round(n_lost_bytes * content.n / n_bytes) if n_bytes else 0


def _write(
    out: Path,
    data: Bytes,
    kept: list[ChunkAt],
    contents: dict[int, _Content],
    ledger: Ledger | None,
) -> None:
    try:
        fd = create_private(out)
    except OSError as error:
        raise RecordingError(f"{out} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(MAGIC)
            file.write(_beginning(data, kept, contents, ledger))
            for found in kept:
                if found.tag not in (Tag.FILE_HEADER, Tag.STREAM_FOOTER):
                    file.write(data[found.start : found.stop].data)
            for stream, content in contents.items():
                file.write(_footer(data, stream, content))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        out.unlink(missing_ok=True)
        raise RecordingError(f"{out} cannot be written: {error.strerror}") from error


def _beginning(
    data: Bytes, kept: list[ChunkAt], contents: dict[int, _Content], ledger: Ledger | None
) -> bytes:
    """Headers: the file's own, or a new one; of streams that the ledger alone describes."""
    own = [found for found in kept if found.tag is Tag.FILE_HEADER]
    first = bytes(data[own[0].start : own[0].stop]) if own else xdf.file_header(datetime.now(UTC))
    parts = [first]
    for stream, content in contents.items():
        if not content.announced and ledger is not None:
            parts.append(xdf.stream_header(stream, ledger.xml[stream].encode()))
    return b"".join(parts)


def _footer(data: Bytes, stream: int, content: _Content) -> bytes:
    """Return the stream's own footer where it is right, else a new one."""
    c = content
    if c.footer is not None and c.n_footer == c.n:
        return bytes(data[c.footer.start : c.footer.stop])
    return xdf.stream_footer(stream, c.first, c.last, c.n, c.offsets)
