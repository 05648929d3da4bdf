"""Re-referencing: average, to channels, bipolar. Only EEG channels take part."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from bci.config import StageSettings
from bci.dsp.channels import Columns, eeg_columns, eeg_rank, find_eeg
from bci.errors import ConfigError
from bci.types import Chunk, Flag, FloatArray, StreamInfo


class Reference(StageSettings):
    """What potentials are measured against.

    average: the mean of all EEG channels is subtracted from each.
    channel: the mean of `channels` is subtracted from each EEG channel. The
    reference channels stay in the stream; a single one is zero from here on.
    bipolar: each of `pairs` (A, B) gives one channel "A-B"; EEG channels
    themselves go no further, channels of other types follow after the pairs.

    Average and channel reference lower the rank by one (a second reference
    counts again, although it loses nothing: the rank is then one too low).
    """

    kind: Literal["reference"] = "reference"
    mode: Literal["average", "channel", "bipolar"] = "average"
    channels: tuple[str, ...] = Field((), description="mode channel: the reference channel(s)")
    pairs: tuple[tuple[str, str], ...] = Field((), description="mode bipolar: [A, B] gives A-B")

    @model_validator(mode="after")
    def _fits_mode(self) -> Reference:
        for key, mode in (("channels", "channel"), ("pairs", "bipolar")):
            if (self.mode == mode) != bool(getattr(self, key)):
                raise ValueError(f"'{key}' goes with mode '{mode}' and only there")
        if len(set(self.pairs)) < len(self.pairs):
            raise ValueError("a pair stands twice in 'pairs'")
        return self

    def build(self) -> AverageReference | ChannelReference | BipolarReference:
        """Make the stage."""
        if self.mode == "average":
            return AverageReference()
        if self.mode == "channel":
            return ChannelReference(self.channels)
        return BipolarReference(self.pairs)


class _Subtracted:
    """Subtracts one signal from all EEG channels; costs one rank."""

    delay_s = 0.0

    def __init__(self) -> None:
        self._eeg: Columns | None = None  # None: every channel is EEG

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        eeg = eeg_columns(info, "reference")
        if len(eeg) < 2:
            raise ConfigError(
                f"reference: needs two EEG channels or more, the stream has only "
                f"'{info.ch_names[eeg[0]]}', of which nothing would be left; leave the stage out"
            )
        self._eeg = None if len(eeg) == info.n_channels else eeg
        return replace(info, rank=max(eeg_rank(info) - 1, 1))

    def _subtract(self, data: FloatArray, reference: FloatArray) -> FloatArray:
        if self._eeg is None:
            return data - reference
        out = data.copy()
        out[:, self._eeg] -= reference
        return out


def _mean(data: FloatArray) -> FloatArray:
    """Mean over channels, shape (n_samples, 1); the same for any number of samples."""
    mean: FloatArray = np.add.reduce(data, axis=1, keepdims=True) / data.shape[1]
    return mean


class AverageReference(_Subtracted):
    """x_i - mean_j x_j over the EEG channels."""

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = np.ascontiguousarray(chunk.data, np.float64)
        eeg = data if self._eeg is None else np.take(data, self._eeg, axis=1)
        return Chunk(chunk.start, self._subtract(data, _mean(eeg)), chunk.flags)


class ChannelReference(_Subtracted):
    """x_i - mean of the reference channels."""

    def __init__(self, channels: tuple[str, ...]) -> None:
        super().__init__()
        self._names = channels
        self._references: Columns = np.empty(0, np.intp)

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        self._references = find_eeg(info, self._names, "reference")
        return super().reset(info, start)

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = np.ascontiguousarray(chunk.data, np.float64)
        reference = _mean(np.take(data, self._references, axis=1))
        return Chunk(chunk.start, self._subtract(data, reference), chunk.flags)


class BipolarReference:
    """Differences of pairs of channels."""

    delay_s = 0.0

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._pairs = pairs
        self._plus: Columns = np.empty(0, np.intp)
        self._minus: Columns = np.empty(0, np.intp)
        self._others: Columns = np.empty(0, np.intp)
        self._derived: dict[str, tuple[str, ...]] = {}

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        self._plus = find_eeg(info, [a for a, _ in self._pairs], "reference")
        self._minus = find_eeg(info, [b for _, b in self._pairs], "reference")
        self._others = np.flatnonzero(np.array(info.ch_types) != "eeg")
        names = {f"{a}-{b}": (a, b) for a, b in self._pairs}
        self._derived = {
            ch: tuple(name for name, pair in names.items() if ch in pair)
            for ch, kind in zip(info.ch_names, info.ch_types, strict=True)
            if kind == "eeg"
        }
        others = tuple(info.ch_names[i] for i in self._others)
        at = info.positions
        middle = {
            name: tuple(np.mean([at[a], at[b]], axis=0).tolist())
            for name, (a, b) in names.items()
            if a in at and b in at
        }
        return replace(
            info,
            ch_names=(*names, *others),
            ch_types=("eeg",) * len(names) + tuple(info.ch_types[i] for i in self._others),
            positions=middle | {k: v for k, v in at.items() if k in others},
            rank=self._rank(info),
        )

    def _rank(self, info: StreamInfo) -> int | None:
        """Pairs that form a loop (A-B, B-C, A-C) depend on each other."""
        differences = np.zeros((len(self._pairs), info.n_channels))
        rows = np.arange(len(self._pairs))
        differences[rows, self._plus] += 1
        differences[rows, self._minus] -= 1
        rank = min(int(np.linalg.matrix_rank(differences)), eeg_rank(info))
        return None if rank == len(self._pairs) else rank

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = np.ascontiguousarray(chunk.data, np.float64)
        out = np.empty((len(data), len(self._pairs) + len(self._others)))
        n = len(self._pairs)
        np.subtract(data[:, self._plus], data[:, self._minus], out=out[:, :n])
        out[:, n:] = data[:, self._others]
        return Chunk(chunk.start, out, self._rename(chunk.flags))

    def _rename(self, flags: tuple[Flag, ...]) -> tuple[Flag, ...]:
        """Pass a defect of A on to every pair with A; never lose a rejecting one."""
        renamed: list[Flag] = []
        for flag in flags:
            derived = self._derived.get(flag.channel) if flag.channel else None
            if derived is None or (not derived and flag.rejects):
                renamed.append(flag)
            else:
                renamed.extend(replace(flag, channel=name) for name in derived)
        return tuple(renamed)
