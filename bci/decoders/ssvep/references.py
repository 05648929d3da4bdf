"""Sines and cosines of the stimulus frequencies and their harmonics.

All are centred, as windows are: then a correlation is a cosine.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bci.decoders.ssvep.filterbank import FilterBank
from bci.types import FloatArray


def reference_signals(
    bank: FilterBank, n_times: int, phases: tuple[float, ...] | None = None
) -> FloatArray:
    """``sin(2π h f t + h φ)`` of all harmonics h, then the cosines, centred.

    Parameters
    ----------
    bank : FilterBank
    n_times : int
    phases : tuple of float or None
        φ of each class, radians; None: all 0.

    Returns
    -------
    array, shape (n_classes, n_times, 2 n_harmonics)
    """
    t = np.arange(n_times) / bank.sfreq
    harmonics = np.arange(1, bank.n_harmonics + 1)
    turns = np.multiply.outer(bank.frequencies, harmonics)  # (class, harmonic), Hz
    angle = 2 * np.pi * turns[:, None, :] * t[:, None]  # (class, time, harmonic)
    if phases is not None:
        angle += np.multiply.outer(phases, harmonics)[:, None, :]
    signals = np.concatenate([np.sin(angle), np.cos(angle)], axis=2)
    signals -= signals.mean(axis=1, keepdims=True)
    return signals


@lru_cache(maxsize=48)
def reference_bases(bank: FilterBank, n_times: int) -> FloatArray:
    """Orthonormal bases Q of the reference signals, shape (n_classes, n_times, 2 n_harmonics).

    ``X Q Qᵀ`` is the part of X that the sines and cosines of a class explain.
    """
    return np.linalg.qr(reference_signals(bank, n_times))[0]


@lru_cache(maxsize=48)
def joint_bases(bank: FilterBank, n_times: int) -> FloatArray:
    """The same side by side, shape (n_times, n_classes * 2 n_harmonics): one product for all."""
    bases = np.moveaxis(reference_bases(bank, n_times), 0, 1)
    return np.ascontiguousarray(bases.reshape(n_times, -1))


def neighbourhoods(frequencies: tuple[float, ...], n_neighbours: int) -> NDArray[np.bool_]:
    """Which classes are pooled for each class, shape (n_classes, n_classes).

    A class and the `n_neighbours` next to it in the order of frequencies, equally
    many on either side as far as the ends allow.
    """
    n_classes = len(frequencies)
    size = min(n_neighbours + 1, n_classes)
    order = np.argsort(frequencies)
    first = np.clip(np.arange(n_classes) - n_neighbours // 2, 0, n_classes - size)
    pooled = np.zeros((n_classes, n_classes), bool)
    for rank, start in enumerate(first):
        pooled[order[rank], order[start : start + size]] = True
    return pooled
