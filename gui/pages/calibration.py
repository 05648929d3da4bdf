"""The calibration: signal, consent, screen, blocks, choice, one after the other."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from bci.calibration.climb import frequencies_of
from bci.calibration.climber import FEWEST_BLOCKS, own_looks
from bci.calibration.guide import CalibrationGuide, Step
from bci.calibration.preparation import prepared
from bci.clock import now
from bci.config import Config
from bci.errors import BciError
from bci.paradigms.collisions import findings
from bci.paradigms.frequencies import Flicker, plan
from gui.docks.quality import judged
from gui.link import Answer, EngineLink
from gui.pages.calibration_cards import (
    BlocksCard,
    ChoiceCard,
    ConsentCard,
    PlanCard,
    QualityCard,
)
from gui.pages.speller_cards import card, describe_frames
from gui.pages.speller_choices import SpellerChoices
from gui.stimulus.child import StimulusProcess
from gui.stimulus.painting import Picture
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
    #: Start this session instead (`bci.config.Config`): it has what calibration takes.
    session_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.process = StimulusProcess(self)
        self.process.said.connect(self._hear)
        self.process.ended.connect(self._end)
        self.guide = CalibrationGuide(())
        self.choices = SpellerChoices()
        self.quality, self.consent, self.plan = QualityCard(), ConsentCard(), PlanCard()
        self.blocks, self.choice = BlocksCard(), ChoiceCard()
        self._cards = {
            Step.QUALITY: self.quality, Step.CONSENT: self.consent, Step.PLAN: self.plan,
            Step.BLOCKS: self.blocks, Step.CHOICE: self.choice,
        }  # fmt: skip
        self._url, self._token = "", ""
        self._config: Config | None = None
        self._link: EngineLink | None = None
        self._quality_due = 0.0
        self._phase, self._mode = "", ""
        self._n_trials = 0
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
        self.consent.agreed.toggled.connect(self._consent)
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
        self.choices.suggest(config)
        decoder = None if config is None else config.decoder
        hz = [] if decoder is None else list(frequencies_of(decoder).values())
        self.guide = CalibrationGuide(hz)
        self._n_trials = 0
        self._assessment = None
        self._phase = ""
        self.consent.agreed.setChecked(False)
        self.blocks.show_assessment(None)
        self.blocks.progress.setValue(0)
        self.error.setText(self._unfit() if url else "")
        self._show()

    def _unfit(self) -> str:
        """Why this session cannot be calibrated; empty where it can."""
        if self._config is None:
            return "an engine that runs elsewhere is calibrated where it was started"
        try:
            prepared(self._config)
        except BciError as error:
            return str(error)
        return ""

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

    def _look_at_ladder(self, ladder: dict[str, Any] | None, link: EngineLink) -> None:
        if ladder is None:
            return
        comparing = ladder["state"] == "comparing"
        if ladder["last"] != self._assessment:
            self._assessment = ladder["last"]
            self.blocks.show_assessment(self._assessment)
        self.blocks.comparing.setText("Comparing decoders on what was recorded …" * comparing)
        if self.guide.step is Step.CHOICE:
            self._show_choice(link, comparing)

    # --- steps -----------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Take the next step, where nothing stands against it; after the last: spell."""
        self.error.clear()
        if self.guide.is_last:
            self.spell_requested.emit()
            return
        if self.guide.step is Step.QUALITY and self._needs_another_session():
            return
        left = self.guide.step
        if not self.guide.go_on():
            self._show()
            return
        if left is Step.CONSENT:
            self._note("photosensitivity: told, no history known, agreed")
        if left is Step.BLOCKS:
            self.process.stop()
        if self.guide.step is Step.PLAN:
            self._measure()
        self._show()

    def go_back(self) -> None:
        """Take the step before."""
        self.process.stop()
        self.guide.go_back()
        self._show()

    def _needs_another_session(self) -> bool:
        """Ask for a session with recording, cues and ladder where this one lacks some."""
        if self._config is None or self._unfit():
            self.error.setText(self._unfit())
            return True
        asked = prepared(self._config)
        if asked == self._config:
            return False
        self.session_requested.emit(asked)
        return True

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
    def _nobody_looks(self) -> bool:
        """Whether dropped frames spoil nothing: the simulated subject sees no screen."""
        return self._config is not None and self._config.source.kind == "simulated"

    def _measure(self) -> None:
        self.plan.facts.show_values({"Refresh": "measuring …"})
        self._mode = "measure"
        self.process.start(self.settings("measure"))

    def start(self) -> None:
        """Show the blocks, or go on after a rest or a pause."""
        self.error.clear()
        if not self.process.running:
            settings = self.settings("calibration")
            self._n_trials, self._mode = 0, "calibration"
            self._phase = "measuring"
            self.blocks.progress.setMaximum(settings.n_blocks * len(settings.targets))
            self.blocks.progress.setValue(0)
            self.process.start(settings)
        self.process.send("start")
        self._show()

    def _hear(self, line: dict[str, Any]) -> None:
        match line["say"]:
            case "ready":
                self._plan(line)
            case "state" if self._mode == "calibration":
                self._phase = line["phase"]
                if line["note"]:
                    self.blocks.state.setText(line["note"])
            case "selection":
                self._count()
            case "refused":
                self._phase = "ready"
                self.error.setText("not started: " + "; ".join(line["why"]))
            case "trouble":
                self.error.setText(line["why"])
        self._show()

    def _plan(self, ready: dict[str, Any]) -> None:
        """Judge the targets on the measured screen."""
        asked = self.settings("calibration")
        targets = asked.targets
        against, known = list(ready["objections"]), list[str]()
        shown: tuple[Flicker, ...] = ()
        try:
            shown = plan(
                ready["refresh_hz"], [t.frequency_hz for t in targets], [t.phase for t in targets]
            )
            known = findings(shown, ready["refresh_hz"], flicker_share=_flicker_share(asked),
                             window_s=self._longest_s(), n_listed=1)  # fmt: skip
        except BciError as error:
            against.append(str(error))
        self.guide.see_screen(against)
        words = describe_frames(ready, None)
        words["Targets"] = _described(shown)
        words["To know"] = "\n".join(known)
        words["To mend"] = "\n".join(against)
        self.plan.facts.show_values(words)

    def _longest_s(self) -> float:
        return 1.0 if self._config is None else self._config.window.length_s

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

    def _told(self, answer: Answer) -> None:
        if not answer.ok:
            self.error.setText(answer.error)

    def _end(self, code: int) -> None:
        if code and not self.error.text():
            self.error.setText(f"the flicker's process ended ({code}): {self.process.trouble}")
        if self._mode == "calibration" and self._phase != "over":
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
        against = guide.objections
        self.against.setText("; ".join(against) if guide.step is not Step.PLAN else "")
        self.back.setEnabled(guide.step is not guide.steps[0])
        self.further.setText("Spell" if guide.is_last else "Next")
        self.further.setShortcut("Ctrl+Return")  # a new text takes the old shortcut away
        self.further.setEnabled(bool(self._url) and not against)
        self.anyway.setVisible(bool(against) and guide.can_overrule)
        self.again.setVisible(guide.step is Step.PLAN)
        self.again.setEnabled(not running)
        self.go.setVisible(on_blocks)
        self.pause.setVisible(on_blocks)
        self.go.setText("Go on" if running and self._phase != "ready" else "Start")
        self.go.setShortcut("Ctrl+B")
        self.go.setEnabled(not running or self._phase in ("ready", "break", "paused"))
        self.pause.setEnabled(running and self._phase not in ("", "measuring", "over"))
        self.blocks.n_blocks.setEnabled(not running)
        self.without.setEnabled(bool(self._url))

    def _show_choice(self, link: EngineLink, comparing: bool) -> None:
        status, found = link.status or {}, self._assessment
        reason = "Comparing decoders on what was recorded …" if comparing else ""
        if found is not None and not comparing:
            reason = found["reason"]
        self.choice.reason.setText(reason or "No comparison yet: the decoder in use stays.")
        record = status.get("recording") or {}
        model = status["decoder"]["model"] if status else ""
        waits = (status.get("ladder") or {}).get("waits_for_selection")
        self.choice.facts.show_values({
            "Decoder": model + (", and the new one from the next selection on" if waits else ""),
            "Model": "saved with the session, under models/" if found and found["chosen"] !=
                     found["current"] else "needs none: nothing was trained",
            "Recording": str(record.get("path", "")),
            "Forecast": str((found or {}).get("forecast") or ""),
        })  # fmt: skip


def _flicker_share(settings: StimulusSettings) -> float:
    """Share of the screen that the keys will take."""
    width, height = settings.window or (1920, 1080)
    return Picture(settings.cells(), QSize(width, height)).flicker_share


def _described(flickers: tuple[Flicker, ...]) -> str:
    if not flickers:
        return ""
    hz = sorted(f.frequency_hz for f in flickers)
    return (
        f"{len(hz)}, {hz[0]:g} to {hz[-1]:g} Hz in steps of {hz[1] - hz[0]:.3g} Hz, sampled "
        "sinusoids: each keeps its frequency and phase on this screen"
    )
