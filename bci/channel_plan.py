"""Which input channels make which output channels, worked out once per stream."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.config import Channels
from bci.electrodes import Position, canonical, in_montage
from bci.errors import ConfigError
from bci.types import FloatArray, StreamInfo


@dataclass(frozen=True, slots=True)
class Plan:
    """How the input's columns become the output's.

    Output columns `present` are the input's `columns`; output columns `missing`
    are `weights` (n_missing, n_sources) times the input's columns `sources`.
    """

    info: StreamInfo
    columns: NDArray[np.intp]
    present: NDArray[np.intp]
    missing: NDArray[np.intp]
    sources: NDArray[np.intp]
    weights: FloatArray
    renamed: Mapping[str, str]  # input label: output label
    identity: bool
    adaptations: tuple[str, ...]


def make_plan(info: StreamInfo, settings: Channels) -> Plan:
    """Fit the settings to a stream.

    Raises
    ------
    ConfigError
        A channel or label is not there or is there twice, or a channel cannot
        be interpolated; names what was found.
    """
    names = _names(info, settings)
    types = _types(info, names, settings)
    found = _pick(info, names, types, settings)  # output label: input column or None
    labels = tuple(found)
    columns = np.array([c for c in found.values() if c is not None], np.intp)
    present = np.array([k for k, c in enumerate(found.values()) if c is not None], np.intp)
    missing = np.array([k for k, c in enumerate(found.values()) if c is None], np.intp)
    out_types = tuple("eeg" if c is None else types[c] for c in found.values())
    positions = _positions(info, found, out_types, settings.montage)
    sources, weights = np.empty(0, np.intp), np.empty((0, 0))
    if len(missing):
        lacking = [labels[k] for k in missing]
        sources, weights = _interpolation(info, names, types, lacking, settings)
    out = StreamInfo(info.name, info.sfreq, labels, out_types, positions, info.source_id)
    mapping = np.zeros((len(labels), info.n_channels))
    mapping[present, columns] = 1.0
    if len(missing):
        mapping[np.ix_(missing, sources)] = weights
    out = replace(out, rank=_rank(info, out_types, mapping))
    renamed = {info.ch_names[c]: label for label, c in found.items() if c is not None}
    identity = not len(missing) and np.array_equal(columns, np.arange(info.n_channels))
    notes = _adaptations(info, found, out_types)
    return Plan(out, columns, present, missing, sources, weights, renamed, identity, notes)


def _names(info: StreamInfo, settings: Channels) -> list[str]:
    """Label of each input channel: the configured one, else the 10-05 name where it is unique."""
    for label in settings.rename:
        if label not in info.ch_names:
            raise ConfigError(f"channels.rename: {_not_found(label, info.ch_names)}")
    given = [settings.rename.get(label, label) for label in info.ch_names]
    twice = sorted({label for label in given if given.count(label) > 1})
    if twice:
        raise ConfigError(f"channels.rename: two channels would be called '{twice[0]}'")
    return [
        canonical(name)
        if kind == "eeg" and label not in settings.rename and _alone(name, given)
        else name
        for label, name, kind in zip(info.ch_names, given, info.ch_types, strict=True)
    ]


def _alone(name: str, others: Sequence[str]) -> bool:
    """Whether no other channel is the same electrode as `name`."""
    return sum(canonical(other) == canonical(name) for other in others) == 1


def _types(info: StreamInfo, names: Sequence[str], settings: Channels) -> list[str]:
    types = list(info.ch_types)
    for label, kind in settings.types.items():
        column = _find(label, info, names)
        if column is None:
            raise ConfigError(f"channels.types: {_not_found(label, names)}")
        types[column] = kind
    return types


def _find(label: str, info: StreamInfo, names: Sequence[str]) -> int | None:
    """Column of a label: as renamed, as the device says, or as the same electrode."""
    for known in (names, info.ch_names):
        if label in known:
            return known.index(label)
    same = [k for k, name in enumerate(names) if canonical(name) == canonical(label)]
    return same[0] if len(same) == 1 else None


def _pick(
    info: StreamInfo, names: Sequence[str], types: Sequence[str], settings: Channels
) -> dict[str, int | None]:
    """Output label: input column, or None where the channel must be interpolated."""
    pick = settings.pick
    if not isinstance(pick, list):
        found: dict[str, int | None] = {
            name: k for k, name in enumerate(names) if pick == "all" or types[k] == pick
        }
        if not found:
            raise ConfigError(
                f"channels.pick: stream '{info.name}' has no channel of type {pick}; it has "
                f"{', '.join(f'{n} ({t})' for n, t in zip(names, types, strict=True))}"
            )
        return found
    found = {label: _find(label, info, names) for label in pick}
    columns = [c for c in found.values() if c is not None]
    if not pick or len(found) < len(pick) or len(set(columns)) < len(columns):
        raise ConfigError(
            f"channels.pick must name each channel once; found {', '.join(pick) or 'none'}"
        )
    missing = [label for label, column in found.items() if column is None]
    if missing and settings.missing == "error":
        near = "; ".join(_nearest(label, names) for label in missing)
        raise ConfigError(
            f"channels.pick: {near}; stream '{info.name}' has {', '.join(names)}; "
            "correct the names, or set channels.missing: interpolate"
        )
    return found


def _nearest(label: str, known: Iterable[str]) -> str:
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(label.casefold(), folded, n=1, cutoff=0.5)
    return f"no channel '{label}'" + (f" (nearest is '{folded[near[0]]}')" if near else "")


def _not_found(label: str, known: Sequence[str]) -> str:
    return f"{_nearest(label, known)}; the stream has {', '.join(known)}"


def _rank(info: StreamInfo, types: Sequence[str], mapping: FloatArray) -> int | None:
    """Rank of the output's EEG channels, None where it is full."""
    rows = [k for k, kind in enumerate(types) if kind == "eeg"]
    rank = int(np.linalg.matrix_rank(mapping[rows])) if rows else 0
    if info.rank is not None:
        rank = min(rank, info.rank)
    return rank if rank < len(rows) else None


