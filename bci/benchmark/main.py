"""What `bci benchmark` does: run, compare, write the report; or deploy a winner."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bci import __version__
from bci.benchmark import config as configs
from bci.benchmark import deploy as deployment
from bci.benchmark import run as engine
from bci.benchmark.stopping import Stop, stoppable
from bci.errors import ConfigError

Say = Callable[[str], None]

#: What results may depend on, besides our own code.
PACKAGES = ("numpy", "scipy", "scikit-learn", "pyriemann", "mne", "pandas", "moabb", "braindecode")


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
    config = configs.load(path)
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
    from bci.benchmark.report import write_report
    from bci.benchmark.statistics import compare

    written = write_report(
        table,
        out,
        config_yaml=path.read_text(encoding="utf-8"),
        environment=environment(),
        comparison=compare(table),
    )
    failed = table[table["error"] != ""]
    for reason, n in failed["error"].value_counts().items():
        say(f"failed {n} times: {reason}")
    for file in written:
        say(f"wrote {file}")
    return failed.empty


def deploy(
    path: Path, out: Path, pipeline: str, subject: str | None, dataset: str | None, say: Say
) -> None:
    """Train `pipeline` on all data of `subject` and write the model to `out`."""
    if subject is None:
        raise ConfigError("--deploy needs --subject: whose data the model is trained on")
    config = configs.load(path)
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
