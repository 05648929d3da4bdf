"""The filter bank that all decoders of steady-state responses share.

What follows from the parameters is worked out once and kept; windows, bands and
channels then go through the filters together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import signal

from bci.types import FloatArray


@dataclass(frozen=True, eq=False)  # `design` gives the same object for the same parameters
class FilterBank:
    """Everything that follows from the parameters alone.

    `edges` are (low, high) in Hz; `filters` holds for each band the second-order
    sections and their state for a unit step; `weights` are ``n^-1.25 + 0.25`` of band
    n; `pad` is the odd extension, samples. Without frequencies there are no harmonics.
    """

    frequencies: tuple[float, ...]
    sfreq: float
    n_harmonics: int
    edges: tuple[tuple[float, float], ...]
    filters: tuple[tuple[FloatArray, FloatArray], ...]
    weights: FloatArray
    pad: int


@lru_cache(maxsize=32)
def design(
    sfreq: float,
    frequencies: tuple[float, ...],
    n_harmonics: int,
    n_bands: int,
    low_edges: tuple[float, ...] | None,
    high: float,
    order: int,
    ripple: float,
) -> FilterBank:
    """Design a filter bank; the parameters are those of `bci.decoders.FBCCA`.

    `frequencies` may be empty: then the low edges are 8n - 2.

    Raises
    ------
    ValueError
        Stimulus frequencies or low edges do not fit the sampling rate.
    """
    top = min(high, 0.9 * sfreq / 2)  # a filter needs room below the Nyquist frequency
    lowest, highest = min(frequencies, default=np.inf), max(frequencies, default=0.0)
    if lowest <= 0 or highest >= top:
        raise ValueError(
            f"stimulus frequencies {lowest:g} to {highest:g} Hz do not fit between 0 Hz and the "
            f"filter bank's upper edge, {top:g} Hz at a sampling rate of {sfreq:g} Hz"
        )
    if low_edges is None:
        step = min(8.0, lowest)
        margin = min(2.0, 0.25 * step)
        low_edges = tuple(n * step - margin for n in range(1, n_bands + 1))
    edges = tuple((low, top) for low in low_edges if low > 0 and low + 4.0 <= top)
    if not edges or min(edges)[0] >= lowest:
        raise ValueError(
            f"the filter bank's first band must start between 0 Hz and the lowest stimulus "
            f"frequency, {lowest:g} Hz, and end at {top:g} Hz; found low edges {low_edges}"
        )
    sections = [signal.cheby1(order, ripple, e, "bandpass", fs=sfreq, output="sos") for e in edges]
    n = np.arange(1, len(edges) + 1)
    return FilterBank(
        frequencies=frequencies,
        sfreq=sfreq,
        # one number for all: more reference signals would by themselves correlate better
        n_harmonics=min(n_harmonics, int(np.ceil(sfreq / 2 / highest)) - 1) if frequencies else 0,
        edges=edges,
        filters=tuple((sos, signal.sosfilt_zi(sos)) for sos in sections),
        weights=np.asarray(n**-1.25 + 0.25, np.float64),
        pad=3 * (2 * len(sections[0]) + 1 - int((sections[0][:, 2] == 0).sum())),
    )


def subbands(X: FloatArray, bank: FilterBank) -> FloatArray:
    """Each band of `X`, zero phase, centred: shape (n_windows, n_bands, n_channels, n_times).

    The same as `scipy.signal.sosfiltfilt`, which would work out the extension
    and the step response anew for each band.
    """
    pad = bank.pad
    head = 2 * X[..., :1] - X[..., pad:0:-1]
    tail = 2 * X[..., -1:] - X[..., -2 : -pad - 2 : -1]
    extended = np.concatenate([head, X, tail], axis=-1)
    out = np.empty((len(X), len(bank.filters), *X.shape[1:]))
    for band, (sos, step) in enumerate(bank.filters):
        zi = step[:, None, None, :]
        forth, _ = signal.sosfilt(sos, extended, zi=zi * extended[..., :1])
        back, _ = signal.sosfilt(sos, forth[..., ::-1], zi=zi * forth[..., -1:])
        out[:, band] = back[..., ::-1][..., pad:-pad]
    out -= out.mean(axis=-1, keepdims=True)
    return out
