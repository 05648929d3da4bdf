"""The processing stages: in use or why not, what each delays and costs."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
)

from gui.theme import Theme

__all__ = ["StageTable", "state_of"]

_COLUMNS = ("Stage", "State", "Delay", "ms a hop", "Load", "")
_WIDTHS = {0: 92, 2: 54, 3: 84, 4: 96, 5: 64}
_ROW = 24


def state_of(stage: dict[str, Any]) -> tuple[str, bool]:
    """How a stage of the status stands, in words, and whether that asks for attention."""
    if not stage["active"]:
        why = stage["why_bypassed"]
        return "by-passed" + (f": {why}" if why else ""), True
    if stage["calibrated"] is False:
        problem = stage["problem"]
        return ("not calibrated: " + problem, True) if problem else ("calibrating …", False)
    load, budget = stage["load"], stage["budget"]
    if budget is not None and load is not None and load > budget:
        return "in use, over its budget", True
    return "in use", False


class StageTable(QTableWidget):
    """One row a stage; a button takes it out of the samples' way, or puts it back.

    Signals
    -------
    asked : int, bool
        The person wants stage number … by-passed (True), or in use.
    """

    asked = Signal(int, bool)

    def __init__(self, theme: Theme) -> None:
        super().__init__(0, len(_COLUMNS))
        self.theme = theme
        self._kinds: list[str] = []
        self._items: list[list[QTableWidgetItem]] = []
        self._buttons: list[QPushButton] = []
        self.hide()
        self.setHorizontalHeaderLabels(list(_COLUMNS))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for section, width in _WIDTHS.items():
            header.resizeSection(section, width)

    def show_stages(self, stages: list[dict[str, Any]]) -> None:
        """Show the rows of the status; hidden where the session processes nothing."""
        if (kinds := [s["kind"] for s in stages]) != self._kinds:
            self._lay_out(kinds)
        for row, stage in enumerate(stages):
            text, wrong = state_of(stage)
            hop, load, budget = stage["hop_ms"], stage["load"], stage["budget"]
            texts = (
                stage["kind"],
                f"▲ {text}" if wrong else text,
                f"{1e3 * stage['delay_s']:.0f} ms" if stage["delay_s"] else "–",
                "–" if hop["p50"] is None else f"{hop['p50']:.2f} / {hop['p99']:.2f}",
                _load(load, budget),
            )
            for column, (item, told) in enumerate(zip(self._items[row], texts, strict=True)):
                item.setText(told)
                colour = self.theme.bad if wrong and column == 1 else self.theme.text
                item.setForeground(QColor(colour))
            self._items[row][1].setToolTip(text)
            self._items[row][3].setToolTip("median / 99th percentile of the newest hops")
            button = self._buttons[row]
            button.setText("By-pass" if stage["active"] else "Use")
            button.setEnabled(stage["why_needed"] is None)
            button.setToolTip(stage["why_needed"] or "")
            button.setProperty("bypass", stage["active"])

    def _lay_out(self, kinds: list[str]) -> None:
        self._kinds, self._items, self._buttons = kinds, [], []
        self.setVisible(bool(kinds))
        self.setRowCount(len(kinds))
        for row in range(len(kinds)):
            self._items.append([QTableWidgetItem() for _ in range(5)])
            for column, item in enumerate(self._items[row]):
                self.setItem(row, column, item)
            button = QPushButton()
            button.setObjectName("small")
            button.clicked.connect(partial(self._clicked, row))
            self.setCellWidget(row, 5, button)
            self._buttons.append(button)
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + _ROW * len(kinds) + 4)

    def _clicked(self, row: int) -> None:
        self.asked.emit(row, bool(self._buttons[row].property("bypass")))


def _load(load: float | None, budget: float | None) -> str:
    if load is None:
        return "–"
    shown = f"{100 * load:.1f} %"
    return shown if budget is None else f"{shown} of {100 * budget:g} %"
