"""What trained decoders of steady-state responses share that don't ask for the phase.

A template of the waveform needs responses that begin at the same phase in every
trial. Where markers and flicker don't run on one clock they don't, and what is
left to learn is power: how much of it, at which frequency, on which channels.

A subclass says what it learns; this module makes a classifier of it, for
windows of any length, with probabilities that are calibrated on trials which
the weights have not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_labels
from bci.decoders.covariance.classifier import (
    N_CALIBRATION_FOLDS,
    Learned,
    linear_logits,
    linear_weights,
)
from bci.decoders.ssvep.decoder import SSVEPDecoder
from bci.decoders.ssvep.settings import FREQUENCIES_HZ, SSVEPSettings
from bci.types import FloatArray


class PhaseFree(SSVEPDecoder):
    """Base of the decoders that learn from power: logistic regression on features of it.

    One that is no regression on features says instead how to get from what was
    measured to logits (`_fit_weights`, `_logits`).

    Attributes
    ----------
    classes_, lengths_, inverse_temperatures_
        As in `bci.decoders.ssvep.decoder.SSVEPDecoder`.
    n_channels_ : int
        Number of channels used.
    learned_ : mapping of str to array
        What the subclass learned, and ``coef``, ``intercept`` of the regression.
    """

    #: Windows may start anywhere after the flicker's onset: there is no template.
    locked: ClassVar[bool] = False
    _n_lengths = 4

    # one wide band: frequencies and harmonics must lie in it
    n_bands = 1
    low_edges_hz = None
    order = 4
    ripple_db = 0.5

    C: float
    n_channels_: int
    learned_: dict[str, FloatArray]

    # --- what each decoder says ------------------------------------------------------------------

    def _measure(self, windows: FloatArray) -> FloatArray:
        """What features are made of; of each window by itself, shape (n_windows, …)."""
        raise NotImplementedError

    def _learn(self, measured: FloatArray) -> dict[str, FloatArray]:
        """Learn, without labels, how to make features of what was measured."""
        raise NotImplementedError

    def _features(self, measured: FloatArray, learned: Learned) -> FloatArray:
        """Features, shape (n_windows, n_features)."""
        raise NotImplementedError

    def _check_classes(self, classes: NDArray[Any]) -> None:
        """Refuse classes that cannot be decided on."""

    # --- learning --------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn weights, and calibrate the probabilities at several window lengths.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts; one window a trial, in order of time.
        y : array of labels, shape (n_windows,)

        Raises
        ------
        ValueError
            Wrong shape, values not finite, frequencies that do not fit, fewer than
            two classes, or fewer than two windows of one.
        """
        windows = super()._windows(X)
        classes, codes = check_labels(y, len(windows))
        self._check_classes(classes)
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise ValueError(
                f"{type(self).__name__} needs two windows of each class to calibrate its "
                f"probabilities; found one of '{classes[counts.argmin()]}'"
            )
        self.classes_, self.n_channels_ = classes, windows.shape[1]
        n_times = windows.shape[2]
        measured = self._measure(windows)
        folds = [
            (test, self._fit_weights(measured[train], codes[train]))
            for train, test in StratifiedKFold(min(N_CALIBRATION_FOLDS, int(counts.min()))).split(
                windows, codes
            )
        ]

        def held_out(n: int) -> FloatArray:
            values = measured if n == n_times else self._measure(windows[..., :n])
            logits = np.empty((len(windows), len(classes)))
            for test, learned in folds:
                logits[test] = self._logits(values[test], learned)
            return logits

        shortest = self._shortest(self.n_channels_, self._design())
        self._calibrate(held_out, codes, shortest, n_times)
        self.learned_ = self._fit_weights(measured, codes)
        return self

    def _fit_weights(self, measured: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        learned = self._learn(measured)
        features = self._features(measured, learned)
        # balanced: which targets were cued more often says nothing about what will be wanted
        regression = LogisticRegression(C=self.C, class_weight="balanced", max_iter=1000)
        learned |= linear_weights(regression.fit(features, codes))
        # the order in memory decides the last bit of a product: as it is loaded from an artifact
        return {name: np.ascontiguousarray(array) for name, array in learned.items()}

    def _logits(self, measured: FloatArray, learned: Learned) -> FloatArray:
        return linear_logits(self._features(measured, learned), learned)

    # --- deciding --------------------------------------------------------------------------------

    def _windows(self, X: ArrayLike) -> FloatArray:
        windows = super()._windows(X)
        check_is_fitted(self, "learned_")
        if windows.shape[1] != self.n_channels_:
            raise ValueError(
                f"X has {windows.shape[1]} channels, the decoder expects {self.n_channels_}"
            )
        return windows

    def _scores(self, windows: FloatArray) -> FloatArray:
        """Logits before calibration."""
        return self._logits(self._measure(windows), self.learned_)

    # --- an artifact -----------------------------------------------------------------------------

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "learned_")
        return {
            **super().state(),
            **self.learned_,
            "n_channels": np.array([float(self.n_channels_)]),
        }

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`; `classes` gives labels their type back."""
        types = {str(label): label for label in classes}  # a class without flicker has no Hz
        hz = self.frequencies or {}
        self.frequencies = {types.get(str(label), label): f for label, f in hz.items()}
        learned = dict(state)
        self.lengths_ = learned.pop("lengths")
        self.inverse_temperatures_ = learned.pop("inverse_temperatures")
        self.n_channels_ = int(learned.pop("n_channels")[0])
        self.learned_ = learned
        self.classes_ = np.array(classes)

    def _centres(self) -> tuple[float, ...]:
        """Frequencies and harmonics, Hz, each once; as many harmonics as fit for every class."""
        bank = self._design()
        ((_, top),) = bank.edges
        n = max(1, min(bank.n_harmonics, int((top - 1.0) / max(bank.frequencies))))
        return tuple(sorted({round(h * f, 6) for f in bank.frequencies for h in range(1, n + 1)}))


class PhaseFreeSettings(SSVEPSettings):
    """What the settings of these decoders share."""

    decoder: ClassVar[type[PhaseFree]]

    frequencies_hz: list[float] | dict[str, float] = FREQUENCIES_HZ
    harmonics: int = Field(2, ge=1, le=20, description="frequency and its multiples, that many")
    C: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty")

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {"C": self.C}
