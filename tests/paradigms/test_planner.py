"""Plans for a screen: what is offered, how it is judged, and what a session makes of it."""

import numpy as np
import pytest

from bci import config
from bci.calibration.preparation import frequencies_of, planned
from bci.errors import ConfigError
from bci.paradigms import planner
from bci.paradigms.frequencies import plan
from bci.paradigms.speller import TARGETS_12, TARGETS_40, retuned
from bci.paradigms.subject import SimulatedSubject

JUDGED = {"window_s": 2.0, "flicker_share": 0.2}
SESSION = """
source: {kind: simulated, paradigm: ssvep12, cues: told}
events: {9.25 Hz: cue/9.25 Hz, artifact: blink}
window: {kind: growing, markers: [stim_on], offset_s: 0.14, min_s: 0.4, hop_s: 0.1, length_s: 1.0}
decision: {kind: dynamic}
decoder: {kind: fbcca, frequencies_hz: [9.25, 9.75, 10.25, 10.75, 11.25, 11.75, 12.25, 12.75,
  13.25, 13.75, 14.25, 14.75]}
ladder: {rungs: [ecca, trca]}
recording: {}
"""


@pytest.mark.parametrize("refresh_hz", [59.94, 60.0, 144.0])
@pytest.mark.parametrize("n", [12, 40])
def test_what_is_offered_can_be_shown_and_the_best_comes_first(refresh_hz, n):
    made = planner.offers(refresh_hz, n, **JUDGED)
    for one in made:
        hz = [f.frequency_hz for f in one.flickers]
        assert len(set(hz)) == n
        assert sorted(hz) == hz
        assert max(hz) < refresh_hz / 2
        assert len({f.label for f in one.flickers}) == n
    sampled = [one.faults for one in made if one.method == "sampled"]
    assert sampled == sorted(sampled)


def test_fast_screens_offer_whole_frames_last():
    *_, locked = planner.offers(240.0, 12, **JUDGED)
    assert locked.method == "locked"
    for flicker in locked.flickers:
        assert 240.0 / sum(flicker.frames) == pytest.approx(flicker.frequency_hz)
    assert "whole frames on and off" in str(locked)


def test_an_offer_is_better_than_a_plan_that_collides():
    bad = planner.judge(plan(60.0, [8.0, 10.0, 12.0, 15.0]), 60.0, window_s=2.0, flicker_share=0.2)
    assert bad.n_collisions > 0  # 5 · 8 = 4 · 10, and more
    assert planner.offers(60.0, 4, **JUDGED)[0].n_collisions == 0


def test_large_flicker_that_provokes_seizures_counts_first():
    asked = (60.0, 4, 16.0, 19.0, "sampled")
    small, large = (planner.ask(*asked, window_s=2.0, flicker_share=share) for share in (0.1, 0.6))
    assert (small.faults[0], large.faults[0]) == (0, 4)
    assert "photosensitivity" in large.findings[0]


def test_what_no_screen_shows_says_why():
    with pytest.raises(ConfigError, match="below half the refresh rate"):
        planner.judge(plan(60.0, [10.0, 20.0]), 30.0, **JUDGED)
    with pytest.raises(ConfigError, match="frame-locked frequencies"):
        planner.ask(60.0, 12, 8.0, 12.0, "locked", **JUDGED)
    with pytest.raises(ConfigError, match="at 24 Hz"):
        planner.offers(24.0, 40, **JUDGED)


@pytest.mark.parametrize("grid", [TARGETS_12, TARGETS_40])
def test_the_targets_of_the_literature_tuned_to_their_own_frequencies_stay(grid):
    own = {target.label: target.frequency_hz for target in grid}
    again = retuned(grid, planner.of_session(own, "sampled", None))
    for one, other in zip(again, grid, strict=True):
        assert (one.label, one.frequency_hz, one.row, one.column) == (
            other.label, other.frequency_hz, other.row, other.column,
        )  # fmt: skip
        assert np.exp(1j * one.phase) == pytest.approx(np.exp(1j * other.phase), abs=1e-9)


@pytest.mark.parametrize(("method", "refresh_hz"), [("sampled", 60.0), ("locked", 240.0)])
def test_a_session_takes_a_plan_over_as_a_whole(method, refresh_hz):
    chosen = planner.ask(refresh_hz, 12, 8.0, 20.0, method, **JUDGED)
    session = planned(config.loads(SESSION), chosen)
    again = config.loads(config.dump(session))  # as it is saved
    assert again == session
    hz = frequencies_of(session.decoder)
    assert list(hz.values()) == pytest.approx([f.frequency_hz for f in chosen.flickers])
    assert all(frequencies_of(rung) == hz for rung in session.ladder.rungs)
    assert dict(session.events) == {label: f"cue/{label}" for label in hz} | {"artifact": "blink"}
    assert [t.label for t in session.source._targets()] != [t.label for t in TARGETS_12]
    assert {t.label for t in session.source._targets()} == set(hz)
    shown = planner.of_session(hz, session.screen.flicker, session.screen.refresh_hz)
    assert [f.frames for f in shown.values()] == [f.frames for f in chosen.flickers]


def test_a_session_with_another_number_of_targets_takes_no_plan():
    with pytest.raises(ConfigError, match="the decoder has 12 targets, and the plan 5"):
        planned(config.loads(SESSION), planner.ask(60.0, 5, 8.0, 12.0, "sampled", **JUDGED))


def test_locked_flicker_says_its_screen_and_keeps_to_it():
    with pytest.raises(ConfigError, match="refresh_hz"):
        config.loads(SESSION + "screen: {flicker: locked}")
    flickers = planner.ask(240.0, 12, 8.0, 20.0, "locked", **JUDGED).flickers
    assert list(planner.off_plan(flickers, 239.96)) == []
    (why,) = planner.off_plan(flickers, 144.0)
    assert "12 targets were planned for another screen" in why


def test_the_simulated_subject_answers_at_the_frequencies_it_is_told():
    told = config.loads(
        "source: {kind: simulated, paradigm: ssvep12, frequencies_hz: "
        "[8, 8.5, 9, 9.5, 10, 10.5, 11, 11.5, 12, 12.5, 13, 13.5]}"
    ).source
    strong = SimulatedSubject(told._targets(), snr=30.0, seed=1)
    for value in ("cue/8.5 Hz", "stim_on"):
        strong.see(value)
    spectrum = np.abs(np.fft.rfft(strong.generate_parts(1000)["ssvep"][250:, -2], 3000))
    assert np.fft.rfftfreq(3000, 1 / 250)[spectrum.argmax()] == pytest.approx(8.5, abs=0.2)
    with pytest.raises(ConfigError, match="12 different ones"):
        config.loads("source: {kind: simulated, paradigm: ssvep12, frequencies_hz: [8, 9]}")
