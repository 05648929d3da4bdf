"""Task-related component analysis (TRCA): spatial filters that make trials alike.

Nakanishi, Wang, Chen, Wang, Gao & Jung, "Enhancing detection of SSVEPs for a
high-speed brain speller using task-related component analysis", IEEE Trans
Biomed Eng 65(1), 104-112, 2018, doi:10.1109/TBME.2017.2694818.

Wong, Wan, Wang, Wang, Nan, Lao & Jung, "Learning across multi-stimulus enhances
target recognition methods in SSVEP-based BCIs", J Neural Eng 17, 016026, 2020,
doi:10.1088/1741-2552/ab2373 (multi-stimulus); Wong, Wang, Wang, Lao, Rosa, Wan,
"Spatial filtering in SSVEP-based BCIs: unified framework and new improvements",
IEEE Trans Biomed Eng 67(11), 3057-3072, 2020, doi:10.1109/TBME.2020.2975552
(projection on the reference signals).
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
from bci.decoders.ssvep.references import neighbourhoods, reference_bases
from bci.decoders.ssvep.settings import FilterBankSettings
from bci.decoders.ssvep.templates import Sums, TemplateDecoder
from bci.types import FloatArray


class TRCA(TemplateDecoder):
    """Task-related component analysis, by default the ensemble (eTRCA).

    In each band the filter w of a class maximises ``wᵀ S w / wᵀ Q w``, S the sum of
    the cross-covariances of all pairs of its trials, Q that of the trials with
    themselves; w is scaled so that its mean output power is the same for all classes.
    The score of a class is ``Σ a(n) ρ(n)``, ρ with its sign the correlation of the
    filtered window with the filtered template. The ensemble filters both with the
    filters of all classes and correlates what comes out as one.

    Whatever repeats from trial to trial is found, mains hum too where trials keep step
    with it: notch it out beforehand, or set `reference`.

    Probabilities are calibrated on trials left out in turn, which takes three trials
    of each class; with two, they are ``softmax(4 · T · score)``, a cautious heuristic.

    Parameters
    ----------
    sfreq, n_harmonics, n_bands, low_edges_hz, high_hz, order, ripple_db, channels
        As in `bci.decoders.FBCCA`.
    frequencies : mapping of label to float, or None
        Stimulus frequency of each class, Hz. Needed by `reference` and
        `n_neighbours` only; without it, classes are those of the training data.
    ensemble : bool
        Use the filters of all classes together.
    reference : bool
        TRCA-R: S from trials projected on the sines and cosines of their class.
        Q, templates and windows are not projected.
    n_neighbours : int
        ms-TRCA: pool S and Q of so many classes next in frequency; usual is 2, one
        on either side.

    Attributes
    ----------
    classes_ : array of labels, sorted
    templates_ : array, shape (n_classes, n_channels, n_times)
        Mean of each class, before the filter bank.
    filters_ : array, shape (n_bands, n_classes, n_channels)
        From windows of the full training length; they serve shorter ones, too.
    lengths_, inverse_temperatures_ : array
        As in `bci.decoders.FBCCA`, where they could be calibrated.
    """

    kind: ClassVar[str] = "trca"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float] | None = None,
        n_harmonics: int = 5,
        n_bands: int = 5,
        *,
        ensemble: bool = True,
        reference: bool = False,
        n_neighbours: int = 0,
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
        self.ensemble = ensemble
        self.reference = reference
        self.n_neighbours = n_neighbours

    def _needs_frequencies(self) -> bool:
        return self.reference or self.n_neighbours > 0

    def _check_parameters(self) -> None:
        if self.n_neighbours < 0:
            raise ValueError(f"n_neighbours must be 0 or more, found {self.n_neighbours}")

    def _second(self, bands: FloatArray, codes: NDArray[np.intp], n_classes: int) -> FloatArray:
        """Σ X Xᵀ of each class and band, and with `reference` Σ X P Xᵀ of its projections."""
        moments = [bands @ bands.swapaxes(-1, -2)]
        if self.reference:
            bases = reference_bases(self._design(), bands.shape[-1])
            explained = bands @ bases[codes][:, None]
            moments.append(explained @ explained.swapaxes(-1, -2))
        one_hot = np.eye(n_classes)[:, codes]
        return np.stack([np.tensordot(one_hot, m, axes=1) for m in moments])

    def _learn(self, sums: Sums) -> FloatArray:
        noise, alike = sums.second[0], sums.second[-1]
        signal, n = sums.signal, sums.n
        if self.reference:
            signal = signal @ reference_bases(self._design(), signal.shape[-1])[:, None]
        pairs = signal @ signal.swapaxes(-1, -2) - alike  # Σ over i ≠ j of X_i X_jᵀ
        if self.n_neighbours:
            pooled = neighbourhoods(self._design().frequencies, self.n_neighbours).astype(float)
            pairs, noise = np.tensordot(pooled, pairs, axes=1), np.tensordot(pooled, noise, axes=1)
            n = pooled @ n
        filters = leading_filters(pairs, noise / n[:, None, None, None])[..., 0]
        return filters.swapaxes(0, 1)

    def _prepare(self, filters: FloatArray, templates: FloatArray) -> tuple[FloatArray, ...]:
        if not self.ensemble:
            components = np.einsum("bkc,bkct->bkt", filters, templates)
            return filters, components, np.sum(components**2, axis=-1)
        # Σ over all filters of (wᵀX)(wᵀT)ᵀ is the inner product of X with W Wᵀ T
        mixing = filters.swapaxes(-1, -2) @ filters
        mixed = mixing[:, None] @ templates
        power = np.sum(mixed * templates, axis=(-2, -1))
        n_bands, n_classes = power.shape
        return mixing, mixed.reshape(n_bands, n_classes, -1).swapaxes(1, 2), power

    def _compare(self, bands: FloatArray, prepared: tuple[FloatArray, ...]) -> FloatArray:
        filters, template, template_power = prepared
        if self.ensemble:
            power = np.sum(bands * (filters @ bands), axis=(-2, -1))[..., None]
            flat = bands.reshape(*bands.shape[:2], -1).swapaxes(0, 1)
            inner = (flat @ template).swapaxes(0, 1)
        else:
            components = filters @ bands  # (window, band, class, time)
            power = np.sum(components**2, axis=-1)
            inner = np.sum(components * template, axis=-1)
        rho = cosine(inner, power, template_power)
        scores: FloatArray = np.einsum("wbk,b->wk", rho, self._design().weights)
        return scores


class TRCASettings(FilterBankSettings):
    """Steady-state responses by task-related components; to be trained on labelled windows."""

    decoder: ClassVar[type[SSVEPDecoder]] = TRCA

    kind: Literal["trca"] = "trca"
    ensemble: bool = Field(True, description="use the filters of all classes together")
    reference: bool = Field(
        False, description="project trials on sines and cosines; needs frequencies_hz"
    )
    neighbours: int = Field(
        0, ge=0, description="classes next in frequency to learn with; needs frequencies_hz"
    )

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {
            "ensemble": self.ensemble,
            "reference": self.reference,
            "n_neighbours": self.neighbours,
        }
