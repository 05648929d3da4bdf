"""Training of one network that classifies windows: it stops early, and can go on after a stop.

The network maps (B, n_channels, n_times) to scores before the softmax, (B, n_classes),
and learns by the cross-entropy with Adam. After each epoch it is judged on trials that
it doesn't learn from; the weights of the best epoch are what is kept.

One epoch is a function of weights, optimiser, seed and the epoch's number: all that is
random in it is drawn from the last two, dropout included. So a training that was saved
and goes on elsewhere ends with the very same weights (on a CPU; a GPU adds in an order
of its own).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.devices import find_device, seeded

Array = NDArray[np.float32]
State = dict[str, NDArray[np.generic]]

#: Windows in one pass where nothing is learned.
N_JUDGED = 256


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    n_epochs : int
        At most.
    batch_size : int
        Windows in a step, drawn anew each epoch; the batches of an epoch are alike in
        size, so that none is left with a window or two.
    learning_rate : float
        Of Adam; constant.
    weight_decay : float
        Decoupled (AdamW), on weights; not on biases and scales of normalisation.
    patience : int or None
        Epochs without a better validation loss after which training ends; None: it
        goes to the last epoch.
    class_weights : tuple of float or None
        Weight of each class in the loss; None: all alike.
    """

    n_epochs: int = 500
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    patience: int | None = 75
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.n_epochs < 1 or self.batch_size < 1 or (self.patience or 1) < 1:
            raise ValueError(
                "n_epochs, batch_size and patience must be 1 or more, found "
                f"{self.n_epochs}, {self.batch_size} and {self.patience}"
            )
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError(
                "learning_rate must be above 0 and weight_decay 0 or more, found "
                f"{self.learning_rate:g} and {self.weight_decay:g}"
            )


class ClassifierTraining:
    """A network's training, which can stop after any epoch and go on.

    Parameters
    ----------
    network : Module
        From (B, n_channels, n_times) to scores, (B, n_classes). Where it has a method
        ``constrain()``, that is called after each step: it brings weights that have
        become too large back to their maximum norm.
    X : array, shape (n_windows, n_channels, n_times), float32
    y : array of int, shape (n_windows,)
        Number of each window's class.
    X_val, y_val : arrays or None
        Windows to judge an epoch by, from trials that are not in `X`. None: nothing
        is judged, and the last epoch is kept.
    recipe : Recipe
    seed : sequence of int
        Of all that is drawn here; the initial weights are the caller's, see
        `models.devices.seeded`.
    augment : callable or None
        Takes a batch and a `torch.Generator`, and gives the batch to learn from; see
        `models.augmentation.Augmentation`.
    device : str or None
        None: "cuda" where there is one, else "cpu".

    Attributes
    ----------
    epoch : int
        Epochs done.
    losses, validation_losses : list of float
        Mean of each of them.

    Raises
    ------
    ValueError
        There is nothing to learn from, windows and labels do not go together, or a
        device is asked for that is not there.
    """

    def __init__(
        self,
        network: nn.Module,
        X: Array,
        y: NDArray[np.intp],
        X_val: Array | None,
        y_val: NDArray[np.intp] | None,
        recipe: Recipe,
        *,
        seed: Sequence[int] = (0,),
        augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
        device: str | None = None,
    ) -> None:
        self.device = find_device(device)
        self.network = network.to(self.device)
        self.recipe, self.seed, self.augment = recipe, tuple(seed), augment
        self.epoch = 0
        self.losses: list[float] = []
        self.validation_losses: list[float] = []
        self._X, self._y = self._windows("X", X, y)
        self._judged = None
        if X_val is not None and y_val is not None:
            self._judged = self._windows("X_val", X_val, y_val)
        self._weights = None
        if recipe.class_weights is not None:
            self._weights = torch.tensor(
                recipe.class_weights, dtype=torch.float32, device=self.device
            )
        self._generator = torch.Generator(self.device)
        self._learned = {n: p for n, p in network.named_parameters() if p.requires_grad}
        self._optimiser = self._make_optimiser()
        self._best = self._copy()

    def _windows(self, name: str, X: Array, y: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        if len(X) == 0 or len(X) != len(y):
            raise ValueError(
                f"{name} must hold one window or more and one label for each; found {len(X)} "
                f"windows and {len(y)} labels"
            )
        windows = torch.as_tensor(np.ascontiguousarray(X, np.float32))
        labels = torch.as_tensor(np.ascontiguousarray(y, np.int64))
        return windows.to(self.device), labels.to(self.device)

    def _make_optimiser(self) -> torch.optim.Optimizer:
        matrices = [p for p in self._learned.values() if p.ndim > 1]
        vectors = [p for p in self._learned.values() if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.recipe.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([g for g in groups if g["params"]], lr=self.recipe.learning_rate)

    # --- epochs ----------------------------------------------------------------------------------

    @property
    def best_epoch(self) -> int:
        """Epochs done when the weights were those that are kept; 0: before the first."""
        if self._judged is None or not self.validation_losses:
            return self.epoch
        return int(np.argmin(self.validation_losses)) + 1

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        patience = self.recipe.patience
        tired = patience is not None and self.epoch - self.best_epoch >= patience
        return self.epoch >= self.recipe.n_epochs or tired

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
        if self._judged is not None:
            self.network.load_state_dict(self._best)
        self.network.eval()
        return True

    def _one_epoch(self) -> None:
        rng = np.random.default_rng([*self.seed, self.epoch])
        self._generator.manual_seed(int(rng.integers(2**63)))
        order = rng.permutation(len(self._X))
        n_batches = -(-len(order) // self.recipe.batch_size)
        total = torch.zeros((), device=self.device)
        self.network.train()
        with seeded([*self.seed, self.epoch, 1], self.device):
            for rows in np.array_split(order, n_batches):
                total += self._step(torch.from_numpy(rows).to(self.device))
        self.epoch += 1
        self.losses.append(float(total) / len(order))
        if self._judged is not None:
            self.validation_losses.append(self._validation_loss(*self._judged))
            if self.best_epoch == self.epoch:
                self._best = self._copy()

    def _step(self, rows: Tensor) -> Tensor:
        """One step of the optimiser; returns the batch's summed loss."""
        x, y = self._X[rows], self._y[rows]
        if self.augment is not None:
            x = self.augment(x, self._generator)
        loss = F.cross_entropy(self.network(x), y, weight=self._weights)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        constrain: Callable[[], None] | None = getattr(self.network, "constrain", None)
        if constrain is not None:
            with torch.no_grad():
                constrain()
        return loss.detach() * len(rows)

    def _validation_loss(self, X: Tensor, y: Tensor) -> float:
        found = torch.as_tensor(scores(self.network, X), device=self.device)
        loss = float(F.cross_entropy(found, y, weight=self._weights))
        return loss if np.isfinite(loss) else float("inf")

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


def scores(network: nn.Module, X: Array | Tensor) -> Array:
    """Scores before the softmax of windows, shape (n_windows, n_classes), as when deciding."""
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(part.to(device)) for part in torch.split(torch.as_tensor(X), N_JUDGED)]
        found: Array = torch.cat(parts).cpu().numpy()
    return found


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
