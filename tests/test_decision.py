"""Policies on scripted probabilities."""

import numpy as np
import pytest

from bci.config import DynamicDecision, ThresholdDecision
from bci.decision import Dynamic, Each, Threshold
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
        assert policy.decide(window(0), p(0.2, 0.8)).index == 1
