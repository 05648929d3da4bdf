"""The filter bank of FBCCA, and canonical correlations with sines and cosines.

What follows from parameters or from a window's length is worked out once and
kept; windows, bands and classes then go through batched linear algebra.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import signal

from bci.types import FloatArray


@dataclass(frozen=True)
class FilterBank:
    """Everything that follows from the parameters alone.

    `edges` are (low, high) in Hz; `filters` holds for each band the second-order
    sections and their state for a unit step; `pad` is the odd extension, samples.
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

    Raises
    ------
    ValueError
        Stimulus frequencies or low edges do not fit the sampling rate.
    """
    top = min(high, 0.9 * sfreq / 2)  # a filter needs room below the Nyquist frequency
    lowest, highest = min(frequencies), max(frequencies)
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
        n_harmonics=min(n_harmonics, int(np.ceil(sfreq / 2 / highest)) - 1),
        edges=edges,
        filters=tuple((sos, signal.sosfilt_zi(sos)) for sos in sections),
        weights=np.asarray(n**-1.25 + 0.25, np.float64),
        pad=3 * (2 * len(sections[0]) + 1 - int((sections[0][:, 2] == 0).sum())),
    )


@lru_cache(maxsize=48)
def _references(
    sfreq: float, frequencies: tuple[float, ...], n_harmonics: int, n_times: int
) -> FloatArray:
    """Orthonormal bases of the centred reference signals.

    Shape (n_times, n_classes * 2 n_harmonics), the columns of one class together.
    """
    t = np.arange(n_times) / sfreq
    turns = np.multiply.outer(frequencies, np.arange(1, n_harmonics + 1))  # (class, harmonic), Hz
    phase = 2 * np.pi * turns[:, None, :] * t[:, None]  # (class, time, harmonic)
    signals = np.concatenate([np.sin(phase), np.cos(phase)], axis=2)
    signals -= signals.mean(axis=1, keepdims=True)
    bases = np.linalg.qr(signals)[0]
    return np.ascontiguousarray(np.moveaxis(bases, 0, 1).reshape(n_times, -1))


def _filter(X: FloatArray, bank: FilterBank) -> FloatArray:
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


def canonical_scores(X: FloatArray, bank: FilterBank) -> FloatArray:
    """``Σ a(n) ρ(n, f)²`` of each window and frequency, shape (n_windows, n_classes)."""
    n_windows, _, n_times = X.shape
    _, size, basis = np.linalg.svd(_filter(X, bank), full_matrices=False)
    # directions that carry nothing (average reference, a dead channel) correlate with nothing
    basis = basis * (size > 1e-10 * np.maximum(size[..., :1], 1e-300))[..., None]
    inner = basis @ _references(bank.sfreq, bank.frequencies, bank.n_harmonics, n_times)
    n_basis = inner.shape[2]
    inner = inner.reshape(n_windows, len(bank.edges), n_basis, len(bank.frequencies), -1)
    inner = inner.transpose(0, 1, 3, 2, 4)  # (window, band, class, channel, reference)
    other = inner.swapaxes(-1, -2)
    gram = inner @ other if n_basis <= inner.shape[-1] else other @ inner
    rho_squared = np.linalg.eigvalsh(gram)[..., -1]
    scores: FloatArray = np.einsum("wbk,b->wk", rho_squared, bank.weights)
    return scores
