"""ACM against pyRiemann, scikit-learn and GridSearchCV; nested selection; live decisions."""

from __future__ import annotations

import numpy as np
import pytest
from pyriemann import classification
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from scipy.signal import butter, sosfiltfilt
from scipy.stats import binom
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from bci import config
from bci.benchmark.leaks import pink
from bci.decoders import ACMClassifier, MomentsDecoder
from bci.decoders.artifact import PickedMoments
from bci.decoders.covariance.acm import ACMSettings
from bci.decoders.covariance.karcher import LOOSE
from bci.pipeline import Pipeline
from bci.types import Chunk, DecoderSwap, Moments, StreamInfo


def windows(seed, n_windows=60, n_channels=4, n_times=150, n_classes=2, strength=0.5):
    """Mixed sources whose spectra differ between classes as well as their strengths."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_windows) % n_classes
    sources = rng.standard_normal((n_windows, n_channels, n_times + 1))
    mine = np.arange(n_channels) % n_classes == y[:, None]
    sources = sources[..., 1:] + strength * mine[..., None] * sources[..., :-1]
    mixing = np.random.default_rng(n_channels).standard_normal((n_channels, n_channels))
    return 10 * (mixing + 2 * np.eye(n_channels)) @ sources, np.array(["a", "b", "c"])[y]


class AugmentedDataset(TransformerMixin, BaseEstimator):
    """MOABB's, by its definition."""

    def __init__(self, order=1, lag=1):
        self.order = order
        self.lag = lag

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        p, t, n = self.order, self.lag, X.shape[2]
        if p == 1:
            return X
        return np.concatenate([X[:, :, k * t : n - (p - k) * t] for k in range(p)], axis=1)

    def __sklearn_is_fitted__(self):
        return True


def plain(order, lag, *last):
    return make_pipeline(
        AugmentedDataset(order, lag), Covariances("cov"), TangentSpace("riemann"), *last
    )


# --- golden values --------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(("order", "lag"), [(1, 1), (3, 2)])
def test_it_is_tangent_space_and_svm_on_stacked_copies(order, lag, n_classes, kernel):
    """With order 1: plain tangent space and SVM."""
    (X, y), (new, _) = (windows(k, n_classes=n_classes) for k in (0, 1))
    reference = plain(order, lag, SVC(C=0.5, kernel=kernel, break_ties=True)).fit(X, y)
    found = ACMClassifier(order, lag, C=0.5, kernel=kernel, random_state=0).fit(X, y)
    np.testing.assert_allclose(
        found.decision_function(new), reference.decision_function(new), atol=1e-6
    )
    np.testing.assert_array_equal(found.predict(new), reference.predict(new))
    np.testing.assert_array_equal(found.classes_, reference.classes_)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_mdm_is_pyriemanns_on_stacked_copies(n_classes):
    (X, y), (new, _) = (windows(k, n_classes=n_classes) for k in (2, 3))
    reference = make_pipeline(
        AugmentedDataset(3, 2), Covariances("cov"), classification.MDM("riemann")
    ).fit(X, y)
    found = ACMClassifier(3, 2, "mdm", random_state=0).fit(X, y)
    squares = reference.transform(new) ** 2
    expected = squares[:, 0] - squares[:, 1] if n_classes == 2 else -squares
    np.testing.assert_allclose(found.decision_function(new), expected, atol=1e-6)
    np.testing.assert_array_equal(found.predict(new), reference.predict(new))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_grid_is_grid_search_cv(n_classes):
    (X, y), (new, _) = (windows(k, n_classes=n_classes, strength=0.3) for k in (4, 5))
    orders, lags, Cs, kernels = [1, 2, 4], [1, 3], (0.5, 1.5), ("linear", "rbf")
    grid = GridSearchCV(
        plain(1, 1, SVC(break_ties=True)),
        {"augmenteddataset__order": orders, "augmenteddataset__lag": lags,
         "svc__C": Cs, "svc__kernel": kernels},
        cv=StratifiedKFold(3, shuffle=True, random_state=7),
        scoring="roc_auc" if n_classes == 2 else "accuracy",
    ).fit(X, y)  # fmt: skip
    found = ACMClassifier(
        selection="grid", orders=orders, lags=lags, Cs=Cs, kernels=kernels, random_state=7
    ).fit(X, y)
    np.testing.assert_allclose(
        found.results_["score"], grid.cv_results_["mean_test_score"], atol=1e-6
    )
    for key, value in {"augmenteddataset__order": found.order_, "augmenteddataset__lag": found.lag_,
                       "svc__C": found.C_, "svc__kernel": found.kernel_}.items():  # fmt: skip
        assert grid.best_params_[key] == value
    np.testing.assert_allclose(found.decision_function(new), grid.decision_function(new), atol=1e-6)


