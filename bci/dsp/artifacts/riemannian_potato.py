"""The Riemannian potato: how far a covariance lies from those of clean signal.

References
----------
Barachant, Andreev & Congedo, TOBI Workshop IV, 19, 2013 (hal-00781701); Barthélemy, Mayaud,
Ojeda & Congedo, IEEE TNSRE 27, 244, 2019, doi:10.1109/TNSRE.2019.2893113 (field of potatoes,
and how they adapt). Karcher mean: Moakher, SIAM J. Matrix Anal. Appl. 26, 735, 2005.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from bci.types import FloatArray

#: Least standard deviation of log distances.
MIN_STD = 1e-3


class Potato:
    """A centroid, and how the log of the distance to it is distributed over clean signal.

    Distances are affine-invariant. pyRiemann's `Potato.partial_fit` (its issue 317) reduces
    the new matrices to their mean and measures the distance of that one, after it has moved
    the centroid towards it: distances then come out short by the factor 1 - alpha, and so do
    their mean and spread, until clean signal is rejected. Here each matrix counts by itself,
    with its distance to the centroid that it was judged by.

    Attributes
    ----------
    centroid : array, shape (n, n)
    mean, std : float
        Of the log distance.
    """

    def __init__(self, centroid: FloatArray, mean: float, std: float) -> None:
        self.centroid = centroid
        self.mean = mean
        self.std = std
        self._log: float = mean  # log distance of the matrix judged last, and what moves there
        self._values: FloatArray = np.ones(len(centroid))
        self._vectors: FloatArray = np.eye(len(centroid))

    def z(self, covariance: FloatArray) -> float:
        """Standard score of the log distance of a positive definite matrix."""
        # C V = P V Λ and Vᵀ P V = I: distance and geodesic follow from one decomposition
        self._values, self._vectors = eigh(covariance, self.centroid)
        self._log = float(np.log(np.linalg.norm(np.log(self._values))))
        return (self._log - self.mean) / self.std

    def update(self, alpha: float) -> None:
        """Move towards the matrix judged last, which was found clean, by the share `alpha`."""
        off = self._log - self.mean
        self.mean += alpha * off
        self.std = max(float(np.sqrt((1 - alpha) * (self.std**2 + alpha * off**2))), MIN_STD)
        roots = self.centroid @ self._vectors * self._values ** (alpha / 2)
        self.centroid = roots @ roots.T


def fit(covariances: FloatArray, threshold: float) -> tuple[Potato, NDArray[np.bool_]]:
    """Fit a potato, leaving out what lies outside it until nothing more does.

    Parameters
    ----------
    covariances : array, shape (n_matrices, n, n)
        Positive definite.
    threshold : float
        z from which on a matrix lies outside.

    Returns
    -------
    potato : Potato
    kept : array of bool, shape (n_matrices,)
        The matrices that it was fitted to.
    """
    kept = np.ones(len(covariances), bool)
    centroid = covariances.mean(axis=0)
    while True:
        centroid = karcher_mean(covariances[kept], centroid)
        log = np.log(_distances(covariances[kept], centroid))
        mean, std = float(np.mean(log)), max(float(np.std(log)), MIN_STD)
        inside = (log - mean) / std < threshold
        if inside.all():
            return Potato(centroid, mean, std), kept
        kept[kept] = inside


def karcher_mean(
    covariances: FloatArray, start: FloatArray, tolerance: float = 1e-9, max_iterations: int = 100
) -> FloatArray:
    """Affine-invariant mean of positive definite matrices, sought from `start` on."""
    mean = start
    for _ in range(max_iterations):
        root, inverse = _roots(mean)
        values, vectors = np.linalg.eigh(inverse @ covariances @ inverse)
        logs = (vectors * np.log(values)[:, None, :]) @ vectors.swapaxes(1, 2)
        tangent = logs.mean(axis=0)
        values, vectors = np.linalg.eigh(tangent)
        half = root @ vectors * np.exp(values / 2)
        mean = half @ half.T
        if np.linalg.norm(tangent) < tolerance:
            break
    return mean


def _distances(covariances: FloatArray, centroid: FloatArray) -> FloatArray:
    """Affine-invariant distance of each matrix to the centroid."""
    _, inverse = _roots(centroid)
    values = np.linalg.eigvalsh(inverse @ covariances @ inverse)
    distances: FloatArray = np.linalg.norm(np.log(values), axis=1)
    return distances


def _roots(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Symmetric square root and its inverse."""
    values, vectors = np.linalg.eigh(matrix)
    root = np.sqrt(values)
    return vectors * root @ vectors.T, vectors / root @ vectors.T
