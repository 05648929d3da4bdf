"""A recorder in a thread of its own, behind a queue bounded in bytes.

Nothing is ever dropped: when the disk is slower than the stream the queue
grows, and when it is full the caller waits (`RecorderState.BLOCKED`). When
recording has failed nobody waits: what comes is counted as not recorded.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from threading import Condition, Thread
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike

from bci.errors import RecordingError
from bci.recording.writer import FLUSH_S, Recorder, RecorderState, RecorderStatus
from bci.types import FloatArray, SampleArray, StreamInfo

QUEUE_BYTES = 256 << 20
#: What an entry of the queue costs beside its samples.
ENTRY_BYTES = 256

T = TypeVar("T")

_log = logging.getLogger(__name__)


class RecorderThread:
    """A `Recorder` with the same methods, which return at once; safe for many callers.

    Parameters
    ----------
    recorder : Recorder
        Just opened; belongs to the thread from now on.
    capacity : int
        Bytes of samples that may wait for the disk.
    """

    def __init__(self, recorder: Recorder, capacity: int = QUEUE_BYTES) -> None:
        self.path = recorder.path
        self.capacity = capacity
        self._recorder = recorder
        self._changed = Condition()
        self._entries: deque[tuple[Callable[[], object], int]] = deque()
        self._queued = 0
        self._n_waiting = 0
        self._n_refused = 0
        self._closing = False
        self._thread = Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def __enter__(self) -> RecorderThread:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_stream(
        self, info: StreamInfo, *, dtype: DTypeLike = np.float64, created_at: float = 0.0
    ) -> int:
        """As `Recorder.add_stream`; waits for the thread."""
        return self._ask(
            lambda: self._recorder.add_stream(info, dtype=dtype, created_at=created_at)
        )

    def add_marker_stream(self, name: str, source_id: str = "") -> int:
        """As `Recorder.add_marker_stream`; waits for the thread."""
        return self._ask(lambda: self._recorder.add_marker_stream(name, source_id))

    def write_samples(self, stream_id: int, data: SampleArray, stamps: FloatArray) -> None:
        """As `Recorder.write_samples`, later: the arrays are copied."""
        self._recorder.check(stream_id, data, stamps)
        data, stamps = data.copy(), stamps.copy()
        self._put(
            lambda: self._recorder.write_samples(stream_id, data, stamps),
            data.nbytes + stamps.nbytes,
            len(data),
        )

    def write_marker(self, stream_id: int, text: str, t: float) -> None:
        """As `Recorder.write_marker`, later."""
        self._put(lambda: self._recorder.write_marker(stream_id, text, t), len(text), 1)

    def write_clock_offset(self, stream_id: int, t: float, offset: float) -> None:
        """As `Recorder.write_clock_offset`, later."""
        self._put(lambda: self._recorder.write_clock_offset(stream_id, t, offset), 0, 0)

    def flush(self) -> None:
        """Hand all that was written so far to the operating system, and wait for it."""
        with suppress(RecordingError):  # closed: it is there already
            self._ask(self._recorder.flush)

    def close(self, timeout_s: float = 60.0) -> None:
        """Record what waits, close the file, end the thread; harmless when called twice.

        Raises
        ------
        RecordingError
            The disk did not take what waits within `timeout_s`.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise RecordingError(
                f"{self.path} is not closed: the disk did not take the last {self._queued} bytes "
                f"within {timeout_s:g} s"
            )

    @property
    def state(self) -> RecorderState:
        """Where recording stands."""
        state = self._recorder.state
        if state is RecorderState.RECORDING and self._n_waiting:
            return RecorderState.BLOCKED
        return state

    @property
    def status(self) -> RecorderStatus:
        """The state in numbers, with the queue's."""
        status = self._recorder.status
        return replace(
            status,
            state=self.state,
            n_not_recorded=status.n_not_recorded + self._n_refused,
            queued_bytes=self._queued,
            message=status.message
            or ("the disk is too slow: acquisition waits for it" if self._n_waiting else ""),
        )

    def _ask(self, task: Callable[[], T]) -> T:
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(task())
            except Exception as error:  # it is the caller's, and reaches the caller
                answer.set_exception(error)

        if not self._put(run, 0, 0):
            raise RecordingError(f"{self.path} is closed and takes nothing more")
        return answer.result()

    def _put(self, task: Callable[[], object], n_bytes: int, n_samples: int) -> bool:
        """Queue `task`, waiting while the queue is full; False once the recorder is closed."""
        n_bytes += ENTRY_BYTES
        with self._changed:
            if not self._has_room(n_bytes):
                self._n_waiting += 1
                self._changed.wait_for(lambda: self._has_room(n_bytes))
                self._n_waiting -= 1
            if self._closing:
                self._n_refused += n_samples
                return False
            self._entries.append((task, n_bytes))
            self._queued += n_bytes
            self._changed.notify_all()
            return True

    def _has_room(self, n_bytes: int) -> bool:
        # an entry larger than the queue may pass alone
        return self._closing or not self._queued or self._queued + n_bytes <= self.capacity

    def _run(self) -> None:
        while self._serve():
            pass
        self._guard(self._recorder.close)

    def _serve(self) -> bool:
        """Record what waits, or wait for it; False when closing and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._closing, FLUSH_S / 4)
            entries = list(self._entries)
            self._entries.clear()
        for task, n_bytes in entries:
            self._guard(task)
            with self._changed:
                self._queued -= n_bytes
                self._changed.notify_all()
        self._guard(self._recorder.tick)
        return bool(entries) or not self._closing

    def _guard(self, task: Callable[[], object]) -> None:
        # whatever happens here must neither end the thread nor hold up acquisition
        try:
            task()
        except Exception as error:
            _log.exception("the recorder failed")
            self._recorder.fail(f"unexpected {type(error).__name__}: {error}")
