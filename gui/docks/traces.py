"""Traces of the raw stream, with markers and decisions."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QScrollBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from bci.config import StageSettings
from bci.dsp.filters import Bandpass, Highpass, Notch
from bci.errors import BciError
from gui.docks import Dock
from gui.link import EngineLink
from gui.theme import Theme
from gui.traces.canvas import Canvas, Note
from gui.traces.view import SCALES_UV, TraceView

__all__ = ["TracesDock"]

SPANS_S = (2, 5, 10, 20, 30, 60)
BANDS: dict[str, tuple[StageSettings, ...]] = {
    "all": (),
    "from 0.5 Hz": (Highpass(freq_hz=0.5, order=2),),
    "1–40 Hz": (Bandpass(low_hz=1, high_hz=40, order=2),),
    "5–50 Hz": (Bandpass(low_hz=5, high_hz=50, order=2),),
    "8–30 Hz": (Bandpass(low_hz=8, high_hz=30, order=2),),
}
NOTCHES: dict[str, tuple[StageSettings, ...]] = {
    "none": (),
    "50 Hz": (Notch(freq_hz=50, harmonics=2),),
    "60 Hz": (Notch(freq_hz=60, harmonics=2),),
}
#: Channels on one page; the last is all of them.
PAGES = (8, 16, 32, 64)
#: Decisions that are drawn.
N_DECISIONS = 1200


class TracesDock(Dock):
    """Many channels at the display's rate; what is filtered here is filtered for the eye alone."""

    title = "Traces"
    period_s = 0.0

    def __init__(self, link: EngineLink, theme: Theme) -> None:
        super().__init__(link, theme)
        self.view = TraceView(link.samples, theme)
        self.canvas = Canvas(self.view, theme)
        self.canvas.moved.connect(self.move_by)
        self.canvas.scaled.connect(self.step_scale)
        self.trouble = QLabel()
        self.trouble.setObjectName("error")
        self._seq = -1
        self._status: dict[str, Any] | None = None
        self._generation = 0  # before the first stream

        self.span = _choice([f"{s} s" for s in SPANS_S], "10 s", "Time span on screen")
        self.scale = _choice([f"{s} µV" for s in SCALES_UV], "100 µV", "Height of a channel's lane")
        self.band = _choice(list(BANDS), "from 0.5 Hz", "Filter for the eye; decoding is as it was")
        self.notch = _choice(list(NOTCHES), "50 Hz", "Line noise is taken out for the eye")
        self.page = _choice(["all"], "all", "Channels that are shown")
        self.fit = _button("Fit", "Choose the scale by what is on screen (F)", "F")
        self.freeze = _button("Freeze", "Stop here; the arrow keys scroll back (Space)", "Space")
        self.freeze.setCheckable(True)
        self.scrollbar = QScrollBar(Qt.Orientation.Horizontal)
        self.scrollbar.setToolTip("Scroll back")

        self.span.currentIndexChanged.connect(self._set_span)
        self.scale.currentIndexChanged.connect(self._set_scale)
        self.band.currentIndexChanged.connect(self._set_filter)
        self.notch.currentIndexChanged.connect(self._set_filter)
        self.page.currentIndexChanged.connect(self._set_page)
        self.fit.clicked.connect(self._fit)
        self.freeze.toggled.connect(self._set_frozen)
        self.scrollbar.valueChanged.connect(self._scrolled)
        self.set_content(self._content())
        self._set_filter()

    def _content(self) -> QWidget:
        bar = QHBoxLayout()
        bar.setContentsMargins(6, 4, 6, 0)
        for text, widget in (
            ("Span", self.span), ("Scale", self.scale), ("Band", self.band),
            ("Notch", self.notch), ("Channels", self.page),
        ):  # fmt: skip
            label = QLabel(text)
            label.setObjectName("muted")
            bar.addWidget(label)
            bar.addWidget(widget)
        bar.addWidget(self.fit)
        bar.addWidget(self.freeze)
        bar.addWidget(self.trouble, 1)
        bar.addStretch()
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(bar)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.scrollbar)
        return content

    def refresh(self) -> None:
        """Scroll on; take over new markers and decisions."""
        if self.link.samples.generation != self._generation:
            self._begin()
        self._take_decisions()
        if self.link.status is not self._status:
            self._status = self.link.status
            self._take_markers()
            self._set_scroll_range()
        self.canvas.refresh()

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        super().use(theme)
        self._seq, self.canvas.decisions = -1, []
        self._status = None
        self.canvas.use(theme)

    def set_bads(self, bads: frozenset[str]) -> None:
        """Draw these channels in grey from now on."""
        self.view.bads = bads

    def move_by(self, seconds: float) -> None:
        """Show a moment before or after the one on screen; the newest follows the stream again."""
        info = self.view.info
        if info is None:
            return
        edge = self.view.edge + seconds * info.sfreq
        if edge >= self.link.samples.position - 0.1 * info.sfreq:
            self.freeze.setChecked(False)
            return
        earliest = self.link.samples.oldest + self.view.span_s * info.sfreq
        self._show_at(max(edge, earliest))

    def step_scale(self, step: int) -> None:
        """Take the next larger or smaller scale."""
        index = self.scale.currentIndex() + step
        self.scale.setCurrentIndex(max(0, min(self.scale.count() - 1, index)))

    # --- what is chosen ------------------------------------------------------------------------

    def _set_span(self) -> None:
        self.view.span_s = float(SPANS_S[self.span.currentIndex()])
        self.view.renew()

    def _set_scale(self) -> None:
        self.view.uv_per_lane = float(SCALES_UV[self.scale.currentIndex()])
        self.view.renew()

    def _set_filter(self) -> None:
        stages = (*BANDS[self.band.currentText()], *NOTCHES[self.notch.currentText()])
        info = self.view.info
        self.trouble.clear()
        if info is not None:
            try:
                for settings in stages:
                    settings.build().reset(info)
            except BciError as error:
                stages = ()
                self.trouble.setText(str(error).partition(";")[0])
        self.view.stages = stages
        self.view.renew()

    def _set_page(self) -> None:
        channels = self.page.currentData()
        if channels is not None:
            self.view.channels = channels
            self.view.renew()

    def _fit(self) -> None:
        if self.view.info is not None:
            self.scale.setCurrentIndex(SCALES_UV.index(round(self.view.fitting_scale())))

    def _set_frozen(self, frozen: bool) -> None:
        self.freeze.setText("Frozen" if frozen else "Freeze")
        if frozen:
            self.view.freeze()
        else:
            self.view.thaw()

    def _show_at(self, edge: float) -> None:
        with QSignalBlocker(self.freeze):
            self.freeze.setChecked(True)
        self.freeze.setText("Frozen")
        self.view.show_at(edge)
        self._set_scroll_range()

    def _scrolled(self, value: int) -> None:
        if value >= self.scrollbar.maximum():
            self.freeze.setChecked(False)
        else:
            self._show_at(float(value))

    def _set_scroll_range(self) -> None:
        info = self.view.info
        if info is None:
            return
        span = round(self.view.span_s * info.sfreq)
        first = min(self.link.samples.oldest + span, self.link.samples.position)
        with QSignalBlocker(self.scrollbar):
            self.scrollbar.setRange(first, self.link.samples.position)
            self.scrollbar.setPageStep(span)
            self.scrollbar.setSingleStep(max(1, span // 20))
            frozen = self.view.frozen
            self.scrollbar.setValue(round(self.view.edge) if frozen else self.scrollbar.maximum())

    # --- what comes ----------------------------------------------------------------------------

    def _begin(self) -> None:
        """Another stream: other channels, and nothing decided yet."""
        self._generation = self.link.samples.generation
        info = self.link.samples.info
        assert info is not None
        self.canvas.markers, self.canvas.decisions, self._seq = [], [], -1
        ohms = set(info.impedances.values())  # stand in the panel of signal quality
        everything = tuple(c for c in range(info.n_channels) if c not in ohms)
        with QSignalBlocker(self.page):
            self.page.clear()
            self.page.addItem(f"all {len(everything)}", everything)
            for size in (s for s in PAGES if s < len(everything)):
                for first in range(0, len(everything), size):
                    some = everything[first : first + size]
                    self.page.addItem(f"{some[0] + 1}–{some[-1] + 1}", some)
        self.view.channels = everything
        with QSignalBlocker(self.freeze):
            self.freeze.setChecked(False)
        self._set_filter()

    def _take_decisions(self) -> None:
        last = self.link.decisions.last_seq
        if last < self._seq:  # another session
            self._seq, self.canvas.decisions = -1, []
        if last == self._seq:
            return
        labels = self._labels()
        for decision in self.link.decisions.since(self._seq)[-N_DECISIONS:]:
            self.canvas.decisions.append(_note(decision, labels, self.theme))
        del self.canvas.decisions[:-N_DECISIONS]
        self._seq = last

    def _labels(self) -> list[str]:
        status = self.link.status
        return [] if status is None else list(status["decoder"]["labels"])

    def _take_markers(self) -> None:
        if self._status is None:
            return
        newest = self._status["markers"].get("newest", [])
        # of what a speller leaves for the report the name only, and not its JSON
        named = ((m["onset"], m["value"].partition(" {")[0]) for m in newest)
        notes = [Note(onset, name, self.theme.muted) for onset, name in named]
        self.canvas.markers = sorted(notes, key=lambda note: note.sample)


def _note(decision: dict[str, Any], labels: list[str], theme: Theme) -> Note:
    label = decision["label"]
    if label is None:
        reasons = ", ".join(decision["quality"]["reasons"]) or "not sure enough"
        return Note(decision["last"], f"– {reasons}", theme.muted, given=False)
    place = labels.index(label) if label in labels else 0
    return Note(decision["last"], label, theme.cycle[place % len(theme.cycle)])


def _choice(texts: list[str], chosen: str, tip: str) -> QComboBox:
    box = QComboBox()
    box.addItems(texts)
    box.setCurrentText(chosen)
    box.setToolTip(tip)
    box.setAccessibleName(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    return box


def _button(text: str, tip: str, shortcut: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setShortcut(shortcut)
    return button
