"""`bci run` as a daemon: stops cleanly, says how it is, and survives what daemons meet."""

import json
import os
import signal

import numpy as np
import pytest

from bci import config
from bci.recording.verify import verify
from bci.replay import decisions
from bci.sources.files import load_recording

pylsl = pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)
pyxdf = pytest.importorskip("pyxdf")

LENGTH, HOP = 125, 25  # of the windows, samples


def recorded(path):
    """Counting channel and stamps of the recorded samples."""
    streams, _ = pyxdf.load_xdf(path, dejitter_timestamps=False, synchronize_clocks=False)
    (eeg,) = [s for s in streams if s["info"]["type"] == ["EEG"]]
    return eeg["time_series"][:, -1], eeg["time_stamps"]


def assert_whole(paths, n_at_least):
    """Closed with footers, nothing missing inside, everything decided; returns the count."""
    report = verify(paths.xdf)
    assert report.ok, str(report)
    assert all(s.footer for s in report.streams)
    count, _ = recorded(paths.xdf)
    np.testing.assert_array_equal(np.diff(count), 1)
    assert len(count) >= n_at_least
    decisions = [json.loads(line) for line in paths.decisions.read_text().splitlines()]
    assert [d["seq"] for d in decisions] == list(range(1 + (len(count) - LENGTH) // HOP))
    assert decisions[-1]["last"] == len(count) - 1 - (len(count) - LENGTH) % HOP
    return len(count)


def assert_well(process):
    """What /health, /metrics and /v1/status say of a session that goes well."""
    health = process.get("/health")
    assert (health.status_code, health.json()) == (200, {"ok": True, "reasons": []})
    metrics = dict(
        line.rsplit(" ", 1)
        for line in process.get("/metrics").text.splitlines()
        if not line.startswith("#")
    )
    value = {key: float(text) for key, text in metrics.items()}
    assert 0 < value['bci_recent_latency_seconds{quantile="0.5"}'] < 0.1
    assert value['bci_recent_latency_seconds{quantile="0.99"}'] < 1.0
    assert value["bci_decision_latency_seconds_count"] >= 20
    assert 0 <= value["bci_backlog_samples"] < 250
    assert value["bci_effective_rate_hz"] == pytest.approx(250, rel=0.01)
    assert value["bci_memory_bytes"] > 20e6
    assert value["bci_gaps_total"] == 0
    assert not any(key.startswith("bci_drops_total{") for key in value)
    status = process.status
    assert status["source"]["state"] == "live"
    assert status["recording"]["state"] == "recording"
    assert status["recording"]["n_not_recorded"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_says_how_it_is_and_stops_cleanly(number, engine, sender, settings, unique, until):
    sender(unique)
    process = engine(settings(unique)).ready()
    until(lambda: process.n_decisions >= 20, 10, "twenty decisions")
    assert_well(process)
    assert process.token_file.stat().st_mode & 0o777 == 0o600
    paths, n = process.paths, process.n_received
    assert process.stop(number) == 0, process.text
    assert process.said == []
    assert not (paths.folder / ".bci-token").exists()
    n_recorded = assert_whole(paths, n)
    ledger = [json.loads(line) for line in paths.ledger.read_text().splitlines()]
    assert ledger[-1]["closed"]
    assert n_recorded in [s["n"] for s in ledger[-1]["streams"].values()]


def test_ends_with_its_source_and_after_a_given_time(engine, settings, unique):
    source = {"kind": "simulated", "minutes": 0.05, "speed": None}
    process = engine(settings(unique, source=source))
    assert process.wait(20) == 0, process.text
    n = sum(s.n_samples for s in verify(process.paths.xdf).streams if s.type == "EEG")
    assert n == 750
    logged = [json.loads(line) for line in process.lines if line.startswith("{")]
    assert any(entry["event"].startswith("recording to ") for entry in logged)
    assert all({"event", "level", "logger", "timestamp"} <= entry.keys() for entry in logged)
    endless = engine(settings(unique, source={"kind": "simulated"}), "--for", "0.5")
    assert endless.wait(20) == 0, endless.text
    assert verify(endless.paths.xdf).ok


def test_killed_in_the_middle(engine, sender, settings, unique, until, bci):
    sender(unique)
    process = engine(settings(unique)).ready()
    until(lambda: process.n_received >= 500, 10, "500 samples")
    n, paths = process.n_received, process.paths
    process.signal(signal.SIGKILL)
    killed_at = pylsl.local_clock()
    assert process.wait() == -signal.SIGKILL
    count, stamps = recorded(paths.xdf)  # opens in pyxdf
    assert killed_at - stamps[-1] <= 1.0
    assert len(count) >= n - 250
    np.testing.assert_array_equal(np.diff(count), 1)
    seen = [json.loads(line) for line in paths.decisions.read_text().splitlines()]
    assert seen[-1]["last"] >= n - 1 - LENGTH  # decisions are written at once

    session = config.load(paths.config)
    again = list(decisions(paths.xdf, load_recording(paths.xdf), session))
    assert [(d.last, d.label) for d in again] == [(d["last"], d["label"]) for d in seen][
        : len(again)
    ]

    check = bci("verify", paths.xdf)
    assert check.code == 1
    assert "not closed" in "\n".join(check.output)
    mended = bci("salvage", paths.xdf, "--out", paths.folder / "mended.xdf")
    assert mended.code == 0, mended.text
    assert verify(paths.folder / "mended.xdf").ok
    np.testing.assert_array_equal(recorded(paths.folder / "mended.xdf")[0], count)


def test_a_full_disk_stops_the_recording_only(engine, sender, settings, unique, until, bci):
    sender(unique, 5)
    process = engine(settings(unique)).ready()
    until(lambda: process.status["recording"]["n_recorded"] > 150, 10, "samples in the file")
    paths = process.paths
    process.full_disk(spare=5_000)  # about half a second of samples
    until(lambda: process.get("/health").status_code == 503, 10, "trouble in /health")
    (reason,) = process.get("/health").json()["reasons"]
    assert "recording" in reason
    assert "has stopped: File too large" in reason
    until(lambda: any("has stopped" in line for line in process.lines), 2, "a line in the log")
    n = process.n_decisions
    until(lambda: process.n_decisions >= n + 10, 5, "ten more decisions")
    status = process.status
    assert status["source"]["state"] == "live"
    assert status["recording"]["state"] == "failed"
    assert status["recording"]["n_not_recorded"] > 0

    assert process.stop() == 1
    (line,) = process.said
    assert line.startswith("bci: recording to ")
    assert "what was written before is kept" in line
    count, _ = recorded(paths.xdf)
    np.testing.assert_array_equal(np.diff(count), 1)
    assert 100 < len(count) < process_end(paths)
    check = bci("verify", paths.xdf)
    assert check.code == 1
    assert "File too large" in "\n".join(check.output)


def process_end(paths):
    """Samples that were decided on, from the last whole line of decisions."""
    lines = paths.decisions.read_text().splitlines()
    return json.loads(lines[-1])["last"]


def test_a_folder_that_cannot_be_written(engine, settings, unique, tmp_path):
    in_the_way = tmp_path / "recordings"
    in_the_way.write_text("a file")
    process = engine(
        settings(unique, source={"kind": "simulated"}, recording={"root": str(in_the_way)})
    )
    assert process.wait(20) == 1
    (line,) = process.said
    assert line.startswith(f"bci: recordings cannot be written to {in_the_way}: ")
    assert "choose another folder with recording.root" in line


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write(engine, settings, unique, tmp_path):
    forbidden = tmp_path / "forbidden"
    forbidden.mkdir(mode=0o500)
    process = engine(
        settings(unique, source={"kind": "simulated"}, recording={"root": str(forbidden / "here")})
    )
    assert process.wait(20) == 1
    (line,) = process.said
    assert "Permission denied" in line


def test_a_missing_stream_is_told_without_a_traceback(engine, settings, unique):
    source = {"kind": "lsl", "name": unique, "timeout_s": 0.5}
    process = engine(settings(unique, source=source))
    assert process.wait(20) == 1
    assert process.said[0].startswith(f"bci: no LSL stream with name '{unique}'")
    assert "Traceback" not in process.text
