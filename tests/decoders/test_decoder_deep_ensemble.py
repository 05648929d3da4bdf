"""The ensemble: how it votes, whom its networks have seen, and a person it has not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import clone

from bci.decoders import DeepSSVEPEnsemble
from bci.decoders.artifact import Manifest, load, save
from bci.decoders.deep.ensemble import DeepSSVEPEnsembleSettings
from bci.decoders.deep.experts import vote
from bci.errors import ConfigError
from bci.types import StreamInfo

_spec = importlib.util.spec_from_file_location(
    "deep_toys", Path(__file__).with_name("deep_toys.py")
)
toys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toys)


def make(**parameters):
    return DeepSSVEPEnsemble(
        toys.SFREQ, toys.FREQUENCIES, window_s=(0.4,), **{**toys.QUICK, **parameters}
    )


@pytest.fixture(scope="module")
def data():
    return toys.blocks_of(0, n_subjects=6, n_blocks=5)


@pytest.fixture(scope="module")
def fitted(data):
    X, y, subjects, _ = data
    known = subjects != "S5"
    return make(n_harmonics=2).fit(X[known], y[known], subjects[known])


def test_it_decodes_a_person_it_has_not_seen(fitted, data):
    X, y, subjects, _ = data
    new = subjects == "S5"
    right = (fitted.predict(X[new]) == y[new]).sum()
    assert right > binom.ppf(0.99, new.sum(), 1 / 3)
    np.testing.assert_allclose(fitted.predict_proba(X[new]).sum(axis=1), 1.0)


def vote_by_loops(named, weight, n_classes):
    order = sorted(range(len(named)), key=lambda n: -weight[n])
    best, chosen = -1.0, None
    for k in range(1, len(named) + 1):
        votes = [sum(weight[n] for n in order[:k] if named[n] == c) for c in range(n_classes)]
        first, second = sorted(votes, reverse=True)[:2]
        if first - second > best:
            best, chosen = first - second, votes
    return chosen


def test_the_vote_equals_one_by_loops():
    rng = np.random.default_rng(0)
    named, weight = rng.integers(4, size=(50, 7)), rng.random((50, 7))
    expected = [vote_by_loops(list(n), list(w), 4) for n, w in zip(named, weight, strict=True)]
    np.testing.assert_allclose(vote(named, weight, 4), expected, atol=1e-12)


def test_a_disagreeing_majority_of_strangers_is_not_asked():
    named = np.array([[0, 0, 1, 1, 1]])
    assert vote(named, np.array([[0.9, 0.8, 0.5, 0.5, 0.5]]), 3).argmax() == 0
    assert vote(named, np.array([[0.9, 0.8, 0.7, 0.7, 0.7]]), 3).argmax() == 0
    assert vote(named, np.array([[0.3, 0.2, 0.7, 0.7, 0.7]]), 3).argmax() == 1


def explained(signal, regressors):
    """Share of a signal's variance that a linear model explains: the squared correlation."""
    design = np.column_stack([regressors.T, np.ones(len(signal))])
    residual = signal - design @ np.linalg.lstsq(design, signal, rcond=None)[0]
    return 1 - residual.var() / signal.var()


def test_opinions_equal_those_by_definition(fitted, data):
    X, y, subjects, _ = data
    experts = fitted.experts_[0]
    windows = X[:3, :, :40]
    named, weight = experts.opinions(windows)
    t = np.arange(40) / toys.SFREQ
    for n, network in enumerate(experts.networks):
        mine = subjects == f"S{n}"
        for i, window in enumerate(windows):
            answer = network.scores(window[None]).argmax()
            assert named[i, n] == answer
            label = toys.LABELS[answer]
            response = X[mine & (y == label)][..., :40].mean(axis=0)
            x, mean = network.banded(window[None])[0], network.banded(response[None])[0]
            hz = toys.FREQUENCIES[label]
            waves = np.array([g(2 * np.pi * h * hz * t) for h in (1, 2) for g in (np.sin, np.cos)])
            similarities = [
                np.corrcoef(f @ x, f @ mean)[0, 1] ** 2 + explained(f @ x, waves)
                for f in network.filters
            ]
            assert weight[i, n] == pytest.approx(max(similarities), abs=1e-9)


