"""Decisions as JSON lines in a file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from io import FileIO
from pathlib import Path
from typing import Literal

from pydantic import Field

from bci.config import OutputSettings
from bci.errors import RecordingError
from bci.types import Decision


class JSONLinesOutput(OutputSettings):
    """One line per decision, abstentions too, appended to a file."""

    kind: Literal["jsonl"] = "jsonl"
    path: Path = Field(
        Path("decisions.jsonl"), description="file; its folder is made; an existing file is kept"
    )

    def build(self) -> JSONLinesWriter:
        """Return the output, not yet open."""
        return JSONLinesWriter(self)


class JSONLinesWriter:
    """`Decision.to_json`, a line each, handed to the system at once; readable by the owner only."""

    def __init__(self, settings: JSONLinesOutput) -> None:
        self.name = f"jsonl:{settings.path}"
        self._path = settings.path
        self._file: FileIO | None = None

    def open(self, labels: tuple[str, ...]) -> None:
        """Open the file for appending.

        Raises
        ------
        RecordingError
            The file cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(self._path, "a", opener=_private)
        except OSError as error:
            raise RecordingError(
                f"decisions cannot be written to {self._path}: {error.strerror}; choose another "
                "'path' for the output of kind 'jsonl'"
            ) from error

    def send(self, decision: Decision) -> None:
        """Write one line, whole or not at all.

        Raises
        ------
        RecordingError
            The line cannot be written, such as on a full disk.
        """
        if self._file is None:
            raise RecordingError(f"{self._path} is not open for decisions")
        line = json.dumps(decision.to_json(), ensure_ascii=False, allow_nan=False) + "\n"
        size = os.fstat(self._file.fileno()).st_size
        data = line.encode()
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(size)  # no half line before the next one
            raise RecordingError(
                f"decision {decision.seq} cannot be written to {self._path}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
