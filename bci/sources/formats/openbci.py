"""Text recordings of the OpenBCI GUI, both generations of the header.

Generation 5 and before names no columns: sample index, then the EXG channels,
accelerometer, others, Unix time in milliseconds, time of day. Generation 6
names them, and has a marker column.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bci.errors import SourceError
from bci.sources.files import Recording, Wanted, place_markers, unique_labels
from bci.types import Break, FloatArray, StreamInfo

_WRAP = 256  # the sample index counts to 255


def read_openbci(path: Path, wanted: Wanted) -> Recording:
    """Read the EXG channels (microvolts), stamps and markers; see `load_recording`."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header = [line for line in lines[:20] if line.startswith("%")]
    if not header or "openbci" not in header[0].lower():
        raise SourceError(f"{path}: is no recording of the OpenBCI GUI (its first line says so)")
    n_channels = int(_setting(path, header, r"Number of channels\s*=\s*(\d+)"))
    sfreq = float(_setting(path, header, r"Sample Rate\s*=\s*([\d.]+)"))
    body = lines[len(header) :]
    named = bool(body) and body[0].lower().startswith("sample index")
    columns = [c.strip() for c in body.pop(0).split(",")] if named else []
    notes: list[str] = []
    table = _table(path, body, len(header) + named, notes)
    exg, stamp, marker = _columns(path, columns, n_channels, table.shape[1])
    if len(table) and table[0, stamp] == 0.0 and not table[0].any():
        table = table[1:]
        notes.append("the empty row that the GUI writes first was left out")
    data = np.ascontiguousarray(table[:, exg])
    stamps = table[:, stamp] * (1e-3 if np.any(table[:, stamp] > 1e11) else 1.0)
    values = table[:, marker] if marker is not None else np.zeros(len(table))
    found = [(int(i), f"{values[i]:g}") for i in np.flatnonzero(values)]
    names = unique_labels([f"EXG{k + 1}" for k in range(n_channels)], notes)
    info = StreamInfo(path.stem, sfreq, names, ("eeg",) * n_channels)
    breaks = _lost(table[:, 0], sfreq)
    notes += [f"{b.reason} before sample {at}" for at, b in breaks]
    markers = place_markers(found, stamps, notes)
    return Recording(path, info, data, stamps, markers, breaks, notes)


def _setting(path: Path, header: list[str], pattern: str) -> str:
    for line in header:
        if match := re.search(pattern, line):
            return match[1]
    what = pattern.partition("\\")[0]
    raise SourceError(f"{path}: the header of this OpenBCI recording lacks '{what}'")


def _table(path: Path, body: list[str], offset: int, notes: list[str]) -> FloatArray:
    """All numeric columns, shape (n_rows, n_columns); the time of day becomes 0."""
    rows = [line for line in body if line.strip()]
    if not rows:
        return np.empty((0, 1))
    counts = np.array([line.count(",") for line in rows])
    if len(rows) > 1 and counts[-1] < counts[0]:
        rows, counts = rows[:-1], counts[:-1]
        notes.append("the last line is cut off and was left out")
    odd = np.flatnonzero(counts != counts[0])
    if len(odd):
        raise SourceError(
            f"{path}:{offset + int(odd[0]) + 1}: {counts[odd[0]] + 1} columns where the first "
            f"row has {counts[0] + 1}; the file is damaged"
        )
    return np.loadtxt(
        rows, delimiter=",", ndmin=2, converters={int(counts[0]): lambda text: 0.0}, encoding=None
    )


def _columns(
    path: Path, names: list[str], n_channels: int, n_columns: int
) -> tuple[list[int], int, int | None]:
    """Columns of the EXG channels, of the Unix time and of the markers."""
    if not names:
        exg, stamp, marker = list(range(1, n_channels + 1)), n_columns - 2, None
    else:
        exg = [k for k, name in enumerate(names) if name.lower().startswith("exg channel")]
        stamp = names.index("Timestamp") if "Timestamp" in names else -1
        marker = names.index("Marker Channel") if "Marker Channel" in names else None
    if len(exg) != n_channels or not 0 < stamp < n_columns or exg[-1] >= stamp:
        raise SourceError(
            f"{path}: the header says {n_channels} channels, but the columns do not fit it "
            f"({n_columns} columns, {len(exg)} of them EXG)"
        )
    return exg, stamp, marker


def _lost(counter: FloatArray, sfreq: float) -> list[tuple[int, Break]]:
    """Find breaks where the sample index skips; a Daisy board counts in twos."""
    steps = np.diff(counter).astype(np.int64) % _WRAP
    if not len(steps):
        return []
    usual = int(np.bincount(steps).argmax())
    if usual not in (1, 2):
        return []  # not a counter of samples
    lost = (steps - usual) // usual % (_WRAP // usual)
    return [
        (int(i) + 1, Break(f"{lost[i]} samples lost", float(lost[i] / sfreq)))
        for i in np.flatnonzero(lost)
    ]
