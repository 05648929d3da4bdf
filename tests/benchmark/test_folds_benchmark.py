"""Folds as MOABB makes them, and the guards on top."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from benchmark_toys import ToySettings
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold

from bci.benchmark import index
from bci.benchmark.evaluations import (
    CrossSession,
    CrossSubject,
    EvaluationPart,
    LearningCurve,
    LeaveOneBlockOut,
    TrainingFree,
    Transfer,
    WithinSession,
    WithinSubject,
)
from bci.benchmark.folds import Fold, Part, folds


def parts(**settings: Any) -> dict[str, list[Part]]:
    dataset = ToySettings(**settings).build()
    told = ((name, index.look(ToySettings(**settings), name, False)) for name in dataset.subjects)
    return {name: list(index.subject(dataset, name, found).parts) for name, found in told}


def of(evaluation: EvaluationPart, **settings: Any) -> list[Fold]:
    return list(folds(evaluation, parts(**settings), seed=42))


EVALUATIONS = [
    WithinSession(),
    LeaveOneBlockOut(),
    WithinSubject(),
    CrossSession(),
    CrossSubject(),
    Transfer(train=[1], test=[2]),
    LearningCurve(trials_per_class=[2, 5], repeats=3),
    LearningCurve(minutes=[0.05, 0.1], repeats=3),
]


@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=lambda e: e.kind)
@pytest.mark.parametrize("windows", [1, 4])
def test_no_epoch_and_no_trial_is_on_both_sides(evaluation: EvaluationPart, windows: int) -> None:
    found = of(evaluation, n_subjects=3, windows_per_trial=windows)
    assert found
    for fold in found:
        assert fold.error == ""
        assert not np.intersect1d(fold.train, fold.test).size
        assert not np.intersect1d(fold.trials[fold.train], fold.trials[fold.test]).size
        assert len(set(fold.y[fold.train])) == 2
        assert max(*fold.train, *fold.test) < len(fold.y)


def test_within_session_is_scikit_learns() -> None:
    part = parts()["s1"][0]
    plain = StratifiedKFold(5, shuffle=True, random_state=42).split(part.y, part.y)
    for fold, (train, test) in zip(of(WithinSession())[:5], plain, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


@pytest.mark.parametrize("windows", [1, 4])
def test_a_block_is_the_nth_repetition_of_every_class(windows: int) -> None:
    found = of(LeaveOneBlockOut(), n_subjects=1, n_sessions=1, windows_per_trial=windows)
    assert len(found) == 10
    for number, fold in enumerate(found):
        assert sorted(np.unique(fold.y[fold.test], return_counts=True)[1]) == [windows] * 2
        for label in ("a", "b"):
            of_class = fold.trials[fold.y == label]
            nth = list(dict.fromkeys(of_class.tolist()))[number]
            assert nth in fold.trials[fold.test]
        assert len(fold.train) + len(fold.test) == len(fold.y)
        assert fold.note == ""


def test_repetitions_beyond_the_last_block_are_trained_on_only() -> None:
    found = of(LeaveOneBlockOut(), n_subjects=1, n_sessions=1, n_trials=21)
    assert len(found) == 10
    assert all("no whole block, so trained on only: 1 of" in fold.note for fold in found)
    tested = np.concatenate([fold.test for fold in found])
    (over,) = set(range(21)) - set(tested.tolist())
    assert over == int(np.flatnonzero(found[0].y == found[0].y[over])[-1])


@pytest.mark.parametrize("windows", [1, 4])
def test_without_training_every_window_is_tested_once(windows: int) -> None:
    found = of(TrainingFree(), n_subjects=2, windows_per_trial=windows)
    assert [(f.subject, f.session) for f in found] == [
        ("s1", "1"), ("s1", "2"), ("s2", "1"), ("s2", "2")
    ]  # fmt: skip
    for fold in found:
        assert fold.train.size == 0
        np.testing.assert_array_equal(fold.test, np.arange(len(fold.y)))
        assert ("80 windows of 20 trials" in fold.note) == (windows == 4)


def test_within_subject_is_stratified_over_all_sessions() -> None:
    found = of(WithinSubject(), n_subjects=2)
    of_one = parts()["s1"]
    y = np.concatenate([part.y for part in of_one])
    plain = StratifiedKFold(5, shuffle=True, random_state=42).split(y, y)
    for fold, (train, test) in zip(found[:5], plain, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)
    assert [fold.subject for fold in found] == ["s1"] * 5 + ["s2"] * 5


def test_within_subject_takes_a_recording_under_two_names_once() -> None:
    one, other = parts(n_subjects=1)["s1"]
    twin = dataclasses.replace(one, session="3")
    for fold in folds(WithinSubject(), {"s1": [one, other, twin]}, seed=42):
        assert [part.session for part in fold.parts] == ["1", "2"]
        assert fold.note == "session 3 is left out: it is another one under another name"


def test_cross_session_is_leave_one_group_out() -> None:
    found = of(CrossSession(), n_sessions=3, n_subjects=1)
    groups = np.repeat(["1", "2", "3"], 20)
    plain = LeaveOneGroupOut().split(groups, groups, groups)
    for fold, (train, test) in zip(found, plain, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


@pytest.mark.parametrize("windows", [1, 4])
def test_learning_curve_grows_by_whole_trials_against_one_test(windows: int) -> None:
    found = of(
        LearningCurve(trials_per_class=[2, 4], repeats=2),
        n_subjects=1, n_sessions=1, windows_per_trial=windows,
    )  # fmt: skip
    assert [len(f.train) for f in found] == [4 * windows, 8 * windows] * 2
    for small, large in (found[:2], found[2:]):
        np.testing.assert_array_equal(small.test, large.test)
        assert set(small.train.tolist()) < set(large.train.tolist())
        assert set(np.unique(small.trials[small.train], return_counts=True)[1]) == {windows}


def test_learning_curve_in_minutes() -> None:
    found = of(LearningCurve(minutes=[0.05], repeats=1), n_subjects=1, n_sessions=1)
    assert [len(f.train) for f in found] == [4]  # of 0.75 s each
    assert len(found[0].train) * found[0].parts[0].minutes == pytest.approx(0.05)


def test_a_recording_under_two_names_is_left_out_of_the_training() -> None:
    for fold in of(CrossSubject(), n_subjects=3, odd={"s3": "twin of s1"}):
        involved = {fold.parts[i].subject for i in fold.sessions[fold.train]}
        assert involved == {"s1": {"s2"}, "s3": {"s2"}, "s2": {"s1", "s3"}}[fold.subject]
        assert ("another name" in fold.note) == (fold.subject != "s2")


def test_nothing_left_after_twins_is_an_error() -> None:
    found = of(CrossSubject(), n_subjects=2, odd={"s2": "twin of s1"})
    assert [fold.error for fold in found] == ["the training has 0 classes; it needs two"] * 2


@pytest.mark.parametrize(
    ("evaluation", "settings", "error"),
    [
        (WithinSession(), {"odd": {"s1": "single"}}, "class 'b' has one trial in session 1"),
        (WithinSession(folds=8), {"n_trials": 12}, "fewer than the 8 folds; set 'folds' to 6"),
        (Transfer(train=["a"], test=[2]), {}, "there is no session a; subject s1 has 1, 2"),
        (Transfer(train=[1, 2], test=[2]), {}, "session 2 is in 'train' and in 'test'"),
        (Transfer(train=[1], test=[7]), {}, "there is no session 7"),
        (
            LearningCurve(trials_per_class=[2]),
            {"odd": {"s1": "single"}},
            "class 'b' has one trial in session 1",
        ),
    ],
)
def test_what_cannot_be_split_says_why(
    evaluation: EvaluationPart, settings: dict[str, Any], error: str
) -> None:
    found = of(evaluation, n_subjects=1, **settings)
    assert error in found[0].error
    assert len(found[0].train) == 0


def test_one_session_gives_no_cross_session() -> None:
    assert of(CrossSession(), n_sessions=1) == []
    assert of(CrossSubject(), n_subjects=1) == []
