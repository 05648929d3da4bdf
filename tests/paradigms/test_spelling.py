"""The speller's run, without a screen: markers, text and score under any course of events."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.metrics import accuracy_interval, itr
from bci.paradigms.keyboard import KEYBOARD_12, KEYBOARD_40, Keyboard
from bci.paradigms.spelling import ASLEEP, Phase, SpellingRun
from bci.paradigms.spelling_scene import SpellingTimes
from bci.paradigms.spelling_score import score
from bci.paradigms.spelling_tasks import Calibration, Copying, FreeSpelling
from bci.paradigms.timetable import CUE, STIM_OFF, STIM_ON
from bci.types import Decision, Quality

FRAME_S = 1 / 60
TIMES = SpellingTimes(cue_s=0.1, stim_s=0.4, wait_s=0.2, feedback_s=0.1, rest_s=0.05)
LABELS = KEYBOARD_12.labels


def decision(label, t_first, *, alone=None, **changes):
    """As it comes over the wire."""
    quality = changes.pop("quality", Quality())
    proba = {} if label is None else {label: 0.97}
    made = Decision(0, 0, 1, label, proba, quality, "fbcca", marker=STIM_ON, **changes)
    wire = made.to_json() | {"t_first": t_first}
    return wire if alone is None else wire | {"prior": True, "proba_decoder": {alone: 0.5}}


class Screen:
    """Shows a run frame by frame; the engine's clock is 100 s ahead of the schedule's."""

    AHEAD = 100.0

    def __init__(self, run):
        self.run, self.t, self.markers, self.scenes = run, 0.0, [], []

    @property
    def clock(self):
        return self.t + self.AHEAD

    @property
    def scene(self):
        return self.scenes[-1]

    def frame(self):
        scene = self.run.frame(self.t)
        self.scenes.append(scene)
        self.markers += self.run.flipped(scene, self.clock)
        self.t += FRAME_S

    def show(self, seconds):
        for _ in range(round(seconds / FRAME_S)):
            self.frame()

    def until(self, phase, seconds=30.0):
        for _ in range(round(seconds / FRAME_S)):
            self.frame()
            if self.scene.phase is phase:
                return
        raise AssertionError(f"no {phase} within {seconds} s; it is {self.scene.phase}")

    def decide(self, label, **changes):
        onset = [m.t for m in self.markers if m.value == STIM_ON][-1]
        return self.run.decide(decision(label, onset + 0.14, **changes))

    @property
    def values(self):
        return [m.value for m in self.markers]


def started(task, layout=KEYBOARD_12, times=TIMES):
    screen = Screen(SpellingRun(task, Keyboard(layout), times))
    screen.run.start()
    return screen


def copying(phrase, **settings):
    return started(Copying(phrase, **settings))


# --- one trial -----------------------------------------------------------------------------------


def test_a_trial_and_its_markers():
    screen = copying("E")
    wanted = Keyboard(KEYBOARD_12).targets_for("E")[0]
    screen.until(Phase.FLICKER)
    screen.show(0.2)
    assert screen.decide(wanted)
    screen.until(Phase.OVER)
    assert screen.values == [CUE + wanted, STIM_ON, STIM_OFF]
    cue, on, off = (m.t for m in screen.markers)
    assert on - cue == pytest.approx(TIMES.cue_s, abs=FRAME_S)
    assert off - on == pytest.approx(0.2, abs=2 * FRAME_S)  # with the decision, not the time
    assert screen.run.text == "E"
    (done,) = screen.run.selections
    assert (done.wanted, done.label, done.right, done.caption) == (wanted, wanted, True, "E")
    assert done.probability == 0.97
    assert done.seconds == pytest.approx(0.1 + 0.2 + 0.1 + 0.05, abs=3 * FRAME_S)


def test_what_the_scenes_show():
    screen = copying("E")
    wanted = Keyboard(KEYBOARD_12).targets_for("E")[0]
    other = LABELS[3]
    screen.frame()
    assert (screen.scene.cue, screen.scene.flicker_since) == (wanted, None)
    screen.until(Phase.FLICKER)
    assert screen.scene.flicker_since == pytest.approx(screen.t - FRAME_S)
    assert screen.scene.cue == wanted
    screen.show(0.1)
    screen.decide(other)
    screen.frame()
    assert (screen.scene.phase, screen.scene.chosen) == (Phase.FEEDBACK, other)
    assert screen.scene.right is False
    assert screen.scene.flicker_since is None


def test_without_a_decision_the_time_ends_it():
    screen = copying("E")
    screen.until(Phase.WAITING)
    on, off = screen.markers[1:]
    assert off.t - on.t == pytest.approx(TIMES.stim_s, abs=FRAME_S)
    screen.until(Phase.CUE)
    (done,) = screen.run.selections
    assert (done.label, done.right, done.reason) == (None, False, "no decision came")


def test_a_decision_may_come_when_the_flicker_is_over():
    screen = copying("E")
    screen.until(Phase.WAITING)
    assert screen.decide(Keyboard(KEYBOARD_12).targets_for("E")[0])
    screen.frame()
    assert screen.scene.phase is Phase.FEEDBACK
    assert screen.run.text == "E"


def test_an_abstention_selects_nothing_and_says_why():
    screen = copying("E")
    screen.until(Phase.FLICKER)
    assert screen.decide(None, quality=Quality(False, ("amplitude",)))
    screen.until(Phase.CUE)
    assert screen.run.text == ""
    assert screen.run.selections[0].reason == "amplitude"


def test_the_class_of_another_speller_selects_nothing():
    screen = copying("E")
    screen.until(Phase.FLICKER)
    assert screen.decide("left hand")
    screen.until(Phase.CUE)
    assert screen.run.selections[0].reason == "'left hand' is no target"


def test_decisions_of_an_earlier_trial_do_not_count():
    screen = copying("TEA")
    screen.until(Phase.FLICKER)
    old = screen.clock
    screen.decide(LABELS[3])
    assert not screen.run.decide(decision(LABELS[4], old + 0.14))  # one is enough
    screen.until(Phase.FLICKER)
    assert not screen.run.decide(decision(LABELS[4], old + 0.14))
    assert screen.run.decide(decision(LABELS[4], screen.clock + 0.14))


def test_a_sliding_windows_abstention_does_not_end_a_trial():
    screen = copying("E")
    screen.until(Phase.FLICKER)
    running = decision(None, screen.clock) | {"marker": None}
    assert not screen.run.decide(running)
    assert screen.scene.phase is Phase.FLICKER


# --- whole runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [KEYBOARD_12, KEYBOARD_40], ids=["12", "40"])
def test_a_person_without_fault_copies_in_the_fewest_selections(layout):
    screen = started(Copying("HELLO BCI"), layout)
    while screen.run.phase is not Phase.OVER:
        screen.frame()
        if screen.scene.phase is Phase.FLICKER:
            screen.decide(screen.run.task.wanted(0, screen.run.keyboard))
    assert screen.run.text == "HELLO BCI"
    assert len(screen.run.selections) == len(Keyboard(layout).targets_for("HELLO BCI"))
    assert all(s.right for s in screen.run.selections)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_wrong_letters_are_undone(data):
    wrong = data.draw(st.lists(st.sampled_from(LABELS), max_size=6))
    screen = copying("TEA", patience=100)
    while screen.run.phase is not Phase.OVER:
        screen.frame()
        if screen.scene.phase is Phase.FLICKER:
            wanted = screen.run.task.wanted(0, screen.run.keyboard)
            screen.decide(wrong.pop() if wrong else wanted)
    assert screen.run.text == "TEA"
    assert screen.scene.note == "the phrase is written"


def test_patience_ends():
    screen = copying("EE", patience=2)
    screen.until(Phase.OVER)
    assert len(screen.run.selections) == 4
    assert screen.scene.note == "given up after 4 selections, where 2 would have done"


def test_calibration_cues_every_target_once_a_block_and_rests_between():
    task = Calibration(LABELS, n_blocks=2, seed=3)
    screen = started(task)
    for block in (1, 2):
        for k in range(12):
            screen.until(Phase.FLICKER)
            screen.show(0.05)
            screen.decide(LABELS[k])  # whatever it is, the flicker keeps its time
            screen.until(Phase.FEEDBACK)
        screen.until(Phase.BREAK if block == 1 else Phase.OVER)
        if block == 1:
            assert screen.scene.note.startswith("block 1 of 2 is done")
            screen.show(3.0)  # as long as the participant wants
            screen.run.start()
    cues = [v.removeprefix(CUE) for v in screen.values if v.startswith(CUE)]
    assert sorted(cues[:12]) == sorted(cues[12:]) == sorted(LABELS)
    assert cues[:12] != cues[12:]
    on = [m.t for m in screen.markers if m.value == STIM_ON]
    off = [m.t for m in screen.markers if m.value == STIM_OFF]
    assert [b - a for a, b in zip(on, off, strict=True)] == pytest.approx(
        [TIMES.stim_s] * 24, abs=1.1 * FRAME_S
    )
    assert screen.run.text == ""
    assert [s.label for s in screen.run.selections] == [*LABELS, *LABELS]


def test_a_late_decision_still_belongs_to_its_calibration_trial():
    screen = started(Calibration(LABELS, 1))
    screen.until(Phase.FEEDBACK)
    wanted = screen.values[0].removeprefix(CUE)
    assert screen.decide(wanted)
    screen.frame()
    assert (screen.scene.chosen, screen.scene.right) == (wanted, True)


# --- free spelling -------------------------------------------------------------------------------


def answer(screen, label, **changes):
    screen.until(Phase.FLICKER)
    screen.decide(label, **changes)
    screen.until(Phase.CUE)


def test_who_looks_away_puts_the_speller_to_sleep_and_wakes_it_without_writing():
    screen = started(FreeSpelling(idle_after=2))
    letter = LABELS[1]  # types E
    answer(screen, letter)
    assert screen.run.text == "E"
    answer(screen, None)
    assert not screen.scene.asleep
    answer(screen, None)
    assert screen.scene.asleep
    assert screen.scene.note == ASLEEP
    answer(screen, None)
    answer(screen, letter, forced=True)  # what is forced proves no gaze
    assert screen.scene.asleep
    answer(screen, letter)
    assert (screen.run.text, screen.scene.asleep) == ("E", False)
    answer(screen, letter)
    assert screen.run.text == "EE"
    assert [s.label for s in screen.run.selections] == [letter, None, None, letter]
    assert not any(v.startswith(CUE) for v in screen.values)


# --- what an operator does -----------------------------------------------------------------------


def test_a_pause_blanks_with_the_next_frame_and_the_trial_is_done_again():
    screen = copying("TE")
    screen.until(Phase.FLICKER)
    screen.run.pause()
    screen.frame()
    assert (screen.scene.phase, screen.scene.flicker_since) == (Phase.PAUSED, None)
    assert screen.values[-1] == STIM_OFF
    assert not screen.decide(LABELS[1])
    screen.show(5.0)
    screen.run.start()
    screen.until(Phase.FLICKER)
    assert screen.values.count(STIM_ON) == 2
    assert screen.run.n_void == 1
    assert screen.run.selections == []


def test_a_pause_in_the_feedback_keeps_the_selection():
    screen = copying("TE")
    screen.until(Phase.FLICKER)
    screen.decide(screen.run.task.wanted(0, screen.run.keyboard))
    screen.frame()
    screen.run.pause()
    screen.show(1.0)
    assert (screen.run.text, len(screen.run.selections), screen.run.n_void) == ("T", 1, 0)
    assert screen.run.selections[0].seconds < 0.5


def test_undo_by_hand_changes_what_is_wanted():
    screen = copying("TE")
    screen.until(Phase.FLICKER)
    screen.decide(LABELS[1])  # E instead of T: the speller asks for an undo
    screen.until(Phase.FLICKER)
    assert screen.values[-2] == CUE + LABELS[-1]
    screen.run.undo()
    screen.until(Phase.FLICKER)
    assert screen.run.text == ""
    assert screen.values[-2] == CUE + screen.run.task.wanted(0, Keyboard(KEYBOARD_12))


def test_clear_forgets_the_text_and_a_stopped_run_is_over():
    screen = started(FreeSpelling())
    for _ in range(3):
        answer(screen, LABELS[1])
    screen.run.clear()
    assert screen.run.text == ""
    screen.run.stop()
    screen.frame()
    assert screen.scene.phase is Phase.OVER
    screen.run.start()
    screen.run.undo()
    screen.frame()
    assert screen.scene.phase is Phase.OVER


TASKS = [Copying("TEA"), FreeSpelling(idle_after=1), Calibration(LABELS, 2)]
DEEDS = st.sampled_from(
    ["frame", "second", "right", "wrong", "none", "stale", "start", "pause", "undo", "clear"]
)


@settings(max_examples=60, deadline=None)
@given(task=st.sampled_from(TASKS), deeds=st.lists(DEEDS, max_size=60))
def test_whatever_happens_markers_are_in_order_and_nothing_flickers_unasked(task, deeds):
    screen = started(task)
    run = screen.run
    for deed in deeds:
        match deed:
            case "frame":
                screen.frame()
            case "second":
                screen.show(1.0)
            case "right" if run.phase is not Phase.OVER:
                wanted = task.wanted(len(run.selections), run.keyboard)
                run.decide(decision(wanted or LABELS[0], screen.clock))
            case "wrong":
                run.decide(decision(LABELS[7], screen.clock))
            case "none":
                run.decide(decision(None, screen.clock))
            case "stale":
                assert not run.decide(decision(LABELS[2], screen.clock - 60.0))
            case "start" | "pause" | "undo" | "clear":
                getattr(run, deed)()
        if deed == "pause":
            screen.frame()
            assert screen.scene.flicker_since is None
    run.stop()
    screen.frame()
    code = {STIM_ON: "1", STIM_OFF: "0"}
    assert re.fullmatch("(c*10)*c*", "".join(code.get(v, "c") for v in screen.values))
    times = [m.t for m in screen.markers]
    assert times == sorted(times)
    assert all((s.flicker_since is not None) == (s.phase is Phase.FLICKER) for s in screen.scenes)
    assert all(0.0 <= s.seconds <= 2.0 for s in run.selections)


def test_times_that_are_none():
    with pytest.raises(ValueError, match="positive"):
        SpellingTimes(stim_s=0.0)


# --- the score -----------------------------------------------------------------------------------


def test_the_score_counts_undoing_and_leaves_the_prior_out():
    screen = copying("TE")
    find = Keyboard(KEYBOARD_12).layout.find
    t, e, a = (find("home", "type", letter) for letter in "TEA")
    undo = find("home", "undo")
    for label, alone in ((t, t), (a, a), (undo, e), (e, None)):
        screen.until(Phase.FLICKER)
        screen.decide(label, alone=alone)
    screen.until(Phase.OVER)
    found = score(screen.run.selections, screen.run.text, "TE", 12)
    assert (found.n_trials, found.n_right, found.n_unanswered) == (4, 3, 0)
    assert (found.accuracy_low, found.accuracy_high) == accuracy_interval(3, 4)
    assert found.correct_per_min == pytest.approx(60 * 2 / found.seconds)
    # the decoder alone was right twice: for T and for E; the undo was the prior's
    assert found.itr == pytest.approx(itr(2 / 4, 12, found.seconds / 4))


def test_nobody_knows_what_is_right_in_free_spelling():
    screen = started(FreeSpelling())
    answer(screen, LABELS[1])
    found = score(screen.run.selections, screen.run.text, None, 12)
    assert (found.accuracy, found.itr, found.correct_per_min) == (None, None, None)
    assert found.characters_per_min == pytest.approx(60 / found.seconds)


def test_no_trial_no_figure():
    found = score([], "", "TE", 12)
    assert (found.n_trials, found.accuracy, found.correct_per_min) == (0, None, None)
