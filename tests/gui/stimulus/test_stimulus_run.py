"""The flicker's presenter between its engine and its application."""

import io
import json
import threading

import pytest
from pydantic import ValidationError

from bci.paradigms.keyboard import UNDO, Key, KeyboardLayout
from bci.paradigms.layouts import load_layout
from bci.paradigms.planner import of_session
from bci.paradigms.speller import Target, retuned
from bci.paradigms.spelling_scene import Phase
from bci.types import Decision, Quality
from gui.link import Answer
from gui.stimulus.__main__ import main
from gui.stimulus.settings import StimulusSettings
from gui.stimulus.talk import MAX_LINES, Talk

SMALL = {"size": (400, 240)}


def decide(stage, label, seq):
    onset = [t for value, t in stage.link.markers if value == "stim_on"][-1]
    made = Decision(seq, 0, 1, label, {label: 0.96}, Quality(), "fbcca", marker="stim_on")
    stage.link.decisions.append(made.to_json() | {"t_first": onset + 0.14})


def test_a_word_is_copied_and_told(make):
    stage = make("40", mode="copy", phrase="hi", **SMALL).started()
    for seq in range(2):
        stage.until(Phase.FLICKER)
        stage.frames(30)
        decide(stage, stage.run.task.wanted(0, stage.run.keyboard), seq)
        stage.until(Phase.REST)
    stage.until(Phase.OVER)
    assert stage.run.text == "HI"
    said = stage.talk.all("selection")
    assert [(s["caption"], s["right"], s["probability"]) for s in said] == [
        ("H", True, 0.96), ("I", True, 0.96),
    ]  # fmt: skip
    assert stage.talk.all("score")[-1]["n_right"] == 2
    assert stage.talk.all("over")[0]["why"] == "the phrase is written"


def test_commands_of_the_application(make, spellers):
    stage = make(mode="free", **SMALL).measured()
    stage.talk.asked = [{"do": "start"}]
    stage.until(Phase.FLICKER)
    decide(stage, spellers["12"][1].labels[1], 0)
    stage.until(Phase.REST)
    assert stage.run.text == "E"
    for do, phase, text in (
        ("pause", Phase.PAUSED, "E"),
        ("undo", Phase.PAUSED, ""),
        ("clear", Phase.PAUSED, ""),
        ("start", Phase.CUE, ""),
        ("blank", Phase.PAUSED, ""),
        ("stop", Phase.OVER, ""),
    ):
        stage.talk.asked = [{"do": do}]
        stage.frame()
        assert (stage.run.phase, stage.run.text) == (phase, text)
    stage.talk.asked = [{"do": "dance"}]
    stage.frame()
    assert "unknown command" in stage.talk.all("trouble")[-1]["why"]


def test_calibration_is_refused_where_frames_are_dropped(make):
    stage = make(mode="calibration", **SMALL)
    stage.surface.late = [0.0] * 20 + [3.0, 0.0, 4.0]
    stage.started()
    stage.frames(10)
    (refused,) = stage.talk.all("refused")
    assert "7 of 67 frames were dropped" in refused["why"][0]
    assert stage.run.phase is Phase.READY
    assert stage.link.markers == []


@pytest.mark.parametrize(("refresh_hz", "fits"), [(60.0, True), (75.0, False)])
def test_whole_frames_are_shown_only_on_the_screen_they_were_planned_for(make, refresh_hz, fits):
    frequencies = [refresh_hz / n for n in range(4, 8)]
    session = {f"{hz:g} Hz": hz for hz in frequencies}
    flickers = of_session(session, "locked", refresh_hz)
    grid = [Target(name, hz, 0.0, 0, k) for k, (name, hz) in enumerate(session.items())]
    targets = retuned(grid, flickers)
    keys = (UNDO, *(Key("type", letter, letter) for letter in "ABC"))
    layout = KeyboardLayout(tuple(t.label for t in targets), {"home": keys})
    shown = [flickers[t.label] for t in targets]
    stage = make((targets, layout), shown, mode="calibration", **SMALL).started()
    stage.frames(10)
    refused = [why for line in stage.talk.all("refused") for why in line["why"]]
    assert (refused == []) == fits
    assert fits or "4 targets were planned for another screen" in refused[0]


def test_spelling_is_refused_where_the_decoder_knows_other_targets(make):
    stage = make(mode="copy", phrase="E", **SMALL)
    stage.link.status = {"decoder": {"labels": ["left", "right"]}}
    stage.started().frame()
    assert "names left, right" in stage.talk.all("refused")[0]["why"][0]


def test_a_start_waits_for_the_engine(make):
    stage = make(mode="free", **SMALL)
    stage.link.state = "connecting"
    stage.started().frames(100)
    assert stage.run.phase is Phase.READY
    stage.link.state = "live"
    stage.frame()
    assert stage.run.phase is Phase.CUE


def test_a_lost_engine_pauses_and_the_run_goes_on_when_it_is_back(make):
    stage = make(mode="free", **SMALL).started()
    stage.until(Phase.FLICKER)
    stage.link.state, stage.link.reason = "lost", "connection refused"
    stage.frame()
    assert stage.run.phase is Phase.PAUSED
    assert "connection refused" in stage.talk.all("trouble")[0]["why"]
    stage.frames(200)
    assert stage.run.phase is Phase.PAUSED
    stage.link.state = "live"
    stage.frame()
    assert stage.run.phase is Phase.CUE


