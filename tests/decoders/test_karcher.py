"""Means of many subsets, and classifiers on Gram matrices, against pyRiemann and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from pyriemann.geometry.mean import mean_riemann
from pyriemann.tangentspace import TangentSpace
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from bci.decoders.covariance.karcher import LOOSE, _start, logarithms, tangents, whitener_of_mean
from bci.decoders.covariance.kernel_machine import class_scores, fit_logistic, fit_svm


def matrices(seed, n=60, size=12, n_times=40, spread=0.5):
    """Sample covariances of sources whose strength varies from one to the next."""
    rng = np.random.default_rng(seed)
    gain = np.exp(spread * rng.standard_normal((n, size, 1)))
    x = gain * rng.standard_normal((n, size, n_times))
    mixing = rng.standard_normal((size, size)) + 2 * np.eye(size)
    x = mixing @ x
    return x @ x.swapaxes(1, 2) / n_times


def subsets(n=60, k=3):
    return [np.flatnonzero(np.arange(n) % k != f) for f in range(k)]


def gram(logs):
    features = logs.reshape(len(logs), -1)
    return features @ features.T


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.5])
def test_means_and_logarithms_are_those_of_the_plain_iteration(spread):
    spd = matrices(0, spread=spread)
    for subset, found in zip(subsets(), tangents(spd, subsets()), strict=True):
        mean = mean_riemann(spd[subset])
        np.testing.assert_allclose(found.whitener @ mean @ found.whitener.T, np.eye(12), atol=1e-7)
        exact = logarithms(spd, found.whitener)
        np.testing.assert_allclose(found.logs, exact, atol=1e-6)
        assert np.linalg.norm(exact[subset].mean(axis=0)) < 1e-7
        reference = TangentSpace("riemann").fit(spd[subset]).transform(spd)
        np.testing.assert_allclose(gram(found.logs), reference @ reference.T, atol=1e-5)


def test_the_search_starts_nearer_than_the_arithmetic_mean():
    spd = matrices(11)
    arithmetic = np.linalg.inv(np.linalg.cholesky(spd.mean(axis=0)))
    near, far = (
        np.linalg.norm(logarithms(spd, whitener).mean(axis=0))
        for whitener in (_start(spd), arithmetic)
    )
    assert near < far / 3


def test_the_loose_tolerance_is_near():
    spd = matrices(1)
    for strict, loose in zip(
        tangents(spd, subsets()), tangents(spd, subsets(), LOOSE), strict=True
    ):
        error = np.linalg.norm(gram(loose.logs) - gram(strict.logs))
        assert error < 0.02 * np.linalg.norm(gram(strict.logs))


def test_the_mean_of_one_matrix_is_itself_and_that_of_commuting_ones_geometric():
    spd = matrices(2, n=1)
    whitener = whitener_of_mean(spd)
    np.testing.assert_allclose(whitener @ spd[0] @ whitener.T, np.eye(12), atol=1e-10)
    values = np.exp(np.random.default_rng(3).standard_normal((20, 5)))
    whitener = whitener_of_mean(np.eye(5) * values[:, None])
    mean = np.exp(np.log(values).mean(axis=0))
    np.testing.assert_allclose(whitener @ np.diag(mean) @ whitener.T, np.eye(5), atol=1e-7)


def test_the_mean_moves_with_a_change_of_basis():
    spd = matrices(4)
    basis = np.random.default_rng(5).standard_normal((12, 12))
    a, b = whitener_of_mean(spd), whitener_of_mean(basis @ spd @ basis.T)
    np.testing.assert_allclose(
        gram(logarithms(spd, a)), gram(logarithms(basis @ spd @ basis.T, b)), atol=1e-5
    )


def test_ill_conditioned_matrices_do_not_hinder():
    spd = matrices(6)
    scale = np.diag(np.logspace(0, 5, 12))
    scaled = scale @ spd @ scale
    found, plain = (gram(logarithms(s, whitener_of_mean(s))) for s in (scaled, spd))
    np.testing.assert_allclose(found, plain, atol=1e-5)


def test_singular_matrices_are_refused():
    spd = matrices(7)
    flat = spd.copy()
    flat[3, 5] = flat[3, :, 5] = 0.0
    for bad in (flat, matrices(8, n_times=6)):
        with pytest.raises(ValueError, match="singular: a channel is flat"):
            next(tangents(bad, subsets()))
    with pytest.raises(ValueError, match="singular"):
        logarithms(flat, whitener_of_mean(spd))


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_svm_on_a_gram_matrix_is_scikit_learns(n_classes, kernel):
    rng = np.random.default_rng(9)
    y = np.arange(60) % n_classes
    X = rng.standard_normal((90, 200))
    X[np.arange(60), y] += 3
    X -= X[:60].mean(axis=0)
    svc = SVC(C=0.5, kernel=kernel, break_ties=True).fit(X[:60], y)
    inner = X[:60] @ X[:60].T
    machine = fit_svm(inner, y, 0.5, kernel)
    norms = np.sum(X**2, axis=1)
    outputs = machine.outputs(X[60:] @ X[:60].T, norms[60:], norms[:60])
    scores = class_scores(outputs, n_classes, pairwise=True)
    expected = svc.decision_function(X[60:])
    if n_classes == 2:
        scores, expected = scores[:, 1] - scores[:, 0], expected
    np.testing.assert_allclose(scores, expected, atol=2e-3)  # libsvm stops at 1e-3
    if n_classes > 2:
        np.testing.assert_array_equal(scores.argmax(axis=1), svc.predict(X[60:]))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression_on_a_gram_matrix_is_scikit_learns(n_classes):
    rng = np.random.default_rng(10)
    y = np.arange(60) % n_classes
    X = rng.standard_normal((90, 200))
    regression = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(X[:60], y)
    machine = fit_logistic(X[:60] @ X[:60].T, y, 0.1)
    outputs = machine.outputs(X[60:] @ X[:60].T, *(np.zeros(n) for n in (30, 60)))
    expected = regression.decision_function(X[60:]).reshape(30, -1)
    np.testing.assert_allclose(outputs, expected, atol=5e-3)
