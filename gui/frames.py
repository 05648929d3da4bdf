"""How regularly frames come."""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ["FrameTimes"]


class FrameTimes:
    """Times between the newest frames.

    Parameters
    ----------
    n : int
        Frames that are kept.
    """

    def __init__(self, n: int = 300) -> None:
        self._times: deque[float] = deque(maxlen=n)
        self._last: float | None = None

    def tick(self, t: float) -> None:
        """Count a frame at time `t`, seconds."""
        if self._last is not None:
            self._times.append(t - self._last)
        self._last = t

    def clear(self) -> None:
        """Begin anew."""
        self._times.clear()
        self._last = None

    def summary(self) -> tuple[float, float] | None:
        """Frames a second, and the 99th percentile of the time between two, ms; None before two."""
        if not self._times:
            return None
        times = np.array(self._times)
        return 1.0 / float(times.mean()), 1e3 * float(np.quantile(times, 0.99))
