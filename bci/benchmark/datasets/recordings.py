"""The project's own recordings, as windows that the live pipeline would cut.

::

    recordings/sub-P001/ses-001/eeg/sub-P001_ses-001_task-bci_run-001_eeg.xdf
                                    sub-P001_ses-001_task-bci_run-001_config.yaml

Each recording goes through the pipeline of its own session's configuration
(channels, causal filters, window), so a benchmark on it ranks decoders on what
they would have got live. Recordings without a labelled marker are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bci.benchmark.data import ContinuousSession, Epochs, ParadigmName
from bci.benchmark.datasets.epoching import Cut
from bci.benchmark.datasets.recorded import (
    Part,
    chosen,
    described,
    files,
    joined,
    of_subject,
)
from bci.benchmark.datasets.scheme import Scheme
from bci.benchmark.datasets.settings import DatasetSettings
from bci.calibration.training import collect
from bci.config import Config, load
from bci.errors import SourceError
from bci.recording.layout import parse
from bci.sources.files import Recording, load_recording


class RecordingsSettings(DatasetSettings):
    """Recordings made by `bci run` and `bci record`, with their configurations."""

    kind: Literal["recordings"] = "recordings"
    path: Path = Field(description="root of the recordings: the folder with sub-*")
    paradigm: ParadigmName = Field(description="what the participants did")
    task: str | None = Field(
        None, pattern=r"^[A-Za-z0-9]+$", description="which task's recordings; null: all"
    )
    config: Path | None = Field(
        None, description="configuration for all of them; null: that of each recording's session"
    )

    def build(self) -> Recordings:
        """Make the data set; its first configuration is read, which tells the classes."""
        return Recordings(self)


class Recordings:
    """Windows cut by the live pipeline; see `bci.benchmark.data.Dataset`."""

    simulated = False

    def __init__(self, settings: RecordingsSettings) -> None:
        self.name = settings.name or f"recordings {settings.path.name}"
        self.paradigm = settings.paradigm
        self._settings = settings

        parts = [part for of_one in self.parts().values() for part in of_one]
        #: Labels of the first configuration, in its order.
        self.classes = tuple(self._config(parts[0]).events)

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Recordings by participant and session."""
        folder, task = self._settings.path, self._settings.task
        pattern = "sub-*/ses-*/eeg/*_eeg.xdf"
        found: dict[str, list[Part]] = {}
        for path in files(folder, [pattern], f"recordings ({pattern})"):
            run = parse(path)
            if run is not None and task in (None, run.task):
                found.setdefault(run.participant, []).append(Part(run.session, path))
        if not found:
            raise SourceError(f"{folder}: holds no recording of task '{task}'")
        return found

    @property
    def subjects(self) -> Sequence[str]:
        """Participants that are there, or those of them that the settings choose."""
        return chosen(self.name, list(self.parts()), self._settings.subjects)

    def epochs(self, subject: str) -> list[Epochs]:
        """Windows of all sessions of a participant, in order of time."""
        sessions: dict[str, list[Cut]] = {}
        for part, config, recording in self._labelled(subject):
            sessions.setdefault(part.session, []).append(_cut(config, recording))
        return [joined(self.name, subject, session, runs) for session, runs in sessions.items()]

    def continuous(self, subject: str) -> list[ContinuousSession]:
        """Labelled recordings of a participant; a trial lasts to the end of its window."""
        return [
            ContinuousSession(
                self.name, subject, part.session, recording, config.labels, (),
                _scheme(config).lasts_s(recording),
            )
            for part, config, recording in self._labelled(subject)
        ]  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """All that epochs depend on, with the configurations and the subjects' files."""
        parts = self.parts()
        configs = {
            str(part.path.name): self._config(part).model_dump(mode="json")
            for subject in self.subjects
            for part in parts[subject]
        }
        return {**described(self._settings, parts, self.subjects), "configs": configs}

    def _labelled(self, subject: str) -> list[tuple[Part, Config, Recording]]:
        found = []
        for part in of_subject(self.name, self.parts(), subject):
            config, recording = self._config(part), load_recording(part.path)
            if any(marker.value in config.labels for marker in recording.markers):
                found.append((part, config, recording))
        if not found:
            raise SourceError(
                f"{self.name}, subject {subject}: no recording has a marker that its "
                "configuration maps under 'events'"
            )
        return found

    def _config(self, part: Part) -> Config:
        run = parse(part.path)
        path = self._settings.config or (run.config if run else part.path)
        if not path.is_file():
            raise SourceError(
                f"{part.path}: its configuration, {path.name}, is missing; give one with 'config'"
            )
        return load(path)


def _scheme(config: Config) -> Scheme:
    window = config.window
    openers = None if window.markers is None else frozenset(window.markers)
    return Scheme(config.labels, window.offset_s + window.length_s, openers=openers)


def _cut(config: Config, recording: Recording) -> Cut:
    found = collect(config, recording)
    n = len(found.y)
    return Cut(found.X, found.y, np.arange(n), found.info.sfreq, found.info.ch_names, n)
