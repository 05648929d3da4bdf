"""The small CNN and LSTM for ECoG as a decoder; see `models.ecog_lstm_cnn`.

Power, its logarithm and standard scores are as in `bci.decoders.ecog`, from training windows
alone. When to stop is told by the last windows of each class in the training, never by the
test: Bafana, arXiv 2311.13507, 2023, chooses shape and training on the test's accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import log_softmax

from bci.config import DecoderSettings
from bci.decoders.deep.training import occurrences
from bci.decoders.ecog.broadband import HighGammaPower, log_means
from bci.decoders.ecog.classifier import FeatureClassifier
from bci.decoders.temperature import fit_inverse_temperature
from bci.extras import require_torch
from bci.types import FloatArray, StreamInfo

if TYPE_CHECKING:
    from models.ecog_lstm_cnn import ECoGNet

#: Samples a second of the power that the network sees; it changes no faster than 10 Hz.
POWER_SFREQ = 25.0
#: Share of each class's windows that tells when to stop.
HELD_OUT = 0.2


class ECoGLSTMCNN(FeatureClassifier):
    """Broadband power, and a network of about a thousand weights.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the windows, Hz.
    n_filters, n_hidden, dropout
        See `models.ecog_lstm_cnn.ECoGNetConfig`.
    n_epochs, patience, batch_size, learning_rate, weight_decay
        See `models.classifier_training.Recipe`.
    highpass_hz : float or None
        As in `bci.decoders.HighGammaKNN`.
    random_state : int
        Of initial weights and training.
    device : str or None
        None: a GPU where there is one.

    Attributes
    ----------
    classes_, n_channels_, learned_
        As in `bci.decoders.ecog.classifier.FeatureClassifier`; learned are the ``baseline`` of
        power, ``mean`` and ``scale`` of each electrode, ``n_times`` of the power, the
        ``inverse_temperature``, and the network's weights.
    n_parameters_ : int
        Weights and biases of the network.
    """

    kind: ClassVar[str] = "ecog_lstm_cnn"

    _net: ECoGNet | None

    def __init__(
        self,
        sfreq: float,
        *,
        n_filters: int = 6,
        n_hidden: int = 8,
        dropout: float = 0.3,
        n_epochs: int = 200,
        patience: int | None = 30,
        batch_size: int = 16,
        learning_rate: float = 5e-3,
        weight_decay: float = 1e-2,
        highpass_hz: float | None = 50.0,
        random_state: int = 0,
        device: str | None = None,
    ) -> None:
        self.sfreq = sfreq
        self.n_filters = n_filters
        self.n_hidden = n_hidden
        self.dropout = dropout
        self.n_epochs = n_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.highpass_hz = highpass_hz
        self.random_state = random_state
        self.device = device

    def _learn(self, windows: FloatArray, codes: NDArray[np.intp]) -> dict[str, FloatArray]:
        require_torch("the network for ECoG")
        from models.classifier_training import ClassifierTraining, Recipe, scores
        from models.devices import seeded
        from models.network_training import weights_of

        counts = np.bincount(codes)
        if counts.min() < 2:
            raise ValueError(
                f"{type(self).__name__} needs two windows of each class, one to learn from and "
                f"one to say when to stop; found one of '{self.classes_[counts.argmin()]}'"
            )
        high_gamma = HighGammaPower(self.sfreq, self.highpass_hz).fit(windows)
        learned = {"baseline": high_gamma.baseline_}
        power = self._log_power(windows, learned["baseline"])
        spread = power.std(axis=(0, 2))
        learned |= {
            "mean": power.mean(axis=(0, 2)),
            "scale": np.where(spread > 0.0, spread, 1.0),
            "n_times": np.array([float(power.shape[2])]),
        }
        x = _standard(power, learned)
        # the last of each class, in order of time
        held_out = occurrences(codes) >= counts[codes] - np.maximum(1, HELD_OUT * counts[codes])
        recipe = Recipe(
            n_epochs=self.n_epochs, batch_size=self.batch_size, learning_rate=self.learning_rate,
            weight_decay=self.weight_decay, patience=self.patience,
            class_weights=tuple((len(codes) / len(counts) / counts).tolist()),
        )  # fmt: skip
        with seeded([self.random_state]):
            network = self._network(windows.shape[1], power.shape[2])
        training = ClassifierTraining(
            network, x[~held_out], codes[~held_out], x[held_out], codes[held_out], recipe,
            seed=(self.random_state,), device=self.device,
        )  # fmt: skip
        training.run()
        self._net = network.cpu()
        beta = fit_inverse_temperature(
            np.asarray(scores(network, x[held_out]), np.float64), codes[held_out]
        )
        weights = {
            f"network.{name}": np.asarray(w, np.float64) for name, w in weights_of(network).items()
        }
        return learned | {"inverse_temperature": np.array([beta])} | weights

    @property
    def n_parameters_(self) -> int:
        """Weights and biases of the network."""
        return sum(w.size for name, w in self.learned_.items() if name.startswith("network."))

    def _network(self, n_channels: int, n_times: int) -> ECoGNet:
        from models.ecog_lstm_cnn import ECoGNet, ECoGNetConfig

        shape = ECoGNetConfig(
            n_channels, n_times, len(self.classes_), n_filters=self.n_filters,
            n_hidden=self.n_hidden, dropout=self.dropout,
        )  # fmt: skip
        return ECoGNet(shape)

    def _log_power(self, windows: FloatArray, baseline: FloatArray) -> FloatArray:
        """Logarithm of power at 25 samples a second, (n_windows, n_channels, n_times)."""
        power = HighGammaPower.restored(self.sfreq, self.highpass_hz, baseline).transform(windows)
        return log_means(power, max(1, int(windows.shape[2] / self.sfreq * POWER_SFREQ)))

    def _log_proba(self, windows: FloatArray) -> FloatArray:
        require_torch("the network for ECoG")
        from models.classifier_training import scores
        from models.network_training import load_weights

        learned = self.learned_
        power = self._log_power(windows, learned["baseline"])
        if power.shape[2] != learned["n_times"][0]:
            raise ValueError(
                f"windows of {windows.shape[2]} samples give {power.shape[2]} values of power, the "
                f"network expects {learned['n_times'][0]:.0f}"
            )
        if self._net is None:  # restored
            self._net = self._network(self.n_channels_, power.shape[2])
            weights = {k.removeprefix("network."): w for k, w in learned.items() if "network." in k}
            load_weights(self._net, weights)
        raw = scores(self._net, _standard(power, learned))
        logs: FloatArray = log_softmax(
            learned["inverse_temperature"] * raw.astype(np.float64), axis=1
        )
        return logs

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`; torch is imported when it decides."""
        super().restore(state, classes)
        self._net = None


