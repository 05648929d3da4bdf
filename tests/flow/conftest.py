"""The engine as users run it: `bci run` in a process of its own, fed by senders that can be killed.

LSL stays on this machine's network by the configuration of `tests/sources`; child
processes find it through the environment.
"""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from threadpoolctl import threadpool_limits

from bci import config
from bci.recording.layout import parse
from bci.session import Session
from bci.sources.files import Recording
from bci.sources.simulated import SimulatedSettings
from bci.types import RawMarker, Samples, SourceState

os.environ.setdefault(
    "LSLAPICFG", str(Path(__file__).parents[1] / "sources" / "lsl_api.cfg")
)  # read when liblsl is first used, here and in child processes

CHANNELS = ("O1", "Oz", "O2", "PO7", "PO8")
SFREQ = 250.0
#: Of each channel's sine in what `sender` sends, Hz.
TONE_HZ = 12.0

SENDER = f"""
import sys, time
import numpy as np
import pylsl

name, n_channels, nan_from, nan_to = sys.argv[1], *map(int, sys.argv[2:])
sfreq, chunk, rng = {SFREQ}, 10, np.random.default_rng(1)
info = pylsl.StreamInfo(name, "EEG", n_channels + 1, sfreq, "float32", name)
channels = info.desc().append_child("channels")
for label in [*{list(CHANNELS)}[:n_channels], "count"]:
    channel = channels.append_child("channel")
    channel.append_child_value("label", label)
    channel.append_child_value("type", "MISC" if label == "count" else "EEG")
    channel.append_child_value("unit", "none" if label == "count" else "microvolts")
outlet = pylsl.StreamOutlet(info, chunk)
if not outlet.wait_for_consumers(30):
    sys.exit(1)
print("sending", flush=True)
first, due = 0, pylsl.local_clock()
while True:
    due += chunk / sfreq
    time.sleep(max(0.0, due - pylsl.local_clock()))
    i = np.arange(first, first + chunk)
    x = 5.0 * rng.standard_normal((chunk, n_channels + 1))
    x += 10.0 * np.sin(2 * np.pi * {TONE_HZ} * i / sfreq)[:, None]
    x[(i >= nan_from) & (i < nan_to), 0] = np.nan
    x[:, -1] = i
    outlet.push_chunk(x.astype(np.float32), due)
    first += chunk
"""


@pytest.fixture(autouse=True)
def one_thread():
    """As `bci` itself does: with two BLAS threads on two busy cores a decision took 0.4 s."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def unique():
    """A stream name that no other test, and nobody on the network, uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


