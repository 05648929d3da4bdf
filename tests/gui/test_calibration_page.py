"""The calibration page: what it asks for, step by step, and what keeps it from going on."""

import numpy as np
import pytest
from PySide6.QtCore import QObject, Qt, Signal

from bci import config
from bci.decoders.manifest import Manifest, Score
from bci.types import StreamInfo
from gui.link import Answer
from gui.pages import calibration
from gui.pages.calibration import CalibrationPage

SESSION = """
source: {kind: simulated, paradigm: ssvep12, cues: told}
window: {kind: marker, markers: [stim_on], offset_s: 0.14, length_s: 1.0}
decoder: {kind: fbcca, frequencies_hz: [9.25, 9.75, 10.25, 10.75, 11.25, 11.75, 12.25, 12.75,
  13.25, 13.75, 14.25, 14.75]}
"""
READY = {
    "say": "ready", "refresh_hz": 60.0, "vsync": True, "jitter_ms": 0.4, "objections": [],
    "flicker_share": 0.2,
}  # fmt: skip
SCORE = {
    "rung": "fbcca", "why_not": None, "n_right": 30, "n": 36, "seconds": 1.5, "itr": 90.0,
    "low": 70.0, "high": 110.0, "p": None,
}  # fmt: skip
BETTER = {**SCORE, "rung": "trca", "n_right": 36, "itr": 130.0, "p": 0.001}
LOOK = {
    "current": "fbcca", "chosen": "trca", "reason": "trca takes over from fbcca: +40 bit/min.",
    "forecast": "about 1.0 more minutes", "phase_locking": None,
    "scores": [SCORE, BETTER, {**SCORE, "rung": "tdca", "why_not": "cannot be judged yet"}],
}  # fmt: skip


class Process(QObject):
    said = Signal(dict)
    ended = Signal(int)
    trouble = ""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.running, self.settings, self.asked = False, None, []

    def start(self, settings):
        self.running, self.settings = True, settings

    def send(self, do):
        self.asked.append(do)

    def stop(self):
        if self.running:
            self.running = False
            self.ended.emit(0)


class Samples:
    def __init__(self, data):
        self.info = StreamInfo("toy", 250.0, ("O1", "Oz", "O2"), ("eeg",) * 3)
        self.data = data

    def latest(self, n):
        return 0, self.data[-n:]


class Decisions:
    last_seq = -1

    def since(self, seq):
        return []


class Link:
    state = "live"
    decisions = Decisions()
    answer = Answer(True)

    def __init__(self):
        noise = np.random.default_rng(1).normal(0, 8, (1250, 3)).astype(np.float32)
        self.samples, self.posted = Samples(noise), []
        self.status = {
            "ladder": None, "decoder": {"model": "fbcca"}, "recording": {"path": "x_eeg.xdf"},
        }  # fmt: skip

    def post(self, path, body, done=None):
        self.posted.append((path, body))
        if done is not None:
            done(self.answer)


@pytest.fixture
def session():
    from bci.calibration.preparation import prepared

    return prepared(config.loads(SESSION))


@pytest.fixture
def page(qtbot, monkeypatch, session):
    monkeypatch.setattr(calibration, "StimulusProcess", Process)
    monkeypatch.setattr(calibration, "QUALITY_S", 0.0)
    made = CalibrationPage()
    qtbot.addWidget(made)
    made.set_session("http://127.0.0.1:1", "a-token-of-16-signs", session)
    made.show()
    return made


@pytest.fixture
def link():
    return Link()


def to_blocks(page, link):
    page.refresh(link)
    page.further.click()
    page.consent.agreed.click()
    page.further.click()
    page.process.said.emit(READY)
    page.process.stop()
    page.further.click()


def do_blocks(page, n):
    for _ in range(12 * n):
        page.process.said.emit({"say": "selection"})


def test_the_signal_is_judged_before_anything_flickers(page, link):
    assert not page.further.isEnabled()
    page.refresh(link)
    assert page.quality.summary.text() == "3 of 3 channels are good"
    assert page.further.isEnabled()
    link.samples.data[:, :2] = 0.0
    page.refresh(link)
    assert not page.further.isEnabled()
    assert "flat" in page.quality.table.item(0, 2).text()
    assert "electrode" in page.quality.table.item(0, 3).text()
    page.anyway.click()
    assert page.path.text().index("<b>Consent") > 0
    ((path, body),) = link.posted
    assert path == "/v1/markers"
    assert body["value"].startswith("note/calibration goes on although channels are bad: O1 (flat")


