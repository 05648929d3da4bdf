"""A thread and a bounded queue before each output, so that none can slow the decoder."""

from __future__ import annotations

import threading
from collections import deque

from bci.clock import now
from bci.outputs import Output
from bci.types import Decision

#: First and longest pause before an output that failed is opened again, seconds.
BACKOFF_S = (0.1, 5.0)
#: Times that one decision is tried before it counts as dropped.
ATTEMPTS = 3


class OutputWorker:
    """Runs an output in a thread of its own.

    The output is opened, fed and closed in that thread. When it fails it is closed,
    opened again after a growing pause, and given the same decision again, up to
    `ATTEMPTS` times. When the queue is full the oldest decision is dropped.

    After `close`: decisions put = `n_sent` + `n_dropped`, and one more where the
    output still blocks in `send`.

    Parameters
    ----------
    output : Output
    maxlen : int
        Decisions that wait at most.

    Attributes
    ----------
    n_sent, n_dropped, n_errors : int
        Decisions delivered, decisions given up, failed calls of the output.
    last_error : str or None
        What the newest failure said; None after a success.
    """

    def __init__(self, output: Output, maxlen: int = 1000) -> None:
        if maxlen < 1:
            raise ValueError(f"a queue of {maxlen} decisions holds nothing")
        self.name = output.name
        self.n_sent = 0
        self.n_dropped = 0
        self.n_errors = 0
        self.last_error: str | None = None
        self._output = output
        self._maxlen = maxlen
        self._queue: deque[Decision] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._holding = False  # a decision is in the thread's hand
        self._stop_at = float("inf")
        self._opened = threading.Event()
        self._labels: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._run, name=f"output {self.name}", daemon=True)

    def start(self, labels: tuple[str, ...]) -> None:
        """Start the thread, which opens the output for the decoder's classes `labels`."""
        self._labels = labels
        self._thread.start()

    def wait_open(self, timeout_s: float) -> bool:
        """Whether the output is open within `timeout_s`; if not, `last_error` says why."""
        return self._opened.wait(timeout_s)

    @property
    def backlog(self) -> int:
        """Decisions that wait."""
        return len(self._queue)

    def put(self, decision: Decision) -> None:
        """Queue one decision; never waits for the output."""
        with self._changed:
            if self._closing:
                self.n_dropped += 1
                return
            if len(self._queue) >= self._maxlen:
                self._queue.popleft()
                self.n_dropped += 1
            self._queue.append(decision)
            self._changed.notify()

    def close(self, deadline_s: float = 2.0) -> bool:
        """Deliver what waits, for at most `deadline_s`, then stop; the rest counts as dropped.

        Returns whether the thread has ended; if not, the output still blocks (the
        thread is a daemon and does not keep the process alive).
        """
        with self._changed:
            if not self._closing:
                self._closing = True
                self._stop_at = now() + deadline_s
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(deadline_s + 0.1)
        with self._changed:
            self.n_dropped += len(self._queue)
            self._queue.clear()
        return not self._thread.is_alive()

    # --- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        self._open()
        while (decision := self._next()) is not None:
            delivered = self._deliver(decision)
            with self._changed:
                self._holding = False
                self.n_sent += delivered
                self.n_dropped += not delivered
        self._close_output()

    def _must_stop(self) -> bool:
        waiting = self._holding or bool(self._queue)
        return self._closing and (not waiting or now() >= self._stop_at)

    def _next(self) -> Decision | None:
        """Wait for a decision and take the oldest; None when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if self._must_stop():
                return None
            self._holding = True
            return self._queue.popleft()

    def _open(self) -> bool:
        """Open the output, however often it takes; False when it is time to stop first."""
        pause, longest = BACKOFF_S
        while not self._opened.is_set():
            try:
                self._output.open(self._labels)
                self._opened.set()
            except Exception as error:  # an output of another package may raise anything
                self._failed(error)
                if not self._pause(pause):
                    return False
                pause = min(2 * pause, longest)
        return True

    def _deliver(self, decision: Decision) -> bool:
        """Whether the output took the decision, within `ATTEMPTS` and the time to stop."""
        for attempt in range(ATTEMPTS):
            if not self._open():
                return False
            try:
                self._output.send(decision)
            except Exception as error:  # as above
                self._failed(error)
                if attempt + 1 < ATTEMPTS and not self._pause(BACKOFF_S[0] * 2**attempt):
                    return False
            else:
                self.last_error = None
                return True
        return False

    def _failed(self, error: Exception) -> None:
        self._opened.clear()
        self.n_errors += 1
        self.last_error = str(error) or type(error).__name__
        self._close_output()

    def _close_output(self) -> None:
        try:
            self._output.close()
        except Exception as error:  # nothing is left to do about it
            self.last_error = str(error) or type(error).__name__

    def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; False when it is time to stop."""
        until = now() + seconds
        with self._changed:
            while not self._must_stop() and (left := min(until, self._stop_at) - now()) > 0:
                self._changed.wait(left)
            return not self._must_stop()
