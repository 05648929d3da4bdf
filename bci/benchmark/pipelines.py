"""From a pipeline's settings to an estimator, and to what it can share with others.

A pipeline is cut in two. Its *prefix* are the first steps that learn nothing
(covariances of windows, an augmented data set): what they give is worked out
once for all epochs of a data set and used by every fold and pipeline. The *rest*
learns and is fitted in each fold; transformers at its beginning are shared
through `FitMemory`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from pydantic import ValidationError
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from bci import registry
from bci.benchmark.config import BenchmarkConfig, PipelineSettings, Step
from bci.benchmark.memory import FitMemory
from bci.config import DecoderSettings
from bci.errors import ConfigError, MissingDependency
from bci.types import FloatArray, StreamInfo

#: Transformers whose `transform` treats each window by itself and needs nothing from `fit`.
STATELESS = frozenset(
    {
        "bci.decoders.covariance.augmented.AugmentedCovariance",
        "mne.decoding.transformer.Vectorizer",
        "moabb.pipelines.features.AugmentedDataset",
        "moabb.pipelines.features.ExtendedSSVEPSignal",
        "moabb.pipelines.features.FM",
        "moabb.pipelines.features.LogVariance",
        "moabb.pipelines.features.StandardScaler_Epoch",
        "pyriemann.estimation.BlockCovariances",
        "pyriemann.estimation.CoSpectra",
        "pyriemann.estimation.Coherences",
        "pyriemann.estimation.Covariances",
        "pyriemann.estimation.CrossSpectra",
        "pyriemann.estimation.Shrinkage",
        "pyriemann.estimation.TimeDelayCovariances",
    }
)


#: Packages of pipelines that may be missing: their rows fail then, and the others are scored.
OPTIONAL = ("braindecode", "moabb", "skorch", "torch")


@dataclass(frozen=True, slots=True)
class Context:
    """What of a data set a pipeline may need: the windows' stream, length and classes."""

    info: StreamInfo
    n_times: int
    classes: tuple[str, ...]
    seed: int

    def value(self, wanted: str) -> Any:
        """Value of a ``$name`` in a parameter.

        Raises
        ------
        ConfigError
            There is no such value, or a class is no frequency where frequencies are asked for.
        """
        known: dict[str, Callable[[], Any]] = {
            "$sfreq": lambda: self.info.sfreq,
            "$n_channels": lambda: self.info.n_channels,
            "$n_times": lambda: self.n_times,
            "$n_classes": lambda: len(self.classes),
            "$ch_names": lambda: list(self.info.ch_names),
            "$frequencies": lambda: {label: frequency_of(label) for label in self.classes},
            "$seed": lambda: self.seed,
        }
        if wanted not in known:
            raise ConfigError(f"unknown value '{wanted}'; known are: {', '.join(known)}")
        return known[wanted]()


#: Stands for a data set while settings are checked before there is one.
ANY_DATASET = Context(StreamInfo("any", 250.0, ("Oz",), ("eeg",)), 250, ("10 Hz", "12 Hz"), 0)


def frequency_of(label: str) -> float:
    """Frequency that a class is named after, "13 Hz" or "13", in Hz.

    Raises
    ------
    ConfigError
        It is named after none.
    """
    try:
        return float(label.removesuffix("Hz"))
    except ValueError:
        raise ConfigError(
            f"'$frequencies' reads them from the classes, but '{label}' is no frequency in Hz; "
            "write the frequencies out, or leave the data set out with 'only'"
        ) from None


def spec(settings: PipelineSettings) -> str:
    """The pipeline as text, for hashing; what it is meant for doesn't count."""
    return json.dumps(settings.model_dump(mode="json", exclude={"only"}), sort_keys=True)


def decoder_settings(settings: PipelineSettings, context: Context = ANY_DATASET) -> DecoderSettings:
    """Settings of a decoder of ours, on a data set.

    Raises
    ------
    ConfigError
        There is no such kind, or it has other settings.
    """
    given = _filled(settings.decoder or {}, context)
    kind = str(given.get("kind"))
    cls = registry.find("decoder", kind)
    if cls is None or kind == "model":
        known = ", ".join(k for k in registry.kinds("decoder") if k != "model")
        raise ConfigError(f"there is no decoder kind '{kind}' to score; known are: {known}")
    try:
        return cls.model_validate(given)  # type: ignore[return-value]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"decoder kind '{kind}': '{where}': {first['msg']}") from error


