"""Decisions in a file, a line each."""

import json
import os
import stat

import pytest

from bci.errors import RecordingError
from bci.outputs import Output
from bci.outputs.jsonl import JSONLinesOutput

LABELS = ("13 Hz", "17 Hz")


def test_each_line_is_a_decision_and_is_there_at_once(tmp_path, decide):
    path = tmp_path / "session" / "decisions.jsonl"
    output = JSONLinesOutput(path=path).build()
    assert isinstance(output, Output)
    output.open(LABELS)
    decisions = [decide(0), decide(1, label=None), decide(2, label="Füße", t_decision=12.5)]
    for n, decision in enumerate(decisions, 1):
        output.send(decision)
        lines = path.read_text(encoding="utf-8").splitlines()  # before it is closed
        assert [json.loads(line) for line in lines] == [d.to_json() for d in decisions[:n]]
    output.close()
    output.close()
    assert "Füße" in path.read_text(encoding="utf-8")


def test_what_is_there_is_kept(tmp_path, decide):
    path = tmp_path / "decisions.jsonl"
    for seq in range(2):
        output = JSONLinesOutput(path=path).build()
        output.open(LABELS)
        output.send(decide(seq))
        output.close()
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such file modes")
def test_only_the_owner_may_read(tmp_path):
    path = tmp_path / "decisions.jsonl"
    output = JSONLinesOutput(path=path).build()
    output.open(LABELS)
    output.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_path_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="choose another 'path'"):
        JSONLinesOutput(path=tmp_path / "file" / "d.jsonl").build().open(LABELS)
    with pytest.raises(RecordingError, match="cannot be written to"):
        JSONLinesOutput(path=tmp_path).build().open(LABELS)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said(decide):
    output = JSONLinesOutput(path="/dev/full").build()
    output.open(LABELS)
    with pytest.raises(RecordingError, match="decision 7 cannot be written"):
        output.send(decide(7))
    output.close()
    with pytest.raises(RecordingError, match="not open"):
        output.send(decide(8))


def send_all(output, decisions):
    for decision in decisions:
        output.send(decision)


def test_no_line_is_ever_half(tmp_path, decide):
    resource = pytest.importorskip("resource")
    path = tmp_path / "decisions.jsonl"
    output = JSONLinesOutput(path=path).build()
    output.open(LABELS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:  # as if the disk had room for 1000 bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(RecordingError, match="cannot be written"):
            send_all(output, map(decide, range(100)))
        n_whole = path.read_bytes().count(b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert n_whole > 0
    assert path.read_bytes().endswith(b"\n")
    output.send(decide(n_whole))
    output.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(n_whole + 1))
