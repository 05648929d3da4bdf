"""Common spatial patterns that keep time: each class against the rest, all banks at once.

Ramoser, Müller-Gerking & Pfurtscheller 2000 (see `bci.decoders.covariance.csp`); one
class against the rest: Dornhege, Blankertz, Curio & Müller, "Boosting bit rates in
noninvasive EEG single-trial classifications by feature combination and multiclass
paradigms", IEEE Trans Biomed Eng 51(6), 993-1002, 2004, doi:10.1109/TBME.2004.827088.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_labels, check_windows
from bci.decoders.covariance.csp import common_spatial_patterns
from bci.decoders.covariance.estimation import oas, sample_covariances, signal_subspace
from bci.types import FloatArray


class OvRCSPBank(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A bank of spatial filters for each class, and windows behind all of them.

    A window passes every bank, whatever it is: which class it belongs to is what has to
    be found out. A bank chosen by the label gives the label away.

    Parameters
    ----------
    n_components : int
        Filters of each class; fewer where there are not so many channels.
    rank : int or None
        Directions to keep, where processing has lowered the rank; None: found from
        the training data.

    Attributes
    ----------
    filters_ : array, shape (n_banks * n_components, n_channels)
        One class after the other, in the order of `classes_`. Behind each the training
        windows have mean variance 1.
    classes_ : array of labels, sorted
    """

    def __init__(self, n_components: int = 4, rank: int | None = None) -> None:
        self.n_components = n_components
        self.rank = rank

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from windows, shape (n_windows, n_channels, n_times), and their labels.

        Filters are learnt from labels: what they are tested on must not be among `X`.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, flat channels.
        """
        if self.n_components < 1:
            raise ValueError(f"n_components must be 1 or more, found {self.n_components}")
        windows = check_windows(X)
        self.classes_, codes = check_labels(y, len(windows))
        covariances = sample_covariances(windows)
        basis = signal_subspace(covariances.mean(axis=0), self.rank)
        basis = np.eye(windows.shape[1]) if basis is None else basis
        if basis.shape[1] == 0:
            raise ValueError("all channels of X are flat: there is no covariance to learn from")
        spd = oas(basis.T @ covariances @ basis, windows.shape[2])
        # power of a class against that of all has the same filters as against the rest
        filters = common_spatial_patterns(spd, codes, self.n_components) @ basis.T
        power = np.einsum("fc,cd,fd->f", filters, covariances.mean(axis=0), filters)
        self.filters_ = np.ascontiguousarray(filters / np.sqrt(power)[:, None])
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Windows behind all banks, shape (n_windows, n_banks * n_components, n_times)."""
        check_is_fitted(self, "filters_")
        components: FloatArray = self.filters_ @ check_windows(X, self.filters_.shape[1])
        return components
