"""A screen with a window on it: its refresh rate, its schedule, and frames brought onto it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QPainter, QRegion

from bci.paradigms.frames import FrameSchedule, FrameTiming, measure
from bci.paradigms.graz_run import CueScene
from bci.paradigms.spelling_scene import Scene
from gui.stimulus.surfaces import Surface
from gui.stimulus.window import StimulusWindow

__all__ = ["Screen"]

#: Size and ratio: the picture of a run, which draws its own kind of scene.
Draws = Callable[[QSize, float], Any]
#: Frames before the refresh rate is measured: a window needs some to be there.
WARM_UP = 12
#: A swap of buffers that takes less than this share of a frame did not wait for the screen.
_WAITED = 0.67


class Screen:
    """Shows scenes in their time.

    Parameters
    ----------
    window : StimulusWindow
    surface : Surface
        Of the window.
    draws : callable
        Makes the picture for a size of the window and its device pixels for each of Qt's.
    clock : callable
        Seconds of the engine's clock.
    measure_s : float
        For how long the refresh rate is measured, seconds, with the first frames.

    Attributes
    ----------
    schedule : FrameSchedule
    timing : FrameTiming or None
        None until the screen is measured.
    paced : bool
        No flip waits for the screen: the clock paces them.
    picture : Picture or CuePicture
        For the present size of the window.
    drawn : Scene, CueScene or None
        What is on the screen.
    """

    def __init__(
        self,
        window: StimulusWindow,
        surface: Surface,
        draws: Draws,
        clock: Callable[[], float],
        measure_s: float,
    ) -> None:
        self.timing: FrameTiming | None = None
        self.paced = not surface.waits
        self.drawn: Scene | CueScene | None = None
        self.surface = surface
        self._window, self._draws, self._clock = window, draws, clock
        self._n_wanted = measure_s * window.nominal_hz
        self._flips: list[float] = []  # while the screen is measured
        self.picture = self._new_picture()
        self.schedule = self._new_schedule(window.nominal_hz, clock())

    @property
    def wait_s(self) -> float:
        """Seconds until the next frame is to be drawn.

        0 where its flip waits by itself, unless it does not (a window that is hidden) and
        frames run ahead of their time.
        """
        ahead = self.schedule.time_of(self.schedule.number + 1) - self._clock()
        return max(0.0, ahead if self.paced else ahead - 2.0 * self.schedule.period_s)

    def next(self) -> int:
        """Number of the frame that can be shown now."""
        return self.schedule.next(self._clock())

    def show(self, number: int, scene: Scene | CueScene, levels: Sequence[int] | None) -> float:
        """Draw frame `number` and flip; see `Picture` for `levels`.

        Returns
        -------
        t : float
            When it was flipped, less the whole frames by which it came late: the flicker
            keeps to its schedule, and the next frame is in time again.
        """
        self._paint(scene, levels)
        t = self._clock()
        late = self.schedule.flipped(t) - number
        if self.timing is None:
            self._measure(t)
        return t - late * self.schedule.period_s

    def _paint(self, scene: Scene | CueScene, levels: Sequence[int] | None) -> None:
        whole = scene is not self.drawn or self._window.is_stale or not self.surface.keeps
        if not whole and scene.flicker_since is None and self.timing is not None:
            return  # it is there already
        if self._window.is_stale:
            self.picture = self._new_picture()
            self._window.is_stale = False
        region = QRegion(QRect(0, 0, self._window.width(), self._window.height()))
        if not whole:
            region = self.picture.keys_region
        with QPainter(self.surface.begin(region)) as painter:
            if whole:
                self.picture.draw(painter, scene, levels)
            else:
                self.picture.draw_keys(painter, scene, levels)
        self.surface.flip(region)
        self.drawn = scene

    def _new_picture(self) -> Any:
        return self._draws(self._window.size(), self._window.devicePixelRatio())

    def _new_schedule(self, refresh_hz: float, start: float) -> FrameSchedule:
        return FrameSchedule(1.0 / refresh_hz, start, vsync=not self.paced)

    def _measure(self, t: float) -> None:
        """Take one more flip, and find the refresh rate when there are enough."""
        if self.schedule.n_flips <= WARM_UP:
            return
        nominal = self._window.nominal_hz
        self._flips.append(t)
        if len(self._flips) < self._n_wanted:
            return
        if not self.paced and np.median(np.diff(self._flips)) < _WAITED / nominal:
            self.paced = True
            self._flips = []
            self.schedule = self._new_schedule(nominal, t)
            return
        self.timing = measure(self._flips, nominal, paced=self.paced)
        self.schedule = self._new_schedule(self.timing.refresh_hz, t)
