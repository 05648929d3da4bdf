"""Policies on scripted probabilities."""

import numpy as np
import pytest

from bci.config import DynamicDecision, ThresholdDecision
from bci.decision import Dynamic, Each, Threshold
from bci.decoders.stopping import StoppingRule
from bci.metrics import selection_report
from bci.types import Quality, Window


def window(last, final=True, ok=True):
    return Window(0, 1, 0, last, None, Quality(ok), final=final)


def p(*values):
    return np.array(values)


def test_each_window_gives_its_best_label():
    assert Each().decide(window(0), p(0.2, 0.5, 0.3)).index == 1
    assert Each().abstain(window(0)).index is None


def test_threshold_waits_for_dwell_and_then_keeps_silent():
    policy = Threshold(ThresholdDecision(threshold=0.8, dwell=3, refractory_s=1.0), sfreq=100)
    verdicts = [policy.decide(window(10 * k), p(0.1, 0.9)) for k in range(30)]
    assert [k for k, v in enumerate(verdicts) if v] == [2, 12, 22]


def test_threshold_smooths_and_starts_anew_after_an_abstention():
    policy = Threshold(ThresholdDecision(threshold=0.7, smoothing=2, refractory_s=0), sfreq=100)
    assert policy.decide(window(0), p(0.0, 1.0)) is None  # one window is not yet an average of two
    verdict = policy.decide(window(1), p(0.5, 0.5))
    assert verdict.index == 1
    assert verdict.proba[1] == pytest.approx(0.75)
    policy.decide(window(2), p(0.0, 1.0))
    assert policy.abstain(window(3)).index is None
    assert policy.decide(window(4), p(0.0, 1.0)) is None


def test_threshold_counts_only_the_same_label():
    policy = Threshold(ThresholdDecision(threshold=0.8, dwell=2, refractory_s=0), sfreq=100)
    row = [p(0.9, 0.1), p(0.1, 0.9), p(0.9, 0.1), p(0.9, 0.1)]
    assert [bool(policy.decide(window(i), q)) for i, q in enumerate(row)] == [0, 0, 0, 1]


def test_dynamic_stops_at_the_target_or_at_the_longest_window():
    policy = Dynamic(DynamicDecision(target_error=0.1))
    assert policy.decide(window(0, final=False), p(0.5, 0.5)) is None
    assert policy.decide(window(0, final=False), p(0.05, 0.95)).index == 1
    forced = policy.decide(window(0), p(0.6, 0.4))
    assert (forced.index, forced.forced) == (0, True)
    policy = Dynamic(DynamicDecision(target_error=0.1, at_longest="abstain"))
    assert policy.decide(window(0), p(0.6, 0.4)).reason == "undecided"
    assert policy.abstain(window(0, final=False, ok=False)) is None
    assert policy.abstain(window(0, ok=False)).index is None


def rule(threshold, looks, target_error=0.1):
    report = selection_report([1.0], [True], [True], 2)
    return StoppingRule(
        target_error=target_error, threshold=threshold, looks=looks, sfreq=100.0,
        expected=report, best_fixed=report,
    )  # fmt: skip


def look(n_times, final=False, ok=True):
    return Window(7, 7 + n_times, 0, n_times, None, Quality(ok), final=final)


def test_a_rule_moves_the_threshold_counts_its_own_looks_and_ends_the_wait():
    policy = Dynamic(DynamicDecision(target_error=0.1))
    policy.follow(rule(0.7, (50, 80, 110)))
    assert policy.decide(look(50), p(0.31, 0.69)) is None
    assert policy.decide(look(60), p(0.0, 1.0)) is None  # nobody looked there in calibration
    early = policy.decide(look(80), p(0.3, 0.7))
    assert (early.index, early.forced) == (1, False)
    forced = policy.decide(look(110), p(0.6, 0.4))
    assert (forced.index, forced.forced) == (0, True)
    assert policy.decide(look(120), p(0.6, 0.4)).forced  # of a session that never looks at 110
    assert policy.decide(look(70, final=True), p(0.6, 0.4)).forced  # or ends before
    assert policy.abstain(look(80, ok=False)) is None
    assert policy.abstain(look(110, ok=False)).index is None
    policy.follow(None)
    assert policy.decide(look(50), p(0.2, 0.8)) is None
    assert policy.decide(look(50), p(0.1, 0.9)).index == 1


def test_a_rule_may_end_in_abstention():
    policy = Dynamic(DynamicDecision(target_error=0.1, at_longest="abstain"))
    policy.follow(rule(0.7, (50,)))
    assert policy.decide(look(50), p(0.6, 0.4)).reason == "undecided"
    assert policy.decide(look(50), p(0.8, 0.2)).index == 0


def test_a_rule_for_another_target_is_not_followed(caplog):
    policy = Dynamic(DynamicDecision(target_error=0.05))
    policy.follow(rule(0.6, (50,), target_error=0.1))
    assert "calibrated for a target error of 0.1, the session asks for 0.05" in caplog.text
    assert policy.decide(look(50), p(0.3, 0.7)) is None
    assert policy.decide(look(60), p(0.04, 0.96)).index == 1


@pytest.mark.parametrize("looks", [(), (50, 50), (0, 10), (60, 50)])
def test_looks_are_increasing_lengths(looks):
    with pytest.raises(ValueError, match="looks"):
        rule(0.7, looks)


def test_threshold_forgets_what_does_not_continue_but_keeps_its_silence():
    settings = ThresholdDecision(threshold=0.7, smoothing=2, dwell=2, refractory_s=1.0)
    policy = Threshold(settings, sfreq=100)
    rows = [policy.decide(window(10 * k), p(0.1, 0.9)) for k in range(3)]
    assert [bool(v) for v in rows] == [False, False, True]  # silent until sample 120
    for k in range(3, 12):
        assert policy.decide(window(10 * k), p(0.1, 0.9)) is None
    policy.forget()
    rows = [policy.decide(window(10 * k), p(0.3, 0.3, 0.4, 0.9)) for k in range(12, 15)]
    assert [bool(v) for v in rows] == [False, False, True]


def test_policies_without_a_past_have_nothing_to_forget():
    for policy in (Each(), Dynamic(DynamicDecision())):
        policy.forget()
        policy.follow(None)
        assert policy.decide(window(0), p(0.2, 0.8)).index == 1
