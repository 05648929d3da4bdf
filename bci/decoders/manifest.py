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
from bci.config import Settings, StageSettings
from bci.decoders.stopping import StoppingRule
from bci.errors import ModelError
from bci.model_files import content_digest
from bci.types import FloatArray, StreamInfo

#: Stages that treat each channel by itself; any other one may mix channels.
_PER_CHANNEL = frozenset(
    {"bandpass", "highpass", "lowpass", "notch", "resample", "pick", "amplitude"}
)
#: What a description of a stage holds beside its settings, and the place of its calibration,
#: which may change.
_BESIDE = frozenset({"coefficients", "calibration_digest", "calibration"})


class Score(Settings):
    """One figure of merit, with its interval and how it was obtained."""

    metric: str = Field(description="for example 'accuracy'")
    value: float
    low: float = Field(description="lower end of the interval")
    high: float = Field(description="upper end of the interval")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="coverage of the interval")
    n: int = Field(ge=1, description="number of windows or trials scored")
    method: str = Field(description="for example '5-fold, grouped by trial'")


class StageWorth(Settings):
    """What a stage that mends was worth in calibration; see `bci.calibration.worth`.

    Both chains were scored on the same held-out trials; one whose window was rejected
    was not decided right.
    """

    stage: int = Field(ge=0, description="number in 'processing', from 0")
    kind: str
    n: int = Field(ge=1, description="trials")
    n_right: int = Field(ge=0, description="right with the stage")
    n_gained: int = Field(ge=0, description="right with the stage alone")
    n_lost: int = Field(ge=0, description="right without it alone")
    p: float = Field(ge=0, le=1, description="one-sided sign test of gained against lost")
    kept: bool = Field(description="it stays in use")

    @property
    def n_right_without(self) -> int:
        """Right without the stage."""
        return self.n_right - self.n_gained + self.n_lost

    @property
    def shares(self) -> str:
        """Accuracy with and without it, in words."""
        share, other = (100 * k / self.n for k in (self.n_right, self.n_right_without))
        return f"with it {share:.1f} %, without {other:.1f} % of {self.n} trials"


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
    worth: tuple[StageWorth, ...] = Field(
        default=(), description="stages that mend, as calibration judged them"
    )
    bypassed: tuple[int, ...] = Field(
        default=(), description="stages of 'processing' that it was trained without, and needs so"
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
        # models from before these existed keep their digest
        exclude |= {name for name in ("stopping", "worth", "bypassed") if not getattr(self, name)}
        return content_digest(self.model_dump(mode="json", exclude=exclude))

    @property
    def why_bypassed(self) -> dict[int, str]:
        """Stages that it was trained without, by their number, and why."""
        judged = {w.stage: f"calibration showed no gain ({w.shares})" for w in self.worth}
        return {i: judged.get(i, "the model was trained without it") for i in self.bypassed}

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
    """List the settings of each stage, with what the built stage has beside them.

    That is "coefficients" where it has a `sos`, and "calibration_digest" where it is
    calibrated from a file.

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
        if (digest := getattr(stage, "digest", None)) is not None:
            entry["calibration_digest"] = digest
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
        if found := _calibration_difference(one, other):
            return [f"{where}: {found}"]
        then, now = _filled(one), _filled(other)
        for key in sorted(then.keys() | now.keys()):
            if not _same(then.get(key), now.get(key)):
                return [f"{where}: {key} {then.get(key)} in training, {now.get(key)} now"]
        both = "coefficients" in one and "coefficients" in other
        if both and not _same(one["coefficients"], other["coefficients"]):
            return [f"{where}: other filter coefficients in training than now"]
    return []


def _calibration_difference(trained: Mapping[str, Any], live: Mapping[str, Any]) -> str | None:
    """What stages have learnt is compared by content, wherever its file lies."""
    digests = [stage.get("calibration_digest") for stage in (trained, live)]
    if digests[0] == digests[1]:
        return None
    then, now = (
        "on the stream itself"
        if digest is None
        else f"from {stage.get('calibration')} ({str(digest)[:8]})"
        for digest, stage in zip(digests, (trained, live), strict=True)
    )
    return (
        f"calibrated {then} in training, {now} now (name the file of the training, or train anew)"
    )


def _filled(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a stage's settings say of the signal, with the default of each option unnamed.

    A model from before an option existed was trained without it, which is its default.
    """
    stated = {key: value for key, value in stage.items() if key not in _BESIDE}
    cls = registry.find("stage", str(stage["kind"]))
    if cls is not None:
        with suppress(ValidationError):
            stated = cls.model_validate(stated).model_dump(mode="json")
    return {key: value for key, value in stated.items() if key not in StageSettings.handling}


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