def test_the_grid_of_nearest_means_is_grid_search_cv():
    X, y = windows(4, strength=0.2)
    grid = GridSearchCV(
        make_pipeline(AugmentedDataset(), Covariances("cov"), classification.MDM("riemann")),
        {"augmenteddataset__order": [1, 2, 4], "augmenteddataset__lag": [1, 3]},
        cv=StratifiedKFold(3, shuffle=True, random_state=7),
        scoring="roc_auc",
    ).fit(X, y)
    found = ACMClassifier(
        classifier="mdm", selection="grid", orders=[1, 2, 4], lags=[1, 3], random_state=7
    ).fit(X, y)
    np.testing.assert_allclose(
        found.results_["score"], grid.cv_results_["mean_test_score"], atol=1e-6
    )
    assert grid.best_params_ == {
        "augmenteddataset__order": found.order_,
        "augmenteddataset__lag": found.lag_,
    }


def test_the_loose_tolerance_scores_almost_the_same():
    X, y = windows(6, strength=0.3)
    settings = {"selection": "grid", "orders": [2, 4], "lags": [1, 3], "random_state": 0}
    strict = ACMClassifier(**settings).fit(X, y)
    loose = ACMClassifier(**settings, tol=LOOSE).fit(X, y)
    assert np.abs(strict.results_["score"] - loose.results_["score"]).max() <= 0.005


# --- choosing -------------------------------------------------------------------------------------


def test_matrices_decomposed_by_torch_give_the_same_scores():
    """Torch's own processor stands in for a GPU: the same calls, and all matrices at once."""
    torch = pytest.importorskip("torch")
    X, y = windows(3)
    settings = {"selection": "grid", "orders": [1, 3], "lags": [1, 2], "random_state": 0}
    here = ACMClassifier(**settings).fit(X[:40], y[:40])
    there = ACMClassifier(**settings, device="cpu:0").fit(X[:40], y[:40])
    np.testing.assert_allclose(there.results_["score"], here.results_["score"], atol=1e-9)
    np.testing.assert_allclose(
        there.decision_function(X[40:]), here.decision_function(X[40:]), atol=1e-6
    )
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="'cuda' is asked for, torch finds none"):
            ACMClassifier(device="cuda").fit(X, y)


def noise(seed, n_windows=40):
    rng = np.random.default_rng(seed)
    X = pink(rng, 3, n_windows * 100).reshape(3, n_windows, 100).swapaxes(0, 1)
    return X, rng.permutation(np.arange(n_windows) % 2)


def test_selection_looks_good_on_noise_unless_it_is_nested():
    """The best of many on noise is above chance; on windows it did not see it is at chance."""
    decoder = ACMClassifier(selection="grid", orders=range(1, 5), lags=(1, 2, 4), random_state=0)
    careless, hits, n = [], 0, 0
    for seed in range(5):
        X, y = noise(seed)
        careless.append(decoder.fit(X, y).results_["score"].max())
        outer = StratifiedKFold(4, shuffle=True, random_state=seed)
        hits += int((cross_val_predict(decoder, X, y, cv=outer) == y).sum())
        n += len(y)
    low, high = binom.interval(0.99, n, 0.5)
    assert low <= hits <= high
    assert np.mean(careless) > 0.6


def test_a_budget_is_kept_and_finds_what_the_grid_finds():
    X, y = windows(8, strength=0.6)
    settings = {"orders": range(1, 7), "lags": range(1, 5), "random_state": 0}
    grid = ACMClassifier(selection="grid", **settings).fit(X, y)
    found = ACMClassifier(selection="budget", n_points=8, **settings).fit(X, y)
    points = set(zip(found.results_["order"].tolist(), found.results_["lag"].tolist(), strict=True))
    assert len(points) == 8
    assert found.results_["score"].max() >= grid.results_["score"].max() - 0.05
    whole = ACMClassifier(selection="budget", n_points=1000, **settings).fit(X, y)
    assert (whole.order_, whole.lag_, whole.C_, whole.kernel_) == (
        grid.order_, grid.lag_, grid.C_, grid.kernel_
    )  # fmt: skip


def test_orders_that_need_longer_windows_are_left_out():
    X, y = windows(9, n_times=40)
    found = ACMClassifier(selection="grid", orders=[2, 30], lags=[1, 12], random_state=0).fit(X, y)
    assert set(found.results_["order"].tolist()) == {2}
    with pytest.raises(ValueError, match="too short for every order of \\[9\\] and lag of \\[4\\]"):
        ACMClassifier(9, 4).fit(X, y)


