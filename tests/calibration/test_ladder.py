"""The ladder: what it judges, on what, what it decides, and how it goes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import yaml
from sklearn.base import BaseEstimator, ClassifierMixin

from bci import config
from bci.calibration.climb import climb, rungs_of
from bci.calibration.forecast import Forecast, learning_curve
from bci.calibration.ladder import Ladder, assess
from bci.calibration.outcomes import Evidence, as_it_is, cross_validate, folds
from bci.calibration.selections import Selections, blocks_of, gather
from bci.config import DecoderSettings
from bci.errors import ConfigError
from bci.sources.files import Recording
from bci.types import Feedback, RawMarker, StreamInfo

LABELS = ("a", "b", "c", "d")
EVIDENCE = Evidence((100,))


class Sure(ClassifierMixin, BaseEstimator):
    """Right where the number that a window carries lies below `share`; remembers its training.

    It takes the label from the window, so that its share of right ones is known.
    """

    locked: ClassVar[bool] = False
    trained: ClassVar[list[Any]] = []

    def __init__(self, share=1.0, least=1, per_trial=0.0):
        self.share, self.least, self.per_trial = share, least, per_trial

    def fit(self, X, y):
        if len(y) < self.least:
            raise ValueError(f"{self.least} windows are needed")
        Sure.trained.append(list(y))
        self.classes_ = np.array(LABELS)
        self.share_ = self.share + self.per_trial * len(y)
        return self

    def predict_proba(self, X):
        codes = X[:, 0, 0].astype(int)
        codes = np.where(X[:, 0, 1] < self.share_, codes, (codes + 1) % 4)
        return 0.9 * np.eye(4)[codes] + 0.025


class Locked(Sure):
    locked: ClassVar[bool] = True


class ToySettings(DecoderSettings):
    decoder: ClassVar[type[Sure]] = Sure
    kind: str = "toy"
    share: float = 1.0
    least: int = 1
    per_trial: float = 0.0

    def build(self, info):
        return self.decoder(self.share, self.least, self.per_trial)


class LockedSettings(ToySettings):
    decoder: ClassVar[type[Sure]] = Locked


def selections(n_blocks=6, spelled=(), seed=0):
    """Blocks of cued selections, then confirmed ones with these labels."""
    cued_labels = list(LABELS) * n_blocks
    labels = [*cued_labels, *spelled]
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((len(labels), 1, 100))
    X[:, 0, 0] = [LABELS.index(label) for label in labels]
    X[:, 0, 1] = rng.random(len(labels))
    cued = np.arange(len(labels)) < len(cued_labels)
    return Selections(
        X, np.array(labels), cued,
        np.concatenate([blocks_of(cued_labels), 100 + np.arange(len(spelled))]),
        3.0 * np.arange(len(labels)), StreamInfo("toy", 100.0, ("Oz",), ("eeg",)),
    )  # fmt: skip


def rungs(**shares):
    return {kind: ToySettings(kind=kind, share=share) for kind, share in shares.items()}


# --- what is trained on, and judged --------------------------------------------------------------


def test_the_nth_of_a_label_is_in_block_n():
    assert blocks_of("abbacab").tolist() == [0, 0, 1, 1, 0, 2, 2]


def test_cued_ones_are_judged_and_confirmed_ones_train_too():
    some = selections(3, spelled=["a", "c"])
    Sure.trained.clear()
    found = cross_validate(ToySettings(), some, EVIDENCE)
    assert len(found.right) == 12
    assert found.seconds.tolist() == [1.5] * 12
    for trained in Sure.trained:  # two blocks, and the letters
        assert sorted(trained) == sorted([*LABELS, *LABELS, "a", "c"])
    assert some.minutes_per_block() == pytest.approx(0.2)


def test_no_selection_is_judged_by_what_was_trained_on_it():
    some = selections(20)
    tests = folds(some)
    assert len(tests) == 8
    assert sum(test.astype(int) for test in tests).tolist() == [1] * 80
    assert all(len(np.intersect1d(some.blocks[t], some.blocks[~t])) == 0 for t in tests)


def test_evidence_grows_until_it_is_enough():
    session = config.loads(
        "source: {kind: simulated}\nevents: {a: 1}\n"
        "window: {kind: growing, min_s: 0.5, hop_s: 0.2, length_s: 1.0}\n"
        "decision: {kind: dynamic, target_error: 0.2}"
    )
    evidence = Evidence.of(session, 100.0)
    assert evidence == Evidence((50, 70, 90, 100), 0.2)
    some = selections(3)
    assert set(cross_validate(ToySettings(), some, evidence).seconds) == {1.0}  # sure at once
    never = Evidence((50, 70, 90, 100), 0.01)
    assert set(cross_validate(ToySettings(), some, never).seconds) == {1.5}


class Hasty(Sure):
    """As sure of 0.5 s as of 0.9 s, from which on it is always right."""

    any_length: ClassVar[bool] = True

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        if X.shape[2] >= 90:
            proba = 0.9 * np.eye(4)[X[:, 0, 0].astype(int)] + 0.025
        return proba


class HastySettings(ToySettings):
    decoder: ClassVar[type[Sure]] = Hasty


def test_a_decoder_is_judged_with_the_stopping_rule_it_would_carry():
    growing, some = Evidence((50, 70, 90, 100), 0.2), selections(12)
    by_its_word = cross_validate(ToySettings(share=0.6), some, growing)
    assert set(by_its_word.seconds) == {1.0}
    assert by_its_word.accuracy < 0.8
    by_its_rule = cross_validate(HastySettings(share=0.6), some, growing)
    assert set(by_its_rule.seconds) == {1.4}
    assert by_its_rule.accuracy == 1.0


# --- what is decided -----------------------------------------------------------------------------


def test_the_credibly_best_rung_takes_over():
    found = assess(rungs(low=0.3, middle=0.8, high=1.0), "low", selections(), EVIDENCE, {})
    assert (found.chosen, found.hands_over, found.spent) == ("high", True, 0.025)
    assert found.reason.startswith("high takes over from low: +")
    assert "on 24 cued selections (p = 0.0" in found.reason
    scores = {score.rung: score for score in found.scores}
    assert scores["high"].n_right == scores["high"].n == 24
    assert scores["high"].gain_low > 0
    assert scores["low"].p is None
    assert json.loads(json.dumps(found.to_json()))["chosen"] == "high"


def test_an_equal_or_slightly_better_rung_does_not():
    for share in (0.7, 0.75):
        found = assess(rungs(low=0.7, high=share), "low", selections(), EVIDENCE, {})
        assert found.chosen == "low"
        assert found.reason.startswith("low stays: nothing above it is credibly better")
        assert found.spent == 0.0  # too few differ: it could not have been significant
        assert found.forecast is None


def test_later_looks_ask_for_more():
    known = rungs(low=0.5, high=1.0)
    some = selections(4)
    assert assess(known, "low", some, EVIDENCE, {}, look=1).chosen == "high"
    late = assess(known, "low", some, EVIDENCE, {}, look=60)
    assert late.chosen == "low"
    assert "this look's limit is 0.0000" in late.reason


def test_what_cannot_be_is_told():
    known = {
        **rungs(low=0.3, back=1.0),
        "locked": LockedSettings(kind="locked"),
        "greedy": ToySettings(kind="greedy", least=1000),
    }
    hz = dict(zip(LABELS, (9.0, 11.0, 13.0, 15.0), strict=True))
    found = assess(known, "low", selections(), EVIDENCE, hz, held=["back"])
    assert {s.rung: s.why_not for s in found.scores} == {
        "low": None,
        "back": "was rolled back",
        "locked": "needs phase-locked responses",
        "greedy": "cannot be judged yet: 1000 windows are needed",
    }
    assert found.chosen == "low"
    assert found.reason == "low stays: no rung above it can be judged."
    assert found.phase_locking is not None
    assert found.phase_locking.locked is False
    assert any("are not phase-locked" in line for line in found.lines())
    one_block = assess(rungs(low=0.3, high=1.0), "low", selections(1), EVIDENCE, {})
    assert one_block.reason.startswith("low stays: it cannot be judged yet: two blocks")


def test_responses_that_are_locked_admit_templates():
    some = selections(6)
    hz = dict(zip(LABELS, (9.0, 11.0, 13.0, 15.0), strict=True))
    for window, label in zip(some.X, some.y, strict=True):
        window[0, 2:] += 3 * np.sin(2 * np.pi * hz[label] * np.arange(98) / 100)
    known = {**rungs(low=0.3), "locked": LockedSettings(kind="locked")}
    assert assess(known, "low", some, EVIDENCE, hz).chosen == "locked"


# --- the forecast --------------------------------------------------------------------------------


def test_a_forecast_where_more_training_helps():
    """A rung that gets better with each trial, not yet credibly better than the one in use."""
    known = {
        "low": ToySettings(kind="low", share=0.55),
        "high": ToySettings(kind="high", share=0.0, per_trial=0.038),
    }
    some = selections(5, seed=3)
    curve = learning_curve(known["high"], some, EVIDENCE)
    assert list(curve) == [1, 2, 3, 4]
    accuracies = [o.accuracy for o in curve.values()]
    assert accuracies == sorted(accuracies)
    found = assess(known, "low", some, EVIDENCE, {}, look=1000)
    assert found.chosen == "low"
    assert isinstance(found.forecast, Forecast)
    assert 0 < found.forecast.low < found.forecast.gain
    assert found.forecast.minutes == pytest.approx(1.0)
    assert str(found.forecast).startswith("about 1.0 more minutes of calibration for +")


def test_no_forecast_where_it_cannot_be_known():
    few = assess(rungs(low=0.5, high=0.6), "low", selections(3), EVIDENCE, {})
    assert few.forecast is None
    assert learning_curve(ToySettings(), selections(3), EVIDENCE) == {}
    no_better = assess(rungs(low=0.8, high=0.8), "low", selections(6), EVIDENCE, {})
    assert no_better.forecast is None


# --- up and down ---------------------------------------------------------------------------------


def test_a_roll_back_holds_what_it_leaves():
    ladder = Ladder(["low", "middle", "high"])
    with pytest.raises(ValueError, match="nothing to roll back: 'low' is the first rung"):
        ladder.rollback()
    ladder.take("middle", spent=True)
    ladder.take("high", spent=True)
    ladder.take("high", spent=False)
    assert (ladder.current, ladder.previous, ladder.look) == ("high", "middle", 3)
    assert ladder.ends_here
    assert ladder.rollback() == "middle"
    assert (ladder.held, ladder.ends_here) == ({"high"}, True)
    assert ladder.rollback() == "low"
    assert (ladder.held, ladder.previous) == ({"high", "middle"}, None)


# --- from a session's files ----------------------------------------------------------------------

HZ = {"x": 10.0, "y": 13.0}
SESSION = {
    "source": {"kind": "simulated"},
    "channels": {"montage": None},
    "events": {label: f"cue/{label}" for label in HZ},
    "window": {"kind": "marker", "markers": ["go"], "length_s": 1.0},
    "decoder": {"kind": "fbcca", "frequencies_hz": HZ, "harmonics": 2, "channels": ["Oz", "O1"]},
    "ladder": {"rungs": ["band_power", "trca"]},
    "recording": {"root": "recordings"},
}


def session(**changes):
    return config.loads(yaml.safe_dump({**SESSION, **changes}))


def recorded():
    """Trials of 2 s: eight cued, then four spelled."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((2 * 12 * 200 + 400, 2))
    markers, t = [], np.arange(200) / 200
    for k in range(12):
        onset, label = 100 + 400 * k, list(HZ)[k % 2]
        if k < 8:
            markers.append(RawMarker(f"cue/{label}", 0.0, onset - 20))
        markers.append(RawMarker("go", 0.0, onset))
        data[onset : onset + 200] += np.sin(2 * np.pi * HZ[label] * t)[:, None]
    info = StreamInfo("made", 200.0, ("Oz", "O1"), ("eeg", "eeg"))
    return Recording(Path("made.npz"), info, data, np.arange(len(data)) / 200.0, markers)


