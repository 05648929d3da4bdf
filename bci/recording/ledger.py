"""The ledger of a recording: what must be in it, as its recorder entered it.

Lines of JSON in ``…_ledger.jsonl``: the descriptions of the streams, and after
each flush the number of samples of each stream that the file then held.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bci.errors import RecordingError
from bci.eventlog import read_lines
from bci.recording.layout import beside

SCHEMA = "bci.ledger/1"
ENDING = "ledger.jsonl"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The last word of a ledger: per stream its description (XML) and number of samples.

    `failure` says why the recording was not complete when it was closed; empty
    where it was, or was never closed.
    """

    xml: dict[int, str]
    n_samples: dict[int, int]
    n_bytes: int
    closed: bool
    failure: str = ""


def read_ledger(recording: str | Path) -> Ledger | None:
    """Read the ledger beside a recording; None where there is none.

    Raises
    ------
    RecordingError
        It is damaged; the message names the line.
    """
    path = beside(recording, ENDING)
    if not path.exists():
        return None
    lines = read_lines(path)
    if not lines or lines[0].get("schema") != SCHEMA:
        raise RecordingError(f"{path}:1: not a ledger: expected schema '{SCHEMA}'")
    try:
        xml = {int(line["stream"]): str(line["xml"]) for line in lines if "stream" in line}
        failure = "".join(str(line["failed"]) for line in lines if "failed" in line)
        entries = [line for line in lines if "streams" in line]
        if not entries:
            return Ledger(xml, {}, 0, closed=False, failure=failure)
        last = entries[-1]
        held = {int(key): int(value["n"]) for key, value in last["streams"].items()}
        return Ledger(xml, held, int(last["bytes"]), bool(last["closed"]), failure)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingError(f"{path}: an entry is not complete: {error}") from error
