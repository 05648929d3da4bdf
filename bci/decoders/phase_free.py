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
from pydantic import Field, field_validator
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.validation import check_is_fitted

from bci.config import DecoderSettings
from bci.decoders._checks import check_labels, check_windows
from bci.decoders.temperature import fit_inverse_temperature
from bci.errors import ConfigError
from bci.types import FloatArray, StreamInfo

#: What a decoder has learned, by name.
Learned = Mapping[str, FloatArray]

N_CALIBRATION_FOLDS = 3
N_CALIBRATION_LENGTHS = 4


class PhaseFree(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Abstract: a linear classifier of features of power.

    One that is no regression on features says instead how to get from what was
    measured to logits (`_fit_weights`, `_logits`).

    Attributes
    ----------
    classes_ : array of labels, sorted
    n_channels_ : int
    learned_ : mapping of str to array
        What the subclass learned, and ``coef``, ``intercept`` of the regression.
    lengths_, inverse_temperatures_ : array
        Window lengths in seconds, and the factor from logits to log-odds there.
    """

    kind: ClassVar[str]
    any_length: ClassVar[bool] = True
    #: Windows may start anywhere after the flicker's onset: there is no template.
    locked: ClassVar[bool] = False

    sfreq: float
    frequencies: Mapping[Any, float]
    n_harmonics: int
    C: float
    channels: Sequence[int] | None

    # --- what a subclass says ----------------------------------------------------------------

    def _shortest(self) -> int:
        """Samples of the shortest window that features can be taken from."""
        raise NotImplementedError

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

    # --- scikit-learn ------------------------------------------------------------------------

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
        self._check_parameters()
        windows = check_windows(X)
        self.n_channels_ = windows.shape[1]
        windows = self._picked(windows)
        classes, codes = check_labels(y, len(windows))
        self._check_classes(classes)
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise ValueError(
                f"{type(self).__name__} needs two windows of each class to calibrate its "
                f"probabilities; found one of '{classes[counts.argmin()]}'"
            )
        self.classes_ = classes
        shortest = max(self._shortest(), windows.shape[2] // N_CALIBRATION_LENGTHS)
        n_times = np.unique(
            np.linspace(shortest, windows.shape[2], N_CALIBRATION_LENGTHS).astype(int)
        )
        measured = {n: self._measure(windows[..., :n]) for n in n_times.tolist()}
        unseen = {n: np.empty((len(windows), len(classes))) for n in measured}
        folds = StratifiedKFold(min(N_CALIBRATION_FOLDS, int(counts.min())))
        for train, test in folds.split(windows, codes):
            learned = self._fit_weights(measured[windows.shape[2]][train], codes[train])
            for n, values in measured.items():
                unseen[n][test] = self._logits(values[test], learned)
        self.lengths_ = np.array(list(measured)) / self.sfreq
        self.inverse_temperatures_ = np.array(
            [fit_inverse_temperature(logits, codes) for logits in unseen.values()]
        )
        self.learned_ = self._fit_weights(measured[windows.shape[2]], codes)
        return self

    def _fit_weights(self, measured: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        learned = self._learn(measured)
        features = self._features(measured, learned)
        regression = LogisticRegression(C=self.C, max_iter=1000).fit(features, codes)
        coef, intercept = regression.coef_, regression.intercept_
        if len(coef) == 1:  # two classes: the log-odds of the second
            coef, intercept = (np.concatenate([0 * part, part]) for part in (coef, intercept))
        learned |= {"coef": coef, "intercept": intercept}
        # the order in memory decides the last bit of a product: as it is loaded from an artifact
        return {name: np.ascontiguousarray(array) for name, array in learned.items()}

    def _logits(self, measured: FloatArray, learned: Learned) -> FloatArray:
        features = self._features(measured, learned)
        logits: FloatArray = features @ learned["coef"].T + learned["intercept"]
        return logits

    def scores(self, X: ArrayLike) -> FloatArray:
        """Logits before calibration, shape (n_windows, n_classes)."""
        check_is_fitted(self, "learned_")
        windows = self._picked(check_windows(X, self.n_channels_))
        return self._logits(self._measure(windows), self.learned_)

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """As `scores`; for two classes second minus first, shape (n_windows,)."""
        scores = self.scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable label of each window, shape (n_windows,)."""
        best = self.scores(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        scores = self.scores(X)
        beta = self.inverse_temperature(np.shape(X)[2] / self.sfreq)
        probabilities: FloatArray = softmax(beta * scores, axis=1)
        return probabilities

    def inverse_temperature(self, length_s: float) -> float:
        """Factor from score to log-odds for windows of `length_s` seconds.

        Linear between the lengths calibrated, proportional below the shortest,
        constant beyond the longest.
        """
        lengths = np.concatenate([[0.0], self.lengths_])
        return float(np.interp(length_s, lengths, [0.0, *self.inverse_temperatures_]))

    # --- an artifact -------------------------------------------------------------------------

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "learned_")
        return {
            **self.learned_,
            "lengths": self.lengths_,
            "inverse_temperatures": self.inverse_temperatures_,
            "n_channels": np.array([float(self.n_channels_)]),
        }

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`; `classes` gives labels their type back."""
        types = {str(label): label for label in classes}
        self.frequencies = {types.get(str(k), k): hz for k, hz in self.frequencies.items()}
        learned = dict(state)
        self.lengths_ = learned.pop("lengths")
        self.inverse_temperatures_ = learned.pop("inverse_temperatures")
        self.n_channels_ = int(learned.pop("n_channels")[0])
        self.learned_ = learned
        self.classes_ = np.array(classes)

    # --- input -------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        if not isinstance(self.frequencies, Mapping) or len(self.frequencies) < 2:
            raise ValueError(
                "frequencies must map two or more labels to Hz, for example {'13 Hz': 13.0, "
                f"'17 Hz': 17.0}}; found {self.frequencies!r}"
            )
        hz, top = [float(f) for f in self.frequencies.values()], 0.9 * self.sfreq / 2
        if min(hz) <= 0 or max(hz) + 1.0 >= top or self.n_harmonics < 1:
            raise ValueError(
                f"stimulus frequencies {min(hz):g} to {max(hz):g} Hz with {self.n_harmonics} "
                f"harmonics do not fit between 0 and {top - 1:g} Hz at a sampling rate of "
                f"{self.sfreq:g} Hz"
            )

    def _centres(self) -> tuple[float, ...]:
        """Frequencies and harmonics, Hz, each once; as many harmonics as fit for every class."""
        hz, top = [float(f) for f in self.frequencies.values()], 0.9 * self.sfreq / 2
        n = min(self.n_harmonics, int((top - 1.0) / max(hz)))
        return tuple(sorted({round(h * f, 6) for f in hz for h in range(1, n + 1)}))

    def _picked(self, windows: FloatArray) -> FloatArray:
        if self.channels is not None:
            if max(self.channels) >= windows.shape[1]:
                raise ValueError(
                    f"X has {windows.shape[1]} channels, the decoder uses number "
                    f"{max(self.channels)} (counted from 0)"
                )
            windows = windows[:, list(self.channels)]
        if windows.shape[2] < self._shortest():
            raise ValueError(
                f"a window of {windows.shape[2]} samples is too short for {type(self).__name__}: "
                f"it needs {self._shortest()} ({self._shortest() / self.sfreq:.3g} s)"
            )
        return windows


class PhaseFreeSettings(DecoderSettings):
    """What the settings of these decoders share."""

    decoder: ClassVar[Any]

    frequencies_hz: list[float] | dict[str, float] = Field(
        description="stimulus frequencies, Hz (labelled '13 Hz' and so on), or label: Hz"
    )
    harmonics: int = Field(2, ge=1, le=20, description="frequency and its multiples, that many")
    C: float = Field(1.0, gt=0, description="inverse strength of the L2 penalty")
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

    def _arguments(self) -> dict[str, Any]:
        """Arguments of the decoder beyond sampling rate, frequencies and channels."""
        return {"n_harmonics": self.harmonics, "C": self.C}

    def build(self, info: StreamInfo) -> Any:
        """Make an untrained decoder for a processed stream.

        Raises
        ------
        ConfigError
            A channel is not there, or a frequency does not fit the sampling rate.
        """
        hz = self.frequencies_hz
        frequencies = dict(hz) if isinstance(hz, dict) else {f"{f:g} Hz": f for f in hz}
        made = self.decoder(
            info.sfreq, frequencies, channels=self._channels(info), **self._arguments()
        )
        try:
            made._check_parameters()
        except ValueError as error:
            raise ConfigError(f"decoder {self.kind}: {error}") from error
        return made

    def _channels(self, info: StreamInfo) -> list[int] | None:
        names = self.channels
        if names is None:
            names = [n for n, kind in zip(info.ch_names, info.ch_types, strict=True)
                     if kind == "eeg"]  # fmt: skip
            if not names:
                raise ConfigError(f"decoder {self.kind}: '{info.name}' has no EEG channel")
            if len(names) == info.n_channels:
                return None
        missing = [name for name in names if name not in info.ch_names]
        if missing or not names:
            raise ConfigError(
                f"decoder {self.kind}: channels {', '.join(missing) or 'none'} asked for, the "
                f"stream has {', '.join(info.ch_names)}"
            )
        return [info.ch_names.index(name) for name in names]
