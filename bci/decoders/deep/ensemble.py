"""An ensemble of deep networks for somebody who has no calibration data.

Guney & Ozkan, "Transfer learning of an ensemble of DNNs for SSVEP BCI spellers
without user-specific training", J Neural Eng 20, 016013, 2023,
arXiv:2209.01511.

A network learns from all participants of the training; from there one goes on
for each. For a new person's window, each of these names a class, and is weighted
by how similar the window is to that participant's response to that class; the
most similar ones vote. Where the text leaves room, it is as in the authors'
program, but for one choice: the second stage takes all trials of a participant in
each step (there, a block's number of them, drawn anew, is left out).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from bci.decoders.deep.decoder import DeepDecoder, prefixed, unprefixed
from bci.decoders.deep.experts import Experts
from bci.decoders.deep.folded_network import Weights
from bci.decoders.deep.settings import DeepSettings
from bci.decoders.deep.training import DROPOUT, Dropout, Rows, two_stages, unstack
from bci.decoders.ssvep.filterbank import design
from bci.decoders.ssvep.references import reference_bases
from bci.decoders.ssvep.settings import FREQUENCIES_HZ, StimulusSettings
from bci.decoders.temperature import fit_inverse_temperature
from bci.types import FloatArray


class DeepSSVEPEnsemble(DeepDecoder):
    """Networks of several participants, for a person of whom nothing is known.

    Participant n's network gives a window x the class y; his weight is
    ``ρ = max_f corr²(f x, f t) + r²(f x)``, over his combinations of channels f, with
    t his mean response to y, and r the multiple (canonical) correlation with sines and
    cosines of y and its harmonics. With participants in order of ρ, the vote of the first k is
    taken whose best class has the largest lead over the second.

    Parameters
    ----------
    n_harmonics : int
        In the sines and cosines.
    sfreq, frequencies, n_bands, window_s, and the others
        As in `bci.decoders.deep.decoder.DeepDecoder`; `frequencies` are needed here.
        Held out for calibration are whole participants.

    Attributes
    ----------
    classes_, n_channels_, lengths_, inverse_temperatures_
        As there.
    experts_ : list of Experts
        For each length of window.
    """

    kind: ClassVar[str] = "deep_ssvep_ensemble"

    def __init__(
        self,
        sfreq: float,
        frequencies: Mapping[Any, float],
        n_bands: int = 3,
        window_s: Sequence[float] = (0.4,),
        *,
        n_harmonics: int = 5,
        n_epochs: tuple[int, int] = (1000, 1000),
        dropout: tuple[Dropout, Dropout] = DROPOUT,
        batch_size: int = 100,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-3,
        n_filters: int = 120,
        calibration_folds: int = 2,
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
        self.n_harmonics = n_harmonics

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        subjects: ArrayLike | None = None,
        *,
        progress: Callable[[str, int, int, float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> DeepSSVEPEnsemble:
        """Train a network for each participant: first on everybody, then on his own trials.

        Parameters
        ----------
        X : array, shape (n_windows, n_channels, n_times)
            Microvolts.
        y, subjects : array of labels, shape (n_windows,)
        progress, should_stop
            As in `DeepSSVEP.fit`.

        Raises
        ------
        ValueError
            As in `DeepSSVEP.fit`; or too few participants, or one without all classes.
        TrainingStopped, MissingDependency
            As there.
        """
        self._stimuli()  # says now what would be missing after the training
        windows, codes, owners = self._training_data(X, y, subjects)
        if owners is None:
            raise ValueError("an ensemble needs subjects: whose each window is")
        people = [np.flatnonzero(owners == person) for person in np.unique(owners)]
        self._check_people(people, codes, owners)
        teams = self._teams(len(people))
        first = [np.concatenate([people[n] for n in team]) for team in teams]
        second = [(people[n], k) for k, team in enumerate(teams) for n in team]
        watch = self._oversight(progress, should_stop)
        experts, betas = [], []
        for n in self._n_times():
            cut = windows[..., :n]
            trials = self._trials(cut, codes)
            trained = iter(unstack(two_stages(trials, first, second, self._recipe(), watch)))
            means = np.stack([self._means(cut[rows], codes[rows]) for rows in people])
            decide, *others = [
                self._experts([next(trained) for _ in team], means[team], n) for team in teams
            ]
            experts.append(decide)
            betas.append(self._beta(others, teams[1:], people, cut, codes))
        self.experts_ = experts
        self._set_calibration(betas)
        return self

    def _check_people(self, people: Sequence[Rows], codes: Rows, owners: NDArray[Any]) -> None:
        needed = 3 if self.calibration_folds else 2
        if len(people) < needed:
            raise ValueError(
                f"an ensemble needs {needed} subjects or more (calibration_folds is "
                f"{self.calibration_folds}), found {len(people)}"
            )
        for rows in people:
            missing = np.setdiff1d(np.arange(len(self.classes_)), codes[rows])
            if len(missing):
                name, lacks = owners[rows[0]].tolist(), self.classes_[missing].tolist()
                raise ValueError(f"subject {name!r} has no trial of {lacks}")

    def _teams(self, n_people: int) -> list[list[int]]:
        """Everybody, and then for each fold those that are not held out: two at least."""
        everybody = list(range(n_people))
        if not self.calibration_folds:
            return [everybody]
        n_folds = min(max(2, self.calibration_folds), n_people)
        while n_people - -(-n_people // n_folds) < 2:
            n_folds += 1
        return [everybody, *([n for n in everybody if n % n_folds != k] for k in range(n_folds))]

    def _means(self, windows: FloatArray, codes: Rows) -> FloatArray:
        """Mean window of each class, shape (n_classes, n_channels, n_times)."""
        return np.stack([windows[codes == k].mean(axis=0) for k in range(len(self.classes_))])

    def _experts(self, weights: Sequence[Weights], means: FloatArray, n_times: int) -> Experts:
        stimuli = self._stimuli()
        hz = tuple(float(stimuli[label]) for label in self._labels())
        bank = design(self.sfreq, hz, self.n_harmonics, 1, None, 90.0, 4, 0.5)
        bases = reference_bases(bank, n_times)
        return Experts(self._folded(weights, n_times), weights, means, bases)

    def _beta(
        self,
        experts: Sequence[Experts],
        teams: Sequence[Sequence[int]],
        people: Sequence[Rows],
        windows: FloatArray,
        codes: Rows,
    ) -> float:
        """Inverse temperature, from ensembles and the participants that each has not seen."""
        if not experts:
            return 1.0
        held_out = [
            np.concatenate([rows for n, rows in enumerate(people) if n not in team])
            for team in teams
        ]
        scores = [e.scores(windows[rows]) for e, rows in zip(experts, held_out, strict=True)]
        return fit_inverse_temperature(np.concatenate(scores), codes[np.concatenate(held_out)])

    def _scores(self, windows: FloatArray) -> FloatArray:
        return self.experts_[self._n_times().index(windows.shape[2])].scores(windows)

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found."""
        state = super().state()
        for number, experts in enumerate(self.experts_):
            state[f"{number}.means"] = experts.means
            for n, weights in enumerate(experts.weights):
                state |= prefixed(f"{number}.{n}.", weights)
        return state

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave; `classes` gives labels their type back."""
        super().restore(state, classes)
        self.experts_ = []
        for number, n_times in enumerate(self._n_times()):
            means = np.asarray(state[f"{number}.means"], np.float64)
            weights = [unprefixed(f"{number}.{n}.", state) for n in range(len(means))]
            self.experts_.append(self._experts(weights, means, n_times))


class DeepSSVEPEnsembleSettings(DeepSettings, StimulusSettings):
    """An ensemble of deep networks, for somebody new; to be trained on several people."""

    decoder: ClassVar[type[DeepSSVEPEnsemble]] = DeepSSVEPEnsemble

    kind: Literal["deep_ssvep_ensemble"] = "deep_ssvep_ensemble"
    frequencies_hz: list[float] | dict[str, float] = FREQUENCIES_HZ
    harmonics: int = Field(5, ge=1, le=20, description="in the sines and cosines")
    calibration_folds: int = Field(
        2, ge=0, description="parts of the people held out to calibrate probabilities; 0: none"
    )

    def _arguments(self) -> dict[str, Any]:
        own = {"frequencies": self.frequencies, "n_harmonics": self.harmonics}
        return super()._arguments() | own