def test_points_with_singular_covariances_are_left_out_and_none_is_an_error(caplog):
    """A smooth signal is all but the sum of its past: high orders at short lags are singular."""
    X, y = windows(22, n_times=400)
    smooth = sosfiltfilt(butter(8, [8, 20], "bandpass", fs=1000, output="sos"), X)
    with caplog.at_level("INFO"):
        found = ACMClassifier(selection="grid", orders=[1, 8], lags=[1], random_state=0)
        found.fit(smooth, y)
    assert found.order_ == 1
    assert set(found.results_["order"].tolist()) == {1}
    assert "order 8 and lag 1 are left out" in caplog.text
    with pytest.raises(ValueError, match="too smooth; .* a lower order or a longer lag"):
        ACMClassifier(8, 1).fit(smooth, y)


def test_probabilities_are_calibrated():
    """They lose nothing against the best temperature in hindsight, nor are they too sure."""
    (X, y), (new, truth) = windows(10, 80, strength=0.3), windows(11, 400, strength=0.3)
    for method in ("svm", "lr", "mdm"):
        found = ACMClassifier(2, classifier=method, random_state=0).fit(X, y)
        margin = found.decision_function(new) / 2
        losses = [
            log_loss(truth, 1 / (1 + np.exp(-2 * beta * margin))) for beta in np.logspace(-3, 2, 60)
        ]
        assert log_loss(truth, found.predict_proba(new)[:, 1]) < min(losses) + 0.05


# --- lost rank, wrong input -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["svm", "lr", "mdm"])
def test_average_reference_equals_leaving_one_channel_out(method):
    (X, y), (new, _) = windows(12), windows(13)
    X, new = (x - x.mean(axis=1, keepdims=True) for x in (X, new))
    whole = ACMClassifier(3, 2, method, random_state=0).fit(X, y)
    dropped = ACMClassifier(3, 2, method, random_state=0).fit(X[:, :-1], y)
    assert whole.basis_.shape == (4, 3)
    np.testing.assert_allclose(
        whole.predict_proba(new), dropped.predict_proba(new[:, :-1]), atol=2e-3
    )


