"""Decisions and samples to clients of any speed, without a queue per client.

Decisions go into one ring of the newest `BACKLOG`; every client has its own
place in it. A client that falls behind finds its place overwritten, goes on at
the oldest that is left, and the difference is what it lost: exact, per client,
in memory that does not grow with clients or with time, and the decode thread
pays the same for none as for twenty. Samples are read from the engine's ring in
the same way.

`DecisionFeed.publish` belongs to the decode thread; all else runs in the
server's event loop.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal

import numpy as np

from bci.api.wire import SampleFrame, dumps, info_to_json
from bci.ring import Cursor, RingBuffer
from bci.types import Decision, StreamInfo

__all__ = ["BACKLOG", "Client", "DecisionFeed", "SampleFeed"]

#: Newest decisions kept for clients that are slow or come back.
BACKLOG = 4096
#: Seconds between two frames of samples.
FRAME_S = 0.04
#: Seconds of samples that a client may lag behind before it loses the oldest.
MAX_LAG_S = 2.0

CountDrops = Callable[[str, int], None]


@dataclass(slots=True)
class Client:
    """One WebSocket and its account: whatever was published was sent, is waiting, or is lost."""

    feed: Literal["decisions", "samples"]
    address: str
    sent: int = 0
    lost: int = 0

    def lose(self, n: int, count_drops: CountDrops) -> None:
        """Book `n` decisions or samples as lost, here and in the engine's telemetry."""
        if n > 0:
            self.lost += n
            count_drops(f"api/{self.feed}", n)


@dataclass(slots=True)
class _Entry:
    position: int
    decision: Decision
    text: str | None = None  # encoded once, by the first client that needs it

    def encoded(self) -> str:
        if self.text is None:
            self.text = dumps(self.decision.to_json())
        return self.text


class DecisionFeed:
    """The newest decisions, and who waits for more.

    Parameters
    ----------
    count_drops : callable
        Takes a queue's name and a number, `Telemetry.count_drops`.
    backlog : int
        Number of decisions kept.
    """

    def __init__(self, count_drops: CountDrops, backlog: int = BACKLOG) -> None:
        self._count_drops = count_drops
        self._entries: list[_Entry | None] = [None] * backlog
        self._stop = 0  # position after the newest; positions count publications from 0
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._wake_due = False
        self._ended = False
        self._waiting: set[asyncio.Event] = set()
        self._places: dict[int, int] = {}  # id of client: position it sends next

    # --- decode thread ---

    def publish(self, decision: Decision) -> None:
        """Take a decision; never blocks, and wakes the loop only where a client waits."""
        position = self._stop
        self._entries[position % len(self._entries)] = _Entry(position, decision)
        self._stop = position + 1
        if self._waiting and not self._wake_due:
            self._wake_due = True
            self._bell.put(True)

    # --- bell thread ---

    def _ring_through(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._bell.get():
            loop.call_soon_threadsafe(self._wake)

    # --- event loop ---

    @contextmanager
    def attached(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Let `publish` wake `loop`, the one that `serve` runs in.

        A thread passes the call on: waking a loop is a system call that gives up
        the GIL, and the decode thread would get it back only when the loop has
        served its clients (0.4 ms at the 99th percentile with three of them).
        """
        thread = Thread(target=self._ring_through, args=(loop,), name="bci-api-bell", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._bell.put(False)
            thread.join()

    async def finish(self, timeout_s: float) -> None:
        """Let every `serve` return once its client has the newest decision; wait for that."""
        self._ended = True
        self._wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._places:
                    await asyncio.sleep(0.01)

    def _wake(self) -> None:
        self._wake_due = False  # before the clients look, so that what comes later wakes again
        for event in self._waiting:
            event.set()

    @property
    def _start(self) -> int:
        return max(0, self._stop - len(self._entries))

    def place(self, seq: int | None) -> int:
        """Find the first decision kept with a number above `seq`; None: the next to come."""
        if seq is None:
            return self._stop
        kept = range(self._start, self._stop)
        return bisect_right(kept, seq, key=self._seq_at) + kept.start

    def _seq_at(self, position: int) -> int:
        entry = self._entries[position % len(self._entries)]
        assert entry is not None
        return entry.decision.seq

    async def serve(
        self, client: Client, send: Callable[[str], Awaitable[None]], place: int
    ) -> None:
        """Send decisions from `place` on, until `finish`."""
        event = asyncio.Event()
        try:
            while True:
                self._places[id(client)] = place
                event.clear()
                self._waiting.add(event)  # before looking: a decision published now wakes us
                if place < self._stop:
                    self._waiting.discard(event)
                    place = await self._send_next(client, send, place)
                elif self._ended:
                    return
                else:
                    await event.wait()
        finally:
            self._waiting.discard(event)
            self._places.pop(id(client), None)

    async def _send_next(
        self, client: Client, send: Callable[[str], Awaitable[None]], place: int
    ) -> int:
        entry = self._entries[place % len(self._entries)]
        if entry is None or entry.position != place:  # overwritten meanwhile
            oldest = max(place + 1, self._start)
            client.lose(oldest - place, self._count_drops)
            return oldest
        await send(entry.encoded())
        client.sent += 1
        self._places[id(client)] = place + 1
        await asyncio.sleep(0)  # others take their turn, and the GIL is let go
        return place + 1

    def account(self, client: Client) -> dict[str, Any]:
        """Say what `client` was sent, what it lost (noticed or not), and what waits for it."""
        stop = self._stop
        place = self._places.get(id(client), stop)
        overrun = max(0, self._start - place)
        return {
            "sent": client.sent,
            "lost": client.lost + overrun,
            "waiting": max(0, stop - place - overrun),
        }


class SampleFeed:
    """Raw samples for display, some 25 frames a second.

    Parameters
    ----------
    stream : callable
        Returns the ring and what is in it, or None while no stream is open.
    count_drops : callable
        Takes a queue's name and a number, `Telemetry.count_drops`.
    """

    def __init__(
        self, stream: Callable[[], tuple[RingBuffer, StreamInfo] | None], count_drops: CountDrops
    ) -> None:
        self._stream = stream
        self._count_drops = count_drops

    async def serve(
        self,
        client: Client,
        send_text: Callable[[str], Awaitable[None]],
        send_bytes: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Send the stream's description, then frames; both again when the stream is another."""
        ring: RingBuffer | None = None
        while True:
            stream = self._stream()
            if stream is not None:
                if stream[0] is not ring:
                    ring, info = stream
                    cursor = Cursor(ring)
                    await send_text(dumps(info_to_json(info)))
                frame = self._next_frame(client, cursor, ring, info)
                if frame is not None:
                    await send_bytes(frame.to_bytes())
                    client.sent += len(frame.data)
            await asyncio.sleep(FRAME_S)

    def _next_frame(
        self, client: Client, cursor: Cursor, ring: RingBuffer, info: StreamInfo
    ) -> SampleFrame | None:
        if cursor.position == ring.written:
            return None
        lag = max(1, min(ring.capacity, round(MAX_LAG_S * info.sfreq)))
        excess = ring.written - lag - cursor.position
        if excess > 0:
            cursor.position += excess
        lost_before = cursor.n_lost
        data = cursor.read()
        client.lose(max(0, excess) + cursor.n_lost - lost_before, self._count_drops)
        if not len(data):
            return None
        return SampleFrame(
            cursor.position - len(data), info.sfreq, np.ascontiguousarray(data, np.float32)
        )
