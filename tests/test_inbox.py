"""The bounded way into the decode thread."""

import numpy as np

from bci.inbox import MAX_NOTES, Inbox
from bci.types import Chunk, Gap, RawMarker


def chunk(start, n=10):
    return Chunk(start, np.zeros((n, 1)))


def test_order_is_kept():
    inbox = Inbox(100)
    marker = RawMarker("x", 0.0)
    for event in (chunk(0), marker, chunk(10)):
        inbox.put(event, 1.0)
    assert inbox.backlog == 20
    events = [item.event for item in inbox.get(0)]
    assert [type(e) for e in events] == [Chunk, RawMarker, Chunk]
    assert inbox.get(0) == []


def test_when_behind_it_jumps_to_the_newest_and_says_so():
    inbox = Inbox(30)
    for k in range(10):
        inbox.put(chunk(10 * k), float(k))
        if k == 1:
            inbox.put(RawMarker("kept", 0.0), 1.0)
    events = [item.event for item in inbox.get(0)]
    chunks = [e for e in events if isinstance(e, Chunk)]
    gaps = [e for e in events if isinstance(e, Gap)]
    assert [c.start for c in chunks] == [90]
    assert any(isinstance(e, RawMarker) for e in events)
    assert inbox.n_skipped == 90
    assert gaps[-1].resume == 90


def test_a_gap_covers_all_that_was_skipped():
    inbox = Inbox(20)
    for k in range(7):
        inbox.put(chunk(10 * k), 0.0)
    events = [item.event for item in inbox.get(0)]
    gap = next(e for e in events if isinstance(e, Gap))
    first_chunk = next(e for e in events if isinstance(e, Chunk))
    assert (gap.at, gap.resume) == (0, first_chunk.start)


def test_other_events_are_bounded_too():
    inbox = Inbox(100)
    for _ in range(MAX_NOTES + 5):
        inbox.put(RawMarker("x", 0.0), 0.0)
    assert len(inbox.get(0)) == MAX_NOTES
    assert inbox.n_dropped_notes == 5


def test_what_waits_can_be_taken_after_closing():
    inbox = Inbox(100)
    inbox.put(chunk(0), 0.0)
    inbox.close()
    assert len(inbox.get(0)) == 1
    assert inbox.get(10) is None
