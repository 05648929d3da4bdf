"""What an adaptive decoder is shown of a session, in the order of its windows and feedback."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from bci.decoders import AdaptiveDecoder, RewardedDecoder
from bci.types import Feedback, FloatArray, Moments, Window

#: Decisions whose windows wait for feedback; of older ones it comes too late.
N_WAITING = 32


class Learner:
    """Shows windows that were decided on to an adaptive decoder, each sample once.

    Windows that overlap the one shown last are passed over, so that how often
    decisions are made doesn't say how fast the decoder adapts; so is the feedback
    to windows that were passed over or refused.

    Parameters
    ----------
    decoder : AdaptiveDecoder
    labels : sequence of any
        Of the decoder, in its order.

    Attributes
    ----------
    n_learnt : int
        What the decoder learnt from: windows, confirmed labels and rewards. Where it
        takes rewards, windows alone don't count.
    n_refused : int
        Those that it refused, and windows of bad quality, which it isn't shown.
    """

    def __init__(self, decoder: AdaptiveDecoder, labels: Any) -> None:
        self.decoder = decoder
        self.labels = np.asarray(labels).tolist()
        self.n_learnt = self.n_refused = 0
        self._from = -1  # first sample, of the processed stream, that was not learnt from yet
        self._waiting: OrderedDict[int, tuple[FloatArray | Moments, int]] = OrderedDict()

    def decided(self, window: Window, seq: int, index: int | None) -> None:
        """Learn from a good window, about which decision `seq` said label `index`, or None."""
        if window.start < self._from:
            return
        self._from = window.stop
        seen: Any = window.moments if window.moments is not None else window.data
        accepted = self.decoder.update(seen)
        if not (accepted and isinstance(self.decoder, RewardedDecoder)):  # it waits to be told
            self._count(accepted)
        if accepted and index is not None:
            # the samples of a window are a view of the ring
            self._waiting[seq] = (seen if isinstance(seen, Moments) else np.array(seen), index)
            if len(self._waiting) > N_WAITING:
                self._waiting.popitem(last=False)

    def rejected(self) -> None:
        """Count a window whose quality, or the decoder's failure on it, forbade a decision."""
        self.n_refused += 1

    def feedback(self, feedback: Feedback) -> None:
        """Learn the label or the reward that feedback gives.

        A decoder that cannot learn from rewards is told the label that a reward
        confirms: the one decided, or the only other one.

        Raises
        ------
        ValueError
            The label is none of the decoder's.
        """
        if feedback.label is not None and feedback.label not in map(str, self.labels):
            raise ValueError(f"label '{feedback.label}' is none of {self.labels}")
        seen, index = self._waiting.pop(feedback.seq, (None, -1))
        if seen is None:
            return
        if feedback.label is not None:
            right = [str(label) for label in self.labels].index(feedback.label)
        elif isinstance(self.decoder, RewardedDecoder):
            self._count(self.decoder.reward(seen, self.labels[index], bool(feedback.correct)))
            return
        elif feedback.correct:
            right = index
        elif len(self.labels) == 2:
            right = 1 - index
        else:
            return  # not which of the others it is
        self._count(self.decoder.update(seen, self.labels[right]))

    def status(self) -> dict[str, int]:
        """How often the decoder has learnt, and how often that was refused."""
        return {"learnt": self.n_learnt, "refused": self.n_refused}

    def _count(self, accepted: bool) -> None:
        self.n_learnt += accepted
        self.n_refused += not accepted
