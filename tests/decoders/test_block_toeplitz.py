"""Block-Toeplitz covariances: coordinates and back, distances, means, the guard, classifiers."""

from __future__ import annotations

import numpy as np
import pytest
from pyriemann.geometry.distance import distance_riemann
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from bci.decoders import MDM, BlockToeplitzMDM, BlockToeplitzTangentSpace
from bci.decoders.covariance.augmented import augmented_covariances
from bci.decoders.covariance.block_toeplitz import (
    GUARD,
    average_blocks,
    block_toeplitz,
    blocks_of,
    coordinates,
    distances_squared,
    from_origin,
    guarded,
    mean_of,
    siegel_exponential,
    siegel_logarithms,
    siegel_mean,
    tangent_vectors,
    to_origin,
)


def windows(seed, n=40, n_channels=3, n_times=200):
    """Mixed noise; in the second class one source is smoother."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    sources = rng.standard_normal((n, n_channels, n_times + 1))
    smooth = np.where(y, 0.8, 0.1)[:, None] * (np.arange(n_channels) == 0)
    sources = sources[..., 1:] + smooth[..., None] * sources[..., :-1]
    mixing = np.random.default_rng(99).standard_normal((n_channels, n_channels))
    return (mixing + 2 * np.eye(n_channels)) @ sources, y


def augmented(seed, order, lag=2):
    return augmented_covariances(windows(seed)[0], order, lag)


def test_blocks_are_averages_along_block_diagonals():
    covariances = augmented(0, 3)
    found = average_blocks(covariances, 3)
    for delay in range(3):
        parts = [
            covariances[:, 3 * i : 3 * i + 3, 3 * (i + delay) : 3 * (i + delay) + 3]
            for i in range(3 - delay)
        ]
        np.testing.assert_allclose(found[:, delay], sum(parts) / len(parts), atol=1e-12)
    whole = block_toeplitz(found)
    np.testing.assert_array_equal(whole, whole.swapaxes(1, 2))
    np.testing.assert_array_equal(average_blocks(whole, 3), found)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_coordinates_lie_in_the_disk_and_lead_back(order):
    covariances = augmented(1, order)
    found = coordinates(covariances, order)
    assert found.partial.shape == (40, order - 1, 3, 3)
    if order > 1:
        assert np.linalg.norm(found.partial, 2, axis=(2, 3)).max() < 1
    np.testing.assert_allclose(
        blocks_of(found), average_blocks(covariances, order), rtol=0, atol=1e-9
    )


def test_coordinates_are_partial_correlations():
    """Of the first and the last copy given those between, from the inverse of the whole."""
    blocks = average_blocks(augmented(2, 4), 4)
    inverse = np.linalg.inv(block_toeplitz(blocks))
    ends = np.r_[0:3, 9:12]
    given = np.linalg.inv(inverse[:, ends][:, :, ends])  # covariance of both ends, conditional
    first, last, between = given[:, :3, :3], given[:, 3:, 3:], given[:, :3, 3:]
    found = coordinates(augmented(2, 4), 4).partial[:, 2]
    for k in range(len(found)):
        roots = [np.linalg.inv(_root(m[k])) for m in (first, last)]
        np.testing.assert_allclose(found[k], roots[0] @ between[k] @ roots[1], atol=1e-10)


def _root(spd):
    values, vectors = np.linalg.eigh(spd)
    return (vectors * np.sqrt(values)) @ vectors.T


# --- the disk -------------------------------------------------------------------------------------


def points(seed, n=6):
    found = np.random.default_rng(seed).standard_normal((n, 3, 3))
    norms = np.linalg.norm(found, 2, axis=(1, 2))
    return found / norms[:, None, None] * np.linspace(0.05, 0.9, n)[:, None, None]


def squared(a, b):
    """The published formula: eigenvalues of C, arctanh of their roots."""
    eye = np.eye(3)
    c = (b - a) @ np.linalg.inv(eye - a.T @ b) @ (b.T - a.T) @ np.linalg.inv(eye - a @ b.T)
    return np.sum(np.arctanh(np.sqrt(np.maximum(np.linalg.eigvals(c).real, 0))) ** 2)


def test_distances_are_those_of_the_formula_and_a_metric():
    p = points(0)
    for a in p:
        logs = siegel_logarithms(p, a)
        found = np.sum(logs**2, axis=(1, 2))
        np.testing.assert_allclose(found, [squared(a, b) for b in p], atol=1e-9)
        np.testing.assert_allclose(siegel_logarithms(a, a), 0.0, atol=1e-12)
        np.testing.assert_allclose(siegel_exponential(logs, a), p, atol=1e-9)
        np.testing.assert_allclose(from_origin(to_origin(p, a), a), p, atol=1e-9)
    d = np.sqrt([[squared(a, b) for b in p] for a in p])
    np.testing.assert_allclose(d, d.T, atol=1e-9)
    assert (d[:, :, None] + d[None] >= d[:, None] - 1e-9).all()


def test_the_mean_is_where_the_logarithms_cancel():
    p = points(1)
    np.testing.assert_allclose(siegel_logarithms(p, siegel_mean(p)).mean(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(siegel_mean(np.stack([p[2], -p[2]])), 0.0, atol=1e-9)
    np.testing.assert_allclose(siegel_mean(p[3:4]), p[3], atol=1e-9)


# --- both factors ---------------------------------------------------------------------------------


def test_the_distance_squares_both_factors():
    found = coordinates(augmented(3, 3), 3)
    a, b = found[np.array([0])], found[np.array([1])]
    expected = 3 * distance_riemann(a.power[0], b.power[0]) ** 2
    expected += 2 * squared(a.partial[0, 0], b.partial[0, 0])
    expected += 1 * squared(a.partial[0, 1], b.partial[0, 1])
    assert distances_squared(a, b)[0] == pytest.approx(expected, rel=1e-9)
    assert distances_squared(b, a)[0] == pytest.approx(expected, rel=1e-9)
    assert distances_squared(a, a)[0] == pytest.approx(0.0, abs=1e-15)


def test_tangent_vectors_at_the_mean_cancel():
    found = coordinates(augmented(4, 3), 3)
    vectors = tangent_vectors(found, mean_of(found))
    assert vectors.shape == (40, 27)
    np.testing.assert_allclose(vectors.mean(axis=0), 0.0, atol=1e-7)


def test_with_order_one_it_is_plain_mdm():
    (X, y), (new, _) = windows(5), windows(6)
    found = BlockToeplitzMDM(1, random_state=0).fit(X, y)
    expected = MDM(shrinkage=None).fit(X, y).decision_function(new)
    np.testing.assert_allclose(found.decision_function(new), expected, rtol=0.01, atol=0.01)
    np.testing.assert_array_equal(found.predict(new), expected > 0)


def test_averages_that_are_no_covariance_are_shrunk_into_the_disk():
    blocks = np.stack([np.eye(2), 0.9 * np.eye(2), -0.9 * np.eye(2)])[None]
    assert np.linalg.eigvalsh(block_toeplitz(blocks)).min() < 0
    mended = guarded(blocks)
    assert np.linalg.eigvalsh(block_toeplitz(mended)).min() == pytest.approx(GUARD, rel=1e-3)
    np.testing.assert_array_equal(mended[:, 0], blocks[:, 0])
    found = coordinates(block_toeplitz(blocks), 3)
    assert np.linalg.norm(found.partial, 2, axis=(2, 3)).max() < 1
    assert np.isfinite(distances_squared(found, found)).all()
    good = average_blocks(augmented(7, 3), 3)
    np.testing.assert_array_equal(guarded(good), good)


@pytest.mark.parametrize("order", [1, 3])
def test_classifiers_find_what_differs_in_time(order):
    (X, y), (new, truth) = windows(8, 80), windows(9, 200)
    mdm = BlockToeplitzMDM(order, random_state=0).fit(X, y)
    svm = make_pipeline(BlockToeplitzTangentSpace(order), SVC(kernel="linear")).fit(X, y)
    for found in (mdm, svm):
        if order == 3:
            assert found.score(new, truth) > 0.9
    assert BlockToeplitzTangentSpace(order).fit(X).transform(new).shape == (200, 9 * order)


def test_average_reference_and_wrong_input():
    X, y = windows(10)
    referenced = X - X.mean(axis=1, keepdims=True)
    found = BlockToeplitzMDM(2, random_state=0).fit(referenced, y)
    assert found.basis_.shape == (3, 2)
    assert np.isfinite(found.predict_proba(referenced)).all()
    with pytest.raises(ValueError, match="use up 200 samples"):
        BlockToeplitzMDM(20, 10).fit(X, y)
    with pytest.raises(ValueError, match="at least two classes"):
        BlockToeplitzMDM().fit(X, np.zeros(40))
    with pytest.raises(ValueError, match="X has 2 channels, the decoder expects 3"):
        found.predict(X[:, :2])
    with pytest.raises(ValueError, match="rank is 7, the windows have 3 channels"):
        BlockToeplitzMDM(rank=7).fit(X, y)
    lost = X.copy()
    lost[0, 2] = lost[0, 1]
    with pytest.raises(ValueError, match="singular: a channel is flat"):
        BlockToeplitzTangentSpace(2).fit(lost)
