"""Task-discriminant component analysis (TDCA): one set of filters that tells all classes apart.

Liu, Chen, Shi, Wang, Gao & Gao, "Improving the performance of individually
calibrated SSVEP-BCI by task-discriminant component analysis", IEEE Trans Neural
Syst Rehabil Eng 29, 1998-2007, 2021, doi:10.1109/TNSRE.2021.3114340.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bci.decoders.spatialfilters import leading_filters
from bci.decoders.ssvep.correlation import cosine
from bci.decoders.ssvep.decoder import SSVEPDecoder
from bci.decoders.ssvep.filterbank import FilterBank
from bci.decoders.ssvep.references import joint_bases, reference_bases
from bci.decoders.ssvep.settings import FilterBankSettings
from bci.decoders.ssvep.templates import Sums, TemplateDecoder
from bci.types import FloatArray


def delayed(X: FloatArray, n_delays: int) -> FloatArray:
    """Channels, then the channels one sample ahead, and so on; zeros at the end; centred.

    Shape (..., n_channels, n_times) becomes (..., n_delays * n_channels, n_times).
    """
    n_channels, n_times = X.shape[-2:]
    out = np.zeros((*X.shape[:-2], n_delays, n_channels, n_times))
    for ahead in range(n_delays):
        out[..., ahead, :, : n_times - ahead] = X[..., ahead:]
    out -= out.mean(axis=-1, keepdims=True)
    return out.reshape(*X.shape[:-2], n_delays * n_channels, n_times)


def components(X: FloatArray, filters: FloatArray, n_delays: int) -> FloatArray:
    """``filtersᵀ · delayed(X)`` without the delayed copies, shape (..., n_components, n_times).

    `filters` has shape (..., n_delays * n_channels, n_components).
    """
    n_channels, n_times = X.shape[-2:]
    n_components = filters.shape[-1]
    ahead = filters.reshape(*filters.shape[:-2], n_delays, n_channels, n_components)
    by_delay = ahead.swapaxes(-1, -2).reshape(*filters.shape[:-2], -1, n_channels) @ X
    by_delay = by_delay.reshape(*by_delay.shape[:-2], n_delays, n_components, n_times)
    out: FloatArray = by_delay[..., 0, :, :].copy()
    for delay in range(1, n_delays):
        out[..., : n_times - delay] += by_delay[..., delay, :, delay:]
    out -= out.mean(axis=-1, keepdims=True)
    return out


def _power(X: FloatArray) -> FloatArray:
    """Sum of squares over the last two axes."""
    flat = X.reshape(*X.shape[:-2], -1)
    power: FloatArray = np.einsum("...i,...i->...", flat, flat)
    return power


class TDCA(TemplateDecoder):
    """Task-discriminant component analysis.

    Each band of a window is stacked with copies of itself that are ahead by 1, 2, ...
    samples (zeros at the end, rows centred), and followed in time by its projection on
    the sines and cosines of a class. In each band one set of filters, the same for all
    classes, maximises the scatter between the means of the classes over the scatter of
    trials around them. The score of a class is ``Σ a(n) ρ(n)``, ρ with its sign the
    correlation of the filtered window, projected for that class, with its template.

    Windows and training trials are treated alike, with zeros at the end: no sample after
    a window is used in training either.

    Probabilities are calibrated on trials left out in turn, which takes three trials
    of each class; with two, they are ``softmax(4 · T · score)``, a cautious heuristic.

    Parameters
    ----------
    sfreq, n_harmonics, n_bands, low_edges_hz, high_hz, order, ripple_db, channels
        As in `bci.decoders.FBCCA`.
    frequencies : mapping of label to float, or None
        Stimulus frequency of each class, Hz; None only without `reference`.
    n_delays : int
        Copies of a window, the undelayed one among them.
    n_components : int
        Filters of each band.
    reference : bool
        Append the projection on sines and cosines.

    Attributes
    ----------
    classes_ : array of labels, sorted
    templates_ : array, shape (n_classes, n_channels, n_times)
        Mean of each class, before the filter bank.
    filters_ : array, shape (n_bands, n_delays * n_channels, n_components)
        From windows of the full training length; they serve shorter ones, too.
    lengths_, inverse_temperatures_ : array
        As in `bci.decoders.FBCCA`, where they could be calibrated.
    """

    kind: ClassVar[str] = "tdca"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float] | None = None,
        n_harmonics: int = 5,
        n_bands: int = 5,
        *,
        n_delays: int = 6,
        n_components: int = 8,
        reference: bool = True,
        low_edges_hz: Sequence[float] | None = None,
        high_hz: float = 90.0,
        order: int = 4,
        ripple_db: float = 0.5,
        channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            sfreq,
            frequencies,
            n_harmonics,
            n_bands,
            low_edges_hz=low_edges_hz,
            high_hz=high_hz,
            order=order,
            ripple_db=ripple_db,
            channels=channels,
        )
        self.n_delays = n_delays
        self.n_components = n_components
        self.reference = reference

    def _needs_frequencies(self) -> bool:
        return self.reference

    def _check_parameters(self) -> None:
        if self.n_delays < 1 or self.n_components < 1:
            raise ValueError(
                f"TDCA needs at least one copy of a window and one component, found "
                f"n_delays={self.n_delays}, n_components={self.n_components}"
            )

    def _shortest(self, n_channels: int, bank: FilterBank) -> int:
        return max(bank.pad + 2, self.n_delays + 1, 2 * bank.n_harmonics + 2)

    def _second(self, bands: FloatArray, codes: NDArray[np.intp], n_classes: int) -> FloatArray:
        """Σ Z Zᵀ of all trials, Z with their projections, shape (n_bands, rows, rows)."""
        bases = None
        if self.reference:
            bases = reference_bases(self._design(), bands.shape[-1])[codes]
        moments = []
        for band in bands.swapaxes(0, 1):  # one after the other: the copies take room
            rows = delayed(band, self.n_delays)
            moment = np.sum(rows @ rows.swapaxes(1, 2), axis=0)
            if bases is not None:
                explained = rows @ bases
                moment += np.sum(explained @ explained.swapaxes(1, 2), axis=0)
            moments.append(moment)
        return np.stack(moments)

    def _learn(self, sums: Sums) -> FloatArray:
        means = delayed(sums.means, self.n_delays)  # (class, band, row, time)
        n = sums.n[:, None, None, None]
        outer = means @ means.swapaxes(-1, -2)
        grand = means.mean(axis=0)
        common = grand @ grand.swapaxes(-1, -2)
        if self.reference:
            bases = reference_bases(self._design(), means.shape[-1])[:, None]
            explained = means @ bases
            outer += explained @ explained.swapaxes(-1, -2)
            grand = np.mean(explained @ bases.swapaxes(-1, -2), axis=0)
            common += grand @ grand.swapaxes(-1, -2)
        within = sums.second - np.sum(n * outer, axis=0)
        between = outer.mean(axis=0) - common
        return leading_filters(between, within / sums.n.sum(), self.n_components)

    def _prepare(self, filters: FloatArray, templates: FloatArray) -> tuple[FloatArray, ...]:
        found = components(templates, filters[:, None], self.n_delays)
        power = _power(found)
        if self.reference:
            bases = reference_bases(self._design(), templates.shape[-1])
            explained = found @ bases
            power += _power(explained)
            # projected twice is projected once: the window's projection need not be formed
            found += explained @ bases.swapaxes(-1, -2)
        n_bands, n_classes = power.shape
        return filters, found.reshape(n_bands, n_classes, -1).swapaxes(1, 2), power

    def _compare(self, bands: FloatArray, prepared: tuple[FloatArray, ...]) -> FloatArray:
        filters, template, template_power = prepared
        found = components(bands, filters, self.n_delays)
        flat = found.reshape(*found.shape[:2], -1).swapaxes(0, 1)
        inner = (flat @ template).swapaxes(0, 1)
        power = _power(found)[..., None]
        bank = self._design()
        if self.reference:
            explained = found @ joint_bases(bank, found.shape[-1])
            explained *= explained
            by_class = explained.sum(axis=2).reshape(*power.shape[:2], len(self.classes_), -1)
            power = power + by_class.sum(axis=-1)
        rho = cosine(inner, power, template_power)
        scores: FloatArray = np.einsum("wbk,b->wk", rho, bank.weights)
        return scores


class TDCASettings(FilterBankSettings):
    """Steady-state responses by task-discriminant components; to be trained."""

    decoder: ClassVar[type[SSVEPDecoder]] = TDCA

    kind: Literal["tdca"] = "tdca"
    delays: int = Field(6, ge=1, le=100, description="copies of a window, with the undelayed one")
    components: int = Field(8, ge=1, le=1000, description="filters of each band")
    reference: bool = Field(
        True, description="append the projection on sines and cosines; needs frequencies_hz"
    )

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {
            "n_delays": self.delays,
            "n_components": self.components,
            "reference": self.reference,
        }
