"""MOABB's own evaluations on our data sets: the arrays are handed over as they are."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import moabb
    from moabb.datasets.base import BaseDataset
    from moabb.paradigms import LeftRightImagery, MotorImagery


class Wrapped(BaseDataset):
    """A `bci.benchmark.data.Dataset` as MOABB sees one."""

    def __init__(self, dataset: Any) -> None:
        self.ours = dataset
        names = list(dataset.subjects)
        n_sessions = len(dataset.epochs(names[0]))
        super().__init__(
            subjects=list(range(1, len(names) + 1)),
            sessions_per_subject=n_sessions,
            events={label: i + 1 for i, label in enumerate(dataset.classes)},
            code="Wrapped",
            interval=[0, 4],
            paradigm="imagery",
        )

    def _get_single_subject_data(self, subject: int) -> Any:
        raise NotImplementedError

    def data_path(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def _get_data(self: Any, dataset: Any, subjects: Any = None, **kwargs: Any) -> Any:
    names = list(dataset.ours.subjects)
    found = [
        (number, epochs)
        for number in subjects or dataset.subject_list
        for epochs in dataset.ours.epochs(names[number - 1])
    ]
    metadata = pd.DataFrame(
        [
            {"subject": number, "session": epochs.session, "run": "0"}
            for number, epochs in found
            for _ in epochs.y
        ]
    )
    X = np.concatenate([epochs.X for _, epochs in found])
    return X, np.concatenate([epochs.y for _, epochs in found]), metadata


class TwoClasses(LeftRightImagery):
    """Left and right hand, the data set's arrays untouched."""

    get_data = _get_data

    def used_events(self, dataset: Any) -> Any:
        return dict(dataset.event_id)

    def is_valid(self, dataset: Any) -> bool:
        return True


class ManyClasses(MotorImagery):
    """Any classes, the data set's arrays untouched."""

    get_data = _get_data

    def used_events(self, dataset: Any) -> Any:
        return dict(dataset.event_id)

    def is_valid(self, dataset: Any) -> bool:
        return True


def evaluate(
    evaluation: type,
    dataset: Any,
    pipelines: dict[str, Any],
    grids: dict[str, Any],
    seed: int,
    folder: Path,
) -> pd.DataFrame:
    """MOABB's table for one of its evaluations."""
    wrapped = Wrapped(dataset)
    paradigm = (
        TwoClasses() if len(dataset.classes) == 2 else ManyClasses(n_classes=len(dataset.classes))
    )
    moabb.set_log_level("error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = evaluation(
            paradigm=paradigm, datasets=[wrapped], random_state=seed, overwrite=True,
            hdf5_path=str(folder), n_jobs=1,
        ).process(pipelines, param_grid=grids or None)  # fmt: skip
    names = list(dataset.subjects)
    found["subject"] = [names[int(s) - 1] for s in found["subject"]]
    return found
