"""What single-channel epochs can be cleaned with: settings of each method, and what they build.

A method is any object with ``fit(noisy, clean, sfreq)`` and ``clean(noisy)``; see
`bci.denoise`. What cannot be judged on epochs of one channel is named all the same, with
the reason, so that nobody looks for it in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from bci.config import Settings
from bci.denoise.wiener import WienerFilter
from bci.errors import ConfigError
from bci.types import FloatArray

Artifact = Literal["eog", "emg"]
Epochs = NDArray[np.floating[Any]]


class Method(Protocol):
    """Cleans epochs, shape (n, n_times)."""

    def fit(self, noisy: Epochs, clean: Epochs, sfreq: float, /) -> Any:
        """Learn from pairs, or nothing."""
        ...

    def clean(self, noisy: Epochs, /) -> Epochs:
        """Give epochs without artifacts, as far as it can."""
        ...


@dataclass(frozen=True)
class Task:
    """What a method is made for.

    Attributes
    ----------
    bank : dict
        Path and split of the bank, as `bci.calibration.denoising` takes them.
    artifact : str
    test_sources : mapping of str to set of str
        Of "eeg" and of the artifact: nothing may have learnt from them.
    seed : int
    out : Path
        Folder that a method may keep what it trained in; named after all that it depends on.
    say : callable
        Takes lines about progress.
    """

    bank: Mapping[str, Any]
    artifact: Artifact
    test_sources: Mapping[str, frozenset[str]]
    seed: int
    out: Path
    say: Callable[[str], None]


class Untouched(Settings):
    """Nothing is done."""

    kind: Literal["untouched"] = "untouched"

    def build(self, task: Task) -> Method:
        """Make the method."""
        return _Filter(None, None)


class Edges(Settings):
    """Edges of a filter; one of them at least."""

    low_hz: float | None = Field(None, gt=0, description="slower activity goes")
    high_hz: float | None = Field(None, gt=0, description="faster activity goes")

    @model_validator(mode="after")
    def _one(self) -> Edges:
        if self.low_hz is None and self.high_hz is None:
            raise ValueError("a filter needs 'low_hz', 'high_hz' or both")
        return self


class FilterMethod(Settings):
    """4th-order Butterworth filters, forwards and backwards (zero phase)."""

    kind: Literal["filter"] = "filter"
    eog: Edges = Field(Edges(low_hz=4.0), description="against eye artifacts")
    emg: Edges = Field(Edges(high_hz=30.0), description="against muscle artifacts")

    def build(self, task: Task) -> Method:
        """Make the method."""
        edges = self.eog if task.artifact == "eog" else self.emg
        return _Filter(edges.low_hz, edges.high_hz)


class WienerMethod(Settings):
    """The best linear filter for the training pairs, see `bci.denoise.wiener`."""

    kind: Literal["wiener"] = "wiener"
    length_s: float | None = Field(None, gt=0, description="its length, seconds; null: 0.5")

    def build(self, task: Task) -> Method:
        """Make the method."""
        return WienerFilter(self.length_s)


class NetworkMethod(Settings):
    """A network, trained here on the training sources; see `bci.calibration.denoising`."""

    kind: Literal["network"] = "network"
    network: dict[str, Any] = Field(description="name of the network, and its settings")
    recipe: dict[str, Any] = Field({}, description="as in `models.denoising.Recipe`")
    batch_size: int = Field(32, ge=1, description="windows in a step")
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="where to train; null: on a GPU where there is one"
    )

    def build(self, task: Task) -> Method:
        """Train it, or go on with a training that was stopped; the denoiser is kept in `out`."""
        from bci.calibration import denoising
        from bci.denoise import artifact

        if not task.out.exists():
            asked = {
                "network": self.network,
                "recipe": self.recipe,
                "batch_size": self.batch_size,
                "device": self.device,
                "seed": task.seed,
                "data": {"kind": "bank", "artifacts": [task.artifact], **task.bank},
            }
            config = task.out.with_suffix(".yaml")
            config.parent.mkdir(parents=True, exist_ok=True)
            config.write_text(yaml.safe_dump(asked, sort_keys=False), encoding="utf-8")
            begun = task.out.with_name(f"{task.out.name}-training")
            denoising.train(
                config, task.out, resume=begun.is_dir() and any(begun.iterdir()), report=task.say
            )
        return artifact.load(task.out)


class DenoiserMethod(Settings):
    """Denoisers that were trained before, by ``bci train --kind denoiser``."""

    kind: Literal["denoiser"] = "denoiser"
    eog: Path | None = Field(None, description="folder of the one against eye artifacts")
    emg: Path | None = Field(None, description="folder of the one against muscle artifacts")

    def build(self, task: Task) -> Method:
        """Load it.

        Raises
        ------
        ConfigError
            None is named for this artifact, or it has learnt from sources of the test.
        """
        from bci.denoise import artifact

        path: Path | None = getattr(self, task.artifact)
        if path is None:
            raise ConfigError(f"no denoiser is named for '{task.artifact}'")
        loaded = artifact.load(path)
        for kind, sources in loaded.manifest.sources.items():
            if known := sorted(set(sources) & task.test_sources.get(kind, frozenset())):
                raise ConfigError(
                    f"denoiser '{path}' has learnt from {known[0]}, which is a source of the test; "
                    "give both the same split"
                )
        return loaded


class NeedsReference(Settings):
    """Regression: it subtracts what an EOG channel shows, and these epochs have none."""

    kind: Literal["regression"] = "regression"
    why: str = "not applicable: needs an EOG channel beside the EEG, the epochs have one channel"


class NeedsChannels(Settings):
    """ASR and ICA: they tell artifacts by how they spread over channels."""

    kind: Literal["asr", "ica"]
    why: str = "not applicable: needs several channels, the epochs have one"


MethodPart = Annotated[
    Untouched
    | FilterMethod
    | WienerMethod
    | NetworkMethod
    | DenoiserMethod
    | NeedsReference
    | NeedsChannels,
    Field(discriminator="kind"),
]


class _Filter:
    """A zero-phase filter that learns nothing; without edges it changes nothing."""

    def __init__(self, low_hz: float | None, high_hz: float | None) -> None:
        self._low, self._high = low_hz, high_hz

    def fit(self, noisy: ArrayLike, clean: ArrayLike, sfreq: float) -> _Filter:
        """Take the sampling rate."""
        del noisy, clean
        self._sfreq = sfreq
        return self

    def clean(self, noisy: ArrayLike) -> FloatArray:
        """Filter the epochs, shape (…, n_times)."""
        from scipy.signal import butter, sosfiltfilt

        x = np.asarray(noisy, dtype=np.float64)
        for edge, kind in ((self._low, "highpass"), (self._high, "lowpass")):
            if edge is not None:
                sos = butter(4, edge, kind, fs=self._sfreq, output="sos")
                x = sosfiltfilt(sos, x, axis=-1)
        return x
