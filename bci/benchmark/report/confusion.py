"""Confusion matrices of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.benchmark.report.data import Panel
from bci.benchmark.report.rows import natural
from bci.benchmark.report.svg import CHARACTER, Figure, shorten

#: Matrices with more classes show shades only.
_MAX_NUMBERED = 12


@dataclass(frozen=True)
class Confusion:
    """Trials by true label (row) and decision (column); `counts` is (n_true, n_told)."""

    true: tuple[str, ...]
    told: tuple[str, ...]
    counts: NDArray[np.int64]


def confusions(panel: Panel) -> Iterator[Figure]:
    """Confusion matrix of each pipeline, all folds, sessions and subjects together."""
    for lane in panel.lanes:
        found = count(row.details for row in panel.of(lane))
        if found.counts.sum():
            yield _draw(lane.label, "SIMULATED" in panel.dataset, found)


def count(details: Iterable[Mapping[str, Any]]) -> Confusion:
    """Sum up what rows tell: a table `confusion` where there is one, else their labels.

    Labels stand in the data set's order where it is told.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    order: dict[str, None] = {}
    for told in details:
        order |= dict.fromkeys(map(str, told.get("classes") or ()))
        if isinstance(table := told.get("confusion"), Mapping):
            for label, row in table.items():
                pairs.update({(str(label), str(k)): int(n) for k, n in row.items()})
        else:
            truth, said = told.get("y_true") or (), told.get("y_pred") or ()
            pairs.update(zip(map(str, truth), map(str, said), strict=False))
    true = _ordered(order, {pair[0] for pair in pairs})
    said_labels = _ordered(order, {pair[1] for pair in pairs})
    counts = np.array([[pairs[t, s] for s in said_labels] for t in true], dtype=np.int64)
    return Confusion(true, said_labels, counts)


def _ordered(known: Mapping[str, None], found: set[str]) -> tuple[str, ...]:
    """Classes of the data set, then others; idle and none at the end."""
    others = sorted(found - set(known), key=lambda v: (v in ("idle", "none"), natural(v)))
    return (*known, *others)


def _draw(pipeline: str, simulated: bool, found: Confusion) -> Figure:
    k = max(found.counts.shape)
    size = 76.0 if k <= 3 else 48.0 if k <= 5 else 34.0 if k <= _MAX_NUMBERED else 300.0 / k
    left = 30 + CHARACTER * max(min(len(c), 12) for c in found.true)
    n_rows, n_columns = len(found.true), len(found.told)
    turned = k <= _MAX_NUMBERED and not _fit_across(found, size)
    top = 62 + CHARACTER * max(min(len(c), 12) for c in found.told) if turned else 76.0
    figure = Figure(
        max(left + n_columns * size + 8, 256), top + n_rows * size + 8,
        f"confusion matrix of {pipeline}",
    )  # fmt: skip
    figure.text(0, 14, shorten(pipeline, 34), "name", title=pipeline)
    note, css = f"{int(found.counts.sum())} decisions", "small"
    if simulated:
        note, css = f"SIMULATED · {note}", "sim"
    figure.text(0, 32, note, css)
    share = found.counts / np.maximum(1, found.counts.sum(axis=1, keepdims=True))
    fine = 0.02 if k <= _MAX_NUMBERED else 0.05
    levels = np.where(share > 0, np.maximum(fine, np.round(share / fine) * fine), 0.0)
    figure.rect(left, top, n_columns * size, n_rows * size, "frame")
    for level in np.unique(levels[levels > 0]):
        corners = [(left + c * size, top + r * size) for r, c in np.argwhere(levels == level)]
        figure.cells(corners, size - 1, float(level))
    figure.text(left + n_columns * size / 2, 50.0, "decided", "axis", "middle")
    figure.text_up(10, top + n_rows * size / 2, "true", "axis")
    if k <= _MAX_NUMBERED:
        _numbers(figure, found, share, (left, top, size))
    else:
        _ends(figure, found, (left, top, size))
    return figure


def _numbers(
    figure: Figure,
    found: Confusion,
    share: NDArray[np.float64],
    place: tuple[float, float, float],
) -> None:
    """Names at rows and columns, a count in every cell."""
    left, top, size = place
    across = _fit_across(found, size)
    for c, label in enumerate(found.told):
        x = left + (c + 0.5) * size
        if across:
            figure.text(x, top - 6, label, "tick", "middle")
        else:
            figure.text_up(x + 4, top - 6, shorten(label, 12), "tick", "start", label)
    for r, label in enumerate(found.true):
        y = top + (r + 0.5) * size + 4
        figure.text(left - 6, y, shorten(label, 12), "tick", "end", label)
        for c, decided in enumerate(found.told):
            n, css = found.counts[r, c], "on" if share[r, c] > 0.75 else "off"
            told = f"{label} → {decided}: {n} ({100 * share[r, c]:.0f} %)"
            figure.text(left + (c + 0.5) * size, y, str(n), css, "middle", told)


def _fit_across(found: Confusion, size: float) -> bool:
    """Whether the names of columns can be read without turning one's head."""
    return max(map(len, found.told)) * CHARACTER <= size - 4


def _ends(figure: Figure, found: Confusion, place: tuple[float, float, float]) -> None:
    """First and last names only; the cells are too small for all."""
    left, top, size = place
    for k in (0, len(found.true) - 1):
        label, y = found.true[k], top + (k + 0.5) * size + 4
        figure.text(left - 6, y, shorten(label, 12), "tick", "end", label)
    right = left + len(found.told) * size
    for label, x, anchor in ((found.told[0], left, "start"), (found.told[-1], right, "end")):
        figure.text(x, top - 6, shorten(label, 12), "tick", anchor, label)
