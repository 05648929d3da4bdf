"""Augmented covariance against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from bci.decoders import AugmentedCovariance
from bci.decoders.covariance.augmented import LaggedCovariances


def stacked(X, order, lag):
    """MOABB's AugmentedDataset, by its definition."""
    if order == 1:
        return X
    n = X.shape[-1]
    return np.concatenate([X[..., k * lag : n - (order - k) * lag] for k in range(order)], axis=-2)


def plain(X, order, lag):
    return np.array([np.cov(window) for window in stacked(X, order, lag)])


@pytest.mark.parametrize("lag", [1, 4, 9])
def test_all_orders_equal_numpys_covariance_of_the_stack(lag):
    X = 10 * np.random.default_rng(0).standard_normal((4, 3, 101)) + 500
    sums = LaggedCovariances(X, lag, range(1, 11))
    for order in range(1, 11):
        expected = plain(X, order, lag)
        np.testing.assert_allclose(sums.of(order), expected, rtol=0, atol=1e-12 * 300)
        found = AugmentedCovariance(order, lag).fit_transform(X)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * 300)
        assert found.shape == (4, 3 * order, 3 * order)
        np.testing.assert_array_equal(found, found.swapaxes(1, 2))


def test_orders_that_are_not_asked_for_cost_nothing_and_few_give_the_same():
    X = np.random.default_rng(1).standard_normal((3, 2, 60))
    few = LaggedCovariances(X, 5, [2, 7])
    for order in (2, 7):
        np.testing.assert_allclose(few.of(order), plain(X, order, 5), atol=1e-13)


def test_covariances_are_positive_definite():
    X = np.random.default_rng(2).standard_normal((5, 4, 200))
    assert np.linalg.eigvalsh(AugmentedCovariance(8, 2).transform(X)).min() > 0


def test_the_leading_block_is_the_covariance_of_the_window_cut_short():
    X = np.random.default_rng(3).standard_normal((5, 4, 200))
    found = AugmentedCovariance(3, 7).transform(X)[:, :4, :4]
    np.testing.assert_allclose(found, plain(X[..., : 200 - 21], 1, 1), atol=1e-13)


def test_a_burst_in_one_place_leaves_the_digits_of_the_others():
    """Only copies that contain the burst know of it."""
    X = np.random.default_rng(4).standard_normal((1, 2, 120))
    X[..., :4] *= 1e4
    found, expected = AugmentedCovariance(3, 4).transform(X)[0], plain(X, 3, 4)[0]
    np.testing.assert_allclose(found[2:, 2:], expected[2:, 2:], rtol=1e-9)


def test_it_is_an_estimator_that_learns_nothing():
    X = np.random.default_rng(5).standard_normal((6, 2, 50))
    found = clone(AugmentedCovariance(2, 3))
    assert found.get_params() == {"order": 2, "lag": 3}
    assert make_pipeline(found).fit(X).transform(X).shape == (6, 4, 4)
    assert AugmentedCovariance(2, 3).transform(X[:0]).shape == (0, 4, 4)


@pytest.mark.parametrize(
    ("order", "lag", "message"),
    [
        (0, 1, "order must be a whole number of at least 1, found 0"),
        (2, 1.5, "lag must be a whole number of at least 1, found 1.5"),
        (True, 1, "order must be a whole number"),
        (5, 10, "use up 50 samples, the windows have 50; take longer windows"),
    ],
)
def test_orders_and_lags_that_cannot_be(order, lag, message):
    X = np.zeros((2, 2, 50))
    with pytest.raises(ValueError, match=message):
        AugmentedCovariance(order, lag).fit(X)
    with pytest.raises(ValueError, match=message):
        AugmentedCovariance(order, lag).transform(X)
    with pytest.raises(ValueError, match="a single window is"):
        AugmentedCovariance().fit(X[0])
    with pytest.raises(ValueError, match="NaN or infinite values in window 1"):
        AugmentedCovariance().transform(np.stack([X[0], X[1] * np.nan]))
