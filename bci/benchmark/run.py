"""Plan, run, collect: a benchmark from its YAML to a table.

What was done before is not done again: a unit is known by a hash of its data,
pipeline, parameters and code. A run that was killed goes on at the fold where it
stopped; a finished one is recognised without reading any data.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bci.benchmark.config import BenchmarkConfig
from bci.benchmark.progress import Progress
from bci.benchmark.store import Damaged, Row, Store
from bci.benchmark.version import ENGINE, PLANNING, code_version
from bci.errors import BciError

if TYPE_CHECKING:
    import pandas as pd

    from bci.benchmark.runners import Runner
    from bci.benchmark.task import Task, Unit

log = logging.getLogger(__name__)
Say = Callable[[str], None]

#: Times that the rest of the work is started again after worker processes were killed.
RESTARTS = 3


@dataclass(frozen=True)
class Planned:
    """One unit of a plan, as the dry run lists it."""

    dataset: str
    subject: str
    session: str
    evaluation: str
    fold: int
    window_s: float | None
    pipeline: str
    key: str


def run(
    config: BenchmarkConfig,
    out: str | Path,
    *,
    scheduler: str | None = None,
    n_jobs: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    report: Say = log.info,
) -> pd.DataFrame:
    """Run a benchmark, or what is left of it.

    Parameters
    ----------
    config : BenchmarkConfig
    out : path
        Folder of the results; see `bci.benchmark.store`.
    scheduler : str or None
        Address of a Dask scheduler; None: processes of this machine.
    n_jobs : int or None
        Number of processes; None: as many as cores.
    force : bool
        Do everything again.
    dry_run : bool
        Say what is to be done and do nothing; the table then lists the units,
        with a column `done`.
    report : callable
        Takes one line of text.

    Returns
    -------
    DataFrame
        One row per (data set, subject, session, evaluation, window length, fold, pipeline).
        Failed ones have a reason under `error`, where there is "" otherwise.

    Raises
    ------
    ConfigError
        A decoder, an estimator or a data set is not there.
    BciError
        Results cannot be written, or no scheduler answers.
    """
    store = Store(out)
    datasets = [settings.build() for settings in config.datasets]
    stamp = _stamp(config, datasets)
    if not (force or dry_run) and (rows := _finished(store, stamp)) is not None:
        report(f"all {len(rows)} rows are there; nothing to do")
        store.log([f"{config.name}: reused all {len(rows)} rows"])
        return _table(rows)
    from bci.benchmark import pipelines, plan, runners, survey

    pipelines.check(config)
    store.create()
    units: list[Unit] = []
    try:
        with runners.opened(scheduler, n_jobs) as runner:
            known = survey.survey(config, store, runner, report)
            planned = list(plan.tasks(config, known, store.out, report))
            done, damaged = ({}, []) if force else _done(store, planned)
            for line in damaged:
                report(f"{line}; it will be done again")
            units = [unit for task in planned for unit in task.units]
            report(f"{len(units)} units of work, {len(done)} of them done before")
            if dry_run:
                return _listed(planned, done)
            store.log([f"{config.name}: {len(units)} units, {len(done)} reused", *damaged])
            store.write_json("plan.json", {"stamp": stamp, "units": _plan(planned)})
            left = [t for t in (_without(task, done, force) for task in planned) if t is not None]
            made = _work(left, store, runner, report)
    except KeyboardInterrupt:
        line = _stopped(store, units)
        report(line)
        store.log([f"{config.name}: {line}"])
        raise
    rows = [row for u in units for row in {**done, **made}.get(u.key, [])]
    _finish(store, config, rows, len(made), report)
    return _table(rows)


def collect(out: str | Path) -> pd.DataFrame:
    """Rows of the last plan that are done so far, whether or not its run has ended.

    Raises
    ------
    BciError
        There is no plan in this folder.
    """
    store = Store(out)
    planned = store.read_json("plan.json")
    if planned is None:
        raise BciError(f"'{store.out}' holds no benchmark: there is no plan.json")
    found = (_read(store, unit["key"]) for unit in planned["units"])
    return _table([row for rows in found for row in rows or []])


def plan_units(config: BenchmarkConfig, out: str | Path) -> list[Planned]:
    """List the units of a benchmark; reads the data sets where `out` doesn't know them yet."""
    from bci.benchmark import pipelines, plan, runners, survey

    pipelines.check(config)
    store = Store(out)
    store.create()
    known = survey.survey(config, store, runners.Here(), log.info)
    return [Planned(**unit) for unit in _plan(list(plan.tasks(config, known, store.out, log.info)))]


# --- what is there -------------------------------------------------------------------------------


