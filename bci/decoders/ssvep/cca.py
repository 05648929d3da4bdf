"""Canonical correlation analysis (CCA) with sines and cosines: no training at all.

Lin, Zhang, Wu & Gao, "Frequency recognition based on canonical correlation
analysis for SSVEP-based BCIs", IEEE Trans Biomed Eng 53(12), 2610-2614, 2006,
doi:10.1109/TBME.2006.886577.

Chen, Wang, Gao, Jung & Gao, "Filter bank canonical correlation analysis for
implementing a high-speed SSVEP-based brain-computer interface", J Neural Eng
12, 046008, 2015, doi:10.1088/1741-2560/12/4/046008.

In each band the largest canonical correlation ρ(n, f) is taken between the
channels and sines and cosines of f and its harmonics. The score of f is
``Σ a(n) ρ(n, f)²``; of plain CCA, which has one band, ρ(f)².
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.decoders._checks import check_labels
from bci.decoders.spatialfilters import row_space
from bci.decoders.ssvep.decoder import SSVEPDecoder
from bci.decoders.ssvep.filterbank import FilterBank
from bci.decoders.ssvep.references import joint_bases
from bci.decoders.ssvep.settings import FREQUENCIES_HZ, FilterBankSettings, SSVEPSettings
from bci.types import FloatArray


def canonical_scores(bands: FloatArray, bank: FilterBank) -> FloatArray:
    """``Σ a(n) ρ(n, f)²`` of each window and frequency, shape (n_windows, n_classes).

    `bands` as `bci.decoders.ssvep.filterbank.subbands` gives them.
    """
    # directions that carry nothing (average reference, a dead channel) correlate with nothing
    basis = row_space(bands)
    n_basis, n_times = basis.shape[2:]
    inner = basis.reshape(-1, n_times) @ joint_bases(bank, n_times)  # all bands in one product
    inner = inner.reshape(len(bands), len(bank.edges), n_basis, len(bank.frequencies), -1)
    inner = inner.transpose(0, 1, 3, 2, 4)  # (window, band, class, channel, reference)
    other = inner.swapaxes(-1, -2)
    gram = inner @ other if n_basis <= inner.shape[-1] else other @ inner
    rho_squared = np.linalg.eigvalsh(gram)[..., -1]
    scores: FloatArray = np.einsum("wbk,b->wk", rho_squared, bank.weights)
    return scores


def shortest_for_cca(n_channels: int, bank: FilterBank) -> int:
    """Fewest samples with which a correlation of 1 is not a matter of course."""
    return max(n_channels + 2 * bank.n_harmonics + 1, bank.pad + 1) + 1


class FBCCA(SSVEPDecoder):
    """Filter-bank CCA; needs no training, and takes windows of any length.

    Without `fit`, probabilities are ``softmax(4 · T · score)`` for a window of
    T seconds. That is a cautious heuristic (the best-fitting factor was 4.3 to
    5.4 per second over nine people, three classes, 8 channels): right in
    order and growing with the evidence, but not calibrated. `fit` with labels
    replaces it by an inverse temperature fitted at several window lengths; the
    scores and so the predicted labels stay the same.

    Parameters
    ----------
    sfreq, frequencies, n_harmonics, n_bands, low_edges_hz, high_hz, order, ripple_db, channels
        As in `bci.decoders.ssvep.decoder.SSVEPDecoder`.

    Attributes
    ----------
    classes_ : array of labels, sorted; there before `fit`.
    lengths_, inverse_temperatures_ : array
        Window lengths in seconds and what was fitted there; after `fit` with labels.
    """

    kind: ClassVar[str] = "fbcca"

    frequencies: Mapping[Any, float]

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> NDArray[Any]:  # type: ignore[override]
        """Labels, sorted, in the order of the columns of all scores."""
        return np.array(self._labels())

    def fit(self, X: ArrayLike | None = None, y: ArrayLike | None = None) -> Self:
        """Calibrate the probabilities; without labels there is nothing to do.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts; each window starts where windows will start later on.
        y : array of labels, shape (n_windows,)
            All of them keys of `frequencies`.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, unknown labels, fewer than two classes.
        """
        if X is None or y is None:
            return self
        bank, windows = self._design(), self._windows(X)
        found, codes = check_labels(y, len(windows))
        if not np.isin(found, self.classes_).all():
            raise ValueError(
                f"y holds {found.tolist()}, {type(self).__name__} decides {self.classes_.tolist()}"
            )
        codes = np.searchsorted(self.classes_, found)[codes]
        self._calibrate(
            lambda n: self._scores(windows[..., :n]),  # nothing is learned: all are held out
            codes,
            self._shortest(windows.shape[1], bank),
            windows.shape[2],
        )
        return self

    def _shortest(self, n_channels: int, bank: FilterBank) -> int:
        return shortest_for_cca(n_channels, bank)

    def _score_bands(self, bands: FloatArray) -> FloatArray:
        return canonical_scores(bands, self._design())


class CCA(FBCCA):
    """Plain CCA in a single band, the first one of FBCCA; needs no training.

    Parameters
    ----------
    sfreq, frequencies, n_harmonics, high_hz, order, ripple_db, channels
        As in `bci.decoders.FBCCA`.

    Attributes
    ----------
    classes_, lengths_, inverse_temperatures_
        As in `bci.decoders.FBCCA`.
    """

    kind: ClassVar[str] = "cca"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float],
        n_harmonics: int = 5,
        *,
        high_hz: float = 90.0,
        order: int = 4,
        ripple_db: float = 0.5,
        channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            sfreq,
            frequencies,
            n_harmonics,
            1,
            high_hz=high_hz,
            order=order,
            ripple_db=ripple_db,
            channels=channels,
        )

    def _score_bands(self, bands: FloatArray) -> FloatArray:
        bank = self._design()
        scores: FloatArray = canonical_scores(bands, bank) / bank.weights[0]
        return scores


class CCASettings(SSVEPSettings):
    """Steady-state responses without training, by CCA in one band."""

    decoder: ClassVar[type[SSVEPDecoder]] = CCA

    kind: Literal["cca"] = "cca"
    frequencies_hz: list[float] | dict[str, float] = FREQUENCIES_HZ


class FBCCASettings(FilterBankSettings):
    """Steady-state responses without training, by filter-bank CCA."""

    decoder: ClassVar[type[SSVEPDecoder]] = FBCCA

    kind: Literal["fbcca"] = "fbcca"
    frequencies_hz: list[float] | dict[str, float] = FREQUENCIES_HZ
