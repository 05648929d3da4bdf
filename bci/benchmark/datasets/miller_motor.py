"""Movement and imagery of hand and tongue in ECoG (Miller et al.), one file of seven people.

::

    motor_imagery.npz        dat, shape (7, 2): of each person the movements, then the imagery

The file is that of Neuromatch Academy (https://osf.io/ksqv8). Each of its 14 entries has V
(n_times, n_channels), scale_uv (n_channels,) to make microvolts of it, t_on and t_off in samples,
and stim_id, 11 tongue, 12 hand; 1000 Hz. It is an array of objects, which is read
without running it, see `object_arrays`. Movement and imagery are two recordings: what tells
them apart may be anything that changed between, so that no task here asks for it.

.. [1] Miller, Schalk, Fetz, den Nijs, Ojemann, Rao (2010). Cortical activity during motor
   execution, motor imagery, and imagery-based online feedback. PNAS 107, 4430.
   doi:10.1073/pnas.0913697107
.. [2] Miller (2019). A library of human electrocorticographic data and analyses. Nat. Hum.
   Behav. 3, 1225. doi:10.1038/s41562-019-0678-3
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bci.benchmark.datasets.object_arrays import read_objects
from bci.benchmark.datasets.recorded import Part, RecordedDataset, of_subject
from bci.benchmark.datasets.scheme import Scheme
from bci.benchmark.datasets.settings import EpochSettings, end, start
from bci.errors import SourceError
from bci.sources.files import Recording, place_markers, regular_stamps
from bci.types import StreamInfo

SFREQ = 1000.0
STIM_S = 3.0
LABELS = {"11": "tongue", "12": "hand"}
#: Place of each task in the file.
TASKS = {"executed": 0, "imagined": 1}
N_SUBJECTS = 7
SESSION = "1"


class MillerMotorSettings(EpochSettings):
    """Hand and tongue, moved or imagined, in ECoG (Miller et al., Neuromatch's file)."""

    kind: Literal["miller_motor"] = "miller_motor"
    path: Path = Field(description="the file motor_imagery.npz")
    task: Literal["executed", "imagined"] = Field("executed", description="which recordings")
    tmin: float = start(0.0)
    tmax: float = end(3.0)

    def build(self) -> MillerMotor:
        """Make the data set."""
        return MillerMotor(self, f"miller motor {self.task}", "imagery", Scheme(LABELS, STIM_S))


class MillerMotor(RecordedDataset):
    """Persons "1" to "7"; electrodes are named by their number."""

    _settings: MillerMotorSettings

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """All persons are in the one file."""
        path = self._settings.path
        if not path.is_file():
            raise SourceError(f"{path}: there is no such file; 'path' must be motor_imagery.npz")
        return {str(k): [Part(SESSION, path)] for k in range(1, N_SUBJECTS + 1)}

    def load(self, part: Part) -> Recording:
        """A file alone is no recording: see `recordings`."""
        raise TypeError("the file holds the recordings of all persons")

    def recordings(self, subject: str) -> Iterator[tuple[str, Recording]]:
        """The one recording of a person and task."""
        (part,) = of_subject(self.name, self.parts(), subject)
        everything = read_objects(part.path, "dat")
        if everything.shape != (N_SUBJECTS, len(TASKS)):
            raise SourceError(
                f"{part.path}: 'dat' has shape {everything.shape}, expected "
                f"({N_SUBJECTS}, {len(TASKS)}): persons, movement and imagery"
            )
        entry = everything[int(subject) - 1, TASKS[self._settings.task]]
        yield part.session, _recording(part.path, f"person {subject}", entry)


def _recording(path: Path, who: str, entry: Any) -> Recording:
    wanted = ("V", "scale_uv", "t_on", "stim_id")
    missing = [name for name in wanted if not isinstance(entry, dict) or name not in entry]
    if missing:
        raise SourceError(f"{path}: {who} has no {', '.join(missing)}")
    V, scale, onsets, codes = (np.asarray(entry[name]) for name in wanted)
    if V.ndim != 2 or scale.size not in (1, V.shape[1]) or onsets.size != codes.size:
        raise SourceError(
            f"{path}: {who} has V {V.shape}, {scale.size} values of scale_uv, {onsets.size} of "
            f"t_on and {codes.size} of stim_id, which do not fit together"
        )
    sfreq = float(np.ravel(entry.get("srate", SFREQ))[0])
    data = V.astype(np.float64) * np.ravel(scale)
    n = V.shape[1]
    names = tuple(f"E{k + 1}" for k in range(n))
    info = StreamInfo(f"{path.stem} {who}", sfreq, names, ("eeg",) * n)
    stamps, notes = regular_stamps(len(data), sfreq), list[str]()
    found = [(round(float(t)), str(int(c))) for t, c in zip(onsets.flat, codes.flat, strict=True)]
    return Recording(path, info, data, stamps, place_markers(found, stamps, notes), notes=notes)
