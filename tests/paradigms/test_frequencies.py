"""Plans of flicker worked out by hand."""

import math

import numpy as np
import pytest

from bci import config
from bci.errors import ConfigError
from bci.paradigms.collisions import aliases, findings, harmonics, intermodulation
from bci.paradigms.frequencies import (
    decoder_yaml,
    locked_frames,
    luminance,
    plan,
    spread,
    targets,
)
from bci.paradigms.speller import TARGETS_40


def shown(flickers):
    return [f.frequency_hz for f in flickers]


# --- what a screen can do ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refresh", "low", "high", "frames"),
    [
        (60.0, 7.5, 15.0, (8, 7, 6, 5, 4)),  # 7.5, 8.571, 10, 12, 15 Hz
        (59.94, 7.5, 15.0, (7, 6, 5, 4)),  # 59.94 / 8 is 7.4925
        (144.0, 8.0, 10.0, (18, 17, 16, 15)),
        (60.0, 20.0, 100.0, (3, 2)),
    ],
)
def test_locked_cycles_are_whole_frames(refresh, low, high, frames):
    assert locked_frames(refresh, low, high) == frames


def test_wishes_become_the_nearest_locked_frequencies():
    flickers = plan(60.0, [7.4, 8.5, 10.2, 11.5], method="locked")
    assert shown(flickers) == pytest.approx([7.5, 60 / 7, 10.0, 12.0])
    assert [f.wished_hz for f in flickers] == [7.4, 8.5, 10.2, 11.5]
    assert [f.frames for f in flickers] == [(4, 4), (4, 3), (3, 3), (3, 2)]
    assert [f.label for f in flickers] == ["7.5 Hz", "8.57143 Hz", "10 Hz", "12 Hz"]
    slower = plan(59.94, [7.4, 8.5], method="locked")
    assert shown(slower) == pytest.approx([7.4925, 8.562857142857143])


def test_two_wishes_never_share_a_locked_frequency():
    assert shown(plan(60.0, [9.9, 10.1], method="locked")) == pytest.approx([60 / 7, 10.0])
    assert sorted(shown(plan(60.0, [30.0, 29.0], method="locked"))) == pytest.approx([20.0, 30.0])


def test_phases_are_joint_with_frequencies_or_as_wished():
    sampled = plan(60.0, [8.0, 8.2, 8.4, 8.6, 8.8])
    quarter = math.pi / 2
    assert [f.phase for f in sampled] == pytest.approx([0, quarter, 2 * quarter, 3 * quarter, 0])
    assert shown(sampled) == [8.0, 8.2, 8.4, 8.6, 8.8]
    # 10 Hz has 6 frames: a quarter of a cycle is 1.5 of them, which rounds to 2
    locked = plan(60.0, [10.0, 12.0], [quarter, -2 * math.pi / 5], method="locked")
    assert [f.phase for f in locked] == pytest.approx([2 * math.pi / 3, 2 * math.pi * 4 / 5])


def test_the_shown_luminance_has_the_planned_frequency_and_phase():
    refresh, n = 60.0, 600  # 10 s: lines every 0.1 Hz
    for method, wishes in (("sampled", [8.2, 13.7]), ("locked", [8.5, 10.0])):
        for flicker in plan(refresh, wishes, [1.0, 2.0], method=method):
            seen = luminance(flicker, refresh, n)
            assert seen.min() >= 0
            assert seen.max() <= 1
            t = np.arange(n) / refresh
            line = np.exp(-2j * np.pi * flicker.frequency_hz * t)
            at = abs(line @ (seen - seen.mean()))
            assert at > 0.99 * abs(np.fft.rfft(seen - seen.mean())).max()
            if method == "sampled":
                assert np.angle(line @ seen) + math.pi / 2 == pytest.approx(flicker.phase, abs=0.02)
            else:
                on, off = flicker.frames
                np.testing.assert_array_equal(seen[on + off :], seen[: -(on + off)])


def test_targets_spread_in_equal_steps_or_over_what_there_is():
    assert spread(60.0, 4, 8.0, 14.0, "sampled") == (8.0, 10.0, 12.0, 14.0)
    # of 7.5, 8.571, 10, 12 and 15 Hz those nearest to 7.5, 11.25 and 15
    assert spread(60.0, 3, 7.5, 15.0, "locked") == pytest.approx((7.5, 12.0, 15.0))
    assert spread(60.0, 5, 7.5, 15.0, "locked") == pytest.approx((7.5, 60 / 7, 10, 12, 15))


def test_a_plan_makes_the_targets_of_the_speller():
    flickers = plan(240.0, [8.0 + 0.2 * k for k in range(40)])
    made = {(t.row, t.column): (t.frequency_hz, t.phase) for t in targets(flickers, 5)}
    for target in TARGETS_40:
        hz, phase = made[target.row, target.column]
        assert hz == pytest.approx(target.frequency_hz)
        assert math.cos(phase - target.phase) == pytest.approx(1.0)


