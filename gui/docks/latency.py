"""Latency of decisions, what each processing stage costs, and everything that was lost."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from gui.docks import Dock
from gui.docks.plotting import Plot, pen
from gui.docks.stages import StageTable
from gui.link import Answer, EngineLink
from gui.theme import Theme

__all__ = ["LatencyDock"]

#: Decisions on screen.
SHOWN = 300


class LatencyDock(Dock):
    """From the arrival of a decision's last sample to its publication; drops by where they were."""

    title = "Latency and drops"
    period_s = 0.5

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(link, theme)
        self._kept: deque[float] = deque(maxlen=SHOWN)
        self._seq = -1
        #: Frames of this window: number a second and 99th percentile of their time, ms.
        self.frames: tuple[float, float] | None = None
        self.plot = Plot(theme, "decision", "ms")
        self.plot.setXRange(-SHOWN, 0, padding=0)
        self._line = self.plot.plot()
        self._p99 = self.plot.addLine(y=-1)
        self.values: dict[str, QLabel] = {}
        grid = QGridLayout()
        grid.setContentsMargins(8, 4, 8, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(1)
        for i, name in enumerate(
            (
                "Latency p50", "Latency p99", "Rate", "Load", "Backlog", "Memory",
                "Engine skipped", "Gaps", "Clock jumps", "Outputs dropped", "Not recorded",
                "Display lost", "Frames",
            )
        ):  # fmt: skip
            row, column = divmod(i, 2)
            title = QLabel(name)
            title.setObjectName("muted")
            value = self.values[name] = QLabel("–")
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(title, row, 2 * column)
            grid.addWidget(value, row, 2 * column + 1)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        self.stages = StageTable(theme)
        self.stages.asked.connect(self._bypass)
        self.problem = QLabel()
        self.problem.setWordWrap(True)
        self.problem.hide()
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.stages)
        layout.addWidget(self.problem)
        layout.addWidget(self.plot, 1)
        self.set_content(content)
        self.use(theme)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        super().use(theme)
        self.plot.use(theme)
        self.stages.theme = theme
        self._line.setPen(pen(theme.accent))
        self._p99.setPen(pen(theme.warning, dashed=True))

    def refresh(self) -> None:
        """Show the newest status and the newest decisions' latencies."""
        last = self.link.decisions.last_seq
        if last < self._seq:
            self._kept.clear()
            self._seq = -1
        if last != self._seq:
            new = self.link.decisions.since(self._seq)
            self._seq = last
            self._kept.extend(d["latency_ms"] for d in new if d["latency_ms"] is not None)
            self._line.setData(np.arange(len(self._kept)) - len(self._kept), np.array(self._kept))
        if self.link.status is not None:
            self._show(self.link.status)

    def _bypass(self, stage: int, active: bool) -> None:
        self.link.post("/v1/bypass", {"stage": stage, "active": active}, self._answered)

    def _answered(self, answer: Answer) -> None:
        self.problem.setText(answer.error)
        self.problem.setVisible(not answer.ok)

    def _show(self, status: dict[str, Any]) -> None:
        self.stages.show_stages(status.get("processing", {}).get("stages", []))
        told, record = status["telemetry"], status["recording"]
        latency, load = told["latency_ms"], told["load"]
        self._p99.setValue(-1 if latency["p99"] is None else latency["p99"])
        drops = told["drops"]
        skipped = drops.get("decoder", 0)
        outputs = {o["name"]: o["dropped"] for o in status["outputs"] if o["dropped"]}
        lost = self.link.samples.n_lost
        rate = told["effective_rate_hz"]
        frames = self.frames
        for name, text, wrong in (
            ("Latency p50", _ms(latency["p50"]), False),
            ("Latency p99", _ms(latency["p99"]), False),
            ("Rate", "–" if rate is None else f"{rate:.2f} Hz", False),
            ("Load", "–" if load["p99"] is None else f"{100 * load['p99']:.0f} % (p99)",
             (load["p99"] or 0) > 0.75),
            ("Backlog", f"{told['backlog_samples']} samples", False),
            ("Memory", f"{told['memory_bytes'] / 1e6:.0f} MB", False),
            ("Engine skipped", f"{skipped} samples", skipped > 0),
            ("Gaps", str(told["gaps"]), told["gaps"] > 0),
            ("Clock jumps", str(told["clock_jumps"]), told["clock_jumps"] > 0),
            ("Outputs dropped", ", ".join(f"{k} {n}" for k, n in outputs.items()) or "0",
             bool(outputs)),
            ("Not recorded", _not_recorded(record), bool(record and record["n_not_recorded"])),
            ("Display lost", f"{lost} samples, {self.link.decisions.n_lost} decisions",
             lost + self.link.decisions.n_lost > 0),
            ("Frames", "–" if frames is None else f"{frames[0]:.0f}/s, p99 {frames[1]:.0f} ms",
             False),
        ):  # fmt: skip
            value = self.values[name]
            value.setText(f"▲ {text}" if wrong else text)
            value.setStyleSheet(f"color: {self.theme.bad if wrong else self.theme.text}")


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _not_recorded(record: dict[str, Any] | None) -> str:
    return "no recording" if record is None else f"{record['n_not_recorded']} samples"
