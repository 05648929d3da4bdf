"""What the markers of a data set mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

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
        How long a trial lasts from the marker at which its epoch begins, seconds.
    epochs_per_trial : int
        Consecutive epochs that belong to one trial.
    joins_overlapping : bool
        Whether consecutive epochs of one class that share samples are one trial: markers of
        sliding windows. Flashes of the P300 overlap as well, each a stimulus of its own.
    """

    labels: Mapping[str, str]
    stim_s: float
    idle: tuple[str, ...] = ()
    openers: frozenset[str] | None = None
    epochs_per_trial: int = 1
    joins_overlapping: bool = True

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels in a fixed order, each once."""
        return tuple(dict.fromkeys(self.labels.values()))

    def opened(self, recording: Recording) -> list[Opened]:
        """Every labelled epoch of a recording: onset in samples, marker and label."""
        openers = self.openers or frozenset(self.labels)
        found = labelled(_markers(recording), self.labels, openers)
        return [o for o in found if o.label is not None]

    def lasts_s(self, recording: Recording) -> float:
        """How long a trial lasts from its labelled marker (the cue), seconds."""
        cues = [onset for onset, value in _markers(recording) if value in self.labels]
        onsets = np.array([o.onset for o in self.opened(recording)], dtype=np.int64)
        if self.openers is None or not len(onsets):
            return self.stim_s
        before = np.searchsorted(cues, onsets, side="right") - 1
        return self.stim_s + float(np.median(onsets - np.take(cues, before))) / recording.info.sfreq


def _markers(recording: Recording) -> list[tuple[int, str]]:
    return [(m.index or 0, m.value) for m in recording.markers]
