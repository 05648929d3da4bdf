"""UMAP fitted to training windows, and new windows placed among them one by one.

McInnes, Healy & Melville, "UMAP: uniform manifold approximation and projection for dimension
reduction", arXiv 1802.03426, 2018. The package is imported when it is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from bci.extras import optional
from bci.types import FloatArray

#: umap-learn's own default.
N_NEIGHBORS = 15


class UmapReduction:
    """A fitted UMAP.

    Attributes
    ----------
    places : array, shape (n_train, n_components)
        Where the training windows lie.
    """

    def __init__(self, umap: Any, places: FloatArray) -> None:
        self._umap = umap
        self.places = places

    @classmethod
    def fit(cls, features: FloatArray, n_components: int, random_state: int | None) -> Self:
        """Lay out training windows, features of shape (n_train, n_features).

        Raises
        ------
        MissingDependency
            umap-learn is not installed.
        ValueError
            There are fewer than four windows.
        """
        if len(features) < 4:
            raise ValueError(f"UMAP needs four windows to learn from, found {len(features)}")
        umap = _umap(features, n_components, random_state)
        return cls(umap, np.asarray(umap.embedding_, np.float64))

    @classmethod
    def restored(cls, features: FloatArray, places: FloatArray, random_state: int | None) -> Self:
        """Make it anew from arrays: neighbours are found again, places are as they were."""
        umap = _umap(features, places.shape[1], random_state, n_epochs=1)
        umap.embedding_ = places.astype(np.float32)
        umap.n_epochs = None  # of placing new windows, as when it was fitted
        return cls(umap, places)

    def place(self, features: FloatArray) -> FloatArray:
        """Place new windows, shape (n_windows, n_components), each as if it were the only one."""
        with _quiet():
            found = [self._umap.transform(row[np.newaxis].astype(np.float32)) for row in features]
        return np.concatenate(found).astype(np.float64)


def _umap(features: FloatArray, n_components: int, random_state: int | None, **more: Any) -> Any:
    with _quiet():
        umap = optional("umap", "reduction 'umap' (in place of 'pca')", "umap")
        return umap.UMAP(
            n_neighbors=min(N_NEIGHBORS, len(features) - 1), n_components=n_components,
            init="random", random_state=random_state, transform_seed=random_state or 0,
            n_jobs=1, **more,
        ).fit(features.astype(np.float32))  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """umap-learn warns of choices that are meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
