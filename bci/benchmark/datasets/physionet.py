"""PhysioNet's motor movement and imagery set (EEGMMIDB): 64 channels, 160 Hz, one session each.

::

    S001/S001R03.edf … S001R14.edf        (or all in one folder)

A trial lasts about 4.1 s from its annotation: T0 rest, T1 and T2 what the run
asks for, which `task` chooses.

.. [1] Schalk, McFarland, Hinterberger, Birbaumer, Wolpaw (2004). BCI2000: a
   general-purpose brain-computer interface (BCI) system. IEEE TBME 51, 1034.
.. [2] https://physionet.org/content/eegmmidb/1.0.0/ doi:10.13026/C28G6P
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from bci.benchmark.datasets.recorded import Part, RecordedDataset, files
from bci.benchmark.datasets.scheme import Scheme
from bci.benchmark.datasets.settings import Filters, FolderSettings, end, filters, start
from bci.electrodes import canonical
from bci.errors import SourceError
from bci.sources.files import Recording, load_recording

Task = Literal[
    "left_right_imagery", "hands_feet_imagery", "left_right_executed", "hands_feet_executed"
]

RUNS: dict[Task, tuple[int, ...]] = {
    "left_right_executed": (3, 7, 11),
    "left_right_imagery": (4, 8, 12),
    "hands_feet_executed": (5, 9, 13),
    "hands_feet_imagery": (6, 10, 14),
}
REST = "T0"
TRIAL_S = 4.1
SESSION = "1"
_NAME = re.compile(r"(?P<subject>S\d{3})R(?P<run>\d{2})")


class PhysionetSettings(FolderSettings):
    """Motor imagery and movement (PhysioNet EEGMMIDB): two classes, by task."""

    kind: Literal["physionet"] = "physionet"
    task: Task = Field(
        "left_right_imagery",
        description="fists left or right, or both hands or both feet; imagined or executed",
    )
    filters: Filters = filters((8, 32))
    tmin: float = start(0.5)
    tmax: float = end(3.5)

    def build(self) -> Physionet:
        """Make the data set."""
        first, second = self.task.split("_")[:2]
        scheme = Scheme({"T1": first, "T2": second}, TRIAL_S, idle=(REST,))
        return Physionet(self, f"physionet {self.task.replace('_', ' ')}", "imagery", scheme)


class Physionet(RecordedDataset):
    """Runs of one task; channels bear their 10-05 names."""

    _settings: PhysionetSettings

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Runs of the task by subject ("S001"); all are one session."""
        folder, task = self._settings.path, self._settings.task
        found: dict[str, list[Part]] = {}
        for path in files(folder, ["S???R??.edf", "*/S???R??.edf"], "SnnnRnn.edf"):
            match = _NAME.fullmatch(path.stem)
            if match and int(match["run"]) in RUNS[task]:
                found.setdefault(match["subject"], []).append(Part(SESSION, path))
        if not found:
            runs = ", ".join(f"{run:02d}" for run in RUNS[task])
            raise SourceError(f"{folder}: holds no run {runs}, which are those of task '{task}'")
        return found

    def load(self, part: Part) -> Recording:
        """Read a run."""
        recording = load_recording(part.path)
        names = tuple(map(canonical, recording.info.ch_names))
        return replace(recording, info=replace(recording.info, ch_names=names))
