"""Training of RLEEGNet's network, by rewards or by labels, and deciding with it.

One of the modules of this package that name `models`; torch is imported when a network
is trained or decides, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bci.errors import TrainingStopped
from bci.extras import require_torch
from bci.types import FloatArray

if TYPE_CHECKING:
    from models.rleegnet import RLEEGNet

Objective = Literal["dqn", "supervised"]
Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Split:
    """Trials to learn from, and others to judge by.

    Attributes
    ----------
    states, held_out : array, shape (n, n_components, n_times)
    codes, held_out_codes : array of int, shape (n,)
        Number of each one's class, which is the action that is right.
    """

    states: FloatArray = field(repr=False)
    codes: NDArray[np.intp] = field(repr=False)
    held_out: FloatArray = field(repr=False)
    held_out_codes: NDArray[np.intp] = field(repr=False)


def train_network(
    objective: Objective,
    split: Split,
    *,
    n_epochs: int,
    patience: int | None,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str | None = None,
    progress: Callable[[int, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> dict[str, NDArray[Any]]:
    """Train one network; the same initial weights, trials and judges whatever the objective.

    Parameters
    ----------
    objective : "dqn" or "supervised"
        Rewards of the actions that were tried, or cross-entropy with the labels.
    split : Split
    n_epochs, patience, batch_size, learning_rate
        As in `models.q_learning.QRecipe` and `models.classifier_training.Recipe`.
    seed : int
    device : str or None
    progress : callable or None
        Takes epochs done, and the mean reward or loss of the last.
    should_stop : callable or None
        Asked before each epoch.

    Returns
    -------
    dict of arrays
        Weights of the best epoch.

    Raises
    ------
    TrainingStopped
        It was asked to stop.
    MissingDependency
        torch is not installed.
    """
    require_torch()
    from models.classifier_training import ClassifierTraining, Recipe
    from models.devices import seeded
    from models.network_training import weights_of
    from models.q_learning import QRecipe, QTraining

    n_actions = int(split.codes.max()) + 1
    with seeded([seed]):
        network = _network(split.states.shape[1:], n_actions)
    common: dict[str, Any] = {"n_epochs": n_epochs, "patience": patience, "batch_size": batch_size,
              "learning_rate": learning_rate}  # fmt: skip
    data = (
        split.states.astype(np.float32), split.codes,
        split.held_out.astype(np.float32), split.held_out_codes,
    )  # fmt: skip
    training: Any
    if objective == "dqn":
        recipe = QRecipe(n_shown=max(1, batch_size // 2), **common)
        training = QTraining(network, *data, recipe, seed=(seed, 1), device=device)
    else:
        training = ClassifierTraining(
            network, *data, Recipe(**common), seed=(seed, 1), device=device
        )
    if not training.run(progress, should_stop):
        raise TrainingStopped(
            f"training was stopped after epoch {training.epoch} of at most {n_epochs}"
        )
    return weights_of(network)


class QNetwork:
    """A trained network that decides.

    Parameters
    ----------
    weights : mapping of str to array
    shape : (int, int)
        n_components, n_times.
    n_actions : int
    """

    def __init__(self, weights: Weights, shape: tuple[int, ...], n_actions: int) -> None:
        require_torch()
        from models.network_training import load_weights

        self._network = _network(shape, n_actions)
        load_weights(self._network, weights)

    def values(self, states: FloatArray) -> FloatArray:
        """Value of each action, shape (n, n_actions)."""
        from models.classifier_training import scores

        if not len(states):
            return np.empty((0, self._network.config.n_actions))
        # one by one: which others are decided with a window must not show in its last digits
        parts = [scores(self._network, s[np.newaxis].astype(np.float32)) for s in states]
        return np.concatenate(parts).astype(np.float64)


def _network(shape: tuple[int, ...], n_actions: int) -> RLEEGNet:
    from models.rleegnet import RLEEGNet, RLEEGNetConfig

    return RLEEGNet(RLEEGNetConfig(shape[0], shape[1], n_actions))
