"""The amplifier is switched off in the middle of a session, and on again."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
import yaml

from bci import config
from bci.eventlog import read
from bci.recording.layout import parse
from bci.recording.verify import verify
from bci.sources.files import load_recording
from bci.sources.simulated import SimulatedSettings
from bci.types import Gap, Samples

pytest.importorskip("pylsl", reason="pylsl is not installed")

os.environ.setdefault(
    "LSLAPICFG", str(Path(__file__).parents[1] / "sources" / "lsl_api.cfg")
)  # read when liblsl is first used, here and in child processes

SFREQ = 250.0
#: Seconds of the simulated subject that the outlet has to send.
MINUTE = 60
OUTLET = """
import sys, time
import numpy as np, pylsl
name, path, sfreq = sys.argv[1], sys.argv[2], float(sys.argv[3])
data = np.load(path)
info = pylsl.StreamInfo(name, "EEG", data.shape[1], sfreq, "float32", name)
channels = info.desc().append_child("channels")
for label in sys.argv[4:]:
    channel = channels.append_child("channel")
    for key, value in (("label", label), ("type", "EEG"), ("unit", "microvolts")):
        channel.append_child_value(key, value)
outlet = pylsl.StreamOutlet(info, 10)
if not outlet.wait_for_consumers(60):
    sys.exit(1)
due = pylsl.local_clock()
for first in range(0, len(data), 10):
    due += 10 / sfreq
    time.sleep(max(0.0, due - pylsl.local_clock()))  # as a device: never ahead of its clock
    outlet.push_chunk(np.ascontiguousarray(data[first : first + 10]), due)
"""


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    """File of a minute of the simulated subject, shape (n_samples, n_channels), and the labels."""
    settings = SimulatedSettings(minutes=MINUTE / 60, speed=None, seed=2, chunk=250)
    source = settings.build()
    info = source.open()
    read_all = iter(lambda: source.read(0.0), [])
    parts = [r.data for readings in read_all for r in readings if isinstance(r, Samples)]
    source.close()
    path = tmp_path_factory.mktemp("subject") / "samples.npy"
    np.save(path, np.concatenate(parts).astype(np.float32))
    return path, info.ch_names


@pytest.fixture
def amplifier(subject):
    """Switch on an outlet in a process of its own; all are off when the test ends."""
    path, ch_names = subject
    name, on = f"test-{uuid.uuid4().hex[:12]}", []

    def switch_on():
        arguments = [name, str(path), str(SFREQ), *ch_names]
        on.append(subprocess.Popen([sys.executable, "-c", OUTLET, *arguments]))
        return on[-1]

    switch_on.stream = name
    yield switch_on
    for process in on:
        process.kill()
        process.wait()


@pytest.fixture
def window(settings, open_window, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return open_window(settings)


def session_on(name, root):
    return config.loads(yaml.safe_dump({
        "source": {"kind": "lsl", "name": name, "timeout_s": 30.0},
        "channels": {"pick": "eeg", "montage": None},
        "markers": {"kind": "none"},
        "processing": [{"kind": "bandpass", "low_hz": 6, "high_hz": 40, "order": 4}],
        "window": {"kind": "sliding", "length_s": 0.5, "hop_s": 0.1},
        "decoder": {"kind": "fbcca", "frequencies_hz": [9.25, 11.25, 13.25]},
        "recording": {"root": str(root)},
    }))  # fmt: skip


def test_the_banner_says_where_it_stands_and_the_recording_is_whole(
    window, amplifier, tmp_path, qtbot
):
    device = amplifier()
    window.start_session(session_on(amplifier.stream, tmp_path / "kept"))
    link, traces = window.link, window.docks["Traces"]
    qtbot.waitUntil(lambda: link.samples.position > 2 * SFREQ, timeout=60_000)
    qtbot.waitUntil(lambda: link.decisions.last_seq > 3, timeout=30_000)
    qtbot.waitUntil(lambda: not window._banner_bar.isVisible(), timeout=10_000)
    said = []  # every text of the banner, once
    window._timer.timeout.connect(
        lambda: (
            said.append(window.banner_text.text())
            if window._banner_bar.isVisible() and window.banner_text.text() not in said
            else None
        )
    )

    device.kill()
    qtbot.waitUntil(lambda: any("is lost" in text for text in said), timeout=30_000)
    assert "looks for the stream again" in said[-1]
    assert "Recording goes on when it is back" in said[-1]
    assert amplifier.stream in said[-1]
    assert not window.banner_button.isVisible()  # nothing to click: the engine does it
    assert (window.engine.running, link.state) == (True, "live")
    before, decided = link.samples.position, link.decisions.last_seq

    amplifier()
    qtbot.waitUntil(lambda: link.samples.position > before + SFREQ, timeout=60_000)
    qtbot.waitUntil(lambda: not window._banner_bar.isVisible(), timeout=10_000)
    qtbot.waitUntil(lambda: link.decisions.last_seq > decided + 3, timeout=10_000)
    qtbot.waitUntil(lambda: traces.view.raster is not None, timeout=10_000)
    assert "live" in window._state.text()

    window.stop.trigger()
    qtbot.waitUntil(lambda: window.page == "Report", timeout=30_000)
    (xdf,) = (tmp_path / "kept").rglob("*_eeg.xdf")
    assert verify(xdf).ok
    assert load_recording(xdf).n_samples >= before + SFREQ
    gaps = [event for event in read(parse(xdf).events) if isinstance(event, Gap)]
    assert [gap.reason for gap in gaps] == ["reconnected"]
