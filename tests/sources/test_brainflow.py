"""BrainFlow: its synthetic and playback boards, really running; lost packages; clear errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.clock import now
from bci.errors import BciError, ConfigError, SourceError
from bci.sources import Source
from bci.sources.brainflow import BrainFlowSettings, BrainFlowSource, PackageCounter
from bci.sources.brainflow_codes import _CAUSES, explain
from bci.types import Break, RawMarker, Reading, Samples, SourceState

board_shim = pytest.importorskip("brainflow.board_shim")


def collect(source: BrainFlowSource, n: int) -> list[Reading]:
    """At least `n` samples."""
    readings: list[Reading] = []
    deadline = now() + 10
    while sum(len(r.data) for r in readings if isinstance(r, Samples)) < n:
        assert now() < deadline
        readings += source.read(0.2)
    return readings


def test_synthetic_board() -> None:
    source = BrainFlowSettings(board="synthetic").build()
    assert isinstance(source, Source)
    info = source.open()
    try:
        assert info.sfreq == 250
        assert info.ch_names[:3] == ("Fz", "C3", "Cz")
        assert set(info.ch_types) == {"eeg"}
        source.insert_marker(7)
        readings = collect(source, 100)
        assert source.state is SourceState.LIVE
    finally:
        source.close()
        source.close()
    samples = [r for r in readings if isinstance(r, Samples)]
    assert all(r.data.shape == (len(r.stamps), 16) for r in samples)
    assert all(r.data.flags.c_contiguous for r in samples)
    assert 1.0 < np.abs(np.concatenate([r.data for r in samples])).max() < 1e5
    stamps = np.concatenate([r.stamps for r in samples])
    assert np.all(np.diff(stamps) >= 0)
    assert abs(stamps[-1] - now()) < 5.0  # on the local clock, not on Unix time
    assert not any(isinstance(r, Break) for r in readings)
    (marker,) = (r for r in readings if isinstance(r, RawMarker))
    assert marker.value == "7"
    assert marker.index is not None
    assert marker.t == stamps[marker.index]
    assert source.read(0.0) == []


def test_impedances_follow_the_channels_where_they_are_asked_for() -> None:
    source = BrainFlowSettings(board="synthetic", impedance=True).build()
    info = source.open()
    try:
        readings = collect(source, 50)
    finally:
        source.close()
    # the synthetic board measures two electrodes
    assert info.impedances == {"Fz": 16, "C3": 17}
    assert info.ch_names[16:] == ("Fz impedance", "C3 impedance")
    assert info.ch_types == ("eeg",) * 16 + ("misc",) * 2
    data = np.concatenate([r.data for r in readings if isinstance(r, Samples)])
    assert data.shape[1] == 18
    assert np.all((data[:, 16:] > 500) & (data[:, 16:] < 2000))  # around 1 kΩ, as it pretends


def test_a_board_that_measures_no_impedance_says_so() -> None:
    playback = BrainFlowSettings(board="cyton", serial_port="none", impedance=True).build()
    playback._rows = {"eeg_channels": [1, 2], "sampling_rate": 250}
    with pytest.raises(SourceError, match="measures no impedance"):
        playback._describe(0)


def test_playback_board_gives_the_file_back(tmp_path: Path) -> None:
    from brainflow.data_filter import DataFilter

    table = np.zeros((32, 300))
    table[0] = np.arange(300) % 256
    table[1:17] = np.random.default_rng(2).normal(0, 50, (16, 300))
    table[30] = 1.7e9 + np.arange(300) / 1000.0  # faster than real, to save time
    table[31, 120] = 3
    lost = np.ascontiguousarray(np.delete(table, [200, 201, 202], axis=1))
    path = tmp_path / "board.csv"
    DataFilter.write_file(lost, str(path), "w")
    source = BrainFlowSettings(board="playback", file=path, master_board="synthetic").build()
    source.open()
    try:
        source.insert_marker(5)
        readings = collect(source, 297)
    finally:
        source.close()
    data = np.concatenate([r.data for r in readings if isinstance(r, Samples)])
    np.testing.assert_allclose(data, lost[1:17].T, atol=1e-5)
    # BrainFlow's playback board clears the marker channel of its file; new markers do come
    assert [m.value for m in readings if isinstance(m, RawMarker)] == ["5"]
    at = next(i for i, r in enumerate(readings) if isinstance(r, Break))
    assert readings[at] == Break("3 packets lost", 3 / 250)
    assert sum(len(r.data) for r in readings[:at] if isinstance(r, Samples)) == 200


@pytest.mark.parametrize("cut", [1, 3, 50, 1000])
@pytest.mark.parametrize(("wrap", "step"), [(256, 1), (256, 2)])
def test_package_counter_is_wrap_aware_for_any_cutting(cut: int, wrap: int, step: int) -> None:
    true = np.arange(0, 2000 * step, step) % wrap
    gone = {100: 1, 255: 101, 700: 30}  # position: how many
    keep = np.ones(2000, bool)
    for at, n in gone.items():
        keep[at : at + n] = False
    values = true[keep].astype(float)
    counter = PackageCounter(wrap, step)
    found = [
        (start + i, n)
        for start in range(0, len(values), cut)
        for i, n in counter.lost(values[start : start + cut])
    ]
    assert found == [(100, 1), (254, 101), (598, 30)]


class FakeBoard:
    """A board whose samples come when the test says so."""

    def __init__(self) -> None:
        self.table = np.zeros((32, 0))
        self.error: Exception | None = None
        self.counter = 0

    def feed(self, n: int) -> None:
        table = np.zeros((32, n))
        table[0] = (self.counter + np.arange(n)) % 256
        self.counter += n
        self.table = np.concatenate([self.table, table], axis=1)

    def get_board_data_count(self) -> int:
        if self.error is not None:
            raise self.error
        return self.table.shape[1]

    def get_board_data(self) -> np.ndarray:
        table, self.table = self.table, np.zeros((32, 0))
        return table

    def stop_stream(self) -> None: ...
    def release_session(self) -> None: ...


class FakeClock:
    def __init__(self) -> None:
        self.t = 50.0

    def now(self) -> float:
        return self.t

    def sleep(self, seconds: float) -> None:
        self.t += seconds


@pytest.fixture
def faked() -> tuple[BrainFlowSource, FakeBoard, FakeClock]:
    clock, board = FakeClock(), FakeBoard()
    source = BrainFlowSource(BrainFlowSettings(board=-1), clock.now, clock.sleep)
    source.open()
    source._board.stop_stream()
    source._board.release_session()
    source._board = board
    return source, board, clock


def test_silence_goes_stale_then_lost_and_comes_back_with_a_break(
    faked: tuple[BrainFlowSource, FakeBoard, FakeClock],
) -> None:
    source, board, clock = faked
    board.feed(10)
    assert len(source.read(0.1)) == 1
    for expected, until in (
        (SourceState.LIVE, 0.9),
        (SourceState.STALE, 2),
        (SourceState.LOST, 16),
    ):
        last = clock.t
        while clock.t < 50.0 + until:
            assert source.read(0.1) == []
            assert clock.t == pytest.approx(last + 0.1)  # the time-out is kept
            last = clock.t
        assert source.state is expected
    board.feed(5)
    broken, samples = source.read(0.1)
    assert isinstance(broken, Break)
    assert broken.missing_s == pytest.approx(16, abs=0.2)
    assert isinstance(samples, Samples)
    assert source.state is SourceState.LIVE


def test_a_failing_board_is_an_error_with_its_cause(
    faked: tuple[BrainFlowSource, FakeBoard, FakeClock],
) -> None:
    source, board, _ = faked
    board.error = board_shim.BrainFlowError("x", 11)
    with pytest.raises(SourceError, match="its stream has stopped"):
        source.read(0.1)
    assert source.state is SourceState.LOST
    source.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"board": "cyton", "serial_port": "/dev/ttyNONE"}, "dialout"),
        ({"board": "cyto"}, "did you mean cyton"),
        ({"board": 4711}, "no board of id 4711"),
        ({"board": "playback", "master_board": -1}, "needs an existing 'file'"),
        ({"board": "playback", "file": "x.csv"}, "needs 'master_board'"),
        ({"board": "callibri_emg"}, "no EEG channels"),
    ],
)
def test_what_cannot_be_opened_says_why_in_one_line(settings: dict[str, Any], says: str) -> None:
    source = BrainFlowSettings(**settings).build()
    with pytest.raises(BciError, match=says) as error:
        source.open()
    assert "\n" not in str(error.value)
    assert isinstance(error.value, (ConfigError, SourceError))
    source.close()


def test_every_exit_code_of_a_board_has_its_sentence() -> None:
    codes = {code.name for code in board_shim.BrainFlowExitCodes}
    of_the_classifier = {name for name in codes if "CLASSIFIER" in name}
    assert set(_CAUSES) == codes - of_the_classifier - {"STATUS_OK"}
    text = explain(board_shim.BrainFlowError("unable", 2), "board 'cyton'")
    assert text.startswith("board 'cyton': its port cannot be opened")
    assert "UNABLE_TO_OPEN_PORT_ERROR 2" in text
