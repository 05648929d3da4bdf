"""Recordings as a BIDS data set, written with mne-bids.

Samples go to BrainVision (float32), markers to ``events.tsv``, breaks of the
stream to the annotation ``BAD_ACQ_SKIP``; the recording itself is copied under
``sourcedata/``. Anonymized, dates are shifted by one secret number of days for
the whole export, and neither the recording, which names the device, nor the
device's names are copied.

Pernet et al. (2019), EEG-BIDS, doi:10.1038/s41597-019-0104-8; Appelhoff et al.
(2019), MNE-BIDS, doi:10.21105/joss.01896.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bci import eventlog
from bci.clock import Dejitter
from bci.errors import RecordingError
from bci.recording.layout import RunPaths, beside, parse
from bci.recording.run import DECISIONS
from bci.recording.scan import (
    Bytes,
    ChunkAt,
    Damage,
    Header,
    date_of,
    open_file,
    read_samples,
    read_strings,
    scan,
)
from bci.recording.verify import GAP_S
from bci.recording.xdf import MAGIC, MICROVOLT_TYPES, Tag
from bci.types import FloatArray, Marker

if TYPE_CHECKING:
    import mne

_log = logging.getLogger(__name__)

BREAK = "BAD_ACQ_SKIP"
#: Shifted dates lie between: BIDS wants them before 1925, MNE stores none before 1902.
ANONYMOUS_YEARS = (1903, 1924)


@dataclass(slots=True)
class _Content:
    """What is exported of one recording: markers and breaks by sample index."""

    header: Header
    started: datetime | None
    data: NDArray[Any]  # (n_samples, n_channels), microvolts
    markers: list[tuple[int, str]] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)


def export_bids(source: str | Path, bids_root: str | Path, anonymize: bool = False) -> list[Path]:
    """Export one recording, or all recordings under a folder.

    Parameters
    ----------
    source : path
        A recording named by `bci.recording.layout`, or a folder of such.
    bids_root : path
        Root of the data set; made where it is missing. What is there already
        under the same name is an error.
    anonymize : bool
        Shift dates and leave out what names a device.

    Returns
    -------
    list of Path
        The data files written, one per recording.

    Raises
    ------
    RecordingError
        There is no recording, one is damaged (``bci salvage`` mends it) or not
        named as ours are, or the data set cannot be written.
    """
    runs = _recordings(Path(source))
    root = Path(bids_root)
    written = []
    days = _shift([path for path, _ in runs]) if anonymize else None
    for path, run in runs:
        try:
            written.append(_write(_raw(_read(path)), run, root, days))
            if not anonymize:
                _copy(path, run, root)
        except FileExistsError as error:
            raise RecordingError(
                f"{path.name} is in {root} already; nothing is overwritten, export to a new folder"
            ) from error
        except OSError as error:
            raise RecordingError(f"{root} cannot be written: {error.strerror}") from error
    return written


def _recordings(source: Path) -> list[tuple[Path, RunPaths]]:
    if not source.exists():
        raise RecordingError(f"{source}: no such file or folder")
    files = sorted(source.rglob("*_eeg.xdf")) if source.is_dir() else [source]
    if not files:
        raise RecordingError(f"there is no recording (…_eeg.xdf) under {source}")
    found = []
    for path in files:
        run = parse(path)
        if run is None:
            raise RecordingError(
                f"{path.name} does not say whose it is: expected a name such as "
                "sub-P001_ses-001_task-bci_run-001_eeg.xdf"
            )
        found.append((path, run))
    return found


# --- reading -------------------------------------------------------------------------------------


def _read(path: Path) -> _Content:
    data = open_file(path)
    if bytes(data[: len(MAGIC)]) != MAGIC:
        raise RecordingError(f"{path} is no XDF file")
    headers: dict[int, Header] = {}
    chunks: list[ChunkAt] = []
    for found in scan(data, headers):
        if isinstance(found, Damage):
            raise RecordingError(
                f"{path} is damaged at byte {found.start}; mend it first: bci salvage {path}"
            )
        chunks.append(found)
    eeg = [h for h in headers.values() if h.type == "EEG" and h.dtype is not None and h.sfreq > 0]
    if len(eeg) != 1:
        raise RecordingError(f"{path}: expected one EEG stream, found {len(eeg)}")
    content, stamps = _samples(data, chunks, eeg[0])
    markers = _logged_markers(path) or _marked(data, chunks, headers, stamps, eeg[0])
    content.markers = [(i, text) for i, text in markers if 0 <= i < len(content.data)]
    if len(content.markers) < len(markers):
        n = len(markers) - len(content.markers)
        _log.warning("%s: %d markers before or after the samples are left out", path, n)
    return content


def _samples(
    data: Bytes, chunks: list[ChunkAt], header: Header
) -> tuple[_Content, list[FloatArray]]:
    stamps: list[FloatArray] = []
    values: list[NDArray[Any]] = []
    previous = 0.0
    started = None
    for found in chunks:
        if found.tag is Tag.FILE_HEADER:
            started = date_of(data, found)
        elif found.tag is Tag.SAMPLES and found.stream == header.id:
            t, x = read_samples(data, found, header, previous)
            if len(t):
                stamps.append(t)
                values.append(x)
                previous = float(t[-1])
    if not values:
        raise RecordingError(f"the recording holds no sample of '{header.name}'")
    steps = np.abs(np.diff(np.concatenate(stamps)))
    breaks = (np.flatnonzero(steps > max(GAP_S, 5.0 / header.sfreq)) + 1).tolist()
    return _Content(header, started, np.concatenate(values), breaks=breaks), stamps


def _logged_markers(path: Path) -> list[tuple[int, str]]:
    """Markers of the session's event log, which knows their samples exactly."""
    log = beside(path, "events.jsonl")
    if not log.exists():
        return []
    return [(e.onset, e.value) for e in eventlog.read(log) if isinstance(e, Marker)]


