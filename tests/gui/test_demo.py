"""From the start page to the report, by the buttons that a person would press."""

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from bci.recording.verify import verify
from bci.report import write_report
from bci.report.record import read_session
from gui.demo import Demo, demo_config


@pytest.fixture
def window(settings, open_window):
    return open_window(settings)


def run(qtbot, window, root, phrase, **others):
    demo = Demo(window, demo_config(root), phrase, pause_s=0.1, **others)
    with qtbot.waitSignal(demo.ended, timeout=400_000):
        demo.start()
    return demo


def only(root, pattern):
    (found,) = root.rglob(pattern)
    return found


def test_a_word_is_typed_and_reported_without_calibration(qtbot, window, tmp_path):
    demo = run(qtbot, window, tmp_path, "A", n_blocks=0)
    assert demo.error == ""
    assert "written: A" in demo.said
    report = only(tmp_path, "*_report.html").read_text(encoding="utf-8")
    assert '<p class="typed">A</p>' in report
    assert "SIMULATED" in report
    assert verify(only(tmp_path, "*_eeg.xdf")).ok
    assert window.report.browser.toPlainText().count("Participant SIM")


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_calibration_speller_and_report_with_a_picture_of_each(qtbot, window, tmp_path):
    demo = run(qtbot, window, tmp_path / "rec", "HI", screenshots=tmp_path / "shots")
    assert demo.error == ""
    assert "written: HI" in demo.said
    report = only(tmp_path, "*_report.html").read_text(encoding="utf-8")
    assert '<p class="typed">HI</p>' in report
    assert "look 1: " in report  # whichever decoder it chose
    names = {path.stem for path in (tmp_path / "shots").iterdir()}
    assert {"start", "live", "wizard", "speller", "stimulus", "report"} <= names


def wait_for(condition, seconds, what):
    pause, until = threading.Event(), time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"waited in vain for {what}"
        pause.wait(0.1)
    return found


def child(process, words):
    """The child process whose command has these words; None while there is none."""
    for one in process.children(recursive=True):
        if words in " ".join(one.cmdline()):
            return one
    return None


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_application_takes_the_flicker_with_it_and_leaves_the_recording_whole(tmp_path):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)}
    application = psutil.Popen(
        [sys.executable, "-m", "bci.cli", "gui", "--demo"], cwd=tmp_path, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    engine = None
    try:

        def cued():
            logs = list(tmp_path.rglob("*_events.jsonl"))
            return logs and "cue/" in logs[0].read_text(encoding="utf-8")

        wait_for(cued, 120, "the first trial")
        engine, flicker = child(application, "bci.cli run"), child(application, "gui.stimulus")
        application.kill()
        application.wait(10)
        wait_for(lambda: not flicker.is_running() or flicker.status() == "zombie", 30, "the dark")
        assert engine.is_running()
        engine.terminate()
        wait_for(lambda: not engine.is_running() or engine.status() == "zombie", 60, "its end")
    finally:
        for process in (application, engine):
            if process is not None and process.is_running():
                process.kill()
    xdf = only(tmp_path, "*_eeg.xdf")
    assert verify(xdf).ok
    write_report(xdf)
    (run,) = read_session(xdf).runs
    assert (run.mode, run.why) == ("calibration", "stopped")
