"""The decode thread's queue: bounded, and when behind it jumps to the newest samples.

A decoder that is late must not decode old samples; what it skips is counted and
becomes a `Gap`, so that the pipeline abstains over it. Recording does not pass
through here, so nothing recorded is ever skipped.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from bci.types import Bypass, Chunk, Command, DecoderSwap, Feedback, Gap, Prior, RawMarker

Note = RawMarker | Gap | Command | DecoderSwap | Feedback | Prior | Bypass

#: Events other than samples that may wait; the oldest are dropped beyond it, and counted.
MAX_NOTES = 10_000


class Item(NamedTuple):
    """A chunk or another event, and when it arrived (seconds of `bci.clock`)."""

    event: Chunk | Note
    arrived: float


class Inbox:
    """Chunks and other events, in the order of arrival.

    Parameters
    ----------
    max_samples : int
        Samples that may wait for the decoder.
    """

    def __init__(self, max_samples: int) -> None:
        self.max_samples = max_samples
        self.backlog = 0  # samples waiting
        self.n_skipped = 0  # samples the decoder never saw
        self.n_dropped_notes = 0
        self._items: deque[Item] = deque()
        self._n_notes = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, event: Chunk | Note, arrived: float) -> None:
        """Add one event; never blocks."""
        with self._changed:
            if isinstance(event, Chunk):
                if self.backlog and self.backlog + len(event.data) > self.max_samples:
                    self._jump_to(event.start, arrived)
                self.backlog += len(event.data)
            else:
                self._n_notes += 1
                if self._n_notes > MAX_NOTES:
                    self._drop_oldest_note()
            self._items.append(Item(event, arrived))
            self._changed.notify_all()

    def _jump_to(self, start: int, arrived: float) -> None:
        waiting = [i.event for i in self._items]
        first = min(
            e.start if isinstance(e, Chunk) else e.at for e in waiting if isinstance(e, Chunk | Gap)
        )
        self.n_skipped += self.backlog
        self._items = deque(i for i in self._items if not isinstance(i.event, Chunk | Gap))
        self._items.append(Item(Gap(first, start, "backlog"), arrived))
        self._n_notes = len(self._items)
        self.backlog = 0

    def _drop_oldest_note(self) -> None:
        oldest = next(
            (i for i, item in enumerate(self._items) if not isinstance(item.event, Chunk | Gap)),
            None,
        )
        if oldest is not None:
            del self._items[oldest]
            self._n_notes -= 1
            self.n_dropped_notes += 1

    def get(self, timeout_s: float) -> list[Item] | None:
        """All that waits; empty after `timeout_s` without any; None when closed and empty."""
        with self._changed:
            if not self._items and not self._closed:
                self._changed.wait(timeout_s)
            if not self._items:
                return None if self._closed else []
            items = list(self._items)
            self._items.clear()
            self._n_notes = 0
            self.backlog = 0
            self._changed.notify_all()
            return items

    def wait_empty(self, timeout_s: float) -> bool:
        """Whether no samples wait within `timeout_s`; for a source that waits for the decoder."""
        with self._changed:
            return self._changed.wait_for(lambda: self.backlog == 0, timeout_s)

    def close(self) -> None:
        """No more will come; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
