"""What the decoders with templates promise: lengths, ranks, calibration, errors."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from bci.decoders import FBCCA, TDCA, TRCA, ExtendedCCA, MultiStimulusCCA
from bci.decoders.spatialfilters import leading_filters
from bci.decoders.ssvep.cca import CCASettings
from bci.decoders.ssvep.ecca import ExtendedCCASettings
from bci.decoders.ssvep.mscca import MultiStimulusCCASettings
from bci.decoders.ssvep.references import neighbourhoods
from bci.decoders.ssvep.tdca import TDCASettings
from bci.decoders.ssvep.trca import TRCASettings
from bci.decoders.temperature import fit_inverse_temperature
from bci.errors import ConfigError
from bci.types import StreamInfo

SFREQ = 250.0
HZ = {"9 Hz": 9.0, "10.6 Hz": 10.6, "12.2 Hz": 12.2, "14 Hz": 14.0}
LABELS = sorted(HZ)
NAMED = {
    "eCCA": ExtendedCCA(SFREQ, HZ, n_bands=3),
    "ms-CCA": MultiStimulusCCA(SFREQ, HZ, n_bands=3, n_neighbours=2),
    "eTRCA": TRCA(SFREQ, n_bands=3),
    "ms-TRCA-R": TRCA(SFREQ, HZ, n_bands=3, ensemble=False, reference=True, n_neighbours=2),
    "TDCA": TDCA(SFREQ, HZ, n_bands=3),
    "TDCA bare": TDCA(SFREQ, n_bands=3, reference=False, n_delays=1),
}
DECODERS = list(NAMED.values())
every_decoder = pytest.mark.parametrize("decoder", DECODERS, ids=NAMED)


def draw(seed, n_per_class, *, amplitude=0.4, n_times=200, labels=LABELS):
    """White noise and a response with the same phase in every trial of a class."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(labels, n_per_class))
    X = rng.standard_normal((len(y), 6, n_times))
    t = np.arange(n_times) / SFREQ
    topography = np.random.default_rng(99).uniform(0.5, 1.5, 6)
    for window, label in zip(X, y, strict=True):
        angle = 2 * np.pi * HZ[label] * t + 3 * HZ[label]
        window += amplitude * np.outer(topography, np.sin(angle) + 0.5 * np.sin(2 * angle))
    return X, y


# --- windows --------------------------------------------------------------------------------------


@every_decoder
def test_windows_of_any_length_up_to_the_trained_one(decoder):
    X, y = draw(0, 5)
    test, labels = draw(1, 8)
    fitted = clone(decoder).fit(X, y)
    right = [fitted.score(test[..., :n], labels) for n in (60, 130, 200)]
    assert right[2] > 0.9
    assert right[0] < right[2]
    one_by_one = np.concatenate([fitted.predict_proba(x[None]) for x in test])
    np.testing.assert_allclose(fitted.predict_proba(test), one_by_one, rtol=0, atol=1e-10)
    again = copy.deepcopy(fitted)
    np.testing.assert_array_equal(again.predict_proba(test), fitted.predict_proba(test))


@every_decoder
def test_a_lost_rank_a_dead_channel_and_scale_change_nothing(decoder):
    X, y = draw(2, 4)
    test, _ = draw(3, 2)
    expected = clone(decoder).fit(X[:, :5], y).scores(test[:, :5])
    mixing = np.random.default_rng(4).standard_normal((5, 5)) + 3 * np.eye(5)
    lost = np.concatenate([mixing, mixing[:1] - mixing[1:2]])  # a sixth channel, the sum of others
    dead = np.concatenate([1e3 * mixing, np.zeros((1, 5))])
    for channels in (mixing, lost, dead):
        found = clone(decoder).fit(channels @ X[:, :5], y).scores(channels @ test[:, :5])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    average = X - X.mean(axis=1, keepdims=True)
    probabilities = clone(decoder).fit(average, y).predict_proba(average)
    assert np.isfinite(probabilities).all()


