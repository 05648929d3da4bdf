"""A screen's frames: late ones are counted exactly and move nothing."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.paradigms.frames import FrameSchedule, FrameTiming, measure, objections

PERIOD = 1 / 60


def shown(schedule, late, start=0.0):
    """Flip frame after frame, each `late` periods after its scheduled time; (drawn, slot)."""
    t, pairs = start, []
    for periods in late:
        drawn = schedule.next(t)
        t = max(t, schedule.time_of(drawn)) + periods * PERIOD
        pairs.append((drawn, schedule.flipped(t)))
    return pairs


@given(late=st.lists(st.sampled_from([0.0, 0.01, 0.3, 0.7]), min_size=1, max_size=200))
def test_frames_in_their_time_are_all_there_is(late):
    schedule = FrameSchedule(PERIOD, 0.0, vsync=False)
    pairs = shown(schedule, late)
    assert pairs == [(k, k) for k in range(len(late))]
    assert schedule.n_dropped == 0


@given(late=st.lists(st.integers(0, 7), min_size=1, max_size=200), vsync=st.booleans())
def test_late_frames_are_counted_exactly_and_slip_nothing(late, vsync):
    schedule = FrameSchedule(PERIOD, 0.0, vsync=vsync)
    pairs = shown(schedule, late)
    slots = [slot for _, slot in pairs]
    missing = set(range(slots[0], slots[-1] + 1)) - set(slots)
    assert schedule.n_dropped == len(missing) == sum(late[1:])
    assert schedule.n_flips == len(late)
    # a late frame shows what was meant for its own time; the next is on the grid again
    assert all(slot - drawn == n for (drawn, slot), n in zip(pairs, late, strict=True))
    assert all(b[0] == a[1] + 1 for a, b in pairwise(pairs))


def test_a_screen_in_step_is_followed():
    """A screen 0.1 % slower than measured, stamps late by up to 2 ms: nothing is dropped."""
    rng = np.random.default_rng(0)
    schedule = FrameSchedule(PERIOD, 0.0, vsync=True)
    true = PERIOD * 1.001
    for k in range(20_000):
        assert schedule.flipped(k * true + rng.uniform(0, 2e-3)) == k
    assert schedule.n_dropped == 0


def test_the_rate_is_measured_through_jitter_and_drops():
    rng = np.random.default_rng(1)
    number = np.delete(np.arange(240), [50, 51, 120])
    flips = 7.0 + number / 59.94 + np.abs(rng.normal(0, 3e-4, len(number)))
    timing = measure(flips, 60.0, paced=False)
    assert timing.refresh_hz == pytest.approx(59.94, rel=2e-4)
    assert (timing.n_frames, timing.n_dropped) == (237, 3)
    assert timing.jitter_ms < 1.0
    assert timing.vsync


def test_what_is_paced_by_the_clock_has_the_clocks_rate():
    flips = np.arange(60) / 60 + np.random.default_rng(2).uniform(0, 6e-3, 60)
    timing = measure(flips, 60.0, paced=True)
    assert (timing.refresh_hz, timing.n_dropped, timing.vsync) == (pytest.approx(60), 0, False)
    assert 4.0 < timing.jitter_ms < 6.0


def test_few_frames_show_no_rate():
    with pytest.raises(ValueError, match="30 are needed"):
        measure(np.arange(10) / 60, 60.0, paced=False)


GOOD = FrameTiming(refresh_hz=60.0, vsync=True, n_frames=120, n_dropped=1, jitter_ms=0.4)


def test_a_good_screen_is_not_objected_to():
    assert objections(GOOD, 60.0, [8.0, 15.8]) == []


@pytest.mark.parametrize(
    ("timing", "hz", "why"),
    [
        (FrameTiming(60.0, True, 120, 5, 0.4), 10.0, "5 of 125 frames were dropped"),
        (FrameTiming(60.0, True, 120, 0, 6.0), 10.0, "6.0 ms off"),
        (FrameTiming(48.0, True, 120, 0, 0.4), 10.0, "variable refresh"),
        (FrameTiming(60.0, True, 120, 0, 0.4), 30.0, "30 Hz cannot be shown"),
    ],
)
def test_a_bad_screen_is_told_why(timing, hz, why):
    (found,) = objections(timing, 60.0, [8.0, hz])
    assert why in found
