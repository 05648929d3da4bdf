"""What goes wrong in a lab: each fault is told, costs what it must, and nothing else."""

import signal
import socket
import struct
import threading
import time
from typing import Literal

import httpx
import numpy as np
import pytest
import yaml

from bci import config
from bci.clock import now
from bci.config import DecoderSettings, SourceSettings
from bci.eventlog import read as read_events
from bci.pipeline import Pipeline
from bci.recording.verify import verify
from bci.replay import decisions
from bci.sources.files import load_recording
from bci.types import Chunk, Gap, Marker, Samples, SourceState, StreamInfo

pylsl = pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)
pyxdf = pytest.importorskip("pyxdf")

#: Of polling and of the scheduler on a busy machine, seconds.
ALLOWANCE_S = 0.7


def counted(path):
    """The counting channel as recorded."""
    streams, _ = pyxdf.load_xdf(path, dejitter_timestamps=False, synchronize_clocks=False)
    (eeg,) = [s for s in streams if s["info"]["type"] == ["EEG"]]
    return eeg["time_series"][:, -1]


def gaps_in(paths):
    return [e for e in read_events(paths.events) if isinstance(e, Gap)]


# --- the stream ----------------------------------------------------------------------------------


def test_the_plug_is_pulled_and_put_back(engine, sender, settings, unique, until, decided):
    """First silence (a pulled cable: the connection stays open), then a killed sender."""
    first = sender(unique)
    source = {"kind": "lsl", "name": unique, "type": "EEG", "lost_s": 2.0}
    process = engine(settings(unique, source=source)).ready()
    states = []

    def state():
        states.append(process.status["source"]["state"])
        return states[-1]

    until(lambda: process.n_decisions >= 5, 10)
    first.signal(signal.SIGSTOP)
    silent_at = time.monotonic()
    until(lambda: state() == "stale", 1.0 + ALLOWANCE_S, "STALE")
    assert time.monotonic() - silent_at > 0.8  # not at the first short silence
    health = process.get("/health")
    assert health.status_code == 503
    assert health.json()["reasons"] == ["source is stale"]
    until(lambda: state() != "stale", 1.0 + ALLOWANCE_S, "LOST")
    first.end()

    second = sender(unique)
    until(lambda: state() == "live", 10, "LIVE again")
    n = process.n_decisions
    until(lambda: process.n_decisions >= n + 15, 5, "decisions")
    assert process.get("/health").status_code == 200
    order = [a for a, b in zip(states, [*states[1:], ""], strict=True) if a != b]
    assert order in (
        ["live", "stale", "lost", "recovering", "live"],
        ["live", "stale", "recovering", "live"],  # the old one answers a moment longer
        ["live", "stale", "lost", "live"],  # too quick to be seen
    ), order

    second.end()
    until(lambda: state() == "lost", 1.0 + ALLOWANCE_S, "LOST")
    sender(unique)
    until(lambda: state() == "live", 10, "LIVE again")
    n = process.n_decisions
    until(lambda: process.n_decisions >= n + 10, 5, "decisions")
    telemetry = process.status["telemetry"]
    assert telemetry["gaps"] == 2
    paths = process.paths
    assert process.stop() == 0, process.text

    gaps = gaps_in(paths)
    assert [g.reason for g in gaps] == ["reconnected"] * 2
    found = decided(paths)
    over = [d for d in found if any(d["first"] < g.at <= d["last"] for g in gaps)]
    assert len(over) >= 8  # windows of 0.5 s each 0.1 s, twice
    assert all(d["quality"]["reasons"] == ["reconnected"] for d in over)
    assert [d for d in found if d["label"] is None] == over
    assert telemetry["abstention_reasons"] == {"reconnected": len(over)}

    assert verify(paths.xdf).ok  # one file, closed
    broken = np.flatnonzero(np.diff(counted(paths.xdf)) != 1) + 1
    assert broken.tolist() == [g.at for g in gaps]


