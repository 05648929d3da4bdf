"""What a decoder would have selected, and how fast, on cued selections it has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from bci.calibration.selections import Selections
from bci.calibration.stopping import (
    Trajectories,
    fit_stopping,
    joined,
    stopped,
    trajectories,
)
from bci.config import Config, DecoderSettings
from bci.decoders.stopping import StoppingRule
from bci.metrics import GAZE_SHIFT_S, accuracy_interval, itr
from bci.types import FloatArray
from bci.windows import look_lengths

#: Blocks are put together beyond so many folds.
MAX_FOLDS = 8
N_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much of a selection is looked at before it is decided.

    Attributes
    ----------
    looks : tuple of int
        Window lengths in the order in which they are tried, samples.
    target_error : float or None
        Decide as soon as no greater error is to be expected: by the stopping rule of a
        decoder that is trained (`bci.calibration.stopping`), by the posterior's own word
        where there is none. None: decide at the end.
    """

    looks: tuple[int, ...]
    target_error: float | None = None

    @classmethod
    def of(cls, config: Config, sfreq: float) -> Evidence:
        """As the session decides: at the longest window, or as soon as it is sure.

        `sfreq` is that of the processed stream, Hz.
        """
        looks, decision = look_lengths(config.window, sfreq), config.decision
        if decision.kind != "dynamic":
            return cls(looks[-1:])
        return cls(looks, decision.target_error)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Selections as a decoder would have made them.

    Attributes
    ----------
    right : array of bool, shape (n,)
    seconds : array, shape (n,)
        What each cost, gaze shift included.
    n_classes : int
    """

    right: NDArray[np.bool_] = field(repr=False)
    seconds: FloatArray = field(repr=False)
    n_classes: int

    @property
    def accuracy(self) -> float:
        """Share of right selections."""
        return float(self.right.mean())

    @property
    def itr(self) -> float:
        """Transfer rate, bit/min, of all selections together.

        Not the mean over blocks: the rate is convex in the accuracy, and blocks of a
        few selections would flatter the decoder that is less reliable.
        """
        return float(self.rates(self.right[None], self.seconds[None])[0])

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval of `itr`: that of the accuracy, at the mean time of a selection."""
        low, high = accuracy_interval(int(self.right.sum()), len(self.right), level)
        t = float(self.seconds.mean())
        return itr(low, self.n_classes, t), itr(high, self.n_classes, t)

    def rates(self, right: NDArray[np.bool_], seconds: FloatArray) -> FloatArray:
        """Transfer rate, bit/min, of each row of outcomes; shapes (n_rows, n)."""
        n = right.shape[1]
        bits = np.array([itr(hits / n, self.n_classes, 60.0) for hits in range(n + 1)])
        rates: FloatArray = 60.0 * bits[right.sum(axis=1)] / seconds.mean(axis=1)
        return rates


def gain_interval(one: Outcomes, other: Outcomes, level: float, seed: int) -> tuple[float, float]:
    """Interval of ``one.itr - other.itr`` on the same selections, by bootstrap."""
    n = len(one.right)
    draws = np.random.default_rng(seed).integers(n, size=(N_DRAWS, n))
    gains = one.rates(one.right[draws], one.seconds[draws])
    gains -= other.rates(other.right[draws], other.seconds[draws])
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def folds(selections: Selections) -> list[NDArray[np.bool_]]:
    """Cued selections to be judged together: a block, or some in a row."""
    blocks = selections.cued_blocks()
    parts = np.array_split(np.array(blocks), min(MAX_FOLDS, len(blocks)))
    return [selections.cued & np.isin(selections.blocks, part) for part in parts]


def as_it_is(
    settings: DecoderSettings, selections: Selections, evidence: Evidence
) -> Outcomes | None:
    """Judge every cued selection by a decoder that is in use without training; None: it isn't."""
    decoder = settings.build(selections.info)
    if not hasattr(decoder, "classes_"):
        return None
    X, y = selections.X[selections.cued], selections.y[selections.cued]
    trials = trajectories(decoder, X, y, evidence.looks, selections.info.sfreq)
    right, seconds = _decided(trials, evidence)
    return Outcomes(right, seconds + GAZE_SHIFT_S, len(np.unique(selections.y)))


def cross_validate(
    settings: DecoderSettings, selections: Selections, evidence: Evidence
) -> Outcomes:
    """Judge every cued selection by a decoder trained on other blocks, and on what was spelled.

    Raises
    ------
    ValueError
        The decoder cannot be trained on so little, or there are not two blocks.
    """
    tests = folds(selections)
    if len(tests) < 2:
        raise ValueError("two blocks of cued selections are needed, to train and to judge")
    return judge(settings, selections, evidence, ((~test, test) for test in tests))


def judge(
    settings: DecoderSettings,
    selections: Selections,
    evidence: Evidence,
    splits: Iterable[tuple[NDArray[np.bool_], NDArray[np.bool_]]],
) -> Outcomes:
    """Outcomes of the tested selections, in their order in time.

    A decoder that takes windows of any length stops by a rule, as it would in use. The
    rule for a part is fitted to what decoders said of the other parts, which they were
    not trained on. No selection's own outcome is in its rule; its label is at one remove,
    since those decoders were trained on it. Rules of its own for each training would cost
    another cross-validation within each.

    Parameters
    ----------
    splits : iterable of (train, test)
        Masks of selections, shape (n,).

    Raises
    ------
    ValueError
        The decoder cannot be trained.
    """
    sfreq, estimator = selections.info.sfreq, settings.build(selections.info)
    parts = []
    for train, test in splits:
        fitted = clone(estimator).fit(selections.X[train], selections.y[train])
        X, y = selections.X[test], selections.y[test]
        parts.append((test, trajectories(fitted, X, y, evidence.looks, sfreq)))
    n = len(selections.y)
    right, seconds, tested = np.zeros(n, bool), np.zeros(n), np.zeros(n, bool)
    for test, trials in parts:
        rule = None
        if evidence.target_error is not None and getattr(estimator, "any_length", False):
            rule = _stopping([other for t, other in parts if t is not test], evidence.target_error)
        right[test], seconds[test] = _decided(trials, evidence, rule)
        tested |= test
    return Outcomes(right[tested], seconds[tested] + GAZE_SHIFT_S, len(np.unique(selections.y)))


def _stopping(parts: Sequence[Trajectories], target_error: float) -> StoppingRule | None:
    return fit_stopping(joined(parts), target_error) if parts else None


def _decided(
    trials: Trajectories, evidence: Evidence, rule: StoppingRule | None = None
) -> tuple[NDArray[np.bool_], FloatArray]:
    """Whether each decision is right, and seconds of evidence that it rests on."""
    threshold, looks = (
        (1.0 - (evidence.target_error or 0.0), evidence.looks)
        if rule is None
        else (rule.threshold, rule.looks)
    )
    at, _ = stopped(trials, threshold, looks)
    return trials.right[np.arange(len(trials)), at], np.array(trials.looks)[at] / trials.sfreq