def test_nothing_flickers_without_consent(page, link):
    page.refresh(link)
    page.further.click()
    page.further.click()
    assert page.process.settings is None
    assert "has not agreed" in page.against.text()
    page.consent.agreed.click()
    page.further.click()
    assert page.process.settings.mode == "measure"
    assert ("/v1/markers", {"value": "note/photosensitivity: told, no history known, agreed"}) in (
        link.posted
    )


def test_a_screen_that_drops_frames_starts_no_calibration(page, link):
    page.refresh(link)
    page.further.click()
    page.consent.agreed.click()
    page.further.click()
    page.process.said.emit({**READY, "objections": ["90 of 120 frames were dropped"]})
    assert not page.further.isEnabled()
    assert "90 of 120" in page.plan.facts.values["To mend"].text()
    page.process.said.emit({**READY, "refresh_hz": 24.0})
    assert not page.further.isEnabled()
    assert "below half the refresh rate" in page.plan.facts.values["To mend"].text()
    page.process.stop()
    page.again.click()
    page.process.said.emit(READY)
    assert page.further.isEnabled()
    assert "12, 9.25 to 14.75 Hz" in page.plan.facts.values["Targets"].text()


def test_only_where_nobody_looks_may_frames_drop(page, session):
    page.consent.agreed.click()
    assert page.settings("calibration").max_dropped == 1.0
    real = session.model_copy(update={"source": config.loads("source: {kind: lsl}").source})
    page.set_session("http://127.0.0.1:1", "a-token-of-16-signs", real)
    page.consent.agreed.click()
    assert page.settings("calibration").max_dropped == 0.01


def test_blocks_are_counted_and_the_decoders_compared_after_each(page, link):
    to_blocks(page, link)
    page.blocks.n_blocks.setValue(5)
    page.go.click()
    settings = page.process.settings
    assert (settings.mode, settings.n_blocks, len(settings.targets)) == ("calibration", 5, 12)
    assert page.process.asked == ["start"]
    do_blocks(page, 4)
    looks = [body for path, body in link.posted if path == "/v1/ladder"]
    assert looks == []  # after 3 and 4 the engine looks by itself
    do_blocks(page, 1)
    looks = [body for path, body in link.posted if path == "/v1/ladder"]
    assert looks == [{"action": "look"}]
    assert page.blocks.progress.value() == 60
    link.status = {**link.status, "ladder": {"state": "collecting", "last": LOOK}}
    page.refresh(link)
    rows = [[page.blocks.scores.item(i, j).text() for j in range(6)] for i in range(3)]
    assert rows[0] == ["fbcca", "30 of 36", "0.83 [0.68, 0.92]", "1.50", "90 [70, 110]", "in use"]
    assert rows[1][0::5] == ["trca", "takes over"]
    assert rows[2] == ["tdca", "", "", "", "", "cannot be judged yet"]
    assert "about 1.0 more minutes" in page.blocks.forecast.text()


def test_the_decoder_in_use_has_its_accuracy_from_the_first_block_on(page, link):
    to_blocks(page, link)
    page.go.click()
    link.status = {**link.status, "ladder": {"state": "collecting", "last": None}}
    page.refresh(link)
    score = {
        "say": "score", "n_trials": 12, "n_unanswered": 0, "seconds": 24.0, "n_right": 9,
        "accuracy": 0.75, "accuracy_low": 0.47, "accuracy_high": 0.91, "itr": 60.0,
    }  # fmt: skip
    page.process.said.emit(score)
    row = [page.blocks.scores.item(0, j).text() for j in range(6)]
    assert row == [
        "fbcca", "9 of 12", "0.75 [0.47, 0.91]", "2.00", "60", "in use; the others from block 3 on",
    ]  # fmt: skip
    assert "two blocks to train on" in page.blocks.forecast.text()
    link.status = {**link.status, "ladder": {"state": "collecting", "last": LOOK}}
    page.refresh(link)
    page.process.said.emit(score)  # what is compared counts from now on
    assert page.blocks.scores.item(1, 0).text() == "trca"


def test_the_choice_is_explained_in_a_line_and_the_speller_follows(page, link, qtbot):
    to_blocks(page, link)
    page.go.click()
    do_blocks(page, 3)
    page.further.click()
    waits = {"state": "collecting", "last": LOOK, "waits_for_selection": True}
    link.status = {**link.status, "ladder": waits}
    page.refresh(link)
    assert page.choice.reason.text() == LOOK["reason"]
    assert "from the next selection on" in page.choice.facts.values["Decoder"].text()
    assert not page.process.running
    with qtbot.waitSignal(page.spell_requested):
        page.further.click()


def test_one_can_always_spell_without(page, link, qtbot):
    with qtbot.waitSignal(page.spell_requested):
        page.without.click()
    to_blocks(page, link)
    page.go.click()
    with qtbot.waitSignal(page.spell_requested):
        page.without.click()
    assert not page.process.running