def test_wrong_input_is_refused():
    X, y = windows(14)
    with pytest.raises(NotFittedError):
        ACMClassifier().predict_proba(X)
    with pytest.raises(ValueError, match="at least two classes, found \\['a'\\]"):
        ACMClassifier().fit(X[:3], ["a"] * 3)
    with pytest.raises(ValueError, match="at least two windows, so that .* smallest has 1"):
        ACMClassifier().fit(X[:3], ["a", "a", "b"])
    with pytest.raises(ValueError, match="use up 160 samples, the windows have 150"):
        ACMClassifier(8, 20).fit(X, y)
    with pytest.raises(ValueError, match="all channels of X are flat"):
        ACMClassifier().fit(np.zeros_like(X), y)
    with pytest.raises(ValueError, match="classifier must be one of svm, lr, mdm, found 'lda'"):
        ACMClassifier(classifier="lda").fit(X, y)
    with pytest.raises(ValueError, match="selection must be one of .*, found 'best'"):
        ACMClassifier(selection="best").fit(X, y)
    with pytest.raises(ValueError, match="kernels can be linear and rbf, found 'poly'"):
        ACMClassifier(kernel="poly").fit(X, y)
    with pytest.raises(ValueError, match="rank is 9, the windows have 4 channels"):
        ACMClassifier(rank=9).fit(X, y)
    for wrong in (
        {"orders": []},
        {"lags": [0]},
        {"orders": [1.5]},
        {"n_points": 0},
        {"n_folds": 1},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be whole numbers of at"):
            ACMClassifier(selection="budget", **wrong).fit(X, y)
    for wrong in ({"C": 0.0}, {"Cs": (1.0, -1.0)}, {"Cs": ()}, {"kernels": ()}):
        with pytest.raises(ValueError, match="penalties must be positive and Cs and kernels not"):
            ACMClassifier(**wrong).fit(X, y)
    bad = X.copy()
    bad[7, 2, 5] = np.nan
    with pytest.raises(ValueError, match="in window 7 \\(1 such"):
        ACMClassifier().fit(bad, y)
    found = ACMClassifier(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 channels, the decoder expects 4"):
        found.predict(X[:, :3])
    with pytest.raises(ValueError, match="sums of 4 delayed channels, the decoder expects 16"):
        found.predict_proba_moments(Moments(np.eye(4), np.zeros(4), 100))
    lost = X[:1].copy()
    lost[:, 3] = lost[:, 1]
    with pytest.raises(ValueError, match="singular: a channel is flat"):
        found.predict_proba(lost)


def test_settings_carry_rank_and_seed():
    info = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg",) * 3, rank=2)
    found = ACMSettings(order=2, selection="budget", lags=[1, 2], seed=5).build(info)
    assert (found.order, found.selection, found.lags) == (2, "budget", [1, 2])
    assert (found.rank, found.random_state) == (2, 5)
    assert not hasattr(found, "classes_")


# --- live -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("hop_s", [0.5, 0.07])
def test_live_decisions_are_those_of_the_offline_form(kernel, reference, hop_s):
    """On the same windows to 1e-8, whatever the chunks, and after a burst of 10⁴ µV too."""
    X, y = windows(15, n_times=200)
    stream = np.concatenate(windows(16, 12, n_times=200)[0], axis=1)
    stream[:, 700:760] += 1e4 * np.random.default_rng(17).standard_normal((4, 60))
    if reference:
        X, stream = X - X.mean(axis=1, keepdims=True), stream - stream.mean(axis=0)
    decoder = ACMClassifier(4, 3, kernel=kernel, random_state=0).fit(X, y)
    assert isinstance(decoder, MomentsDecoder)
    session = config.loads(
        "source: {kind: lsl}\nchannels: {montage: null}\n"
        f"window: {{length_s: 2.0, hop_s: {hop_s}}}\n"
    )
    info = StreamInfo("test", 100.0, ("A", "B", "C", "D"), ("eeg",) * 4)
    found = []
    for size in (1, 37, 2400):
        line = Pipeline(session, info, decoder, "m")
        decisions = []
        for start in range(0, stream.shape[1], size):
            decisions += line.push(Chunk(start, stream[:, start : start + size].T.copy()))
        assert line.n_decoder_errors == 0
        found.append(np.array([[d.proba[c] for c in decoder.classes_] for d in decisions]))
        cut = np.stack([stream[:, d.first : d.last + 1] for d in decisions])
        np.testing.assert_allclose(found[-1], decoder.predict_proba(cut), rtol=0, atol=1e-8)
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[2], found[0], rtol=0, atol=1e-12)


def line(decoder, channels=4, length_s=1.0):
    session = config.loads(
        "source: {kind: lsl}\nchannels: {montage: null}\n"
        f"window: {{length_s: {length_s}, hop_s: 0.2}}\n"
    )
    info = StreamInfo("test", 100.0, tuple("ABCDEF"[:channels]), ("eeg",) * channels)
    return Pipeline(session, info, decoder, "m")


def probabilities(decisions, classes):
    return np.array([[d.proba[c] for c in classes] for d in decisions])


def test_decoders_of_other_orders_can_take_turns():
    X, y = windows(18, n_times=100)
    one, three = (ACMClassifier(order, 5, random_state=0).fit(X, y) for order in (1, 3))
    stream = np.concatenate(list(X[:9]), axis=1).T
    swaps = [DecoderSwap(300, three, "3"), DecoderSwap(600, one, "1")]
    found = list(line(one).run([*swaps, Chunk(0, stream)]))
    assert {d.model for d in found[16:]} == {"3", "1"}
    for d in found:
        decoder = three if d.model == "3" else one
        expected = decoder.predict_proba(stream[None, d.first : d.last + 1].swapaxes(1, 2))
        np.testing.assert_allclose(probabilities([d], one.classes_), expected, atol=1e-9)


def test_channels_are_picked_from_the_sums_of_all_copies():
    X, y = windows(19, n_times=100)
    decoder = ACMClassifier(3, 5, random_state=0).fit(X, y)
    picked = PickedMoments(decoder, [4, 1, 5, 0])
    stream = np.random.default_rng(20).standard_normal((500, 6))
    stream[:, [4, 1, 5, 0]] = np.concatenate(list(X[:5]), axis=1).T
    found = line(picked, 6).push(Chunk(0, stream))
    expected = line(decoder).push(Chunk(0, stream[:, [4, 1, 5, 0]]))
    np.testing.assert_allclose(
        probabilities(found, decoder.classes_), probabilities(expected, decoder.classes_), atol=1e-9
    )


def test_windows_too_short_for_the_order_are_abstained_from(caplog):
    X, y = windows(21, n_times=100)
    decoder = ACMClassifier(3, 20, random_state=0).fit(X, y)
    short = line(decoder, length_s=0.6)
    found = short.push(Chunk(0, np.concatenate(list(X[:2]), axis=1).T.copy()))
    assert found
    assert all(d.label is None for d in found)
    assert short.n_decoder_errors == len(found)
    assert "too short for the decoder's order and lag" in caplog.text
