"""NumPy arrays: .npz with everything in it, .npy with the rate given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import SourceError
from bci.sources.files import Recording, Wanted, place_markers, regular_stamps, unique_labels
from bci.types import StreamInfo

_TYPES = ("eeg", "eog", "emg", "ecg", "stim", "misc")


def read_npz(path: Path, wanted: Wanted) -> Recording:
    """Read `data`, `sfreq`, `ch_names` and, where there, `ch_types` and `markers`."""
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        missing = [key for key in ("data", "sfreq", "ch_names") if key not in file]
        if missing:
            raise SourceError(
                f"{path}: a continuous recording needs the arrays data (n_samples, n_channels), "
                f"sfreq and ch_names; found: {', '.join(file.files) or 'none'}"
            )
        arrays = {key: file[key] for key in file.files}
    sfreq = float(arrays["sfreq"].reshape(()))
    names = [str(name) for name in arrays["ch_names"].ravel()]
    types = [str(t) for t in arrays["ch_types"].ravel()] if "ch_types" in arrays else None
    rows = arrays.get("markers", np.empty((0, 2)))
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise SourceError(
            f"{path}: markers must be rows of (sample index, value), shape (n, 2); "
            f"found shape {rows.shape}"
        )
    found = [(int(float(index)), _text(value)) for index, value in rows]
    return _recording(path, arrays["data"], sfreq, names, types, found)


def read_npy(path: Path, wanted: Wanted) -> Recording:
    """Read samples, shape (n_samples, n_channels); rate and labels come from the caller."""
    if wanted.sfreq is None:
        raise SourceError(f"{path}: a .npy file holds no sampling rate; give it by 'sfreq'")
    with path.open("rb") as opened:
        data = np.load(opened, allow_pickle=False)
    n_channels = data.shape[1] if data.ndim == 2 else 0
    names = list(wanted.ch_names or (f"Ch{k + 1}" for k in range(n_channels)))
    return _recording(path, data, wanted.sfreq, names, None, [])


def _recording(
    path: Path,
    data: Any,
    sfreq: float,
    names: Sequence[str],
    types: Sequence[str] | None,
    found: list[tuple[int, str]],
) -> Recording:
    if data.ndim != 2 or data.dtype.kind not in "fiu" or data.shape[1] != len(names):
        raise SourceError(
            f"{path}: data must be numbers of shape (n_samples, {len(names)}) for its "
            f"{len(names)} channel labels; found {data.dtype} of shape {data.shape}"
        )
    if not (np.isfinite(sfreq) and sfreq > 0):
        raise SourceError(f"{path}: sfreq must be a positive rate in Hz; found {sfreq}")
    if types is not None and (len(types) != len(names) or not set(types) <= set(_TYPES)):
        raise SourceError(
            f"{path}: ch_types must give one of {', '.join(_TYPES)} per channel; found {types}"
        )
    notes: list[str] = []
    labels = unique_labels(names, notes)
    stamps = regular_stamps(len(data), sfreq)
    exact = np.float32 if data.dtype == np.float32 else np.float64
    info = StreamInfo(path.stem, sfreq, labels, tuple(types or ("eeg",) * len(labels)))
    markers = place_markers(found, stamps, notes)
    return Recording(path, info, np.ascontiguousarray(data, exact), stamps, markers, [], notes)


def _text(value: Any) -> str:
    """Write a marker's value as text; whole numbers without a decimal point."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)
