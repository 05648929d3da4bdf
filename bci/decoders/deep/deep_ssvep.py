"""The deep network for steady-state responses, as a decoder for one person.

Guney, Oblokulov & Ozkan, "A deep neural network for SSVEP-based brain-computer
interfaces", IEEE Trans Biomed Eng 69(2), 932-944, 2022,
doi:10.1109/TBME.2021.3110440.

Like template methods it wants flicker of one phase per target, and windows that
start with it. Where it leads is in windows below a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from bci.decoders.deep.decoder import DeepDecoder, prefixed, unprefixed
from bci.decoders.deep.folded_network import Weights
from bci.decoders.deep.settings import DeepSettings
from bci.decoders.deep.training import (
    DROPOUT,
    Dropout,
    Rows,
    occurrences,
    two_stages,
    unstack,
    without,
)
from bci.decoders.temperature import fit_inverse_temperature
from bci.types import FloatArray


class DeepSSVEP(DeepDecoder):
    """The network of Guney et al., trained in two stages.

    Parameters
    ----------
    target : label or None
        Whom the decoder is for, among the `subjects` of `fit`.
    sfreq, frequencies, n_bands, window_s, and the others
        As in `bci.decoders.deep.decoder.DeepDecoder`.

    Attributes
    ----------
    classes_, n_channels_, lengths_, inverse_temperatures_
        As there.
    weights_ : list of dict of arrays
        Of the network for each length.
    """

    kind: ClassVar[str] = "deep_ssvep"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float] | None = None,
        n_bands: int = 3,
        window_s: Sequence[float] = (0.4,),
        *,
        target: Any = None,
        n_epochs: tuple[int, int] = (1000, 1000),
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
            sfreq, frequencies, n_bands, window_s, n_epochs=n_epochs, dropout=dropout,
            batch_size=batch_size, learning_rate=learning_rate, weight_decay=weight_decay,
            n_filters=n_filters, calibration_folds=calibration_folds, channels=channels,
            random_state=random_state, device=device, n_parallel=n_parallel,
            checkpoint=checkpoint,
        )  # fmt: skip
        self.target = target

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        subjects: ArrayLike | None = None,
        *,
        progress: Callable[[str, int, int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> DeepSSVEP:
        """Train.

        With `subjects`, the first stage learns from everybody and the second from
        `target` (without a `target` there is no second stage: the network is for
        people it has not seen). Without, all trials are one person's, and there is
        the second stage alone.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts; trials of a class and person in order of time, each starting
            where windows will start later on.
        y : array of labels, shape (n_windows,)
        subjects : array of labels, shape (n_windows,), or None
            Whose each window is.
        progress : callable or None
            Takes stage, epochs done, their number, and the mean loss.
        should_stop : callable or None
            Asked before each epoch.

        Raises
        ------
        ValueError
            Wrong shape, values not finite, windows shorter than `window_s`, a class
            without a trial, or with too few to hold any out; no such `target`.
        TrainingStopped
            `should_stop` said so.
        MissingDependency
            torch is not installed.
        """
        windows, codes, owners = self._training_data(X, y, subjects)
        first, second, folds = self._plan(codes, owners)
        watch = self._oversight(progress, should_stop)
        weights, betas = [], []
        for n in self._n_times():
            cut = windows[..., :n]
            trials = self._trials(cut, codes)
            stacked = two_stages(trials, first, second, self._recipe(), watch)
            decides, *others = unstack(stacked)
            weights.append(decides)
            betas.append(self._beta(others, folds, cut, codes))
        self._take(weights, betas)
        return self

    def _beta(
        self, weights: Sequence[Weights], folds: Sequence[Rows], windows: FloatArray, codes: Rows
    ) -> float:
        """Inverse temperature, from networks and the trials that each has not seen."""
        if not folds:
            return 1.0
        networks = self._folded(weights, windows.shape[2])
        scores = [
            network.scores(windows[held_out])
            for network, held_out in zip(networks, folds, strict=True)
        ]
        return fit_inverse_temperature(np.concatenate(scores), codes[np.concatenate(folds)])

    def _plan(
        self, codes: Rows, owners: NDArray[Any] | None
    ) -> tuple[list[Rows], list[tuple[Rows, int]], list[Rows]]:
        """Trials of both stages' networks, the one that decides first, and what is held out."""
        everybody = np.arange(len(codes))
        if owners is not None and self.target is None:
            people, whose = np.unique(owners, return_inverse=True)
            n_folds = self._n_folds(len(people), "subjects, or a target among them")
            folds = [np.flatnonzero(whose % n_folds == k) for k in range(n_folds)]
            return without(everybody, folds), [], folds
        own = everybody if owners is None else np.flatnonzero(owners == self.target)
        if owners is not None and not len(own):
            raise ValueError(
                f"target {self.target!r} is none of the subjects {np.unique(owners).tolist()}"
            )
        counts = np.bincount(codes[own], minlength=len(self.classes_))
        if not counts.all():
            missing = self.classes_[counts == 0].tolist()
            raise ValueError(f"target {self.target!r} has no trial of {missing}")
        n_folds = self._n_folds(int(counts.min()), "trials of each class")
        fold = occurrences(codes[own]) * n_folds // counts[codes[own]]
        folds = [own[fold == k] for k in range(n_folds)]
        first = [] if owners is None else without(everybody, folds)
        return first, [(rows, k) for k, rows in enumerate(without(own, folds))], folds

    def _n_folds(self, there: int, of_what: str) -> int:
        if self.calibration_folds and there < 2:
            raise ValueError(
                f"to calibrate probabilities on trials held out, it needs two or more {of_what}, "
                f"found {there}; calibration_folds=0 does without"
            )
        return min(self.calibration_folds, there)

    def _take(self, weights: Sequence[Weights], betas: Sequence[float]) -> None:
        """Make ready to decide with the networks of all lengths."""
        self.weights_ = [dict(w) for w in weights]
        self._set_calibration(betas)
        self._networks = {
            n: self._folded([w], n)[0] for w, n in zip(self.weights_, self._n_times(), strict=True)
        }

    def _scores(self, windows: FloatArray) -> FloatArray:
        return self._networks[windows.shape[2]].scores(windows)

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found."""
        state = super().state()
        for number, weights in enumerate(self.weights_):
            state |= prefixed(f"{number}.", weights)
        return state

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave; `classes` gives labels their type back."""
        super().restore(state, classes)
        weights = [unprefixed(f"{number}.", state) for number in range(len(self._n_times()))]
        self._take(weights, self.inverse_temperatures_.tolist())


class DeepSSVEPSettings(DeepSettings):
    """The deep network for steady-state responses; to be trained on labelled windows."""

    decoder: ClassVar[type[DeepSSVEP]] = DeepSSVEP

    kind: Literal["deep_ssvep"] = "deep_ssvep"
    target: str | None = Field(
        None,
        description="who of several people it is for: its second stage is that person's alone. "
        "null: somebody new",
    )

    def _arguments(self) -> dict[str, Any]:
        return super()._arguments() | {"target": self.target}
