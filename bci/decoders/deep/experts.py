"""Participants whose networks vote on a new person's window.

How they are trained, and the paper: `bci.decoders.deep.ensemble`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bci.decoders.deep.folded_network import FoldedNetwork, Weights
from bci.decoders.deep.training import Rows
from bci.types import FloatArray

_BLOCK = 64  # windows compared at once: seen through all filters they take much space


class Experts:
    """The participants' networks and mean responses, for one length of window.

    Parameters
    ----------
    networks : sequence of FoldedNetwork
        Of K participants.
    weights : sequence of mapping
        What they were made of.
    means : array, shape (K, n_classes, n_channels, n_times)
        Mean window of each participant and class.
    bases : array, shape (n_classes, n_times, 2 n_harmonics)
        Orthonormal bases of the reference signals.
    """

    def __init__(
        self,
        networks: Sequence[FoldedNetwork],
        weights: Sequence[Weights],
        means: FloatArray,
        bases: FloatArray,
    ) -> None:
        self.networks, self.weights, self.means = list(networks), list(weights), means
        self._bases = bases
        self._responses = [
            _centred(network.banded(mean)) for network, mean in zip(networks, means, strict=True)
        ]

    def opinions(self, X: FloatArray) -> tuple[Rows, FloatArray]:
        """The class that each participant's network names, and his weight ρ.

        Both of shape (n_windows, K), for `X` of shape (n_windows, n_channels, n_times).
        """
        named = np.empty((len(X), len(self.networks)), np.intp)
        weight = np.empty(named.shape)
        for n, (network, response) in enumerate(zip(self.networks, self._responses, strict=True)):
            named[:, n] = network.scores(X).argmax(axis=1)
            for start in range(0, len(X), _BLOCK):
                part = slice(start, start + _BLOCK)
                classes = named[part, n]
                mine = network.filters @ _centred(network.banded(X[part]))
                mine /= np.maximum(np.linalg.norm(mine, axis=-1, keepdims=True), 1e-300)
                theirs = network.filters @ response[classes]
                theirs /= np.maximum(np.linalg.norm(theirs, axis=-1, keepdims=True), 1e-300)
                alike = np.einsum("wft,wft->wf", mine, theirs) ** 2
                alike += np.sum((mine @ self._bases[classes]) ** 2, axis=-1)
                weight[part, n] = alike.max(axis=1)
        return named, weight

    def scores(self, X: FloatArray) -> FloatArray:
        """Votes for each class, shape (n_windows, n_classes)."""
        named, weight = self.opinions(X)
        return vote(named, weight, self.means.shape[1])


def vote(named: Rows, weight: FloatArray, n_classes: int) -> FloatArray:
    """Votes of the k participants with the largest weights, k chosen for each window.

    Parameters
    ----------
    named, weight : arrays, shape (n_windows, K)
        The class that each participant names, and his weight.
    n_classes : int

    Returns
    -------
    array, shape (n_windows, n_classes)
        For the k with the largest difference between the best and the second class.
    """
    order = np.argsort(-weight, axis=1, kind="stable")
    ballots = np.eye(n_classes)[named] * weight[..., None]
    votes = np.cumsum(np.take_along_axis(ballots, order[..., None], axis=1), axis=1)
    best_two = np.partition(votes, n_classes - 2, axis=2)[..., -2:]
    k = (best_two[..., 1] - best_two[..., 0]).argmax(axis=1)
    chosen: FloatArray = votes[np.arange(len(votes)), k]
    return chosen


def _centred(X: FloatArray) -> FloatArray:
    centred: FloatArray = X - X.mean(axis=-1, keepdims=True)
    return centred
