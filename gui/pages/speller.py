"""The speller: starts the flicker's process, tells it what to do, shows what comes of it."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from bci.calibration.preparation import led_by_client
from bci.config import Config
from gui.link import EngineLink
from gui.pages.speller_cards import (
    Facts,
    SelectionTable,
    card,
    describe_frames,
    describe_score,
)
from gui.pages.speller_choices import SpellerChoices
from gui.speech import Speaker
from gui.stimulus.child import StimulusProcess
from gui.stimulus.settings import StimulusSettings

__all__ = ["SpellerPage"]

_ACTIVE = ("cue", "flicker", "waiting", "feedback", "rest")


class SpellerPage(QWidget):
    """Copy a phrase, or write freely.

    The flicker runs in a process of its own and talks to the engine itself: this
    page may hang without costing a selection.
    """

    title = "Speller"

    #: The flicker's process was started, or has ended.
    running_changed = Signal(bool)
    #: Start the session again with this configuration, and stay on this page.
    session_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.process = StimulusProcess(self)
        self.process.said.connect(self._hear)
        self.process.ended.connect(self._end)
        self._url, self._token = "", ""
        self._config: Config | None = None
        self._live = False
        self._starts = False  # as soon as the session that was asked for is there
        self._phase = ""
        self._ready: dict[str, Any] | None = None
        self._speaker = Speaker()
        self.choices = SpellerChoices()
        self.go, self.pause, self.close_it = QPushButton(), QPushButton("Pause"), QPushButton("End")
        self.undo, self.clear, self.speak = (QPushButton(t) for t in ("Undo", "Clear", "Speak"))
        self.heading, self.state = QLabel(self.title), QLabel()
        self.text, self.wanted = QLabel(), QLabel()
        self.error = QLabel()
        self.selections = SelectionTable()
        self.score = Facts("Selections", "Accuracy", "ITR", "Speed")
        self.frames = Facts("Refresh", "Timing", "Frames", "To mend")
        self._lay_out()
        self._connect()
        self._enable()

    # --- layout ----------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.heading.setObjectName("title")
        self.go.setObjectName("primary")
        self.error.setObjectName("error")
        self.error.setWordWrap(True)
        self.error.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.state.setObjectName("muted")
        self.wanted.setObjectName("muted")
        self.wanted.setStyleSheet("font-size: 22px")
        self.text.setStyleSheet("font-size: 34px; font-weight: 600")
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setWordWrap(True)
        self.text.setMinimumHeight(48)
        page = QVBoxLayout(self)
        page.setContentsMargins(24, 16, 24, 16)
        page.setSpacing(12)
        top = QHBoxLayout()
        top.addWidget(self.heading)
        top.addWidget(self.state, 1, Qt.AlignmentFlag.AlignRight)
        page.addLayout(top)
        page.addWidget(self.choices)
        page.addLayout(self._deeds())
        page.addWidget(self.error)
        written = QWidget()
        column = QVBoxLayout(written)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.wanted)
        column.addWidget(self.text, 1)
        page.addWidget(card("Text", written))
        grid = QGridLayout()
        grid.setSpacing(12)
        grid.addWidget(card("Selections, the newest on top", self.selections), 0, 0, 2, 1)
        grid.addWidget(card("Score", self.score), 0, 1)
        grid.addWidget(card("Screen", self.frames), 1, 1)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        page.addLayout(grid, 1)

    def _deeds(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for button in (self.go, self.pause, self.undo, self.clear, self.speak):
            row.addWidget(button)
        row.addStretch()
        row.addWidget(self.close_it)
        return row

    def _connect(self) -> None:
        for button, deed, keys in (
            (self.go, self.start, "Ctrl+Return"),
            (self.pause, lambda: self.process.send("pause"), "Ctrl+Shift+P"),
            (self.undo, lambda: self.process.send("undo"), "Ctrl+Z"),
            (self.clear, lambda: self.process.send("clear"), "Ctrl+Backspace"),
            (self.speak, self._speak, "Ctrl+Shift+S"),
            (self.close_it, self.end, "Ctrl+E"),
        ):
            button.clicked.connect(deed)
            button.setShortcut(keys)
            button.setToolTip(keys)
        blank = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        blank.activated.connect(lambda: self.process.send("blank"))
        if self._speaker.reason:
            self.speak.setToolTip(self._speaker.reason)

    # --- the engine ------------------------------------------------------------------------------

    def set_session(self, url: str, token: str, config: Config | None) -> None:
        """Spell with this engine; `config` is None where only its address is known."""
        self.end()
        self._url, self._token, self._config = url, token, config
        self.choices.suggest(config)
        simulated = config is not None and config.source.kind == "simulated"
        self.heading.setText(f"{self.title}: simulated subject" if simulated else self.title)
        self._enable()

    def refresh(self, link: EngineLink | None) -> None:
        """Look whether there is an engine to spell with."""
        live = link is not None and link.state == "live"
        if live != self._live:
            self._live = live
            self._enable()
        if live and self._starts:
            self._starts = False
            self.start()

    def settings(self) -> StimulusSettings:
        """What the flicker's process is told.

        Raises
        ------
        ValueError
            Something is missing; the message says what.
        """
        if not self._url:
            raise ValueError("there is no session: start one on the start page")
        return self.choices.settings(self._url, self._token, self._config)

    # --- what the person asks for ----------------------------------------------------------------

    def start(self) -> None:
        """Open the flicker's window and start, or go on after a pause."""
        self.error.clear()
        if self._phase == "over":
            self.end()
        if not self.process.running:
            try:
                settings = self.settings()
            except ValueError as error:
                self.error.setText(str(error))
                return
            if self._config is not None and (led := led_by_client(self._config)) != self._config:
                self._starts = True
                self.session_requested.emit(led)
                return
            self.selections.setRowCount(0)
            self.score.show_values({})
            self.text.clear()
            self.wanted.setText(settings.phrase.upper() if settings.mode == "copy" else "")
            self._ready, self._phase = None, "measuring"
            self.process.start(settings)
            self.running_changed.emit(True)
        self.process.send("start")
        self._enable()

    def end(self) -> None:
        """Close the flicker's window."""
        self.process.stop()

    def close_down(self) -> None:
        """The application ends."""
        self.end()

    def _speak(self) -> None:
        self._speaker.speak(self.text.text())

    # --- what the process says -------------------------------------------------------------------

    def _hear(self, line: dict[str, Any]) -> None:
        match line["say"]:
            case "ready":
                self._ready = line
                self.frames.show_values(describe_frames(line, None))
            case "state":
                if self._ready is not None or line["phase"] == "over":
                    self._phase = line["phase"]
                self.text.setText(line["text"])
                self.state.setText(line["note"] or _SAID.get(self._phase, self._phase))
            case "selection":
                self.selections.add(line)
                if line["action"] == "speak":
                    self._speak()
            case "score":
                self.score.show_values(describe_score(line))
            case "frames" if self._ready is not None:
                self.frames.show_values(describe_frames(self._ready, line))
            case "refused":
                self._phase = "ready"
                self.error.setText("not started: " + "; ".join(line["why"]))
            case "trouble":
                self.error.setText(line["why"])
        self._enable()

    def _end(self, code: int) -> None:
        self._phase = ""
        if code and not self.error.text():
            self.error.setText(f"the flicker's process ended ({code}): {self.process.trouble}")
        self.running_changed.emit(False)
        self._enable()

    def _enable(self) -> None:
        running, active = self.process.running, self._phase in _ACTIVE
        over = self._phase == "over"
        self.choices.setEnabled(not running or over)
        self.go.setText("Go on" if running and self._phase in ("break", "paused") else "Start")
        self.go.setShortcut("Ctrl+Return")  # a new text takes the old shortcut away
        waits = running and self._phase in ("ready", "break", "paused", "over")
        self.go.setEnabled(waits or (not running and self._live))
        self.go.setToolTip("Ctrl+Return" if self._live else "there is no engine to spell with")
        self.pause.setEnabled(active)
        edits = running and not over and self._phase != "measuring"
        self.undo.setEnabled(edits and bool(self.text.text()))
        self.clear.setEnabled(edits and bool(self.text.text()))
        self.speak.setEnabled(not self._speaker.reason and bool(self.text.text()))
        self.close_it.setEnabled(running)
        if not running:
            self.state.setText("" if self._live else "no engine: start a session")


_SAID = {
    "measuring": "measuring the screen …",
    "cue": "look at the key",
    "flicker": "flickering",
    "waiting": "waiting for the decision",
    "feedback": "selected",
    "rest": "",
}
