"""Covariances of windows, from samples or from block sums, with shrinkage.

Shrinkage is the oracle approximating one (OAS) of Chen, Wiesel, Eldar & Hero,
IEEE Trans Signal Process 58(10), 5016-5029, 2010, doi:10.1109/TSP.2010.2053029,
in the form that scikit-learn gives it; it is worked out from the covariance
alone, so that block sums are enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.types import FloatArray, Moments


def sample_covariances(X: FloatArray) -> FloatArray:
    """Covariance of each window (mean removed, divided by n_times).

    Shape (n_windows, n_channels, n_times) in, (n_windows, n_channels, n_channels) out.
    """
    centred = X - X.mean(axis=2, keepdims=True)
    covariances: FloatArray = centred @ centred.swapaxes(1, 2) / X.shape[2]
    return covariances


def covariance_of(moments: Moments, ddof: int = 0) -> FloatArray:
    """Covariance of one window from its sums, divided by ``n_times - ddof``.

    Shape (n_channels, n_channels).
    """
    n = moments.n_times
    covariance: FloatArray = moments.second / (n - ddof)
    covariance -= moments.first[:, None] * (moments.first / (n * (n - ddof)))
    return covariance


def oas(covariances: FloatArray, n_times: int) -> FloatArray:
    """Covariances shrunk towards ``trace/p · I``; shape (..., p, p) in and out.

    With ``α = mean(S²)`` and ``μ = trace(S)/p`` the share of the identity is
    ``(α + μ²) / ((n + 1) (α - μ²/p))``, at most 1.
    """
    p = covariances.shape[-1]
    alpha = np.mean(covariances**2, axis=(-2, -1))
    mu = np.trace(covariances, axis1=-2, axis2=-1) / p
    denominator = (n_times + 1) * (alpha - mu**2 / p)
    flat = denominator <= 0  # a multiple of the identity already
    share = np.minimum((alpha + mu**2) / np.where(flat, 1.0, denominator), 1.0)
    share = np.where(flat, 1.0, share)
    shrunk: FloatArray = (1.0 - share)[..., None, None] * covariances
    diagonal = np.arange(p)
    shrunk[..., diagonal, diagonal] += (share * mu)[..., None]
    return shrunk


def signal_subspace(
    covariance: FloatArray, rank: int | None = None, tolerance: float = 1e-10
) -> FloatArray | None:
    """Orthonormal basis of what a covariance spans, shape (n_channels, r).

    None where that is everything, so that full-rank data are not rotated.

    Parameters
    ----------
    covariance : array, shape (n_channels, n_channels)
    rank : int or None
        Keep at most this many directions.
    tolerance : float
        Directions with less than this share of the largest eigenvalue are left
        out: an average reference leaves one with about 1e-16.
    """
    n_channels = len(covariance)
    values, vectors = np.linalg.eigh(covariance)
    kept = int((values > tolerance * max(values[-1], 0.0)).sum())
    if rank is not None:
        kept = min(kept, rank)
    if kept == n_channels:
        return None
    return np.ascontiguousarray(vectors[:, n_channels - kept :])


def checked_eigenvalues(eigenvalues: NDArray[Any]) -> NDArray[Any]:
    """Eigenvalues (ascending along the last axis), all well above rounding.

    Raises
    ------
    ValueError
        A window's covariance is singular: a channel is flat or a copy, or the
        window is too short.
    """
    if not np.all(eigenvalues[..., 0] > 1e-14 * eigenvalues[..., -1]):
        raise ValueError(
            "the covariance of a window is singular: a channel is flat or the sum of others, or "
            "the window has fewer samples than channels; use shrinkage 'oas' or longer windows"
        )
    return eigenvalues


def inverse_root(spd: FloatArray) -> FloatArray:
    """Symmetric inverse square root, shape (..., p, p) in and out; errors as above."""
    values, vectors = np.linalg.eigh(spd)
    root: FloatArray = (
        vectors / np.sqrt(checked_eigenvalues(values))[..., None, :]
    ) @ vectors.swapaxes(-1, -2)
    return root


def log_spd(spd: FloatArray) -> FloatArray:
    """Matrix logarithm, shape (..., p, p) in and out; errors as `checked_eigenvalues`."""
    values, vectors = np.linalg.eigh(spd)
    logs: FloatArray = (
        vectors * np.log(checked_eigenvalues(values))[..., None, :]
    ) @ vectors.swapaxes(-1, -2)
    return logs


def triangles(matrices: FloatArray) -> FloatArray:
    """Upper triangles of symmetric matrices, off-diagonal entries times √2, as in pyRiemann.

    Shape (n, p, p) in, (n, p·(p + 1)/2) out; inner products are those of the matrices.
    """
    rows, columns = np.triu_indices(matrices.shape[-1])
    packed: FloatArray = np.ascontiguousarray(matrices[:, rows, columns])
    packed[:, rows != columns] *= np.sqrt(2.0)
    return packed


def symmetric(coefficients: FloatArray, size: int) -> FloatArray:
    """Weights on the upper triangle (off-diagonal ones times √2) as symmetric matrices.

    ``sum(weights * S)`` is then the weighted sum over pyRiemann's features of S.
    """
    rows, columns = np.triu_indices(size)
    scale = np.where(rows == columns, 1.0, np.sqrt(0.5))
    weights = np.zeros((len(coefficients), size, size))
    weights[:, rows, columns] = coefficients * scale
    weights[:, columns, rows] = coefficients * scale
    return weights
