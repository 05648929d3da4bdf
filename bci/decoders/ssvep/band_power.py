"""Band power: how far each channel's spectrum stands out at the stimulus frequencies.

The logarithm of the power at a frequency over the mean of the bins beside it is
the usual signal-to-noise ratio of steady-state responses (Norcia, Appelbaum, Ales,
Cottereau & Rossion, "The steady-state visual evoked potential in vision research:
a review", J Vis 15(6):4, 2015, doi:10.1167/15.6.4); 1/f and gain cancel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from bci.decoders.covariance.classifier import Learned
from bci.decoders.ssvep.filterbank import FilterBank
from bci.decoders.ssvep.phase_free import PhaseFree, PhaseFreeSettings
from bci.types import FloatArray

#: Bins on each side that a frequency is compared with; a bin is as wide as 1 / window.
N_NEIGHBOURS = 3


class BandPower(PhaseFree):
    """Logistic regression on signal-to-noise ratios at frequencies and harmonics.

    Power is taken at exactly the frequency, whatever the window's length, and at
    the bins beside it that a sinusoid of that frequency does not leak into.

    Parameters
    ----------
    sfreq, frequencies, n_harmonics, C, high_hz, channels
        As in `bci.decoders.ExtendedCovariance`.
    """

    kind: ClassVar[str] = "band_power"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float],
        n_harmonics: int = 2,
        *,
        C: float = 1.0,
        high_hz: float = 90.0,
        channels: Sequence[int] | None = None,
    ) -> None:
        self.sfreq = sfreq
        self.frequencies = frequencies
        self.n_harmonics = n_harmonics
        self.C = C
        self.high_hz = high_hz
        self.channels = channels

    def _shortest(self, n_channels: int, bank: FilterBank) -> int:
        """As long as the bins below the lowest frequency lie above 0 Hz."""
        return int(np.ceil((N_NEIGHBOURS + 1) * self.sfreq / min(bank.frequencies)))

    def _measure(self, windows: FloatArray) -> FloatArray:
        """Log ratios, shape (n_windows, n_channels * n_frequencies)."""
        n_windows, n_channels, n_times = windows.shape
        centres = np.array(self._centres())
        bins = np.arange(-N_NEIGHBOURS, N_NEIGHBOURS + 1) * self.sfreq / n_times
        hz = (centres[:, None] + bins).ravel()
        waves = np.exp(-2j * np.pi * np.outer(np.arange(n_times) / self.sfreq, hz))
        centred = windows - windows.mean(axis=2, keepdims=True)
        power = np.abs(centred @ waves) ** 2
        power = power.reshape(n_windows, n_channels, len(centres), len(bins))
        at = power[..., N_NEIGHBOURS]
        beside = (power.sum(axis=-1) - at) / (2 * N_NEIGHBOURS)
        tiny = 1e-12 * np.maximum(power.max(axis=(2, 3), initial=0.0, keepdims=True)[..., 0], 1e-30)
        ratios: FloatArray = np.log((at + tiny) / (beside + tiny))
        return ratios.reshape(n_windows, n_channels * len(centres))

    def _learn(self, measured: FloatArray) -> dict[str, FloatArray]:
        spread = measured.std(axis=0)
        return {"mean": measured.mean(axis=0), "scale": np.where(spread > 0, spread, 1.0)}

    def _features(self, measured: FloatArray, learned: Learned) -> FloatArray:
        features: FloatArray = (measured - learned["mean"]) / learned["scale"]
        return features


class BandPowerSettings(PhaseFreeSettings):
    """Steady-state responses by their power; to be trained."""

    decoder: ClassVar[type[BandPower]] = BandPower

    kind: Literal["band_power"] = "band_power"
