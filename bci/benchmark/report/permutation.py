"""The table of permutation tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bci.benchmark.permutation import p_value
from bci.benchmark.report.forest import tell_p
from bci.benchmark.report.rows import Row, grouped, scored, spoken
from bci.html import Table

TEXT = (
    "Labels are shuffled among the trials of a session, and the pipeline is trained and tested "
    "with them in the same folds. p: share of shufflings, the labels as they are among them, "
    "whose mean over folds is as high."
)


def permutation_tests(rows: Sequence[Row]) -> Iterator[Table]:
    """Score, its mean under shuffled labels, and p, of each session where it was asked for."""
    tested = [row for row in scored(rows) if row.details.get("permuted")]
    of_set = grouped(tested, lambda row: (row.dataset, row.evaluation, row.window_s))
    for (dataset, evaluation, window_s), some in of_set.items():
        lines = []
        by_session = grouped(some, lambda row: (row.pipeline, row.subject, row.session))
        for (pipeline, subject, session), folds in by_session.items():
            permuted = [row.details["permuted"] for row in folds]
            chance = np.nanmean(np.array(permuted, dtype=np.float64))
            lines.append((
                pipeline,
                subject,
                session,
                f"{np.mean([row.score for row in folds]):.3f}",
                f"{chance:.3f}",
                tell_p(p_value([row.score for row in folds], permuted)),
                str(len(permuted[0])),
            ))  # fmt: skip
        metric = "accuracy" if some[0].metric == "accuracy" else "ROC-AUC"
        columns = ("pipeline", "subject", "session", metric, "labels shuffled", "p", "shufflings")
        title = f"{dataset}, {spoken(evaluation)}"
        if len({row.window_s for row in rows}) > 1:
            title += f", {window_s:g} s"
        yield Table(title, columns, tuple(lines), 3)
