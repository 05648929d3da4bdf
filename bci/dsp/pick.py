"""Picking channels by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from bci.config import StageSettings
from bci.dsp.channels import Columns, eeg_rank, find_columns
from bci.types import Chunk, StreamInfo


class Pick(StageSettings):
    """Only the named channels go on, in the order given."""

    kind: Literal["pick"] = "pick"
    channels: tuple[str, ...] = Field(min_length=1, description="labels, in the order wanted")

    @field_validator("channels")
    @classmethod
    def _once_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in value if value.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return value

    def build(self) -> ChannelPicker:
        """Make the stage."""
        return ChannelPicker(self)


class ChannelPicker:
    """Takes columns out of a stream.

    Defects of single channels that are left out are forgotten, unless they reject.
    """

    delay_s = 0.0

    def __init__(self, settings: Pick) -> None:
        self._settings = settings
        self._columns: Columns = np.empty(0, np.intp)

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        names = self._settings.channels
        self._columns = find_columns(info, names, "pick")
        types = tuple(info.ch_types[i] for i in self._columns)
        rank = min(eeg_rank(info), types.count("eeg"))
        return replace(
            info,
            ch_names=names,
            ch_types=types,
            positions={k: v for k, v in info.positions.items() if k in names},
            rank=None if rank == types.count("eeg") else rank,
        )

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        names = self._settings.channels
        flags = tuple(
            f for f in chunk.flags if f.rejects or f.channel is None or f.channel in names
        )
        data = np.take(chunk.data, self._columns, axis=1)
        return Chunk(chunk.start, np.ascontiguousarray(data, np.float64), flags)
