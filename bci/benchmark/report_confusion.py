"""Confusion matrices of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bci.benchmark.report_data import Panel, natural, scored
from bci.benchmark.report_svg import CHARACTER, Figure, shorten

#: Matrices with more classes show shades only.
_MAX_NUMBERED = 12


def confusions(panel: Panel) -> Iterator[Figure]:
    """Confusion matrix of each pipeline, all folds, sessions and subjects together."""
    for lane in panel.lanes:
        rows = scored(panel.rows[panel.rows["pipeline"] == lane.pipeline])
        classes, counts = count(rows)
        if counts.sum():
            yield _draw(lane.label, "SIMULATED" in panel.dataset, classes, counts)


def count(rows: pd.DataFrame) -> tuple[list[str], NDArray[np.int64]]:
    """Classes in the data set's order, and trials by true class (row) and decision (column)."""
    pairs: Counter[tuple[str, str]] = Counter()
    order: dict[str, None] = {}
    for details in rows["parsed"]:
        order |= dict.fromkeys(map(str, details.get("classes") or ()))
        truth, told = details.get("y_true") or (), details.get("y_pred") or ()
        pairs.update(zip(map(str, truth), map(str, told), strict=False))
    classes = [*order, *sorted({v for pair in pairs for v in pair} - set(order), key=natural)]
    place = {label: k for k, label in enumerate(classes)}
    counts = np.zeros((len(place), len(place)), dtype=np.int64)
    for (truth, told), n in pairs.items():
        counts[place[truth], place[told]] = n
    return classes, counts


def _draw(
    pipeline: str, simulated: bool, classes: Sequence[str], counts: NDArray[np.int64]
) -> Figure:
    k = len(classes)
    size = 44.0 if k <= 5 else 30.0 if k <= _MAX_NUMBERED else max(7.0, 300.0 / k)
    left = 22 + CHARACTER * max(min(len(c), 14) for c in classes)
    top, side = 74.0, k * size
    figure = Figure(max(left + side + 8, 250), top + side + 8, f"confusion matrix of {pipeline}")
    figure.text(0, 14, shorten(pipeline, 34), "name", title=pipeline)
    note = f"{int(counts.sum())} trials"
    figure.text(0, 31, f"SIMULATED · {note}" if simulated else note, "sim" if simulated else "small")
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    levels = np.round(share, 1 if k > _MAX_NUMBERED else 2)
    for level in np.unique(levels[levels > 0]):
        corners = [(left + c * size, top + r * size) for r, c in np.argwhere(levels == level)]
        figure.cells(corners, size - 1, float(level))
    figure.text(left + side / 2, top - 22, "decided", "axis", "middle")
    figure.text_up(10, top + side / 2, "true", "axis")
    if k <= _MAX_NUMBERED:
        _numbers(figure, classes, counts, share, (left, top, size))
    else:
        _ends(figure, classes, (left, top, size))
    return figure


def _numbers(
    figure: Figure,
    classes: Sequence[str],
    counts: NDArray[np.int64],
    share: NDArray[np.float64],
    place: tuple[float, float, float],
) -> None:
    """Class names at rows and columns, a count in every cell."""
    left, top, size = place
    fits = int(size / CHARACTER)
    for r, label in enumerate(classes):
        y = top + (r + 0.5) * size + 4
        figure.text(left - 6, y, shorten(label, 14), "tick", "end", label)
        x = left + (r + 0.5) * size
        figure.text(x, top - 6, shorten(label, fits), "tick", "middle", label)
        for c in range(len(classes)):
            css = "on" if share[r, c] > 0.55 else "off"
            told = f"{label} → {classes[c]}: {counts[r, c]} ({100 * share[r, c]:.0f} %)"
            figure.text(left + (c + 0.5) * size, y, str(counts[r, c]), css, "middle", told)


def _ends(figure: Figure, classes: Sequence[str], place: tuple[float, float, float]) -> None:
    """First and last class names; the cells are too small for all."""
    left, top, size = place
    last = len(classes) - 1
    for k, anchor in ((0, "start"), (last, "end")):
        label = classes[k]
        figure.text(left - 6, top + (k + 0.5) * size + 4, shorten(label, 14), "tick", "end", label)
        x = left + (0 if k == 0 else (last + 1) * size)
        figure.text(x, top - 6, shorten(label, 14), "tick", anchor, label)