def test_the_decoder_gets_what_is_shown():
    text = decoder_yaml(plan(60.0, [7.4, 8.5], method="locked"))
    session = config.loads("source: {kind: simulated}\nchannels: {montage: null}\n" + text + "\n")
    assert session.decoder.frequencies == pytest.approx({"7.5 Hz": 7.5, "8.57143 Hz": 60 / 7})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plan(0.0, [8, 9]), "refresh rate must be"),
        (lambda: plan(float("nan"), [8, 9]), "refresh rate must be"),
        (lambda: plan(60.0, [8]), "2 targets or more"),
        (lambda: plan(60.0, [8, 8]), "must be different"),
        (lambda: plan(60.0, [8, -1]), "above 0 Hz"),
        (lambda: plan(60.0, [8, 9], [0.0]), "as many phases, found 1"),
        (lambda: plan(60.0, [8, 30]), "30 Hz cannot be shown at 60 Hz"),
        (lambda: plan(60.0, [8, 31], method="locked"), "31 Hz cannot be shown at 60 Hz"),
        (lambda: spread(60.0, 6, 7.5, 15.0, "locked"), r"has 5 frame-locked frequencies \(7.5, "),
        (lambda: spread(60.0, 2, 9.0, 8.0, "sampled"), "found 9 to 8 Hz"),
        (lambda: spread(60.0, 1, 8.0, 9.0, "sampled"), "2 targets or more"),
        (lambda: findings(plan(60.0, [8, 9]), 60.0, window_s=0.0), "window 0 s"),
        (lambda: findings(plan(60.0, [8, 9]), 60.0, flicker_share=2.0), "between 0 and 1, found 2"),
    ],
)
def test_wrong_wishes_are_one_clear_error(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


# --- what collides -------------------------------------------------------------------------------


def test_harmonics_that_meet():
    found = list(harmonics([7.5, 10.0, 15.0], 3))
    assert [(c.what, c.hz) for c in found] == [
        ("2 · 7.5 = 15", 15.0),
        ("3 · 10 = 2 · 15", 30.0),
    ]
    assert list(harmonics([13.0, 17.0, 21.0], 5)) == []
    assert [c.what for c in harmonics([8.0, 16.05], 2)] == ["2 · 8 = 16.05"]
    assert list(harmonics([8.0, 16.05], 2, resolution_hz=0.01)) == []


def test_sums_and_differences_that_fall_on_a_third_target():
    assert [c.what for c in intermodulation([8.0, 10.0, 18.0], 2)] == [
        "8 + 10 = 18",
        "18 − 8 = 10",
        "18 − 10 = 8",
    ]
    assert "2 · 10 − 8 = 12" in [c.what for c in intermodulation([8.0, 10.0, 12.0], 3)]
    assert list(intermodulation([8.0, 10.0, 12.0], 2)) == []


def test_harmonics_folded_at_half_the_refresh_rate():
    # 4 · 12.5 = 50 Hz comes back at 60 − 50 = 10 Hz
    found = list(aliases(plan(60.0, [10.0, 12.5]), 60.0, 5))
    assert [(c.what, c.hz) for c in found] == [("4 · 12.5, folded at 30 Hz, = 10", 10.0)]
    assert list(aliases(plan(60.0, [10.0, 12.0], method="locked"), 60.0)) == []


def test_large_fields_at_15_to_25_hz_are_warned_of():
    flickers = plan(144.0, [8.0, 15.0, 20.0, 30.0])
    (line,) = [x for x in findings(flickers, 144.0) if x.startswith("photosensitivity")]
    assert "15, 20 Hz lie between 15 and 25 Hz" in line
    assert "100 % of the screen" in line
    assert not [x for x in findings(flickers, 144.0, flicker_share=0.2) if "photosens" in x]
    assert not [x for x in findings(plan(144.0, [8.0, 14.0]), 144.0) if "photosens" in x]


def test_neighbours_that_a_window_does_not_resolve():
    flickers = plan(60.0, [8.0, 8.5, 9.5])
    (line,) = [x for x in findings(flickers, 60.0, window_s=1.0) if "neighbours" in x]
    assert line.startswith("1 pair of neighbours closer than 1 Hz")
    assert "8 and 8.5 Hz" in line
    assert not [x for x in findings(flickers, 60.0, window_s=2.0) if "neighbours" in x]


def test_few_frames_a_cycle_beat():
    (line,) = [x for x in findings(plan(60.0, [13.0, 29.0]), 60.0) if "beats" in x]
    assert line.endswith("29 Hz at 2 Hz")


def test_a_good_plan_has_no_findings_and_a_long_list_is_cut():
    assert findings(plan(144.0, [9.0, 11.3, 13.1]), 144.0) == []
    many = findings(plan(240.0, [8.0 + 0.2 * k for k in range(40)]), 240.0, flicker_share=0.1)
    assert [x for x in many if "; and " in x]
    assert max(map(len, many)) < 400