@every_decoder
def test_a_window_without_a_signal_gives_no_preference(decoder):
    X, y = draw(5, 3)
    found = clone(decoder).fit(X, y).predict_proba(np.zeros((1, 6, 200)))
    np.testing.assert_allclose(found, 0.25)


def test_chosen_channels_only_are_used():
    X, y = draw(6, 3)
    picked = TRCA(SFREQ, channels=[4, 1]).fit(X, y)
    plain = TRCA(SFREQ).fit(X[:, [4, 1]], y)
    np.testing.assert_allclose(picked.scores(X), plain.scores(X[:, [4, 1]]), atol=1e-12)


def test_one_channel_is_enough():
    X, y = draw(7, 4, amplitude=1.5)
    test, labels = draw(8, 4, amplitude=1.5)
    assert TRCA(SFREQ).fit(X[:, :1], y).score(test[:, :1], labels) > 0.9


@pytest.mark.parametrize("make", [lambda k: k, lambda k: LABELS.index(k), lambda k: HZ[k]])
def test_labels_keep_their_type(make):
    X, y = draw(9, 3)
    y = np.array([make(k) for k in y])
    decoder = TRCA(SFREQ, {make(k): f for k, f in HZ.items()}, n_neighbours=1).fit(X, y)
    assert decoder.classes_.dtype.kind == y.dtype.kind
    assert np.mean(decoder.predict(X) == y) > 0.9


def test_two_classes_give_one_column_of_decisions():
    X, y = draw(10, 3, labels=LABELS[:2])
    decoder = TRCA(SFREQ).fit(X, y)
    scores = decoder.scores(X)
    np.testing.assert_array_equal(decoder.decision_function(X), scores[:, 1] - scores[:, 0])


# --- calibration ----------------------------------------------------------------------------------


@every_decoder
def test_probabilities_are_calibrated_on_trials_left_out(decoder):
    n_per_class = 4
    X, y = draw(11, n_per_class, amplitude=0.15)
    turns = np.empty(len(y), int)
    for label in LABELS:
        turns[y == label] = np.arange(n_per_class)
    fitted = clone(decoder).fit(X, y)
    assert len(fitted.lengths_) == 5
    codes = np.searchsorted(LABELS, y)
    for length, found in zip(fitted.lengths_, fitted.inverse_temperatures_, strict=True):
        scores = np.empty((len(y), 4))
        for turn in range(n_per_class):
            out = turns == turn
            others = clone(decoder).fit(X[~out], y[~out])
            scores[out] = others.scores(X[out, :, : round(length * SFREQ)])
        assert found == pytest.approx(fit_inverse_temperature(scores, codes), rel=1e-3)


def test_scores_of_trials_learned_from_are_not_used():
    """On noise, a template scores its own trials high; probabilities must not believe it."""
    X, y = draw(12, 6, amplitude=0.0)
    decoder = TRCA(SFREQ).fit(X, y)
    assert decoder.score(X, y) > 0.9  # of its own trials
    assert decoder.predict_proba(draw(13, 10, amplitude=0.0)[0]).max() < 0.4


@pytest.mark.parametrize(
    ("kind", "fewest", "factor"),
    [(TRCA, 2, 4.0), (TDCA, 2, 4.0), (ExtendedCCA, 1, 0.8), (MultiStimulusCCA, 1, 2.0)],
)
def test_with_the_fewest_trials_probabilities_are_the_heuristic(kind, fewest, factor):
    X, y = draw(14, 5)
    few = np.concatenate([np.flatnonzero(y == label)[:fewest] for label in LABELS])
    decoder = kind(SFREQ, HZ).fit(X, y)
    assert decoder.inverse_temperature(0.8) == decoder.inverse_temperatures_[-1]
    decoder.fit(X[few], y[few])
    assert not hasattr(decoder, "lengths_")
    assert decoder.inverse_temperature(0.8) == pytest.approx(factor * 0.8)


