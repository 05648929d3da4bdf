"""Order and lag from the dynamics of the signal: maximising derivatives on projection (MDOP).

Nichkawde, "Optimal state-space reconstruction using derivatives on projected manifold",
Phys Rev E 87, 022905, 2013, doi:10.1103/PhysRevE.87.022905; the end is decided by the false
nearest neighbours of Kennel, Brown & Abarbanel, Phys Rev A 45, 3403, 1992; the first
minimum of mutual information is due to Fraser & Swinney, Phys Rev A 33, 1134, 1986. Averaged
over windows as in Carrara & Papadopoulo, arXiv 2302.04508, 2023.

A signal x is embedded with delay 0 first. The next delay is the one along which nearest
neighbours of the present embedding part fastest: it maximises the mean logarithm of
``|x(i - τ) - x(j - τ)| / ‖v(i) - v(j)‖`` over points i and their nearest neighbours j.
Neighbours in time, closer than the Theiler window, do not count.

Choices that the papers leave open: mutual information comes from 16 × 16 bins with equally
many samples each; channels are embedded one by one; an embedding is complete when at most
5 % of neighbours are false (the new delay adds more than `RATIO` times their distance); the
number of delays, delay 0 included, and their mean without delay 0, are averaged over
channels and windows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci.types import FloatArray

N_BINS = 16
#: A neighbour is false if the new coordinate adds so many times its distance.
RATIO = 2.0
#: An embedding is complete when no more neighbours than this share are false.
FALSE_SHARE = 0.05
#: Delays of one channel, at most.
MAX_DELAYS = 10
#: Windows, evenly spread over those that are given; an average needs no more.
MAX_WINDOWS = 20
#: Points of a signal whose neighbours are sought, at most; they are compared pair by pair.
MAX_POINTS = 500


def embedding_of(X: FloatArray, max_delay: int = 30) -> tuple[int, int]:
    """Order and lag that suit windows, shape (n_windows, n_channels, n_times), on average.

    Parameters
    ----------
    X : array
        Training windows. Labels play no part.
    max_delay : int
        Longest delay, samples.
    """
    numbers, means = [], []
    spread = np.unique(np.linspace(0, len(X) - 1, min(len(X), MAX_WINDOWS)).astype(int))
    for window in X[spread]:
        theiler = max(first_minimum(auto_mutual_information(x, max_delay)) for x in window)
        for x in window:
            delays = mdop_delays(x, theiler, max_delay)
            numbers.append(len(delays))
            means += [np.mean(delays[1:])] if len(delays) > 1 else []
    return round(float(np.mean(numbers))), max(1, round(float(np.mean(means)))) if means else 1


def auto_mutual_information(x: FloatArray, max_lag: int) -> FloatArray:
    """Mutual information, nats, of a signal and itself 0 … `max_lag` samples later."""
    n = len(x)
    bins = (np.argsort(np.argsort(x, kind="stable"), kind="stable") * N_BINS) // n
    found = np.empty(min(max_lag, n - 2) + 1)
    for lag in range(len(found)):
        pairs = bins[: n - lag] * N_BINS + bins[lag:]
        joint = np.bincount(pairs, minlength=N_BINS**2).reshape(N_BINS, N_BINS) / (n - lag)
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
        there = joint > 0
        found[lag] = np.sum(joint[there] * np.log(joint[there] / apart[there]))
    return found


def first_minimum(values: FloatArray) -> int:
    """Index, from 1 on, of the first value below both neighbours; the lowest, if there is none."""
    inner = np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:]))
    return int(inner[0]) + 1 if len(inner) else max(1, int(np.argmin(values)))


def mdop_delays(x: FloatArray, theiler: int, max_delay: int) -> list[int]:
    """Delays of an embedding of a signal, shape (n_times,), in the order in which they were found.

    Parameters
    ----------
    theiler : int
        Points so many samples apart or closer are no neighbours.
    max_delay : int
        Delays are 0 … `max_delay`.
    """
    max_delay = min(max_delay, len(x) // 3)
    points = np.arange(max_delay, len(x))
    points = points[: min(len(points), MAX_POINTS)]
    shifted = x[points - np.arange(max_delay + 1)[:, None]]  # (delay, point)
    squares = (shifted[0][:, None] - shifted[0]) ** 2
    near_in_time = np.abs(points[:, None] - points) <= theiler
    delays = [0]
    while len(delays) < min(MAX_DELAYS, max_delay + 1):
        neighbours, distances = _nearest(squares, near_in_time)
        apart = np.abs(shifted - shifted[:, neighbours])  # (delay, point)
        told = distances > 0
        if not told.any():
            break
        # neighbours that a delay does not part at all count as parted by a little
        speed = np.log(np.maximum(apart[:, told] / distances[told], 1e-12))
        mean = speed.mean(axis=1)
        mean[delays] = -np.inf
        delay = int(mean.argmax())
        false = np.mean(apart[delay, told] / distances[told] > RATIO)
        if false <= FALSE_SHARE:
            break
        delays.append(delay)
        squares += (shifted[delay][:, None] - shifted[delay]) ** 2
    return delays


def _nearest(squares: FloatArray, never: NDArray[np.bool_]) -> tuple[NDArray[np.intp], FloatArray]:
    allowed = np.where(never, np.inf, squares)
    neighbours = allowed.argmin(axis=1)
    distances = np.sqrt(allowed[np.arange(len(allowed)), neighbours])
    distances[~np.isfinite(distances)] = 0.0  # a signal shorter than the Theiler window
    return neighbours, distances
