"""What trainings of one network have in common: they stop early, and can go on after a stop.

After each epoch the network is judged on what it doesn't learn from; the weights of the
best epoch are what is kept.

One epoch is a function of weights, optimiser, seed and the epoch's number: all that is
random in it is drawn from the last two, dropout included. So a training that was saved
and goes on elsewhere ends with the very same weights (on a CPU; a GPU adds in an order
of its own).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.devices import find_device, seeded

State = dict[str, NDArray[np.generic]]


class Schedule(Protocol):
    """What every recipe tells."""

    @property
    def n_epochs(self) -> int:
        """At most."""
        ...

    @property
    def learning_rate(self) -> float:
        """Of Adam."""
        ...

    @property
    def weight_decay(self) -> float:
        """Decoupled (AdamW), on weights; not on biases and scales of normalisation."""
        ...

    @property
    def patience(self) -> int | None:
        """Epochs without a better validation loss after which training ends; None: none."""
        ...


class NetworkTraining(ABC):
    """A network's training, which can stop after any epoch and go on.

    Parameters
    ----------
    network : Module
    recipe : Schedule
    seed : sequence of int
        Of all that is drawn here; the initial weights are the caller's, see
        `models.devices.seeded`.
    device : str or None
        None: "cuda" where there is one, else "cpu".

    Attributes
    ----------
    epoch : int
        Epochs done.
    losses, validation_losses : list of float
        Mean of each of them.
    """

    def __init__(
        self, network: nn.Module, recipe: Schedule, *, seed: Sequence[int], device: str | None
    ) -> None:
        self.device = find_device(device)
        self.network = network.to(self.device)
        self.seed = tuple(seed)
        self.epoch = 0
        self.losses: list[float] = []
        self.validation_losses: list[float] = []
        self._schedule = recipe
        self._learned = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self._optimiser = self._make_optimiser()
        self._best = self._copy()

    @property
    @abstractmethod
    def judged(self) -> bool:
        """Whether there is something to judge an epoch by."""

    @abstractmethod
    def _learn(self, rng: np.random.Generator) -> float:
        """One epoch, in which torch's own generators are seeded; returns the mean loss."""

    @abstractmethod
    def _validation_loss(self) -> float:
        """Loss on what is held out; asked only where there is something."""

    def _make_optimiser(self) -> torch.optim.Optimizer:
        matrices = [p for p in self._learned.values() if p.ndim > 1]
        vectors = [p for p in self._learned.values() if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self._schedule.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        rate = self._schedule.learning_rate
        return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate)

    # --- epochs ----------------------------------------------------------------------------------

    @property
    def best_epoch(self) -> int:
        """Epochs done when the weights were those that are kept; 0: before the first."""
        if not self.judged or not self.validation_losses:
            return self.epoch
        return int(np.argmin(self.validation_losses)) + 1

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        patience = self._schedule.patience
        tired = patience is not None and self.epoch - self.best_epoch >= patience
        return self.epoch >= self._schedule.n_epochs or tired

    def run(
        self,
        progress: Callable[[int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        save: Callable[[State], None] | None = None,
        save_every_s: float = 60.0,
    ) -> bool:
        """Train until it is finished; False if it was asked to stop before.

        Once it is finished the network holds the weights of the best epoch, in its
        mode for deciding.

        Parameters
        ----------
        progress : callable
            Takes epochs done and the mean loss of the last, after each epoch.
        should_stop : callable
            Asked before each epoch.
        save : callable
            Takes `state()`, now and then and at the end.
        save_every_s : float
            Seconds between two of these.
        """
        saved = time.monotonic()
        while not self.finished:
            if should_stop is not None and should_stop():
                break
            self._one_epoch()
            if progress is not None:
                progress(self.epoch, self.losses[-1])
            if save is not None and time.monotonic() - saved >= save_every_s:
                save(self.state())
                saved = time.monotonic()
        if save is not None:
            save(self.state())
        if not self.finished:
            return False
        if self.judged:
            self.network.load_state_dict(self._best)
        self.network.eval()
        return True

    def _one_epoch(self) -> None:
        rng = np.random.default_rng([*self.seed, self.epoch])
        self.network.train()
        with seeded([*self.seed, self.epoch, 1], self.device):
            loss = self._learn(rng)
        self.epoch += 1
        self.losses.append(loss)
        if self.judged:
            found = self._validation_loss()
            self.validation_losses.append(found if np.isfinite(found) else float("inf"))
            if self.best_epoch == self.epoch:
                self._best = self._copy()

    # --- what is kept ----------------------------------------------------------------------------

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def state(self) -> State:
        """All that a training needs to go on, as arrays."""
        state: State = {
            "losses": np.array(self.losses, np.float64),
            "validation_losses": np.array(self.validation_losses, np.float64),
        }
        parts = {"network": self.network.state_dict(), "best": self._best}
        for part, tensors in parts.items():
            state |= {f"{part}.{name}": _array(value) for name, value in tensors.items()}
        for name, parameter in self._learned.items():
            for moment, value in self._optimiser.state[parameter].items():
                state[f"{moment}.{name}"] = _array(torch.as_tensor(value))
        return state

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from what `state` gave.

        Raises
        ------
        KeyError
            It is the state of another network.
        """
        for part in ("network", "best"):
            like = self.network.state_dict()
            taken = {name: _like(state[f"{part}.{name}"], value) for name, value in like.items()}
            if part == "network":
                self.network.load_state_dict(taken)
            else:
                self._best = taken
        for name, parameter in self._learned.items():
            moments = {
                key: _like(state[f"{key}.{name}"], parameter)
                for key in ("exp_avg", "exp_avg_sq")
                if f"{key}.{name}" in state
            }
            if moments:
                step = torch.tensor(float(np.ravel(state[f"step.{name}"])[0]))
                self._optimiser.state[parameter] = {"step": step, **moments}
        self.losses = np.asarray(state["losses"], np.float64).tolist()
        self.validation_losses = np.asarray(state["validation_losses"], np.float64).tolist()
        self.epoch = len(self.losses)


def weights_of(network: nn.Module) -> dict[str, NDArray[np.generic]]:
    """Parameters and running statistics of a network, as arrays."""
    return {name: _array(value) for name, value in network.state_dict().items()}


def load_weights(network: nn.Module, weights: Mapping[str, NDArray[np.generic]]) -> None:
    """Take what `weights_of` gave.

    Raises
    ------
    KeyError, ValueError
        They are those of another network.
    """
    like = network.state_dict()
    network.load_state_dict({name: _like(weights[name], value) for name, value in like.items()})


def _array(value: Tensor) -> NDArray[np.generic]:
    return value.detach().cpu().numpy().copy()


def _like(array: NDArray[np.generic], tensor: Tensor) -> Tensor:
    """An array as a tensor of a shape, type and device; files make vectors of single numbers."""
    copied = torch.from_numpy(np.array(array).reshape(tuple(tensor.shape)))
    return copied.to(tensor.device, tensor.dtype)
