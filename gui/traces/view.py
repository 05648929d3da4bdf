"""What of the stream is on screen: reads the store, keeps the image up to date; no widget."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np

from bci.clock import now
from bci.config import StageSettings
from bci.types import FloatArray, SampleArray, StreamInfo
from gui.stores import SampleStore
from gui.theme import Theme
from gui.traces.envelope import DisplayFilter, Envelope
from gui.traces.raster import Colour, Raster

__all__ = ["TraceView", "bgr"]

#: The right edge stays so far behind the newest sample: frames come every 0.04 s, and a
#: smooth scroll must never run out of samples.
LAG_S = 0.08
#: Filters are given so much of the past before what is shown, seconds.
LEAD_S = 2.0
#: Steps of the scale, microvolts for a lane.
SCALES_UV = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000)


def bgr(colour: str) -> Colour:
    """A colour ``#rrggbb`` as blue, green, red."""
    return np.array([int(colour[i : i + 2], 16) for i in (5, 3, 1)], np.float32)


class TraceView:
    """A stretch of the stream as an image.

    Parameters
    ----------
    store : SampleStore
    theme : Theme

    Attributes
    ----------
    span_s : float
        Seconds from the left edge to the right.
    uv_per_lane : float
        Microvolts that fill a channel's lane.
    stages : sequence of StageSettings
        Filters for the eye.
    channels : tuple of int
        Columns of the stream that are shown, top to bottom.
    bads : set of str
        Channels drawn in grey.
    raster : Raster or None
        None until there is something to show.
    edge : float
        Sample at the right edge.
    """

    def __init__(self, store: SampleStore, theme: Theme) -> None:
        self.span_s = 10.0
        self.uv_per_lane = 100.0
        self.stages: Sequence[StageSettings] = ()
        self.channels: tuple[int, ...] = ()
        self.bads: frozenset[str] = frozenset()
        self.raster: Raster | None = None
        self.edge = 0.0
        self.frozen = False
        self._theme = theme
        self._store = store
        self._size = (0, 0)
        self._generation = -1
        self._filter: DisplayFilter | None = None
        self._envelope = Envelope(1.0)
        self._offset: FloatArray | None = None
        self._read_to = 0
        self._moved_at = 0.0

    # --- settings ------------------------------------------------------------------------------

    @property
    def info(self) -> StreamInfo | None:
        """The stream that is shown."""
        return self._store.info

    @property
    def width(self) -> float:
        """Samples in a column of pixels."""
        return self._envelope.width

    def resize(self, width: int, height: int) -> None:
        """Set the size of the image in pixels of the screen."""
        if (width, height) != self._size:
            self._size = (width, height)
            self.renew()

    def use(self, theme: Theme) -> None:
        """Draw in the colours of `theme`."""
        self._theme = theme
        self.renew()

    def renew(self) -> None:
        """Draw everything anew at the next `advance`; needed after a change of settings."""
        self.raster = None

    def freeze(self) -> None:
        """Stay where it is."""
        self.frozen = True

    def show_at(self, edge: float) -> None:
        """Freeze with sample `edge` at the right."""
        self.frozen = True
        self.edge = edge
        self.renew()

    def thaw(self) -> None:
        """Follow the stream again."""
        self.frozen = False
        self.edge = self._goal()
        self.renew()

    def fitting_scale(self) -> float:
        """The step of the scale at which most of what is on screen fits the lanes."""
        _, data = self._filtered(*self._shown())
        if not np.isfinite(data).any():
            return self.uv_per_lane
        with np.errstate(invalid="ignore"):
            spread = np.nanpercentile(data, 97.5, axis=0) - np.nanpercentile(data, 2.5, axis=0)
        wanted = 1.2 * float(np.nanmedian(spread))
        return float(next((s for s in SCALES_UV if s >= wanted), SCALES_UV[-1]))

    # --- drawing -------------------------------------------------------------------------------

    def advance(self) -> bool:
        """Take what is new; whether the picture has changed."""
        info = self._store.info
        if info is None or min(self._size) < 2:
            return False
        if self._store.generation != self._generation:
            self._generation = self._store.generation
            self.channels = self.channels or tuple(range(info.n_channels))
            self.channels = tuple(c for c in self.channels if c < info.n_channels)
            self.frozen = False
            self.edge = self._goal()
            self.raster = None
        moved = self._move(info)
        if self.raster is None or (not self.frozen and self._read_to < self._store.oldest):
            self._draw_all(info)
            return True
        if not self.frozen:
            self._draw_new(info)
        return moved

    def _goal(self) -> float:
        info = self._store.info
        return self._store.position - (LAG_S * info.sfreq if info else 0.0)

    def _move(self, info: StreamInfo) -> bool:
        """Move the edge at the stream's pace, gently drawn to where it ought to be."""
        t, before = now(), self.edge
        elapsed, self._moved_at = t - self._moved_at, t
        if self.frozen:
            return False
        goal = self._goal()
        if abs(goal - self.edge) > 0.5 * info.sfreq:
            self.edge = goal
        else:
            self.edge += elapsed * info.sfreq
            self.edge += min(1.0, 4.0 * elapsed) * (goal - self.edge)
            self.edge = max(before, min(self.edge, self._store.position - 1.0))
        return self.edge != before

    def _shown(self) -> tuple[int, int]:
        """First sample on screen, and the one after the last."""
        info = self._store.info
        span = 0.0 if info is None else self.span_s * info.sfreq
        stop = self._store.position if not self.frozen else ceil(self.edge) + 2
        column = span / max(1, self._size[0])  # the left one is only partly on screen
        return floor(self.edge - span - column) - 2, stop

    def _filtered(self, start: int, stop: int) -> tuple[int, FloatArray]:
        """Samples for the eye, of the channels that are shown; the filter stays as they left it."""
        info = self._store.info
        assert info is not None
        self._filter = DisplayFilter(_part(info, self.channels), self.stages)
        lead = round(LEAD_S * info.sfreq) if self.stages else 0
        first, raw = self._store.span(start - lead, stop)
        raw = raw[:, self.channels]
        self._offset = None
        if not self.stages and len(raw):  # an amplifier's offset may be a thousand times the EEG
            finite = np.isfinite(raw).all(axis=1)
            self._offset = raw[finite].mean(axis=0) if finite.any() else None
        data = self._eye(first, raw)
        skip = max(0, start - first)
        return first + skip, data[skip:]

    def _eye(self, start: int, raw: SampleArray) -> FloatArray:
        assert self._filter is not None
        data = self._filter(start, raw)
        if self._offset is not None:
            data -= self._offset
        return data

    def _draw_all(self, info: StreamInfo) -> None:
        width, height = self._size
        slack = max(16, ceil(width * 0.6 / self.span_s))  # columns that are drawn, not yet shown
        self.raster = Raster(width + slack, height, max(1, len(self.channels)))
        self.raster.clear(bgr(self._theme.ground))
        self._envelope = Envelope(self.span_s * info.sfreq / width)
        start, data = self._filtered(*self._shown())
        self._read_to = start + len(data)
        self._draw(*self._envelope.push(start, data))

    def _draw_new(self, info: StreamInfo) -> None:
        start, raw = self._store.span(self._read_to, self._store.position)
        if len(raw) == 0:
            return
        raw = raw[:, self.channels]
        if self._offset is None and not self.stages:
            self._offset = np.nan_to_num(raw.mean(axis=0))
        self._read_to = start + len(raw)
        self._draw(*self._envelope.push(start, self._eye(start, raw)))

    def _draw(self, column: int, low: FloatArray, high: FloatArray) -> None:
        if len(low) == 0 or self.raster is None:
            return
        c = self._theme
        self.raster.draw(
            column, low, high, self.uv_per_lane, self.colours(), bgr(c.ground), bgr(c.gap)
        )

    def colours(self) -> Colour:
        """Colour of each lane, shape (n_lanes, 3): the theme's in turn, grey where bad."""
        info, cycle = self._store.info, self._theme.cycle
        names = [] if info is None else [info.ch_names[c] for c in self.channels]
        return np.array(
            [
                bgr(self._theme.muted if name in self.bads else cycle[channel % len(cycle)])
                for name, channel in zip(names, self.channels, strict=True)
            ]
        ).reshape(-1, 3)


def _part(info: StreamInfo, channels: Sequence[int]) -> StreamInfo:
    """The stream of some of the channels."""
    return StreamInfo(
        info.name,
        info.sfreq,
        tuple(info.ch_names[c] for c in channels),
        tuple(info.ch_types[c] for c in channels),
    )
