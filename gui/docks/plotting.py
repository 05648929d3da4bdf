"""Plots in the colours of a theme."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtGui import QColor

from gui.theme import Theme

__all__ = ["Plot", "colour_table", "pen"]


class Plot(pg.PlotWidget):  # type: ignore[misc]
    """A plot with a quiet grid, moved and zoomed by hand only where that helps."""

    def __init__(self, theme: Theme, bottom: str, left: str) -> None:
        super().__init__()
        self._bottom, self._left = bottom, left
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.getPlotItem().setContentsMargins(2, 6, 10, 2)
        self.setMinimumSize(160, 90)
        self.use(theme)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.setBackground(QColor(theme.ground))
        for side, text in (("bottom", self._bottom), ("left", self._left)):
            axis = self.getAxis(side)
            axis.setPen(QColor(theme.grid))
            axis.setTextPen(QColor(theme.muted))
            axis.setLabel(text, color=theme.muted)


def pen(colour: str, width: float = 1.0, dashed: bool = False) -> Any:
    """A pen of a colour of the theme; lines wider than 1 are slow to draw, so only short ones."""
    return pg.mkPen(colour, width=width, style=pg.QtCore.Qt.PenStyle.DashLine if dashed else None)


def colour_table(n: int = 256) -> NDArray[np.uint8]:
    """Red, green, blue of viridis, shape (n, 3): evenly lighter, for any colour vision."""
    table: NDArray[np.uint8] = pg.colormap.get("viridis").getLookupTable(nPts=n, alpha=False)
    return table
