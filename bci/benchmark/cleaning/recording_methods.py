"""What windows of many channels can be cleaned with: settings of each method, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal import butter, sosfiltfilt

from bci.config import Settings
from bci.denoise.artifact import LoadedDenoiser, load
from bci.denoise.components import Label
from bci.denoise.decomposition import Labeller, decompose
from bci.denoise.pairs import Pairs
from bci.denoise.wiener import WienerFilter
from bci.dsp.artifacts.denoiser import DenoiserSettings
from bci.errors import ConfigError
from bci.types import Chunk, FloatArray, StreamInfo

#: Share of the largest variance that a direction needs to be signal rather than rounding.
RANK_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Task:
    """Windows to clean, and what may be learned from.

    Attributes
    ----------
    around : Pairs
        Each with signal before and behind the samples that are scored.
    at : slice
        Those samples.
    train : callable
        Makes the training pairs.
    n_train, seed : int
        How many of them to draw, and by what.
    """

    around: Pairs = field(repr=False)
    at: slice
    train: Callable[[], Pairs]
    n_train: int
    seed: int

    @property
    def noisy(self) -> FloatArray:
        """Windows to clean, shape (n, n_channels, n_times)."""
        return self.around.noisy[..., self.at].astype(np.float64)

    def groups(self) -> Iterator[NDArray[np.intp]]:
        """Windows of one recording and one class of artifact: what one would have recorded."""
        keys = np.char.add(np.char.add(self.around.source, "\0"), self.around.artifact)
        for key in np.unique(keys):
            yield np.flatnonzero(keys == key)


class Untouched(Settings):
    """Nothing is done."""

    kind: Literal["untouched"] = "untouched"

    def cleaned(self, task: Task) -> FloatArray:
        """Give the windows as they are."""
        return task.noisy


class Regression(Settings):
    """What slow activity of frontal channels explains is subtracted, within a recording."""

    kind: Literal["regression"] = "regression"
    channels: tuple[str, ...] = Field(("Fp1", "Fp2"), min_length=1)
    lowpass_hz: float = Field(8.0, gt=0, description="of the frontal channels, Hz")

    def cleaned(self, task: Task) -> FloatArray:
        """Subtract it."""
        rows = [task.around.ch_names.index(name) for name in self.channels]
        sos = butter(2, self.lowpass_hz, fs=task.around.sfreq, output="sos")
        result = task.noisy
        for chosen in task.groups():
            whole = np.concatenate(list(result[chosen]), axis=1)
            slow = sosfiltfilt(sos, whole[rows])
            weights = np.linalg.lstsq(slow.T, whole.T, rcond=None)[0].T
            result[chosen] -= weights @ sosfiltfilt(sos, result[chosen][:, rows])
        return result


class ICA(Settings):
    """Components of the test recording that are labelled as artifacts are taken out."""

    kind: Literal["ica"] = "ica"
    labeller: Labeller = Field("auto", description="ICLabel where it is installed, or rules")

    def cleaned(self, task: Task) -> FloatArray:
        """Decompose the noisy windows of each recording and class, one after the other."""
        result = task.noisy
        artifacts = [label for label in get_args(Label) if label not in ("Brain", "Other")]
        for chosen in task.groups():
            whole = np.concatenate(list(result[chosen]), axis=1)
            power = np.linalg.eigvalsh(np.cov(whole))
            n = int(np.sum(power > RANK_TOLERANCE * power[-1]))
            found = decompose(
                whole, task.around.sfreq, task.around.ch_names, labeller=self.labeller,
                n_components=n, seed=task.seed,
            )  # fmt: skip
            removed = sum(found.part(whole, label) for label in artifacts)
            result[chosen] = np.stack(np.split(whole - removed, len(chosen), axis=1))
        return result


class Wiener(Settings):
    """The best linear filter for the training pairs, all channels and lags for each channel."""

    kind: Literal["wiener"] = "wiener"
    length_s: float | None = Field(None, gt=0, description="its length, seconds; null: 0.05")

    def cleaned(self, task: Task) -> FloatArray:
        """Fit it to training pairs, and filter."""
        pairs = task.train()
        drawn = np.random.default_rng(task.seed).permutation(len(pairs))[: task.n_train]
        fitted = WienerFilter(self.length_s).fit(
            pairs.noisy[drawn], pairs.clean[drawn], pairs.sfreq
        )
        return fitted.clean(task.noisy)


class Denoiser(Settings):
    """A denoiser that was trained before, on each window by itself."""

    kind: Literal["denoiser"] = "denoiser"
    path: Path = Field(description="its folder")

    def cleaned(self, task: Task) -> FloatArray:
        """Clean each window."""
        return _loaded(self.path, task).clean(task.noisy).astype(np.float64)


class Streamed(Settings):
    """A trained denoiser as a stage of the stream; its delay is taken out again."""

    kind: Literal["streamed"] = "streamed"
    path: Path = Field(description="folder of the denoiser")
    hop_s: float = Field(0.5, gt=0, le=10, description="see the stage 'denoiser'")

    def cleaned(self, task: Task) -> FloatArray:
        """Stream what lies around each window, and take what comes out for it."""
        model = _loaded(self.path, task).manifest
        stage = DenoiserSettings(path=self.path, hop_s=self.hop_s).build()
        names = task.around.ch_names
        info = StreamInfo("test", model.sfreq, names, ("eeg",) * len(names), rank=len(names) - 1)
        result = task.noisy
        for k, noisy in enumerate(task.around.noisy):
            stage.reset(info)
            late = round(stage.delay_s * info.sfreq)
            out = stage(Chunk(0, noisy[:, : task.at.stop + late].T)).data
            result[k] = out[task.at.start + late : task.at.stop + late].T
        return result


def _loaded(path: Path, task: Task) -> LoadedDenoiser:
    """Load a denoiser that has not learnt from the test.

    Raises
    ------
    ConfigError
        It has, or it was trained on windows of another length or rate.
    """
    loaded = load(path)
    learned = {source for of in loaded.manifest.sources.values() for source in of}
    if known := sorted(learned & set(task.around.source.tolist())):
        raise ConfigError(
            f"denoiser '{path}' has learnt from {known[0]}, which is a recording of the test; "
            "leave it out of one of them"
        )
    return loaded


RecordingMethod = Annotated[
    Untouched | Regression | ICA | Wiener | Denoiser | Streamed, Field(discriminator="kind")
]
