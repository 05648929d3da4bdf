"""Whether a stage that mends the signal helps the decoder: judged where the decoder is trained.

Each stage whose settings say that it `mends` is judged, in the order of the chain, with
those before it as they were judged. The same trials are decoded through the chain with and
without it: held out by cross-validation, one window a trial, the same folds for both, and all
that is fitted with labels fitted inside the fold. (A stage that calibrates itself on the
stream's first seconds does so as it does live: without labels.) A trial whose window is
rejected for its quality was not decided right, so that mending what would be rejected counts.

The two are compared trial by trial: those that only the chain with the stage decides right
(gained) against those that only the one without does (lost). The stage is kept where as many
gained among so many would come by chance with a probability of at most `CHANCE` (one-sided sign
test): by more than one standard error, as the usual rule for the simpler of two models asks [1]_.
Otherwise the chain is the simpler one, and the decoder is trained on that.

The trials that choose the chain also score the decoder, which flatters it a little; the method
that stands beside the score says so.

.. [1] Breiman, Friedman, Olshen, Stone (1984). Classification and regression trees, 3.4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from bci.calibration import held_out
from bci.calibration.stopping import n_folds
from bci.config import Config
from bci.decoders.manifest import Manifest, StageWorth
from bci.decoders.subjects import subjects_for
from bci.errors import ConfigError
from bci.types import StreamInfo

if TYPE_CHECKING:
    from bci.calibration.training import LabelledWindows

__all__ = ["CHANCE", "Judged", "in_words", "judge"]

#: Probability, without any effect, of a gain that keeps a stage: that of one standard error.
CHANCE = 0.16

Gather = Callable[[frozenset[int]], "LabelledWindows"]


@dataclass(frozen=True, slots=True)
class Judged:
    """The chain that was chosen.

    Attributes
    ----------
    windows : LabelledWindows
        Of this chain, to train on.
    bypassed : frozenset of int
        Stages that it goes without.
    worth : tuple of StageWorth
        What was found, in the order of the chain.
    """

    windows: LabelledWindows
    bypassed: frozenset[int]
    worth: tuple[StageWorth, ...]

    def note(self, manifest: Manifest) -> Manifest:
        """The manifest with what was found, and what that means for its scores."""
        told = {"bypassed": tuple(sorted(self.bypassed)), "worth": self.worth}
        if not self.worth:
            return manifest.model_copy(update=told)
        method = "{}; the chain was chosen by the same trials"
        scores = tuple(
            s.model_copy(update={"method": method.format(s.method)}) for s in manifest.scores
        )
        return manifest.model_copy(update={**told, "scores": scores})


@dataclass(frozen=True)
class _Trials:
    """All labelled trials that any chain gave a window of, in order of time."""

    keys: tuple[tuple[int, int], ...]  # recording, and onset of the marker
    splits: tuple[held_out.Split, ...]
    as_it_goes: bool  # see `held_out.hits`


def judge(
    config: Config,
    gather: Gather,
    build: Callable[[StreamInfo], Any],
    bypassed: frozenset[int] = frozenset(),
    *,
    report: Callable[[str], None],
) -> Judged:
    """Choose the chain, and report of each stage that mends what was found.

    Parameters
    ----------
    config : Config
    gather : callable
        The labelled windows of the chain without these stages.
    build : callable
        The decoder, not fitted, for the stream after processing.
    bypassed : frozenset of int
        Stages that are not in use, and not judged.
    report : callable
    """
    windows = gather(bypassed)
    worth: list[StageWorth] = []
    for i, settings in enumerate(config.processing):
        if not settings.mends or settings.keep or i in bypassed:
            continue
        try:
            simpler = gather(bypassed | {i})
        except ConfigError as error:  # it changes channels or rate
            report(f"stage '{settings.kind}' is not judged and stays in use: {error}")
            continue
        trials = _trials([windows, simpler], build)
        if trials is None:
            break  # the training says what is missing
        right, without = (_right(build, part, trials) for part in (windows, simpler))
        found = compare(i, settings.kind, right, without)
        report(in_words(found))
        worth.append(found)
        if not found.kept:
            windows, bypassed = simpler, bypassed | {i}
    return Judged(windows, bypassed, tuple(worth))


def compare(
    stage: int, kind: str, right: NDArray[np.bool_], without: NDArray[np.bool_]
) -> StageWorth:
    """Apply the rule to the same trials decoded with and without a stage."""
    n_gained, n_lost = int((right & ~without).sum()), int((without & ~right).sum())
    p = float(binom.sf(n_gained - 1, n_gained + n_lost, 0.5))
    return StageWorth(
        stage=stage, kind=kind, n=len(right), n_right=int(right.sum()), n_gained=n_gained,
        n_lost=n_lost, p=p, kept=p <= CHANCE,
    )  # fmt: skip


def in_words(worth: StageWorth) -> str:
    """What was found of a stage, and what follows."""
    verdict = "it helps and stays in use" if worth.kept else "no gain is shown: it is by-passed"
    return (
        f"stage '{worth.kind}': {worth.shares} ({worth.n_gained} gained, {worth.n_lost} lost, "
        f"p = {worth.p:.3f}); {verdict}"
    )


def _trials(
    variants: Sequence[LabelledWindows], build: Callable[[StreamInfo], Any]
) -> _Trials | None:
    """All trials, and how they are held out; None: they are too few for that."""
    found: dict[tuple[int, int], tuple[str, str]] = {}
    for windows in variants:
        people = np.full(len(windows.y), "") if windows.people is None else windows.people
        for key, label, person in zip(_keys(windows), windows.y, people, strict=True):
            found.setdefault(key, (str(label), str(person)))
    keys = tuple(sorted(found))
    y = np.array([found[key][0] for key in keys], dtype=str)
    _, counts = np.unique(y, return_counts=True)
    if len(counts) < 2 or counts.min() < 2:
        return None
    people = np.array([found[key][1] for key in keys], dtype=str)
    estimator = build(variants[0].info)
    splits, _ = held_out.splits(estimator, y, n_folds(y), people)
    return _Trials(keys, tuple(splits), held_out.for_somebody_new(estimator, people))


def _keys(windows: LabelledWindows) -> Iterator[tuple[int, int]]:
    return ((int(number), int(onset)) for number, onset in windows.trials)


def _right(
    build: Callable[[StreamInfo], Any], windows: LabelledWindows, trials: _Trials
) -> NDArray[np.bool_]:
    """Which trials are decoded right from a chain's windows, held out.

    None is in a fold where the decoder cannot be trained on the windows that there are.
    """
    estimator = build(windows.info)
    place = {key: i for i, key in enumerate(trials.keys)}
    at = np.array([place[key] for key in _keys(windows)], dtype=np.intp)
    subjects = None
    if windows.people is not None and windows.sessions is not None:
        subjects = subjects_for(estimator, windows.people, windows.sessions)
    right = np.zeros(len(trials.keys), dtype=bool)
    for train, test in trials.splits:
        split = np.flatnonzero(np.isin(at, train)), np.flatnonzero(np.isin(at, test))
        if len(split[1]) == 0:
            continue
        with suppress(ValueError):
            right[at[split[1]]] = held_out.hits(
                estimator, windows.X, windows.y, split, trials.as_it_goes, subjects
            )
    return right
