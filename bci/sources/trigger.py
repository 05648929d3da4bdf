"""Markers from a trigger channel: each change to a code other than zero is an event."""

from __future__ import annotations

import numpy as np

from bci.errors import ConfigError
from bci.types import FloatArray, RawMarker, Samples, StreamInfo


class TriggerChannel:
    """Reads events off one column of the samples.

    The line's first level is no event, since nobody saw it change. A sample
    that is not finite counts as the one before it.

    Parameters
    ----------
    info : StreamInfo
    channel : str
        Label of the trigger channel.

    Raises
    ------
    ConfigError
        There is no such channel; names those that are there.
    """

    def __init__(self, info: StreamInfo, channel: str) -> None:
        if channel not in info.ch_names:
            raise ConfigError(
                f"trigger channel '{channel}' is not in the stream; it has "
                f"{', '.join(info.ch_names)}: correct markers.channel"
            )
        self._column = info.ch_names.index(channel)
        self._last: float | None = None

    def markers(self, samples: Samples, start: int) -> list[RawMarker]:
        """Events in samples whose first has index `start`."""
        column: FloatArray = samples.data[:, self._column].astype(np.float64)
        rows = np.flatnonzero(np.isfinite(column))
        codes = column[rows]
        if len(codes) == 0:
            return []
        before = np.concatenate([codes[:1] if self._last is None else [self._last], codes[:-1]])
        self._last = float(codes[-1])
        events = np.flatnonzero((codes != before) & (codes != 0))
        return [
            RawMarker(_text(float(codes[e])), float(samples.stamps[rows[e]]), start + int(rows[e]))
            for e in events
        ]


def _text(code: float) -> str:
    """``5`` for 5.0, as codes stand under `events`; all digits of a 24-bit code."""
    return str(int(code)) if code.is_integer() else f"{code:g}"