def test_networks_and_calibration_see_only_whom_they_may(data, monkeypatch):
    import bci.decoders.deep.ensemble as module

    X, y, subjects, _ = data
    seen = {}

    def record(trials, first, second, recipe, oversight):
        seen.update(first=first, second=second)
        raise InterruptedError

    monkeypatch.setattr(module, "two_stages", record)
    decoder = make(calibration_folds=2)
    with pytest.raises(InterruptedError):
        decoder.fit(X, y, subjects)
    teams = decoder._teams(6)
    assert teams[0] == [0, 1, 2, 3, 4, 5]
    assert sorted(set(teams[0]) - set(teams[1]) | set(teams[0]) - set(teams[2])) == teams[0]
    pairs = [(team, n) for team in teams for n in team]
    for (team, n), (rows, origin) in zip(pairs, seen["second"], strict=True):
        assert set(subjects[rows]) == {f"S{n}"}
        assert set(subjects[seen["first"][origin]]) == {f"S{m}" for m in team}


@pytest.mark.parametrize(
    ("n_people", "folds", "n_teams"), [(3, 2, 4), (4, 2, 3), (9, 3, 4), (5, 0, 1)]
)
def test_every_team_has_two_members(n_people, folds, n_teams):
    teams = make(calibration_folds=folds)._teams(n_people)
    assert len(teams) == n_teams
    assert min(len(team) for team in teams) >= 2


def test_it_goes_through_an_artifact(fitted, data, tmp_path):
    save(fitted, Manifest(ch_names=("Pz", "O1", "Oz", "O2"), sfreq=toys.SFREQ), tmp_path / "model")
    loaded, _ = load(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.predict_proba(data[0][:9]), fitted.predict_proba(data[0][:9])
    )


def test_noise_in_chance_out():
    right = n = 0
    for seed in range(4):
        X, y, subjects, _ = toys.blocks_of(10 + seed, n_subjects=4, n_blocks=6, amplitude=0.0)
        known = subjects != "S3"
        decoder = make(calibration_folds=0, n_epochs=(15, 15))
        decoder.fit(X[known], y[known], subjects[known])
        right += int((decoder.predict(X[~known]) == y[~known]).sum())
        n += int((~known).sum())
    low, high = binom.interval(0.99, n, 1 / 3)
    assert low <= right <= high


def test_what_cannot_work_is_refused(data):
    X, y, subjects, _ = data
    assert clone(make()).get_params() == make().get_params()
    with pytest.raises(ValueError, match="needs subjects"):
        make().fit(X, y)
    two = np.isin(subjects, ["S0", "S1"])
    with pytest.raises(ValueError, match=r"3 subjects or more \(calibration_folds is 3\), found 2"):
        make(calibration_folds=3).fit(X[two], y[two], subjects[two])
    gone = (subjects == "S1") & (y == "12 Hz")
    with pytest.raises(ValueError, match=r"'S1' has no trial of \['12 Hz'\]"):
        make().fit(X[~gone], y[~gone], subjects[~gone])
    with pytest.raises(ValueError, match="needs frequencies"):
        make().set_params(frequencies=None).fit(X, y, subjects)
    info = StreamInfo("amp", 250.0, ("Oz",), ("eeg",))
    made = DeepSSVEPEnsembleSettings(frequencies_hz=[10, 12], harmonics=3, n_epochs=7).build(info)
    assert (made.frequencies, made.n_harmonics) == ({"10 Hz": 10, "12 Hz": 12}, 3)
    assert (made.n_epochs, made.calibration_folds) == ((7, 7), 2)
    with pytest.raises(ConfigError, match="decoder deep_ssvep_ensemble: "):
        DeepSSVEPEnsembleSettings(frequencies_hz=[10, 12], window_s=[-1]).build(info)
