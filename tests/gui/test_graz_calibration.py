"""Graz calibration with the simulated subject: cues, training, feedback, report."""

import pytest
import yaml

from bci import config
from bci.recording.verify import verify

SESSION = {
    "source": {"kind": "simulated", "paradigm": "imagery", "snr": 30, "seed": 1, "speed": None},
    "channels": {"pick": "eeg", "montage": None},
    "paradigm": {
        "kind": "graz", "idle": None, "calibration_runs": 1, "feedback_runs": 1,
        "trials_per_label": 4, "fixation_s": 0.7, "beep_s": 0.4, "imagery_s": 2.0,
        "feedback_delay_s": 0.5, "pause_s": [0.3, 0.6],
    },
    "events": {"left": "cue/left", "right": "cue/right"},
    "processing": [{"kind": "bandpass", "low_hz": 8, "high_hz": 32, "order": 4}],
    "window": {
        "kind": "sliding", "length_s": 1.2, "hop_s": 0.1, "markers": ["imagery_on"],
        "offset_s": 0.5,
    },
    "decoder": {"kind": "mdm"},
    "decision": {"kind": "control", "smoothing": 3, "threshold": 0.5, "dwell_s": 0.3,
                 "refractory_s": 1.0},
}  # fmt: skip


@pytest.fixture
def window(settings, open_window):
    return open_window(settings)


@pytest.mark.slow  # 8 trials without and 8 with feedback, at the pace of life
@pytest.mark.timeout(900)
def test_cues_training_feedback_and_report(window, qtbot, tmp_path):
    asked = SESSION | {"recording": {"root": str(tmp_path / "kept"), "task": "graz"}}
    page, said = window.calibration, []
    page.process.said.connect(said.append)
    window.start_session(config.loads(yaml.safe_dump(asked)))
    window.show_page("Calibration")
    page.further.click()  # asks for a session that follows the cues of this window
    qtbot.waitUntil(lambda: window.engine is not None, timeout=180_000)
    assert window.engine.config.source.cues == "told"
    qtbot.waitUntil(lambda: page.further.isEnabled() or page.anyway.isVisible(), timeout=180_000)
    (page.further if page.further.isEnabled() else page.anyway).click()
    assert "<b>Blocks" in page.path.text()
    assert not page.further.isEnabled()
    page.blocks.display.setCurrentIndex(page.blocks.display.count() - 1)
    page.go.click()
    qtbot.waitUntil(lambda: page._phase == "break", timeout=180_000)
    assert page.further.isEnabled()
    qtbot.waitUntil(
        lambda: "is trained" in page.blocks.state.text() or bool(page.error.text()),
        timeout=120_000,
    )
    assert page.error.text() == ""
    page.go.click()
    qtbot.waitUntil(lambda: page._phase == "over", timeout=180_000)
    assert "With feedback: " in page.blocks.forecast.text()
    assert " of 8 trials right" in page.blocks.forecast.text()
    assert page.error.text() == ""
    page.further.click()
    qtbot.waitUntil(lambda: "mdm decides from now on" in page.choice.reason.text(), timeout=60_000)
    with qtbot.waitSignal(window.report.done, timeout=180_000):
        window.stop.trigger()
    assert window.report.open.isEnabled(), window.report.state.text()
    told = window.report.browser.toPlainText()
    assert "of 8 trials right" in told
    assert "SIMULATED" in told
    assert verify(sorted((tmp_path / "kept").rglob("*_eeg.xdf"))[-1]).ok
    assert not [line for line in said if line["say"] == "trouble"]
