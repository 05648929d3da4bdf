"""What an LSL stream says of itself: its XML description, read tolerantly and written by the book.

The convention is that of XDF's "EEG Meta Data": one ``desc/channels/channel`` per
channel with ``label``, ``type``, ``unit`` and ``location`` (X right, Y front, Z up,
millimetres). Senders in the field keep to parts of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np

from bci.errors import SourceError
from bci.lsl.network import load
from bci.types import FloatArray, StreamInfo

#: Unit, in lower case: factor to microvolts. Bare numbers are MNE-LSL's powers of ten of a volt.
MICROVOLTS: dict[str, float] = {
    **dict.fromkeys(("microvolts", "microvolt", "uv", "µv", "μv", "-6"), 1.0),
    **dict.fromkeys(("nanovolts", "nanovolt", "nv", "-9"), 1e-3),
    **dict.fromkeys(("millivolts", "millivolt", "mv", "-3"), 1e3),
    **dict.fromkeys(("volts", "volt", "v", "0"), 1e6),
}
_TYPES = {
    **{kind: kind for kind in ("eeg", "eog", "emg", "ecg", "stim", "misc")},
    **dict.fromkeys(("exg", "ieeg"), "eeg"),
    "ekg": "ecg",
    **dict.fromkeys(("trigger", "trig", "status", "marker", "markers", "event", "events"), "stim"),
}
_VOLTAGES = ("eeg", "eog", "emg", "ecg")


@dataclass(frozen=True, slots=True)
class Description:
    """A stream's metadata as the engine uses it.

    Attributes
    ----------
    info : StreamInfo
    scale : array, shape (n_channels,)
        Factor from the stream's unit to microvolts; 1 for "stim" and "misc".
    channel_format : str
        LSL's name of the sample format ("float32", "int16", …, "string").
    warnings : tuple of str
        What was guessed or left out, a sentence each, for the log.
    """

    info: StreamInfo
    scale: FloatArray = field(repr=False)
    channel_format: str
    warnings: tuple[str, ...] = ()

    def differences(self, other: Description) -> list[str]:
        """Say what `other` has otherwise, a line each; empty when samples of both are alike."""
        mine, theirs = self.info, other.info
        lines = []
        if mine.n_channels != theirs.n_channels:
            lines.append(f"{mine.n_channels} channels before, {theirs.n_channels} now")
        elif mine.ch_names != theirs.ch_names:
            pairs = zip(mine.ch_names, theirs.ch_names, strict=True)
            i, (a, b) = next((i, p) for i, p in enumerate(pairs, 1) if p[0] != p[1])
            lines.append(f"channel {i} was '{a}' before and is '{b}' now")
        elif not np.array_equal(self.scale, other.scale):
            i = int(np.flatnonzero(self.scale != other.scale)[0])
            lines.append(
                f"unit of channel '{mine.ch_names[i]}' was {self.scale[i]:g} µV before and is "
                f"{other.scale[i]:g} µV now"
            )
        if mine.sfreq != theirs.sfreq:
            lines.append(f"{mine.sfreq:g} Hz before, {theirs.sfreq:g} Hz now")
        if self.channel_format != other.channel_format:
            lines.append(f"{self.channel_format} before, {other.channel_format} now")
        return lines


def read(xml: str) -> Description:
    """Read the full XML of a stream.

    Labels come from ``label`` or ``name``, else they are "Ch1", "Ch2", …; types
    from ``type``, else the stream's own; units from ``unit`` or ``units``. A unit
    that is missing or unknown on a voltage channel counts as microvolts, with a
    word in `warnings`. Channel names are left as they are ("T3" is not renamed to "T7").

    Raises
    ------
    SourceError
        Two channels have one label, or the XML cannot be parsed.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise SourceError(f"LSL stream's metadata is not XML ({error}): mend its sender") from error
    name = _text(root, "name")
    n_channels = int(_text(root, "channel_count") or 0)
    channels = root.findall("desc/channels/channel")
    warnings: list[str] = []
    if channels and len(channels) != n_channels:
        warnings.append(
            f"{len(channels)} channels are described and {n_channels} sent: the description is "
            "ignored"
        )
        channels = []
    ch_names = _labels(name, channels, n_channels)
    ch_types = _channel_types(channels, n_channels, _text(root, "type"))
    info = StreamInfo(
        name=name,
        sfreq=float(_text(root, "nominal_srate") or 0.0),
        ch_names=ch_names,
        ch_types=ch_types,
        positions=_positions(ch_names, channels, warnings),
        source_id=_text(root, "source_id"),
    )
    scale = _scale(info, channels, warnings)
    return Description(info, scale, _text(root, "channel_format"), tuple(warnings))


