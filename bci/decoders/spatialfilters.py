"""Spatial filters and orthonormal rows, many at once, at any rank."""

from __future__ import annotations

import numpy as np

from bci.types import FloatArray

#: Directions with less than this part of the strongest one's power carry nothing.
RANK_TOLERANCE = 1e-10


def leading_filters(signal: FloatArray, noise: FloatArray, n_filters: int = 1) -> FloatArray:
    """Filters w of the largest ``wᵀ signal w / wᵀ noise w``, each with ``wᵀ noise w = 1``.

    Directions without power (average reference, a dead channel) are left out;
    where fewer directions than `n_filters` are left, the last filters are 0.

    Parameters
    ----------
    signal, noise : array, shape (..., n_channels, n_channels)
        Symmetric; `noise` positive semidefinite.
    n_filters : int

    Returns
    -------
    array, shape (..., n_channels, n_filters)
    """
    power, directions = np.linalg.eigh(noise)
    kept = power > RANK_TOLERANCE * np.maximum(power[..., -1:], 1e-300)
    whitener = (
        directions * np.where(kept, 1.0 / np.sqrt(np.where(kept, power, 1.0)), 0.0)[..., None, :]
    )
    whitened = whitener.swapaxes(-1, -2) @ signal @ whitener
    # lifted above the directions left out, whose eigenvalues are 0
    lift = 1.0 + 2.0 * np.linalg.norm(whitened, axis=(-2, -1))
    diagonal = np.arange(whitened.shape[-1])
    whitened[..., diagonal, diagonal] += lift[..., None] * kept
    vectors = np.linalg.eigh(whitened)[1]
    filters: FloatArray = whitener @ vectors[..., : -n_filters - 1 : -1]
    return filters


def row_space(X: FloatArray) -> FloatArray:
    """Orthonormal rows that span those of X; where the rank is lower, the last ones are 0.

    X has shape (..., n_channels, n_times) with no fewer samples than channels.
    """
    columns, triangle = np.linalg.qr(X.swapaxes(-1, -2))
    size = np.linalg.svd(triangle, compute_uv=False)
    if (size[..., -1] > RANK_TOLERANCE * size[..., 0]).all():
        rows: FloatArray = columns.swapaxes(-1, -2)
        return rows
    return orthonormal_rows(X)[0]  # which of them carry nothing takes the singular vectors


def orthonormal_rows(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Orthonormal rows V that span those of X, and a matrix A with ``V = Aᵀ X``.

    Where the rank is lower, rows of V and columns of A are 0. X has shape
    (..., n_channels, n_times) with no fewer samples than channels.
    """
    # the singular vectors of X by way of its small triangular factor: faster, no less accurate
    columns, triangle = np.linalg.qr(X.swapaxes(-1, -2))
    left, size, right = np.linalg.svd(triangle)
    kept = size > RANK_TOLERANCE * np.maximum(size[..., :1], 1e-300)
    rows = (left * kept[..., None, :]).swapaxes(-1, -2) @ columns.swapaxes(-1, -2)
    inverse = np.where(kept, 1.0 / np.where(kept, size, 1.0), 0.0)
    return rows, right.swapaxes(-1, -2) * inverse[..., None, :]
