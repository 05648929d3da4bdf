"""The report of the session that has ended: shown here, and as a page for a browser."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QProcess, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTextBrowser, QVBoxLayout, QWidget

from gui.link import EngineLink

__all__ = ["ReportPage"]

#: What Qt's text does not take from the page's own style sheet.
_STYLE = """
td, th { padding: 2px 14px 2px 0; text-align: left; }
a { padding-right: 12px; }
.typed { font-size: 28px; font-weight: 600; }
.table-title { font-weight: 600; }
"""


class ReportPage(QWidget):
    """Makes a recording's report in a process of its own, and shows it."""

    title = "Report"

    #: It stands there now, or could not be made.
    done = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.path: Path | None = None
        self._process = QProcess(self)
        self._process.finished.connect(self._show)
        self.heading, self.state = QLabel("Session report"), QLabel("No session has ended yet.")
        self.browser = QTextBrowser()
        self.open = QPushButton("Open in the browser")
        self.folder = QPushButton("Show the files")
        self._lay_out()

    def _lay_out(self) -> None:
        self.heading.setObjectName("title")
        self.state.setWordWrap(True)
        self.state.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.browser.setOpenLinks(False)
        self.browser.document().setDefaultStyleSheet(_STYLE)
        self.browser.anchorClicked.connect(lambda url: self.browser.scrollToAnchor(url.fragment()))
        self.open.clicked.connect(lambda: self._open(self.path))
        self.folder.clicked.connect(lambda: self._open(self.path and self.path.parent))
        top, page = QHBoxLayout(), QVBoxLayout(self)
        top.addWidget(self.heading)
        top.addWidget(self.state, 1)
        for button in (self.folder, self.open):
            button.setEnabled(False)
            top.addWidget(button)
        page.setContentsMargins(24, 16, 24, 16)
        page.setSpacing(12)
        page.addLayout(top)
        page.addWidget(self.browser, 1)

    def make(self, recording: Path) -> None:
        """Make the report of a recording that is closed."""
        if self._process.state() is not QProcess.ProcessState.NotRunning:
            return
        from bci.report import default_path  # here: the window is there before it loads

        self.path = default_path(recording)
        self.browser.clear()
        self.state.setText("reading the recording …")
        for button in (self.open, self.folder):
            button.setEnabled(False)
        self._process.start(sys.executable, ["-m", "bci.cli", "report", str(recording)])

    def _show(self, code: int) -> None:
        said = bytes(self._process.readAllStandardError().data()).decode(errors="replace")
        self.folder.setEnabled(True)
        if code or self.path is None:
            lines = said.strip().splitlines()
            self.state.setText(f"There is no report: {lines[-1] if lines else f'exit code {code}'}")
        else:
            self.state.setText(str(self.path))
            self.open.setEnabled(True)
            self.browser.setHtml(self.path.read_text(encoding="utf-8"))
        self.done.emit()

    def _open(self, path: Path | None) -> None:
        if path is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.resolve())))

    def refresh(self, link: EngineLink | None) -> None:
        """Nothing moves here."""

    def close_down(self) -> None:
        """The application ends."""
        self._process.kill()
        self._process.waitForFinished(1000)
