"""Which label each trial of a recording has: from its own marker, or from the cue before it.

And which trials ended sooner than a window lasts, as they do once a decision is made.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from bci.paradigms.timetable import IMAGERY_OFF, STIM_OFF

#: What was asked for ends with one of these.
_ENDS = frozenset({STIM_OFF, IMAGERY_OFF})
#: A flicker may end so much sooner than planned, seconds: a frame or two of a slow screen.
TOLERANCE_S = 0.05


class Opened(NamedTuple):
    """A marker that opens a window, at sample `onset`; `label` None: nobody said what was asked."""

    onset: int
    value: str
    label: str | None


def labelled(
    markers: Iterable[tuple[int, str]], labels: Mapping[str, str], openers: Container[str]
) -> Iterator[Opened]:
    """Every marker that opens a window, in order of time, with its label.

    A marker without a label of its own takes that of the labelled marker before it (the cue;
    it may be on the same sample). A cue serves one window: a trial whose own cue has no label
    must not get the label of the trial before.

    Parameters
    ----------
    markers : iterable of (onset, value)
        Onset in samples.
    labels : mapping
        Marker value: label.
    openers : container of str
        Values of the markers that open a window.
    """
    cue: str | None = None
    for onset, value in sorted(markers, key=lambda m: (m[0], m[1] not in labels)):
        cue = labels.get(value, cue)
        if value in openers:
            yield Opened(onset, value, cue)
            cue = None


def cut_short(
    markers: Iterable[tuple[int, str]], openers: Container[str], n_times: int
) -> set[tuple[int, str]]:
    """Markers that open a window whose flicker or imagery ends less than `n_times` samples later.

    What follows is no answer to it, and must not be learned from. A trial without ``stim_off``
    or ``imagery_off`` before the next one is not cut short.
    """
    opened: tuple[int, str] | None = None
    found = set()
    for onset, value in sorted(markers):
        if value in openers:
            opened = onset, value
        elif value in _ENDS and opened is not None:
            if onset - opened[0] < n_times:
                found.add(opened)
            opened = None
    return found
