"""What a trained decoder was trained on, and whether a live stream is the same.

The manifest is the readable half of a model artifact (see `bci.decoders.artifact`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, ValidationError

from bci import registry
from bci.config import Settings
from bci.decoders.stopping import StoppingRule
from bci.errors import ModelError
from bci.model_files import content_digest
from bci.types import FloatArray, StreamInfo

#: Stages that treat each channel by itself; any other one may mix channels.
_PER_CHANNEL = frozenset(
    {"bandpass", "highpass", "lowpass", "notch", "resample", "pick", "amplitude"}
)


class Score(Settings):
    """One figure of merit, with its interval and how it was obtained."""

    metric: str = Field(description="for example 'accuracy'")
    value: float
    low: float = Field(description="lower end of the interval")
    high: float = Field(description="upper end of the interval")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="coverage of the interval")
    n: int = Field(ge=1, description="number of windows or trials scored")
    method: str = Field(description="for example '5-fold, grouped by trial'")


class Manifest(Settings):
    """Everything about a model but its numbers.

    Whoever trains a decoder fills the part "known from training";
    `bci.decoders.artifact.save` adds the rest.
    """

    # known from training
    ch_names: tuple[str, ...] = Field(description="channels after processing, in order")
    sfreq: float = Field(gt=0, description="sampling rate after processing, Hz")
    unit: Literal["uV"] = "uV"
    processing: tuple[dict[str, Any], ...] = Field(
        default=(), description="settings of each stage, with coefficients where it has them"
    )
    window: dict[str, Any] = Field(default={}, description="settings of the windows")
    training_sha256: str | None = Field(
        default=None, description="hash of training windows, labels"
    )
    n_trials: dict[str, int] = Field(default={}, description="label: training trials")
    scores: tuple[Score, ...] = ()
    stopping: StoppingRule | None = Field(
        default=None, description="when a trial of growing windows is decided; null: not calibrated"
    )
    # added while saving
    schema_version: Literal["bci.model/1"] = "bci.model/1"
    kind: str = ""
    params: dict[str, Any] = Field(default={}, description="parameters of the estimator")
    classes: tuple[str | bool | int | float, ...] = ()
    any_length: bool = Field(default=False, description="windows of any length can be decoded")
    file: Literal["arrays.safetensors", "model.skops"] = "arrays.safetensors"
    file_sha256: str = ""
    versions: dict[str, str] = Field(default={}, description="package: version at training")
    created: str = Field(default="", description="date and time of saving, UTC")
    digest: str = Field(default="", description="SHA-256 of all fields but `created` and this one")

    def content_digest(self) -> str:
        """SHA-256 of all fields but the date and the digest itself."""
        exclude = {"digest", "created"}
        if self.stopping is None:  # models from before it existed keep their digest
            exclude.add("stopping")
        return content_digest(self.model_dump(mode="json", exclude=exclude))

    @property
    def model_id(self) -> str:
        """Names the model in decisions: the kind and 8 digits of its content's hash."""
        return f"{self.kind}-{self.digest[:8]}"


def training_hash(X: FloatArray, y: ArrayLike) -> str:
    """SHA-256 of training windows (as float64) and their labels (as text)."""
    digest = hashlib.sha256(repr(np.shape(X)).encode())
    digest.update(np.ascontiguousarray(X, np.float64).tobytes())
    digest.update("\n".join(str(label) for label in np.asarray(y).tolist()).encode())
    return digest.hexdigest()


def describe_processing(
    settings: Sequence[Settings], stages: Sequence[Any] = ()
) -> tuple[dict[str, Any], ...]:
    """List the settings of each stage, with "coefficients" where the built stage has a `sos`.

    Parameters
    ----------
    settings : sequence of StageSettings
    stages : sequence of Stage
        The built stages in the same order, after their `reset`; may be left out.
    """
    described = [s.model_dump(mode="json") for s in settings]
    for entry, stage in zip(described, stages, strict=False):
        if isinstance(sos := getattr(stage, "sos", None), np.ndarray):
            entry["coefficients"] = sos.tolist()
    return tuple(described)


def check(
    manifest: Manifest,
    info: StreamInfo,
    processing: Sequence[Mapping[str, Any]] | None = None,
    window: Mapping[str, Any] | None = None,
    *,
    any_order: bool = False,
) -> None:
    """Compare a model with the processed live stream.

    Parameters
    ----------
    manifest : Manifest
    info : StreamInfo
        After processing.
    processing, window : as in the manifest, or None
        None: not compared.
    any_order : bool
        Channels may stand in another order, among others (see `adaptation`).

    Raises
    ------
    ModelError
        Names for each difference what the model was trained on and what is there.
    """
    found = _channel_differences(manifest, info, any_order)
    if not np.isclose(manifest.sfreq, info.sfreq, rtol=1e-6, atol=0):
        found.append(f"it was trained at {manifest.sfreq:g} Hz, the stream has {info.sfreq:g} Hz")
    if processing is not None:
        found += _chain_differences(manifest.processing, processing)
    if window is not None:
        found += _window_differences(manifest, window)
    if found:
        raise ModelError(
            f"model {manifest.model_id} does not fit stream '{info.name}': " + "; ".join(found)
        )


