"""Markers from a trigger channel: each change to a value other than zero is an event."""

from __future__ import annotations

import numpy as np

from bci.errors import ConfigError
from bci.types import RawMarker, Samples, StreamInfo


class TriggerChannel:
    """Reads events off one column of the samples.

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
        self._last = 0.0

    def markers(self, samples: Samples, start: int) -> list[RawMarker]:
        """Events in samples whose first has index `start`."""
        values = np.nan_to_num(samples.data[:, self._column])
        if len(values) == 0:
            return []
        before = np.concatenate([[self._last], values[:-1]])
        self._last = float(values[-1])
        rows = np.flatnonzero((values != before) & (values != 0))
        return [RawMarker(f"{values[i]:g}", float(samples.stamps[i]), start + int(i)) for i in rows]
