"""The deep network's evaluation on a data set, from one YAML: `bci deep-protocol`.

::

    dataset: {kind: moabb, dataset: Wang2016, paradigm: SSVEP, ...}
    paper: Benchmark                                    # whose table is shown beside the result
    window_s: [0.4]

Epochs must begin a visual latency after the flicker and be unfiltered: the protocol cuts
windows from them and filters these, see `bci.benchmark.deep_protocol`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bci.benchmark import config as configs
from bci.benchmark.config import DatasetPart
from bci.benchmark.data import Dataset
from bci.benchmark.deep_protocol import Stages, leave_one_block_out, table
from bci.benchmark.stopping import Stop, stoppable
from bci.benchmark.trials import blocks
from bci.config import Settings
from bci.decoders.deep.training import Oversight, Recipe
from bci.errors import ConfigError, SourceError
from bci.types import FloatArray

#: What the paper's tables are for.
N_CHANNELS, N_CLASSES = 9, 40


class DeepStudy(Settings):
    """Data set and training; the defaults are the paper's for its Benchmark set."""

    dataset: DatasetPart
    paper: Literal["Benchmark", "BETA"] | None = Field(
        None, description="whose results are shown beside; for nine channels and 40 targets only"
    )
    window_s: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.4,), min_length=1, description="lengths of window, each with networks of its own, s"
    )
    bands: int = Field(3, ge=1, le=10, description="sub-bands, from 8, 16, 24 ... to 90 Hz")
    stages: Stages = Field("both", description="one of the two alone for comparison")
    n_epochs: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(
        (1000, 1000), description="passes through the training trials, of each stage"
    )
    dropout: float = Field(
        0.6, ge=0, lt=1, description="of the first two layers in the second stage"
    )
    learning_rate: float = Field(1e-4, gt=0, description="of Adam")
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="where to train; null: on a GPU where there is one"
    )
    seed: int = Field(0, ge=0, description="of all that is random in the training")

    @property
    def recipe(self) -> Recipe:
        """How the networks are trained."""
        first, (_, _, last) = Recipe().dropout
        return Recipe(
            n_epochs=self.n_epochs,
            dropout=(first, (self.dropout, self.dropout, last)),
            learning_rate=self.learning_rate,
            seed=self.seed,
            device=self.device,
        )


@dataclass(frozen=True)
class Everybody:
    """Epochs of all people of a data set.

    Attributes
    ----------
    X : array, shape (n_trials, n_channels, n_times)
    y, subjects : arrays of str, shape (n_trials,)
    blocks : array of int, shape (n_trials,)
        The n-th repetition of every class, counted on through a person's sessions.
    sfreq : float
        Hz.
    """

    X: FloatArray
    y: NDArray[np.str_]
    subjects: NDArray[np.str_]
    blocks: NDArray[np.int64]
    sfreq: float


def gather(dataset: Dataset, longest_s: float) -> Everybody:
    """Read the epochs of all people, as much of each as the longest window needs.

    Raises
    ------
    SourceError
        Recordings differ in channels or sampling rate, or an epoch was cut into windows.
    """
    parts: list[tuple[Any, ...]] = []
    for subject in dataset.subjects:
        before = 0
        for epochs in dataset.epochs(subject):
            if len(np.unique(epochs.trials)) < len(epochs.y):
                raise SourceError(
                    f"{dataset.name}: a trial has several windows here, the protocol wants one; "
                    "leave 'window_s' and 'step_s' out"
                )
            found = blocks(epochs.y, epochs.trials) + before
            before = int(found.max()) + 1
            n_times = min(round(longest_s * epochs.sfreq), epochs.X.shape[2])
            X = epochs.X[..., :n_times].copy()  # the rest may be forgotten
            parts.append((X, epochs.y, np.full(len(found), subject), found))
            alike = (epochs.sfreq, len(epochs.ch_names))
            if len(parts) == 1:
                first = alike
            elif alike != first:
                raise SourceError(
                    f"{dataset.name}: recordings differ: {first[1]} channels at {first[0]:g} Hz, "
                    f"and {alike[1]} at {alike[0]:g} Hz (subject {subject})"
                )
    X, y, subjects, numbers = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Everybody(X, y, subjects, numbers, first[0])


def run(path: Path, out: Path, say: Callable[[str], None]) -> None:
    """Evaluate as `path` says; the table goes to `say`, scores and training to `out`.

    Raises
    ------
    ConfigError
        The YAML is wrong, or the paper's table is for other data.
    SourceError, MissingDependency, ModelError
        The data cannot be read, torch is missing, or a kept training is damaged.
    """
    study = configs.parse(configs.read(path), str(path), DeepStudy)
    try:
        with stoppable():
            say("\n".join(evaluate(study, out)))
    except Stop as stop:
        say(f"stopped; started again, it goes on from {out}")
        raise SystemExit(stop.exit_code) from None


def evaluate(study: DeepStudy, out: Path) -> list[str]:
    """Evaluate, write ``scores.csv`` to `out`, and return the result as lines of text."""
    import pandas as pd

    dataset = study.dataset.build()
    found = gather(dataset, max(study.window_s))
    n_channels, n_classes = found.X.shape[1], len(np.unique(found.y))
    if study.paper is not None and (n_channels, n_classes) != (N_CHANNELS, N_CLASSES):
        raise ConfigError(
            f"the table of the paper is for {N_CHANNELS} channels and {N_CLASSES} targets, "
            f"'{dataset.name}' has {n_channels} and {n_classes}; choose 'channels', or leave "
            "'paper' out"
        )
    try:
        scores = leave_one_block_out(
            found.X, found.y, found.subjects, found.blocks, found.sfreq,
            window_s=study.window_s, n_bands=study.bands, stages=study.stages,
            recipe=study.recipe, oversight=Oversight(checkpoint=out / "training"),
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(f"'{dataset.name}' cannot be evaluated: {error}") from error
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([asdict(score) for score in scores]).to_csv(out / "scores.csv", index=False)
    n_people, n_blocks = (len(np.unique(of)) for of in (found.subjects, found.blocks))
    return [
        f"{dataset.name}: {n_people} people, {n_blocks} blocks, {n_classes} targets, "
        f"{n_channels} channels" + ", SIMULATED" * dataset.simulated,
        "leave one block out: of each person the other blocks are in both stages",
        table(scores, n_classes, study.paper),
        f"chance {100 / n_classes:.1f} %; by person and block: {out / 'scores.csv'}",
    ]
