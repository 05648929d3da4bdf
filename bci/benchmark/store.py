"""One file per unit of work, so that a killed run goes on where it stopped.

::

    out/
      units/<key>.jsonl    rows of one unit; the key is a hash of all that they depend on
      index.json           what is known of the data sets, so that they needn't be read again
      plan.json            the units of the last run
      results.parquet      their rows
      report.json          what the report was made of
      log.txt              what each run did, reused and could not do

A unit's file appears at once and whole. Its first line holds the hash of the
rest: a damaged file is found, said, and done again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bci.errors import BciError

Row = dict[str, Any]


class Damaged(BciError):
    """A unit's file is not what was written."""


class Store:
    """The results of one benchmark.

    Parameters
    ----------
    out : path
        Its folder.
    """

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out).absolute()
        self.units = self.out / "units"

    def create(self) -> None:
        """Make the folders.

        Raises
        ------
        BciError
            They cannot be made.
        """
        try:
            self.units.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BciError(
                f"results cannot be written to '{self.out}': {error.strerror or error}"
            ) from error

    def path(self, key: str) -> Path:
        """File of a unit."""
        return self.units / f"{key}.jsonl"

    def read(self, key: str) -> list[Row] | None:
        """Rows of a unit; None where it is still to be done.

        Raises
        ------
        Damaged
            Its file is not what was written.
        """
        try:
            data = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Damaged(f"{self.path(key)} cannot be read: {error.strerror or error}") from error
        head, _, body = data.partition(b"\n")
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(head)
            if told["key"] == key and told["sha256"] == hashlib.sha256(body).hexdigest():
                return [json.loads(line) for line in body.splitlines()]
        raise Damaged(f"{self.path(key)} is damaged ({len(data)} bytes)")

    def write(self, key: str, rows: Sequence[Row]) -> None:
        """Write the rows of a unit, all or nothing."""
        body = "\n".join(json.dumps(row) for row in rows).encode()
        head = json.dumps({"key": key, "sha256": hashlib.sha256(body).hexdigest()}).encode()
        replace(self.path(key), head + b"\n" + body)

    def read_json(self, name: str) -> Any:
        """What a file beside the units holds; None where it is missing or damaged."""
        with suppress(OSError, ValueError):
            return json.loads((self.out / name).read_text(encoding="utf-8"))
        return None

    def write_json(self, name: str, value: Any) -> None:
        """Write a file beside the units, all or nothing."""
        replace(self.out / name, json.dumps(value).encode())

    def log(self, lines: Sequence[str]) -> None:
        """Add lines to the log, with the date and time, UTC."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with (self.out / "log.txt").open("a", encoding="utf-8") as file:
            file.writelines(f"{now} {line}\n" for line in lines)


def replace(path: Path, data: bytes) -> None:
    """Put `data` into a file that is never seen half written."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".half-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
