"""The border to Lab Streaming Layer: load liblsl, see streams, connect, reconnect.

Nothing of liblsl is shared between threads: a `Link` and all that it holds is
made, pulled and closed by one thread (shared inlets crash). liblsl's own recovery
is off, because it reconnects without asking whether the stream is still the same.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bci.clock import now
from bci.errors import MissingDependency, SourceError
from bci.types import FloatArray, StreamInfo

log = logging.getLogger(__name__)

#: Seconds to wait, after the first stream has answered, for others of the same description.
SETTLE_S = 0.5
#: Seconds between two looks at the clock offset, which liblsl measures in a thread of its own.
OFFSET_EVERY_S = 5.0
#: Seconds within which a stream that has come back must deliver its metadata and clock offset.
CONNECT_S = 5.0
#: Seconds that liblsl keeps for a reader that is late.
BUFFER_S = 60

_REMEDIES = {
    "linux": "reinstall it with: pip install --force-reinstall pylsl (its Linux wheel brings "
    "liblsl), or set PYLSL_LIB to a liblsl.so",
    "darwin": "install liblsl with: brew install labstreaminglayer/tap/lsl, or set PYLSL_LIB to "
    "a liblsl.dylib",
    "win32": "install Microsoft's Visual C++ Redistributable (x64), or set PYLSL_LIB to a lsl.dll",
}


def load() -> Any:
    """Import `pylsl`.

    Raises
    ------
    MissingDependency
        It is not installed, or liblsl does not load; says how to mend it here.
    """
    try:
        import pylsl  # here, because only sessions that use LSL need liblsl
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "LSL needs the package 'pylsl', which is not installed; install it with: "
            "pip install pylsl"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        remedy = _REMEDIES.get(sys.platform, "see https://github.com/sccn/liblsl/releases")
        reason = " ".join(str(error).split())
        raise MissingDependency(f"liblsl does not load ({reason}); {remedy}") from error
    return pylsl


# --- streams on the network ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """What a stream announces of itself on the network.

    `sfreq` is in Hz, 0 for irregular streams; `uid` differs each time the sender starts.
    """

    name: str
    type: str
    source_id: str
    hostname: str
    n_channels: int
    sfreq: float
    channel_format: str
    uid: str

    def __str__(self) -> str:
        rate = f"{self.sfreq:g} Hz" if self.sfreq else "irregular"
        return (
            f"name '{self.name}', type '{self.type}', source_id '{self.source_id}', "
            f"host '{self.hostname}', {self.n_channels} ch, {rate}, {self.channel_format}"
        )


def summary(info: Any) -> StreamSummary:
    """Summary of a `pylsl.StreamInfo`."""
    return StreamSummary(
        name=info.name(),
        type=info.type(),
        source_id=info.source_id(),
        hostname=info.hostname(),
        n_channels=info.channel_count(),
        sfreq=info.nominal_srate(),
        channel_format=load().lib.fmt2string[info.channel_format()],
        uid=info.uid(),
    )


def available_streams(timeout_s: float = 1.0) -> list[StreamSummary]:
    """Every LSL stream that answers within `timeout_s`, sorted by name, type and host."""
    found = [summary(info) for info in load().resolve_streams(timeout_s)]
    return sorted(found, key=lambda s: (s.name, s.type, s.hostname, s.uid))


@dataclass(frozen=True, slots=True)
class Wanted:
    """The stream that is expected; None matches anything."""

    name: str | None = None
    type: str | None = None
    source_id: str | None = None
    hostname: str | None = None

    def __str__(self) -> str:
        parts = [f"{key} '{value}'" for key, value in self._given().items()]
        return "LSL stream with " + ", ".join(parts) if parts else "any LSL stream"

    def _given(self) -> dict[str, str]:
        fields = ("name", "type", "source_id", "hostname")
        return {key: value for key in fields if (value := getattr(self, key)) is not None}

    def matches(self, stream: StreamSummary) -> bool:
        """Whether `stream` is one that may be meant."""
        return all(getattr(stream, key) == value for key, value in self._given().items())

    def missing(self, seen: list[StreamSummary], timeout_s: float) -> SourceError:
        """Make the error that says: asked for this, found those, do that."""
        if seen:
            found = "visible are:" + "".join(f"\n  - {stream}" for stream in seen)
            todo = "correct name, type or source_id, or start the sender"
        else:
            found = "no LSL stream is visible at all"
            todo = (
                "check that the sender runs and is on this network; that the firewall lets "
                "multicast UDP port 16571 and ports 16572-16604 pass; where multicast is "
                "blocked, name the sender under [lab] KnownPeers in lsl_api.cfg"
            )
        return SourceError(f"no {self} within {timeout_s:g} s; {found}{_end(found)}{todo}")

    def ambiguous(self, matching: list[StreamSummary]) -> SourceError:
        """Make the error that lists the candidates and says how to choose one."""
        differing = [
            key
            for key in ("name", "type", "source_id", "hostname")
            if len({getattr(stream, key) for stream in matching}) == len(matching)
        ]
        todo = (
            f"choose one by its {' or '.join(differing)}"
            if differing
            else "they cannot be told apart: stop one of them or give each its own source_id"
        )
        listed = "".join(f"\n  - {stream}" for stream in matching)
        return SourceError(f"{len(matching)} streams match {self}:{listed}\n{todo}")


def _end(text: str) -> str:
    return "\n" if "\n" in text else "; "


class _Search:
    """Streams as they show up, in the background; one look never blocks."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._resolver: Any = load().ContinuousResolver(forget_after=2.0)
        self._first_seen: float | None = None
        self.seen: list[StreamSummary] = []

    def look(self) -> Any | None:
        """Return the one stream that matches, once others had the time to answer, else None.

        Raises
        ------
        SourceError
            Several match.
        """
        found = [(summary(info), info) for info in self._resolver.results()]
        self.seen = sorted((stream for stream, _ in found), key=lambda s: (s.name, s.uid))
        matching = [(stream, info) for stream, info in found if self._wanted.matches(stream)]
        if not matching:
            self._first_seen = None
            return None
        if len(matching) > 1:
            raise self._wanted.ambiguous([stream for stream, _ in matching])
        if self._first_seen is None:
            self._first_seen = now()
        return matching[0][1] if now() - self._first_seen >= SETTLE_S else None

    def wait(self, deadline: float) -> Any | None:
        """As `look`, until `deadline`."""
        while (info := self.look()) is None:
            left = deadline - now()
            if left <= 0:
                return None
            time.sleep(min(0.02, left))
        return info


