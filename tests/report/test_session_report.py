"""A session's report: what its files say, and nothing else."""

import json
import math
import re
from html import unescape

import numpy as np
import pytest
from typer.testing import CliRunner

from bci.cli import app
from bci.config import Recording, dump, loads
from bci.errors import BciError, RecordingError
from bci.paradigms import spelling_log
from bci.paradigms.spelling_scene import Selection
from bci.recording.run import RunRecorder
from bci.report import default_path, write_report
from bci.types import (
    Bypass,
    Command,
    Decision,
    Gap,
    Marker,
    Quality,
    RawMarker,
    Samples,
    StreamInfo,
)

SFREQ = 250.0
TOKEN = "a-token-that-nobody-may-read"
SESSION = """
source: {{kind: {source}}}
participant: {{id: P007, session: 3}}
events: {{}}
window: {{kind: marker, markers: [stim_on], offset_s: 0.1, length_s: 1.0}}
decoder: {{kind: fbcca, frequencies_hz: [9.25, 11.25, 13.25, 14.75]}}
api: {{token: {token}}}
"""
LABELS = ("9.25 Hz", "11.25 Hz", "13.25 Hz", "14.75 Hz")


def record(tmp_path, source="simulated", markers=(), decisions=(), events=(), seconds=40, more=""):
    """Write a session's files, as a session does; times in seconds."""
    config = loads(SESSION.format(source=source, token=TOKEN) + more)
    info = StreamInfo("toy", SFREQ, ("O1", "Oz"), ("eeg", "eeg"))
    keep = RunRecorder(Recording(root=tmp_path), config.participant, dump(config), info)
    n = round(seconds * SFREQ)
    keep.samples(Samples(np.zeros((n, 2), np.float32), 100.0 + np.arange(n) / SFREQ))
    for t, value in markers:
        keep.marker(RawMarker(value, 100.0 + t))
        keep.event(Marker(round(t * SFREQ) + 5, round(t * SFREQ), value))
    for event in events:
        keep.event(event)
    for decision in decisions:
        keep.decision(decision)
    keep.close()
    return keep.paths.xdf


def decided(seq, t, label, **others):
    first = round((t + 0.1) * SFREQ)
    rest = {"quality": Quality(), "latency_ms": 4.0, "model": "fbcca", **others}
    proba = dict.fromkeys(LABELS, 0.25)
    return Decision(seq, first, first + 249, label, proba, marker="stim_on", **rest)


def told(path):
    """The page's text, blanks made one."""
    page = path.read_text(encoding="utf-8")
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def spelled(n_right, n, text, phrase, *, broke_off=False):
    """A run of `n` selections of 2 s each, the first `n_right` of them right."""
    markers = [(1.0, spelling_log.begin("copy", phrase, 12, 60.0))]
    for k in range(n):
        right = k < n_right
        chosen = Selection("9.25 Hz", "9.25 Hz" if right else "11.25 Hz", "9.25 Hz" if right else
                           "11.25 Hz", "A", "type", 0.9, False, 2.0)  # fmt: skip
        markers.append((3.0 + 2 * k, spelling_log.selected(chosen, text, 100 * k, k)))
    if not broke_off:
        end = spelling_log.end("the phrase is written", text, 1, 100 * n, n)
        markers.append((3.0 + 2 * n, end))
    return markers


def test_a_run_of_the_speller_is_told_with_interval_and_chance(tmp_path):
    xdf = record(tmp_path, markers=spelled(9, 10, "TEAM", "TEAM"))
    text = told(write_report(xdf))
    p, n = 0.9, 10
    z = 1.959963984540054
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert f"0.900 [{centre - half:.3f}, {centre + half:.3f}] (95 %): 9 of 10 right" in text
    bits = math.log2(12) + p * math.log2(p) + (1 - p) * math.log2((1 - p) / 11)
    assert f"{bits * 60 / 2.0:.1f} bit/min" in text  # 2 s a selection
    assert f"{60 * 4 / 20:.1f} correct characters a minute" in text
    assert "0.083: better than guessing" in text
    assert "1000 shown at 60.00 Hz, 10 dropped" in text
    assert "1 trials cut short" in text
    assert "P007, session 3" in text


def test_what_guessing_reaches_is_not_called_better(tmp_path):
    text = told(write_report(record(tmp_path, markers=spelled(1, 10, "T", "TEAM"))))
    assert "NOT better than guessing" in text


def test_a_run_that_broke_off_is_told_as_far_as_it_went(tmp_path):
    xdf = record(tmp_path, markers=spelled(3, 3, "TE", "TEAM", broke_off=True))
    text = told(write_report(xdf))
    assert "it broke off" in text
    assert "“TE”" in text
    assert "200 shown at 60.00 Hz, 2 dropped" in text


@pytest.mark.parametrize("source", ["simulated", "lsl"])
def test_a_simulation_is_called_one_and_a_measurement_is_not(tmp_path, source):
    text = told(write_report(record(tmp_path, source)))
    assert ("SIMULATED" in text) == (source == "simulated")


