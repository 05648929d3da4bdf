"""What each step of the calibration shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from bci.calibration.guide import CONSENT, WARNING
from bci.calibration.looks import FEWEST_BLOCKS
from bci.dsp.signal_quality import ChannelQuality
from bci.metrics import accuracy_interval, chance_bound
from gui.docks.quality import REMEDIES
from gui.pages.displays import DisplayBox
from gui.pages.speller_cards import Facts

__all__ = ["BlocksCard", "ChoiceCard", "ConsentCard", "QualityCard", "Table"]


class Table(QTableWidget):
    """Rows of text that nobody edits."""

    def __init__(self, *columns: str, stretch: int) -> None:
        super().__init__(0, len(columns))
        self.setHorizontalHeaderLabels(list(columns))
        self.verticalHeader().hide()
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.setStyleSheet("QTableView::item { padding-right: 14px }")
        header.setSectionResizeMode(stretch, QHeaderView.ResizeMode.Stretch)

    def show_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show these and no others."""
        self.setRowCount(len(rows))
        for i, row in enumerate(rows):
            for j, text in enumerate(row):
                item = self.item(i, j)
                if item is None:
                    self.setItem(i, j, QTableWidgetItem(text))
                elif item.text() != text:
                    item.setText(text)


class QualityCard(QWidget):
    """Every channel, what is wrong with it, and what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.summary = QLabel("Waiting for samples …")
        self.line = QComboBox()
        self.line.addItems(["Mains 50 Hz", "Mains 60 Hz"])
        self.table = Table("Channel", "", "What is wrong", "What to do", stretch=3)
        top = QHBoxLayout()
        top.addWidget(self.summary, 1)
        top.addWidget(self.line)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        column.addWidget(self.table, 1)

    @property
    def line_hz(self) -> float:
        """Frequency of the mains."""
        return 60.0 if self.line.currentIndex() else 50.0

    def show_quality(self, found: Sequence[ChannelQuality]) -> None:
        """Show the newest judgement."""
        good = sum(q.ok for q in found)
        self.summary.setText(f"{good} of {len(found)} channels are good")
        self.table.show_rows([
            (q.name, "✓" if q.ok else "✕", ", ".join(q.reasons) or "good",
             "; ".join(REMEDIES[reason] for reason in q.reasons))
            for q in found
        ])  # fmt: skip


class ConsentCard(QWidget):
    """What flicker can do, and the participant's word."""

    def __init__(self) -> None:
        super().__init__()
        warning = QLabel(WARNING)
        warning.setWordWrap(True)
        warning.setStyleSheet("font-size: 15px")
        self.agreed = QCheckBox(CONSENT)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.addWidget(warning)
        column.addSpacing(12)
        column.addWidget(self.agreed)
        column.addStretch()


class BlocksCard(QWidget):
    """Blocks, and after each what every decoder would reach.

    `compared`: whether the ladder has looked, so that the table shows all decoders.
    """

    def __init__(self) -> None:
        super().__init__()
        self.label = QLabel("Blocks")
        self.n_blocks = QSpinBox()
        self.n_blocks.setRange(FEWEST_BLOCKS, 20)
        self.n_blocks.setValue(4)
        self.n_blocks.setToolTip("Each target is cued once in a block; a rest follows each")
        self.progress = QProgressBar()
        self.progress.setFormat("%v of %m trials")
        self.state = QLabel("Each block cues every target once. Look where the mark is.")
        self.state.setWordWrap(True)
        self.comparing = QLabel()
        self.comparing.setObjectName("muted")
        self.scores = Table(
            "Decoder", "Right", "Accuracy, 95 %", "s a selection", "ITR, bit/min, 95 %", "",
            stretch=5,
        )  # fmt: skip
        self.compared = False
        self.forecast = QLabel()
        self.forecast.setObjectName("muted")
        self.forecast.setWordWrap(True)
        self.shown_on, self.display = QLabel("Shown on"), DisplayBox()
        self.cue_here = QPushButton("Show the cues here")
        self.cue_here.setToolTip(
            "Cross, arrow and feedback bar in a window of this application, instead of another "
            "program that sends the markers"
        )
        row = QHBoxLayout()
        for part in (self.label, self.n_blocks, self.shown_on, self.display):
            row.addWidget(part)
        row.addWidget(self.progress, 1)
        row.addWidget(self.cue_here)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.addLayout(row)
        said = QHBoxLayout()
        said.addWidget(self.state, 1)
        said.addWidget(self.comparing)
        column.addLayout(said)
        column.addWidget(self.scores, 100)  # where it is hidden, what is above stays there
        column.addWidget(self.forecast)
        column.addStretch(1)

    def show_parts(self, *, flickers: bool, cues: bool) -> None:
        """Whether blocks flicker, or cues are shown; where neither, cues are only counted."""
        shown: list[tuple[QWidget, bool]] = [
            *((part, flickers) for part in (self.label, self.n_blocks, self.scores)),
            *((part, cues) for part in (self.shown_on, self.display)),
            (self.progress, flickers or cues),
        ]
        for part, visible in shown:
            part.setVisible(visible)
        self.cue_here.setVisible(not (flickers or cues))

    def show_assessment(self, found: Mapping[str, Any] | None) -> None:
        """Show the ladder's last look."""
        self.scores.show_rows([] if found is None else [_row(s, found) for s in found["scores"]])
        self.compared = found is not None
        if found is None:
            self.forecast.clear()
            return
        ahead = f"Forecast: {found['forecast']}." if found["forecast"] else _NO_FORECAST
        self.forecast.setText("\n".join(filter(None, (ahead, found["phase_locking"]))))

    def show_untrained(self, decoder: str, score: Mapping[str, Any]) -> None:
        """Show how often the decoder in use was right so far: it was trained on none of this.

        Only until decoders are compared, for those that are trained cannot be judged sooner.
        """
        if self.compared or score["accuracy"] is None:
            return
        low, high = score["accuracy_low"], score["accuracy_high"]
        itr = "" if score["itr"] is None else f"{score['itr']:.0f}"
        self.scores.show_rows([(
            decoder, f"{score['n_right']} of {score['n_trials']}",
            f"{score['accuracy']:.2f} [{low:.2f}, {high:.2f}]",
            f"{score['seconds'] / score['n_trials']:.2f}", itr,
            f"in use; the others from block {FEWEST_BLOCKS} on",
        )])  # fmt: skip
        self.forecast.setText(
            f"Decoders that are trained are judged from block {FEWEST_BLOCKS} on: two blocks to "
            "train on, and one that they have not seen."
        )


