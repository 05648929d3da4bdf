"""Recordings: one reader for every format, and the events that drive a pipeline with them.

`load_recording` gives a `Recording` whose sample index is the row of the file's
samples, in microvolts, with markers on exact samples. The formats are one
module each in `bci.sources.formats`, imported when a file of theirs is opened.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import BciError, MissingDependency, SourceError
from bci.types import (
    Break,
    Chunk,
    FloatArray,
    Gap,
    Marker,
    RawMarker,
    SampleArray,
    StreamInfo,
)

#: Suffix: module in `bci.sources.formats`, its function, and what the format is called.
READERS: dict[str, tuple[str, str]] = {
    ".xdf": ("xdf:read_xdf", "XDF"),
    ".xdfz": ("xdf:read_xdf", "XDF"),
    ".xdf.gz": ("xdf:read_xdf", "XDF"),
    ".fif": ("mne_files:read_fif", "FIF"),
    ".fif.gz": ("mne_files:read_fif", "FIF"),
    ".edf": ("mne_files:read_edf", "EDF"),
    ".bdf": ("mne_files:read_bdf", "BDF"),
    ".gdf": ("mne_files:read_gdf", "GDF"),
    ".vhdr": ("mne_files:read_brainvision", "BrainVision"),
    ".set": ("mne_files:read_eeglab", "EEGLAB"),
    ".dat": ("bci2000:read_bci2000", "BCI2000"),
    ".txt": ("openbci:read_openbci", "OpenBCI GUI text"),
    ".npz": ("numpy_files:read_npz", "NumPy"),
    ".npy": ("numpy_files:read_npy", "NumPy"),
}

#: Files that belong to a format but are not the one to open.
_PARTNERS = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller says about the file: see `load_recording`."""

    stream: str | None = None
    markers: Sequence[str] | None = None
    sfreq: float | None = None
    ch_names: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples ``[start, stop)`` without a break inside.

    `broken` is the break before sample `start`, where there is one; `markers`
    are those whose onset lies in the piece.
    """

    start: int
    stop: int
    broken: Break | None
    markers: list[RawMarker]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of one stream, with its markers.

    Attributes
    ----------
    path : Path
        Where it was read from.
    info : StreamInfo
    data : array, shape (n_samples, n_channels), float32 or float64
        Microvolts (channels of type "stim" and "misc" in their own unit). Bit
        for bit what the file holds where that is float32 or float64 microvolts.
    stamps : array, shape (n_samples,), float64
        Raw time of each sample, seconds (clock offsets applied, not smoothed);
        index / sfreq for formats without stamps.
    markers : list of RawMarker
        In order of their index, which is always set and in the recording.
    breaks : list of (int, Break)
        Where the samples from an index on do not continue those before.
    notes : list of str
        What the user should know: repairs, oddities, parts left out.
    """

    path: Path
    info: StreamInfo
    data: SampleArray = field(repr=False)
    stamps: FloatArray = field(repr=False)
    markers: list[RawMarker] = field(default_factory=list, repr=False)
    breaks: list[tuple[int, Break]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.data)

    @property
    def duration_s(self) -> float:
        """Number of samples over the nominal rate, seconds."""
        return self.n_samples / self.info.sfreq

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """Cut samples ``[start, stop)`` at breaks; each piece has its markers."""
        breaks = dict(self.breaks)
        edges = [start, *(at for at, _ in self.breaks if start < at < stop), stop]
        for a, b in pairwise(edges):
            broken = breaks.get(a) if b > a else None
            first, last = (bisect_left(self.markers, i, key=_index) for i in (a, b))
            yield Piece(a, b, broken, self.markers[first:last])

    def events(self, chunk: int | Sequence[int] = 100) -> Iterator[Chunk | Marker | Gap]:
        """All that a pipeline takes from this recording, in a fixed order.

        A break gives a `Gap`; a marker comes before the chunk that contains its
        onset (``at == onset``). Chunks are views of `data`.

        Parameters
        ----------
        chunk : int or sequence of int
            Samples per chunk; several sizes are used in turn, again and again.

        Raises
        ------
        ValueError
            The sizes would never come to the end.
        """
        sizes = (chunk,) if isinstance(chunk, int) else tuple(chunk)
        if not sizes or min(sizes) < 0 or max(sizes) == 0:
            raise ValueError(f"chunk sizes must be positive, found {chunk}")
        position = 0
        for size in cycle(sizes):
            stop = min(position + size, self.n_samples)
            for piece in self.pieces(position, stop):
                if piece.broken:
                    yield Gap(piece.start, piece.start, piece.broken.reason)
                for marker in piece.markers:
                    yield Marker(_index(marker), _index(marker), marker.value)
                yield Chunk(piece.start, self.data[piece.start : piece.stop])
            position = stop
            if position >= self.n_samples:
                return


