"""What is written: one self-contained page, a summary in Markdown, a table as CSV.

The page loads nothing, runs nothing, follows the reader's light or dark setting
and prints. The same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from bci.benchmark.report.curves import rated
from bci.benchmark.report.online import online_tables
from bci.benchmark.report.permutation import permutation_tests
from bci.benchmark.report.rows import Row, prepare, rows_of, scored
from bci.benchmark.report.sections import Content, sections
from bci.benchmark.report.tables import (
    by_subject,
    comparisons,
    failures,
    latency,
    notes,
    overview,
    settings,
    stopping,
    transfer_rate,
    what_was_run,
)
from bci.errors import BciError
from bci.html import Section, Table, escape_markdown, render

if TYPE_CHECKING:
    from bci.benchmark.statistics import Comparison

_PAGE = "report.html.j2"


def write_report(
    results: pd.DataFrame,
    out: Path,
    *,
    config_yaml: str,
    environment: Mapping[str, Any],
    comparison: Comparison | None = None,
) -> list[Path]:
    """Write ``report.html``, ``results.csv`` and ``summary.md`` into a folder.

    Parameters
    ----------
    results : DataFrame
        One row per (data set, subject, session, evaluation, fold, pipeline); see
        `bci.benchmark.run`. May be empty. A column `window_s` tells the window length for the
        plot of transfer rates.
    out : Path
        The folder; made where it is missing.
    config_yaml : str
        The benchmark's configuration, shown as it is.
    environment : mapping
        What the scores were made with: versions, machine, date; shown as it is.
    comparison : Comparison or None
        Of `bci.benchmark.statistics.compare`; the section is left out without it.

    Returns
    -------
    list of Path
        The three files.

    Raises
    ------
    ConfigError
        The frame lacks columns.
    BciError
        The files cannot be written.
    """
    frame = prepare(results)
    content = Content.of(rows_of(frame), comparison)
    title = _name(config_yaml)
    texts = {
        "report.html": _html(content, title, config_yaml, environment),
        "results.csv": frame.drop(columns="details").to_csv(index=False),
        "summary.md": "\n".join(_markdown(content, title, environment)),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise BciError(f"the report cannot be written to {out}: {error.strerror}") from error
    return [out / name for name in texts]


def _html(content: Content, title: str, config_yaml: str, environment: Mapping[str, Any]) -> str:
    every = list(sections(content, config_yaml, environment))
    return render(
        "bci.benchmark.report", _PAGE, title=title, kind="benchmark report",
        sections=[s for s in every if s.blocks], n=_numbers(content.rows), absent=_absent(every),
    )  # fmt: skip


def _absent(every: list[Section]) -> list[str]:
    return [s.title.lower() for s in every if not s.blocks and s.key not in ("failures", "notes")]


def _numbers(rows: Sequence[Row]) -> dict[str, int]:
    n_scores = len(scored(rows))
    return {
        "rows": len(rows),
        "scores": n_scores,
        "failed": len(rows) - n_scores,
        "pipelines": len({row.pipeline for row in rows}),
        "datasets": len({row.dataset for row in rows}),
        "simulated": len({row.dataset for row in rows if row.simulated}),
    }


def _markdown(content: Content, title: str, environment: Mapping[str, Any]) -> Iterator[str]:
    rows = content.rows
    yield f"# {escape_markdown(title)}\n"
    n = _numbers(rows)
    yield f"{n['scores']} scores, {n['failed']} failed. Intervals are 95 %.\n"
    parts: list[tuple[str, list[Table]]] = [
        ("What was run", [what_was_run(rows)]),
        ("Overview", [overview((*content.panels, *content.online))]),
        ("Scores by subject", [t for panel in content.panels for t in by_subject(panel)]),
        ("Effects and significance", list(comparisons(content.compared))),
        ("Permutation tests", list(permutation_tests(rows))),
        ("Transfer rate against window length", list(_rates(rows))),
        ("Dynamic stopping", list(stopping(rows))),
        ("Pseudo-online", [t for panel in content.online for t in online_tables(panel)]),
        ("Latency", [latency(rows)]),
        ("Failures", [failures(rows)]),
        ("Remarks", [notes(rows)]),
        ("Environment", [settings(environment)]),
    ]
    for heading, found in parts:
        if any(table.rows for table in found):
            yield f"## {heading}\n"
            yield from (table.markdown() for table in found if table.rows)


def _rates(rows: Sequence[Row]) -> Iterator[Table]:
    for title, some in rated(rows).items():
        yield from (replace(t, title=f"{title}, {t.title}") for t in transfer_rate(some))


def _name(config_yaml: str) -> str:
    """Name in the configuration; a plain title where it has none."""
    try:
        config = yaml.safe_load(config_yaml)
    except yaml.YAMLError:
        config = None
    name = config.get("name") if isinstance(config, dict) else None
    return str(name) if name else "Benchmark"
