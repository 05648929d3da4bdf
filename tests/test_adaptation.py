"""A decoder that adapts inside the pipeline: the same for any chunks, counted, taken back."""

from __future__ import annotations

import numpy as np
import pytest

from bci import config
from bci.decoders import MDM, ContextualBandit, FilterBankTangentSpace, Recentred
from bci.decoders.learner import N_WAITING, Learner
from bci.pipeline import Pipeline
from bci.types import Chunk, DecoderSwap, Feedback, Gap, Quality, StreamInfo, Window

INFO = StreamInfo("test", 100.0, ("A", "B", "C"), ("eeg",) * 3)
SESSION = (
    "source: {kind: lsl}\nchannels: {montage: null}\nwindow: {length_s: 1.0, hop_s: 0.25}\n"
    "processing: [{kind: bandpass, low_hz: 5, high_hz: 40, order: 2}]\n"
)
N = 3000


def noise(seed=0, n=N):
    """White noise; channels are strong in turn, five seconds each, and all grow."""
    rng = np.random.default_rng(seed)
    gain = 1 + (np.arange(n) // 500 % 2 == np.arange(3)[:, None])
    return (rng.standard_normal((3, n)) * gain * np.exp(np.arange(n) / n)).T


def decoder(inner=None, around=Recentred):
    windows = noise(1, 6000).T.reshape(3, 60, 100).swapaxes(0, 1)
    labels = np.array(["x", "y"])[np.arange(60) // 5 % 2]
    return around(inner or MDM(), max_distance=2.0).fit(windows, labels)


def pipeline(adaptive):
    return Pipeline(config.loads(SESSION), INFO, adaptive, "m")


def extra():
    """What happens beside samples."""
    told = [Feedback(150 + 100 * k, 3 * k, k % 3 > 0) for k in range(25)]
    return sorted([*told, Gap(1210, 1260, "jump")], key=lambda event: event.at)


def play(line, sizes, events=()):
    data, waiting, start, decisions, k = noise(), list(events), 0, [], 0
    while start < N:
        stop = min(N, start + sizes[k % len(sizes)])
        while waiting and waiting[0].at < stop:
            decisions += line.push(waiting.pop(0))
        decisions += line.push(Chunk(start, data[start:stop]))
        start, k = stop, k + 1
    return decisions


def same(one, other):
    assert [(d.seq, d.first, d.last, d.label) for d in one] == [
        (d.seq, d.first, d.last, d.label) for d in other
    ]
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(list(a.proba.values()), list(b.proba.values()), atol=1e-9)


@pytest.mark.parametrize("around", [Recentred, ContextualBandit])
@pytest.mark.parametrize("inner", [MDM(), FilterBankTangentSpace(100.0, ((8, 20),))], ids=str)
def test_a_replay_with_feedback_gives_the_same_decisions_for_any_chunks(inner, around):
    model = decoder(inner, around)
    whole, parts, single = (pipeline(model) for _ in range(3))
    expected = play(whole, [N], extra())
    same(expected, play(parts, [1, 7, 130, 33], extra()))
    same(expected, play(single, [1], extra()))
    assert whole.learner.status() == parts.learner.status() == single.learner.status()
    without = play(pipeline(model), [N])
    assert [d.proba for d in without] != [d.proba for d in expected]


def test_what_is_learnt_stays_in_the_pipeline():
    model = decoder()
    before = model.whitener_.copy()
    line = pipeline(model)
    first = play(line, [N])
    assert line.learner.n_learnt > 10
    np.testing.assert_array_equal(model.whitener_, before)
    same(first, play(pipeline(model), [50]))


def test_a_swap_to_the_same_model_is_a_rollback():
    model = decoder()
    line = pipeline(model)
    play(line, [N])
    assert not np.array_equal(line.decoder.whitener_, model.whitener_)
    line.push(DecoderSwap(N, model, "m"))
    np.testing.assert_array_equal(line.decoder.whitener_, model.whitener_)
    assert line.learner.status() == {"learnt": 0, "refused": 0}


def test_windows_are_learnt_from_once_and_the_guard_counts():
    line = pipeline(decoder())
    n = len(play(line, [N], [Gap(1000, 1000, "jump")]))
    assert n > 100  # every 0.25 s one
    status = line.learner.status()
    assert 20 <= status["learnt"] + status["refused"] <= 40  # every second one, and the bad ones
    strong = pipeline(decoder())
    strong.push(Chunk(0, 100 * noise()))
    assert strong.learner.n_learnt == 0
    assert strong.learner.n_refused == 30
    assert strong.n_decoder_errors == 0


class Recorder:
    """Takes down what it is taught."""

    def __init__(self, fails=False):
        self.classes_ = np.array(["x", "y", "z"])
        self.taught, self.fails = [], fails

    def predict_proba(self, X):
        return np.array([[0.7, 0.2, 0.1]])

    def update(self, window, label=None):
        if self.fails:
            raise RuntimeError("no")
        self.taught.append((float(window[0, 0]), label))
        return True

    def rollback(self):
        self.taught = []


def window(start):
    return Window(start, start + 10, start, start + 9, np.full((3, 10), float(start)), Quality())


def test_feedback_confirms_the_label_decided_or_the_only_other_one():
    three = Learner(Recorder(), ["x", "y", "z"])
    for seq in range(3):
        three.decided(window(10 * seq), seq, seq)
    three.feedback(Feedback(0, 1, True))
    three.feedback(Feedback(0, 1, True))  # told twice
    three.feedback(Feedback(0, 2, False))  # not which of the others it is
    three.feedback(Feedback(0, 99, True))
    assert three.decoder.taught[3:] == [(10.0, "y")]
    two = Learner(Recorder(), ["x", "y"])
    two.decided(window(0), 0, 1)
    two.feedback(Feedback(0, 0, False))
    assert two.decoder.taught[1:] == [(0.0, "x")]


def test_feedback_may_name_the_label():
    three = Learner(Recorder(), ["x", "y", "z"])
    three.decided(window(0), 0, 0)
    with pytest.raises(ValueError, match="label 'w' is none of"):
        three.feedback(Feedback(0, 0, label="w"))
    three.feedback(Feedback(0, 0, label="z"))
    assert three.decoder.taught == [(0.0, None), (0.0, "z")]


@pytest.mark.parametrize("more", [{}, {"correct": True, "label": "x"}])
def test_feedback_says_one_thing(more):
    with pytest.raises(ValueError, match="feedback to decision 3 says either"):
        Feedback(0, 3, **more)


class Rewarded(Recorder):
    """Takes rewards too."""

    def reward(self, window, label, correct):
        self.taught.append((float(window[0, 0]), label, correct))
        return True


def test_a_reward_reaches_the_decoder_as_it_is():
    learner = Learner(Rewarded(), ["x", "y", "z"])
    for seq in range(3):
        learner.decided(window(10 * seq), seq, seq)
    assert learner.n_learnt == 0  # from windows alone it learns nothing
    learner.feedback(Feedback(0, 1, False))
    learner.feedback(Feedback(0, 2, True))
    learner.feedback(Feedback(0, 0, label="y"))
    assert learner.decoder.taught[3:] == [(10.0, "y", False), (20.0, "z", True), (0.0, "y")]
    assert learner.status() == {"learnt": 3, "refused": 0}


def test_feedback_on_old_decisions_comes_too_late():
    learner = Learner(Recorder(), ["x", "y"])
    for seq in range(N_WAITING + 1):
        learner.decided(window(10 * seq), seq, 0)
    learner.feedback(Feedback(0, 0, True))
    assert learner.n_learnt == N_WAITING + 1
    learner.feedback(Feedback(0, 1, True))
    assert learner.n_learnt == N_WAITING + 2


def test_a_decoder_that_fails_to_learn_still_decides():
    line = pipeline(Recorder(fails=True))
    decisions = line.push(Chunk(0, noise()))
    assert {d.label for d in decisions} == {"x"}
    assert line.n_decoder_errors == 30
