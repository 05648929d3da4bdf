"""A simulated person who blinks, with the truth beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from bci.types import FloatArray, StreamInfo

EEG = ("Fp1", "Fp2", "F3", "Cz", "Pz", "Oz")
SFREQ = 200.0


@dataclass(frozen=True)
class Blinking:
    """One minute at 200 Hz: six EEG channels and one EOG channel, µV."""

    info: StreamInfo
    data: FloatArray  # (n_samples, 7), the EOG channel last
    brain: FloatArray  # (n_samples, 6), EEG without the eyes
    eyes: FloatArray  # (n_samples,), what the eyes do
    mixing: FloatArray  # (6,), their share in each EEG channel
    blinks: FloatArray  # (n_samples,) of bool: a blink is at half its height or more


def smooth_noise(rng: np.random.Generator, n: int, n_channels: int) -> FloatArray:
    """Noise with a spectrum that falls, and alpha over the back of the head, some 10 µV."""
    white = rng.standard_normal((n + 400, n_channels))
    kernel = np.exp(-np.arange(60) / 12.0)
    slow = np.apply_along_axis(lambda x: np.convolve(x, kernel)[400 : n + 400], 0, white)
    t = np.arange(n) / SFREQ
    alpha = np.sin(2 * np.pi * 10.3 * t + 2 * np.sin(t))
    return 8.0 * slow / slow.std(axis=0) + 6.0 * alpha[:, None] * np.linspace(0, 1, n_channels)


@pytest.fixture(scope="session")
def blinking() -> Blinking:
    rng = np.random.default_rng(11)
    n = round(60 * SFREQ)
    brain = smooth_noise(rng, n, len(EEG))
    eyes = np.zeros(n)
    shape = np.hanning(round(0.35 * SFREQ))
    for at in range(100, n - 200, 500):
        at += int(rng.integers(0, 200))
        eyes[at : at + len(shape)] += rng.uniform(150, 350) * shape
    mixing = np.array([0.9, 0.85, 0.4, 0.2, 0.1, 0.05])
    eog = eyes + 0.15 * brain.mean(axis=1) + 4.0 * rng.standard_normal(n)
    data = np.column_stack([brain + np.outer(eyes, mixing), eog])
    data.flags.writeable = False
    info = StreamInfo("blinking", SFREQ, (*EEG, "VEOG"), ("eeg",) * len(EEG) + ("eog",))
    return Blinking(info, data, brain, eyes, mixing, eyes > 75)
