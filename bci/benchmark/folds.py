"""Who is trained on what.

Folds are those of MOABB's evaluations for the same seed: stratified and shuffled
within a session, leave-one-session-out, leave-one-subject-out. Stretches of time,
leave-one-block-out and stratified folds over a subject's sessions are not MOABB's. Two guards come
on top. Epochs cut from one trial stay on one side of every split. And a session
whose samples are also found under another name is left out of the training for
a test on its twin, which the fold's note says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bci.benchmark import learning_curve
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
from bci.benchmark.trials import Indices, blocked, blocks, stratified, too_few, trials_of_classes

#: Session of the rows that sessions were pooled for.
ALL_SESSIONS = "all"


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
    pooled : bool
        Whether the test is scored as one, whatever sessions it is from; otherwise each
        session has a score.
    """

    subject: str
    session: str
    number: int
    parts: tuple[Part, ...]
    train: Indices = field(repr=False)
    test: Indices = field(repr=False)
    note: str = ""
    error: str = ""
    pooled: bool = False

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
                yield from _within_session(part, evaluation, seed)
        elif isinstance(evaluation, LeaveOneBlockOut):
            for part in parts:
                yield from _leave_one_block_out(part)
        elif isinstance(evaluation, TrainingFree):
            for part in parts:
                yield _training_free(part)
        elif isinstance(evaluation, WithinSubject):
            yield from _within_subject(parts, evaluation.folds, seed)
        elif isinstance(evaluation, LearningCurve):
            for part in parts:
                yield from _learning_curve(part, evaluation, seed)
        elif isinstance(evaluation, CrossSession):
            yield from _cross_session(parts)
        elif isinstance(evaluation, Transfer):
            yield from _transfer(parts, evaluation)


def _refused(part: Part, error: str, session: str | None = None) -> Fold:
    nothing = np.zeros(0, dtype=np.int64)
    name = part.session if session is None else session
    return Fold(part.subject, name, 0, (part,), nothing, nothing, error=error)


def _within_session(part: Part, evaluation: WithinSession, seed: int) -> Iterator[Fold]:
    n_folds = evaluation.folds
    if error := too_few(part.y, part.trials, f"session {part.session}", n_folds):
        yield _refused(part, error)
        return
    if evaluation.order == "shuffled":
        splits = stratified(part.y, part.trials, n_folds, seed)
    else:
        splits = blocked(part.trials, n_folds)
        fewest = min(len(np.unique(part.y[test])) for _, test in splits)
        if fewest < len(np.unique(part.y)):
            yield _refused(
                part,
                f"a stretch of time of session {part.session} lacks a class; set 'folds' below "
                f"{n_folds}",
            )
            return
    for number, (train, test) in enumerate(splits):
        yield Fold(part.subject, part.session, number, (part,), train, test)


def _leave_one_block_out(part: Part) -> Iterator[Fold]:
    if error := too_few(part.y, part.trials, f"session {part.session}"):
        yield _refused(part, error)
        return
    of_epoch, found = blocks(part.y, part.trials), trials_of_classes(part.y, part.trials)
    n_blocks = min(found.values())
    n_over = sum(found.values()) - n_blocks * len(found)
    note = (
        f"in no whole block, so trained on only: {n_over} of the trials of session {part.session}"
        if n_over
        else ""
    )
    for number in range(n_blocks):
        train, test = np.flatnonzero(of_epoch != number), np.flatnonzero(of_epoch == number)
        yield Fold(part.subject, part.session, number, (part,), train, test, note)


def _training_free(part: Part) -> Fold:
    n, n_trials = len(part.y), len(np.unique(part.trials))
    note = (
        f"session {part.session}: {n} windows of {n_trials} trials; intervals and chance levels "
        "take windows for independent trials, which these are not"
        if n > n_trials
        else ""
    )
    nothing = np.zeros(0, dtype=np.int64)
    return Fold(part.subject, part.session, 0, (part,), nothing, np.arange(n), note)


def _within_subject(parts: list[Part], n_folds: int, seed: int) -> Iterator[Fold]:
    """Stratified folds over sessions; of a recording under two names the first one only."""
    distinct = tuple(
        part
        for number, part in enumerate(parts)
        if part.sha256 not in {earlier.sha256 for earlier in parts[:number]}
    )
    kept = {part.session for part in distinct}
    note = "; ".join(
        f"session {part.session} is left out: it is another one under another name"
        for part in parts
        if part.session not in kept
    )
    y, trials = np.concatenate([part.y for part in distinct]), trial_groups(distinct)
    if error := too_few(y, trials, f"subject {parts[0].subject}", n_folds):
        yield _refused(parts[0], error, session=ALL_SESSIONS)
        return
    for number, (train, test) in enumerate(stratified(y, trials, n_folds, seed)):
        yield Fold(
            parts[0].subject, ALL_SESSIONS, number, distinct, train, test, note, pooled=True
        )  # fmt: skip


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
    if error := too_few(part.y, part.trials, f"session {part.session}"):
        yield _refused(part, error)
        return
    try:
        splits = learning_curve.splits(part.y, part.trials, part.minutes, evaluation, seed)
    except ValueError as error:
        yield _refused(part, f"session {part.session} cannot be split: {error}")
        return
    for number, (train, test) in enumerate(splits):
        yield Fold(part.subject, part.session, number, (part,), train, test)
