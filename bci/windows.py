"""Windows for the decoder, cut from the processed stream on absolute sample indices.

Because every position is counted from the stream's first sample, cutting the
stream into other chunks cannot move a window, and the block sums from which
covariances follow are sums of the same samples in the same order.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, gcd

import numpy as np

from bci.config import QualityRules, WindowSettings
from bci.ring import RingBuffer
from bci.types import Chunk, Flag, FloatArray, Marker, Moments, Quality, Window

#: A marker may reach the engine this much later than its sample, seconds.
LATENESS_S = 10.0
#: Trials that may be open at once; the oldest is dropped beyond it, and counted.
MAX_TRIALS = 1000
#: Block sums pay from this block length on; below it the window is summed directly.
MIN_BLOCK = 8


@dataclass(slots=True)
class _Trial:
    """Windows still to be cut at one marker, in processed samples."""

    marker: Marker
    start: int
    length: int


@dataclass(slots=True)
class _Ledger:
    """What is wrong with which samples; pruned as the ring forgets them."""

    runs: dict[tuple[str, str | None, bool], list[list[int]]] = field(default_factory=dict)
    breaks: list[tuple[int, str]] = field(default_factory=list)

    def add(self, flag: Flag) -> None:
        runs = self.runs.setdefault((flag.reason, flag.channel, flag.rejects), [])
        if runs and runs[-1][1] >= flag.start:  # touches the run before: one run
            runs[-1][1] = max(runs[-1][1], flag.stop)
        else:
            runs.append([flag.start, flag.stop])

    def forget(self, before: int) -> None:
        for key, runs in list(self.runs.items()):
            keep = bisect.bisect_right(runs, before, key=lambda run: run[1])
            del runs[:keep]
            if not runs:
                del self.runs[key]
        self.breaks = [b for b in self.breaks if b[0] >= before]

    def quality(self, start: int, stop: int, rules: QualityRules) -> Quality:
        """Judge samples ``[start, stop)``."""
        reasons = {reason for at, reason in self.breaks if start < at < stop}
        broken = bool(reasons)
        bads: set[str] = set()
        rejected: list[tuple[int, int]] = []
        for (reason, channel, rejects), runs in self.runs.items():
            hits = [(max(a, start), min(b, stop)) for a, b in runs if a < stop and b > start]
            if not hits:
                continue
            reasons.add(reason)
            if channel is not None:
                bads.add(channel)
            if rejects:
                rejected += hits
        fraction = _covered(rejected) / (stop - start)
        too_many = rules.max_bad_channels is not None and len(bads) > rules.max_bad_channels
        ok = not (broken or too_many or fraction > rules.max_bad_fraction)
        return Quality(ok, tuple(sorted(reasons)), tuple(sorted(bads)), fraction)


def _covered(runs: list[tuple[int, int]]) -> int:
    """Number of samples in the union of runs."""
    total, end = 0, -1
    for a, b in sorted(runs):
        total += max(0, b - max(a, end))
        end = max(end, b)
    return total


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

    Attributes
    ----------
    max_chunk : int
        Raw samples that may be taken at once without a window being overwritten.
    want_data, want_moments : bool
        What windows carry: samples, or sums (which saves the copy).
    """

    def __init__(
        self,
        settings: WindowSettings,
        rules: QualityRules,
        sfreq: float,
        n_channels: int,
        ratio: Fraction = Fraction(1),
    ) -> None:
        self.kind = settings.kind
        self.rules = rules
        self.ratio = ratio
        self.length = max(1, round(settings.length_s * sfreq))
        self.hop = max(1, round(settings.hop_s * sfreq))
        self.offset = round(settings.offset_s * sfreq)
        self.shortest = (
            min(self.length, max(1, round(settings.min_s * sfreq)))
            if self.kind == "growing"
            else self.length
        )
        self.want_data = True
        self.want_moments = False
        self.n_dropped_trials = 0
        lateness = 0 if self.kind == "sliding" else ceil(LATENESS_S * sfreq) + abs(self.offset)
        self.max_chunk = max(1024, ceil(self.hop / ratio))
        slack = 2 * ceil(self.max_chunk * ratio)
        self.ring = RingBuffer(self.length + lateness + slack, n_channels)
        self._ledger = _Ledger()
        self._trials: list[_Trial] = []
        self._next_start = 0  # sliding: start of the next window
        block = gcd(self.length, self.hop)
        self._block = block if self.kind == "sliding" and block >= MIN_BLOCK else 0
        if self._block:
            n_blocks = self.length // self._block
            self._second = RingBuffer(n_blocks + 1, n_channels * n_channels)
            self._first = RingBuffer(n_blocks + 1, n_channels)

    # --- what comes in -----------------------------------------------------------------------

    def add(self, chunk: Chunk) -> None:
        """Take processed samples; `chunk.start` follows on what was taken before."""
        self.ring.write(chunk.data)
        for flag in chunk.flags:
            self._ledger.add(flag)
        if self._block and self.want_moments:
            self._sum_blocks()
        self._ledger.forget(self.ring.oldest)

    def break_at(self, index: int, resume: int, reason: str) -> None:
        """The stream is broken before processed sample `index` and goes on at `resume`."""
        self._ledger.breaks.append((index, reason))
        if resume > index:
            self._ledger.add(Flag(index, resume, reason))
        if resume > self.ring.written:
            self.ring.skip(resume - self.ring.written)

    def open_trial(self, marker: Marker) -> None:
        """A marker opens a window (or a growing row of windows)."""
        start = ceil(marker.onset * self.ratio) + self.offset
        self._trials.append(_Trial(marker, start, self.shortest))
        if len(self._trials) > MAX_TRIALS:
            del self._trials[0]
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
        due = [t for t in self._trials if t.start + t.length <= self.ring.written]
        if not due:
            return None
        trial = min(due, key=lambda t: (t.start + t.length, t.start))
        start, stop = trial.start, trial.start + trial.length
        final = trial.length >= self.length
        if final:
            self._trials.remove(trial)
        trial.length = min(trial.length + self.hop, self.length)
        return self._cut(start, stop, trial.marker, final)

    def _cut(
        self, start: int, stop: int, marker: Marker | None = None, final: bool = True
    ) -> Window:
        quality = self._ledger.quality(start, stop, self.rules)
        held = start >= max(0, self.ring.oldest)
        if not held and quality.ok:
            reason = "too-late" if start >= 0 else "before-start"
            quality = Quality(False, (*quality.reasons, reason), quality.bads, 1.0)
        data = moments = None
        if quality.ok and held:
            view = self.ring.view(start, stop)  # (n_times, n_channels)
            if self.want_moments:
                moments = self._moments(start, stop, view)
            if self.want_data:
                data = np.ascontiguousarray(view.T, dtype=np.float64)  # (n_channels, n_times)
        first = int(start / self.ratio)
        last = int((stop - 1) / self.ratio)
        return Window(start, stop, first, last, data, quality, moments, marker, final)

    # --- sums --------------------------------------------------------------------------------

    def _sum_blocks(self) -> None:
        block = self._block
        done = self._second.written
        ready = self.ring.written // block
        oldest = -(-self.ring.oldest // block)
        if done < oldest:  # after a break, or when sums were not wanted before
            self._second.skip(oldest - done)
            self._first.skip(oldest - done)
            done = oldest
        for b in range(done, ready):
            x = self.ring.view(b * block, (b + 1) * block)
            self._second.write((x.T @ x).reshape(1, -1))
            self._first.write(x.sum(axis=0, keepdims=True))

    def _moments(self, start: int, stop: int, view: FloatArray) -> Moments:
        n = stop - start
        if self._block and start % self._block == 0:
            a, b = start // self._block, stop // self._block
            if self._second.oldest <= a and b <= self._second.written:
                second = self._second.view(a, b).sum(axis=0)
                first = self._first.view(a, b).sum(axis=0)
                return Moments(second.reshape(view.shape[1], -1), first, n)
        return Moments(view.T @ view, view.sum(axis=0), n)
