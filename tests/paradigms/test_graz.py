"""The Graz session as data: balance, order of what is shown, runs and rests, and its mistakes."""

from collections import Counter
from itertools import pairwise

import pytest
from pydantic import ValidationError

from bci.config import Config, GrazSettings
from bci.paradigms.graz import GrazTimetable
from bci.paradigms.timetable import markers

SETTINGS = GrazSettings(
    labels=("left", "right", "feet"), calibration_runs=2, feedback_runs=1, trials_per_label=3,
    rest_s=20.0, seed=4,
)  # fmt: skip


def runs(settings):
    """Trials, run by run."""
    trials = list(GrazTimetable(settings).trials())
    n = len(settings.asked) * settings.trials_per_label
    return [trials[k : k + n] for k in range(0, len(trials), n)]


def test_every_run_is_balanced_and_in_another_order():
    found = runs(SETTINGS)
    for run in found:
        assert Counter(t.label for t in run) == dict.fromkeys(("left", "right", "feet", "rest"), 3)
    orders = [tuple(t.label for t in run) for run in found]
    assert len(set(orders)) == 3
    assert orders == [tuple(t.label for t in run) for run in runs(SETTINGS)]
    assert orders != [
        tuple(t.label for t in run) for run in runs(SETTINGS.model_copy(update={"seed": 5}))
    ]


def test_a_trial_shows_cross_beep_cue_bar_and_a_pause_of_random_length():
    *calibration, feedback = runs(SETTINGS)
    for run in (*calibration, feedback):
        bar = [("feedback_on", 3.5), ("feedback_off", 7.0)] if run is feedback else []
        for trial in run:
            shown = [
                (m.value, round(m.t - trial.start_s, 9))
                for m in trial.markers
                if not m.value.startswith("run")
            ]
            plain = [("fixation", 0.0), ("beep", 2.0), (f"cue/{trial.label}", 3.0)]
            plain += [("imagery_on", 3.0), ("imagery_off", 7.0)]
            assert sorted(shown) == sorted(plain + bar)
            assert [t for _, t in shown] == sorted(t for _, t in shown)
            assert 1.0 <= trial.stop_s - trial.start_s - 7.0 <= 2.0


def test_runs_are_opened_closed_and_apart():
    found = runs(SETTINGS)
    said = [m.value for run in found for m in markers(run) if m.value.startswith("run")]
    assert said == ["run/calibration", "run_off"] * 2 + ["run/feedback", "run_off"]
    for run, following in pairwise(found):
        assert following[0].start_s - run[-1].stop_s == pytest.approx(20.0)
        assert all(a.stop_s == b.start_s for a, b in pairwise(run))
    times = [m.t for run in found for m in markers(run)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"labels": ["rest"]}, "two or more different ones; found rest, rest"),
        ({"labels": ["left"], "idle": None}, "two or more different ones; found left"),
        ({"calibration_runs": 0, "feedback_runs": 0}, "a paradigm needs a run"),
        ({"pause_s": [2, 1]}, "shortest and a longest pause; found 2.0, 1.0"),
        ({"beep_s": 4}, "the beep comes before the cue"),
        ({"feedback_delay_s": 4}, "the bar before the end of imagery"),
    ],
)
def test_a_timetable_that_cannot_be_is_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        GrazSettings(**given)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recording": None}, "trained and judged from its recording"),
        ({"decoder": None}, "trains a 'decoder' of another kind than 'model'"),
        ({"window": {"kind": "marker"}}, "needs window kind 'sliding'"),
        ({"events": {"left": "cue/left"}}, r"\{left: cue/left, right: cue/right, rest: cue/rest\}"),
        ({"decision": {"kind": "control"}}, r"set decision.idle to \[rest\]"),
        (
            {"decision": {"kind": "control", "idle": ["rest", "rset"]}},
            "names 'rset', which is no label",
        ),
        ({"source": {"kind": "simulated"}}, "set source.paradigm to 'imagery'"),
    ],
)
def test_a_session_that_does_not_fit_its_paradigm_is_refused(changes, said):
    whole = {
        "source": {"kind": "simulated", "paradigm": "imagery"},
        "paradigm": {"kind": "graz"},
        "events": {label: f"cue/{label}" for label in ("left", "right", "rest")},
        "decoder": {"kind": "mdm"},
        "decision": {"kind": "control", "idle": ["rest"]},
        "recording": {},
    }
    assert Config.model_validate(whole).paradigm == GrazSettings()
    with pytest.raises(ValidationError, match=said):
        Config.model_validate(whole | changes)
