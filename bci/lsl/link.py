"""A connection that is found, kept, and found again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bci.clock import now
from bci.errors import SourceError
from bci.lsl.network import FORGET_S, Search, StreamSummary, Wanted, load, summary
from bci.types import FloatArray

log = logging.getLogger(__name__)

#: Seconds between two looks at the clock offset, which liblsl measures in a thread of its own.
OFFSET_EVERY_S = 5.0
#: Seconds within which a stream that has come back must deliver its metadata and clock offset.
CONNECT_S = 5.0
#: Seconds that liblsl keeps for a reader that is late.
BUFFER_S = 60


class _Inlet:
    """A connection to one outlet; every call blocks for at most its `timeout_s`.

    All may raise `pylsl.util.LostError`.
    """

    def __init__(self, info: Any) -> None:
        self._lsl = load()
        self._inlet: Any = self._lsl.StreamInlet(
            info, max_buflen=BUFFER_S, recover=False, as_numpy=True
        )
        self.stream = summary(info)
        self.offset = 0.0
        self._offset_at = -np.inf
        n_samples = int(np.clip(self.stream.sfreq, 256, 8192))
        dtype = self._inlet.np_dtype
        if dtype is not None:  # (n_samples, n_channels), samples land here; None for strings
            self._buffer = np.empty((n_samples, self.stream.n_channels), dtype)
            self._behind_first = self._buffer.data.cast("B")[self._buffer.strides[0] :]

    def ready(self, deadline: float) -> str | None:
        """Return the full XML once it, the clock offset and the data connection are there."""
        try:
            xml: str = self._inlet.info(max(0.0, deadline - now())).as_xml()
            if self._offset_at < 0:
                self._measure_offset(max(0.0, deadline - now()))
            self._inlet.open_stream(max(0.0, deadline - now()))
        except self._lsl.util.TimeoutError:
            return None
        return xml

    def _measure_offset(self, timeout_s: float) -> None:
        self.offset = self._inlet.time_correction(timeout_s)
        self._offset_at = now()

    def new_offset(self) -> tuple[float, float] | None:
        """(time, clock offset), each `OFFSET_EVERY_S`; a look at liblsl's newest estimate, 1 µs."""
        if now() - self._offset_at < OFFSET_EVERY_S:
            return None
        try:
            self._measure_offset(0.0)
        except self._lsl.util.TimeoutError:
            self._offset_at = now()  # the old estimate holds
        return self._offset_at, self.offset

    def pull(self, timeout_s: float) -> tuple[Any, FloatArray]:
        """Wait for one sample, then take what is there: (n_samples, n_channels) and stamps."""
        if self._inlet.np_dtype is None:
            return self._pull_text(timeout_s)
        if self._inlet.samples_available():  # nothing to wait for: one call less
            _, stamps = self._inlet.pull_chunk(0.0, len(self._buffer), self._buffer)
        else:
            stamps = self._wait_and_drain(timeout_s)
        stamps += self.offset
        return self._buffer[: len(stamps)].copy(), stamps

    def _wait_and_drain(self, timeout_s: float) -> FloatArray:
        first: FloatArray
        _, first = self._inlet.pull_chunk(timeout_s, 1, self._buffer)
        if not len(first):
            return first
        try:
            _, rest = self._inlet.pull_chunk(0.0, len(self._buffer) - 1, self._behind_first)
        except self._lsl.util.LostError:  # what liblsl had queued is gone, but not `first`
            return first
        return np.concatenate((first, rest))

    def _pull_text(self, timeout_s: float) -> tuple[Any, FloatArray]:
        rows, stamps = [], []
        row, stamp = self._inlet.pull_sample(timeout_s)
        while row is not None:
            rows.append(row)
            stamps.append(stamp + self.offset)
            row, stamp = self._inlet.pull_sample(0.0)
        return rows, np.array(stamps)


