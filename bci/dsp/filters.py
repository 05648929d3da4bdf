"""Butterworth and notch filters as second-order sections, state carried across chunks.

Every filter starts in the steady state of its first sample (`sosfilt_zi`), so
that an offset of the electrodes makes no step. Channels of type "stim" and
"misc" are codes and other units, and pass unfiltered.

References
----------
Butterworth design and `sosfilt`: scipy.signal; recursion in transposed direct
form II, Oppenheim & Schafer, Discrete-Time Signal Processing, section 6.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
from pydantic import Field, model_validator
from scipy.signal import butter, iirnotch, sosfilt, sosfilt_zi

from bci.config import StageSettings
from bci.dsp.channels import Columns
from bci.errors import ConfigError
from bci.types import Chunk, FloatArray, SampleArray, StreamInfo

Kernel = Callable[[FloatArray, FloatArray, FloatArray], None]
Shape = Literal["lowpass", "highpass", "bandpass"]


class Design(Protocol):
    """Settings from which a `SosFilter` is made."""

    def design(self, sfreq: float) -> FloatArray:
        """Second-order sections, shape (n_sections, 6)."""
        ...

    def centre_hz(self, sfreq: float) -> float:
        """Frequency for which the filter's delay is stated."""
        ...


class Bandpass(StageSettings):
    """Butterworth band-pass; twice `order` poles, as in `scipy.signal.butter`.

    The delay stated is that at the geometric mean of the two cut-offs.
    """

    kind: Literal["bandpass"] = "bandpass"
    low_hz: float = Field(gt=0, description="lower cut-off (-3 dB), Hz")
    high_hz: float = Field(gt=0, description="upper cut-off (-3 dB), Hz")
    order: int = Field(4, ge=1, le=12, description="order of the low-pass prototype")

    @model_validator(mode="after")
    def _in_order(self) -> Bandpass:
        if self.low_hz >= self.high_hz:
            raise ValueError(f"low_hz is {self.low_hz:g}, not below high_hz, {self.high_hz:g}")
        return self

    def design(self, sfreq: float) -> FloatArray:
        """See `Design`."""
        _below_nyquist("bandpass: high_hz", self.high_hz, sfreq)
        return _butter(self.order, (self.low_hz, self.high_hz), "bandpass", sfreq)

    def centre_hz(self, sfreq: float) -> float:
        """See `Design`."""
        return float(np.sqrt(self.low_hz * self.high_hz))

    def build(self) -> SosFilter:
        """Make the stage."""
        return SosFilter(self)


class Highpass(StageSettings):
    """Butterworth high-pass.

    The delay stated is that at the geometric mean of cut-off and half the rate.
    """

    kind: Literal["highpass"] = "highpass"
    freq_hz: float = Field(gt=0, description="cut-off (-3 dB), Hz")
    order: int = Field(4, ge=1, le=12, description="number of poles")

    def design(self, sfreq: float) -> FloatArray:
        """See `Design`."""
        _below_nyquist("highpass: freq_hz", self.freq_hz, sfreq)
        return _butter(self.order, self.freq_hz, "highpass", sfreq)

    def centre_hz(self, sfreq: float) -> float:
        """See `Design`."""
        return float(np.sqrt(self.freq_hz * sfreq / 2))

    def build(self) -> SosFilter:
        """Make the stage."""
        return SosFilter(self)


class Lowpass(StageSettings):
    """Butterworth low-pass. The delay stated is that at half the cut-off."""

    kind: Literal["lowpass"] = "lowpass"
    freq_hz: float = Field(gt=0, description="cut-off (-3 dB), Hz")
    order: int = Field(4, ge=1, le=12, description="number of poles")

    def design(self, sfreq: float) -> FloatArray:
        """See `Design`."""
        _below_nyquist("lowpass: freq_hz", self.freq_hz, sfreq)
        return _butter(self.order, self.freq_hz, "lowpass", sfreq)

    def centre_hz(self, sfreq: float) -> float:
        """See `Design`."""
        return self.freq_hz / 2

    def build(self) -> SosFilter:
        """Make the stage."""
        return SosFilter(self)


class Notch(StageSettings):
    """Notches at a frequency and its harmonics; those from half the rate on are left out.

    The delay stated is that at half the fundamental, where signals of interest lie.
    """

    kind: Literal["notch"] = "notch"
    freq_hz: float = Field(50.0, gt=0, description="line frequency, Hz (50 or 60)")
    harmonics: int = Field(
        1, ge=1, le=20, description="number of notches, the fundamental's included"
    )
    q: float = Field(30.0, gt=0, description="quality: notch frequency / its -3 dB width")

    def design(self, sfreq: float) -> FloatArray:
        """See `Design`."""
        _below_nyquist("notch: freq_hz", self.freq_hz, sfreq)
        frequencies = self.freq_hz * np.arange(1, self.harmonics + 1)
        notches = [iirnotch(f, self.q, sfreq) for f in frequencies[frequencies < sfreq / 2]]
        return np.array([np.concatenate(notch) for notch in notches])

    def centre_hz(self, sfreq: float) -> float:
        """See `Design`."""
        return self.freq_hz / 2

    def build(self) -> SosFilter:
        """Make the stage."""
        return SosFilter(self)


