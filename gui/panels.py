"""The panels around the pages: built for a session, arranged, remembered, and drawn in turn."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QSettings, Qt
from PySide6.QtWidgets import QMainWindow, QMenu

from gui.docks import Dock
from gui.docks.decoder import DecoderDock
from gui.docks.latency import LatencyDock
from gui.docks.log import LogDock
from gui.docks.quality import QualityDock
from gui.docks.spectrogram import SpectrogramDock
from gui.docks.spectrum import SpectrumDock
from gui.docks.topomap import TopomapDock
from gui.docks.traces import TracesDock
from gui.engine import EngineProcess
from gui.link import EngineLink
from gui.theme import Theme

__all__ = ["DOCKS", "LIVE", "Panels"]

#: Every panel, in the order of the menu.
DOCKS: tuple[type[Dock], ...] = (
    TracesDock,
    DecoderDock,
    QualityDock,
    SpectrumDock,
    SpectrogramDock,
    TopomapDock,
    LatencyDock,
    LogDock,
)
#: Page on which the panels have the whole window.
LIVE = "Live"
#: Version of the panels' arrangement; another one does not fit what was remembered.
ARRANGEMENT = 1


class Panels:
    """All panels of a window.

    Parameters
    ----------
    window : QMainWindow
    settings : QSettings
        Remembers an arrangement for each page.
    menu : QMenu
        Shows and hides each of them.

    Attributes
    ----------
    docks : dict of str to Dock
        By title; empty without a session.
    """

    def __init__(self, window: QMainWindow, settings: QSettings, menu: QMenu) -> None:
        self._window, self._settings, self._menu = window, settings, menu
        self.docks: dict[str, Dock] = {}
        self._due: dict[str, float] = {}
        self._arranged = False

    def build(self, link: EngineLink, engine: EngineProcess | None, theme: Theme) -> None:
        """Build them for a session."""
        self.docks = {cls.title: cls(link, theme) for cls in DOCKS}
        self._due = dict.fromkeys(self.docks, 0.0)
        self._arranged = False  # new panels say nothing of how the old ones were arranged
        self._menu.clear()
        for dock in self.docks.values():
            self._window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
            self._menu.addAction(dock.toggleViewAction())
        quality, log = self.docks[QualityDock.title], self.docks[LogDock.title]
        for dock in self.docks.values():
            if isinstance(quality, QualityDock) and isinstance(dock, (TracesDock, TopomapDock)):
                quality.bads_changed.connect(dock.set_bads)
        if isinstance(log, LogDock):
            log.engine = engine

    def close(self) -> None:
        """Let go of them."""
        for dock in self.docks.values():
            dock.close_down()
            self._window.removeDockWidget(dock)
            dock.setParent(None)  # or restoring finds it in place of the new one of its name
            dock.deleteLater()
        self.docks = {}

    def use(self, theme: Theme) -> None:
        """Take on the colours of `theme`."""
        for dock in self.docks.values():
            dock.use(theme)

    def focus(self) -> None:
        """Give the keys to the traces, or the first of them goes into the note."""
        traces = self.docks.get(TracesDock.title)
        if isinstance(traces, TracesDock):
            traces.canvas.setFocus()

    # --- arrangement ---------------------------------------------------------------------------

    def arrange(self, page: str) -> None:
        """Put every panel where it is at first."""
        d, window = self.docks, self._window
        if not d:
            return
        for dock in d.values():
            window.removeDockWidget(dock)
        left, right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.Orientation.Horizontal
        down = Qt.Orientation.Vertical
        traces, decoder, spectrum = (d[n] for n in ("Traces", "Decoder", "Spectrum"))
        window.addDockWidget(left, traces)
        window.splitDockWidget(traces, decoder, right)
        window.splitDockWidget(decoder, spectrum, down)
        for title in ("Signal quality", "Latency and drops"):
            window.tabifyDockWidget(decoder, d[title])
        for title in ("Spectrogram", "Topomap", "Log"):
            window.tabifyDockWidget(spectrum, d[title])
        for dock in d.values():
            dock.setVisible(page == LIVE)
        decoder.raise_()
        spectrum.raise_()
        width = max(900, window.width())
        side = min(460, width * 35 // 100)
        window.resizeDocks([traces, decoder], [width - side, side], right)
        window.resizeDocks([decoder, spectrum], [55, 45], down)

    def remember(self, page: str) -> None:
        """Keep the arrangement as that of a page."""
        if self.docks and self._arranged:
            self._settings.setValue(f"arrangement/{page}", self._window.saveState(ARRANGEMENT))

    def restore(self, page: str) -> None:
        """As it was on this page; at first all panels on the live page, none on the others."""
        if not self.docks:
            return
        state = self._settings.value(f"arrangement/{page}")
        restored = isinstance(state, QByteArray) and self._window.restoreState(state, ARRANGEMENT)
        if not restored:
            self.arrange(page)
        self._arranged = True

    # --- drawing -------------------------------------------------------------------------------

    def refresh(self, t: float) -> None:
        """Those of each frame, and of the slower ones the one that has waited longest."""
        waiting: list[tuple[float, str]] = []
        for title, dock in self.docks.items():
            seen = dock.isVisible() and not dock.visibleRegion().isEmpty()
            if dock.period_s == 0.0:
                if seen:
                    dock.refresh()
            elif t >= self._due[title] and (seen or isinstance(dock, QualityDock)):
                waiting.append((self._due[title], title))
        if waiting:
            title = min(waiting)[1]
            self.docks[title].refresh()
            self._due[title] = t + self.docks[title].period_s

    def show_frames(self, rate: tuple[float, float] | None) -> None:
        """Tell the panel of latencies how quickly this window draws."""
        latency = self.docks.get(LatencyDock.title)
        if isinstance(latency, LatencyDock):
            latency.frames = rate
