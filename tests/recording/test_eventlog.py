"""The event log: what is pushed comes back, also after a crash."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bci import eventlog
from bci.errors import RecordingError
from bci.eventlog import EventLog, SwapRecord
from bci.types import (
    Bypass,
    Chunk,
    Command,
    DecoderSwap,
    Feedback,
    Gap,
    Marker,
    Prior,
    StreamInfo,
)

INFO = StreamInfo(
    "Amp ü", 250.0, ("Fz", "Cz"), ("eeg", "eeg"), {"Fz": (0.1, 0.2, 0.3)}, "serial", rank=1
)
EVENTS = [
    Marker(1210, 1200, "13 Hz"),
    Marker(np.int64(1300), np.int64(1299), 'line\nbreak "quoted" 🧠 \u2028'),
    Gap(1400, 1410, "stream lost"),
    Command(1500, "pause"),
    Feedback(1600, 3, True),
    Feedback(1650, 4, label="13 Hz"),
    Bypass(1700, 0, False),
    Bypass(1710, 1, True, "it takes 31 % of real time"),
    Prior(1750, {"13 Hz": 0.75, "ü": np.float64(0.25)}),
    Prior(1760, None),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a_events.jsonl"
    log = EventLog(path, INFO)
    for event in EVENTS:
        log.append(event)
    log.append(DecoderSwap(1800, object(), "models/b"))
    log.close()
    log.close()
    return path


def test_every_event_comes_back(path):
    assert eventlog.read(path) == [*EVENTS, SwapRecord(1800, "models/b")]
    assert eventlog.read_info(path) == INFO


def test_bypasses_from_before_they_had_a_reason_are_read(path):
    lines = path.read_text().replace(', "reason": ""', "")
    assert lines.count('"reason"') == path.read_text().count('"reason"') - 1
    path.write_text(lines)
    assert Bypass(1700, 0, False) in eventlog.read(path)


def test_one_line_per_event_for_the_owner_only(path):
    assert path.read_bytes().count(b"\n") == 2 + len(EVENTS)
    assert path.stat().st_mode & 0o777 == 0o600


def test_events_are_on_disk_when_append_returns(tmp_path):
    log = EventLog(tmp_path / "e.jsonl", INFO)
    for i, event in enumerate(EVENTS, start=1):
        log.append(event)
        assert len(eventlog.read(tmp_path / "e.jsonl")) == i
    log.close()


def test_a_chunk_is_no_event_to_log(tmp_path):
    log = EventLog(tmp_path / "e.jsonl", INFO)
    with pytest.raises(TypeError, match="Chunk"):
        log.append(Chunk(0, np.zeros((1, 1))))
    log.close()


def test_a_log_cut_anywhere_keeps_its_whole_lines(path, caplog):
    raw = path.read_bytes()
    events = eventlog.read(path)
    header = raw.index(b"\n") + 1
    cut = path.with_name("cut.jsonl")
    for size in range(header, len(raw)):
        cut.write_bytes(raw[:size])
        found = eventlog.read(cut)
        whole = raw[:size].count(b"\n") - 1
        # an event without its line break only is whole
        assert found in (events[:whole], events[: whole + 1])
        assert found == events[: len(found)]
    assert "the last line is cut" in caplog.text


@pytest.mark.parametrize(
    ("line", "text", "what"),
    [
        (3, b'{"event": "mark', "damaged"),
        (3, b"\x00\x00\x00", "damaged"),
        (3, b"\xff\xfe", "damaged"),
        (4, b'{"event": "rocket", "at": 3}', "unknown event 'rocket'"),
        (4, b'{"event": ["marker"], "at": 3}', "unknown event"),
        (5, b'{"event": "marker", "at": 3}', "not complete"),
        (6, b"[1, 2]", "JSON object"),
        (1, b'{"schema": "bci.events/9", "stream": {}}', "schema 'bci.events/1'"),
    ],
)
def test_damage_in_the_middle_names_its_line(path, line, text, what):
    lines = path.read_bytes().split(b"\n")
    lines[line - 1] = text
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(RecordingError, match=what) as caught:
        eventlog.read(path)
    assert f"{path}:{line}:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_stream_that_is_not_described_is_damage(tmp_path):
    (tmp_path / "e.jsonl").write_text('{"schema": "bci.events/1", "stream": {"name": "x"}}\n')
    with pytest.raises(RecordingError, match=":1: the stream"):
        eventlog.read_info(tmp_path / "e.jsonl")


@pytest.mark.parametrize("content", [b"", b'{"schema": "bci.ev'])
def test_a_log_without_its_first_line_is_empty(tmp_path, content):
    (tmp_path / "e.jsonl").write_bytes(content)
    with pytest.raises(RecordingError, match="empty"):
        eventlog.read(tmp_path / "e.jsonl")


def test_missing_and_present_files(tmp_path):
    with pytest.raises(RecordingError, match="cannot be read"):
        eventlog.read(tmp_path / "none.jsonl")
    (tmp_path / "there.jsonl").write_text("precious")
    with pytest.raises(RecordingError, match="not overwritten"):
        EventLog(tmp_path / "there.jsonl", INFO)
    with pytest.raises(RecordingError, match="cannot be created"):
        EventLog(tmp_path / "there.jsonl" / "e.jsonl", INFO)


FILL = """
import resource, signal, sys
from bci.eventlog import EventLog
from bci.types import Marker, StreamInfo

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
log = EventLog(sys.argv[1], StreamInfo("EEG", 250.0, ("Cz",), ("eeg",)))
for i in range(1000):
    log.append(Marker(i, i, "x" * 20))
assert "File too large" in log.error
print(log.n_lost)
"""


def test_a_full_disk_keeps_whole_lines_and_counts_the_rest(tmp_path):
    path = tmp_path / "e.jsonl"
    result = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert path.read_bytes().endswith(b"\n")
    events = eventlog.read(path)
    assert len(events) + int(result.stdout) == 1000
    assert [event.at for event in events] == list(range(len(events)))