def _stamp(config: BenchmarkConfig, datasets: Sequence[Any]) -> str:
    """Hash of all that a plan depends on."""
    from bci.benchmark import index

    parts = [config.model_dump_json(), code_version(ENGINE), code_version(), code_version(PLANNING)]
    parts += [index.fingerprint(dataset) for dataset in datasets]
    parts += [str(list(dataset.subjects)) for dataset in datasets]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _finished(store: Store, stamp: str) -> list[Row] | None:
    """Rows of a finished benchmark; None where anything is left to do."""
    planned = store.read_json("plan.json")
    if not planned or planned.get("stamp") != stamp:
        return None
    rows: list[Row] = []
    for unit in planned["units"]:
        found = _read(store, unit["key"])
        if found is None or any(row["error"] for row in found):
            return None
        rows += found
    return rows


def _read(store: Store, key: str) -> list[Row] | None:
    try:
        return store.read(key)
    except Damaged:
        return None


def _done(store: Store, planned: Iterable[Task]) -> tuple[dict[str, list[Row]], list[str]]:
    """Rows that are there, without those of failures, and what is to be said of damaged ones."""
    done, damaged = {}, []
    for task in planned:
        for unit in task.units:
            try:
                rows = store.read(unit.key)
            except Damaged as error:
                damaged.append(str(error))
                store.path(unit.key).unlink(missing_ok=True)
                continue
            if rows is not None and not any(row["error"] for row in rows):
                done[unit.key] = rows
            elif rows is not None:  # tried again: its reason may be gone
                store.path(unit.key).unlink(missing_ok=True)
    return done, damaged


def _without(task: Task, done: dict[str, Any], force: bool) -> Task | None:
    """What is left of a task."""
    units = tuple(unit for unit in task.units if unit.key not in done)
    return replace(task, units=units, force=force) if units else None


def _plan(planned: Iterable[Task]) -> list[dict[str, Any]]:
    return [
        asdict(
            Planned(
                task.source.name, unit.subject, unit.session, task.evaluation.title, unit.fold,
                unit.window_s, unit.pipeline, unit.key,
            )
        )
        for task in planned
        for unit in task.units
    ]  # fmt: skip


def _listed(planned: Iterable[Task], done: dict[str, Any]) -> pd.DataFrame:
    return _table([{**unit, "done": unit["key"] in done} for unit in _plan(planned)])


def _stopped(store: Store, units: Sequence[Unit]) -> str:
    if not units:
        return "stopped while the data sets were read; start it again to go on"
    n_kept = sum(store.path(unit.key).exists() for unit in units)
    return f"stopped; {n_kept} of {len(units)} units are kept, start it again to go on"


# --- work ----------------------------------------------------------------------------------------


def _work(tasks: list[Task], store: Store, runner: Runner, report: Say) -> dict[str, list[Row]]:
    """Do tasks; those of killed worker processes are started again with what they left."""
    from bci.benchmark import plan, runners
    from bci.benchmark.work import perform

    made: dict[str, list[Row]] = {}
    with Progress("scoring", sum(len(task.units) for task in tasks), report) as progress:
        for attempt in range(RESTARTS + 1):
            left = [t for t in (_without(task, made, task.force) for task in tasks) if t]
            if not left:
                break
            try:
                parts = plan.split(left, 4 * runner.width if runner.width > 1 else 1)
                for results in runner.map(perform, [(part,) for part in parts]):
                    for key, rows in results:
                        if not store.path(key).exists():  # a worker that doesn't see the folder
                            store.write(key, rows)
                        made[key] = rows
                    progress.advance(len(results), sum(bool(r[0]["error"]) for _, r in results))
            except runners.WorkersDied as error:
                if attempt == RESTARTS:
                    raise
                report(f"{error}; going on with what is left")
    return made


def _finish(store: Store, config: BenchmarkConfig, rows: list[Row], made: int, say: Say) -> None:
    """Write the table, and tell what went wrong."""
    table = _table(rows)
    half = store.out / ".half-results.parquet"
    table.to_parquet(half, index=False)
    half.replace(store.out / "results.parquet")
    failures = Counter((r["dataset"], r["pipeline"], r["error"]) for r in rows if r["error"])
    lines = [
        f"failed: {pipeline} on {dataset}, {n} time{'s' * (n > 1)}: {reason}"
        for (dataset, pipeline, reason), n in failures.most_common()
    ]
    for line in [*lines[:20], *([f"… and {len(lines) - 20} more"] if len(lines) > 20 else [])]:
        say(line)
    n_failed = sum(failures.values())
    say(f"{len(rows)} rows, {made} units done now, {n_failed} rows failed; {store.out}")
    store.log([f"{config.name}: {made} units done, {n_failed} rows failed", *lines])


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