def test_classes_may_have_different_numbers_of_trials():
    X, y = draw(15, 9)
    kept = np.concatenate([np.flatnonzero(y == label)[: 3 + 2 * k] for k, label in enumerate(HZ)])
    X, y = X[kept], y[kept]
    test, labels = draw(16, 8)
    for decoder in DECODERS:
        fitted = clone(decoder).fit(X, y)
        assert fitted.score(test, labels) > 0.8
        assert len(fitted.lengths_) == 5


# --- parts ----------------------------------------------------------------------------------------


def test_neighbours_are_those_in_frequency():
    frequencies = (10.0, 8.0, 9.0, 12.0, 11.0)
    pooled = neighbourhoods(frequencies, 2)
    found = [sorted(np.array(frequencies)[row]) for row in pooled]
    assert found == [[9, 10, 11], [8, 9, 10], [8, 9, 10], [10, 11, 12], [10, 11, 12]]
    np.testing.assert_array_equal(neighbourhoods(frequencies, 0), np.eye(5, dtype=bool))
    assert neighbourhoods(frequencies, 12).all()


def test_filters_stay_where_there_is_power():
    rng = np.random.default_rng(17)
    X = rng.standard_normal((4, 50))
    X[2] = 0
    signal = -np.eye(4)  # negative everywhere: a direction without power must not win with 0
    w = leading_filters(signal, X @ X.T, 4)
    np.testing.assert_allclose(np.diag(w.T @ X @ X.T @ w), [1, 1, 1, 0], atol=1e-12)
    np.testing.assert_array_equal(w[2, :3], 0.0)


# --- refused --------------------------------------------------------------------------------------


@every_decoder
def test_windows_that_cannot_be_compared_are_refused(decoder):
    X, y = draw(18, 3)
    with pytest.raises(NotFittedError):
        clone(decoder).predict(X)
    fitted = clone(decoder).fit(X, y)
    longer = np.zeros((1, 6, 201))
    with pytest.raises(ValueError, match=r"201 samples is longer than the templates .* 200 \(0.8"):
        fitted.predict(longer)
    with pytest.raises(ValueError, match="X has 5 channels, the decoder expects 6"):
        fitted.predict(X[:, :5])
    with pytest.raises(ValueError, match=r"20 samples is too short for .* it needs"):
        fitted.predict(X[..., :20])
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(np.full_like(X, np.nan))
    with pytest.raises(ValueError, match=r"\(n_windows, n_channels, n_times\)"):
        fitted.predict(X[0])


@every_decoder
def test_training_data_that_cannot_work_are_refused(decoder):
    X, y = draw(19, 3)
    with pytest.raises(ValueError, match="one label for each of 12 windows"):
        clone(decoder).fit(X, y[:5])
    with pytest.raises(ValueError, match="at least two classes"):
        clone(decoder).fit(X[y == "9 Hz"], y[y == "9 Hz"])
    with pytest.raises(ValueError, match="window 0"):
        clone(decoder).fit(np.full_like(X, np.inf), y)
    if decoder.frequencies is None:
        return
    with pytest.raises(ValueError, match=r"no trial of 14 Hz; record some, or leave them out"):
        clone(decoder).fit(X[y != "14 Hz"], y[y != "14 Hz"])
    with pytest.raises(ValueError, match=r"y holds .*'8 Hz'.* decides"):
        clone(decoder).fit(X, np.where(y == "9 Hz", "8 Hz", y))


