"""The window with a real engine: start, live, trouble, stop."""

import os
import signal

import numpy as np
import pytest
from PySide6.QtCore import Qt

from bci import config
from bci.config import Recording
from bci.recording.verify import verify
from bci.sources.files import load_recording
from gui.engine import EngineProcess
from gui.left_behind import find
from gui.link import EngineLink
from gui.status import trouble
from gui.theme import DARK, LIGHT
from gui.window import LIVE


@pytest.fixture
def window(settings, open_window, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return open_window(settings)


@pytest.fixture
def watching(window, engine, qtbot):
    """A window attached to the engine of all tests, with samples on screen."""
    window.attach(engine.url, engine.token)
    qtbot.waitUntil(lambda: window.link.samples.position > 0, timeout=30_000)
    traces = window.docks["Traces"]
    qtbot.waitUntil(lambda: traces.view.raster is not None, timeout=10_000)
    return window


def test_attached_it_shows_what_the_engine_does(watching, qtbot):
    assert watching.page == LIVE
    assert watching.stop.text() == "Detach"
    qtbot.waitUntil(lambda: "decisions" in watching._state.text(), timeout=10_000)
    qtbot.waitUntil(lambda: len(watching.docks["Traces"].canvas.decisions) > 2, timeout=10_000)
    qtbot.waitUntil(lambda: not watching._banner_bar.isVisible(), timeout=10_000)
    for dock in watching.docks.values():  # each on top for a moment
        dock.raise_()
        dock.refresh()
        assert not dock.grab().isNull()


def test_notes_and_pauses_reach_the_engine(watching, qtbot):
    qtbot.keyClicks(watching.note, "blinked")
    qtbot.keyClick(watching.note, Qt.Key.Key_Return)
    qtbot.waitUntil(
        lambda: any(
            m["value"] == "note/blinked" for m in watching.link.status["markers"]["newest"]
        ),
        timeout=10_000,
    )
    watching.pause.trigger()
    qtbot.waitUntil(lambda: watching.pause.text() == "Resume", timeout=10_000)
    assert "paused" in watching._state.text()
    watching.pause.trigger()
    qtbot.waitUntil(lambda: watching.pause.text() == "Pause", timeout=10_000)


def test_theme_and_arrangement_are_remembered(watching, settings, open_window):
    watching.use(DARK)
    watching.docks["Log"].close()
    watching.show_page("Start")
    assert not watching.docks["Traces"].isVisible()
    assert watching.start_page.go.text() == "A session is running"
    watching.show_page(LIVE)
    assert watching.docks["Traces"].isVisible()
    assert watching.docks["Log"].isHidden()
    watching.close()
    again = open_window(settings)
    assert again.theme == DARK
    again.use(LIGHT)


def test_a_killed_engine_is_told_and_starts_again_on_a_click(
    window, session_config, tmp_path, qtbot
):
    kept = session_config.model_copy(update={"recording": Recording(root=tmp_path / "kept")})
    window.start_page.start_requested.emit(kept)
    engine, link = window.engine, window.link
    assert link.state == "connecting"
    qtbot.waitUntil(
        lambda: (link.status or {}).get("recording", {}).get("n_recorded", 0) >= 500,
        timeout=60_000,
    )
    qtbot.waitUntil(lambda: "● recording" in window._state.text(), timeout=10_000)
    qtbot.waitUntil(lambda: not window._banner_bar.isVisible(), timeout=10_000)
    assert (engine.folder / "session.yaml").stat().st_mode & 0o777 == 0o600
    session, generation = link.status["session"], link.samples.generation

    os.kill(engine.pid, signal.SIGKILL)
    qtbot.waitUntil(window._banner_bar.isVisible, timeout=10_000)
    assert "killed (signal 9)" in window.banner_text.text()
    assert engine.exit_code == -signal.SIGKILL
    assert not engine.folder.exists()  # the token was in it
    qtbot.waitUntil(lambda: link.state == "lost", timeout=10_000)
    qtbot.waitUntil(lambda: "no engine answers" in link.reason, timeout=10_000)
    (xdf,) = (tmp_path / "kept").rglob("*.xdf")
    recorded = load_recording(xdf)
    assert recorded.n_samples > 250
    assert np.isfinite(recorded.data).all()

    qtbot.mouseClick(window.banner_button, Qt.MouseButton.LeftButton)
    assert (engine.error, engine.exit_code) == ("", None)
    qtbot.waitUntil(lambda: link.state == "live", timeout=60_000)
    qtbot.waitUntil(lambda: link.decisions.last_seq >= 0, timeout=10_000)
    qtbot.waitUntil(lambda: not window._banner_bar.isVisible(), timeout=10_000)
    assert link.status["session"] != session
    assert link.samples.generation == generation + 1
    assert link.decisions.since(-1)[0]["seq"] == 0

    window.stop.trigger()
    assert (window.link, window.docks) == (None, {})
    assert engine.running  # it closes the recording, and the window says so
    assert "recording is being closed" in window.banner_text.text()
    assert not window.start_page.go.isEnabled()
    with qtbot.waitSignal(engine.ended, timeout=30_000):
        assert window._banner_bar.isVisible()
    qtbot.waitUntil(lambda: window.page == "Report", timeout=10_000)
    assert not window._banner_bar.isVisible()
    assert window.start_page.go.isEnabled()
    assert (engine.running, engine.exit_code, engine.error) == (False, 0, "")
    assert any("stopped after" in line for line in engine.lines)
    xdfs = sorted((tmp_path / "kept").rglob("*.xdf"))
    assert len(xdfs) == 2
    assert verify(xdfs[-1]).ok


@pytest.mark.slow  # one more engine
def test_an_engine_outlives_its_application_and_is_found_again(
    open_window, settings, session_config, tmp_path, qtbot
):
    orphan = EngineProcess(session_config, tmp_path / "private")  # as of a window that has died
    settings.setValue("running", str(orphan.folder))
    orphan.start()
    link = EngineLink(orphan.url, samples=False)
    link.start()
    qtbot.waitUntil(lambda: link.state == "live", timeout=60_000)
    link.close()
    again = open_window(settings)
    page = again.start_page
    assert page.left_behind.isVisible()
    assert not page.go.isEnabled()
    page.return_requested.emit()
    qtbot.waitUntil(lambda: again.link.state == "live", timeout=30_000)
    assert again.stop.text() == "Stop session"
    with qtbot.waitSignal(orphan.ended, timeout=30_000):
        again.stop.trigger()
    assert orphan.exit_code == 0
    qtbot.waitUntil(lambda: again.page == "Start", timeout=30_000)
    assert not orphan.folder.exists()
    assert not page.left_behind.isVisible()
    assert settings.value("running") is None


def test_a_folder_without_its_engine_is_cleared_away(tmp_path, session_config):
    gone = EngineProcess(session_config, tmp_path / "private")
    gone.folder.mkdir()
    (gone.folder / "session.yaml").write_text(config.dump(gone.config))
    assert find(gone.folder) is None
    assert not gone.folder.exists()


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
def test_an_engine_that_never_ran_leads_back_with_its_reason(
    window, session_config, monkeypatch, tmp_path, qtbot
):
    stand_in = tmp_path / "python"  # an engine that fails at once, and takes no time to start
    stand_in.write_text("#!/bin/sh\necho log >&2; echo 'bci: no file nowhere.xdf' >&2; exit 2\n")
    stand_in.chmod(0o700)
    monkeypatch.setattr("gui.engine.sys.executable", str(stand_in))
    window.start_page.start_requested.emit(session_config)
    qtbot.waitUntil(lambda: window.page == "Start", timeout=60_000)
    assert window.start_page.error.text() == "no file nowhere.xdf"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": {"name": "amp", "state": "lost"}}, "amp: the connection is lost"),
        ({"source": {"name": "amp", "state": "stale"}}, "no samples come"),
        ({"source": {"name": "file", "state": "ended"}}, "played to its end"),
        ({"recording": {"message": "the disk is full"}}, "the disk is full"),
        ({"markers": {"connected": False}}, "markers"),
        ({}, None),
    ],
)
def test_what_the_engine_finds_wrong_is_on_the_banner(fed, changes, words):
    link = fed()
    link._trouble = dict.fromkeys(link._trouble, "")
    link.status = {
        "source": {"name": "amp", "state": "live"},
        "recording": None,
        "markers": {"connected": True},
        **changes,
    }
    found = trouble(link, None, 1.0)
    assert (found is None) if words is None else words in found.text


def test_pages_know_their_engine_and_may_start_it_anew(window, session_config, qtbot):
    window.start_session(session_config)
    window.show_page("Speller")
    first = window.engine.url
    assert window.speller._url == window.timing._url == first
    window.speller.choices.consent.setChecked(True)
    qtbot.waitUntil(window.speller.go.isEnabled, timeout=30_000)
    window.timing.session_requested.emit(
        session_config.model_copy(
            update={"markers": session_config.markers.model_copy(update={"offset_s": 0.03})}
        )
    )
    qtbot.waitUntil(lambda: window.engine is not None, timeout=30_000)
    assert window.engine.config.markers.offset_s == 0.03
    assert window.page == "Speller"
    assert not any(dock.isVisible() for dock in window.docks.values())  # as it was left
    assert window.speller._url == window.engine.url != first
    window.stop_session()
    assert window.speller._url == ""