def _marked(
    data: Bytes,
    chunks: list[ChunkAt],
    headers: dict[int, Header],
    stamps: list[FloatArray],
    header: Header,
) -> list[tuple[int, str]]:
    """Markers of the recording, placed by the times that `Dejitter` fits to the samples."""
    waiting: list[tuple[float, str]] = []
    texts = {i: h for i, h in headers.items() if h.type == "Markers" and h.name != DECISIONS}
    for found in chunks:
        if found.tag is Tag.SAMPLES and found.stream in texts:
            t, rows = read_strings(data, found, texts[found.stream])
            waiting += [(float(at), row[0]) for at, row in zip(t, rows, strict=True)]
    waiting.sort()
    fit = Dejitter(header.sfreq)
    placed: list[tuple[int, str]] = []
    start = 0
    for t in stamps:
        fit.update(start, t)
        start += len(t)
        while len(placed) < len(waiting) and waiting[len(placed)][0] <= t[-1]:
            at, text = waiting[len(placed)]
            placed.append((fit.index_of(at), text))
    return placed + [(fit.index_of(at), text) for at, text in waiting[len(placed) :]]


# --- writing -------------------------------------------------------------------------------------


def _raw(content: _Content) -> mne.io.BaseRaw:
    """Build MNE's object: volts, annotations, positions where the recording has them."""
    import mne

    names, kinds, positions = _channels(content.header)
    info = mne.create_info(names, content.header.sfreq, kinds, verbose="error")
    scale = np.array([1e-6 if kind in MICROVOLT_TYPES else 1.0 for kind in kinds])
    raw = mne.io.RawArray((content.data * scale).T, info, verbose="error")
    if positions:
        raw.set_montage(
            mne.channels.make_dig_montage(positions, coord_frame="head"),
            on_missing="ignore",
            verbose="error",
        )
    if content.started is not None:
        raw.set_meas_date(content.started)
    marks = content.markers + [(at, BREAK) for at in content.breaks]
    onsets = [at / content.header.sfreq for at, _ in marks]
    texts = [text or "n/a" for _, text in marks]
    raw.set_annotations(mne.Annotations(onsets, [0.0] * len(marks), texts), verbose="error")
    return raw


def _channels(
    header: Header,
) -> tuple[list[str], list[str], dict[str, tuple[float, float, float]]]:
    """Labels, MNE's channel types, and positions in metres."""
    names: list[str] = []
    kinds: list[str] = []
    positions = {}
    for i, channel in enumerate(header.xml.iterfind("desc/channels/channel")):
        name = channel.findtext("label") or str(i + 1)
        names.append(name)
        kind = (channel.findtext("type") or "eeg").lower()
        kinds.append(kind if kind in MICROVOLT_TYPES or kind == "stim" else "misc")
        place = channel.find("location")
        if place is not None:
            x, y, z = (float(place.findtext(axis, "nan")) / 1000.0 for axis in "XYZ")
            positions[name] = (x, y, z)
    if len(names) != header.n_channels:
        raise RecordingError(
            f"'{header.name}' describes {len(names)} channels and has {header.n_channels}"
        )
    return names, kinds, positions


def _shift(paths: list[Path]) -> int:
    """Draw a secret number of days that brings all recordings into ANONYMOUS_YEARS."""
    dates = []
    for path in paths:
        data = open_file(path)
        first = next(scan(data, {}), None)
        if isinstance(first, ChunkAt) and first.tag is Tag.FILE_HEADER:
            started = date_of(data, first)
            dates += [started.date()] if started else []
    if not dates:
        return 0
    earliest, latest = (date(year, 1, 1) for year in ANONYMOUS_YEARS)
    low, high = (max(dates) - latest).days + 1, (min(dates) - earliest).days
    return low + secrets.randbelow(max(1, high - low + 1))


def _write(raw: mne.io.BaseRaw, run: RunPaths, root: Path, days: int | None) -> Path:
    from mne_bids import BIDSPath, update_sidecar_json, write_raw_bids

    target = BIDSPath(
        subject=run.participant,
        session=run.session,
        task=run.task,
        run=f"{run.run:03d}",
        datatype="eeg",
        root=root,
    )
    with _only_what_matters():
        written = write_raw_bids(
            raw,
            target,
            format="BrainVision",
            allow_preload=True,
            anonymize=None if days is None else {"daysback": days, "keep_his": False},
            verbose="error",
        )
        # mne-bids takes the file format's inventor for the maker of the amplifier
        sidecar = written.copy().update(suffix="eeg", extension=".json")
        update_sidecar_json(sidecar, {"Manufacturer": "n/a"}, verbose="error")
    return Path(written.fpath)


def _copy(path: Path, run: RunPaths, root: Path) -> None:
    folder = root / "sourcedata" / f"sub-{run.participant}" / f"ses-{run.session}" / "eeg"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / path.name)


@contextmanager
def _only_what_matters() -> Iterator[None]:
    """Silence what mne-bids says of every export from memory; other warnings pass."""
    with warnings.catch_warnings():
        for expected in (
            "Converting data files to BrainVision",
            "Encountered data in .* format",
            "There are channels without locations",
        ):
            warnings.filterwarnings("ignore", expected, RuntimeWarning)
        yield
