"""The application: HTTP routes, and errors as ``{"error": …}``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Security
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field, model_validator
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

import bci
from bci.api import CalibrationAction, ControlAction, Engine, LadderAction
from bci.api.security import Access, Gate
from bci.api.sockets import Sockets
from bci.api.wire import dumps
from bci.config import Settings
from bci.errors import BciError, ConfigError, ModelError
from bci.telemetry import to_prometheus
from bci.types import Feedback

__all__ = ["create_app"]

_DESCRIPTION = """\
Control (POST) needs `Authorization: Bearer TOKEN`, and so does reading when the
engine listens beyond loopback. Errors are `{"error": "…"}`.

WebSockets, which this page cannot list: `/v1/decisions` sends one JSON text per
decision (`?since=SEQ`: first those after that number which are still kept; -1:
all of them); `/v1/samples` sends the stream's description as JSON text, then
binary frames with a header of 32 bytes. Browsers, which cannot set the header,
may give `?token=TOKEN`.
"""


Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class MarkerRequest(Settings):
    """A marker for the present sample, or for another moment."""

    value: str = Field(min_length=1, max_length=1024, description="as it is to be recorded")
    t: float | None = Field(
        None,
        allow_inf_nan=False,
        description="when it was, seconds on the engine's clock ('clock' in the status); null: now",
    )


class ControlRequest(Settings):
    """Pause or resume deciding; recording goes on."""

    action: ControlAction


class FeedbackRequest(Settings):
    """What came of a decision: a reward, or in its place the label that is right."""

    seq: int = Field(ge=0, description="number of the decision")
    correct: bool | None = Field(None, description="the reward: it was right, or wrong")
    label: str | None = Field(
        None, min_length=1, max_length=1024, description="what it should have been"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        Feedback(0, self.seq, self.correct, self.label)
        return self


class PriorRequest(Settings):
    """What is expected of the next selection, whose marker is still to come."""

    proba: dict[str, Probability] | None = Field(
        description="probability of each label, in all 1; labels left out count as 0, and none "
        "becomes impossible; null: take back what still waits"
    )


class BypassRequest(Settings):
    """Take a processing stage out of the way of the samples, or put it back."""

    stage: int = Field(ge=0, description="number in 'processing', from 0")
    active: bool = Field(True, description="true: by-pass it; false: use it again")


class DecoderRequest(Settings):
    """Decide by another model from the next chunk on."""

    path: str = Field(min_length=1, max_length=4096, description="artifact on the engine's machine")


class CalibrationRequest(Settings):
    """Collect labelled windows, train, or give up."""

    action: CalibrationAction
    decoder: str | None = Field(
        None, max_length=64, description="kind to train; null: the session's own"
    )


class LadderRequest(Settings):
    """Compare decoders, or take the last hand-over back."""

    action: LadderAction


def create_app(engine: Engine, access: Access, sockets: Sockets) -> FastAPI:
    """Put the routes behind the gate."""
    app = FastAPI(
        title="Neuroloop engine",
        version=bci.__version__,
        description=_DESCRIPTION,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        exception_handlers=_HANDLERS,
    )
    app.include_router(_reading(engine, sockets))
    app.include_router(_control(engine))
    app.include_router(sockets.router())
    app.add_middleware(Gate, access=access)
    if access.origins:  # outside the gate: a browser's preflight carries no token
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
        )
    return app


def _json(content: Any, status: int = 200) -> Response:
    return Response(dumps(content), status, media_type="application/json")


def _reading(engine: Engine, sockets: Sockets) -> APIRouter:
    router = APIRouter()

    @router.get("/health", responses={503: {"description": "not well; reasons are given"}})
    async def health() -> Response:
        """Whether the engine does its work."""
        well, reasons = engine.health()
        return _json({"ok": well, "reasons": reasons}, 200 if well else 503)

    @router.get("/metrics")
    async def metrics() -> Response:
        """Latency, load, counts and memory in Prometheus' text format."""
        text = to_prometheus(engine.telemetry.snapshot(), engine.stages())
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    @router.get("/v1/status")
    async def status() -> Response:
        """Streams, model, recording, and every client with what it was sent and lost."""
        return _json(
            {
                "schema": "bci.status/1",
                **engine.status(),
                "api": {"clients": sockets.status()},
            }
        )

    return router


