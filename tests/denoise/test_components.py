"""What components are: each class made as the rules describe it, and real recordings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, lfilter, sosfilt

from bci.denoise.components import label_components
from bci.electrodes import montage_positions

SFREQ, N = 250.0, 15_000
NAMES = (
    *("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8"),
    *("P7", "P3", "Pz", "P4", "P8", "O1", "Oz", "O2"),
)
T = np.arange(N) / SFREQ


@pytest.fixture(scope="module")
def positions():
    at = montage_positions("standard_1020")
    return np.array([at[name.casefold()] for name in NAMES])


def far(positions, name, width=0.07):
    """A smooth topography around an electrode."""
    apart = np.linalg.norm(positions - positions[NAMES.index(name)], axis=1)
    return np.exp(-((apart / width) ** 2))


def pink(rng):
    """A spectrum that falls, with alpha."""
    alpha = sosfilt(butter(2, (9, 11), "bandpass", fs=SFREQ, output="sos"), rng.standard_normal(N))
    return lfilter([1], [1, -0.95], rng.standard_normal(N)) + 20 * alpha


def blinks(rng):
    x = np.zeros(N)
    shape = np.hanning(round(0.35 * SFREQ))
    for onset in rng.uniform(0, 58, 20):
        at = round(onset * SFREQ)
        x[at : at + len(shape)] += shape
    return x + 0.02 * rng.standard_normal(N)


def beats(rng):
    x = 0.05 * pink(rng) / 3
    onset = np.arange(0.4, 59, 0.85) + rng.normal(0, 0.03, 69)
    for at in (onset * SFREQ).astype(int):
        x[at : at + 8] += np.hanning(8)
    return x


def pops(rng):
    x = np.zeros(N)
    x[rng.integers(0, N, 5)] = 200.0
    return lfilter([1], [1, -0.9], x) + pink(rng) / 5


def muscle(rng):
    sos = butter(2, 20, "highpass", fs=SFREQ, output="sos")
    return sosfilt(sos, rng.standard_normal(N))


def test_each_class_is_told(positions):
    rng = np.random.default_rng(0)
    one = np.full(len(NAMES), 0.01)
    one[3] = 1.0
    line = 3 * np.sin(2 * np.pi * 50 * T) + rng.standard_normal(N)
    made = {
        "Brain": (pink(rng), far(positions, "Pz")),
        "Muscle": (muscle(rng), far(positions, "T7")),
        "Eye": (blinks(rng), far(positions, "Fp1") + far(positions, "Fp2")),
        "Heart": (beats(rng), positions[:, 0]),
        "LineNoise": (line, far(positions, "Cz", 0.1)),
        "ChannelNoise": (lfilter([1], [1, -0.9], rng.standard_normal(N)), one),
        "Other": (pops(rng), far(positions, "Oz")),
    }
    sources = np.array([source for source, _ in made.values()])
    maps = np.array([topography for _, topography in made.values()]).T
    found = label_components(sources, maps, SFREQ, positions)
    assert [c.label for c in found] == list(made)
    assert all(c.evidence for c in found)
    # scale and sign are arbitrary
    signs = np.array([1, -1, 1, -1, 1, -1, 1]) * 40
    again = label_components(sources * signs[:, None], maps / signs, SFREQ, positions)
    assert [c.label for c in again] == list(made)


def test_an_eog_channel_tells_the_eyes_wherever_they_are_seen(positions):
    rng = np.random.default_rng(1)
    eye, brain = blinks(rng), pink(rng)
    eog = np.array([80 * eye + rng.standard_normal(N)])
    maps = np.column_stack([far(positions, "Oz"), far(positions, "Fz")])
    found = label_components(np.array([eye, brain]), maps, SFREQ, positions, eog)
    assert [c.label for c in found] == ["Eye", "Brain"]
    assert "EOG" in found[0].evidence
    assert label_components(np.array([brain, eye]), maps, SFREQ)[0].label == "Brain"


def test_a_flat_component_is_no_brain(positions):
    found = label_components(np.zeros((1, N)), np.ones((20, 1)), SFREQ, positions)
    assert found[0].label == "Other"


@pytest.mark.parametrize(
    ("sources", "maps", "message"),
    [
        ((3, 1000), (20, 2), "do not belong together"),
        ((2, 100), (20, 2), "a second of signal"),
        ((2, 1000), (19, 2), r"positions must be \(19, 3\)"),
    ],
)
def test_what_does_not_fit_is_said(positions, sources, maps, message):
    with pytest.raises(ValueError, match=message):
        label_components(np.ones(sources), np.ones(maps), SFREQ, positions)
