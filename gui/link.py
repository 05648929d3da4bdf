"""The link to an engine: threads that read its API into bounded stores, and post to it.

No Qt, and no callback from a foreign thread: whoever shows something looks at
`EngineLink.status` and the stores when it draws, and `poll` delivers answers in
the caller's own thread. A reader that is late loses nothing but what the stores
no longer hold, and that is counted.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from typing import Any, Literal

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from bci.api.wire import SampleFrame
from bci.errors import BciError
from bci.types import StreamInfo
from gui.stores import DecisionStore, SampleStore

__all__ = ["Answer", "EngineLink"]

#: Seconds between two looks at the engine's status.
STATUS_S = 0.25
#: Seconds before a new attempt, doubled from the first to the last.
BACK_OFF_S = (0.1, 2.0)
#: Seconds within which an engine answers, if it is there.
TIMEOUT_S = 5.0
#: Requests that may wait to be sent.
MAX_REQUESTS = 256
#: Requests that may take minutes (training, loading): they wait in a line of their own.
_SLOW = ("/v1/calibration", "/v1/decoder", "/v1/ladder")

State = Literal["connecting", "live", "lost"]
Done = Callable[["Answer"], None]
_Request = tuple[str, dict[str, Any], Done | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request.

    Attributes
    ----------
    ok : bool
    status : int or None
        HTTP status; None where the engine did not answer.
    error : str
        One line for the user; empty where `ok`.
    content : mapping
        The engine's JSON.
    """

    ok: bool
    status: int | None = None
    error: str = ""
    content: dict[str, Any] = field(default_factory=dict)


