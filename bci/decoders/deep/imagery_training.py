"""How the networks that classify windows are made, trained and asked, with torch.

Torch and `models` are imported when one of these is called, not before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bci.decoders.deep.checkpoint import Checkpoint, array_hash
from bci.decoders.deep.training import Oversight, ProgressLog
from bci.errors import TrainingStopped
from bci.extras import optional, require_torch
from bci.types import FloatArray

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

Weights = dict[str, NDArray[np.generic]]

#: What the name of a network of braindecode begins with.
BRAINDECODE = "braindecode:"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is made for.

    Attributes
    ----------
    name : str
        One of `models.networks.NETWORKS`, or "braindecode:" and a model of braindecode.
    n_channels, n_times, n_classes : int
    sfreq : float
        Hz.
    """

    name: str
    n_channels: int
    n_times: int
    n_classes: int
    sfreq: float


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows ready for a network, and the number of each one's class.

    Attributes
    ----------
    X : array, shape (n_windows, n_channels, n_times), float32
    y : array of int, shape (n_windows,)
    """

    X: NDArray[np.float32]
    y: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a network is trained; the numbers as in `models.classifier_training.Recipe`.

    Attributes
    ----------
    n_epochs, batch_size, learning_rate, weight_decay, patience, class_weights
        As there.
    augmentation : (int, float, float) or None
        `max_shift`, `channel_dropout` and `amplitude` of
        `models.augmentation.Augmentation`; None: windows are learned as they are.
    seed : int
    device : str or None
    """

    n_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int | None
    class_weights: tuple[float, ...] | None
    augmentation: tuple[int, float, float] | None
    seed: int
    device: str | None


def check_network(name: str) -> None:
    """Raise ValueError where there is no network of this name.

    Raises
    ------
    MissingDependency
        It is one of braindecode, which is not installed; or torch is not.
    """
    require_torch()
    if name.startswith(BRAINDECODE):
        _braindecode_class(name)
        return
    from models.networks import NETWORKS

    if name not in NETWORKS:
        raise ValueError(
            f"there is no network '{name}'; known are {', '.join(NETWORKS)}, and any model of "
            f"braindecode as '{BRAINDECODE}EEGNeX'"
        )


def make_network(shape: Shape, seed: int) -> nn.Module:
    """Make a network with initial weights drawn from a seed.

    Raises
    ------
    ValueError
        There is none of this name, or it does not take windows of this shape.
    MissingDependency
        It is one of braindecode, which is not installed; or torch is not.
    """
    check_network(shape.name)
    import torch

    from models.devices import seeded
    from models.networks import build

    with seeded([seed]):
        if not shape.name.startswith(BRAINDECODE):
            return build(shape.name, shape.n_channels, shape.n_times, shape.n_classes)
        try:
            network: nn.Module = _braindecode_class(shape.name)(
                n_chans=shape.n_channels, n_outputs=shape.n_classes, n_times=shape.n_times,
                sfreq=shape.sfreq,
            ).eval()  # fmt: skip
            with torch.inference_mode():
                found = tuple(network(torch.zeros(2, shape.n_channels, shape.n_times)).shape)
        except Exception as error:  # each model has checks of its own, or none
            raise ValueError(
                f"network '{shape.name}' does not take windows of {shape.n_channels} channels and "
                f"{shape.n_times} samples: {' '.join(str(error).split())}"
            ) from error
    if found != (2, shape.n_classes):
        raise ValueError(
            f"network '{shape.name}' is no classifier of windows: of two windows it gives the "
            f"shape {found}, not {(2, shape.n_classes)}"
        )
    return network


def _braindecode_class(name: str) -> Any:
    there = optional("braindecode.models", f"network '{name}'", "braindecode")
    from torch import nn

    wanted = name.removeprefix(BRAINDECODE)
    found = getattr(there, wanted, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        known = [
            n for n, value in vars(there).items()
            if isinstance(value, type) and issubclass(value, nn.Module)
        ]  # fmt: skip
        raise ValueError(f"braindecode has no model '{wanted}'; it has {', '.join(sorted(known))}")
    return found


def train(
    network: nn.Module,
    shape: Shape,
    learned: Windows,
    held_out: Windows,
    plan: Plan,
    oversight: Oversight | None = None,
) -> Weights:
    """Train a network, and return its weights in the epoch that was best on what is held out.

    Raises
    ------
    ValueError
        The loss is no number in any epoch.
    TrainingStopped
        It was asked to stop.
    ModelError
        A checkpoint is damaged, belongs to something else or cannot be written.
    """
    from models.augmentation import Augmentation
    from models.classifier_training import ClassifierTraining, Recipe
    from models.network_training import weights_of

    watch = oversight or Oversight()
    recipe = Recipe(
        plan.n_epochs, plan.batch_size, plan.learning_rate, plan.weight_decay, plan.patience,
        plan.class_weights,
    )  # fmt: skip
    training = ClassifierTraining(
        network, learned.X, learned.y, held_out.X, held_out.y, recipe,
        seed=(plan.seed, *shape.name.encode()),
        augment=None if plan.augmentation is None else Augmentation(*plan.augmentation),
        device=plan.device,
    )  # fmt: skip
    checkpoint = None
    if watch.checkpoint is not None:
        known = {
            "shape": asdict(shape), "plan": asdict(plan), "device": training.device.type,
            "data": array_hash(learned.X, learned.y, held_out.X, held_out.y),
        }  # fmt: skip
        checkpoint = Checkpoint.of(watch.checkpoint, shape.name.replace(":", "-"), known)
        if (state := checkpoint.read()) is not None:
            training.restore(state)
            log.info("%s goes on after epoch %d", shape.name, training.epoch)
    report = watch.progress or ProgressLog(training.epoch)
    finished = training.run(
        lambda done, loss: report(shape.name, done, plan.n_epochs, loss),
        watch.should_stop,
        None if checkpoint is None else checkpoint.write,
    )
    if not finished:
        kept = "" if checkpoint is None else f"; called again, it goes on from {checkpoint.path}"
        raise TrainingStopped(
            f"training of {shape.name} was stopped after epoch {training.epoch} of at most "
            f"{plan.n_epochs}{kept}"
        )
    if not np.isfinite(training.validation_losses[training.best_epoch - 1]):
        raise ValueError(
            f"training of {shape.name} diverged: its loss is no number; lower learning_rate, "
            f"{plan.learning_rate:g}"
        )
    log.info(
        "%s: epoch %d of %d was the best on what was held out",
        shape.name, training.best_epoch, training.epoch,
    )  # fmt: skip
    return weights_of(network)


def scorer(
    network: nn.Module, weights: Mapping[str, NDArray[np.generic]]
) -> Callable[[NDArray[np.float32]], FloatArray]:
    """Take a trained network's weights; return what gives the scores of windows, on the CPU.

    One thread: a window is too small for more, and in a live session the others are busy.

    Raises
    ------
    KeyError, ValueError
        The weights are those of another network.
    """
    import torch

    from models.classifier_training import scores
    from models.network_training import load_weights

    network = network.to("cpu")
    load_weights(network, weights)

    def score(windows: NDArray[np.float32]) -> FloatArray:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return scores(network, windows).astype(np.float64)
        finally:
            torch.set_num_threads(threads)

    return score
