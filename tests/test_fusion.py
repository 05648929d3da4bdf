"""A prior and a posterior: Bayes' rule, the threshold that goes with it, and what it may not do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci import config
from bci.config import DynamicDecision
from bci.decision import Dynamic
from bci.decoders.stopping import StoppingRule
from bci.errors import ConfigError
from bci.fusion import (
    FLOOR,
    check,
    evidence_scale,
    fuse,
    fused_threshold,
    is_backed,
    over_classes,
)
from bci.metrics import selection_report
from bci.types import Quality, Window

LABELS = ("a", "b", "c", "d")
SPELLER = (
    "source: {kind: lsl}\nwindow: {kind: growing, markers: [go]}\n"
    "decision: {kind: dynamic, target_error: 0.05}\n"
)


def window(n_times=100, final=False):
    return Window(0, n_times, 0, n_times - 1, None, Quality(), final=final)


def rule(threshold, looks=(100, 200)):
    report = selection_report([1.0], [True], [True], 4)
    return StoppingRule(
        target_error=0.05, threshold=threshold, looks=looks, sfreq=100.0, expected=report,
        best_fixed=report,
    )  # fmt: skip


def policy(threshold=None, at_longest="force"):
    made = Dynamic(DynamicDecision(target_error=0.05, at_longest=at_longest))
    made.follow(None if threshold is None else rule(threshold))
    return made


def probabilities(rng, n, strength):
    p = np.exp(strength * rng.normal(size=n))
    return p / p.sum()


# --- the product ---------------------------------------------------------------------------------


def test_a_prior_in_the_decoders_order_keeps_every_label_possible():
    prior = over_classes({"b": 0.25, "a": 0.75}, LABELS)
    assert prior == pytest.approx(
        [0.75 * (1 - FLOOR) + FLOOR / 4, 0.25 * (1 - FLOOR) + FLOOR / 4, FLOOR / 4, FLOOR / 4]
    )
    assert over_classes({"of another decoder": 1.0}, LABELS) == pytest.approx([0.25] * 4)
    assert over_classes({"a": 0.5, "of another decoder": 0.5}, LABELS)[0] == pytest.approx(
        1 - 0.75 * FLOOR
    )


def test_fused_is_bayes_rule():
    """Likelihoods in place of the posterior under equally likely labels: their common factor."""
    likelihood, prior = np.array([3.0, 0.5, 1.0]), np.array([0.2, 0.7, 0.1])
    flat = likelihood / likelihood.sum()
    assert fuse(flat, prior) == pytest.approx(likelihood * prior / np.dot(likelihood, prior))
    assert fuse(flat, np.full(3, 1 / 3)) == pytest.approx(flat)


# --- the threshold -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 12, 40])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95, 0.999])
def test_without_knowledge_the_threshold_is_the_calibrated_one(n_classes, threshold):
    scale = evidence_scale(threshold, 0.05, n_classes)
    assert fused_threshold(1 / n_classes, scale, 0.05) == pytest.approx(threshold)


def test_a_decoder_that_is_right_about_itself_has_one_threshold_for_every_prior():
    scale = evidence_scale(0.95, 0.05, 12)
    assert scale == pytest.approx(1.0)
    for prior in (0.01, 0.3, 0.9):
        assert fused_threshold(prior, scale, 0.05) == pytest.approx(0.95)


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("prior", [0.02, 0.3, 0.5])
def test_the_threshold_stands_for_the_target_error_of_modest_and_bold_decoders(gain, prior):
    """A decoder that claims `gain` times the evidence that it has, for one label among M."""
    n, others = 12, np.log(11)

    def claimed(evidence):  # posterior, labels equally likely, all others alike
        return 1 / (1 + np.exp(others - gain * evidence))

    calibrated = claimed(np.log(19) + others)  # where the true posterior is 0.95
    scale = evidence_scale(calibrated, 0.05, n)
    assert scale == pytest.approx(gain)
    evidence = np.log(19) - np.log(prior / (1 - prior))  # what makes the true one 0.95
    p = claimed(evidence)
    rest = (1 - p) / (n - 1)
    fused = p * prior / (p * prior + rest * (1 - prior))
    assert fused == pytest.approx(fused_threshold(prior, scale, 0.05))


def test_half_of_the_odds_are_made_up_for_by_evidence():
    assert is_backed(0.95 + 1e-9, 1.0, 0.05, 2)
    assert not is_backed(0.94, 1.0, 0.05, 2)
    needed = 19 / (19 + 11**0.5)  # of twelve: 63 times the mean of the others, where 209 would do
    assert is_backed(needed + 1e-9, 1.0, 0.05, 12)
    assert not is_backed(needed - 1e-9, 1.0, 0.05, 12)
    assert not is_backed(1 / 12, 1.0, 0.05, 12)


# --- the rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [None, 0.6, 0.99])
@pytest.mark.parametrize("at_longest", ["force", "abstain"])
@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10**6), n=st.sampled_from([2, 4, 12]), strength=st.floats(0, 6))
def test_a_flat_prior_changes_nothing(threshold, at_longest, seed, n, strength):
    proba = probabilities(np.random.default_rng(seed), n, strength)
    flat = over_classes({str(k): 1 / n for k in range(n)}, [str(k) for k in range(n)])
    made = policy(threshold, at_longest)
    for view in (window(), window(150), window(200), window(final=True)):
        one, other = made.decide(view, proba), made.decide(view, proba, flat)
        if one is None:
            assert other is None
        else:
            assert (one.index, one.forced, one.reason) == (other.index, other.forced, other.reason)


def test_a_prior_that_agrees_decides_sooner_and_one_that_does_not_later():
    proba = np.array([0.92, 0.04, 0.02, 0.02])
    made = policy()
    assert made.decide(window(), proba) is None
    for_it = made.decide(window(), proba, over_classes({"a": 0.6, "b": 0.4}, LABELS))
    assert (for_it.index, for_it.prior, for_it.forced) == (0, True, False)
    assert for_it.proba.argmax() == 0
    sure = np.array([0.96, 0.02, 0.01, 0.01])
    assert made.decide(window(), sure).index == 0
    assert made.decide(window(), sure, over_classes({"b": 1.0}, LABELS)) is None


def test_a_prior_alone_decides_nothing():
    flat = np.full(4, 0.25)
    certain = over_classes({"b": 1.0}, LABELS)
    for threshold in (None, 0.3, 0.6, 0.99):
        made = policy(threshold)
        assert made.decide(window(), flat, certain) is None
        forced = made.decide(window(final=True), np.array([0.3, 0.2, 0.2, 0.3]), certain)
        assert (forced.index, forced.forced, forced.prior) == (0, True, False)
        assert forced.proba[0] == 0.3
    abstained = policy(at_longest="abstain").decide(window(final=True), flat, certain)
    assert (abstained.index, abstained.reason) == (None, "undecided")


def test_what_is_forced_follows_the_prior_where_there_is_evidence():
    proba = np.array([0.05, 0.92, 0.02, 0.01])
    prior = over_classes({"a": 0.1, "b": 0.2, "c": 0.7}, LABELS)
    forced = policy().decide(window(final=True), proba, prior)
    assert (forced.index, forced.forced, forced.prior) == (1, True, True)
    assert forced.proba == pytest.approx(fuse(proba, prior))


def test_a_rule_looks_when_it_looked_before():
    made, proba = policy(0.9), np.array([0.99, 0.01, 0.0, 0.0])
    prior = over_classes({"a": 0.9, "b": 0.1}, LABELS)
    assert made.decide(window(150), proba, prior) is None  # no look
    assert made.decide(window(100), proba, prior).index == 0


def scripted(rng, n_trials, targets, drift=0.25, n=12, n_looks=80):
    """Posteriors at each look; the target's log-likelihood drifts as the decoder thinks it does."""
    for target in targets(n_trials):
        steps = rng.normal(0.0, np.sqrt(5.0), (n_looks, n))
        if target is not None:
            steps[:, target] += 5.0 * drift
        score = drift * np.cumsum(steps, axis=0)
        p = np.exp(score - score.max(axis=1, keepdims=True))
        yield target, p / p.sum(axis=1, keepdims=True)


