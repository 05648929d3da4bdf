"""What the settings of the deep decoders of steady-state responses share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from bci.config import DecoderSettings
from bci.decoders.deep.decoder import DeepDecoder
from bci.decoders.deep.training import DROPOUT
from bci.decoders.ssvep.settings import chosen_channels
from bci.errors import ConfigError
from bci.types import StreamInfo


class DeepSettings(DecoderSettings):
    """Windows, bands and training of the network."""

    decoder: ClassVar[type[DeepDecoder]]

    window_s: list[float] = Field(
        [0.4], min_length=1, description="lengths of window that a network is trained for, s"
    )
    bands: int = Field(3, ge=1, le=10, description="sub-bands, from 8, 16, 24 ... to 90 Hz")
    n_epochs: int = Field(1000, ge=1, description="passes through the training trials")
    dropout: float = Field(
        0.6, ge=0, lt=1, description="of the first two layers; of the third it is 0.95"
    )
    learning_rate: float = Field(1e-4, gt=0, description="of Adam")
    calibration_folds: int = Field(
        3, ge=0, description="parts of the trials held out to calibrate probabilities; 0: none"
    )
    channels: list[str] | None = Field(
        None, description="labels of the channels to use; null: every EEG channel"
    )
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="where to train; null: on a GPU where there is one"
    )
    checkpoint: Path | None = Field(
        None, description="folder where trainings are kept, to go on from after a stop"
    )
    seed: int = Field(0, ge=0, description="of all that is random in the training")

    def _arguments(self) -> dict[str, Any]:
        """Arguments of the decoder beyond those that all have."""
        return {"n_epochs": (self.n_epochs, self.n_epochs)}

    def build(self, info: StreamInfo) -> DeepDecoder:
        """Make an untrained decoder for a processed stream.

        Raises
        ------
        ConfigError
            A channel is not there, or a window or the bands do not fit the sampling rate.
        """
        make: Any = self.decoder
        decoder: DeepDecoder = make(
            info.sfreq,
            n_bands=self.bands,
            window_s=self.window_s,
            dropout=(DROPOUT[0], (self.dropout, self.dropout, DROPOUT[1][2])),
            learning_rate=self.learning_rate,
            calibration_folds=self.calibration_folds,
            channels=chosen_channels(self.kind, self.channels, info),
            random_state=self.seed,
            device=self.device,
            checkpoint=None if self.checkpoint is None else str(self.checkpoint),
            **self._arguments(),
        )
        try:
            decoder._n_times()
        except ValueError as error:
            raise ConfigError(f"decoder {self.kind}: {error}") from error
        return decoder
