"""The application: `bci gui`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication

from bci.config import Config
from gui.demo import Demo, demo_config
from gui.window import MainWindow

__all__ = ["demo", "main"]


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
    application = _application()
    window = _window(QSettings())
    if attach is not None:
        window.attach(attach, token or "")
    elif config is not None:
        if path is not None:
            window.start_page.offer(config, path)
        window.start_session(config)
    return application.exec()


def demo(phrase: str, root: Path, screenshots: Path | None = None, *, leave: bool = False) -> int:
    """Show how it works: the simulated subject goes from the start page to the report.

    Nothing of it is remembered for the next start.

    Parameters
    ----------
    phrase : str
        What the subject types.
    root : Path
        Folder of the recording.
    screenshots : Path or None
        Folder for a picture of every page.
    leave : bool
        Close the window at the end.

    Returns
    -------
    int
        Exit code; 1: something did not come about, and standard error says what.
    """
    application = _application()
    with TemporaryDirectory(prefix="bci-demo-") as folder:
        window = _window(QSettings(str(Path(folder) / "demo.ini"), QSettings.Format.IniFormat))
        told = Demo(
            window, demo_config(root), phrase, screenshots=screenshots,
            pause_s=0.3 if leave else 1.5,
        )  # fmt: skip
        if leave:
            told.ended.connect(window.close)
        told.start()
        code = application.exec()
    if told.error:
        sys.stderr.write(f"bci: {told.error}\n")
        return 1
    return code


def _application() -> QApplication:
    application = QApplication(sys.argv[:1])
    application.setApplicationName("Neuroloop")
    application.setOrganizationName("Neuroloop")
    return application


def _window(settings: QSettings) -> MainWindow:
    window = MainWindow(settings)
    for number in (signal.SIGINT, signal.SIGTERM):  # handled at the timer's next tick
        signal.signal(number, lambda *_: QTimer.singleShot(0, window.close))
    window.show()
    return window