def first_verdict(made, looks, prior):
    verdicts = (made.decide(window(), p, prior) for p in looks)
    return next(((k, v.index) for k, v in enumerate(verdicts) if v is not None), None)


EXPECTED = over_classes({"0": 0.5, "1": 0.3, "2": 0.1, "3": 0.1}, [str(k) for k in range(12)])


def test_the_promised_error_is_kept_under_the_prior_and_time_is_saved():
    """Targets drawn from the prior, log-likelihoods as the rule assumes them."""
    rng = np.random.default_rng(0)
    waits, wrong = {True: [], False: []}, {True: 0, False: 0}
    n_trials = 600
    for target, looks in scripted(rng, n_trials, lambda k: rng.choice(12, k, p=EXPECTED)):
        for fused in (True, False):
            k, label = first_verdict(policy(), looks, EXPECTED if fused else None)
            waits[fused].append(k)
            wrong[fused] += label != target
    assert max(wrong.values()) <= 0.05 * n_trials
    assert np.mean(waits[True]) < 0.9 * np.mean(waits[False])


def test_nobody_who_looks_at_nothing_is_decided_for_more_often_with_a_prior():
    """No target at all, so that nothing but luck passes the threshold."""
    rng = np.random.default_rng(1)
    certain = over_classes({"3": 1.0}, [str(k) for k in range(12)])
    n = dict.fromkeys(("none", "expected", "certain"), 0)
    for _, looks in scripted(rng, 300, lambda k: [None] * k, drift=0.1, n_looks=40):
        for name, prior in (("none", None), ("expected", EXPECTED), ("certain", certain)):
            n[name] += first_verdict(policy(), looks, prior) is not None
    assert max(n.values()) <= n["none"] + 5


# --- what a client may send ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proba", "says"),
    [
        ({"a": 0.5, "x": 0.5}, "a prior for 'x', which the decoder does not know; its labels are"),
        ({"a": 1.5, "b": -0.5}, "the prior of 'b' is -0.5; a probability is 0 or more"),
        ({"a": float("nan")}, "the prior of 'a' is nan"),
        ({"a": 0.5, "b": 0.3}, "sum to 0.8 instead of 1; labels that are left out count as 0"),
        ({}, "sum to 0 instead of 1"),
    ],
)
def test_a_prior_that_is_none_is_refused(proba, says):
    with pytest.raises(ConfigError, match=says):
        check(proba, LABELS, config.loads(SPELLER))


def test_a_prior_is_refused_where_nothing_uses_it():
    check({"a": 0.3334, "b": 0.3333, "c": 0.3333}, LABELS, config.loads(SPELLER))
    with pytest.raises(ConfigError, match="there is no decoder yet"):
        check({"a": 1.0}, (), config.loads(SPELLER))
    sliding = config.loads("source: {kind: lsl}\n")
    with pytest.raises(ConfigError, match=r"needs 'decision: \{kind: dynamic\}'.*has 'each'"):
        check({"a": 1.0}, LABELS, sliding)