def adaptation(manifest: Manifest, info: StreamInfo) -> list[int]:
    """Index in the live stream of each of the model's channels.

    Raises
    ------
    ModelError
        A channel is not there; or the stream has others beside, and a stage of
        the chain mixes channels, so that leaving them out comes too late.
    """
    if found := _channel_differences(manifest, info, any_order=True):
        raise ModelError(
            f"model {manifest.model_id} cannot be adapted to stream '{info.name}': {found[0]}"
        )
    mixing = [s["kind"] for s in manifest.processing if s.get("kind") not in _PER_CHANNEL]
    if len(info.ch_names) > len(manifest.ch_names) and mixing:
        raise ModelError(
            f"model {manifest.model_id} was trained on {len(manifest.ch_names)} channels, the "
            f"stream has {len(info.ch_names)}, and the stage '{mixing[0]}' mixes channels; set "
            f"channels.pick to [{', '.join(manifest.ch_names)}]"
        )
    return [info.ch_names.index(name) for name in manifest.ch_names]


def _channel_differences(manifest: Manifest, info: StreamInfo, any_order: bool) -> list[str]:
    asked, there = manifest.ch_names, info.ch_names
    missing = [name for name in asked if name not in there]
    if missing:
        return [
            f"channels {', '.join(missing)} are missing: it was trained on {', '.join(asked)}, the "
            f"stream has {', '.join(there)}"
        ]
    if any_order or asked == there:
        return []
    what = "order of channels" if len(asked) == len(there) else "channels"
    return [
        f"other {what}: it was trained on {', '.join(asked)}, the stream has {', '.join(there)} "
        "(set channels.pick to the former, or 'adapt: true' in the decoder)"
    ]


def _chain_differences(
    trained: Sequence[Mapping[str, Any]], live: Sequence[Mapping[str, Any]]
) -> list[str]:
    kinds = [[str(stage.get("kind")) for stage in chain] for chain in (trained, live)]
    if kinds[0] != kinds[1]:
        names = [" > ".join(chain) or "none" for chain in kinds]
        return [f"it was trained behind the stages {names[0]}, the stream passes {names[1]}"]
    for number, (one, other) in enumerate(zip(trained, live, strict=True), 1):
        where = f"processing stage {number} ({one['kind']})"
        then, now = _filled(one), _filled(other)
        for key in sorted(then.keys() | now.keys()):
            if not _same(then.get(key), now.get(key)):
                return [f"{where}: {key} {then.get(key)} in training, {now.get(key)} now"]
        both = "coefficients" in one and "coefficients" in other
        if both and not _same(one["coefficients"], other["coefficients"]):
            return [f"{where}: other filter coefficients in training than now"]
    return []


def _filled(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage's settings, with the default of each option that they don't name.

    A model from before an option existed was trained without it, which is its default.
    """
    stated = {key: value for key, value in stage.items() if key != "coefficients"}
    cls = registry.find("stage", str(stage["kind"]))
    if cls is not None:
        with suppress(ValidationError):
            return cls.model_validate(stated).model_dump(mode="json")
    return stated


def _same(one: Any, other: Any) -> bool:
    """Equal, numbers to 1e-9 of their size, also inside lists."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        try:
            return bool(np.isclose(one, other, rtol=1e-9, atol=1e-12))
        except TypeError:
            return False
    return bool(one == other)


def _window_differences(manifest: Manifest, live: Mapping[str, Any]) -> list[str]:
    trained = manifest.window
    if "length_s" not in trained:
        return []
    if manifest.any_length:
        decoder = getattr(registry.find("decoder", manifest.kind), "decoder", None)
        return _template_differences(trained, live) if getattr(decoder, "locked", False) else []
    if not _same(float(trained["length_s"]), float(live["length_s"])):
        return [
            f"it was trained on windows of {trained['length_s']:g} s, the session cuts "
            f"{live['length_s']:g} s"
        ]
    if live.get("kind") == "growing" != trained.get("kind"):
        return [
            f"it was trained on windows of kind '{trained.get('kind')}' of one length, the session "
            "cuts growing ones"
        ]
    return []


def _template_differences(trained: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """Templates end where training windows ended, and start where they started."""
    if live.get("kind") == "sliding":
        return [
            "it compares windows with templates that start at a marker, the session cuts sliding "
            "ones (set window.kind to marker or growing)"
        ]
    found = []
    longest, asked = float(trained["length_s"]), float(live["length_s"])
    if asked > longest and not _same(asked, longest):
        found.append(f"its templates are {longest:g} s long, the session cuts up to {asked:g} s")
    then, now = (float(window.get("offset_s", 0.0)) for window in (trained, live))
    if not _same(then, now):
        found.append(
            f"its templates start {then:g} s after the marker, the session's windows {now:g} s"
        )
    return found
