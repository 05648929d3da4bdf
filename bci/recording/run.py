"""All that one run of a session leaves on disk, behind one object.

Recording, event log, decisions, configuration and models lie where
`bci.recording.layout` says. Nothing here waits for the disk but a full queue.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bci.config import Participant
from bci.config import Recording as RecordingSettings
from bci.eventlog import EventLog, LineFile
from bci.recording.layout import new_run
from bci.recording.thread import RecorderThread
from bci.recording.writer import Recorder, RecorderState
from bci.types import Decision, Event, RawMarker, Samples, StreamInfo

MARKERS = "markers"
DECISIONS = "decisions"


class RunRecorder:
    """Records one run: samples and markers from one thread, events and decisions from another.

    Parameters
    ----------
    settings : bci.config.Recording
    participant : bci.config.Participant
    config_yaml : str
        The configuration, stored beside the recording.
    info : StreamInfo
        The raw stream.

    Raises
    ------
    RecordingError
        The folder cannot be written.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        participant: Participant,
        config_yaml: str,
        info: StreamInfo,
    ) -> None:
        self.info = info
        self.paths = new_run(
            settings.root, participant.id, participant.session, settings.task, config_yaml
        )
        self._xdf = RecorderThread(Recorder(self.paths.xdf))
        self._log = EventLog(self.paths.events, info)
        self._decisions = LineFile(self.paths.decisions)
        self._markers_id = self._xdf.add_marker_stream(MARKERS)
        self._decisions_id = self._xdf.add_marker_stream(DECISIONS)
        self._samples_id = 0
        self._offset = 0.0
        self._offsets: list[tuple[float, float]] = []

    def samples(self, samples: Samples) -> None:
        """Record samples as they came, with the sender's stamps."""
        if not self._samples_id:  # the type is known with the first samples
            self._samples_id = self._xdf.add_stream(self.info, dtype=samples.data.dtype)
            self._write_offsets()
        self._xdf.write_samples(self._samples_id, samples.data, samples.stamps - self._offset)

    def clock_offsets(self, offsets: Sequence[tuple[float, float]]) -> None:
        """Record measured offsets (local time, seconds to add to the sender's stamps)."""
        self._offsets += offsets
        self._offset = self._offsets[-1][1] if self._offsets else self._offset
        if self._samples_id:
            self._write_offsets()

    def _write_offsets(self) -> None:
        for t, offset in self._offsets:
            self._xdf.write_clock_offset(self._samples_id, t - offset, offset)
        self._offsets.clear()

    def marker(self, marker: RawMarker) -> None:
        """Record a marker at its time."""
        self._xdf.write_marker(self._markers_id, marker.value, marker.t)

    def event(self, event: Event) -> None:
        """Log an event with the sample at which it took effect."""
        self._log.append(event)

    def decision(self, decision: Decision) -> None:
        """Record a decision in the file, and whole beside it."""
        self._decisions.append(decision.to_json())
        if decision.label is not None and decision.t_last is not None:
            self._xdf.write_marker(self._decisions_id, decision.label, decision.t_last)

    def keep_model(self, path: Path, name: str) -> None:
        """Copy a model artifact into the session, so that the run can be replayed."""
        target = self.paths.models / name
        if not target.exists():
            shutil.copytree(path, target)
            target.chmod(0o700)

    def flush(self) -> None:
        """Hand all that has come so far to the operating system, and wait for it."""
        self._xdf.flush()

    def close(self) -> None:
        """Write the footers and close all files; harmless when called twice."""
        self._xdf.close()
        self._log.close()
        self._decisions.close()

    @property
    def trouble(self) -> str | None:
        """What is wrong with the recording; None while all is well."""
        return self._xdf.status.message or self._log.error or self._decisions.error or None

    def status(self) -> dict[str, Any]:
        """The recording in numbers, JSON-able."""
        status = asdict(self._xdf.status)
        state: RecorderState = status["state"]
        return {
            **status,
            "state": state.value,
            "path": str(status["path"]),
            "message": self.trouble or "",
        }
