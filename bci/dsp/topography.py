"""Values at electrodes as a map of the head, seen from above.

Everything that depends on the electrodes alone is done once; a new map is then one
product of a matrix with the values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.types import FloatArray

__all__ = ["HeadMap", "project"]

#: Centre of a head in MNE's head coordinates, metres: Fp1, F7, T7 come to lie on its circle.
CENTRE_M = (0.0, 0.01, 0.03)
#: The map reaches a little beyond the circle of the head, radii.
EDGE = 1.08
#: The map reaches so far from the nearest electrode, radii, or 1.5 times their distances.
REACH = 0.3


def project(positions: Sequence[tuple[float, float, float]]) -> FloatArray:
    """Flatten electrodes by an azimuthal equidistant projection from the vertex.

    Parameters
    ----------
    positions : sequence of (x, y, z)
        Metres, MNE head coordinates: x to the right, y to the nose.

    Returns
    -------
    array, shape (n_electrodes, 2)
        In radii of the head's circle.
    """
    xyz = np.asarray(positions, np.float64).reshape(-1, 3) - CENTRE_M
    polar = np.arctan2(np.hypot(xyz[:, 0], xyz[:, 1]), xyz[:, 2]) / (np.pi / 2)
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0])
    return np.column_stack([polar * np.cos(azimuth), polar * np.sin(azimuth)])


class HeadMap:
    """Interpolates from a set of electrodes to a square grid of pixels.

    Multiquadric radial basis functions through the values, exact at the electrodes.

    Parameters
    ----------
    positions : sequence of (x, y, z)
        Metres, MNE head coordinates.
    n_pixels : int
        Of a side of the map.

    Attributes
    ----------
    xy : array, shape (n_electrodes, 2)
        See `project`.
    inside : array of bool, shape (n_pixels, n_pixels)
        Pixels of the head near an electrode; of others nothing is known.
    matrix : array, shape (n_pixels * n_pixels, n_electrodes)

    Raises
    ------
    ValueError
        Fewer than three electrodes, or two at one place.

    References
    ----------
    Hardy 1971, Journal of Geophysical Research 76(8):1905-1915.
    """

    def __init__(self, positions: Sequence[tuple[float, float, float]], n_pixels: int = 64) -> None:
        self.xy = project(positions)
        if len(self.xy) < 3:
            raise ValueError(f"a map needs at least three electrodes, found {len(self.xy)}")
        apart = np.hypot(*(self.xy[:, None] - self.xy).transpose(2, 0, 1))
        nearest = (apart + np.eye(len(apart)) * 10).min(axis=1)
        if nearest.min() < 1e-6:
            raise ValueError("two electrodes have the same position")
        flat2 = float(np.median(nearest)) ** 2  # rounds off the peaks at the electrodes
        side = np.linspace(-EDGE, EDGE, n_pixels)
        x, y = np.meshgrid(side, -side)  # row 0 is the front
        grid = np.column_stack([x.ravel(), y.ravel()])
        # a constant beside the functions, so that equal values give a map of one value
        system = np.ones((len(apart) + 1, len(apart) + 1))
        system[:-1, :-1] = np.sqrt(apart**2 + flat2)
        system[-1, -1] = 0.0
        far = np.hypot(*(grid[:, None] - self.xy).transpose(2, 0, 1))
        reach = max(REACH, 1.5 * float(np.median(nearest)))
        near = far.min(axis=1).reshape(x.shape) <= reach
        self.inside = near & (np.hypot(x, y) <= EDGE)
        basis = np.column_stack([np.sqrt(far**2 + flat2), np.ones(len(grid))])
        self.matrix: FloatArray = np.ascontiguousarray(np.linalg.solve(system.T, basis.T).T[:, :-1])

    def __call__(self, values: FloatArray) -> FloatArray:
        """Map of shape (n_pixels, n_pixels), row 0 at the nose; NaN where not `inside`."""
        n = len(self.inside)
        image: FloatArray = (self.matrix @ values).reshape(n, n)
        image[~self.inside] = np.nan
        return image
