"""Pages on the screen, with a flicker's process and a link that tests play."""

import pytest
from PySide6.QtCore import QObject, Signal

from gui.pages import speller, timing
from gui.stores import SampleStore


class Process(QObject):
    said = Signal(dict)
    ended = Signal(int)
    trouble = ""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.running, self.settings, self.asked = False, None, []

    def start(self, settings):
        self.running, self.settings = True, settings

    def send(self, do):
        if self.running:
            self.asked.append(do)

    def stop(self):
        if self.running:
            self.running = False
            self.ended.emit(0)


class Link:
    def __init__(self):
        self.state, self.status, self.samples, self.posted = "live", {}, SampleStore(), []

    def post(self, path, body, done=None):
        self.posted.append((path, body))


@pytest.fixture
def live():
    """A link to an engine that is there."""
    return Link()


@pytest.fixture
def shown(qtbot, monkeypatch):
    """Show a page in an active window."""
    for module in (speller, timing):
        monkeypatch.setattr(module, "StimulusProcess", Process)

    def show(page):
        made = page()
        qtbot.addWidget(made)
        with qtbot.waitActive(made):
            made.show()
            made.activateWindow()
        return made

    return show
