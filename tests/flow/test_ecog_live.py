"""Simulated ECoG through the live pipeline: the stage's power is what a decoder learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.calibration.training import collect
from bci.config import loads
from bci.decoders.ecog.band_power_lr import BandPowerLR
from bci.decoders.ecog.high_gamma_knn import HighGammaKNN
from bci.paradigms import timetable
from bci.paradigms.ecog import SimulatedECoG
from bci.paradigms.imagery import MOVEMENTS, ImageryTimetable
from bci.sources.files import Recording, place_markers, regular_stamps
from bci.types import StreamInfo

SFREQ = 250.0
CONFIG = """
participant: {id: P001, session: 1}
source: {kind: simulated, paradigm: ecog}
channels: {montage: null}
events: {hand: cue/hand, tongue: cue/tongue}
processing: %s
window: {kind: marker, length_s: 2.0, offset_s: 0.8, markers: [imagery_on]}
decoder: %s
"""
POWER = "[{kind: broadband_power, baseline_s: 2.0}]"


@pytest.fixture(scope="module")
def moved():
    """Eight movements of each kind, a strong person, a small grid."""
    person = SimulatedECoG(sfreq=SFREQ, strength=3.0, n_rows=4, n_columns=4, seed=1)
    trials = list(ImageryTimetable(MOVEMENTS, n_blocks=1, trials_per_label=8).trials())
    markers = [(round(m.t * SFREQ), m.value) for m in timetable.markers(trials)]
    for index, value in markers:
        person.see(value, index)
    data = person.generate(round(trials[-1].stop_s * SFREQ))
    info = StreamInfo("grid", SFREQ, person.ch_names, ("eeg",) * 16)
    stamps = regular_stamps(len(data), SFREQ)
    recording = Recording(Path("grid"), info, data, stamps, place_markers(markers, stamps, []))
    return person, recording


def test_power_rises_where_it_is_told(moved):
    person, recording = moved
    found = collect(loads(CONFIG % (POWER, "{kind: high_gamma_knn, highpass_hz: null}")), recording)
    assert found.X.shape == (16, 16, 500)
    for label in MOVEMENTS:
        power = found.X[found.y == label].mean(axis=(0, 2))
        assert np.corrcoef(power, person.rises[label])[0, 1] > 0.8


@pytest.mark.parametrize(
    ("processing", "decoder"),
    [
        (POWER, HighGammaKNN(SFREQ, n_bins=1, highpass_hz=None)),
        ("[]", HighGammaKNN(SFREQ, n_bins=1)),
        ("[]", BandPowerLR(SFREQ)),
    ],
)
def test_later_movements_are_told_apart(moved, processing, decoder):
    settings = f"{{kind: {decoder.kind}}}"
    found = collect(loads(CONFIG % (processing, settings)), moved[1])
    early = np.arange(len(found.y)) < 10
    assert decoder.fit(found.X[early], found.y[early]).score(found.X[~early], found.y[~early]) > 0.8
