"""Time of one decision, reported with threads, repeats, median and p99."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bci.decoders import FBCCA, MDM, TangentSpaceLR
from bci.types import Moments

pytestmark = pytest.mark.timing


def report(name, call, repeats=400):
    with threadpool_limits(1):
        for _ in range(20):
            call()
        times = []
        for _ in range(repeats):
            start = perf_counter()
            call()
            times.append(1e3 * (perf_counter() - start))
    median, p99 = np.median(times), np.percentile(times, 99)
    print(f"\n{name}: median {median:.3f} ms, p99 {p99:.3f} ms (1 BLAS thread, {repeats} repeats)")
    return median


def test_fbcca_of_40_targets():
    frequencies = {f"{hz:.1f} Hz": hz for hz in np.arange(8, 15.9, 0.2)}
    decoder = FBCCA(250.0, frequencies)
    X = np.random.default_rng(0).standard_normal((1, 9, 250))
    assert len(decoder.classes_) == 40
    median = report(
        "FBCCA, 40 targets, 9 ch, 1 s at 250 Hz, 5 bands", lambda: decoder.predict_proba(X)
    )
    assert median < 3.5


@pytest.mark.parametrize("decoder", [TangentSpaceLR(), MDM()], ids=lambda d: d.kind)
@pytest.mark.parametrize("reference", ["none", "average"])
def test_covariance_decoders_of_64_channels(decoder, reference):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((80, 64, 1000)), np.tile(["left", "right"], 40)
    if reference == "average":
        X -= X.mean(axis=1, keepdims=True)
    decoder.fit(X, y)
    sums = Moments(X[0] @ X[0].T, X[0].sum(axis=1), 1000)
    name = f"{decoder.kind}, 64 ch, reference {reference}"
    median = report(f"{name}, from sums", lambda: decoder.predict_proba_moments(sums))
    report(f"{name}, 1 s at 1 kHz", lambda: decoder.predict_proba(X[:1]))
    assert median < 1.0


@pytest.mark.parametrize("n", [8, 32, 64])
def test_eigenvalue_drivers(n):
    """Why `numpy.linalg.eigh` (LAPACK's evd) serves the covariance decoders."""
    from scipy.linalg import eigh

    X = np.random.default_rng(0).standard_normal((n, 1000))
    covariance = X @ X.T
    report(f"numpy eigh, {n} × {n}", lambda: np.linalg.eigh(covariance))
    for driver in ("evd", "evr", "ev"):
        report(
            f"scipy eigh {driver}, {n} × {n}",
            lambda d=driver: eigh(covariance, driver=d, check_finite=False),
        )
