"""What the published recipe for ECoG finds in noise, and what the honest protocol finds.

In Bafana, arXiv 2311.13507, a sample is a channel's average over the trials of a stimulus,
scaler and UMAP are fitted to all samples, and a random fifth of those is the test. Averages
over the same trials share what all channels record (reference, hum, drift), so that
samples of a class are alike without any brain. Random folds of trials have a leak of
their own where cues come in blocks and the signal drifts.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from bci.benchmark.trials import blocked, stratified
from bci.decoders import BandPowerLR, HighGammaKNN, HighGammaPower
from bci.types import FloatArray

SFREQ = 250.0
N_TRIALS, BLOCK = 60, 6
OURS = [
    HighGammaKNN(SFREQ, n_bins=1),
    pytest.param(BandPowerLR(SFREQ), marks=pytest.mark.slow),
]


def noise(
    seed: int, n_channels: int, n_times: int, drift: float
) -> tuple[FloatArray, NDArray[np.str_]]:
    """Windows in order of time: no class differs, half the power is shared, gains drift.

    Each fifth has a block of either class, in an order drawn for it.
    """
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((N_TRIALS, n_channels, n_times))
    common = rng.standard_normal((N_TRIALS, 1, n_times))
    steps = drift * rng.standard_normal((N_TRIALS, n_channels))
    X = np.exp(np.cumsum(steps, axis=0))[..., None] * (own + common)
    first = rng.integers(0, 2, N_TRIALS // (2 * BLOCK))
    codes = np.repeat(np.stack([first, 1 - first], axis=1).ravel(), BLOCK)
    return X, np.array(["hand", "tongue"])[codes]


def published(seed: int, reduction: Any) -> float:
    """Channels' averages as samples, everything fitted to all, a random fifth as test."""
    X, y = noise(seed, 46, 500, 0.0)
    power = HighGammaPower(SFREQ).fit(X).transform(X)
    samples = np.concatenate([power[y == label].mean(axis=0) for label in ("hand", "tongue")])
    places = reduction.fit_transform(StandardScaler().fit_transform(samples))
    train, test, y_train, y_test = train_test_split(
        places, np.repeat([0, 1], 46), test_size=0.2, random_state=42
    )
    return float(KNeighborsClassifier(4).fit(train, y_train).score(test, y_test))


def right(decoder: Any, X: FloatArray, y: NDArray[np.str_], folds: Any) -> float:
    """Share of trials decided right, everything fitted to the training fold."""
    hits = [decoder.fit(X[train], y[train]).predict(X[test]) == y[test] for train, test in folds]
    return float(np.concatenate(hits).mean())


def test_averages_of_channels_are_told_apart_in_noise() -> None:
    assert np.mean([published(seed, PCA(5)) for seed in range(5)]) > 0.9


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(find_spec("umap") is None, reason="umap-learn is not installed")
@pytest.mark.filterwarnings("ignore")
def test_averages_of_channels_are_told_apart_in_noise_by_umap() -> None:
    from umap import UMAP

    def reduction() -> Any:
        return UMAP(n_components=2, init="random", random_state=0, n_jobs=1)

    assert np.mean([published(seed, reduction()) for seed in range(5)]) > 0.9


@pytest.mark.parametrize("decoder", OURS, ids=lambda d: d.kind)
def test_random_folds_find_drift_and_stretches_of_time_find_nothing(decoder: Any) -> None:
    trials = np.arange(N_TRIALS)
    random, in_time = [], []
    for seed in range(20):
        X, y = noise(seed, 4, 125, 0.3)
        random.append(right(decoder, X, y, stratified(y, trials, 5, seed)))
        in_time.append(right(decoder, X, y, blocked(trials, 5)))
    # trials of a block are decided alike: how far chance reaches is seen from session to session
    reach = 3.0 * np.std(in_time, ddof=1) / np.sqrt(len(in_time))
    assert abs(np.mean(in_time) - 0.5) < reach < 0.12
    assert np.mean(random) > 0.5 + 1.5 * reach
