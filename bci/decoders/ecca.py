"""CCA with templates: extended CCA, and CCA across neighbouring stimuli.

Nakanishi, Wang, Wang & Jung, "A comparison study of canonical correlation
analysis based methods for detecting steady-state visual evoked potentials", PLOS
ONE 10(10), e0140703, 2015, doi:10.1371/journal.pone.0140703 (there: combination
method).

Wong, Wan, Wang, Wang, Nan, Lao & Jung, "Learning across multi-stimulus enhances
target recognition methods in SSVEP-based BCIs", J Neural Eng 17, 016026, 2020,
doi:10.1088/1741-2552/ab2373.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from bci.decoders.cca import shortest_for_cca
from bci.decoders.filterbank import FilterBank
from bci.decoders.references import neighbourhoods, reference_bases, reference_signals
from bci.decoders.spatialfilters import cosine, leading_filters, orthonormal_rows
from bci.decoders.ssvep import (
    FREQUENCIES_HZ,
    HEURISTIC_PER_SECOND,
    FilterBankSettings,
    SSVEPDecoder,
)
from bci.decoders.templates import Sums, TemplateDecoder
from bci.types import FloatArray


def signed_squares(*correlations: FloatArray) -> FloatArray:
    """``Σ sign(r) r²``."""
    total: FloatArray = np.sum([r * np.abs(r) for r in correlations], axis=0)
    return total


def _first_pair(inner: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First canonical pair and correlation, from the inner products of orthonormal rows.

    The pair are coefficients of those rows, shapes (..., 1, n) and (..., 1, m).
    """
    mine = np.linalg.eigh(inner @ inner.swapaxes(-1, -2))[1][..., -1:].swapaxes(-1, -2)
    other = mine @ inner
    rho: FloatArray = np.linalg.norm(other, axis=-1)
    return mine, rho[..., 0], other / np.maximum(rho, 1e-300)[..., None]


def _correlation(x: FloatArray, y: FloatArray) -> FloatArray:
    """Of centred signals along the last axis."""
    return cosine(np.sum(x * y, axis=-1), np.sum(x * x, axis=-1), np.sum(y * y, axis=-1))


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
        return filters, templates, learned, orthonormal_rows(templates)[0]

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
            _correlation(by_template, template_by_template),
            _correlation(by_reference, template_by_reference),
            _correlation(filters @ bands, learned),
            _correlation(template_by_template, (of_template @ template_rows)[..., 0, :]),
        )
        scores: FloatArray = np.einsum("wbk,b->wk", found, bank.weights)
        return scores


