"""A small data set and misbehaving estimators, by import path as users have them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression

from bci.benchmark.data import Epochs
from bci.benchmark.datasets import DatasetSettings
from bci.errors import SourceError

SFREQ = 64.0


class ToySettings(DatasetSettings):
    """Noise with a class-dependent variance; `odd` says what is wrong with which subject."""

    kind: Literal["toy"] = "toy"
    n_subjects: int = 2
    n_sessions: int = 2
    n_trials: int = 20
    n_classes: int = 2
    windows_per_trial: int = 1
    odd: dict[str, str] = {}
    path: Path | None = None  # a file whose lines are counted as readings

    def build(self) -> Toy:
        return Toy(self)


class Toy:
    paradigm = "imagery"
    simulated = True

    def __init__(self, settings: ToySettings) -> None:
        self._settings = settings
        self.name = settings.name or "toy (simulated)"
        self.classes = tuple("abcdef"[: settings.n_classes])

    @property
    def subjects(self) -> list[str]:
        return [f"s{i}" for i in range(1, self._settings.n_subjects + 1)]

    def epochs(self, subject: str) -> list[Epochs]:
        if self._settings.path is not None:
            with self._settings.path.open("a") as file:
                file.write(f"{subject}\n")
        odd = self._settings.odd.get(subject, "")
        if odd == "unreadable":
            raise SourceError(f"{subject}.edf is truncated")
        source = subject if not odd.startswith("twin of ") else odd.removeprefix("twin of ")
        return [self._session(source, subject, n, odd) for n in range(self._settings.n_sessions)]

    def _session(self, source: str, subject: str, number: int, odd: str) -> Epochs:
        s = self._settings
        rng = np.random.default_rng([int(source[1:]), number])
        trials = np.repeat(np.arange(s.n_trials), s.windows_per_trial)
        codes = np.arange(s.n_trials) % s.n_classes
        if odd == "single":
            codes[:] = 0
            codes[-1] = 1
        codes = rng.permutation(codes)[trials]
        X = rng.standard_normal((len(trials), 3, 48))
        X[np.arange(len(trials)), codes % 3] *= 1.6
        if odd == "nan":
            X[2, 0, 5] = np.nan
        if odd == "loud":
            X += 1000.0
        y = np.array(self.classes)[codes]
        return Epochs(self.name, subject, str(number + 1), X, y, SFREQ, ("C3", "Cz", "C4"), trials)

    def continuous(self, subject: str) -> list[Any]:
        return []

    def settings(self) -> dict[str, Any]:
        return self._settings.model_dump(mode="json")


class LogVar(TransformerMixin, BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> LogVar:
        return self

    def transform(self, X: Any) -> Any:
        return np.log(X.var(axis=-1))


class Slow(LogVar):
    """Takes its time, so that a run can be killed in the middle."""

    def fit(self, X: Any, y: Any = None) -> Slow:
        time.sleep(0.05)
        return self


class Picky(LogVar):
    """Refuses loud subjects."""

    def fit(self, X: Any, y: Any = None) -> Picky:
        if abs(X.mean()) > 100:
            raise RuntimeError("too loud for me")
        return self


class BatchCentred(LogVar):
    """Centres whatever it is given, so the test windows too."""

    def transform(self, X: Any) -> Any:
        features = super().transform(X)
        return features - features.mean(axis=0)


class Counting(LogisticRegression):
    """Nothing but another name."""


class NoRanking(ClassifierMixin, BaseEstimator):
    """Says labels and nothing else."""

    def fit(self, X: Any, y: Any) -> NoRanking:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])
