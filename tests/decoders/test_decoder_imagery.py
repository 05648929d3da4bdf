"""CSP, FBCSP, FgMDM and the filter-bank tangent space against independent forms of them."""

from __future__ import annotations

import numpy as np
import pytest
from imagery_windows import SFREQ, average_referenced, rhythms
from pyriemann import classification
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from scipy import linalg, signal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.covariance import oas as sklearn_oas
from sklearn.linear_model import LogisticRegression

from bci.decoders import CSPLDA, FBCSP, FgMDM, FilterBankTangentSpace, MomentsDecoder
from bci.decoders.covariance.csp import CSPSettings, FBCSPSettings, common_spatial_patterns
from bci.decoders.covariance.fgmdm import FgMDMSettings
from bci.decoders.covariance.filter_bank_tangent_space import FilterBankTangentSpaceSettings
from bci.types import Moments, StreamInfo

BANDS = ((8.0, 12.0), (16.0, 24.0))
ESTIMATORS = [CSPLDA(), FBCSP(SFREQ, BANDS), FgMDM(), FilterBankTangentSpace(SFREQ, BANDS)]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.kind)


# --- golden values --------------------------------------------------------------------------------


def test_spatial_patterns_are_both_ends_of_the_generalised_eigenvectors():
    X, y = rhythms(0)
    covariances = Covariances("scm").transform(X)
    found = common_spatial_patterns(covariances, (y == "left").astype(np.intp), 2)
    share = covariances / np.trace(covariances, axis1=1, axis2=2)[:, None, None]
    feet, left = share[y == "feet"].mean(axis=0), share[y == "left"].mean(axis=0)
    _, vectors = linalg.eigh(feet, (feet + left) / 2)
    expected = vectors[:, [-1, -2, 0, 1]].T
    signs = np.sign(np.sum(found * expected, axis=1))
    np.testing.assert_allclose(found, signs[:, None] * expected, atol=1e-8)


@pytest.mark.parametrize(("n_channels", "n_classes", "n"), [(3, 2, 3), (2, 3, 3), (9, 3, 6)])
def test_no_filter_stands_twice_where_channels_are_few(n_channels, n_classes, n):
    rng = np.random.default_rng(1)
    covariances = np.cov(rng.standard_normal((n_channels, 300)))[None] * np.ones((30, 1, 1))
    covariances += 0.1 * np.eye(n_channels) * rng.random((30, n_channels, 1))
    found = common_spatial_patterns(covariances, np.arange(30) % n_classes, 2)
    assert found.shape == (n, n_channels)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_fgmdm_equals_pyriemann(n_classes):
    (X, y), (new, _) = rhythms(2, n_classes=n_classes), rhythms(3, n_classes=n_classes)
    oas = Covariances("oas")
    reference = classification.FgMDM("riemann").fit(oas.transform(X), y)
    found = FgMDM().fit(X, y)
    distances = reference.transform(oas.transform(new))
    expected = softmax(-found.inverse_temperature_ * distances**2, axis=1)
    np.testing.assert_allclose(found.predict_proba(new), expected, atol=1e-8)
    np.testing.assert_array_equal(found.predict(new), reference.predict(oas.transform(new)))


def test_filter_bank_equals_pyriemanns_tangent_space_in_each_band():
    (X, y), (new, _) = rhythms(4), rhythms(5)

    def banded(windows, band):
        sos = signal.butter(4, band, "bandpass", fs=SFREQ, output="sos")
        filtered = signal.sosfiltfilt(sos, windows, padlen=27)
        return np.array([sklearn_oas(window.T)[0] for window in filtered])

    spaces = [TangentSpace("riemann").fit(banded(X, band)) for band in BANDS]

    def features(windows):
        parts = [s.transform(banded(windows, b)) for s, b in zip(spaces, BANDS, strict=True)]
        return np.concatenate(parts, axis=1)

    regression = LogisticRegression(C=0.5, class_weight="balanced", max_iter=1000)
    regression.fit(features(X), y)
    found = FilterBankTangentSpace(SFREQ, BANDS, C=0.5).fit(X, y)
    expected = found.inverse_temperature_ * regression.decision_function(features(new))
    np.testing.assert_allclose(found.decision_function(new), expected, rtol=1e-6, atol=1e-8)


def test_the_band_that_carries_the_rhythm_is_selected():
    X, y = rhythms(6)
    bands = ((16.0, 20.0), (8.0, 12.0), (24.0, 28.0))
    assert FBCSP(SFREQ, bands, n_features=2).fit(X, y).learned_["band"].tolist() == [1.0, 1.0]


