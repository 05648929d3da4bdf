"""Training of one network that classifies windows: it stops early, and can go on after a stop.

The network maps (B, n_channels, n_times) to scores before the softmax, (B, n_classes),
and learns by the cross-entropy with Adam; see `models.network_training`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.network_training import NetworkTraining

Array = NDArray[np.float32]

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


class ClassifierTraining(NetworkTraining):
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
        super().__init__(network, recipe, seed=seed, device=device)
        self.recipe, self.augment = recipe, augment
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

    @property
    def judged(self) -> bool:
        """Whether there are windows to judge an epoch by."""
        return self._judged is not None

    def _windows(self, name: str, X: Array, y: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        if len(X) == 0 or len(X) != len(y):
            raise ValueError(
                f"{name} must hold one window or more and one label for each; found {len(X)} "
                f"windows and {len(y)} labels"
            )
        windows = torch.tensor(np.asarray(X, np.float32))
        labels = torch.tensor(np.asarray(y, np.int64))
        return windows.to(self.device), labels.to(self.device)

    def _learn(self, rng: np.random.Generator) -> float:
        self._generator.manual_seed(int(rng.integers(2**63)))
        order = rng.permutation(len(self._X))
        n_batches = -(-len(order) // self.recipe.batch_size)
        total = torch.zeros((), device=self.device)
        for rows in np.array_split(order, n_batches):
            total += self._step(torch.from_numpy(rows).to(self.device))
        return float(total) / len(order)

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

    def _validation_loss(self) -> float:
        assert self._judged is not None
        X, y = self._judged
        found = torch.as_tensor(scores(self.network, X), device=self.device)
        return float(F.cross_entropy(found, y, weight=self._weights))


def scores(network: nn.Module, X: Array | Tensor) -> Array:
    """Scores before the softmax of windows, shape (n_windows, n_classes), as when deciding."""
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        windows = X if isinstance(X, Tensor) else torch.tensor(X)
        parts = [network(part.to(device)) for part in torch.split(windows, N_JUDGED)]
        found: Array = torch.cat(parts).cpu().numpy()
    return found