def _below_nyquist(what: str, hz: float, sfreq: float) -> None:
    if hz >= sfreq / 2:
        raise ConfigError(
            f"{what} is {hz:g} Hz, but the stream's sfreq of {sfreq:g} Hz allows only frequencies "
            f"below {sfreq / 2:g} Hz; lower it or leave the stage out"
        )


def _butter(order: int, hz: float | tuple[float, float], kind: Shape, sfreq: float) -> FloatArray:
    return np.ascontiguousarray(butter(order, hz, kind, fs=sfreq, output="sos"))


def group_delay_s(sos: FloatArray, hz: float, sfreq: float) -> float:
    """Group delay at frequency `hz`, seconds: the sum over the sections' polynomials.

    For c(z) = Σ c_k z^-k the delay in samples is Re(Σ k c_k z^-k / Σ c_k z^-k).
    """
    k = np.arange(3)
    z = np.exp(-2j * np.pi * hz / sfreq * k)

    def samples(c: FloatArray) -> float:
        return float(np.sum(((c * k) @ z / (c @ z)).real))

    return (samples(sos[:, :3]) - samples(sos[:, 3:])) / sfreq


# --- the recursion -------------------------------------------------------------------------------


def _public_kernel(sos: FloatArray, x: FloatArray, zi: FloatArray) -> None:
    x[...], zf = sosfilt(sos, x, axis=-1, zi=zi.swapaxes(0, 1))
    zi[...] = zf.swapaxes(0, 1)


def _find_kernel() -> Kernel:
    """SciPy's compiled recursion, called directly where that gives the very same result.

    On a chunk of 20 samples × 64 channels two thirds of `sosfilt`'s time are checks
    and copies of its arguments. The compiled function has no public name, so
    it is compared with `sosfilt` before use.
    """
    try:
        from scipy.signal._sosfilt import _sosfilt as direct
    except ImportError:
        return _public_kernel
    sos = np.concatenate([_butter(2, 0.1, "lowpass", 1.0), _butter(1, 0.05, "highpass", 1.0)])
    x = np.cos(np.arange(33.0)).reshape(3, 11)
    zi = np.ones((3, len(sos), 2))
    expected, expected_zi = x.copy(), zi.copy()
    _public_kernel(sos, expected, expected_zi)
    try:
        direct(sos, x, zi)
    except (TypeError, ValueError):
        return _public_kernel
    same = np.array_equal(x, expected) and np.array_equal(zi, expected_zi)
    kernel: Kernel = direct if same else _public_kernel
    return kernel


_kernel = _find_kernel()


def apply_sos(
    sos: FloatArray, zi: FloatArray, data: SampleArray, columns: Columns | None
) -> FloatArray:
    """Filter a chunk of at least one sample; `zi` is carried on in place.

    Parameters
    ----------
    sos : array, shape (n_sections, 6)
    zi : array, shape (n_filtered, n_sections, 2), contiguous float64
    data : array, shape (n_samples, n_channels)
    columns : array of int, shape (n_filtered,), or None
        Channels to filter; None: all. The others are passed on.

    Returns
    -------
    array, shape (n_samples, n_channels), contiguous float64
    """
    if columns is not None:
        out = np.array(data, np.float64, order="C")
        out[:, columns] = apply_sos(sos, zi, out[:, columns], None)
        return out
    signals = np.array(data.T, np.float64, order="C")  # (n_channels, n_samples), a copy
    _kernel(sos, signals, zi)
    return np.ascontiguousarray(signals.T)


class SosFilter:
    """A filter in second-order sections.

    Attributes
    ----------
    sos : array, shape (n_sections, 6)
        Coefficients, valid after `reset`.
    zi : array, shape (n_filtered, n_sections, 2), or None
        State of each filtered channel; None until the first sample.
    columns : array of int, shape (n_filtered,), or None
        Channels that are filtered; None: all.
    delay_s : float
        Group delay in seconds at the design's `centre_hz`.
    """

    def __init__(self, settings: Design) -> None:
        self._settings = settings
        self.delay_s = 0.0
        self.sos: FloatArray = np.empty((0, 6))
        self.zi: FloatArray | None = None
        self.columns: Columns | None = None
        self._steady: FloatArray = np.empty((0, 2))

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`."""
        self.sos = self._settings.design(info.sfreq)
        self._steady = sosfilt_zi(self.sos)
        self.zi = None
        filtered = [t not in ("stim", "misc") for t in info.ch_types]
        self.columns = None if all(filtered) else np.flatnonzero(filtered)
        centre = self._settings.centre_hz(info.sfreq)
        self.delay_s = group_delay_s(self.sos, centre, info.sfreq)
        return info

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = chunk.data
        if len(data) == 0:
            return Chunk(chunk.start, np.ascontiguousarray(data, np.float64), chunk.flags)
        if self.zi is None:
            first = data[0] if self.columns is None else data[0, self.columns]
            self.zi = self._steady * first.astype(np.float64)[:, None, None]
        return Chunk(chunk.start, apply_sos(self.sos, self.zi, data, self.columns), chunk.flags)
