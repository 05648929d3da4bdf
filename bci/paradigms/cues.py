"""Which label each trial of a recording has: from its own marker, or from the cue before it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple


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
