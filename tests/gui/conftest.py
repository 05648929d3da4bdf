"""Real widgets, and a real engine with the simulated subject in a process of its own."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
if "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QSettings

from bci import config
from bci.types import Decision, Quality, StreamInfo
from gui.engine import EngineProcess
from gui.link import EngineLink
from gui.window import MainWindow

SESSION = """
source: {kind: simulated, paradigm: ssvep12, seed: 1, stim_s: 1.0}
events: {}
processing:
  - {kind: bandpass, low_hz: 6, high_hz: 40, order: 4}
window: {kind: sliding, length_s: 0.5, hop_s: 0.1}
decoder: {kind: fbcca, frequencies_hz: [9.25, 11.25, 13.25]}
"""


@pytest.fixture(scope="session")
def session_config():
    return config.loads(SESSION)


@pytest.fixture(scope="session")
def engine(session_config, qapp, tmp_path_factory):
    """A running engine, one for all tests; its working folder is a temporary one."""
    folder = tmp_path_factory.mktemp("engine")
    process = EngineProcess(session_config, folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        process.start()
    finally:
        os.chdir(before)
    yield process
    process.stop()
    process.wait()


@pytest.fixture
def link(engine, qtbot):
    """A link to the engine, live."""
    made = EngineLink(engine.url, engine.token)
    made.start()
    try:
        qtbot.waitUntil(lambda: made.state == "live", timeout=30_000)
        yield made
    finally:
        made.close()


@pytest.fixture
def settings(tmp_path):
    """What the application remembers, in a file that goes with the test."""
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def open_window(qtbot):
    """Open main windows; each closes with the test, once an engine of its own has ended."""
    opened = []

    def open_it(settings):
        window = MainWindow(settings)
        opened.append(window)
        window.resize(1366, 768)
        window.show()
        return window

    yield open_it
    for window in opened:
        window.close()
        qtbot.waitUntil(lambda closing=window: not closing.isVisible(), timeout=60_000)
        window.deleteLater()


class FedLink(EngineLink):
    """A link that was never started: a test puts in what an engine would send."""

    def __init__(self, n_channels=8, sfreq=250.0, names=None):
        super().__init__("http://127.0.0.1:9")
        self.names = names or ("Fz", "Cz", "Pz", "C3", "C4", "O1", "Oz", "O2")[:n_channels]
        self.sfreq = sfreq
        places = {
            name: (0.07 * np.cos(i), 0.07 * np.sin(i), 0.09) for i, name in enumerate(self.names)
        }
        kinds = ("eeg",) * len(self.names)
        self.samples.begin(StreamInfo("fed", sfreq, tuple(self.names), kinds, places))

    def feed(self, data):
        """Append samples, shape (n_samples, n_channels)."""
        self.samples.write(self.samples.position, np.asarray(data, np.float32))

    def decide(self, label, proba, reasons=(), bads=(), repaired=()):
        """Append a decision about the newest sample."""
        quality = Quality(
            not reasons, tuple(reasons), tuple(bads), 0.0, tuple(repaired), 0.25 * bool(repaired)
        )
        seq, last = self.decisions.last_seq + 1, self.samples.position - 1
        made = Decision(seq, last - 100, last, label, proba, quality, "fbcca", latency_ms=5.0 + seq)
        self.decisions.append(made.to_json())


@pytest.fixture
def fed():
    return FedLink
