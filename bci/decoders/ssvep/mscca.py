"""CCA with spatial filters learned across neighbouring stimuli.

Wong, Wan, Wang, Wang, Nan, Lao & Jung, "Learning across multi-stimulus enhances
target recognition methods in SSVEP-based BCIs", J Neural Eng 17, 016026, 2020,
doi:10.1088/1741-2552/ab2373.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from bci.decoders.spatialfilters import leading_filters
from bci.decoders.ssvep.correlation import correlation, signed_squares
from bci.decoders.ssvep.decoder import HEURISTIC_PER_SECOND, SSVEPDecoder
from bci.decoders.ssvep.references import neighbourhoods, reference_signals
from bci.decoders.ssvep.settings import FREQUENCIES_HZ, FilterBankSettings
from bci.decoders.ssvep.templates import Sums, TemplateDecoder
from bci.types import FloatArray


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
                f"phases must name the labels of frequencies, {self._labels()}; found "
                f"{list(self.phases)}"
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
        both = signed_squares(correlation(found, by_reference), correlation(found, by_template))
        scores: FloatArray = np.einsum("wbk,b->wk", both, self._design().weights)
        return scores

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        super().restore(state, classes)
        if self.phases is not None:
            self.phases = {label: self.phases[str(label)] for label in classes}


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
