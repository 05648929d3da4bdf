"""A benchmark is one YAML file: data sets, pipelines, evaluations.

::

    name: local
    seed: 42
    datasets:
      - {kind: bci_iv_2b, path: ../shared/data/bci-iv-2b}
    pipelines:
      MDM: {kind: mdm}                                     # a decoder of ours
      TS+SVM:                                              # any estimators, by import path
        steps:
          - {estimator: pyriemann.estimation.Covariances, params: {estimator: oas}}
          - {estimator: pyriemann.tangentspace.TangentSpace}
          - {estimator: sklearn.svm.SVC, params: {kernel: linear}}
        grid: {svc__C: [0.5, 1, 1.5]}                      # searched inside each training fold
    evaluations:
      - {kind: within_session}
      - {kind: within_session, name: by window length, window_s: [0.5, 1, 2, 4]}
      - {kind: transfer, train: [1, 2, 3], test: [4, 5]}

What a mistake is told with is that of a session's YAML: file, line, key, remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from bci import config as session_config
from bci import registry
from bci.benchmark.datasets import KINDS, DatasetSettings, find
from bci.benchmark.evaluations import EvaluationPart
from bci.config import Settings
from bci.errors import ConfigError, MissingDependency

S = TypeVar("S", bound=Settings)


class Step(Settings):
    """One estimator of a pipeline.

    A parameter written as ``$sfreq``, ``$n_channels``, ``$n_times``, ``$n_classes``,
    ``$ch_names``, ``$frequencies`` or ``$seed`` is taken from the data set that the pipeline
    runs on.
    """

    estimator: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", description="import path of a class"
    )
    params: dict[str, Any] = Field({}, description="arguments of its constructor")


class PipelineSettings(Settings):
    """What is scored: a decoder of ours, or a chain of estimators."""

    decoder: dict[str, Any] | None = Field(
        None,
        description="settings of a decoder, with its kind; '$frequencies': those that the data "
        "set's classes are named after",
    )
    steps: tuple[Step, ...] = ()
    grid: dict[str, list[Any]] = Field(
        {},
        description="parameter: values; the best are found by 3-fold cross-validation inside "
        "each training fold. 'step__param' with steps, the decoder's own parameter without",
    )
    transductive: bool = Field(
        False, description="it adapts to the (unlabelled) test windows, taken together"
    )
    adapts: Literal["without labels", "with labels"] | None = Field(
        None,
        description="it learns from each test window after its answer, in order of time, without "
        "or with its label; every test session starts as training left it. null: it does not",
    )
    only: list[str] | None = Field(
        None, description="names of data sets or paradigms that it is meant for; null: all"
    )

    @property
    def seen(self) -> str:
        """What it sees of the test beyond the window that it answers; "": nothing."""
        if self.adapts is not None:
            after = (
                ", labels after each decision" if self.adapts == "with labels" else ", no labels"
            )
            return f"adapts{after}"
        return "transductive" if self.transductive else ""

    @model_validator(mode="after")
    def _one_of_both(self) -> PipelineSettings:
        if self.adapts is not None and (self.decoder is None or self.transductive):
            raise ValueError(
                "'adapts' is for a decoder that learns window by window, such as {kind: "
                "recentred}; it goes neither with 'steps' nor with 'transductive'"
            )
        if (self.decoder is None) == (not self.steps):
            raise ValueError("needs either a decoder ('kind' or 'decoder') or 'steps'")
        if self.decoder is not None and "kind" not in self.decoder:
            raise ValueError("the decoder needs a 'kind'")
        return self


def _long_form(value: Any) -> Any:
    """Write out ``{kind: …}`` and ``[step, …]``."""
    if isinstance(value, Mapping) and "kind" in value:
        return {"decoder": dict(value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {"steps": value}
    return value


#: A pipeline in its short or long form.
PipelinePart = Annotated[PipelineSettings, BeforeValidator(_long_form)]


def _find_dataset(kind: str) -> type[Settings] | None:
    """Settings class of a data set, imported when it is asked for."""
    try:
        return find(kind)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("bci"):
            raise
        raise MissingDependency(
            f"data set kind '{kind}' needs the package '{error.name}', which is not installed; "
            f"install it with: pip install {error.name}"
        ) from error


def _dataset(value: Any) -> Any:
    if isinstance(value, Settings):
        return value
    known = ", ".join(sorted(KINDS))
    if not isinstance(value, Mapping) or "kind" not in value:
        raise ValueError(f"every data set needs a 'kind': one of {known}")
    cls = _find_dataset(str(value["kind"]))
    if cls is None:
        hint = session_config.did_you_mean(str(value["kind"]), KINDS)
        raise ValueError(f"unknown data set kind '{value['kind']}'{hint}")
    return cls.model_validate(value)


#: A data set by its kind.
DatasetPart = Annotated[SerializeAsAny[DatasetSettings], BeforeValidator(_dataset)]


class BenchmarkConfig(Settings):
    """A whole benchmark."""

    name: str = Field("benchmark", min_length=1)
    seed: int = Field(42, ge=0, le=2**32 - 1, description="of folds and of estimators")
    datasets: tuple[DatasetPart, ...] = Field(min_length=1)
    pipelines: dict[str, PipelinePart] = Field(min_length=1)
    evaluations: tuple[EvaluationPart, ...] = Field(min_length=1)
    latency_windows: int = Field(
        20, ge=0, le=10_000, description="windows decoded one by one, to time it, in first folds"
    )


def load(path: str | Path) -> BenchmarkConfig:
    """Read a benchmark's YAML.

    Decoders and estimators are looked up when there is work for them, see
    `bci.benchmark.pipelines.check`.

    Raises
    ------
    ConfigError
        The file is missing, is no YAML, or does not describe a benchmark; one
        line per mistake.
    """
    return loads(read(path), str(path))


def loads(text: str, name: str = "benchmark") -> BenchmarkConfig:
    """As `load`, from a string; `name` stands in the messages."""
    return parse(text, name, BenchmarkConfig)


def read(path: str | Path) -> str:
    """Text of a YAML; raises as `load`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def parse(text: str, name: str, whole: type[S]) -> S:
    """Settings with data sets in them, from a YAML; raises as `load`."""
    node, data = session_config.parse_yaml(text, name)
    if not isinstance(data, dict):
        key = next(key for key in whole.model_fields if key.startswith("dataset"))
        raise ConfigError(f"{name}: expected keys such as '{key}:', found {type(data).__name__}")
    mistakes = [m for where, cls, value in _parts(data) for m in _mistakes(where, cls, value)]
    told = {where for where, _, _ in mistakes}
    mistakes += [
        m
        for m in _mistakes((), whole, data)
        if not any(m[1]["loc"][: len(where)] == where for where in told)
    ]
    if mistakes:
        lines = (
            f"{name}:{session_config.line_of(node, (*where, *error['loc']))}: "
            f"{session_config.explain(error, where, cls)}"
            for where, error, cls in mistakes
        )
        raise ConfigError("\n".join(dict.fromkeys(lines)))
    return whole.model_validate(data)


