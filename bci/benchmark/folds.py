"""Who is trained on what.

Folds are those of MOABB's evaluations for the same seed: stratified and shuffled
within a session, leave-one-session-out, leave-one-subject-out. Two guards come
on top. Epochs cut from one trial stay on one side of every split. And a session
whose samples are also found under another name is left out of the training for
a test on its twin, which the fold's note says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from bci.benchmark import learning_curve
from bci.benchmark.config import (
    CrossSession,
    CrossSubject,
    EvaluationPart,
    LearningCurve,
    Transfer,
    WithinSession,
)

Indices = learning_curve.Indices


@dataclass(frozen=True)
class Part:
    """What is known of the epochs of one session without their samples."""

    dataset: str
    subject: str
    session: str
    sha256: str
    y: NDArray[np.str_] = field(repr=False)
    trials: Indices = field(repr=False)
    n_channels: int
    n_times: int
    sfreq: float
    ch_names: tuple[str, ...] = field(repr=False)

    @property
    def minutes(self) -> float:
        """Minutes of EEG in one epoch."""
        return self.n_times / self.sfreq / 60.0


@dataclass(frozen=True)
class Fold:
    """One training with its test.

    Attributes
    ----------
    subject, session : str
        Who is tested; session "" where several are.
    number : int
    parts : tuple of Part
        The sessions involved; `train` and `test` count through their epochs.
    train, test : array of int
    note : str
        What the reader of the scores should know.
    error : str
        Why there is nothing to score; "" where there is.
    """

    subject: str
    session: str
    number: int
    parts: tuple[Part, ...]
    train: Indices = field(repr=False)
    test: Indices = field(repr=False)
    note: str = ""
    error: str = ""

    @property
    def y(self) -> NDArray[np.str_]:
        """Labels of the epochs of all parts."""
        return np.concatenate([part.y for part in self.parts])

    @property
    def sessions(self) -> NDArray[np.int64]:
        """For each epoch the number of its part."""
        return np.repeat(np.arange(len(self.parts)), [len(part.y) for part in self.parts])

    @property
    def trials(self) -> Indices:
        """A number for each epoch that epochs of one trial share, over all parts."""
        return trial_groups(self.parts)


def trial_groups(parts: Sequence[Part]) -> Indices:
    """Number the trials through all parts; epochs of one trial have the same number."""
    groups, first = [], 0
    for part in parts:
        numbers = np.unique(part.trials, return_inverse=True)[1]
        groups.append(numbers + first)
        first += int(numbers.max(initial=-1)) + 1
    return np.concatenate(groups)


def folds(evaluation: EvaluationPart, subjects: dict[str, list[Part]], seed: int) -> Iterator[Fold]:
    """All folds of an evaluation of epochs on one data set.

    Parameters
    ----------
    evaluation : EvaluationPart
        Any but pseudo-online.
    subjects : dict
        The sessions of each subject in order of time.
    seed : int
    """
    if isinstance(evaluation, CrossSubject):
        yield from _cross_subject(subjects)
        return
    for parts in subjects.values():
        if isinstance(evaluation, WithinSession):
            for part in parts:
                yield from _within_session(part, evaluation.folds, seed)
        elif isinstance(evaluation, LearningCurve):
            for part in parts:
                yield from _learning_curve(part, evaluation, seed)
        elif isinstance(evaluation, CrossSession):
            yield from _cross_session(parts)
        elif isinstance(evaluation, Transfer):
            yield from _transfer(parts, evaluation)


def stratified(
    y: NDArray[Any], trials: Indices, n_folds: int, seed: int
) -> list[tuple[Indices, Indices]]:
    """Stratified shuffled folds; by trials where a trial has several epochs."""
    if len(np.unique(trials)) == len(trials):
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(y, y))
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(y, y, trials))


def trials_of_classes(part: Part) -> Counter[str]:
    """Count the trials of each class."""
    pairs = {*zip(part.trials.tolist(), part.y.tolist(), strict=True)}
    return Counter(label for _, label in pairs)


def too_few(part: Part) -> str:
    """Why a session cannot be cut in two; "" where it can."""
    found = Counter(part.y.tolist())
    of_trials = Counter(
        label for _, label in {*zip(part.trials.tolist(), part.y.tolist(), strict=True)}
    )
    if len(found) < 2:
        return f"session {part.session} has one class only: {', '.join(found) or 'none'}"
    single = [label for label, n in sorted(of_trials.items()) if n < 2]
    if single:
        return (
            f"class '{single[0]}' has one trial in session {part.session}: it cannot be trained "
            "on and tested on"
        )
    return ""


def _refused(part: Part, error: str, session: str | None = None) -> Fold:
    nothing = np.zeros(0, dtype=np.int64)
    name = part.session if session is None else session
    return Fold(part.subject, name, 0, (part,), nothing, nothing, error=error)


def _within_session(part: Part, n_folds: int, seed: int) -> Iterator[Fold]:
    if error := too_few(part):
        yield _refused(part, error)
        return
    of_trials = Counter(
        label for _, label in {*zip(part.trials.tolist(), part.y.tolist(), strict=True)}
    )
    if (fewest := min(of_trials.values())) < n_folds:
        label = min(of_trials, key=lambda k: of_trials[k])
        yield _refused(
            part,
            f"class '{label}' has {fewest} trials in session {part.session}, fewer than the "
            f"{n_folds} folds; set 'folds' to {fewest} at most",
        )
        return
    for number, (train, test) in enumerate(stratified(part.y, part.trials, n_folds, seed)):
        yield Fold(part.subject, part.session, number, (part,), train, test)


def _cross_session(parts: list[Part]) -> Iterator[Fold]:
    if len(parts) < 2:
        return  # nothing to leave out; MOABB leaves such a subject out as well
    names = sorted(range(len(parts)), key=lambda i: parts[i].session)  # LeaveOneGroupOut's order
    for number, left_out in enumerate(names):
        others = [i for i in range(len(parts)) if i != left_out]
        yield _left_out(parts, others, [left_out], number)


def _transfer(parts: list[Part], evaluation: Transfer) -> Iterator[Fold]:
    train, test = (_chosen(parts, names) for names in (evaluation.train, evaluation.test))
    missing = [str(n) for n in (*evaluation.train, *evaluation.test) if not _chosen(parts, [n])]
    if missing:
        there = ", ".join(part.session for part in parts)
        yield _refused(
            parts[0],
            f"there is no session {', '.join(missing)}; subject {parts[0].subject} has {there}",
            session="",
        )
    elif both := set(train) & set(test):
        session = parts[min(both)].session
        yield _refused(parts[0], f"session {session} is in 'train' and in 'test'", session="")
    else:
        yield _left_out(parts, train, test, 0)


def _chosen(parts: list[Part], wanted: Sequence[int | str]) -> list[int]:
    """Numbers of the sessions wanted: by name, or counted from 1."""
    names = [part.session for part in parts]
    return [
        names.index(str(w)) if str(w) in names else int(w) - 1
        for w in wanted
        if str(w) in names or (isinstance(w, int) and 1 <= w <= len(parts))
    ]


def _cross_subject(subjects: dict[str, list[Part]]) -> Iterator[Fold]:
    if len(subjects) < 2:
        return
    parts = [part for name in subjects for part in subjects[name]]
    for number, subject in enumerate(subjects):
        test = [i for i, part in enumerate(parts) if part.subject == subject]
        others = [i for i, part in enumerate(parts) if part.subject != subject]
        yield _left_out(parts, others, test, number)


def _left_out(parts: Sequence[Part], train: list[int], test: list[int], number: int) -> Fold:
    """Train on some sessions and test on others, twins of the test left out of the training."""
    tested = {parts[i].sha256: parts[i] for i in test}
    kept = [i for i in train if parts[i].sha256 not in tested]
    note = "; ".join(
        f"session {parts[i].session} of subject {parts[i].subject} is left out of the training: "
        f"it is the recording of session {tested[parts[i].sha256].session} of subject "
        f"{tested[parts[i].sha256].subject} under another name"
        for i in train
        if parts[i].sha256 in tested
    )
    sides = [np.flatnonzero(np.isin(_part_numbers(parts), side)) for side in (kept, test)]
    labels = np.concatenate([part.y for part in parts])
    error = _one_sided(labels[sides[0]], labels[sides[1]])
    first = parts[test[0]]
    session = first.session if len(test) == 1 else ""
    return Fold(first.subject, session, number, tuple(parts), sides[0], sides[1], note, error)


def _part_numbers(parts: Sequence[Part]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(parts)), [len(part.y) for part in parts])


def _one_sided(train: NDArray[np.str_], test: NDArray[np.str_]) -> str:
    known, asked = set(train.tolist()), set(test.tolist())
    if len(known) < 2:
        return f"the training has {len(known)} class{'es' * (len(known) != 1)}; it needs two"
    if asked - known:
        return f"class '{min(asked - known)}' is in the test and not in the training"
    return ""


def _learning_curve(part: Part, evaluation: LearningCurve, seed: int) -> Iterator[Fold]:
    if error := too_few(part):
        yield _refused(part, error)
        return
    try:
        splits = learning_curve.splits(part.y, part.trials, part.minutes, evaluation, seed)
    except ValueError as error:
        yield _refused(part, f"session {part.session} cannot be split: {error}")
        return
    for number, (train, test) in enumerate(splits):
        yield Fold(part.subject, part.session, number, (part,), train, test)
