"""What happens in the demo, and what is said about it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from threadpoolctl import threadpool_limits

from bci.calibration.training import collect, fit
from bci.config import Config, loads
from bci.demo.display import Display, Selection
from bci.demo.folder import DemoFolder
from bci.demo.virtual import VirtualSession
from bci.errors import ConfigError, RecordingError
from bci.metrics import (
    accuracy_interval,
    chance_p_value,
    correct_characters_per_minute,
    itr,
    latency_percentiles,
)
from bci.paradigms.expectation import expect
from bci.paradigms.keyboard import KEYBOARD_12, Keyboard
from bci.paradigms.language import LanguageModel, load_language
from bci.paradigms.layouts import load_layout
from bci.paradigms.speller import TARGETS_12, SpellerTimetable
from bci.paradigms.subject import OCCIPITAL, SimulatedSubject
from bci.paradigms.timetable import CUE
from bci.recording.verify import verify

SFREQ = 250.0
N_BLOCKS = 2
LONGEST_S = 4.0
N_TARGETS = len(TARGETS_12)
#: The subject gives up after so many selections for each that is needed.
PATIENCE = 3
CONFIG = """
source: {{kind: simulated, paradigm: ssvep12, snr: {snr}, seed: {seed}}}
events: {{{events}}}
processing:
  - {{kind: notch, freq_hz: 50}}
  - {{kind: bandpass, low_hz: 6, high_hz: 90, order: 4}}
window:
  {{kind: growing, markers: [stim_on], offset_s: 0.14, min_s: 0.5, hop_s: 0.1, length_s: {longest}}}
