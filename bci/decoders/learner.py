"""What an adaptive decoder is shown of a session, in the order of its windows and feedback."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from bci.decoders import AdaptiveDecoder
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
        Windows, and confirmed labels, that the decoder learnt from.
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
        if self._count(self.decoder.update(seen)) and index is not None:
            # the samples of a window are a view of the ring
            self._waiting[seq] = (seen if isinstance(seen, Moments) else np.array(seen), index)
            if len(self._waiting) > N_WAITING:
                self._waiting.popitem(last=False)

    def rejected(self) -> None:
        """Count a window whose quality, or the decoder's failure on it, forbade a decision."""
        self.n_refused += 1

    def feedback(self, feedback: Feedback) -> None:
        """Learn the label that feedback confirms: the one decided, or the only other one."""
        seen, index = self._waiting.pop(feedback.seq, (None, -1))
        if seen is None:
            return
        if feedback.correct:
            self._count(self.decoder.update(seen, self.labels[index]))
        elif len(self.labels) == 2:
            self._count(self.decoder.update(seen, self.labels[1 - index]))

    def status(self) -> dict[str, int]:
        """How often the decoder has learnt, and how often that was refused."""
        return {"learnt": self.n_learnt, "refused": self.n_refused}

    def _count(self, accepted: bool) -> bool:
        self.n_learnt += accepted
        self.n_refused += not accepted
        return accepted
