"""From a benchmark's YAML to its units of work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path

from bci.benchmark import folds as folding
from bci.benchmark import pipelines
from bci.benchmark.config import BenchmarkConfig, PipelineSettings
from bci.benchmark.evaluations import Evaluation, EvaluationPart, PseudoOnline, Windowed
from bci.benchmark.folds import Fold
from bci.benchmark.index import Subject
from bci.benchmark.task import Source, Task, Unit
from bci.benchmark.version import ENGINE, LIBRARIES, SCORING, code_version
from bci.errors import ConfigError

Known = list[tuple[Source, list[Subject]]]


def meant_for(settings: Evaluation | PipelineSettings, source: Source) -> bool:
    """Whether an evaluation or pipeline is to run on a data set."""
    return settings.only is None or bool({source.name, source.paradigm} & {*settings.only})


def check_only(config: BenchmarkConfig, sources: Sequence[Source]) -> None:
    """Refuse names under 'only' that are no data set of this benchmark, and double evaluations.

    Raises
    ------
    ConfigError
        A name is unknown, or two data sets, or two evaluations for one data set, share a
        name, so that their rows could not be told apart.
    """
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise ConfigError(f"two data sets have one name: {', '.join(names)}; give them a 'name'")
    known = {*names, "imagery", "ssvep", "p300"}
    parts: list[tuple[str, Evaluation | PipelineSettings]] = [
        *((f"pipeline '{name}'", settings) for name, settings in config.pipelines.items()),
        *((f"evaluation '{e.title}'", e) for e in config.evaluations),
    ]
    for what, settings in parts:
        if unknown := sorted({*(settings.only or [])} - known):
            raise ConfigError(
                f"{what} is only for '{unknown[0]}', which is no data set of this benchmark; "
                f"known are: {', '.join(sorted(known))}"
            )
    for evaluation in config.evaluations:
        if unknown := sorted({*(evaluation.pipelines or [])} - {*config.pipelines}):
            raise ConfigError(
                f"evaluation '{evaluation.title}' is for pipeline '{unknown[0]}', which is not in "
                f"the benchmark; known are: {', '.join(config.pipelines)}"
            )
    for source in sources:
        titles = [e.title for e in config.evaluations if meant_for(e, source)]
        if twice := [title for title in titles if titles.count(title) > 1]:
            raise ConfigError(
                f"two evaluations for data set '{source.name}' are called '{twice[0]}'; give "
                "each a 'name' of its own"
            )


def tasks(
    config: BenchmarkConfig, known: Known, out: Path, say: Callable[[str], None]
) -> Iterator[Task]:
    """All work, in groups that share their data."""
    for source, subjects in known:
        n_sessions = {s.name: len(s.parts) for s in subjects}
        for evaluation in config.evaluations:
            chosen = {
                name: settings
                for name, settings in config.pipelines.items()
                if meant_for(settings, source)
                and (evaluation.pipelines is None or name in evaluation.pipelines)
            }
            if not chosen or not meant_for(evaluation, source):
                continue
            online = isinstance(evaluation, PseudoOnline)
            code = code_version(ENGINE if online else SCORING)
            units = list(_units(config, source, subjects, evaluation, chosen, code))
            if not units:
                say(f"{source.name}: nothing to do for {evaluation.title}: {_why(evaluation)}")
            for _, group in groupby(units, key=lambda u: (u.subject, u.session)):
                yield Task(
                    source, evaluation, tuple(group), chosen, n_sessions, config.seed,
                    config.latency_windows, code, out,
                )  # fmt: skip


def _why(evaluation: EvaluationPart) -> str:
    reasons = {
        "cross_session": "no subject has two sessions",
        "cross_subject": "there are no two subjects",
        "learning_curve": "no session has as many trials as the smallest size",
        "pseudo_online": "there is no continuous recording",
    }
    return reasons.get(evaluation.kind, "there are no sessions")


def _units(
    config: BenchmarkConfig,
    source: Source,
    subjects: Sequence[Subject],
    evaluation: EvaluationPart,
    chosen: dict[str, PipelineSettings],
    code: str,
) -> Iterator[Unit]:
    common: list[object] = [source.name, source.paradigm, source.classes, config.seed, code]
    common += [
        evaluation.model_dump_json(exclude={"only", "pipelines", "window_s"}),
        config.latency_windows,
    ]
    for subject in subjects:
        if subject.error:
            for name in chosen:
                key = _hash([*common, subject.name, name, subject.error])
                yield Unit(key, name, subject.name, "", 0, error=subject.error)
    lengths: Sequence[float | None] = [None]
    if isinstance(evaluation, Windowed) and evaluation.window_s is not None:
        lengths = evaluation.window_s
    for where, work, depends in _works(evaluation, subjects, config.seed):
        for window_s, (name, settings) in product(lengths, chosen.items()):
            depends_too = [window_s, name, pipelines.spec(settings), _extra(settings)]
            key = _hash([*common, depends, *depends_too])
            yield Unit(key, name, *where, work, window_s=window_s)


def _works(
    evaluation: EvaluationPart, subjects: Sequence[Subject], seed: int
) -> Iterator[tuple[tuple[str, str, int], Fold | None, object]]:
    """Subject, session and number of each piece of work, its fold, and what it depends on."""
    if isinstance(evaluation, PseudoOnline):
        for subject in subjects:
            recorded = subject.continuous or {}
            for session in recorded:
                yield (subject.name, session, 0), None, [subject.name, session, recorded]
        return
    readable = {s.name: list(s.parts) for s in subjects if s.parts}
    for fold in folding.folds(evaluation, readable, seed):
        yield (fold.subject, fold.session, fold.number), fold, _content(fold)


def _content(fold: Fold) -> list[object]:
    """What a fold's rows depend on."""
    indices = hashlib.sha256(fold.train.tobytes() + b"|" + fold.test.tobytes()).hexdigest()
    who = [(part.subject, part.session, part.sha256) for part in fold.parts]
    told = [fold.pooled, fold.note, fold.error]
    return [who, fold.subject, fold.session, fold.number, indices, *told]


def _extra(settings: PipelineSettings) -> str:
    """Versions of the packages that a pipeline's estimators come from."""
    packages = {step.estimator.partition(".")[0] for step in settings.steps} - {"bci"}
    return code_version((), tuple(sorted(packages - {*LIBRARIES})))


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def split(found: Iterable[Task], n: int) -> list[Task]:
    """Cut tasks in two until there are `n` of them, where that is possible."""
    parts = list(found)
    while len(parts) < n and any(len(task.units) > 1 for task in parts):
        largest = max(range(len(parts)), key=lambda i: len(parts[i].units))
        units = parts[largest].units
        half = len(units) // 2
        parts[largest : largest + 1] = [
            replace(parts[largest], units=units[:half]),
            replace(parts[largest], units=units[half:]),
        ]
    return parts
