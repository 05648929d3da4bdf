"""The demo: the simulated subject calibrates and types a phrase, and the application runs itself.

It presses the buttons that a person would press, and waits for what a person would
wait for; nothing is done behind the window's back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QSize, QTimer, Signal
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QPushButton

from bci.clock import now
from bci.config import Config, Participant, Recording, loads
from bci.paradigms.frequencies import luminance
from bci.paradigms.speller import TARGETS_12
from bci.paradigms.spelling_scene import Phase
from bci.paradigms.timetable import CUE
from gui.pages.calibration import CalibrationPage
from gui.pages.speller import SpellerPage
from gui.stimulus.painting import Picture
from gui.stimulus.settings import StimulusSettings
from gui.window import LIVE, MainWindow

__all__ = ["Demo", "demo_config"]

SESSION = """
# The simulated subject of the demo, three times clearer than a typical person, so that it is short.
source: {{kind: simulated, paradigm: ssvep12, snr: {snr}, seed: {seed}, cues: told}}
channels: {{pick: eeg, montage: standard_1005}}
events: {{{events}}}
processing:
  - {{kind: notch, freq_hz: 50}}
  - {{kind: bandpass, low_hz: 6, high_hz: 90, order: 4}}
window:
  {{kind: growing, markers: [stim_on], offset_s: 0.14, min_s: 0.4, hop_s: 0.1, length_s: 1.0}}
decoder: {{kind: fbcca, frequencies_hz: {{{frequencies}}}}}
ladder: {{rungs: [offset_fbcca, ecca]}}
decision: {{kind: dynamic, target_error: 0.05, at_longest: force}}
recording: {{root: recordings, task: demo}}
api: {{}}
"""
#: Shorter than for a person, who needs time to look.
TIMES = {"cue_s": 0.25, "wait_s": 0.6, "feedback_s": 0.15, "rest_s": 0.1}
N_BLOCKS = 3

_Done = Callable[[], bool]


def demo_config(root: Path, snr: float = 3.0, seed: int = 1) -> Config:
    """Give the demo's session, recorded to `root`."""
    config = loads(
        SESSION.format(
            snr=snr,
            seed=seed,
            events=", ".join(f"{t.label}: {CUE}{t.label}" for t in TARGETS_12),
            frequencies=", ".join(f"{t.label}: {t.frequency_hz}" for t in TARGETS_12),
        ),
        "demo",
    )
    keep = Recording(root=root, task="demo")
    return config.model_copy(update={"participant": Participant(id="SIM"), "recording": keep})


