"""What timings of the application share."""

import pytest


@pytest.fixture
def window(qtbot, tmp_path, monkeypatch):
    """The main window, 1366 × 768, with settings of its own."""
    from PySide6.QtCore import QSettings

    from gui.window import MainWindow

    monkeypatch.chdir(tmp_path)
    made = MainWindow(QSettings(str(tmp_path / "s.ini"), QSettings.Format.IniFormat))
    made.resize(1366, 768)
    made.show()
    yield made
    made.close()
    qtbot.waitUntil(lambda: not made.isVisible(), timeout=60_000)  # its engine ends first
    made.deleteLater()
