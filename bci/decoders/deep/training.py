"""The two stages in which the SSVEP network is trained, for many people and folds at once.

Guney, Oblokulov & Ozkan 2022 (see `models.ssvep_dnn`): a first network learns
from everybody's trials together; from all of its weights a second one goes on
with the trials of one person.

Torch and `models` are imported when a network is trained, not before. Deciding
needs no torch (`folded_network`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bci.decoders.deep.checkpoint import Checkpoint, array_hash
from bci.errors import TrainingStopped
from bci.extras import require_torch

if TYPE_CHECKING:
    from models.training import Schedule

log = logging.getLogger(__name__)

Rows = NDArray[np.intp]
#: Parameters of K networks by name, each with a leading axis of K.
Stacked = dict[str, NDArray[np.float32]]
Dropout = tuple[float, float, float]

#: Probabilities of both stages in the paper, for its Benchmark set; BETA: 0.7 where 0.6 stands.
DROPOUT: tuple[Dropout, Dropout] = ((0.1, 0.1, 0.95), (0.6, 0.6, 0.95))

#: Seconds between two lines of the log.
EVERY_S = 15.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """Numbers of a training; the defaults are the authors' for their Benchmark set.

    Attributes
    ----------
    n_epochs : (int, int)
        Of the first and the second stage.
    dropout : two of three floats
        Probabilities in each stage.
    batch_size : int
        Trials in a step of the first stage; the second takes all of them.
    learning_rate, weight_decay : float
        Of both stages.
    n_filters : int
        Combinations of channels in the network.
    seed : int
    device : str or None
        "cpu" or "cuda"; None: a GPU where there is one.
    n_parallel : int or None
        Networks in one pass; see `models.training.Training`.
    """

    n_epochs: tuple[int, int] = (1000, 1000)
    dropout: tuple[Dropout, Dropout] = DROPOUT
    batch_size: int = 100
    learning_rate: float = 1e-4
    weight_decay: float = 1e-3
    n_filters: int = 120
    seed: int = 0
    device: str | None = None
    n_parallel: int | None = None


@dataclass(frozen=True, slots=True)
class Oversight:
    """Who watches a training, and where it is kept.

    Attributes
    ----------
    progress : callable or None
        Takes what is being trained, epochs done, their number, and the mean loss,
        after each epoch. None: a line in the log now and then.
    should_stop : callable or None
        Asked before each epoch.
    checkpoint : path or None
        Folder where trainings are kept; the same training goes on from there when it
        is called again, and others may lie beside it.
    """

    progress: Callable[[str, int, int, float], None] | None = None
    should_stop: Callable[[], bool] | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True, slots=True)
class Trials:
    """What networks learn from.

    Attributes
    ----------
    bands : array, shape (n_trials, n_bands, n_channels, n_times), float32
    targets : array, shape (n_trials, n_classes), float32
        Weight of each class in the loss.
    """

    bands: NDArray[np.float32] = field(repr=False)
    targets: NDArray[np.float32] = field(repr=False)


def two_stages(
    trials: Trials,
    first: Sequence[Rows],
    second: Sequence[tuple[Rows, int]],
    recipe: Recipe,
    oversight: Oversight | None = None,
) -> Stacked:
    """Train networks: all of a stage at once.

    Parameters
    ----------
    trials : Trials
    first : sequence of int arrays
        Trials of each network of the first stage; empty: there is no first stage.
    second : sequence of (int array, int)
        Trials of each network of the second stage, and the number of the network in
        the first that it starts from; empty: there is no second stage.
    recipe : Recipe
    oversight : Oversight or None

    Returns
    -------
    dict of arrays
        Weights of the last stage's networks.

    Raises
    ------
    TrainingStopped
        It was asked to stop.
    MissingDependency
        torch is not installed.
    ModelError
        A checkpoint is damaged, belongs to something else or cannot be written.
    """
    watch = oversight or Oversight()
    schedule = _schedules(recipe)
    weights: Stacked | None = None
    if first:
        weights = train("first stage", trials, first, schedule[0], recipe, None, watch)
    if second:
        start = None if weights is None else pick(weights, [origin for _, origin in second])
        rows = [own for own, _ in second]
        weights = train("second stage", trials, rows, schedule[1], recipe, start, watch)
    if weights is None:
        raise ValueError("neither stage has a network to train")
    return weights


def _schedules(recipe: Recipe) -> tuple[Schedule, Schedule]:
    require_torch()
    from models.training import Schedule

    common = {"learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    (epochs1, epochs2), (dropout1, dropout2) = recipe.n_epochs, recipe.dropout
    return (
        Schedule(epochs1, dropout1, recipe.batch_size, **common),
        Schedule(epochs2, dropout2, None, **common),
    )


def gradient_descent(recipe: Recipe, n_epochs: int, momentum: float) -> Schedule:
    """Full-batch gradient descent with momentum; the rest as in the second stage."""
    require_torch()
    from models.training import Schedule

    return Schedule(
        n_epochs, recipe.dropout[1], None, recipe.learning_rate, recipe.weight_decay, momentum
    )


def train(
    stage: str,
    trials: Trials,
    rows: Sequence[Rows],
    schedule: Schedule,
    recipe: Recipe,
    start: Stacked | None = None,
    oversight: Oversight | None = None,
) -> Stacked:
    """Train one stage's networks; see `two_stages`.

    Parameters
    ----------
    stage : str
        Names it in progress and in the checkpoint, and draws its randomness.
    trials : Trials
    rows : sequence of int arrays
        Trials of each network.
    schedule : models.training.Schedule
    recipe : Recipe
    start : dict of arrays or None
        Weights to start from; None: initial ones.
    oversight : Oversight or None
    """
    require_torch()
    import torch

    from models.ssvep_dnn import SSVEPNet, SSVEPNetConfig
    from models.training import Training

    watch = oversight or Oversight()
    _, n_bands, n_channels, n_times = trials.bands.shape
    n_classes = trials.targets.shape[1]
    config = SSVEPNetConfig(n_channels, n_times, n_classes, n_bands, recipe.n_filters)
    network = SSVEPNet(config, len(rows), (recipe.seed,))
    if start is not None:
        network.load_state_dict({name: torch.from_numpy(w) for name, w in start.items()})
    training = Training(
        network, trials.bands, trials.targets, rows, schedule,
        seed=(recipe.seed, *stage.encode()), n_parallel=recipe.n_parallel, device=recipe.device,
    )  # fmt: skip
    checkpoint = None
    if watch.checkpoint is not None:
        known = {
            "stage": stage, "schedule": asdict(schedule), "seed": recipe.seed,
            "device": training.device.type, "n_parallel": training.n_parallel,
            "start": array_hash(*training.weights().values()),
            "data": array_hash(trials.bands, trials.targets, *rows),
        }  # fmt: skip
        checkpoint = Checkpoint.of(watch.checkpoint, stage, known)
        if (state := checkpoint.read()) is not None:
            training.restore(state)
            log.info("%s goes on after epoch %d of %d", stage, training.epoch, schedule.n_epochs)
    report = watch.progress or ProgressLog(training.epoch)
    finished = training.epoch >= schedule.n_epochs or training.run(
        progress=lambda done, loss: report(stage, done, schedule.n_epochs, loss),
        should_stop=watch.should_stop,
        save=None if checkpoint is None else checkpoint.write,
    )
    if not finished:
        kept = "" if checkpoint is None else f"; called again, it goes on from {checkpoint.path}"
        raise TrainingStopped(
            f"training was stopped in its {stage} after epoch {training.epoch} of "
            f"{schedule.n_epochs}{kept}"
        )
    return training.weights()


class ProgressLog:
    """A line now and then, with the time that is left."""

    def __init__(self, done: int) -> None:
        self._first = done
        self._started = self._told = time.monotonic()

    def __call__(self, stage: str, done: int, total: int, loss: float) -> None:
        """Take what is being trained, epochs done, their number, and the mean loss."""
        now = time.monotonic()
        if now - self._told >= EVERY_S:
            self._told = now
            left = (now - self._started) / (done - self._first) * (total - done)
            log.info("%s: epoch %d of %d, loss %.3g, %.0f s left", stage, done, total, loss, left)


def pick(weights: Stacked, networks: Sequence[int]) -> Stacked:
    """Return the weights of some of the networks, in that order."""
    return {name: value[list(networks)] for name, value in weights.items()}


def unstack(weights: Stacked) -> list[dict[str, NDArray[np.float32]]]:
    """Return the weights of each network by itself."""
    n_models = len(weights["class_bias"])
    return [{name: value[k] for name, value in weights.items()} for k in range(n_models)]


def without(rows: Rows, folds: Sequence[Rows]) -> list[Rows]:
    """All of `rows`, and then for each fold those that are not in it."""
    return [rows, *(np.setdiff1d(rows, fold) for fold in folds)]


def occurrences(codes: Rows) -> Rows:
    """For each trial how many of its class came before it: the number of its block."""
    count = np.empty(len(codes), np.intp)
    for code in np.unique(codes):
        at = np.flatnonzero(codes == code)
        count[at] = np.arange(len(at))
    return count


def one_hot(codes: Rows, n_classes: int) -> NDArray[np.float32]:
    """Targets of cross-entropy, shape (n_trials, n_classes)."""
    return np.eye(n_classes, dtype=np.float32)[codes]
