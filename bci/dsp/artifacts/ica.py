"""Components that an ICA found to be artifacts, taken out by a fixed spatial filter."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bci.denoise.components import Label
from bci.denoise.decomposition import Decomposition, Labeller, decompose, filtered
from bci.dsp.artifacts.calibration import Arrays, CalibratedSettings, CalibratedStage
from bci.dsp.artifacts.clean_stretches import clean_windows
from bci.dsp.channels import Columns, eeg_columns, eeg_rank
from bci.errors import CalibrationFailed, ConfigError
from bci.types import Chunk, Flag, FloatArray, StreamInfo

#: A window is not fitted to where more than this share of its channels are disturbed: artifacts
#: are to be learnt, loose electrodes and tugged cables are not.
MAX_BAD_CHANNELS = 0.5
WINDOW_S = 0.5
#: A sample counts as mended where more is taken away than this many times the (robust) spread of
#: what stays in the channel: the filter alters every sample a little.
NOTED = 3.0


class ICA(CalibratedSettings):
    """Removal of artifact components, which a recording of some minutes has shown.

    Fitting takes from seconds to minutes, so that it is not done on the live stream:
    'bci train --kind cleaning' does it. Belongs behind a high-pass and an average reference.
    The rank is lowered by the number of components taken out.
    """

    mends: ClassVar[bool] = True

    kind: Literal["ica"] = "ica"
    remove: tuple[Label, ...] = Field(
        ("Muscle", "Eye", "Heart", "LineNoise", "ChannelNoise"),
        min_length=1,
        description="what is taken out, of: " + ", ".join(get_args(Label)),
    )
    labeller: Labeller = Field(
        "auto", description="what tells components: ICLabel, rules, or auto: ICLabel if installed"
    )
    min_proba: float = Field(
        0.7, ge=0, le=1, description="ICLabel: least probability of what is taken out"
    )
    seed: int = Field(0, ge=0, description="where the fit starts")

    def build(self) -> ComponentRemoval:
        """Make the stage."""
        return ComponentRemoval(self)


class ComponentRemoval(CalibratedStage):
    """x - A W x, with A the topographies of what is taken out and W its unmixing."""

    def __init__(self, settings: ICA) -> None:
        super().__init__(settings)
        self._ica = settings

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`.

        Raises
        ------
        ConfigError
            No calibration is named, or it does not fit the stream.
        """
        if self._ica.calibration is None:
            raise ConfigError(
                "ica: an ICA takes too long to be fitted on the live stream; fit it on a recording "
                "with 'bci train --kind cleaning CONFIG FILE --out FOLDER' and name the file that "
                "it writes under 'calibration'"
            )
        out = super().reset(info, start)
        return replace(out, rank=max(1, eeg_rank(info) - self._unmixing.shape[0]))

    def prepare(self, info: StreamInfo, start: int) -> StreamInfo:
        """See `CalibratedStage.prepare`."""
        self._info = info
        self._eeg: Columns = eeg_columns(info, "ica")
        if len(self._eeg) < 2:
            raise ConfigError(
                f"ica: needs two EEG channels or more, the stream has only "
                f"'{info.ch_names[self._eeg[0]]}'; leave the stage out"
            )
        return info

    def calibrate(self, block: FloatArray, usable: NDArray[np.bool_]) -> Arrays:
        """See `CalibratedStage.calibrate`."""
        settings = self._ica
        found, used_s = self._decompose(block, usable)
        out = [
            i
            for i, c in enumerate(found.components)
            if c.label in settings.remove and c.proba >= settings.min_proba
        ]
        n = len(found.components)
        if len(out) == n:
            raise CalibrationFailed(
                f"ica: all {n} components are artifacts ({', '.join(settings.remove)}), and "
                "nothing would be left; look at the electrodes, or let 'remove' name less"
            )
        self.findings = (
            f"{used_s:.1f} s of {len(block) / self._info.sfreq:.1f} s used; {len(out)} of {n} "
            f"components are taken out, told by {found.labeller}",
            *(
                f"component {i}: {c.label} ({c.evidence})" + (", taken out" if i in out else "")
                for i, c in enumerate(found.components)
            ),
        )
        unmixing, mixing = found.unmixing[out], found.mixing[:, out]
        x = block[usable][:, self._eeg]
        kept = x - x @ unmixing.T @ mixing.T
        return {
            "unmixing": unmixing,
            "mixing": mixing,
            "kept_spread": 1.4826 * np.median(np.abs(kept - np.median(kept, axis=0)), axis=0),
        }

    def _decompose(
        self, block: FloatArray, usable: NDArray[np.bool_]
    ) -> tuple[Decomposition, float]:
        """The components, and the seconds of signal that they were fitted to."""
        info, settings = self._info, self._ica
        x = np.ascontiguousarray(block[:, self._eeg].T)
        fast = filtered(x, info.sfreq).T
        windows = clean_windows(fast, usable, info.sfreq, WINDOW_S, "ica", MAX_BAD_CHANNELS)
        names = [info.ch_names[i] for i in self._eeg.tolist()]
        eog = np.flatnonzero(np.array(info.ch_types) == "eog")
        found = decompose(
            x,
            info.sfreq,
            names,
            positions=np.array([info.positions.get(name, (np.nan,) * 3) for name in names]),
            eog=block[:, eog].T,
            used=windows.mask(len(block)),
            labeller=settings.labeller,
            seed=settings.seed,
        )
        return found, windows.seconds(info.sfreq)

    def adopt(self, arrays: Arrays) -> None:
        """See `CalibratedStage.adopt`."""
        shapes = {key: value.shape for key, value in arrays.items()}
        n, n_out = len(self._eeg), len(arrays.get("unmixing", ()))
        expected = {"unmixing": (n_out, n), "mixing": (n, n_out), "kept_spread": (n,)}
        if shapes != expected:
            raise ConfigError(
                f"ica: its calibration holds {shapes}, and {expected} are expected for the {n} EEG "
                "channels that enter the stage; calibrate it anew"
            )
        self._unmixing = np.ascontiguousarray(arrays["unmixing"])
        self._topographies = np.ascontiguousarray(arrays["mixing"].T)
        self._noted = NOTED * arrays["kept_spread"]
        self.arrays = arrays

    def process(self, chunk: Chunk) -> Chunk:
        """See `CalibratedStage.process`."""
        if len(self._unmixing) == 0 or len(chunk.data) == 0:
            return chunk
        x = np.take(chunk.data, self._eeg, axis=1)
        removed = np.zeros_like(x)
        for weights, topography in zip(self._unmixing, self._topographies, strict=True):
            # a sum over each row, and no matrix product: the same for any number of samples
            removed += np.add.reduce(x * weights, axis=1, keepdims=True) * topography
        out = chunk.data.copy()
        out[:, self._eeg] = x - removed
        mended = (np.abs(removed) > self._noted).any(axis=1)
        edges = np.flatnonzero(np.diff(mended, prepend=False, append=False)) + chunk.start
        notes = (
            Flag(start, stop, "ica", rejects=False, repairs=True)
            for start, stop in edges.reshape(-1, 2).tolist()
        )
        return Chunk(chunk.start, out, (*chunk.flags, *notes))
