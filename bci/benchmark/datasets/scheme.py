"""What the markers of a data set mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bci.paradigms.cues import Opened, labelled
from bci.sources.files import Recording


@dataclass(frozen=True, slots=True)
class Scheme:
    """From markers to labelled trials.

    Attributes
    ----------
    labels : mapping
        Marker value: class; their order is that of the classes.
    idle : tuple of str
        Marker values of rest, where no decision is right.
    openers : frozenset of str or None
        Marker values at which an epoch begins; None: those of `labels`.
    stim_s : float
        How long a trial lasts from its marker, seconds.
    epochs_per_trial : int
        Consecutive epochs that belong to one trial.
    """

    labels: Mapping[str, str]
    stim_s: float
    idle: tuple[str, ...] = ()
    openers: frozenset[str] | None = None
    epochs_per_trial: int = 1

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels in a fixed order, each once."""
        return tuple(dict.fromkeys(self.labels.values()))

    def opened(self, recording: Recording) -> list[Opened]:
        """Every labelled epoch of a recording: onset in samples, marker and label."""
        markers = ((m.index or 0, m.value) for m in recording.markers)
        openers = self.openers or frozenset(self.labels)
        return [o for o in labelled(markers, self.labels, openers) if o.label is not None]