decoder: {{kind: fbcca, frequencies_hz: {{{frequencies}}}}}
decision: {{kind: dynamic, target_error: 0.05, at_longest: force}}
"""


class Demo:
    """One run of the demo.

    Parameters
    ----------
    phrase : str
        What the subject wants to write.
    snr : float
        Signal-to-noise ratio of the simulated answer, times that of the literature; 0: none.
    seed : int
    out : path
        Folder for recording, decisions, model and configuration.
    realtime : bool
        At the pace of life.
    keyboard : str or path, optional
        A keyboard of 12 targets (`bci.paradigms.layouts`), whose language completes words
        and gives each selection a prior; None: letters in groups, no language.
    console : Console, optional
        Where to say it; None: standard output.
    clock, sleep : callable
        Seconds, and how to wait for some.

    Raises
    ------
    ConfigError
        The phrase is empty, or cannot be typed; the keyboard cannot be used.
    MissingDependency
        The keyboard has a language, but `wordfreq` is not installed.
    """

    def __init__(
        self,
        phrase: str,
        *,
        snr: float,
        seed: int,
        out: Path,
        realtime: bool = False,
        keyboard: str | Path | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        layout = KEYBOARD_12 if keyboard is None else load_layout(keyboard, TARGETS_12)
        self.language: LanguageModel | None = None
        if layout.language:
            self.language = load_language(layout.language, layout.symbols)
        self.keyboard = Keyboard(layout, words=self.language)
        self.phrase = self.keyboard.spellable(phrase)
        if not self.phrase:
            raise ConfigError("there is nothing to spell: --phrase is empty")
        self.subject = SimulatedSubject(TARGETS_12, snr=snr, seed=seed, sfreq=SFREQ)
        self.config = _config(snr, seed)
        self.folder = DemoFolder(out)
        self.snr, self.seed, self.realtime = snr, seed, realtime
        self.selections: list[Selection] = []
        self._display = Display(console or Console(highlight=False))
        self._clock, self._sleep = clock, sleep
        self._began = 0.0

    def run(self) -> None:
        """Calibrate, spell, verify, and say how it went.

        Raises
        ------
        ConfigError, RecordingError
            The folder cannot be used, or the recording is not whole.
        """
        self.folder.clear()
        self._began = self._clock()
        self._introduce()
        with (
            threadpool_limits(1),  # as live; and several threads need not add up the same way twice
            VirtualSession(self.config, self.subject, self.folder, self._pace) as session,
        ):
            self._calibrate(session)
            began = session.now
            self._spell(session)
        self._summarise(session, session.now - began)
        self._check_recording(session)
        self._recommend()

    def _pace(self, virtual_s: float) -> None:
        """In real time, wait until the clock is where the virtual one is."""
        if self.realtime:
            ahead = self._began + virtual_s - self._clock()
            if ahead > 0:
                self._sleep(ahead)

    # --- what happens ----------------------------------------------------------------------------

    def _calibrate(self, session: VirtualSession) -> None:
        """Cued blocks; the recording so far then trains the decoder, as `bci train` would."""
        show = self._display
        table = SpellerTimetable(
            KEYBOARD_12.labels, N_BLOCKS, stim_s=LONGEST_S + 0.2, seed=self.seed
        )
        trials = list(table.trials())
        show.title(
            "Simulated calibration",
            f"{N_BLOCKS} blocks of {N_TARGETS} targets, {trials[-1].stop_s / 60:.1f} minutes",
        )
        n_right = 0
        with show.progress("calibrating", trials) as shown:
            for trial in shown:
                decision = session.show(trial, until_decided=False)
                n_right += decision is not None and decision.label == trial.label
        model = session.decide_by(*fit(self.config, collect(self.config, session.recording())))
        session.push_ms.clear()  # what follows is reported
        score = model.scores[0]
        show.row("untrained", f"{n_right} of {len(trials)} right, deciding as soon as sure")
        show.row(
            "calibrated",
            f"accuracy {score.value:.2f} [{score.low:.2f}, {score.high:.2f}] on {score.n} windows "
            f"of {LONGEST_S:g} s, cross-validated; chance {1 / N_TARGETS:.3f}",
        )
        show.row("model", model.model_id)

    def _spell(self, session: VirtualSession) -> None:
        """Select until the text is the phrase, or patience ends."""
        self._display.title("Simulated spelling", f"“{self.phrase}”")
        patience = PATIENCE * len(self.keyboard.targets_for(self.phrase))
        table = SpellerTimetable(KEYBOARD_12.labels, stim_s=LONGEST_S + 0.2)
        while self.keyboard.text != self.phrase and len(self.selections) < patience:
            wanted = self.keyboard.targets_for(self.phrase)[0]
            began = session.now
            if self.language is not None:
                session.expect(expect(self.keyboard, self.language))
            decision = session.show(table.trial(wanted, began), until_decided=True)
            selection = Selection(wanted, decision, session.now - began)
            self.selections.append(selection)
            key = None
            if selection.label is not None:
                key = self.keyboard.key(selection.label)
                self.keyboard = self.keyboard.select(selection.label)
            self._display.selection(len(self.selections), selection, key, self.keyboard.text)

    # --- what is said ----------------------------------------------------------------------------

    def _introduce(self) -> None:
        answer = "none: this brain does not answer"
        if self.snr > 0:
            answer = f"{self.subject.ssvep_snr_db:.1f} dB of the ongoing EEG at Oz, 3 to 100 Hz"
        frequencies = [t.frequency_hz for t in TARGETS_12]
        show = self._display
        show.title("Simulated subject", f"seed {self.seed}; no figure below is a person's")
        show.row("SSVEP", answer)
        show.row("EEG", f"{len(OCCIPITAL)} channels at {SFREQ:g} Hz")
        show.row(
            "speller",
            f"{N_TARGETS} targets, {min(frequencies):g} to {max(frequencies):g} Hz, "
            "filter-bank CCA",
        )
        if self.language is not None:
            code = self.keyboard.layout.language
            show.row("language", f"'{code}': words are offered, and each selection has a prior")

    def _summarise(self, session: VirtualSession, seconds: float) -> None:
        row, text = self._display.row, self.keyboard.text
        done = text == self.phrase
        self._display.title("Simulated result", "the phrase is typed" if done else "not finished")
        row("text", f"“{text}”" + ("" if done else f" instead of “{self.phrase}”"))
        self._summarise_selections()
        rate = correct_characters_per_minute(text, self.phrase, seconds)
        row("speed", f"{rate:.1f} correct characters a minute, corrections included")
        if latency := latency_percentiles(session.push_ms):
            row(
                "latency",
                f"{latency[50.0]:.1f} ms median, {latency[99.0]:.1f} ms p99 to process the last "
                "chunk of a decision",
            )

    def _summarise_selections(self) -> None:
        row, n = self._display.row, len(self.selections)
        n_right = sum(s.right for s in self.selections)
        n_forced = sum(s.decision is not None and s.decision.forced for s in self.selections)
        n_abstained = sum(s.label is None for s in self.selections)
        accuracy, (low, high) = n_right / n, accuracy_interval(n_right, n)
        row(
            "accuracy",
            f"{n_right} of {n} selections right: {accuracy:.2f} [{low:.2f}, {high:.2f}] (95 %)",
        )
        p = chance_p_value(n_right, n, N_TARGETS)
        against = f"chance ({1 / N_TARGETS:.3f}), p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
        if self.snr == 0:
            row("", f"at {against}: the brain did not answer", style="bold red")
        elif p > 0.05:
            row("", f"not better than {against}", style="bold red")
        else:
            row("", f"better than {against}")
        row("", f"{n_forced} forced at the longest window, {n_abstained} abstained")
        mean_s = float(np.mean([s.seconds for s in self.selections]))
        by = ""
        if self.language is not None:  # what the language knows is not told by the brain
            accuracy = sum(s.right_unaided for s in self.selections) / n
            by = ", without the language's prior"
        row(
            "ITR",
            f"{itr(accuracy, N_TARGETS, mean_s):.1f} bit/min by Wolpaw's definition{by}:",
            "60/T · [log2 M + P log2 P + (1−P) log2((1−P)/(M−1))]",
            f"M = {N_TARGETS} targets, P = {accuracy:.2f}, T = {mean_s:.2f} s a selection, gaze "
            "shift and feedback included",
        )

    def _check_recording(self, session: VirtualSession) -> None:
        row, xdf, report = self._display.row, self.folder.xdf, verify(self.folder.xdf)
        whole = "verified" if report.ok else "NOT WHOLE"
        row("recording", f"{xdf}: {session.now / 60:.1f} min, {whole}")
        row("decisions", str(self.folder.decisions))
        row("took", f"{self._clock() - self._began:.1f} s")
        if not report.ok:
            raise RecordingError(f"{xdf} is not whole: {'; '.join(report.problems)}")

    def _recommend(self) -> None:
        xdf, config = (shlex.quote(str(path)) for path in (self.folder.xdf, self.folder.config))
        other = ("a brain that answers", "bci demo")
        if self.snr > 0:
            other = ("a brain that does not answer", "bci demo --snr 0")
        self._display.title("Next")
        for what, command in (
            ("the same decisions, from the recording", f"bci replay {xdf} --config {config}"),
            other,
            ("is this machine ready for an amplifier?", "bci doctor"),
            ("decode a stream of the Lab Streaming Layer", "bci run configs/ssvep_lsl.yaml"),
        ):
            self._display.command(what, command)


def _config(snr: float, seed: int) -> Config:
    labels = KEYBOARD_12.labels
    return loads(
        CONFIG.format(
            snr=snr,
            seed=seed,
            longest=LONGEST_S,
            events=", ".join(f"{label}: {CUE}{label}" for label in labels),
            frequencies=", ".join(f"{t.label}: {t.frequency_hz}" for t in TARGETS_12),
        ),
        "demo",
    )