class MultiStimulusCCA(TemplateDecoder):
    """CCA whose filters are learned across neighbouring stimuli (ms-CCA).

    The templates of a class and its neighbours, one behind the other in time, and their
    reference signals in the same order have a first canonical pair: a filter u for the
    channels and weights v of the reference signals. The score of the class is
    ``Σ a(n) Σ sign(r) r²`` over two correlations: of the window behind u with the
    class's reference signals behind v, and with its template behind u.

    One v for several stimuli makes sense only where the phases are known at which the
    windows begin. Without `phases`, each stimulus keeps weights of its own, and only
    u is learned together.

    One trial of each class is enough to learn; with two, probabilities are calibrated on
    trials left out in turn. With one they are ``softmax(2 · T · score)``, a cautious
    heuristic.

    Parameters
    ----------
    sfreq, frequencies, n_harmonics, n_bands, low_edges_hz, high_hz, order, ripple_db, channels
        As in `bci.decoders.FBCCA`.
    n_neighbours : int
        Classes next in frequency to learn with, half of them on either side.
    phases : mapping of label to float, or None
        Phase of each stimulus, radians, the visual latency before the window begins.

    Attributes
    ----------
    classes_ : array of labels, sorted
    templates_ : array, shape (n_classes, n_channels, n_times)
        Mean of each class, before the filter bank.
    filters_ : array, shape (n_bands, n_classes, n_channels + 2 n_harmonics)
        u and v side by side, from windows of the full training length.
    lengths_, inverse_temperatures_ : array
        As in `bci.decoders.FBCCA`, where they could be calibrated.
    """

    kind: ClassVar[str] = "mscca"
    _least_trials = 1
    _heuristic_per_second = HEURISTIC_PER_SECOND / 2  # two correlations tell much the same

    frequencies: Mapping[Any, float]

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float],
        n_harmonics: int = 5,
        n_bands: int = 5,
        *,
        n_neighbours: int = 12,
        phases: Mapping[Any, float] | None = None,
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
        self.n_neighbours = n_neighbours
        self.phases = phases

    def _check_parameters(self) -> None:
        if self.n_neighbours < 0:
            raise ValueError(f"n_neighbours must be 0 or more, found {self.n_neighbours}")
        if self.phases is not None and set(self.phases) != set(self.frequencies):
            raise ValueError(
                f"phases must name the labels of frequencies, {sorted(self.frequencies)}; found "
                f"{sorted(self.phases)}"
            )

    def _references(self, n_times: int) -> FloatArray:
        phases = self.phases
        at = None if phases is None else tuple(float(phases[k]) for k in sorted(phases))
        return reference_signals(self._design(), n_times, at)

    def _learn(self, sums: Sums) -> FloatArray:
        templates = sums.means.swapaxes(0, 1)  # (band, class, channel, time)
        references = self._references(templates.shape[-1])
        pooled = neighbourhoods(self._design().frequencies, self.n_neighbours).astype(float)

        def pool(matrices: FloatArray) -> FloatArray:
            pooled_matrices: FloatArray = np.einsum("kj,...jcd->...kcd", pooled, matrices)
            return pooled_matrices

        noise = pool(templates @ templates.swapaxes(-1, -2))
        cross = templates @ references
        gram = references.swapaxes(-1, -2) @ references
        if self.phases is not None:
            cross, gram = pool(cross), pool(gram)
        weights = np.linalg.solve(gram, cross.swapaxes(-1, -2))  # of the reference signals
        signal = cross @ weights
        if self.phases is None:
            signal = pool(signal)
        u = leading_filters(signal, noise)
        v = weights @ u
        return np.concatenate([u, v], axis=-2)[..., 0]

    def _prepare(self, filters: FloatArray, templates: FloatArray) -> tuple[FloatArray, ...]:
        n_channels = templates.shape[2]
        u, v = filters[..., :n_channels], filters[..., n_channels:]
        references = self._references(templates.shape[-1])
        by_template = (u[..., None, :] @ templates)[..., 0, :]  # (band, class, time)
        return u, by_template, (references @ v[..., None])[..., 0]

    def _compare(self, bands: FloatArray, prepared: tuple[FloatArray, ...]) -> FloatArray:
        u, by_template, by_reference = prepared
        found = u @ bands  # (window, band, class, time)
        both = signed_squares(_correlation(found, by_reference), _correlation(found, by_template))
        scores: FloatArray = np.einsum("wbk,b->wk", both, self._design().weights)
        return scores

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        super().restore(state, classes)
        if self.phases is not None:
            self.phases = {label: self.phases[str(label)] for label in classes}


class ExtendedCCASettings(FilterBankSettings):
    """Steady-state responses by extended CCA; to be trained on labelled windows."""

    decoder: ClassVar[type[SSVEPDecoder]] = ExtendedCCA

    kind: Literal["ecca"] = "ecca"
    frequencies_hz: list[float] | dict[str, float] = FREQUENCIES_HZ


class MultiStimulusCCASettings(FilterBankSettings):
    """Steady-state responses by CCA across neighbouring stimuli; to be trained."""

    decoder: ClassVar[type[SSVEPDecoder]] = MultiStimulusCCA

    kind: Literal["mscca"] = "mscca"
    frequencies_hz: list[float] | dict[str, float] = FREQUENCIES_HZ
    neighbours: int = Field(12, ge=0, description="classes next in frequency to learn with")
    phases_rad: list[float] | dict[str, float] | None = Field(
        None, description="phase of each stimulus, radians, like frequencies_hz; null: unknown"
    )

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        phases, hz = self.phases_rad, self.frequencies_hz
        same = (
            set(phases) == set(hz)
            if isinstance(phases, dict) and isinstance(hz, dict)
            else (phases is None or (type(phases) is type(hz) and len(phases) == len(hz)))
        )
        if not same:
            raise ValueError(f"phases_rad must go with frequencies_hz, {hz}; found {phases}")
        return self

    @property
    def phases(self) -> dict[str, float] | None:
        """Label: phase of the stimulus, radians."""
        if self.phases_rad is None or isinstance(self.phases_rad, dict):
            return self.phases_rad
        return dict(zip(self.frequencies or (), self.phases_rad, strict=True))

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {"n_neighbours": self.neighbours, "phases": self.phases}
