"""The engine's log and the application's own, in the order of time."""

from __future__ import annotations

import json
from datetime import datetime

from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QPlainTextEdit

from gui.docks import Dock
from gui.engine import EngineProcess
from gui.link import EngineLink
from gui.theme import Theme

__all__ = ["LogDock", "readable"]

#: Lines kept.
KEPT = 2000


class LogDock(Dock):
    """Read only; the newest line is below."""

    title = "Log"

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(link, theme)
        self.engine: EngineProcess | None = None
        self._n_lines = 0
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(KEPT)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.text.setMinimumSize(160, 60)
        self.set_content(self.text)

    def refresh(self) -> None:
        """Take over what the engine has said."""
        if self.engine is None:
            return
        n_new = self.engine.n_lines - self._n_lines
        if n_new > 0:
            self._n_lines = self.engine.n_lines
            lines = list(self.engine.lines)[-n_new:]
            self.text.appendPlainText("\n".join(map(readable, lines)))

    def write(self, text: str) -> None:
        """Add a line of the application's own."""
        self.text.appendPlainText(f"{datetime.now().astimezone():%H:%M:%S} {text}")


def readable(line: str) -> str:
    """A line of the engine's log, which is JSON, as a person reads it."""
    try:
        entry = json.loads(line)
        when = datetime.fromisoformat(entry["timestamp"]).astimezone()
        level = "" if entry["level"] == "info" else f"{entry['level']}: "
        return f"{when:%H:%M:%S} {level}{entry['event']}"
    except (ValueError, KeyError, TypeError):
        return line