def test_cued_trials_count_abstentions_as_wrong(tmp_path):
    cues = [(2.0 * k, f"cue/{LABELS[k % 4]}") for k in range(1, 9)]
    opened = [(2.0 * k + 0.5, "stim_on") for k in range(1, 9)]
    answers = [LABELS[k % 4] for k in range(1, 7)] + [None]  # the 8th trial stays undecided
    decisions = [
        decided(k, 2.0 * (k + 1) + 0.5, label,
                quality=Quality(label is not None, () if label else ("gap",)))
        for k, label in enumerate(answers)
    ]  # fmt: skip
    xdf = record(tmp_path, markers=sorted(cues + opened), decisions=decisions)
    text = told(write_report(xdf))
    assert "8 trials, 1 without a decision." in text
    assert re.search(r"7 6 1 0\.857 \[\d\.\d+, \d\.\d+\] 1\.00", text)  # n, right, abstained
    assert "gap 1 14.3 %" in text


def test_decisions_on_repaired_data_are_counted_beside_their_accuracy(tmp_path):
    """Ten cued trials: six untouched, five of them right; four mended, one of them right."""
    cues = [(2.0 * k, f"cue/{LABELS[k % 4]}") for k in range(1, 11)]
    opened = [(2.0 * k + 0.5, "stim_on") for k in range(1, 11)]
    decisions = []
    for k in range(1, 11):
        right = k in (1, 2, 3, 4, 5, 7)
        ways = {7: ("asr",), 8: ("asr",), 9: ("asr", "eog"), 10: ("eog",)}.get(k, ())
        quality = Quality(repaired=ways, repaired_fraction=0.5 if ways else 0.0)
        label = LABELS[k % 4 if right else (k + 1) % 4]
        decisions.append(decided(k, 2.0 * k + 0.5, label, quality=quality))
    events = [Bypass(5000, 0, True, "it takes 31 % of real time"), Bypass(6000, 0, False)]
    stage = "processing: [{kind: bandpass, low_hz: 6, high_hz: 40}]"
    xdf = record(tmp_path, markers=sorted(cues + opened), decisions=decisions, events=events,
                 more=stage)  # fmt: skip
    text = told(write_report(xdf))
    assert "4 of 10 decisions (40.0 %) rested on repaired data." in text
    assert re.search(r"untouched 6 60\.0 % 0\.0 % 5 of 6: 0\.833 \[", text)
    assert re.search(r"repaired 4 40\.0 % 50\.0 % 1 of 4: 0\.250 \[", text)
    assert re.search(r"asr 3 30\.0 % 50\.0 % 1 of 3: 0\.333 \[", text)
    assert re.search(r"eog 2 20\.0 % 50\.0 % 0 of 2: 0\.000 \[", text)
    assert "stage 'bandpass' by-passed: it takes 31 % of real time" in text
    assert "0:24.0 stage 'bandpass' in use again" in text


def test_recordings_from_before_repairs_were_noted_are_read(tmp_path):
    xdf = record(tmp_path, decisions=[decided(0, 2.0, LABELS[0])])
    (path,) = xdf.parent.glob("*decisions.jsonl")
    line = json.loads(path.read_text())
    del line["quality"]["repaired"], line["quality"]["repaired_fraction"]
    path.write_text(json.dumps(line) + "\n")
    assert "No decision rested on repaired data." in told(write_report(xdf))


def test_what_was_shown_while_copying_is_no_calibration(tmp_path):
    run = spelled(2, 2, "T", "T")
    trials = [(3.5, "cue/9.25 Hz"), (4.0, "stim_on")]
    text = told(write_report(record(tmp_path, markers=sorted(run + trials))))
    assert "Cued trials" not in text


def test_notes_pauses_and_breaks_stand_in_it_and_markup_stays_text(tmp_path):
    events = [Command(2500, "pause"), Command(5000, "resume"), Gap(6000, 6100, "lost")]
    xdf = record(tmp_path, markers=[(4.0, "note/<b>cap</b> moved")], events=events)
    path = write_report(xdf)
    assert "<b>cap" not in path.read_text(encoding="utf-8")
    text = told(path)
    assert "0:04.0 <b>cap</b> moved" in text
    assert text.index("decisions paused") < text.index("decisions resumed")
    assert "1 while it ran" in text


def test_the_token_of_the_engine_is_in_no_report(tmp_path):
    path = write_report(record(tmp_path))
    assert TOKEN not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_page_loads_nothing_and_runs_nothing(tmp_path):
    page = write_report(record(tmp_path)).read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)


def test_the_same_files_give_the_same_page_and_replace_it(tmp_path):
    xdf = record(tmp_path, markers=spelled(2, 3, "T", "TE"))
    first = write_report(xdf).read_bytes()
    assert write_report(xdf).read_bytes() == first
    assert [p.name for p in xdf.parent.glob("*report*")] == [default_path(xdf).name]


def test_a_recording_that_is_not_whole_says_so_first(tmp_path):
    xdf = record(tmp_path)
    xdf.write_bytes(xdf.read_bytes()[:-200])
    assert "The recording is not whole" in told(write_report(xdf))


def test_what_is_missing_is_named(tmp_path):
    xdf = record(tmp_path)
    with pytest.raises(RecordingError, match="there is no recording"):
        write_report(tmp_path / "none_eeg.xdf")
    with pytest.raises(BciError, match="cannot be written"):
        write_report(xdf, tmp_path / "no" / "where.html")
    (events,) = xdf.parent.glob("*events.jsonl")
    events.unlink()
    with pytest.raises(RecordingError, match=r"_events\.jsonl should lie beside it"):
        write_report(xdf)


def test_the_command_writes_it_and_says_where(tmp_path):
    xdf, out = record(tmp_path), tmp_path / "page.html"
    done = CliRunner().invoke(app, ["report", str(xdf), "--out", str(out)])
    assert (done.exit_code, done.output.strip()) == (0, f"wrote {out}")
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