def test_a_marker_that_the_engine_does_not_take_voids_its_trial(make):
    stage = make(mode="free", **SMALL).started()
    stage.until(Phase.FLICKER)
    stage.link.answer = Answer(False, 409, "the source has ended")
    stage.frame()
    assert (stage.run.phase, stage.run.n_void) == (Phase.PAUSED, 1)
    assert "the source has ended" in stage.talk.all("trouble")[0]["why"]
    assert stage.presenter.n_markers_lost == 1


def test_a_marker_of_an_earlier_trial_that_was_lost_voids_no_later_one(make):
    stage = make(mode="free", **SMALL).started()
    stage.until(Phase.FLICKER)
    stage.link.poll = lambda: None  # the engine is slow to answer
    stage.until(Phase.REST)
    stage.until(Phase.FLICKER)
    failed = Answer(False, None, "no answer within 5 s")
    stage.link._waiting[0][1](failed)
    stage.frame()
    assert stage.run.phase is Phase.FLICKER
    stage.link._waiting[-1][1](failed)
    stage.frame()
    assert stage.run.phase is Phase.PAUSED


# --- talk ----------------------------------------------------------------------------------------


class Pipe(io.TextIOBase):
    """Takes nothing before it is opened."""

    def __init__(self):
        self.open, self.lines = threading.Event(), []

    def write(self, text):
        self.open.wait(30.0)
        self.lines.append(json.loads(text))
        return len(text)


def test_an_application_that_takes_nothing_blocks_nothing():
    pipe = Pipe()
    talk = Talk(io.StringIO(""), pipe)
    talk.start()
    for k in range(MAX_LINES + 50):
        talk.say("state", number=k)
    assert 49 <= talk.n_lost <= 50  # one may be on its way
    pipe.open.set()
    talk.close()
    assert pipe.lines[-1] == {"say": "state", "number": MAX_LINES + 49}


def test_the_end_of_the_commands_is_a_stop_and_rubbish_is_said_so():
    lines = io.StringIO()
    talk = Talk(io.StringIO('{"do": "start"}\nrubbish\n'), lines)
    talk.start()
    talk._reader.join(10.0)
    talk.close()
    assert talk.commands() == [{"do": "start"}, {"do": "stop"}]
    assert "not a command: rubbish" in lines.getvalue()


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mode": "copy", "phrase": ""}, "nothing to copy"),
        ({"mode": "copy", "phrase": "ß€"}, "cannot type"),
        ({"pages": {"home": [("type", "A", "A")]}}, "one for each is needed"),
        ({"flicker": 1}, "flicker"),
    ],
)
def test_wrong_settings_say_why(spellers, changes, why):
    targets, layout = spellers["12"]
    with pytest.raises(ValidationError, match=why):
        StimulusSettings.describe(
            targets, layout, **({"url": "http://x", "mode": "free"} | changes)
        )


def test_a_speller_needs_keys():
    with pytest.raises(ValidationError, match="2 targets or more, found 0"):
        StimulusSettings(url="http://x", mode="free")


def test_settings_pass_through_json(spellers):
    targets, layout = spellers["40"]
    made = StimulusSettings.describe(targets, layout, url="http://x", mode="copy", phrase="hello")
    again = StimulusSettings.model_validate_json(made.model_dump_json())
    assert again == made
    assert again.keyboard().layout == layout
    assert again.task().phrase == "HELLO"


def test_a_process_with_wrong_settings_ends_with_the_reason(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"url": "http://x", "measure_s": 0.1}\n'))
    assert main() == 2
    (why,) = json.loads(capsys.readouterr().out)["why"]
    assert why.startswith("measure_s: ")


# --- language ------------------------------------------------------------------------------------


@pytest.fixture
def words(spellers):
    """A keyboard of 40 keys, some of which complete words."""
    pytest.importorskip("wordfreq", reason="wordfreq is not installed")
    return spellers["40"][0], load_layout("en_40")


def test_words_are_offered_and_each_trial_has_its_prior(make, words):
    stage = make(words, mode="copy", phrase="hello there ", **SMALL).started()
    given = []
    for seq in range(20):
        stage.until(Phase.FLICKER)
        prior = stage.link.priors[-1]
        wanted = stage.run.task.wanted(0, stage.run.keyboard)
        assert sum(prior.values()) == pytest.approx(1.0)
        given.append(prior[wanted])
        decide(stage, wanted, seq)
        stage.until(Phase.REST)
        stage.frames(30)
        if stage.run.phase is Phase.OVER:
            break
    assert stage.run.text == "HELLO THERE "
    assert len(stage.run.selections) < len("hello there ")
    assert sum(given) / len(given) > 5 / 40
    assert "complete" in [s["action"] for s in stage.talk.all("selection")]
    assert len(stage.link.priors) == stage.link.values.count("stim_on")
    stage.presenter.leave()
    assert stage.link.priors[-1] is None  # none is left behind


def test_an_engine_that_takes_no_prior_is_not_asked_again(make, words):
    stage = make(words, mode="free", **SMALL)
    stage.link.answers["/v1/prior"] = Answer(False, 400, "it needs growing windows")
    stage.started().until(Phase.FLICKER)
    stage.until(Phase.WAITING)
    stage.until(Phase.FLICKER)
    assert len(stage.link.priors) == 1
    assert stage.run.phase is Phase.FLICKER
    assert "growing windows" in stage.talk.all("trouble")[0]["why"]


def test_without_a_wish_for_it_and_in_calibration_there_is_no_prior(make, words):
    for settings in ({"mode": "free", "expects": False}, {"mode": "calibration"}):
        stage = make(words, **settings, **SMALL).started()
        stage.until(Phase.FLICKER)
        assert stage.link.priors == []
