"""Features of covariances that all weigh alike: whitened directions of the tangent space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from bci.decoders.covariance.alignment import whitener_of
from bci.decoders.covariance.estimation import log_spd
from bci.types import FloatArray


@dataclass(frozen=True, slots=True)
class TangentFeatures:
    """Principal directions of the tangent space at the mean of training covariances.

    Attributes
    ----------
    whitener : array, shape (r, r)
        Inverse square root of the Riemannian mean.
    directions : array, shape (r, r, n_features)
        Those of the largest variance; in training features have mean 0 and variance 1.
    offset : array, shape (n_features,)
        What is subtracted to that end.
    typical_distance : float
        Median Riemannian distance of a training covariance from the mean.
    """

    whitener: FloatArray = field(repr=False)
    directions: FloatArray = field(repr=False)
    offset: FloatArray = field(repr=False)
    typical_distance: float

    @classmethod
    def of(cls, covariances: FloatArray, n_features: int) -> Self:
        """Learn from covariances of full rank, shape (n, r, r)."""
        whitener = whitener_of(covariances, "riemann")
        logs = log_spd(whitener @ covariances @ whitener)
        (n, r, _), flat = logs.shape, logs.reshape(len(logs), -1)
        centre = flat.mean(axis=0)
        _, size, rows = np.linalg.svd(flat - centre, full_matrices=False)
        kept = min(n_features, r * (r + 1) // 2, int((size > 1e-10 * size[0]).sum()))
        directions = rows[:kept].T * (np.sqrt(n) / size[:kept])
        return cls(
            whitener,
            np.ascontiguousarray(directions.reshape(r, r, kept)),
            centre @ directions,
            float(np.median(_length(logs))),
        )

    @property
    def n_features(self) -> int:
        """How many there are."""
        return len(self.offset)

    def __call__(self, covariances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Features, shape (n, n_features), and distances in those of a typical covariance, (n,)."""
        logs = log_spd(self.whitener @ covariances @ self.whitener)
        features = np.tensordot(logs, self.directions, 2) - self.offset
        return features, _length(logs) / self.typical_distance

    def state(self) -> dict[str, FloatArray]:
        """Return all of it as arrays."""
        return {
            "whitener": self.whitener,
            "directions": self.directions,
            "offset": self.offset,
            "typical_distance": np.array([self.typical_distance]),
        }

    @classmethod
    def restored(cls, state: Mapping[str, FloatArray]) -> Self:
        """Make what gave the state."""
        typical = float(state["typical_distance"][0])
        return cls(state["whitener"], state["directions"], state["offset"], typical)


def _length(logs: FloatArray) -> FloatArray:
    """Riemannian distance from the mean of covariances whose logarithms these are."""
    lengths: FloatArray = np.sqrt(np.sum(logs**2, axis=(-2, -1)))
    return lengths
