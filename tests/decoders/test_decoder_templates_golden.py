"""Every decoder with templates against its definition, written out in loops."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import linalg, signal

from bci.decoders import CCA, TDCA, TRCA, ExtendedCCA, MultiStimulusCCA

SFREQ = 200.0
HZ = {"9 Hz": 9.0, "11.5 Hz": 11.5, "8 Hz": 8.0, "14 Hz": 14.0, "10 Hz": 10.0}
PHASES = {"9 Hz": 0.5, "11.5 Hz": 3.0, "8 Hz": 0.0, "14 Hz": 5.0, "10 Hz": 1.2}
LABELS = sorted(HZ)
LOW_EDGES, HIGH = (6.0, 14.0, 22.0), 80.0
N_HARMONICS = 3


def draw(n_per_class, seed, n_channels=5, n_times=180):
    """Mixed noise, and a response that is the same in every trial of a class."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(LABELS, n_per_class))
    mixing = np.random.default_rng(99).standard_normal((n_channels + 2, n_channels, n_channels))
    t = np.arange(n_times) / SFREQ
    X = 10 * mixing[0] @ rng.standard_normal((len(y), n_channels, n_times))
    for window, label in zip(X, y, strict=True):
        for h in range(1, N_HARMONICS + 1):
            wave = np.sin(2 * np.pi * h * HZ[label] * t + h * PHASES[label])
            window += 8 / h * np.outer(mixing[1, :, h], wave)
    return X, y


X, Y = draw(4, 0)
TEST = draw(1, 1)[0][:4]


def bands_of(window):
    """One array for each band, filtered and with rows centred."""
    found = []
    for low in LOW_EDGES:
        sos = signal.cheby1(4, 0.5, [low, HIGH], "bandpass", fs=SFREQ, output="sos")
        band = signal.sosfiltfilt(sos, window, axis=-1)
        found.append(band - band.mean(axis=1, keepdims=True))
    return found


def reference(label, n_times, phase=0.0):
    t = np.arange(n_times) / SFREQ
    rows = []
    for f in (np.sin, np.cos):
        for h in range(1, N_HARMONICS + 1):
            row = f(2 * np.pi * h * HZ[label] * t + h * phase)
            rows.append(row - row.mean())
    return np.array(rows)


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


def first_pair(x, y):
    """Filters for x and y of the first canonical pair, by the generalised eigenproblem."""
    cxx, cyy, cxy = x @ x.T, y @ y.T, x @ y.T
    wx = linalg.eigh(cxy @ linalg.solve(cyy, cxy.T), cxx)[1][:, -1]
    return wx, linalg.solve(cyy, cxy.T @ wx)


def trials_of(label, band, without=()):
    return [bands_of(X[i])[band] for i in np.flatnonzero(label == Y) if i not in without]


@cache
def template_of(label, band, n_times):
    """Of a shorter window: the mean is cut, then filtered."""
    return bands_of(np.mean(X[label == Y], axis=0)[:, :n_times])[band]


def pooled_labels(label, n_neighbours):
    """The class and its neighbours in frequency; at the ends the block is shifted inwards."""
    order = sorted(LABELS, key=HZ.get)
    first = order.index(label) - n_neighbours // 2
    first = min(max(first, 0), len(order) - n_neighbours - 1)
    return order[first : first + n_neighbours + 1]


def weighted(score):
    """``Σ a(n) score(window, band number, its label)`` of all test windows and classes."""

    def all_scores(n_times=X.shape[2]):
        total = np.zeros((len(TEST), len(LABELS)))
        for i, window in enumerate(TEST[..., :n_times]):
            for b, band in enumerate(bands_of(window)):
                for k, label in enumerate(LABELS):
                    total[i, k] += ((b + 1) ** -1.25 + 0.25) * score(band, b, label)
        return total

    return all_scores


# --- by loops -------------------------------------------------------------------------------------


