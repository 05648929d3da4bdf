"""Where the flicker is shown: the full screen, one of several, or a window."""

from __future__ import annotations

from typing import Any

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QComboBox

__all__ = ["DisplayBox"]

#: Size of the flicker's window where it is not to fill a screen.
WINDOW = (1024, 600)


class DisplayBox(QComboBox):
    """Choice of a screen."""

    def __init__(self) -> None:
        super().__init__()
        for number, screen in enumerate(QGuiApplication.screens()):
            size = screen.geometry()
            name = screen.name() or str(number)
            self.addItem(f"full screen: {name}, {size.width()} × {size.height()}", number)
        self.addItem(f"a window, {WINDOW[0]} × {WINDOW[1]}", None)

    def where(self) -> dict[str, Any]:
        """Settings of the flicker's process that say where."""
        number = self.currentData()
        return {"window": WINDOW if number is None else None, "screen": number or 0}