def decided(k, label, n=200):
    return {"seq": k, "first": 100 + 400 * k, "last": 100 + 400 * k + n - 1, "label": label}


def test_selections_of_a_session():
    """Cued, spelled, undone, abstained, decided early; the newest letter waits."""
    made = [decided(k, "x") for k in range(8)]
    made += [decided(8, "x"), decided(9, "x"), decided(10, None), decided(11, "y")]
    log = [Feedback(4000, 9, False)]
    found = gather(session(), recorded(), log, made)
    assert found.y.tolist() == ["x", "y"] * 4 + ["x"]
    assert found.cued.tolist() == [True] * 8 + [False]
    assert (found.n_spelled, found.n_undone) == (2, 1)
    assert found.blocks[:8].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(set(found.blocks)) == 5
    assert found.onsets_s[:2].tolist() == [0.5, 2.5]
    assert found.X.shape == (9, 2, 200)
    confirmed = gather(session(), recorded(), [*log, Feedback(5000, 11, True)], made)
    assert confirmed.y.tolist()[-1] == "y"
    labels = [Feedback(4000, 9, label="y"), Feedback(5000, 11, label="y")]
    named = gather(session(), recorded(), labels, made)
    assert (named.y.tolist(), named.n_undone) == (confirmed.y.tolist(), 1)
    early = [*made[:8], decided(8, "x", 120), decided(9, "x"), decided(11, "y")]
    short = gather(session(), recorded(), log, early)
    assert (len(short.y), short.n_spelled, short.n_undone) == (8, 2, 1)  # but it counts


