"""Extended CCA: canonical correlations with sines, cosines and templates together.

Nakanishi, Wang, Wang & Jung, "A comparison study of canonical correlation
analysis based methods for detecting steady-state visual evoked potentials", PLOS
ONE 10(10), e0140703, 2015, doi:10.1371/journal.pone.0140703 (there: combination
method).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from bci.decoders.spatialfilters import leading_filters, orthonormal_rows, row_space
from bci.decoders.ssvep.cca import shortest_for_cca
from bci.decoders.ssvep.correlation import correlation, signed_squares
from bci.decoders.ssvep.decoder import HEURISTIC_PER_SECOND, SSVEPDecoder
from bci.decoders.ssvep.filterbank import FilterBank
from bci.decoders.ssvep.references import reference_bases
from bci.decoders.ssvep.settings import FREQUENCIES_HZ, FilterBankSettings
from bci.decoders.ssvep.templates import Sums, TemplateDecoder
from bci.types import FloatArray


def _first_pair(inner: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First canonical pair and correlation, from the inner products of orthonormal rows.

    The pair are coefficients of those rows, shapes (..., 1, n) and (..., 1, m).
    """
    mine = np.linalg.eigh(inner @ inner.swapaxes(-1, -2))[1][..., -1:].swapaxes(-1, -2)
    other = mine @ inner
    rho: FloatArray = np.linalg.norm(other, axis=-1)
    return mine, rho[..., 0], other / np.maximum(rho, 1e-300)[..., None]


class ExtendedCCA(TemplateDecoder):
    """Extended CCA: five correlations of window, template and reference signals.

    With X a window in one band, T the template and Y the sines and cosines of a class,
    and w(A, B) the filter for A of the first canonical pair of A and B, the score of the
    class is ``Σ a(n) Σ sign(r) r²`` over

    1. the canonical correlation of X and Y,
    2. the correlation of X and T behind w(X, T),
    3. the correlation of X and T behind w(X, Y),
    4. the correlation of X and T behind w(T, Y),
    5. the correlation of T behind w(X, T) with T behind w(T, X).

    w(T, Y) is learned from windows of the full training length. One trial of each class
    is enough to learn; with two, probabilities are calibrated on trials left out in turn.
    With one they are ``softmax(0.8 · T · score)``, a cautious heuristic.

    Parameters
    ----------
    sfreq, frequencies, n_harmonics, n_bands, low_edges_hz, high_hz, order, ripple_db, channels
        As in `bci.decoders.FBCCA`.

    Attributes
    ----------
    classes_ : array of labels, sorted
    templates_ : array, shape (n_classes, n_channels, n_times)
        Mean of each class, before the filter bank.
    filters_ : array, shape (n_bands, n_classes, n_channels)
        w(T, Y).
    lengths_, inverse_temperatures_ : array
        As in `bci.decoders.FBCCA`, where they could be calibrated.
    """

    kind: ClassVar[str] = "ecca"
    _least_trials = 1
    _heuristic_per_second = HEURISTIC_PER_SECOND / 5  # five correlations tell much the same

    frequencies: Mapping[Any, float]

    def _shortest(self, n_channels: int, bank: FilterBank) -> int:
        return shortest_for_cca(n_channels, bank)

    def _learn(self, sums: Sums) -> FloatArray:
        templates = sums.means.swapaxes(0, 1)
        explained = templates @ reference_bases(self._design(), templates.shape[-1])
        signal = explained @ explained.swapaxes(-1, -2)
        return leading_filters(signal, templates @ templates.swapaxes(-1, -2))[..., 0]

    def _prepare(self, filters: FloatArray, templates: FloatArray) -> tuple[FloatArray, ...]:
        learned = (filters[..., None, :] @ templates)[..., 0, :]  # (band, class, time)
        return filters, templates, learned, row_space(templates)

    def _compare(self, bands: FloatArray, prepared: tuple[FloatArray, ...]) -> FloatArray:
        filters, templates, learned, template_rows = prepared
        bank = self._design()
        rows, whitener = orthonormal_rows(bands)
        rows, whitener = rows[:, :, None], whitener[:, :, None]  # (window, band, 1, ...)
        first, rho, _ = _first_pair(rows @ reference_bases(bank, bands.shape[-1]))
        second, _, of_template = _first_pair(rows @ template_rows.swapaxes(-1, -2))
        whitened = whitener.swapaxes(-1, -2) @ templates
        by_reference = (first @ rows)[..., 0, :]
        by_template = (second @ rows)[..., 0, :]
        template_by_reference = (first @ whitened)[..., 0, :]
        template_by_template = (second @ whitened)[..., 0, :]
        found = signed_squares(
            rho,
            correlation(by_template, template_by_template),
            correlation(by_reference, template_by_reference),
            correlation(filters @ bands, learned),
            correlation(template_by_template, (of_template @ template_rows)[..., 0, :]),
        )
        scores: FloatArray = np.einsum("wbk,b->wk", found, bank.weights)
        return scores


class ExtendedCCASettings(FilterBankSettings):
    """Steady-state responses by extended CCA; to be trained on labelled windows."""

    decoder: ClassVar[type[SSVEPDecoder]] = ExtendedCCA

    kind: Literal["ecca"] = "ecca"
    frequencies_hz: list[float] | dict[str, float] = FREQUENCIES_HZ
