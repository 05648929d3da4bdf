"""Simulated ECoG: what it claims of itself, measured on its samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from bci.paradigms.ecog import SimulatedECoG
from bci.paradigms.imagery import MOVEMENTS

SFREQ = 500.0
N = 20  # movements of each kind


def recorded(**changes):
    """Samples of 3 s movements in turn, 3 s apart, and for each sample what is done."""
    person = SimulatedECoG(sfreq=SFREQ, n_rows=4, n_columns=4, seed=3, **changes)
    done = np.full(round(6 * SFREQ * 2 * N), "", dtype=object)
    for k in range(2 * N):
        label, at = MOVEMENTS[k % 2], round(6 * SFREQ * k)
        person.see(f"cue/{label}", at)
        person.see("imagery_off", at + round(3 * SFREQ))
        done[at + round(1.0 * SFREQ) : at + round(3 * SFREQ)] = label  # in full swing
        done[at + round(4.5 * SFREQ) : at + round(6 * SFREQ)] = "rest"
    return person, person.generate(len(done)), done


def power(data, done, band):
    """Mean power of each electrode in a band, by what is done."""
    sos = signal.butter(4, band, "bandpass", fs=SFREQ, output="sos")
    squared = signal.sosfiltfilt(sos, data, axis=0) ** 2
    return {what: squared[done == what].mean(axis=0) for what in ("rest", *MOVEMENTS)}


@pytest.fixture(scope="module")
def moving():
    return recorded()


@pytest.mark.parametrize("label", MOVEMENTS)
def test_broadband_power_rises_as_told_and_low_rhythms_fall(moving, label):
    person, data, done = moving
    high = power(data, done, (76, 100))
    rise = high[label] / high["rest"] - 1
    share = person._p.local_share
    np.testing.assert_allclose(rise, share * person.rises[label], atol=0.15)
    assert np.corrcoef(rise, person.rises[label])[0, 1] > 0.9
    low = power(data, done, (12, 24))
    fall = 1 - low[label] / low["rest"]
    assert fall.mean() > 0.1


def test_movements_have_areas_of_their_own(moving):
    hand, tongue = (moving[0].rises[label] for label in MOVEMENTS)
    assert hand.argmax() // 4 < tongue.argmax() // 4  # above
    assert hand[tongue.argmax()] < 0.5 * tongue.max()


def test_imagery_has_a_quarter_of_the_effect_and_no_strength_none():
    rises = [
        SimulatedECoG(seed=3, **changes).rises["hand"]
        for changes in ({}, {"imagined": True}, {"strength": 0.0})
    ]
    np.testing.assert_allclose(rises[1], rises[0] / 4)
    assert not rises[2].any()


def test_the_spectrum_is_a_power_law(moving):
    _, data, _ = moving
    f, density = signal.welch(data, SFREQ, nperseg=512, axis=0)
    use = ((f > 30) & (f < 55)) | ((f > 65) & (f < 100))
    slope = np.polyfit(np.log(f[use]), np.log(density[use].mean(axis=1)), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.25)


def test_any_cutting_gives_the_same_samples():
    def made(cuts):
        person = SimulatedECoG(sfreq=SFREQ, n_rows=2, n_columns=3, seed=1)
        person.see("cue/hand", 300)
        person.see("imagery_off", 900)
        return np.concatenate([person.generate(n) for n in cuts])

    whole = made([1500])
    np.testing.assert_array_equal(made([0, 1, 255, 256, 257, 731]), whole)
    late = SimulatedECoG(sfreq=SFREQ, n_rows=2, n_columns=3, seed=1)  # told as it happens
    parts = [late.generate(300)]
    late.see("cue/hand")
    parts.append(late.generate(600))
    late.see("imagery_off")
    np.testing.assert_array_equal(np.concatenate([*parts, late.generate(600)]), whole)
    with pytest.raises(ValueError, match="'cue/hand' at sample 10 comes too late: 1500 samples"):
        late.see("cue/hand", 10)
    late.see("cue/hand", 2000)
    with pytest.raises(ValueError, match="at sample 1900 follows a marker at sample 2000"):
        late.see("imagery_off", 1900)


@pytest.mark.parametrize("changes", [{"strength": -1}, {"sfreq": 100}, {"n_rows": 0}])
def test_arguments_out_of_range_are_refused(changes):
    with pytest.raises(ValueError, match="must be 0 or more, sfreq .* at least 250 Hz"):
        SimulatedECoG(**changes)
