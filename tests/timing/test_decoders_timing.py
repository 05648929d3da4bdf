"""Time of one decision, reported with threads, repeats, median and p99."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bci.decoders import FBCCA, MDM, TDCA, TRCA, ExtendedCCA, MultiStimulusCCA, TangentSpaceLR
from bci.decoders.ssvep.filterbank import subbands
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


HZ = {f"{hz:.1f} Hz": float(hz) for hz in np.arange(8, 15.9, 0.2)}
#: Longest one decision, and scoring alone, may take, ms; None: only reported.
SSVEP = {
    "FBCCA": (FBCCA(250.0, HZ), 3.5, 1.3),
    "eCCA": (ExtendedCCA(250.0, HZ), None, None),
    "ms-CCA": (MultiStimulusCCA(250.0, HZ), None, None),
    "eTRCA": (TRCA(250.0), 3.0, 1.3),
    "eTRCA-R": (TRCA(250.0, HZ, reference=True), 3.0, 1.3),
    "TDCA": (TDCA(250.0, HZ), 3.0, 1.3),
}
#: Longest that fitting may take, s.
FITTING = {"eTRCA": 1.0, "TDCA": 1.0}


def forty_targets(n_blocks=5):
    """Noise, 9 channels, 1 s at 250 Hz."""
    labels = np.tile(sorted(HZ), n_blocks)
    return np.random.default_rng(0).standard_normal((len(labels), 9, 250)), labels


@pytest.mark.parametrize("name", SSVEP)
def test_ssvep_decoders_of_40_targets(name):
    decoder, decision_ms, scoring_ms = SSVEP[name]
    X, y = forty_targets()
    with threadpool_limits(1):
        decoder.fit(X, y)
        start = perf_counter()
        decoder.fit(X, y)
        fitting_s = perf_counter() - start
    print(f"\n{name}, 40 targets, 5 blocks, 9 ch, 1 s, 5 bands: fitted in {fitting_s:.2f} s")
    assert fitting_s < FITTING.get(name, np.inf)
    window, bands = X[:1], subbands(X[:1], decoder._design())
    whole = report(f"{name}, one decision", lambda: decoder.predict_proba(window))
    scoring = report(f"{name}, scoring of filtered bands", lambda: decoder._score_bands(bands))
    assert decision_ms is None or whole < decision_ms
    assert scoring_ms is None or scoring < scoring_ms


@pytest.mark.filterwarnings("ignore")  # of the other package
def test_ensemble_trca_against_meegkit():
    meegkit = pytest.importorskip("meegkit.trca", reason="meegkit is not installed")
    X, y = forty_targets()
    codes = np.searchsorted(sorted(HZ), y)
    ours = TRCA(250.0).fit(X, y)
    bands = [[(low, 90), (low - 4, 100)] for low, _ in ours.edges_]
    theirs = meegkit.TRCA(250.0, bands, ensemble=True)
    theirs.fit(X.transpose(2, 1, 0).copy(), codes)
    one = X[:1].transpose(2, 1, 0).copy()
    slow = report("meegkit, ensemble TRCA, one trial", lambda: theirs.predict(one), 40)
    fast = report("eTRCA, one trial, same arrays", lambda: ours.predict(X[:1]))
    print(f"ratio {slow / fast:.1f}")
    assert slow > 8 * fast


@pytest.mark.filterwarnings("ignore")  # of the other package
def test_trca_against_moabb():
    classifiers = pytest.importorskip(
        "moabb.pipelines.classification", reason="moabb is not installed"
    )
    mne = pytest.importorskip("mne")
    X, y = forty_targets()
    codes = np.searchsorted(sorted(HZ), y)
    info = mne.create_info(9, 250.0, "eeg")
    events = np.column_stack([300 * np.arange(len(y)), np.zeros_like(codes), codes])
    names = {f"{hz:g}": k for k, hz in enumerate(HZ[label] for label in sorted(HZ))}
    epochs = mne.EpochsArray(1e-6 * X, info, events, event_id=names, verbose="error")
    theirs = classifiers.SSVEP_TRCA(n_fbands=5, is_ensemble=True, method="original")
    theirs.fit(epochs, codes)
    ours = TRCA(250.0).fit(X, y)
    slow = report("MOABB, ensemble TRCA, one trial", lambda: theirs.predict(epochs[:1]), 40)
    fast = report("eTRCA, one trial, same arrays", lambda: ours.predict(X[:1]))
    print(f"ratio {slow / fast:.1f}")
    assert slow > 8 * fast


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
