"""Augmented covariance: the nested grid against the plain way, and one decision against `eigh`.

Both sides have one BLAS thread and one process. Times are CPU times of the process, which a
busy machine disturbs least.
"""

from __future__ import annotations

import itertools
from time import process_time

import numpy as np
import pytest
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from bci.benchmark.leaks import pink
from bci.block_sums import BlockSums
from bci.decoders.covariance.acm import ACMClassifier
from bci.decoders.covariance.acm_selection import Classifiers, Search, folds_of
from bci.decoders.covariance.augmented import LaggedCovariances
from bci.decoders.covariance.estimation import covariance_of
from bci.decoders.covariance.karcher import LOOSE, STRICT, logarithms, tangents
from bci.ring import RingBuffer
from bci.types import Moments

pytestmark = [pytest.mark.timing, pytest.mark.timeout(1800)]

ORDERS, LAGS = (1, 2, 4, 6, 8), (1, 4, 8)
CS, KERNELS = (0.5, 1.0, 1.5), ("linear", "rbf")
N_CHANNELS, SFREQ = 22, 250.0


def session(n_windows=144, n_times=1001):
    """Simulated: mixed 1/f noise with a 10 Hz rhythm that one class has weaker in one place."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n_windows) % 2)
    x = pink(rng, N_CHANNELS, n_windows * n_times).reshape(N_CHANNELS, n_windows, n_times)
    t = np.arange(n_times) / SFREQ
    for k in range(n_windows):
        phases = rng.uniform(0, 2 * np.pi, (2, 1))
        rhythm = rng.uniform(0.1, 0.9, (2, 1)) * np.sin(2 * np.pi * 10 * t + phases)
        rhythm[y[k]] *= 0.7
        x[:2, k] += rhythm
    mixing = rng.standard_normal((N_CHANNELS, N_CHANNELS)) + 2 * np.eye(N_CHANNELS)
    return np.einsum("ij,jkt->kit", mixing, x), y


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


def plain(*last):
    return make_pipeline(AugmentedDataset(), Covariances("cov"), TangentSpace("riemann"), *last)


def seconds(call):
    start = process_time()
    result = call()
    return process_time() - start, result


@threadpool_limits.wrap(limits=1)
def test_nested_grid():
    """Of the plain side every mean is measured once; GridSearchCV has it six times over."""
    X, y = session()
    outer = folds_of(y, 5, 0)[0][0]  # one outer fold's training windows
    X, y = X[outer], y[outer]
    folds = folds_of(y, 3, 0)
    classifiers = Classifiers("svm", CS, KERNELS)
    ours = {tol: Search(X, y, folds, ORDERS, LAGS, classifiers, tol) for tol in (STRICT, LOOSE)}
    spent = {"plain": 0.0, STRICT: 0.0, LOOSE: 0.0}
    off = {STRICT: 0.0, LOOSE: 0.0}
    for lag in LAGS:
        for order in ORDERS:
            aucs, point = np.empty((len(folds), len(CS) * len(KERNELS))), 0.0
            for row, (train, test) in zip(aucs, folds, strict=True):
                features = plain().set_params(
                    augmenteddataset__order=order, augmenteddataset__lag=lag
                )
                fit_s, tangent = seconds(lambda f=features, i=train: f.fit_transform(X[i]))
                test_s, unseen = seconds(lambda f=features, i=test: f.transform(X[i]))
                point += len(row) * (fit_s + test_s)
                for k, (C, kernel) in enumerate((c, k) for c in CS for k in KERNELS):
                    svc = SVC(C=C, kernel=kernel)
                    s, scores = seconds(
                        lambda m=svc, i=train, a=tangent, b=unseen: m.fit(
                            a, y[i]
                        ).decision_function(b)
                    )
                    point += s
                    row[k] = roc_auc_score(y[test], scores)
            spent["plain"] += point
            line = f"\norder {order}, lag {lag}: plain {point:.2f} s (1/6 of it measured)"
            for tol, search in ours.items():
                s, found = seconds(lambda f=search, p=order, t=lag: f.score(p, t))
                if order == 1 and lag != LAGS[0]:
                    s, _ = 0.0, None  # a plain covariance has no lag: it is not scored again
                spent[tol] += s
                gap = np.abs(aucs.mean(axis=0) - [c.score for c in found]).max()
                off[tol] = max(off[tol], gap)
                line += f"; tol {tol:g}: {s:.2f} s, AUC off by {gap:.1e}"
            print(line, end="")
    grid = GridSearchCV(
        plain(SVC()),
        {"svc__C": CS, "svc__kernel": KERNELS, "augmenteddataset__order": [4],
         "augmenteddataset__lag": [4]},
        cv=folds, scoring="roc_auc", refit=False,
    )  # fmt: skip
    whole, _ = seconds(lambda: grid.fit(X, y))
    strict, loose = (spent["plain"] / spent[tol] for tol in (STRICT, LOOSE))
    print(
        f"\nGridSearchCV itself at order 4, lag 4: {whole:.1f} s\n"
        f"nested grid, one outer fold: plain {spent['plain']:.0f} s, strict {spent[STRICT]:.1f} s "
        f"({strict:.1f} times faster, AUC off by {off[STRICT]:.1e}), loose {spent[LOOSE]:.1f} s "
        f"({loose:.1f} times faster, AUC off by {off[LOOSE]:.1e})"
    )
    spd = LaggedCovariances(X, 4, [8]).of(8)
    train = folds[0][0]
    (mean,) = tangents(spd, [train], STRICT)
    gradient = np.linalg.norm(logarithms(spd[train], mean.whitener).mean(axis=0))
    print(f"gradient at a strict mean, order 8, lag 4: {gradient:.1e} (plain tolerance 1e-8)")
    assert gradient <= 1e-8
    assert off[STRICT] <= 1e-6
    assert off[LOOSE] <= 5e-3
    assert strict >= 12
    assert loose >= 20


def moments_of(window, order, lag):
    n = window.shape[1] - order * lag
    stacked = np.concatenate([window[:, k * lag : k * lag + n] for k in range(order)])
    return Moments(stacked @ stacked.T, stacked.sum(axis=1), n)


@pytest.mark.parametrize(("kernel", "limit"), [("linear", 1.5), ("rbf", 2.5)])
@threadpool_limits.wrap(limits=1)
def test_one_decision(kernel, limit):
    X, y = session(80)
    order, lag = 8, 1
    decoder = ACMClassifier(order, lag, kernel=kernel, random_state=0).fit(X[1:], y[1:])
    spd = LaggedCovariances(X, lag, [order]).of(order)
    tangent = TangentSpace("riemann")
    tangent.reference_ = spd.mean(axis=0)
    moments = moments_of(X[0], order, lag)
    whitener = decoder.model_["whiteners"][0]
    whitened = whitener @ covariance_of(moments) @ whitener.T
    step, length = 25, 1000  # a decision each 0.1 s on the newest 4 s
    ring = RingBuffer(step * 130 + length, N_CHANNELS)
    ring.write(np.concatenate(list(X[:5]), axis=1).T[: ring.capacity])
    sums = BlockSums(ring, N_CHANNELS, step, length // step, order, lag)
    starts = itertools.count(0, step)

    def sliding():
        start = next(starts)
        return decoder.predict_proba_moments(sums.over(start, start + length))

    calls = {
        "eigh": lambda: np.linalg.eigh(whitened),
        "decision from sums": lambda: decoder.predict_proba_moments(moments),
        "sliding sums and decision": sliding,
        "decision from samples": lambda: decoder.predict_proba(X[:1]),
        "pyRiemann TangentSpace.transform": lambda: tangent.transform(spd[:1]),
    }
    times = {name: [] for name in calls}
    for repeat in range(110):
        for name, call in calls.items():
            s, _ = seconds(call)
            if repeat >= 10:
                times[name].append(1e3 * s)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    print(f"\n{kernel}, 22 channels, order 8, 1001 samples (median of 100, one BLAS thread)")
    for name, median in medians.items():
        print(f"  {name}: {median:.2f} ms, {median / medians['eigh']:.2f} of eigh")
    assert medians["decision from sums"] <= limit * medians["eigh"]
