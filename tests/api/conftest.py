"""A real server on a free port, behind it an engine that only remembers what it was asked."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from bci.api.server import ApiServer
from bci.ring import RingBuffer
from bci.telemetry import Telemetry
from bci.types import Decision, Quality, StreamInfo

TOKEN = "a-token-for-these-tests"


class FakeEngine:
    def __init__(self) -> None:
        self.telemetry = Telemetry(hop_s=0.05)
        self.stream: tuple[RingBuffer, StreamInfo] | None = None
        self.reasons: list[str] = []
        self.calls: list[tuple[Any, ...]] = []
        self.error: Exception | None = None
        self.loading: threading.Event | None = None

    def open_stream(
        self, n_channels: int = 3, sfreq: float = 250.0, seconds: int = 10
    ) -> RingBuffer:
        names = tuple(f"C{i}" for i in range(n_channels))
        info = StreamInfo("fake", sfreq, names, ("eeg",) * n_channels, {"C0": (0.0, 0.1, 0.0)})
        ring = RingBuffer(int(sfreq * seconds), n_channels)
        self.stream = ring, info
        return ring

    def status(self) -> dict[str, Any]:
        return {"version": "0", "streams": [{"state": "live", "rate": float("nan")}]}

    def stages(self) -> list[dict[str, Any]]:
        hop_ms = {"p50": 1.0, "p99": 2.0, "max": None}
        return [{"stage": 0, "kind": "asr", "active": False, "load": 0.2, "budget": None,
                 "hop_ms": hop_ms}]  # fmt: skip

    def health(self) -> tuple[bool, list[str]]:
        return not self.reasons, self.reasons

    def _called(self, *call: Any) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append(call)

    def command(self, action: str) -> None:
        self._called("command", action)

    def insert_marker(self, value: str, t: float | None = None) -> None:
        self._called("marker", value, *([] if t is None else [t]))

    def feedback(self, seq: int, correct: bool | None = None, label: str | None = None) -> None:
        self._called("feedback", seq, correct, label)

    def expect(self, proba: dict[str, float] | None) -> None:
        self._called("prior", proba)

    def bypass(self, stage: int, active: bool) -> None:
        self._called("bypass", stage, active)

    def swap_decoder(self, path: Path) -> None:
        if self.loading is not None:
            self.calls.append(("loading", path))
            self.loading.wait(30)
        self._called("decoder", path)

    def calibrate(self, action: str, decoder: str | None) -> None:
        self._called("calibrate", action, decoder)

    def climb(self, action: str) -> None:
        self._called("climb", action)


def make_decision(seq: int, **changes: Any) -> Decision:
    return Decision(
        seq, seq * 50, seq * 50 + 999, "A", {"A": 0.75, "µ": 0.25}, Quality(), "fbcca", **changes
    )


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.005)


class Site:
    """A running server and ways to call it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, trust_env=False)
        self.token = {"Authorization": f"Bearer {server.token}"}

    def socket(self, path: str, **options: Any) -> ClientConnection:
        options.setdefault("proxy", None)
        return connect(self.server.url.replace("http", "ws", 1) + path, **options)

    def clients(self) -> list[dict[str, Any]]:
        return self.server.sockets.status()

    def wait_for_clients(self, n: int) -> None:
        wait_until(lambda: len(self.clients()) == n)


@pytest.fixture(scope="module")
def _engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def engine(_engine: FakeEngine) -> FakeEngine:
    """The engine behind `site` and `serve`, as new; they stay, for stopping takes 0.2 s."""
    _engine.__init__()  # type: ignore[misc]
    return _engine


@pytest.fixture(scope="module")
def serve(_engine: FakeEngine) -> Any:
    """Run servers: ``with serve(host=…) as site``."""

    @contextmanager
    def run(**options: Any) -> Iterator[Site]:
        server = ApiServer(_engine, **{"port": 0, "token": TOKEN, **options})
        server.start()
        site = Site(server)
        try:
            yield site
        finally:
            site.http.close()
            server.stop()

    return run


@pytest.fixture(scope="module")
def _site(serve: Any) -> Iterator[Site]:
    with serve() as running:
        yield running


@pytest.fixture
def site(engine: FakeEngine, _site: Site) -> Site:
    return _site


@pytest.fixture
def decision() -> Callable[..., Decision]:
    return make_decision


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def counting() -> Callable[[int, int], Any]:
    """Samples whose channels hold the sample's own index."""

    def make(start: int, n: int, n_channels: int = 3) -> Any:
        return np.repeat(np.arange(start, start + n, dtype=float)[:, None], n_channels, axis=1)

    return make
