"""Data sets on the real recordings: samples as other readers give them, and reference scores."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import mne
import numpy as np
import pytest
from pyriemann.classification import MDM
from pyriemann.estimation import BlockCovariances, Covariances, XdawnCovariances
from pyriemann.tangentspace import TangentSpace
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from bci.benchmark.data import Dataset
from bci.benchmark.datasets import find
from bci.benchmark.transforms import FilterBank
from bci.errors import ConfigError, SourceError

DATA = Path(__file__).parents[2].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}")


def dataset(kind, folder, **settings):
    return find(kind)(path=DATA / folder, **settings).build()


def pooled(data, subject, sessions=None):
    chosen = [e for e in data.epochs(subject) if sessions is None or e.session in sessions]
    return np.concatenate([e.X for e in chosen]), np.concatenate([e.y for e in chosen])


def shuffled():
    return StratifiedKFold(5, shuffle=True, random_state=42)


def tangent_space(covariances=None):
    covariances = covariances or Covariances("oas")
    return make_pipeline(covariances, TangentSpace(), LogisticRegression(max_iter=2000))


@pytest.mark.parametrize(
    ("kind", "folder", "settings", "subjects", "counts"),
    [
        ("ssvep_exo", "ssvep-exo", {}, 9, {"rest": 16, "13 Hz": 16, "17 Hz": 16, "21 Hz": 16}),
        ("ssvep_exo", "ssvep-exo", {"rest": False}, 9, {"13 Hz": 16, "17 Hz": 16, "21 Hz": 16}),
        ("bci_iv_2b", "bci-iv-2b", {}, 6, {"left": 300, "right": 300}),
        ("physionet", "physionet-s001", {}, 1, {"left": 16, "right": 14}),
        (
            "physionet", "physionet-s001", {"task": "hands_feet_executed"}, 1,
            {"hands": 23, "feet": 22},
        ),
        ("bci2000", "bci2000", {}, 1, {"target 1": 69, "target 2": 66}),
        ("bci2000", "bci2000", {"task": "p300"}, 1, {"NonTarget": 600, "Target": 120}),
        ("muse", "muse", {}, 2, {"30 Hz": 87, "20 Hz": 105}),
        ("muse", "muse", {"task": "p300"}, 1, {"NonTarget": 2606, "Target": 483}),
        (
            "xdf", "xdf",
            {
                "paradigm": "imagery", "pattern": "*MISwitch*",
                "events": {"rest": "switch,3,0,2", "one": "switch,3,1,2", "two": "switch,3,2,2"},
            },
            1, {"rest": 27, "one": 15, "two": 20},
        ),
    ],
)  # fmt: skip
def test_every_local_set_gives_its_trials(kind, folder, settings, subjects, counts):
    data = dataset(kind, folder, **settings)
    assert isinstance(data, Dataset)
    assert len(data.subjects) == subjects
    first = data.subjects[0]
    sessions = data.epochs(first)
    y = np.concatenate([e.y for e in sessions])
    assert Counter(y.tolist()) == counts
    assert set(counts) == set(data.classes)
    for epochs in sessions:
        assert epochs.X.dtype == np.float64
        assert epochs.X.flags.c_contiguous
        assert epochs.X.shape[1] == len(epochs.ch_names)
        assert len(epochs.X) == len(epochs.y) == len(epochs.trials)
        assert np.isfinite(epochs.X).all()
    names = {e.session for e in sessions}
    for session in data.continuous(first):
        assert session.session in names
        assert not set(session.labels) & set(session.idle)
        there = {m.value for m in session.recording.markers}
        assert there & set(session.labels)
        assert set(session.idle) <= there
    assert data.settings() == dataset(kind, folder, **settings).settings()


def test_epochs_are_those_of_mne_as_moabb_calls_it():
    folder = DATA / "ssvep-exo" / "subject01"
    path = sorted(folder.glob("*_raw.fif"))[0]
    raw = mne.io.read_raw_fif(path, preload=True, verbose="ERROR")
    events = mne.read_events(str(path).replace("_raw.fif", "-eve.fif"), verbose="ERROR")
    raw.filter(7, 45, method="iir", picks="data", verbose="ERROR")
    cut = mne.Epochs(
        raw, events, tmin=2.0, tmax=5.0, proj=False, baseline=None, preload=True, verbose="ERROR"
    )
    found = dataset("ssvep_exo", "ssvep-exo").epochs("01")[0]
    expected = cut.get_data(copy=False)[:, :, :-1] * 1e6
    np.testing.assert_allclose(found.X, expected, rtol=1e-9, atol=1e-7 * found.X.std())
    codes = {1: "rest", 2: "13 Hz", 3: "21 Hz", 4: "17 Hz"}
    assert found.y.tolist() == [codes[code] for code in cut.events[:, 2]]
    slower = dataset("ssvep_exo", "ssvep-exo", resample=128, subjects=[1]).epochs("01")[0]
    cut = cut.crop(tmax=5.0, include_tmax=False, verbose="ERROR").resample(128, verbose="ERROR")
    np.testing.assert_allclose(
        slower.X, cut.get_data(copy=False) * 1e6, rtol=1e-6, atol=1e-6 * found.X.std()
    )


def test_a_session_published_twice_has_one_hash():
    data = dataset("ssvep_exo", "ssvep-exo", filters=[], tmin=0, tmax=1)
    hashes = {
        (subject, epochs.session): epochs.sha256
        for subject in ("03", "07")
        for epochs in data.epochs(subject)
    }
    twice = "2012.07.11-15.33.08"
    assert hashes["03", twice] == hashes["07", twice]
    assert len(set(hashes.values())) == len(hashes) - 1 == 4


def test_extended_covariance_mdm_reaches_the_reference_on_ssvep_exo():
    bands = [[f - 0.5, f + 0.5] for f in (13, 17, 21)]
    data = dataset("ssvep_exo", "ssvep-exo", filters=bands)
    scores = []
    for subject in data.subjects:
        X, y = pooled(data, subject)
        assert X.shape[1] == 24
        pipeline = make_pipeline(Covariances("scm"), MDM())
        scores.append(cross_val_score(pipeline, X, y, cv=shuffled()).mean())
    reference = (0.66, 0.75, 0.86, 0.78, 0.59, 0.67, 0.85, 0.70, 0.47)
    print(np.round(scores, 2), np.mean(scores))
    assert np.mean(scores) >= np.mean(reference) - 0.02


def test_filter_bank_tangent_space_reaches_the_reference_on_bci_iv_2b():
    data = dataset("bci_iv_2b", "bci-iv-2b")
    bands = [(6, 10), (10, 14), (14, 18), (18, 22), (22, 26)]
    bank = FilterBank(bands, 250.0)
    pipeline = make_pipeline(bank, tangent_space(BlockCovariances(3, estimator="scm")))
    scores = []
    for subject in data.subjects:
        X, y = pooled(data, subject, sessions="123")
        pipeline.fit(X, y)
        scores.append(pipeline.score(*pooled(data, subject, sessions="45")))
    print(np.round(scores, 2), np.mean(scores))
    assert np.mean(scores) >= np.mean((0.70, 0.57, 0.56, 0.97, 0.70, 0.83)) - 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "reference"),
    [
        ("hands_feet_imagery", 0.97), ("left_right_imagery", 0.70),
        ("hands_feet_executed", 0.98), ("left_right_executed", 0.67),
    ],
)  # fmt: skip
def test_tangent_space_reaches_the_reference_on_physionet(task, reference):
    data = dataset("physionet", "physionet-s001", task=task, filters=[[7, 30]])
    X, y = pooled(data, "S001")
    score = cross_val_score(tangent_space(), X, y, cv=shuffled()).mean()
    assert score >= reference - 0.05  # two trials of 30 to 45: folds are drawn anew


def test_bci2000_reaches_the_references():
    cursor = dataset("bci2000", "bci2000")
    (epochs,) = cursor.epochs("eeg1")
    assert epochs.ch_names[:4] == ("FC5", "FC3", "FC1", "FCz")
    assert 1 < np.median(epochs.X.std(axis=2)) < 30  # microvolts
    assert Counter(epochs.trials.tolist()) == dict.fromkeys(range(45), 3)
    score = cross_val_score(tangent_space(), epochs.X, epochs.y, cv=KFold(5)).mean()
    assert score >= 0.956 - 0.02
    (flashes,) = dataset("bci2000", "bci2000", task="p300", resample=64).epochs("eeg3")
    assert set(Counter(flashes.trials.tolist()).values()) == {12}
    pipeline = tangent_space(XdawnCovariances(2, estimator="oas"))
    auc = cross_val_score(pipeline, flashes.X, flashes.y, cv=shuffled(), scoring="roc_auc").mean()
    assert auc >= 0.887 - 0.03


@pytest.mark.slow
def test_muse_reaches_the_references():
    narrow = dataset("muse", "muse", filters=[[19, 21], [29, 31]])
    for subject, reference in (("1", 0.997), ("3", 0.69)):
        X, y = pooled(narrow, subject)
        auc = cross_val_score(tangent_space(), X, y, cv=shuffled(), scoring="roc_auc").mean()
        assert auc >= reference - 0.02
    aux = dataset("muse", "muse", filters=[], channels=["Right AUX"], subjects=[1])
    X, y = pooled(aux, "1")
    power = np.abs(np.fft.rfft(X[:, 0] - X[:, 0].mean(axis=1, keepdims=True), axis=1)) ** 2
    f = np.fft.rfftfreq(X.shape[2], 1 / 256)
    ratio = np.log(power[:, np.argmin(abs(f - 30))] / power[:, np.argmin(abs(f - 20))])
    assert ratio[y == "30 Hz"].mean() > 1 > -1 > ratio[y == "20 Hz"].mean()  # the labels are right
    X, y = pooled(dataset("muse", "muse", task="p300", resample=64), "1")
    pipeline = tangent_space(XdawnCovariances(2, estimator="oas"))
    auc = cross_val_score(pipeline, X, y, cv=shuffled(), scoring="roc_auc").mean()
    assert auc >= 0.774 - 0.02


@pytest.mark.parametrize(
    ("kind", "folder", "settings", "message"),
    [
        ("ssvep_exo", "nowhere", {}, "there is no such folder; 'path' must be the folder with"),
        ("ssvep_exo", "bci-iv-2b", {}, "holds no subjectNN/"),
        ("bci_iv_2b", "README.md", {}, "is a file"),
        ("physionet", "muse", {}, "holds no SnnnRnn.edf"),
        ("bci2000", "broken", {}, "holds no BCI2000 files"),
        ("muse", "ssvep-exo", {}, "holds no Muse recordings"),
        ("muse", "muse/ssvep-subject1", {"task": "p300"}, "no recording that names task 'p300'"),
        ("bids", "muse", {"paradigm": "p300", "events": {"a": 1, "b": 2}}, "holds no BIDS EEG"),
        ("ssvep_exo", "ssvep-exo", {"subjects": [1, 12]}, "has no subject '12'; there are 01, 02"),
        ("bci_iv_2b", "bci-iv-2b", {"subjects": ["B9"]}, "has no subject 'B9'; there are B01"),
    ],
)  # fmt: skip
def test_a_missing_set_or_subject_is_one_clear_line(kind, folder, settings, message):
    data = dataset(kind, folder, **settings)
    with pytest.raises(SourceError) as error:
        _ = data.subjects
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_subject_or_channel_is_told():
    data = dataset("ssvep_exo", "ssvep-exo", channels=["Oz", "Cz"])
    with pytest.raises(SourceError, match=r"no subject '99'; there are 01"):
        data.epochs("99")
    with pytest.raises(ConfigError, match=r"has no channel Cz; there are Oz, O1"):
        data.epochs("01")
    with pytest.raises(ConfigError, match="does not fit a sampling rate of 256 Hz"):
        dataset("ssvep_exo", "ssvep-exo", filters=[[100, 128]]).epochs("01")


def test_subjects_are_chosen_by_name_or_number():
    assert dataset("bci_iv_2b", "bci-iv-2b", subjects=[4, "B02"]).subjects == ("B02", "B04")
    assert dataset("ssvep_exo", "ssvep-exo", subjects=[1, "09"]).subjects == ("01", "09")
