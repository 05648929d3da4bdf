"""What all decoders of steady-state visual evoked potentials share.

A window passes `n_bands` zero-phase band-pass filters. In band n each class gets
a correlation ρ(n) of some kind, and the score of the class is ``Σ a(n) g(ρ(n))``
with ``a(n) = n^-1.25 + 0.25``. Each decoder says which correlation, and which g.

Scores become probabilities by one number, an inverse temperature, which depends
on the length of the window. It is fitted by multinomial likelihood at several
lengths, so that probabilities mean the same in all these decoders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from bci.decoders._checks import check_windows
from bci.decoders.ssvep.filterbank import FilterBank, design, subbands
from bci.decoders.temperature import fit_inverse_temperature
from bci.types import FloatArray

#: Inverse temperature per second of window while nothing is calibrated.
HEURISTIC_PER_SECOND = 4.0

_BLOCK_ELEMENTS = 2_000_000  # filtered values held at once while scoring many windows


class SSVEPDecoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the decoders of steady-state responses; it takes windows of any length.

    Probabilities are ``softmax(β(T) · score)`` for a window of T seconds. While
    nothing is calibrated, β = 4 T (less where a score adds up several correlations of
    the same): a cautious heuristic, right in order and growing with the evidence. The
    predicted label never depends on β.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    frequencies : mapping of label to float
        Stimulus frequency of each class, Hz.
    n_harmonics : int
        Harmonics in the reference signals; fewer where not all of them lie below
        half the sampling rate for every class.
    n_bands : int
        Bands of the filter bank; those with less than 4 Hz of room below the
        upper edge are left out.
    low_edges_hz : sequence of float or None
        Low edge of each band, Hz, instead of `n_bands`. None: 8n - 2, and where
        the lowest stimulus f lies below 8 Hz, n·f - min(2, f/4).
    high_hz : float
        Upper edge of all bands, Hz; at most 0.9 of half the sampling rate.
    order, ripple_db : int, float
        Order and pass-band ripple of the Chebyshev filters (type I), run forth
        and back over each window.
    channels : sequence of int or None
        Which channels of the windows to use; None: all.

    Attributes
    ----------
    classes_ : array of labels, sorted, in the order of the columns of all scores.
    lengths_, inverse_temperatures_ : array
        Window lengths in seconds and what was fitted there, once calibrated.
    """

    kind: ClassVar[str]
    any_length: ClassVar[bool] = True
    _n_lengths: ClassVar[int] = 8  # at which probabilities are calibrated
    _heuristic_per_second: ClassVar[float] = HEURISTIC_PER_SECOND

    frequencies: Mapping[Any, float] | None
    classes_: NDArray[Any]
    lengths_: FloatArray
    inverse_temperatures_: FloatArray

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float] | None,
        n_harmonics: int = 5,
        n_bands: int = 5,
        *,
        low_edges_hz: Sequence[float] | None = None,
        high_hz: float = 90.0,
        order: int = 4,
        ripple_db: float = 0.5,
        channels: Sequence[int] | None = None,
    ) -> None:
        self.sfreq = sfreq
        self.frequencies = frequencies
        self.n_harmonics = n_harmonics
        self.n_bands = n_bands
        self.low_edges_hz = low_edges_hz
        self.high_hz = high_hz
        self.order = order
        self.ripple_db = ripple_db
        self.channels = channels

    # --- what each decoder says ------------------------------------------------------------------

    def _needs_frequencies(self) -> bool:
        return True

    def _shortest(self, n_channels: int, bank: FilterBank) -> int:
        """Fewest samples of a window: what the filters' extension needs."""
        return bank.pad + 2

    def _score_bands(self, bands: FloatArray) -> FloatArray:
        """Scores of windows that have passed `subbands`, shape (n_windows, n_classes)."""
        raise NotImplementedError

    # --- parameters and input --------------------------------------------------------------------

    @property
    def edges_(self) -> tuple[tuple[float, float], ...]:
        """(low, high) of each band of the filter bank, Hz."""
        return self._design().edges

    def _design(self) -> FilterBank:
        name, hz = type(self).__name__, self.frequencies
        wrong = not isinstance(hz, Mapping) or len(hz) < 2
        if wrong and (hz is not None or self._needs_frequencies()):
            raise ValueError(
                "frequencies must map two or more labels to Hz, for example {'13 Hz': 13.0, "
                f"'17 Hz': 17.0}}; found {hz!r}"
            )
        if self.n_harmonics < 1 or self.n_bands < 1:
            raise ValueError(
                f"{name} needs at least one harmonic and one band, found "
                f"n_harmonics={self.n_harmonics}, n_bands={self.n_bands}"
            )
        return design(
            self.sfreq,
            () if hz is None else tuple(float(hz[label]) for label in self._labels()),
            self.n_harmonics,
            self.n_bands,
            None if self.low_edges_hz is None else tuple(self.low_edges_hz),
            self.high_hz,
            self.order,
            self.ripple_db,
        )

    def _labels(self) -> list[Any]:
        """Labels of `frequencies`, sorted."""
        labels = list(self.frequencies or ())
        try:
            return sorted(labels)
        except TypeError as error:
            raise ValueError(f"labels must be all text or all numbers, found {labels}") from error

    def _windows(self, X: ArrayLike) -> FloatArray:
        """The chosen channels of `X`, checked."""
        windows = self._picked(check_windows(X))
        shortest = self._shortest(windows.shape[1], self._design())
        if windows.shape[2] < shortest:
            raise ValueError(
                f"a window of {windows.shape[2]} samples is too short for {type(self).__name__} "
                f"with {windows.shape[1]} channels: it needs {shortest} "
                f"({shortest / self.sfreq:.3g} s)"
            )
        return windows

    def _picked(self, windows: FloatArray) -> FloatArray:
        """The chosen channels of windows."""
        if self.channels is None:
            return windows
        if max(self.channels) >= windows.shape[1]:
            raise ValueError(
                f"X has {windows.shape[1]} channels, the decoder uses number "
                f"{max(self.channels)} (counted from 0)"
            )
        return windows[:, list(self.channels)]

    # --- scores and answers ----------------------------------------------------------------------

    def _scores(self, windows: FloatArray) -> FloatArray:
        bank = self._design()
        if not len(windows):
            return np.empty((0, len(self.classes_)))
        block = max(1, _BLOCK_ELEMENTS // (len(bank.edges) * windows[0].size))
        return np.concatenate(
            [
                self._score_bands(subbands(windows[i : i + block], bank))
                for i in range(0, len(windows), block)
            ]
        )

    def scores(self, X: ArrayLike) -> FloatArray:
        """Score of each window and class, shape (n_windows, n_classes)."""
        return self._scores(self._windows(X))

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """As `scores`; for two classes, as is usual, second minus first, shape (n_windows,)."""
        scores = self.scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Label with the highest score, shape (n_windows,)."""
        best = self.scores(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        windows = self._windows(X)
        scale = self.inverse_temperature(windows.shape[2] / self.sfreq)
        probabilities: FloatArray = softmax(scale * self._scores(windows), axis=1)
        return probabilities

    # --- calibration -----------------------------------------------------------------------------

    def _calibrate(
        self,
        held_out: Callable[[int], FloatArray],
        codes: NDArray[np.intp],
        shortest: int,
        n_times: int,
    ) -> None:
        """Fit the inverse temperature at several lengths up to `n_times` samples.

        ``held_out(n)`` gives scores of the training windows, cut to their first n
        samples, from a decoder that has not learned from them.
        """
        lengths = np.unique(
            np.linspace(max(shortest, n_times / 8), n_times, self._n_lengths).astype(int)
        )
        fitted = [fit_inverse_temperature(held_out(n), codes) for n in lengths.tolist()]
        self.lengths_ = lengths / self.sfreq
        self.inverse_temperatures_ = np.array(fitted)

    def _forget_calibration(self) -> None:
        """Go back to the heuristic."""
        for name in ("lengths_", "inverse_temperatures_"):
            if hasattr(self, name):
                delattr(self, name)

    def inverse_temperature(self, length_s: float) -> float:
        """Factor from score to log-odds for windows of `length_s` seconds.

        Linear between the lengths calibrated, proportional below the shortest,
        constant beyond the longest: nothing is claimed that was not seen.
        """
        if not hasattr(self, "lengths_"):
            return self._heuristic_per_second * length_s
        lengths = np.concatenate([[0.0], self.lengths_])
        return float(np.interp(length_s, lengths, [0.0, *self.inverse_temperatures_]))

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        if not hasattr(self, "lengths_"):
            return {}
        return {"lengths": self.lengths_, "inverse_temperatures": self.inverse_temperatures_}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave; `classes` gives labels their type back."""
        if self.frequencies is not None:
            self.frequencies = {label: self.frequencies[str(label)] for label in classes}
        if "lengths" in state:
            self.lengths_ = state["lengths"]
            self.inverse_temperatures_ = state["inverse_temperatures"]
