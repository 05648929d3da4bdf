"""The calibration: signal, consent, screen, blocks, choice, one after the other."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from bci.calibration.guide import CalibrationGuide, Step
from bci.calibration.looks import FEWEST_BLOCKS, own_looks
from bci.calibration.preparation import frequencies_of, planned, prepared, with_cues
from bci.clock import now
from bci.config import Config, GrazSettings
from bci.errors import BciError
from bci.paradigms.planner import Plan
from gui.docks.quality import judged
from gui.link import Answer, EngineLink
from gui.pages.calibration_cards import (
    BlocksCard,
    ChoiceCard,
    ConsentCard,
    QualityCard,
)
from gui.pages.calibration_training import Training, model_folder
from gui.pages.plan_card import PlanCard
from gui.pages.speller_cards import card
from gui.pages.speller_choices import SpellerChoices
from gui.stimulus.child import StimulusProcess
from gui.stimulus.settings import Mode, StimulusSettings

__all__ = ["CalibrationPage"]

_TITLES = {
    Step.QUALITY: "Signal",
    Step.CONSENT: "Consent",
    Step.PLAN: "Screen and targets",
    Step.BLOCKS: "Blocks",
    Step.CHOICE: "Decoder",
}
#: Seconds between two looks at the channels.
QUALITY_S = 1.0


class CalibrationPage(QWidget):
    """Leads through a calibration; see `bci.calibration.guide` for its rules."""

    title = "Calibration"

    #: Spell now, with the decoder that decides.
    spell_requested = Signal()
    #: Watch what is decided.
    watch_requested = Signal()
    #: Start this session instead (`bci.config.Config`): it has what calibration takes.
    session_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.process = StimulusProcess(self)
        self.process.said.connect(self._hear)
        self.process.ended.connect(self._end)
        self.guide = CalibrationGuide(())
        self.choices = SpellerChoices()
        self.quality, self.consent = QualityCard(), ConsentCard()
        self.plan = PlanCard(self.choices.display)
        self.blocks, self.choice = BlocksCard(), ChoiceCard()
        self._cards = {
            Step.QUALITY: self.quality, Step.CONSENT: self.consent, Step.PLAN: self.plan,
            Step.BLOCKS: self.blocks, Step.CHOICE: self.choice,
        }  # fmt: skip
        self._url, self._token = "", ""
        self._config: Config | None = None
        self._replanned: Config | None = None  # asked for by the plan that was chosen
        self._prepared: Config | None = None  # what calibration takes; None: it cannot be had
        self._link: EngineLink | None = None
        self._quality_due = 0.0
        self._phase, self._mode = "", ""
        self._n_trials = 0
        self.training = Training({})
        self._assessment: dict[str, Any] | None = None
        self.heading, self.path = QLabel(self.title), QLabel()
        self.error, self.against = QLabel(), QLabel()
        self.stack = QStackedWidget()
        self.back, self.further = QPushButton("Back"), QPushButton("Next")
        self.anyway = QPushButton("Go on all the same")
        self.without = QPushButton("Start now without calibration")
        self.again = QPushButton("Measure again")
        self.go, self.pause = QPushButton("Start"), QPushButton("Pause")
        self._lay_out()
        self._show()

    # --- layout ----------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.heading.setObjectName("title")
        self.error.setObjectName("error")
        for label in (self.error, self.against):
            label.setWordWrap(True)
        self.further.setObjectName("primary")
        self.go.setObjectName("primary")
        self.without.setToolTip(
            "FBCCA needs none; better decoders take over while you spell, once they are earned"
        )
        for step, content in self._cards.items():
            self.stack.addWidget(card(_TITLES[step], content))
        for button, deed, keys in (
            (self.further, self.go_on, "Ctrl+Return"),
            (self.back, self.go_back, "Alt+Left"),
            (self.anyway, self._overrule, "Ctrl+Shift+Return"),
            (self.without, self._start_without, "Ctrl+W"),
            (self.again, self._measure, "Ctrl+M"),
            (self.go, self.start, "Ctrl+B"),
            (self.pause, lambda: self.process.send("pause"), "Ctrl+P"),
        ):
            button.clicked.connect(deed)
            button.setShortcut(keys)
            button.setToolTip(f"{button.toolTip()} ({keys})".strip())
        blank = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        blank.activated.connect(lambda: self.process.send("blank"))
        self.consent.agreed.toggled.connect(self._consent)
        self.plan.taken.connect(self._replan)
        self.choices.display.currentIndexChanged.connect(self._measure)
        self.blocks.cue_here.clicked.connect(self._cue_here)
        top, bottom, page = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        top.addWidget(self.heading)
        top.addWidget(self.path, 1, Qt.AlignmentFlag.AlignRight)
        for button in (self.back, self.again, self.go, self.pause):
            bottom.addWidget(button)
        bottom.addWidget(self.against, 1)
        for button in (self.without, self.anyway, self.further):
            bottom.addWidget(button)
        page.setContentsMargins(24, 16, 24, 16)
        page.setSpacing(12)
        page.addLayout(top)
        page.addWidget(self.stack, 1)
        page.addWidget(self.error)
        page.addLayout(bottom)

    # --- the engine ------------------------------------------------------------------------------

    def set_session(self, url: str, token: str, config: Config | None) -> None:
        """Calibrate in this session; `config` is None where only its address is known."""
        self.process.stop()
        self._url, self._token, self._config = url, token, config
        if self._replanned is not None and not url:
            self._show()
            return  # between the session and the one that follows with another plan
        self.choices.suggest(config)
        decoder = None if config is None else config.decoder
        hz = [] if decoder is None else list(frequencies_of(decoder).values())
        goes_on = config is not None and config is self._replanned
        if goes_on:
            self.guide.replan(hz)
        else:
            runs = None if config is None else config.paradigm
            n_needed = FEWEST_BLOCKS if runs is None else runs.calibration_runs
            self.guide, self._replanned = CalibrationGuide(hz, n_needed), None
            self.consent.agreed.setChecked(False)
        self._n_trials = 0
        self._assessment = None
        self._phase = ""
        self.training = Training({} if config is None else config.labels)
        self.blocks.show_assessment(None)
        self.blocks.progress.setValue(0)
        self.error.setText(self._prepare() if url else "")
        if goes_on:
            self._measure()
        self._show()

    def _prepare(self) -> str:
        """Find what calibration takes; say why this session cannot be calibrated, if it cannot."""
        self._prepared = None
        if self._config is None:
            return "an engine that runs elsewhere is calibrated where it was started"
        try:
            self._prepared = prepared(self._config)
        except BciError as error:
            return str(error)
        return ""

    @property
    def _lacks(self) -> bool:
        """Whether recording, cues or ladder are missing, so that another session is needed."""
        return self._prepared is not None and self._prepared != self._config

    def refresh(self, link: EngineLink | None) -> None:
        """Look at the channels and at what the engine compares."""
        self._link = link
        if link is None or link.state != "live":
            return
        if self.guide.step is Step.QUALITY and now() >= self._quality_due:
            self._quality_due = now() + QUALITY_S
            if found := judged(link, self.quality.line_hz):
                self.guide.see_quality(found)
                self.quality.show_quality(found)
                self._show()
        self._look_at_ladder((link.status or {}).get("ladder"), link)
        self._look_at_training(link, self.training)
        self._look_at_runs(link.status or {})

    @property
    def _flickers(self) -> bool:
        return bool(self.guide.frequencies_hz)

    @property
    def _graz(self) -> GrazSettings | None:
        """The timetable of cues, where this application shows one."""
        return None if self._config is None or self._flickers else self._config.paradigm

    def _look_at_training(self, link: EngineLink, training: Training) -> None:
        """Count the cues; show what came of the training."""
        if training.state == "collecting":
            self.guide.see_block(training.count(link))
            self.blocks.state.setText(f"Cued so far: {training}")
            self._show()
        elif training.state == "failed":
            self.error.setText(training.error)
        elif training.state == "trained" and link.status and link.status["decoder"]["labels"]:
            self.choice.show_trained(model_folder(link.status))

    def _look_at_runs(self, status: dict[str, Any]) -> None:
        """Show how far a session with a timetable is, and the decoder that it has trained."""
        runs = status.get("paradigm")
        if runs is None:
            return
        if runs["error"]:
            self.error.setText(f"without feedback: {runs['error']}")
        self.blocks.comparing.setText("Training on what was recorded …" * runs["training"])
        if runs["ready"] and status["decoder"]["labels"] and self.guide.step is Step.CHOICE:
            self.choice.show_trained(model_folder(status))

    def _look_at_ladder(self, ladder: dict[str, Any] | None, link: EngineLink) -> None:
        if ladder is None:
            return
        comparing = ladder["state"] == "comparing"
        if ladder["last"] != self._assessment:
            self._assessment = ladder["last"]
            self.blocks.show_assessment(self._assessment)
        self.blocks.comparing.setText("Comparing decoders on what was recorded …" * comparing)
        if self.guide.step is Step.CHOICE and self._flickers:
            self.choice.show_ladder(link.status or {}, self._assessment, comparing)

    # --- steps -----------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Take the next step, where nothing stands against it; after the last: spell."""
        self.error.clear()
        if self.guide.is_last:
            (self.spell_requested if self._flickers else self.watch_requested).emit()
            return
        if self._lacks:
            self.session_requested.emit(self._prepared)
            return
        if self._prepared is None:
            self.error.setText(self._prepare())
            return
        left = self.guide.step
        if not self.guide.go_on():
            self._show()
            return
        if left is Step.CONSENT or (left is Step.PLAN and self._replanned is not None):
            # into the recording of this session, though it was given in the one before
            self._note("photosensitivity: told, no history known, agreed")
        if left is Step.BLOCKS:
            self.process.stop()
            if self._graz is not None:
                self.choice.reason.setText("Training on what was recorded …")
            elif not self._flickers and self._link is not None:
                self.choice.reason.setText("Training on what was recorded …")
                self.training.finish(self._link)
        if self.guide.step is Step.PLAN:
            self._measure()
        self._show()

    def go_back(self) -> None:
        """Take the step before."""
        self.process.stop()
        self.guide.go_back()
        self._show()

    def _overrule(self) -> None:
        names = ", ".join(f"{q.name} ({', '.join(q.reasons)})" for q in self.guide.bads)
        self.guide.overruled = True
        self._note(f"calibration goes on although channels are bad: {names}"[:900])
        self.go_on()

    def _start_without(self) -> None:
        self.process.stop()
        self.spell_requested.emit()

    def _consent(self, agreed: bool) -> None:
        self.guide.agreed = agreed
        self.choices.consent.setChecked(agreed)
        self._show()

    def _note(self, text: str) -> None:
        if self._link is not None:
            self._link.post("/v1/markers", {"value": f"note/{text}"})

    # --- the flicker's process -------------------------------------------------------------------

    def settings(self, mode: Mode) -> StimulusSettings:
        """What the flicker's process is told, to measure the screen or to show the blocks."""
        if mode == "graz":
            return StimulusSettings.model_validate({
                "url": self._url, "token": self._token or None, "mode": mode, "graz": self._graz,
                **self.blocks.display.where(),
            })  # fmt: skip
        asked = self.choices.settings(self._url, self._token, self._config)
        return asked.model_copy(
            update={
                "mode": mode,
                "n_blocks": self.blocks.n_blocks.value(),
                "phrase": "",
                "max_dropped": 1.0 if self._nobody_looks else asked.max_dropped,
            }
        )

    @property
    def _model(self) -> str:
        """Name of the decoder that decides."""
        status = (self._link and self._link.status) or {}
        return str(status.get("decoder", {}).get("model", ""))

    @property
    def _nobody_looks(self) -> bool:
        """Whether dropped frames spoil nothing: the simulated subject sees no screen."""
        return self._config is not None and self._config.source.kind == "simulated"

    def _measure(self) -> None:
        if self.guide.step is not Step.PLAN or not self._url:
            return
        self.process.stop()
        self.plan.measuring()
        self.guide.see_screen(None)
        self._mode = "measure"
        self.process.start(self.settings("measure"))
        self._show()

    def _cue_here(self) -> None:
        """Ask for a session whose cues are shown by this application."""
        if self._config is None:
            return
        try:
            self.session_requested.emit(with_cues(self._config))
        except BciError as error:
            self.error.setText(str(error))

    def _replan(self, plan: Plan) -> None:
        """Ask for the session that flickers by another plan; this calibration goes on in it."""
        if self._config is None:
            return
        try:
            self._replanned = planned(self._config, plan)
        except BciError as error:
            self.error.setText(str(error))
            return
        self.session_requested.emit(self._replanned)

    def start(self) -> None:
        """Show the blocks, or go on after a rest or a pause."""
        self.error.clear()
        graz = self._graz
        if not self._flickers and graz is None:
            if self._link is not None:
                self.training.collect(self._link)
            self._show()
            return
        if not self.process.running:
            self._mode = "calibration" if graz is None else "graz"
            settings = self.settings("calibration" if graz is None else "graz")
            self._n_trials, self._phase = 0, "measuring"
            self.blocks.progress.setMaximum(
                settings.n_blocks * len(settings.targets)
                if graz is None
                else graz.n_runs * graz.run_length
            )
            self.blocks.progress.setValue(0)
            self.process.start(settings)
        self.process.send("start")
        self._show()

    def _hear(self, line: dict[str, Any]) -> None:
        match line["say"]:
            case "ready" if self._flickers:
                self._plan(line)
            case "state" if self._mode != "measure":
                self._phase = line["phase"]
                if line["note"]:
                    self.blocks.state.setText(line["note"])
                if self._graz is not None:
                    self._count_runs(self._graz, line["n_done"])
            case "selection" if self._flickers:
                self._count()
            case "score" if self._flickers and self._mode == "calibration":
                self.blocks.show_untrained(self._model, line)
            case "score" if self._graz is not None:
                self.blocks.forecast.setText(_feedback_so_far(line))
            case "beep":
                QApplication.beep()
            case "refused":
                self._phase = "ready"
                self.error.setText("not started: " + "; ".join(line["why"]))
            case "trouble":
                self.error.setText(line["why"])
        self._show()

    def _plan(self, ready: dict[str, Any]) -> None:
        """Judge the targets on the measured screen."""
        asked, session = self.settings("calibration"), self._config
        longest_s = 1.0 if session is None else session.window.length_s
        self.guide.see_screen(self.plan.show_plan(ready, asked, longest_s))

    def _count(self) -> None:
        """One more trial is done; a look at the decoders is due after each block."""
        self._n_trials += 1
        self.blocks.progress.setValue(self._n_trials)
        n_blocks, rest = divmod(self._n_trials, max(1, len(self.guide.frequencies_hz)))
        self.guide.see_block(n_blocks)
        by_itself = takewhile(lambda n: n <= n_blocks, own_looks())
        if rest or n_blocks < FEWEST_BLOCKS or n_blocks in by_itself or self._link is None:
            return
        self._link.post("/v1/ladder", {"action": "look"}, self._told)

    def _count_runs(self, graz: GrazSettings, n_done: int) -> None:
        self.blocks.progress.setValue(n_done)
        self.guide.see_block(n_done // graz.run_length)

    def _told(self, answer: Answer) -> None:
        if not answer.ok:
            self.error.setText(answer.error)

    def _end(self, code: int) -> None:
        if code and not self.error.text():
            self.error.setText(f"the flicker's process ended ({code}): {self.process.trouble}")
        if self._mode != "measure" and self._phase != "over":
            self._phase = ""
        self._show()

    def close_down(self) -> None:
        """The application ends."""
        self.process.stop()

    # --- what is shown ---------------------------------------------------------------------------

    def _show(self) -> None:
        guide, running = self.guide, self.process.running
        on_blocks = guide.step is Step.BLOCKS
        self.stack.setCurrentIndex(list(self._cards).index(guide.step))
        self.path.setText("   ›   ".join(
            f"<b>{_TITLES[step]}</b>" if step is guide.step else _TITLES[step]
            for step in guide.steps
        ))  # fmt: skip
        against = [] if self._lacks else guide.objections  # the signal of the next one counts
        hint = "this session has no cues or no recording" if self._lacks else ""
        self.against.setText(hint or ("; ".join(against) if guide.step is not Step.PLAN else ""))
        self.back.setEnabled(guide.step is not guide.steps[0])
        last = "Spell" if self._flickers else "To the live view"
        ahead = "Start again for calibration" if self._lacks else "Next"
        self.further.setText(last if guide.is_last else ahead)
        self.further.setShortcut("Ctrl+Return")  # a new text takes the old shortcut away
        self.further.setEnabled(bool(self._url) and not against)
        self.anyway.setVisible(bool(against) and guide.can_overrule)
        self.again.setVisible(guide.step is Step.PLAN)
        self.again.setEnabled(not running)
        self.go.setVisible(on_blocks)
        cues = self._graz is not None
        self.pause.setVisible(on_blocks and (self._flickers or cues))
        self.blocks.show_parts(flickers=self._flickers, cues=cues)
        self.blocks.display.setEnabled(not running)
        self.go.setText("Go on" if running and self._phase != "ready" else "Start")
        self.go.setShortcut("Ctrl+B")
        self.go.setEnabled(
            (not running or self._phase in ("ready", "break", "paused"))
            and self.training.state != "collecting"
        )
        self.pause.setEnabled(running and self._phase not in ("", "measuring", "over"))
        self.blocks.n_blocks.setEnabled(not running)
        self.without.setEnabled(bool(self._url))
        self.without.setVisible(self._flickers)


def _feedback_so_far(score: dict[str, Any]) -> str:
    if score["accuracy"] is None:
        return ""
    low, high = score["accuracy_low"], score["accuracy_high"]
    return (
        f"With feedback: {score['n_right']} of {score['n_trials']} trials right, "
        f"{score['accuracy']:.2f} [{low:.2f}, {high:.2f}] (95 %)."
    )
