"""The bar of a feedback run: how far what is decoded points to what was cued."""

from __future__ import annotations

from collections.abc import Mapping

from bci.paradigms.timetable import FEEDBACK_OFF, FEEDBACK_ON, cued_label
from bci.types import Bar


class FeedbackBar:
    """Moves with each decision between the markers `feedback_on` and `feedback_off`.

    Its value is the probability of the cued label minus that of the most probable other
    one: 1 is wholly right, 0 undecided, -1 wholly wrong. It starts at 0, and stands still
    where nothing was decoded; the decision's quality says why.

    Parameters
    ----------
    labels : mapping
        Marker value: label; other cues mean the label that they name.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._cued: str | None = None
        self._shown = False
        self._value = 0.0

    def see(self, value: str) -> None:
        """Take notice of a marker."""
        if (label := self._labels.get(value) or cued_label(value)) is not None:
            self._cued, self._shown = label, False
        elif value == FEEDBACK_ON:
            self._shown, self._value = True, 0.0
        elif value == FEEDBACK_OFF:
            self._shown = False

    def move(self, proba: Mapping[str, float]) -> Bar | None:
        """Where the bar stands after a decision of these probabilities; None: it isn't shown."""
        if not self._shown or self._cued is None:
            return None
        held = self._cued not in proba
        if not held:
            others = (p for label, p in proba.items() if label != self._cued)
            self._value = proba[self._cued] - max(others, default=0.0)
        return Bar(self._cued, self._value, held)
