"""Targets and timetables: the published values, balance, and the seed."""

from itertools import islice, pairwise

import numpy as np
import pytest

from bci.decoders.ssvep.cca import FBCCASettings
from bci.paradigms.imagery import ImageryTimetable
from bci.paradigms.speller import TARGETS_12, TARGETS_40, SpellerTimetable
from bci.paradigms.timetable import cued_label, markers

LABELS = tuple(target.label for target in TARGETS_12)


def test_twelve_targets_as_published():
    # order of the 12-class JFPM data set of Nakanishi et al. (2015)
    assert [t.frequency_hz for t in TARGETS_12] == [
        9.25, 11.25, 13.25, 9.75, 11.75, 13.75, 10.25, 12.25, 14.25, 10.75, 12.75, 14.75,
    ]  # fmt: skip
    rising = sorted(TARGETS_12, key=lambda t: t.frequency_hz)
    assert [t.phase / np.pi for t in rising] == [0.0, 0.5, 1.0, 1.5] * 3


def test_forty_targets_as_published():
    rising = sorted(TARGETS_40, key=lambda t: t.frequency_hz)
    assert [t.frequency_hz for t in rising] == [round(8 + 0.2 * k, 1) for k in range(40)]
    assert [t.phase / np.pi for t in rising] == [0.0, 0.5, 1.0, 1.5] * 10
    assert [t.frequency_hz for t in TARGETS_40[:8]] == [8, 9, 10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("targets", [TARGETS_12, TARGETS_40])
def test_labels_are_those_of_the_decoder(targets):
    settings = FBCCASettings(frequencies_hz=[t.frequency_hz for t in targets])
    assert settings.frequencies == {t.label: t.frequency_hz for t in targets}


def test_each_block_shows_each_target_once():
    trials = list(SpellerTimetable(LABELS, n_blocks=5).trials())
    blocks = np.reshape([trial.label for trial in trials], (5, 12))
    for block in blocks:
        assert sorted(block) == sorted(LABELS)
    assert len({tuple(block) for block in blocks}) > 1


def test_speller_trial_is_cue_flicker_rest():
    timetable = SpellerTimetable(LABELS, n_blocks=2, cue_s=0.5, stim_s=1.5, rest_s=0.5, start_s=2.0)
    trials = list(timetable.trials())
    assert trials[0].start_s == 2.0
    for trial in trials:
        cue, on, off = trial.markers
        assert (cue.value, on.value, off.value) == (f"cue/{trial.label}", "stim_on", "stim_off")
        assert (cue.t, on.t - cue.t, off.t - on.t, trial.stop_s - off.t) == pytest.approx(
            (trial.start_s, 0.5, 1.5, 0.5)
        )
        assert trial.stop_s - trial.start_s == pytest.approx(timetable.trial_s)
    for one, next_one in pairwise(trials):
        assert one.stop_s == pytest.approx(next_one.start_s)


def test_imagery_trial_is_the_graz_protocol():
    trials = list(ImageryTimetable(n_blocks=3, trials_per_label=4).trials())
    for block in np.reshape([trial.label for trial in trials], (3, 8)):
        assert sorted(block) == ["left"] * 4 + ["right"] * 4
    for trial in trials:
        shown = [(m.value, round(m.t - trial.start_s, 9)) for m in trial.markers]
        assert shown == [
            ("fixation", 0.0),
            (f"cue/{trial.label}", 2.0),
            ("imagery_on", 2.0),
            ("imagery_off", 6.0),
        ]
        assert 1.5 <= trial.stop_s - trial.markers[-1].t <= 2.5
    assert all(one.stop_s == next_one.start_s for one, next_one in pairwise(trials))
    pauses = [trial.stop_s - trial.markers[-1].t for trial in trials]
    assert np.std(pauses) > 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda n, seed: SpellerTimetable(LABELS, n_blocks=n, seed=seed),
        lambda n, seed: ImageryTimetable(n_blocks=n, seed=seed),
    ],
)
def test_the_seed_decides_all(make):
    once, again, other = (list(make(3, seed).trials()) for seed in (7, 7, 8))
    assert once == again
    assert once != other
    assert list(islice(make(None, 7).trials(), len(once))) == once  # endless: the same beginning


def test_markers_are_in_order_of_time():
    times = [m.t for m in markers(SpellerTimetable(LABELS, n_blocks=2).trials())]
    assert times == sorted(times)
    assert cued_label("cue/9.25 Hz") == "9.25 Hz"
    assert cued_label("stim_on") is None