def test_the_command_tells_and_trains(tmp_path):
    recording = recorded()
    path = tmp_path / "made.npz"
    np.savez(
        path, data=recording.data, sfreq=200.0, ch_names=("Oz", "O1"), ch_types=("eeg", "eeg"),
        markers=np.array([(m.index, m.value) for m in recording.markers], dtype=str),
    )  # fmt: skip
    said = []
    found = climb(session(), path, out=tmp_path / "look", report=said.append)
    assert said[0] == "8 cued selections in 4 blocks, 0 spelled, 0 of them undone"
    assert said[-1] == found.reason
    assert found.chosen == "fbcca"  # it is right always
    written = json.loads((tmp_path / "look" / "assessment.json").read_text())
    assert written["reason"] == found.reason
    assert not (tmp_path / "look" / "model").exists()
    with pytest.raises(ConfigError, match="tdca is no rung of the ladder, which has fbcca, band"):
        climb(session(), path, out=None, current="tdca", report=said.append)


def test_a_rung_by_its_kind_shares_the_decoders_settings():
    known = rungs_of(session())
    assert list(known) == ["fbcca", "band_power", "trca"]
    assert known["band_power"].frequencies_hz == HZ
    assert known["band_power"].harmonics == 2
    assert known["trca"].channels == ["Oz", "O1"]
    again = config.loads(config.dump(session()))
    assert again == session()
    own = session(ladder={"rungs": [{"kind": "band_power", "frequencies_hz": HZ, "C": 0.1}]})
    assert (rungs_of(own)["band_power"].C, rungs_of(own)["band_power"].harmonics) == (0.1, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ladder": {"rungs": ["trca", "trka"]}}, "unknown decoder kind 'trka'; did you mean"),
        ({"ladder": {"rungs": ["fbcca"]}}, "must be of different kinds, none of them 'model'"),
        ({"ladder": {"rungs": []}}, "'ladder.rungs': .* at least 1 item"),
        ({"decoder": None}, "starts on a 'decoder' of another kind than 'model'|is missing"),
        ({"recording": None}, "add 'recording'"),
        ({"window": {"kind": "sliding"}}, "needs selections: window kind 'marker' or 'growing'"),
    ],
)
def test_a_ladder_that_cannot_stand_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        session(**changes)


def test_the_first_rung_is_judged_as_it_is_in_use():
    """FBCCA before calibration is less sure, so that it takes longer."""
    growing = Evidence((100, 150, 200), 0.2)
    some = gather(session(), recorded(), [], [])
    known = rungs_of(session())
    found = as_it_is(known["fbcca"], some, growing)
    assert found.right.all()
    assert as_it_is(known["trca"], some, growing) is None
    calibrated = cross_validate(known["fbcca"], some, growing)
    assert calibrated.right.all()
    assert calibrated.seconds.mean() < found.seconds.mean()
    judged = assess(known, "fbcca", some, growing, HZ, foresee=False)
    assert judged.scores[0].seconds == found.seconds.mean()


def test_what_is_no_ladder_is_told():
    with pytest.raises(ConfigError, match="has no 'ladder'"):
        rungs_of(session(ladder=None))
