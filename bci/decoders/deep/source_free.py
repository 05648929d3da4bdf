"""Adapting the deep network to a person from windows without labels.

Guney, Kucukahmetler & Ozkan, "Source free domain adaptation of a DNN for
SSVEP-based brain-computer interfaces", arXiv:2305.17403, 2023; where the text
leaves room, as in the authors' program.

A network is trained on other people (their data are not needed any more then).
The new person's windows get provisional labels; the network learns to confirm
them where they form tight clusters, and to say of a window what it says of
similar ones; then it labels anew.

Choices: a window that is alone with its label has the silhouette 0; FBCCA is the
one of this package, with its own bands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from bci.decoders import FBCCA
from bci.decoders._checks import check_windows
from bci.decoders.deep.clusters import Clusters
from bci.decoders.deep.decoder import prefixed, unprefixed
from bci.decoders.deep.deep_ssvep import DeepSSVEP
from bci.decoders.deep.folded_network import Weights
from bci.decoders.deep.settings import DeepSettings
from bci.decoders.deep.training import (
    DROPOUT,
    Dropout,
    Oversight,
    Trials,
    gradient_descent,
    train,
    unstack,
)
from bci.decoders.ssvep.settings import FREQUENCIES_HZ, StimulusSettings
from bci.types import FloatArray

_MOST_ROUNDS = 100


class SourceFreeAdaptation(DeepSSVEP):
    """The network of Guney et al. for a new person, who gives windows but no labels.

    `fit` trains on other people: the first stage. `adapt` goes on with the new
    person's windows. Before `adapt` it decides as the first stage does. The
    probabilities are calibrated on people held out of `fit`; `adapt` has no labels
    and leaves that as it is.

    Parameters
    ----------
    n_epochs : (int, int)
        Of the first stage, and of each round of adaptation.
    shares : sequence of float
        Weights λ of the provisional labels in the loss, the rest being that of the
        neighbours' labels; the one with the best clusters is taken.
    delta : float
        Relative drop in correlation behind which a window is no neighbour.
    momentum : float
        Of the gradient descent.
    patience : int
        Rounds without better clusters, one after the other, after which it ends.
    sfreq, frequencies, n_bands, window_s, and the others
        As in `bci.decoders.deep.decoder.DeepDecoder`; `frequencies` are needed here,
        and `dropout` is for the first stage and for the adaptation.

    Attributes
    ----------
    classes_, n_channels_, lengths_, inverse_temperatures_, weights_
        As in `DeepSSVEP`.
    shares_ : list of float
        After `adapt`: the λ taken for each length.
    """

    kind: ClassVar[str] = "source_free"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float],
        n_bands: int = 3,
        window_s: Sequence[float] = (0.4,),
        *,
        shares: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        delta: float = 0.05,
        momentum: float = 0.9,
        patience: int = 3,
        n_epochs: tuple[int, int] = (1000, 50),
        dropout: tuple[Dropout, Dropout] = DROPOUT,
        batch_size: int = 100,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-3,
        n_filters: int = 120,
        calibration_folds: int = 3,
        channels: Sequence[int] | None = None,
        random_state: int = 0,
        device: str | None = None,
        n_parallel: int | None = None,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__(
            sfreq, frequencies, n_bands, window_s, target=None, n_epochs=n_epochs,
            dropout=dropout, batch_size=batch_size, learning_rate=learning_rate,
            weight_decay=weight_decay, n_filters=n_filters, calibration_folds=calibration_folds,
            channels=channels, random_state=random_state, device=device, n_parallel=n_parallel,
            checkpoint=checkpoint,
        )  # fmt: skip
        self.shares = shares
        self.delta = delta
        self.momentum = momentum
        self.patience = patience

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        subjects: ArrayLike | None = None,
        *,
        progress: Callable[[str, int, int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> SourceFreeAdaptation:
        """Train on other people; arguments and errors as in `DeepSSVEP.fit`."""
        self._stimuli()  # says now what `adapt` would miss
        if subjects is None:
            raise ValueError("adaptation needs subjects to start from: whose each window is")
        super().fit(X, y, subjects, progress=progress, should_stop=should_stop)
        self._source = self.weights_
        return self

    def adapt(
        self,
        X: ArrayLike,
        *,
        progress: Callable[[str, int, int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> SourceFreeAdaptation:
        """Learn from a person's windows, always from where `fit` ended.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts; twice as many as classes, or more.
        progress, should_stop
            As in `DeepSSVEP.fit`.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, or too few or too short windows.
        TrainingStopped
            `should_stop` said so; the decoder is as it was.
        """
        windows = self._picked(check_windows(X, self.n_channels_))
        n_times = self._n_times()
        if len(windows) < 2 * len(self.classes_) or windows.shape[2] < n_times[-1]:
            raise ValueError(
                f"adaptation to {len(self.classes_)} classes needs {2 * len(self.classes_)} "
                f"windows of {n_times[-1]} samples, found {len(windows)} of {windows.shape[2]}"
            )
        watch = Oversight(progress, should_stop)
        found = [
            self._adapted(windows[..., :n], source, watch)
            for n, source in zip(n_times, self._source, strict=True)
        ]
        self.shares_ = [share for share, _ in found]
        self._take([weights for _, weights in found], self.inverse_temperatures_.tolist())
        return self

    def _adapted(
        self, windows: FloatArray, source: Weights, watch: Oversight
    ) -> tuple[float, Weights]:
        """Return the best λ and its network."""
        runs = self._start(windows, source)
        recipe, n_classes = self._recipe(), len(self.classes_)
        schedule = gradient_descent(recipe, self.n_epochs[1], self.momentum)
        bands = self._trials(windows, np.zeros(len(windows), np.intp)).bands
        for round_ in range(1, _MOST_ROUNDS + 1):
            going = [run for run in runs if run.failures < self.patience]
            if not going:
                break
            targets = [run.clusters.targets(run.share, self.delta, n_classes) for run in going]
            trials = Trials(np.concatenate([bands] * len(going)), np.concatenate(targets))
            rows = list(np.arange(len(trials.bands)).reshape(len(going), -1))
            start = {
                name: np.stack([np.asarray(run.weights[name], np.float32) for run in going])
                for name in source
            }
            stage = f"adaptation, round {round_}"
            trained = train(stage, trials, rows, schedule, recipe, start, watch)
            for run, weights in zip(going, unstack(trained), strict=True):
                network = self._folded([weights], windows.shape[2])[0]
                labels = network.scores(windows).argmax(axis=1)
                run.take(weights, Clusters(network, windows, labels))
        best = max(runs, key=lambda run: run.clusters.total)
        return best.share, best.weights

    def _start(self, windows: FloatArray, source: Weights) -> list[Run]:
        """One run for each λ, from the network's labels or FBCCA's, whichever cluster better."""
        network = self._folded([source], windows.shape[2])[0]
        fbcca = FBCCA(self.sfreq, self._stimuli())
        own = Clusters(network, windows, network.scores(windows).argmax(axis=1))
        other = Clusters(network, windows, fbcca.scores(windows).argmax(axis=1))
        start = own if own.total >= other.total else other
        return [Run(share, source, start) for share in self.shares]

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` and `adapt` found."""
        state = super().state()
        for number, weights in enumerate(self._source):
            state |= prefixed(f"source.{number}.", weights)
        return state

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave; `classes` gives labels their type back."""
        super().restore(state, classes)
        numbers = range(len(self._n_times()))
        self._source = [unprefixed(f"source.{number}.", state) for number in numbers]


class Run:
    """Adaptation with one λ: the best network and labels so far, from which it goes on."""

    def __init__(self, share: float, source: Weights, start: Clusters) -> None:
        self.share, self.failures = share, 0
        self.weights, self.clusters = source, start

    def take(self, weights: Weights, clusters: Clusters) -> None:
        """Keep a round's network and its labels where they cluster better."""
        if clusters.total > self.clusters.total:
            self.weights, self.clusters, self.failures = weights, clusters, 0
        else:
            self.failures += 1


class SourceFreeSettings(DeepSettings, StimulusSettings):
    """A deep network for somebody new; trained on several people, then adapted without labels.

    ``bci train`` trains the first stage, and adapts it to the recording of `--adapt-to`.
    """

    decoder: ClassVar[type[SourceFreeAdaptation]] = SourceFreeAdaptation

    kind: Literal["source_free"] = "source_free"
    frequencies_hz: list[float] | dict[str, float] = FREQUENCIES_HZ
    round_epochs: int = Field(50, ge=1, description="passes in each round of the adaptation")

    def _arguments(self) -> dict[str, Any]:
        epochs = (self.n_epochs, self.round_epochs)
        return {"frequencies": self.frequencies, "n_epochs": epochs}
