"""Covariances in frequency bands, for the filter-bank decoders of imagery.

A window is filtered by itself, forth and back, so that it does not know what
comes after it, and its bands come without delay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import signal

from bci.decoders.covariance.classifier import Calibrated, CovarianceSettings
from bci.decoders.covariance.estimation import sample_covariances
from bci.types import FloatArray

ORDER = 4

#: (low, high) in Hz: the filter bank of MOABB's imagery, 8 to 32 Hz.
BANDS_HZ = tuple((low, low + 4.0) for low in np.arange(8.0, 32.0, 4.0).tolist())


@lru_cache(maxsize=32)
def _filters(sfreq: float, bands: tuple[tuple[float, float], ...]) -> tuple[FloatArray, ...]:
    for low, high in bands:
        if not 0 < low < high < sfreq / 2:
            raise ValueError(
                f"the band {low:g} to {high:g} Hz does not lie between 0 Hz and half the sampling "
                f"rate of {sfreq:g} Hz; choose other bands"
            )
    return tuple(signal.butter(ORDER, b, "bandpass", fs=sfreq, output="sos") for b in bands)


def in_bands(
    windows: FloatArray, sfreq: float, bands: Sequence[tuple[float, float]]
) -> Iterator[FloatArray]:
    """Windows in each band, filtered forth and back each by itself.

    Raises
    ------
    ValueError
        There is no band, or one does not fit the sampling rate.
    """
    if not len(bands):
        raise ValueError("bands is empty: a filter bank needs one at least")
    edges = tuple((float(low), float(high)) for low, high in bands)
    for sos in _filters(float(sfreq), edges):
        pad = min(3 * (2 * len(sos) + 1), windows.shape[2] - 1)
        yield signal.sosfiltfilt(sos, windows, padlen=pad)


class BandCovariances(Calibrated):
    """Base of the filter-bank decoders.

    Their covariances have shape (n_windows, n_bands, n_channels, n_channels).
    """

    sfreq: float
    bands: Sequence[tuple[float, float]]

    def _covariances(self, windows: FloatArray) -> FloatArray:
        bands = in_bands(windows, self.sfreq, self.bands)
        return np.stack([sample_covariances(band) for band in bands], axis=1)


class BandSettings(CovarianceSettings):
    """What the settings of filter-bank decoders share."""

    bands_hz: list[tuple[Annotated[float, Field(gt=0)], float]] = Field(
        list(BANDS_HZ),
        min_length=1,
        description="(low, high) of each band; processing before must let them pass",
    )
