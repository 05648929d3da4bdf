"""Dynamic stopping: the error that is stated is the error that comes."""

import numpy as np
import pytest
from scipy.special import softmax

from bci.calibration.stopping import (
    Trajectories,
    cross_validated,
    evaluate,
    fit_stopping,
    in_words,
    stopped,
    trajectories,
)

SFREQ, N_CLASSES, TARGET = 100.0, 8, 0.05
LOOKS = tuple(range(50, 201, 10))


def evidence(rng, n, strength=1.0):
    """Scores of a race: the true class drifts, all diffuse; shape (n, n_looks, n_classes).

    Trials differ in strength, as attention does, so that no single temperature fits all.
    """
    steps = np.diff([0, *LOOKS]) / SFREQ
    drift = np.zeros((n, 1, N_CLASSES))
    truth = rng.integers(N_CLASSES, size=n)
    drift[np.arange(n), 0, truth] = 3.0 * strength * rng.lognormal(0.0, 0.5, n)
    noise = rng.normal(size=(n, len(LOOKS), N_CLASSES)) * np.sqrt(steps)[:, None]
    return np.cumsum(drift * steps[:, None] + noise, axis=1), truth


def person(rng, n, heat=1.0, strength=1.0):
    """Trajectories of somebody whose posterior is too sure by the factor `heat`."""
    scores, truth = evidence(rng, n, strength)
    proba = softmax(2.5 * heat * scores, axis=2)
    right = proba.argmax(axis=2) == truth[:, None]
    return Trajectories(proba.max(axis=2), right, LOOKS, SFREQ, N_CLASSES)


def realised(heat, n_calibration, n_people=40, n_test=250, strength=1.0):
    """Error among passed decisions, pooled over people; mean transfer of rule and fixed length."""
    wrong = passed = 0
    transfer, fixed = [], []
    for k in range(n_people):
        rng = np.random.default_rng([k, n_calibration])
        rule = fit_stopping(person(rng, n_calibration, heat, strength), TARGET)
        test = person(rng, n_test, heat, strength)
        report = evaluate(test, rule.threshold, rule.looks)
        length = round(rule.best_fixed.mean_s * SFREQ)
        transfer.append(report.itr)
        fixed.append(evaluate(test, 0.5, (length,)).itr)
        if rule.fixed_because is None and report.n_passed:
            passed += report.n_passed
            wrong += round(report.error_passed * report.n_passed)
    return wrong / passed, passed / (n_people * n_test), np.mean(transfer), np.mean(fixed)


@pytest.mark.parametrize("n_calibration", [24, 48, 120])
@pytest.mark.parametrize("heat", [0.5, 1.0, 2.0])
def test_the_realised_error_is_near_the_target_whatever_the_posterior_promises(heat, n_calibration):
    error, share, transfer, fixed = realised(heat, n_calibration)
    print(f"\nheat {heat}, n {n_calibration}: {error:.3f} {share:.2f} {transfer:.1f} {fixed:.1f}")
    assert 0.01 <= error <= 0.09
    assert share > 0.2
    assert transfer >= fixed


def test_an_overconfident_posterior_taken_at_its_word_breaks_its_promise():
    test = person(np.random.default_rng(0), 4000, heat=2.0)
    assert evaluate(test, 1.0 - TARGET).error_passed > 2 * TARGET
