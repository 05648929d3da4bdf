"""The simulated subject: invariance, behaviour, and what it must not do."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.errors import ConfigError
from bci.paradigms.imagery import ImageryTimetable
from bci.paradigms.speller import TARGETS_12, SpellerTimetable
from bci.paradigms.subject import ARTIFACTS, BRAIN, OCCIPITAL, SimulatedSubject
from bci.paradigms.timetable import markers

LABELS = tuple(target.label for target in TARGETS_12)
SHOWN = [
    ("cue/10.25 Hz", 0),
    ("stim_on", 130),
    ("cue/13.25 Hz", 257),  # the gaze moves while the targets flicker
    ("stim_off", 600),
    ("cue/left", 610),
    ("imagery_off", 900),
]
CHANNELS = ("Oz", "PO3", "C3", "Fp1")


def subject(**changes):
    return SimulatedSubject(TARGETS_12, **{"ch_names": CHANNELS, "seed": 3, **changes})


def run(person, n, shown=SHOWN, chunks=(1 << 30,)):
    """`n` samples in chunks of the given sizes (the last repeats), markers shown in time."""
    shown, sizes = list(shown), list(chunks)
    pieces = []
    while person.position < n:
        size = min(sizes.pop(0) if len(sizes) > 1 else sizes[0], n - person.position)
        while shown and shown[0][1] < person.position + size:
            person.see(*shown.pop(0))
        pieces.append(person.generate(size))
    return np.concatenate(pieces)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=30), st.integers(1, 300))
def test_any_chunking_gives_the_same_samples(sizes, last):
    assert np.array_equal(run(subject(), 1200, chunks=[*sizes, last]), run(subject(), 1200))


def test_a_marker_may_be_seen_ahead_of_time_or_just_in_time():
    just_in_time, ahead = subject(), subject()
    for marker in SHOWN:
        ahead.see(*marker)
    assert np.array_equal(run(just_in_time, 1200, chunks=[1]), ahead.generate(1200))


def test_a_marker_changes_nothing_before_itself():
    for k, (_, index) in enumerate(SHOWN):
        with_it, without = run(subject(), 1200, SHOWN[: k + 1]), run(subject(), 1200, SHOWN[:k])
        assert np.array_equal(with_it[:index], without[:index])
        assert not np.array_equal(with_it, without) or SHOWN[k][0].startswith("cue/1")


def test_a_marker_in_the_past_is_refused():
    person = subject()
    person.generate(100)
    with pytest.raises(ValueError, match="'stim_on' at sample 99 comes too late: 100 samples"):
        person.see("stim_on", 99)
    person.see("stim_on")  # now
    person.see("stim_off", 300)
    with pytest.raises(ValueError, match="'stim_on' at sample 200 follows a marker at sample 300"):
        person.see("stim_on", 200)


def test_parts_add_up_to_the_signal():
    whole, in_parts = subject(), subject()
    for marker in SHOWN:
        whole.see(*marker)
        in_parts.see(*marker)
    parts = in_parts.generate_parts(1200)
    assert tuple(parts) == (*BRAIN, *ARTIFACTS)
    assert np.array_equal(sum(parts.values()), whole.generate(1200))
    assert all(parts[name].std() > 0 for name in (*BRAIN, "drift", "sensor", "line"))


def test_the_seed_decides_all():
    once, again, other = (run(subject(seed=s), 1000) for s in (5, 5, 6))
    assert np.array_equal(once, again)
    assert np.all(
        np.abs([np.corrcoef(a, b)[0, 1] for a, b in zip(once.T, other.T, strict=True)]) < 0.5
    )
    assert subject(seed=5).person != subject(seed=6).person


def test_markers_of_no_concern_change_nothing():
    shown = [("fixation", 10), ("cue/17 Hz", 20), ("cue/feet", 30), ("imagery_on", 40), ("", 50)]
    assert np.array_equal(run(subject(), 600, shown), run(subject(), 600, []))


@pytest.mark.parametrize(
    "shown",
    [
        [],
        [("stim_on", 100)],  # flicker, but nobody said where to look
        [("cue/10.25 Hz", 100)],  # looks, but nothing flickers
        [("cue/10.25 Hz", 0), ("stim_off", 100)],
    ],
)
def test_without_cue_and_flicker_there_is_no_response(shown):
    person = subject()
    for marker in shown:
        person.see(*marker)
    assert not person.generate_parts(1500)["ssvep"].any()


def test_no_snr_is_no_response_and_leaves_the_rest_as_it_is():
    none, typical = subject(snr=0.0), subject()
    for marker in SHOWN:
        none.see(*marker)
        typical.see(*marker)
    none, typical = none.generate_parts(1200), typical.generate_parts(1200)
    assert not none["ssvep"].any()
    assert not none["rolandic"].any()
    for name in set(none) - {"ssvep", "rolandic"}:
        assert np.array_equal(none[name], typical[name])


def test_the_response_comes_one_latency_after_flicker_and_goes_after_it():
    person = subject(ch_names=("Oz",))
    person.see("cue/10.25 Hz", 0)
    person.see("stim_on", 500)
    person.see("stim_off", 1000)
    power = person.generate_parts(2000)["ssvep"][:, 0] ** 2
    latency = round(person.person.latency * 250)
    assert not power[: 500 + latency].any()
    steady = power[800:1000].mean()
    assert power[500 + latency : 500 + latency + 10].mean() < 0.5 * steady
    assert power[1000 : 1000 + latency].mean() > 0.5 * steady
    assert power[1000 + latency + 150 :].max() < 1e-3 * steady


def test_gaze_needs_its_time():
    onsets = []
    for seed in range(40):
        person = subject(ch_names=("Oz",), seed=seed)
        person.see("stim_on", 0)
        person.see("cue/10.25 Hz", 250)
        response = np.flatnonzero(person.generate_parts(700)["ssvep"])
        if len(response):
            onsets.append((response[0] - 250) / 250 - person.person.latency)
    assert len(onsets) >= 36  # a cue is seldom missed
    assert 0.2 < np.median(onsets) < 0.3
    assert 0.1 < min(onsets) < max(onsets) < 0.5


def test_lapses_are_as_rare_as_stated():
    person = subject(ch_names=("Oz",), sfreq=128.0)
    n = 600
    for trial in range(n):
        person.see(f"cue/{LABELS[trial % 12]}", trial * 192)
        person.see("stim_on", trial * 192 + 64)
        person.see("stim_off", trial * 192 + 128)
    ssvep = person.generate_parts(n * 192)["ssvep"].reshape(n, 192)
    lapses = int(np.sum(ssvep[:, 96:128].std(axis=1) < 0.1))
    assert 1 <= lapses <= 15  # 1 %: 6 ± 2.4


def test_a_restarted_flicker_starts_its_phase_again():
    responses = []
    for onset in (0, 137):
        person = subject(ch_names=("Oz",))
        person.see("cue/10.25 Hz", 0)
        person.see("stim_on", 0)
        person.see("stim_on", onset + 200)
        responses.append(person.generate_parts(1000)["ssvep"][onset + 400 : onset + 600, 0])
    assert np.corrcoef(*responses)[0, 1] > 0.999


def test_labels_out_of_the_system_are_named():
    with pytest.raises(ConfigError, match="'OZ1' is no electrode of the 10-05 system"):
        subject(ch_names=("Oz", "OZ1"))
    assert subject(ch_names=("T3", "T7", "oz")).generate(10).shape == (10, 3)


@pytest.mark.parametrize(
    "wrong", [{"snr": -1.0}, {"snr": np.nan}, {"sfreq": 50.0}, {"ch_names": ()}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must be 0 or more"):
        subject(**wrong)
    with pytest.raises(ValueError, match="faster than"):
        SimulatedSubject([TARGETS_12[0].__class__("60 Hz", 60.0, 0.0, 0, 0)], sfreq=128.0)


def test_snr_is_told_in_decibel():
    assert SimulatedSubject().ssvep_snr_db == pytest.approx(-10.63)
    assert SimulatedSubject(snr=0.5).ssvep_snr_db == pytest.approx(-13.64, abs=0.01)
    assert SimulatedSubject(snr=0.0).mu_snr_db == -np.inf


def test_default_channels_are_the_nine_of_the_literature():
    person = SimulatedSubject()
    assert person.ch_names == OCCIPITAL
    assert person.generate(3).shape == (3, 9)
    assert person.generate(0).shape == (0, 9)


@pytest.mark.parametrize(
    "timetable",
    [SpellerTimetable(LABELS, stim_s=0.5), ImageryTimetable(imagery_s=1.0, pause_s=(0.1, 0.2))],
)
def test_memory_does_not_grow_with_the_session(timetable):
    person = subject(ch_names=("Oz",))
    shown = ((m.value, round(m.t * 250)) for m in markers(timetable.trials()))

    def live(n):
        value, index = next(shown)
        while person.position < n:
            while index < person.position + 250:
                person.see(value, index)
                value, index = next(shown)
            person.generate(250)

    live(20_000)
    tracemalloc.start()
    live(25_000)
    before = tracemalloc.get_traced_memory()[0]
    live(75_000)
    growth = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert growth < 20_000
