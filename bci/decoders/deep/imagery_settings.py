"""Settings of the networks for imagery."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from bci.config import DecoderSettings
from bci.decoders.deep.imagery import DeepImagery
from bci.decoders.deep.imagery_training import check_network
from bci.errors import ConfigError
from bci.types import StreamInfo


class DeepImagerySettings(DecoderSettings):
    """A network for motor imagery; to be trained on labelled windows."""

    decoder: ClassVar[type[DeepImagery]] = DeepImagery

    kind: Literal["deep_imagery"] = "deep_imagery"
    network: str = Field(
        "eegnet",
        description="eegnet, shallow, deep4, conformer, atcnet, cnn_lstm, or braindecode:Name",
    )
    n_epochs: int = Field(500, ge=1, description="passes through the training trials, at most")
    batch_size: int = Field(64, ge=1, description="windows in a step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="of Adam, decoupled")
    patience: int | None = Field(
        75, ge=1, description="epochs without a better loss on held-out trials; null: no end"
    )
    validation: float = Field(0.2, gt=0, lt=1, description="share of the trials held out")
    window_s: float | None = Field(
        None, gt=0, description="length of the crops that the network sees, s; null: whole windows"
    )
    stride_s: float | None = Field(
        None, gt=0, description="from one crop to the next, s; null: half of a crop"
    )
    augment: bool = Field(
        default=False, description="change trials a little in each epoch: time, channels, amplitude"
    )
    class_weight: Literal["balanced"] | None = Field(
        None, description="balanced: rare classes weigh more"
    )
    seed: int = Field(0, ge=0, description="of all that is random in the training")
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="where to train; null: on a GPU where there is one"
    )
    checkpoint: Path | None = Field(
        None, description="folder where trainings are kept, to go on from after a stop"
    )

    def build(self, info: StreamInfo) -> DeepImagery:
        """Make an untrained decoder for a processed stream.

        Raises
        ------
        ConfigError
            There is no such network.
        MissingDependency
            torch is not installed, or braindecode, where its model is asked for.
        """
        try:
            check_network(self.network)
        except ValueError as error:
            raise ConfigError(f"decoder deep_imagery: {error}") from error
        given = self.model_dump(exclude={"kind", "seed", "checkpoint"})
        return DeepImagery(
            sfreq=info.sfreq,
            random_state=self.seed,
            checkpoint=None if self.checkpoint is None else str(self.checkpoint),
            **given,
        )
