"""What a data set gives: epochs to score, and continuous recordings to replay."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bci.sources.files import Recording
from bci.types import FloatArray

ParadigmName = Literal["imagery", "ssvep", "p300"]


@dataclass(frozen=True)
class Epochs:
    """Labelled epochs of one session of one subject.

    Attributes
    ----------
    dataset, subject, session : str
    X : array, shape (n_epochs, n_channels, n_times), float64
        Microvolts, or the data set's own scale where it says so.
    y : array of str, shape (n_epochs,)
    sfreq : float
        Hz.
    ch_names : tuple of str
    trials : array of int, shape (n_epochs,)
        Which trial an epoch was cut from: epochs of one trial never stand on
        both sides of a split.
    """

    dataset: str
    subject: str
    session: str
    X: FloatArray = field(repr=False)
    y: NDArray[np.str_] = field(repr=False)
    sfreq: float
    ch_names: tuple[str, ...]
    trials: NDArray[np.int64] = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """Hash of samples and labels; equal for one recording under two names."""
        digest = hashlib.sha256(np.ascontiguousarray(self.X).tobytes())
        digest.update("\n".join(self.y.tolist()).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class ContinuousSession:
    """A continuous recording of one session, for pseudo-online evaluation.

    `labels` maps marker values to class labels; `idle` are the marker values of
    rest, where no decision is right; `stim_s` is how long a trial lasts from
    its marker, seconds.
    """

    dataset: str
    subject: str
    session: str
    recording: Recording = field(repr=False)
    labels: dict[str, str]
    idle: tuple[str, ...]
    stim_s: float


@runtime_checkable
class Dataset(Protocol):
    """A data set; reads a subject when asked, keeps nothing."""

    #: Name in tables and plots; simulated sets say so in it.
    name: str
    paradigm: ParadigmName
    simulated: bool
    #: Labels in a fixed order.
    classes: tuple[str, ...]

    @property
    def subjects(self) -> Sequence[str]:
        """Subjects that are there.

        Raises
        ------
        SourceError
            The data set is not where it is said to be.
        """
        ...

    def epochs(self, subject: str) -> list[Epochs]:
        """Epochs of all sessions of a subject, in order of time."""
        ...

    def continuous(self, subject: str) -> list[ContinuousSession]:
        """Continuous sessions of a subject; empty where the set has epochs only."""
        ...

    def settings(self) -> dict[str, Any]:
        """All that epochs depend on (paths, filter, window, …), JSON-able, for hashing."""
        ...
