"""A recording as the events that a pipeline takes.

With the event log of its session the very events of that session are pushed
again, each before the same sample; without one, the recording's markers are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from bci import eventlog
from bci.decoders.artifact import load
from bci.eventlog import LoggedEvent, SwapRecord
from bci.recording.layout import beside, parse
from bci.sources.files import Recording
from bci.types import Chunk, DecoderSwap, Event

#: Samples pushed at once when nobody says otherwise.
CHUNK = 1000


def events(
    recording: Recording,
    log: Sequence[LoggedEvent] | None = None,
    chunk: int | Sequence[int] = CHUNK,
    models: Path | None = None,
) -> Iterator[Event]:
    """Events of a recording in order: each before the chunk in which it takes effect.

    Parameters
    ----------
    recording : Recording
    log : sequence of events or None
        The session's event log; None: the recording's own markers.
    chunk : int or sequence of int
        Samples at once; several sizes are used in turn.
    models : path or None
        Folder of the artifacts that a `decoder_swap` of the log names.
    """
    if log is None:
        yield from recording.events(chunk)
        return
    waiting = deque(sorted(log, key=lambda event: event.at))
    for part in recording.events(chunk):
        if isinstance(part, Chunk):
            while waiting and waiting[0].at < part.stop:
                yield _event(waiting.popleft(), models)
            yield part
    for event in waiting:
        yield _event(event, models)


def log_beside(path: str | Path) -> Path | None:
    """The event log that lies beside a session's recording, if there is one."""
    log = beside(path, "events.jsonl")
    return log if log.is_file() else None


def session_events(
    path: str | Path, recording: Recording, chunk: int | Sequence[int] = CHUNK
) -> Iterator[Event]:
    """As `events`, with event log and models found beside the recording at `path`."""
    log, run = log_beside(path), parse(path)
    return events(
        recording,
        eventlog.read(log) if log is not None else None,
        chunk,
        run.models if run is not None else Path(path).parent / "models",
    )


def _event(event: LoggedEvent, models: Path | None) -> Event:
    if not isinstance(event, SwapRecord):
        return event
    path = Path(event.model) if models is None else models / event.model
    decoder, manifest = load(path)
    return DecoderSwap(event.at, decoder, event.model, manifest.stopping, manifest.why_bypassed)
