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
from bci.metrics import expected_calibration_error

SFREQ, N_CLASSES, TARGET = 100.0, 8, 0.05
LOOKS = tuple(range(50, 201, 10))


def evidence(rng, n):
    """Scores of a race: the true class drifts, all diffuse; shape (n, n_looks, n_classes).

    Trials differ in strength, as attention does, so that no single temperature fits all.
    """
    steps = np.diff([0, *LOOKS]) / SFREQ
    drift = np.zeros((n, 1, N_CLASSES))
    truth = rng.integers(N_CLASSES, size=n)
    drift[np.arange(n), 0, truth] = 3.0 * rng.lognormal(0.0, 0.5, n)
    noise = rng.normal(size=(n, len(LOOKS), N_CLASSES)) * np.sqrt(steps)[:, None]
    return np.cumsum(drift * steps[:, None] + noise, axis=1), truth


def person(rng, n, heat=1.0):
    """Trajectories of somebody whose posterior is too sure by the factor `heat`."""
    scores, truth = evidence(rng, n)
    proba = softmax(2.5 * heat * scores, axis=2)
    right = proba.argmax(axis=2) == truth[:, None]
    return Trajectories(proba.max(axis=2), right, LOOKS, SFREQ, N_CLASSES)


def realised(heat, n_calibration, n_people=12, n_test=250):
    """Error among passed decisions, pooled over people; mean transfer of rule and fixed length."""
    wrong = passed = 0
    transfer, fixed = [], []
    for k in range(n_people):
        rng = np.random.default_rng([k, n_calibration])
        rule = fit_stopping(person(rng, n_calibration, heat), TARGET)
        test = person(rng, n_test, heat)
        report = evaluate(test, rule.threshold, rule.looks)
        transfer.append(report.itr)
        fixed.append(evaluate(test, 0.5, (round(rule.best_fixed.mean_s * SFREQ),)).itr)
        if rule.fixed_because is None and report.n_passed:
            passed += report.n_passed
            wrong += round(report.error_passed * report.n_passed)
    return wrong / passed, passed / (n_people * n_test), np.mean(transfer), np.mean(fixed)


@pytest.mark.parametrize(("heat", "n_calibration"), [(0.5, 48), (1.0, 24), (1.0, 72), (2.0, 48)])
def test_the_realised_error_is_near_the_target_whatever_the_posterior_promises(heat, n_calibration):
    error, share, transfer, fixed = realised(heat, n_calibration)
    assert 0.01 <= error <= 0.09
    assert share > 0.3
    assert transfer >= fixed


def test_an_overconfident_posterior_taken_at_its_word_breaks_its_promise():
    test = person(np.random.default_rng(0), 4000, heat=2.0)
    assert evaluate(test, 1.0 - TARGET).error_passed > 2 * TARGET
    alone = test.posterior[:, 5], test.right[:, 5]
    assert expected_calibration_error(*alone) > 0.05


def by_loops(posterior, right, threshold, columns):
    """When each trial is decided, whether it passed, whether it is right: one after the other."""
    rows = []
    for p, r in zip(posterior, right, strict=True):
        for k in columns:
            if p[k] >= threshold:
                rows.append((k, True, r[k]))
                break
        else:
            rows.append((columns[-1], False, r[columns[-1]]))
    return rows


@pytest.mark.parametrize("columns", [range(16), range(2, 9), [4], [1, 15]])
def test_trials_stop_at_the_first_look_that_passes(columns):
    trials = person(np.random.default_rng(3), 60)
    columns, looks = list(columns), [LOOKS[k] for k in columns]
    expected = by_loops(trials.posterior, trials.right, 0.8, columns)
    at, passed = stopped(trials, 0.8, looks)
    assert list(zip(at, passed, strict=True)) == [row[:2] for row in expected]
    report = evaluate(trials, 0.8, looks)
    assert report.mean_s == pytest.approx(np.mean([LOOKS[row[0]] / SFREQ for row in expected]))
    assert report.accuracy == np.mean([row[2] for row in expected])
    wrong = [not right for _, through, right in expected if through]
    assert report.n_passed == len(wrong)
    assert report.error_passed == (pytest.approx(np.mean(wrong)) if wrong else None)


