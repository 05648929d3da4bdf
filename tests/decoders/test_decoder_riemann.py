"""Tangent space and MDM against pyRiemann, with lost rank, and from block sums."""

from __future__ import annotations

import numpy as np
import pytest
from pyriemann import classification
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from sklearn.covariance import oas as sklearn_oas
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from bci.decoders import MomentsDecoder
from bci.decoders.covariance.estimation import (
    covariance_of,
    oas,
    sample_covariances,
    signal_subspace,
)
from bci.decoders.covariance.riemann import MDM, MDMSettings, TangentSpaceLR, TangentSpaceSettings
from bci.types import Moments, StreamInfo

ESTIMATORS = [TangentSpaceLR(), MDM(), TangentSpaceLR(shrinkage=None), MDM(shrinkage=None)]


def windows(seed, n_windows=60, n_channels=8, n_times=200, n_classes=3, strength=0.6):
    """Mixed sources; in class k the sources k, k + K, … are stronger."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_windows) % n_classes
    gain = 1 + strength * (np.arange(n_channels) % n_classes == y[:, None])
    sources = gain[..., None] * rng.standard_normal((n_windows, n_channels, n_times))
    fixed = np.random.default_rng(n_channels)
    mixing = fixed.standard_normal((n_channels, n_channels)) + 2 * np.eye(n_channels)
    return 10 * mixing @ sources, np.array(["left", "right", "feet"])[y]


def moments_of(window):
    return Moments(window @ window.T, window.sum(axis=1), window.shape[1])


# --- covariance -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_channels", "n_times"), [(3, 1000), (8, 50), (64, 200), (16, 10)])
def test_shrinkage_equals_scikit_learns(n_channels, n_times):
    rng = np.random.default_rng(n_channels)
    X = rng.standard_normal((4, n_channels, n_channels)) @ rng.standard_normal(
        (4, n_channels, n_times)
    )
    X += 5.0
    found = oas(sample_covariances(X), n_times)
    for window, covariance in zip(X, found, strict=True):
        np.testing.assert_allclose(covariance, sklearn_oas(window.T)[0], rtol=1e-10, atol=1e-10)


def test_shrinkage_of_a_multiple_of_the_identity_changes_nothing():
    np.testing.assert_allclose(oas(3.0 * np.eye(4), 100), 3.0 * np.eye(4))
    np.testing.assert_array_equal(oas(np.zeros((2, 4, 4)), 100), 0.0)


def test_covariance_from_sums_equals_that_from_samples():
    X, _ = windows(0)
    for window in X[:5]:
        np.testing.assert_allclose(
            covariance_of(moments_of(window)), np.cov(window, bias=True), rtol=1e-10, atol=1e-10
        )


def test_subspace_is_none_at_full_rank_and_orthonormal_below():
    covariance = np.cov(np.random.default_rng(1).standard_normal((5, 100)))
    assert signal_subspace(covariance) is None
    basis = signal_subspace(covariance, rank=3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-12)
    centring = np.eye(5) - 0.2
    referenced = signal_subspace(centring @ covariance @ centring)
    assert referenced.shape == (5, 4)
    np.testing.assert_allclose(referenced.sum(axis=0), 0.0, atol=1e-9)


# --- golden values --------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_channels", "n_classes"), [(4, 2), (8, 3), (22, 3)])
def test_tangent_space_equals_pyriemann_and_scikit_learn(n_channels, n_classes):
    X, y = windows(2, n_channels=n_channels, n_classes=n_classes)
    new, _ = windows(3, n_channels=n_channels, n_classes=n_classes)
    reference = make_pipeline(
        Covariances("oas"), TangentSpace("riemann"), LogisticRegression(C=0.5, max_iter=1000)
    ).fit(X, y)
    found = TangentSpaceLR(C=0.5).fit(X, y)
    assert found.classes_.tolist() == reference.classes_.tolist()
    np.testing.assert_allclose(found.predict_proba(new), reference.predict_proba(new), atol=1e-8)
    np.testing.assert_array_equal(found.predict(new), reference.predict(new))
    if n_classes == 2:
        np.testing.assert_allclose(
            found.decision_function(new), reference.decision_function(new), atol=1e-8
        )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_mdm_equals_pyriemann(n_classes):
    X, y = windows(4, n_classes=n_classes)
    new, _ = windows(5, n_classes=n_classes)
    reference = make_pipeline(Covariances("oas"), classification.MDM("riemann")).fit(X, y)
    found = MDM().fit(X, y)
    np.testing.assert_allclose(found.predict_proba(new), reference.predict_proba(new), atol=1e-8)


# --- lost rank ------------------------------------------------------------------------------------


def average_referenced(X):
    return X - X.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("estimator", [TangentSpaceLR, MDM])
def test_average_reference_equals_leaving_one_channel_out_without_shrinkage(estimator):
    """The affine-invariant metric knows no basis: any full-rank one of the subspace will do."""
    (X, y), (new, _) = windows(6), windows(7)
    X, new = average_referenced(X), average_referenced(new)
    whole = estimator(shrinkage=None).fit(X, y)
    dropped = estimator(shrinkage=None).fit(X[:, :-1], y)
    if estimator is MDM:  # logistic regression's solver stops at its own tolerance
        np.testing.assert_allclose(
            whole.predict_proba(new), dropped.predict_proba(new[:, :-1]), atol=1e-8
        )
    np.testing.assert_allclose(
        whole.predict_proba(new), dropped.predict_proba(new[:, :-1]), atol=2e-3
    )
    assert whole.basis_.shape == (8, 7)


@pytest.mark.parametrize("estimator", [TangentSpaceLR, MDM])
def test_average_reference_with_shrinkage_still_decodes(estimator):
    (X, y), (new, truth) = windows(8), windows(88, n_windows=120)
    found = estimator().fit(average_referenced(X), y)
    assert found.score(average_referenced(new), truth) > 0.9


def test_a_given_rank_is_kept():
    X, y = windows(9)
    assert TangentSpaceLR(rank=5).fit(X, y).basis_.shape == (8, 5)
    assert TangentSpaceLR(rank=8).fit(X, y).basis_ is None
    assert TangentSpaceLR(rank=8).fit(average_referenced(X), y).basis_.shape == (8, 7)
    with pytest.raises(ValueError, match="rank is 9, the windows have 8 channels"):
        MDM(rank=9).fit(X, y)


def test_a_window_of_less_rank_than_the_training_is_decoded_with_shrinkage_and_refused_without():
    X, y = windows(10)
    lost = X[:1].copy()
    lost[:, 3] = lost[:, 1]
    assert np.isfinite(TangentSpaceLR().fit(X, y).predict_proba(lost)).all()
    with pytest.raises(ValueError, match="singular: a channel is flat"):
        TangentSpaceLR(shrinkage=None).fit(X, y).predict_proba(lost)
    with pytest.raises(ValueError, match="singular"):
        MDM().fit(X, y).predict_proba(np.zeros((1, 8, 200)))


# --- from block sums ------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("reference", [False, True])
def test_sums_give_the_same_probabilities(estimator, reference):
    (X, y), (new, _) = windows(11), windows(12)
    X, new = X + 3.0, new + 3.0  # an offset that the mean must remove
    if reference:
        X, new = average_referenced(X), average_referenced(new)
    estimator.fit(X, y)
    assert isinstance(estimator, MomentsDecoder)
    found = np.array([estimator.predict_proba_moments(moments_of(window)) for window in new])
    np.testing.assert_allclose(found, estimator.predict_proba(new), rtol=0, atol=1e-9)


def test_sums_of_other_channels_are_refused():
    X, y = windows(13)
    with pytest.raises(ValueError, match="sums of 4 channels, the decoder expects 8"):
        MDM().fit(X, y).predict_proba_moments(moments_of(X[0, :4]))


# --- wrong input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [TangentSpaceLR(), MDM()], ids=str)
def test_wrong_input_is_refused(estimator):
    X, y = windows(14)
    with pytest.raises(NotFittedError):
        type(estimator)().predict_proba(X)
    with pytest.raises(ValueError, match="at least two classes, found \\['left'\\]"):
        estimator.fit(X[:3], ["left"] * 3)
    with pytest.raises(ValueError, match="one label for each of 60"):
        estimator.fit(X, y[:-1])
    with pytest.raises(ValueError, match="all channels of X are flat"):
        estimator.fit(np.zeros_like(X), y)
    with pytest.raises(ValueError, match="shrinkage must be 'oas' or None, found 'lwf'"):
        type(estimator)(shrinkage="lwf").fit(X, y)
    with pytest.raises(ValueError, match="singular"):
        type(estimator)(shrinkage=None).fit(X[..., :6], y)
    bad = X.copy()
    bad[7, 2, 5] = np.inf
    with pytest.raises(ValueError, match="in window 7 \\(1 such"):
        estimator.fit(bad, y)
    estimator.fit(X, y)
    with pytest.raises(ValueError, match="X has 5 channels, the decoder expects 8"):
        estimator.predict(X[:, :5])
    with pytest.raises(ValueError, match="NaN or infinite"):
        estimator.predict(bad)


def test_settings_carry_the_rank_of_the_stream():
    info = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg",) * 3, rank=2)
    tangent = TangentSpaceSettings(C=0.1, shrinkage=None).build(info)
    assert (tangent.C, tangent.shrinkage, tangent.rank) == (0.1, None, 2)
    assert MDMSettings().build(info).rank == 2
    assert not hasattr(tangent, "classes_")
