"""Samples from an LSL stream, with a staleness timer of its own.

The states, as status shows them::

    LIVE ──no sample for stale_s──► STALE ──a sample──► LIVE
     │                                │
     └─connection closed──► LOST ◄────┘ no sample for lost_s
                             │ ▲
              found on the   │ │ does not answer, or falls silent again
              network        ▼ │
                          RECOVERING ──same stream as before, a sample──► LIVE

liblsl itself notices a silent network after 15 s at the earliest.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from bci.clock import now
from bci.config import SourceSettings
from bci.errors import SourceError, StreamMismatch
from bci.lsl import Description, Link, StreamSummary, Wanted, available_streams, read
from bci.types import Break, FloatArray, Reading, Samples, SourceState, StreamInfo

__all__ = ["LSLSettings", "LSLSource", "StreamSummary", "available_streams"]

log = logging.getLogger(__name__)


class LSLSettings(SourceSettings):
    """Which LSL stream is expected; exactly one must match."""

    kind: Literal["lsl"] = "lsl"
    name: str | None = Field(None, description="name of the stream; null: any")
    type: str | None = Field("EEG", description="type of the stream; null: any")
    source_id: str | None = Field(None, description="the sender's source_id; null: any")
    hostname: str | None = Field(None, description="computer that sends; null: any")
    timeout_s: float = Field(5.0, gt=0, le=300, description="time to find the stream, seconds")
    stale_s: float = Field(1.0, gt=0, description="silence after which it is stale, seconds")
    lost_s: float = Field(
        5.0, gt=0, description="silence after which it is given up and searched anew, seconds"
    )

    @model_validator(mode="after")
    def _in_order(self) -> LSLSettings:
        if self.lost_s < self.stale_s:
            raise ValueError(
                f"lost_s is {self.lost_s} s, shorter than stale_s, {self.stale_s} s: make it longer"
            )
        return self

    def build(self) -> LSLSource:
        """Return the source, not yet open."""
        return LSLSource(self)


class LSLSource:
    """An LSL stream as a `bci.sources.Source`.

    Samples are in microvolts: float32 as received where the stream is float32 in
    microvolts, else float64. NaN passes through. After silence or a loss a `Break`
    stands before the first samples ("stalled": the same connection went on;
    "reconnected"); its `missing_s` is what the stamps leave out.

    A stream with a source_id is recovered by name, type and source_id; without
    one by name and type.
    """

    def __init__(self, settings: LSLSettings) -> None:
        self.state = SourceState.OPENING
        self._settings = settings
        self._link: Link | None = None
        self._description: Description | None = None
        self._scale: FloatArray | None = None  # (n_channels,); None: samples stay as sent
        self._last_arrival = 0.0
        self._last_stamp = float("nan")
        self._broken: str | None = None  # reason of the break before the next samples

    def open(self) -> StreamInfo:
        """Find the stream, read its metadata, measure the clock offset (about 1.5 s in all).

        Raises
        ------
        SourceError
            None or several match, or it does not answer; lists what is visible.
        StreamMismatch
            It has no regular sampling rate, or sends text.
        MissingDependency
            liblsl cannot be loaded.
        """
        s = self._settings
        self.close()
        self.state = SourceState.OPENING
        link = Link(Wanted(s.name, s.type, s.source_id, s.hostname), self._accept)
        link.open(s.timeout_s)
        self._link = link
        assert self._description is not None
        self.state = SourceState.LIVE
        return self._description.info

    def read(self, timeout_s: float = 0.1) -> list[Reading]:
        """Block for one sample, then drain; also looks for a lost stream, never longer than told.

        Raises
        ------
        SourceError
            While recovering, more than one stream matches.
        StreamMismatch
            It came back with other channels, rate, unit or format; names both sides.
        """
        if self._link is None:
            raise SourceError("the LSL source is not open")
        limit = timeout_s
        if self.state is SourceState.LIVE:  # so that STALE shows in time, whatever the time-out
            limit = min(timeout_s, max(0.0, self._settings.stale_s - self._silence_s()))
        try:
            pulled = self._link.pull(limit)
        except SourceError:
            self.state = SourceState.LOST
            raise
        if pulled is None or len(pulled[1]) == 0:
            self._nothing_came()
            return []
        return self._take(*pulled)

    def take_clock_offsets(self) -> list[tuple[float, float]]:
        """Clock offsets measured since the last call: (local time, offset), seconds.

        Each is added to all stamps from then on: raw stamp = stamp - offset.
        """
        if self._link is None:
            return []
        taken, self._link.offsets = self._link.offsets, []
        return taken

    def close(self) -> None:
        """Disconnect; harmless when called twice."""
        if self._link is not None:
            self._link.close()
        self._link = None
        self._description = None
        self._last_stamp = float("nan")
        self._broken = None

    def _accept(self, xml: str) -> None:
        """Check the metadata of the stream at its first and at each later connection."""
        description = read(xml)
        name = description.info.name
        if description.channel_format == "string":
            raise StreamMismatch(
                f"LSL stream '{name}' sends text, not samples: use it under 'markers', and name "
                "the stream of samples under 'source'"
            )
        if description.info.sfreq <= 0:
            raise StreamMismatch(
                f"LSL stream '{name}' has no regular sampling rate, which decoding needs: set the "
                "nominal rate in its sender, or choose another stream"
            )
        if self._description is None:
            self._description = description
            scaled = bool(np.any(description.scale != 1.0))
            as_sent = description.channel_format in ("float32", "double64") and not scaled
            self._scale = None if as_sent else description.scale
            for warning in description.warnings:
                log.warning("LSL stream '%s': %s", name, warning)
        elif differences := self._description.differences(description):
            raise StreamMismatch(
                f"LSL stream '{name}' came back as another one: {'; '.join(differences)}. Restore "
                "the sender's settings, or start a new session"
            )

    def _nothing_came(self) -> None:
        assert self._link is not None
        if self._link.connected and self._silence_s() >= self._settings.lost_s:
            self._link.drop()
        if not self._link.connected:
            self._broken = "reconnected"
            self.state = SourceState.RECOVERING if self._link.found else SourceState.LOST
        elif self.state in (SourceState.LOST, SourceState.RECOVERING):
            self.state = SourceState.RECOVERING  # connected again, and not yet a sample
        elif self._silence_s() >= self._settings.stale_s:
            self._broken = "stalled"
            self.state = SourceState.STALE

    def _silence_s(self) -> float:
        """Seconds without a sample, of the present connection."""
        assert self._link is not None
        return now() - max(self._last_arrival, self._link.connected_at)

    def _take(self, data: Any, stamps: FloatArray) -> list[Reading]:
        assert self._description is not None
        readings: list[Reading] = []
        if self._broken is not None:
            readings.append(Break(self._broken, self._missing(float(stamps[0]))))
            self._broken = None
        self._last_arrival = now()
        self._last_stamp = float(stamps[-1])
        self.state = SourceState.LIVE
        if self._scale is not None:
            data = np.multiply(data, self._scale, dtype=np.float64)
        readings.append(Samples(data, stamps))
        return readings

    def _missing(self, stamp: float) -> float:
        """Seconds between the last sample's period and `stamp`; 0 where nothing was lost."""
        assert self._description is not None
        missing = stamp - self._last_stamp - 1.0 / self._description.info.sfreq
        return max(0.0, missing) if np.isfinite(missing) else 0.0
