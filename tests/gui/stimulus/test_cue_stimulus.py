"""A Graz-style session in the stimulus window: what is painted, what the engine is told."""

import pytest
from pydantic import ValidationError

from bci.config import GrazSettings
from bci.paradigms.spelling_scene import Phase
from bci.types import Bar, Decision, Quality
from gui.stimulus.settings import StimulusSettings

PLAN = GrazSettings(
    calibration_runs=1, feedback_runs=1, trials_per_label=1, fixation_s=0.3, beep_s=0.2,
    imagery_s=0.5, feedback_delay_s=0.1, pause_s=(0.1, 0.1), idle=None,
)  # fmt: skip
TRAINED = {"decoder": {"labels": ["left", "right"]}, "paradigm": {"ready": True, "error": None}}
ORANGE, BLUE, GREY = (230, 159, 0), (86, 180, 233), (90, 106, 116)


@pytest.fixture
def stage(make):
    made = make(mode="graz", graz=PLAN)
    made.link.status = {**TRAINED, "paradigm": {"ready": False, "error": None}}
    return made


def colours(stage, region):
    """Colours in the left, middle or right third of the window."""
    image = stage.surface.image
    first = {"left": 0.05, "middle": 0.4, "right": 0.6}[region]
    columns = range(round(first * image.width()), round((first + 0.3) * image.width()), 4)
    rows = range(round(0.4 * image.height()), round(0.6 * image.height()), 3)
    return {image.pixelColor(x, y).getRgb()[:3] for x in columns for y in rows}


def decide(stage, cue, value, held=False):
    seq = stage.link.decisions.last_seq + 1
    proba = {} if held else {cue: (1 + value) / 2}
    made = Decision(seq, 0, 1, None, proba, Quality(), "mdm", bar=Bar(cue, value, held))
    stage.link.decisions.append(made.to_json())


def until(stage, condition, n=600):
    for _ in range(n):
        stage.frame()
        if condition(stage.presenter.screen.drawn):
            return stage.presenter.screen.drawn
    raise AssertionError(f"not within {n} frames; it is {stage.run.phase}")


def test_the_arrow_points_to_the_hand_and_the_bar_follows_the_decisions(stage):
    stage.started()
    for _ in range(2):
        cue = until(stage, lambda s: s.cue is not None).cue
        away = {"left": "right", "right": "left"}[cue]
        assert ORANGE in colours(stage, cue)
        assert ORANGE not in colours(stage, away)
        until(stage, lambda s: s.cue is None)
        assert colours(stage, cue) == {(0, 0, 0)}
    stage.until(Phase.BREAK)
    stage.presenter.go_on()
    stage.frames(30)
    assert stage.run.phase is Phase.BREAK  # it waits for the decoder
    stage.link.status = TRAINED
    cue = until(stage, lambda s: s.bar is not None).cue
    away = {"left": "right", "right": "left"}[cue]
    decide(stage, cue, 0.9)
    stage.frame()
    assert BLUE in colours(stage, cue)
    assert BLUE not in colours(stage, away)
    decide(stage, cue, -0.8)
    stage.frame()
    assert BLUE in colours(stage, away)
    decide(stage, cue, -0.8, held=True)
    stage.frame()
    assert GREY in colours(stage, away)


def test_the_engine_gets_every_marker_with_its_flip_and_the_application_what_was_decoded(stage):
    stage.started()
    stage.until(Phase.BREAK)
    stage.link.status = TRAINED
    stage.presenter.go_on()
    for _ in range(2):
        cue = until(stage, lambda s: s.bar is not None).cue
        decide(stage, cue, 0.5)
        until(stage, lambda s: s.bar is None)
    stage.until(Phase.OVER)
    values = stage.link.values
    assert values[0] == "run/calibration"
    assert values.count("run_off") == 2
    assert values.count("imagery_on") == values.count("imagery_off") == 4
    assert values.count("feedback_on") == values.count("feedback_off") == 2
    times = [t for _, t in stage.link.markers]
    assert times == sorted(times)
    assert len(stage.talk.all("beep")) == 4
    assert [line["right"] for line in stage.talk.all("selection")] == [True, True]
    assert stage.talk.all("state")[-1]["n_done"] == 4
    assert stage.talk.all("score")[-1]["accuracy"] == 1.0
    assert stage.link.kept == []  # the session has a report of its own


def test_escape_blanks_at_once_and_the_cue_is_taken_back(stage):
    stage.started()
    until(stage, lambda s: s.cue is not None)
    stage.presenter.blank()
    stage.frame()
    image = stage.surface.image
    assert image.pixelColor(image.width() // 2, image.height() // 2).getRgb()[:3] == (0, 0, 0)
    assert stage.link.values[-1] == "imagery_off"


def test_a_session_without_a_timetable_of_its_own_is_refused(stage):
    stage.link.status = {"decoder": {"labels": []}, "paradigm": None}
    stage.started().frame()
    assert "has no paradigm" in stage.talk.all("refused")[0]["why"][0]


def test_a_timetable_is_needed():
    with pytest.raises(ValidationError, match="under 'graz'"):
        StimulusSettings(url="http://x", mode="graz")
