"""Windows for the decoder, cut from the processed stream on absolute sample indices.

Because every position is counted from the stream's first sample, cutting the
stream into other chunks cannot move a window, and the block sums from which
covariances follow are sums of the same samples in the same order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count
from math import ceil, gcd

import numpy as np

from bci.block_sums import BlockSums
from bci.config import QualityRules, WindowSettings
from bci.ring import RingBuffer
from bci.types import Chunk, Flag, Marker, Moments, Quality, Window

#: A marker may reach the engine this much later than its sample, seconds.
LATENESS_S = 10.0
#: Trials that may be open at once; the oldest is dropped beyond it, and counted.
MAX_TRIALS = 1000
#: Raw samples that are taken at once, at most.
CHUNK = 1024
#: Sums over blocks pay, in time and memory, from this length on (and from a quarter of the
#: number of channels on); below it the window is summed directly.
MIN_BLOCK = 16


@dataclass(slots=True)
class _Trial:
    """The next window to be cut at one marker, in processed samples."""

    marker: Marker
    number: int
    start: int
    stop: int
    prior: Mapping[str, float] | None = None
    broken: str | None = None  # why its samples are not where its marker says

    def when(self) -> tuple[int, int, int]:
        """Order in which windows are cut: as they become complete."""
        return self.stop, self.start, self.number


@dataclass(slots=True)
class _Ledger:
    """What is wrong with which samples; pruned as the ring forgets them.

    `runs` of one kind are in order and do not touch. `breaks` go from the sample
    before which the stream broke to that where it went on; `lost` says that samples
    in between were never received, so that indices behind do not count them.
    """

    runs: dict[tuple[str, str | None, bool, bool], list[tuple[int, int]]] = field(
        default_factory=dict
    )
    breaks: list[tuple[int, int, str, bool]] = field(default_factory=list)

    def add(self, flag: Flag) -> None:
        """Take a flag; those of one kind may come in any order and overlap."""
        start, stop = flag.start, flag.stop
        if start >= stop:
            return
        runs = self.runs.setdefault((flag.reason, flag.channel, flag.rejects, flag.repairs), [])
        a = bisect_left(runs, start, key=_stop)
        b = bisect_right(runs, stop, key=_start)
        if a < b:  # those that it touches become one with it
            start, stop = min(start, runs[a][0]), max(stop, runs[b - 1][1])
        runs[a:b] = [(start, stop)]

    def break_off(self, at: int, resume: int, reason: str, lost: bool) -> None:
        """Take a break of the stream before sample `at`; it went on at `resume`."""
        entry = (at, resume, reason, lost)
        if self.breaks[-1:] != [entry]:  # a device may break off again and again
            self.breaks.append(entry)

    def forget(self, before: int) -> None:
        """Drop what ends before sample `before`."""
        for key, runs in list(self.runs.items()):
            del runs[: bisect_right(runs, before, key=_stop)]
            if not runs:
                del self.runs[key]
        if self.breaks:
            self.breaks = [b for b in self.breaks if b[1] >= before]

    def quality(self, start: int, stop: int, rules: QualityRules, since: int) -> Quality:
        """Judge samples ``[start, stop)``, counted from a marker at `since` (or from `start`)."""
        if not (self.runs or self.breaks):
            return Quality()
        broken = [
            (a, b, reason)
            for a, b, reason, lost in self.breaks
            if a < stop and b > (since if lost else start)
        ]
        reasons = {reason for _, _, reason in broken}
        rejected = [(a, b) for a, b, _ in broken if b > start]
        bads: set[str] = set()
        mended: list[tuple[int, int]] = []
        repaired: set[str] = set()
        for (reason, channel, rejects, repairs), runs in self.runs.items():
            hits = runs[bisect_right(runs, start, key=_stop) : bisect_left(runs, stop, key=_start)]
            if not hits:
                continue
            reasons.add(reason)
            if channel is not None:
                bads.add(channel)
            if rejects:
                rejected += hits
            if repairs:
                mended += hits
                repaired.add(reason)
        fraction = _covered(rejected, start, stop) / (stop - start)
        mended_fraction = _covered(mended, start, stop) / (stop - start)
        too_many = rules.max_bad_channels is not None and len(bads) > rules.max_bad_channels
        too_much = mended_fraction > rules.max_repaired_fraction
        if too_much:
            reasons.add("repaired-too-much")
        return Quality(
            not (broken or too_many or too_much or fraction > rules.max_bad_fraction),
            tuple(sorted(reasons)),
            tuple(sorted(bads)),
            fraction,
            tuple(sorted(repaired)),
            mended_fraction,
        )


def _start(run: tuple[int, int]) -> int:
    return run[0]


def _stop(run: tuple[int, int]) -> int:
    return run[1]


def _covered(runs: list[tuple[int, int]], start: int, stop: int) -> int:
    """Number of samples of ``[start, stop)`` in the union of runs."""
    total, end = 0, start
    for a, b in sorted(runs):
        total += max(0, min(b, stop) - max(a, end))
        end = max(end, b)
    return total


def look_lengths(settings: WindowSettings, sfreq: float) -> tuple[int, ...]:
    """Lengths, in samples at `sfreq` Hz, of the windows that one marker opens.

    Several for growing windows, else one.
    """
    length = max(1, round(settings.length_s * sfreq))
    if settings.kind != "growing":
        return (length,)
    shortest = max(1, round(settings.min_s * sfreq))
    hop = max(1, round(settings.hop_s * sfreq))
    return (*range(min(shortest, length), length, hop), length)


class WindowCutter:
    """Keeps the newest processed samples and cuts the windows that are due.

    Parameters
    ----------
    settings : WindowSettings
    rules : QualityRules
    sfreq : float
        Rate of the processed stream, Hz.
    n_channels : int
    ratio : Fraction
        Processed over raw sampling rate.
    lookahead : int
        Processed samples by which the signal lags behind its index: windows at markers lie
        later by so many.

    Attributes
    ----------
    length, hop, offset : int
        The settings in processed samples; `lookahead` is in `offset`.
    max_chunk : int
        Raw samples that may be taken at once without a window being overwritten.
    want_data, want_moments : bool
        What windows carry: samples, or sums (which saves the copy).
    embedding : tuple of int
        Order and lag of the delayed copies that the sums are of; (1, 1): the samples alone.
    n_dropped_trials : int
        Markers whose windows were given up because too many were open.
    """

    def __init__(
        self,
        settings: WindowSettings,
        rules: QualityRules,
        sfreq: float,
        n_channels: int,
        ratio: Fraction = Fraction(1),
        lookahead: int = 0,
    ) -> None:
        self.kind = settings.kind
        self.rules = rules
        self.ratio = ratio
        self.length = max(1, round(settings.length_s * sfreq))
        self.hop = max(1, round(settings.hop_s * sfreq))
        self.offset = round(settings.offset_s * sfreq) + lookahead
        self._shortest = look_lengths(settings, sfreq)[0]
        self.want_data = True
        self.want_moments = False
        self.embedding = (1, 1)
        self.n_dropped_trials = 0
        self.max_chunk = CHUNK
        lateness = 0
        if self.kind != "sliding":
            lateness = ceil(LATENESS_S * sfreq) + max(0, -self.offset)
        slack = 2 * ceil(self.max_chunk * ratio)
        self.ring = RingBuffer(self.length + lateness + slack, n_channels)
        self._n_channels = n_channels
        self._ledger = _Ledger()
        self._trials: list[_Trial] = []  # in the order of `_Trial.when`
        self._numbers = count()
        self._next_start = 0  # sliding: start of the next window
        self._sums: BlockSums | None = None  # made when the first decoder wants them
        block = gcd(self.length, self.hop) if self.kind == "sliding" else 0
        self._block = block if block >= max(MIN_BLOCK, n_channels // 4) else 0

    # --- what comes in -----------------------------------------------------------------------

    def add(self, chunk: Chunk) -> None:
        """Take processed samples; `chunk.start` follows on what was taken before."""
        if chunk.start != self.ring.written:
            raise ValueError(f"sample {self.ring.written} is expected, {chunk.start} comes")
        self.ring.write(chunk.data)
        for flag in chunk.flags:
            self._ledger.add(flag)
        self._ledger.forget(self.ring.written - self.ring.capacity)

    def break_at(self, resume: int, reason: str, lost: bool = True) -> None:
        """The stream is broken after what was taken, and goes on at processed sample `resume`.

        `lost`: samples are missing that no index counts, so that open trials no
        longer lie where their markers say.
        """
        here = self.ring.written
        self._ledger.break_off(here, resume, reason, lost)
        if lost:
            for trial in self._trials:
                trial.broken = reason
        # the ring's indices go on through what is not there; the ledger keeps it from being shown
        self.ring.write(np.broadcast_to(0.0, (resume - here, self._n_channels)))

    def open_trial(self, marker: Marker, prior: Mapping[str, float] | None = None) -> None:
        """A marker opens a window (or a growing row of windows), each with `prior`."""
        start = ceil(int(marker.onset) * self.ratio) + self.offset
        trial = _Trial(marker, next(self._numbers), start, start + self._shortest, prior)
        insort(self._trials, trial, key=_Trial.when)
        if len(self._trials) > MAX_TRIALS:
            self._trials.remove(min(self._trials, key=lambda t: t.number))
            self.n_dropped_trials += 1

    def close_trial(self, marker: Marker | None) -> None:
        """The trial is decided; no longer windows of it are cut."""
        self._trials = [t for t in self._trials if t.marker is not marker]

    # --- what comes out ----------------------------------------------------------------------

    def due(self) -> Iterator[Window]:
        """Windows that are complete, in the order in which they became so.

        Lazy: the receiver may close the trial of a window before the next is cut.
        """
        cut_next = self._next_sliding if self.kind == "sliding" else self._next_of_trials
        while (window := cut_next()) is not None:
            yield window

    def _next_sliding(self) -> Window | None:
        start = self._next_start
        if start + self.length > self.ring.written:
            return None
        self._next_start += self.hop
        return self._cut(start, start + self.length)

    def _next_of_trials(self) -> Window | None:
        if not self._trials or self._trials[0].stop > self.ring.written:
            return None
        trial = self._trials.pop(0)
        start, stop = trial.start, trial.stop
        longest = start + self.length
        if stop < longest:
            trial.stop = min(stop + self.hop, longest)
            insort(self._trials, trial, key=_Trial.when)
        return self._cut(start, stop, trial, stop >= longest)

    def _cut(
        self, start: int, stop: int, trial: _Trial | None = None, final: bool = True
    ) -> Window:
        marker = None if trial is None else trial.marker
        since = start if marker is None else min(start, ceil(marker.onset * self.ratio))
        quality = self._ledger.quality(start, stop, self.rules, since)
        if trial is not None and trial.broken is not None:
            reasons = tuple(sorted({*quality.reasons, trial.broken}))
            quality = replace(quality, ok=False, reasons=reasons)
        if quality.ok and start < self.ring.oldest:
            reason = "too-late" if start >= 0 else "before-start"
            quality = Quality(False, (*quality.reasons, reason), quality.bads, 1.0)
        data = moments = None
        if quality.ok and self.want_moments:
            moments = self._sums_over(start, stop)
        if quality.ok and self.want_data:
            data = np.array(self.ring.view(start, stop).T, np.float64, order="C")
        up, down = self.ratio.numerator, self.ratio.denominator
        first, last = start * down // up, (stop - 1) * down // up
        prior = None if trial is None else trial.prior
        return Window(start, stop, first, last, data, quality, moments, marker, final, prior)

    def _sums_over(self, start: int, stop: int) -> Moments | None:
        if self._sums is None or self._sums.embedding != self.embedding:
            n_blocks = self.length // self._block if self._block else 0
            self._sums = BlockSums(
                self.ring, self._n_channels, self._block, n_blocks, *self.embedding
            )
        return self._sums.over(start, stop)
