"""The engine's HTTP and WebSocket interface.

What every client uses, the desktop application included::

    GET  /health         200, or 503 with reasons
    GET  /metrics        Prometheus text
    GET  /v1/status      everything there is to show, JSON
    WS   /v1/decisions   one JSON text per decision; ?since=SEQ resumes after that one
    WS   /v1/samples     JSON stream description, then binary frames (`bci.api.wire`)
    POST /v1/markers     {value, t}
    POST /v1/control     {action: pause | resume}
    POST /v1/feedback    {seq, correct} or {seq, label}
    POST /v1/prior       {proba: {label: p}}
    POST /v1/decoder     {path}
    POST /v1/calibration {action: start | finish | cancel, decoder}
    POST /v1/ladder      {action: look | rollback}

`wire` is what travels, `security` who may ask, `broadcast` how decisions and
samples reach clients of any speed, `routes` the application, `server` the
thread that runs it. This module says what the server asks of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from bci.ring import RingBuffer
    from bci.telemetry import Telemetry
    from bci.types import StreamInfo

__all__ = ["CalibrationAction", "ControlAction", "Engine", "LadderAction"]

ControlAction = Literal["pause", "resume"]
CalibrationAction = Literal["start", "finish", "cancel"]
LadderAction = Literal["look", "rollback"]


class Engine(Protocol):
    """What the server needs of a session.

    `swap_decoder`, `calibrate` and `climb` are called from a worker thread and may take
    their time (when the server stops, they are abandoned there). The rest is
    called from the event loop and must not block. A `BciError` raised by any of
    them is the client's answer, status 409 (422 for `ModelError`, 400 for
    `ConfigError`).
    """

    @property
    def telemetry(self) -> Telemetry:
        """Where the session reports; the server adds the drops of its clients."""
        ...

    @property
    def stream(self) -> tuple[RingBuffer, StreamInfo] | None:
        """Raw samples for display and what they are; None before the source is open.

        A new ring means a new stream: clients are told and start afresh.
        """
        ...

    def status(self) -> dict[str, Any]:
        """All there is to show, JSON-able; the server adds ``schema`` and ``api``."""
        ...

    def stages(self) -> list[dict[str, Any]]:
        """The processing stages as in the status, JSON-able."""
        ...

    def health(self) -> tuple[bool, list[str]]:
        """Whether the engine does its work, and what is wrong where it doesn't."""
        ...

    def command(self, action: ControlAction) -> None:
        """Pause or resume deciding."""
        ...

    def insert_marker(self, value: str, t: float | None = None) -> None:
        """Mark the sample at time `t` of the engine's clock, or the present one, with `value`."""
        ...

    def feedback(self, seq: int, correct: bool | None = None, label: str | None = None) -> None:
        """Say whether decision `seq` was right, or its right label, for decoders that learn."""
        ...

    def expect(self, proba: Mapping[str, float] | None) -> None:
        """Give the prior of the next selection's labels, or take it back."""
        ...

    def bypass(self, stage: int, active: bool) -> None:
        """By-pass processing stage number `stage`, or (`active` False) use it again."""
        ...

    def swap_decoder(self, path: Path) -> None:
        """Decide by the model artifact at `path` from the next chunk on."""
        ...

    def calibrate(self, action: CalibrationAction, decoder: str | None) -> None:
        """Start to collect labelled windows, finish by training, or give up.

        `decoder` is the kind to train; None: the session's own.
        """
        ...

    def climb(self, action: LadderAction) -> None:
        """Compare the ladder's rungs now, or go back to the rung before."""
        ...
