"""The ladder: from a decoder that needs no training to those that must be earned.

Each rung is a kind of decoder. The ladder judges all of them on the same cued selections
by cross-validation over blocks, and hands over to one above the rung in use only where it
is credibly better (`bci.calibration.comparison`). Rungs that need phase-locked responses
are left out unless locking is shown (`bci.calibration.phase_locking`).

A hand-over can be taken back. The rung before is then in use again; what was taken back
is not offered again in this session, while the other rungs still may take over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bci.calibration.comparison import level_of, smallest_p, swap_test
from bci.calibration.forecast import Forecast, forecast
from bci.calibration.outcomes import (
    Evidence,
    Outcomes,
    as_it_is,
    cross_validate,
    gain_interval,
)
from bci.calibration.phase_locking import PhaseLocking, measure
from bci.calibration.selections import Selections
from bci.config import DecoderSettings

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class RungScore:
    """How one rung did.

    Attributes
    ----------
    rung : str
        Kind of decoder.
    why_not : str or None
        Why there is no score; None where there is one.
    n_right, n : int
        Right ones of the cued selections.
    seconds : float
        Mean time of a selection, gaze shift included.
    itr, low, high : float
        Transfer rate, bit/min, and its 95 % interval.
    gain, gain_low, gain_high : float
        Rate over that of the rung in use, and its interval; 0 for that rung itself.
    p : float or None
        One-sided, of being no better than the rung in use; None where not compared.
    """

    rung: str
    why_not: str | None = None
    n_right: int = 0
    n: int = 0
    seconds: float = 0.0
    itr: float = 0.0
    low: float = 0.0
    high: float = 0.0
    gain: float = 0.0
    gain_low: float = 0.0
    gain_high: float = 0.0
    p: float | None = None

    def __str__(self) -> str:
        if self.why_not is not None:
            return f"{self.rung}: {self.why_not}"
        text = (
            f"{self.rung}: {self.n_right} of {self.n} right, {self.seconds:.2f} s a selection, "
            f"{self.itr:.1f} bit/min [{self.low:.1f}, {self.high:.1f}]"
        )
        if self.p is None:
            return text
        return (
            f"{text}, {self.gain:+.1f} [{self.gain_low:+.1f}, {self.gain_high:+.1f}] over the "
            f"one in use, p = {self.p:.4f}"
        )


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the ladder found, and what it decides.

    Attributes
    ----------
    current, chosen : str
        Rung in use, and rung to use from now on; the same where nothing changes.
    reason : str
        In one sentence.
    scores : tuple of RungScore
    phase_locking : PhaseLocking or None
        None: no rung asks for it.
    look : int
        Number of this look; the same as of the look before where that spent nothing.
    spent : float
        Error probability that this look has spent.
    n_spelled, n_undone : int
        Selections that were spelled, and errors among them: those undone.
    forecast : Forecast or None
    """

    current: str
    chosen: str
    reason: str
    scores: tuple[RungScore, ...]
    phase_locking: PhaseLocking | None
    look: int
    spent: float
    n_spelled: int
    n_undone: int
    forecast: Forecast | None

    @property
    def hands_over(self) -> bool:
        """Whether another rung takes over."""
        return self.chosen != self.current

    def to_json(self) -> dict[str, Any]:
        """JSON-able, with sentences where there are some."""
        fields = asdict(self)
        fields["phase_locking"] = None if self.phase_locking is None else str(self.phase_locking)
        fields["forecast"] = None if self.forecast is None else str(self.forecast)
        return {"schema": "bci.ladder/1", **fields}

    def lines(self) -> list[str]:
        """What there is to say, one sentence a line."""
        lines = [str(score) for score in self.scores]
        if self.n_spelled:
            lines.append(
                f"spelled: {self.n_spelled - self.n_undone} of {self.n_spelled} selections right, "
                "the others were undone"
            )
        if self.phase_locking is not None:
            lines.append(str(self.phase_locking))
        lines.append(self.reason)
        if self.forecast is not None:
            lines.append(str(self.forecast))
        return lines


def needs_phase_locking(settings: DecoderSettings) -> bool:
    """Whether a decoder's responses must begin at the same phase in every trial."""
    return bool(getattr(getattr(settings, "decoder", None), "locked", False))


