"""Any data set of MOABB, through one of its paradigms.

MOABB downloads and caches as it is used to, filters, cuts and scales; epochs are
exactly what its own evaluations see. Needs the extra ``moabb``.

.. [1] Aristimunha et al. (2023). Mother of all BCI Benchmarks.
   doi:10.5281/zenodo.10034223
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal, cast, get_args

import numpy as np
from pydantic import Field

from bci.benchmark.data import ContinuousSession, Epochs, ParadigmName
from bci.benchmark.datasets.recorded import chosen
from bci.benchmark.datasets.settings import DatasetSettings
from bci.errors import BciError, ConfigError, SourceError
from bci.extras import optional
from bci.sources.files import first_line


class MoabbSettings(DatasetSettings):
    """A data set of MOABB."""

    kind: Literal["moabb"] = "moabb"
    dataset: str = Field(description="class in moabb.datasets, such as BNCI2014_001")
    dataset_params: dict[str, Any] = Field({}, description="its arguments")
    paradigm: str = Field(description="class in moabb.paradigms, such as LeftRightImagery")
    paradigm_params: dict[str, Any] = Field(
        {}, description="its arguments, such as fmin, fmax, tmin, tmax, resample"
    )

    def build(self) -> Moabb:
        """Make the data set; MOABB is imported now, and takes some seconds.

        Raises
        ------
        MissingDependency
            MOABB is not installed or cannot load.
        ConfigError
            It has no such data set or paradigm, or refuses the arguments.
        """
        datasets, fake, paradigms = (
            optional(f"moabb.{name}", "data set kind 'moabb'", "moabb")
            for name in ("datasets", "datasets.fake", "paradigms")
        )
        dataset = _make((datasets, fake), "data set", self.dataset, self.dataset_params)
        paradigm = _make((paradigms,), "paradigm", self.paradigm, self.paradigm_params)
        return Moabb(self, dataset, paradigm)


class Moabb:
    """See `bci.benchmark.data.Dataset`; `dataset` and `paradigm` are MOABB's own objects."""

    def __init__(self, settings: MoabbSettings, dataset: Any, paradigm: Any) -> None:
        kind = str(dataset.paradigm)
        if kind not in get_args(ParadigmName):
            raise ConfigError(
                f"{settings.dataset} is of MOABB's paradigm '{kind}'; supported are "
                f"{', '.join(get_args(ParadigmName))}"
            )
        if not paradigm.is_valid(dataset):
            raise ConfigError(
                f"MOABB's paradigm {settings.paradigm} cannot be used with {settings.dataset}, "
                f"which is of paradigm '{kind}' with events {', '.join(dataset.event_id)}"
            )
        self.name = settings.name or str(dataset.code)
        self.paradigm = cast(ParadigmName, kind)
        #: MOABB's own FakeDataset is noise made up on the spot.
        self.simulated = type(dataset).__module__ == "moabb.datasets.fake"
        if self.simulated and "simulated" not in self.name:
            self.name += " (simulated)"
        self.classes = tuple(paradigm.used_events(dataset))
        self._settings = settings
        self._dataset, self._paradigm = dataset, paradigm

    @property
    def subjects(self) -> Sequence[str]:
        """Numbers of the subjects that MOABB lists, or those that the settings choose."""
        there = [str(number) for number in self._dataset.subject_list]
        return chosen(self.name, there, self._settings.subjects)

    def epochs(self, subject: str) -> list[Epochs]:
        """Epochs of all sessions of a subject; the first call may download them.

        Raises
        ------
        SourceError
            There is no such subject, or MOABB cannot get or read the data.
        """
        (subject,) = chosen(self.name, self.subjects, [subject])
        number = next(n for n in self._dataset.subject_list if str(n) == subject)
        try:
            X, y, meta = self._paradigm.get_data(self._dataset, [number])
            sfreq, names = self._stream(number)
        except BciError:
            raise
        except Exception as error:  # a download or a reader may fail in any way
            raise SourceError(
                f"{self.name}, subject {subject}: MOABB cannot get the data: {first_line(error)}"
            ) from error
        sessions = np.asarray(meta["session"].astype(str))
        return [
            self._epochs(subject, session, X[sessions == session], y, sessions, sfreq, names)
            for session in dict.fromkeys(sessions.tolist())
        ]

    def continuous(self, subject: str) -> list[ContinuousSession]:
        """None: how trials lie in time is known to each of MOABB's data sets alone."""
        return []

    def settings(self) -> dict[str, Any]:
        """All that epochs depend on, with MOABB's version."""
        return {**self._settings.model_dump(mode="json"), "moabb": version("moabb")}

    def _epochs(
        self, subject: str, session: str, X: Any, y: Any, sessions: Any, sfreq: float,
        names: tuple[str, ...],
    ) -> Epochs:  # fmt: skip
        if X.ndim == 4:  # a filter bank: (epoch, channel, time, band)
            names = tuple(f"{name} band {b + 1}" for b in range(X.shape[3]) for name in names)
            X = np.moveaxis(X, 3, 1).reshape(len(X), -1, X.shape[2])
        return Epochs(
            self.name, subject, session, np.ascontiguousarray(X, dtype=np.float64),
            np.asarray(y)[sessions == session].astype(np.str_), sfreq, names, np.arange(len(X)),
        )  # fmt: skip

    def _stream(self, number: int) -> tuple[float, tuple[str, ...]]:
        """Sampling rate and labels of the epochs, which MOABB's arrays do not tell."""
        runs = next(iter(self._dataset.get_data([number])[number].values()))
        info = next(iter(runs.values())).info
        names = self._paradigm.channels
        if names is None:
            names = [
                name
                for name, kind in zip(info["ch_names"], info.get_channel_types(), strict=True)
                if kind == "eeg"
            ]
        return float(self._paradigm.resample or info["sfreq"]), tuple(names)


def _make(places: Sequence[Any], what: str, name: str, params: Mapping[str, Any]) -> Any:
    cls = next((getattr(place, name) for place in places if hasattr(place, name)), None)
    if not isinstance(cls, type):
        raise ConfigError(f"MOABB has no {what} '{name}' (in {places[0].__name__})")
    try:
        return cls(**params)
    except Exception as error:
        raise ConfigError(
            f"MOABB's {what} {name} refuses its arguments: {first_line(error)}"
        ) from error
