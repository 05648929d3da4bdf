"""A delay of whole samples, flags included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bci.types import Chunk, Flag, FloatArray


class DelayLine:
    """Gives each sample `n` samples after it came, so that a stage may look ahead.

    Until the first real sample comes out, the very first one is held, under a rejecting
    flag "delay": nothing is to be decided on it.

    Parameters
    ----------
    n : int
        Samples of delay; 0: chunks pass as they are.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._held: FloatArray | None = None  # the newest n samples; None: none has come yet
        self._flags: tuple[Flag, ...] = ()  # of samples that are still held, in output indices
        self.n_waiting = 0  #: samples that came and did not come out yet

    def __call__(self, chunk: Chunk) -> Chunk:
        """Take a chunk in, and give as many samples out."""
        if self.n == 0 or len(chunk.data) == 0:
            return chunk
        mine = [replace(f, start=f.start + self.n, stop=f.stop + self.n) for f in chunk.flags]
        if self._held is None:
            self._held = np.repeat(np.asarray(chunk.data[:1], np.float64), self.n, axis=0)
            mine.insert(0, Flag(chunk.start, chunk.start + self.n, "delay"))
        both = np.concatenate([self._held, chunk.data])
        self._held = both[len(chunk.data) :]
        self.n_waiting = min(self.n, self.n_waiting + len(chunk.data))
        flags = (*self._flags, *mine)
        self._flags = tuple(
            replace(f, start=max(f.start, chunk.stop)) for f in flags if f.stop > chunk.stop
        )
        out = tuple(replace(f, stop=min(f.stop, chunk.stop)) for f in flags if f.start < chunk.stop)
        return Chunk(chunk.start, both[: len(chunk.data)], out)

    def waiting(self, stop: int) -> Chunk:
        """The samples that did not come out yet, as they came; the newest is before `stop`."""
        start = stop - self.n_waiting
        held = np.empty((0, 0)) if self._held is None else self._held[self.n - self.n_waiting :]
        flags = (
            replace(f, start=max(f.start - self.n, start), stop=f.stop - self.n)
            for f in self._flags
        )
        return Chunk(start, held, tuple(f for f in flags if f.start < f.stop))