def _standard(power: FloatArray, learned: dict[str, FloatArray]) -> NDArray[np.float32]:
    scores: FloatArray = (power - learned["mean"][:, None]) / learned["scale"][:, None]
    return scores.astype(np.float32)


class ECoGLSTMCNNSettings(DecoderSettings):
    """A small CNN and LSTM on broadband power; to be trained on labelled windows."""

    decoder: ClassVar[type[ECoGLSTMCNN]] = ECoGLSTMCNN

    kind: Literal["ecog_lstm_cnn"] = "ecog_lstm_cnn"
    n_filters: int = Field(6, ge=1, description="combinations of electrodes")
    n_hidden: int = Field(8, ge=1, description="cells of the LSTM")
    dropout: float = Field(0.3, ge=0, lt=1, description="share of values dropped in training")
    n_epochs: int = Field(200, ge=1, description="passes through the training windows, at most")
    learning_rate: float = Field(5e-3, gt=0, description="of Adam")
    highpass_hz: float | None = Field(
        50.0,
        gt=0,
        description="power above it counts, Hz; null: the stage broadband_power stands before",
    )
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="where to train; null: on a GPU where there is one"
    )
    seed: int = Field(0, ge=0, description="of all that is random in the training")

    def build(self, info: StreamInfo) -> ECoGLSTMCNN:
        """Make an untrained decoder for a processed stream."""
        given: dict[str, Any] = self.model_dump(exclude={"kind", "seed"})
        return ECoGLSTMCNN(info.sfreq, **given, random_state=self.seed)