def _adaptations(
    info: StreamInfo, found: Mapping[str, int | None], types: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    pairs = [(info.ch_names[c], label) for label, c in found.items() if c is not None]
    renamed = [f"{old} → {new}" for old, new in pairs if old != new]
    if renamed:
        notes.append(f"channels renamed: {', '.join(renamed)}")
    retyped = [
        f"{label} is {kind}, not {info.ch_types[c]}"
        for (label, c), kind in zip(found.items(), types, strict=True)
        if c is not None and kind != info.ch_types[c]
    ]
    if retyped:
        notes.append(f"channel types changed: {', '.join(retyped)}")
    missing = [label for label, c in found.items() if c is None]
    if missing:
        notes.append(f"missing channels interpolated: {', '.join(missing)}")
    return tuple(notes)


# --- where they are ------------------------------------------------------------------------------


def _positions(
    info: StreamInfo, found: Mapping[str, int | None], types: Sequence[str], montage: str | None
) -> dict[str, Position]:
    """Positions of the output's EEG channels: the device's own, else the montage's."""
    positions = {}
    for (label, column), kind in zip(found.items(), types, strict=True):
        own = info.positions.get(info.ch_names[column]) if column is not None else None
        if kind != "eeg":
            continue
        position = own or (in_montage(label, montage) if montage else None)
        if position is not None:
            positions[label] = position
    return positions


def _interpolation(
    info: StreamInfo,
    names: Sequence[str],
    types: Sequence[str],
    missing: Sequence[str],
    settings: Channels,
) -> tuple[NDArray[np.intp], FloatArray]:
    """Columns of the EEG channels present, and the spherical splines from them to `missing`."""
    from bci.dsp.splines import Splines  # MNE, for this case only

    if settings.montage is None:
        raise ConfigError(
            f"channels.missing: interpolate needs channels.montage to know where "
            f"{', '.join(missing)} would be"
        )
    places = {label: in_montage(label, settings.montage) for label in missing}
    unknown = [label for label, place in places.items() if place is None]
    if unknown:
        raise ConfigError(
            f"channels.missing: no position of '{unknown[0]}' in montage '{settings.montage}', so "
            "it cannot be interpolated; choose another montage, or leave the channel out"
        )
    sources = []
    for k, (name, kind) in enumerate(zip(names, types, strict=True)):
        # the montage first: all positions must be of one head
        place = in_montage(name, settings.montage) or info.positions.get(info.ch_names[k])
        if kind == "eeg" and place is not None:
            sources.append(k)
            places[name] = place
    if not sources:
        raise ConfigError("channels.missing: no EEG channel of known place to interpolate from")
    order = [*(names[k] for k in sources), *missing]
    known = {name: place for name, place in places.items() if place is not None}
    at = StreamInfo(info.name, info.sfreq, tuple(order), ("eeg",) * len(order), known)
    weights = Splines(at, order, "channels.missing").matrix(range(len(sources), len(order)))
    return np.array(sources, np.intp), weights
