"""The recorder: flushing, ledger, disk full, rights, a killed process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from bci.errors import RecordingError
from bci.recording.ledger import read_ledger
from bci.recording.salvage import salvage
from bci.recording.scan import ChunkAt, open_file, scan
from bci.recording.verify import verify
from bci.recording.writer import Recorder, RecorderState
from bci.recording.xdf import Tag
from bci.types import StreamInfo

INFO = StreamInfo("EEG", 1000.0, ("a", "b"), ("eeg", "eeg"))


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def block(start, n=10):
    """Samples that count, with their stamps."""
    index = np.arange(start, start + n)
    return np.stack([index, -index], axis=1).astype(np.float32), index / 1000.0


def run(script, *args, **options):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_flushes_each_half_second_and_marks_each_ten(tmp_path):
    clock = Clock()
    path = tmp_path / "a.xdf"
    recorder = Recorder(path, clock=clock)
    stream = recorder.add_stream(INFO, dtype=np.float32)
    sizes = []
    for i in range(250):  # 25 s in steps of 0.1 s
        clock.now = i * 0.1
        recorder.write_samples(stream, *block(10 * i))
        sizes.append(path.stat().st_size)
    assert 40 <= np.count_nonzero(np.diff(sizes)) <= 50
    recorder.close()
    tags = [found.tag for found in scan(open_file(path), {}) if isinstance(found, ChunkAt)]
    assert tags.count(Tag.BOUNDARY) == 2
    ledger = read_ledger(path)
    assert ledger.closed
    assert ledger.n_samples == {stream: 2500}
    assert ledger.n_bytes < path.stat().st_size + 1


def test_a_stream_that_falls_silent_is_flushed_by_tick(tmp_path):
    clock = Clock()
    recorder = Recorder(tmp_path / "a.xdf", clock=clock)
    stream = recorder.add_stream(INFO, dtype=np.float32)
    recorder.write_samples(stream, *block(0))
    assert recorder.status.n_recorded == 0
    clock.now = 1.1
    recorder.tick()
    assert recorder.status.n_recorded == 10
    recorder.close()


def test_the_ledger_never_promises_more_than_is_there(tmp_path):
    clock = Clock()
    path = tmp_path / "a.xdf"
    recorder = Recorder(path, clock=clock)
    stream = recorder.add_stream(INFO, dtype=np.float32)
    for i in range(30):
        clock.now += 0.4
        recorder.write_samples(stream, *block(10 * i))
        report = verify(path, reopen=False)
        if report.streams:
            assert report.streams[0].n_samples == (report.streams[0].n_ledger or 0)
        assert not report.closed
    recorder.close()


def test_files_are_for_the_owner_only(tmp_path):
    old = os.umask(0)
    try:
        Recorder(tmp_path / "a.xdf").close()
    finally:
        os.umask(old)
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a.xdf"
    path.write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists already"):
        Recorder(path)
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("folder", ["file/inside", "missing", "/proc"])
def test_an_unwritable_folder_is_an_error_at_once(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError) as caught:
        Recorder(tmp_path / folder / "a.xdf")
    assert "cannot be recorded" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_ledger_that_cannot_be_made_leaves_nothing_behind(tmp_path):
    (tmp_path / "a_ledger.jsonl").write_text("")
    with pytest.raises(RecordingError, match="ledger"):
        Recorder(tmp_path / "a.xdf")
    assert not (tmp_path / "a.xdf").exists()


def test_wrong_samples_are_refused(tmp_path):
    with Recorder(tmp_path / "a.xdf") as recorder:
        stream = recorder.add_stream(INFO, dtype=np.float32)
        markers = recorder.add_marker_stream("markers")
        data, stamps = block(0)
        for call, what in [
            (lambda: recorder.write_samples(stream, data[:, :1], stamps), "shape"),
            (lambda: recorder.write_samples(stream, data, stamps[:-1]), "shape"),
            (lambda: recorder.write_samples(stream, data.astype(float), stamps), "exactly"),
            (lambda: recorder.write_samples(markers, data, stamps), "text"),
            (lambda: recorder.write_marker(stream, "x", 0.0), "samples"),
            (lambda: recorder.write_samples(9, data, stamps), "no stream 9"),
        ]:
            with pytest.raises(ValueError, match=what):
                call()
    assert verify(tmp_path / "a.xdf").ok


def test_closing_twice_and_writing_after(tmp_path):
    recorder = Recorder(tmp_path / "a.xdf")
    stream = recorder.add_stream(INFO, dtype=np.float32)
    recorder.close()
    size = (tmp_path / "a.xdf").stat().st_size
    recorder.write_samples(stream, *block(0))
    recorder.flush()
    recorder.close()
    assert recorder.state is RecorderState.CLOSED
    assert recorder.status.n_not_recorded == 10
    assert (tmp_path / "a.xdf").stat().st_size == size


# --- disk full -----------------------------------------------------------------------------------

FILL = """
import json, resource, signal, sys
import numpy as np
from bci.recording.thread import RecorderThread
from bci.recording.writer import Recorder
from bci.types import StreamInfo

