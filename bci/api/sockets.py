"""One WebSocket from accept to close: sending, noticing that the client left, giving up on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query
from starlette.websockets import WebSocket, WebSocketDisconnect

from bci.api.broadcast import Client, DecisionFeed, SampleFeed
from bci.api.security import Refusal

__all__ = ["MAX_CLIENTS", "STALL_S", "Sockets"]

_log = logging.getLogger(__name__)

#: WebSockets served at one time.
MAX_CLIENTS = 64
#: A client that takes nothing for so long is disconnected, seconds.
STALL_S = 30.0

Message = TypeVar("Message", str, bytes)


class Sockets:
    """The WebSockets of a server.

    Parameters
    ----------
    decisions, samples : DecisionFeed, SampleFeed
        What is sent.
    abort : callable
        Takes a client's address (host, port) and breaks its connection: closing
        politely would wait for a client that takes nothing.
    stall_s : float
        A client that takes nothing for so long is given up, seconds.
    """

    def __init__(
        self,
        decisions: DecisionFeed,
        samples: SampleFeed,
        abort: Callable[[Any], None],
        stall_s: float = STALL_S,
    ) -> None:
        self._decisions = decisions
        self._samples = samples
        self._abort = abort
        self._stall_s = stall_s
        self._clients: dict[int, Client] = {}

    def router(self) -> APIRouter:
        """Build the routes ``/v1/decisions`` and ``/v1/samples``."""
        router = APIRouter(prefix="/v1")

        @router.websocket("/decisions")
        async def decisions(
            websocket: WebSocket, since: Annotated[int | None, Query(ge=-1)] = None
        ) -> None:
            place = self._decisions.place(since)  # now: what is decided after the handshake counts
            send = self._bounded(websocket.send_text)
            await self._serve(
                websocket, "decisions", lambda client: self._decisions.serve(client, send, place)
            )

        @router.websocket("/samples")
        async def samples(websocket: WebSocket) -> None:
            text, data = self._bounded(websocket.send_text), self._bounded(websocket.send_bytes)
            await self._serve(
                websocket, "samples", lambda client: self._samples.serve(client, text, data)
            )

        return router

    def status(self) -> list[dict[str, Any]]:
        """Every client with its account, for ``/v1/status``."""
        return [
            {
                "feed": client.feed,
                "address": client.address,
                **(
                    self._decisions.account(client)
                    if client.feed == "decisions"
                    else {"sent": client.sent, "lost": client.lost}
                ),
            }
            for client in self._clients.values()
        ]

    def _bounded(
        self, send: Callable[[Message], Awaitable[None]]
    ) -> Callable[[Message], Awaitable[None]]:
        async def bounded(message: Message) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        return bounded

    async def _serve(
        self,
        websocket: WebSocket,
        feed: Literal["decisions", "samples"],
        serve: Callable[[Client], Awaitable[None]],
    ) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            refusal = Refusal(503, f"this engine serves {MAX_CLIENTS} WebSockets, and has them")
            await websocket.send_denial_response(refusal.response())
            return
        host, port = websocket.client or ("unknown", 0)
        client = Client(feed, f"{host}:{port}")
        self._clients[id(client)] = client
        try:
            await websocket.accept()
            await self._until_over(websocket, client, serve)
        finally:
            del self._clients[id(client)]

    async def _until_over(
        self, websocket: WebSocket, client: Client, serve: Callable[[Client], Awaitable[None]]
    ) -> None:
        """Send until the feed ends, the client leaves, or it takes nothing any more."""
        sender = asyncio.ensure_future(serve(client))
        reader = asyncio.ensure_future(_until_gone(websocket))
        try:
            await asyncio.wait({sender, reader}, return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                await sender
                async with asyncio.timeout(self._stall_s):
                    await websocket.close(1001, "the session has ended")
        except TimeoutError:
            _log.warning(
                "client %s of %s took nothing for %g s and is disconnected",
                client.address, client.feed, self._stall_s,
            )  # fmt: skip
            self._abort(websocket.client)
        except WebSocketDisconnect:
            pass  # it left while it was being sent to
        finally:
            sender.cancel()
            reader.cancel()
            await asyncio.gather(sender, reader, return_exceptions=True)


async def _until_gone(websocket: WebSocket) -> None:
    """Read until the client closes; what it says is of no interest to a feed."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
