"""Replay as a device: paced by an injected clock; and over LSL, in this process."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from bci.clock import now
from bci.errors import ConfigError, SourceError
from bci.sources import Source
from bci.sources.files import Recording
from bci.sources.replay import ReplaySettings, ReplaySource
from bci.types import Break, RawMarker, Reading, Samples, SourceState, StreamInfo

SFREQ = 100.0
N = 250


class FakeClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.t = 1000.0
        self.slept = 0.0

    def now(self) -> float:
        return self.t

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.t += seconds
        self.slept += seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A counting channel and noise; markers at 0, 30, 249."""
    data = np.random.default_rng(0).normal(size=(N, 2))
    data[:, 0] = np.arange(N)
    markers = [["0", "a"], ["30", "b"], ["249", "c"]]
    np.savez(tmp_path / "r.npz", data=data, sfreq=SFREQ, ch_names=["n", "x"], markers=markers)
    return tmp_path / "r.npz"


def source_of(path: Path, clock: FakeClock, **settings: object) -> ReplaySource:
    return ReplaySource(ReplaySettings(path=path, **settings), clock.now, clock.sleep)


def play(source: ReplaySource, at_most: int = 10_000) -> list[Reading]:
    readings: list[Reading] = []
    for _ in range(at_most):
        readings += source.read(0.05)
        if source.state is SourceState.ENDED:
            break
    return readings


def counts(readings: list[Reading]) -> np.ndarray:
    return np.concatenate([r.data[:, 0] for r in readings if isinstance(r, Samples)])


@pytest.mark.parametrize("chunk", [1, 7, 100, 1000])
@pytest.mark.parametrize("speed", [1.0, 4.0, None])
def test_every_sample_once_with_its_time(path: Path, chunk: int, speed: float | None) -> None:
    clock = FakeClock()
    source = source_of(path, clock, speed=speed, chunk=chunk)
    assert isinstance(source, Source)
    info = source.open()
    assert info.ch_names == ("n", "x")
    assert source.state is SourceState.LIVE
    readings = play(source)
    np.testing.assert_array_equal(counts(readings), np.arange(N))
    stamps = np.concatenate([r.stamps for r in readings if isinstance(r, Samples)])
    np.testing.assert_allclose(stamps, 1000.0 + np.arange(N) / SFREQ, atol=1e-9)
    markers = [r for r in readings if isinstance(r, RawMarker)]
    assert [(m.index, m.value) for m in markers] == [(0, "a"), (30, "b"), (249, "c")]
    assert [m.t for m in markers] == pytest.approx([1000.0, 1000.3, 1002.49])
    assert clock.slept == pytest.approx((N - 1) / SFREQ / speed if speed else 0.0)
    assert source.read(0.1) == []
    source.close()
    source.close()


def test_a_marker_comes_before_the_sample_it_belongs_to(path: Path) -> None:
    source = source_of(path, FakeClock(), speed=None, chunk=20)
    source.open()
    seen = 0
    for reading in play(source):
        if isinstance(reading, RawMarker):
            assert reading.index is not None
            assert reading.index >= seen
        elif isinstance(reading, Samples):
            seen += len(reading.data)


def test_nothing_arrives_before_its_time(path: Path) -> None:
    clock = FakeClock()
    source = source_of(path, clock, chunk=10)
    source.open()
    assert source.read(0.05) == []  # the first chunk is complete after 0.09 s
    assert clock.t == pytest.approx(1000.05)
    (first,) = (r for r in source.read(1.0) if isinstance(r, Samples))
    assert len(first.data) == 10
    assert clock.t == pytest.approx(1000.09)
    clock.t = 1000.555  # the reader was late: all whole chunks at once
    (late,) = (r for r in source.read(0.0) if isinstance(r, Samples))
    assert late.data[0, 0] == 10
    assert len(late.data) == 40


def test_loop(path: Path) -> None:
    clock = FakeClock()
    source = source_of(path, clock, speed=2.0, loop=True, chunk=50)
    source.open()
    readings: list[Reading] = []
    while len([r for r in readings if isinstance(r, Break)]) < 2:
        readings += source.read(0.1)
    n = len(counts(readings))
    np.testing.assert_array_equal(counts(readings), np.arange(n) % N)
    stamps = np.concatenate([r.stamps for r in readings if isinstance(r, Samples)])
    np.testing.assert_allclose(stamps, 1000.0 + np.arange(n) / SFREQ, atol=1e-9)
    indices = [r.index for r in readings if isinstance(r, RawMarker)]
    assert indices[:6] == [0, 30, 249, 250, 280, 499]
    assert source.state is SourceState.LIVE


