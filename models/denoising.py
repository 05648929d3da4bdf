"""Networks that remove artifacts from windows, by name, and how one is trained.

A network maps normalised windows, (B, n_channels, n_times), to the same shape. `Denoiser`
puts normalisation around it: microvolts in, microvolts out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.art import ART, ARTConfig
from models.art_patch import ARTPatch, ARTPatchConfig
from models.network_training import NetworkTraining, State
from models.res_cnn import ResCNN, ResCNNConfig
from models.u_net import UNet, UNetConfig

Array = NDArray[np.float32]

#: Network and its settings, which begin with channels and samples of a window. A network
#: with `per_channel` cleans each channel by itself.
NETWORKS: dict[str, tuple[Any, Any]] = {
    "res_cnn": (ResCNN, ResCNNConfig),
    "u_net": (UNet, UNetConfig),
    "art": (ART, ARTConfig),
    "art_patch": (ARTPatch, ARTPatchConfig),
}

#: Windows in one pass where nothing is learned.
N_CLEANED = 64


def build(name: str, n_channels: int, n_times: int, **settings: Any) -> nn.Module:
    """Make a network with its initial weights.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    n_channels, n_times : int
        Of a window.
    **settings
        As in the network's own config; lists may stand for tuples.

    Raises
    ------
    ValueError
        There is none of this name, or it has no such setting.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network '{name}'; known are {', '.join(NETWORKS)}")
    network, config = NETWORKS[name]
    known = [field.name for field in fields(config)][2:]  # after the shape
    if unknown := sorted(settings.keys() - set(known)):
        raise ValueError(
            f"network '{name}' has no setting '{unknown[0]}'; it has {', '.join(known)}"
        )
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    try:
        made: nn.Module = network(config(n_channels, n_times, **given))
    except TypeError as error:
        raise ValueError(f"network '{name}' cannot take its settings {settings}: {error}"
                         ) from error  # fmt: skip
    return made


class Denoiser(nn.Module):
    """A network, with the noisy window's own mean and standard deviation taken out around it.

    Of the whole window, over channels and time; or of each channel, where the network
    cleans each by itself. A window that is flat comes back as it is.

    Parameters
    ----------
    network : Module
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._over = (2,) if getattr(network, "per_channel", False) else (1, 2)

    def forward(self, noisy: Tensor) -> Tensor:
        """Clean windows, µV, from noisy ones, (B, n_channels, n_times), µV."""
        mean, spread = self._moments(noisy)
        cleaned: Tensor = self.network((noisy - mean) / _divisor(spread)) * spread + mean
        return cleaned

    def unit(self, windows: Tensor) -> Tensor:
        """What errors in windows are measured in: their standard deviation, or 1 of flat ones."""
        return _divisor(self._moments(windows)[1])

    def _moments(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        spread, mean = torch.std_mean(windows, dim=self._over, keepdim=True, correction=0)
        return mean, spread


def _divisor(spread: Tensor) -> Tensor:
    return torch.where(spread > 0.0, spread, torch.ones_like(spread))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a denoiser is trained.

    Attributes
    ----------
    n_epochs : int
        At most.
    learning_rate : float
        Of Adam, at its highest.
    warm_up : int
        Steps in which the learning rate rises to that.
    decay : {"none", "cosine", "inverse_sqrt"}
        How it falls afterwards: not at all, to zero at the last epoch along half a cosine,
        or as one over the root of the steps.
    betas : (float, float)
        Of Adam.
    weight_decay : float
        Decoupled (AdamW), on weights; not on biases and scales of normalisation.
    max_gradient : float or None
        Norm to which a step's gradient is cut.
    patience : int or None
        Epochs without a better validation loss after which training ends; None: it
        goes to the last epoch.
    unit : {"noisy", "clean"}
        Windows count by errors relative to the standard deviation of the noisy window, as
        the network sees it, or of the clean one, so that every SNR counts alike.
    spectral : float
        Weight of the mean squared error of amplitude spectra beside that of samples.
    """

    n_epochs: int = 60
    learning_rate: float = 1e-3
    warm_up: int = 0
    decay: Literal["none", "cosine", "inverse_sqrt"] = "none"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    max_gradient: float | None = 1.0
    patience: int | None = 10
    unit: Literal["noisy", "clean"] = "noisy"
    spectral: float = 0.0

    def __post_init__(self) -> None:
        if self.n_epochs < 1 or (self.patience or 1) < 1 or self.warm_up < 0:
            raise ValueError(
                "n_epochs and patience must be 1 or more and warm_up 0 or more, found "
                f"{self.n_epochs}, {self.patience} and {self.warm_up}"
            )
        if self.learning_rate <= 0 or self.weight_decay < 0 or self.spectral < 0:
            raise ValueError(
                "learning_rate must be above 0, weight_decay and spectral 0 or more, found "
                f"{self.learning_rate:g}, {self.weight_decay:g} and {self.spectral:g}"
            )


