"""Where decisions go."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from bci.types import Decision

__all__ = ["Output"]


@runtime_checkable
class Output(Protocol):
    """A receiver of decisions; owned by one thread behind a bounded queue.

    The session runs each output in a thread of its own, so `send` may block
    without slowing the decoder; what does not fit the queue is counted.
    """

    #: Short name for status and metrics, e.g. "osc://127.0.0.1:9000".
    name: str

    def open(self, labels: tuple[str, ...]) -> None:
        """Connect; `labels` are the decoder's classes.

        Raises
        ------
        BciError
            The target cannot be reached or written; says what to do.
        """
        ...

    def send(self, decision: Decision) -> None:
        """Deliver one decision."""
        ...

    def close(self) -> None:
        """Flush and let go; harmless when called twice."""
        ...
