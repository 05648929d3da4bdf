"""From a source's readings to indexed samples, markers and gaps.

One thread opens, reads and closes the source (`StreamReader.run`); what arrives
gets its index and its fitted time here, and goes to the decoder's inbox first,
then to the recording, then to the ring that clients look at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from threading import Event
from typing import Any, Protocol

from bci.clock import Dejitter, Jump, now
from bci.config import MarkerSettings
from bci.errors import BciError, SourceError
from bci.inbox import Inbox
from bci.ring import RingBuffer
from bci.sources import Source
from bci.sources.trigger import TriggerChannel
from bci.types import Break, Chunk, Gap, RawMarker, Reading, Samples, SourceState, StreamInfo

log = logging.getLogger(__name__)

#: Raw samples kept for display, seconds.
DISPLAY_S = 60.0
READ_TIMEOUT_S = 0.1


class Record(Protocol):
    """What a recording takes from the acquisition thread."""

    def samples(self, samples: Samples) -> None:
        """Take samples as they came."""
        ...

    def marker(self, marker: RawMarker) -> None:
        """Take a marker at its time."""
        ...

    def clock_offsets(self, offsets: Sequence[tuple[float, float]]) -> None:
        """Take (local time, offset) pairs that are in the stamps of samples from now on."""
        ...


class StreamReader:
    """Owns one source in one thread.

    Parameters
    ----------
    source : Source
    markers : MarkerSettings
    inbox : callable
        Makes the decoder's inbox for the stream.
    on_jump, on_gap : callable
        Told of each clock jump and break.
    waits : bool
        The source has no pace of its own (a recording played as fast as it
        goes): it is read when the decoder is free, so that nothing is skipped.

    Attributes
    ----------
    opened : Future of StreamInfo
        Set when the source is open, or to the error that kept it shut.
    ring : RingBuffer
        Newest raw samples, for display.
    dejitter : Dejitter
        Sample times; updated by this thread, read by any.
    n_received : int
        Samples so far; the index of the next one.
    error : BciError or None
        Why the thread ended before it was asked to.
    """

    def __init__(
        self,
        source: Source,
        markers: MarkerSettings,
        inbox: Callable[[StreamInfo], Inbox],
        on_jump: Callable[[Jump], None] = lambda jump: None,
        on_gap: Callable[[], None] = lambda: None,
        waits: bool = False,
    ) -> None:
        self.source = source
        self.opened: Future[StreamInfo] = Future()
        self.go = Event()
        self.ended = Event()
        self.record: Record | None = None
        self.n_received = 0
        self.error: BciError | None = None
        self._markers = markers
        self._make_inbox = inbox
        self._on_jump = on_jump
        self._on_gap = on_gap
        self._waits = waits
        self._stop = Event()
        self._trigger: TriggerChannel | None = None

    @property
    def state(self) -> SourceState:
        """Where the source stands."""
        return self.source.state

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()
        self.go.set()

    def run(self) -> None:
        """Body of the owner thread."""
        try:
            self._open()
        except BaseException as error:
            self.source.close()
            self.opened.set_exception(error)
            return
        self.opened.set_result(self.info)
        self.go.wait()
        try:
            while not self._stop.is_set() and self.source.state is not SourceState.ENDED:
                if not self._waits or self.inbox.wait_empty(READ_TIMEOUT_S):
                    self._read()
        except BciError as error:
            self.error = error
            log.error("%s", error)
        except Exception as error:  # of a driver, or of a source from another package
            log.exception("the source failed")
            self.error = SourceError(f"the source failed: {type(error).__name__}: {error}")
        finally:
            self.source.close()
            self.inbox.close()
            self.ended.set()

    def _open(self) -> None:
        self.info = self.source.open()
        self.ring = RingBuffer(max(1, round(DISPLAY_S * self.info.sfreq)), self.info.n_channels)
        self.dejitter = Dejitter(self.info.sfreq)
        self.inbox = self._make_inbox(self.info)
        if self._markers.kind == "channel":
            self._trigger = TriggerChannel(self.info, self._markers.channel or "")

    def _read(self) -> None:
        readings = self.source.read(READ_TIMEOUT_S)
        self._take_clock_offsets()  # first: they are in the stamps of these readings already
        for reading in readings:
            self.take(reading)

    def take(self, reading: Reading) -> None:
        """Index one reading and pass it on."""
        if isinstance(reading, Samples):
            self._take_samples(reading)
        elif isinstance(reading, RawMarker):
            if self._markers.kind == "source":
                self.take_marker(reading)
        else:
            self._take_break(reading)

    def _take_samples(self, samples: Samples) -> None:
        start = self.n_received
        if len(samples.data) == 0:
            return
        jump = self.dejitter.update(start, samples.stamps)
        if self._trigger is not None:
            for marker in self._trigger.markers(samples, start):
                self.take_marker(marker)
        self.inbox.put(Chunk(start, samples.data), now())
        self.n_received += len(samples.data)
        if self.record is not None:
            self.record.samples(samples)
        self.ring.write(samples.data)
        if jump is not None:
            log.warning(
                "the stream's clock jumped by %.3f s before sample %d", jump.seconds, jump.index
            )
            self._on_jump(jump)

    def take_marker(self, marker: RawMarker) -> None:
        """Pass a marker on, shifted by the configured offset; also called by marker inlets."""
        shift = self._markers.offset_s
        if shift:
            index = marker.index
            if index is not None:
                index += round(shift * self.info.sfreq)
            marker = replace(marker, t=marker.t + shift, index=index)
        self.inbox.put(marker, now())
        if self.record is not None:
            self.record.marker(marker)

    def _take_break(self, reading: Break) -> None:
        at = self.n_received
        if at == 0:  # silence before the first sample breaks nothing
            return
        self.dejitter.restart(at)
        self.inbox.put(Gap(at, at, reading.reason), now())
        log.warning(
            "the stream broke before sample %d (%s, about %.2f s missing)",
            at, reading.reason, reading.missing_s,
        )  # fmt: skip
        self._on_gap()

    def _take_clock_offsets(self) -> None:
        take: Any = getattr(self.source, "take_clock_offsets", None)
        if take is not None and self.record is not None:
            offsets = take()
            if offsets:
                self.record.clock_offsets(offsets)
