"""The recorder's thread: nothing dropped, callers wait, failures do not reach them."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.recording.thread import ENTRY_BYTES, RecorderThread
from bci.recording.verify import verify
from bci.recording.writer import Recorder, RecorderState
from bci.types import StreamInfo

INFO = StreamInfo("EEG", 1000.0, ("a",), ("eeg",))
DEADLINE_S = 10.0


def block(start, n=10):
    index = np.arange(start, start + n)
    return index[:, None].astype(np.float64), index / 1000.0


def until(condition):
    """Wait for what another thread does, at most `DEADLINE_S`."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.001)


class Gated(Recorder):
    """A recorder whose disk stands still until the gate opens."""

    def __init__(self, path):
        super().__init__(path)
        self.gate = threading.Event()
        self.entered = threading.Event()

    def write_samples(self, stream_id, data, stamps):
        self.entered.set()
        assert self.gate.wait(DEADLINE_S)
        super().write_samples(stream_id, data, stamps)


def test_everything_arrives_in_order_and_arrays_may_be_reused(tmp_path):
    pyxdf = pytest.importorskip("pyxdf")
    path = tmp_path / "a.xdf"
    with RecorderThread(Recorder(path)) as recorder:
        stream = recorder.add_stream(INFO)
        markers = recorder.add_marker_stream("markers")
        data, stamps = block(0)
        for i in range(300):
            data[:], stamps[:] = block(10 * i)
            recorder.write_samples(stream, data, stamps)
            recorder.write_marker(markers, str(i), i / 100)
            recorder.write_clock_offset(stream, i / 100, 0.0)
    assert recorder.state is RecorderState.CLOSED
    assert recorder.status.n_recorded == 3300
    assert recorder.status.queued_bytes == 0
    streams, _ = pyxdf.load_xdf(path, dejitter_timestamps=False)
    assert np.array_equal(streams[0]["time_series"][:, 0], np.arange(3000))
    assert np.array_equal(streams[0]["time_stamps"], np.arange(3000) / 1000)
    assert [row[0] for row in streams[1]["time_series"]] == [str(i) for i in range(300)]


def test_a_full_queue_holds_the_caller_and_says_so(tmp_path):
    inner = Gated(tmp_path / "a.xdf")
    entry = 160 + ENTRY_BYTES
    recorder = RecorderThread(inner, capacity=3 * entry)
    stream = recorder.add_stream(INFO)
    for i in range(3):  # the first is in the writer's hands and still counts
        recorder.write_samples(stream, *block(10 * i))
    assert recorder.state is RecorderState.RECORDING
    done = threading.Event()

    def fourth():
        recorder.write_samples(stream, *block(30))
        done.set()

    caller = threading.Thread(target=fourth)
    caller.start()
    until(lambda: recorder.state is RecorderState.BLOCKED)
    assert "too slow" in recorder.status.message
    assert recorder.status.queued_bytes <= recorder.capacity
    assert not done.is_set()
    inner.gate.set()
    assert done.wait(DEADLINE_S)
    caller.join()
    recorder.close()
    assert recorder.status.n_recorded == 40
    assert recorder.status.n_not_recorded == 0
    assert verify(tmp_path / "a.xdf").ok


def test_a_piece_larger_than_the_queue_passes_alone(tmp_path):
    with RecorderThread(Recorder(tmp_path / "a.xdf"), capacity=100) as recorder:
        stream = recorder.add_stream(INFO)
        recorder.write_samples(stream, *block(0, 1000))
        recorder.write_samples(stream, *block(1000, 1000))
    assert recorder.status.n_recorded == 2000


def test_flush_waits_until_it_is_written(tmp_path):
    with RecorderThread(Recorder(tmp_path / "a.xdf")) as recorder:
        stream = recorder.add_stream(INFO)
        recorder.write_samples(stream, *block(0))
        recorder.flush()
        assert verify(tmp_path / "a.xdf", reopen=False).streams[0].n_samples == 10
    recorder.flush()  # harmless


def test_many_callers(tmp_path):
    with RecorderThread(Recorder(tmp_path / "a.xdf"), capacity=5000) as recorder:
        streams = [recorder.add_stream(INFO) for _ in range(4)]

        def write(stream):
            for i in range(100):
                recorder.write_samples(stream, *block(10 * i))

        callers = [threading.Thread(target=write, args=(stream,)) for stream in streams]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    report = verify(tmp_path / "a.xdf")
    assert report.ok
    assert [s.n_samples for s in report.streams] == [1000] * 4


def test_an_unexpected_error_fails_the_recording_and_not_the_caller(tmp_path, caplog):
    class Broken(Recorder):
        def write_marker(self, stream_id, text, t):
            raise ZeroDivisionError("broken")

    with RecorderThread(Broken(tmp_path / "a.xdf")) as recorder:
        stream = recorder.add_stream(INFO)
        markers = recorder.add_marker_stream("markers")
        recorder.write_samples(stream, *block(0))
        recorder.flush()
        recorder.write_marker(markers, "x", 0.0)
        until(lambda: recorder.state is RecorderState.FAILED)
        recorder.write_samples(stream, *block(10))
        until(lambda: recorder.status.n_not_recorded == 10)
    assert "ZeroDivisionError" in recorder.status.message
    assert verify(tmp_path / "a.xdf").streams[0].n_samples == 10
    assert "the recorder failed" in caplog.text


def test_wrong_samples_are_the_callers_mistake(tmp_path):
    with RecorderThread(Recorder(tmp_path / "a.xdf")) as recorder:
        stream = recorder.add_stream(INFO)
        with pytest.raises(ValueError, match="shape"):
            recorder.write_samples(stream, np.zeros((3, 2)), np.zeros(3))
        with pytest.raises(ValueError, match="complex"):
            recorder.add_stream(INFO, dtype=np.complex128)
        assert recorder.state is RecorderState.RECORDING


def test_after_close_samples_are_counted_and_streams_refused(tmp_path):
    recorder = RecorderThread(Recorder(tmp_path / "a.xdf"))
    stream = recorder.add_stream(INFO)
    recorder.close()
    recorder.close()
    recorder.write_samples(stream, *block(0))
    assert recorder.status.n_not_recorded == 10
    with pytest.raises(RecordingError, match="closed"):
        recorder.add_marker_stream("late")


def test_a_disk_that_hangs_is_an_error_of_close(tmp_path):
    inner = Gated(tmp_path / "a.xdf")
    recorder = RecorderThread(inner)
    stream = recorder.add_stream(INFO)
    recorder.write_samples(stream, *block(0))
    assert inner.entered.wait(DEADLINE_S)
    with pytest.raises(RecordingError, match="is not closed"):
        recorder.close(timeout_s=0.05)
    inner.gate.set()
    recorder.close()
    assert recorder.state is RecorderState.CLOSED
