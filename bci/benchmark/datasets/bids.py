"""A BIDS EEG data set, read with mne-bids.

Events are the ``trial_type`` (or, where there is none, the ``value``) of
``events.tsv``; channels marked bad in ``channels.tsv`` are kept.

.. [1] Pernet et al. (2019). EEG-BIDS, an extension to the brain imaging data
   structure for electroencephalography. Sci Data 6, 103. doi:10.1038/s41597-019-0104-8
.. [2] Appelhoff et al. (2019). MNE-BIDS. JOSS 4, 1896. doi:10.21105/joss.01896
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bci.benchmark.datasets.recorded import Part, RecordedDataset, files
from bci.benchmark.datasets.settings import MarkedFolderSettings
from bci.errors import BciError, SourceError
from bci.sources.files import Recording, first_line, place_markers, regular_stamps
from bci.types import Break, StreamInfo

_SUFFIXES = (".vhdr", ".edf", ".bdf", ".set")
_ENTITY = re.compile(r"(sub|ses|task|acq|run|desc)-([A-Za-z0-9]+)_")
_VOLTAGES = ("eeg", "eog", "emg", "ecg")


class BidsSettings(MarkedFolderSettings):
    """A BIDS EEG data set, in a folder."""

    kind: Literal["bids"] = "bids"
    task: str | None = Field(
        None, pattern=r"^[A-Za-z0-9]+$", description="which task's recordings; null: all"
    )

    def build(self) -> Bids:
        """Make the data set."""
        return Bids(self, f"bids {self.path.name}", self.paradigm, self.scheme())


class Bids(RecordedDataset):
    """The raw recordings of a BIDS data set (no derivatives, no source data)."""

    _settings: BidsSettings

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Recordings by subject and session ("1" where the set has no sessions)."""
        folder, task = self._settings.path, self._settings.task
        patterns = [
            f"{deep}eeg/sub-*_eeg{s}" for deep in ("sub-*/", "sub-*/ses-*/") for s in _SUFFIXES
        ]
        found: dict[str, list[Part]] = {}
        tasks = set()
        for path in files(folder, patterns, "BIDS EEG recordings (sub-*/[ses-*/]eeg/*_eeg.*)"):
            entities = dict(_ENTITY.findall(path.name))
            tasks.add(entities.get("task", ""))
            if task in (None, entities.get("task")):
                part = Part(entities.get("ses", "1"), path)
                found.setdefault(entities["sub"], []).append(part)
        if not found:
            there = ", ".join(sorted(tasks))
            raise SourceError(f"{folder}: holds no recording of task '{task}'; there are {there}")
        return found

    def load(self, part: Part) -> Recording:
        """Read a recording with its side files."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of side files that BIDS only recommends
                raw = _read(self._settings.path, part)
                return _recording(part, raw)
        except (BciError, MemoryError):
            raise
        except Exception as error:  # a reader may fail in any way on a damaged file
            raise SourceError(
                f"{part.path}: is damaged, or no BIDS recording: {first_line(error)}"
            ) from error


def _read(root: Any, part: Part) -> Any:
    from mne_bids import get_bids_path_from_fname, read_raw_bids

    bids_path = get_bids_path_from_fname(part.path, check=False).update(root=root)
    return read_raw_bids(bids_path, verbose="ERROR").load_data(verbose="ERROR")


def _recording(part: Part, raw: Any) -> Recording:
    """Microvolts, and annotations as markers; a stretch that was not recorded is a break."""
    sfreq = float(raw.info["sfreq"])
    kinds = raw.get_channel_types()
    types = tuple(t if t in (*_VOLTAGES, "stim") else "misc" for t in kinds)
    scale = np.array([1e6 if t in _VOLTAGES else 1.0 for t in types])
    stamps = regular_stamps(raw.n_times, sfreq)
    indices = np.rint(raw.annotations.onset * sfreq).astype(int) - raw.first_samp
    found = list(zip(indices.tolist(), map(str, raw.annotations.description), strict=True))
    breaks = [
        (i, Break("the recording was interrupted"))
        for i, text in found
        if text.upper().startswith(("BAD_ACQ_SKIP", "BOUNDARY", "EDGE BOUNDARY")) and i > 0
    ]
    notes: list[str] = []
    markers = place_markers(found, stamps, notes)
    info = StreamInfo(part.path.stem, sfreq, tuple(raw.ch_names), types)
    data = np.ascontiguousarray(raw.get_data().T * scale)
    return Recording(
        part.path, info, data, stamps, markers, sorted(set(breaks), key=lambda b: b[0]), notes
    )