_NO_FORECAST = "No forecast: more blocks promise no credible gain, or are needed to tell."


def _row(score: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    if score["why_not"]:
        return score["rung"], "", "", "", "", score["why_not"]
    n_right, n = score["n_right"], score["n"]
    low, high = accuracy_interval(n_right, n)
    note = "in use" if score["rung"] == found["current"] else ""
    if score["rung"] == found["chosen"] != found["current"]:
        note = "takes over"
    elif score["p"] is not None:
        note = f"p = {score['p']:.3f}"
    return (
        score["rung"], f"{n_right} of {n}", f"{n_right / n:.2f} [{low:.2f}, {high:.2f}]",
        f"{score['seconds']:.2f}", f"{score['itr']:.0f} [{score['low']:.0f}, {score['high']:.0f}]",
        note,
    )  # fmt: skip


class ChoiceCard(QWidget):
    """Which decoder decides from now on, why, and where it is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = QLabel()
        self.reason.setObjectName("heading")
        self.reason.setWordWrap(True)
        self.facts = Facts("Decoder", "Model", "Recording", "Forecast")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.addWidget(self.reason)
        column.addSpacing(8)
        column.addWidget(self.facts)
        column.addStretch()

    def show_ladder(
        self, status: Mapping[str, Any], found: Mapping[str, Any] | None, comparing: bool
    ) -> None:
        """Show what the ladder chose, by its last look; None: there was none yet."""
        reason = "No comparison yet: the decoder in use stays."
        if comparing:
            reason = "Comparing decoders on what was recorded …"
        elif found is not None:
            reason = found["reason"]
        self.reason.setText(reason)
        model = status["decoder"]["model"] if status else ""
        waits = (status.get("ladder") or {}).get("waits_for_selection")
        trained = found is not None and found["chosen"] != found["current"]
        self.facts.show_values({
            "Decoder": model + (", and the new one from the next selection on" if waits else ""),
            "Model": "saved with the session, under models/" if trained else
                     "needs none: nothing was trained",
            "Recording": str((status.get("recording") or {}).get("path", "")),
            "Forecast": str((found or {}).get("forecast") or ""),
        })  # fmt: skip

    def show_trained(self, folder: Path) -> None:
        """Show a decoder that was trained at once, by what its manifest says."""
        from bci.decoders.manifest import Manifest  # here: the window is there before it loads
        from bci.model_files import MANIFEST

        manifest = Manifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
        n_classes, (score, *_) = len(manifest.classes), manifest.scores
        n_right = round(score.value * score.n)
        better = n_right >= chance_bound(score.n, n_classes)
        self.reason.setText(
            f"{manifest.kind} decides from now on: {score.value:.2f} [{score.low:.2f}, "
            f"{score.high:.2f}] of held-out trials right, "
            f"{'better' if better else 'NOT better'} than guessing ({1 / n_classes:.2f})."
        )
        self.facts.show_values({
            "Decoder": f"{folder.name}, judged by {score.method}", "Model": str(folder),
        })  # fmt: skip
