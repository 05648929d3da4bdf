"""Stages that look ahead: their by-pass keeps the delay, and no sample is lost or doubled.

Such a stage gives, at each index, what it made of the sample `n_held` before it. Were
its by-pass immediate, `n_held` samples would be missing where it begins and come twice
where it ends, and everything would lie elsewhere than a decoder learnt. So the samples
that the stage holds are kept beside it. By-passed, they come out as they went in; when
the stage comes back it sees them again, and goes on with the next.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bci.dsp import Stage
from bci.types import Chunk, FloatArray


class Lookahead:
    """A stage, and the samples that it holds back.

    Before the first sample the stream is taken to have had its value.

    Parameters
    ----------
    stage : Stage
        Of the same channels and rate behind it as before it; it was just `reset`.
    n_held : int
        Samples by which its output lags its input.
    active : bool
        False: it is by-passed.
    """

    def __init__(self, stage: Stage, n_held: int, active: bool) -> None:
        self.stage = stage
        self.n_held = n_held
        self.active = active
        self._held: Chunk | None = None  # the newest samples, at most n_held; None: none yet

    @property
    def n_waiting(self) -> int:
        """Samples held now: fewer than `n_held` only at the start."""
        return 0 if self._held is None else len(self._held.data)

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        if len(chunk.data) == 0 and (self.active or self._held is None):
            return self.stage(chunk) if self.active else _contiguous(chunk)
        seen = _contiguous(chunk) if self._held is None else _after(self._held, chunk)
        newest = max(seen.start, seen.stop - self.n_held)
        self._held = _from(seen, newest)
        return self.stage(chunk) if self.active else self._delayed(seen, chunk)

    def resume(self) -> None:
        """Use the stage again, which was just `reset` to lie `n_waiting` samples back."""
        self.active = True
        if self._held is not None:
            self.stage(self._held)

    def _delayed(self, seen: Chunk, chunk: Chunk) -> Chunk:
        """Samples of `seen` that come out while `chunk` goes in, with their flags."""
        n = self.n_held
        rows = np.arange(chunk.start, chunk.stop) - n - seen.start
        out = seen.data[np.maximum(rows, 0)]
        late = (
            replace(f, start=max(f.start + n, chunk.start), stop=min(f.stop + n, chunk.stop))
            for f in seen.flags
        )
        return Chunk(chunk.start, out, tuple(f for f in late if f.start < f.stop))


def _contiguous(chunk: Chunk) -> Chunk:
    return Chunk(chunk.start, np.ascontiguousarray(chunk.data, np.float64), chunk.flags)


def _after(held: Chunk, chunk: Chunk) -> Chunk:
    data: FloatArray = np.concatenate([held.data, chunk.data], dtype=np.float64)
    return Chunk(held.start, data, held.flags + chunk.flags)


def _from(chunk: Chunk, start: int) -> Chunk:
    """The samples of a chunk from `start` on, as a copy, and their flags."""
    flags = (replace(f, start=max(f.start, start)) for f in chunk.flags if f.stop > start)
    return Chunk(start, chunk.data[start - chunk.start :].copy(), tuple(flags))
