"""Memory of the window over thirty minutes of signal, replayed at ten times its speed.

Run alone:  pytest -m timing tests/timing/test_gui_memory_timing.py -s
"""

import os

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
if "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import psutil
import yaml

from bci import config
from bci.sources.simulated import SimulatedSettings
from bci.types import Samples

pytestmark = [pytest.mark.timing, pytest.mark.timeout(1200)]

SPEED, MINUTES, SFREQ = 10.0, 30, 250.0
#: By minute 10 every store is full: five minutes of samples, 4096 decisions.
SETTLED = 10
#: Growth from then on that counts as flat: garbage that is not yet collected, fragments.
LIMIT_MB = 12.0
SESSION = {
    "processing": [{"kind": "bandpass", "low_hz": 6, "high_hz": 40, "order": 4}],
    "channels": {"pick": "eeg", "montage": "standard_1005"},
    "window": {"kind": "sliding", "length_s": 1.0, "hop_s": 0.2},
    "decoder": {"kind": "fbcca", "frequencies_hz": [9.25, 11.25, 13.25]},
}


@pytest.fixture
def recording(tmp_path):
    """Two minutes of the simulated subject as a file."""
    source = SimulatedSettings(minutes=2, speed=None, chunk=250).build()
    info = source.open()
    read_all = iter(lambda: source.read(0.0), [])
    parts = [r.data for readings in read_all for r in readings if isinstance(r, Samples)]
    source.close()
    path = tmp_path / "two_minutes.npz"
    np.savez(
        path, data=np.concatenate(parts), sfreq=info.sfreq, ch_names=info.ch_names,
        ch_types=info.ch_types, markers=np.empty((0, 2), dtype=str),
    )  # fmt: skip
    return path


def test_it_is_flat_over_thirty_minutes_of_replay(window, recording, qtbot):
    source = {"kind": "replay", "path": str(recording), "loop": True, "speed": SPEED}
    window.start_session(config.loads(yaml.safe_dump({**SESSION, "source": source})))
    link, me = window.link, psutil.Process()
    qtbot.waitUntil(lambda: window.link is None or link.samples.position > 0, timeout=120_000)
    assert window.link is not None, window.start_page.error.text()
    docks, used = list(window.docks.values()), []
    for minute in range(1, MINUTES + 1):
        docks[minute % len(docks)].raise_()  # each of them draws for some minutes
        due = minute * 60 * SFREQ
        qtbot.waitUntil(lambda due=due: link.samples.position >= due, timeout=120_000)
        used.append(me.memory_info().rss / 2**20)
    engine = psutil.Process(window.engine.pid).memory_info().rss / 2**20
    grown = max(used[SETTLED:]) - used[SETTLED - 1]
    print(
        f"\nwindow, MB by minute: {' '.join(f'{mb:.0f}' for mb in used)}; "
        f"from minute {SETTLED} on at most {grown:+.1f}; engine {engine:.0f} MB; "
        f"{link.decisions.last_seq + 1} decisions, {window.frames.summary()[0]:.0f} frames/s"
    )
    assert len(link.decisions.since(-1)) <= 4096
    assert grown <= LIMIT_MB
