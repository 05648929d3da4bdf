"""Load liblsl, and see the streams on the network."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bci.clock import now
from bci.errors import MissingDependency, SourceError

#: Seconds to wait, after the first stream has answered, for others of the same description.
SETTLE_S = 0.5
#: Seconds after its last answer for which a stream still counts as visible.
FORGET_S = 2.0

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
    _hush(pylsl)
    return pylsl


@cache
def _hush(pylsl: Any) -> None:
    """Keep liblsl from announcing its defaults, where the user has no lsl_api.cfg of his own.

    Setting the content replaces what liblsl would read from such a file.
    """
    files = (
        os.environ.get("LSLAPICFG", ""),
        "lsl_api.cfg",
        Path.home() / "lsl_api" / "lsl_api.cfg",
        "/etc/lsl_api/lsl_api.cfg",
    )
    configure = getattr(pylsl.lib.lib, "lsl_set_config_content", None)
    if configure is not None and not any(file and Path(file).is_file() for file in files):
        configure(b"[log]\nlevel = -1\n")


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
            todo = (
                "correct name, type or source_id, or start the sender; if it runs on another "
                "computer, let multicast UDP port 16571 pass there and here"
            )
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


class Search:
    """Streams as they show up, in the background; one look never blocks.

    Parameters
    ----------
    wanted : Wanted
    patience_s : float
        How long several streams may match before that is an error, seconds. A
        sender that restarts is seen twice for a while (see `FORGET_S`).
    """

    def __init__(self, wanted: Wanted, patience_s: float = 0.0) -> None:
        self._wanted = wanted
        self._patience = patience_s
        self._resolver: Any = load().ContinuousResolver(forget_after=FORGET_S)
        self._first_seen: float | None = None
        self._several_since: float | None = None
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
            self._several_since = self._several_since or now()
            if now() - self._several_since >= self._patience:
                raise self._wanted.ambiguous([stream for stream, _ in matching])
            return None
        self._several_since = None
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
