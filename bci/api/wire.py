"""What travels: JSON that every reader accepts, and binary frames of samples.

A sample frame is a header of 32 bytes, little-endian, and the samples behind it:

    offset  size  type     content
         0     4  bytes    ``BCIS``
         4     2  uint16   version, 1
         6     2  uint16   0, reserved
         8     8  uint64   index of the first sample, counted from the stream's start
        16     4  uint32   number of samples
        20     4  uint32   number of channels
        24     8  float64  nominal sampling rate, Hz
        32     …  float32  samples, row by row: all channels of the first sample first

A start that is not the previous start plus its number of samples means that
samples in between were dropped for this client, or never received.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import BciError
from bci.types import StreamInfo

__all__ = ["SampleFrame", "dumps", "info_to_json"]

_HEADER = struct.Struct("<4sHHQIId")
_MAGIC = b"BCIS"
_VERSION = 1
_MICROVOLTS = frozenset({"eeg", "eog", "emg", "ecg"})


def dumps(value: Any) -> str:
    """Encode as JSON; what is not finite becomes null (JSON has no NaN)."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


def info_to_json(info: StreamInfo) -> dict[str, Any]:
    """Describe a stream: the first message to a client of samples."""
    return {
        "schema": "bci.stream/1",
        "name": info.name,
        "source_id": info.source_id,
        "sfreq": info.sfreq,
        "ch_names": list(info.ch_names),
        "ch_types": list(info.ch_types),
        "units": ["uV" if kind in _MICROVOLTS else None for kind in info.ch_types],
        "positions_m": {name: list(xyz) for name, xyz in info.positions.items()},
    }


@dataclass(frozen=True, slots=True)
class SampleFrame:
    """Consecutive samples on their way to a display.

    Attributes
    ----------
    start : int
        Index of the first sample.
    sfreq : float
        Nominal sampling rate, Hz.
    data : array, shape (n_samples, n_channels), float32
        Microvolts (see ``units`` of the stream's description).
    """

    start: int
    sfreq: float
    data: NDArray[np.float32] = field(repr=False)

    def to_bytes(self) -> bytes:
        """Encode for the wire."""
        n_samples, n_channels = self.data.shape
        header = _HEADER.pack(_MAGIC, _VERSION, 0, self.start, n_samples, n_channels, self.sfreq)
        return header + self.data.astype("<f4", copy=False).tobytes()

    @classmethod
    def from_bytes(cls, message: bytes) -> SampleFrame:
        """Decode; the data is a read-only view of the message.

        Raises
        ------
        BciError
            It is no sample frame, one of another version, or cut short.
        """
        if len(message) < _HEADER.size or message[:4] != _MAGIC:
            raise BciError(f"a message of {len(message)} bytes is not a frame of samples")
        _, version, _, start, n_samples, n_channels, sfreq = _HEADER.unpack_from(message)
        if version != _VERSION:
            raise BciError(
                f"frame of samples of version {version}, this program knows version {_VERSION}; "
                "use the same release on both sides"
            )
        expected = _HEADER.size + 4 * n_samples * n_channels
        if len(message) != expected:
            raise BciError(f"frame of samples has {len(message)} bytes instead of {expected}")
        data = np.frombuffer(message, "<f4", offset=_HEADER.size).reshape(n_samples, n_channels)
        return cls(start, sfreq, data)
