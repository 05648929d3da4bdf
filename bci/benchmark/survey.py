"""Getting to know the data sets of a benchmark: from the index where it stands, or by reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bci.benchmark import index, plan
from bci.benchmark.config import BenchmarkConfig
from bci.benchmark.evaluations import PseudoOnline
from bci.benchmark.index import Subject
from bci.benchmark.progress import Progress
from bci.benchmark.runners import Runner
from bci.benchmark.store import Store
from bci.benchmark.task import Source

Say = Callable[[str], None]
Found = dict[str, dict[str, Any]]


def survey(
    config: BenchmarkConfig, store: Store, runner: Runner, report: Say
) -> list[tuple[Source, list[Subject]]]:
    """Learn labels, trials and hashes of every subject; from the index where it stands.

    Raises
    ------
    ConfigError, SourceError
        See `bci.benchmark.plan.check_only`; a data set is not there.
    """
    datasets = [settings.build() for settings in config.datasets]
    sources = [
        Source(_absolute(settings), d.name, d.paradigm, d.simulated, tuple(d.classes))
        for settings, d in zip(config.datasets, datasets, strict=True)
    ]
    plan.check_only(config, sources)
    kept = store.read_json("index.json") or {}
    found: Found = {}
    wanted: list[tuple[str, str, tuple[Any, ...]]] = []
    for source, dataset in zip(sources, datasets, strict=True):
        online = any(
            isinstance(e, PseudoOnline) and plan.meant_for(e, source) for e in config.evaluations
        )
        print_ = index.fingerprint(dataset)
        found[print_] = {
            name: told
            for name, told in kept.get(print_, {}).items()
            if not told.get("error") and (not online or "continuous" in told)
        }
        wanted += [
            (print_, name, (source.settings, name, online))
            for name in dataset.subjects
            if name not in found[print_]
        ]
    _look(wanted, found, runner, report)
    if wanted:
        store.write_json("index.json", {**kept, **found})
    return [
        (source, [index.subject(d, name, found[index.fingerprint(d)][name]) for name in d.subjects])
        for source, d in zip(sources, datasets, strict=True)
    ]


def _look(
    wanted: Sequence[tuple[str, str, tuple[Any, ...]]],
    found: Found,
    runner: Runner,
    report: Say,
) -> None:
    with Progress("reading data", len(wanted), report) as progress:
        items = [(number, *item) for number, (_, _, item) in enumerate(wanted)]
        for number, told in runner.map(_numbered_look, items):
            print_, name, _ = wanted[number]
            found[print_][name] = told
            progress.advance(1)


def _numbered_look(number: int, settings: Any, name: str, continuous: bool) -> tuple[int, Any]:
    return number, index.look(settings, name, continuous)


def _absolute(settings: Any) -> Any:
    """Settings whose paths mean the same in another folder."""
    paths = {k: v.absolute() for k, v in dict(settings).items() if isinstance(v, Path)}
    return settings.model_copy(update=paths)
