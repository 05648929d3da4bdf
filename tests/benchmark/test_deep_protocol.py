"""The evaluation of the deep network's paper: who is trained on what, scores, going on."""

from __future__ import annotations

import numpy as np
import pytest

from bci.benchmark import deep_protocol
from bci.benchmark.datasets.simulated import SFREQ
from bci.benchmark.deep_protocol import (
    PAPER,
    BlockScore,
    leave_one_block_out,
    subject_accuracies,
    table,
    transfer_rate,
)
from bci.decoders.deep.training import Oversight, Recipe
from bci.errors import TrainingStopped
from bci.metrics import itr
from bci.paradigms.speller import TARGETS_12, SpellerTimetable
from bci.paradigms.subject import SimulatedSubject
from bci.paradigms.timetable import markers

TINY = Recipe(n_epochs=(2, 2), n_filters=4, batch_size=8, n_parallel=8, device="cpu")


def toy(n_subjects=2, n_blocks=3, n_times=30):
    rng = np.random.default_rng(0)
    blocks = np.tile(np.repeat(np.arange(n_blocks), 4), n_subjects)
    y = np.tile([*"abcd"], n_subjects * n_blocks)
    subjects = np.repeat([f"S{k}" for k in range(n_subjects)], n_blocks * 4)
    return 5 * rng.standard_normal((len(y), 3, n_times)), y, subjects, blocks


@pytest.mark.parametrize("stages", ["both", "first", "second"])
def test_a_tested_block_is_in_no_training(monkeypatch, stages):
    X, y, subjects, blocks = toy()
    seen = {}
    original = deep_protocol.two_stages

    def record(trials, first, second, recipe, oversight):
        seen.update(first=first, second=second)
        return original(trials, first, second, recipe, oversight)

    monkeypatch.setattr(deep_protocol, "two_stages", record)
    scores = leave_one_block_out(
        X, y, subjects, blocks, 100.0, window_s=(0.3,), stages=stages, recipe=TINY
    )
    assert [(s.subject, s.block) for s in scores] == [
        (f"S{p}", b) for p in (0, 1) for b in (0, 1, 2)
    ]
    assert all(s.n_trials == 4 for s in scores)
    for block, rows in enumerate(seen["first"]):
        np.testing.assert_array_equal(rows, np.flatnonzero(blocks != block))
    for score, (rows, origin) in zip(scores, seen["second"], strict=False):
        mine = (subjects == score.subject) & (blocks != score.block)
        np.testing.assert_array_equal(rows, np.flatnonzero(mine))
        assert origin == score.block
    assert (len(seen["first"]), len(seen["second"])) == {
        "both": (3, 6), "first": (3, 0), "second": (0, 6)
    }[stages]  # fmt: skip


def test_a_stopped_evaluation_goes_on_and_ends_the_same(tmp_path):
    X, y, subjects, blocks = toy()

    def run(**watch):
        return leave_one_block_out(
            X, y, subjects, blocks, 100.0, window_s=(0.2, 0.3), recipe=TINY,
            oversight=Oversight(checkpoint=tmp_path / "kept", **watch),
        )  # fmt: skip

    epochs = []
    for _ in range(4):  # each time one epoch further, over stages and lengths
        count = len(epochs)
        with pytest.raises(TrainingStopped):
            run(
                progress=lambda *what: epochs.append(what[:2]),
                should_stop=lambda n=count: len(epochs) > n,
            )
    assert epochs == [
        ("first stage", 1),
        ("first stage", 2),
        ("second stage", 1),
        ("second stage", 2),
    ]
    whole = leave_one_block_out(X, y, subjects, blocks, 100.0, window_s=(0.2, 0.3), recipe=TINY)
    assert run() == whole
    again = []
    assert run(progress=lambda *what: again.append(what)) == whole
    assert again == []


