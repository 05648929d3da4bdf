"""Who may ask: a gate before every request, WebSockets included.

Three attacks are meant. A web page open in the user's browser may call any
local address: its `Origin` gives it away. A page may also point its own name at
127.0.0.1 (DNS rebinding): then the `Host` header carries that name. And other
machines may call when the engine listens beyond loopback: then everything needs
the token. Control needs the token always.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bci.api.wire import dumps
from bci.errors import ConfigError

__all__ = ["MAX_BODY", "Access", "Gate", "Refusal", "is_loopback", "write_token"]

#: Largest body of a request, bytes.
MAX_BODY = 64 * 1024
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a server bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served."""

    status: Literal[401, 403, 413, 503]
    error: str

    def response(self) -> Response:
        """Answer with it, as ``{"error": …}``."""
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else None
        return Response(dumps({"error": self.error}), self.status, headers, "application/json")


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of a server bound to `host`.

    Attributes
    ----------
    host : str
        Address that the server is bound to.
    token : str
        What ``Authorization: Bearer`` must carry.
    origins : tuple of str
        Web origins besides the server's own that may use it from a browser, such
        as "https://lab.example.org"; their host names are accepted too.
    """

    host: str
    token: str = field(repr=False)
    origins: tuple[str, ...] = ()

    def refuse(self, scope: Scope) -> Refusal | None:
        """Say what stands against a request (an ASGI scope); None: nothing."""
        headers = Headers(scope=scope)
        refusal = self._check_host(headers.get("host", ""))
        if refusal is None:
            refusal = self._check_origin(headers)
        if refusal is None and self._needs_token(scope):
            refusal = self._check_token(scope, headers)
        return refusal

    def _check_host(self, value: str) -> Refusal | None:
        name = _host_name(value)
        if name in {"localhost", self.host.lower()} or name in self._listed_hosts():
            return None
        try:  # rebinding needs a name: an address in its place is no sign of it
            address = ipaddress.ip_address(name)
        except ValueError:
            known = not is_loopback(self.host) and name == socket.gethostname().lower()
        else:
            known = address.is_loopback or not is_loopback(self.host)
        if known:
            return None
        return Refusal(
            403, f"host '{name}' is not a name of this engine; use its address, or localhost"
        )

    def _listed_hosts(self) -> set[str]:
        return {name for origin in self.origins if (name := urlsplit(origin).hostname)}

    def _check_origin(self, headers: Headers) -> Refusal | None:
        for origin in headers.getlist("origin"):
            if origin not in (f"http://{headers.get('host', '')}", *self.origins):
                return Refusal(403, f"web pages of '{origin}' may not use this engine")
        return None

    def _needs_token(self, scope: Scope) -> bool:
        if not is_loopback(self.host):
            return True
        return scope["type"] == "http" and scope["method"] not in _READING

    def _check_token(self, scope: Scope, headers: Headers) -> Refusal | None:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        given = value.strip().encode("latin-1") if scheme.lower() == "bearer" else b""
        if not given and scope["type"] == "websocket":  # browsers cannot set its headers
            query = parse_qs(scope["query_string"].decode("latin-1"))
            given = query.get("token", [""])[0].encode()
        if not given:
            return Refusal(401, "this needs the engine's token: 'Authorization: Bearer TOKEN'")
        if not secrets.compare_digest(given, self.token.encode()):
            return Refusal(401, "the token is not this engine's; each start may make a new one")
        return None


def _host_name(value: str) -> str:
    """Host without port, lower case; empty where it is malformed."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


class Gate:
    """ASGI middleware: refuses what `Access` refuses, and bodies over `MAX_BODY`."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        refusal = self.access.refuse(scope)
        if refusal is None and scope["type"] == "http":
            declared = Headers(scope=scope).get("content-length", "0")
            if declared.isdecimal() and int(declared) > MAX_BODY:
                refusal = _too_large()
            receive = _limited(receive)
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await refusal.response()(scope, receive, send)


def _too_large() -> Refusal:
    return Refusal(413, f"the body is larger than {MAX_BODY} bytes")


def _limited(receive: Receive) -> Receive:
    """`receive` that stops a body of undeclared length at `MAX_BODY`."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY:
            raise HTTPException(413, _too_large().error)
        return message

    return limited


def write_token(path: Path, token: str) -> None:
    """Write `token` to a file that only its owner can read; an older file is replaced.

    Raises
    ------
    ConfigError
        The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.unlink()
        # a new file with its mode from the first moment on, never through a link
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
    except OSError as error:
        raise ConfigError(
            f"the API's token cannot be written to {path}: {error.strerror}; "
            "name another place, or set api.token"
        ) from error