class Demo(QObject):
    """Runs itself through the window, from the start page to the report.

    Parameters
    ----------
    window : MainWindow
    config : Config
    phrase : str
        What the subject types.
    screenshots : Path or None
        Folder for a picture of every page.
    n_blocks : int
        Of calibration; 0: it types without.
    pause_s : float
        Between two steps, for somebody who watches.

    Attributes
    ----------
    error : str
        What did not come about; empty while all went well.
    said : list of str
        What was told, line by line.
    """

    #: It is over, well or not.
    ended = Signal()

    def __init__(
        self,
        window: MainWindow,
        config: Config,
        phrase: str,
        *,
        screenshots: Path | None = None,
        n_blocks: int = N_BLOCKS,
        pause_s: float = 1.0,
    ) -> None:
        super().__init__(window)
        self.window, self.config, self.phrase = window, config, phrase
        self.error, self.said = "", list[str]()
        self._shots, self._n_blocks, self._pause_s = screenshots, n_blocks, pause_s
        self._phase, self._over = "", False
        self._story = self._tell()
        self._waits_for: tuple[str, _Done, float] | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._step)
        for page in (window.calibration, window.speller):
            page.process.said.connect(self._hear)

    def start(self) -> None:
        """Begin."""
        self._timer.start(50)

    # --- the story -------------------------------------------------------------------------------

    def _tell(self) -> Iterator[tuple[str, _Done, float]]:
        """Press buttons; yield what to wait for, whether it is there, and how long at most, s."""
        w = self.window
        self._say("Start page: the simulated subject, a 12-key speller")
        w.start_page.offer(self.config, Path("demo.yaml"))
        yield self._a_moment()
        self._shoot("start")
        w.start_page.go.click()
        yield "the engine", lambda: w.link is not None and w.link.state == "live", 180.0
        self._say("Live: what the electrodes would show")
        w.show_page(LIVE)
        yield "six seconds of signal", self._has_signal, 180.0
        yield from self._calibrate(w.calibration)
        yield from self._spell(w.speller)
        w.show_page(LIVE)  # now with decisions and markers
        yield self._a_moment()
        self._shoot("live")
        yield from self._time()
        self._say("Report: everything that was recorded, on one page")
        done: list[bool] = []
        w.report.done.connect(lambda: done.append(True))
        w.stop.trigger()
        yield "the report", lambda: bool(done), 180.0
        yield self._a_moment()
        self._shoot("report")
        self._say(f"{w.report.state.text()}")
        if not w.report.open.isEnabled():
            raise _Broken(w.report.state.text())

    def _calibrate(self, page: CalibrationPage) -> Iterator[tuple[str, _Done, float]]:
        self._say("Calibration: is every channel good?")
        self.window.show_page(CalibrationPage.title)
        page.choices.times.update(TIMES)
        page.choices.display.setCurrentIndex(page.choices.display.count() - 1)  # a window
        page.blocks.n_blocks.setValue(self._n_blocks)
        yield (
            "a judgement of the channels",
            (lambda: page.further.isEnabled() or page.anyway.isVisible()),
            120.0,
        )
        yield self._a_moment()
        self._shoot("wizard-signal")
        if self._n_blocks == 0:
            page.without.click()
            return
        (page.further if page.further.isEnabled() else page.anyway).click()
        self._say("Calibration: consent to the flicker (here nobody looks)")
        yield self._a_moment()
        page.consent.agreed.setChecked(True)
        page.further.click()
        self._say("Calibration: the screen is measured, and the targets are planned for it")
        yield "a screen that will do", page.further.isEnabled, 120.0
        yield self._a_moment()
        self._shoot("wizard-plan")
        page.further.click()
        self._say(f"Calibration: {self._n_blocks} blocks of {len(TARGETS_12)} cued trials")
        self._phase, self._over = "", False
        page.go.click()
        yield from self._until_over(page.go)
        yield "a comparison of the decoders", lambda: page.blocks.compared, 300.0
        yield self._a_moment()
        self._shoot("wizard")
        page.further.click()
        self._say("Calibration: which decoder, and why")
        yield "a reason", lambda: "stays" in page.choice.reason.text() or (
            "takes over" in page.choice.reason.text()), 120.0  # fmt: skip
        yield self._a_moment()
        self._shoot("wizard-decoder")
        self._say(page.choice.reason.text())
        page.further.click()

    def _spell(self, page: SpellerPage) -> Iterator[tuple[str, _Done, float]]:
        self._say(f"Speller: the subject copies “{self.phrase}”")
        page.choices.times.update(TIMES)
        page.choices.display.setCurrentIndex(page.choices.display.count() - 1)
        page.choices.phrase.setText(self.phrase)
        page.choices.copy.setChecked(True)
        page.choices.consent.setChecked(True)
        self._phase, self._over = "", False
        yield "the speller", page.go.isEnabled, 120.0
        page.go.click()
        shown = page.settings()
        yield "the first letter", lambda: bool(page.text.text()) or self._over, 300.0
        self._shoot_stimulus(shown)
        yield from self._until_over(page.go)
        yield self._a_moment()
        self._shoot("speller")
        self._say(f"written: {page.text.text()}")
        page.close_it.click()

    def _until_over(self, go: QPushButton) -> Iterator[tuple[str, _Done, float]]:
        """Let a run come to its end; go on after each rest, as after a pause."""
        rests = (Phase.BREAK, Phase.PAUSED)
        while not self._over:
            yield (
                "the end of the run",
                (lambda: self._over or (self._phase in rests and go.isEnabled())),
                900.0,
            )
            if not self._over:
                go.click()
                yield "what comes after a rest", lambda: self._phase not in rests, 180.0

    def _time(self) -> Iterator[tuple[str, _Done, float]]:
        """The page of the timing check, where there is one."""
        if "Timing" in self.window.page_titles:
            self.window.show_page("Timing")
            yield self._a_moment()
            self._shoot("timing")

    # --- waiting ---------------------------------------------------------------------------------

    def _step(self) -> None:
        try:
            while self._waits_for is None or self._is_there(*self._waits_for):
                self._waits_for = next(self._story)
                what, done, limit_s = self._waits_for
                self._waits_for = what, done, now() + limit_s
        except StopIteration:
            self._end()
        except _Broken as error:
            self.error = str(error)
            self._end()

    def _is_there(self, what: str, done: _Done, until: float) -> bool:
        if done():
            return True
        if now() > until:
            w = self.window
            shown = [w.start_page.error, w.calibration.error, w.speller.error]
            said = [label.text() for label in shown] + w.calibration.guide.objections
            why = "; ".join(text for text in said if text)
            raise _Broken(f"the demo waited in vain for {what}" + (f": {why}" if why else ""))
        return False

    def _a_moment(self) -> tuple[str, _Done, float]:
        until = now() + self._pause_s
        return "a moment", lambda: now() >= until, self._pause_s + 10.0

    def _has_signal(self) -> bool:
        link = self.window.link
        info = None if link is None else link.samples.info
        return link is not None and info is not None and link.samples.position > 6 * info.sfreq

    def _hear(self, line: dict[str, Any]) -> None:
        if line["say"] == "state":
            self._phase = line["phase"]
        self._over = self._over or line["say"] == "over"

    def _end(self) -> None:
        self._timer.stop()
        self.ended.emit()

    # --- telling ---------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.window.setWindowTitle(f"Neuroloop demo – {text}")
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def _shoot(self, name: str) -> None:
        if self._shots is not None:
            self._shots.mkdir(parents=True, exist_ok=True)
            self.window.grab().save(str(self._shots / f"{name}.png"))

    def _shoot_stimulus(self, settings: StimulusSettings) -> None:
        """A frame, drawn here as the flicker's process draws it in its own window."""
        if self._shots is None:
            return
        size = QSize(1366, 768)
        run = settings.run()
        run.start()
        run.frame(0.0)
        scene: Any = run.frame(settings.times.cue_s + 0.01)
        frames = np.array([luminance(t.flicker(), 60.0, 60) for t in settings.targets]).T
        levels = np.rint(255.0 * frames[frames.min(axis=1).argmax()]).astype(int).tolist()
        image = QImage(size, QImage.Format.Format_RGB32)
        with QPainter(image) as painter:
            Picture(settings.cells(), size).draw(painter, scene, levels)
        image.save(str(self._shots / "stimulus.png"))


class _Broken(Exception):
    """The demo cannot go on."""