# --- when it cannot be calibrated ----------------------------------------------------------------


def test_too_few_trials_fall_back_to_the_best_fixed_length():
    trials = person(np.random.default_rng(5), 17)  # 1 in 19 is above 5 %
    rule = fit_stopping(trials, TARGET)
    assert rule.fixed_because == "17 trials cannot show an error of 5 %"
    transfer = [evaluate(trials, 0.95, (n,)).itr for n in LOOKS]
    assert rule.looks == (LOOKS[int(np.argmax(transfer))],)
    assert rule.expected == rule.best_fixed
    assert rule.expected.itr == pytest.approx(max(transfer))
    assert "at a fixed length of" in in_words(rule)
    assert "because 17 trials" in in_words(rule)


def test_noise_has_no_posterior_that_stands_for_an_error_of_5_percent():
    rng = np.random.default_rng(6)
    proba = softmax(3.0 * rng.normal(size=(200, len(LOOKS), N_CLASSES)), axis=2)
    right = proba.argmax(axis=2) == rng.integers(N_CLASSES, size=200)[:, None]
    rule = fit_stopping(Trajectories(proba.max(axis=2), right, LOOKS, SFREQ, N_CLASSES), TARGET)
    assert rule.fixed_because == "no posterior stands for an error of 5 %"


def test_what_is_always_right_is_decided_at_the_first_look():
    posterior = np.full((60, len(LOOKS)), 0.6)
    trials = Trajectories(posterior, np.ones_like(posterior, bool), LOOKS, SFREQ, N_CLASSES)
    rule = fit_stopping(trials, TARGET)
    assert rule.fixed_because is None
    assert (rule.expected.mean_s, rule.expected.accuracy) == (0.5, 1.0)


def test_stopping_early_that_credibly_transfers_less_than_a_fixed_length_is_not_used():
    # all are sure at the first look, 4 % of them wrong; a twentieth of a second later all are right
    posterior = np.full((600, 2), 0.99)
    right = np.ones(posterior.shape, bool)
    right[::25, 0] = False
    rule = fit_stopping(Trajectories(posterior, right, (100, 105), SFREQ, N_CLASSES), TARGET)
    assert rule.looks == (105,)
    assert rule.fixed_because.startswith("stopping early would transfer 10.")  # 105.8 of 116.1
    few = fit_stopping(Trajectories(posterior[:25], right[:25], (100, 105), SFREQ, N_CLASSES), 0.1)
    assert few.fixed_because is None  # one error of 25 is no credible difference


def test_a_posterior_that_says_nothing_promises_nothing():
    flat = np.full((40, 3), 1 / N_CLASSES)
    trials = Trajectories(flat, flat > 1, (50, 60, 70), SFREQ, N_CLASSES)
    assert fit_stopping(trials, TARGET).fixed_because == "no posterior stands for an error of 5 %"


# --- by cross-validation -------------------------------------------------------------------------


class Memory:
    """Knows the trials that it was fitted on, and nothing of others."""

    any_length = True

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self._known = {x[0, 0]: label for x, label in zip(X, y, strict=True)}
        return self

    def predict_proba(self, X):
        rows = [[float(self._known.get(x[0, 0]) == c) + 0.1 for c in self.classes_] for x in X]
        return np.array(rows) / np.sum(rows, axis=1, keepdims=True)


def test_no_trial_is_judged_by_a_decoder_that_saw_it():
    X = np.arange(24.0)[:, None, None] * np.ones((1, 2, 30))
    y = np.tile(["a", "b", "c"], 8)
    inside = trajectories(Memory().fit(X, y), X, y, (10, 30), SFREQ)
    assert inside.right.all()
    held_out = cross_validated(Memory(), X, y, (10, 30), SFREQ, n_folds=4)
    assert held_out.posterior == pytest.approx(1 / 3)
    assert held_out.right[:, 0].tolist() == (y == "a").tolist()  # in the order of the trials
    assert (held_out.looks, held_out.n_classes, len(held_out)) == ((10, 30), 3, 24)
