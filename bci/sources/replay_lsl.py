"""A recording streamed to the lab network by LSL, as the device would have done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np

from bci import lsl
from bci.clock import now
from bci.errors import ConfigError, SourceError
from bci.sources.files import Recording
from bci.types import SampleArray

__all__ = ["stream_to_lsl"]

CHUNK = 16  # samples sent at once, where nobody says otherwise


def stream_to_lsl(
    recording: Recording,
    speed: float = 1.0,
    chunk: int | None = None,
    name: str | None = None,
    wait_for_consumers: bool = True,
    stop: Event | None = None,
    *,
    marker_grace_s: float = 2.0,
    linger_s: float = 2.0,
    report: Callable[[str], None] | None = None,
) -> int:
    """Stream a recording by an EEG outlet and, where it has markers, a Markers outlet.

    Sample i is stamped ``t0 + i / sfreq`` and sent, with its chunk complete, at
    ``t0 + i / (sfreq * speed)``; a marker is stamped with the time of its sample
    and sent before the chunk that holds it. Samples travel as float32 where
    that is exact, else as float64, so a consumer gets what an offline reader of
    the file gets. Breaks of the recording are closed up.

    Parameters
    ----------
    recording : Recording
    speed : float
        Times real speed, above 0.
    chunk : int, optional
        Samples sent at once; None: 16.
    name : str, optional
        Name of the EEG outlet; None: the recording's own. The markers' outlet is
        called ``<name>-markers``.
    wait_for_consumers : bool
        Send nothing before someone receives the EEG stream; then wait at most
        `marker_grace_s` seconds more for someone to receive the markers.
    stop : threading.Event, optional
        Set from another thread: ends the streaming.
    linger_s : float
        At the end the outlets stay open so long, in seconds, or until nobody
        receives any more, because closing them drops what is still in flight.
    report : callable, optional
        Called with a line of text at each step: waiting, streaming, done.

    Returns
    -------
    int
        Number of samples sent.

    Raises
    ------
    ConfigError
        `speed` or `chunk` is not above 0.
    MissingDependency
        liblsl cannot be loaded.
    """
    chunk = CHUNK if chunk is None else chunk
    if speed <= 0 or chunk < 1:
        raise ConfigError(f"speed and chunk must be above 0; found {speed} and {chunk}")
    pylsl = lsl.load()
    stop = stop or Event()
    say = report or (lambda line: None)
    name = name or recording.info.name or recording.path.stem
    data = _smallest_exact(recording.data)
    eeg, markers = _outlets(pylsl, recording, data, name)
    if wait_for_consumers:
        say(f"LSL stream '{name}' waits for someone to receive it")
        _wait_for(eeg, stop)
        if markers is not None:
            _wait_for(markers, stop, marker_grace_s)
    say(f"streaming {recording.duration_s:.1f} s at {speed:g} times real speed")
    sent = _stream(pylsl, recording, data, (eeg, markers), speed, chunk, stop)
    _wait_while(eeg.have_consumers, stop, 0.0 if stop.is_set() else linger_s)
    say(f"streamed {sent} samples and {len(recording.markers)} markers")
    return sent


def _stream(
    pylsl: Any,
    recording: Recording,
    data: SampleArray,
    outlets: tuple[Any, Any],
    speed: float,
    chunk: int,
    stop: Event,
) -> int:
    """Send everything at its time, until `stop`; returns the number of samples sent."""
    eeg, markers = outlets
    sfreq = recording.info.sfreq
    t0 = pylsl.local_clock()
    for start in range(0, len(data), chunk):
        end = min(start + chunk, len(data))
        if stop.wait(max(0.0, t0 + (end - 1) / (sfreq * speed) - pylsl.local_clock())):
            return start
        for piece in recording.pieces(start, end):
            for marker in piece.markers:
                markers.push_sample([marker.value], t0 + (marker.index or 0) / sfreq)
        eeg.push_chunk(data[start:end], (t0 + np.arange(start, end) / sfreq).tolist())
    return len(data)


def _smallest_exact(data: SampleArray) -> SampleArray:
    """Make samples float32 where no value changes by it."""
    with np.errstate(over="ignore"):
        single = data.astype(np.float32)
    return single if np.array_equal(single, data, equal_nan=True) else data.astype(np.float64)


def _outlets(pylsl: Any, recording: Recording, data: SampleArray, name: str) -> tuple[Any, Any]:
    """Open the outlet of the samples, and that of the markers (None without any)."""
    kind = "float32" if data.dtype == np.float32 else "double64"
    identity = recording.info.source_id or f"bci-replay-{recording.path.stem}"
    described = replace(recording.info, name=name, source_id=identity)
    try:
        eeg = pylsl.StreamOutlet(lsl.stream_info(described, channel_format=kind))
        if not recording.markers:
            return eeg, None
        info = pylsl.StreamInfo(
            f"{name}-markers", "Markers", 1, 0.0, "string", f"{identity}-markers"
        )
        return eeg, pylsl.StreamOutlet(info)
    except RuntimeError as error:
        raise SourceError(f"{recording.path}: no LSL outlet can be opened: {error}") from error


def _wait_for(outlet: Any, stop: Event, at_most_s: float = float("inf")) -> None:
    _wait_while(lambda: not outlet.have_consumers(), stop, at_most_s)


def _wait_while(condition: Callable[[], bool], stop: Event, at_most_s: float) -> None:
    deadline = now() + at_most_s
    while condition() and now() < deadline and not stop.wait(0.02):
        pass