def _text(element: ElementTree.Element, *paths: str) -> str:
    """Text at the first of `paths` that has any, stripped; empty where there is none."""
    for path in paths:
        if found := (element.findtext(path) or "").strip():
            return found
    return ""


def _labels(name: str, channels: Sequence[ElementTree.Element], n: int) -> tuple[str, ...]:
    given = [_text(channel, "label", "name") for channel in channels] or [""] * n
    labels = tuple(label or f"Ch{i}" for i, label in enumerate(given, 1))
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise SourceError(
            f"LSL stream '{name}' has more than one channel labelled {', '.join(twice)}: "
            "give each channel its own label in the sender"
        )
    return labels


def _channel_types(
    channels: Sequence[ElementTree.Element], n: int, stream_type: str
) -> tuple[str, ...]:
    default = _TYPES.get(stream_type.lower(), "misc")
    given = [_text(channel, "type") for channel in channels] or [""] * n
    return tuple(_TYPES.get(kind.lower(), "misc") if kind else default for kind in given)


def _scale(
    info: StreamInfo, channels: Sequence[ElementTree.Element], warnings: list[str]
) -> FloatArray:
    scale = np.ones(info.n_channels)  # (n_channels,)
    unknown: dict[str, list[str]] = {}
    units = [_text(c, "unit", "units") for c in channels] or [""] * info.n_channels
    for i, unit in enumerate(units):
        if info.ch_types[i] not in _VOLTAGES:
            continue
        if (factor := MICROVOLTS.get(unit.lower())) is None:
            unknown.setdefault(unit, []).append(info.ch_names[i])
        else:
            scale[i] = factor
    for unit, names in unknown.items():
        given = f"'{unit}'" if unit else "not given"
        warnings.append(
            f"unit {given} of {_brief(names)}; taken as microvolts, check the amplitudes"
        )
    return scale


def _brief(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{len(names)} channels ({names[0]}, …)"


def _positions(
    ch_names: Sequence[str], channels: Sequence[ElementTree.Element], warnings: list[str]
) -> dict[str, tuple[float, float, float]]:
    """Electrode positions in metres; millimetres or metres are told apart by the size of a head."""
    found: dict[str, FloatArray] = {}
    for label, channel in zip(ch_names, channels, strict=False):
        try:
            xyz = np.array([float(_text(channel, f"location/{axis}")) for axis in "XYZ"])
        except ValueError:
            continue
        if np.isfinite(xyz).all() and xyz.any():  # the origin is a placeholder, not an electrode
            found[label] = xyz
    if not found:
        return {}
    radius = float(np.median([np.linalg.norm(xyz) for xyz in found.values()]))
    if 20.0 <= radius <= 250.0:
        metres = 1e-3
    elif 0.02 <= radius <= 0.25:
        metres = 1.0
    else:
        warnings.append(
            f"electrodes at a radius of {radius:g} are on no head in millimetres; their positions "
            "are ignored"
        )
        return {}
    return {
        label: (float(xyz[0]) * metres, float(xyz[1]) * metres, float(xyz[2]) * metres)
        for label, xyz in found.items()
    }


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
