"""Stages that look ahead: their by-pass keeps the delay, and no sample is lost or doubled.

Such a stage gives, at each index, what it made of the sample `n_held` before it. Were
its by-pass immediate, `n_held` samples would be missing where it begins and come twice
where it ends, and everything would lie elsewhere than a decoder learnt. So the samples
that the stage holds are kept beside it. By-passed, they come out as they went in; when
the stage comes back it sees them again, and goes on with the next.
"""

from __future__ import annotations

import numpy as np

from bci.dsp import Stage
from bci.dsp.delay import DelayLine
from bci.types import Chunk


class Lookahead:
    """A stage, and the samples that it holds back.

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
        self.active = active
        self._line = DelayLine(n_held)

    @property
    def n_held(self) -> int:
        """Samples by which it lags."""
        return self._line.n

    @property
    def n_waiting(self) -> int:
        """Samples that are held now: fewer than it lags only at the start."""
        return self._line.n_waiting

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        late = self._line(chunk)
        if self.active:
            return self.stage(chunk)
        return Chunk(late.start, np.ascontiguousarray(late.data, np.float64), late.flags)

    def resume(self, at: int) -> None:
        """Use the stage again from sample `at` on; it was `reset` to lie `n_waiting` before."""
        self.active = True
        if self._line.n_waiting:
            self.stage(self._line.waiting(at))
