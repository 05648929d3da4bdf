"""The main window: pages in the middle, panels around them, one timer for all.

A session is an engine (a child process, or one that runs elsewhere) and a link to it.
The timer asks the page and the panels that can be seen to draw what is new; nothing
else draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QSettings, Qt, QTimer
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QTabWidget,
    QToolBar,
    QWidget,
)

from bci.clock import now
from bci.config import Config
from gui import theme as themes
from gui.docks import Dock
from gui.engine import EngineProcess
from gui.frames import FrameTimes
from gui.left_behind import LeftBehind, find
from gui.link import Answer, EngineLink
from gui.pages.calibration import CalibrationPage
from gui.pages.report import ReportPage
from gui.pages.speller import SpellerPage
from gui.pages.start import StartPage
from gui.pages.timing import TimingPage
from gui.panels import LIVE, Panels
from gui.status import Trouble, describe, trouble

__all__ = ["LIVE", "MainWindow"]


class MainWindow(QMainWindow):
    """The application's one window.

    Parameters
    ----------
    settings : QSettings
        Remembers theme, arrangement and last session.

    Attributes
    ----------
    link : EngineLink or None
    engine : EngineProcess or None
        The engine that this window has started; None where it is attached to another.
    frames : FrameTimes
        When the timer came.
    """

    def __init__(self, settings: QSettings) -> None:
        super().__init__()
        self.settings = settings
        self.theme = themes.theme(str(settings.value("theme", "light")))
        self.link: EngineLink | None = None
        self.engine: EngineProcess | None = None
        self.frames = FrameTimes()
        self._page_of: dict[str, QWidget] = {}
        self._opened_at = 0.0
        self._status_due = 0.0
        self._paused = False
        self._left: LeftBehind | None = None
        self._ending: EngineProcess | LeftBehind | None = None
        self._then: Callable[[], None] = _nothing
        self.setWindowTitle("Neuroloop")
        self.setDockNestingEnabled(True)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.pages = QStackedWidget()
        self.setCentralWidget(self.pages)
        self.start_page = StartPage(settings)
        self.start_page.start_requested.connect(self.start_session)
        self.start_page.attach_requested.connect(self.attach)
        self.start_page.return_requested.connect(self._return_to_left_behind)
        self.start_page.end_requested.connect(self._end_left_behind)
        self._tabs = QActionGroup(self)
        self._build_bars()
        self._build_menus()
        self.add_page(StartPage.title, self.start_page)
        self.add_page(LIVE, QWidget(), needs_session=True)
        self.calibration, self.speller = CalibrationPage(), SpellerPage()
        self.timing, self.report = TimingPage(), ReportPage()
        for page in (self.calibration, self.speller, self.timing):
            page.session_requested.connect(self._start_again_with)
            self.add_page(page.title, page, needs_session=True)
        self.add_page(ReportPage.title, self.report)
        self.calibration.spell_requested.connect(lambda: self.show_page(SpellerPage.title))
        self.calibration.watch_requested.connect(lambda: self.show_page(LIVE))
        # who agrees to the flicker of the calibration agrees to that of the speller
        self.calibration.consent.agreed.toggled.connect(self.speller.choices.consent.setChecked)
        self.resize(1366, 768)
        geometry = settings.value("geometry")
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)
        self.page = StartPage.title
        self.show_page(StartPage.title)
        self.use(self.theme)
        self._find_left_behind()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.refresh)
        rate = QGuiApplication.primaryScreen().refreshRate()
        self._timer.start(max(1, int(1000 / (rate if 30 <= rate <= 240 else 60))))

    # --- parts ---------------------------------------------------------------------------------

    def _build_bars(self) -> None:
        self.tool_bar = QToolBar("Session")
        self.tool_bar.setObjectName("session")
        self.tool_bar.setMovable(False)
        self.addToolBar(self.tool_bar)
        self._after_pages = self.tool_bar.addWidget(_stretch())
        self.pause = self.tool_bar.addAction("Pause", self._toggle_pause)
        self.pause.setToolTip("No decisions until resumed; recording goes on (Ctrl+P)")
        self.pause.setShortcut("Ctrl+P")
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note into the recording (Ctrl+N, Enter)")
        self.note.setMaximumWidth(260)
        self.note.returnPressed.connect(self._send_note)
        self.tool_bar.addWidget(self.note)
        self.stop = self.tool_bar.addAction("Stop session", self.stop_session)
        self.stop.setToolTip("Close the recording and show its report")
        for part in (self.pause, self.note, self.stop):
            part.setEnabled(False)

        self.banner = QFrame()
        self.banner.setObjectName("banner")
        self.banner_text = QLabel()
        self.banner_text.setWordWrap(True)
        self.banner_button = QPushButton("Start again")
        self.banner_button.clicked.connect(self._start_again)
        row = QHBoxLayout(self.banner)
        row.setContentsMargins(12, 6, 12, 6)
        row.addWidget(self.banner_text, 1)
        row.addWidget(self.banner_button)
        self.banner.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self._banner_bar = QToolBar("Trouble")
        self._banner_bar.setObjectName("trouble")
        self._banner_bar.setMovable(False)
        self._banner_bar.addWidget(self.banner)
        self.addToolBarBreak()
        self.addToolBar(self._banner_bar)
        self._banner_bar.hide()

        self._state = QLabel("No session")
        self._said = QLabel()
        self._said.setObjectName("error")
        self._frame_rate = QLabel()
        self._frame_rate.setObjectName("muted")
        self.statusBar().addWidget(self._state, 1)
        self.statusBar().addWidget(self._said, 1)
        self.statusBar().addPermanentWidget(self._frame_rate)

    def _build_menus(self) -> None:
        view = self.menuBar().addMenu("&View")
        self._panels = Panels(self, self.settings, view.addMenu("&Panels"))
        for name, text in (("light", "&Light"), ("dark", "&Dark")):
            action = view.addAction(text)
            action.triggered.connect(lambda _=False, name=name: self.use(themes.theme(name)))
        view.addAction("&Arrange panels anew", lambda: self._panels.arrange(self.page))
        session = self.menuBar().addMenu("&Session")
        session.addAction(self.pause)
        focus = session.addAction("&Note", self.note.setFocus)
        focus.setShortcut("Ctrl+N")
        session.addAction(self.stop)
        session.addSeparator()
        saves = session.addAction("&Save settings as …", self.start_page.save)
        saves.setShortcut("Ctrl+S")
        session.addSeparator()
        leave = session.addAction("&Quit", self.close)
        leave.setShortcut("Ctrl+Q")

    def add_page(self, title: str, page: QWidget, needs_session: bool = False) -> None:
        """Add a page to the middle, and its button.

        A page may have ``refresh(link)``, called while it is shown, ``use(theme)`` and
        ``close_down()``.
        """
        self._page_of[title] = page
        self.pages.addWidget(page)
        action = QAction(title, self)
        action.setCheckable(True)
        action.setData(needs_session)
        action.setEnabled(not needs_session)
        action.setShortcut(f"Alt+{self.pages.count()}")
        action.setToolTip(f"{title} (Alt+{self.pages.count()})")
        action.triggered.connect(lambda: self.show_page(title))
        self._tabs.addAction(action)
        self.tool_bar.insertAction(self._after_pages, action)

    @property
    def page_titles(self) -> list[str]:
        """Of all pages, in order."""
        return list(self._page_of)

    @property
    def docks(self) -> dict[str, Dock]:
        """The panels, by title; empty without a session."""
        return self._panels.docks

    def show_page(self, title: str) -> None:
        """Show a page, with the panels as they were when it was last shown."""
        self._panels.remember(self.page)
        self.page = title
        for action in self._tabs.actions():
            if action.text() == title:
                action.setChecked(True)
        self.pages.hide()  # beside the panels of another page it would widen the window
        self._panels.restore(title)
        self._show_trouble(self._trouble())
        self.pages.setCurrentWidget(self._page_of[title])
        self.pages.setVisible(title != LIVE)
        if title == LIVE:
            self._panels.focus()

    def use(self, theme: themes.Theme) -> None:
        """Take on the colours of `theme`."""
        self.theme = theme
        self.settings.setValue("theme", theme.name)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            themes.apply(application, theme)
        self._panels.use(theme)
        for page in self._page_of.values():
            take: Any = getattr(page, "use", None)
            if take is not None:
                take(theme)

    # --- sessions ------------------------------------------------------------------------------

    def start_session(self, config: Config) -> None:
        """Start an engine and watch it; after the session that runs, if there is one."""
        self._end_session(lambda: self._start(config))

    def _start(self, config: Config) -> None:
        engine = EngineProcess(config)
        engine.ended.connect(self._engine_ended)
        self.settings.setValue("running", str(engine.folder))
        self.settings.sync()  # for the start after a crash
        self._open(EngineLink(engine.url, engine.token), engine)
        self._tell_pages(engine.url, engine.token, config)
        self.start_page.set_running(True, config)
        engine.start()

    def _start_again_with(self, config: Config) -> None:
        """Start the session that a page asks for, and stay on it."""
        page = self.page

        def start() -> None:
            self._start(config)
            self.show_page(page)

        self.start_page.remember(config)
        self._end_session(start)

    def _tell_pages(self, url: str, token: str, config: Config | None) -> None:
        """Tell the pages that talk to the engine which one it is; empty: none."""
        for page in (self.calibration, self.speller, self.timing):
            page.set_session(url, token, config)

    def attach(self, url: str, token: str) -> None:
        """Watch an engine that runs already; it goes on when this window closes."""

        def watch() -> None:
            self._open(EngineLink(url, token or None), None)
            self._tell_pages(url, token, None)

        self._end_session(watch)

    def _find_left_behind(self) -> None:
        """Offer the session of an application that has died, if it is still running."""
        folder = self.settings.value("running")
        self._left = find(Path(str(folder))) if folder else None
        self.start_page.show_left_behind(self._left is not None)
        if self._left is None:
            self.settings.remove("running")

    def _return_to_left_behind(self) -> None:
        left = self._left
        if left is not None:
            self._open(EngineLink(left.url, left.token), None)
            self._tell_pages(left.url, left.token, left.config)
            self.stop.setText("Stop session")

    def _end_left_behind(self) -> None:
        left, self._left = self._left, None
        self.start_page.show_left_behind(False)
        self._wait_for_end(left, _nothing)

    def _open(self, link: EngineLink, engine: EngineProcess | None) -> None:
        self.link, self.engine = link, engine
        self._opened_at = now()
        self._panels.build(link, engine, self.theme)
        link.start()
        for action in self._tabs.actions():
            action.setEnabled(True)
        for part in (self.pause, self.note, self.stop):
            part.setEnabled(True)
        self.stop.setText("Stop session" if engine else "Detach")
        self.start_page.set_running(True)
        self.show_page(LIVE)

    def stop_session(self) -> None:
        """End the session; once its recording is closed, its report is next, or the start page."""
        own = self.engine is not None or self._left is not None
        status = self.link.status if own and self.link is not None else None
        record = (status or {}).get("recording")
        self._end_session(lambda: self._show_report(record))

    def _show_report(self, record: Mapping[str, Any] | None) -> None:
        if record is None:
            self.show_page(StartPage.title)
            return
        self.report.make(Path(record["path"]))
        self.show_page(ReportPage.title)

    def _end_session(self, then: Callable[[], None]) -> None:
        """Let go of link and engine; go on with `then` once the engine has closed its recording."""
        if self._ending is not None:  # the last that was asked for counts
            self._then = then
            return
        self._panels.remember(self.page)
        link, engine, self.link, self.engine = self.link, self.engine, None, None
        left = self._left if link is not None else None  # one that is only offered goes on
        self._tell_pages("", "", None)
        if link is not None:
            link.close()
        self._panels.close()
        if left is not None:
            self._left = None
            self.start_page.show_left_behind(False)
        if engine is not None:
            engine.ended.disconnect(self._engine_ended)
        for action in self._tabs.actions():
            action.setEnabled(not action.data())
        for part in (self.pause, self.note, self.stop):
            part.setEnabled(False)
        self._said.clear()
        self._wait_for_end(engine or left, then)

    def _wait_for_end(
        self, ending: EngineProcess | LeftBehind | None, then: Callable[[], None]
    ) -> None:
        """Ask an engine to end, and show that it does; the timer goes on with `then`."""
        if ending is not None:
            ending.stop()
            self.settings.remove("running")
        self._ending, self._then = ending, then
        if ending is None or not ending.running:
            self._ended()
            return
        self.start_page.set_running(True)
        self._state.setText("The recording is being closed …")
        self._show_trouble(self._trouble())

    def _ended(self) -> None:
        then, self._ending, self._then = self._then, None, _nothing
        self._show_trouble(None)
        self.start_page.set_running(False)
        self._state.setText("No session")
        then()

    def _engine_ended(self) -> None:
        """Back to the start page where it never ran, for what is wrong stands in the settings."""
        engine, link = self.engine, self.link
        if engine is None or link is None or link.status is not None:
            return
        error = engine.error or "the engine ended before it was ready"
        self.stop_session()
        self.start_page.show_error(error)

    def _start_again(self) -> None:
        if self.engine is not None and not self.engine.running:
            self._opened_at = now()
            self.engine.start()

    # --- control -------------------------------------------------------------------------------

    def _toggle_pause(self) -> None:
        if self.link is not None:
            action = "resume" if self._paused else "pause"
            self.link.post("/v1/control", {"action": action}, self._told)

    def _send_note(self) -> None:
        text = self.note.text().strip()
        if self.link is not None and text:
            self.link.post("/v1/markers", {"value": f"note/{text}"}, self._told)
            self.note.clear()

    def _told(self, answer: Answer) -> None:
        self._said.setText("" if answer.ok else answer.error)

    # --- the timer -----------------------------------------------------------------------------

    def refresh(self) -> None:
        """Draw what is new; called at the display's rate."""
        t = now()
        self.frames.tick(t)
        if self._ending is not None and not self._ending.running:
            self._ended()
        page: Any = self.pages.currentWidget()
        if self.pages.isVisible() and hasattr(page, "refresh"):
            page.refresh(self.link)
        if self.link is None:
            return
        self.link.poll()
        self._panels.refresh(t)
        if t >= self._status_due:
            self._status_due = t + 0.25
            self._show_status()

    def _show_status(self) -> None:
        link = self.link
        if link is None:
            return
        self._state.setText(describe(link))
        rate = self.frames.summary()
        self._frame_rate.setText("" if rate is None else f"{rate[0]:.0f} frames/s")
        self._panels.show_frames(rate)
        if link.status is not None:
            self._paused = bool(link.status["paused"])
            self.pause.setText("Resume" if self._paused else "Pause")
        self._show_trouble(self._trouble())

    def _trouble(self) -> Trouble | None:
        if self._ending is not None:
            return Trouble("The session ends: its recording is being closed …")
        return (
            None if self.link is None else trouble(self.link, self.engine, now() - self._opened_at)
        )

    def _show_trouble(self, found: Trouble | None) -> None:
        self._banner_bar.setVisible(found is not None)
        if found is not None:
            self.banner_text.setText(found.text)
            self.banner_button.setVisible(found.can_start)

    def _close_again(self) -> None:
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 (Qt's name)
        """Remember the arrangement; close once the engine has ended, its recording closed."""
        if self._ending is None:
            self._panels.remember(self.page)
            self.settings.setValue("geometry", self.saveGeometry())
            self._end_session(_nothing)
        if self._ending is not None:
            self._then = self._close_again
            event.ignore()
            return
        self._timer.stop()
        for page in self._page_of.values():
            down: Any = getattr(page, "close_down", None)
            if down is not None:
                down()
        super().closeEvent(event)


def _nothing() -> None:
    """What follows where nothing does."""


def _stretch() -> QWidget:
    widget = QWidget()
    widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return widget
