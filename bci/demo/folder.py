"""The files of a demo, and which of them the next demo may replace.

A list with the SHA-256 of each file is written last. Only what stands in the
list, unchanged, is ever deleted; everything else in the folder is somebody's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from bci.errors import ConfigError, RecordingError
from bci.recording.layout import beside

SCHEMA = "bci.demo/1"


class DemoFolder:
    """Where one demo writes.

    Attributes
    ----------
    xdf, config, events, ledger, decisions : Path
    models : Path
        Folder of the trained decoders.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.xdf = path / "demo_eeg.xdf"
        self.config = beside(self.xdf, "config.yaml")
        self.events = beside(self.xdf, "events.jsonl")
        self.ledger = beside(self.xdf, "ledger.jsonl")
        self.decisions = beside(self.xdf, "decisions.jsonl")
        self.models = path / "models"
        self._list = path / "demo_files.json"

    def clear(self) -> None:
        """Make the folder, and remove what an earlier demo left in it.

        Raises
        ------
        ConfigError
            Something that is not an earlier demo's is in the way.
        RecordingError
            The folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._remove_earlier()
        except OSError as error:
            raise RecordingError(
                f"the demo cannot write to {self.path}: {error.strerror}; choose another folder "
                "with --out"
            ) from error
        if (path := next(self._files(), None)) is not None:
            raise ConfigError(
                f"{path} is in the way, and not as an earlier demo left it, so it stays; move it, "
                "or choose another folder with --out"
            )

    def claim(self) -> None:
        """List the files of this demo, for the next one to replace."""
        files = {str(path.relative_to(self.path)): _digest(path) for path in self._files()}
        text = json.dumps({"schema": SCHEMA, "files": files}, indent=2)
        self._list.write_text(text + "\n", encoding="utf-8")

    def _files(self) -> Iterator[Path]:
        """What a demo writes, as far as it is there."""
        fixed = (self.xdf, self.config, self.events, self.ledger, self.decisions)
        yield from (path for path in fixed if path.exists())
        yield from sorted(self.models.glob("fbcca*/*"))

    def _remove_earlier(self) -> None:
        listed = self._read_list()
        for path in list(self._files()):
            if listed.get(str(path.relative_to(self.path))) == _digest(path):
                path.unlink()
        for folder in self.models.glob("fbcca*"):
            if not any(folder.iterdir()):
                folder.rmdir()

    def _read_list(self) -> dict[str, str]:
        try:
            found = json.loads(self._list.read_text(encoding="utf-8"))
            return dict(found["files"]) if found["schema"] == SCHEMA else {}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