class Link:
    """A stream that is found, connected and, when lost, found again.

    Parameters
    ----------
    wanted : Wanted
        Which stream; it must be the only one that matches.
    accept : callable
        Takes the stream's full XML, each time that it is connected; raises
        `SourceError` to refuse the stream.
    """

    def __init__(self, wanted: Wanted, accept: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._accept = accept
        self._search: Search | None = None
        self._inlet: _Inlet | None = None
        self._since = 0.0  # when the present inlet was made
        self._strangers: set[str] = set()
        self.connected = False
        #: When the present connection was made, local clock.
        self.connected_at = 0.0
        #: (time, offset): clock offset, seconds, added to all stamps from then on.
        self.offsets: list[tuple[float, float]] = []

    @property
    def found(self) -> bool:
        """The stream is in sight: connected, or about to be."""
        return self._inlet is not None

    def open(self, timeout_s: float) -> None:
        """Find the stream and connect; from then on only this very stream is taken.

        Raises
        ------
        SourceError
            It is not there within `timeout_s`, several match, it does not answer,
            or `accept` refuses it.
        """
        search = Search(self._wanted)
        info = search.wait(now() + timeout_s)
        if info is None:
            raise self._wanted.missing(search.seen, timeout_s)
        stream = summary(info)
        self._begin(info)
        if not self._connect(now() + max(timeout_s, 2.0)):
            self.close()
            raise SourceError(
                f"{stream} is announced but does not answer: check that the firewall of host "
                f"'{stream.hostname}' and of this one let TCP and UDP ports 16572-16604 pass"
            )
        self._wanted = replace(
            self._wanted, name=stream.name, type=stream.type, source_id=stream.source_id or None
        )

    def pull(self, timeout_s: float) -> tuple[Any, FloatArray] | None:
        """Take samples and their stamps (local clock); None while the stream is away.

        Blocks for at most `timeout_s`, also while it looks for a lost stream.

        Raises
        ------
        SourceError
            While recovering: several streams match, or `accept` refuses the one found.
        """
        deadline = now() + timeout_s
        if not self.connected and not self._recover(deadline):
            return None
        assert self._inlet is not None
        try:
            if (offset := self._inlet.new_offset()) is not None:
                self.offsets.append(offset)
            return self._inlet.pull(max(0.0, deadline - now()))
        except load().util.LostError:
            pass  # left before the inlet goes: the error's frames hold it
        self.drop()
        return None

    def _begin(self, info: Any) -> None:
        self._search = None
        self._inlet = _Inlet(info)
        self._since = now()

    def _recover(self, deadline: float) -> bool:
        if self._inlet is None:
            if self._search is None:
                self._search = Search(self._wanted, patience_s=2 * FORGET_S)
            info = self._search.wait(deadline)
            self._warn_of_strangers(self._search.seen)
            if info is None:
                return False
            self._begin(info)
        if self._connect(deadline):
            return True
        if now() - self._since > CONNECT_S:
            self.drop()
        return False

    def _connect(self, deadline: float) -> bool:
        assert self._inlet is not None
        xml = None
        try:
            xml = self._inlet.ready(deadline)
        except load().util.LostError:
            self._since = -np.inf  # gone again
        if xml is None:
            return False
        try:
            self._accept(xml)
        except SourceError:
            self.drop()
            raise
        self.connected = True
        self.connected_at = now()
        self.offsets.append((self.connected_at, self._inlet.offset))
        return True

    def _warn_of_strangers(self, seen: list[StreamSummary]) -> None:
        """Say, once, that a stream of the same name is another device than the lost one."""
        if self._wanted.source_id is None:
            return
        namesakes = replace(self._wanted, source_id=None)
        for stream in seen:
            known = stream.uid in self._strangers or self._wanted.matches(stream)
            if not known and namesakes.matches(stream):
                self._strangers.add(stream.uid)
                log.warning(
                    "lost %s; %s is there, but its source_id differs: it is not taken for the "
                    "same device (give the sender a fixed source_id)",
                    *(self._wanted, stream),
                )

    def drop(self) -> None:
        """Give up the connection; the next `pull` looks for the stream anew."""
        self._inlet = None
        self._search = None
        self.connected = False

    close = drop
