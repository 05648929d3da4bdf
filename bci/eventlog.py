"""What happened to a session, event by event: with the recording, enough to replay it.

One JSON object a line. The first line is the schema and the stream; every other
line is an event of `bci.types` with the sample index at which it took effect::

    {"schema": "bci.events/1", "stream": {"name": "…", "sfreq": 250.0, …}}
    {"event": "marker", "at": 1210, "onset": 1200, "value": "13 Hz"}
    {"event": "decoder_swap", "at": 2000, "model": "models/run-001"}

Chunks are not logged, they are the recording. Each line is handed to the
operating system before `append` returns, so a killed process loses none.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bci.errors import RecordingError
from bci.types import (
    Bypass,
    Command,
    DecoderSwap,
    Event,
    Feedback,
    Gap,
    Marker,
    Prior,
    StreamInfo,
)

SCHEMA = "bci.events/1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SwapRecord:
    """A `DecoderSwap` as logged: from sample `at` on, `model` decides; the caller loads it."""

    at: int
    model: str


LoggedEvent = Marker | Gap | Command | Feedback | Prior | Bypass | SwapRecord

_NAMES: dict[type[Any], str] = {
    Marker: "marker",
    Gap: "gap",
    Command: "command",
    Feedback: "feedback",
    Prior: "prior",
    Bypass: "bypass",
    SwapRecord: "decoder_swap",
}
_TYPES = {name: cls for cls, name in _NAMES.items()}


class LineFile:
    """A new file of JSON lines, readable by its owner only.

    A line is written whole or not at all: after an error (disk full) the file is
    cut back to its last whole line, nothing more is written, `error` says why
    and `n_lost` counts. The caller goes on, as acquisition must.

    Raises
    ------
    RecordingError
        The file cannot be created, or is there already.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.error: str | None = None
        self.n_lost = 0
        self._size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        try:
            self._fd: int | None = os.open(self.path, flags, 0o600)
        except FileExistsError as error:
            raise RecordingError(f"{path} exists already and is not overwritten") from error
        except OSError as error:
            raise RecordingError(
                f"{path} cannot be created: {error.strerror}; choose a folder that can be written"
            ) from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line, handed to the operating system before this returns."""
        if self._fd is None or self.error is not None:
            self.n_lost += 1
            return
        line = json.dumps(record, ensure_ascii=False, default=_plain) + "\n"
        data = memoryview(line.encode("utf-8", "replace"))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            self.error = f"{self.path} cannot be written on: {error.strerror}"
            self.n_lost += 1
            _cut_back(self._fd, self._size)
            return
        self._size += done

    def close(self) -> None:
        """Let go of the file; harmless when called twice."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)


class EventLog:
    """The event log of a running session.

    Parameters
    ----------
    path : path
        A new file.
    info : StreamInfo
        The stream that the indices of the events count in.

    Raises
    ------
    RecordingError
        The file cannot be created, or is there already.
    """

    def __init__(self, path: str | Path, info: StreamInfo) -> None:
        self._lines = LineFile(path)
        self.path = self._lines.path
        stream = {**asdict(info), "positions": dict(info.positions)}
        self._lines.append({"schema": SCHEMA, "stream": stream})

    @property
    def error(self) -> str | None:
        """Why events are not logged any more (disk full); None while they are."""
        return self._lines.error

    @property
    def n_lost(self) -> int:
        """Events that could not be logged."""
        return self._lines.n_lost

    def append(self, event: Event) -> None:
        """Log one event; a full disk is counted in `n_lost` and does not raise.

        Raises
        ------
        TypeError
            The event is a chunk: samples belong into the recording.
        """
        # by fields, not `asdict`: that would copy the decoder
        logged = SwapRecord(event.at, event.model) if isinstance(event, DecoderSwap) else event
        name = _NAMES.get(type(logged))
        if name is None:
            raise TypeError(f"a {type(event).__name__} is not an event to log")
        values = {f.name: getattr(logged, f.name) for f in fields(logged)}
        self._lines.append({"event": name, **values})

    def close(self) -> None:
        """Let go of the file; harmless when called twice."""
        self._lines.close()


def read(path: str | Path) -> list[LoggedEvent]:
    """Read the events of a log, in their order; a `DecoderSwap` comes back as `SwapRecord`.

    A last line cut by a crash is left out, with a warning in the program's log.

    Raises
    ------
    RecordingError
        The file cannot be read, is no event log, or is damaged before its last
        line; the message names the line.
    """
    _header(path, lines := read_lines(path))
    return [_event(path, number, line) for number, line in enumerate(lines[1:], start=2)]


def read_info(path: str | Path) -> StreamInfo:
    """Read which stream a log's indices count in.

    Raises
    ------
    RecordingError
        As `read`.
    """
    stream = dict(_header(path, read_lines(path)))
    try:
        stream["ch_names"] = tuple(stream["ch_names"])
        stream["ch_types"] = tuple(stream["ch_types"])
        stream["positions"] = {name: tuple(xyz) for name, xyz in stream["positions"].items()}
        return StreamInfo(**stream)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path}:1: the stream is not described: {error}") from error


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines, without a last line cut by a crash.

    Raises
    ------
    RecordingError
        The file cannot be read, or a line before the last is damaged.
    """
    try:
        raw = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    found = []
    for number, line in enumerate(raw, start=1):
        last = number == len(raw)  # what follows the last line break: empty, or cut
        if last and not line:
            break
        try:
            record = json.loads(line)
        except ValueError as error:
            if last:
                _log.warning("%s:%d: the last line is cut and left out", path, number)
                break
            raise RecordingError(f"{path}:{number}: the line is damaged ({error})") from error
        if not isinstance(record, dict):
            raise RecordingError(f"{path}:{number}: expected a JSON object, found {record!r}")
        found.append(record)
    return found


def _header(path: str | Path, lines: list[dict[str, Any]]) -> dict[str, Any]:
    if not lines:
        raise RecordingError(f"{path} is empty: the session broke off before its first event")
    if lines[0].get("schema") != SCHEMA or not isinstance(lines[0].get("stream"), dict):
        raise RecordingError(
            f"{path}:1: not an event log of this version: expected schema '{SCHEMA}', "
            f"found {lines[0].get('schema')!r}"
        )
    stream: dict[str, Any] = lines[0]["stream"]
    return stream


def _event(path: str | Path, number: int, line: dict[str, Any]) -> LoggedEvent:
    name = line.pop("event", None)
    cls = _TYPES.get(name) if isinstance(name, str) else None
    if cls is None:
        raise RecordingError(
            f"{path}:{number}: unknown event {name!r}; known are {', '.join(sorted(_TYPES))}"
        )
    try:
        event: LoggedEvent = cls(**line)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{path}:{number}: the {name} is not complete: {error}") from error
    return event


def _plain(value: Any) -> Any:
    """Turn numpy's numbers into Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be logged")


def _cut_back(fd: int, size: int) -> None:
    try:
        os.ftruncate(fd, size)
    except OSError as error:  # readers leave out a cut last line anyway
        _log.warning("a cut last line could not be removed: %s", error)
