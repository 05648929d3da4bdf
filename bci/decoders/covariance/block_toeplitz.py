"""Geometry of block-Toeplitz covariances: one covariance and a row of partial correlations.

Carrara & Papadopoulo, "Enhancing computational efficiency of motor imagery BCI classification
with block-Toeplitz augmented covariance matrices and Siegel metric", arXiv 2406.16909, 2024.
Here both factors of the distance are squared, and blocks are shrunk where their average
is the covariance of no signal.

A stationary signal's augmented covariance has equal blocks R_l along each block diagonal.
It is the same to know R_0 and, for each delay l, the correlation Ω_l of the first and the last
copy given those between (the matrix form of Verblunsky coefficients). R_0 is any positive
definite matrix, and Ω_l any matrix whose singular values are below 1: the Siegel disk. The
squared distance is ``p d²(R_0) + Σ (p - l) d²(Ω_l)``, with squares in both factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.decoders.covariance.karcher import logarithms, whitener_of_mean
from bci.types import FloatArray

#: Least eigenvalue of a block-Toeplitz matrix whose blocks R_0 are the identity. Averaged
#: blocks can fall below, even below zero; delayed blocks are then shrunk until they do not.
GUARD = 1e-6
_TOL = 1e-8
_MAX_STEPS = 50


@dataclass(frozen=True, slots=True)
class Toeplitz:
    """Block-Toeplitz covariances in the coordinates in which they have a simple distance.

    Attributes
    ----------
    power : array, shape (n, C, C)
        R_0.
    partial : array, shape (n, order - 1, C, C)
        Ω_1 … of real matrices; singular values below 1.
    """

    power: FloatArray
    partial: FloatArray

    @property
    def order(self) -> int:
        """Number of delayed copies, the undelayed one included."""
        return int(self.partial.shape[1]) + 1

    def __getitem__(self, chosen: NDArray[np.intp]) -> Toeplitz:
        return Toeplitz(self.power[chosen], self.partial[chosen])


def average_blocks(covariances: FloatArray, order: int) -> FloatArray:
    """Mean of the blocks of each block diagonal, shape (n, order, C, C), delay 0 first."""
    n, size = len(covariances), covariances.shape[1] // order
    blocks = covariances.reshape(n, order, size, order, size)
    rows = [
        np.mean([blocks[:, i, :, i + delay] for i in range(order - delay)], axis=0)
        for delay in range(order)
    ]
    found = np.stack(rows, axis=1)
    found[:, 0] = (found[:, 0] + found[:, 0].swapaxes(1, 2)) / 2
    return found


def block_toeplitz(blocks: FloatArray) -> FloatArray:
    """Whole matrices from their first block rows, shape (n, order·C, order·C)."""
    n, order, size, _ = blocks.shape
    whole = np.empty((n, order, size, order, size))
    for i in range(order):
        for j in range(i, order):
            whole[:, i, :, j] = blocks[:, j - i]
            whole[:, j, :, i] = blocks[:, j - i].swapaxes(1, 2)
    return whole.reshape(n, order * size, order * size)


def guarded(blocks: FloatArray) -> FloatArray:
    """First block rows, delayed blocks shrunk where the whole would not be positive definite."""
    order = blocks.shape[1]
    root = _power(blocks[:, 0], -0.5)[:, None]
    lowest = np.linalg.eigvalsh(block_toeplitz(root @ blocks @ root))[:, 0]
    share = np.clip((GUARD - lowest) / (1.0 - np.minimum(lowest, 0.5)), 0.0, 1.0)
    factor = np.ones((len(blocks), order))
    factor[:, 1:] = (1.0 - share)[:, None]
    shrunk: FloatArray = blocks * factor[..., None, None]
    return shrunk


def coordinates(covariances: FloatArray, order: int) -> Toeplitz:
    """Augmented covariances, shape (n, order·C, order·C), made block-Toeplitz.

    Raises
    ------
    ValueError
        A covariance of the channels is singular.
    """
    blocks = guarded(average_blocks(covariances, order))
    n, _, size, _ = blocks.shape
    whole = block_toeplitz(blocks)
    partial = np.empty((n, order - 1, size, size))
    for delay in range(order - 1):
        left, right, known = _conditional(whole, blocks, delay)
        rest = blocks[:, delay + 1] - known
        partial[:, delay] = _power(left, -0.5) @ rest @ _power(right, -0.5)
    return Toeplitz(blocks[:, 0], partial)


def blocks_of(toeplitz: Toeplitz) -> FloatArray:
    """First block rows, shape (n, order, C, C), back from the coordinates."""
    blocks = toeplitz.power[:, None]
    for delay in range(toeplitz.order - 1):
        left, right, known = _conditional(block_toeplitz(blocks), blocks, delay)
        new = known + _power(left, 0.5) @ toeplitz.partial[:, delay] @ _power(right, 0.5)
        blocks = np.concatenate([blocks, new[:, None]], axis=1)
    return blocks


def _conditional(
    whole: FloatArray, blocks: FloatArray, delay: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of the first and the last of ``delay + 2`` copies, what those between tell.

    Covariances of the first and of the last given the copies between, and the
    covariance between them that follows from those copies.
    """
    power = blocks[:, 0]
    if delay == 0:
        return power, power, np.zeros_like(power)
    n, _, size, _ = blocks.shape
    between = whole[:, : delay * size, : delay * size]
    first = blocks[:, 1 : delay + 1].swapaxes(1, 2).reshape(n, size, -1)
    back = blocks[:, delay:0:-1].swapaxes(2, 3)
    last = back.swapaxes(1, 2).reshape(n, size, -1)
    solved = np.linalg.solve(between, np.concatenate([first, last], axis=1).swapaxes(1, 2))
    to_first, to_last = solved[..., :size], solved[..., size:]
    return power - first @ to_first, power - last @ to_last, first @ to_last


