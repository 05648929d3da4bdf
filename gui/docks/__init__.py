"""The panels of the live view, one file each.

A dock is a `Dock`: made from the link and the theme, and asked to `refresh` by the
window's one timer while it can be seen. It reads the link's stores and status, draws
what is new, and asks nothing of the engine but what a person clicks in it.
"""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtWidgets import QDockWidget, QWidget

from gui.link import EngineLink
from gui.theme import Theme

__all__ = ["Dock"]


class Dock(QDockWidget):
    """A panel that can be moved, stacked, floated and closed; its place is remembered.

    Parameters
    ----------
    link : EngineLink
    theme : Theme
    """

    #: Shown above the panel, and its name in the settings and menus.
    title: ClassVar[str]
    #: Seconds between two refreshes; 0: each frame.
    period_s: ClassVar[float] = 0.25

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(self.title)
        self.setObjectName(self.title)
        self.link = link
        self.theme = theme

    def refresh(self) -> None:
        """Draw what is new."""
        raise NotImplementedError

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self.theme = theme

    def close_down(self) -> None:
        """Let go of what outlives a widget, such as a thread; the session is over."""

    def set_content(self, content: QWidget) -> None:
        """Fill the panel."""
        self.setWidget(content)
