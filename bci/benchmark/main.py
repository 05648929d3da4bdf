"""What `bci benchmark` does: run, compare, write the report; or deploy a winner."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from bci import __version__
from bci.benchmark import config as configs
from bci.benchmark import run as engine
from bci.benchmark import study as studies
from bci.benchmark.stopping import Stop, stoppable
from bci.benchmark.store import Store
from bci.benchmark.version import code_version
from bci.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

Say = Callable[[str], None]

#: Sources that the report of given results depends on.
REPORTING = (
    *("benchmark/report", "benchmark/report/templates/report.css"),
    *("benchmark/report/templates/report.html.j2", "benchmark/statistics.py"),
    *("benchmark/significance.py", "benchmark/chance.py", "benchmark/permutation.py"),
)
#: What results may depend on, besides our own code.
PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pyriemann",
    "mne",
    "pandas",
    "moabb",
    "braindecode",
    "umap-learn",
)


def run(
    path: Path,
    out: Path,
    scheduler: str | None,
    n_jobs: int | None,
    force: bool,
    dry_run: bool,
    say: Say,
) -> bool:
    """Run the benchmark of `path`, write results and report to `out`; False if a unit failed."""
    text = configs.read(path)
    if studies.kind_of(text) is not None:
        study = studies.load(text, str(path))
        try:
            with stoppable():
                return studies.run(
                    study, out, config_yaml=text, environment=environment(), scheduler=scheduler,
                    n_jobs=n_jobs, force=force, dry_run=dry_run, say=say,
                )  # fmt: skip
        except Stop as stop:
            say("stopped; what is done is kept, start it again to go on")
            raise SystemExit(stop.exit_code) from None
    config = configs.loads(text, str(path))
    try:
        with stoppable():
            table = engine.run(
                config, out, scheduler=scheduler, n_jobs=n_jobs, force=force, dry_run=dry_run,
                report=say,
            )  # fmt: skip
    except Stop as stop:
        raise SystemExit(stop.exit_code) from None
    if dry_run:
        by = ["dataset", "evaluation", "pipeline"]
        for names, part in table.groupby(by, sort=False):
            say(f"  {' · '.join(map(str, names))}: {len(part)} units, {part['done'].sum()} done")
        return True
    written = _report(table, Store(out), text)
    failed = table[table["error"] != ""]
    for reason, n in failed["error"].value_counts().items():
        say(f"failed {n} times: {reason}")
    for file in written:
        say(f"see {file}")
    return failed.empty


def _report(table: pd.DataFrame, store: Store, config_yaml: str) -> list[Path]:
    """Compare and write the report; what is there of the same results and code stays."""
    told = environment()
    of = [config_yaml, json.dumps(told), code_version(REPORTING, ())]
    digest = hashlib.sha256("\n".join(of).encode())
    digest.update((store.out / "results.parquet").read_bytes())
    known = store.read_json("report.json") or {}
    files = [store.out / name for name in known.get("files", [])]
    if known.get("key") == digest.hexdigest() and all(file.is_file() for file in files):
        return files
    from bci.benchmark.report import write_report
    from bci.benchmark.statistics import compare

    written = write_report(
        table, store.out, config_yaml=config_yaml, environment=told, comparison=compare(table)
    )
    names = [file.name for file in written]
    store.write_json("report.json", {"key": digest.hexdigest(), "files": names})
    return written


def deploy(
    path: Path, out: Path, pipeline: str, subject: str | None, dataset: str | None, say: Say
) -> None:
    """Train `pipeline` on all data of `subject` and write the model to `out`."""
    if subject is None:
        raise ConfigError("--deploy needs --subject: whose data the model is trained on")
    from bci.benchmark import deploy as deployment

    text = configs.read(path)
    if studies.kind_of(text) is not None:
        raise ConfigError(
            f"{path}: --deploy trains a pipeline of a benchmark of decoders, and this one is of "
            "denoising; denoisers are trained by 'bci train --kind denoiser', stages by '--kind "
            "cleaning'"
        )
    config = configs.loads(text, str(path))
    deployment.deploy(config, pipeline, subject, out, dataset=dataset, report=say)


def environment() -> dict[str, str]:
    """Versions and machine, for the report."""
    found = {"neuroloop": __version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "system": platform.platform(), "cores": str(os.cpu_count())}
