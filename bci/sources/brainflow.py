"""Any board that BrainFlow drives, among them its synthetic and playback boards."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bci.clock import now
from bci.config import SourceSettings
from bci.errors import ConfigError, MissingDependency, SourceError
from bci.sources.brainflow_codes import COUNTERS, explain
from bci.types import (
    Break,
    FloatArray,
    RawMarker,
    Reading,
    Samples,
    SourceState,
    StreamInfo,
    impedance_of,
)

__all__ = ["BrainFlowSettings", "BrainFlowSource"]

POLL_S = 0.002  # BrainFlow has no blocking read: this is how finely `read` looks for samples
STALE_S = 1.0
LOST_S = 15.0


class BrainFlowSettings(SourceSettings):
    """A board by BrainFlow; which address fields a board needs stands in BrainFlow's manual."""

    kind: Literal["brainflow"] = "brainflow"
    board: int | str = Field(description="board id, or name such as synthetic or cyton")
    serial_port: str = Field("", description="e.g. /dev/ttyUSB0 or COM3")
    mac_address: str = Field("", description="Bluetooth address")
    serial_number: str = Field("", description="serial number of the device")
    ip_address: str = ""
    ip_port: int = Field(0, ge=0, le=65535)
    ip_protocol: int = Field(0, ge=0, le=2, description="0 none, 1 UDP, 2 TCP")
    other_info: str = Field("", description="as the board's manual says")
    timeout_s: int = Field(0, ge=0, description="of discovery and connection; 0: the board's own")
    file: Path | None = Field(
        None, description="playback board: file to play; BrainFlow drops the markers in it"
    )
    master_board: int | str | None = Field(
        None, description="playback and streaming boards: the board that recorded or streams"
    )
    buffer_s: float = Field(60.0, gt=0, le=3600, description="samples kept for a late read, s")
    markers: bool = Field(True, description="deliver the board's own marker channel")
    impedance: bool = Field(
        False,
        description="deliver what the board measures of its electrodes' impedance, ohms, as "
        "'<channel> impedance'; many boards measure only in a mode of their own",
    )

    def build(self) -> BrainFlowSource:
        """Make the source."""
        return BrainFlowSource(self)


