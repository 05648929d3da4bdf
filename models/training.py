"""Training of networks that stand side by side, each on its own trials.

One epoch is a function of weights, optimiser, seed and the epoch's number: all
that is random in it is drawn from the last two. So a training that was saved
and goes on elsewhere ends with the very same weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812

from models.devices import find_device

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a stage is trained.

    Attributes
    ----------
    n_epochs : int
    dropout : tuple of float
        Probabilities, in the order of the network's layers.
    batch_size : int or None
        Trials of each network in one step, drawn anew each epoch; None: all.
    learning_rate : float
        Constant.
    weight_decay : float
        λ of the penalty ``λ/2 ‖w‖²`` on the weights, not on biases; part of the
        gradient, so that Adam scales it too.
    momentum : float or None
        None: Adam; else stochastic gradient descent with this momentum.
    """

    n_epochs: int
    dropout: tuple[float, float, float]
    batch_size: int | None = None
    learning_rate: float = 1e-4
    weight_decay: float = 1e-3
    momentum: float | None = None


class Training:
    """A network's training, which can stop after any epoch and go on.

    Parameters
    ----------
    network : Module
        Its parameters have a leading axis of K models, and its call is
        ``network(x, dropout, generator)`` with x (B, K, …) and scores (B, K, M).
    X : array, shape (n_trials, …), float32
        Inputs of all models.
    targets : array, shape (n_trials, M)
        Weight of each class in the loss, ``-Σ target · log p``; one 1 in each row
        makes it the cross-entropy.
    rows : sequence of K int arrays
        The trials of each model; they need not be equally many.
    schedule : Schedule
    seed : sequence of int
        Of all that is drawn.
    n_parallel : int or None
        Models in one pass, which bounds the memory; None: all on a GPU, and one
        on a CPU, whose cores are busy with one and whose cache holds no more.
    device : str or None
        None: "cuda" where there is one, else "cpu".
    """

    def __init__(
        self,
        network: nn.Module,
        X: Array,
        targets: Array,
        rows: Sequence[NDArray[np.intp]],
        schedule: Schedule,
        *,
        seed: Sequence[int] = (0,),
        n_parallel: int | None = None,
        device: str | None = None,
    ) -> None:
        self.device = find_device(device)
        self.network = network.to(self.device)
        self.schedule, self.seed = schedule, tuple(seed)
        self.n_models = len(rows)
        self.n_parallel = n_parallel or (self.n_models if self.device.type == "cuda" else 1)
        self.rows = rows
        self.epoch = 0
        self.losses: list[list[float]] = []
        self._parameters = dict(network.named_parameters())
        if any(len(p) != self.n_models for p in self._parameters.values()):
            raise ValueError(f"the network does not hold {self.n_models} models, one for each rows")
        if any(len(r) == 0 for r in rows):
            raise ValueError("a model has no trial to learn from")
        dtype = next(iter(self._parameters.values())).dtype
        self._X = torch.as_tensor(X).to(self.device, dtype)
        self._targets = torch.as_tensor(targets).to(self.device, dtype)
        self._generator = torch.Generator(self.device)
        self._optimiser = self._make_optimiser()

    def _make_optimiser(self) -> torch.optim.Optimizer:
        biases = [p for name, p in self._parameters.items() if name.endswith("_bias")]
        weights = [p for name, p in self._parameters.items() if not name.endswith("_bias")]
        groups = [
            {"params": weights, "weight_decay": self.schedule.weight_decay},
            {"params": biases, "weight_decay": 0.0},
        ]
        rate, momentum = self.schedule.learning_rate, self.schedule.momentum
        if momentum is None:
            return torch.optim.Adam(groups, lr=rate)
        return torch.optim.SGD(groups, lr=rate, momentum=momentum)

    def run(
        self,
        *,
        progress: Callable[[int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        save: Callable[[dict[str, NDArray[np.generic]]], None] | None = None,
        save_every_s: float = 60.0,
    ) -> bool:
        """Train to the last epoch; False if it was asked to stop before.

        Parameters
        ----------
        progress : callable
            Takes epochs done and the mean loss, after each epoch.
        should_stop : callable
            Asked before each epoch.
        save : callable
            Takes `state()`, now and then and at the end.
        save_every_s : float
            Seconds between two of these.
        """
        saved = time.monotonic()
        while self.epoch < self.schedule.n_epochs:
            if should_stop is not None and should_stop():
                break
            self.losses.append(self._one_epoch())
            self.epoch += 1
            if progress is not None:
                progress(self.epoch, float(np.mean(self.losses[-1])))
            if save is not None and time.monotonic() - saved >= save_every_s:
                save(self.state())
                saved = time.monotonic()
        if save is not None:
            save(self.state())
        return self.epoch >= self.schedule.n_epochs

    def _one_epoch(self) -> list[float]:
        """Mean loss of each model."""
        rng = np.random.default_rng([*self.seed, self.epoch])
        self._generator.manual_seed(int(rng.integers(2**63)))
        total = sum(self._step(batch.to(self.device)) for batch in self._batches(rng))
        counts = [len(rows) for rows in self.rows]
        means: list[float] = (np.asarray(torch.as_tensor(total).cpu()) / counts).tolist()
        return means

    def _batches(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """Trials of each step, shape (B, K); -1 where a model has fewer than others."""
        longest = max(len(rows) for rows in self.rows)
        n_batches = -(-longest // (self.schedule.batch_size or longest))
        drawn = [rows if n_batches == 1 else rng.permutation(rows) for rows in self.rows]
        for parts in zip(*(np.array_split(rows, n_batches) for rows in drawn), strict=True):
            batch = np.full((max(map(len, parts)), self.n_models), -1)
            for k, part in enumerate(parts):
                batch[: len(part), k] = part
            yield torch.from_numpy(batch)

    def _step(self, batch: Tensor) -> Tensor:
        """One step of the optimiser; returns each model's summed loss."""
        losses, grads = [], []
        for start in range(0, self.n_models, self.n_parallel):
            part = slice(start, start + self.n_parallel)
            own = {n: p.detach()[part].requires_grad_() for n, p in self._parameters.items()}
            loss = self._loss(own, batch[:, part])
            count = (batch[:, part] >= 0).sum(dim=0).clamp(min=1)
            # models share nothing, so the gradient of the sum is each one's own
            grads.append(torch.autograd.grad((loss / count).sum(), list(own.values())))
            losses.append(loss.detach())
        for parameter, *parts in zip(self._parameters.values(), *grads, strict=True):
            parameter.grad = torch.cat(parts)
        self._optimiser.step()
        return torch.cat(losses)

    def _loss(self, own: Mapping[str, Tensor], trials: Tensor) -> Tensor:
        there = (trials >= 0)[..., None]
        x = self._X[trials]  # -1 is the last trial, whose target is masked
        given = (x, self.schedule.dropout, self._generator)
        scores = functional_call(self.network, dict(own), given)
        targets = self._targets[trials] * there
        loss: Tensor = -(targets * F.log_softmax(scores, dim=-1)).sum(dim=(0, 2))
        return loss

    def weights(self) -> dict[str, Array]:
        """Parameters by name, each with the leading axis of models."""
        return {n: p.detach().cpu().numpy().copy() for n, p in self._parameters.items()}

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All that the rest of the training depends on, as arrays."""
        state: dict[str, NDArray[np.generic]] = dict(self.weights())
        for name, parameter in self._parameters.items():
            for key, value in self._optimiser.state[parameter].items():
                if isinstance(value, Tensor):
                    state[f"{name}.{key}"] = value.detach().cpu().numpy().copy()
        state["losses"] = np.array(self.losses).reshape(self.epoch, self.n_models)
        return state

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from what `state` gave."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(torch.as_tensor(state[name]))
                moments = {
                    key.removeprefix(f"{name}."): torch.as_tensor(value.copy())
                    for key, value in state.items()
                    if key.startswith(f"{name}.")
                }
                self._optimiser.state[parameter] = {
                    key: value if key == "step" else value.to(self.device)
                    for key, value in moments.items()
                }
        self.losses = np.asarray(state["losses"], np.float64).tolist()
        self.epoch = len(self.losses)
