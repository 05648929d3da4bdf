"""Denoisers, trained from one YAML: `bci train --kind denoiser`.

::

    network: {name: u_net, widths: [16, 24, 32, 48, 64]}
    data: {kind: bank, path: ../shared/data/denoise/semisim_256hz.npz, artifacts: [eog]}
    recipe: {n_epochs: 60, learning_rate: 1.0e-3, decay: cosine}
    seed: 0

    network: {name: art}
    data:
      kind: pairs
      train: {recordings: [run1.xdf, run2.xdf], simulated: [1, 2, 3]}
      validation: {recordings: [run3.xdf], simulated: [4]}

Torch and `models` are imported when a denoiser is trained, not before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from bci.calibration.denoising_data import BankData, Material, PairsData
from bci.config import Settings, explain, load_as
from bci.decoders.deep.checkpoint import Checkpoint, array_hash
from bci.denoise.artifact import DenoiserManifest, save
from bci.errors import ConfigError, ModelError, TrainingStopped
from bci.extras import require_torch

if TYPE_CHECKING:
    from models.denoising import DenoiserTraining, Recipe

#: Seconds between two lines about the progress.
EVERY_S = 10.0


class DenoiserTrainingSettings(Settings):
    """What is trained, on what, and how."""

    network: dict[str, Any] = Field(description="name of the network, and its settings")
    data: BankData | PairsData = Field(discriminator="kind")
    recipe: dict[str, Any] = Field(
        {}, description="epochs, learning rate and so on, see `models.denoising.Recipe`"
    )
    batch_size: int = Field(32, ge=1, description="windows in a step")
    seed: int = Field(0, ge=0, description="of initial weights and of all that is drawn")
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="where to train; null: on a GPU where there is one"
    )
    checkpoint: Path | None = Field(
        None, description="folder where the training is kept while it runs; null: beside the "
        "denoiser, in its name with '-training'",
    )  # fmt: skip


def train(
    config: Path,
    out: Path,
    *,
    overrides: list[str] | None = None,
    resume: bool = False,
    should_stop: Callable[[], bool] | None = None,
    report: Callable[[str], None],
) -> DenoiserManifest:
    """Train a denoiser and write it to `out`.

    Parameters
    ----------
    config : path
        YAML of `DenoiserTrainingSettings`.
    out : path
        Folder, which must not exist.
    overrides : list of str or None
        See `bci.config.load`.
    resume : bool
        Go on with this very training where it was stopped.
    should_stop : callable or None
        Asked before each epoch.
    report : callable
        Takes lines for the user.

    Raises
    ------
    ConfigError
        The settings or the data are wrong, there is nothing to resume, or something that
        was not asked to be resumed.
    ModelError
        `out` exists, or the denoiser or its checkpoint cannot be read or written.
    TrainingStopped
        It was asked to stop.
    MissingDependency
        torch is not installed.
    """
    settings = load_as(DenoiserTrainingSettings, config, overrides or ())
    require_torch("a denoiser")
    if out.exists():  # now, not after the work
        raise ModelError(f"'{out}' exists already; choose another name for the denoiser")
    recipe = _recipe(settings, config)
    material = settings.data.material(settings.batch_size, settings.seed, report)
    manifest = _manifest(settings, material)
    checkpoint = _checkpoint(settings, material, out, resume)
    try:
        training = _fit(settings, manifest, material, recipe, checkpoint, should_stop, report)
    except KeyboardInterrupt:
        if checkpoint.path.exists():
            report(f"stopped; go on with --resume, from {checkpoint.path}")
        raise
    scores = _scores(training, material)
    saved = save(out, training.denoiser, manifest.model_copy(update={"scores": scores}))
    checkpoint.path.unlink(missing_ok=True)
    with suppress(OSError):  # others may be kept there
        checkpoint.path.parent.rmdir()
    report(_judged(scores))
    report(f"wrote denoiser {saved.model_id}: {out}")
    return saved


def _recipe(settings: DenoiserTrainingSettings, config: Path) -> Recipe:
    from models.denoising import Recipe

    unknown = settings.recipe.keys() - Recipe.__dataclass_fields__.keys()
    if unknown:
        raise ConfigError(
            f"{config}: unknown key 'recipe.{min(unknown)}'; known are "
            f"{', '.join(Recipe.__dataclass_fields__)}"
        )
    try:
        return TypeAdapter(Recipe).validate_python(settings.recipe)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        told = explain(first, ("recipe",), DenoiserTrainingSettings)
        raise ConfigError(f"{config}: {told}") from error


def _manifest(settings: DenoiserTrainingSettings, material: Material) -> DenoiserManifest:
    name, own = settings.network.get("name"), dict(settings.network)
    if not isinstance(own.pop("name", None), str):
        raise ConfigError("'network' needs a 'name', such as {name: u_net}")
    _, n_channels, n_times = material.validation[0].shape
    return DenoiserManifest(
        network=str(name),
        settings=own,
        n_channels=n_channels,
        n_times=n_times,
        sfreq=material.sfreq,
        ch_names=material.ch_names,
        removes=material.artifacts,
        sources=material.sources,
        training=settings.model_dump(mode="json", exclude={"network", "checkpoint", "device"}),
    )


def _checkpoint(
    settings: DenoiserTrainingSettings, material: Material, out: Path, resume: bool
) -> Checkpoint:
    known = {
        "settings": settings.model_dump(mode="json", exclude={"checkpoint"}),
        "data": array_hash(*material.hashed),
    }
    folder = settings.checkpoint or out.with_name(f"{out.name}-training")
    checkpoint = Checkpoint.of(folder, str(settings.network.get("name")), known)
    if checkpoint.path.exists() and not resume:
        raise ConfigError(
            f"this training was begun before and is kept in '{checkpoint.path}'; go on with "
            "--resume, or delete it to train anew"
        )
    if resume and not checkpoint.path.exists():
        raise ConfigError(
            f"there is nothing to resume in '{folder}': nothing is kept there of a training with "
            "these settings and data; leave --resume out to begin"
        )
    return checkpoint


def _fit(
    settings: DenoiserTrainingSettings,
    manifest: DenoiserManifest,
    material: Material,
    recipe: Recipe,
    checkpoint: Checkpoint,
    should_stop: Callable[[], bool] | None,
    report: Callable[[str], None],
) -> DenoiserTraining:
    from models.denoising import Denoiser, build, fit
    from models.devices import seeded

    try:
        with seeded([settings.seed]):
            network = build(
                manifest.network, manifest.n_channels, manifest.n_times, **manifest.settings
            )
        n_weights = sum(p.numel() for p in network.parameters())
        report(f"{manifest.network}, {n_weights} weights; {material.described}")
        training = fit(
            Denoiser(network), material.batches, material.validation, recipe,
            seed=(settings.seed, 1), device=settings.device, progress=_Progress(recipe, report),
            should_stop=should_stop, checkpoint=checkpoint,
        )  # fmt: skip
    except ValueError as error:
        raise ModelError(f"the denoiser cannot be trained: {error}") from error
    if not training.finished:
        raise TrainingStopped(
            f"training was stopped after epoch {training.epoch} of at most {recipe.n_epochs}; go "
            f"on with --resume, from {checkpoint.path}"
        )
    return training


class _Progress:
    """A line now and then: epochs, losses, and the time that is left at most."""

    def __init__(self, recipe: Recipe, report: Callable[[str], None]) -> None:
        self._n_epochs, self._report = recipe.n_epochs, report
        self._first: int | None = None
        self._started = self._told = time.monotonic()

    def __call__(self, training: DenoiserTraining) -> None:
        now, done = time.monotonic(), training.epoch
        if self._first is None:
            self._first = done - 1
            if self._first:
                self._report(f"goes on after epoch {self._first}")
        elif now - self._told < EVERY_S and done < self._n_epochs:
            return
        self._told = now
        left = (now - self._started) / (done - self._first) * (self._n_epochs - done)
        best = training.validation_losses[training.best_epoch - 1]
        self._report(
            f"epoch {done} of {self._n_epochs}: loss {training.losses[-1]:.4f}, validation "
            f"{training.validation_losses[-1]:.4f} (best {best:.4f}, epoch "
            f"{training.best_epoch}), at most {left:.0f} s left"
        )


def _scores(training: DenoiserTraining, material: Material) -> dict[str, Any]:
    return {
        "validation_loss": training.validation_losses[training.best_epoch - 1],
        "validation_loss_untouched": training.untouched_loss(),
        "n_validation": len(material.validation[0]),
        "best_epoch": training.best_epoch,
        "n_epochs": training.epoch,
    }


def _judged(scores: dict[str, Any]) -> str:
    """What the training came to, on sources that it did not learn from."""
    reached, untouched = scores["validation_loss"], scores["validation_loss_untouched"]
    verdict = (
        f"{reached / untouched:.3f} of what it is untouched"
        if reached < untouched
        else f"NOT better than untouched, {untouched:.4f}"
    )
    return (
        f"squared error on {scores['n_validation']} windows of other sources, which the epoch was "
        f"chosen by: {reached:.4f}, {verdict} (epoch {scores['best_epoch']} of "
        f"{scores['n_epochs']})"
    )
