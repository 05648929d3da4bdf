"""Broadband power of ECoG, sample by sample: high-pass, square, low-pass, over a baseline.

The steps are those that Miller, Schalk, Fetz, den Nijs, Ojemann & Rao, PNAS 107, 4430,
2010, doi:10.1073/pnas.0913697107, and those after them take offline, here with causal
filters. Offline, power is often divided by its mean over the *whole* recording, trials
that are tested on among it. Here it is the mean of training, or of the first seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bci.config import StageSettings
from bci.dsp.filters import Highpass, Lowpass, SosFilter
from bci.errors import ConfigError
from bci.types import Chunk, Flag, FloatArray, SampleArray, StreamInfo


class BroadbandPower(StageSettings):
    """Power above a frequency, relative to a baseline: 1 is as much as in the baseline.

    While the baseline is measured, power is relative to its mean so far, and windows
    are not decided on. A gap begins it anew unless `baseline` is given.
    """

    kind: Literal["broadband_power"] = "broadband_power"
    highpass_hz: float = Field(50.0, gt=0, description="what counts is the power above, Hz")
    lowpass_hz: float = Field(10.0, gt=0, description="how fast power may change, Hz")
    order: int = Field(3, ge=1, le=12, description="poles of either Butterworth filter")
    baseline_s: float = Field(
        10.0, gt=0, le=3600, description="first seconds, whose mean power is the baseline"
    )
    baseline: list[Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="mean power of each channel in the training, µV², in the stream's order "
        "without stim and misc; null: that of the first seconds",
    )

    def build(self) -> PowerTracker:
        """Make the stage."""
        return PowerTracker(self)


class PowerTracker:
    """High-pass, square, low-pass and division by the baseline.

    Attributes
    ----------
    baseline : array, shape (n_channels,)
        Mean power so far, or as given, µV²; channels of type "stim" and "misc", which pass
        as they are, have 1.
    delay_s : float
        That of both filters.
    """

    def __init__(self, settings: BroadbandPower) -> None:
        self._settings = settings
        self._highpass = SosFilter(Highpass(freq_hz=settings.highpass_hz, order=settings.order))
        self._lowpass = SosFilter(Lowpass(freq_hz=settings.lowpass_hz, order=settings.order))
        self.delay_s = 0.0
        self.baseline: FloatArray = np.empty(0)
        self._powers: NDArray[np.bool_] = np.empty(0, bool)  # which channels are turned into it
        self._sum: FloatArray = np.empty(0)
        self._n = 0  # samples in the sum
        self._n_baseline = 0

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`; what lowered the rank before is lost with the square."""
        self._highpass.reset(info, start)
        self._lowpass.reset(info, start)
        self.delay_s = self._highpass.delay_s + self._lowpass.delay_s
        self._powers = np.array([t not in ("stim", "misc") for t in info.ch_types])
        self.baseline = np.ones(info.n_channels)
        self._sum = np.zeros(info.n_channels)
        self._n, self._n_baseline = 0, max(1, round(self._settings.baseline_s * info.sfreq))
        given = self._settings.baseline
        if given is not None:
            if len(given) != self._powers.sum():
                raise ConfigError(
                    f"broadband_power: baseline has {len(given)} values, but the stream has "
                    f"{self._powers.sum()} channels beside stim and misc; give one for each"
                )
            self.baseline[self._powers] = given
            self._n = self._n_baseline
        return StreamInfo(
            info.name, info.sfreq, info.ch_names, info.ch_types, info.positions, info.source_id
        )

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        high = self._highpass(chunk)
        squared = np.where(self._powers, high.data**2, high.data)
        power = self._lowpass(Chunk(chunk.start, squared, chunk.flags)).data
        n_new = min(len(power), self._n_baseline - self._n)
        relative = np.empty_like(power)
        flags = chunk.flags
        if n_new:
            # one addition after the other, so that chunks make no difference
            sums = np.cumsum(np.concatenate([self._sum[None], power[:n_new]]), axis=0)[1:]
            means: FloatArray = sums / np.arange(self._n + 1, self._n + n_new + 1)[:, None]
            means[:, ~self._powers] = 1.0
            relative[:n_new] = _ratio(power[:n_new], means)
            self._sum, self._n, self.baseline = sums[-1], self._n + n_new, means[-1]
            flags = (*flags, Flag(chunk.start, chunk.start + n_new, "baseline"))
        relative[n_new:] = _ratio(power[n_new:], self.baseline)
        return Chunk(chunk.start, relative, flags)


def _ratio(power: SampleArray, baseline: FloatArray) -> FloatArray:
    """Power over baseline; 0 where a flat channel has none."""
    some = baseline > 0.0
    ratio: FloatArray = np.where(some, power / np.where(some, baseline, 1.0), 0.0)
    return ratio