def _parts(
    data: Mapping[str, Any], at: tuple[str | int, ...] = ()
) -> list[tuple[tuple[str | int, ...], type[Settings], Any]]:
    """Data sets, stages and pipelines with their places, to be checked by their own classes."""
    found: list[tuple[tuple[str | int, ...], type[Settings], Any]] = []
    listed = data.get("datasets")
    given: list[tuple[tuple[str | int, ...], Any]] = [((*at, "dataset"), data.get("dataset"))]
    given += [
        (("datasets", number), value)
        for number, value in enumerate(listed if isinstance(listed, list) else [])
    ]
    for where, value in given:
        cls = (
            _find_dataset(str(value["kind"]))
            if isinstance(value, dict) and "kind" in value
            else None
        )
        if cls is not None:
            found.append((where, cls, value))
        if isinstance(value, dict) and isinstance(value.get("dataset"), dict):
            found += _parts({"dataset": value["dataset"]}, where)
    chains = data.get("chains")
    for name, stages in (chains if isinstance(chains, dict) else {}).items():
        for number, value in enumerate(stages if isinstance(stages, list) else []):
            kind = value.get("kind") if isinstance(value, dict) else None
            if (stage := registry.find("stage", str(kind))) is not None:
                found.append((("chains", name, number), stage, value))
    named = data.get("pipelines")
    for name, value in (named if isinstance(named, dict) else {}).items():
        found.append((("pipelines", name), PipelineSettings, _long_form(value)))
    return found


def _mistakes(
    where: tuple[str | int, ...], cls: type[Settings], value: Any
) -> list[tuple[tuple[str | int, ...], Any, type[Settings]]]:
    try:
        cls.model_validate(value)
    except ValidationError as error:
        return [(where, e, cls) for e in error.errors(include_url=False)]
    return []
