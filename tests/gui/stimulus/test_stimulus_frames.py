"""What is painted is what was planned, at each frame's scheduled time, late frames or not."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from bci.paradigms.flash_run import BLACK, WHITE
from bci.paradigms.frequencies import plan, targets
from bci.paradigms.keyboard import UNDO, Key, KeyboardLayout
from bci.paradigms.spelling_scene import Phase
from bci.paradigms.timing_check import changes

PERIOD = 1 / 60
FIVE_S = {"stim_s": 5.0, "cue_s": 0.1, "wait_s": 0.0, "feedback_s": 0.1, "rest_s": 0.0}


def flicker_of(stage, n_frames):
    """Painted levels of one trial from its first frame on, shape (n_keys, n_frames)."""
    stage.started().until(Phase.FLICKER)
    found = [stage.key_levels()]
    for _ in range(n_frames - 1):
        stage.frame()
        found.append(stage.key_levels())
    assert stage.run.phase is Phase.FLICKER
    return np.array(found).T


@pytest.mark.parametrize(("speller", "seconds"), [("12", 4), ("40", 5)])
def test_rendered_flicker_has_the_planned_frequencies_and_phases(make, speller, seconds):
    """They hold whole cycles of all targets, so that each is one line of the spectrum."""
    stage = make(speller, mode="free", size=(800, 480), times=FIVE_S)
    n = 60 * seconds
    painted = flicker_of(stage, n)
    assert np.abs(painted - 255 * stage.planned(n)).max() <= 0.5
    spectra = np.fft.rfft(painted / 255, axis=1)
    spectra[:, 0] = 0.0
    peaks = np.argmax(np.abs(spectra), axis=1)
    assert peaks / seconds == pytest.approx([t.frequency_hz for t in stage.settings.targets])
    found = spectra[np.arange(len(peaks)), peaks]
    assert np.abs(found) == pytest.approx(np.full(len(peaks), n / 4), rel=0.01)  # 0.5 sin
    wished = np.array([t.phase for t in stage.settings.targets]) - np.pi / 2  # of a sine
    assert np.abs(np.angle(found * np.exp(-1j * wished))).max() < 0.01
    second = np.sort(np.abs(spectra), axis=1)[:, -2]
    assert second.max() < 0.01 * n / 4  # and nothing else


def test_frame_locked_flicker_is_on_and_off_for_whole_frames(make):
    flickers = plan(60.0, [8.57, 10.0, 12.0, 15.0], method="locked")
    keys = tuple(Key("type", letter, letter) for letter in "ABC")
    layout = KeyboardLayout(tuple(f.label for f in flickers), {"home": (*keys, UNDO)})
    speller = (targets(flickers, 1), layout)
    stage = make(speller, flickers, mode="free", size=(800, 480), times=FIVE_S)
    painted = flicker_of(stage, 120)
    assert set(np.unique(painted)) == {0, 255}
    assert np.array_equal(painted / 255, stage.planned(120))


@pytest.mark.parametrize("late", [[3], [0, 0, 5, 0, 1, 0, 0, 2], [1, 1, 1, 1], [40]])
def test_late_frames_slip_no_phase_and_are_counted_exactly(make, late):
    stage = make("40", mode="free", size=(400, 240), times=FIVE_S)
    stage.started().until(Phase.FLICKER)
    plan_ = 255 * stage.planned(300)
    first, dropped = (
        stage.presenter.screen.schedule.number,
        stage.presenter.screen.schedule.n_dropped,
    )
    stage.surface.late = list(late)
    seen = []
    for _ in range(60):
        number = stage.frame()
        frame = number - first
        assert np.abs(stage.key_levels() - plan_[:, frame]).max() <= 0.5
        seen.append(stage.presenter.screen.schedule.number)  # when it was on the screen at last
    missing = set(range(first, seen[-1] + 1)) - {first, *seen}
    assert stage.presenter.screen.schedule.n_dropped - dropped == len(missing) == sum(late)
    assert stage.presenter.screen.drawn.flicker_since == pytest.approx(
        stage.presenter.screen.schedule.time_of(first)
    )


def test_drops_are_reported_every_second(make):
    stage = make(mode="free", size=(400, 240)).measured()
    stage.frames(60)
    stage.surface.late = [2.0, 0.0, 1.0]
    stage.run.start()
    stage.frames(200)
    assert stage.talk.all("frames")[-1]["n_dropped"] == 3
    assert stage.talk.all("frames")[-1]["refresh_hz"] == pytest.approx(60.0)


def test_markers_carry_the_flips_time_and_a_late_onset_keeps_its_phase(make):
    stage = make(mode="copy", phrase="E", size=(400, 240), times={"cue_s": 0.1, "stim_s": 1.0})
    stage.started().until(Phase.CUE)
    assert stage.link.markers == [
        (f"cue/{stage.run.task.wanted(0, stage.run.keyboard)}", stage.clock.t)
    ]
    stage.frames(4)
    assert stage.run.phase is Phase.CUE
    while stage.run.phase is Phase.CUE:
        stage.surface.late = [2.0]  # every flip is late, that of the first flickering frame too
        stage.frame()
    value, t = stage.link.markers[-1]
    assert value == "stim_on"
    assert t == pytest.approx(stage.clock.t - 2 * PERIOD)
    assert t == pytest.approx(stage.presenter.screen.drawn.flicker_since, abs=2e-4)


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Space])
@pytest.mark.parametrize("state", ["live", "lost", "hangs"])
def test_escape_and_space_blank_with_the_next_frame(make, key, state):
    stage = make("40", mode="free", size=(400, 240))
    stage.presenter.window.show()
    stage.started().until(Phase.FLICKER)
    stage.frames(7)
    if state == "hangs":
        stage.link.poll = lambda: None
    else:
        stage.link.state = state
    QTest.keyClick(stage.presenter.window, key)
    stage.frame()
    assert stage.run.phase is Phase.PAUSED
    assert (stage.key_levels() == 128).all()
    assert stage.link.values[-1] == "stim_off"
    stage.frames(120)  # and it stays so
    assert stage.link.values[-1] == "stim_off"
    assert (stage.key_levels() == 128).all()
    stage.link.state = "live"
    QTest.keyClick(stage.presenter.window, Qt.Key.Key_Return)
    stage.until(Phase.FLICKER)
    stage.presenter.window.destroy()


def test_the_refresh_rate_is_measured_and_said(make):
    stage = make(mode="free", size=(400, 240)).measured()
    (ready,) = stage.talk.all("ready")
    assert ready["refresh_hz"] == pytest.approx(60.0)
    assert (ready["vsync"], ready["pace"], ready["objections"]) == (False, "clock", [])


def test_where_swaps_wait_for_nothing_the_clock_paces(make):
    stage = make(mode="free", size=(400, 240), waits=True)
    for _ in range(72):  # swaps return at once: 1 ms
        stage.clock.t += 1e-3
        stage.presenter.show_frame()
    assert stage.presenter.screen.timing is None
    stage.measured()
    assert stage.talk.all("ready")[0]["pace"] == "clock"


def test_the_patch_of_a_timing_check_is_white_and_black_when_it_is_said(make):
    stage = make(mode="timing", seconds=8.0, size=(400, 240)).started()
    start, seen = None, []
    while stage.run.phase is not Phase.OVER:
        number = stage.frame()
        due = stage.presenter.screen.schedule.time_of(number)
        start = due if start is None and stage.run.phase is not Phase.READY else start
        seen.append((due, stage.key_levels()[0]))
    wanted = changes(8.0) + start
    assert {level for _, level in seen} == {0, 255}
    for due, level in seen[:-1]:
        white = np.searchsorted(wanted, due + 1e-9) % 2 == 1
        assert level == 255 * white
    said = stage.talk.all("flip")
    assert [f["value"] for f in said[:3]] == [WHITE, BLACK, WHITE]
    found = [f["t"] for f in said[: len(wanted)]]
    assert found == pytest.approx(wanted[: len(found)].tolist(), abs=1.1 * PERIOD)
    assert stage.link.markers == [(f["value"], f["t"]) for f in said]


def test_a_screen_that_stops_to_wait_is_waited_for(make):
    stage = make(mode="free", size=(400, 240), waits=True).measured()
    screen = stage.presenter.screen
    assert screen.timing.vsync
    stage.frames(3)
    assert screen.wait_s == 0.0  # the flip itself waits
    for _ in range(6):  # a window that is hidden: flips return at once
        stage.presenter.show_frame()
    assert screen.wait_s > 3 * PERIOD
