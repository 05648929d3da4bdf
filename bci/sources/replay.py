"""A recording played as if it were a device: at real speed, n times, or as fast as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from bci.clock import now
from bci.config import SourceSettings
from bci.errors import SourceError
from bci.sources.files import Recording, load_recording
from bci.types import Break, RawMarker, Reading, Samples, SourceState, StreamInfo

__all__ = ["ReplaySettings", "ReplaySource"]


class ReplaySettings(SourceSettings):
    """Replay of a recorded file."""

    kind: Literal["replay"] = "replay"
    path: Path = Field(description="recording: XDF, FIF, EDF, BDF, GDF, BrainVision, EEGLAB, …")
    stream: str | None = Field(None, description="XDF: name, type or id of the stream of samples")
    marker_streams: list[str] | None = Field(
        None, description="XDF: names of the marker streams; null: all of type Markers"
    )
    sfreq: float | None = Field(None, gt=0, description=".npy only: sampling rate, Hz")
    speed: float | None = Field(1.0, gt=0, description="times real speed; null: no waiting at all")
    loop: bool = Field(False, description="start again at the end, after a break")
    chunk: int = Field(16, ge=1, description="samples that arrive at once")

    def build(self) -> ReplaySource:
        """Make the source."""
        return ReplaySource(self)


class ReplaySource:
    """A `bci.sources.Source` that reads from a recording.

    The sample of index i is stamped ``start + i / sfreq`` on the local clock
    (stream time: at another speed than 1 the clock runs faster or slower than
    the stamps) and arrives, with its chunk complete, at ``start + i / (sfreq *
    speed)``. Markers come before the samples that contain their onset, with
    their index. A break of the recording is a `Break` here.

    Parameters
    ----------
    settings : ReplaySettings
    clock, sleep : callable
        The local clock and how to wait on it, both in seconds; another pair
        makes the replay run on a virtual clock.
    """

    def __init__(
        self,
        settings: ReplaySettings,
        clock: Callable[[], float] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.state = SourceState.OPENING
        self.recording: Recording | None = None
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._start = 0.0  # time of index 0
        self._base = 0  # index at which the present pass of the recording began
        self._position = 0  # row of the recording that comes next

    def open(self) -> StreamInfo:
        """Read the file and start the clock; errors as in `load_recording`."""
        asked = self._settings
        self.recording = load_recording(
            asked.path, asked.stream, markers=asked.marker_streams, sfreq=asked.sfreq
        )
        if asked.loop and self.recording.n_samples == 0:
            raise SourceError(f"{asked.path}: holds no sample, so it cannot be played in a loop")
        self._base = self._position = 0
        self._start = self._clock()
        self.state = SourceState.LIVE
        return self.recording.info

    def read(self, timeout_s: float = 0.1) -> list[Reading]:
        """All whole chunks that are due, waiting for the first one; see `Source.read`.

        Without a speed, one chunk at once. At the end of the recording the state
        becomes ENDED and nothing comes any more.
        """
        if self.recording is None or self.state is SourceState.ENDED:
            return []
        readings: list[Reading] = []
        if self._position >= self.recording.n_samples:
            if not self._settings.loop:
                self.state = SourceState.ENDED
                return []
            self._base += self.recording.n_samples
            self._position = 0
            readings.append(Break("the recording starts again"))
        stop = self._wait(timeout_s)
        if stop > self._position:
            readings += self._take(stop)
        return readings

    def close(self) -> None:
        """Let go of the recording."""
        self.recording = None

    def _wait(self, timeout_s: float) -> int:
        """Row up to which chunks are complete, after waiting for the first of them."""
        assert self.recording is not None
        n, chunk, speed = self.recording.n_samples, self._settings.chunk, self._settings.speed
        complete = min(self._position + chunk, n)
        if speed is None:
            return complete
        rate = self.recording.info.sfreq * speed
        due = self._start + (self._base + complete - 1) / rate
        deadline = self._clock() + timeout_s
        while (t := self._clock()) < due:
            if t >= deadline:
                return self._position
            self._sleep(min(due, deadline) - t)
        arrived = int((t - self._start) * rate + 1e-6) + 1 - self._base
        if arrived >= n:
            return n
        whole = self._position + (arrived - self._position) // chunk * chunk
        return max(complete, whole)

    def _take(self, stop: int) -> list[Reading]:
        assert self.recording is not None
        recording, base = self.recording, self._base
        sfreq = recording.info.sfreq
        readings: list[Reading] = []
        for piece in recording.pieces(self._position, stop):
            if piece.broken:
                readings.append(piece.broken)
            for marker in piece.markers:
                index = base + (marker.index or 0)
                readings.append(RawMarker(marker.value, self._start + index / sfreq, index))
            indices = np.arange(base + piece.start, base + piece.stop, dtype=np.float64)
            data = recording.data[piece.start : piece.stop]
            readings.append(Samples(data, self._start + indices / sfreq))
        self._position = stop
        return readings
