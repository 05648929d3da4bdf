"""XDF by pyxdf: one stream of samples, with the marker streams beside it.

Stamps stay raw: clock offsets are applied, pyxdf's own dejitter is off, so that
every sample of the file is one row here. Markers find their sample through the
project's own dejitter, the same as in a live session.
"""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bci.clock import Dejitter, Jump
from bci.errors import SourceError
from bci.lsl.metadata import MICROVOLTS
from bci.sources.files import Recording, Wanted, place_markers, unique_labels
from bci.sources.formats import integrity
from bci.types import Break, FloatArray, SampleArray, StreamInfo

_TYPES = {"eeg": "eeg", "eog": "eog", "emg": "emg", "ecg": "ecg", "ekg": "ecg"}
_TYPES |= dict.fromkeys(("stim", "trigger", "trig", "trg", "marker", "markers"), "stim")
_VOLTAGES = {"eeg", "eog", "emg", "ecg"}

#: The stream of what the engine decided; recorded with the markers, but none of them.
DECISIONS = "decisions"
#: A jump of the stamps by at least this is a break of the recording, seconds.
BREAK_S = 1.0


def read_xdf(path: Path, wanted: Wanted) -> Recording:
    """Read the EEG stream of an XDF file and the markers; see `load_recording`."""
    import pyxdf  # needed for this format only

    notes: list[str] = []
    opener: Any = path.open if path.suffix.lower() == ".xdf" else partial(gzip.open, path)
    with opener("rb") as file, _pyxdf_log(path, notes):
        integrity.check_xdf(path, file)
        streams, _ = pyxdf.load_xdf(file, dejitter_timestamps=False)
    stream = _choose(path, streams, wanted.stream, notes)
    sfreq = _rate(stream)
    data, info = _samples(stream, sfreq, notes)
    stamps = np.asarray(stream["time_stamps"], np.float64)
    times, jumps = _fit(stamps, sfreq)
    found = _markers(path, streams, stream, wanted.markers, notes)
    indices = np.searchsorted(times, [t - 0.5 / sfreq for t, _ in found])
    early = [t < times[0] - 0.5 / sfreq if len(times) else True for t, _ in found]
    placed = [
        (-1 if before else int(i), value)
        for i, before, (_, value) in zip(indices, early, found, strict=True)
    ]
    markers = place_markers(placed, stamps, notes)
    notes += [f"stamps jump by {jump.seconds:+.3f} s before sample {jump.index}" for jump in jumps]
    breaks = [
        (jump.index, Break(f"stamps jump by {jump.seconds:+.3f} s", max(0.0, jump.seconds)))
        for jump in jumps
        if abs(jump.seconds) >= BREAK_S
    ]
    return Recording(path, info, data, stamps, markers, breaks, notes)


@contextmanager
def _pyxdf_log(path: Path, notes: list[str]) -> Iterator[None]:
    """Turn pyxdf's log into notes, and its reports of damage into an error."""
    logger = logging.getLogger("pyxdf")
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    propagate = logger.propagate
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    damage = [r.getMessage() for r in records if r.levelno >= logging.ERROR]
    if damage:
        raise integrity.damaged_xdf(path, damage[0].splitlines()[0][:120])
    # what pyxdf says of segments belongs to its dejitter, which is off
    notes += [m for r in records if "clock-segments" not in (m := r.getMessage())]


# --- the stream of samples -----------------------------------------------------------------------


def _field(stream: Any, name: str) -> str:
    value = stream["info"].get(name)
    found = value[0] if isinstance(value, list) and value else value
    return str(found if found is not None else "")


def _rate(stream: Any) -> float:
    try:
        return float(_field(stream, "nominal_srate"))
    except ValueError:
        return 0.0


def _is_text(stream: Any) -> bool:
    return _field(stream, "channel_format") == "string"


def _describe(stream: Any) -> str:
    kind = "text" if _is_text(stream) else f"{_rate(stream):g} Hz"
    return (
        f"'{_field(stream, 'name')}' (type {_field(stream, 'type') or 'none'}, {kind}, "
        f"{_field(stream, 'channel_count')} channels, {len(stream['time_stamps'])} samples, "
        f"id {stream['info']['stream_id']})"
    )


def _choose(path: Path, streams: list[Any], asked: str | None, notes: list[str]) -> Any:
    """Find the stream meant: the only EEG stream, or the only regular one, when none is named."""
    listing = "; ".join(map(_describe, streams)) or "none"
    regular = [s for s in streams if not _is_text(s) and _rate(s) > 0]
    if asked is not None:
        for field in ("name", "type", "stream_id"):
            found = [s for s in regular if _field(s, field) == asked]
            if found:
                break
    else:
        found = [s for s in regular if _field(s, "type").lower() == "eeg"] or regular
    if len(found) > 1:
        found = [s for s in found if len(s["time_stamps"])] or found[:1]
    wish = f"stream '{asked}'" if asked is not None else "an EEG stream"
    if not found:
        raise SourceError(f"{path}: {wish} of regular rate was asked for; streams found: {listing}")
    if len(found) > 1:
        raise SourceError(
            f"{path}: {wish} is ambiguous; name one by 'stream'; streams found: {listing}"
        )
    if asked is None and _field(found[0], "type").lower() != "eeg":
        notes.append(f"no stream of type EEG; read instead: {_describe(found[0])}")
    return found[0]


