"""What a speller's run leaves in the recording: enough to tell afterwards what was written.

Markers ``speller/<what> <JSON>``: ``begin`` (task, phrase, number of targets),
``selection`` after each trial that counts, with the text as it then was, ``end`` (why).
Both of the latter carry the frames shown and dropped so far, so that a run that
broke off tells them too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from bci.paradigms.spelling_scene import Selection
from bci.paradigms.spelling_score import SpellingScore, score

SPELLER = "speller/"
#: Characters of the text that a marker carries, its end; a marker must stay short.
MAX_TEXT = 400


def begin(mode: str, phrase: str | None, n_targets: int, refresh_hz: float) -> str:
    """Give the marker of a run that begins: "calibration", "copy" or "free"."""
    return _marker("begin", mode=mode, phrase=phrase, n_targets=n_targets, refresh_hz=refresh_hz)


def selected(selection: Selection, text: str, n_flips: int, n_dropped: int) -> str:
    """Give the marker of a trial that is done, and of what is written after it."""
    frames = {"n_flips": n_flips, "n_dropped": n_dropped}
    return _marker("selection", **asdict(selection), text=text[-MAX_TEXT:], **frames)


def end(why: str, text: str, n_void: int, n_flips: int, n_dropped: int) -> str:
    """Give the marker of a run that is over; `n_void` trials were cut short."""
    frames = {"n_flips": n_flips, "n_dropped": n_dropped}
    return _marker("end", why=why, text=text[-MAX_TEXT:], n_void=n_void, **frames)


def _marker(what: str, **content: Any) -> str:
    return f"{SPELLER}{what} {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}"


@dataclass(slots=True)
class RecordedRun:
    """A run of a speller, from its markers.

    Attributes
    ----------
    start, stop : int
        First sample, and the one at which it was over; its last marker's where it broke off.
    mode : str
    phrase : str or None
        What was to be written.
    n_targets : int
    refresh_hz : float
        Of the screen.
    selections : list of Selection
    text : str
        What was written at the end.
    why : str
        Why it was over; empty where it broke off.
    n_void, n_flips, n_dropped : int
        Trials cut short; frames shown; frames dropped.
    """

    start: int
    stop: int
    mode: str
    phrase: str | None
    n_targets: int
    refresh_hz: float
    selections: list[Selection] = field(default_factory=list)
    text: str = ""
    why: str = ""
    n_void: int = 0
    n_flips: int = 0
    n_dropped: int = 0

    def score(self) -> SpellingScore:
        """How well it went."""
        return score(self.selections, self.text, self.phrase, self.n_targets)


def recorded_runs(markers: Iterable[tuple[int, str]]) -> list[RecordedRun]:
    """Read the runs of a speller from a session's markers.

    Parameters
    ----------
    markers : iterable of (onset, value)
        Onset in samples, in order of time. A marker of this kind that cannot be read, or
        that belongs to no run, is left out.
    """
    runs: list[RecordedRun] = []
    for onset, value in markers:
        if not value.startswith(SPELLER):
            continue
        what, _, text = value.removeprefix(SPELLER).partition(" ")
        try:
            content = json.loads(text)
            if what == "begin":
                runs.append(RecordedRun(onset, onset, **content))
            elif runs:
                _add(runs[-1], what, content)
                runs[-1].stop = onset
        except (ValueError, TypeError, KeyError, AttributeError):  # a stranger's marker
            continue
    return runs


def _add(run: RecordedRun, what: str, content: dict[str, Any]) -> None:
    if what == "selection":
        run.selections.append(Selection(**{f.name: content[f.name] for f in fields(Selection)}))
    elif what == "end":
        run.why, run.n_void = content["why"], content["n_void"]
    run.text = content["text"]
    run.n_flips, run.n_dropped = content["n_flips"], content["n_dropped"]
