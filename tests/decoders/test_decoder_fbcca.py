"""FBCCA against an independent implementation, and what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, signal
from scipy.special import log_softmax

from bci.decoders.ssvep.cca import FBCCA, FBCCASettings
from bci.decoders.temperature import fit_inverse_temperature
from bci.errors import ConfigError
from bci.types import StreamInfo

SFREQ = 250.0
FREQUENCIES = {"9 Hz": 9.0, "10.6 Hz": 10.6, "12.2 Hz": 12.2, "14 Hz": 14.0}


def plant(rng, labels, frequencies, *, sfreq=SFREQ, n_channels=6, n_times=250, amplitude=0.5):
    """White noise plus a sinusoid and its second harmonic with a random phase."""
    t = np.arange(n_times) / sfreq
    X = rng.standard_normal((len(labels), n_channels, n_times))
    for window, label in zip(X, labels, strict=True):
        for harmonic, size in ((1, 1.0), (2, 0.5)):
            phase = rng.uniform(0, 2 * np.pi)
            wave = np.sin(2 * np.pi * harmonic * frequencies[label] * t + phase)
            window += amplitude * size * np.outer(rng.uniform(0.5, 1.5, n_channels), wave)
    return X


# --- independent implementation: loops, CCA by explicit whitening --------------------------------


def inverse_root(matrix):
    values, vectors = linalg.eigh(matrix)
    return vectors @ np.diag(values**-0.5) @ vectors.T


def largest_canonical_correlation(x, y):
    x = x - x.mean(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    whitened = inverse_root(x @ x.T) @ (x @ y.T) @ inverse_root(y @ y.T)
    return linalg.svdvals(whitened)[0]


def fbcca_by_loops(X, sfreq, hz, low_edges, high, n_harmonics):
    t = np.arange(X.shape[2]) / sfreq
    scores = np.zeros((len(X), len(hz)))
    for i, window in enumerate(X):
        for n, low in enumerate(low_edges, 1):
            sos = signal.cheby1(4, 0.5, [low, high], "bandpass", fs=sfreq, output="sos")
            band = signal.sosfiltfilt(sos, window, axis=-1)
            for k, f in enumerate(hz):
                rows = [
                    g(2 * np.pi * h * f * t)
                    for h in range(1, n_harmonics + 1)
                    for g in (np.sin, np.cos)
                ]
                rho = largest_canonical_correlation(band, np.array(rows))
                scores[i, k] += (n**-1.25 + 0.25) * rho**2
    return scores


@pytest.mark.parametrize("n_channels", [3, 9, 14])  # fewer and more than reference signals
@pytest.mark.parametrize("n_times", [101, 250])
def test_equals_an_implementation_by_loops(n_channels, n_times):
    rng = np.random.default_rng(n_channels * n_times)
    mixing = rng.standard_normal((n_channels, n_channels))
    X = 20 * mixing @ rng.standard_normal((3, n_channels, n_times))
    found = FBCCA(SFREQ, FREQUENCIES).scores(X)
    expected = fbcca_by_loops(
        X, SFREQ, [FREQUENCIES[k] for k in sorted(FREQUENCIES)], [6, 14, 22, 30, 38], 90, 5
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


def test_two_classes_give_one_column_of_decisions():
    X = np.random.default_rng(0).standard_normal((4, 3, 200))
    decoder = FBCCA(SFREQ, {"a": 10.0, "b": 12.0})
    scores = decoder.scores(X)
    np.testing.assert_array_equal(decoder.decision_function(X), scores[:, 1] - scores[:, 0])
    three = FBCCA(SFREQ, {"a": 10.0, "b": 12.0, "c": 15.0})
    np.testing.assert_array_equal(three.decision_function(X), three.scores(X))


def test_one_window_at_a_time_gives_what_a_batch_gives():
    X = np.random.default_rng(1).standard_normal((7, 5, 300))
    decoder = FBCCA(SFREQ, FREQUENCIES)
    one_by_one = np.concatenate([decoder.predict_proba(x[None]) for x in X])
    np.testing.assert_allclose(decoder.predict_proba(X), one_by_one, rtol=0, atol=1e-12)


def test_scores_do_not_depend_on_scale_mixing_or_a_lost_rank():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((3, 6, 250))
    decoder = FBCCA(SFREQ, FREQUENCIES)
    mixing = rng.standard_normal((6, 6)) + 3 * np.eye(6)
    np.testing.assert_allclose(decoder.scores(1e-3 * mixing @ X), decoder.scores(X), atol=1e-9)
    average_referenced = X - X.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        decoder.scores(average_referenced), decoder.scores(average_referenced[:, :5]), atol=1e-8
    )


def test_flat_channels_correlate_with_nothing():
    X = np.random.default_rng(3).standard_normal((2, 4, 250))
    with_flat = np.concatenate([X, np.zeros((2, 2, 250))], axis=1)
    decoder = FBCCA(SFREQ, FREQUENCIES)
    np.testing.assert_allclose(decoder.scores(with_flat), decoder.scores(X), atol=1e-9)
    np.testing.assert_allclose(decoder.predict_proba(np.zeros((1, 4, 250))), 0.25)


def test_chosen_channels_only_are_used():
    X = np.random.default_rng(4).standard_normal((2, 6, 250))
    picked = FBCCA(SFREQ, FREQUENCIES, channels=[4, 1])
    np.testing.assert_allclose(
        picked.scores(X), FBCCA(SFREQ, FREQUENCIES).scores(X[:, [4, 1]]), atol=1e-12
    )
    with pytest.raises(ValueError, match="has 3 channels, the decoder uses number 4"):
        picked.scores(X[:, :3])


# --- filter bank at any sampling rate -------------------------------------------------------------


def test_the_published_bands_at_250_hz():
    assert FBCCA(250, FREQUENCIES).edges_ == tuple((low, 90.0) for low in (6, 14, 22, 30, 38))


@pytest.mark.parametrize(
    ("sfreq", "lows"), [(128, (6, 14, 22, 30, 38)), (100, (6, 14, 22, 30, 38)), (64, (6, 14, 22))]
)
def test_bands_end_below_half_a_low_sampling_rate(sfreq, lows):
    decoder = FBCCA(sfreq, FREQUENCIES)
    assert decoder.edges_ == tuple((low, 0.45 * sfreq) for low in lows)
    rng = np.random.default_rng(5)
    labels = np.repeat(list(FREQUENCIES), 5)
    X = plant(rng, labels, FREQUENCIES, sfreq=sfreq, n_times=3 * sfreq)
    assert decoder.score(X, labels) == 1.0


def test_the_first_band_holds_the_lowest_stimulus():
    edges = FBCCA(250, {"5": 5.0, "7": 7.0}).edges_
    assert edges[0][0] < 5
    assert [low for low, _ in edges] == [3.75, 8.75, 13.75, 18.75, 23.75]


def test_all_classes_have_the_same_number_of_harmonics():
    # at 100 Hz the second harmonic of 24 Hz is the last below 50 Hz, of 10 Hz the fourth
    assert FBCCA(100, {"a": 10.0, "b": 24.0})._design().n_harmonics == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frequencies": {"a": 10.0, "b": 60.0}, "sfreq": 100}, "upper edge, 45 Hz at a sampling"),
        ({"frequencies": {"a": 10.0}}, "two or more labels"),
        ({"frequencies": [10.0, 12.0]}, "map two or more labels"),
        ({"frequencies": FREQUENCIES, "n_harmonics": 0}, "at least one harmonic"),
        ({"frequencies": FREQUENCIES, "low_edges_hz": [12.0, 20.0]}, "lowest stimulus"),
    ],
)
def test_parameters_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FBCCA(**{"sfreq": 250, **arguments}).predict(np.zeros((1, 3, 250)))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 250)), r"\(n_windows, n_channels, n_times\).*\(3, 250\)"),
        (np.full((2, 3, 250), np.nan), "window 0 \\(2 such windows"),
        (np.zeros((1, 3, 20)), r"20 samples is too short .* needs 29 \(0.116 s\)"),
        (np.zeros((1, 0, 250)), "no channels"),
        ([["a"]], "numbers"),
    ],
)
def test_input_that_cannot_work_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        FBCCA(SFREQ, FREQUENCIES).predict_proba(X)


# --- probabilities --------------------------------------------------------------------------------


def test_probabilities_without_fit_grow_surer_with_length():
    rng = np.random.default_rng(6)
    labels = np.repeat(list(FREQUENCIES), 10)
    X = plant(rng, labels, FREQUENCIES, n_times=1000)
    decoder = FBCCA(SFREQ, FREQUENCIES).fit()
    best = [decoder.predict_proba(X[..., :n]).max(axis=1).mean() for n in (125, 250, 500, 1000)]
    assert best == sorted(best)
    assert decoder.predict_proba(X).sum(axis=1) == pytest.approx(1.0)


def test_calibrated_probabilities_say_how_often_they_are_right():
    rng = np.random.default_rng(7)
    labels = np.tile(list(FREQUENCIES), 60)
    X = plant(rng, labels, FREQUENCIES, n_times=500, amplitude=0.12)
    decoder = FBCCA(SFREQ, FREQUENCIES).fit(X[:120], labels[:120])
    for n_times in (150, 300, 500):
        proba = decoder.predict_proba(X[120:, :, :n_times])
        right = decoder.classes_[proba.argmax(axis=1)] == labels[120:]
        assert 0.3 < right.mean() < 0.999  # neither trivial
        assert proba.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.1)


def test_calibration_changes_no_label_and_takes_any_length():
    rng = np.random.default_rng(8)
    labels = np.tile(list(FREQUENCIES), 5)
    X = plant(rng, labels, FREQUENCIES, amplitude=0.2)
    plain, fitted = FBCCA(SFREQ, FREQUENCIES), FBCCA(SFREQ, FREQUENCIES).fit(X, labels)
    for n_times in (60, 199, 250):
        np.testing.assert_array_equal(
            plain.predict(X[..., :n_times]), fitted.predict(X[..., :n_times])
        )
    longer = plant(rng, labels, FREQUENCIES, n_times=400)
    np.testing.assert_array_equal(plain.predict(longer), fitted.predict(longer))
    assert fitted.inverse_temperature(5.0) == fitted.inverse_temperatures_[-1]


def test_a_few_windows_without_error_do_not_give_certainty():
    rng = np.random.default_rng(9)
    labels = np.array(list(FREQUENCIES))
    X = plant(rng, labels, FREQUENCIES, amplitude=3.0, n_times=500)
    proba = FBCCA(SFREQ, FREQUENCIES).fit(X, labels).predict_proba(X)
    assert (proba.argmax(axis=1) == np.searchsorted(sorted(FREQUENCIES), labels)).all()
    assert 0.7 < proba.max() < 0.99


def test_inverse_temperature_is_the_best_of_a_fine_grid():
    rng = np.random.default_rng(10)
    codes = rng.integers(0, 5, 80)
    scores = rng.standard_normal((80, 5)) + 1.3 * np.eye(5)[codes]
    target = np.full((80, 5), (1 / 82) / 4)
    target[np.arange(80), codes] = 81 / 82
    grid = np.linspace(0.05, 5, 2000)
    losses = [-(target * log_softmax(beta * scores, axis=1)).sum() for beta in grid]
    best = grid[np.argmin(losses)]
    assert fit_inverse_temperature(scores, codes) == pytest.approx(best, abs=0.005)


def test_labels_that_are_no_classes_are_refused():
    X = np.random.default_rng(11).standard_normal((4, 3, 250))
    decoder = FBCCA(SFREQ, FREQUENCIES)
    with pytest.raises(ValueError, match=r"'8 Hz'.*FBCCA decides"):
        decoder.fit(X, ["8 Hz", "9 Hz", "8 Hz", "9 Hz"])
    with pytest.raises(ValueError, match="at least two classes"):
        decoder.fit(X, ["9 Hz"] * 4)
    with pytest.raises(ValueError, match="one label for each of 4 windows"):
        decoder.fit(X, ["9 Hz"] * 3)


def test_labels_may_be_numbers():
    decoder = FBCCA(SFREQ, {3: 14.0, 1: 9.0, 2: 11.0})
    labels = np.repeat([1, 2, 3], 3)
    X = plant(np.random.default_rng(12), labels, {3: 14.0, 1: 9.0, 2: 11.0}, n_times=500)
    assert decoder.classes_.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(decoder.predict(X), labels)


# --- settings -------------------------------------------------------------------------------------

INFO = StreamInfo("amp", 256.0, ("Oz", "O1", "O2", "EOG"), ("eeg", "eeg", "eeg", "eog"))


def test_settings_build_the_decoder():
    decoder = FBCCASettings(frequencies_hz=[13, 17.5], harmonics=3).build(INFO)
    assert decoder.classes_.tolist() == ["13 Hz", "17.5 Hz"]
    assert (decoder.sfreq, decoder.n_harmonics, decoder.channels) == (256.0, 3, [0, 1, 2])
    named = FBCCASettings(frequencies_hz={"A": 10.0, "B": 12.0}, channels=["O2", "Oz"]).build(INFO)
    assert (named.classes_.tolist(), named.channels) == (["A", "B"], [2, 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"frequencies_hz": [13, 17], "channels": ["POz", "Oz"]},
            "channels POz .* Oz, O1, O2, EOG",
        ),
        ({"frequencies_hz": [13, 130]}, "13 to 130 Hz do not fit"),
    ],
)
def test_settings_that_do_not_fit_the_stream_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        FBCCASettings(**settings).build(INFO)


@pytest.mark.parametrize("frequencies", [[13], [13, 13], [-1, 13], {"A": 10.0}])
def test_settings_need_different_frequencies(frequencies):
    with pytest.raises(ValueError, match="two or more different"):
        FBCCASettings(frequencies_hz=frequencies)
