"""Timing check: how much later than its flip a picture is in the samples, and how constantly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bci.clock import now
from bci.config import Config
from bci.errors import SourceError
from bci.paradigms.flash_run import WHITE
from bci.paradigms.timing_check import TimingCheck, with_offset
from bci.types import FloatArray
from gui.link import EngineLink
from gui.pages.displays import DisplayBox
from gui.pages.speller_cards import Facts, card, describe_frames
from gui.pages.timing_meter import TimingMeter
from gui.stimulus.child import StimulusProcess
from gui.stimulus.settings import StimulusSettings

__all__ = ["TimingPage"]

#: How long the check takes, seconds.
CHECK_S = 120.0
#: Seconds between two looks at what came in so far.
LOOK_S = 1.0
#: A channel without light is told after so many seconds.
PATIENCE_S = 10.0
#: Status that is so old, seconds, still shows that there is one clock.
SAME_CLOCK_S = 0.5

_METHODS = {
    "Photodiode": (
        "Fix a photodiode to the middle of the screen and plug it into a spare channel. The patch "
        "turns white and black; edges in the channel are compared with the flips."
    ),
    "Loop-back cable": (
        "A box or cable puts each change of the screen into a trigger channel. As with a "
        "photodiode, but whatever the screen itself adds is not in it."
    ),
    "Software only": (
        "Without a sensor only the computer is checked: how regular the flips are, and whether "
        "the engine's clock is this one. The delay of screen and amplifier stays unknown, and no "
        "offset is set."
    ),
}


class TimingPage(QWidget):
    """Measure, see what it means, and take it over into the session."""

    title = "Timing"

    #: Start the session again with this configuration, whose markers are shifted.
    session_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.process = StimulusProcess(self)
        self.process.said.connect(self._hear)
        self.process.ended.connect(self._end)
        self._url, self._token = "", ""
        self._config: Config | None = None
        self._link: EngineLink | None = None
        self._live = False
        self.result: TimingCheck | None = None
        self.meter = TimingMeter()
        self._looked = 0.0
        self._ready: dict[str, Any] | None = None
        self.method, self.channel, self.display = QComboBox(), QComboBox(), DisplayBox()
        self.go, self.take_over = QPushButton("Start"), QPushButton("Use this offset")
        self.about, self.error, self.verdict = QLabel(), QLabel(), QLabel()
        self.progress = QProgressBar()
        self.facts = Facts("Offset", "Jitter", "To white", "To black", "Flips seen", "Clock")
        self.frames = Facts("Refresh", "Timing", "Frames", "To mend")
        self.plot = pg.PlotWidget()
        self._bars = pg.BarGraphItem(x=[0.0], height=[0.0], width=1.0)
        self._lay_out()
        self._enable()

    # --- layout ----------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        heading = QLabel("Timing check")
        for label, name in (
            (heading, "title"), (self.error, "error"), (self.about, "muted"),
            (self.verdict, "heading"), (self.go, "primary"),
        ):  # fmt: skip
            label.setObjectName(name)
        for wrapped in (self.about, self.error, self.verdict):
            wrapped.setWordWrap(True)
        self.about.setMinimumHeight(40)
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.method.addItems(list(_METHODS))
        self.method.currentTextChanged.connect(self._describe)
        self.channel.setAccessibleName("Channel of the sensor")
        self.channel.setMinimumContentsLength(8)
        self.progress.setRange(0, round(CHECK_S))
        self.progress.setFormat("%v of %m s")
        self.go.clicked.connect(self._toggle)
        self.go.setShortcut("Ctrl+Return")
        self.take_over.clicked.connect(self._use)
        self._describe(self.method.currentText())
        row = QHBoxLayout()
        for widget, stretch in (
            (self.method, 0), (self.channel, 0), (self.display, 0), (self.progress, 1),
            (self.go, 0),
        ):  # fmt: skip
            row.addWidget(widget, stretch)
        self.plot.setBackground(None)
        self.plot.addItem(self._bars)
        self.plot.setMouseEnabled(False, False)
        self.plot.hideButtons()
        self.plot.setLabel("bottom", "from the flip to its edge in the samples, ms")
        self.plot.setLabel("left", "flips")
        for side in ("bottom", "left"):
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        self.plot.setRange(xRange=(0.0, 100.0), yRange=(0.0, 10.5), padding=0.0)
        self._colour()
        grid = QGridLayout()
        grid.setSpacing(12)
        grid.addWidget(card("Differences", self.plot), 0, 0, 2, 1)
        grid.addWidget(card("Samples", self.facts), 0, 1)
        grid.addWidget(card("Screen", self.frames), 1, 1)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        bottom = QHBoxLayout()
        bottom.addWidget(self.verdict, 1)
        bottom.addWidget(self.take_over)
        page = QVBoxLayout(self)
        page.setContentsMargins(24, 16, 24, 16)
        page.setSpacing(12)
        page.addWidget(heading)
        page.addLayout(row)
        page.addWidget(self.about)
        page.addWidget(self.error)
        page.addLayout(grid, 1)
        page.addLayout(bottom)

    def _colour(self) -> None:
        palette = self.palette()
        for side in ("bottom", "left"):
            self.plot.getAxis(side).setPen(palette.color(QPalette.ColorRole.WindowText))
            self.plot.getAxis(side).setTextPen(palette.color(QPalette.ColorRole.WindowText))
        self._bars.setOpts(brush=palette.color(QPalette.ColorRole.Highlight), pen=None)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Qt's; the plot takes on the colours of another theme."""
        if event.type() == QEvent.Type.PaletteChange:
            self._colour()

    def _describe(self, method: str) -> None:
        self.about.setText(_METHODS[method])
        self.channel.setVisible(method != "Software only")

    # --- the engine ------------------------------------------------------------------------------

    def set_session(self, url: str, token: str, config: Config | None) -> None:
        """Check the timing of this engine; `config` is None where only its address is known."""
        self.process.stop()
        self._url, self._token, self._config = url, token, config
        self.channel.clear()
        self._enable()

    def refresh(self, link: EngineLink | None) -> None:
        """Take in what the engine says, and look at the samples once a second."""
        live = link is not None and link.state == "live"
        self._link = link
        if live != self._live:
            self._live = live
            self._enable()
        if link is None or not live:
            return
        if self.channel.count() == 0 and link.samples.info is not None:
            info = link.samples.info
            self.channel.addItems(list(info.ch_names))
            extra = [i for i, kind in enumerate(info.ch_types) if kind in ("stim", "misc")]
            self.channel.setCurrentIndex(extra[0] if extra else len(info.ch_names) - 1)
            self._enable()
        self.meter.follow(link.status or {})
        if self.process.running and now() - self._looked >= LOOK_S:
            self._looked = now()
            self.look()

    def look(self) -> None:
        """Judge what came in so far."""
        values = {"Clock": _told_clock(self.meter.clock_off_s)}
        if self.method.currentText() != "Software only" and self._link is not None:
            try:
                self.result = self.meter.compare(self._link.samples, self.channel.currentText())
            except SourceError as error:
                self.error.setText(str(error) if self.meter.seconds > PATIENCE_S else "")
            else:
                self.error.clear()
                values |= _told(self.result)
                self.verdict.setText(self.result.verdict)
                self._draw(self.result.differences)
        self.facts.show_values(values)
        self._enable()

    def _draw(self, differences: FloatArray) -> None:
        ms = 1e3 * differences
        counts, walls = np.histogram(ms, bins=min(24, max(6, len(ms) // 8)))
        middles = 0.5 * (walls[:-1] + walls[1:])
        self.plot.enableAutoRange()
        self._bars.setOpts(x=middles, height=counts, width=0.9 * np.diff(walls))

    # --- what the person asks for ----------------------------------------------------------------

    def _toggle(self) -> None:
        if self.process.running:
            self.process.stop()
        else:
            self.start()

    def start(self) -> None:
        """Flip the patch for two minutes."""
        self.error.clear()
        self.verdict.clear()
        self.result, self.meter = None, TimingMeter()
        self._ready = None
        self.facts.show_values({})
        self.process.start(
            StimulusSettings(
                url=self._url, token=self._token or None, mode="timing", seconds=CHECK_S,
                **self.display.where(),
            )
        )  # fmt: skip
        self.process.send("start")
        self._enable()

    def _use(self) -> None:
        if self.result is None or self._config is None:
            return
        result, link = self.result, self._link
        if link is not None:  # with the recording of the check itself
            text = (
                f"timing check: offset {1e3 * result.offset_s:.2f} ms, jitter "
                f"{1e3 * result.jitter_s:.2f} ms, {self.method.currentText().lower()} on "
                f"{self.channel.currentText()}, {result.n_seen} of {result.n_flips} flips"
            )
            link.post("/v1/markers", {"value": text})
        self.session_requested.emit(with_offset(self._config, result))

    def close_down(self) -> None:
        """The application ends."""
        self.process.stop()

    # --- what the process says -------------------------------------------------------------------

    def _hear(self, line: dict[str, Any]) -> None:
        match line["say"]:
            case "flip":
                self.meter.flips.append((line["t"], line["value"] == WHITE))
                self.progress.setValue(min(round(self.meter.seconds), self.progress.maximum()))
            case "ready":
                self._ready = line
                self.frames.show_values(describe_frames(line, None))
            case "frames" if self._ready is not None:
                self.frames.show_values(describe_frames(self._ready, line))
            case "over":
                self.progress.setValue(self.progress.maximum())
                self.process.send("stop")
            case "trouble":
                self.error.setText(line["why"])

    def _end(self, code: int) -> None:
        if code and not self.error.text():
            self.error.setText(f"the flicker's process ended ({code}): {self.process.trouble}")
        if self._live:
            self.look()
        self._enable()

    def _enable(self) -> None:
        running = self.process.running
        for choice in (self.method, self.channel, self.display):
            choice.setEnabled(not running)
        self.go.setText("Stop" if running else "Start")
        self.go.setShortcut("Ctrl+Return")  # a new text takes the old shortcut away
        self.go.setEnabled(running or (self._live and bool(self._url)))
        self.take_over.setEnabled(
            not running and self.result is not None and self._config is not None
        )


def _told(result: TimingCheck) -> dict[str, str]:
    return {
        "Offset": f"{1e3 * result.offset_s:.1f} ms later than the flip",
        "Jitter": f"{1e3 * result.jitter_s:.2f} ms (standard deviation)",
        "To white": f"{1e3 * result.rise_s:.1f} ms",
        "To black": f"{1e3 * result.fall_s:.1f} ms",
        "Flips seen": f"{result.n_seen} of {result.n_flips}",
    }


def _told_clock(off_s: float) -> str:
    if not math.isfinite(off_s):
        return ""
    if off_s < SAME_CLOCK_S:
        return "the engine's clock is this computer's"
    return f"the engine's clock is {off_s:.1f} s off: it must run on this computer"