def _samples(stream: Any, sfreq: float, notes: list[str]) -> tuple[SampleArray, StreamInfo]:
    n_channels = int(_field(stream, "channel_count"))
    raw = np.asarray(stream["time_series"]).reshape(-1, n_channels)
    exact = np.float32 if raw.dtype in (np.int8, np.int16, np.float32) else np.float64
    data: SampleArray = np.ascontiguousarray(raw, exact)
    channels = _channels(stream, n_channels)
    names = unique_labels([_first(c, "label") for c in channels], notes)
    types = tuple(_TYPES.get(_first(c, "type").lower() or "eeg", "misc") for c in channels)
    units = [_first(c, "unit") for c in channels]
    scale = np.ones(n_channels)
    for k, (unit, kind) in enumerate(zip(units, types, strict=True)):
        if kind in _VOLTAGES:
            scale[k] = MICROVOLTS.get(unit.strip().lower(), 1.0)
    volts = [u for u, kind in zip(units, types, strict=True) if kind in _VOLTAGES]
    unknown = {u for u in volts if u.strip().lower() not in MICROVOLTS}
    if unknown:
        shown = ", ".join(sorted(f"'{u}'" for u in unknown if u)) or "none"
        notes.append(f"the unit of some channels is unknown ({shown}); their values are left alone")
    if np.any(scale != 1.0):
        data = data * scale
    positions = {n: p for n, c in zip(names, channels, strict=True) if (p := _position(c))}
    name, source_id = _field(stream, "name"), _field(stream, "source_id")
    return data, StreamInfo(name, sfreq, names, types, positions, source_id)


def _channels(stream: Any, n_channels: int) -> list[dict[str, Any]]:
    """Per channel what ``desc/channels/channel`` says; empty where it says nothing."""
    desc = (stream["info"].get("desc") or [None])[0]
    outer = (desc.get("channels") if isinstance(desc, dict) else None) or [None]
    inner = outer[0].get("channel") if isinstance(outer[0], dict) else None
    channels = [c if isinstance(c, dict) else {} for c in inner or []]
    return channels if len(channels) == n_channels else [{} for _ in range(n_channels)]


def _first(channel: dict[str, Any], key: str) -> str:
    value = channel.get(key)
    return str(value[0]) if isinstance(value, list) and value and value[0] else ""


def _position(channel: dict[str, Any]) -> tuple[float, float, float] | None:
    """Electrode position in metres from ``location`` (X, Y, Z in millimetres)."""
    location = (channel.get("location") or [None])[0]
    if not isinstance(location, dict):
        return None
    try:
        x, y, z = (float(_first(location, axis)) / 1000.0 for axis in "XYZ")
    except ValueError:
        return None
    return (x, y, z) if any((x, y, z)) else None


# --- times and markers ---------------------------------------------------------------------------


def _fit(stamps: FloatArray, sfreq: float) -> tuple[FloatArray, list[Jump]]:
    """Fitted, non-decreasing time of each sample, and the jumps of the clock."""
    times = np.empty_like(stamps)
    jumps: list[Jump] = []
    line = Dejitter(sfreq)
    step = max(1, round(0.1 * sfreq))
    for start in range(0, len(stamps), step):
        stop = min(start + step, len(stamps))
        jump = line.update(start, stamps[start:stop])
        first = start
        if jump is not None:
            jumps.append(jump)
            first = jump.index
        origin = line.time_of(first)
        times[first:stop] = origin + np.arange(stop - first) * (line.time_of(first + 1) - origin)
    np.maximum.accumulate(times, out=times)
    return times, jumps


def _markers(
    path: Path, streams: list[Any], main: Any, asked: Sequence[str] | None, notes: list[str]
) -> list[tuple[float, str]]:
    """(time, value) of all markers, in order of time."""
    others = [s for s in streams if s is not main and _is_text(s)]
    others += [s for s in streams if s is not main and not _is_text(s) and _rate(s) == 0]
    if asked is not None:
        names = {_field(s, "name") for s in others}
        missing = [name for name in asked if name not in names]
        if missing:
            raise SourceError(
                f"{path}: marker stream '{missing[0]}' is not there; "
                f"streams found: {'; '.join(map(_describe, others)) or 'none'}"
            )
        chosen = [s for s in others if _field(s, "name") in asked]
    else:
        chosen = [
            s
            for s in others
            if "marker" in _field(s, "type").lower() and _field(s, "name") != DECISIONS
        ]
        left = [s for s in others if s not in chosen and len(s["time_stamps"])]
        notes += [f"not read as markers: {_describe(s)}; name it in 'markers'" for s in left]
    found = [
        (float(t), ",".join(map(_text, value)))
        for s in chosen
        for t, value in zip(s["time_stamps"], s["time_series"], strict=True)
    ]
    return sorted(found, key=lambda item: item[0])


def _text(value: Any) -> str:
    """Write a marker's value as text; whole numbers without a decimal point."""
    if isinstance(value, str):
        return value
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(number)
