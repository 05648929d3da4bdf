"""The flicker's schedule under Xvfb, with 40 targets, while 64 traces are drawn beside it."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from bci.paradigms.layouts import load_layout
from bci.paradigms.speller import TARGETS_40

pytest.importorskip("PySide6", reason="PySide6 is not installed")

from gui.stimulus.settings import StimulusSettings

pytestmark = [
    pytest.mark.timing,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed"),
]

SECONDS = 60.0
#: 64 curves of 1,200 points, redrawn 50 times a second: what the live view's traces cost without
#: any of its economies.
TRACES = """
import gui.stimulus, numpy as np, pyqtgraph as pg
from PySide6.QtCore import QTimer
app = pg.mkQApp()
view = pg.PlotWidget()
view.resize(1366, 768)
curves = [view.plot(pen=k) for k in range(64)]
data, n = np.random.default_rng(0).standard_normal((64, 4096)), [0]
def draw():
    at = 7 * n[0] % 2800
    for k, curve in enumerate(curves):
        curve.setData(data[k, at : at + 1200] + 4.0 * k)
    n[0] += 1
def leave():
    print(n[0], flush=True)
    app.quit()
timer = QTimer()
timer.timeout.connect(draw)
timer.start(20)
QTimer.singleShot(int(1e3 * SECONDS), leave)
view.show()
app.exec()
"""
ENGINE = """
source: {kind: simulated, paradigm: ssvep40, seed: 1, cues: told}
window: {kind: sliding, length_s: 1.0, hop_s: 0.1}
decoder: {kind: fbcca, frequencies_hz: [HZ]}
api: {port: PORT, token: a-token-for-this-test}
"""


@pytest.fixture
def display():
    """An X server without a screen."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "2732x768x24", "-nolisten", "tcp"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as pipe:
        yield f":{pipe.readline().strip()}"
    server.send_signal(signal.SIGTERM)
    server.wait(10.0)


@pytest.fixture
def engine(tmp_path, free_port):
    hz = ", ".join(str(t.frequency_hz) for t in TARGETS_40)
    text = ENGINE.replace("HZ", hz).replace("PORT", str(free_port))
    (tmp_path / "session.yaml").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "bci.cli", "run", "session.yaml"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield f"http://127.0.0.1:{free_port}"
    process.send_signal(signal.SIGTERM)
    process.wait(30.0)


@pytest.fixture
def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_schedule_is_kept_for_a_minute_while_traces_are_drawn(display, engine):
    env = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    settings = StimulusSettings.describe(
        TARGETS_40, load_layout("en_40"), url=engine, token="a-token-for-this-test",
        mode="calibration", n_blocks=1, max_dropped=1.0, window=(1366, 768),
        times={"cue_s": 0.5, "stim_s": SECONDS},
    )  # fmt: skip
    traces = subprocess.Popen(
        [sys.executable, "-c", TRACES.replace("SECONDS", str(SECONDS + 15.0))],
        env=env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "gui.stimulus"], env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    child.stdin.write(settings.model_dump_json() + '\n{"do": "start"}\n')
    child.stdin.flush()
    frames, flickers = [], False
    for text in child.stdout:
        line = json.loads(text)
        assert line["say"] != "refused", line
        if line["say"] == "state":
            if flickers and line["phase"] != "flicker":
                break
            flickers = line["phase"] == "flicker"
        if line["say"] == "frames" and flickers:
            frames.append(line)
    child.stdin.close()
    child.stdout.close()
    assert child.wait(20.0) == 0
    n_drawn = int(traces.communicate(timeout=60.0)[0])
    first, last = frames[0], frames[-1]
    seconds = last["t"] - first["t"]
    shown = last["n_flips"] - first["n_flips"]
    dropped = last["n_dropped"] - first["n_dropped"]
    print(
        f"\n{seconds:.1f} s of 40 targets at 1366 × 768: {shown} frames shown, {dropped} dropped "
        f"({100 * dropped / (shown + dropped):.2f} %); 64 traces drawn "
        f"{n_drawn / (SECONDS + 15.0):.0f} times a second beside it; {os.cpu_count()} cores"
    )
    assert seconds > SECONDS - 4.0  # reports come each second
    assert shown + dropped == pytest.approx(60.0 * seconds, abs=2)  # every frame is accounted for
    assert dropped < 0.05 * shown
    assert last["n_markers_lost"] == 0