class EngineLink:
    """Reads an engine's status, decisions and samples, and reconnects by itself.

    Parameters
    ----------
    url : str
        Of the engine's API, such as ``http://127.0.0.1:8765``.
    token : str or None
        For requests, and for reading an engine beyond loopback.
    samples : bool
        Whether samples are wanted.

    Attributes
    ----------
    samples : SampleStore
    decisions : DecisionStore
    status : dict or None
        The newest ``GET /v1/status``; None before the first.
    """

    def __init__(self, url: str, token: str | None = None, *, samples: bool = True) -> None:
        self.url = url.rstrip("/")
        self.samples = SampleStore()
        self.decisions = DecisionStore()
        self.status: dict[str, Any] | None = None
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: str | None = None  # of the engine, to which the stores belong
        self._stream: dict[str, Any] | None = None
        self._renewing = Lock()
        self._stop = Event()
        self._was_live = False
        readers = [("status", self._read_status), ("decisions", self._read_decisions)]
        if samples:
            readers.append(("samples", self._read_samples))
        #: reader: what keeps it from reading; empty while it reads
        self._trouble = {name: "not connected yet" for name, _ in readers}
        self._answers: deque[tuple[Done, Answer]] = deque()
        self._quick: Queue[_Request] = Queue(MAX_REQUESTS)
        self._slow: Queue[_Request] = Queue(MAX_REQUESTS)
        self._readers = [_thread(name, self._keep_reading, name, read) for name, read in readers]
        self._senders = [
            _thread("quick", self._send, self._quick, TIMEOUT_S),
            _thread("slow", self._send, self._slow, None),
        ]

    @property
    def state(self) -> State:
        """Where the link stands: live while all that is wanted is being read."""
        if not any(self._trouble.values()):
            self._was_live = True
            return "live"
        return "lost" if self._was_live else "connecting"

    @property
    def reason(self) -> str:
        """Why the link is not live, in one line; empty while it is."""
        return next(filter(None, self._trouble.values()), "")

    def start(self) -> None:
        """Start to connect."""
        for thread in (*self._readers, *self._senders):
            thread.start()

    def close(self) -> None:
        """Disconnect; harmless when called twice. A request under way is abandoned."""
        self._stop.set()
        for thread in self._readers:
            if thread.ident is not None:
                thread.join(2 * TIMEOUT_S)

    def post(self, path: str, body: dict[str, Any], done: Done | None = None) -> None:
        """Send a request; `done` gets the answer from a later `poll`. Never blocks."""
        line = self._slow if path in _SLOW else self._quick
        try:
            line.put_nowait((path, body, done))
        except Full:
            self._answer(done, Answer(False, error=f"{MAX_REQUESTS} requests wait already"))

    def poll(self) -> None:
        """Deliver the answers that have come, in the caller's thread."""
        while self._answers:
            done, answer = self._answers.popleft()
            done(answer)

    # --- reading -------------------------------------------------------------------------------

    def _keep_reading(self, reader: str, read: Callable[[httpx.Client], None]) -> None:
        """Read; after a failure say why, wait and try again, until the link is closed."""
        wait_s, longest_s = BACK_OFF_S
        with self._client(TIMEOUT_S) as client:
            while not self._stop.is_set():
                try:
                    read(client)
                    trouble = "the engine has ended the connection"
                except (httpx.HTTPError, WebSocketException, OSError, BciError) as error:
                    trouble = _explain(error)
                if not self._trouble[reader]:  # it did read
                    wait_s = BACK_OFF_S[0]
                self._trouble[reader] = trouble
                self._stop.wait(wait_s)
                wait_s = min(2 * wait_s, longest_s)

    def _read_status(self, client: httpx.Client) -> None:
        while not self._stop.is_set():
            self._look(client)
            self._trouble["status"] = ""
            self._stop.wait(STATUS_S)

    def _read_decisions(self, client: httpx.Client) -> None:
        self._look(client)  # first: another session counts its decisions from 0 again
        with self._socket(f"/v1/decisions?since={self.decisions.last_seq}") as socket:
            self._trouble["decisions"] = ""
            for message in self._messages(socket):
                self.decisions.append(json.loads(message))

    def _read_samples(self, client: httpx.Client) -> None:
        self._look(client)
        with self._socket("/v1/samples") as socket:
            for message in self._messages(socket):
                if isinstance(message, str):
                    self._describe(json.loads(message))
                else:
                    self._take(SampleFrame.from_bytes(message))
                self._trouble["samples"] = ""

    def _look(self, client: httpx.Client) -> None:
        """Get the status; when it is another session's, what was read before is forgotten."""
        answer = client.get("/v1/status")
        if answer.is_error:
            raise BciError(_error_of(answer))
        status = answer.json()
        with self._renewing:
            if status.get("session") != self._session:
                self._session = status.get("session")
                self.decisions.begin()
                self._stream = None
        self.status = status

    def _describe(self, description: dict[str, Any]) -> None:
        """Begin another stream, unless it is the one that was lost."""
        if description != self._stream:
            self.samples.begin(_stream_info(description))
            self._stream = description

    def _take(self, frame: SampleFrame) -> None:
        info = self.samples.info
        if frame.start < self.samples.position and info is not None:
            self.samples.begin(info)  # of the same description, and yet another stream
        self.samples.write(frame.start, frame.data)

    def _socket(self, path: str) -> ClientConnection:
        return connect(
            self.url.replace("http", "ws", 1) + path,
            additional_headers=self._headers,
            compression=None,
            proxy=None,
            open_timeout=TIMEOUT_S,
            close_timeout=0.5,
            max_size=None,
        )

    def _messages(self, socket: ClientConnection) -> Iterator[str | bytes]:
        """What comes, until the link or the connection is closed."""
        while not self._stop.is_set():
            try:
                yield socket.recv(timeout=STATUS_S)
            except TimeoutError:
                continue
            except ConnectionClosed:
                return

    # --- sending -------------------------------------------------------------------------------

    def _send(self, line: Queue[_Request], timeout_s: float | None) -> None:
        with self._client(timeout_s) as client:
            while not self._stop.is_set():
                try:
                    path, body, done = line.get(timeout=STATUS_S)
                except Empty:
                    continue
                try:
                    self._answer(done, _answer(client.post(path, json=body)))
                except httpx.HTTPError as error:
                    self._answer(done, Answer(False, error=_explain(error)))

    def _answer(self, done: Done | None, answer: Answer) -> None:
        if done is not None:
            self._answers.append((done, answer))

    def _client(self, timeout_s: float | None) -> httpx.Client:
        timeout = httpx.Timeout(timeout_s, connect=TIMEOUT_S)
        return httpx.Client(
            base_url=self.url, headers=self._headers, timeout=timeout, trust_env=False
        )


def _thread(name: str, body: Callable[..., None], *arguments: Any) -> Thread:
    return Thread(target=body, args=arguments, name=f"link-{name}", daemon=True)


def _answer(response: httpx.Response) -> Answer:
    if response.is_error:
        return Answer(False, response.status_code, _error_of(response))
    return Answer(True, response.status_code, content=response.json())


def _error_of(response: httpx.Response) -> str:
    """The engine's own line, where the answer has one."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"the engine answers with HTTP status {response.status_code}"


def _explain(error: Exception) -> str:
    """One line for what keeps a connection from being made or kept."""
    if isinstance(error, InvalidStatus):
        try:
            return str(json.loads(error.response.body or b"")["error"])
        except (ValueError, KeyError, TypeError):
            return f"the engine answers with HTTP status {error.response.status_code}"
    if isinstance(error, (httpx.ConnectError, ConnectionRefusedError)):
        return "no engine answers there; it has ended, or has not started yet"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return f"the engine does not answer within {TIMEOUT_S:g} s"
    if isinstance(error, BciError):
        return str(error)
    return f"the connection broke: {error or type(error).__name__}"


def _stream_info(description: dict[str, Any]) -> StreamInfo:
    return StreamInfo(
        name=description["name"],
        sfreq=description["sfreq"],
        ch_names=tuple(description["ch_names"]),
        ch_types=tuple(description["ch_types"]),
        positions={name: (x, y, z) for name, (x, y, z) in description["positions_m"].items()},
        source_id=description["source_id"],
    )
