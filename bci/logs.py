"""Log lines: JSON for machines; short text above one line of status for a terminal."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import Any, TextIO

import structlog

#: Clears the terminal's line behind the cursor.
_CLEAR = "\r\x1b[K"


class TerminalHandler(logging.StreamHandler[TextIO]):
    """Writes records as text; the newest status stays below them, on one line of its own."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(_Text("%(asctime)s %(message)s", "%H:%M:%S"))
        self._status = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record above the status."""
        self._put(_CLEAR)
        super().emit(record)
        self._put(self._status)

    def show(self, status: str) -> None:
        """Replace the status; an empty one takes the line away."""
        self.acquire()
        try:
            self._status = status
            self._put(_CLEAR + status)
        finally:
            self.release()

    def _put(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class _Text(logging.Formatter):
    """Time and message; the level where it is a warning or worse."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return textwrap.fill(
            f"{record.asctime} {level}{record.message}",
            shutil.get_terminal_size().columns,
            subsequent_indent=" " * 9,
            break_long_words=False,
            break_on_hyphens=False,
        )


def configure(level: str = "INFO") -> TerminalHandler | None:
    """Send all log records to standard error; the handler where that is a terminal.

    Elsewhere a record is one JSON object a line, stamped in UTC.
    """
    terminal = TerminalHandler(sys.stderr) if sys.stderr.isatty() else None
    root = logging.getLogger()
    root.handlers[:] = [terminal or _json_handler()]
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel("WARNING")
    return terminal


def _json_handler() -> logging.Handler:
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    return handler


def status_line(status: Mapping[str, Any], seconds: float, width: int) -> str:
    """How a session is doing, in less than `width` characters.

    Parameters
    ----------
    status : mapping
        See `bci.session.Session.status`.
    seconds : float
        Since the session started.
    width : int
    """
    rate, last = status["telemetry"]["effective_rate_hz"], status["decoder"]["last_label"]
    parts = [
        f"{int(seconds) // 60}:{int(seconds) % 60:02d}",
        "paused" if status["paused"] else status["source"]["state"],
        "" if rate is None else f"{rate:.1f} Hz",
        *_counts(status),
        f"last: {last}" if last else "",
    ]
    line = "  ".join(part for part in parts if part)
    return line if len(line) < width else line[: max(0, width - 2)] + "…"


def summary(status: Mapping[str, Any], seconds: float) -> str:
    """What became of a session that ran for `seconds`."""
    parts = [f"{status['source']['n_received']} samples", *_counts(status)]
    if gaps := status["telemetry"]["gaps"]:
        parts.append(_number(gaps, "gap"))
    text = f"stopped after {seconds:.1f} s: {', '.join(parts)}"
    record = status["recording"]
    return text if record is None else f"{text}; recorded in {record['path']}"


def _counts(status: Mapping[str, Any]) -> list[str]:
    """Decisions, latency and drops; nothing of decisions where nothing is decoded."""
    told = status["telemetry"]
    dropped = sum(told["drops"].values()) + sum(output["dropped"] for output in status["outputs"])
    parts = [f"{dropped} dropped"]
    if status["decoder"]["labels"]:
        latency = told["latency_ms"]
        if latency["p50"] is not None:
            parts.insert(0, f"p50 {latency['p50']:.1f} p99 {latency['p99']:.1f} ms")
        abstained = f" ({told['abstentions']} abstained)" if told["abstentions"] else ""
        parts.insert(0, _number(told["decisions"], "decision") + abstained)
    return parts


def _number(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
