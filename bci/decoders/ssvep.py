"""Filter-bank canonical correlation analysis (FBCCA): steady-state responses without training.

Chen, Wang, Gao, Jung & Gao, "Filter bank canonical correlation analysis for
implementing a high-speed SSVEP-based brain-computer interface", J Neural Eng
12, 046008, 2015, doi:10.1088/1741-2560/12/4/046008.

A window passes `n_bands` zero-phase band-pass filters. In band n the largest
canonical correlation ρ(n, f) is taken between the channels and sines and
cosines of f and its harmonics. The score of f is ``Σ a(n) ρ(n, f)²`` with
``a(n) = n^-1.25 + 0.25``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, field_validator
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from bci.config import DecoderSettings
from bci.decoders._checks import check_labels, check_windows
from bci.decoders.filterbank import FilterBank, canonical_scores, design
from bci.decoders.temperature import fit_inverse_temperature
from bci.errors import ConfigError
from bci.types import FloatArray, StreamInfo

#: Inverse temperature per second of window while nothing is calibrated.
HEURISTIC_PER_SECOND = 4.0

_N_CALIBRATION_LENGTHS = 8
_BLOCK_ELEMENTS = 2_000_000  # filtered values held at once while scoring many windows


class FBCCA(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Filter-bank CCA; needs no training, and takes windows of any length.

    Without `fit`, probabilities are ``softmax(4 · T · score)`` for a window of
    T seconds. That is a cautious heuristic (the best-fitting factor was 4.3 to
    5.4 per second over nine people, three classes, 8 channels): right in
    order and growing with the evidence, but not calibrated. `fit` with labels
    replaces it by an inverse temperature fitted at several window lengths; the
    scores and so the predicted labels stay the same.

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
    classes_ : array of labels, sorted; there before `fit`.
    lengths_, inverse_temperatures_ : array
        Window lengths in seconds and what was fitted there; after `fit` with labels.
    """

    kind: ClassVar[str] = "fbcca"
    any_length: ClassVar[bool] = True

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float],
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

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels, sorted, in the order of the columns of all scores."""
        return np.array(sorted(self.frequencies))

    @property
    def edges_(self) -> tuple[tuple[float, float], ...]:
        """(low, high) of each band of the filter bank, Hz."""
        return self._design().edges

    def _design(self) -> FilterBank:
        if not isinstance(self.frequencies, Mapping) or len(self.frequencies) < 2:
            raise ValueError(
                "frequencies must map two or more labels to Hz, for example {'13 Hz': 13.0, "
                f"'17 Hz': 17.0}}; found {self.frequencies!r}"
            )
        if self.n_harmonics < 1 or self.n_bands < 1:
            raise ValueError(
                f"FBCCA needs at least one harmonic and one band, found "
                f"n_harmonics={self.n_harmonics}, n_bands={self.n_bands}"
            )
        return design(
            self.sfreq,
            tuple(float(self.frequencies[label]) for label in sorted(self.frequencies)),
            self.n_harmonics,
            self.n_bands,
            None if self.low_edges_hz is None else tuple(self.low_edges_hz),
            self.high_hz,
            self.order,
            self.ripple_db,
        )

    def fit(self, X: ArrayLike | None = None, y: ArrayLike | None = None) -> FBCCA:
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
            raise ValueError(f"y holds {found.tolist()}, FBCCA decides {self.classes_.tolist()}")
        codes = np.searchsorted(self.classes_, found)[codes]
        shortest, n_times = self._shortest(windows.shape[1], bank), windows.shape[2]
        lengths = np.unique(
            np.linspace(max(shortest, n_times / 8), n_times, _N_CALIBRATION_LENGTHS).astype(int)
        )
        fitted = [fit_inverse_temperature(self._scores(windows[..., :n]), codes) for n in lengths]
        self.lengths_ = lengths / self.sfreq
        self.inverse_temperatures_ = np.array(fitted)
        return self

    @staticmethod
    def _shortest(n_channels: int, bank: FilterBank) -> int:
        """Fewest samples with which a correlation of 1 is not a matter of course."""
        return max(n_channels + 2 * bank.n_harmonics + 1, bank.pad + 1) + 1

    def _windows(self, X: ArrayLike) -> FloatArray:
        windows = check_windows(X)
        if self.channels is not None:
            if max(self.channels) >= windows.shape[1]:
                raise ValueError(
                    f"X has {windows.shape[1]} channels, the decoder uses number "
                    f"{max(self.channels)} (counted from 0)"
                )
            windows = windows[:, list(self.channels)]
        shortest = self._shortest(windows.shape[1], self._design())
        if windows.shape[2] < shortest:
            raise ValueError(
                f"a window of {windows.shape[2]} samples is too short for FBCCA with "
                f"{windows.shape[1]} channels: it needs {shortest} ({shortest / self.sfreq:.3g} s)"
            )
        return windows

    def _scores(self, windows: FloatArray) -> FloatArray:
        bank = self._design()
        block = (
            max(1, _BLOCK_ELEMENTS // (len(bank.edges) * windows[0].size)) if len(windows) else 1
        )
        parts = [
            canonical_scores(windows[i : i + block], bank) for i in range(0, len(windows), block)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(bank.frequencies)))

    def scores(self, X: ArrayLike) -> FloatArray:
        """``Σ a(n) ρ(n, f)²`` of each window and class, shape (n_windows, n_classes)."""
        return self._scores(self._windows(X))

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """As `scores`; for two classes, as is usual, second minus first, shape (n_windows,)."""
        scores = self.scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Label with the highest score, shape (n_windows,)."""
        labels: NDArray[Any] = self.classes_[self.scores(X).argmax(axis=1)]
        return labels

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        windows = self._windows(X)
        scale = self.inverse_temperature(windows.shape[2] / self.sfreq)
        probabilities: FloatArray = softmax(scale * self._scores(windows), axis=1)
        return probabilities

    def inverse_temperature(self, length_s: float) -> float:
        """Factor from score to log-odds for windows of `length_s` seconds.

        Linear between the lengths calibrated, proportional below the shortest,
        constant beyond the longest: nothing is claimed that was not seen.
        """
        if not hasattr(self, "lengths_"):
            return HEURISTIC_PER_SECOND * length_s
        lengths = np.concatenate([[0.0], self.lengths_])
        return float(np.interp(length_s, lengths, [0.0, *self.inverse_temperatures_]))

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        if not hasattr(self, "lengths_"):
            return {}
        return {"lengths": self.lengths_, "inverse_temperatures": self.inverse_temperatures_}

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave; `classes` gives labels their type back."""
        self.frequencies = {label: self.frequencies[str(label)] for label in classes}
        if state:
            self.lengths_ = state["lengths"]
            self.inverse_temperatures_ = state["inverse_temperatures"]


class FBCCASettings(DecoderSettings):
    """Steady-state responses without training, by filter-bank CCA."""

    decoder: ClassVar[type[FBCCA]] = FBCCA

    kind: Literal["fbcca"] = "fbcca"
    frequencies_hz: list[float] | dict[str, float] = Field(
        description="stimulus frequencies, Hz (labelled '13 Hz' and so on), or label: Hz"
    )
    harmonics: int = Field(5, ge=1, le=20, description="harmonics in the reference signals")
    bands: int = Field(5, ge=1, le=20, description="bands of the filter bank")
    low_edges_hz: list[float] | None = Field(
        None, description="low edge of each band, Hz; null: 8n - 2 for band n"
    )
    high_hz: float = Field(90.0, gt=0, description="upper edge of all bands, Hz")
    channels: list[str] | None = Field(
        None, description="labels of the channels to use; null: every EEG channel"
    )

    @field_validator("frequencies_hz")
    @classmethod
    def _distinct(cls, value: list[float] | dict[str, float]) -> list[float] | dict[str, float]:
        hz = list(value.values()) if isinstance(value, dict) else value
        if len(hz) < 2 or len(set(hz)) < len(hz) or min(hz) <= 0:
            raise ValueError(f"needs two or more different frequencies above 0 Hz; found {hz}")
        return value

    @property
    def frequencies(self) -> dict[str, float]:
        """Label: stimulus frequency, Hz."""
        if isinstance(self.frequencies_hz, dict):
            return dict(self.frequencies_hz)
        return {f"{hz:g} Hz": hz for hz in self.frequencies_hz}

    def build(self, info: StreamInfo) -> FBCCA:
        """Make the decoder for a processed stream.

        Raises
        ------
        ConfigError
            A channel is not there, or a frequency does not fit the sampling rate.
        """
        decoder = FBCCA(
            info.sfreq,
            self.frequencies,
            self.harmonics,
            self.bands,
            low_edges_hz=self.low_edges_hz,
            high_hz=self.high_hz,
            channels=self._channels(info),
        )
        try:
            decoder._design()
        except ValueError as error:
            raise ConfigError(f"decoder fbcca: {error}") from error
        return decoder

    def _channels(self, info: StreamInfo) -> list[int] | None:
        if self.channels is None:
            eeg = [i for i, kind in enumerate(info.ch_types) if kind == "eeg"]
            if not eeg:
                raise ConfigError(f"decoder fbcca: '{info.name}' has no EEG channel")
            return eeg if len(eeg) < info.n_channels else None
        missing = [name for name in self.channels if name not in info.ch_names]
        if missing or not self.channels:
            raise ConfigError(
                f"decoder fbcca: channels {', '.join(missing) or 'none'} asked for, the stream has "
                f"{', '.join(info.ch_names)}"
            )
        return [info.ch_names.index(name) for name in self.channels]
