"""Event markers from an LSL stream, text or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bci.config import MarkerSettings
from bci.errors import SourceError, StreamMismatch
from bci.lsl import Link, Wanted, read
from bci.types import RawMarker


class LSLMarkers:
    """The LSL marker stream that the settings describe; owned by one thread, as a source is.

    Numbers become the shortest text without trailing zeros (2.0 is "2"); the
    channels of a stream with several are joined by a comma. Times are seconds of
    the local clock; `MarkerSettings.offset_s` is added by the session, which does
    so for markers of every kind. A stream that is lost is found again by itself;
    `connected` says whether it is there.

    Parameters
    ----------
    settings : MarkerSettings
        Its `name` and `type` choose the stream; exactly one must match.
    timeout_s : float
        Time to find the stream, seconds.
    """

    def __init__(self, settings: MarkerSettings, timeout_s: float = 5.0) -> None:
        self._wanted = Wanted(name=settings.name, type=settings.type)
        self._timeout_s = timeout_s
        self._link: Link | None = None

    @property
    def connected(self) -> bool:
        """Whether the stream is there."""
        return self._link is not None and self._link.connected

    def open(self) -> None:
        """Find the stream and connect.

        Raises
        ------
        SourceError
            None or several match; lists what is visible.
        StreamMismatch
            It has a sampling rate, as samples have.
        MissingDependency
            liblsl cannot be loaded.
        """
        self.close()
        link = Link(self._wanted, _accept)
        link.open(self._timeout_s)
        self._link = link

    def read(self, timeout_s: float = 0.1) -> list[RawMarker]:
        """Markers since the last call; blocks for the first, at most `timeout_s`.

        Raises
        ------
        SourceError
            The stream was lost, and more than one matches now.
        """
        if self._link is None:
            raise SourceError("the LSL marker stream is not open")
        pulled = self._link.pull(timeout_s)
        if pulled is None:
            return []
        rows, stamps = pulled
        return [RawMarker(_text(row), float(t)) for row, t in zip(rows, stamps, strict=True)]

    def take_clock_offsets(self) -> list[tuple[float, float]]:
        """Clock offsets measured since the last call: (local time, offset), seconds."""
        if self._link is None:
            return []
        taken, self._link.offsets = self._link.offsets, []
        return taken

    def close(self) -> None:
        """Disconnect; harmless when called twice."""
        if self._link is not None:
            self._link.close()
        self._link = None


def _accept(xml: str) -> None:
    description = read(xml)
    if description.info.sfreq > 0:
        raise StreamMismatch(
            f"LSL stream '{description.info.name}' is sampled at {description.info.sfreq:g} Hz, "
            "markers come irregularly: for a trigger channel use markers.kind 'channel'"
        )


def _text(row: Sequence[Any]) -> str:
    return ",".join(_value_text(value) for value in row)


def _value_text(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:  # old Windows software sends its code page
            return value.decode("latin-1")
    if isinstance(value, np.floating):
        return np.format_float_positional(value, trim="-")
    return str(int(value))