path, limit, flush_every, threaded = sys.argv[1], *map(int, sys.argv[2:5])
if limit:  # a real EFBIG from the kernel, in the middle of a chunk
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
now = [0.0]
inner = Recorder(path, clock=lambda: now[0])
recorder = RecorderThread(inner) if threaded else inner
info = StreamInfo("EEG", 1000.0, ("a", "b"), ("eeg", "eeg"))
stream = recorder.add_stream(info, dtype=np.float32)
markers = recorder.add_marker_stream("markers")
for i in range(2000):
    index = np.arange(10 * i, 10 * i + 10)
    data = np.stack([index, -index], axis=1).astype(np.float32)
    recorder.write_samples(stream, data, index / 1000.0)
    if i % 100 == 50:
        recorder.write_marker(markers, f"m{i}", i / 100)
    now[0] += 1.0 / flush_every
recorder.close()
status = recorder.status
print(json.dumps([status.state.value, status.message, status.n_recorded, status.n_not_recorded]))
"""


def check_full(path, result, reason):
    assert result.returncode == 0, result.stderr
    state, message, n_recorded, n_not_recorded = json.loads(result.stdout)
    assert state == "failed"
    assert reason in message
    assert "what was written before is kept" in message
    assert "\n" not in message
    assert n_recorded + n_not_recorded == 20020  # nothing is unaccounted for
    report = verify(path)
    assert report.problems  # said by whoever looks at the file later
    assert report.damage == []  # cut back to whole chunks
    assert sum(s.n_samples for s in report.streams) == n_recorded
    assert all((s.n_ledger or 0) <= s.n_samples for s in report.streams)
    return n_recorded, report


@pytest.mark.parametrize("threaded", [0, 1])
@pytest.mark.parametrize("flush_every", [1, 100])
@pytest.mark.parametrize("limit", [50_013, 80_191])
def test_disk_full_keeps_a_valid_file_and_counts_the_rest(tmp_path, limit, flush_every, threaded):
    path = tmp_path / "a.xdf"
    result = run(FILL, path, limit, flush_every, threaded)
    n_recorded, report = check_full(path, result, "File too large")
    assert path.stat().st_size <= limit
    assert path.stat().st_size > limit - 400 or report.closed  # no more lost than the last chunk
    mended = verify(salvage(path).path, reopen=True)
    assert mended.closed
    assert sum(s.n_samples for s in mended.streams) == n_recorded


def test_disk_full_before_the_first_stream(tmp_path):
    # no room for the streams' headers: then there are no footers of theirs either
    check_full(tmp_path / "a.xdf", run(FILL, tmp_path / "a.xdf", 300, 100, 0), "File too large")


def test_a_full_file_system(tmp_path):
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        result = run(FILL, mount / "a.xdf", 0, 10, 1)
        check_full(mount / "a.xdf", result, "No space left on device")
        # full from the start: an error before anything is recorded
        (mount / "rest").write_bytes(b"x" * (os.statvfs(mount).f_bavail * 4096))
        with pytest.raises(RecordingError, match="No space left"):
            Recorder(mount / "b.xdf")
        assert not (mount / "b.xdf").exists()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


# --- kill -9 -------------------------------------------------------------------------------------

RECORD = """
import sys, time
import numpy as np
from bci.recording.thread import RecorderThread
from bci.recording.writer import Recorder
from bci.types import StreamInfo

recorder = RecorderThread(Recorder(sys.argv[1]))
info = StreamInfo("EEG", 1000.0, ("a", "b"), ("eeg", "eeg"))
stream = recorder.add_stream(info, dtype=np.float32)
markers = recorder.add_marker_stream("markers")
begin = time.monotonic()
n = 0
while True:  # 20 samples each 20 ms: the pace of a 1-kHz device
    index = np.arange(n, n + 20)
    data = np.stack([index, -index], axis=1).astype(np.float32)
    recorder.write_samples(stream, data, index / 1000.0)
    recorder.write_marker(markers, f"m{n}", n / 1000.0)
    n += 20
    if n % 100 == 0:
        print(n, flush=True)
    time.sleep(max(0.0, begin + n / 1000.0 - time.monotonic()))
"""


def test_kill_9_loses_at_most_a_second(tmp_path):
    path = tmp_path / "a.xdf"
    with subprocess.Popen(
        [sys.executable, "-c", RECORD, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout:
            if int(line) >= 1900:
                child.send_signal(signal.SIGKILL)
                break
        reported = max([int(line), *map(int, child.stdout)])  # what it said before it died
    assert child.returncode == -signal.SIGKILL

    report = verify(path)  # opens in pyxdf, or this would be among the problems
    assert not report.closed
    assert not report.ok
    assert any("not closed" in problem for problem in report.problems)
    assert not any("pyxdf" in problem for problem in report.problems)
    eeg = report.streams[0]
    assert eeg.n_ledger is not None
    assert eeg.n_samples >= eeg.n_ledger
    assert eeg.n_samples >= reported - 1000  # one second of 1 kHz

    result = salvage(path)
    mended = verify(result.path)
    assert mended.ok, str(mended)
    assert mended.streams[0].n_samples == eeg.n_samples
    pyxdf = pytest.importorskip("pyxdf")
    streams, _ = pyxdf.load_xdf(result.path, dejitter_timestamps=False)
    values = streams[0]["time_series"]
    assert np.array_equal(values[:, 0], np.arange(len(values)))
