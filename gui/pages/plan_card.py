"""The screen that was measured, the targets on it, and other plans to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from bci.errors import BciError
from bci.paradigms import planner
from bci.paradigms.collisions import PROVOCATIVE_HZ
from bci.paradigms.frequencies import Method
from bci.paradigms.planner import Plan
from gui.pages.calibration_cards import Table
from gui.pages.displays import DisplayBox
from gui.pages.speller_cards import Facts, describe_frames
from gui.stimulus.painting import Picture
from gui.stimulus.settings import StimulusSettings

__all__ = ["PlanCard"]

#: Plans of other steps that are offered.
N_OFFERED = 4
_METHODS: dict[str, Method] = {"sampled sinusoids": "sampled", "whole frames": "locked"}


class PlanCard(QWidget):
    """Shows the session's plan first, and takes another one.

    Parameters
    ----------
    display : DisplayBox
        On which screen it all is.

    Attributes
    ----------
    plans : list of Plan
        As in the table; the session's own is the first, where it can be shown.
    """

    #: Flicker by this plan (`bci.paradigms.planner.Plan`) instead.
    taken = Signal(object)

    def __init__(self, display: DisplayBox) -> None:
        super().__init__()
        self.facts = Facts("Refresh", "Timing", "Targets", "To mend", "To know")
        self.plans: list[Plan] = []
        self._has_own = False
        self._asked: tuple[float, int, dict[str, float]] | None = None
        low, high = PROVOCATIVE_HZ
        self.table = Table(
            "Plans for this screen: in use, then the best first", "Lines that collide",
            "Too close to tell by frequency", f"{low:g} to {high:g} Hz", "Beat with the frames",
            stretch=0,
        )  # fmt: skip
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.itemSelectionChanged.connect(self._select)
        self.low, self.high, self.method = QDoubleSpinBox(), QDoubleSpinBox(), QComboBox()
        self.look, self.take = QPushButton("Look at it"), QPushButton("Use the chosen plan")
        self.error = QLabel()
        self.error.setObjectName("error")
        self.error.setWordWrap(True)
        self._lay_out(display)

    def _lay_out(self, display: DisplayBox) -> None:
        for box, value, name in ((self.low, 9.0, "Lowest"), (self.high, 15.0, "Highest")):
            box.setRange(1.0, 120.0)
            box.setDecimals(2)
            box.setSingleStep(0.25)
            box.setSuffix(" Hz")
            box.setValue(value)
            box.setAccessibleName(f"{name} frequency")
        self.method.addItems(list(_METHODS))
        self.method.setToolTip(
            "Sinusoids have any frequency below half the refresh rate; whole frames on and off "
            "have few, the same in every cycle"
        )
        self.look.clicked.connect(self._look)
        self.take.clicked.connect(self._take)
        self.take.setToolTip("The session starts again with it: decoder, cues and screen follow")
        top, by_hand, column = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        top.addWidget(QLabel("Shown on"))
        top.addWidget(display)
        top.addStretch()
        for part in (QLabel("Or from"), self.low, QLabel("to"), self.high, self.method, self.look):
            by_hand.addWidget(part)
        by_hand.addWidget(self.error, 1)
        by_hand.addWidget(self.take)
        column.setContentsMargins(0, 6, 0, 0)
        column.addLayout(top)
        column.addWidget(self.facts)
        column.addWidget(self.table, 1)
        column.addLayout(by_hand)
        self._show()

    def measuring(self) -> None:
        """The screen is not known yet."""
        self.facts.show_values({"Refresh": "measuring …"})
        self.plans, self._asked = [], None
        self._show()

    def show_plan(
        self, ready: Mapping[str, Any], settings: StimulusSettings, longest_s: float
    ) -> list[str]:
        """Show the targets on the measured screen; what stands against them, one line each.

        `ready` is what the flicker's process says of the screen, `longest_s` the decoder's
        longest window, seconds.
        """
        against, hz = list(ready["objections"]), ready["refresh_hz"]
        judged = {"window_s": longest_s, "flicker_share": _flicker_share(settings)}
        own: Plan | None = None
        self._asked = hz, len(settings.targets), judged
        try:
            own = planner.judge([t.flicker() for t in settings.targets], hz, **judged)
        except BciError as error:
            against.append(str(error))
        try:
            others = planner.offers(hz, len(settings.targets), **judged)
        except BciError as error:
            others = []
            self.error.setText(str(error))
        self.table.clearSelection()
        self._has_own = own is not None
        self.plans = [*([own] if own else []), *_different(others, own)]
        words = describe_frames(ready, None)
        words["Targets"] = "" if own is None else str(own)
        words["To know"] = "" if own is None else "\n".join(own.findings)
        words["To mend"] = "\n".join(against)
        self.facts.show_values(words)
        self._show()
        return against

    def _show(self) -> None:
        self.table.show_rows([
            (
                f"{plan}{'  (in use)' * (self._has_own and i == 0)}",
                *(f"{n}" if n else "–" for n in (plan.n_collisions, plan.faults[1])),
                *(f"{n}" if n else "–" for n in (plan.faults[0], plan.faults[3])),
            )
            for i, plan in enumerate(self.plans)
        ])  # fmt: skip
        for part in (self.table, self.low, self.high, self.method, self.look):
            part.setEnabled(self._asked is not None)
        self._select()

    @property
    def chosen(self) -> Plan | None:
        """The plan that is marked; None where that is the session's own, or none is."""
        row = self.table.currentRow() if self.table.selectedItems() else -1
        own = self._has_own and row == 0
        return self.plans[row] if 0 <= row < len(self.plans) and not own else None

    def _select(self) -> None:
        plan = self.chosen
        self.take.setEnabled(plan is not None)
        for i, other in enumerate(self.plans):
            for j in range(self.table.columnCount()):
                item = self.table.item(i, j)
                if item is not None:
                    item.setToolTip("\n".join(other.findings) or "nothing to know")

    def _look(self) -> None:
        """Put what is asked for by hand into the table, and mark it."""
        if self._asked is None:
            return
        hz, n, judged = self._asked
        self.error.clear()
        try:
            made = planner.ask(
                hz, n, self.low.value(), self.high.value(), _METHODS[self.method.currentText()],
                **judged,
            )  # fmt: skip
        except BciError as error:
            self.error.setText(str(error))
            return
        self.plans.append(made)
        self._show()
        self.table.selectRow(len(self.plans) - 1)

    def _take(self) -> None:
        if (plan := self.chosen) is not None:
            self.taken.emit(plan)


def _different(others: list[Plan], own: Plan | None) -> list[Plan]:
    """Those that are another plan than the session's; the best of the sampled, and any locked."""
    there = None if own is None else [f.frequency_hz for f in own.flickers]
    new = [p for p in others if [f.frequency_hz for f in p.flickers] != there]
    sampled = [p for p in new if p.method == "sampled"]
    return [*sampled[:N_OFFERED], *(p for p in new if p.method == "locked")]


def _flicker_share(settings: StimulusSettings) -> float:
    """Share of the screen that the keys will take."""
    width, height = settings.window or (1920, 1080)
    return Picture(settings.cells(), QSize(width, height)).flicker_share
