"""A Graz-style session frame by frame, without a screen: markers, bar, pauses, what is booked."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bci.config import GrazSettings
from bci.paradigms.graz import GrazTimetable
from bci.paradigms.graz_run import GrazRun
from bci.paradigms.spelling_scene import Phase
from bci.paradigms.timetable import CUE, markers

FRAME_S = 1 / 60
PLAN = GrazSettings(
    calibration_runs=1, feedback_runs=1, trials_per_label=1, fixation_s=0.5, beep_s=0.3,
    imagery_s=0.6, feedback_delay_s=0.2, pause_s=(0.1, 0.2),
)  # fmt: skip
TRAINED = {"paradigm": {"ready": True, "error": None}}


class Screen:
    """The engine's clock is 100 s ahead of the schedule's."""

    def __init__(self, plan=PLAN):
        self.run, self.t, self.markers, self.scenes = GrazRun(GrazTimetable(plan)), 0.0, [], []

    def frame(self):
        self.scenes.append(self.run.frame(self.t))
        self.markers += [(m.value, m.t - 100.0) for m in
                         self.run.flipped(self.scenes[-1], self.t + 100.0)]  # fmt: skip
        self.t += FRAME_S
        return self.scenes[-1]

    def until(self, condition, seconds=30.0):
        for _ in range(round(seconds / FRAME_S)):
            if condition(self.frame()):
                return self
        raise AssertionError(f"not within {seconds} s; it is {self.run.phase}")

    def until_phase(self, phase):
        return self.until(lambda scene: scene.phase is phase)

    @property
    def values(self):
        return [value for value, _ in self.markers]


def bar(label, value, proba, held=False):
    return {"bar": {"towards": label, "value": value, "held": held}, "proba": proba}


def planned(plan=PLAN):
    return [m.value for m in markers(GrazTimetable(plan).trials())]


def test_each_marker_comes_with_the_flip_that_shows_it():
    screen = Screen()
    assert screen.frame().phase is Phase.READY
    screen.run.start()
    screen.until_phase(Phase.BREAK)
    table = list(GrazTimetable(PLAN).trials())[:3]
    start = screen.markers[0][1]
    wanted = [(m.value, m.t - table[0].start_s) for t in table for m in t.markers]
    assert screen.values == [value for value, _ in wanted]
    for (_, t), (_, due) in zip(screen.markers, wanted, strict=True):
        assert -1e-9 <= t - start - due < FRAME_S  # the first frame that is not too early
    shown = dict(zip(screen.values, screen.markers, strict=True))
    at = {round(t * 60): s for t, s in zip([k * FRAME_S for k in range(len(screen.scenes))],
                                          screen.scenes, strict=True)}  # fmt: skip
    assert at[round(60 * shown["fixation"][1])].cross
    assert at[round(60 * shown["beep"][1])].attention


def test_what_is_shown_in_a_trial():
    screen = Screen()
    screen.run.start()
    cue = screen.until(lambda s: s.cue is not None).scenes[-1]
    assert (cue.phase, cue.cross, cue.attention, cue.bar) == (Phase.IMAGERY, True, False, None)
    assert screen.values[-2:] == [f"{CUE}{cue.cue}", "imagery_on"]
    assert not screen.run.decide(bar(cue.cue, 0.5, {cue.cue: 0.75}))  # no bar in calibration
    after = screen.until_phase(Phase.REST).scenes[-1]
    assert (after.cross, after.cue) == (False, None)


def test_feedback_waits_for_the_decoder_and_shows_what_is_decided():
    screen = Screen()
    screen.run.start()
    screen.until_phase(Phase.BREAK)
    assert screen.run.waits
    assert "being trained" in screen.scenes[-1].note
    screen.run.start()
    assert screen.frame().phase is Phase.BREAK
    screen.run.see_engine({"paradigm": {"ready": False, "error": None}})
    assert screen.run.waits
    screen.run.see_engine(TRAINED)
    assert "is trained" in screen.frame().note
    screen.run.start()
    for k in range(3):
        cue = screen.until(lambda s: s.bar is not None).scenes[-1].cue
        other = "left" if cue != "left" else "right"
        assert not screen.run.decide(bar(other, 0.9, {other: 0.95}))  # of another trial
        screen.run.decide(bar(cue, 0.4, {cue: 0.7, other: 0.3}))
        assert (screen.frame().bar, screen.frame().held) == (0.4, False)
        screen.run.decide(bar(cue, 0.4, {}, held=True))
        assert screen.frame().held
        if k == 2:
            screen.run.decide(bar(cue, -0.9, {cue: 0.05, other: 0.95}))
        screen.until(lambda s: s.bar is None)
    screen.until_phase(Phase.OVER)
    assert screen.values == planned()
    assert [s.right for s in screen.run.selections] == [True, True, False]
    assert screen.run.n_done == 6


def test_without_a_decoder_there_is_no_feedback_and_it_says_why():
    screen = Screen()
    screen.run.start()
    screen.until_phase(Phase.BREAK)
    screen.run.see_engine({"paradigm": {"ready": True, "error": "two windows are needed"}})
    assert (screen.frame().phase, screen.run.waits) == (Phase.OVER, False)
    assert screen.scenes[-1].note == "without feedback: two windows are needed"


def test_a_trial_that_is_cut_short_ends_for_the_engine_too_and_is_done_again():
    screen = Screen()
    screen.run.start()
    label = screen.until(lambda s: s.cue is not None).scenes[-1].cue
    screen.run.pause("blank")
    paused = screen.frame()
    assert (paused.phase, paused.cross, paused.cue, paused.note) == (
        Phase.PAUSED, False, None, "blank",
    )  # fmt: skip
    assert screen.values[-1] == "imagery_off"
    assert (screen.run.n_done, screen.run.n_void) == (0, 1)
    screen.run.start()
    assert screen.until(lambda s: s.cue is not None).scenes[-1].cue == label
    screen.until_phase(Phase.BREAK)
    assert screen.values.count("run/calibration") == 1  # it is the same run
    assert screen.values.count(f"{CUE}{label}") == 2
    assert screen.run.n_done == 3


def test_a_trial_whose_imagery_is_over_counts_though_its_pause_is_cut():
    screen = Screen()
    screen.run.start()
    screen.until_phase(Phase.IMAGERY).until_phase(Phase.REST)
    screen.run.pause()
    screen.frame()
    assert (screen.run.n_done, screen.run.n_void) == (1, 0)
    screen.run.stop()
    screen.frame()
    assert screen.values[-1] == "run_off"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["pause", "start"])), max_size=12))
def test_whatever_is_asked_every_trial_is_done_once_and_none_is_left_open(story):
    screen = Screen()
    screen.run.see_engine(TRAINED)
    screen.run.start()
    for n, what in story:
        for _ in range(n):
            screen.frame()
        getattr(screen.run, what)()
    for _ in range(20):
        if screen.run.phase is Phase.OVER:
            break
        screen.run.start()
        screen.until(lambda s: s.phase in (Phase.BREAK, Phase.PAUSED, Phase.OVER))
    screen.frame()
    assert screen.run.phase is Phase.OVER
    assert (screen.run.n_done, len(screen.run.selections)) == (6, 3)
    for opens, closes in (
        ("imagery_on", "imagery_off"), ("feedback_on", "feedback_off"), ("run/", "run_off"),
    ):  # fmt: skip
        ends = [v == closes for v in screen.values if v == closes or v.startswith(opens)]
        assert all(a != b for a, b in pairwise(ends))
        assert not ends or ends[-1]
    assert [t for _, t in screen.markers] == sorted(t for _, t in screen.markers)


def test_no_calibration_no_waiting():
    plan = PLAN.model_copy(update={"calibration_runs": 0})
    screen = Screen(plan)
    assert not screen.run.waits
    screen.run.start()
    screen.until_phase(Phase.OVER)
    assert screen.values == planned(plan)
    assert [s.label for s in screen.run.selections] == [None] * 3
    assert screen.run.selections[0].reason == "nothing was decoded"


def test_pausing_before_the_start_is_harmless():
    screen = Screen()
    screen.run.pause()
    screen.run.start()
    screen.until_phase(Phase.BREAK)
    assert screen.run.n_done == 3
