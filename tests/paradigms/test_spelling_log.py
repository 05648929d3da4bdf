"""A speller's run, from its markers again."""

from bci.api.routes import MarkerRequest
from bci.paradigms import spelling_log
from bci.paradigms.spelling_log import recorded_runs
from bci.paradigms.spelling_scene import Selection

RIGHT = Selection("9.25 Hz", "9.25 Hz", "9.25 Hz", "E", "type", 0.93, False, 2.5)
NONE = Selection("9.25 Hz", None, None, "", "none", None, False, 3.0, "gap, lost samples")


def run(text="E"):
    return [
        (100, spelling_log.begin("copy", "EAT", 12, 59.94)),
        (600, spelling_log.selected(RIGHT, text, 150, 1)),
        (1300, spelling_log.selected(NONE, text, 300, 2)),
        (1400, spelling_log.end("stopped", text, 1, 310, 2)),
    ]


def test_a_run_comes_back_as_it_was():
    (found,) = recorded_runs(run())
    assert (found.start, found.stop, found.mode, found.phrase) == (100, 1400, "copy", "EAT")
    assert found.selections == [RIGHT, NONE]
    assert (found.text, found.why, found.n_void) == ("E", "stopped", 1)
    assert (found.n_flips, found.n_dropped, found.refresh_hz) == (310, 2, 59.94)
    score = found.score()
    assert (score.n_right, score.n_trials, score.n_unanswered) == (1, 2, 1)


def test_a_run_without_an_end_keeps_what_its_last_selection_says():
    (found,) = recorded_runs(run()[:-1])
    assert (found.stop, found.text, found.why, found.n_dropped) == (1300, "E", "", 2)


def test_other_markers_and_broken_ones_are_left_out():
    strange = [(1, "speller/selection {}"), (2, "note/hello"), (3, "speller/begin [1"),
               (4, "speller/begin {\"mode\":1}"), (150, "speller/end null")]  # fmt: skip
    (found,) = recorded_runs(sorted(strange + run()))
    assert found.selections == [RIGHT, NONE]


def test_every_marker_is_one_that_the_engine_takes():
    for _, value in run(text='"Ä' * 3000):
        assert MarkerRequest(value=value).value == value