def test_nan_is_abstained_on_and_forgotten(session, sender, settings, unique, until, decided):
    sender(unique, nan=(400, 420))
    live = session(settings(unique))
    until(lambda: live.status()["source"]["n_received"] >= 750, 15)
    live.stop()
    assert live.error is None
    found = decided(live.record.paths)
    touching = [d for d in found if d["first"] < 420 and d["last"] >= 400]
    assert len(touching) == 5
    assert all(d["quality"]["reasons"] == ["non-finite"] for d in touching)
    assert all(d["quality"]["bads"] == ["O1"] for d in touching)
    assert [d for d in found if d["label"] is None] == touching
    assert {d["label"] for d in found if d["first"] >= 420} == {"twelve"}
    report = verify(live.record.paths.xdf)
    assert report.ok
    assert any("20 values are NaN" in note for note in report.notes)  # recorded as they came


def test_another_number_of_channels_ends_the_session(engine, sender, settings, unique, until):
    first = sender(unique, 3)
    process = engine(settings(unique)).ready()
    until(lambda: process.n_decisions >= 5, 10)
    paths = process.paths
    first.end()
    sender(unique, 4)
    assert process.wait() == 1
    (line,) = process.said
    assert line.startswith(f"bci: LSL stream '{unique}' came back as another one: ")
    assert "4 channels before, 5 now" in line
    assert "Traceback" not in process.text
    assert verify(paths.xdf).ok
    assert not process.token_file.exists()


def test_two_streams_of_one_name_are_refused(engine, settings, unique):
    outlets = [
        pylsl.StreamOutlet(pylsl.StreamInfo(unique, "EEG", 2, 250.0, "float32", f"{unique}-{k}"))
        for k in (1, 2)
    ]
    process = engine(settings(unique))
    assert process.wait() == 1
    assert process.said[0].startswith("bci: 2 streams match LSL stream with name")
    listed = "\n".join(process.said[1:3])
    assert all(f"source_id '{unique}-{k}'" in listed for k in (1, 2))
    assert process.said[3] == "choose one by its source_id"
    assert not list(process.folder.rglob("*.xdf"))
    del outlets


def test_markers_that_leave_are_told_and_come_back(session, sender, settings, unique, until):
    def opened():
        info = pylsl.StreamInfo(f"{unique}-m", "Markers", 1, 0.0, "string", f"{unique}-m")
        return pylsl.StreamOutlet(info)

    outlet = opened()
    sender(unique)
    markers = {"kind": "lsl", "name": f"{unique}-m"}
    live = session(settings(unique, markers=markers))
    sent = [pylsl.local_clock()]
    outlet.push_sample(["one"])
    until(lambda: '"one"' in live.record.paths.events.read_text(), 5)
    until(lambda: live.health() == (True, []), 5)
    del outlet
    until(lambda: live.health() == (False, ["the marker stream is lost"]), 5)
    assert not live.status()["markers"]["connected"]
    outlet = opened()
    until(lambda: live.health() == (True, []), 8)
    sent.append(pylsl.local_clock())
    outlet.push_sample(["two"])
    until(lambda: '"two"' in live.record.paths.events.read_text(), 5)
    live.stop()
    assert live.error is None
    markers = [e for e in read_events(live.record.paths.events) if isinstance(e, Marker)]
    assert [m.value for m in markers] == ["one", "two"]
    placed = [live._reader.dejitter.time_of(m.onset) for m in markers]
    np.testing.assert_allclose(placed, sent, atol=0.1)  # each on the sample of its moment


