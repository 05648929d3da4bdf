"""A session's state in words: the line at the foot of the window, and the banner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gui.engine import EngineProcess
from gui.link import EngineLink

__all__ = ["Trouble", "describe", "trouble"]

#: A start takes so long at most, seconds; then it is said that it takes long.
STARTING_S = 20.0
#: As much for an engine that runs already.
ATTACHING_S = 3.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps samples from coming, in one line, and whether starting again can help."""

    text: str
    can_start: bool = False


def describe(link: EngineLink) -> str:
    """The session in one line."""
    status = link.status
    if status is None:
        return "starting …" if link.state == "connecting" else link.reason
    source, told = status["source"], status["telemetry"]
    rate = told["effective_rate_hz"]
    parts = [
        f"{source['name']}: {source['state']}",
        "paused" if status["paused"] else "",
        "" if rate is None else f"{rate:.1f} Hz",
        f"{told['decisions']} decisions" if status["decoder"]["labels"] else "",
        _bypassed(status),
        _recording(status["recording"]),
    ]
    return "   ".join(part for part in parts if part)


def _bypassed(status: dict[str, Any]) -> str:
    """Stages that the samples go past, by no wish of the configuration."""
    stages = status.get("processing", {}).get("stages", [])
    kinds = [s["kind"] for s in stages if not s["active"]]
    return f"▲ by-passed: {', '.join(kinds)}" if kinds else ""


def _recording(record: dict[str, Any] | None) -> str:
    if record is None:
        return "not recorded"
    return f"● {record['state']} {record['path'].rpartition('/')[2]}"


def trouble(link: EngineLink, engine: EngineProcess | None, seconds: float) -> Trouble | None:
    """What is wrong `seconds` after the session was opened; None: nothing.

    Parameters
    ----------
    link : EngineLink
    engine : EngineProcess or None
        Where this application has started it.
    seconds : float
    """
    if engine is not None and not engine.running and engine.exit_code is not None:
        error = engine.error
        text = f"The engine has ended: {error}." if error else "The session has come to its end."
        kept = " What it recorded is kept." if _is_recorded(link) else ""
        return Trouble(text + kept, can_start=True)
    if link.state == "lost":
        return Trouble(f"The engine is lost: {link.reason}. Trying again …")
    if link.state == "connecting":
        if seconds > (ATTACHING_S if engine is None else STARTING_S):
            return Trouble(f"Connecting: {link.reason}. Trying again …")
        return None
    return _trouble_of(link.status or {})


def _is_recorded(link: EngineLink) -> bool:
    return link.status is not None and link.status["recording"] is not None


def _trouble_of(status: dict[str, Any]) -> Trouble | None:
    """What the engine itself finds wrong."""
    source, record = status.get("source", {}), status.get("recording")
    words = {
        "stale": "no samples come, though the connection stands",
        "lost": "the connection is lost; the engine looks for the stream again",
        "recovering": "the stream is back and is being checked",
        "ended": "the recording has been played to its end",
    }
    if source.get("state") in words:
        goes_on = record is not None and source["state"] != "ended"
        going = " Recording goes on when it is back." if goes_on else ""
        return Trouble(f"{source['name']}: {words[source['state']]}.{going}")
    if record is not None and record["message"]:
        return Trouble(f"Recording: {record['message']}")
    if not status.get("markers", {}).get("connected", True):
        return Trouble("The stream of markers is lost; the engine looks for it again.")
    return None
