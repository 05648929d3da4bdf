"""Noise in, chance out: whether scores can come from anything but the signal.

Coloured noise with labels that mean nothing is scored as a benchmark scores.
Whatever beats chance here has seen the test: a transformer fitted before the
split, a statistic of the labels, windows of one trial on both sides. With a
signal planted, the same decoder must beat chance, so that it is not the check
that is blind. The session that is tested is also run through with its labels in
blocks, since a decoder that lives on slow drifts is found out only then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from bci.benchmark import pipelines, scoring
from bci.benchmark.config import PipelineSettings
from bci.benchmark.pipelines import Context
from bci.benchmark.trials import stratified
from bci.types import FloatArray, StreamInfo

Order = Literal["random", "blocks"]
SFREQ = 128.0
CHANNELS = ("O1", "Oz", "O2", "PO7", "PO8", "POz")
BLOCK = 5


@dataclass(frozen=True, slots=True)
class NoiseCheck:
    """Hits over all seeds, and the band in which guessing stays.

    Attributes
    ----------
    hits, n : int
        Right answers of `n` tested windows.
    low, high : int
        Guessing has between `low` and `high` hits with the check's probability.
    n_classes : int
    """

    hits: int
    n: int
    low: int
    high: int
    n_classes: int

    @property
    def passed(self) -> bool:
        """Whether the hits are those of guessing."""
        return self.low <= self.hits <= self.high

    @property
    def exceeds(self) -> bool:
        """Whether there are more hits than guessing has."""
        return self.hits > self.high

    def __str__(self) -> str:
        return (
            f"{self.hits} of {self.n} right ({self.hits / self.n:.3f}); guessing among "
            f"{self.n_classes} has {self.low} to {self.high}"
        )


def check_noise(
    settings: PipelineSettings,
    *,
    order: Order = "random",
    classes: Sequence[str] = ("left", "right"),
    planted: float = 0.0,
    seeds: int = 20,
    n_trials: int = 40,
    windows_per_trial: int = 1,
    level: float = 0.99,
    before_split: Callable[[FloatArray, NDArray[Any]], FloatArray] | None = None,
) -> NoiseCheck:
    """Score a pipeline on noise, 5-fold within each of several sessions.

    Parameters
    ----------
    settings : PipelineSettings
    order : "random" or "blocks"
        How the labels, equally many of each class, follow one another.
    classes : sequence of str
        Labels; frequencies such as "13 Hz" are planted as such.
    planted : float
        Amplitude of a signal that tells the classes apart, in standard deviations of
        the noise; 0: none. Its phase is the same in all trials, so that decoders that
        learn templates see it, too.
    seeds : int
        Number of sessions.
    n_trials, windows_per_trial : int
        Trials of a session; windows of one trial overlap by 7/8.
    level : float
        Probability with which guessing stays in the band.
    before_split : callable or None
        ``before_split(X, y) -> X`` on the whole session before it is split: what must
        not be done, for tests of this check.
    """
    hits = n = 0
    for seed in range(seeds):
        X, y, trials = noise_session(seed, order, classes, planted, n_trials, windows_per_trial)
        if before_split is not None:
            X = before_split(X, y)
        hits += _hits(settings, X, y, trials, tuple(classes), seed)
        n += len(y)
    tail = (1.0 - level) / 2
    # windows of one trial answer alike: their hits spread as those of so many trials fewer
    spread = windows_per_trial
    low, high = (
        int(binom.ppf(p, n // spread, 1.0 / len(classes))) * spread for p in (tail, 1.0 - tail)
    )
    return NoiseCheck(hits, n, low, high, len(classes))


def noise_session(
    seed: int,
    order: Order,
    classes: Sequence[str],
    planted: float,
    n_trials: int,
    windows_per_trial: int = 1,
) -> tuple[FloatArray, NDArray[np.str_], NDArray[np.int64]]:
    """One second windows cut from continuous 1/f noise, their labels and trials."""
    rng = np.random.default_rng(seed)
    length = int(SFREQ)
    step = length // 8
    per_trial = length + (windows_per_trial - 1) * step
    X = pink(rng, len(CHANNELS), n_trials * per_trial)
    codes = _codes(rng, order, len(classes), n_trials)
    t = np.arange(per_trial) / SFREQ
    starts, owners = [], []
    for trial, code in enumerate(codes.tolist()):
        first = trial * per_trial
        wave = np.sin(2 * np.pi * _frequency(classes, code) * t)
        X[code % len(CHANNELS), first : first + per_trial] += planted * np.sqrt(2) * wave
        starts += [first + k * step for k in range(windows_per_trial)]
        owners += [trial] * windows_per_trial
    windows = np.stack([X[:, s : s + length] for s in starts])
    trials = np.array(owners, dtype=np.int64)
    return windows, np.array(classes)[codes[trials]], trials


def pink(rng: np.random.Generator, n_channels: int, n_times: int) -> FloatArray:
    """Noise whose power falls as 1/f, mean 0, standard deviation 1; (n_channels, n_times)."""
    frequencies = np.fft.rfftfreq(n_times, 1.0)
    frequencies[0] = np.inf  # no offset
    spectrum = np.fft.rfft(rng.standard_normal((n_channels, n_times))) / np.sqrt(frequencies)
    X: FloatArray = np.fft.irfft(spectrum, n_times)
    X /= X.std(axis=1, keepdims=True)
    return X


def _codes(rng: np.random.Generator, order: Order, n_classes: int, n: int) -> NDArray[np.int64]:
    blocks: NDArray[np.int64] = np.arange(n) // BLOCK % n_classes
    return rng.permutation(blocks) if order == "random" else blocks


def _frequency(classes: Sequence[str], code: int) -> float:
    number, _, unit = classes[code].partition(" ")
    return float(number) if unit == "Hz" else 10.0 + 3.0 * code


def _hits(
    settings: PipelineSettings,
    X: FloatArray,
    y: NDArray[np.str_],
    trials: NDArray[np.int64],
    classes: tuple[str, ...],
    seed: int,
) -> int:
    """Right answers of 5 folds, trained and asked as in a benchmark."""
    info = StreamInfo("noise", SFREQ, CHANNELS[: X.shape[1]], ("eeg",) * X.shape[1])
    context = Context(info, X.shape[2], classes, seed)
    labels: NDArray[Any] = y
    if not pipelines.takes_text_labels(settings):
        labels = np.searchsorted(sorted(classes), y)
    features = pipelines.prefix(settings, context, X)
    metric = "roc_auc" if len(classes) == 2 else "accuracy"
    hits = 0
    for train, test in stratified(labels, trials, 5, seed):
        fitted = scoring.fit(
            pipelines.rest(settings, context), settings.grid, features[train], labels[train],
            trials[train], metric=metric, seed=seed,
        )  # fmt: skip
        hits += int((scoring.answer(fitted, features[test]).labels == labels[test]).sum())
    return hits
