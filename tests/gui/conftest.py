"""Real widgets, and a real engine with the simulated subject in a process of its own."""

import os
from pathlib import Path

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
if "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from bci import config
from gui.engine import EngineProcess
from gui.link import EngineLink

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
