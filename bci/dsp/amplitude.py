"""The amplitude gate: samples too large to be EEG are marked, not changed."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bci.config import StageSettings
from bci.dsp.channels import Columns, eeg_columns
from bci.types import Chunk, Flag, StreamInfo


class AmplitudeGate(StageSettings):
    """Windows with a sample beyond ± `max_uv` on any EEG channel are not decided on.

    Belongs after a high-pass or band-pass: electrode offsets alone are larger.
    `pad_s` reaches forward only, since what came before may have been decided on.
    """

    kind: Literal["amplitude"] = "amplitude"
    max_uv: float = Field(150.0, gt=0, description="largest plausible amplitude, µV")
    pad_s: float = Field(0.0, ge=0, le=10, description="seconds still rejected after the last one")

    def build(self) -> AmplitudeFlagger:
        """Make the stage."""
        return AmplitudeFlagger(self)


class AmplitudeFlagger:
    """Adds a rejecting flag "amplitude"; the state is where the padding of the last one ends."""

    delay_s = 0.0

    def __init__(self, settings: AmplitudeGate) -> None:
        self._max = settings.max_uv
        self._pad_s = settings.pad_s
        self._pad = 0
        self._eeg: Columns | None = None  # None: every channel is EEG
        self._until = 0  # samples before this index are rejected

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        eeg = eeg_columns(info, "amplitude")
        self._eeg = None if len(eeg) == info.n_channels else eeg
        self._pad = round(self._pad_s * info.sfreq)
        self._until = start
        return info

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = np.ascontiguousarray(chunk.data, np.float64)
        eeg = data if self._eeg is None else np.take(data, self._eeg, axis=1)
        beyond: NDArray[np.bool_] = np.any(np.abs(eeg) > self._max, axis=1)
        if self._until <= chunk.start and not beyond.any():
            return Chunk(chunk.start, data, chunk.flags)
        return Chunk(chunk.start, data, chunk.flags + self._flags(chunk.start, beyond))

    def _flags(self, start: int, beyond: NDArray[np.bool_]) -> tuple[Flag, ...]:
        """One flag for each run of samples beyond the limit or in the padding after it."""
        index = start + np.arange(len(beyond))
        ends = np.where(beyond, index + 1 + self._pad, self._until)
        ends = np.maximum.accumulate(ends)
        rejected = np.concatenate([[False], index < ends, [False]])
        if len(ends):
            self._until = int(ends[-1])
        edges = np.flatnonzero(np.diff(rejected)).reshape(-1, 2) + start
        return tuple(Flag(int(a), int(b), "amplitude") for a, b in edges)
