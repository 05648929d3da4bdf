"""RLEEGNet under a protocol that can be believed, and its supervised twin.

Nallani & Ramachandran, arXiv:2402.09465, 2024: common spatial patterns of one class
against the rest that keep time, and a deep Q-network that is rewarded for naming the
class. Here all that learns from labels (filters, network, temperature) is fitted inside
the training windows, and every window passes all banks of filters. An episode has one
step, so the discount is 0 and Q-learning is regression of the reward (see
`models.q_learning`). What reinforcement adds is seen beside the same network, trained on
the same trials by cross-entropy: ``objective="supervised"``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy import signal
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bci.config import DecoderSettings
from bci.decoders._checks import check_labels, check_windows
from bci.decoders.covariance.csp_bank import OvRCSPBank
from bci.decoders.deep.decoder import prefixed, unprefixed
from bci.decoders.deep.q_network import Objective, QNetwork, Split, train_network
from bci.decoders.deep.training import occurrences
from bci.decoders.temperature import fit_inverse_temperature
from bci.errors import ConfigError
from bci.types import FloatArray, StreamInfo

ORDER = 4

#: The rate of the network's input lies above the highest frequency by so much.
OVERSAMPLED = 2.05


class RLEEGNet(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One-versus-rest spatial filters that keep time, and a Q-network on them.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    objective : "dqn" or "supervised"
        What the network learns from: the reward of the class it named, +1 or -1, or
        the label (cross-entropy).
    band_hz : (float, float)
        Windows are band-passed forth and back, each by itself, and then thinned out to
        about twice the upper edge.
    n_components : int
        Spatial filters of each class.
    n_epochs : int
        Passes through the training trials, at most.
    patience : int or None
        Epochs without a better loss on the trials held out, after which training ends.
    batch_size, learning_rate
        Of a step of Adam.
    held_out : float
        Share of the trials, the last of each class in order of time, that neither the
        filters nor the network learn from: they choose the epoch and calibrate
        probabilities.
    rank : int or None
        Directions to keep, where processing has lowered the rank; None: found from
        the training data.
    random_state : int
    device : str or None
        "cpu" or "cuda"; None: a GPU where there is one.

    Attributes
    ----------
    classes_ : array of labels, sorted
    bank_ : OvRCSPBank
    weights_ : dict of arrays
        Of the network.
    n_times_ : int
        Samples of a window.
    inverse_temperature_ : float
        What values are multiplied by; probabilities are their softmax.
    """

    kind: ClassVar[str] = "rleegnet"
    any_length: ClassVar[bool] = False

    def __init__(
        self,
        sfreq: float,
        objective: Objective = "dqn",
        band_hz: tuple[float, float] = (8.0, 30.0),
        n_components: int = 4,
        *,
        n_epochs: int = 100,
        patience: int | None = 30,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        held_out: float = 0.2,
        rank: int | None = None,
        random_state: int = 0,
        device: str | None = None,
    ) -> None:
        self.sfreq = sfreq
        self.objective = objective
        self.band_hz = band_hz
        self.n_components = n_components
        self.n_epochs = n_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.held_out = held_out
        self.rank = rank
        self.random_state = random_state
        self.device = device

    # --- training --------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        progress: Callable[[int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Self:
        """Learn from windows in order of time.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts.
        y : array of labels, shape (n_windows,)
        progress : callable or None
            Takes epochs done, and the mean reward (or loss) of the last.
        should_stop : callable or None
            Asked before each epoch.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, too few windows of
            one to hold any out, or a parameter out of its range.
        TrainingStopped
            `should_stop` said so.
        MissingDependency
            torch is not installed.
        """
        if self.objective not in ("dqn", "supervised"):
            raise ValueError(f"objective must be 'dqn' or 'supervised', found {self.objective!r}")
        windows = check_windows(X)
        self.classes_, codes = check_labels(y, len(windows))
        banded = self._banded(windows)
        judges = self._judges(codes)
        # held out from the filters too, or every trial would look easy to those that judge
        self.bank_ = OvRCSPBank(self.n_components, self.rank).fit(banded[~judges], codes[~judges])
        states = self._thinned(self.bank_.transform(banded))
        split = Split(states[~judges], codes[~judges], states[judges], codes[judges])
        self.n_times_ = windows.shape[2]
        weights = train_network(
            self.objective, split, n_epochs=self.n_epochs, patience=self.patience,
            batch_size=self.batch_size, learning_rate=self.learning_rate,
            seed=self.random_state, device=self.device, progress=progress,
            should_stop=should_stop,
        )  # fmt: skip
        self._take(weights)
        values = self._network().values(split.held_out)
        self.inverse_temperature_ = fit_inverse_temperature(values, split.held_out_codes)
        return self

    def _judges(self, codes: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which trials are held out: the last of each class."""
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must lie between 0 and 1, found {self.held_out}")
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise ValueError(
                "to hold a trial out and to learn from another it needs two of each class, found "
                f"one of '{self.classes_[counts.argmin()]}'"
            )
        kept = np.clip(np.round(counts * (1 - self.held_out)).astype(int), 1, counts - 1)
        judges: NDArray[np.bool_] = occurrences(codes) >= kept[codes]
        return judges

    def _banded(self, windows: FloatArray) -> FloatArray:
        low, high = self.band_hz
        if not 0 < low < high < self.sfreq / 2:
            raise ValueError(
                f"the band {low:g} to {high:g} Hz does not lie between 0 Hz and half the sampling "
                f"rate of {self.sfreq:g} Hz; choose another band"
            )
        sos = signal.butter(ORDER, (low, high), "bandpass", fs=self.sfreq, output="sos")
        pad = min(3 * (2 * len(sos) + 1), windows.shape[2] - 1)
        banded: FloatArray = signal.sosfiltfilt(sos, windows, padlen=pad)
        return banded

    def _thinned(self, components: FloatArray) -> FloatArray:
        every = max(1, int(self.sfreq / (OVERSAMPLED * self.band_hz[1])))
        return components[..., ::every]

    def _take(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights_ = dict(weights)
        self._decides: QNetwork | None = None

    # --- deciding --------------------------------------------------------------------------------

    def _network(self) -> QNetwork:
        if self._decides is None:  # from an artifact: torch is imported when it has to decide
            shape = self._thinned(np.empty((len(self.bank_.filters_), self.n_times_))).shape
            self._decides = QNetwork(self.weights_, shape, len(self.classes_))
        return self._decides

    def _logits(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "inverse_temperature_")
        windows = check_windows(X, self.bank_.filters_.shape[1])
        if windows.shape[2] < self.n_times_:
            raise ValueError(
                f"a window of {windows.shape[2]} samples is shorter than those of the training, "
                f"{self.n_times_} ({self.n_times_ / self.sfreq:g} s)"
            )
        banded = self._banded(windows[..., : self.n_times_])
        states = self._thinned(self.bank_.transform(banded))
        return self.inverse_temperature_ * self._network().values(states)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Label of the largest value for each window, shape (n_windows,)."""
        labels: NDArray[Any] = self.classes_[self._logits(X).argmax(axis=1)]
        return labels

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        probabilities: FloatArray = softmax(self._logits(X), axis=1)
        return probabilities

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Log-probabilities up to a constant; for two classes their difference, (n_windows,)."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def __getstate__(self) -> dict[str, Any]:
        """Without the network as torch has it: its weights are there as arrays."""
        state: dict[str, Any] = super().__getstate__()
        return {**state, "_decides": None} if "_decides" in state else state

    # --- an artifact -----------------------------------------------------------------------------

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "inverse_temperature_")
        return prefixed("network.", self.weights_) | {
            "filters": self.bank_.filters_,
            "n_times": np.array([float(self.n_times_)]),
            "inverse_temperature": np.array([self.inverse_temperature_]),
        }

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        self.classes_ = np.array(classes)
        self.bank_ = OvRCSPBank(self.n_components, self.rank)
        self.bank_.filters_ = state["filters"]
        self.n_times_ = int(state["n_times"][0])
        self._take(unprefixed("network.", state))
        self.inverse_temperature_ = float(state["inverse_temperature"][0])