def _power(spd: FloatArray, exponent: float) -> FloatArray:
    values, vectors = np.linalg.eigh(spd)
    if not np.all(values[..., 0] > 0):
        raise ValueError(
            "the covariance of a window is singular: a channel is flat or the sum of others, or "
            "the window is too short for this order and lag"
        )
    power: FloatArray = (vectors * values[..., None, :] ** exponent) @ vectors.swapaxes(-1, -2)
    return power


# --- the Siegel disk -------------------------------------------------------------------------


def to_origin(points: FloatArray, origin: FloatArray) -> FloatArray:
    """Isometry of the disk, by which `origin` comes to zero; shapes (..., C, C)."""
    eye = np.eye(origin.shape[-1])
    turned = origin.swapaxes(-1, -2)
    left, right = eye - origin @ turned, eye - turned @ origin
    moved = (points - origin) @ np.linalg.inv(eye - turned @ points)
    return _power(left, -0.5) @ moved @ _power(right, 0.5)


def from_origin(points: FloatArray, origin: FloatArray) -> FloatArray:
    """Inverse of `to_origin`."""
    eye = np.eye(origin.shape[-1])
    turned = origin.swapaxes(-1, -2)
    left, right = eye - origin @ turned, eye - turned @ origin
    w = _power(left, 0.5) @ points @ _power(right, -0.5)
    return np.asarray(np.linalg.solve(eye + w @ turned, w + origin))


def siegel_logarithms(points: FloatArray, origin: FloatArray) -> FloatArray:
    """Tangent vectors at `origin` that lead to points; their length is the distance."""
    u, values, v = np.linalg.svd(to_origin(points, origin))
    inside = np.minimum(values, 1.0 - 1e-15)
    tangent: FloatArray = (u * np.arctanh(inside)[..., None, :]) @ v
    return tangent


def siegel_exponential(tangent: FloatArray, origin: FloatArray) -> FloatArray:
    """Point to which a tangent vector at `origin` leads."""
    u, values, v = np.linalg.svd(tangent)
    return from_origin((u * np.tanh(values)[..., None, :]) @ v, origin)


def siegel_mean(points: FloatArray) -> FloatArray:
    """Riemannian mean of points, shape (n, C, C), by gradient descent.

    Steps are whole ones, halved where the gradient grows.
    """
    mean: FloatArray = points.mean(axis=0)
    step, previous = 1.0, np.inf
    for _ in range(_MAX_STEPS):
        gradient = siegel_logarithms(points, mean).mean(axis=0)
        length = float(np.linalg.norm(gradient))
        if length <= _TOL:
            break
        mean = siegel_exponential(step * gradient, mean)
        if length >= previous:
            step /= 2
        previous = length
    return mean


# --- both together ---------------------------------------------------------------------------


def mean_of(toeplitz: Toeplitz) -> Toeplitz:
    """Riemannian mean, as one matrix (n = 1)."""
    inverse = np.linalg.inv(whitener_of_mean(toeplitz.power))
    partial = [siegel_mean(toeplitz.partial[:, k]) for k in range(toeplitz.order - 1)]
    size = inverse.shape[0]
    return Toeplitz(
        (inverse @ inverse.T)[None], np.reshape(partial, (1, toeplitz.order - 1, size, size))
    )


def tangent_vectors(toeplitz: Toeplitz, mean: Toeplitz) -> FloatArray:
    """Vectors, shape (n, order·C²), whose lengths are distances from `mean`."""
    n, order = len(toeplitz.power), toeplitz.order
    logs = logarithms(toeplitz.power, _power(mean.power[0], -0.5))
    parts = [np.sqrt(order) * logs.reshape(n, -1)]
    for k in range(order - 1):
        logs = siegel_logarithms(toeplitz.partial[:, k], mean.partial[0, k])
        parts.append(np.sqrt(order - 1 - k) * logs.reshape(n, -1))
    return np.concatenate(parts, axis=1)


def distances_squared(toeplitz: Toeplitz, mean: Toeplitz) -> FloatArray:
    """Squared distance of each matrix from `mean`, shape (n,)."""
    squares: FloatArray = np.sum(tangent_vectors(toeplitz, mean) ** 2, axis=1)
    return squares
