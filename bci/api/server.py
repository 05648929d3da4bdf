"""The thread that serves the API."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from bci.api import Engine
from bci.api.broadcast import BACKLOG, DecisionFeed, SampleFeed
from bci.api.routes import create_app
from bci.api.security import Access, is_loopback, write_token
from bci.api.sockets import STALL_S, Sockets
from bci.errors import BciError, ConfigError
from bci.types import Decision

__all__ = ["ApiServer"]

_log = logging.getLogger(__name__)

#: Seconds that clients get to take the last decisions when the server stops.
_DRAIN_S = 0.5
_START_S = 10.0
_SEND_BUFFER = 256 * 1024
_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cache-Control", "no-store"),
]


class ApiServer:
    """HTTP and WebSocket server in one thread with its own event loop.

    Idle while nobody is connected. Nothing that a client does, or fails to do,
    reaches the decode thread.

    Parameters
    ----------
    engine : Engine
        The session.
    host : str
        Address to listen on. Beyond loopback, reading needs the token too.
    port : int
        0: any free port; `port` tells which after `start`.
    token : str or None
        None: a new one is made and written to `token_file`.
    token_file : path or None
        Readable by its owner only; removed by `stop`.
    origins : sequence of str
        Web origins besides the server's own that may use it from a browser.
    backlog : int
        Newest decisions kept for slow and returning clients.
    stall_s : float
        A client that takes nothing for so long is disconnected, seconds.
    """

    def __init__(
        self,
        engine: Engine,
        host: str = "127.0.0.1",
        port: int = 8765,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        origins: Sequence[str] = (),
        backlog: int = BACKLOG,
        stall_s: float = STALL_S,
    ) -> None:
        self.host = host
        self.port = port
        self.token = token or secrets.token_urlsafe(32)
        self._token_file = token_file if token is None else None
        telemetry = engine.telemetry
        self._decisions = DecisionFeed(telemetry.count_drops, backlog)
        samples = SampleFeed(lambda: engine.stream, telemetry.count_drops)
        self.sockets = Sockets(self._decisions, samples, self._abort, stall_s)
        access = Access(host, self.token, tuple(map(_checked_origin, origins)))
        self._app = create_app(engine, access, self.sockets)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Where a client on this machine finds the server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the server's thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen; returns once requests are answered.

        Raises
        ------
        ConfigError
            The address or port cannot be had, or the token cannot be written.
        BciError
            The server does not start.
        """
        listener = _listen(self.host, self.port)
        try:
            self.port = listener.getsockname()[1]
            if self._token_file is not None:
                write_token(self._token_file, self.token)
        except BaseException:
            listener.close()
            raise
        if not is_loopback(self.host):
            _log.warning(
                "the API listens on %s, beyond this machine: reading and control need the token, "
                "but nothing is encrypted; use it in a trusted network or through a tunnel",
                self.host,
            )
        self._server = _Server(self._app, self._decisions)
        self._thread = threading.Thread(
            target=self._run, args=(self._server, listener), name="bci-api", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_S) or self._failure is not None:
            self.stop()
            raise BciError(f"the API does not start on {self.url}: {self._failure or 'no answer'}")

    def publish(self, decision: Decision) -> None:
        """Hand a decision to every client; called by one thread, never blocks."""
        self._decisions.publish(decision)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let clients take what is left, close, join; harmless when called twice."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                _log.error("the API did not stop within %g s and is left behind", timeout_s)
            self._thread = None
        if self._token_file is not None:
            with suppress(OSError):
                self._token_file.unlink()

    def _run(self, server: _Server, listener: socket.socket) -> None:
        try:
            server.run([listener])
        except BaseException as error:
            self._failure = error
            _log.exception("the API stopped by an error")
        finally:
            listener.close()
            server.ready.set()

    def _abort(self, address: Any) -> None:
        if self._server is not None:
            self._server.abort(address)


class _Server(uvicorn.Server):
    """uvicorn, telling when it is ready and leaving no connection behind."""

    def __init__(self, app: Any, decisions: DecisionFeed) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="websockets-sansio",  # waits for a full socket, so nothing piles up
                ws_max_size=64 * 1024,
                ws_ping_timeout=40.0,
                ws_per_message_deflate=False,  # samples hardly shrink, and it costs the GIL
                lifespan="off",
                log_config=None,
                log_level="warning",  # at "info" it logs queries, and so tokens
                access_log=False,
                proxy_headers=False,
                server_header=False,
                headers=_HEADERS,
                timeout_graceful_shutdown=1,
            )
        )
        self.ready = threading.Event()
        self._decisions = decisions

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        with self._decisions.attached(asyncio.get_running_loop()):
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._decisions.finish(_DRAIN_S)
        # uvicorn waits for clients that say nothing and take nothing; they get this long
        asyncio.get_running_loop().call_later(_DRAIN_S, self.abort)
        await super().shutdown(sockets)

    def abort(self, address: Any = None) -> None:
        """Break the connection of the client at `address` (host, port); None: all of them."""
        for connection in list(self.server_state.connections):
            if address in (None, getattr(connection, "client", None)):
                connection.transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    """Open the listening socket, so that a taken port is known before the thread starts."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # with the protocol named, or asyncio leaves Nagle's algorithm on and answers wait 40 ms
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere it would let two servers share a port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # inherited by connections: what a slow display gets late is bounded, too
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            listener.bind(address)
            listener.listen(128)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise ConfigError(f"the API cannot listen on {host}:{port}: {_advice(error)}") from error
    return listener


def _advice(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no such address; use 127.0.0.1, or an address of this machine"
    if error.errno == errno.EADDRINUSE:
        return (
            "another program has this port, perhaps another engine; stop it, or set api.port to "
            "another one (0: any free one)"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; use 127.0.0.1 or one of its own"
    if error.errno == errno.EACCES:
        return "ports below 1024 are for the system; set api.port to a higher one"
    return error.strerror or str(error)


def _checked_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path:
        raise ConfigError(
            f"'{origin}' is not a web origin; write it as https://name or http://name:port"
        )
    return origin.lower()