# --- one connection ------------------------------------------------------------------------------


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
        _, first = self._inlet.pull_chunk(timeout_s, 1, self._buffer)
        if not len(first):
            return self._buffer[:0], first
        _, rest = self._inlet.pull_chunk(0.0, len(self._buffer) - 1, self._behind_first)
        stamps = np.concatenate((first, rest))
        stamps += self.offset
        return self._buffer[: len(stamps)].copy(), stamps

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
        self._search: _Search | None = None
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
        self._search = _Search(self._wanted)
        info = self._search.wait(now() + timeout_s)
        if info is None:
            raise self._wanted.missing(self._search.seen, timeout_s)
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
                self._search = _Search(self._wanted)
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


# --- the way out ---------------------------------------------------------------------------------


def stream_info(
    info: StreamInfo, stream_type: str = "EEG", source_id: str = "", channel_format: str = "float32"
) -> Any:
    """Make a `pylsl.StreamInfo` for an outlet of `info`, described as in XDF's "EEG Meta Data".

    Positions are written in millimetres; voltage channels have unit "microvolts".
    """
    result = load().StreamInfo(
        info.name,
        stream_type,
        info.n_channels,
        info.sfreq,
        channel_format,
        source_id or info.source_id,
    )
    channels = result.desc().append_child("channels")
    for label, kind in zip(info.ch_names, info.ch_types, strict=True):
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("type", kind.upper())
        if kind in ("eeg", "eog", "emg", "ecg"):
            channel.append_child_value("unit", "microvolts")
        if label in info.positions:
            location = channel.append_child("location")
            for axis, metres in zip("XYZ", info.positions[label], strict=True):
                location.append_child_value(axis, f"{metres * 1e3:.6g}")
    return result
