"""Whether a recording is whole and holds what it must.

`verify` reads the file chunk by chunk with its own code, counts against the
ledger and the footers, and opens the file with pyxdf as everyone else will.
What is wrong with the file is a *problem*; what is remarkable in a signal that
was recorded faithfully (a gap, NaN, another rate) is a *note*.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.recording.ledger import Ledger, read_ledger
from bci.recording.salvage import Salvaged, salvage
from bci.recording.scan import (
    Bytes,
    ChunkAt,
    Damage,
    Header,
    footer_count,
    open_file,
    read_samples,
    read_strings,
    scan,
)
from bci.recording.xdf import MAGIC, Tag
from bci.types import FloatArray

__all__ = ["Report", "Salvaged", "StreamReport", "TimeGap", "salvage", "verify"]

#: A step of the time stamps from which it is a gap, seconds (and at least five samples).
GAP_S = 0.5
#: Relative deviation from the nominal rate that is worth a note.
RATE_TOLERANCE = 0.01
#: Time stamps examined at once.
BLOCK = 1 << 14


@dataclass(frozen=True, slots=True)
class TimeGap:
    """Before sample `index` the time stamps jump by `seconds` (negative: backwards)."""

    index: int
    seconds: float


@dataclass(slots=True)
class StreamReport:
    """What a file holds of one stream; times in seconds, rates in Hz.

    `n_footer` and `n_ledger` are the numbers of samples that footer and ledger
    promise, None where they say nothing. `effective_sfreq` leaves gaps out.
    """

    id: int
    name: str
    type: str
    n_channels: int
    sfreq: float
    n_samples: int = 0
    first: float | None = None
    last: float | None = None
    effective_sfreq: float | None = None
    gaps: list[TimeGap] = field(default_factory=list)
    n_nan: int = 0
    n_offsets: int = 0
    footer: bool = False
    n_footer: int | None = None
    n_ledger: int | None = None


@dataclass(slots=True)
class Report:
    """The result of `verify`; `ok` where nothing is wrong with the file."""

    path: Path
    n_bytes: int
    streams: list[StreamReport] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    truncated: bool = False
    closed: bool = False
    ledger: bool = False
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the recording is whole."""
        return not self.problems

    def __str__(self) -> str:
        """Say it for people, in lines: the streams, the problems, the notes."""
        said = [f"{self.path}: {self.n_bytes} bytes, {_several(len(self.streams), 'stream')}"]
        for s in self.streams:
            rate = f", {s.effective_sfreq:.3f} of {s.sfreq:g} Hz" if s.effective_sfreq else ""
            said.append(
                f"  {s.id} {s.name} ({s.type}): {_several(s.n_channels, 'channel')}, "
                f"{_several(s.n_samples, 'sample')}{rate}"
            )
        said += [f"  problem: {text}" for text in self.problems]
        said += [f"  note: {text}" for text in self.notes]
        return "\n".join([*said, "  ok" if self.ok else "  not ok"])


