"""The window with the flicker, and the keys that a person may press in front of it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, Qt, Signal
from PySide6.QtGui import QExposeEvent, QGuiApplication, QKeyEvent, QResizeEvent, QWindow

__all__ = ["StimulusWindow"]

_BLANK = (Qt.Key.Key_Escape, Qt.Key.Key_Space)
_GO_ON = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class StimulusWindow(QWindow):
    """Full screen, without a pointer; or a window of a given size.

    Parameters
    ----------
    size : (int, int) or None
        None: the full screen.
    screen : int
        Number of the screen; the first where there is no such.
    """

    blank_asked = Signal()
    go_on_asked = Signal()
    undo_asked = Signal()
    close_asked = Signal()

    def __init__(self, size: tuple[int, int] | None, screen: int = 0) -> None:
        super().__init__()
        self.setTitle("Neuroloop speller")
        self.is_stale = True  #: nothing of the picture can be taken to be still there
        screens = QGuiApplication.screens()
        self._screen = screens[screen if screen < len(screens) else 0]
        self._is_full = size is None
        self.setScreen(self._screen)
        at = self._screen.geometry()
        self.setGeometry(at if size is None else QRect(at.topLeft(), at.size()))
        if size is not None:
            self.resize(*size)
        else:
            self.setCursor(Qt.CursorShape.BlankCursor)

    @property
    def nominal_hz(self) -> float:
        """Refresh rate that the screen says it has; 60 where it says nothing sensible."""
        says = self._screen.refreshRate()
        return says if 20.0 <= says <= 1000.0 else 60.0

    def present(self) -> None:
        """Show it, in front."""
        if self._is_full:
            self.showFullScreen()
        else:
            self.show()
        self.requestActivate()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Qt's; Esc and Space blank, Enter goes on, Backspace takes back."""
        if event.key() in _BLANK:
            self.blank_asked.emit()
        elif event.isAutoRepeat():
            return
        elif event.key() in _GO_ON:
            self.go_on_asked.emit()
        elif event.key() == Qt.Key.Key_Backspace:
            self.undo_asked.emit()

    def exposeEvent(self, event: QExposeEvent) -> None:  # noqa: N802
        """Qt's; what was drawn may be gone."""
        self.is_stale = True

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Qt's; as `exposeEvent`."""
        self.is_stale = True

    def event(self, event: QEvent) -> bool:
        """Qt's; whoever closes the window ends the run, which then closes it."""
        if event.type() == QEvent.Type.Close:
            self.close_asked.emit()
            event.ignore()
            return True
        return bool(super().event(event))
