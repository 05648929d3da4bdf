"""Continuous control on scripted and random probabilities: dwell, refractory, idle; and the bar."""

from itertools import pairwise

import numpy as np
import pytest

from bci.bar import FeedbackBar
from bci.config import ControlDecision
from bci.decision import Control
from bci.types import Bar, Quality, Window

SFREQ, HOP = 100, 10
CLASSES = ("left", "rest", "right")


def window(k):
    return Window(0, 1, 0, k * HOP, None, Quality())


def said(policy, rows):
    """Label or reason of each of successive windows."""
    verdicts = [policy.decide(window(k), np.array(row)) for k, row in enumerate(rows)]
    return [v.reason if v.index is None else CLASSES[v.index] for v in verdicts]


def policy(**settings):
    given = {"smoothing": 1, "threshold": 0.7, "dwell_s": 0.2, "refractory_s": 0.5}
    made = Control(ControlDecision(**given | settings, idle=("rest",)), SFREQ)
    made.follow(None, CLASSES)
    return made


LEFT, RIGHT, REST, UNSURE = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8), (0.1, 0.8, 0.1), (0.5, 0.2, 0.3)


def test_a_command_comes_after_its_dwell_and_not_within_the_refractory_time():
    assert said(policy(), [LEFT] * 11) == [
        "dwell", "dwell", "left", "dwell", "dwell", "refractory", "refractory", "left",
        "dwell", "dwell", "refractory",
    ]  # fmt: skip


def test_dwell_starts_anew_with_another_label_an_idle_one_or_a_doubt():
    rows = [LEFT, LEFT, RIGHT, LEFT, LEFT, REST, LEFT, UNSURE, LEFT, LEFT, LEFT]
    assert said(policy(), rows) == [
        "dwell", "dwell", "dwell", "dwell", "dwell", "idle", "dwell", "below-threshold",
        "dwell", "dwell", "left",
    ]  # fmt: skip


def test_a_window_that_cannot_be_decoded_starts_dwell_and_smoothing_anew():
    made = policy(smoothing=2)
    assert said(made, [LEFT, LEFT]) == ["dwell", "dwell"]
    assert made.abstain(window(2)).index is None
    verdict = made.decide(window(3), np.array(RIGHT))
    assert (verdict.reason, verdict.proba.tolist()) == ("dwell", list(RIGHT))


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_commands_keep_their_promises(seed):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet((0.5, 0.5, 0.5), 3000)
    made = policy(smoothing=int(rng.integers(1, 4)), threshold=0.5, dwell_s=0.2, refractory_s=0.7)
    verdicts = [made.decide(window(k), row) for k, row in enumerate(rows)]
    at = [k for k, v in enumerate(verdicts) if v.index is not None]
    assert len(at) > 20
    assert {CLASSES[verdicts[k].index] for k in at} == {"left", "right"}
    assert min(b - a for a, b in pairwise(at)) >= 7
    for k in at:
        smooth = np.array([v.proba for v in verdicts[k - 2 : k + 1]])
        assert (smooth[:, verdicts[k].index] >= 0.5).all()  # all through the dwell time
        assert (smooth.argmax(axis=1) == verdicts[k].index).all()


def test_at_noise_commands_come_no_more_often_than_the_refractory_time_allows():
    n = 6000
    rows = np.random.default_rng(0).dirichlet((1, 1, 1), n)
    bound = n * HOP / SFREQ / 2.0
    assert (
        sum(s in CLASSES for s in said(policy(dwell_s=0, threshold=0.1, refractory_s=2), rows))
        <= bound
    )
    strict = sum(s in CLASSES for s in said(policy(smoothing=5, dwell_s=0.5), rows))
    assert (
        strict <= 0.01 * bound
    )  # of means of five, few pass 0.7, and hardly any for half a second


# --- the bar ----------------------------------------------------------------------------------


def test_the_bar_moves_towards_the_cue_between_its_markers_only():
    bar = FeedbackBar({"cue/left": "left"})
    proba = {"left": 0.6, "right": 0.3, "rest": 0.1}
    assert bar.move(proba) is None
    bar.see("feedback_on")
    assert bar.move(proba) is None  # nothing is cued
    bar.see("cue/left")
    assert bar.move(proba) is None
    bar.see("feedback_on")
    assert bar.move({}) == Bar("left", 0.0, held=True)
    assert bar.move(proba) == Bar("left", pytest.approx(0.3))
    assert bar.move({}) == Bar("left", pytest.approx(0.3), held=True)
    assert bar.move({"left": 0.0, "right": 1.0, "rest": 0.0}) == Bar("left", -1.0)
    bar.see("feedback_off")
    assert bar.move(proba) is None
    bar.see("cue/right")
    bar.see("feedback_on")
    assert bar.move(proba) == Bar("right", pytest.approx(-0.3))
