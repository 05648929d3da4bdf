"""Bad channels: found in blocks, then interpolated or excluded.

A block is judged when it is complete, and its verdict holds for the samples
after it. Blocks are cut at absolute sample indices, so that neither chunking
nor the start of the stream moves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bci.config import StageSettings
from bci.dsp.channels import Columns, eeg_columns, find_eeg
from bci.dsp.splines import Splines
from bci.errors import ConfigError
from bci.types import Chunk, Flag, FloatArray, StreamInfo

Verdict = NDArray[np.bool_]

#: Shortest block, in samples, of which a spread and a line component can be told.
MIN_BLOCK = 16
#: Channels from which on a comparison among them means something.
MIN_COMPARED = 5
#: Least spread of the log standard deviations over channels: 15 % is nobody's defect.
MIN_LOG_SPREAD = 0.15


class BadChannels(StageSettings):
    """Detection of flat, railed, noisy and line-ridden EEG channels, and what to do about them.

    interpolate: spherical splines from the good channels. exclude: the channel
    is zero (and is so also in an average reference that follows). Both lower
    the rank of a window by the number of bad channels. `StreamInfo.rank` does
    not follow that, since it may change at any second: covariance decoders
    shrink their estimates, which keeps them defined.

    Belongs before filters and references: those hide rails, and spread one
    channel's noise over all. Trend and offset are removed before judging.
    """

    kind: Literal["bad_channels"] = "bad_channels"
    action: Literal["interpolate", "exclude"] = "interpolate"
    always: tuple[str, ...] = Field((), description="channels known to be bad from the start")
    block_s: float = Field(1.0, gt=0, le=60, description="length of the blocks judged, seconds")
    flat_uv: float = Field(0.5, ge=0, description="flat: peak to peak below this, µV")
    railed_share: float = Field(
        0.1, gt=0, le=1, description="railed: share of samples that stick at the block's extremes"
    )
    noisy_uv: float | None = Field(
        200.0, gt=0, description="noisy: standard deviation above this, µV; null: no such limit"
    )
    noisy_z: float = Field(
        5.0, gt=0, description="noisy: robust z, over channels, of the log standard deviation"
    )
    line_hz: float | None = Field(
        50.0, gt=0, description="line frequency, Hz; null, or from half the rate on: not judged"
    )
    line_ratio: float = Field(5.0, gt=0, description="line noise: its power / that of all the rest")
    bad_after: int = Field(3, ge=1, le=100, description="bad blocks in a row that make it bad")
    good_after: int = Field(3, ge=1, le=100, description="good blocks in a row that make it good")

    def build(self) -> BadChannelRepair:
        """Make the stage."""
        return BadChannelRepair(self)


class Judge:
    """Says of one block which channels are defective; keeps nothing between blocks."""

    def __init__(self, settings: BadChannels, n_samples: int, sfreq: float) -> None:
        self._settings = settings
        trend = np.linspace(-1.0, 1.0, n_samples)
        self._trend = trend / np.linalg.norm(trend)
        hz = settings.line_hz
        self._carrier: NDArray[np.complex128] | None = None
        if hz is not None and hz < sfreq / 2:
            taper = np.hanning(n_samples)
            taper /= taper.sum()
            self._carrier = taper * np.exp(-2j * np.pi * hz / sfreq * np.arange(n_samples))

    def __call__(self, block: FloatArray) -> Verdict:
        """Defective channels of a block of shape (n_samples, n_channels)."""
        verdict: Verdict = np.logical_or.reduce(list(self.defects(block).values()))
        return verdict

    def defects(self, block: FloatArray) -> dict[str, Verdict]:
        """As `__call__`, and why: defect ("flat", "railed", "noisy", "line noise"): channels."""
        top, bottom = block.max(axis=0), block.min(axis=0)
        flat = top - bottom < self._settings.flat_uv
        stuck = np.maximum((block == top).mean(axis=0), (block == bottom).mean(axis=0))
        railed = stuck >= self._settings.railed_share
        rest = block - block.mean(axis=0)
        rest -= np.outer(self._trend, self._trend @ rest)
        power = np.mean(rest**2, axis=0)
        return {
            "flat": flat,
            "railed": railed & ~flat,
            "noisy": self._noisy(power, ~flat),
            "line noise": self._line(rest, power),
        }

    def _noisy(self, power: FloatArray, live: Verdict) -> Verdict:
        limit = self._settings.noisy_uv
        noisy: Verdict = power > (np.inf if limit is None else limit**2)
        compared = live & (power > 0)
        if compared.sum() >= MIN_COMPARED:
            log = 0.5 * np.log(power[compared])
            off = log - np.median(log)
            spread = max(1.4826 * float(np.median(np.abs(off))), MIN_LOG_SPREAD)
            noisy[compared] |= off / spread > self._settings.noisy_z
        return noisy

    def _line(self, rest: FloatArray, power: FloatArray) -> Verdict:
        """Power of the sinusoid at the line frequency against all other power."""
        if self._carrier is None:
            return np.zeros(len(power), dtype=bool)
        line = 2.0 * np.abs(self._carrier @ rest) ** 2  # of amplitude a: a² / 2
        verdict: Verdict = line > self._settings.line_ratio * np.maximum(power - line, 0.0)
        return verdict & (power > 0)


class BadChannelRepair:
    """Judges blocks, keeps the verdict, repairs what comes after.

    With fewer than four good EEG channels to interpolate from (none, when
    excluding) bad channels are zero and the samples get a rejecting flag.
    """

    delay_s = 0.0

    def __init__(self, settings: BadChannels) -> None:
        self._settings = settings
        self._needed = 4 if settings.action == "interpolate" else 1
        self._splines: Splines | None = None

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        settings = self._settings
        self._eeg: Columns = eeg_columns(info, "bad_channels")
        self._names = [info.ch_names[i] for i in self._eeg]
        self._length = round(settings.block_s * info.sfreq)
        if self._length < MIN_BLOCK:
            raise ConfigError(
                f"bad_channels: block_s of {settings.block_s:g} s is {self._length} samples at "
                f"sfreq {info.sfreq:g} Hz; at least {MIN_BLOCK} are needed to judge a channel"
            )
        self._always = np.isin(self._eeg, find_eeg(info, settings.always, "bad_channels"))
        self._judge = Judge(settings, self._length, info.sfreq)
        self._block = np.empty((self._length, len(self._eeg)))
        self._filled = 0
        self._bad: Verdict = np.zeros(len(self._eeg), dtype=bool)
        self._against = np.zeros(len(self._eeg), dtype=int)  # blocks in a row against the verdict
        if settings.action == "interpolate":
            self._splines = Splines(info, self._names, "bad_channels")
            if len(self._eeg) > self._needed:
                self._splines.matrix([0])  # MNE loads parts on first use; not while streaming
        self._settle()
        return info

    def _settle(self) -> None:
        """Set what follows from the verdict: columns, weights."""
        bad = self._bad | self._always
        self._bads, self._goods = self._eeg[bad], self._eeg[~bad]
        self._enough = len(self._goods) >= self._needed
        self._weights: FloatArray | None = None
        if self._splines is not None and self._enough and len(self._bads):
            self._weights = self._splines.matrix(np.flatnonzero(bad).tolist())

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = np.ascontiguousarray(chunk.data, np.float64)
        out = data
        flags = list(chunk.flags)
        for start, stop in self._stretches(chunk.start, data):
            if len(self._bads) == 0:
                continue
            if out is data:
                out = data.copy()
            self._repair(out[start - chunk.start : stop - chunk.start])
            flags += self._flags(start, stop)
        return Chunk(chunk.start, out, tuple(flags))

    def _stretches(self, start: int, data: FloatArray) -> Iterator[tuple[int, int]]:
        """Cut a chunk where the verdict changes; judge the blocks that end in it.

        Between one yield and the next the stage's verdict is that of the
        stretch yielded.
        """
        at = since = start
        while at < start + len(data):
            offset = at % self._length
            end = min(at + self._length - offset, start + len(data))
            if self._filled == offset:  # the block was seen from its first sample on
                part = data[at - start : end - start]
                self._block[offset : offset + end - at] = np.take(part, self._eeg, axis=1)
                self._filled += end - at
            at = end
            if self._filled == self._length:
                self._filled = 0
                changed = self._count(self._judge(self._block))
                if changed.any():
                    yield since, at
                    since = at
                    self._bad = self._bad ^ changed
                    self._settle()
        if since < at:
            yield since, at

    def _count(self, verdict: Verdict) -> Verdict:
        """Channels whose verdict has been contradicted often enough to change."""
        self._against = np.where(verdict != self._bad, self._against + 1, 0)
        limit = np.where(self._bad, self._settings.good_after, self._settings.bad_after)
        changed: Verdict = self._against >= limit
        self._against[changed] = 0
        return changed

    def _repair(self, data: FloatArray) -> None:
        """Overwrite the bad columns of `data`, a view of the output."""
        if self._weights is None:
            data[:, self._bads] = 0.0
            return
        good = np.take(data, self._goods, axis=1)
        for column, weights in zip(self._bads, self._weights, strict=True):
            # a sum over each row, and no matrix product: the same for any number of samples
            data[:, column] = np.add.reduce(good * weights, axis=1)

    def _flags(self, start: int, stop: int) -> list[Flag]:
        names = dict(zip(self._eeg.tolist(), self._names, strict=True))
        mended = self._weights is not None
        flags = [
            Flag(start, stop, "bad-channel", names[i], rejects=False, repairs=mended)
            for i in self._bads.tolist()
        ]
        if not self._enough:
            flags.append(Flag(start, stop, "bad-channel"))
        return flags
