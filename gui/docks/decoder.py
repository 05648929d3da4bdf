"""What the decoder thinks: probabilities now and over time, and why it abstains."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from gui.docks import Dock
from gui.docks.plotting import Plot, pen
from gui.link import EngineLink
from gui.theme import Theme

__all__ = ["DecoderDock", "threshold"]

#: Time on screen, seconds.
SHOWN_S = 30.0
#: Decisions kept for it.
KEPT = 1200
#: Classes drawn over time: those that were most probable at some time.
N_CURVES = 6
#: So many decisions are dots on their curve; more are a line only, which is quicker to draw.
N_DOTTED = 40


def threshold(status: dict[str, Any] | None) -> float | None:
    """Probability that gives a label, by the session's rule; None where each window gives one."""
    rule = {} if status is None else status.get("decision", {})
    if rule.get("kind") == "threshold":
        return float(rule["threshold"])
    if rule.get("kind") == "dynamic":
        return 1.0 - float(rule["target_error"])
    return None


class DecoderDock(Dock):
    """The newest decision in words, all classes as bars, the leading ones over time."""

    title = "Decoder"
    period_s = 0.2

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(link, theme)
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._seq = -1
        self.newest = QLabel("No decision yet")
        self.newest.setObjectName("title")
        self.detail = QLabel()
        self.detail.setObjectName("muted")
        self.detail.setWordWrap(True)
        self.detail.setMinimumHeight(2 * self.detail.fontMetrics().lineSpacing() + 4)
        self.detail.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.bars = Bars(theme)
        self.plot = Plot(theme, "s before now", "probability")
        self.plot.setXRange(-SHOWN_S, 0, padding=0)
        self.plot.setYRange(0, 1.02, padding=0)
        self._limit = self.plot.addLine(y=2.0)
        self._curves = [self.plot.plot(connect="finite") for _ in range(N_CURVES)]
        self._abstained = self.plot.plot(pen=None, symbol="x", symbolSize=6)
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(3)
        column.addWidget(self.newest)
        column.addWidget(self.detail)
        column.addWidget(self.bars, 2)
        column.addWidget(self.legend)
        column.addWidget(self.plot, 3)
        self.set_content(content)
        self.use(theme)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        super().use(theme)
        self.plot.use(theme)
        self.bars.use(theme)
        self._limit.setPen(pen(theme.text, dashed=True))
        self._abstained.setSymbolPen(pen(theme.warning))
        self._abstained.setSymbolBrush(QColor(theme.warning))
        if self._kept:
            self._show_newest(self._kept[-1])
            self._show_history()

    def refresh(self) -> None:
        """Take over new decisions."""
        last = self.link.decisions.last_seq
        if last < self._seq:  # another session
            self._kept.clear()
            self._seq = -1
        if last == self._seq:
            return
        self._kept.extend(self.link.decisions.since(self._seq))
        self._seq = last
        self._show_newest(self._kept[-1])
        self._show_history()

    def _show_newest(self, decision: dict[str, Any]) -> None:
        label, proba, theme = decision["label"], decision["proba"], self.theme
        limit = threshold(self.link.status)
        if label is not None:
            self.newest.setText(f"{label}   {100 * proba.get(label, 0.0):.0f} %")
            self.newest.setStyleSheet(f"color: {theme.text}")
        else:
            self.newest.setText(f"abstains: {_why(decision)}")
            self.newest.setStyleSheet(f"color: {theme.warning}")
        latency = decision["latency_ms"]
        parts = [
            f"model {decision['model']}",
            "" if latency is None else f"{latency:.0f} ms after its last sample",
            "taken at the longest window, below the threshold" if decision["forced"] else "",
            _repaired(decision["quality"]),
            _abstentions(self.link.status),
            _repairs(self.link.status),
        ]
        self.detail.setText(" · ".join(part for part in parts if part))
        self.bars.show_values(proba, label, limit)

    def _show_history(self) -> None:
        info = self.link.samples.info
        if info is None:
            return
        kept = list(self._kept)
        now = max(self.link.samples.position, kept[-1]["last"])
        kept = [d for d in kept if now - d["last"] <= SHOWN_S * info.sfreq]
        if not kept:
            return
        t = np.array([(d["last"] - now) / info.sfreq for d in kept])
        labels = list(kept[-1]["proba"] or next((d["proba"] for d in kept if d["proba"]), {}))
        table = np.array([[d["proba"].get(label, np.nan) for label in labels] for d in kept])
        order: list[int] = []
        if labels:
            peaks = np.nan_to_num(table).max(axis=0)
            order = np.argsort(-peaks)[:N_CURVES].tolist()
        cycle, words = self.theme.cycle, []
        for place, curve in enumerate(self._curves):
            if place >= len(order):
                curve.setData([], [])
                continue
            column = order[place]
            colour = cycle[column % len(cycle)]
            curve.setPen(pen(colour))
            if len(t) <= N_DOTTED:
                dots = {"symbol": "o", "symbolSize": 3, "symbolPen": None, "symbolBrush": colour}
            else:
                dots = {"symbol": None}
            curve.setData(t, table[:, column], **dots)
            words.append(f"<span style='color:{colour}'>●</span> {labels[column]}")
        self.legend.setText("&nbsp;&nbsp; ".join(words))
        abstained = np.array([d["label"] is None for d in kept])
        self._abstained.setData(t[abstained], np.full(abstained.sum(), 0.02))
        limit = threshold(self.link.status)
        self._limit.setValue(2.0 if limit is None else limit)