@cache
def trca_filter(label, band, projected, n_neighbours):
    s = q = n = 0
    for other in pooled_labels(label, n_neighbours) if n_neighbours else [label]:
        trials = trials_of(other, band)
        n += len(trials)
        basis = linalg.qr(reference(other, X.shape[2]).T, mode="economic")[0]
        p = basis @ basis.T if projected else np.eye(X.shape[2])
        for i, a in enumerate(trials):
            q = q + a @ a.T
            for j, b in enumerate(trials):
                if i != j:
                    s = s + (a @ p) @ (b @ p).T
    return linalg.eigh((s + s.T) / 2, q / n)[1][:, -1]


def trca_by_loops(n_times, ensemble, projected=False, n_neighbours=0):
    w = {(k, b): trca_filter(k, b, projected, n_neighbours) for k in LABELS for b in range(3)}

    def score(window, b, label):
        filters = np.array([w[k, b] for k in LABELS] if ensemble else [w[label, b]])
        return correlation(filters @ window, filters @ template_of(label, b, window.shape[1]))

    return weighted(score)(n_times)


def tdca_by_loops(n_times, n_delays, n_components, projected):
    def augmented(window, label):
        rows = []
        for ahead in range(n_delays):
            for row in window:
                shifted = np.append(row[ahead:], np.zeros(ahead))
                rows.append(shifted - shifted.mean())
        rows = np.array(rows)
        if not projected:
            return rows
        basis = linalg.qr(reference(label, window.shape[1]).T, mode="economic")[0]
        return np.hstack([rows, rows @ basis @ basis.T])

    filters = []
    for b in range(3):
        trials = {k: [augmented(t, k) for t in trials_of(k, b)] for k in LABELS}
        means = {k: np.mean(trials[k], axis=0) for k in LABELS}
        grand = np.mean(list(means.values()), axis=0)
        within = sum((t - means[k]) @ (t - means[k]).T for k in LABELS for t in trials[k]) / len(X)
        between = sum((m - grand) @ (m - grand).T for m in means.values()) / len(LABELS)
        filters.append(linalg.eigh(between, within)[1][:, -n_components:])

    def score(window, b, label):
        template = template_of(label, b, window.shape[1])
        return correlation(
            filters[b].T @ augmented(window, label), filters[b].T @ augmented(template, label)
        )

    return weighted(score)(n_times)


def ecca_by_loops(n_times):
    def score(x, b, label):
        t, y = template_of(label, b, x.shape[1]), reference(label, x.shape[1])
        wxy, wyx = first_pair(x, y)
        wxt, wtx = first_pair(x, t)
        wty, _ = first_pair(template_of(label, b, X.shape[2]), reference(label, X.shape[2]))
        r = [
            correlation(wxy @ x, wyx @ y),
            correlation(wxt @ x, wxt @ t),
            correlation(wxy @ x, wxy @ t),
            correlation(wty @ x, wty @ t),
            correlation(wxt @ t, wtx @ t),
        ]
        return sum(np.sign(v) * v**2 for v in r)

    return weighted(score)(n_times)


def mscca_by_loops(n_times, n_neighbours, phases):
    def learn(label, b):
        t = [template_of(k, b, X.shape[2]) for k in pooled_labels(label, n_neighbours)]
        if phases is not None:
            y = [reference(k, X.shape[2], phases[k]) for k in pooled_labels(label, n_neighbours)]
            return first_pair(np.hstack(t), np.hstack(y))
        y = [reference(k, X.shape[2]) for k in pooled_labels(label, n_neighbours)]
        u, _ = first_pair(np.hstack(t), linalg.block_diag(*y))
        own_t, own = template_of(label, b, X.shape[2]), reference(label, X.shape[2])
        return u, linalg.lstsq(own.T, own_t.T @ u)[0]

    learned = {(k, b): learn(k, b) for k in LABELS for b in range(3)}

    def score(x, b, label):
        u, v = learned[label, b]
        y = reference(label, x.shape[1], phases[label] if phases else 0.0)
        r = [correlation(u @ x, v @ y), correlation(u @ x, u @ template_of(label, b, x.shape[1]))]
        return sum(np.sign(value) * value**2 for value in r)

    return weighted(score)(n_times)


# --- compared -------------------------------------------------------------------------------------

COMMON = {"n_harmonics": N_HARMONICS, "low_edges_hz": LOW_EDGES, "high_hz": HIGH}

