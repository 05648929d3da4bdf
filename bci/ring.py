"""The ring: the newest samples, always contiguous, in fixed memory.

Every sample is written twice, at ``i`` and ``i + capacity``, so that any
stretch of up to `capacity` samples is one contiguous view (no ``np.roll``, no
concatenation; the cost of a chunk does not depend on the ring's length).
One writer; any number of readers, each with its own `Cursor`.

Writer and readers share no lock. The writer first announces what it is about
to overwrite (`oldest` moves on), then writes, then says that it is there
(`written` moves on). A reader copies, looks at `oldest` again, and gives up
what may have been overwritten under its hands.
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

    Attributes
    ----------
    written : int
        Index after the newest sample.
    """

    def __init__(self, capacity: int, n_channels: int, dtype: DTypeLike = np.float64) -> None:
        if capacity < 1 or n_channels < 1:
            raise ValueError(f"a ring of {capacity} samples × {n_channels} channels holds nothing")
        self.capacity = capacity
        self._data = np.empty((2 * capacity, n_channels), dtype)
        self._data.fill(0)  # touched now, so that no page fault comes while streaming
        self.written = 0
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
        index = self.written + n
        self._valid_from = index  # first: no reader may take what is skipped for samples
        self._writing_to = index
        self.written = index

    def view(self, start: int, stop: int) -> SampleArray:
        """Samples ``[start, stop)`` as a view, for the writer's thread; others use a `Cursor`.

        It is valid until the writer comes round.

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
        return self._span(start, stop)

    def _span(self, start: int, stop: int) -> SampleArray:
        at = start % self.capacity
        return self._data[at : at + stop - start]

    def latest(self, n: int) -> SampleArray:
        """The newest `n` samples (fewer where fewer are there) as a view."""
        return self.view(max(self.oldest, self.written - n), self.written)


class Cursor:
    """A reader's place in a ring, in whatever thread; starts after the newest sample.

    Attributes
    ----------
    position : int
        Index of the sample to be read next.
    n_lost : int
        Samples that were overwritten before this reader came to them.
    """

    def __init__(self, ring: RingBuffer) -> None:
        self._ring = ring
        self.position = ring.written
        self.n_lost = 0

    def read(self) -> SampleArray:
        """All samples since the last call, as a copy that the writer does not touch."""
        ring = self._ring
        stop = ring.written
        start = max(self.position, ring.oldest)
        data = ring._span(start, max(start, stop)).copy()
        if (torn := ring.oldest - start) > 0:  # the writer came round while we copied
            data = data[torn:]
            start += torn
        self.n_lost += start - self.position
        self.position = max(start, stop)
        return data
