"""Dynamic stopping in a fold: calibrated inside its training, applied to its test.

How the rule is found: `bci.calibration.stopping`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.benchmark.evaluations import Stopping
from bci.calibration import stopping
from bci.errors import BciError
from bci.metrics import SelectionReport, selection_report
from bci.types import FloatArray


def decided(
    asked: Stopping,
    fitted: Any,
    training: tuple[FloatArray, NDArray[Any]],
    test: tuple[FloatArray, NDArray[Any]],
    sfreq: float,
) -> dict[str, Any]:
    """What each test trial came to, JSON-able: its time and whether it was right.

    "fixed" is the length that transferred most in the training's own cross-validation.

    Parameters
    ----------
    asked : Stopping
    fitted : estimator
        Fitted on the training; takes windows of any length.
    training, test : (array, array)
        Windows, in order of time, and their labels.
    sfreq : float
        Hz.

    Raises
    ------
    BciError
        The windows are shorter than the first look, or the training has one trial of a class.
    """
    X, y = training
    lengths = np.arange(asked.first_s, X.shape[2] / sfreq + 1e-9, asked.step_s)
    looks = [round(float(length) * sfreq) for length in lengths]
    n_folds = min(asked.folds, *Counter(y.tolist()).values())
    if not looks or n_folds < 2:
        raise BciError(
            f"stopping cannot be calibrated: windows last {X.shape[2] / sfreq:g} s and the first "
            f"look is at {asked.first_s:g} s; the rarest class has {n_folds} training trials"
        )
    calibration = stopping.cross_validated(fitted, X, y, looks, sfreq, n_folds)
    rule = stopping.fit_stopping(calibration, asked.target_error)
    trials = stopping.trajectories(fitted, *test, looks, sfreq)
    at, passed = stopping.stopped(trials, rule.threshold, rule.looks)
    fixed = looks.index(round(rule.best_fixed.mean_s * sfreq))
    return {
        "target_error": asked.target_error,
        "seconds": (np.asarray(looks)[at] / sfreq).tolist(),
        "right": trials.right[np.arange(len(at)), at].tolist(),
        "passed": passed.tolist(),
        "fixed_s": [looks[fixed] / sfreq] * len(at),
        "fixed_right": trials.right[:, fixed].tolist(),
        "fixed_because": rule.fixed_because or "",
    }


@dataclass(frozen=True, slots=True)
class Reports:
    """Stopping dynamically, and at the best fixed length, on the same trials."""

    dynamic: SelectionReport
    fixed: SelectionReport


def pooled(folds: Sequence[dict[str, Any]], n_classes: int) -> Reports:
    """Figures of what `decided` told of several folds, taken together."""

    def all_of(key: str) -> list[Any]:
        return [value for fold in folds for value in fold[key]]

    hits = all_of("fixed_right")
    return Reports(
        selection_report(all_of("seconds"), all_of("right"), all_of("passed"), n_classes),
        selection_report(all_of("fixed_s"), hits, [False] * len(hits), n_classes),
    )