def wait_until(condition, within_s, what="it"):
    """Poll until `condition()` is true (its value is returned); fail after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {within_s} s"
        time.sleep(0.02)
    return value


@pytest.fixture
def until():
    return wait_until


class Process:
    """A child process whose lines on standard error are kept."""

    def __init__(self, *arguments, cwd):
        self.lines = []
        self._popen = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
        self.pid = self._popen.pid
        self.output = []
        self._readers = [
            threading.Thread(target=self._keep, args=pair)
            for pair in ((self._popen.stderr, self.lines), (self._popen.stdout, self.output))
        ]
        for reader in self._readers:
            reader.start()

    def _keep(self, pipe, lines):
        with pipe:
            lines.extend(line.rstrip("\n") for line in iter(pipe.readline, ""))

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def alive(self):
        return self._popen.poll() is None

    def signal(self, number):
        self._popen.send_signal(number)

    def wait(self, within_s=15.0):
        """Its exit code."""
        try:
            code = self._popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.end()
            pytest.fail(f"still running after {within_s} s:\n{self.text}")
        for reader in self._readers:
            reader.join(5.0)
        return code

    def end(self):
        if self.alive:
            self._popen.kill()
        self._popen.wait()
        for reader in self._readers:
            reader.join(5.0)


class Engine(Process):
    """`bci run` with its configuration in `folder`, and its API once it answers."""

    def __init__(self, folder, settings, *arguments):
        self.folder = Path(folder)
        self.config = self.folder / "session.yaml"
        self.config.write_text(yaml.safe_dump(settings))
        super().__init__("-m", "bci.cli", "run", self.config, *arguments, cwd=folder)
        self._client = None

    @property
    def url(self):
        for line in self.lines:
            if found := re.search(r"API on (http://[^\s\"]+)", line):
                return found[1]
        return None

    def ready(self, within_s=20.0):
        """Wait until the API answers."""
        wait_until(lambda: self.url or not self.alive, within_s, "the API's start")
        assert self.alive, f"the engine ended:\n{self.text}"
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=5.0)
        return self

    def get(self, path):
        return self._client.get(path)

    def post(self, path, body):
        headers = {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}
        return self._client.post(path, json=body, headers=headers)

    @property
    def status(self):
        return self.get("/v1/status").json()

    @property
    def n_received(self):
        return self.status["source"]["n_received"]

    @property
    def n_decisions(self):
        return self.status["telemetry"]["decisions"]

    @property
    def token_file(self):
        return self.paths.folder / ".bci-token"

    @property
    def paths(self):
        """Files of the run (there must be one only)."""
        (xdf,) = self.folder.rglob("*_eeg.xdf")
        return parse(xdf)

    @property
    def said(self):
        """What it said to the user, without the log (JSON) and that of liblsl."""
        return [line for line in self.lines if not re.match(r"\{|.*\| ", line)]

    def stop(self, number=signal.SIGTERM):
        """Its exit code."""
        self.signal(number)
        return self.wait()

    def full_disk(self, spare):
        """From now on no file of the engine grows more than `spare` bytes beyond the recording."""
        limit = self.paths.xdf.stat().st_size + spare
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit, limit))

    def end(self):
        super().end()
        if self._client is not None:
            self._client.close()


@pytest.fixture
def engine(tmp_path):
    """Start engines that end with the test; each has a folder of its own."""
    with contextlib.ExitStack() as stack:

        def start(settings, *arguments):
            folder = tmp_path / f"engine-{uuid.uuid4().hex[:6]}"
            folder.mkdir()
            process = Engine(folder, settings, *arguments)
            stack.callback(process.end)
            return process

        yield start


@pytest.fixture
def bci(tmp_path):
    """Run another `bci` command to its end, or (`wait=False`) beside the test."""
    with contextlib.ExitStack() as stack:

        def run(*arguments, wait=True):
            process = Process("-m", "bci.cli", *arguments, cwd=tmp_path)
            stack.callback(process.end)
            if wait:
                process.code = process.wait(30.0)
            return process

        yield run


@pytest.fixture
def sender(tmp_path):
    """Start processes that send sines at 12 Hz in noise and a counting channel, when heard.

    The first channel is NaN in samples `nan`.
    """
    with contextlib.ExitStack() as stack:

        def start(name, n_channels=3, nan=(0, 0)):
            process = Process("-c", SENDER, name, n_channels, *nan, cwd=tmp_path)
            stack.callback(process.end)
            return process

        yield start


@pytest.fixture
def settings():
    """A free-running session on the stream of that name: a decision each 0.1 s."""

    def make(name, **changes):
        return {
            "source": {"kind": "lsl", "name": name, "type": "EEG"},
            "channels": {"pick": "eeg", "montage": None},
            "markers": {"kind": "none"},
            "processing": [{"kind": "bandpass", "low_hz": 6, "high_hz": 40, "order": 4}],
            "window": {"kind": "sliding", "length_s": 0.5, "hop_s": 0.1},
            "decoder": {"kind": "fbcca", "frequencies_hz": {"ten": 10, "twelve": TONE_HZ}},
            "recording": {"root": "recordings"},
            "api": {"port": 0},
            **changes,
        }

    return make


# --- in this process -----------------------------------------------------------------------------


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Start sessions in this process, from a dictionary or a `Config`; they end with the test."""
    monkeypatch.chdir(tmp_path)  # what a configuration names without a folder lies here
    with contextlib.ExitStack() as stack:

        def start(settings):
            if isinstance(settings, dict):
                settings = config.loads(yaml.safe_dump(settings))
            live = Session(settings)
            stack.callback(live.stop)
            live.start()
            return live

        yield start


@dataclass
class Client:
    """Control of a session in this process."""

    live: Session

    def post(self, path, body, within_s=60.0):
        token = (self.live.record.paths.folder / ".bci-token").read_text().strip()
        answer = httpx.post(
            self.live.api_url + path,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=within_s,
            trust_env=False,
        )
        assert answer.status_code == 202, answer.text
        return answer.json()


@pytest.fixture
def client():
    return Client


def simulate(paradigm, seconds, ch_names=None, seed=3):
    """A session of the simulated subject as a recording, float32 as a device sends."""
    source = SimulatedSettings(
        paradigm=paradigm,
        minutes=seconds / 60,
        speed=None,
        seed=seed,
        ch_names=ch_names,
        chunk=250,
    ).build()
    info = source.open()
    data, markers = [], []
    while source.state is not SourceState.ENDED:
        for reading in source.read(0.0):
            if isinstance(reading, Samples):
                data.append(reading.data)
            elif isinstance(reading, RawMarker):
                markers.append(reading)
    source.close()
    samples = np.concatenate(data).astype(np.float32)
    stamps = np.arange(len(samples)) / info.sfreq
    return Recording(Path("simulated.npz"), info, samples, stamps, markers)


def save_npz(recording, path):
    """Write a recording where `bci replay` finds it."""
    np.savez(
        path,
        data=recording.data,
        sfreq=recording.info.sfreq,
        ch_names=recording.info.ch_names,
        ch_types=recording.info.ch_types,
        markers=np.array([(m.index, m.value) for m in recording.markers], dtype=str).reshape(-1, 2),
    )
    return path


@pytest.fixture
def simulated():
    return simulate


@pytest.fixture
def saved():
    return save_npz


@pytest.fixture
def same():
    """Whether decisions as JSON say the same as others: indices and labels equal."""

    def check(found, expected, tolerance):
        keys = ("seq", "first", "last", "label", "quality", "marker", "forced", "model")
        assert [[d[k] for k in keys] for d in found] == [[d[k] for k in keys] for d in expected]
        for one, other in zip(found, expected, strict=True):
            assert one["proba"].keys() == other["proba"].keys()
            for label, p in other["proba"].items():
                assert one["proba"][label] == pytest.approx(p, abs=tolerance)

    return check


@pytest.fixture
def decided():
    """The decisions that a run left in its decisions.jsonl."""

    def read(paths):
        return [json.loads(line) for line in paths.decisions.read_text().splitlines()]

    return read
