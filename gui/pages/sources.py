"""Forms for where samples come from, one for each kind of source."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bci.errors import BciError
from bci.lsl import StreamSummary, available_streams
from bci.sources.brainflow_boards import BOARDS, FIELDS
from gui.pages.files import ask_file

__all__ = ["BoardForm", "GivenForm", "LSLForm", "RecordingForm", "SimulatedForm", "SourceForm"]

#: Pause between two looks at the network, seconds.
LOOK_S = 1.0


class SourceForm(QWidget):
    """A source's settings as a person enters them."""

    title: str
    #: Something was chosen or found, or what was chosen has gone.
    changed = Signal()

    def settings(self, paradigm: str) -> dict[str, Any]:
        """The `source` section, to be checked by `bci.config`; `paradigm` is the session's.

        Raises
        ------
        ValueError
            Something is not chosen yet; the message says what to do.
        """
        raise NotImplementedError

    def refresh(self) -> None:
        """Take over what was found meanwhile."""

    def close_down(self) -> None:
        """Stop looking."""


class GivenForm(SourceForm):
    """The source that the settings themselves name."""

    title = "As in the settings"

    def __init__(self) -> None:
        super().__init__()
        self.given = QLabel()
        self.given.setWordWrap(True)
        self.given.setTextFormat(Qt.TextFormat.PlainText)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.given)
        column.addStretch()


class SimulatedForm(SourceForm):
    """The simulated subject."""

    title = "Simulated subject"

    def __init__(self) -> None:
        super().__init__()
        about = QLabel(
            "No hardware needed: a simulated brain looks at the targets, or imagines movements, "
            "and answers as brains do. What comes out is a simulation and no measurement."
        )
        about.setWordWrap(True)
        about.setObjectName("muted")
        self.snr = QDoubleSpinBox()
        self.snr.setRange(0.0, 10.0)
        self.snr.setSingleStep(0.25)
        self.snr.setValue(1.0)
        self.snr.setToolTip("1: as a typical person; 0: no answer at all, decisions are chance")
        self.led = QCheckBox("Led by this application's cues (speller, calibration)")
        self.led.setToolTip("Else it follows a timetable of its own, which shows the live plots")
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(about)
        form.addRow("Signal-to-noise ratio", self.snr)
        form.addRow(self.led)

    def settings(self, paradigm: str) -> dict[str, Any]:
        """See `SourceForm`."""
        return {
            "kind": "simulated",
            "paradigm": paradigm,
            "snr": self.snr.value(),
            "cues": "told" if self.led.isChecked() else "own",
        }