#: Takes a random generator, and gives the batches of one epoch: noisy and clean windows, each
#: (B, n_channels, n_times), µV. All that is random in them is drawn from the generator.
Batches = Callable[[np.random.Generator], Iterator[tuple[Array, Array]]]


class Kept(Protocol):
    """Where a training's state is kept."""

    def read(self) -> Mapping[str, NDArray[np.generic]] | None:
        """Return what was written last; None where nothing was."""
        ...

    def write(self, arrays: State) -> None:
        """Keep a state."""
        ...


class DenoiserTraining(NetworkTraining):
    """A denoiser's training, which can stop after any epoch and go on.

    Parameters
    ----------
    denoiser : Denoiser
    batches : callable
        See `Batches`.
    validation : (array, array) or None
        Noisy and clean windows to judge an epoch by, from sources that are not in
        `batches`. None: nothing is judged, and the last epoch is kept.
    recipe : Recipe
    seed, device
        As in `models.network_training.NetworkTraining`.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        batches: Batches,
        validation: tuple[Array, Array] | None,
        recipe: Recipe,
        *,
        seed: Sequence[int] = (0,),
        device: str | None = None,
    ) -> None:
        super().__init__(denoiser, recipe, seed=seed, device=device)
        self.denoiser, self.recipe, self.batches = denoiser, recipe, batches
        for group in self._optimiser.param_groups:
            group["betas"] = recipe.betas
        self._judged = None
        if validation is not None:
            self._judged = self._pair(*validation)
        self.n_steps = 0

    @property
    def judged(self) -> bool:
        """Whether there are windows to judge an epoch by."""
        return self._judged is not None

    def _pair(self, noisy: Array, clean: Array) -> tuple[Tensor, Tensor]:
        if noisy.ndim != 3 or noisy.shape != clean.shape or not len(noisy):
            raise ValueError(
                "noisy and clean windows must be alike in shape, (n, n_channels, n_times), and one "
                f"or more; found {noisy.shape} and {clean.shape}"
            )
        one, other = (torch.tensor(np.asarray(a, np.float32)) for a in (noisy, clean))
        return one.to(self.device), other.to(self.device)

    def _learn(self, rng: np.random.Generator) -> float:
        total, n = torch.zeros((), device=self.device), 0
        for noisy, clean in self.batches(rng):
            self.n_steps += 1
            for group in self._optimiser.param_groups:
                group["lr"] = self._rate()
            given, asked = self._pair(noisy, clean)
            loss = self._loss(self.denoiser(given), given, asked)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self.recipe.max_gradient is not None:
                nn.utils.clip_grad_norm_(self._learned.values(), self.recipe.max_gradient)
            self._optimiser.step()
            total += loss.detach() * len(noisy)
            n += len(noisy)
        if not n:
            raise ValueError("there are no windows to learn from")
        return float(total) / n

    def _rate(self) -> float:
        """Learning rate of this step."""
        recipe, step = self.recipe, self.n_steps
        if step < recipe.warm_up:
            return recipe.learning_rate * step / recipe.warm_up
        if recipe.decay == "cosine":
            return recipe.learning_rate * math.cos(math.pi / 2 * self.epoch / recipe.n_epochs) ** 2
        if recipe.decay == "inverse_sqrt":
            return recipe.learning_rate * math.sqrt(max(1, recipe.warm_up) / step)
        return recipe.learning_rate

    def _loss(self, cleaned: Tensor, noisy: Tensor, clean: Tensor) -> Tensor:
        unit = self.denoiser.unit(noisy if self.recipe.unit == "noisy" else clean)
        loss = ((cleaned - clean) / unit).square().mean()
        if self.recipe.spectral:
            found, asked = (torch.fft.rfft(x / unit, norm="ortho").abs() for x in (cleaned, clean))
            loss = loss + self.recipe.spectral * (found - asked).square().mean()
        return loss

    def _validation_loss(self) -> float:
        self.network.eval()
        return self._loss_of(self.denoiser)

    def untouched_loss(self) -> float:
        """Validation loss of the noisy windows as they are."""
        return self._loss_of(lambda noisy: noisy)

    def _loss_of(self, cleaner: Callable[[Tensor], Tensor]) -> float:
        assert self._judged is not None
        noisy, clean = self._judged
        total = 0.0
        with torch.inference_mode():
            for a, b in zip(_parts(noisy), _parts(clean), strict=True):
                total += float(self._loss(cleaner(a), a, b)) * len(a)
        return total / len(noisy)

    def state(self) -> State:
        """As in `NetworkTraining`."""
        return super().state() | {"n_steps": np.array([self.n_steps])}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """As in `NetworkTraining`."""
        super().restore(state)
        self.n_steps = int(state["n_steps"][0])


def fit(
    denoiser: Denoiser,
    batches: Batches,
    validation: tuple[Array, Array] | None,
    recipe: Recipe,
    *,
    seed: Sequence[int] = (0,),
    device: str | None = None,
    progress: Callable[[DenoiserTraining], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    checkpoint: Kept | None = None,
) -> DenoiserTraining:
    """Train a denoiser, from a checkpoint on where there is one.

    Once it is finished the denoiser holds the weights of the best epoch.

    Parameters
    ----------
    denoiser, batches, validation, recipe, seed, device
        See `DenoiserTraining`.
    progress : callable
        Takes the training, after each epoch.
    should_stop : callable
        Asked before each epoch.
    checkpoint : Kept or None

    Returns
    -------
    DenoiserTraining
        Which may not be `finished`, where it was asked to stop.

    Raises
    ------
    ValueError
        There is nothing to learn from, or the loss is no number in any epoch.
    """
    training = DenoiserTraining(denoiser, batches, validation, recipe, seed=seed, device=device)
    if checkpoint is not None and (state := checkpoint.read()) is not None:
        training.restore(state)
    training.run(
        None if progress is None else lambda *_: progress(training),
        should_stop,
        None if checkpoint is None else checkpoint.write,
    )
    judged = training.validation_losses or training.losses
    if training.finished and not np.isfinite(judged[training.best_epoch - 1]):
        raise ValueError(
            f"training diverged: its loss is no number; lower learning_rate, "
            f"{recipe.learning_rate:g}"
        )
    return training


def clean(denoiser: Denoiser, noisy: Array) -> Array:
    """Clean windows, (n, n_channels, n_times), µV."""
    denoiser.eval()
    device = next(denoiser.parameters()).device
    with torch.inference_mode():
        windows = torch.tensor(np.asarray(noisy, np.float32))
        parts = [denoiser(part.to(device)) for part in _parts(windows)]
        cleaned: Array = torch.cat(parts).cpu().numpy()
    return cleaned


def _parts(windows: Tensor) -> tuple[Tensor, ...]:
    return torch.split(windows, N_CLEANED)