def estimator_class(path: str) -> Any:
    """Class at an import path.

    Raises
    ------
    ConfigError
        It is not there, or is no class.
    MissingDependency
        It is of an optional package, which is not installed or cannot be loaded.
    """
    module, _, name = path.rpartition(".")
    package = module.partition(".")[0]
    try:
        found = getattr(import_module(module), name, None)
    except (ImportError, OSError) as error:  # OSError: a compiled library of it does not load
        if package in OPTIONAL:
            raise MissingDependency(_missing(path, package, error)) from error
        raise ConfigError(
            f"estimator '{path}' cannot be imported: {error}; install its package or mend the path"
        ) from error
    if not isinstance(found, type):
        raise ConfigError(f"estimator '{path}': module '{module}' has no class '{name}'")
    return found


def _missing(path: str, package: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        extra = {"skorch": "braindecode", "torch": "deep"}.get(package, package)
        return (
            f"estimator '{path}' needs the package '{package}', which is not installed; install "
            f"it with: pip install 'neuroloop[{extra}]'"
        )
    return f"estimator '{path}' cannot be imported: {' '.join(str(error).split())}"


def check(config: BenchmarkConfig) -> None:
    """Look up every decoder and estimator; those of optional packages fail in their rows.

    Raises
    ------
    ConfigError
        One line for each that is not there.
    """
    mistakes = []
    for name, settings in config.pipelines.items():
        try:
            if settings.decoder is not None:
                decoder_settings(settings)
            for step in settings.steps:
                with suppress(MissingDependency):
                    estimator_class(step.estimator)
        except ConfigError as error:
            mistakes.append(f"pipeline '{name}': {error}")
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def n_stateless(settings: PipelineSettings) -> int:
    """Number of first steps that learn nothing and that no grid changes."""
    searched = {key.partition("__")[0] for key in settings.grid}
    names = step_names(settings.steps)
    count = 0
    for step, name in zip(settings.steps[:-1], names, strict=False):
        cls = estimator_class(step.estimator)
        if f"{cls.__module__}.{cls.__qualname__}" not in STATELESS or name in searched:
            break
        count += 1
    return count


def step_names(steps: tuple[Step, ...]) -> list[str]:
    """Names of the steps as `sklearn.pipeline.make_pipeline` gives them."""
    types = [step.estimator.rpartition(".")[2].lower() for step in steps]
    return [
        f"{name}-{types[: i + 1].count(name)}" if types.count(name) > 1 else name
        for i, name in enumerate(types)
    ]


def make_step(step: Step, context: Context) -> Any:
    """One estimator, seeded where it takes a `random_state` and none is given.

    Raises
    ------
    ConfigError
        It doesn't take these parameters.
    """
    cls = estimator_class(step.estimator)
    params = {key: _filled(value, context) for key, value in step.params.items()}
    try:
        made = cls(**params)
    except TypeError as error:
        raise ConfigError(f"estimator '{step.estimator}' cannot be made: {error}") from error
    seedless = isinstance(made, BaseEstimator) and "random_state" not in params
    if seedless and made.get_params(deep=False).get("random_state", 0) is None:
        made.set_params(random_state=context.seed)
    return made


def _filled(value: Any, context: Context) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        return context.value(value)
    if isinstance(value, list):
        return [_filled(v, context) for v in value]
    if isinstance(value, Mapping):
        return {key: _filled(v, context) for key, v in value.items()}
    return value


def prefix(settings: PipelineSettings, context: Context, X: FloatArray) -> Any:
    """What the stateless first steps make of windows; `X` itself where there are none."""
    for step in settings.steps[: n_stateless(settings)]:
        # nothing is learnt; the labels are there for estimators that insist on some
        X = make_step(step, context).fit(X, np.zeros(len(X), dtype=int)).transform(X)
    return X


def rest(
    settings: PipelineSettings,
    context: Context,
    memory: FitMemory | None = None,
    *,
    whole: bool = False,
) -> Any:
    """The estimator to be fitted to what `prefix` gives; with `whole`, to the windows.

    A grid is not part of it, see `bci.benchmark.scoring.fit`.
    """
    if settings.decoder is not None:
        return decoder_settings(settings, context).build(context.info)
    first = 0 if whole else n_stateless(settings)
    made = [make_step(step, context) for step in settings.steps[first:]]
    # a single step stays in a pipeline: a grid names it as 'step__parameter'
    return Pipeline(list(zip(step_names(settings.steps)[first:], made, strict=True)), memory=memory)


def takes_text_labels(settings: PipelineSettings) -> bool:
    """Whether it learns labels as text: our decoders. Others get 0, 1, … as MOABB gives them."""
    return settings.decoder is not None or settings.steps[-1].estimator.startswith("bci.")
