"""Sums over windows of a stream, and over windows beside delayed copies of themselves.

Blocks of samples lie on absolute indices, and sums are only ever added: taking samples
away again would leave a burst's rounding errors behind for as long as the stream runs.
"""

from __future__ import annotations

import numpy as np

from bci.ring import RingBuffer
from bci.types import FloatArray, Moments


class BlockSums:
    """Moments of windows of a stream, or of their embedding with an order and a lag.

    The embedding is that of `bci.decoders.AugmentedCovariance`: copy i of the window
    ``[start, stop)`` starts ``i · lag`` samples later, and all have ``length - order · lag``
    samples (order 1: all of them). Windows come in order of their starts.

    Parameters
    ----------
    samples : RingBuffer
    n_channels : int
    block : int
        Samples in a block; 0: each window is summed by itself.
    n_blocks : int
        Newest blocks to be kept: as many as lie in a window.
    order, lag : int
    """

    def __init__(
        self,
        samples: RingBuffer,
        n_channels: int,
        block: int = 0,
        n_blocks: int = 1,
        order: int = 1,
        lag: int = 1,
    ) -> None:
        self._samples = samples
        self._n_channels = n_channels
        self._block = block
        self.embedding = order, lag
        self._second = RingBuffer(n_blocks, order * n_channels * n_channels) if block else None
        self._first = RingBuffer(n_blocks, n_channels) if block else None

    def over(self, start: int, stop: int) -> Moments | None:
        """Moments of the window ``[start, stop)``; None where it is too short to be embedded."""
        order, lag = self.embedding
        n = stop - start if order == 1 else stop - start - order * lag
        if n < 1:
            return None
        reach = (order - 1) * lag
        if n <= reach:
            return self._stacked(start, n)
        # what all copies share, and what copy i has of its own before and after it
        second, first = self._shared(start + reach, start + n, stop)
        if order == 1:
            return Moments(second[0], first, n)
        before, after = self._pieces(start, stop), self._pieces(start + n, stop)
        return self._assembled(
            _each(second, before[0], after[0]), _each(first, before[1], after[1]), n
        )

    def _delayed(self, start: int, stop: int, end: int) -> FloatArray:
        """Samples ``x(t + d·lag)``, shape (n_times, order, C); zero from `end` on."""
        order, lag = self.embedding
        delayed = np.zeros((stop - start, order, self._n_channels))
        for d in range(order):
            a, b = start + d * lag, min(stop + d * lag, end)
            if a < b:
                delayed[: b - a, d] = self._samples.view(a, b)
        return delayed

    def _sums(self, start: int, stop: int, end: int) -> tuple[FloatArray, FloatArray]:
        """Sums of x(t) x(t + d·lag)ᵀ for each d, shape (order, C, C), and of x."""
        order, c = self.embedding[0], self._n_channels
        delayed = self._delayed(start, stop, end)
        x = np.ascontiguousarray(delayed[:, 0])
        second = (x.T @ delayed.reshape(len(x), -1)).reshape(c, order, c).swapaxes(0, 1)
        return second, np.add.reduce(x)

    def _pieces(self, start: int, end: int) -> tuple[FloatArray, FloatArray]:
        """The same for each of ``order - 1`` stretches of `lag` samples from `start` on.

        What would lie beyond `end` counts as zero: no copy contains it.
        """
        order, lag = self.embedding
        c = self._n_channels
        delayed = self._delayed(start, start + (order - 1) * lag, end)
        x = delayed[:, 0].reshape(order - 1, lag, c)
        second = x.swapaxes(1, 2) @ delayed.reshape(order - 1, lag, order * c)
        return second.reshape(order - 1, c, order, c).swapaxes(1, 2), x.sum(axis=1)

    def _shared(self, start: int, stop: int, end: int) -> tuple[FloatArray, FloatArray]:
        """Sums over what all copies share: whole blocks, and the rest at both ends."""
        if self._second is None or self._first is None:
            return self._sums(start, stop, end)
        a, b = -(-start // self._block), stop // self._block
        if a >= b:
            return self._sums(start, stop, end)
        if a > self._second.written:  # windows before were not decided on
            self._first.skip(a - self._first.written)
            self._second.skip(a - self._second.written)
        for i in range(self._second.written, b):
            second, first = self._sums(i * self._block, (i + 1) * self._block, end)
            self._first.write(first[np.newaxis])
            self._second.write(second.reshape(1, -1))
        shape = (self.embedding[0], self._n_channels, self._n_channels)
        second = np.add.reduce(self._second.view(a, b)).reshape(shape)
        first = np.add.reduce(self._first.view(a, b))
        for edge in ((start, a * self._block), (b * self._block, stop)):
            if edge[0] < edge[1]:
                more = self._sums(*edge, end)
                second, first = second + more[0], first + more[1]
        return second, first

    def _assembled(self, products: FloatArray, first: FloatArray, n: int) -> Moments:
        """Moments from the sums of each copy i, ``products[i, d]`` and ``first[i]``."""
        order, c = self.embedding[0], self._n_channels
        second = np.empty((order, c, order, c))
        blocks = second.swapaxes(1, 2)
        i, j = np.triu_indices(order)
        upper = products[i, j - i]
        blocks[j, i] = upper.swapaxes(1, 2)
        blocks[i, j] = upper
        return Moments(second.reshape(order * c, order * c), first.reshape(-1), n)

    def _stacked(self, start: int, n: int) -> Moments:
        """For windows so short that no sample is in all copies."""
        order, lag = self.embedding
        x = np.concatenate(
            [self._samples.view(start + i * lag, start + i * lag + n) for i in range(order)],
            axis=1,
            dtype=np.float64,
        )
        return Moments(x.T @ x, np.add.reduce(x), n)


def _each(shared: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    """Sums of each copy i: what is shared, pieces before it from i on, pieces after it up to i."""
    each = np.empty((len(before) + 1, *shared.shape))
    each[-1] = shared
    for i in reversed(range(len(before))):
        np.add(each[i + 1], before[i], out=each[i])
    behind = np.zeros_like(shared)
    for i in range(len(after)):
        behind += after[i]
        each[i + 1] += behind
    return each
