"""BCI2000 recordings: the cursor task with two targets, and the P300 speller.

::

    eeg1_1.dat  eeg1_2.dat  eeg1_3.dat          subject eeg1, runs 1 to 3 of session 1
    nameS001R01.dat                             BCI2000's own names: session 001, run 01

`task` says which files are meant: those whose header has its states. Trials are
found in the states: in the cursor task a trial is the time of feedback with one
`TargetCode`; in the speller an epoch begins at each flash (`StimulusCode`), and
`StimulusType` says whether the target flashed.

.. [1] Schalk, McFarland, Hinterberger, Birbaumer, Wolpaw (2004). BCI2000: a
   general-purpose brain-computer interface (BCI) system. IEEE TBME 51, 1034.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from bci.benchmark.datasets.recorded import Part, RecordedDataset, files
from bci.benchmark.datasets.scheme import Scheme
from bci.benchmark.datasets.settings import FolderSettings
from bci.errors import SourceError
from bci.sources.files import Recording, regular_stamps
from bci.sources.formats.bci2000 import DatFile, read_dat, read_header
from bci.types import RawMarker, StreamInfo

#: States that a task is told by.
STATES = {"cursor": ("TargetCode", "Feedback"), "p300": ("StimulusCode", "StimulusType")}
#: What the settings of a task are where they are not given.
DEFAULTS: dict[str, dict[str, Any]] = {
    "cursor": {"filters": [[8, 32]], "tmin": 0.5, "tmax": 3.5, "window_s": 1.0},
    "p300": {"filters": [[1, 24]], "tmax": 0.8},
}
SCHEMES = {
    "cursor": Scheme({"target 1": "target 1", "target 2": "target 2"}, 4.0, idle=("rest",)),
    # the flashes of a letter follow within an epoch's length; all rows and columns are one trial
    "p300": Scheme(
        {"NonTarget": "NonTarget", "Target": "Target"},
        0.8,
        epochs_per_trial=12,
        joins_overlapping=False,
    ),
}
_NAMES = (
    re.compile(r"(?P<subject>.+?)S(?P<session>\d+)R(?P<run>\d+)"),
    re.compile(r"(?P<subject>.+?)_(?P<run>\d+)"),
)


class BCI2000Settings(FolderSettings):
    """BCI2000 recordings (.dat): cursor task or P300 speller."""

    kind: Literal["bci2000"] = "bci2000"
    task: Literal["cursor", "p300"] = Field(
        "cursor",
        description="two-target cursor task (8-32 Hz, windows of 1 s of seconds 0.5 to 3.5 of "
        "feedback), or P300 speller (1-24 Hz, 0 to 0.8 s after each flash)",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_task(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {**DEFAULTS.get(str(data.get("task", "cursor")), {}), **data}
        return data

    def build(self) -> BCI2000:
        """Make the data set."""
        paradigm: Literal["imagery", "p300"] = "imagery" if self.task == "cursor" else "p300"
        return BCI2000(self, f"bci2000 {self.task}", paradigm, SCHEMES[self.task])


class BCI2000(RecordedDataset):
    """The files of one task; states become markers."""

    _settings: BCI2000Settings

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Runs by subject and session, from the names of the files."""
        task = self._settings.task
        found: dict[str, list[tuple[int, Part]]] = {}
        for path in files(self._settings.path, ["*.dat", "*/*.dat"], "BCI2000 files (.dat)"):
            if not set(STATES[task]) <= read_header(path).states.keys():
                continue
            subject, session, run = _named(path)
            found.setdefault(subject, []).append((run, Part(session, path)))
        if not found:
            raise SourceError(
                f"{self._settings.path}: holds no BCI2000 file with the states of task '{task}', "
                f"{' and '.join(STATES[task])}"
            )
        ordered = {s: sorted(p, key=lambda x: (int(x[1].session), x[0])) for s, p in found.items()}
        return {subject: [part for _, part in parts] for subject, parts in ordered.items()}

    def load(self, part: Part) -> Recording:
        """Read a run and make markers of its states."""
        file = read_dat(part.path)
        n, sfreq = file.data.shape[0], file.sfreq
        info = StreamInfo(part.path.stem, sfreq, file.ch_names, ("eeg",) * len(file.ch_names))
        mark = _cursor if self._settings.task == "cursor" else _flashes
        markers = [RawMarker(value, index / sfreq, index) for index, value in mark(file)]
        return Recording(part.path, info, file.data, regular_stamps(n, sfreq), markers)


def _named(path: Path) -> tuple[str, str, int]:
    """Subject, session and run of a file."""
    for pattern in _NAMES:
        match = pattern.fullmatch(path.stem)
        if match:
            found = match.groupdict()
            return found["subject"], found.get("session", "1"), int(found["run"])
    return path.stem, "1", 1


def _cursor(file: DatFile) -> list[tuple[int, str]]:
    """Where feedback for a target begins, and where it ends ("rest")."""
    target = np.where(file.state("Feedback") > 0, file.state("TargetCode"), 0)
    starts = np.flatnonzero(np.diff(target, prepend=0))
    values = ("rest" if code == 0 else f"target {code}" for code in target[starts].tolist())
    return list(zip(starts.tolist(), values, strict=True))


def _flashes(file: DatFile) -> list[tuple[int, str]]:
    """Where a row or column begins to flash, and whether the target is in it."""
    code, kind = file.state("StimulusCode"), file.state("StimulusType")
    starts = np.flatnonzero((code > 0) & (np.diff(code, prepend=0) != 0))
    return [(int(i), "Target" if kind[i] else "NonTarget") for i in starts]
