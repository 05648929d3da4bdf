"""The recorder: appends chunks to an XDF file so that a crash costs at most a second.

What is safe when:

- chunks are handed to the operating system each half second (`FLUSH_S`): even on
  a busy machine a killed process loses less than one, and the file still opens;
- each ten seconds (`BOUNDARY_S`) a boundary chunk is written and the file is
  synced to the disk (fsync): a power cut loses at most that;
- after each flush the ledger (``…_ledger.jsonl``) gets a line with what must
  now be in the file; it is written after the samples, so it never promises more;
- when the disk is full the file is cut back to its last whole chunk and stays
  valid; what comes later is counted as not recorded, and nothing is raised.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from bci.errors import RecordingError
from bci.eventlog import LineFile
from bci.recording import ledger, xdf
from bci.recording.layout import beside, create_private
from bci.types import FloatArray, SampleArray, StreamInfo

FLUSH_S = 0.5
BOUNDARY_S = 10.0
#: Chunks waiting for a flush; more than this is written before its time.
PENDING_BYTES = 1 << 20


class RecorderState(Enum):
    """Where a recorder stands; shown in status, metrics and the GUI."""

    RECORDING = "recording"
    BLOCKED = "blocked"  # the queue is full and the caller waits for the disk
    FAILED = "failed"  # nothing more is written; what was written is safe
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """A recorder's state in numbers; samples of all streams (a marker is a sample).

    `n_recorded` counts samples in the file, `n_not_recorded` those that came
    after (or were lost in) a failure. `queued_bytes` wait in the queue of a
    `RecorderThread`. `message` says what is wrong, empty while all is well.
    """

    state: RecorderState
    path: Path
    message: str
    n_bytes: int
    n_recorded: int
    n_not_recorded: int
    queued_bytes: int = 0


@dataclass(slots=True)
class _Stream:
    """A stream, and what of it is in the file."""

    id: int
    dtype: np.dtype[Any] | None  # None: text
    n_channels: int
    announced: bool = False  # its header is in the file
    n_samples: int = 0
    n_not_recorded: int = 0
    first: float = 0.0
    last: float = 0.0
    offsets: list[tuple[float, float]] = field(default_factory=list)

    def add(self, block: _Block) -> None:
        self.announced = True  # a header comes before everything else
        if block.n:
            if self.n_samples == 0:
                self.first = block.first
            self.last = block.last
            self.n_samples += block.n
        if block.offset is not None:
            self.offsets.append(block.offset)


@dataclass(frozen=True, slots=True)
class _Block:
    """A chunk that waits for the next flush, and what it adds to its stream."""

    raw: bytes = field(repr=False)
    stream: _Stream | None = None
    n: int = 0
    first: float = 0.0
    last: float = 0.0
    offset: tuple[float, float] | None = None


class Recorder:
    """Records streams of samples and markers into one new XDF file.

    Not thread-safe, has no thread: call `tick` a few times a second when nothing
    else is called (`RecorderThread` does).

    Parameters
    ----------
    path : path
        The file, which must not exist; its ledger lies beside it.
    clock : callable
        Seconds, for the times of flushing only.
    started : datetime or None
        Wall-clock start for the file's header; None: now.

    Raises
    ------
    RecordingError
        The file cannot be written (folder, rights, disk full) or is there already.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        started: datetime | None = None,
    ) -> None:
        self.path = Path(path)
        self._clock = clock
        self._streams: list[_Stream] = []
        self._pending: list[_Block] = []
        self._pending_bytes = 0
        self._closed = False
        self._error: str | None = None
        self._file = _ChunkFile(self.path)
        header = xdf.MAGIC + xdf.file_header(started or datetime.now(UTC))
        if self._file.append([header]) == 0:
            self._file.discard()
            raise RecordingError(f"{self.path} cannot be recorded: {self._file.error}")
        try:
            self._ledger = LineFile(beside(self.path, ledger.ENDING))
        except RecordingError:
            self._file.discard()
            raise
        self._ledger.append({"schema": ledger.SCHEMA, "file": self.path.name})
        self._flushed = self._synced = clock()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- streams ---------------------------------------------------------------------------------

    def add_stream(
        self, info: StreamInfo, *, dtype: DTypeLike = np.float64, created_at: float = 0.0
    ) -> int:
        """Begin a stream of samples, stored as `dtype`; returns its number in the file.

        float64 holds what any source delivers; float32 halves the file and is
        exact for sources of float32.
        """
        stored = xdf.DTYPES[xdf.channel_format(dtype)]
        return self._add(stored, info.n_channels, xdf.stream_xml(info, dtype, created_at))

    def add_marker_stream(self, name: str, source_id: str = "") -> int:
        """Begin a stream of text (markers, decisions); returns its number in the file."""
        return self._add(None, 1, xdf.marker_xml(name, source_id))

    def _add(self, dtype: np.dtype[Any] | None, n_channels: int, xml: bytes) -> int:
        stream = _Stream(len(self._streams) + 1, dtype, n_channels)
        self._streams.append(stream)
        # with its description in the ledger, a stream outlives damage to its header
        self._ledger.append({"stream": stream.id, "xml": xml.decode()})
        self._put(_Block(xdf.stream_header(stream.id, xml), stream))
        return stream.id

    # --- data ------------------------------------------------------------------------------------

    def write_samples(self, stream_id: int, data: SampleArray, stamps: FloatArray) -> None:
        """Record samples and their raw stamps, bit for bit.

        Parameters
        ----------
        stream_id : int
        data : array, shape (n_samples, n_channels)
            Of the stream's type, or of one that fits into it without loss.
        stamps : array, shape (n_samples,)
            Seconds.

        Raises
        ------
        ValueError
            Shape or type are not the stream's.
        """
        self.check(stream_id, data, stamps)
        if len(data) == 0:
            return
        stream = self._streams[stream_id - 1]
        if self._refuses(stream, len(data)):
            return
        raw = xdf.samples(stream_id, data.astype(stream.dtype, copy=False), stamps)
        self._put(_Block(raw, stream, len(data), float(stamps[0]), float(stamps[-1])))

    def write_marker(self, stream_id: int, text: str, t: float) -> None:
        """Record one text of a marker stream at time `t`, seconds."""
        stream = self._stream(stream_id)
        if stream.dtype is not None:
            raise ValueError(f"stream {stream_id} holds samples and takes no markers")
        if not self._refuses(stream, 1):
            raw = xdf.strings(stream_id, ((text,),), (t,))
            self._put(_Block(raw, stream, 1, float(t), float(t)))

    def write_clock_offset(self, stream_id: int, t: float, offset: float) -> None:
        """Record that at time `t` `offset` seconds were to be added to the stream's stamps.

        Readers of the file add it: write it only for stamps that do not have it
        in them already.
        """
        stream = self._stream(stream_id)
        if not self._refuses(stream, 0):
            t, offset = float(t), float(offset)
            self._put(_Block(xdf.clock_offset(stream_id, t, offset), stream, offset=(t, offset)))

    def check(self, stream_id: int, data: SampleArray, stamps: FloatArray) -> None:
        """Raise ValueError where samples do not fit their stream."""
        stream = self._stream(stream_id)
        if stream.dtype is None:
            raise ValueError(f"stream {stream_id} holds text and takes no samples")
        if data.ndim != 2 or data.shape[1] != stream.n_channels or stamps.shape != (len(data),):
            raise ValueError(
                f"stream {stream_id} takes samples of shape (n, {stream.n_channels}) with stamps "
                f"of shape (n,); found {data.shape} and {stamps.shape}"
            )
        if not np.can_cast(data.dtype, stream.dtype, "safe"):
            raise ValueError(
                f"stream {stream_id} stores {stream.dtype}, which cannot hold {data.dtype} exactly"
            )

    def _stream(self, stream_id: int) -> _Stream:
        if not 1 <= stream_id <= len(self._streams):
            raise ValueError(f"there is no stream {stream_id} in {self.path.name}")
        return self._streams[stream_id - 1]

    # --- to the disk -----------------------------------------------------------------------------

    def tick(self) -> None:
        """Flush if `FLUSH_S` has passed since the last time."""
        if self._clock() - self._flushed >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system and enter it in the ledger."""
        if self._closed or self._error is not None:
            return
        now = self._clock()
        self._flushed = now
        due = now - self._synced >= BOUNDARY_S
        if due:
            self._synced = now
            self._pending.append(_Block(xdf.boundary()))
        if self._write_pending():
            self._enter()
        if due and self._error is None:
            self._sync()

    def close(self) -> None:
        """Write what is left and the footers, and close; harmless when called twice.

        After a failure the footers are tried once more: they may fit by now.
        """
        if self._closed:
            return
        self.flush()
        footers = [
            xdf.stream_footer(s.id, s.first, s.last, s.n_samples, s.offsets)
            for s in self._streams
            if s.announced
        ]
        if self._file.append(footers) < len(footers):
            self.fail(self._file.error)
        self._sync()
        if self._error is None:
            self._enter(closed=True)
        else:
            n = self.status.n_not_recorded
            self._ledger.append({"failed": f"{self._error}; {n} samples are not recorded"})
        self._closed = True
        self._ledger.close()
        self._file.close()

    def fail(self, reason: str) -> None:
        """Stop recording for a reason; samples from now on are counted as not recorded."""
        if self._error is None:
            self._error = (
                f"recording to {self.path} has stopped: {reason}; what was written before is kept"
            )
        for block in self._pending:
            if block.stream is not None:
                block.stream.n_not_recorded += block.n
        self._pending.clear()
        self._pending_bytes = 0

    @property
    def state(self) -> RecorderState:
        """Where recording stands."""
        if self._error is not None:
            return RecorderState.FAILED
        return RecorderState.CLOSED if self._closed else RecorderState.RECORDING

    @property
    def status(self) -> RecorderStatus:
        """The state in numbers."""
        return RecorderStatus(
            state=self.state,
            path=self.path,
            message=self._error or self._ledger.error or "",
            n_bytes=self._file.size,
            n_recorded=sum(s.n_samples for s in self._streams),
            n_not_recorded=sum(s.n_not_recorded for s in self._streams),
        )

    def _refuses(self, stream: _Stream, n: int) -> bool:
        if self._error is None and not self._closed:
            return False
        stream.n_not_recorded += n
        return True

    def _put(self, block: _Block) -> None:
        if self._error is not None:
            return
        self._pending.append(block)
        self._pending_bytes += len(block.raw)
        if self._pending_bytes >= PENDING_BYTES:
            self.flush()
        else:
            self.tick()

    def _write_pending(self) -> bool:
        """Append what waits; what does not fit is counted. True where something was written."""
        if not self._pending:
            return False
        n_whole = self._file.append([block.raw for block in self._pending])
        for block in self._pending[:n_whole]:
            if block.stream is not None:
                block.stream.add(block)
        del self._pending[:n_whole]
        self._pending_bytes = 0
        if self._pending:
            self.fail(self._file.error)
        return n_whole > 0

    def _sync(self) -> None:
        if not self._file.sync():
            self.fail(f"{self._file.error}, while syncing to the disk")

    def _enter(self, closed: bool = False) -> None:
        held = {s.id: {"n": s.n_samples, "first": s.first, "last": s.last} for s in self._streams}
        self._ledger.append({"bytes": self._file.size, "streams": held, "closed": closed})


class _ChunkFile:
    """A new file of whole chunks: a chunk that does not fit is cut off again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.error = ""
        try:
            self._fd = create_private(path)
        except FileExistsError as error:
            raise RecordingError(
                f"{path} exists already; recordings are never overwritten, choose another name"
            ) from error
        except OSError as error:
            raise RecordingError(
                f"{path} cannot be recorded: {error.strerror}; choose a folder that can be written"
            ) from error

    def append(self, chunks: list[bytes]) -> int:
        """Write chunks; returns how many are in the file whole (the others are not at all)."""
        data = memoryview(b"".join(chunks))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            self.error = f"{error.strerror}"
            ends = [0, *accumulate(map(len, chunks))]
            n_whole = bisect_right(ends, done) - 1
            try:
                os.ftruncate(self._fd, self.size + ends[n_whole])
            except OSError:
                self.error = f"{self.error}; its last chunk is cut: bci salvage mends the file"
            self.size += ends[n_whole]
            return n_whole
        self.size += done
        return len(chunks)

    def sync(self) -> bool:
        try:
            os.fsync(self._fd)
        except OSError as error:
            self.error = f"{error.strerror}"
            return False
        return True

    def close(self) -> None:
        os.close(self._fd)

    def discard(self) -> None:
        """Remove a file in which nothing was recorded."""
        self.close()
        self.path.unlink(missing_ok=True)
