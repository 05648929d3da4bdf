"""What the settings of the decoders of steady-state responses share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator

from bci.config import DecoderSettings
from bci.decoders.ssvep.decoder import SSVEPDecoder
from bci.errors import ConfigError
from bci.types import StreamInfo

#: The field of settings whose decoder cannot do without frequencies.
FREQUENCIES_HZ: Any = Field(
    description="stimulus frequencies, Hz (labelled '13 Hz' and so on), or label: Hz"
)


class StimulusSettings(DecoderSettings):
    """What flickers how."""

    frequencies_hz: list[float] | dict[str, float] | None = Field(
        None, description=f"{FREQUENCIES_HZ.description}; null: not needed here"
    )

    @field_validator("frequencies_hz")
    @classmethod
    def _distinct(
        cls, value: list[float] | dict[str, float] | None
    ) -> list[float] | dict[str, float] | None:
        hz = list(value.values()) if isinstance(value, dict) else value
        if hz is not None and (len(hz) < 2 or len(set(hz)) < len(hz) or min(hz) <= 0):
            raise ValueError(f"needs two or more different frequencies above 0 Hz; found {hz}")
        return value

    @property
    def frequencies(self) -> dict[str, float] | None:
        """Label: stimulus frequency, Hz."""
        if self.frequencies_hz is None or isinstance(self.frequencies_hz, dict):
            return self.frequencies_hz
        return {f"{hz:g} Hz": hz for hz in self.frequencies_hz}


class SSVEPSettings(StimulusSettings):
    """What the settings of these decoders share."""

    decoder: ClassVar[type[SSVEPDecoder]]

    harmonics: int = Field(5, ge=1, le=20, description="harmonics in the reference signals")
    high_hz: float = Field(90.0, gt=0, description="upper edge of all bands, Hz")
    channels: list[str] | None = Field(
        None, description="labels of the channels to use; null: every EEG channel"
    )

    def _arguments(self) -> dict[str, Any]:
        """Arguments of the decoder beyond sampling rate, frequencies and channels."""
        return {"n_harmonics": self.harmonics, "high_hz": self.high_hz}

    def build(self, info: StreamInfo) -> SSVEPDecoder:
        """Make the decoder for a processed stream.

        Raises
        ------
        ConfigError
            A channel is not there, or a frequency does not fit the sampling rate.
        """
        make: Any = self.decoder
        made: SSVEPDecoder = make(
            info.sfreq,
            self.frequencies,
            channels=chosen_channels(self.kind, self.channels, info),
            **self._arguments(),
        )
        try:
            made._design()
        except ValueError as error:
            raise ConfigError(f"decoder {self.kind}: {error}") from error
        return made


def chosen_channels(kind: str, labels: Sequence[str] | None, info: StreamInfo) -> list[int] | None:
    """Numbers of the channels that settings of decoder `kind` ask for; None: all of the stream.

    Raises
    ------
    ConfigError
        One is not there; or none is asked for, and the stream has no EEG channel.
    """
    if labels is None:
        eeg = [i for i, ch_type in enumerate(info.ch_types) if ch_type == "eeg"]
        if not eeg:
            raise ConfigError(f"decoder {kind}: '{info.name}' has no EEG channel")
        return eeg if len(eeg) < info.n_channels else None
    missing = [name for name in labels if name not in info.ch_names]
    if missing or not labels:
        raise ConfigError(
            f"decoder {kind}: channels {', '.join(missing) or 'none'} asked for, the stream has "
            f"{', '.join(info.ch_names)}"
        )
    return [info.ch_names.index(name) for name in labels]


class FilterBankSettings(SSVEPSettings):
    """The same for decoders with more than one band."""

    bands: int = Field(5, ge=1, le=20, description="bands of the filter bank")
    low_edges_hz: list[float] | None = Field(
        None, description="low edge of each band, Hz; null: 8n - 2 for band n"
    )

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {"n_bands": self.bands, "low_edges_hz": self.low_edges_hz}