@pytest.mark.parametrize(("onset", "offset_s"), [(900, 0.0), (450, 1.0)])
def test_a_window_that_a_break_parts_from_its_marker_is_not_decided_on(settings, onset, offset_s):
    """A marker of the silence, and one before it whose window lies behind.

    Nobody knows how many samples are missing, so no index behind is the marker's.
    """
    made = settings(
        "any",
        events={"left": "1"},
        window={"kind": "marker", "length_s": 0.5, "offset_s": offset_s},
    )
    info = StreamInfo("any", 250.0, ("O1", "O2"), ("eeg", "eeg"))
    pipeline = Pipeline(config.loads(yaml.safe_dump(made)), info, SlowDecoder(), "any")
    SlowDecoder.go_on.set()
    data = np.random.default_rng(0).normal(size=(1500, 2))
    story = [
        Chunk(0, data[:500]),
        Marker(500, onset, "1"),
        Gap(500, 500, "stalled"),
        Chunk(500, data[500:]),
    ]
    (decision,) = pipeline.run(story)
    assert decision.label is None
    assert decision.quality.reasons == ("stalled",)


class Faulty(SourceSettings):
    """A driver that fails in a way of its own."""

    kind: Literal["faulty"] = "faulty"

    def build(self):
        return FaultySource()


class FaultySource:
    state = SourceState.OPENING

    def open(self):
        self.state = SourceState.LIVE
        return StreamInfo("faulty", 250.0, ("O1", "O2"), ("eeg", "eeg"))

    def read(self, timeout_s=0.1):
        if self.state is SourceState.LIVE:
            self.state = SourceState.STALE
            return [Samples(np.zeros((50, 2)), now() + np.arange(50) / 250.0)]
        raise KeyError("no such register")

    def close(self):
        self.state = SourceState.ENDED


def test_a_driver_that_fails_ends_the_session_with_its_reason(session, settings, tmp_path):
    made = config.loads(
        yaml.safe_dump(
            settings("any", source={"kind": "simulated"}, recording={"root": str(tmp_path)})
        )
    )
    live = session(made.model_copy(update={"source": Faulty()}))
    assert live.wait(10)
    live.stop()
    assert str(live.error) == "the source failed: KeyError: 'no such register'"
    report = verify(live.record.paths.xdf)
    assert report.ok
    assert sum(s.n_samples for s in report.streams if s.type == "EEG") == 50


# --- clients and the decoder ---------------------------------------------------------------------


def fast(file, settings, tmp_path, **changes):
    """A recording of 32 channels at 1000 Hz played four times as fast as life; 3 are decoded."""
    return settings(
        "any",
        source={"kind": "replay", "path": str(file), "speed": 4.0, "chunk": 20},
        channels={"pick": ["E0", "E1", "E2"], "montage": None},
        recording={"root": str(tmp_path / "recordings")},
        **changes,
    )


@pytest.fixture
def wide(tmp_path):
    """Twelve seconds of noise."""
    rng = np.random.default_rng(0)
    n_channels = 32
    path = tmp_path / "wide.npz"
    np.savez(
        path,
        data=rng.normal(0, 10, (12_000, n_channels)).astype(np.float32),
        sfreq=1000.0,
        ch_names=[f"E{k}" for k in range(n_channels)],
    )
    return path


def handshake(url, path):
    """A WebSocket whose client never reads again."""
    host, port = httpx.URL(url).host, httpx.URL(url).port
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((host, port))
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b"101" in client.recv(64)
    return client


def test_clients_that_take_nothing_change_nothing(
    session, settings, wide, tmp_path, until, decided, same
):
    made = fast(wide, settings, tmp_path)
    live = session(made)
    slow = [handshake(live.api_url, path) for path in ("/v1/samples", "/v1/decisions")]
    dead = handshake(live.api_url, "/v1/samples")
    dead.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    dead.close()  # by a reset, as of a program that crashed
    seen = {}

    def account():
        status = httpx.get(f"{live.api_url}/v1/status", trust_env=False).json()
        seen.update({client["feed"]: client for client in status["api"]["clients"]})
        return live.done.is_set()

    until(account, 15)
    live.stop()
    for client in slow:
        client.close()
    assert 0 < seen["samples"]["sent"] < 9000  # of 12 000: its connection is full
    telemetry = live.telemetry.snapshot()
    assert telemetry["drops"].get("decoder", 0) == 0
    assert telemetry["latency_ms"]["p50"] < 50
    offline = decisions(wide, load_recording(wide), live.config)
    same(decided(live.record.paths), [d.to_json() for d in offline], 1e-9)
    assert verify(live.record.paths.xdf).ok


