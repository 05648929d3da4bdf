"""What every estimator asks of its input, with one wording."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.types import FloatArray


def check_windows(X: ArrayLike, n_channels: int | None = None) -> FloatArray:
    """Return `X` as float64, shape (n_windows, n_channels, n_times).

    Raises
    ------
    ValueError
        Another shape, no samples, values that are not numbers or not finite, or
        another number of channels than `n_channels`.
    """
    try:
        windows = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X must be one array of numbers: {error}") from error
    if windows.ndim != 3:
        raise ValueError(
            "X must have shape (n_windows, n_channels, n_times), found "
            f"{windows.shape}; a single window is X[np.newaxis]"
        )
    if windows.shape[1] == 0 or windows.shape[2] == 0:
        raise ValueError(f"X has no channels or no samples: its shape is {windows.shape}")
    if n_channels is not None and windows.shape[1] != n_channels:
        raise ValueError(f"X has {windows.shape[1]} channels, the decoder expects {n_channels}")
    if not np.isfinite(windows).all():
        bad = np.flatnonzero(~np.isfinite(windows).all(axis=(1, 2)))
        raise ValueError(
            f"X has NaN or infinite values in window {bad[0]} ({bad.size} such windows)"
        )
    return windows


def check_labels(y: ArrayLike, n_windows: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the sorted classes of `y`, and for each window the number of its class.

    Raises
    ------
    ValueError
        `y` is no vector of `n_windows` labels, or holds fewer than two classes.
    """
    labels = np.asarray(y)
    if labels.shape != (n_windows,):
        raise ValueError(
            f"y must hold one label for each of {n_windows} windows, found shape {labels.shape}"
        )
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least two classes, found {classes.tolist()}")
    return classes, codes.astype(np.intp)
