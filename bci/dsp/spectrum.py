"""Power spectra of a running stream, by Welch's method, a segment at a time.

References
----------
Welch 1967, IEEE Transactions on Audio and Electroacoustics 15(2):70-73.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from bci.types import FloatArray, SampleArray

__all__ = ["BANDS_HZ", "RunningSpectrum", "band_power"]

#: The EEG's bands as clinical neurophysiology names them, Hz.
BANDS_HZ = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}


class RunningSpectrum:
    """Power spectral density over the newest segments, each overlapping the one before by half.

    Equals `scipy.signal.welch` (Hann window, constant detrending) over the same samples,
    at the cost of one transform for each new segment.

    Parameters
    ----------
    sfreq : float
    n_channels : int
    segment_s : float
        Length of a segment, seconds; its inverse is the resolution in Hz.
    n_segments : int
        Segments averaged.

    Attributes
    ----------
    freqs : array, shape (n_freqs,)
        Hz.
    n_seen : int
        Segments so far.
    latest : array, shape (n_freqs, n_channels), or None
        The newest segment's density, µV²/Hz.
    """

    def __init__(
        self, sfreq: float, n_channels: int, segment_s: float = 2.0, n_segments: int = 7
    ) -> None:
        self._length = max(2, round(segment_s * sfreq))
        self._step = max(1, self._length // 2)
        self._taper = np.hanning(self._length + 1)[:-1]  # periodic
        self._scale = 2.0 / (sfreq * float(self._taper @ self._taper))
        self._buffer: FloatArray = np.empty((0, n_channels))
        self._kept: deque[FloatArray] = deque(maxlen=n_segments)
        self.freqs: FloatArray = np.fft.rfftfreq(self._length, 1.0 / sfreq).astype(np.float64)
        self.n_seen = 0

    @property
    def latest(self) -> FloatArray | None:
        """See the class."""
        return self._kept[-1] if self._kept else None

    @property
    def psd(self) -> FloatArray | None:
        """Mean over the newest segments, shape (n_freqs, n_channels), µV²/Hz; None before one."""
        return np.mean(self._kept, axis=0) if self._kept else None

    def push(self, data: SampleArray) -> int:
        """Take the next samples, shape (n_samples, n_channels); returns the segments completed.

        A segment in which samples are lost (NaN) is left out.
        """
        self._buffer = np.concatenate([self._buffer, data.astype(np.float64)])
        n_new, start = 0, 0
        while start + self._length <= len(self._buffer):
            segment = self._buffer[start : start + self._length]
            if np.isfinite(segment).all():
                self._kept.append(self._density(segment))
                n_new += 1
            start += self._step
        self._buffer = self._buffer[start:]
        self.n_seen += n_new
        return n_new

    def _density(self, segment: FloatArray) -> FloatArray:
        tapered = (segment - segment.mean(axis=0)) * self._taper[:, None]
        density: FloatArray = self._scale * np.abs(np.fft.rfft(tapered, axis=0)) ** 2
        density[0] /= 2.0
        if self._length % 2 == 0:
            density[-1] /= 2.0
        return density


def band_power(freqs: FloatArray, psd: FloatArray, low_hz: float, high_hz: float) -> FloatArray:
    """Power in ``[low_hz, high_hz)`` of each channel, shape (n_channels,), µV²."""
    inside = (freqs >= low_hz) & (freqs < high_hz)
    power: FloatArray = psd[inside].sum(axis=0) * float(freqs[1] - freqs[0])
    return power