def _control(engine: Engine) -> APIRouter:
    # the gate checks the token before a body is read; this shows the lock on the docs page
    bearer = HTTPBearer(auto_error=False, description="the engine's token")
    router = APIRouter(prefix="/v1", dependencies=[Security(bearer)])

    @router.post("/markers", status_code=202)
    async def markers(body: MarkerRequest) -> Response:
        """Insert a marker at the present sample, or where its time says."""
        engine.insert_marker(body.value, body.t)
        return _accepted()

    @router.post("/control", status_code=202)
    async def control(body: ControlRequest) -> Response:
        """Pause or resume deciding."""
        engine.command(body.action)
        return _accepted()

    @router.post("/feedback", status_code=202)
    async def feedback(body: FeedbackRequest) -> Response:
        """Tell an adaptive decoder whether a decision was right, or what would have been."""
        engine.feedback(body.seq, body.correct, body.label)
        return _accepted()

    @router.post("/prior", status_code=202)
    async def prior(body: PriorRequest) -> Response:
        """Say how probable each label is, for the next selection alone; recorded as used."""
        engine.expect(body.proba)
        return _accepted()

    @router.post("/bypass", status_code=202)
    async def bypass(body: BypassRequest) -> Response:
        """By-pass a processing stage from the next sample on, or use it again; logged."""
        engine.bypass(body.stage, body.active)
        return _accepted()

    @router.post("/decoder", status_code=202)
    async def decoder(body: DecoderRequest) -> Response:
        """Swap the decoder between two chunks; answers when the new one is loaded."""
        await _in_thread(engine.swap_decoder, Path(body.path))
        return _accepted()

    @router.post("/calibration", status_code=202)
    async def calibration(body: CalibrationRequest) -> Response:
        """Start, finish or cancel a calibration; "finish" answers when training is over."""
        await _in_thread(engine.calibrate, body.action, body.decoder)
        return _accepted()

    @router.post("/ladder", status_code=202)
    async def ladder(body: LadderRequest) -> Response:
        """Compare the ladder's rungs now, or roll back; a swap waits for the next selection."""
        await _in_thread(engine.climb, body.action)
        return _accepted()

    return router


async def _in_thread(call: Callable[..., None], *arguments: Any) -> None:
    """Let the engine take its time without holding up other requests, or the server's stop."""
    await to_thread.run_sync(call, *arguments, abandon_on_cancel=True)


def _accepted() -> Response:
    return _json({"accepted": True}, 202)


# --- errors --------------------------------------------------------------------------------------


def _error(message: str, status: int) -> Response:
    return _json({"error": message}, status)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = str(error.detail)
    if error.status_code == 404:
        message = f"there is no {request.url.path}; /docs lists what there is"
    elif error.status_code == 405:
        message = f"{request.method} is not for {request.url.path}; /docs says what is"
    response = _error(message, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _user_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ConfigError):
        return _error(str(error), 400)
    return _error(str(error), 422 if isinstance(error, ModelError) else 409)


async def _internal_error(request: Request, error: Exception) -> Response:
    return _error("the engine failed at this; its log says where", 500)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    kinds = {part["type"] for part in error.errors()}
    return _error(_explain(error.errors()), 400 if "json_invalid" in kinds else 422)


async def _invalid_socket(websocket: WebSocket, error: Exception) -> None:
    assert isinstance(error, WebSocketRequestValidationError)
    await websocket.send_denial_response(_error(_explain(error.errors()), 422))


def _explain(errors: Any) -> str:
    """One line for all that pydantic found."""
    return "; ".join(_explain_one(part) for part in errors)


def _explain_one(part: dict[str, Any]) -> str:
    key = ".".join(str(step) for step in part["loc"][1:])
    if part["type"] == "value_error" and not key:
        return str(part["ctx"]["error"])
    if part["type"] == "json_invalid":
        return f"the body is not JSON: {part['ctx']['error']} at character {key}"
    if not key:
        return "the body must be a JSON object, sent with Content-Type: application/json"
    if part["type"] == "extra_forbidden":
        return f"unknown key '{key}'"
    if part["type"] == "missing":
        return f"'{key}' is missing"
    return f"'{key}': {part['msg']}"


_HANDLERS: dict[int | type[Exception], Callable[..., Any]] = {
    HTTPException: _http_error,
    BciError: _user_error,
    RequestValidationError: _invalid,
    WebSocketRequestValidationError: _invalid_socket,
    Exception: _internal_error,
}
