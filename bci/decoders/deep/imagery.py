"""Networks for motor imagery and other responses without a fixed phase, as a decoder.

EEGNet, the shallow and the deep ConvNet, EEG Conformer, ATCNet and a CNN-LSTM; the
papers stand with the networks in `models`. Any model of braindecode is taken by its
name, where that package is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from bci.decoders._checks import check_labels, check_windows
from bci.decoders.deep.decoder import prefixed, unprefixed
from bci.decoders.deep.imagery_training import (
    Plan,
    Shape,
    Windows,
    make_network,
    scorer,
    train,
)
from bci.decoders.deep.training import Oversight
from bci.decoders.temperature import fit_inverse_temperature
from bci.types import FloatArray

#: What `augment` does: moves by this many seconds, sets channels to 0 with this
#: probability, and makes a window stronger or weaker by this share, all at most.
SHIFT_S, CHANNEL_DROPOUT, AMPLITUDE = 0.1, 0.1, 0.1


class DeepImagery(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network that classifies windows.

    A part of the trials is held out: the epoch that is best on it is kept, and the
    probabilities, ``softmax(β · score)``, are calibrated on it. (The epoch was chosen
    there, so β is a little too sure; it has one number to choose.)

    Parameters
    ----------
    network : str
        "eegnet", "shallow", "deep4", "conformer", "atcnet", "cnn_lstm", or
        "braindecode:" and the name of a model there, as "braindecode:EEGNeX".
    sfreq : float
        Sampling rate of the windows, Hz.
    n_epochs : int
        At most.
    batch_size : int
        Windows in a step.
    learning_rate, weight_decay : float
        Of Adam; the decay is decoupled.
    patience : int or None
        Epochs without a better loss on what is held out, after which training ends.
    validation : float
        Share of each class's trials that is held out, between 0 and 1.
    window_s, stride_s : float or None
        Length of the windows that the network sees, and from one to the next, seconds:
        it learns from all of them in each trial, and its scores of them are averaged.
        Trials are held out whole. None: the network sees trials whole; and half of
        `window_s` from one to the next.
    augment : bool
        Whether trials are changed a little in each epoch: moved in time, made stronger
        or weaker, without one channel or another.
    class_weight : "balanced" or None
        Whether rare classes weigh more in the loss.
    random_state : int
        Of initial weights, of what is held out, and of all that is drawn in training.
    device : str or None
        Where to train: "cpu" or "cuda"; None: a GPU where there is one. Deciding is done
        on the CPU.
    checkpoint : str or None
        Folder where trainings are kept while they run; the same training, called again,
        goes on from there.

    Attributes
    ----------
    classes_ : array of labels, sorted
    n_channels_, n_times_ : int
        Channels of the windows, and samples that the network sees.
    mean_, scale_ : array, shape (n_channels_,)
        Of the trials that were learned from; each channel is standardised with them.
    weights_ : dict of arrays
    inverse_temperature_ : float
        β.
    """

    kind: ClassVar[str] = "deep_imagery"
    any_length: ClassVar[bool] = False

    def __init__(
        self,
        network: str = "eegnet",
        sfreq: float = 250.0,
        *,
        n_epochs: int = 500,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        patience: int | None = 75,
        validation: float = 0.2,
        window_s: float | None = None,
        stride_s: float | None = None,
        augment: bool = False,
        class_weight: Literal["balanced"] | None = None,
        random_state: int = 0,
        device: str | None = None,
        checkpoint: str | None = None,
    ) -> None:
        self.network = network
        self.sfreq = sfreq
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.validation = validation
        self.window_s = window_s
        self.stride_s = stride_s
        self.augment = augment
        self.class_weight = class_weight
        self.random_state = random_state
        self.device = device
        self.checkpoint = checkpoint

    # --- training --------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        progress: Callable[[str, int, int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Self:
        """Learn from trials, shape (n_windows, n_channels, n_times), and their labels.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts.
        y : array of labels, shape (n_windows,)
        progress : callable or None
            Takes the network's name, epochs done, their largest number, and the mean loss.
        should_stop : callable or None
            Asked before each epoch.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, fewer than two classes, fewer than two
            windows of one, windows too short for the network, no such network, a
            training whose loss is no number any more.
        TrainingStopped
            `should_stop` said so.
        MissingDependency
            torch is not installed, or braindecode, where its model is asked for.
        """
        trials = check_windows(X)
        self.classes_, codes = check_labels(y, len(trials))
        self.n_channels_ = trials.shape[1]
        self.n_times_ = self._window_length(trials.shape[2])
        learned, held_out = self._split(codes)
        self.mean_ = trials[learned].mean(axis=(0, 2))
        flat = np.ptp(trials[learned], axis=(0, 2)) == 0.0
        if flat.all():
            raise ValueError("all channels of X are flat: there is nothing to learn from")
        self.scale_ = np.where(flat, 1.0, trials[learned].std(axis=(0, 2)))
        network = make_network(self._shape(), self.random_state)
        folder = None if self.checkpoint is None else Path(self.checkpoint)
        self.weights_ = train(
            network,
            self._shape(),
            self._cropped(trials[learned], codes[learned]),
            self._cropped(trials[held_out], codes[held_out]),
            self._plan(np.bincount(codes[learned])),
            Oversight(progress, should_stop, folder),
        )
        self._scorer = scorer(network, self.weights_)
        self.inverse_temperature_ = fit_inverse_temperature(
            self._scores(trials[held_out]), codes[held_out]
        )
        return self

    def _window_length(self, n_times: int) -> int:
        """Samples that the network sees of trials of `n_times`."""
        if self.window_s is None:
            if self.stride_s is not None:
                raise ValueError("stride_s is the step between windows of window_s, which is None")
            return n_times
        length = round(self.window_s * self.sfreq)
        if length < 1 or length > n_times:
            raise ValueError(
                f"window_s is {self.window_s:g} s, {length} samples; the trials have {n_times}"
            )
        if self._stride(length) < 1:
            raise ValueError(f"stride_s must be a sample or more, found {self.stride_s} s")
        return length

    def _stride(self, length: int) -> int:
        return length // 2 or 1 if self.stride_s is None else round(self.stride_s * self.sfreq)

    def _split(self, codes: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Trials to learn from, and trials held out: of each class the same share."""
        if not 0 < self.validation < 1:
            raise ValueError(f"validation must be between 0 and 1, found {self.validation:g}")
        rng = np.random.default_rng(self.random_state)
        held_out = []
        for code, label in enumerate(self.classes_):
            own = np.flatnonzero(codes == code)
            if len(own) < 2:
                raise ValueError(
                    "DeepImagery needs two windows of each class, one of them to hold out; found "
                    f"one of '{label}'"
                )
            n = min(max(round(self.validation * len(own)), 1), len(own) - 1)
            held_out.append(rng.permutation(own)[:n])
        out = np.sort(np.concatenate(held_out))
        return np.setdiff1d(np.arange(len(codes)), out), out

    def _cropped(self, trials: FloatArray, codes: NDArray[np.intp]) -> Windows:
        """All windows of trials, those of one trial one after the other."""
        windows = self._crops(trials)
        labels = np.repeat(codes, windows.shape[1])
        return Windows(windows.reshape(-1, *windows.shape[2:]), labels)

    def _crops(self, trials: FloatArray) -> NDArray[np.float32]:
        """Standardised windows, shape (n_trials, n_crops, n_channels_, n_times_)."""
        standard = (trials - self.mean_[:, None]) / self.scale_[:, None]
        crops = np.lib.stride_tricks.sliding_window_view(
            standard.astype(np.float32), self.n_times_, axis=2
        )[:, :, :: self._stride(self.n_times_)]
        return np.ascontiguousarray(crops.swapaxes(1, 2))

    def _shape(self) -> Shape:
        return Shape(
            self.network, self.n_channels_, self.n_times_, len(self.classes_), float(self.sfreq)
        )

    def _plan(self, counts: NDArray[np.intp]) -> Plan:
        if self.class_weight not in ("balanced", None):
            raise ValueError(
                f"class_weight must be 'balanced' or None, found {self.class_weight!r}"
            )
        weights = None
        if self.class_weight == "balanced":
            weights = tuple((counts.sum() / (len(counts) * counts)).tolist())
        augmentation = None
        if self.augment:
            augmentation = (round(SHIFT_S * self.sfreq), CHANNEL_DROPOUT, AMPLITUDE)
        return Plan(
            self.n_epochs, self.batch_size, self.learning_rate, self.weight_decay, self.patience,
            weights, augmentation, self.random_state, self.device,
        )  # fmt: skip

    # --- deciding --------------------------------------------------------------------------------

    def _scores(self, windows: FloatArray) -> FloatArray:
        """Scores before calibration, the mean of those of all crops, (n_windows, n_classes)."""
        crops = self._crops(windows)
        scores = self._scorer(crops.reshape(-1, *crops.shape[2:]))
        mean: FloatArray = scores.reshape(*crops.shape[:2], len(self.classes_)).mean(axis=1)
        return mean

    def _logits(self, X: ArrayLike) -> FloatArray:
        check_is_fitted(self, "weights_")
        windows = check_windows(X, self.n_channels_)
        fits = windows.shape[2] >= self.n_times_
        if not fits or (self.window_s is None and windows.shape[2] > self.n_times_):
            raise ValueError(
                f"X has windows of {windows.shape[2]} samples, the decoder was trained for "
                f"{self.n_times_} ({self.n_times_ / self.sfreq:g} s)"
                + (" or more" if self.window_s else "")
            )
        if len(windows) == 0:
            return np.empty((0, len(self.classes_)))
        return self.inverse_temperature_ * self._scores(windows)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable label of each window, shape (n_windows,)."""
        labels: NDArray[Any] = self.classes_[self._logits(X).argmax(axis=1)]
        return labels

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Log-probabilities up to a constant; for two classes their difference, (n_windows,)."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes)."""
        probabilities: FloatArray = softmax(self._logits(X), axis=1)
        return probabilities

    # --- an artifact -----------------------------------------------------------------------------

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found, for an artifact."""
        check_is_fitted(self, "weights_")
        numbers = (self.n_channels_, self.n_times_, self.inverse_temperature_)
        return {
            **prefixed("weights.", self.weights_),
            "mean": self.mean_,
            "scale": self.scale_,
            "numbers": np.array(numbers, np.float64),
        }

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        n_channels, n_times, beta = state["numbers"].tolist()
        self.classes_ = np.array(classes)
        self.n_channels_, self.n_times_ = int(n_channels), int(n_times)
        self.inverse_temperature_ = beta
        self.mean_, self.scale_ = state["mean"], state["scale"]
        self.weights_ = unprefixed("weights.", state)
        self._scorer = scorer(make_network(self._shape(), 0), self.weights_)

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which is made again from its weights."""
        state: dict[str, Any] = super().__getstate__()
        return {k: v for k, v in state.items() if k != "_scorer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "weights_" in state:
            self._scorer = scorer(make_network(self._shape(), 0), self.weights_)
