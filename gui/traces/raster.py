"""The image of the traces, a ring of columns in memory; numpy draws, Qt copies it to the screen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bci.types import FloatArray

__all__ = ["Raster"]

#: A trace may leave its lane by so much on either side, in lanes.
REACH = 1.0

Colour = NDArray[np.float32]


class Raster:
    """Lanes of traces, one below the other.

    Parameters
    ----------
    width, height : int
        In pixels of the screen.
    n_lanes : int
    line : float
        Width of a line, pixels.

    Attributes
    ----------
    pixels : array, shape (height, width, 4), uint8
        Blue, green, red, unused: Qt's Format_RGB32 on little-endian machines.
    """

    def __init__(self, width: int, height: int, n_lanes: int, line: float = 1.3) -> None:
        self.width, self.height, self.n_lanes = width, height, n_lanes
        self.pixels = np.zeros((height, width, 4), np.uint8)
        self._line = line
        self._lane = height / n_lanes
        self._centres = (np.arange(n_lanes) + 0.5) * self._lane

    def clear(self, ground: Colour) -> None:
        """Empty the whole image; a colour is blue, green, red, from 0 to 255."""
        self.pixels[..., :3] = ground

    def draw(
        self,
        column: int,
        low: FloatArray,
        high: FloatArray,
        uv_per_lane: float,
        colours: Colour,
        ground: Colour,
        gap: Colour,
    ) -> None:
        """Draw the columns from number `column` on, over whatever was there.

        Parameters
        ----------
        column : int
        low, high : array, shape (n_columns, n_lanes)
            Microvolts; NaN is not drawn, and a column without any has the colour `gap`.
        uv_per_lane : float
            Microvolts that fill a lane.
        colours : array, shape (n_lanes, 3)
        ground, gap : array, shape (3,)
        """
        excess = len(low) - self.width
        if excess > 0:
            column, low, high = column + excess, low[excess:], high[excess:]
        scale = self._lane / uv_per_lane
        top = self._centres - high * scale - 0.5 * self._line
        bottom = self._centres - low * scale + 0.5 * self._line
        at = column % self.width
        first = min(len(low), self.width - at)
        for x, part in ((at, slice(0, first)), (0, slice(first, len(low)))):
            if part.stop > part.start:
                here = self.pixels[:, x : x + part.stop - part.start, :3]
                here[...] = ground
                here[:, np.isnan(top[part]).all(axis=1)] = gap
                self._draw_lanes(here, top[part], bottom[part], colours)

    def _draw_lanes(
        self, here: NDArray[np.uint8], top: FloatArray, bottom: FloatArray, colours: Colour
    ) -> None:
        reach = (0.5 + REACH) * self._lane
        for lane, centre in enumerate(self._centres.tolist()):
            least, most = max(0.0, centre - reach), min(float(self.height), centre + reach)
            # NaN: of no height, and so not covering any pixel
            upper = np.fmin(np.fmax(top[:, lane], least), most)
            lower = np.fmax(np.fmin(bottom[:, lane], most), least)
            lost = np.isnan(top[:, lane])
            if lost.any():
                upper[lost] = lower[lost] = centre
            first, stop = int(upper.min()), math.ceil(lower.max())
            rows = np.arange(first, stop, dtype=np.float32)[:, None]
            cover = np.minimum(lower.astype(np.float32), rows + 1.0)
            cover -= np.maximum(upper.astype(np.float32), rows)
            np.clip(cover, 0.0, 1.0, out=cover)
            pixels = here[first:stop]
            blend = (colours[lane] - pixels) * cover[..., None]
            blend += pixels
            pixels[...] = blend
