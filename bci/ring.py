"""The ring: the newest samples, always contiguous, in fixed memory.

Every sample is written twice, at ``i`` and ``i + capacity``, so that any
stretch of up to `capacity` samples is one contiguous view (no ``np.roll``, no
concatenation; the cost of a chunk does not depend on the ring's length).
One writer; any number of readers, each with its own `Cursor`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from bci.errors import Overrun
from bci.types import SampleArray


class RingBuffer:
    """Newest `capacity` samples of a stream.

    Parameters
    ----------
    capacity : int
        Number of samples kept.
    n_channels : int
    dtype : dtype
        float64 unless told otherwise.
    """

    def __init__(self, capacity: int, n_channels: int, dtype: DTypeLike = np.float64) -> None:
        if capacity < 1 or n_channels < 1:
            raise ValueError(f"a ring of {capacity} samples × {n_channels} channels holds nothing")
        self.capacity = capacity
        self._data = np.empty((2 * capacity, n_channels), dtype)
        self._data.fill(0)  # touched now, so that no page fault comes while streaming
        self.written = 0  # index after the newest sample
        self._valid_from = 0  # samples before this index were never written
        self._writing_to = 0  # samples before this index minus capacity may be overwritten now

    @property
    def oldest(self) -> int:
        """Index of the oldest sample that can be read."""
        return max(self._valid_from, self._writing_to - self.capacity)

    def write(self, data: SampleArray) -> None:
        """Append samples, shape (n_samples, n_channels); at most `capacity` are kept."""
        n = len(data)
        if n > self.capacity:
            self.skip(n - self.capacity)
            data = data[n - self.capacity :]
            n = self.capacity
        self._writing_to = self.written + n
        at = self.written % self.capacity
        first = min(n, self.capacity - at)
        self._data[at : at + n] = data  # runs on into the mirror when it passes the end
        self._data[at + self.capacity : at + self.capacity + first] = data[:first]
        if first < n:
            self._data[: n - first] = data[first:]
        self.written += n

    def skip(self, n: int) -> None:
        """Let the index jump by `n` samples that are not there; older ones are given up."""
        self.written += n
        self._writing_to = self.written
        self._valid_from = self.written

    def view(self, start: int, stop: int) -> SampleArray:
        """Samples ``[start, stop)`` as a view; valid until the writer comes round.

        Raises
        ------
        Overrun
            Some of them are overwritten or were never there.
        ValueError
            They are not written yet, or are more than the ring holds.
        """
        if not start <= stop <= self.written:
            raise ValueError(f"samples {start} to {stop} asked for, {self.written} are written")
        if stop - start > self.capacity:
            raise ValueError(f"{stop - start} samples asked of a ring of {self.capacity}")
        if start < self.oldest:
            raise Overrun(
                self.oldest - start,
                f"samples {start} to {stop} asked for, the oldest still held is {self.oldest}",
            )
        at = start % self.capacity
        return self._data[at : at + stop - start]

    def latest(self, n: int) -> SampleArray:
        """The newest `n` samples (fewer where fewer are there) as a view."""
        return self.view(max(self.oldest, self.written - n), self.written)


class Cursor:
    """A reader's place in a ring; reads copy, so that the writer may go on."""

    def __init__(self, ring: RingBuffer) -> None:
        self._ring = ring
        self.position = ring.written
        self.n_lost = 0

    def read(self) -> SampleArray:
        """All samples since the last call, as a copy; what was overwritten is counted in `n_lost`."""
        ring = self._ring
        stop = ring.written
        while True:
            start = max(self.position, ring.oldest)
            if start >= stop:
                stop = max(stop, start)
                data = (
                    ring.view(stop, stop).copy() if stop <= ring.written else ring.latest(0).copy()
                )
                break
            data = ring.view(start, stop).copy()
            if ring.oldest <= start:  # the writer did not reach us while copying
                break
        self.n_lost += max(0, start - self.position)
        self.position = stop
        return data
