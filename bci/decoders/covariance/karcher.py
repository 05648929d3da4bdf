"""Riemannian means of many subsets of the same matrices, and all logarithms at each mean.

The mean of a subset is where the logarithms of its matrices sum to zero. Eigenvalue
decompositions are what that costs, so all that one decomposition tells is used:

- The search starts at the geometric mean of the arithmetic and the harmonic mean, which
  takes inverses alone and lies several times nearer than the arithmetic one.
- The logarithms of all matrices at one common point give the step to the mean of *every*
  subset. It is Newton's: the Hessian of half the squared distance to a matrix with
  logarithm ``V diag(l) Vᵀ`` multiplies entry (a, b), in the basis V, by
  ``δ coth δ`` with ``δ = (l_a - l_b) / 2``; conjugate gradients take a few products.
- A short step x needs no new decomposition: by the same operator logarithms become
  ``T - H[x]``, up to terms of second order.

Congedo, Afsari, Barachant & Moakher, PLOS ONE 10(4), e0121423, 2015, have the plain
iteration; the Hessian follows from the differential of the matrix logarithm, see Bhatia,
"Positive Definite Matrices", Princeton, 2007.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.decoders.covariance.eigh import eigh, many_at_once
from bci.types import FloatArray

#: Length of the gradient at which the plain iteration stops (pyRiemann's default).
GRADIENT = 1e-8
#: Means as good as those of the plain iteration with its own tolerance.
STRICT = 1e-7
#: The mean that a decoder keeps: found once, so a last look costs little.
FINAL = 1e-10
#: Means good enough to rank hyper-parameters by.
LOOSE = 0.5
#: A gradient of more than this share of the logarithms' length is far from the mean.
_FAR = 0.1
#: Steps below this share of the logarithms' length shrink by themselves.
_NEAR = 1e-3
_MAX_MOVES = 30
_MAX_PRODUCTS = 50
#: Numbers of one array that a processor's cache holds, beside others.
_AT_ONCE = 1 << 17
#: The same, 1 GiB of them.
_AT_ONCE_ON_GPU = 1 << 27


class SingularCovariance(ValueError):
    """A covariance has no logarithm; says so in words that help."""

    def __init__(self) -> None:
        super().__init__(
            "a covariance is singular: a channel is flat or the sum of others, or the windows are "
            "too short or too smooth; take longer windows, shrinkage 'oas' where it can be chosen, "
            "and a lower order or a longer lag where the covariance is augmented"
        )


@dataclass(frozen=True, slots=True)
class Tangent:
    """All matrices as seen from one point.

    Attributes
    ----------
    whitener : array, shape (d, d)
        Makes the point the identity.
    logs : array, shape (n, d, d)
        Logarithms of the whitened matrices.
    """

    whitener: FloatArray
    logs: FloatArray


def tangents(
    spd: FloatArray, subsets: Sequence[NDArray[np.intp]], tol: float = STRICT
) -> Iterator[Tangent]:
    """For each subset, the logarithms of *all* matrices at the subset's mean.

    Parameters
    ----------
    spd : array, shape (n, d, d)
        Symmetric positive definite.
    subsets : sequence of array of int
        Numbers of the matrices whose mean is wanted.
    tol : float
        The last step's length squared may be so much of the mean length of the
        logarithms: about the relative error of what follows from them.

    Raises
    ------
    SingularCovariance
        A matrix is singular.
    """
    everything = np.unique(np.concatenate(subsets))
    shared = _View(spd, _start(spd[everything]))
    for _ in range(_MAX_MOVES):  # far from all subsets alike: one move serves them all
        if np.linalg.norm(shared.logs[everything].mean(axis=0)) <= _FAR * shared.size:
            break
        shared = shared.beyond(shared.step(everything))
    for subset in subsets:
        view, previous = shared, np.inf
        for _ in range(_MAX_MOVES):
            step = view.step(subset)
            length = float(np.linalg.norm(step))
            # near the mean a step is far shorter than the last, unless it is rounding alone
            rounding = previous / 2 < length < _NEAR * view.size
            if length**2 <= tol * view.size or rounding:
                break
            previous = length
            view = view.beyond(step)
        else:
            raise ValueError(
                f"the Riemannian mean of {len(subset)} covariances was not found in {_MAX_MOVES} "
                "steps; look for windows with artifacts"
            )
        yield view.moved(step)


def whitener_of_mean(spd: FloatArray) -> FloatArray:
    """Make the Riemannian mean of all matrices, shape (n, d, d), the identity."""
    (found,) = tangents(spd, [np.arange(len(spd))], FINAL)
    return found.whitener


def logarithms(spd: FloatArray, whitener: FloatArray) -> FloatArray:
    """Logarithms of whitened matrices, shape (n, d, d).

    Raises
    ------
    SingularCovariance
        A matrix is singular.
    """
    logs = np.empty_like(spd)
    for part in _parts(len(spd), whitener.size):
        logs[part] = logarithms_of(whitener @ spd[part] @ whitener.T)
    return logs


def logarithms_of(whitened: FloatArray) -> FloatArray:
    """Logarithms of matrices, shape (n, d, d), few enough for a processor's cache.

    Raises
    ------
    SingularCovariance
        A matrix is singular.
    """
    values, vectors = _decomposed(whitened)
    logs: FloatArray = (vectors * np.log(values)[:, None, :]) @ vectors.swapaxes(1, 2)
    return logs


class _View:
    """Matrices at a point: logarithms, and what the Hessian needs (in single precision)."""

    def __init__(self, spd: FloatArray, whitener: FloatArray) -> None:
        self._spd = spd
        self.whitener = whitener
        self.logs = np.empty_like(spd)
        self._vectors = np.empty(spd.shape, np.float32)
        self._gains = np.empty(spd.shape, np.float32)
        for part in _parts(len(spd), whitener.size):
            values, vectors = _decomposed(whitener @ spd[part] @ whitener.T)
            l = np.log(values)  # noqa: E741
            self.logs[part] = (vectors * l[:, None, :]) @ vectors.swapaxes(1, 2)
            self._vectors[part] = vectors
            self._gains[part] = _coth_gain((l[:, :, None] - l[:, None, :]) / 2)
        self.size = float(np.sqrt(np.mean(np.sum(self.logs**2, axis=(1, 2)))))

    def _hessians(self, numbers: NDArray[np.intp], direction: FloatArray) -> FloatArray:
        vectors = self._vectors[numbers]
        turned = vectors.swapaxes(1, 2)
        inner = self._gains[numbers] * (turned @ direction.astype(np.float32) @ vectors)
        return np.asarray(vectors @ inner @ turned, np.float64)

    def _hessian(self, subset: NDArray[np.intp], direction: FloatArray) -> FloatArray:
        total: FloatArray = np.zeros_like(direction)
        for part in _parts(len(subset), direction.size):
            total += self._hessians(subset[part], direction).sum(axis=0)
        return total / len(subset)

    def step(self, subset: NDArray[np.intp]) -> FloatArray:
        """Newton's step to the mean of a subset, by conjugate gradients."""
        residual: FloatArray = self.logs[subset].mean(axis=0)
        step = np.zeros_like(residual)
        direction, square = residual, float(np.sum(residual**2))
        # Newton's own error is of higher order in the step: no need to solve far below it
        enough = max(GRADIENT, 1e-3 * square**0.5 * min(1.0, square**0.5 / self.size)) ** 2
        for _ in range(_MAX_PRODUCTS):
            if square <= enough:
                break
            product = self._hessian(subset, direction)
            ratio = square / float(np.sum(direction * product))
            step = step + ratio * direction
            residual = residual - ratio * product
            previous, square = square, float(np.sum(residual**2))
            direction = residual + square / previous * direction
        return step

    def _whitener_beyond(self, step: FloatArray) -> FloatArray:
        values, vectors = np.linalg.eigh(step)
        moved: FloatArray = (vectors * np.exp(-values / 2)) @ vectors.T @ self.whitener
        return moved

    def beyond(self, step: FloatArray) -> _View:
        """The same matrices from a step further on."""
        return _View(self._spd, self._whitener_beyond(step))

    def moved(self, step: FloatArray) -> Tangent:
        """The same matrices from a point nearby, to first order."""
        if not step.any():
            return Tangent(self.whitener, self.logs)
        logs = self.logs.copy()
        for part in _parts(len(logs), step.size):
            logs[part] -= self._hessians(np.arange(len(logs))[part], step)
        return Tangent(self._whitener_beyond(step), logs)


