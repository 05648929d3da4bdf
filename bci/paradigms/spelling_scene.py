"""What a speller shows, how long, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bci.paradigms.keyboard import Key


class Phase(StrEnum):
    """Where a run stands."""

    READY = "ready"
    CUE = "cue"
    FLICKER = "flicker"
    IMAGERY = "imagery"  # of a movement, where nothing flickers
    WAITING = "waiting"  # the flicker is over, and the decision may still come
    FEEDBACK = "feedback"
    REST = "rest"
    BREAK = "break"  # between two blocks, until the participant goes on
    PAUSED = "paused"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class SpellingTimes:
    """How long each part of a trial takes, seconds.

    Attributes
    ----------
    cue_s : float
        For the gaze to reach the target.
    stim_s : float
        Flicker, at most; as long as the decoder's longest window and its offset.
    wait_s : float
        For a decision after the flicker.
    feedback_s, rest_s : float

    Raises
    ------
    ValueError
        A time is negative, or there is no time to flicker or to look.
    """

    cue_s: float = 0.5
    stim_s: float = 4.2
    wait_s: float = 1.0
    feedback_s: float = 0.5
    rest_s: float = 0.25

    def __post_init__(self) -> None:
        shortest = min(self.wait_s, self.feedback_s, self.rest_s)
        if not (self.cue_s > 0 and self.stim_s > 0 and shortest >= 0):
            raise ValueError(f"times of a trial must be positive, found {self}")


@dataclass(frozen=True, slots=True)
class Scene:
    """What a frame shows.

    Attributes
    ----------
    phase : Phase
    text : str
        What is written.
    phrase : str or None
        What is to be written, where the screen tells it.
    labels : tuple of str
        Of the targets, in reading order.
    keys : tuple of Key
        Theirs, in the same order.
    cue : str or None
        Label of the target to look at.
    flicker_since : float or None
        Scheduled time of the first frame of the flicker; None: nothing flickers.
    chosen : str or None
        Label of the target that was selected, while that is fed back.
    right : bool or None
        Whether it was the one to look at; None where nobody knows.
    note : str
        A line for the participant.
    asleep : bool
        Whether a selection only wakes the speller.
    """

    phase: Phase
    text: str
    phrase: str | None
    labels: tuple[str, ...]
    keys: tuple[Key, ...]
    cue: str | None = None
    flicker_since: float | None = None
    chosen: str | None = None
    right: bool | None = None
    note: str = ""
    asleep: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """One trial that was done to its end.

    Attributes
    ----------
    wanted : str or None
        Label of the target to look at; None where nobody knows (free spelling).
    label : str or None
        What was selected; None: no decision, and `reason` says why.
    unaided : str or None
        What the decoder alone, without a language's prior, found most probable.
    caption, action : str
        Of the key that was selected; "none" where selections do nothing (calibration).
    probability : float or None
        That the decision gives to `label`.
    forced : bool
    seconds : float
        From the cue to the end of the rest.
    reason : str
    """

    wanted: str | None
    label: str | None
    unaided: str | None
    caption: str
    action: str
    probability: float | None
    forced: bool
    seconds: float
    reason: str = ""

    @property
    def right(self) -> bool | None:
        """Whether the wanted target was selected; None where nobody knows."""
        return None if self.wanted is None else self.label == self.wanted
