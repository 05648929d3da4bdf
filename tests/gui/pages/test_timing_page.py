"""The timing page finds the offset of a simulated photodiode, and takes it into the session."""

import numpy as np
import pytest

from bci import config
from bci.clock import now
from bci.paradigms.flash_run import BLACK, WHITE
from bci.paradigms.timing_check import changes
from bci.types import StreamInfo
from gui.pages.timing import TimingPage

SFREQ = 500.0
OFFSET_S, JITTER_S = 0.0375, 0.001
READY = {
    "say": "ready", "refresh_hz": 60.0, "vsync": True, "jitter_ms": 0.4, "objections": [],
}  # fmt: skip
FRAMES = {"say": "frames", "n_flips": 600, "n_dropped": 0, "n_markers_lost": 0}
INFO = StreamInfo("amplifier", SFREQ, ("O1", "O2", "AUX"), ("eeg", "eeg", "misc"))


@pytest.fixture
def page(shown, live):
    made = shown(TimingPage)
    live.samples.begin(INFO)
    made.set_session("http://127.0.0.1:1", "", config.loads("source: {kind: simulated}"))
    made.refresh(live)
    return made


def watch(page, link, seconds=40.0, light=True):
    """Flip the patch for so long before a photodiode on AUX."""
    rng = np.random.default_rng(0)
    start = now() - seconds
    flips = start + changes(seconds)
    edges = flips + OFFSET_S + rng.normal(0, JITTER_S, len(flips))
    n = round((seconds + 4.0) * SFREQ)
    times = start - 2.0 + np.arange(n) / SFREQ
    data = rng.normal(0, 5, (n, 3))
    if light:
        data[:, 2] += 800.0 * (np.searchsorted(edges, times) % 2)
    page.process.said.emit(READY)
    for k, t in enumerate(flips):
        value = BLACK if k % 2 else WHITE
        page.process.said.emit({"say": "flip", "value": value, "t": float(t)})
    for first in range(0, n, 1000):
        link.samples.write(first, data[first : first + 1000].astype(np.float32))
        next_ = min(first + 1000, n)
        source = {"n_received": next_, "t_next": start - 2.0 + next_ / SFREQ}
        link.status = {"source": source, "clock": now()}
        page.meter.follow(link.status)
    page.process.said.emit(FRAMES)


def test_a_photodiode_is_measured_and_its_offset_taken_over(page, live, qtbot):
    assert page.channel.currentText() == "AUX"  # what is no EEG is offered first
    page.go.click()
    asked = page.process.settings
    assert (asked.mode, asked.seconds, asked.targets) == ("timing", 120.0, ())
    watch(page, live)
    page.process.said.emit({"say": "over", "why": "", "text": ""})
    page.process.stop()
    assert page.result.offset_s == pytest.approx(OFFSET_S, abs=0.0005)
    assert page.result.jitter_s == pytest.approx(JITTER_S, rel=0.3)
    assert page.verdict.text().startswith("good")
    assert page.facts.values["Offset"].text().startswith("37.")
    assert page.facts.values["Clock"].text() == "the engine's clock is this computer's"
    with qtbot.waitSignal(page.session_requested) as asked:
        page.take_over.click()
    assert asked.args[0].markers.offset_s == pytest.approx(OFFSET_S, abs=0.0005)
    path, body = live.posted[0]
    assert path == "/v1/markers"
    assert "photodiode on AUX" in body["value"]


def test_a_channel_without_light_says_so_and_offers_nothing(page, live):
    page.go.click()
    watch(page, live, light=False)
    page.process.stop()
    assert "AUX shows no light" in page.error.text()
    assert not page.take_over.isEnabled()


def test_software_alone_sets_no_offset(page, live):
    page.method.setCurrentText("Software only")
    assert not page.channel.isVisible()
    page.go.click()
    watch(page, live)
    page.process.stop()
    assert page.result is None
    assert not page.take_over.isEnabled()
    assert page.frames.values["Timing"].text() == "99 % of flips within 0.4 ms"


def test_a_second_click_stops(page):
    page.go.click()
    assert (page.go.text(), page.process.asked) == ("Stop", ["start"])
    page.go.click()
    assert not page.process.running
    assert page.go.text() == "Start"


def test_another_clock_is_told(page, live):
    page.go.click()
    live.status = {"clock": now() - 90.0}
    page.meter.follow(live.status)
    page.look()
    assert "90.0 s off" in page.facts.values["Clock"].text()
