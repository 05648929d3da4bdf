"""The speller's page: what it starts, asks for and shows."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from bci import config
from bci.paradigms.spelling_scene import Selection
from bci.paradigms.spelling_score import score
from gui.pages.speller import SpellerPage
from gui.pages.speller_choices import flicker_s

SESSION = """
source: {kind: simulated, paradigm: ssvep40, cues: CUES}
window: {kind: growing, markers: [stim_on], offset_s: 0.14, length_s: 3.0}
decoder: {kind: fbcca, frequencies_hz: [HZ]}
decision: {kind: dynamic}
"""


def session(cues="told", n=40):
    hz = ", ".join(str(8 + 0.2 * k) for k in range(n))
    return config.loads(SESSION.replace("CUES", cues).replace("HZ", hz))


@pytest.fixture
def page(shown, live):
    made = shown(SpellerPage)
    made.choices.consent.setChecked(True)
    made.set_session("http://127.0.0.1:1", "a-token-of-16-signs", session())
    made.refresh(live)
    return made


READY = {
    "say": "ready", "refresh_hz": 59.94, "vsync": True, "jitter_ms": 0.4, "objections": [],
}  # fmt: skip


def state(page, phase, text="", note=""):
    page.process.said.emit({"say": "state", "phase": phase, "text": text, "note": note})


def start(page):
    page.go.click()
    page.process.said.emit(READY)
    state(page, "flicker", "HE")


def test_it_starts_what_is_chosen(page):
    page.choices.phrase.setText("hello")
    page.choices.display.setCurrentIndex(page.choices.display.count() - 1)
    page.go.click()
    asked = page.process.settings
    assert (asked.mode, asked.phrase, asked.url) == ("copy", "hello", "http://127.0.0.1:1")
    assert len(asked.targets) == 40  # as many as the session's decoder has
    assert asked.window == (1024, 600)
    assert asked.times.stim_s == flicker_s(session()) >= 0.14 + 3.0
    assert page.process.asked == ["start"]
    assert not page.choices.isEnabled()


def test_free_spelling_needs_no_phrase(page):
    page.choices.free.click()
    page.choices.phrase.clear()
    page.go.click()
    assert page.process.settings.mode == "free"


def test_what_keeps_it_from_starting_is_said_in_place(page):
    page.choices.phrase.setText("")
    page.go.click()
    assert "nothing to copy" in page.error.text()
    page.choices.phrase.setText("smørrebrød")
    page.go.click()
    assert "cannot type" in page.error.text()
    assert page.process.settings is None


def test_without_an_engine_nothing_starts(page):
    page.refresh(None)
    assert not page.go.isEnabled()
    assert "no engine" in page.state.text()


def test_every_deed_by_mouse_and_by_key(page, qtbot):
    start(page)
    page.process.asked.clear()
    for button in (page.pause, page.undo, page.clear):
        button.click()
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    for key, held, do in (
        (Qt.Key.Key_P, control | shift, "pause"),
        (Qt.Key.Key_Z, control, "undo"),
    ):
        QTest.keyClick(page, key, held)
        qtbot.waitUntil(lambda do=do: page.process.asked[3:][-1:] == [do])
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert page.process.asked == ["pause", "undo", "clear", "pause", "undo", "blank"]
    state(page, "paused", "HE", "paused: Enter goes on")
    assert (page.go.text(), page.go.isEnabled(), page.pause.isEnabled()) == ("Go on", True, False)
    assert page.state.text() == "paused: Enter goes on"
    QTest.keyClick(page, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: page.process.asked[-1] == "start")
    page.close_it.click()
    assert not page.process.running
    assert page.choices.isEnabled()


def test_it_shows_text_selections_score_and_frames(page):
    start(page)
    assert page.text.text() == "HE"
    made = Selection("a", "b", "b", "B", "type", 0.93, False, 2.5)
    for selection in (made, Selection("a", None, None, "", "none", None, False, 4.0, "amplitude")):
        line = {f: getattr(selection, f) for f in Selection.__dataclass_fields__}
        page.process.said.emit({"say": "selection", **line, "right": selection.right})
    rows = [[page.selections.item(row, column).text() for column in range(5)] for row in range(2)]
    assert rows == [
        ["–", "✗ another", "", "4.0", "amplitude"],
        ["B", "✗ another", "0.93", "2.5", ""],
    ]
    found = score([made], "HE", "HELLO", 40)
    line = {f: getattr(found, f) for f in found.__dataclass_fields__}
    page.process.said.emit({"say": "score", **line})
    assert page.score.values["Accuracy"].text().startswith("0.00 [0.00")
    assert "undo counted" in page.score.values["Speed"].text()
    frames = {"say": "frames", "n_flips": 600, "n_dropped": 2, "n_markers_lost": 0}
    page.process.said.emit(frames)
    assert page.frames.values["Frames"].text() == "600 shown, 2 dropped"
    assert page.frames.values["Refresh"].text() == "59.94 Hz, measured"


def test_a_process_that_dies_is_said_so_and_can_be_started_again(page):
    start(page)
    page.process.trouble = "Segmentation fault"
    page.process.running = False
    page.process.ended.emit(-1)
    assert "Segmentation fault" in page.error.text()
    assert page.go.isEnabled()


def test_a_refusal_is_shown(page):
    page.go.click()
    page.process.said.emit(READY)
    page.process.said.emit({"say": "refused", "why": ["the decoder names others"]})
    assert page.error.text() == "not started: the decoder names others"
    assert page.go.isEnabled()


def test_speech_is_there_or_says_why_not(page):
    start(page)
    reason = page._speaker.reason
    assert page.speak.isEnabled() == (not reason)
    assert page.speak.toolTip() == (reason or "Ctrl+Shift+S")


def test_keyboards_with_words_are_offered_and_a_key_speaks(page, monkeypatch):
    said = []
    monkeypatch.setattr(page._speaker, "speak", said.append)
    assert page.choices.keyboard.currentText().startswith("en_40")
    start(page)
    assert page.process.settings.language == "en"
    made = Selection("a", "a", "a", "speak", "speak", 0.93, False, 2.5)
    line = {f: getattr(made, f) for f in Selection.__dataclass_fields__}
    page.process.said.emit({"say": "selection", **line, "right": made.right})
    assert said == ["HE"]


@pytest.mark.parametrize(("n", "n_keys"), [(12, 12), (40, 40)])
def test_the_keyboard_that_fits_the_decoder_is_suggested(page, n, n_keys):
    page.set_session("http://127.0.0.1:1", "", session(n=n))
    assert len(page.choices.keyboard.currentData().labels) == n_keys


def test_without_words_there_are_keyboards_of_symbols(monkeypatch, shown, live):
    monkeypatch.setattr("bci.paradigms.language.installed", lambda: False)
    page = shown(SpellerPage)
    page.choices.consent.setChecked(True)
    page.set_session("http://127.0.0.1:1", "", session(n=12))
    page.refresh(live)
    offered = [page.choices.keyboard.itemText(i) for i in range(page.choices.keyboard.count())]
    assert offered == ["12 keys, two levels", "40 keys"]
    assert "neuroloop[language]" in page.choices.keyboard.toolTip()
    page.go.click()
    assert page.process.settings.language == ""


def test_when_a_run_is_over_the_next_starts_afresh(page):
    start(page)
    state(page, "over", "HELLO WORLD", "the phrase is written")
    assert (page.go.text(), page.go.isEnabled()) == ("Start", True)
    assert page.state.text() == "the phrase is written"
    page.choices.phrase.setText("bye")
    page.process.asked.clear()
    page.go.click()
    assert page.process.settings.phrase == "bye"
    assert page.text.text() == ""
    assert page.process.asked == ["start"]


def test_nothing_flickers_before_it_is_said_that_nobody_is_photosensitive(page):
    page.choices.consent.setChecked(False)
    page.go.click()
    assert page.process.settings is None
    assert "photosensitive" in page.error.text()


def test_a_simulated_subject_with_a_timetable_of_its_own_is_led_instead(page, live, qtbot):
    page.set_session("http://127.0.0.1:1", "", session("own"))
    with qtbot.waitSignal(page.session_requested) as asked:
        page.go.click()
    assert page.process.settings is None
    led = asked.args[0]
    assert led.source.cues == "told"
    page.refresh(None)
    page.set_session("http://127.0.0.1:2", "", led)
    page.refresh(live)  # once it is there, what was asked for goes on
    assert page.process.settings.url == "http://127.0.0.1:2"