def _why(decision: dict[str, Any]) -> str:
    return ", ".join(decision["quality"]["reasons"]) or "not sure enough"


def _abstentions(status: dict[str, Any] | None) -> str:
    """How often it has abstained, and why."""
    if status is None or not status["telemetry"]["abstentions"]:
        return ""
    told = status["telemetry"]
    reasons = ", ".join(f"{reason} {n}" for reason, n in told["abstention_reasons"].items())
    return f"abstained {told['abstentions']} of {told['decisions']} times ({reasons})"


def _repaired(quality: dict[str, Any]) -> str:
    """How much of the newest window was mended, and by what."""
    if not quality.get("repaired"):
        return ""
    return f"{100 * quality['repaired_fraction']:.0f} % repaired ({', '.join(quality['repaired'])})"


def _repairs(status: dict[str, Any] | None) -> str:
    """How many decisions rested on mended data, and by what it was mended."""
    told = {} if status is None else status["telemetry"]
    if not told.get("repaired"):
        return ""
    ways = ", ".join(f"{way} {n}" for way, n in told["repaired_by"].items())
    return f"{told['repaired']} of {told['decisions']} decisions on repaired data ({ways})"


def _short(labels: list[str]) -> list[str]:
    """Labels without the unit that all of them have."""
    unit = {label.rpartition(" ")[2] for label in labels if " " in label}
    if len(unit) == 1 and all(" " in label for label in labels):
        return [label.rpartition(" ")[0] for label in labels]
    return labels


class Bars(QWidget):
    """Probability of each class, in the classes' order, and the threshold."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._proba: dict[str, float] = {}
        self._label: str | None = None
        self._limit: float | None = None
        self.setMinimumSize(160, 70)

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        self._theme = theme
        self.update()

    def show_values(self, proba: dict[str, float], label: str | None, limit: float | None) -> None:
        """Show these."""
        self._proba, self._label, self._limit = proba, label, limit
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's name)
        """Paint a bar for each class, its name below it where there is room."""
        painter = QPainter(self)
        theme = self._theme
        painter.fillRect(self.rect(), QColor(theme.ground))
        if not self._proba:
            painter.setPen(QColor(theme.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No probabilities")
            return
        font = QFont(painter.font())
        font.setPixelSize(11)
        painter.setFont(font)
        names = _short(list(self._proba))
        step = (self.width() - 8) / len(names)
        widest = max(painter.fontMetrics().horizontalAdvance(name) for name in names)
        named, upright = widest + 4 <= step, step >= 14
        foot = 18.0 if named else min(widest + 8.0, 0.5 * self.height()) if upright else 4.0
        box = QRectF(4, 6, self.width() - 8, self.height() - foot - 8)
        for k, (name, (label, p)) in enumerate(zip(names, self._proba.items(), strict=True)):
            height = max(1.0, box.height() * min(1.0, p))
            bar = QRectF(
                box.left() + k * step + 1, box.bottom() - height, max(1.0, step - 2), height
            )
            chosen = label == self._label
            painter.fillRect(bar, QColor(theme.accent if chosen else theme.muted))
            painter.setPen(QColor(theme.text if chosen else theme.muted))
            if named:
                painter.drawText(
                    QRectF(bar.left() - 2, box.bottom() + 2, step + 2, 16),
                    Qt.AlignmentFlag.AlignHCenter,
                    name,
                )
            elif upright:
                painter.save()
                painter.translate(bar.center().x(), box.bottom() + 4)
                painter.rotate(90)
                painter.drawText(QRectF(0, -8, foot, 16), Qt.AlignmentFlag.AlignVCenter, name)
                painter.restore()
        if self._limit is not None:
            y = box.bottom() - box.height() * self._limit
            painter.setPen(QPen(QColor(theme.text), 1, Qt.PenStyle.DashLine))
            painter.drawLine(round(box.left()), round(y), round(box.right()), round(y))
