"""Finding channels by type and by name, with errors that say what is there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.types import StreamInfo

Columns = NDArray[np.intp]


def eeg_columns(info: StreamInfo, asked_by: str) -> Columns:
    """Columns of the EEG channels, shape (n_eeg,).

    Raises
    ------
    ConfigError
        There is none.
    """
    columns = np.flatnonzero(np.array(info.ch_types) == "eeg")
    if len(columns) == 0:
        raise ConfigError(
            f"{asked_by}: the stream has no EEG channel (its types: "
            f"{', '.join(sorted(set(info.ch_types))) or 'none'}); set channels.types"
        )
    return columns


def eeg_rank(info: StreamInfo) -> int:
    """Rank of the EEG channels: what processing left of it, or their number."""
    return info.ch_types.count("eeg") if info.rank is None else info.rank


def find_columns(info: StreamInfo, names: Sequence[str], asked_by: str) -> Columns:
    """Columns of the named channels, in the order asked for, shape (n_names,).

    Raises
    ------
    ConfigError
        A channel is not in the stream; the message names the nearest one.
    """
    known = {name: column for column, name in enumerate(info.ch_names)}
    missing = [name for name in names if name not in known]
    if missing:
        raise ConfigError("; ".join(_missing(name, info, asked_by) for name in missing))
    return np.array([known[name] for name in names], dtype=np.intp)


def find_eeg(info: StreamInfo, names: Sequence[str], asked_by: str) -> Columns:
    """As `find_columns`, for channels that must be EEG."""
    columns = find_columns(info, names, asked_by)
    for i in columns:
        if info.ch_types[i] != "eeg":
            raise ConfigError(
                f"{asked_by}: channel '{info.ch_names[i]}' is of type '{info.ch_types[i]}', and "
                "only EEG channels take part; name another or set its type in channels.types"
            )
    return columns


def _missing(name: str, info: StreamInfo, asked_by: str) -> str:
    folded = {known.casefold(): known for known in info.ch_names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    hint = f"did you mean '{folded[near[0]]}'?" if near else "none is similar;"
    return f"{asked_by}: no channel '{name}', {hint} the stream has {', '.join(info.ch_names)}"
