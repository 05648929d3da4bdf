"""Flips on one side, samples on the other: what a timing check has collected so far."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from bci.clock import now
from bci.errors import SourceError
from bci.paradigms.timing_check import TimingCheck, check
from bci.types import FloatArray
from gui.stores import SampleStore

__all__ = ["TimingMeter"]

#: Samples before the first flip that are looked at, seconds.
BEFORE_S = 2.0
#: Looks at the engine's clock that are kept.
MAX_LOOKS = 4096


class TimingMeter:
    """Collects flips and the times of samples, and compares them.

    Attributes
    ----------
    flips : list of (time, white)
        Changes of the patch, seconds of `bci.clock.now`.
    clock_off_s : float
        How far the engine's clock is from this computer's, at most, seconds.
    """

    def __init__(self) -> None:
        self.flips: list[tuple[float, bool]] = []
        self.clock_off_s = math.inf
        self._line: deque[tuple[int, float]] = deque(maxlen=MAX_LOOKS)  # sample and its time

    @property
    def seconds(self) -> float:
        """Time from the first flip to the newest."""
        return self.flips[-1][0] - self.flips[0][0] if self.flips else 0.0

    def follow(self, status: Mapping[str, Any]) -> None:
        """Take note of where the engine's samples are in time (``GET /v1/status``)."""
        source = status.get("source", {})
        if source.get("t_next") is not None:
            sample = int(source["n_received"])
            if not self._line or sample > self._line[-1][0]:
                self._line.append((sample, float(source["t_next"])))
        if "clock" in status:
            self.clock_off_s = min(self.clock_off_s, abs(now() - status["clock"]))

    def compare(self, samples: SampleStore, channel: str) -> TimingCheck:
        """Judge what came in so far.

        Raises
        ------
        SourceError
            See `bci.paradigms.timing_check.check`.
        """
        info = samples.info
        if info is None or channel not in info.ch_names or len(self._line) < 2 or not self.flips:
            raise SourceError("no flips or no samples have come yet")
        start, data = samples.latest(samples.position)
        times = self._times(start + np.arange(len(data)), info.sfreq)
        began = times >= self.flips[0][0] - BEFORE_S
        signal = data[began, info.ch_names.index(channel)].astype(np.float64)
        return check(signal, times[began], self.flips, channel)

    def _times(self, numbers: np.ndarray, sfreq: float) -> FloatArray:
        """Times of samples: between two looks on the line through both, beyond at the rate."""
        at, t = np.array(self._line).T
        times = np.interp(numbers, at, t)
        times += np.minimum(0.0, numbers - at[0]) / sfreq
        times += np.maximum(0.0, numbers - at[-1]) / sfreq
        return np.asarray(times)