class SlowSettings(DecoderSettings):
    """A decoder that can be held up."""

    kind: Literal["slow"] = "slow"

    def build(self, info):
        return SlowDecoder()


class SlowDecoder:
    classes_ = np.array(["left", "right"])
    go_on = threading.Event()

    def predict_proba(self, X):
        assert self.go_on.wait(30)
        power = X[:, :2].var(axis=2)  # (n_windows, 2)
        return power / power.sum(axis=1, keepdims=True)


def test_a_decoder_that_is_late_jumps_to_the_newest(
    session, settings, wide, tmp_path, until, decided, same
):
    """The live session skips what it cannot decode in time, says so, and its replay does too."""
    made = config.loads(yaml.safe_dump(fast(wide, settings, tmp_path)))
    SlowDecoder.go_on.set()
    live = session(made.model_copy(update={"decoder": SlowSettings()}))
    until(lambda: live.telemetry.snapshot()["decisions"] >= 5, 10)
    SlowDecoder.go_on.clear()
    inbox = live._reader.inbox
    until(lambda: inbox.n_skipped > 0, 10, "a full inbox")
    SlowDecoder.go_on.set()
    assert live.wait(15)
    live.stop()
    assert live.error is None
    skipped = live.telemetry.snapshot()["drops"]["decoder"]
    paths = live.record.paths
    gaps = gaps_in(paths)
    assert {g.reason for g in gaps} == {"backlog"}
    assert sum(g.resume - g.at for g in gaps) == skipped >= 5000
    found = decided(paths)
    over = [d for d in found if any(d["first"] < g.resume and d["last"] >= g.at for g in gaps)]
    assert over
    assert all(d["quality"]["reasons"] == ["backlog"] for d in over)
    assert [d for d in found if d["label"] is None] == over
    assert found[-1]["last"] > gaps[-1].resume + 500  # it caught up

    report = verify(paths.xdf)
    assert report.ok
    assert sum(s.n_samples for s in report.streams if s.type == "EEG") == 12_000  # nothing skipped
    recording = load_recording(paths.xdf)
    for chunk in (1000, 20, [1, 0, 997]):
        again = decisions(paths.xdf, recording, live.config, chunk)
        same([d.to_json() for d in again], found, 1e-9)


def test_a_decoder_that_hangs_does_not_keep_the_recording_open(
    session, settings, wide, tmp_path, until, monkeypatch
):
    monkeypatch.setattr("bci.session.JOIN_TIMEOUT_S", 0.3)
    made = config.loads(yaml.safe_dump(fast(wide, settings, tmp_path)))
    SlowDecoder.go_on.clear()
    live = session(made.model_copy(update={"decoder": SlowSettings()}))
    until(lambda: live.status()["source"]["n_received"] > 2000, 10)
    live.stop()
    SlowDecoder.go_on.set()
    assert "bci-decode did not end within 0.3 s" in str(live.error)
    report = verify(live.record.paths.xdf)
    assert report.ok
    assert sum(s.n_samples for s in report.streams if s.type == "EEG") > 2000
    assert live.wait(10)


def test_a_recording_without_a_pace_waits_for_the_decoder(
    session, settings, wide, tmp_path, decided, same
):
    """`speed: null` decodes everything, however slow the decoder is."""
    made = fast(wide, settings, tmp_path)
    made["source"]["speed"] = None
    live = session(made)
    assert live.wait(30)
    live.stop()
    assert live.telemetry.snapshot()["drops"] == {}
    assert gaps_in(live.record.paths) == []
    offline = decisions(wide, load_recording(wide), live.config)
    same(decided(live.record.paths), [d.to_json() for d in offline], 1e-9)
