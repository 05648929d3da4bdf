"""How well somebody spells: speed with mistakes undone, accuracy, information transfer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bci.metrics import accuracy_interval, correct_characters_per_minute, itr
from bci.paradigms.spelling_scene import Selection


@dataclass(frozen=True, slots=True)
class SpellingScore:
    """Figures of a run; None where nobody knows what was wanted, or nothing was done yet.

    Attributes
    ----------
    n_trials : int
        Done to their end, those without a decision among them.
    n_unanswered : int
        Trials without a decision.
    seconds : float
        That all of them took, gaze shift and feedback included; breaks and trials that
        were cut short are not.
    n_right : int or None
        A trial without a decision is not right.
    accuracy : float or None
        Share of trials that are right.
    accuracy_low, accuracy_high : float or None
        Its Wilson interval, 95 %.
    itr : float or None
        Bit/min by Wolpaw's definition at the mean time of a trial, of what the decoder
        alone found: a language's prior transfers nothing from the brain.
    correct_per_min : float or None
        Characters a minute that are right, with what undoing cost.
    characters_per_min : float or None
        Characters of the text a minute, right or wrong.
    """

    n_trials: int
    n_unanswered: int
    seconds: float
    n_right: int | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    itr: float | None = None
    correct_per_min: float | None = None
    characters_per_min: float | None = None


def score(
    selections: Sequence[Selection], text: str, phrase: str | None, n_targets: int
) -> SpellingScore:
    """Score a run.

    Parameters
    ----------
    selections : sequence of Selection
    text : str
        What is written.
    phrase : str or None
        What was to be written; None: nobody knows.
    n_targets : int
    """
    n, seconds = len(selections), sum(s.seconds for s in selections)
    n_unanswered = sum(s.label is None for s in selections)
    if n == 0 or seconds <= 0.0:
        return SpellingScore(n, n_unanswered, seconds)
    written = None if phrase is None else correct_characters_per_minute(text, phrase, seconds)
    speed = 60.0 * len(text) / seconds
    if any(s.wanted is None for s in selections):
        return SpellingScore(
            n, n_unanswered, seconds, correct_per_min=written, characters_per_min=speed
        )
    n_right = sum(bool(s.right) for s in selections)
    n_unaided = sum(s.unaided == s.wanted for s in selections)
    low, high = accuracy_interval(n_right, n)
    return SpellingScore(
        n,
        n_unanswered,
        seconds,
        n_right=n_right,
        accuracy=n_right / n,
        accuracy_low=low,
        accuracy_high=high,
        itr=itr(n_unaided / n, n_targets, seconds / n),
        correct_per_min=written,
        characters_per_min=speed,
    )
