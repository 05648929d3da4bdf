"""The application: `bci gui`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication

from bci.config import Config
from gui.window import MainWindow

__all__ = ["main"]


def main(
    config: Config | None = None,
    path: Path | None = None,
    attach: str | None = None,
    token: str | None = None,
) -> int:
    """Show the window until it is closed.

    Parameters
    ----------
    config : Config or None
        Start this session at once.
    path : path or None
        The file that it came from.
    attach, token : str or None
        Watch the engine at this address instead.

    Returns
    -------
    int
        Exit code.
    """
    application = QApplication(sys.argv[:1])
    application.setApplicationName("Neuroloop")
    application.setOrganizationName("Neuroloop")
    window = MainWindow(QSettings())
    for number in (signal.SIGINT, signal.SIGTERM):  # handled at the timer's next tick
        signal.signal(number, lambda *_: QTimer.singleShot(0, window.close))
    window.show()
    if attach is not None:
        window.attach(attach, token or "")
    elif config is not None:
        if path is not None:
            window.start_page.offer(config, path)
        window.start_session(config)
    return application.exec()
