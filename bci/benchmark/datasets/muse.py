"""Recordings of a Muse headband as CSV: SSVEP at 20 and 30 Hz, and the visual P300.

::

    ssvep-subject1/session1-….csv       (or ssvep/subject1/session1/….csv, as eeg-notebooks writes)
    timestamps,TP9,AF7,AF8,TP10,Right AUX,Marker0

Rows come at 256 Hz; their stamps jitter by the Bluetooth packet and are used
for gaps only. "Right AUX" is an extra electrode (POz in the SSVEP recordings)
and is used where `channels` names it.

.. [1] NeuroTechX, eeg-notebooks, https://github.com/NeuroTechX/eeg-notebooks
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
from bci.sources.files import Recording, first_line
from bci.types import Break, FloatArray, RawMarker, StreamInfo

SFREQ = 256.0
EEG = ("TP9", "AF7", "AF8", "TP10")
#: A longer silence between two rows is a break, seconds.
GAP_S = 0.5
DEFAULTS: dict[str, dict[str, Any]] = {
    "ssvep": {"filters": [[7, 45]], "tmin": 0.5, "tmax": 3.0},
    "p300": {"filters": [[1, 24]], "tmax": 0.8},
}
SCHEMES = {
    "ssvep": Scheme({"1": "30 Hz", "2": "20 Hz"}, 3.0),
    "p300": Scheme({"1": "NonTarget", "2": "Target"}, 0.8, joins_overlapping=False),
}


class MuseSettings(FolderSettings):
    """Muse headband recordings (CSV): SSVEP of two frequencies, or P300."""

    kind: Literal["muse"] = "muse"
    task: Literal["ssvep", "p300"] = Field(
        "ssvep",
        description="SSVEP at 20 and 30 Hz (7-45 Hz, 0.5 to 3 s), or P300 (1-24 Hz, 0 to 0.8 s)",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_task(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {**DEFAULTS.get(str(data.get("task", "ssvep")), {}), **data}
        return data

    def build(self) -> Muse:
        """Make the data set."""
        return Muse(self, f"muse {self.task}", self.task, SCHEMES[self.task])


class Muse(RecordedDataset):
    """The files of one task: those that name it in their path, or name none."""

    _settings: MuseSettings

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Files by the numbers after "subject" and "session" in their path."""
        folder, task = self._settings.path, self._settings.task
        found: dict[str, list[Part]] = {}
        for path in files(folder, ["**/*.csv"], "Muse recordings (.csv)"):
            place = str(path.relative_to(folder.parent)).casefold()
            if task not in place and any(other in place for other in SCHEMES):
                continue
            part = Part(_number("session", place), path)
            found.setdefault(_number("subject", place), []).append(part)
        if not found:
            raise SourceError(f"{folder}: holds no recording that names task '{task}' in its path")
        return {s: sorted(found[s], key=_order) for s in sorted(found, key=int)}

    def load(self, part: Part) -> Recording:
        """Read a file."""
        return read_csv(part.path)


def _order(part: Part) -> int:
    return int(part.session)


def _number(word: str, place: str) -> str:
    match = re.search(rf"{word}[ _-]?(\d+)", place)
    return match[1] if match else "1"


def read_csv(path: Path) -> Recording:
    """Read a file of ``timestamps, channels…, Marker``, in microvolts at 256 Hz.

    Raises
    ------
    SourceError
        It is no such file, or is damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            names = [word.strip() for word in file.readline().split(",")]
            table: FloatArray = np.loadtxt(file, delimiter=",", ndmin=2, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: is damaged, or no Muse CSV: {first_line(error)}") from error
    if names[0] != "timestamps" or not names[-1].startswith("Marker") or not len(table):
        raise SourceError(
            f"{path}: is no Muse CSV: expected columns timestamps, {', '.join(EEG)}, Marker; "
            f"found {', '.join(names)} and {len(table)} rows"
        )
    labels = tuple(names[1:-1])
    if table.shape[1] != len(names) or not set(EEG) <= set(labels):
        raise SourceError(f"{path}: is damaged: {table.shape[1]} columns under {names}")
    stamps, data, codes = table[:, 0], table[:, 1:-1], table[:, -1]
    rows = np.flatnonzero(codes)
    markers = [RawMarker(f"{codes[i]:g}", float(stamps[i]), int(i)) for i in rows]
    gaps = np.flatnonzero(np.diff(stamps) > GAP_S)
    breaks = [
        (int(i) + 1, Break("rows are missing", float(stamps[i + 1] - stamps[i]))) for i in gaps
    ]
    kinds = tuple("eeg" if label in EEG else "misc" for label in labels)
    info = StreamInfo(path.stem, SFREQ, labels, kinds)
    return Recording(path, info, np.ascontiguousarray(data), stamps, markers, breaks)
