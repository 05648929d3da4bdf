"""A Graz-style session as `bci run` does it: calibration runs, training, feedback runs, summary.

Simulated: a strong answer and short trials, so that little data are enough.
"""

from html import unescape
from itertools import pairwise

import pytest
import yaml
from typer.testing import CliRunner

from bci import config
from bci.benchmark import graz
from bci.cli import app
from bci.eventlog import SwapRecord
from bci.eventlog import read as read_events
from bci.recording.layout import parse
from bci.recording.verify import verify
from bci.replay import decisions
from bci.report import write_report
from bci.session import Session
from bci.sources.files import load_recording
from bci.types import Marker

LABELS = ("left", "right", "rest")
SESSION = {
    "source": {"kind": "simulated", "paradigm": "imagery", "snr": 30, "seed": 1, "speed": None},
    "channels": {"pick": "eeg", "montage": None},
    "paradigm": {
        "kind": "graz", "calibration_runs": 2, "feedback_runs": 1, "trials_per_label": 8,
        "fixation_s": 1.5, "beep_s": 1.0, "imagery_s": 3.0, "pause_s": [0.5, 1.0], "rest_s": 2.0,
    },
    "events": {label: f"cue/{label}" for label in LABELS},
    "processing": [{"kind": "bandpass", "low_hz": 8, "high_hz": 32, "order": 4}],
    "window": {
        "kind": "sliding", "length_s": 2.0, "hop_s": 0.1, "markers": ["imagery_on"],
        "offset_s": 0.5,
    },
    "decoder": {"kind": "mdm"},
    "decision": {
        "kind": "control", "smoothing": 3, "threshold": 0.5, "dwell_s": 0.3, "refractory_s": 1.0,
        "idle": ["rest"],
    },
    "recording": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def session_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graz")
    file = folder / "graz.yaml"
    file.write_text(yaml.safe_dump(SESSION | {"recording": {"root": str(folder / "recordings")}}))
    return file


@pytest.fixture(scope="module")
def run(session_file):
    """Files of a session that has run to its end, and its status then."""
    live = Session(config.load(session_file))
    live.start()
    try:
        assert live.wait(120)
    finally:
        live.stop()
    assert live.error is None
    return live.record.paths, live.status()


def test_it_calibrates_trains_and_gives_feedback(run, decided):
    paths, status = run
    assert status["paradigm"] == {
        "run": None, "calibration_runs": [2, 2], "feedback_runs": [1, 1], "training": False,
        "ready": True, "error": None,
    }  # fmt: skip
    assert verify(paths.xdf).ok
    log = read_events(paths.events)
    (swap,) = (event for event in log if isinstance(event, SwapRecord))
    onsets = {e.value: e.onset for e in log if isinstance(e, Marker) and e.value.startswith("run/")}
    assert swap.at <= onsets["run/feedback"]
    made = decided(paths)
    assert min(d["last"] for d in made) > onsets["run/calibration"]
    assert all(b["first"] - a["first"] == 25 for a, b in pairwise(made))  # every hop


def test_the_bar_is_there_while_feedback_is_on_and_is_what_was_decoded(run, decided):
    paths, _ = run
    marks = [e for e in read_events(paths.events) if isinstance(e, Marker)]
    on, off = ([e.at for e in marks if e.value == v] for v in ("feedback_on", "feedback_off"))
    assert len(on) == len(off) == 24
    shown = [d for d in decided(paths) if d["bar"]]
    assert all(any(a <= d["last"] + 1 <= b for a, b in zip(on, off, strict=True)) for d in shown)
    assert len(shown) == pytest.approx(24 * 25, abs=24)
    for d in shown:
        others = [p for label, p in d["proba"].items() if label != d["bar"]["towards"]]
        assert d["bar"]["value"] == pytest.approx(1 - sum(others) - max(others))


def test_the_summary_is_better_than_chance_and_that_of_the_files(run):
    paths, _ = run
    found = graz.of_run(config.load(paths.config), paths)
    assert len(found.asked) == 24
    assert found.kappa > 0.2
    text = "\n".join(found.lines())
    assert f"feedback: {found.n_right} of 24 trials right" in text
    assert ", better than chance (0.333; from 13 right)" in text
    assert "control: left came in" in text
    assert "false activations a minute" in text
    assert [sum(t.asked == label for t in found.runs[0].trials) for label in LABELS] == [8, 8, 0]


@pytest.mark.parametrize("chunk", [[1, 0, 997], 33])
def test_a_replay_commands_and_shows_the_same_whatever_the_chunks(run, decided, same, chunk):
    paths, _ = run
    recording, session = load_recording(paths.xdf), config.load(paths.config)
    again = [d.to_json() for d in decisions(paths.xdf, recording, session, chunk)]
    live = decided(paths)
    same(again, live, 1e-9)
    for one, other in zip(again, live, strict=True):
        assert (one["bar"] is None) == (other["bar"] is None)
        if one["bar"]:
            assert one["bar"]["value"] == pytest.approx(other["bar"]["value"], abs=1e-9)


def test_a_replay_ends_with_the_same_summary(run):
    paths, _ = run
    said = CliRunner().invoke(app, ["replay", str(paths.xdf), "--config", str(paths.config)])
    assert said.exit_code == 0
    lines = list(graz.of_run(config.load(paths.config), paths).lines())
    assert said.output.splitlines()[-len(lines) :] == lines
    assert parse(paths.xdf) == paths


def test_its_report_says_what_the_summary_says(run, tmp_path):
    paths, _ = run
    page = write_report(paths.xdf, tmp_path / "report.html").read_text(encoding="utf-8")
    lines = list(graz.of_run(config.load(paths.config), paths).lines())
    assert len(lines) > 2
    for line in lines:
        assert line.partition(": ")[2] in unescape(page)
    assert "held-out scores of its calibration" in page
