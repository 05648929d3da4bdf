"""What the link has received, bounded: the newest samples and the newest decisions.

One thread writes; any may read. What did not fit, or never came, is counted.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.ring import RingBuffer
from bci.types import StreamInfo

__all__ = ["DecisionStore", "SampleStore"]

#: Samples kept for scrolling back: so many seconds, in at most so much memory.
KEPT_S = 300.0
KEPT_BYTES = 64 * 2**20
#: Decisions kept; the engine itself keeps as many for clients that come late.
KEPT_DECISIONS = 4096


class SampleStore:
    """The newest raw samples of the stream.

    Attributes
    ----------
    n_lost : int
        Samples that the engine had and that did not reach this store.
    generation : int
        Grows by one when another stream begins; indices then start anew.
    """

    def __init__(self) -> None:
        self.n_lost = 0
        self.generation = 0
        self._info: StreamInfo | None = None
        self._ring: RingBuffer | None = None
        self._n_seen = 0
        self._lock = Lock()

    @property
    def info(self) -> StreamInfo | None:
        """What the samples are; None before the first description."""
        return self._info

    @property
    def position(self) -> int:
        """Index after the newest sample, counted from the stream's start."""
        ring = self._ring
        return 0 if ring is None else ring.written

    @property
    def oldest(self) -> int:
        """Index of the oldest sample that is kept."""
        ring = self._ring
        return 0 if ring is None else ring.oldest

    def begin(self, info: StreamInfo) -> None:
        """Forget all; samples of `info` follow."""
        row = 4 * info.n_channels * 2  # a ring keeps every sample twice
        capacity = max(1, min(round(KEPT_S * info.sfreq), KEPT_BYTES // row))
        with self._lock:
            self._info = info
            self._ring = RingBuffer(capacity, info.n_channels, np.float32)
            self._n_seen = 0
            self.generation += 1

    def write(self, start: int, data: NDArray[np.float32]) -> None:
        """Take samples that begin at index `start`; those missing before it become NaN."""
        with self._lock:
            ring = self._ring
            if ring is None or len(data) == 0:
                return
            missing = start - ring.written
            if self._n_seen == 0:
                ring.skip(missing)  # whoever comes later did not lose what was before
            elif missing > 0:
                self.n_lost += missing
                n_holes = min(missing, ring.capacity)
                if missing > n_holes:
                    ring.skip(missing - n_holes)
                ring.write(np.full((n_holes, data.shape[1]), np.nan, np.float32))
            ring.write(data)
            self._n_seen += len(data)

    def latest(self, n: int) -> tuple[int, NDArray[np.float32]]:
        """The newest `n` samples, or as many as there are, and the index of the first of them.

        Returns
        -------
        start : int
        data : array, shape (n_samples, n_channels), float32
            A copy, in microvolts; NaN where samples were lost.
        """
        return self.span(self.position - n, self.position)

    def span(self, start: int, stop: int) -> tuple[int, NDArray[np.float32]]:
        """Those of the samples ``[start, stop)`` that are kept; see `latest`."""
        with self._lock:
            ring = self._ring
            if ring is None:
                return 0, np.empty((0, 0), np.float32)
            # a reader may still be asking for what was there before another stream began
            start = min(max(start, ring.oldest), ring.written)
            stop = max(start, min(stop, ring.written))
            return start, ring.view(start, stop).astype(np.float32)


class DecisionStore:
    """The newest decisions, as they are on the wire (`bci.types.Decision.to_json`).

    Attributes
    ----------
    n_lost : int
        Decisions whose number shows that they were made and did not come.
    """

    def __init__(self) -> None:
        self.n_lost = 0
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT_DECISIONS)
        self._lock = Lock()

    @property
    def last_seq(self) -> int:
        """Number of the newest decision; -1 before the first."""
        with self._lock:
            return int(self._kept[-1]["seq"]) if self._kept else -1

    def begin(self) -> None:
        """Forget all; another session follows."""
        with self._lock:
            self._kept.clear()

    def append(self, decision: dict[str, Any]) -> None:
        """Take the next decision."""
        with self._lock:
            if self._kept:
                self.n_lost += max(0, decision["seq"] - self._kept[-1]["seq"] - 1)
            self._kept.append(decision)

    def since(self, seq: int) -> list[dict[str, Any]]:
        """The kept decisions with a number above `seq`, oldest first; -1: all."""
        newer = []
        with self._lock:
            for decision in reversed(self._kept):
                if decision["seq"] <= seq:
                    break
                newer.append(decision)
        return newer[::-1]
