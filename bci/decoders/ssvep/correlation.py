"""Correlations of centred signals."""

from __future__ import annotations

import numpy as np

from bci.types import FloatArray


def cosine(inner: FloatArray, power: FloatArray, other_power: FloatArray) -> FloatArray:
    """``inner / sqrt(power · other_power)``, the correlation of centred signals.

    0 where one of them is flat.
    """
    both = power * other_power
    flat = both <= 0
    found: FloatArray = np.where(flat, 0.0, inner / np.sqrt(np.where(flat, 1.0, both)))
    return found


def correlation(x: FloatArray, y: FloatArray) -> FloatArray:
    """Correlation of centred signals along the last axis."""
    return cosine(np.sum(x * y, axis=-1), np.sum(x * x, axis=-1), np.sum(y * y, axis=-1))


def signed_squares(*correlations: FloatArray) -> FloatArray:
    """``Σ sign(r) r²``."""
    total: FloatArray = np.sum([r * np.abs(r) for r in correlations], axis=0)
    return total