def test_a_session_that_lacks_something_is_started_anew_with_it(page, link, qtbot):
    alone = config.loads(SESSION.replace("cues: told", "cues: own"))
    page.set_session("http://127.0.0.1:1", "a-token-of-16-signs", alone)
    page.refresh(link)
    with qtbot.waitSignal(page.session_requested) as asked:
        page.further.click()
    (session,) = asked.args
    assert session.ladder is not None
    assert session.recording is not None
    assert session.source.cues == "told"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("source: {kind: simulated}", "starts on a decoder that needs no training"),
    ],
)
def test_a_session_that_cannot_be_calibrated_says_why(page, link, text, why):
    page.set_session("http://127.0.0.1:1", "a-token-of-16-signs", config.loads(text))
    assert why in page.error.text()
    page.refresh(link)
    page.further.click()
    assert page.process.settings is None


IMAGERY = """
source: {kind: simulated, paradigm: imagery}
events: {left: cue/left, right: cue/right}
window: {kind: sliding, length_s: 2.0, markers: [imagery_on]}
decoder: {kind: tangent_space}
recording: {}
"""


def test_imagery_is_trained_at_once_on_the_cues_that_came(page, link, qtbot, tmp_path):
    page.set_session("http://127.0.0.1:1", "a-token-of-16-signs", config.loads(IMAGERY))
    cues = [{"onset": 10, "value": "cue/left"}]  # before it was started: does not count
    link.status = {**link.status, "markers": {"newest": cues}}
    page.refresh(link)
    page.further.click()
    assert "<b>Blocks" in page.path.text()
    assert not page.blocks.scores.isVisible()
    page.go.click()
    assert ("/v1/calibration", {"action": "start"}) in link.posted
    for k in range(1, 4):
        for label in ("left", "right"):
            assert not page.further.isEnabled()
            cues.append({"onset": 100 * k + (label == "right"), "value": f"cue/{label}"})
            page.refresh(link)
    assert page.blocks.state.text() == "Cued so far: 3 left, 3 right"
    folder = tmp_path / "models" / "tangent_space-12345678"
    folder.mkdir(parents=True)
    score = Score(metric="accuracy", value=5 / 6, low=0.44, high=0.97, n=6, method="3-fold")
    manifest = Manifest(ch_names=("C3",), sfreq=250.0, kind="tangent_space",
                        classes=("left", "right"), scores=(score,))  # fmt: skip
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    link.status |= {
        "decoder": {"model": folder.name, "labels": ["left", "right"]},
        "recording": {"path": str(tmp_path / "eeg" / "x_eeg.xdf")},
    }
    page.further.click()
    assert ("/v1/calibration", {"action": "finish"}) in link.posted
    page.refresh(link)
    said = page.choice.reason.text()
    assert "0.83 [0.44, 0.97] of held-out trials right, NOT better than guessing (0.50)" in said
    with qtbot.waitSignal(page.watch_requested):
        page.further.click()


GRAZ = """
source: {kind: simulated, paradigm: imagery, speed: null}
paradigm: {kind: graz, calibration_runs: 2, feedback_runs: 1, trials_per_label: 3, idle: null}
events: {left: cue/left, right: cue/right}
window: {kind: sliding, length_s: 2.0, markers: [imagery_on]}
decoder: {kind: mdm}
recording: {}
"""


def test_a_timetable_of_cues_is_shown_and_its_runs_are_counted(page, link, qtbot):
    page.set_session("http://127.0.0.1:1", "a-token-of-16-signs", config.loads(GRAZ))
    assert page.further.text() == "Start again for calibration"
    with qtbot.waitSignal(page.session_requested) as asked:
        page.further.click()  # whatever the signal of this session is like
    (session,) = asked.args
    page.set_session("http://127.0.0.1:1", "a-token-of-16-signs", session)
    page.refresh(link)
    page.further.click()
    assert "<b>Blocks" in page.path.text()
    page.go.click()
    settings = page.process.settings
    assert (settings.mode, settings.graz) == ("graz", session.paradigm)
    page.process.said.emit(READY)
    for n_done, objects in ((6, True), (11, True), (12, False)):
        state = {"say": "state", "phase": "rest", "note": "", "n_done": n_done, "text": ""}
        page.process.said.emit(state)
        assert page.further.isEnabled() != objects
    assert page.blocks.progress.value() == 12
    assert page.blocks.progress.maximum() == 18
    page.process.said.emit({
        "say": "score", "n_trials": 4, "n_right": 3, "accuracy": 0.75, "accuracy_low": 0.3,
        "accuracy_high": 0.95,
    })  # fmt: skip
    assert "With feedback: 3 of 4 trials right" in page.blocks.forecast.text()
    failed = {"ready": True, "training": False, "error": "two windows of each are needed"}
    link.status |= {"paradigm": failed, "decoder": {"model": "", "labels": []}}
    page.refresh(link)
    assert page.error.text() == "without feedback: two windows of each are needed"


