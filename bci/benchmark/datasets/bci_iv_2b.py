"""BCI Competition IV 2b: imagery of the left and the right hand on C3, Cz and C4, five sessions.

::

    B0101T.npz … B0605E.npz      X (n, 3, 1000) float32, y (1 left, 2 right), sfreq, ch_names

The arrays hold 4 s from the cue at 250 Hz, band-passed already (about 6.5 to
25 Hz), so a filter set here sees each epoch for itself, with its edges. There
is no continuous recording. MOABB has the set as ``BNCI2014_004``.

.. [1] Leeb, Lee, Keinrath, Scherer, Bischof, Pfurtscheller (2007).
   Brain-computer communication: motivation, aim, and impact of exploring a
   virtual apartment. IEEE TNSRE 15, 473. doi:10.1109/TNSRE.2007.906956
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bci.benchmark.data import ContinuousSession, Epochs, ParadigmName
from bci.benchmark.datasets.epoching import Cut, band_names, finish, stack_bands, without_hum
from bci.benchmark.datasets.recorded import (
    Part,
    chosen,
    described,
    files,
    joined,
    of_subject,
)
from bci.benchmark.datasets.settings import FolderSettings, end, start
from bci.errors import ConfigError, SourceError

LABELS = {1: "left", 2: "right"}
_NAME = re.compile(r"(?P<subject>B\d{2})(?P<session>\d{2})[TE]")


class BciIv2bSettings(FolderSettings):
    """Left and right hand imagery, six people with five sessions (BCI Competition IV 2b)."""

    kind: Literal["bci_iv_2b"] = "bci_iv_2b"
    tmin: float = start(0.0)
    tmax: float = end(4.0)

    def build(self) -> BciIv2b:
        """Make the data set."""
        return BciIv2b(self)


class BciIv2b:
    """Epochs only; see `bci.benchmark.data.Dataset`."""

    paradigm: ParadigmName = "imagery"
    simulated = False
    classes = tuple(LABELS.values())

    def __init__(self, settings: BciIv2bSettings) -> None:
        self.name = settings.name or "bci-iv-2b"
        self._settings = settings

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Files by subject ("B01"), sessions "1" to "5"."""
        found: dict[str, list[Part]] = {}
        for path in files(self._settings.path, ["B????[TE].npz"], "B0s0kT.npz and B0s0kE.npz"):
            match = _NAME.fullmatch(path.stem)
            if match:
                part = Part(str(int(match["session"])), path)
                found.setdefault(match["subject"], []).append(part)
        return found

    @property
    def subjects(self) -> Sequence[str]:
        """Subjects that are there, or those of them that the settings choose."""
        return chosen(self.name, list(self.parts()), self._settings.subjects)

    def epochs(self, subject: str) -> list[Epochs]:
        """Epochs of all sessions of a subject, in order of time."""
        return [
            joined(self.name, subject, part.session, [_cut(part.path, self._settings)])
            for part in of_subject(self.name, self.parts(), subject)
        ]

    def continuous(self, subject: str) -> list[ContinuousSession]:
        """No continuous recordings are published with these arrays."""
        return []

    def settings(self) -> dict[str, Any]:
        """All that epochs depend on, with size and time of each subject's files."""
        return described(self._settings, self.parts(), self.subjects)


def _cut(path: Path, settings: BciIv2bSettings) -> Cut:
    X, y, sfreq, names = _read(path)
    if settings.channels is not None:
        missing = [label for label in settings.channels if label not in names]
        if missing:
            raise ConfigError(
                f"{path}: has no channel {', '.join(missing)}; there are {', '.join(names)}"
            )
        X = X[:, [names.index(label) for label in settings.channels]]
        names = settings.channels
    a, b = round(settings.tmin * sfreq), round(settings.tmax * sfreq)
    if a < 0 or b > X.shape[2]:
        raise ConfigError(
            f"{path}: holds 0 to {X.shape[2] / sfreq:g} s after the cue; tmin {settings.tmin:g} "
            f"and tmax {settings.tmax:g} s do not lie inside"
        )
    X = without_hum(X, sfreq, settings.notch_hz)
    X = np.ascontiguousarray(stack_bands(X, sfreq, settings.filters)[:, :, a:b])
    n = len(X)
    labels = np.array([LABELS[int(code)] for code in y], dtype=np.str_)
    return finish(
        Cut(X, labels, np.arange(n), sfreq, band_names(names, settings.filters), n), settings
    )


def _read(path: Path) -> tuple[Any, Any, float, tuple[str, ...]]:
    """Arrays of a file, checked; `X` as float64."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            X, y = np.asarray(file["X"], np.float64), file["y"]
            sfreq, names = float(file["sfreq"]), tuple(map(str, file["ch_names"]))
    except Exception as error:  # numpy and zipfile fail in many ways on a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{path}: is damaged, or no file of this set: {reason}") from error
    if X.ndim != 3 or X.shape[:2] != (len(y), len(names)) or not np.isin(y, list(LABELS)).all():
        raise SourceError(
            f"{path}: X {X.shape}, y {np.shape(y)} and {len(names)} channel names do not fit "
            "together; expected X (n, channels, samples) and y of 1 and 2"
        )
    return X, y, sfreq, names