def assess(
    rungs: Mapping[str, DecoderSettings],
    current: str,
    selections: Selections,
    evidence: Evidence,
    frequencies: Mapping[str, float],
    *,
    look: int = 1,
    alpha: float = 0.05,
    held: Collection[str] = (),
    foresee: bool = True,
    seed: int = 0,
) -> Assessment:
    """Judge the rungs, and decide whether one above takes over.

    Parameters
    ----------
    rungs : mapping of kind to DecoderSettings
        From the lowest to the highest; the lowest is judged as it is before training,
        if it is in use.
    current : str
        Kind in use, one of `rungs`.
    selections : Selections
    evidence : Evidence
        As the session decides.
    frequencies : mapping of label to float
        Stimulus frequencies, Hz; empty: phase locking can't be measured.
    look : int
        Which look at the data this is, from 1; see `bci.calibration.comparison`.
    alpha : float
        Error probability of all looks together.
    held : collection of str
        Rungs that are not to be taken.
    foresee : bool
        Forecast what more calibration would bring, which takes some time.
    seed : int
        Of what is drawn at random.
    """
    first, *_ = kinds = list(rungs)
    above = kinds[kinds.index(current) + 1 :]
    locking = None
    if any(needs_phase_locking(rungs[kind]) for kind in above):
        cued = selections.cued
        locking = measure(
            selections.X[cued], selections.y[cued], selections.info.sfreq, frequencies, seed=seed
        )
    outcomes: dict[str, Outcomes] = {}
    why_not: dict[str, str] = {}
    for kind in [current, *above]:
        if kind in held:
            why_not[kind] = "was rolled back"
        elif locking is not None and not locking.locked and needs_phase_locking(rungs[kind]):
            why_not[kind] = "needs phase-locked responses"
        else:
            try:
                found = as_it_is(rungs[kind], selections, evidence) if kind == first else None
                outcomes[kind] = found or cross_validate(rungs[kind], selections, evidence)
            except ValueError as error:
                why_not[kind] = f"cannot be judged yet: {error}"
    in_use = outcomes.get(current)
    candidates = [kind for kind in above if kind in outcomes] if in_use is not None else []
    p: dict[str, float] = {}
    level = level_of(look, alpha) / max(1, len(candidates))
    spent = 0.0
    if in_use is not None:
        p = {kind: swap_test(outcomes[kind], in_use, seed) for kind in candidates}
        if any(smallest_p(outcomes[kind], in_use) <= level for kind in candidates):
            spent = level_of(look, alpha)
    better = [kind for kind in candidates if p[kind] <= level]
    chosen = max(better, key=lambda kind: outcomes[kind].itr, default=current)
    scores = tuple(
        _score(kind, outcomes.get(kind), in_use, p.get(kind), why_not.get(kind), seed)
        for kind in [current, *above]
    )
    told = {score.rung: score for score in scores}
    predicted = None
    if foresee and in_use is not None and candidates and chosen == current:
        best = max(candidates, key=lambda kind: outcomes[kind].itr)
        predicted = forecast(rungs[best], selections, evidence, in_use)
    return Assessment(
        current, chosen, _reason(told, current, chosen, candidates, p, level), scores, locking,
        look, spent, selections.n_spelled, selections.n_undone, predicted,
    )  # fmt: skip


def _score(
    kind: str,
    found: Outcomes | None,
    in_use: Outcomes | None,
    p: float | None,
    why_not: str | None,
    seed: int,
) -> RungScore:
    if found is None:
        return RungScore(kind, why_not or "was not judged")
    low, high = found.interval(LEVEL)
    gain_low, gain_high, gain = 0.0, 0.0, 0.0
    if p is not None and in_use is not None:
        gain = found.itr - in_use.itr
        gain_low, gain_high = gain_interval(found, in_use, LEVEL, seed)
    return RungScore(
        kind, None, int(found.right.sum()), len(found.right), float(found.seconds.mean()),
        found.itr, low, high, gain, gain_low, gain_high, p,
    )  # fmt: skip


def _reason(
    scores: Mapping[str, RungScore],
    current: str,
    chosen: str,
    candidates: list[str],
    p: Mapping[str, float],
    level: float,
) -> str:
    """Decision in one sentence."""
    if chosen != current:
        score = scores[chosen]
        return (
            f"{chosen} takes over from {current}: {score.gain:+.1f} bit/min "
            f"[{score.gain_low:+.1f}, {score.gain_high:+.1f}] on {score.n} cued selections "
            f"(p = {p[chosen]:.4f}, this look's limit is {level:.4f})."
        )
    if scores[current].why_not is not None:
        return f"{current} stays: it {scores[current].why_not}."
    if not candidates:
        return f"{current} stays: no rung above it can be judged."
    best = min(candidates, key=lambda kind: p[kind])
    return (
        f"{current} stays: nothing above it is credibly better (nearest is {best}, "
        f"p = {p[best]:.4f}, this look's limit is {level:.4f})."
    )


class Ladder:
    """Where a session stands: the rung in use, those before it, and how often it looked.

    Parameters
    ----------
    rungs : sequence of str
        Kinds from the lowest, on which the session starts, to the highest.
    """

    def __init__(self, rungs: Sequence[str]) -> None:
        self.rungs = tuple(rungs)
        self.current = self.rungs[0]
        self.look = 1
        self.held: set[str] = set()
        self._before: list[str] = []

    @property
    def previous(self) -> str | None:
        """Rung that a roll-back leads to."""
        return self._before[-1] if self._before else None

    @property
    def ends_here(self) -> bool:
        """Whether no rung is left that might take over."""
        return set(self.rungs[self.rungs.index(self.current) + 1 :]) <= self.held

    def take(self, chosen: str, *, spent: bool) -> None:
        """Follow an assessment: count its look if it spent something, and climb."""
        if spent:
            self.look += 1
        if chosen != self.current:
            self._before.append(self.current)
            self.current = chosen

    def rollback(self) -> str:
        """Go back to the rung before, and hold the one in use.

        Raises
        ------
        ValueError
            There was no hand-over.
        """
        if not self._before:
            raise ValueError(f"there is nothing to roll back: '{self.current}' is the first rung")
        self.held.add(self.current)
        self.current = self._before.pop()
        return self.current