CASES = {
    "TRCA": (
        TRCA(SFREQ, ensemble=False, **COMMON),
        lambda n: trca_by_loops(n, ensemble=False),
    ),
    "eTRCA": (
        TRCA(SFREQ, **COMMON),
        lambda n: trca_by_loops(n, ensemble=True),
    ),
    "eTRCA-R": (
        TRCA(SFREQ, HZ, reference=True, **COMMON),
        lambda n: trca_by_loops(n, ensemble=True, projected=True),
    ),
    "ms-eTRCA": (
        TRCA(SFREQ, HZ, n_neighbours=2, **COMMON),
        lambda n: trca_by_loops(n, ensemble=True, n_neighbours=2),
    ),
    "ms-TRCA-R": (
        TRCA(SFREQ, HZ, ensemble=False, reference=True, n_neighbours=2, **COMMON),
        lambda n: trca_by_loops(n, ensemble=False, projected=True, n_neighbours=2),
    ),
    "TDCA": (
        TDCA(SFREQ, HZ, n_delays=3, n_components=4, **COMMON),
        lambda n: tdca_by_loops(n, 3, 4, projected=True),
    ),
    "TDCA without reference": (
        TDCA(SFREQ, n_delays=2, n_components=4, reference=False, **COMMON),
        lambda n: tdca_by_loops(n, 2, 4, projected=False),
    ),
    "eCCA": (ExtendedCCA(SFREQ, HZ, **COMMON), ecca_by_loops),
    "ms-CCA": (
        MultiStimulusCCA(SFREQ, HZ, n_neighbours=2, phases=PHASES, **COMMON),
        lambda n: mscca_by_loops(n, 2, PHASES),
    ),
    "ms-CCA without phases": (
        MultiStimulusCCA(SFREQ, HZ, n_neighbours=2, **COMMON),
        lambda n: mscca_by_loops(n, 2, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_scores_equal_the_definition_in_loops(name):
    decoder, by_loops = CASES[name]
    decoder.fit(X, Y)
    for n_times in (180, 111):
        found = decoder.scores(TEST[..., :n_times])
        np.testing.assert_allclose(found, by_loops(n_times), rtol=0, atol=1e-8)
        assert np.ptp(found) > 0.5  # they tell classes apart


def test_plain_cca_equals_the_definition_in_loops():
    decoder = CCA(SFREQ, HZ, N_HARMONICS, high_hz=HIGH)
    for window, found in zip(TEST, decoder.scores(TEST), strict=True):
        x = bands_of(window)[0]
        for label, score in zip(LABELS, found, strict=True):
            wx, wy = first_pair(x, reference(label, x.shape[1]))
            rho = correlation(wx @ x, wy @ reference(label, x.shape[1]))
            assert score == pytest.approx(rho**2, abs=1e-8)


@pytest.mark.filterwarnings("ignore")  # of the other package
def test_filters_and_answers_equal_those_of_meegkit(monkeypatch):
    meegkit = pytest.importorskip("meegkit.trca")
    # in one band, filtered beforehand: meegkit filters its second band on top of the first
    monkeypatch.setattr(meegkit, "bandpass", lambda x, *_, **__: x)
    train = np.array([bands_of(window)[1] for window in X])
    test = np.array([bands_of(window)[1] for window in TEST])
    codes = np.searchsorted(LABELS, Y)
    for ensemble in (False, True):
        ours = TRCA(SFREQ, ensemble=ensemble, low_edges_hz=LOW_EDGES[1:2], high_hz=HIGH).fit(X, Y)
        theirs = meegkit.TRCA(SFREQ, [[(14, 80), (10, 90)]], ensemble=ensemble)
        theirs.fit(train.transpose(2, 1, 0).copy(), codes)
        for own, other in zip(ours.filters_[0], theirs.coef_[0], strict=True):
            own, other = own / linalg.norm(own), other / linalg.norm(other)
            np.testing.assert_allclose(abs(own @ other), 1.0, atol=1e-8)
        if not ensemble:  # where the scale of filters doesn't count
            expected = np.array(LABELS)[theirs.predict(test.transpose(2, 1, 0).copy())]
            np.testing.assert_array_equal(ours.predict(TEST), expected)
