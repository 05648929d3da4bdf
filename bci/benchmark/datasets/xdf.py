"""XDF recordings with markers, of LabRecorder or any other, in one folder.

Subject and session come from BIDS-like names
(``sub-P001_ses-S001_task-MI_run-001_eeg.xdf``); a file with another name is a
subject by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from bci.benchmark.datasets.recorded import Part, RecordedDataset, files
from bci.benchmark.datasets.settings import MarkedFolderSettings
from bci.sources.files import Recording, load_recording

_NAME = re.compile(r"sub-(?P<subject>[A-Za-z0-9]+)(?:_ses-(?P<session>[A-Za-z0-9]+))?_.*")


class XdfSettings(MarkedFolderSettings):
    """XDF files with markers, in a folder."""

    kind: Literal["xdf"] = "xdf"
    pattern: str = Field("**/*.xdf", min_length=1, description="which files of the folder")
    stream: str | None = Field(
        None, description="name, type or id of the EEG stream; null: the one"
    )
    markers: tuple[str, ...] | None = Field(
        None, description="names of the marker streams; null: all whose type says so"
    )

    def build(self) -> Xdf:
        """Make the data set."""
        return Xdf(self, f"xdf {self.path.name}", self.paradigm, self.scheme())


class Xdf(RecordedDataset):
    """The XDF files under a folder."""

    _settings: XdfSettings

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Files by the subject and session in their names."""
        pattern = self._settings.pattern
        found: dict[str, list[Part]] = {}
        for path in files(self._settings.path, [pattern], f"recordings ({pattern})"):
            match = _NAME.fullmatch(path.name)
            subject = match["subject"] if match else path.stem
            session = (match["session"] if match else None) or "1"
            found.setdefault(subject, []).append(Part(session, path))
        return found

    def load(self, part: Part) -> Recording:
        """Read a file."""
        return load_recording(part.path, self._settings.stream, markers=self._settings.markers)