class BrainFlowSource:
    """A `bci.sources.Source` on a BrainFlow board; channels are its EEG channels, in microvolts.

    Where asked for, the impedances of their electrodes follow, in ohms.

    `read` polls the board each 2 ms, since BrainFlow cannot block: a sample is
    seen at most so much late. Stamps are BrainFlow's (host's Unix time) moved to
    the local clock by an offset measured once, in `open` (`clock_offset_s`).

    Parameters
    ----------
    settings : BrainFlowSettings
    clock, sleep : callable
        The local clock and how to wait on it, seconds.
    """

    def __init__(
        self,
        settings: BrainFlowSettings,
        clock: Callable[[], float] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.state = SourceState.OPENING
        self.clock_offset_s = 0.0
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._board: Any = None
        self._rows: dict[str, Any] = {}
        self._delivered: list[int] = []  # rows, in the order of the channels
        self._counter: PackageCounter | None = None
        self._n_received = 0
        self._last = 0.0  # when samples came last

    def open(self) -> StreamInfo:
        """Connect and start the stream; see `Source.open`."""
        api = _brainflow()
        board, described = self._ids(api)
        try:
            self._rows = api.BoardShim.get_board_descr(described)
            info = self._describe(described)
            self._board = api.BoardShim(board, self._parameters(api))
            self._board.prepare_session()
            self._board.start_stream(max(1, round(self._settings.buffer_s * info.sfreq)))
        except api.BrainFlowError as error:
            self.close()
            raise SourceError(explain(error, self._name())) from error
        if described in COUNTERS and "package_num_channel" in self._rows:
            self._counter = PackageCounter(*COUNTERS[described])
        # the only use of wall time: BrainFlow stamps by it
        self.clock_offset_s = self._clock() - time.time()
        self._n_received = 0
        self._last = self._clock()
        self.state = SourceState.LIVE
        return info

    def read(self, timeout_s: float = 0.1) -> list[Reading]:
        """Everything in the board's buffer, waiting for the first sample; see `Source.read`."""
        if self._board is None:
            return []
        api = _brainflow()
        deadline = self._clock() + timeout_s
        try:
            while not self._board.get_board_data_count():
                left = deadline - self._clock()
                if left <= 0:
                    self._watch()
                    return []
                self._sleep(min(POLL_S, left))
            table = self._board.get_board_data()
        except api.BrainFlowError as error:
            self.state = SourceState.LOST
            raise SourceError(explain(error, self._name())) from error
        return self._readings(table)

    def insert_marker(self, value: float) -> None:
        """Mark the next sample, by the board's own marker channel; from any thread."""
        if self._board is not None:
            self._board.insert_marker(value)

    def close(self) -> None:
        """Stop the stream and release the board."""
        board, self._board = self._board, None
        if board is None:
            return
        api = _brainflow()
        for step in (board.stop_stream, board.release_session):
            try:
                step()
            except api.BrainFlowError:  # never started, or gone already: nothing left to let go
                continue

    # --- opening -----------------------------------------------------------------------------

    def _name(self) -> str:
        return f"board '{self._settings.board}'"

    def _ids(self, api: Any) -> tuple[int, int]:
        """Find the board to open, and the board whose channels it has."""
        board = _board_id(api, self._settings.board)
        master = self._settings.master_board
        relays = (api.BoardIds.PLAYBACK_FILE_BOARD, api.BoardIds.STREAMING_BOARD)
        if board not in (int(b) for b in relays):
            return board, board
        if master is None:
            raise ConfigError(f"{self._name()} needs 'master_board', whose samples it has")
        file = self._settings.file
        if board == int(api.BoardIds.PLAYBACK_FILE_BOARD) and (file is None or not file.is_file()):
            raise SourceError(f"{self._name()} needs an existing 'file' to play; found {file}")
        return board, _board_id(api, master)

    def _parameters(self, api: Any) -> Any:
        asked = self._settings
        params = api.BrainFlowInputParams()
        for key in ("serial_port", "mac_address", "serial_number", "other_info"):
            setattr(params, key, getattr(asked, key))
        params.ip_address, params.ip_port = asked.ip_address, asked.ip_port
        params.ip_protocol, params.timeout = asked.ip_protocol, asked.timeout_s
        if asked.file is not None:
            params.file = str(asked.file)
        if asked.master_board is not None:
            params.master_board = _board_id(api, asked.master_board)
        return params

    def _describe(self, described: int) -> StreamInfo:
        rows = self._rows.get("eeg_channels")
        if not rows:
            raise SourceError(f"{self._name()} has no EEG channels by BrainFlow's description")
        given = [name.strip() for name in str(self._rows.get("eeg_names", "")).split(",")]
        names = (
            tuple(given)
            if len(set(given)) == len(rows)
            else tuple(f"Ch{k + 1}" for k in range(len(rows)))
        )
        source_id = ":".join(
            str(part)
            for part in (
                "brainflow",
                described,
                self._settings.serial_number or self._settings.mac_address,
            )
            if part != ""
        )
        name, sfreq = str(self._rows.get("name", described)), float(self._rows["sampling_rate"])
        self._delivered = list(rows)
        measured: tuple[str, ...] = ()
        if self._settings.impedance:
            # one for each channel, in their order; what a board has beyond is its reference's
            of = [row for row in self._rows.get("resistance_channels", ()) if row not in rows]
            if not of:
                raise SourceError(
                    f"{self._name()} measures no impedance by BrainFlow's description: leave "
                    "'impedance' out"
                )
            measured = tuple(impedance_of(ch) for ch, _ in zip(names, of, strict=False))
            self._delivered += of[: len(measured)]
        ch_types = ("eeg",) * len(rows) + ("misc",) * len(measured)
        return StreamInfo(name, sfreq, names + measured, ch_types, {}, source_id)

    # --- reading -----------------------------------------------------------------------------

    def _watch(self) -> None:
        """Nothing came: say since when."""
        silent = self._clock() - self._last
        if silent > LOST_S:
            self.state = SourceState.LOST
        elif silent > STALE_S:
            self.state = SourceState.STALE

    def _readings(self, table: FloatArray) -> list[Reading]:
        """Take apart a table of shape (n_rows, n_samples): samples, breaks and markers."""
        rows = self._rows
        data = np.ascontiguousarray(table[self._delivered].T)  # (n_samples, n_channels)
        stamps = table[rows["timestamp_channel"]] + self.clock_offset_s
        breaks = self._breaks(table)
        marks = table[rows["marker_channel"]] if "marker_channel" in rows else np.zeros(len(data))
        marked = np.flatnonzero(marks) if self._settings.markers else np.empty(0, np.intp)
        readings: list[Reading] = []
        edges = sorted({0, len(data), *breaks})
        for start, stop in pairwise(edges):
            if start in breaks:
                readings.append(breaks[start])
            for i in marked[(marked >= start) & (marked < stop)].tolist():
                value, index = f"{marks[i]:g}", self._n_received + i
                readings.append(RawMarker(value, float(stamps[i]), index))
            readings.append(Samples(data[start:stop], stamps[start:stop]))
        self._n_received += len(data)
        self._last = self._clock()
        self.state = SourceState.LIVE
        return readings

    def _breaks(self, table: FloatArray) -> dict[int, Break]:
        """Sample of `table`: the break before it."""
        breaks: dict[int, Break] = {}
        sfreq = float(self._rows["sampling_rate"])
        if self._counter is not None:
            lost = self._counter.lost(table[self._rows["package_num_channel"]])
            breaks = {i: Break(f"{n} packets lost", n / sfreq) for i, n in lost}
        silent = self._clock() - self._last
        if self.state in (SourceState.STALE, SourceState.LOST):
            # the counter may have gone round meanwhile: the silence says more
            breaks[0] = Break(f"no samples for {silent:.1f} s", silent)
        return breaks


class PackageCounter:
    """Finds lost samples by a board's package counter.

    Parameters
    ----------
    wrap : int
        The counter runs modulo this.
    step : int
        By how much it grows from one sample to the next.
    """

    def __init__(self, wrap: int, step: int) -> None:
        self._wrap = wrap
        self._step = step
        self._last: int | None = None

    def lost(self, counter: FloatArray) -> list[tuple[int, int]]:
        """(position, number of samples lost before it), for counters of consecutive samples.

        A loss of a whole number of turns cannot be seen in the counter.
        """
        values = counter.astype(np.int64)
        first = values[0] - self._step if self._last is None else self._last
        missing = (np.diff(values, prepend=first) - self._step) % self._wrap // self._step
        self._last = int(values[-1])
        return [(int(i), int(missing[i])) for i in np.flatnonzero(missing)]


def _brainflow() -> Any:
    """BrainFlow's Python API, with its log silenced."""
    try:
        from brainflow import board_shim  # loads a native library
    except (ImportError, OSError) as error:
        raise MissingDependency(
            f"BrainFlow cannot be loaded ({error}); install it with: pip install brainflow "
            "'setuptools<81'"
        ) from error
    with warnings.catch_warnings():
        # the first call loads the library through pkg_resources, which warns of its own end
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        board_shim.BoardShim.disable_board_logger()
    return board_shim


def _board_id(api: Any, board: int | str) -> int:
    """Id of a board given by id or by name, with or without "_BOARD" behind."""
    known = {b.name: int(b) for b in api.BoardIds if b.name != "NO_BOARD"}
    if isinstance(board, int) or board.lstrip("-").isdigit():
        if int(board) in known.values():
            return int(board)
        raise ConfigError(f"BrainFlow knows no board of id {board}; see its list of boards")
    name = board.upper().replace("-", "_").replace(" ", "_")
    for key in (name, f"{name}_BOARD", f"{name}_FILE_BOARD"):
        if key in known:
            return known[key]
    near = get_close_matches(f"{name}_BOARD", known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(n.removesuffix('_BOARD').lower() for n in near)}?"
    raise ConfigError(f"BrainFlow knows no board named '{board}'{hint if near else ''}")
