"""Tangent space with SVM and elastic net against pyRiemann's and scikit-learn's grid search."""

from __future__ import annotations

import numpy as np
import pytest
from imagery_windows import average_referenced, rhythms
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from bci.decoders import MomentsDecoder, TangentSpaceEN, TangentSpaceSVM
from bci.decoders.covariance.tangent_space_grid import (
    TangentSpaceENSettings,
    TangentSpaceSVMSettings,
)
from bci.types import Moments, StreamInfo

ESTIMATORS = [TangentSpaceSVM(), TangentSpaceEN(random_state=0)]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.kind)


def searched(classifier, grid, X, y):
    """The field's own way: everything fitted anew in each fold, then the best on all."""
    chain = make_pipeline(Covariances("oas"), TangentSpace("riemann"), classifier)
    scoring = "roc_auc" if len(np.unique(y)) == 2 else "accuracy"
    return GridSearchCV(chain, grid, cv=StratifiedKFold(3), scoring=scoring).fit(X, y)


@pytest.mark.parametrize("kernels", [("linear", "rbf"), ("rbf",)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_svm_equals_pyriemann_and_grid_search(n_classes, kernels):
    (X, y), (new, _) = (rhythms(s, n_classes=n_classes, strength=0.4) for s in (0, 1))
    grid = {"svc__C": [0.5, 1.0, 1.5], "svc__kernel": kernels}
    reference = searched(SVC(break_ties=True), grid, X, y)
    found = TangentSpaceSVM(kernels=kernels).fit(X, y)
    assert {f"svc__{name}": value for name, value in found.chosen_.items()} == (
        reference.best_params_
    )
    scores = reference.decision_function(new)
    expected = found.inverse_temperature_ * scores
    np.testing.assert_allclose(found.decision_function(new), expected, atol=2e-3)
    np.testing.assert_array_equal(found.predict(new), reference.predict(new))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_elastic_net_equals_pyriemann_and_grid_search(n_classes):
    (X, y), (new, _) = (rhythms(s, n_classes=n_classes, strength=0.4) for s in (2, 3))
    ratios = [0.2, 0.3, 0.45, 0.65, 0.75]
    net = LogisticRegression(solver="saga", max_iter=1000, random_state=0)
    grid = {"logisticregression__l1_ratio": ratios}
    reference = searched(net, grid, X, y)
    found = TangentSpaceEN(random_state=0).fit(X, y)
    assert found.chosen_["l1_ratio"] == reference.best_params_["logisticregression__l1_ratio"]
    expected = found.inverse_temperature_ * reference.decision_function(new)
    np.testing.assert_allclose(found.decision_function(new), expected, atol=1e-4)


def test_the_elastic_net_leaves_features_out():
    """Seen where the mean is the identity: its axes are then those of the channels."""
    rng = np.random.default_rng(4)
    y = np.arange(80) % 2
    X = rng.standard_normal((80, 4, 2000))
    X[y == 1, 0] *= 1.3
    found = TangentSpaceEN((1.0,), random_state=0).fit(X, np.array(["left", "right"])[y])
    weights = np.abs(found.learned_["weights"][0])
    assert weights[0, 0] == weights.max()
    assert np.sum(weights > 1e-2 * weights.max()) < 6


@every_estimator
def test_decodes_windows_of_full_and_of_lower_rank_and_sums(estimator):
    (X, y), (new, truth) = rhythms(5, n_classes=3), rhythms(6, n_windows=120, n_classes=3)
    fitted = clone(estimator).fit(X, y)
    assert fitted.score(new, truth) > 0.85
    assert isinstance(fitted, MomentsDecoder)
    sums = [Moments(w @ w.T, w.sum(axis=1), w.shape[1]) for w in new + 3.0]
    found = np.array([fitted.predict_proba_moments(moments) for moments in sums])
    np.testing.assert_allclose(found, fitted.predict_proba(new), rtol=0, atol=1e-9)
    lost = clone(estimator).fit(average_referenced(X), y)
    assert lost.basis_.shape == (6, 5)
    assert lost.score(average_referenced(new), truth) > 0.8


@every_estimator
def test_choice_and_calibration_see_training_windows_alone(estimator):
    """On noise the chosen settings did well on windows left out by luck: new ones show it."""
    sure = []
    for seed in range(6):
        X, y = rhythms(10 + seed, strength=0.0)
        fitted = clone(estimator).fit(X, y)
        sure.append(fitted.predict_proba(rhythms(30 + seed, strength=0.0)[0]).max(axis=1).mean())
    assert np.mean(sure) < 0.62


def test_wrong_input_is_refused():
    X, y = rhythms(7)
    with pytest.raises(ValueError, match=r"kernels can be linear and rbf, found \['poly'\]"):
        TangentSpaceSVM(kernels=["poly"]).fit(X, y)
    with pytest.raises(ValueError, match=r"Cs must be positive numbers, found \[0\]"):
        TangentSpaceSVM(Cs=[0]).fit(X, y)
    with pytest.raises(ValueError, match=r"l1_ratios must be from 0 to 1, found \[1.5\]"):
        TangentSpaceEN([1.5]).fit(X, y)
    with pytest.raises(ValueError, match="two windows of each class .* found one of 'left'"):
        TangentSpaceSVM().fit(X[:4], ["feet", "feet", "feet", "left"])
    with pytest.raises(ValueError, match="singular: a channel is flat"):
        TangentSpaceSVM().fit(X, y).predict(np.zeros_like(X[:1]))


def test_settings_carry_what_the_stream_knows():
    info = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg",) * 3, rank=2)
    svm = TangentSpaceSVMSettings(Cs=[2.0], shrinkage=None).build(info)
    assert (svm.Cs, svm.kernels, svm.rank, svm.shrinkage) == ([2.0], ["linear", "rbf"], 2, None)
    net = TangentSpaceENSettings(l1_ratios=[0.5], C=0.1, seed=3).build(info)
    assert (net.l1_ratios, net.C, net.rank, net.random_state) == ([0.5], 0.1, 2, 3)
