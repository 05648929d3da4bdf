"""What the speller's page shows of a run: selections, score, screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

__all__ = ["Facts", "SelectionTable", "card", "describe_frames", "describe_score"]

Line = Mapping[str, Any]

#: Selections kept in the table.
MAX_ROWS = 200


def card(title: str, content: QWidget) -> QFrame:
    """Put `content` on a ground of its own, with a heading."""
    frame, heading = QFrame(), QLabel(title)
    frame.setObjectName("card")
    heading.setObjectName("heading")
    column = QVBoxLayout(frame)
    column.setContentsMargins(14, 10, 14, 12)
    column.addWidget(heading)
    column.addWidget(content, 1)
    return frame


class Facts(QWidget):
    """Names and values, one a line."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 2, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setColumnStretch(1, 1)
        self.values: dict[str, QLabel] = {}
        for row, name in enumerate(names):
            label, value = QLabel(name), QLabel("–")
            label.setObjectName("muted")
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setWordWrap(True)
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1)
            self.values[name] = value
        grid.setRowStretch(len(names), 1)

    def show_values(self, values: Mapping[str, str]) -> None:
        """Show these; a dash where there is nothing."""
        for name, value in self.values.items():
            value.setText(values.get(name, "") or "–")


class SelectionTable(QTableWidget):
    """The newest selections, the last on top."""

    def __init__(self) -> None:
        super().__init__(0, 5)
        self.setHorizontalHeaderLabels(["Key", "Wanted", "Probability", "Seconds", "Note"])
        self.verticalHeader().hide()
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(4, QHeaderView.ResizeMode.Stretch)

    def add(self, selection: Line) -> None:
        """Show one more."""
        probability = selection["probability"]
        cells = (
            selection["caption"] or "–",
            {True: "✓", False: "✗ another", None: ""}[selection["right"]],
            "" if probability is None else f"{probability:.2f}",
            f"{selection['seconds']:.1f}",
            selection["reason"] or ("forced by the time" if selection["forced"] else ""),
        )
        self.insertRow(0)
        for column, text in enumerate(cells):
            self.setItem(0, column, QTableWidgetItem(text))
        if self.rowCount() > MAX_ROWS:
            self.removeRow(MAX_ROWS)


def describe_score(score: Line) -> dict[str, str]:
    """Put a ``score`` line into words."""
    words = {"Selections": f"{score['n_trials']}, {score['n_unanswered']} without a decision"}
    if score["accuracy"] is not None:
        interval = f"[{score['accuracy_low']:.2f}, {score['accuracy_high']:.2f}]"
        words["Accuracy"] = f"{score['accuracy']:.2f} {interval}, 95 %"
    if score["itr"] is not None:
        words["ITR"] = f"{score['itr']:.1f} bit/min, without a language's prior"
    if score["correct_per_min"] is not None:
        words["Speed"] = f"{score['correct_per_min']:.1f} correct characters a minute, undo counted"
    elif score["characters_per_min"] is not None:
        words["Speed"] = f"{score['characters_per_min']:.1f} characters a minute"
    return words


def describe_frames(ready: Line | None, frames: Line | None) -> dict[str, str]:
    """Put the ``ready`` and the newest ``frames`` line into words."""
    words = {}
    if ready is not None:
        words["Refresh"] = f"{ready['refresh_hz']:.2f} Hz" + (
            ", measured" if ready["vsync"] else ", kept by the clock: flips wait for no screen here"
        )
        words["Timing"] = f"99 % of flips within {ready['jitter_ms']:.1f} ms"
        words["To mend"] = "; ".join(ready["objections"])
    if frames is not None:
        n, dropped = frames["n_flips"], frames["n_dropped"]
        words["Frames"] = f"{n} shown, {dropped} dropped"
        if lost := frames["n_markers_lost"]:
            words["Frames"] += f"; {lost} markers lost"
    return words
