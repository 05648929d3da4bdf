"""Frames of the live view with 64 channels at 1 kHz on screen, while the engine decodes them."""

import os
import time

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
if "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import mne
import psutil
from PySide6.QtCore import QEvent, QObject

from bci import config
from gui.frames import FrameTimes

pytestmark = pytest.mark.timing

WARM_UP_S, MEASURED_S = 12.0, 20.0
SESSION = """
source: {kind: simulated, paradigm: ssvep12, seed: 1, sfreq: 1000, chunk: 40, ch_names: %s}
processing:
  - {kind: notch, freq_hz: 50}
  - {kind: bandpass, low_hz: 6, high_hz: 90, order: 4}
window: {kind: sliding, length_s: 1.0, hop_s: 0.1}
decoder: {kind: fbcca, frequencies_hz: [9.25, 10.25, 11.25, 12.25, 13.25, 14.25]}
"""


class Painted(QObject):
    """Notes when a widget was painted, and how much this thread had worked by then."""

    def __init__(self, widget):
        super().__init__(widget)
        self.times, self.work = FrameTimes(10_000), FrameTimes(10_000)
        widget.installEventFilter(self)

    def eventFilter(self, watched, event):  # noqa: N802 (Qt's name)
        if event.type() == QEvent.Type.Paint:
            self.times.tick(time.perf_counter())
            self.work.tick(time.thread_time())
        return False


@pytest.mark.timeout(240)
def test_64_channels_of_ten_seconds_at_1_khz(window, qtbot):
    names = mne.channels.make_standard_montage("biosemi64").ch_names
    window.start_session(config.loads(SESSION % list(names)))
    link = window.link
    qtbot.waitUntil(lambda: window.link is None or link.samples.position > 1000, timeout=90_000)
    assert window.link is not None, window.start_page.error.text()
    qtbot.wait(round(1e3 * WARM_UP_S))
    painted = Painted(window.docks["Traces"].canvas)
    me, engine = psutil.Process(), psutil.Process(window.engine.pid)
    before = [sum(p.cpu_times()[:2]) for p in (me, engine)]
    seq, lost = link.decisions.last_seq, link.samples.n_lost
    qtbot.wait(round(1e3 * MEASURED_S))
    used = [sum(p.cpu_times()[:2]) - b for p, b in zip((me, engine), before, strict=True)]
    fps, p99 = painted.times.summary()
    work = painted.work.summary()
    n_decided = link.decisions.last_seq - seq
    print(
        f"\n64 channels × 10 s at 1 kHz, {window.width()}×{window.height()}: {fps:.1f} frames/s, "
        f"p99 {p99:.1f} ms; work per frame: mean {1e3 / work[0]:.1f} ms, p99 {work[1]:.1f} ms; "
        f"CPU: window "
        f"{100 * used[0] / MEASURED_S:.0f} %, engine {100 * used[1] / MEASURED_S:.0f} %; "
        f"{n_decided} decisions, load average {os.getloadavg()[0]:.1f}"
    )
    assert len(link.samples.info.ch_names) == 64
    assert n_decided >= 0.8 * MEASURED_S / 0.1
    assert link.samples.n_lost == lost
    assert fps >= 50
    assert p99 <= 30