# --- what all of them owe -------------------------------------------------------------------------


@every_estimator
@pytest.mark.parametrize("n_classes", [2, 3])
def test_decodes_windows_of_full_and_of_lower_rank(estimator, n_classes):
    X, y = rhythms(7, n_classes=n_classes)
    new, truth = rhythms(8, n_windows=120, n_classes=n_classes)
    assert clone(estimator).fit(X, y).score(new, truth) > 0.85
    lost = clone(estimator).fit(average_referenced(X), y)
    assert lost.basis_.shape == (6, 5)
    assert lost.score(average_referenced(new), truth) > 0.8
    unshrunk = clone(estimator).set_params(shrinkage=None).fit(average_referenced(X), y)
    assert unshrunk.score(average_referenced(new), truth) > 0.8


@every_estimator
def test_probabilities_say_how_often_they_are_right(estimator):
    """Few weak windows, where weights as they are fitted would be far too sure."""
    sure, right = [], []
    for seed in range(6):
        X, y = rhythms(100 + seed, strength=0.25)
        new, truth = rhythms(200 + seed, n_windows=200, strength=0.25)
        fitted = clone(estimator).fit(X, y)
        proba = fitted.predict_proba(new)
        sure += proba.max(axis=1).tolist()
        right += (fitted.classes_[proba.argmax(axis=1)] == truth).tolist()
    assert abs(np.mean(sure) - np.mean(right)) < 0.08


@every_estimator
def test_each_window_is_decided_by_itself(estimator):
    (X, y), (new, _) = rhythms(9), rhythms(10)
    fitted = clone(estimator).fit(X, y)
    alone = np.concatenate([fitted.predict_proba(window[None]) for window in new])
    np.testing.assert_allclose(alone, fitted.predict_proba(new), atol=1e-9)


@pytest.mark.parametrize("estimator", [CSPLDA(), FgMDM()], ids=lambda e: e.kind)
def test_sums_give_the_same_probabilities(estimator):
    (X, y), (new, _) = rhythms(11), rhythms(12)
    fitted = clone(estimator).fit(X, y)
    assert isinstance(fitted, MomentsDecoder)
    sums = [Moments(w @ w.T, w.sum(axis=1), w.shape[1]) for w in new + 3.0]
    found = np.array([fitted.predict_proba_moments(moments) for moments in sums])
    np.testing.assert_allclose(found, fitted.predict_proba(new), rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="sums of 5 channels, the decoder expects 6"):
        fitted.predict_proba_moments(Moments(np.eye(5), np.zeros(5), 100))


def test_filter_banks_want_samples():
    assert not isinstance(FBCSP(SFREQ), MomentsDecoder)
    assert not isinstance(FilterBankTangentSpace(SFREQ), MomentsDecoder)


# --- wrong input ----------------------------------------------------------------------------------


@every_estimator
def test_wrong_input_is_refused(estimator):
    X, y = rhythms(13)
    estimator = clone(estimator)
    with pytest.raises(ValueError, match="two windows of each class .* found one of 'left'"):
        estimator.fit(X[:4], ["feet", "feet", "feet", "left"])
    with pytest.raises(ValueError, match="all channels of X are flat"):
        estimator.fit(np.zeros_like(X), y)
    with pytest.raises(ValueError, match="rank is 7, the windows have 6 channels"):
        clone(estimator).set_params(rank=7).fit(X, y)
    with pytest.raises(ValueError, match="X has 4 channels, the decoder expects 6"):
        estimator.fit(X, y).predict(X[:, :4])


@pytest.mark.parametrize("bands", [((0.0, 4.0),), ((12.0, 8.0),), ((30.0, 64.0),)])
def test_bands_that_do_not_fit_are_refused(bands):
    X, y = rhythms(14)
    with pytest.raises(ValueError, match="does not lie between 0 Hz and half the sampling rate"):
        FBCSP(SFREQ, bands).fit(X, y)
    with pytest.raises(ValueError, match="bands is empty"):
        FBCSP(SFREQ, ()).fit(X, y)


def test_settings_carry_what_the_stream_knows():
    info = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg",) * 3, rank=2)
    csp = CSPSettings(filters=1).build(info)
    assert (csp.n_filters, csp.rank) == (1, 2)
    bank = FBCSPSettings(bands_hz=[(8, 30)], features=3).build(info)
    assert (bank.sfreq, bank.bands, bank.n_features) == (250.0, [(8.0, 30.0)], 3)
    assert FgMDMSettings(shrinkage=None).build(info).shrinkage is None
    assert FilterBankTangentSpaceSettings(C=0.1).build(info).C == 0.1
