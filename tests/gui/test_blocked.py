"""A client that stands still for five seconds, as a blocked application does."""

import json
import os
import signal
import subprocess
import sys

import pytest

from bci.config import Recording
from bci.recording.verify import verify
from gui.engine import EngineProcess
from gui.link import EngineLink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system stops no processes"),
]

CLIENT = """
import json, sys
from gui.link import EngineLink
link = EngineLink(sys.argv[1], sys.argv[2])
link.start()
for _ in sys.stdin:
    seqs = [d["seq"] for d in link.decisions.since(-1)]
    told = [seqs, link.decisions.n_lost, link.samples.position, link.samples.n_lost]
    print(json.dumps(told), flush=True)
link.close()
"""


class Client:
    def __init__(self, engine):
        command = [sys.executable, "-c", CLIENT, engine.url, engine.token]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, **pipes)

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def test_it_loses_no_recorded_sample_and_no_decision(session_config, tmp_path, monkeypatch, qtbot):
    monkeypatch.chdir(tmp_path)
    kept = session_config.model_copy(update={"recording": Recording(root=tmp_path / "kept")})
    engine = EngineProcess(kept)
    engine.start()
    link = EngineLink(engine.url, engine.token)  # another client, to know what it should have
    link.start()
    qtbot.waitUntil(lambda: link.decisions.last_seq >= 3, timeout=60_000)
    client = Client(engine)
    try:
        qtbot.waitUntil(lambda: len(client.ask()[0]) > 5 and client.ask()[2] > 0, timeout=60_000)
        os.kill(client.process.pid, signal.SIGSTOP)
        stood_at = link.samples.position
        qtbot.waitUntil(lambda: link.samples.position >= stood_at + 5 * 250, timeout=60_000)
        os.kill(client.process.pid, signal.SIGCONT)
        last = link.decisions.last_seq
        newest = link.samples.position
        qtbot.waitUntil(lambda: client.ask()[0][-1] >= last, timeout=30_000)
        qtbot.waitUntil(lambda: client.ask()[2] >= newest, timeout=30_000)
        seqs, n_lost, _, samples_lost = client.ask()
    finally:
        client.end()
        link.close()
        engine.stop()
        engine.wait()
    assert n_lost == 0
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert 0 <= samples_lost <= 5 * 250  # for display: the oldest are let go, and counted
    (xdf,) = (tmp_path / "kept").rglob("*.xdf")
    assert verify(xdf).ok
    assert engine.exit_code == 0
