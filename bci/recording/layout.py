"""Which file of a session lies where.

By the BIDS template, under a pseudonym, readable by the owner only::

    recordings/                                                     0700
      sub-P001/ses-001/
        models/                                                     decoders of this session
        eeg/sub-P001_ses-001_task-bci_run-001_config.yaml           0600
            sub-P001_ses-001_task-bci_run-001_eeg.xdf
            sub-P001_ses-001_task-bci_run-001_events.jsonl
            sub-P001_ses-001_task-bci_run-001_ledger.jsonl
            sub-P001_ses-001_task-bci_run-001_decisions.jsonl

The run number is the next free one; nothing is ever overwritten.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bci.errors import RecordingError

_NAME = re.compile(
    r"sub-(?P<participant>[A-Za-z0-9]+)_ses-(?P<session>[A-Za-z0-9]+)_task-(?P<task>[A-Za-z0-9]+)"
    r"_run-(?P<run>\d+)_"
)
_ENDING = re.compile(r"(_eeg)?(_salvaged)?$")
_LETTERS = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The files of one run of a session."""

    participant: str
    session: str
    task: str
    run: int
    folder: Path

    def _file(self, ending: str) -> Path:
        return self.folder / (
            f"sub-{self.participant}_ses-{self.session}_task-{self.task}"
            f"_run-{self.run:03d}_{ending}"
        )

    @property
    def xdf(self) -> Path:
        """The recording."""
        return self._file("eeg.xdf")

    @property
    def events(self) -> Path:
        """The event log (`bci.eventlog`)."""
        return self._file("events.jsonl")

    @property
    def config(self) -> Path:
        """The session's configuration."""
        return self._file("config.yaml")

    @property
    def ledger(self) -> Path:
        """What must be in the recording."""
        return self._file("ledger.jsonl")

    @property
    def decisions(self) -> Path:
        """Decisions as JSON lines."""
        return self._file("decisions.jsonl")

    @property
    def models(self) -> Path:
        """Folder of the session's decoders."""
        return self.folder.parent / "models"


def new_run(
    root: str | Path, participant: str, session: int, task: str, config_yaml: str
) -> RunPaths:
    """Make the folders of a session and claim its next free run.

    The run is claimed by writing its configuration, so two engines that start
    at once get two runs.

    Parameters
    ----------
    root : path
        Folder of all recordings; made where it is missing.
    participant, task : str
        Letters and digits only.
    session : int
        From 1.
    config_yaml : str
        The session's configuration, as text.

    Raises
    ------
    RecordingError
        The folder cannot be made or written.
    ValueError
        A name that BIDS does not allow.
    """
    for name in (participant, task):
        if not _LETTERS.fullmatch(name):
            raise ValueError(f"'{name}' is no BIDS name: letters and digits only")
    folder = Path(root) / f"sub-{participant}" / f"ses-{session:03d}" / "eeg"
    try:
        private_folder(folder)
        private_folder(folder.parent / "models")
        taken = [int(m["run"]) for f in folder.iterdir() if (m := _NAME.match(f.name))]
        run = 1 + max(taken, default=0)
        while True:
            paths = RunPaths(participant, f"{session:03d}", task, run, folder)
            try:
                write_private(paths.config, config_yaml.encode())
            except FileExistsError:
                run += 1
                continue
            return paths
    except OSError as error:
        raise RecordingError(
            f"recordings cannot be written to {root}: {error.strerror}; "
            "choose another folder with recording.root"
        ) from error


def parse(xdf: str | Path) -> RunPaths | None:
    """Find the run that a recording belongs to by its name; None for any other name."""
    path = Path(xdf)
    match = _NAME.match(path.name)
    if match is None:
        return None
    participant, session, task, run = match.groups()
    return RunPaths(participant, session, task, int(run), path.parent)


def beside(xdf: str | Path, ending: str) -> Path:
    """Name a companion of the recording, for example ``beside(xdf, "ledger.jsonl")``.

    A salvaged recording keeps the companions of the damaged one.
    """
    path = Path(xdf)
    return path.with_name(f"{_ENDING.sub('', path.stem)}_{ending}")


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner only."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def create_private(path: Path) -> int:
    """Open a new file, for appending, that only its owner can read; returns its descriptor."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
    return os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600)


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read."""
    with os.fdopen(create_private(path), "wb") as file:
        file.write(content)