class LSLForm(SourceForm):
    """Streams of the Lab Streaming Layer, as they come and go."""

    title = "LSL stream"

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[StreamSummary] = []
        self.list = QListWidget()
        self.list.setMinimumHeight(90)
        self.list.setAccessibleName("LSL streams")
        self.list.currentItemChanged.connect(lambda *_: self.changed.emit())
        self.said = QLabel("Looking for streams …")
        self.said.setWordWrap(True)
        self.said.setObjectName("muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.list, 1)
        column.addWidget(self.said)
        self._found: list[StreamSummary] | BciError | None = None
        self._stop = threading.Event()
        self._seen = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def has_markers(self) -> bool:
        """Whether a stream of markers is there."""
        return any(stream.type == "Markers" for stream in self.streams)

    def refresh(self) -> None:
        """Show what was found; begin to look when this is first seen."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="lsl-streams", daemon=True)
            self._thread.start()
        self._seen.set()
        found, self._found = self._found, None
        if isinstance(found, BciError):
            self.said.setText(str(found))
        elif found is not None:
            self._show(found)

    def close_down(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._seen.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def settings(self, paradigm: str) -> dict[str, Any]:
        """See `SourceForm`."""
        item = self.list.currentItem()
        if item is None:
            raise ValueError("choose an LSL stream; if none is listed, start its sender")
        stream: StreamSummary = item.data(Qt.ItemDataRole.UserRole)
        chosen = {"kind": "lsl", "name": stream.name, "type": stream.type}
        if sum((s.name, s.type) == (stream.name, stream.type) for s in self.streams) > 1:
            chosen["source_id"] = stream.source_id
        return chosen

    def _look(self) -> None:
        while not self._stop.is_set():
            self._seen.wait()  # nobody looks at the network while nobody looks at this page
            self._seen.clear()
            if self._stop.is_set():
                return
            try:
                self._found = available_streams(LOOK_S)
            except BciError as error:  # no liblsl here: that will not change
                self._found = error
                return
            self._stop.wait(LOOK_S)

    def _show(self, found: list[StreamSummary]) -> None:
        if found == self.streams and self.list.count():
            return
        chosen = self.list.currentItem()
        uid = None if chosen is None else chosen.data(Qt.ItemDataRole.UserRole).uid
        self.streams = found
        self.list.clear()
        for stream in found:
            if stream.type == "Markers" or not stream.sfreq:
                continue  # events, no samples
            text = f"{stream.name} · {stream.type} · {stream.n_channels} channels · "
            item = QListWidgetItem(f"{text}{stream.sfreq:g} Hz · {stream.hostname}")
            item.setData(Qt.ItemDataRole.UserRole, stream)
            item.setToolTip(str(stream))
            self.list.addItem(item)
            if stream.uid == uid or self.list.count() == 1:
                self.list.setCurrentItem(item)
        self.said.setText(
            "There is also a stream of markers; it will be read."
            if self.list.count() and self.has_markers
            else ""
            if self.list.count()
            else "No stream of samples can be seen. Is the sender running, in this network, and "
            "not behind a firewall (UDP 16571, TCP and UDP 16572–16604)? Still looking …"
        )
        self.changed.emit()


class BoardForm(SourceForm):
    """A board by its name, with the fields that it needs."""

    title = "BrainFlow board"

    def __init__(self) -> None:
        super().__init__()
        self.board = QComboBox()
        for known in BOARDS:
            self.board.addItem(known.title, known)
        self.board.addItem("Another board …", None)
        self.other = QLineEdit()
        self.other.setPlaceholderText("name or number in BrainFlow's list of boards")
        self.entries = {field: QLineEdit() for field in FIELDS}
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("Board", self.board)
        self._form.addRow("Its name", self.other)
        for field, entry in self.entries.items():
            name, example = FIELDS[field]
            entry.setPlaceholderText(example)
            self._form.addRow(name, entry)
            entry.textChanged.connect(lambda _: self.changed.emit())
        self.other.textChanged.connect(lambda _: self.changed.emit())
        self.impedance = QCheckBox("Impedance of the electrodes, where the board measures it")
        self._form.addRow("", self.impedance)
        self.board.currentIndexChanged.connect(self._choose)
        self._choose()

    def _choose(self) -> None:
        board = self.board.currentData()
        self._form.setRowVisible(self.other, board is None)
        self._form.setRowVisible(self.impedance, board is None or board.impedance)
        for field, entry in self.entries.items():
            shown = board is None or field in board.needs + board.may
            self._form.setRowVisible(entry, shown)
            optional = board is not None and field in board.may
            label = self._form.labelForField(entry)
            if isinstance(label, QLabel):
                label.setText(FIELDS[field][0] + (" (optional)" if optional else ""))
        self.changed.emit()

    def settings(self, paradigm: str) -> dict[str, Any]:
        """See `SourceForm`."""
        board = self.board.currentData()
        name = self.other.text().strip() if board is None else board.name
        if not name:
            raise ValueError("name the board, as BrainFlow's list of boards does")
        chosen: dict[str, Any] = {"kind": "brainflow", "board": name}
        for field, entry in self.entries.items():
            text = entry.text().strip()
            if board is not None and field not in board.needs + board.may:
                continue
            if text:
                chosen[field] = int(text) if field == "ip_port" and text.isdigit() else text
            elif board is not None and field in board.needs:
                label, example = FIELDS[field]
                raise ValueError(f"{board.title} needs: {label.lower()}, such as {example}")
        if self.impedance.isChecked() and (board is None or board.impedance):
            chosen["impedance"] = True
        return chosen


class RecordingForm(SourceForm):
    """A file, played as if it were a device."""

    title = "Recording"

    def __init__(self) -> None:
        super().__init__()
        self.path = QLineEdit()
        self.path.setPlaceholderText("XDF, FIF, EDF, BDF, GDF, BrainVision, EEGLAB, …")
        self.path.textChanged.connect(lambda _: self.changed.emit())
        browse = QPushButton("Browse …")
        browse.clicked.connect(self._browse)
        self.loop = QCheckBox("Start again at its end")
        row = QHBoxLayout()
        row.addWidget(self.path, 1)
        row.addWidget(browse)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("File", row)
        form.addRow(self.loop)

    def _browse(self) -> None:
        ask_file(
            self, "Recording to play", lambda path: self.path.setText(str(path)),
            folder=self.path.text(),
        )  # fmt: skip

    def settings(self, paradigm: str) -> dict[str, Any]:
        """See `SourceForm`."""
        text = self.path.text().strip()
        if not text:
            raise ValueError("choose a recording to play")
        if not Path(text).expanduser().exists():
            raise ValueError(f"there is no file {text}")
        path = str(Path(text).expanduser())
        return {"kind": "replay", "path": path, "loop": self.loop.isChecked()}
