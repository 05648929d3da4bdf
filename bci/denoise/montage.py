"""Any montage and rate on the channels and rate that a denoiser was trained on, and back.

A denoiser of 30 channels knows 30 places on the head. A montage of more channels is laid on
them several times, in groups: each channel is cleaned in exactly one group, at the place
nearest to it that is still free, those of the template's own names at their own place in the
first group. Places that are left over in a group are filled from the channels around them,
and what the denoiser makes of these is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.signal import resample_poly

from bci.electrodes import Position, canonical, in_montage
from bci.errors import ConfigError
from bci.types import FloatArray

#: The 30 channels of ART (Chuang et al. 2025) in their order, T3, T4, T5, T6 by their new names.
TEMPLATE = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "FT7", "FC3", "FCz", "FC4", "FT8", "T7", "C3", "Cz",
    "C4", "T8", "TP7", "CP3", "CPz", "CP4", "TP8", "P7", "P3", "Pz", "P4", "P8", "O1", "Oz", "O2",
)  # fmt: skip
#: How many channels around a place fill it, and how far away they may be, metres.
N_NEIGHBOURS, REACH = 4, 0.08


@dataclass(frozen=True, slots=True)
class MontageMap:
    """Which channel stands where; made by `map_montage`.

    Attributes
    ----------
    ch_names, template : tuple of str
        Channels of the montage, and places they are laid on.
    weights : array, shape (n_groups, n_places, n_channels)
        What each place of each group gets of each channel.
    group, place : array of int, shape (n_channels,)
        Where each channel is cleaned.
    filled : tuple of str
        Places of the first group that have no channel of their own.
    """

    ch_names: tuple[str, ...]
    template: tuple[str, ...]
    weights: FloatArray = field(repr=False)
    group: NDArray[np.intp] = field(repr=False)
    place: NDArray[np.intp] = field(repr=False)
    filled: tuple[str, ...]

    @property
    def n_groups(self) -> int:
        """How often the montage is laid on the template."""
        return len(self.weights)

    def to_template(self, x: FloatArray) -> FloatArray:
        """From (n_channels, n_times) to (n_groups, n_places, n_times)."""
        laid: FloatArray = self.weights @ x
        return laid

    def from_template(self, y: FloatArray) -> FloatArray:
        """From (n_groups, n_places, n_times) back to (n_channels, n_times)."""
        return y[self.group, self.place]


def map_montage(
    ch_names: Sequence[str],
    template: Sequence[str] = TEMPLATE,
    *,
    positions: Mapping[str, Position] | None = None,
    missing: Literal["neighbours", "zeros"] = "neighbours",
) -> MontageMap:
    """Lay channels on a template.

    Parameters
    ----------
    ch_names : sequence of str
        Labels as in `bci.electrodes` ("T3" is T7, "FP1" is Fp1).
    template : sequence of str
        Places, labels of the 10-05 system.
    positions : mapping of str to (x, y, z), optional
        Where channels are whose label is no electrode's, metres, MNE head coordinates.
    missing : "neighbours" or "zeros"
        What a place without a channel gets: the mean of the channels near it (zeros where
        none is within 8 cm), or zeros.

    Raises
    ------
    ConfigError
        There is no channel, one is there twice, or nobody knows where one is.
    """
    names = [canonical(name) for name in ch_names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        found = f"{', '.join(twice)} more than once" if twice else "none"
        raise ConfigError(f"a montage needs channels, each once; found {found}")
    spots = [canonical(name) for name in template]
    where = _positions(ch_names, positions or {})
    places = _positions(spots, {})
    far = np.linalg.norm(places[:, None] - where, axis=2)  # (n_places, n_channels)
    cost = far.copy()
    for k, name in enumerate(names):
        if name in spots:  # its own place comes before any other's wish
            cost[spots.index(name), k] = -1e3
    group, place = np.full(len(names), -1), np.full(len(names), -1)
    n_groups = -(-len(names) // len(spots))
    for g in range(n_groups):
        free = np.flatnonzero(group < 0)
        rows, columns = linear_sum_assignment(cost[:, free])
        group[free[columns]], place[free[columns]] = g, rows
    weights = np.zeros((n_groups, len(spots), len(names)))
    weights[group, place, np.arange(len(names))] = 1.0
    empty = weights.sum(axis=2) == 0
    if missing == "neighbours":
        around = _neighbours(far)
        weights[empty] = np.broadcast_to(around, weights.shape)[empty]
    filled = tuple(spots[i] for i in np.flatnonzero(empty[0]))
    return MontageMap(tuple(ch_names), tuple(spots), weights, group, place, filled)


def _positions(names: Sequence[str], known: Mapping[str, Position]) -> FloatArray:
    """Where channels are, shape (n_channels, 3)."""
    found = [known.get(name) or in_montage(name, "standard_1005") for name in names]
    lost = [name for name, spot in zip(names, found, strict=True) if spot is None]
    if lost:
        raise ConfigError(
            f"{', '.join(lost)}: no electrode of the 10-05 system, so that a denoiser of several "
            "channels cannot know where it is; rename it (channels.rename) or leave it out"
        )
    return np.array(found, np.float64)


def _neighbours(far: FloatArray) -> FloatArray:
    """Weights of the channels that fill a place, shape (n_places, n_channels)."""
    weights = np.zeros(far.shape)
    for row, distance in zip(weights, far, strict=True):
        near = np.argsort(distance, kind="stable")[:N_NEIGHBOURS]
        near = near[distance[near] <= REACH]
        if len(near) and distance[near[0]] < 1e-6:
            near = near[:1]  # the channel of that very place
        row[near] = 1.0 / max(len(near), 1)
    return weights


def resampled(x: FloatArray, ratio: Fraction, n_times: int) -> FloatArray:
    """Give a window at `ratio` times its rate, `n_times` samples of it from its start.

    Polyphase, without delay, for any ratio; beyond the window the signal is taken to go on
    along the line through its first and last sample.

    Parameters
    ----------
    x : array, shape (..., n)
    ratio : Fraction
    n_times : int
        At most ``ceil(n * ratio)``.
    """
    if ratio == 1:
        return x[..., :n_times]
    made: FloatArray = resample_poly(x, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
    return made[..., :n_times]
