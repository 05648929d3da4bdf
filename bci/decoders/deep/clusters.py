"""How well windows with the same label cluster, seen through a network's channel combinations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci.decoders.deep.folded_network import FoldedNetwork
from bci.decoders.deep.training import Rows
from bci.types import FloatArray


class Clusters:
    """Windows by label, in the combination of channels of a network that separates them best.

    Parameters
    ----------
    network : FoldedNetwork
    windows : array, shape (n_windows, n_channels, n_times)
    labels : array of int, shape (n_windows,)

    Attributes
    ----------
    silhouette : array, shape (n_windows,)
        By cosine distance of the centred signals: -1 to 1, 0 where a window is alone.
    similarity : array, shape (n_windows, n_windows)
        Correlation of the windows.
    """

    def __init__(
        self, network: FoldedNetwork, windows: FloatArray, labels: NDArray[np.intp]
    ) -> None:
        self.labels = labels
        self.silhouette = np.full(len(windows), -np.inf)
        banded = network.banded(windows)
        for channels in network.filters:
            signals = channels @ banded
            signals -= signals.mean(axis=1, keepdims=True)
            signals /= np.maximum(np.linalg.norm(signals, axis=1, keepdims=True), 1e-300)
            correlation = signals @ signals.T
            fit = silhouette(1.0 - correlation, labels)
            if fit.sum() > self.silhouette.sum():
                self.silhouette, self.similarity = fit, correlation

    @property
    def total(self) -> float:
        """Sum of the silhouettes: how good the labels are."""
        return float(self.silhouette.sum())

    def targets(self, share: float, delta: float, n_classes: int) -> NDArray[np.float32]:
        """Weight of each class in each window's loss, shape (n_windows, n_classes).

        A window is sure whose silhouette is 0 or more. It gives `share` to its own label, in
        the mean over all that are sure, and the rest in equal parts to the labels of its
        neighbours, as far as these are sure, or else to its own. One that is not sure gives
        all to its neighbours'.
        """
        n = len(self.labels)
        one_hot = np.eye(n_classes)[self.labels]
        sure = self.silhouette >= 0.0
        near = neighbours(self.similarity, delta) & sure
        near |= np.diag(sure & ~near.any(axis=1) & (share > 0.0))
        rest = np.where(sure | (share == 1.0), 1.0 - share, 1.0) / np.maximum(near.sum(axis=1), 1)
        weights = rest[:, None] * (near @ one_hot)
        weights += (share * n / max(int(sure.sum()), 1) * sure)[:, None] * one_hot
        targets: NDArray[np.float32] = weights.astype(np.float32)
        return targets


def neighbours(similarity: FloatArray, delta: float) -> NDArray[np.bool_]:
    """Who is whose neighbour (row's), shape (n, n): the most similar one, and those after it.

    In order of similarity, up to the first one that falls by the share `delta` or more
    against the one before.
    """
    n = len(similarity)
    others = np.where(np.eye(n, dtype=bool), -np.inf, similarity)
    order = np.argsort(-others, axis=1, kind="stable")[:, :-1]  # the last is the window itself
    ranked = np.take_along_axis(others, order, axis=1)
    ends = ranked[:, 1:] <= (1.0 - delta) * ranked[:, :-1]
    near = np.zeros((n, n), bool)
    ahead = np.concatenate([np.ones((n, 1), bool), ~np.logical_or.accumulate(ends, axis=1)], axis=1)
    np.put_along_axis(near, order, ahead, axis=1)
    return near


def silhouette(distances: FloatArray, labels: Rows) -> FloatArray:
    """Silhouette of each item; 0 where it is alone, or where there is one cluster only.

    ``(b - a) / max(a, b)`` with a the mean distance to the others of its cluster, b
    that to the nearest other cluster (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7).

    Parameters
    ----------
    distances : array, shape (n, n)
    labels : array of int, shape (n,)
    """
    clusters, codes = np.unique(labels, return_inverse=True)
    if len(clusters) < 2:
        return np.zeros(len(labels))
    items = np.arange(len(labels))
    members = np.eye(len(clusters))[codes]
    sizes = members.sum(axis=0)
    sums = distances @ members
    own = (sums[items, codes] - distances[items, items]) / np.maximum(sizes[codes] - 1, 1)
    means = sums / sizes
    means[items, codes] = np.inf
    nearest = means.min(axis=1)
    size = np.maximum(np.maximum(own, nearest), 1e-300)
    values: FloatArray = np.where(sizes[codes] > 1, (nearest - own) / size, 0.0)
    return values
