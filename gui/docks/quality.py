"""How good each channel's signal is, and what is wrong with it."""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from bci.dsp.signal_quality import MAX_IMPEDANCE, ChannelQuality, assess
from gui.docks import Dock
from gui.link import EngineLink
from gui.theme import Theme

__all__ = ["REMEDIES", "QualityDock", "judged"]

#: Seconds of signal that a judgement rests on.
JUDGED_S = 4.0
#: Column of the table.
_IMPEDANCE = 5
#: What a person can do about it.
REMEDIES = {
    "lost samples": "samples did not arrive",
    "flat": "no signal: is the electrode connected?",
    "railed": "the amplifier is at its limit: re-seat the electrode, check the reference",
    "noisy": "far more than the other channels: add gel, calm the cable, relax the jaw",
    "line noise": "poor contact, or a power supply near the cables",
    "drift": "the electrode is still settling: wait, or re-seat it",
    "impedance": f"more than {MAX_IMPEDANCE / 1e3:g} kΩ: part the hair, add gel, re-seat it",
    "excluded": "the engine has taken this channel out",
}


class QualityDock(Dock):
    """A row for each EEG channel; looked at also while hidden, for the traces' sake."""

    title = "Signal quality"
    period_s = 1.0

    #: The names of the channels that are not good, whenever they change.
    bads_changed = Signal(frozenset)

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(link, theme)
        self.found: list[ChannelQuality] = []
        self.bads: frozenset[str] = frozenset()
        self.summary = QLabel("Waiting for samples …")
        self.summary.setObjectName("heading")
        self.line = QComboBox()
        self.line.addItems(["50 Hz", "60 Hz"])
        self.line.setToolTip("Frequency of the mains: 60 Hz in the Americas, else mostly 50 Hz")
        self.table = QTableWidget(0, 6)
        self.table.setHorizontalHeaderLabels(
            ["Channel", "", "What is wrong", "SD µV", "line", "kΩ"]
        )
        self.table.setColumnHidden(_IMPEDANCE, True)  # until a board measures it
        self._rows: list[list[QTableWidgetItem]] = []
        self._judge = ThreadPoolExecutor(1, "signal-quality")
        self._judging: Future[list[ChannelQuality]] | None = None
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setShowGrid(False)
        self.table.verticalHeader().setDefaultSectionSize(22)
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        # sized once, with the rows: to fit each new text would cost many frames
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        for section, width in ((0, 76), (1, 28), (3, 64), (4, 56), (5, 56)):
            header.resizeSection(section, width)
        bar = QHBoxLayout()
        bar.setContentsMargins(6, 4, 6, 0)
        bar.addWidget(self.summary, 1)
        label = QLabel("Mains")
        label.setObjectName("muted")
        bar.addWidget(label)
        bar.addWidget(self.line)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.table, 1)
        self.set_content(content)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        super().use(theme)
        self._show(anew=True)

    def close_down(self) -> None:
        """End the thread."""
        self._judge.shutdown(wait=True, cancel_futures=True)

    def refresh(self) -> None:
        """Take over what was found, and judge the newest seconds."""
        if self._judging is not None:
            if not self._judging.done():
                return
            self._take(self._judging.result())
            self._judging = None
        # in a thread: with 64 channels it takes longer than a frame may
        hz = 60.0 if self.line.currentIndex() else 50.0
        self._judging = self._judge.submit(judged, self.link, hz)

    def _take(self, found: list[ChannelQuality]) -> None:
        if not found:
            return
        self.found = found
        bads = frozenset(q.name for q in self.found if not q.ok)
        if bads != self.bads:
            self.bads = bads
            self.bads_changed.emit(bads)
        if not self.visibleRegion().isEmpty():
            self._show()

    def _show(self, anew: bool = False) -> None:
        if not self.found:
            return
        good = sum(q.ok for q in self.found)
        self.summary.setText(f"{good} of {len(self.found)} channels are good")
        if len(self._rows) != len(self.found):
            self.table.setRowCount(len(self.found))
            self._rows = [[QTableWidgetItem() for _ in range(6)] for _ in self.found]
            for row, items in enumerate(self._rows):
                for column, item in enumerate(items):
                    self.table.setItem(row, column, item)
        measured = any(math.isfinite(q.impedance_ohm) for q in self.found)
        self.table.setColumnHidden(_IMPEDANCE, not measured)
        self.table.setUpdatesEnabled(False)
        for items, q in zip(self._rows, self.found, strict=True):
            texts = (
                q.name,
                "✓" if q.ok else "✕",
                ", ".join(q.reasons) or "good",
                _number(q.sd_uv),
                "" if math.isnan(q.line_share) else f"{100 * q.line_share:.0f} %",
                _number(q.impedance_ohm / 1e3),
            )
            colour = QColor(self.theme.ok if q.ok else self.theme.bad)
            for column, (item, text) in enumerate(zip(items, texts, strict=True)):
                if item.text() == text and not anew:
                    continue
                item.setText(text)
                item.setForeground(colour if column in (1, 2) else QColor(self.theme.text))
                item.setToolTip("; ".join(REMEDIES[reason] for reason in q.reasons))
                if column > 2:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
        self.table.setUpdatesEnabled(True)


def judged(link: EngineLink, line_hz: float) -> list[ChannelQuality]:
    """Judge the EEG channels by the newest seconds; empty while there are too few."""
    info = link.samples.info
    if info is None:
        return []
    _, data = link.samples.latest(round(JUDGED_S * info.sfreq))
    eeg = [i for i, kind in enumerate(info.ch_types) if kind == "eeg"]
    if len(data) < 0.5 * JUDGED_S * info.sfreq or not eeg:
        return []
    impedance = {
        name: float(np.median(data[-round(info.sfreq) :, i])) for name, i in info.impedances.items()
    }
    newest = link.decisions.since(link.decisions.last_seq - 1)
    excluded = set(newest[-1]["quality"]["bads"]) if newest else set()
    return [
        replace(q, reasons=("excluded",)) if q.ok and q.name in excluded else q
        for q in assess(
            data[:, eeg], info.sfreq, [info.ch_names[i] for i in eeg], line_hz, impedance
        )
    ]


def _number(value: float) -> str:
    return "" if not np.isfinite(value) else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
