"""A trained decoder in a session: loaded, compared with the live stream, and named.

`save` and `load` (from `bci.decoders.storage`), `Manifest`, `check` and
`adaptation` (from `bci.decoders.manifest`) can be had from here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from sklearn.utils.metaestimators import available_if

from bci.config import Config, DecoderSettings
from bci.decoders import AdaptiveDecoder, Decoder, MomentsDecoder, RewardedDecoder
from bci.decoders.manifest import Manifest, adaptation, check
from bci.decoders.stopping import StoppingRule
from bci.decoders.storage import load, save
from bci.errors import ConfigError, UntrainedDecoder
from bci.model_files import read_manifest
from bci.types import FloatArray, Moments, StreamInfo

__all__ = [
    "Manifest",
    "ModelSettings",
    "PickedChannels",
    "adaptation",
    "bypassed",
    "check",
    "load",
    "load_decoder",
    "save",
]

log = logging.getLogger(__name__)


def _adapts(picked: Any) -> bool:
    return isinstance(picked.decoder, AdaptiveDecoder)


def _is_rewarded(picked: Any) -> bool:
    return isinstance(picked.decoder, RewardedDecoder)


class PickedChannels:
    """A decoder for some of a stream's channels, or for another order of them.

    Parameters
    ----------
    decoder : Decoder
    channels : sequence of int
        For each channel of the decoder its number in the stream.
    """

    def __init__(self, decoder: Decoder, channels: Sequence[int]) -> None:
        self.decoder = decoder
        self.channels = list(channels)
        self.classes_ = decoder.classes_

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """As the decoder's own, for windows of the whole stream."""
        return self.decoder.predict_proba(X[:, self.channels])

    @available_if(_adapts)  # type: ignore[untyped-decorator]
    def update(self, window: FloatArray | Moments, label: Any = None) -> bool:
        """As the decoder's own."""
        decoder: Any = self.decoder
        return bool(decoder.update(self._pick(window), label))

    @available_if(_is_rewarded)  # type: ignore[untyped-decorator]
    def reward(self, window: FloatArray | Moments, label: Any, correct: bool) -> bool:
        """As the decoder's own."""
        decoder: Any = self.decoder
        return bool(decoder.reward(self._pick(window), label, correct))

    @available_if(_adapts)  # type: ignore[untyped-decorator]
    def rollback(self) -> None:
        """As the decoder's own."""
        decoder: Any = self.decoder
        decoder.rollback()

    def _pick(self, window: FloatArray | Moments) -> FloatArray | Moments:
        if isinstance(window, Moments):
            order, _ = getattr(
                self.decoder, "embedding", (1, 1)
            )  # channels stand once for each copy
            first = np.arange(order)[:, np.newaxis] * (len(window.first) // order)
            rows = (first + self.channels).ravel()
            return Moments(window.second[np.ix_(rows, rows)], window.first[rows], window.n_times)
        return window[self.channels]


class PickedMoments(PickedChannels):
    """The same for a decoder that takes sums."""

    decoder: MomentsDecoder

    @property
    def embedding(self) -> tuple[int, int]:
        """Order and lag of the decoder's delayed copies."""
        found: tuple[int, int] = getattr(self.decoder, "embedding", (1, 1))
        return found

    def predict_proba_moments(self, moments: Moments) -> FloatArray:
        """As the decoder's own, from the sums of the whole stream."""
        picked = self._pick(moments)
        assert isinstance(picked, Moments)
        return self.decoder.predict_proba_moments(picked)


class ModelSettings(DecoderSettings):
    """A trained decoder, from its folder."""

    kind: Literal["model"] = "model"
    path: Path = Field(description="folder of the model")
    adapt: bool = Field(
        False, description="allow the stream's channels in another order or among others"
    )
    trusted: list[str] = Field(
        [], description="further types that a scikit-learn model may hold, by their full names"
    )

    def build(self, info: StreamInfo) -> Decoder:
        """Load the decoder and compare it with the processed stream; see `open`."""
        return self.open(info)[0]

    def open(
        self,
        info: StreamInfo,
        processing: Sequence[Mapping[str, Any]] | None = None,
        window: Mapping[str, Any] | None = None,
    ) -> tuple[Decoder, str, StoppingRule | None]:
        """Load the decoder, compare it with the session, and name it for the decisions.

        With it comes the stopping rule that was calibrated for it, if one was.
        A name that ends in "+picked" says that channels were picked or put in
        order for the model; the log says which.

        Raises
        ------
        ModelError
            It cannot be loaded, or does not fit.
        """
        decoder, manifest = load(self.path, self.trusted)
        check(manifest, info, processing, window, any_order=self.adapt)
        if manifest.ch_names == info.ch_names:
            return decoder, manifest.model_id, manifest.stopping
        channels = adaptation(manifest, info)
        log.warning(
            "model %s is adapted to stream '%s': it takes channels %s from %s",
            manifest.model_id,
            info.name,
            ", ".join(manifest.ch_names),
            ", ".join(info.ch_names),
        )
        picked = PickedMoments if isinstance(decoder, MomentsDecoder) else PickedChannels
        return picked(decoder, channels), f"{manifest.model_id}+picked", manifest.stopping


def load_decoder(config: Config, info: StreamInfo) -> tuple[Decoder, str, StoppingRule | None]:
    """Make the decoder of a session, ready to decide; its name for the decisions; when to decide.

    These are the arguments of `bci.pipeline.Pipeline.use`.

    Parameters
    ----------
    config : Config
        With a `decoder`.
    info : StreamInfo
        The stream after processing.

    Raises
    ------
    ConfigError
        No decoder is configured, or it does not fit the stream.
    UntrainedDecoder
        It must be trained first.
    ModelError
        A model cannot be loaded, or was trained on something else.
    """
    settings = config.decoder
    if settings is None:
        raise ConfigError("this needs a decoder, but the configuration has no 'decoder'")
    if isinstance(settings, ModelSettings):
        processing = [stage.model_dump(mode="json") for stage in config.processing]
        return settings.open(info, processing, config.window.model_dump(mode="json"))
    decoder: Decoder = settings.build(info)
    if not hasattr(decoder, "classes_"):
        raise UntrainedDecoder(
            f"decoder kind '{settings.kind}' must be trained before it can decide; train it with "
            "'bci train' and set the decoder to {kind: model, path: FOLDER}"
        )
    return decoder, settings.kind, None


def bypassed(config: Config) -> dict[int, str]:
    """Processing stages that a session's model was trained without, by their number, and why.

    Raises
    ------
    ModelError
        The model's manifest cannot be read.
    """
    settings = config.decoder
    if not isinstance(settings, ModelSettings):
        return {}
    return read_manifest(settings.path, Manifest, "model").why_bypassed