def test_rates_are_averaged_over_blocks_not_taken_at_the_mean():
    scores = [BlockScore("A", 0, 0.4, 10, 10), BlockScore("A", 1, 0.4, 10, 4)]
    scores.append(BlockScore("B", 0, 0.5, 10, 5))
    rates = transfer_rate(scores, 40)
    assert rates[0.4] == pytest.approx((itr(1.0, 40, 0.9) + itr(0.4, 40, 0.9)) / 2)
    assert rates[0.5] == pytest.approx(itr(0.5, 40, 1.0))
    np.testing.assert_allclose(subject_accuracies(scores, 0.4), [0.7])


def test_the_table_stands_beside_the_papers():
    scores = [BlockScore("A", 0, 0.4, 10, 9), BlockScore("B", 0, 0.4, 10, 7)]
    head, line = table(scores, 40, "Benchmark").splitlines()
    assert "paper" in head
    rate = transfer_rate(scores, 40)[0.4]
    assert line.split() == ["0.4", "s", "80.00", "14.14", f"{rate:.2f}", "79.89", "244.48"]
    assert "paper" not in table(scores, 40)


def test_the_papers_rates_are_above_the_rate_at_its_mean_accuracy():
    for figures in PAPER.values():
        for length, (accuracy, rate) in figures.items():
            assert 1.0 < rate / itr(accuracy / 100, 40, length + 0.5) < 1.35


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subjects": ["S0"]}, "subjects must name one for each of 24"),
        ({"blocks": np.zeros(24)}, "two or more; found blocks"),
        ({"window_s": (0.4,)}, "30 samples are shorter than 0.4 s"),
        ({"X": np.full((24, 3, 30), np.inf)}, "NaN or infinite"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(change, message):
    X, y, subjects, blocks = toy()
    given = {"X": X, "y": y, "subjects": subjects, "blocks": blocks, "window_s": (0.3,), **change}
    with pytest.raises(ValueError, match=message):
        leave_one_block_out(sfreq=100.0, recipe=TINY, **given)


# --- simulated participants -----------------------------------------------------------------------


def simulated(n_subjects, n_blocks, n_times, latency_s=0.14):
    """Trials of simulated participants before 12 targets, from the visual latency on."""
    X, y, subjects, blocks = [], [], [], []
    for seed in range(n_subjects):
        labels = tuple(target.label for target in TARGETS_12)
        trials = list(SpellerTimetable(labels, n_blocks, seed=seed).trials())
        person = SimulatedSubject(TARGETS_12, sfreq=SFREQ, seed=seed)
        for marker in markers(trials):
            person.see(marker.value, round(marker.t * SFREQ))
        data = person.generate(round(trials[-1].stop_s * SFREQ))
        for number, trial in enumerate(trials):
            start = round((trial.markers[1].t + latency_s) * SFREQ)
            X.append(data[start : start + n_times].T)
            y.append(trial.label)
            subjects.append(seed)
            blocks.append(number // len(labels))
    return np.array(X), np.array(y), np.array(subjects), np.array(blocks)


#: Ten times the paper's rate for a tenth of its epochs; all else is the paper's.
TENTH = Recipe(n_epochs=(100, 100), learning_rate=1e-3, device="cpu")


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_stages_beat_either_alone_on_simulated_participants(tmp_path):
    data = simulated(n_subjects=10, n_blocks=6, n_times=100)
    accuracy = {}
    for stages in ("both", "first", "second"):
        scores = leave_one_block_out(
            *data, SFREQ, window_s=(0.4,), stages=stages, recipe=TENTH,
            oversight=Oversight(checkpoint=tmp_path),
        )  # fmt: skip
        accuracy[stages] = subject_accuracies(scores, 0.4)
        print(
            f"\n{stages}: accuracy {accuracy[stages].mean():.3f}, "
            f"{transfer_rate(scores, 12)[0.4]:.1f} bit/min (simulated, 12 targets, 0.4 s); "
            f"each person: {', '.join(f'{a:.3f}' for a in accuracy[stages])}"
        )
    for alone in ("first", "second"):
        gain = accuracy["both"] - accuracy[alone]
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        print(f"both over {alone}: {gain.mean():+.3f}, standard error {error:.3f} over persons")
        assert gain.mean() > 0
