"""From the start page to the report, by the buttons that a person would press."""

import pytest
from PySide6.QtCore import QSettings

from bci.recording.verify import verify
from gui.demo import Demo, demo_config
from gui.window import MainWindow


@pytest.fixture
def window(qtbot, tmp_path):
    made = MainWindow(QSettings(str(tmp_path / "test.ini"), QSettings.Format.IniFormat))
    qtbot.addWidget(made)
    made.show()
    yield made
    made.close()


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
    assert "look 1: fbcca" in report
    names = {path.stem for path in (tmp_path / "shots").iterdir()}
    assert {"start", "live", "wizard", "speller", "stimulus", "report"} <= names