def test_breaks_of_the_recording_are_passed_on(tmp_path: Path) -> None:
    lines = ["%OpenBCI Raw EEG Data", "%Number of channels = 1", "%Sample Rate = 250 Hz"]
    lines += [f"{i}, {i}.0, {i / 250 + 1.5e9}, 12:00" for i in range(200) if not 100 <= i < 104]
    (tmp_path / "o.txt").write_text("\n".join(lines))
    source = source_of(tmp_path / "o.txt", FakeClock(), speed=None, chunk=64)
    source.open()
    readings = play(source)
    at = next(i for i, r in enumerate(readings) if isinstance(r, Break))
    assert len(counts(readings[:at])) == 100
    assert readings[at] == Break("4 samples lost", 4 / 250)


def test_what_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        source_of(tmp_path / "x.fif", FakeClock()).open()
    np.save(tmp_path / "e.npy", np.empty((0, 2)))
    source = source_of(tmp_path / "e.npy", FakeClock(), sfreq=100.0, loop=True)
    with pytest.raises(SourceError, match="holds no sample"):
        source.open()
    source = source_of(tmp_path / "e.npy", FakeClock(), sfreq=100.0)
    source.open()
    assert play(source) == []
    assert source.state is SourceState.ENDED


# --- over LSL ------------------------------------------------------------------------------------


def recording_of(data: np.ndarray, sfreq: float, onsets: list[int]) -> Recording:
    names = tuple(f"c{k}" for k in range(data.shape[1]))
    kinds = ("eeg",) * (data.shape[1] - 1) + ("stim",)
    info = StreamInfo("amp", sfreq, names, kinds, {"c0": (0.01, 0.02, 0.1)})
    stamps = np.arange(len(data)) / sfreq
    markers = [RawMarker(f"m{i}", i / sfreq, i) for i in onsets]
    return Recording(Path("made.npz"), info, data, stamps, markers)


class Receiver(Thread):
    """Receives a stream (samples or markers) in a thread of its own, until told to stop."""

    def __init__(self, name: str, n: int) -> None:
        super().__init__(daemon=True)
        self.stream, self.n = name, n
        self.values: list[list[object]] = []
        self.stamps: list[float] = []
        self.xml = ""

    def run(self) -> None:
        import pylsl

        found = pylsl.resolve_byprop("name", self.stream, timeout=10)
        inlet = pylsl.StreamInlet(found[0])
        self.xml = inlet.info(timeout=5).as_xml()
        inlet.open_stream(timeout=5)
        deadline = now() + 20
        while len(self.values) < self.n and now() < deadline:
            values, stamps = inlet.pull_chunk(timeout=0.2)
            self.values += values
            self.stamps += stamps
        inlet.close_stream()


@pytest.mark.parametrize("exact", [np.float32, np.float64])
def test_lsl_round_trip_loses_and_changes_nothing(exact: type) -> None:
    pytest.importorskip("pylsl")
    from bci.lsl import read
    from bci.sources.replay_lsl import stream_to_lsl

    data = np.random.default_rng(5).normal(size=(2000, 4)).astype(exact).astype(np.float64)
    data[:, 0] = np.arange(2000)
    recording = recording_of(data, 1000.0, [0, 777, 1999])
    name = f"replay-test-{exact.__name__}"
    receivers = Receiver(name, 2000), Receiver(f"{name}-markers", 3)
    for receiver in receivers:
        receiver.start()
    lines: list[str] = []
    sent = stream_to_lsl(recording, speed=4.0, chunk=37, name=name, report=lines.append)
    for receiver in receivers:
        receiver.join(20)
        assert not receiver.is_alive()
    samples, markers = receivers
    assert sent == 2000
    np.testing.assert_array_equal(np.array(samples.values), data)
    stamps = np.array(samples.stamps)
    np.testing.assert_allclose(stamps - stamps[0], np.arange(2000) / 1000.0, atol=1e-6)
    assert [v[0] for v in markers.values] == ["m0", "m777", "m1999"]
    np.testing.assert_allclose(markers.stamps, stamps[[0, 777, 1999]], atol=1e-6)
    width = "float32" if exact is np.float32 else "double64"
    assert f"<channel_format>{width}</channel_format>" in samples.xml
    described = read(samples.xml).info  # as an LSL source would
    assert described.ch_names == recording.info.ch_names
    assert described.ch_types == recording.info.ch_types
    assert described.positions["c0"] == pytest.approx((0.01, 0.02, 0.1))
    assert len(lines) == 3


def test_lsl_waits_for_a_receiver_and_can_be_stopped() -> None:
    pytest.importorskip("pylsl")
    from bci.sources.replay_lsl import stream_to_lsl

    recording = recording_of(np.zeros((100, 2)), 100.0, [])
    stop, waiting, sent = Event(), Event(), []

    def report(line: str) -> None:
        waiting.set()

    thread = Thread(
        target=lambda: sent.append(
            stream_to_lsl(recording, name="nobody", stop=stop, report=report)
        )
    )
    thread.start()
    assert waiting.wait(5)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert sent == [0]
    with pytest.raises(ConfigError, match="above 0"):
        stream_to_lsl(recording, speed=0)