class RLEEGNetSettings(DecoderSettings):
    """A Q-network on one-versus-rest spatial filters; to be trained on labelled windows."""

    decoder: ClassVar[type[RLEEGNet]] = RLEEGNet

    kind: Literal["rleegnet"] = "rleegnet"
    objective: Objective = Field(
        "dqn", description="learn from rewards, or (supervised) the same network from labels"
    )
    band_hz: tuple[float, float] = Field(
        (8.0, 30.0), description="(low, high) that the network sees, Hz"
    )
    filters: int = Field(4, ge=1, le=20, description="spatial filters of each class")
    n_epochs: int = Field(100, ge=1, description="passes through the training trials, at most")
    patience: int | None = Field(
        30, ge=1, description="epochs without a better loss on trials held out; null: never ends"
    )
    batch_size: int = Field(64, ge=2, description="transitions, or trials, in a step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam")
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="where to train; null: on a GPU where there is one"
    )
    seed: int = Field(0, ge=0, description="of all that is random in the training")

    def build(self, info: StreamInfo) -> RLEEGNet:
        """Make an untrained decoder for a processed stream.

        Raises
        ------
        ConfigError
            The band does not fit the sampling rate.
        """
        low, high = self.band_hz
        if not 0 < low < high < info.sfreq / 2:
            raise ConfigError(
                f"decoder rleegnet: band_hz {low:g} to {high:g} Hz must lie between 0 and half the "
                f"sampling rate of {info.sfreq:g} Hz"
            )
        return RLEEGNet(
            info.sfreq, self.objective, self.band_hz, self.filters, n_epochs=self.n_epochs,
            patience=self.patience, batch_size=self.batch_size,
            learning_rate=self.learning_rate, rank=info.rank, random_state=self.seed,
            device=self.device,
        )  # fmt: skip
