"""Data sets of continuous recordings: what they share."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bci.benchmark.data import ContinuousSession, Epochs, ParadigmName
from bci.benchmark.datasets.epoching import Cut, cut, no_epochs
from bci.benchmark.datasets.scheme import Scheme
from bci.benchmark.datasets.settings import DatasetSettings, EpochSettings, SubjectName
from bci.errors import SourceError
from bci.paradigms.cues import Opened
from bci.sources.files import Recording


@dataclass(frozen=True, slots=True)
class Part:
    """One recording of a session; several of them are its runs."""

    session: str
    path: Path


class RecordedDataset(ABC):
    """A data set of continuous recordings with markers; see `bci.benchmark.data.Dataset`.

    Parameters
    ----------
    settings : EpochSettings
    name : str
        Used where the settings give none.
    paradigm : str
    scheme : Scheme
        What the markers mean.
    """

    simulated = False

    def __init__(
        self, settings: EpochSettings, name: str, paradigm: ParadigmName, scheme: Scheme
    ) -> None:
        self.name = settings.name or name
        self.paradigm = paradigm
        self.classes = scheme.classes
        self._settings = settings
        self._scheme = scheme

    @abstractmethod
    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Recordings of each subject, in order of time, with their sessions.

        Raises
        ------
        SourceError
            The data set is not where it is said to be.
        """

    @abstractmethod
    def load(self, part: Part) -> Recording:
        """Read one recording.

        Raises
        ------
        SourceError
            It is damaged.
        """

    def recordings(self, subject: str) -> Iterator[tuple[str, Recording]]:
        """Session and recording, in order of time."""
        for part in of_subject(self.name, self.parts(), subject):
            yield part.session, self.load(part)

    @property
    def subjects(self) -> Sequence[str]:
        """Subjects that are there, or those of them that the settings choose."""
        return chosen(self.name, list(self.parts()), self._settings.subjects)

    def epochs(self, subject: str) -> list[Epochs]:
        """Epochs of all sessions of a subject, in order of time.

        Raises
        ------
        SourceError
            The subject is not there, a file is damaged, or no marker is one of the set's.
        """
        sessions: dict[str, list[Cut]] = {}
        seen = []
        for session, recording in self.recordings(subject):
            seen.append(recording)
            found = cut(recording, self._scheme, self._settings)
            if len(found.X):
                sessions.setdefault(session, []).append(found)
        if not sessions:
            raise no_epochs(seen, self._scheme, f"{self.name}, subject {subject}")
        return [joined(self.name, subject, session, runs) for session, runs in sessions.items()]

    def opened(self, recording: Recording) -> list[Opened]:
        """Every labelled epoch of a recording of this set: onset in samples, marker and label."""
        return self._scheme.opened(recording)

    def continuous(self, subject: str) -> list[ContinuousSession]:
        """Recordings of a subject; runs of one session bear its name, as its epochs do."""
        scheme = self._scheme
        labels = {m: c for m, c in scheme.labels.items() if m not in scheme.idle}
        return [
            ContinuousSession(
                self.name, subject, session, recording, labels, scheme.idle,
                scheme.lasts_s(recording),
            )
            for session, recording in self.recordings(subject)
        ]  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """All that epochs depend on, with size and time of each subject's files."""
        return described(self._settings, self.parts(), self.subjects)


def described(
    settings: DatasetSettings, parts: Mapping[str, Sequence[Part]], subjects: Sequence[str]
) -> dict[str, Any]:
    """Settings as JSON-able data, with a hash of names, sizes and times of each subject's files."""
    files = {subject: fingerprint(parts[subject]) for subject in subjects}
    return {**settings.model_dump(mode="json"), "files": files}


def fingerprint(parts: Sequence[Part]) -> str:
    """Hash of names, sizes and modification times of files, without reading them."""
    digest = hashlib.sha256()
    for part in parts:
        stat = part.path.stat()
        digest.update(f"{part.path.name}\n{stat.st_size}\n{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def joined(dataset: str, subject: str, session: str, runs: Sequence[Cut]) -> Epochs:
    """Join the runs of a session; trials are numbered on.

    Raises
    ------
    SourceError
        Runs differ in channels or sampling rate.
    """
    first = runs[0]
    for run in runs[1:]:
        if (run.ch_names, run.sfreq) != (first.ch_names, first.sfreq):
            raise SourceError(
                f"{dataset}, subject {subject}, session {session}: its runs differ: "
                f"{len(first.ch_names)} channels at {first.sfreq:g} Hz, and "
                f"{len(run.ch_names)} at {run.sfreq:g} Hz"
            )
    before = np.cumsum([0, *(run.n_trials for run in runs[:-1])])
    return Epochs(
        dataset,
        subject,
        session,
        np.concatenate([run.X for run in runs]),
        np.concatenate([run.y for run in runs]),
        first.sfreq,
        first.ch_names,
        np.concatenate([run.trials + n for run, n in zip(runs, before, strict=True)]),
    )


# --- folders and subjects ------------------------------------------------------------------------


def files(folder: Path, patterns: Sequence[str], what: str) -> list[Path]:
    """Files of a data set, sorted by name.

    Parameters
    ----------
    folder : path
    patterns : sequence of str
        As `Path.glob` takes them.
    what : str
        What should lie there, for the message.

    Raises
    ------
    SourceError
        The folder is missing or holds none.
    """
    if not folder.is_dir():
        found = "is a file" if folder.is_file() else "there is no such folder"
        raise SourceError(f"{folder}: {found}; 'path' must be the folder with {what}")
    found_files = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    if not found_files:
        raise SourceError(f"{folder}: holds no {what}")
    return found_files


def of_subject(dataset: str, parts: Mapping[str, Sequence[Part]], subject: str) -> Sequence[Part]:
    """Recordings of one subject.

    Raises
    ------
    SourceError
        There is no such subject.
    """
    if subject not in parts:
        raise _unknown(dataset, subject, list(parts))
    return parts[subject]


def chosen(
    dataset: str, there: Sequence[str], wanted: Sequence[SubjectName] | None
) -> tuple[str, ...]:
    """Subjects that are wanted, in the order of the data set.

    Raises
    ------
    SourceError
        One of them is not there.
    """
    if wanted is None:
        return tuple(there)
    names = {_named(dataset, there, subject) for subject in wanted}
    return tuple(subject for subject in there if subject in names)


def _named(dataset: str, there: Sequence[str], subject: SubjectName) -> str:
    if isinstance(subject, int):
        same = [name for name in there if _number(name) == subject]
        if len(same) == 1:
            return same[0]
    elif subject in there:
        return subject
    raise _unknown(dataset, subject, there)


def _number(name: str) -> int | None:
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else None


def _unknown(dataset: str, subject: SubjectName, there: Sequence[str]) -> SourceError:
    listed = ", ".join(there[:20]) + (", …" if len(there) > 20 else "")
    return SourceError(f"data set '{dataset}' has no subject '{subject}'; there are {listed}")