@pytest.mark.parametrize("decoder", DECODERS[2:], ids=list(NAMED)[2:])
def test_one_trial_of_a_class_is_refused(decoder):
    X, y = draw(20, 3)
    kept = np.concatenate([np.flatnonzero(y == "14 Hz")[:1], np.flatnonzero(y != "14 Hz")])
    with pytest.raises(ValueError, match=r"at least 2 trials of each class; of 14 Hz there are"):
        clone(decoder).fit(X[kept], y[kept])


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (TRCA(SFREQ, reference=True), "frequencies must map .* found None"),
        (TRCA(SFREQ, n_neighbours=2), "frequencies must map .* found None"),
        (TRCA(SFREQ, n_neighbours=-1), "n_neighbours must be 0 or more"),
        (TDCA(SFREQ), "frequencies must map .* found None"),
        (TDCA(SFREQ, HZ, n_delays=0), "at least one copy"),
        (TDCA(SFREQ, HZ, n_components=0), "one component"),
        (MultiStimulusCCA(SFREQ, HZ, n_neighbours=-2), "n_neighbours must be 0 or more"),
        (MultiStimulusCCA(SFREQ, HZ, phases={"9 Hz": 0.0}), r"phases must name .*'9 Hz'\]"),
        (MultiStimulusCCA(SFREQ, [9.0, 12.0], phases={"9 Hz": 0.0}), "frequencies must map"),
        (FBCCA(SFREQ, {"a": 10.0, 1: 12.0}), "all text or all numbers"),
    ],
)
def test_parameters_that_cannot_work_are_refused(decoder, message):
    X, y = draw(21, 2)
    with pytest.raises(ValueError, match=message):
        decoder.fit(X, y)


# --- settings -------------------------------------------------------------------------------------

INFO = StreamInfo("amp", 256.0, ("Oz", "O1", "O2", "EOG"), ("eeg", "eeg", "eeg", "eog"))


def test_settings_build_the_decoders():
    hz = {"B": 12.0, "A": 10.0}
    common = {"frequencies_hz": hz, "channels": ["O2", "Oz"], "high_hz": 60}
    made = TRCASettings(ensemble=False, reference=True, neighbours=2, bands=3, **common).build(INFO)
    assert made.get_params() | {"channels": [2, 0]} == made.get_params()
    assert (made.ensemble, made.reference, made.n_neighbours, made.n_bands) == (False, True, 2, 3)
    made = TDCASettings(delays=4, components=2, low_edges_hz=[5, 15], **common).build(INFO)
    assert (made.n_delays, made.n_components, made.frequencies) == (4, 2, hz)
    assert made.edges_ == ((5.0, 60.0), (15.0, 60.0))
    assert ExtendedCCASettings(**common).build(INFO).n_bands == 5
    made = MultiStimulusCCASettings(phases_rad={"A": 0.0, "B": 1.5}, **common).build(INFO)
    assert (made.phases, made.n_neighbours) == ({"A": 0.0, "B": 1.5}, 12)
    listed = MultiStimulusCCASettings(frequencies_hz=[12, 10], phases_rad=[0.5, 1.0]).build(INFO)
    assert listed.phases == {"12 Hz": 0.5, "10 Hz": 1.0}
    plain = CCASettings(**common).build(INFO)
    assert plain.edges_ == ((6.0, 60.0),)
    assert plain.classes_.tolist() == ["A", "B"]
    assert TRCASettings().build(INFO).frequencies is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (TRCASettings(reference=True), "decoder trca: frequencies must map"),
        (TDCASettings(), "decoder tdca: frequencies must map"),
        (TDCASettings(frequencies_hz=[13, 130]), "decoder tdca: .*130 Hz do not fit"),
        (CCASettings(frequencies_hz=[13, 17], channels=["POz"]), "decoder cca: channels POz"),
    ],
)
def test_settings_that_do_not_fit_the_stream_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        settings.build(INFO)


def test_settings_need_one_phase_for_each_frequency():
    with pytest.raises(ValueError, match="phases_rad"):
        MultiStimulusCCASettings(frequencies_hz=[10, 12], phases_rad=[0.0])
    with pytest.raises(ValueError, match="phases_rad"):
        MultiStimulusCCASettings(frequencies_hz=[10, 12], phases_rad={"10 Hz": 0.0, "A": 1.0})
