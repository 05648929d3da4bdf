"""Where samples come from.

A source is opened, read and closed by one thread (liblsl inlets crash when
shared). `read` blocks for the first sample, at most `timeout_s`, then drains
what is there: that gives the lowest latency at any rate.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from bci.types import Reading, SourceState, StreamInfo

__all__ = ["Source"]


@runtime_checkable
class Source(Protocol):
    """One stream of samples, with the markers that come with it."""

    #: Where the source stands; set by the source, read by anyone.
    state: SourceState

    def open(self) -> StreamInfo:
        """Connect and say what the stream is.

        Raises
        ------
        SourceError
            It is not there, is ambiguous, or the device refused; the message
            says what was found and what to do.
        """
        ...

    def read(self, timeout_s: float = 0.1) -> list[Reading]:
        """What arrived since the last call, in order; empty when nothing came in time.

        A source that finds its stream again after a loss returns a `Break`
        first, after checking that the stream is the same as before.

        Raises
        ------
        SourceError
            The stream is gone for good, or came back as another one.
        """
        ...

    def close(self) -> None:
        """Let go of the device; harmless when called twice."""
        ...