def load_recording(
    path: str | Path,
    stream: str | None = None,
    *,
    markers: Sequence[str] | None = None,
    sfreq: float | None = None,
    ch_names: Sequence[str] | None = None,
) -> Recording:
    """Read a recording of any known format.

    Parameters
    ----------
    path : path
        XDF; FIF, EDF, BDF, GDF, BrainVision (.vhdr), EEGLAB (.set); BCI2000; text of the
        OpenBCI GUI; NumPy .npz (`data` (n_samples, n_channels) in microvolts,
        `sfreq`, `ch_names`, optionally `ch_types` and `markers`, rows of
        (sample index, value)) or .npy.
    stream : str, optional
        XDF: name, type or id of the stream of samples; needed where several
        could be meant.
    markers : sequence of str, optional
        XDF: names of the marker streams; None: all whose type says so.
    sfreq : float, optional
        .npy only, which doesn't hold it: sampling rate, Hz.
    ch_names : sequence of str, optional
        .npy only: channel labels; None: Ch1, Ch2, …

    Raises
    ------
    SourceError
        The file is missing, damaged, of an unknown format, or ambiguous.
    MissingDependency
        A package that the format needs is not installed.
    """
    path = Path(path)
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; name the recording in it")
    if not path.exists():
        raise SourceError(f"{path}: no such file")
    suffix = _suffix(path)
    wanted = Wanted(stream, markers, sfreq, ch_names)
    _check_options(path, suffix, wanted)
    module, _, function = READERS[suffix][0].partition(":")
    try:
        read: Any = getattr(import_module(f"bci.sources.formats.{module}"), function)
        recording: Recording = read(path, wanted)
    except BciError:
        raise
    except ImportError as error:
        raise MissingDependency(f"{path}: needs a package that is missing: {error}") from error
    except MemoryError as error:
        raise SourceError(f"{path}: does not fit into memory") from error
    except Exception as error:  # a reader may fail in any way on a damaged file
        raise SourceError(
            f"{path}: is damaged, or no {READERS[suffix][1]} file: {first_line(error)}"
        ) from error
    return recording


def _suffix(path: Path) -> str:
    suffix = "".join(path.suffixes[-2:]).lower()
    if suffix not in READERS:
        suffix = path.suffix.lower()
    if suffix in READERS:
        return suffix
    if suffix in _PARTNERS:
        raise SourceError(f"{path}: open the {_PARTNERS[suffix]} file beside it instead")
    formats = ", ".join(f"{name} ({ends})" for name, ends in _formats().items())
    raise SourceError(
        f"{path}: files ending in '{suffix}' cannot be read; the formats known are {formats}"
    )


def _formats() -> dict[str, str]:
    """Name of a format: its suffixes."""
    names = dict.fromkeys(name for _, name in READERS.values())
    return {n: " ".join(s for s, (_, name) in READERS.items() if name == n) for n in names}


def _check_options(path: Path, suffix: str, wanted: Wanted) -> None:
    """Refuse what would be ignored."""
    xdf = suffix.startswith(".xdf")
    for option, value, fits in (
        ("stream", wanted.stream, xdf),
        ("markers", wanted.markers, xdf),
        ("sfreq", wanted.sfreq, suffix == ".npy"),
        ("ch_names", wanted.ch_names, suffix == ".npy"),
    ):
        if value is not None and not fits:
            where = "XDF" if option in ("stream", "markers") else ".npy"
            raise SourceError(f"{path}: '{option}' is for {where} files only; leave it out here")


def _index(marker: RawMarker) -> int:
    if marker.index is None:
        raise ValueError(f"marker '{marker.value}' of a recording has no index")
    return marker.index


# --- what the formats share ----------------------------------------------------------------------


def first_line(error: BaseException) -> str:
    """Cut an exception's message to one line."""
    lines = str(error).strip().splitlines()
    return lines[0].strip()[:200] if lines else type(error).__name__


def place_markers(
    found: Iterable[tuple[int, str]], stamps: FloatArray, notes: list[str]
) -> list[RawMarker]:
    """Make markers of (index, value), sorted by index; those outside are noted and left out."""
    ordered = sorted(found, key=lambda item: item[0])
    inside = [(i, value) for i, value in ordered if 0 <= i < len(stamps)]
    if len(inside) < len(ordered):
        notes.append(f"{len(ordered) - len(inside)} markers outside the samples were left out")
    return [RawMarker(value, float(stamps[i]), i) for i, value in inside]


def unique_labels(labels: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """Make labels unique by a number behind; empty ones become Ch1, Ch2 and so on."""
    result: list[str] = []
    for k, label in enumerate(labels):
        base = label.strip() or f"Ch{k + 1}"
        name, count = base, 1
        while name in result:
            name, count = f"{base}-{count}", count + 1
        if name != base:
            notes.append(f"channel label '{base}' is there more than once; one is now '{name}'")
        result.append(name)
    return tuple(result)


def regular_stamps(n_samples: int, sfreq: float) -> FloatArray:
    """Index / sfreq, seconds, for formats that hold no stamps."""
    return np.arange(n_samples, dtype=np.float64) / sfreq
