"""The files of a session: recording, configuration, event log, decisions, models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bci import eventlog
from bci.config import Config, load
from bci.decoders.manifest import Manifest
from bci.errors import RecordingError
from bci.eventlog import LoggedEvent, SwapRecord
from bci.model_files import MANIFEST
from bci.paradigms.spelling_log import RecordedRun, recorded_runs
from bci.recording.layout import beside, parse
from bci.recording.scan import ChunkAt, date_of, open_file, scan
from bci.recording.verify import Report as Verified
from bci.recording.verify import StreamReport, verify
from bci.recording.xdf import Tag
from bci.types import Marker, StreamInfo

NOTE = "note/"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One run of a session, as its files tell it.

    Attributes
    ----------
    path : Path
        The recording.
    config : Config
    info : StreamInfo
        The raw stream.
    started : datetime or None
        UTC.
    verified : bci.recording.verify.Report
    log : list of events
        In order.
    decisions : list of dict
        As on the wire.
    runs : list of RecordedRun
        Of the speller.
    models : dict of str to Manifest
        Those that decided, by their name in the decisions, as far as they are kept.
    assessments : list of dict
        The ladder's, in order; see `bci.calibration.ladder.Assessment`.
    """

    path: Path
    config: Config
    info: StreamInfo
    started: datetime | None
    verified: Verified
    log: list[LoggedEvent] = field(repr=False)
    decisions: list[dict[str, Any]] = field(repr=False)
    runs: list[RecordedRun]
    models: dict[str, Manifest]
    assessments: list[dict[str, Any]]

    @property
    def simulated(self) -> bool:
        """Whether there was no brain: a simulated subject, or a board that makes its signal up."""
        kind = self.config.source.kind
        return kind == "simulated" or "synthetic" in str(getattr(self.config.source, "board", ""))

    @property
    def stream(self) -> StreamReport | None:
        """The stream of samples in the file; None where none was recorded."""
        return next((s for s in self.verified.streams if s.sfreq > 0), None)

    @property
    def n_samples(self) -> int:
        """Samples recorded."""
        return 0 if self.stream is None else self.stream.n_samples

    @property
    def markers(self) -> list[Marker]:
        """In order of their onset."""
        return sorted((e for e in self.log if isinstance(e, Marker)), key=lambda m: (m.onset, m.at))

    @property
    def notes(self) -> list[tuple[float, str]]:
        """The operator's, with the second of each."""
        return [
            (m.onset / self.info.sfreq, m.value.removeprefix(NOTE))
            for m in self.markers
            if m.value.startswith(NOTE)
        ]

    @property
    def swaps(self) -> list[SwapRecord]:
        """When another decoder took over."""
        return [e for e in self.log if isinstance(e, SwapRecord)]


def read_session(path: Path) -> SessionRecord:
    """Read a session from its recording and what lies beside.

    Raises
    ------
    RecordingError
        A file of it is missing or damaged; the message names it.
    ConfigError
        Its configuration is not one.
    """
    if not path.is_file():
        raise RecordingError(f"there is no recording {path}")
    verified = verify(path, reopen=False)
    yaml, events, decisions = (
        beside(path, ending) for ending in ("config.yaml", "events.jsonl", "decisions.jsonl")
    )
    if missing := [file for file in (yaml, events) if not file.is_file()]:
        raise RecordingError(
            f"{path} is not the recording of a session: {' and '.join(f.name for f in missing)} "
            "should lie beside it; bci run, record, demo and gui write them"
        )
    log = eventlog.read(events)
    markers = sorted((e.onset, e.at, e.value) for e in log if isinstance(e, Marker))
    run = parse(path)
    folder = path.parent / "models" if run is None else run.models
    decided = eventlog.read_lines(decisions) if decisions.is_file() else []
    names = {e.model for e in log if isinstance(e, SwapRecord)} | {d["model"] for d in decided}
    return SessionRecord(
        path=path,
        config=load(yaml),
        info=eventlog.read_info(events),
        started=_started(path),
        verified=verified,
        log=log,
        decisions=decided,
        runs=recorded_runs((onset, value) for onset, _, value in markers),
        models=dict(_manifests(folder, names)),
        assessments=[] if run is None else list(_assessments(folder, run.run)),
    )


def _started(path: Path) -> datetime | None:
    data = open_file(path)
    first = next(scan(data, {}), None)
    is_header = isinstance(first, ChunkAt) and first.tag is Tag.FILE_HEADER
    return date_of(data, first) if is_header and isinstance(first, ChunkAt) else None


def _manifests(folder: Path, names: set[str]) -> Iterator[tuple[str, Manifest]]:
    for name in sorted(names):
        try:
            text = (folder / name / MANIFEST).read_text(encoding="utf-8")
            yield name, Manifest.model_validate_json(text)
        except (OSError, ValidationError):  # not kept, or of another version: it has no scores here
            continue


def _assessments(folder: Path, run: int) -> Iterator[dict[str, Any]]:
    """The ladder's looks in this run, in order."""
    found = folder.glob(f"run-{run:03d}_look-*/assessment.json")
    for path in sorted(found, key=lambda p: int(p.parent.name.rpartition("-")[2])):
        try:
            assessment = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RecordingError(f"{path} cannot be read: {error}") from error
        yield assessment
