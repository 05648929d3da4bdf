"""LSL on loopback: names of their own for each test, outlets, and a sender that can be killed."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

# Read when liblsl is first used, here and in child processes: this network only, and a quick
# first estimate of the clock offset.
os.environ.setdefault("LSLAPICFG", str(pathlib.Path(__file__).with_name("lsl_api.cfg")))

SENDER = """
import sys, time
import numpy as np
import pylsl

name, source_id, n_channels, chunk, sfreq, first = sys.argv[1:7]
n_channels, chunk, sfreq, first = int(n_channels), int(chunk), float(sfreq), int(first)
info = pylsl.StreamInfo(name, "EEG", n_channels, sfreq, "float32", source_id)
outlet = pylsl.StreamOutlet(info, chunk)
outlet.wait_for_consumers(30)
print("sending", flush=True)
due = pylsl.local_clock()
while True:
    due += chunk / sfreq
    time.sleep(max(0.0, due - pylsl.local_clock()))
    count = np.arange(first, first + chunk, dtype=np.float32)
    first += chunk
    outlet.push_chunk(np.repeat(count[:, None], n_channels, axis=1), due)
"""


@pytest.fixture
def unique() -> str:
    """A stream name and source_id that no other test, and nobody on the network, uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


class Sender:
    """A process that sends a counting stream, once someone listens."""

    def __init__(self, name: str, n_channels: int = 2, source_id: str | None = None) -> None:
        arguments = (name, source_id or name, n_channels, 10, 500.0, 0)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SENDER, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def sender() -> Iterator[Callable[..., Sender]]:
    """Start senders that end with the test."""
    started: list[Sender] = []

    def start(*args: object, **kwargs: object) -> Sender:
        started.append(Sender(*args, **kwargs))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def until() -> Callable[..., None]:
    """Repeat `step` until `condition` holds; fail after `within_s`."""

    def wait(condition: Callable[[], bool], step: Callable[[], object], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {within_s} s"
            step()

    return wait


@pytest.fixture(autouse=True)
def quick_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one machine, all streams that match answer within milliseconds."""
    monkeypatch.setattr("bci.lsl.network.SETTLE_S", 0.1)
