"""From samples to what a column of pixels shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np
from numpy.typing import NDArray

from bci.config import StageSettings
from bci.dsp import Stage
from bci.types import Chunk, FloatArray, SampleArray, StreamInfo

__all__ = ["DisplayFilter", "Envelope"]


class DisplayFilter:
    """Filters for the eye alone: causal, begun anew after each loss.

    Parameters
    ----------
    info : StreamInfo
    stages : sequence of StageSettings
        Filters of `bci.dsp.filters`; those that do not fit the rate raise `ConfigError`.
    """

    def __init__(self, info: StreamInfo, stages: Sequence[StageSettings]) -> None:
        self._info = info
        self._stages: list[Stage] = [settings.build() for settings in stages]
        self._broken = True
        for stage in self._stages:
            stage.reset(info)

    def __call__(self, start: int, data: SampleArray) -> FloatArray:
        """Filter consecutive samples, shape (n_samples, n_channels); lost ones (NaN) stay NaN."""
        out = np.full(data.shape, np.nan)
        good: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(data), axis=1)
        edges = np.flatnonzero(np.diff(good.astype(np.int8), prepend=0, append=0))
        for first, stop in edges.reshape(-1, 2).tolist():
            chunk = Chunk(start + first, data[first:stop])
            for stage in self._stages:
                if self._broken or first > 0:
                    stage.reset(self._info, chunk.start)
                chunk = stage(chunk)
            self._broken = False
            out[first:stop] = chunk.data
        if len(data) and not good[-1]:
            self._broken = True
        return out


class Envelope:
    """Smallest and largest value of a polyline through the samples within each column.

    Column c reaches from sample ``c * width`` to ``(c + 1) * width``, so columns do not
    depend on how the samples come, and do not shimmer while they scroll.

    Parameters
    ----------
    width : float
        Samples in a column; below 1 where a sample is wider than a pixel.
    """

    def __init__(self, width: float) -> None:
        self.width = width
        self._data: FloatArray | None = None  # from the first sample of the next column on
        self._start = 0
        self._column = 0

    def push(self, start: int, data: FloatArray) -> tuple[int, FloatArray, FloatArray]:
        """Take the next samples, shape (n_samples, n_channels).

        Returns
        -------
        column : int
            The first of the columns that are complete now.
        low, high : array, shape (n_columns, n_channels)
            NaN in a column that holds a lost sample.
        """
        if self._data is None:
            self._data, self._start = data, start
            self._column = -floor(-start / self.width)
        else:
            self._data = np.concatenate([self._data, data])
        stop = self._start + len(self._data)
        first, end = self._column, floor((stop - 1) / self.width)
        while end * self.width > stop - 1:  # rounding
            end -= 1
        if end <= first:
            empty = np.empty((0, data.shape[1]))
            return first, empty, empty
        low, high = self._extremes(first, end)
        self._column = end
        keep = floor(end * self.width)
        self._data = self._data[keep - self._start :]
        self._start = keep
        return first, low, high

    def _extremes(self, first: int, end: int) -> tuple[FloatArray, FloatArray]:
        assert self._data is not None
        edges = np.arange(first, end + 1) * self.width - self._start
        left = np.clip(np.floor(edges).astype(np.intp), 0, len(self._data) - 1)
        right = np.minimum(left + 1, len(self._data) - 1)
        part = np.clip(edges - left, 0.0, 1.0)[:, None]
        at = self._data[left] * (1.0 - part) + self._data[right] * part
        low, high = np.minimum(at[:-1], at[1:]), np.maximum(at[:-1], at[1:])
        inner: NDArray[np.intp] = np.ceil(edges).astype(np.intp)
        held = np.flatnonzero(inner[1:] > inner[:-1])  # columns with a sample in them
        if len(held):
            samples = self._data[: inner[-1]]
            low[held] = np.minimum(low[held], np.minimum.reduceat(samples, inner[held]))
            high[held] = np.maximum(high[held], np.maximum.reduceat(samples, inner[held]))
        return low, high