def _start(spd: FloatArray) -> FloatArray:
    """Whitener of the geometric mean of the arithmetic and the harmonic mean."""
    try:
        whitener = np.linalg.inv(np.linalg.cholesky(spd.mean(axis=0)))
        inverse = np.zeros_like(whitener)
        for part in _parts(len(spd), whitener.size):
            inverse += np.linalg.inv(whitener @ spd[part] @ whitener.T).sum(axis=0)
    except np.linalg.LinAlgError as error:
        raise SingularCovariance from error
    inverse /= len(spd)
    values, vectors = np.linalg.eigh((inverse + inverse.T) / 2)
    # no eigenvalue is below 1, but for rounding
    start: FloatArray = (vectors * np.maximum(values, 1.0) ** 0.25) @ vectors.T @ whitener
    return start


def _decomposed(spd: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, vectors = eigh(spd)
    if not np.all(values[:, 0] > 1e-14 * values[:, -1]):
        raise SingularCovariance
    return values, vectors


def _coth_gain(half: FloatArray) -> NDArray[np.float32]:
    """``x coth x``, by its series near zero."""
    x = half.astype(np.float32)
    near = np.abs(x) < 1e-2
    safe = np.where(near, np.float32(1.0), x)
    gain: NDArray[np.float32] = np.where(near, 1 + x**2 / 3, safe / np.tanh(safe))
    return gain


def _parts(n: int, size: int) -> Iterator[slice]:
    """`n` matrices of `size` numbers, as many at once as stay in the cache, or on a GPU."""
    at_once = max(1, (_AT_ONCE_ON_GPU if many_at_once() else _AT_ONCE) // size)
    for first in range(0, n, at_once):
        yield slice(first, first + at_once)