def test_training_that_fails_says_why(page, link):
    page.set_session("http://127.0.0.1:1", "a-token-of-16-signs", config.loads(IMAGERY))
    link.answer = Answer(False, 422, "training failed: two windows of each label are needed")
    link.status = {**link.status, "markers": {"newest": []}}
    page.refresh(link)
    page.further.click()
    page.go.click()
    page.refresh(link)
    assert page.error.text() == "training failed: two windows of each label are needed"


def test_escape_blanks_from_here_too(page, link, qtbot):
    to_blocks(page, link)
    page.go.click()
    with qtbot.waitActive(page):
        page.activateWindow()
    qtbot.keyClick(page, Qt.Key.Key_Escape)
    assert page.process.asked == ["start", "blank"]


def test_what_the_flicker_refuses_is_said(page, link):
    to_blocks(page, link)
    page.go.click()
    page.process.said.emit({"say": "refused", "why": ["9 of 120 frames were dropped"]})
    assert page.error.text() == "not started: 9 of 120 frames were dropped"
    assert page.go.isEnabled()


def to_plan(page, link):
    page.refresh(link)
    page.further.click()
    page.consent.agreed.click()
    page.further.click()
    page.process.said.emit(READY)
    page.process.stop()


def test_another_plan_is_chosen_and_the_calibration_goes_on_with_it(page, link, qtbot, session):
    to_plan(page, link)
    plan = page.plan
    assert "(in use)" in plan.table.item(0, 0).text()
    assert not plan.take.isEnabled()  # nothing but the session's own is marked
    plan.table.selectRow(1)
    best = plan.plans[1]
    assert best.faults <= plan.plans[0].faults
    with qtbot.waitSignal(page.session_requested) as asked:
        plan.take.click()
    (other,) = asked.args
    page.set_session("", "", None)  # the window ends one session
    page.set_session("http://127.0.0.1:2", "a-token-of-16-signs", other)  # and starts the other
    assert "<b>Screen" in page.path.text()
    assert page.process.running  # the screen is measured with the new targets
    hz = sorted(t.frequency_hz for t in page.process.settings.targets)
    assert hz == [f.frequency_hz for f in best.flickers]
    labels = set(page.settings("calibration").keyboard().layout.labels)
    assert labels == set(other.decoder.frequencies_hz)
    page.process.said.emit(READY)
    page.process.stop()
    assert "(in use)" in plan.table.item(0, 0).text()
    page.further.click()  # neither signal nor consent is asked for again
    assert "<b>Blocks" in page.path.text()
    agreed = ("/v1/markers", {"value": "note/photosensitivity: told, no history known, agreed"})
    assert link.posted.count(agreed) == 2  # in the recording of either session
    page.set_session("", "", None)
    page.set_session("http://127.0.0.1:3", "a-token-of-16-signs", session)
    assert "<b>Signal" in page.path.text()
    assert not page.consent.agreed.isChecked()


def test_a_plan_is_asked_for_by_hand_or_refused_with_the_reason(page, link):
    to_plan(page, link)
    plan = page.plan
    plan.method.setCurrentIndex(1)
    plan.look.click()
    assert "frame-locked frequencies" in plan.error.text()
    plan.method.setCurrentIndex(0)
    plan.low.setValue(8.0)
    plan.high.setValue(13.5)
    plan.look.click()
    assert plan.error.text() == ""
    assert [f.frequency_hz for f in plan.chosen.flickers] == [8.0 + 0.5 * k for k in range(12)]
    assert plan.take.isEnabled()


def test_a_screen_that_cannot_show_the_session_has_plans_that_it_can(page, link):
    to_plan(page, link)
    page.again.click()
    page.process.said.emit({**READY, "refresh_hz": 26.0})
    assert not page.further.isEnabled()
    assert "(in use)" not in page.plan.table.item(0, 0).text()
    page.plan.table.selectRow(0)
    assert max(f.frequency_hz for f in page.plan.chosen.flickers) < 13.0
    assert page.plan.take.isEnabled()


def test_the_screen_is_measured_again_where_another_one_is_chosen(page, link):
    to_plan(page, link)
    display = page.choices.display
    display.setCurrentIndex(display.count() - 1)
    assert page.process.running
    assert page.process.settings.window is not None
    assert not page.further.isEnabled()
