"""SSVEP for an exoskeleton: 13, 17 and 21 Hz and rest, 8 occipital channels, 256 Hz.

::

    subject01/record-2012.07.06-19.02.16_raw.fif
              record-2012.07.06-19.02.16-eve.fif

A trial lasts 5 s from its marker; by default its seconds 2 to 5 are used, as in
[1]_. The flicker is not locked to the markers, so templates of the waveform
cannot work here. MOABB has the set as ``Kalunga2016``; the session
2012.07.11-15.33.08 was published under subject 03 and subject 07.

.. [1] Kalunga, Chevallier, Barthélemy, Djouani, Monacelli, Hamam (2016). Online
   SSVEP-based BCI using Riemannian geometry. Neurocomputing 191, 55.
   doi:10.1016/j.neucom.2016.01.007
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from bci.benchmark.datasets.recorded import Part, RecordedDataset, files
from bci.benchmark.datasets.scheme import Scheme
from bci.benchmark.datasets.settings import Filters, FolderSettings, end, filters, start
from bci.sources.files import Recording, load_recording

#: Marker of rest, and of the flickers with their label.
REST = "1"
FLICKERS = {"2": "13 Hz", "4": "17 Hz", "3": "21 Hz"}
TRIAL_S = 5.0


class SsvepExoSettings(FolderSettings):
    """SSVEP of nine people, 13, 17, 21 Hz and rest (Kalunga et al. 2016)."""

    kind: Literal["ssvep_exo"] = "ssvep_exo"
    filters: Filters = filters((7, 45))
    tmin: float = start(2.0)
    tmax: float = end(5.0)
    rest: bool = Field(True, description="whether rest is a class")

    def build(self) -> SsvepExo:
        """Make the data set."""
        labels = {REST: "rest", **FLICKERS} if self.rest else FLICKERS
        return SsvepExo(self, "ssvep-exo", "ssvep", Scheme(labels, TRIAL_S, idle=(REST,)))


class SsvepExo(RecordedDataset):
    """Rest is idle in the continuous recordings, whether or not it is a class."""

    _settings: SsvepExoSettings

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Recordings by subject ("01"), sessions by date and time."""
        found: dict[str, list[Part]] = {}
        for path in files(self._settings.path, ["subject*/*_raw.fif"], "subjectNN/*_raw.fif"):
            subject = path.parent.name.removeprefix("subject")
            found.setdefault(subject, []).append(Part(_session(path), path))
        return found

    def load(self, part: Part) -> Recording:
        """Read a recording with its ``-eve.fif``."""
        return load_recording(part.path)


def _session(path: Path) -> str:
    return path.name.removesuffix("_raw.fif").removeprefix("record-")