def _several(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def verify(path: str | Path, *, reopen: bool = True) -> Report:
    """Check a recording.

    Parameters
    ----------
    path : path
        An XDF file, ours or another program's; its ledger is used where it lies beside.
    reopen : bool
        Also open it with pyxdf, which holds all samples in memory.

    Raises
    ------
    RecordingError
        The file cannot be read or is no XDF file.
    """
    data = open_file(path)
    if bytes(data[: len(MAGIC)]) != MAGIC:
        raise RecordingError(
            f"{path} is no XDF file: it begins with {bytes(data[:4])!r} and not with {MAGIC!r}"
        )
    report = Report(Path(path), len(data))
    _read(data, report)
    _check_chunks(report)
    _check_ledger(report)
    _check_signals(report)
    if reopen:
        _check_pyxdf(report)
    return report


# --- reading -------------------------------------------------------------------------------------


class _Tally:
    """Counts of one stream while its chunks go by."""

    def __init__(self, header: Header) -> None:
        h = header
        self.header = header
        self.report = StreamReport(h.id, h.name, h.type, h.n_channels, h.sfreq)
        self._limit = max(GAP_S, 5.0 / h.sfreq) if h.sfreq > 0 else np.inf
        self._steps = 0
        self._seconds = 0.0
        self._stamps: list[FloatArray] = []  # not examined yet: chunks are small, blocks fast
        self._n_waiting = 0
        self._n_examined = 0
        self._previous: float | None = None

    def add(self, stamps: FloatArray, values: NDArray[Any] | None) -> None:
        r = self.report
        if len(stamps) == 0:
            return
        if r.first is None:
            r.first = float(stamps[0])
        if values is not None and values.dtype.kind == "f":
            r.n_nan += values.size - int(np.count_nonzero(np.isfinite(values)))
        r.n_samples += len(stamps)
        r.last = float(stamps[-1])
        self._stamps.append(stamps)
        self._n_waiting += len(stamps)
        if self._n_waiting >= BLOCK:
            self._examine()

    def _examine(self) -> None:
        if not self._stamps:
            return
        before = [] if self._previous is None else [np.array([self._previous])]
        stamps = np.concatenate([*before, *self._stamps])
        first = self._n_examined + 1 - len(before)  # index of the sample after the first step
        steps = np.diff(stamps)
        jumps = ~(np.abs(steps) <= self._limit)  # NaN is a jump too
        for i in np.flatnonzero(jumps):
            self.report.gaps.append(TimeGap(first + int(i), float(steps[i])))
        self._steps += len(steps) - int(np.count_nonzero(jumps))
        self._seconds += float(steps[~jumps].sum())
        self._n_examined += self._n_waiting
        self._previous = float(stamps[-1])
        self._stamps.clear()
        self._n_waiting = 0

    def done(self) -> StreamReport:
        self._examine()
        if self.header.sfreq > 0 and self._seconds > 0:
            self.report.effective_sfreq = self._steps / self._seconds
        return self.report


def _read(data: Bytes, report: Report) -> None:
    headers: dict[int, Header] = {}
    tallies: dict[int, _Tally] = {}
    for found in scan(data, headers):
        if isinstance(found, Damage):
            report.damage.append(found)
        elif found.stream is not None:
            header = headers[found.stream]
            tally = tallies.setdefault(header.id, _Tally(header))
            _count(data, found, tally)
    report.streams = [tally.done() for tally in tallies.values()]


def _count(data: Bytes, found: ChunkAt, tally: _Tally) -> None:
    header, report = tally.header, tally.report
    if found.tag is Tag.SAMPLES and header.dtype is None:
        stamps, _ = read_strings(data, found, header, report.last or 0.0)
        tally.add(stamps, None)
    elif found.tag is Tag.SAMPLES:
        tally.add(*read_samples(data, found, header, report.last or 0.0))
    elif found.tag is Tag.CLOCK_OFFSET:
        report.n_offsets += 1
    elif found.tag is Tag.STREAM_FOOTER:
        report.footer = True
        report.n_footer = footer_count(data, found)


# --- checks --------------------------------------------------------------------------------------


def _check_chunks(report: Report) -> None:
    report.truncated = bool(report.damage) and report.damage[-1].stop == report.n_bytes
    for damage in report.damage:
        where = "the end is cut or damaged" if damage.stop == report.n_bytes else "damaged"
        report.problems.append(
            f"{where}: bytes {damage.start} to {damage.stop} ({damage.n_bytes}) are no whole chunks"
        )
    if not report.streams:
        report.problems.append("there is no stream in the file")
    open_streams = [s.name for s in report.streams if not s.footer]
    report.closed = bool(report.streams) and not open_streams
    if open_streams:
        report.problems.append(
            f"not closed: no footer for {', '.join(open_streams)}; bci salvage writes them"
        )
    for s in report.streams:
        if s.n_footer is not None and s.n_footer > s.n_samples:
            report.problems.append(
                f"{s.name}: the footer counts {s.n_footer} samples, {s.n_samples} are there"
            )
        elif s.n_footer is not None and s.n_footer < s.n_samples:
            # LabRecorder does so in good files: a sample may come after its count
            report.notes.append(
                f"{s.name}: {s.n_samples} samples, {s.n_samples - s.n_footer} more than its footer"
            )


def _check_ledger(report: Report) -> None:
    try:
        ledger = read_ledger(report.path)
    except RecordingError as error:
        report.problems.append(str(error))
        return
    if ledger is None:
        return
    report.ledger = True
    if ledger.failure:
        report.problems.append(ledger.failure)
    found = {s.id: s for s in report.streams}
    for stream, n in ledger.n_samples.items():
        s = found.get(stream)
        if s is not None:
            s.n_ledger = n
        report.problems += _against(ledger, stream, n, s)


def _against(ledger: Ledger, stream: int, n: int, s: StreamReport | None) -> list[str]:
    if s is None:
        return [f"stream {stream} of the ledger, with {n} samples, is not in the file"]
    if s.n_samples < n:
        return [f"{s.name}: {n - s.n_samples} of the ledger's {n} samples are not in the file"]
    if ledger.closed and s.n_samples > n:
        return [f"{s.name}: {s.n_samples} samples, the closed ledger counts {n}"]
    return []


def _check_signals(report: Report) -> None:
    for s in report.streams:
        if s.gaps:
            longest = max(s.gaps, key=lambda gap: abs(gap.seconds))
            report.notes.append(
                f"{s.name}: {_several(len(s.gaps), 'gap')} in the time stamps, the longest of "
                f"{longest.seconds:.3f} s before sample {longest.index}"
            )
        if s.n_nan:
            report.notes.append(f"{s.name}: {s.n_nan} values are NaN or infinite")
        if s.effective_sfreq and abs(s.effective_sfreq / s.sfreq - 1.0) > RATE_TOLERANCE:
            report.notes.append(
                f"{s.name}: effective rate {s.effective_sfreq:.3f} Hz, nominal {s.sfreq:g} Hz"
            )


def _check_pyxdf(report: Report) -> None:
    import pyxdf

    try:
        with _said_by(pyxdf.pyxdf.logger) as said, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # rates of streams without duration
            streams, _ = pyxdf.load_xdf(report.path)
    except Exception as error:  # pyxdf has no errors of its own
        report.problems.append(f"pyxdf cannot open it: {type(error).__name__}: {error}")
        return
    # it says so of every stream without clock offsets; gaps are noted above
    report.notes += [f"pyxdf: {text}" for text in said if "clock-segments differ" not in text]
    counts = {s["info"]["stream_id"]: len(s["time_stamps"]) for s in streams}
    report.problems += [
        f"{s.name}: {s.n_samples} samples, pyxdf reads {counts.get(s.id, 0)}"
        for s in report.streams
        if counts.get(s.id, 0) != s.n_samples
    ]


@contextmanager
def _said_by(logger: logging.Logger) -> Iterator[list[str]]:
    """Collect a logger's warnings instead of printing them."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler, propagate = Collect(logging.WARNING), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
