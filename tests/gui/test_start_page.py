"""The start page: what is chosen becomes a session, and what is missing is said in place."""

import pytest
from PySide6.QtCore import Qt

from bci import config
from bci.config import Participant
from bci.lsl import StreamSummary
from gui.pages.files import ask_file
from gui.pages.start import StartPage


@pytest.fixture
def page(settings, qtbot):
    made = StartPage(settings)
    qtbot.addWidget(made)
    made.show()
    yield made
    made.close_down()


def choose(page, title):
    (number,) = [i for i, form in enumerate(page.forms) if form.title == title]
    page.kinds.button(number).click()
    return page.forms[number]


def paradigm(page, name):
    (row,) = [
        i for i in range(page.templates.count()) if page.templates.item(i).text().startswith(name)
    ]
    page.templates.setCurrentRow(row)


def asked(page, qtbot):
    with qtbot.waitSignal(page.start_requested) as signal:
        qtbot.mouseClick(page.go, Qt.MouseButton.LeftButton)
    return signal.args[0]


def refused(page, qtbot):
    with qtbot.assertNotEmitted(page.start_requested):
        qtbot.mouseClick(page.go, Qt.MouseButton.LeftButton)
    return page.error.text()


def test_go_at_once_is_the_simulated_subject_spelling(page, qtbot):
    session = asked(page, qtbot)
    assert (session.source.kind, session.source.paradigm) == ("simulated", "ssvep12")
    assert session.decoder.kind == "fbcca"
    assert session.recording is not None
    assert page.error.text() == ""


def test_the_subject_does_what_the_paradigm_asks(page, qtbot):
    paradigm(page, "Imagery")
    page.forms[0].led.setChecked(True)
    session = asked(page, qtbot)
    assert (session.source.paradigm, session.source.cues) == ("imagery", "told")
    assert session.markers.kind == "source"
    assert session.recording.task == "imagery"


def test_who_and_where_are_kept(page, qtbot):
    page.participant.setText("S07")
    page.session.setValue(3)
    page.record.setChecked(False)
    session = asked(page, qtbot)
    assert (session.participant.id, session.participant.session) == ("S07", 3)
    assert session.recording is None
    page.participant.setText("Jane Doe")
    assert "pseudonym" in refused(page, qtbot)


def test_streams_are_listed_as_they_come_and_go(page, qtbot, monkeypatch):
    eeg = StreamSummary("amp", "EEG", "id1", "lab", 32, 500.0, "float32", "u1")
    marks = StreamSummary("marks", "Markers", "m", "lab", 1, 0.0, "string", "u2")
    seen = [[], [eeg, marks]]
    monkeypatch.setattr("gui.pages.sources.LOOK_S", 0.01)
    monkeypatch.setattr(
        "gui.pages.sources.available_streams", lambda s: seen.pop(0) if len(seen) > 1 else seen[0]
    )
    paradigm(page, "SSVEP LSL")
    form = choose(page, "LSL stream")
    assert "choose an LSL stream" in refused(page, qtbot)
    qtbot.waitUntil(lambda: page.refresh(None) or form.list.count() == 1, timeout=5_000)
    assert "500 Hz" in form.list.item(0).text()
    session = asked(page, qtbot)
    assert (session.source.name, session.source.type) == ("amp", "EEG")


def test_a_board_shows_the_fields_that_it_needs(page, qtbot):
    form = choose(page, "BrainFlow board")
    form.board.setCurrentText("OpenBCI Cyton")
    shown = [field for field, entry in form.entries.items() if entry.isVisible()]
    assert shown == ["serial_port"]
    assert "serial port" in refused(page, qtbot)
    form.entries["serial_port"].setText("/dev/ttyUSB0")
    assert page.error.text() == ""
    session = asked(page, qtbot)
    assert (session.source.board, session.source.serial_port) == ("cyton", "/dev/ttyUSB0")
    form.board.setCurrentIndex(form.board.count() - 1)
    assert all(entry.isVisible() for entry in form.entries.values())
    assert "name the board" in refused(page, qtbot)
    form.other.setText("cyton")
    form.entries["ip_port"].setText("many")
    assert "ip_port" in refused(page, qtbot)


def test_a_recording_must_be_there(page, qtbot, tmp_path):
    form = choose(page, "Recording")
    assert "choose a recording" in refused(page, qtbot)
    form.path.setText(str(tmp_path / "nowhere.xdf"))
    assert "there is no file" in refused(page, qtbot)
    (tmp_path / "here.xdf").touch()
    form.path.setText(str(tmp_path / "here.xdf"))
    assert asked(page, qtbot).source.path == tmp_path / "here.xdf"


def test_the_last_session_is_one_click_away(page, settings, qtbot):
    assert not page.again.isVisible()
    page.participant.setText("S08")
    session = asked(page, qtbot)
    later = StartPage(settings)
    qtbot.addWidget(later)
    later.show()
    assert "simulated" in later.again.text()
    with qtbot.waitSignal(later.start_requested) as signal:
        qtbot.mouseClick(later.again, Qt.MouseButton.LeftButton)
    assert signal.args[0] == session


def test_settings_are_the_daemons_yaml(page, qtbot, tmp_path):
    page.participant.setText("S09")
    page.save_file(tmp_path / "mine.yaml")
    saved = config.load(tmp_path / "mine.yaml")
    assert saved.participant.id == "S09"
    page.participant.setText("P001")
    page.open_file(tmp_path / "mine.yaml")
    assert asked(page, qtbot) == saved
    (tmp_path / "wrong.yaml").write_text("source: {kind: simulatd}")
    page.open_file(tmp_path / "wrong.yaml")
    assert "did you mean 'simulated'?" in page.error.text()


def test_files_are_asked_for_beside_the_window(page, qtbot, tmp_path):
    dialog = ask_file(
        page, "Save", page.save_file, kinds="Session (*.yaml)", save_as="s.yaml",
        folder=str(tmp_path),
    )  # fmt: skip
    assert dialog.isVisible()
    assert not dialog.isModal()  # a run may be going on
    running = page.chosen().model_copy(update={"participant": Participant(id="NOW")})
    page.set_running(True, running)
    dialog.fileSelected.emit(str(tmp_path / "s.yaml"))
    assert config.load(tmp_path / "s.yaml") == running  # not what is chosen for the next
    dialog.close()


def test_an_engine_elsewhere_is_attached_to(page, qtbot):
    page.url.setText("10.0.0.7:8765")
    page.attach.click()
    assert "http://" in page.error.text()
    page.url.setText("http://10.0.0.7:8765")
    page.token.setText("secret")
    with qtbot.waitSignal(page.attach_requested) as signal:
        page.attach.click()
    assert signal.args == ["http://10.0.0.7:8765", "secret"]
