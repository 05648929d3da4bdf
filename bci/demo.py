"""`bci demo`: the simulated subject calibrates and spells, with no hardware, on a virtual clock.

Everything but the person is the real engine: the same pipeline, decoder,
training, recorder and verification as in a live session. Time is counted in
samples, so the demo runs as fast as the machine allows and gives the same
decisions for the same seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from bci.calibration.training import collect, fit
from bci.config import Config, dump, loads
from bci.decoders.artifact import load_decoder, save
from bci.eventlog import EventLog
from bci.metrics import (
    accuracy_interval,
    chance_p_value,
    correct_characters_per_minute,
    itr,
    latency_percentiles,
)
from bci.outputs.jsonl import JSONLinesOutput
from bci.paradigms.keyboard import KEYBOARD_12, Keyboard
from bci.paradigms.speller import TARGETS_12, SpellerTimetable
from bci.paradigms.subject import OCCIPITAL, SimulatedSubject
from bci.paradigms.timetable import CUE, STIM_OFF, Trial
from bci.pipeline import Pipeline
from bci.recording.layout import beside
from bci.recording.verify import verify
from bci.recording.writer import Recorder
from bci.sources.files import load_recording
from bci.types import Chunk, Decision, DecoderSwap, Event, Marker, StreamInfo

SFREQ = 250.0
CHUNK = 5  # samples: 20 ms, as an amplifier would send them
N_BLOCKS = 2
LONGEST_S = 4.0
CONFIG = """
source: {{kind: simulated, paradigm: ssvep12, seed: {seed}}}
events: {{{events}}}
processing:
  - {{kind: notch, freq_hz: 50}}
  - {{kind: bandpass, low_hz: 6, high_hz: 90, order: 4}}
window: {{kind: growing, markers: [stim_on], offset_s: 0.14, min_s: 0.5, hop_s: 0.1, length_s: {longest}}}
decoder: {{kind: fbcca, frequencies_hz: {{{frequencies}}}}}
decision: {{kind: dynamic, target_error: 0.05, at_longest: force}}
"""


@dataclass(slots=True)
class Tally:
    """What came of the selections."""

    n: int = 0
    n_right: int = 0
    n_forced: int = 0
    n_abstained: int = 0
    n_typed_wrong: int = 0
    durations: list[float] = field(default_factory=list)


class Demo:
    """One run of the demo.

    Parameters
    ----------
    phrase : str
        What the subject wants to write.
    snr : float
        Power of the simulated answer, times that of the literature; 0: none.
    seed : int
    out : path
        Folder for recording, decisions, model and configuration.
    realtime : bool
        At the pace of life.
    """

    def __init__(
        self, phrase: str, *, snr: float, seed: int, out: Path, realtime: bool = False
    ) -> None:
        self.keyboard = Keyboard(KEYBOARD_12)
        self.phrase = self.keyboard.spellable(phrase)
        self.subject = SimulatedSubject(TARGETS_12, snr=snr, seed=seed, sfreq=SFREQ)
        self.config = _config(seed)
        self.info = StreamInfo(
            "simulated subject", SFREQ, OCCIPITAL, ("eeg",) * len(OCCIPITAL), source_id="simulated"
        )
        self.out = out
        self.seed = seed
        self.realtime = realtime
        self.console = Console(highlight=False)
        self.tally = Tally()
        self.decisions: list[Decision] = []
        self._push_ms: list[float] = []
        self._began = time.monotonic()

    # --- the story -----------------------------------------------------------------------------

    def run(self) -> None:
        """Calibrate, spell, verify, and say how it went."""
        self._open()
        say = self.console.print
        say(
            f"[bold]Simulated subject[/bold] (seed {self.seed}): SSVEP at Oz "
            f"{self.subject.ssvep_snr_db:.1f} dB of ongoing EEG (3 to 100 Hz); 12 targets, "
            f"{len(OCCIPITAL)} channels at {SFREQ:g} Hz"
        )
        self._calibrate()
        say(f"\n[bold]Spelling[/bold] “{self.phrase}”")
        self._spell()
        self._close()
        self._summarise()

    def _open(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        self.xdf = self.out / "demo_eeg.xdf"
        self.model_folder = self.out / "models"
        _remove_earlier(self.out, self.xdf)
        beside(self.xdf, "config.yaml").write_text(dump(self.config), encoding="utf-8")
        self.pipeline = Pipeline(self.config, self.info)
        self.pipeline.use(*load_decoder(self.config, self.pipeline.info))
        self._recorder = Recorder(self.xdf, clock=self._now)
        self._samples_id = self._recorder.add_stream(self.info, dtype=np.float64)
        self._markers_id = self._recorder.add_marker_stream("markers")
        self._log = EventLog(beside(self.xdf, "events.jsonl"), self.info)
        self._jsonl = JSONLinesOutput(path=self.out / "decisions.jsonl").build()
        self._jsonl.open(self.pipeline.classes)

    def _calibrate(self) -> None:
        """Cued blocks; the recording so far then trains the decoder, as `bci train` would."""
        labels = KEYBOARD_12.labels
        table = SpellerTimetable(labels, N_BLOCKS, stim_s=LONGEST_S + 0.2, seed=self.seed)
        trials = list(table.trials())
        self.console.print(
            f"\n[bold]Calibration[/bold]: {N_BLOCKS} blocks of {len(labels)} targets, "
            f"{trials[-1].stop_s / 60:.1f} minutes of the subject's time"
        )
        with Progress(console=self.console, transient=True) as progress:
            task = progress.add_task("calibrating", total=len(trials))
            for trial in trials:
                self._show(trial, until_decided=False)
                progress.advance(task)
        right = sum(
            d.label == t.label for d, t in zip(self.decisions, trials, strict=True)
        )  # before training: the training-free decoder
        self._recorder.flush()
        windows = collect(self.config, load_recording(self.xdf))
        decoder, manifest = fit(self.config, windows)
        model = save(decoder, manifest, self.model_folder / "fbcca")
        folder = (self.model_folder / "fbcca").rename(self.model_folder / model.model_id)
        self._push(DecoderSwap(self.pipeline.position, decoder, model.model_id))
        score = model.scores[0]
        self.console.print(
            f"  training-free, dynamic stopping: {right} of {len(trials)} right; calibrated model "
            f"{folder.name}: accuracy {score.value:.2f} [{score.low:.2f}, {score.high:.2f}] on "
            f"{score.n} windows of {LONGEST_S:g} s ({score.method})"
        )
        self.decisions.clear()
        self._push_ms.clear()

    def _spell(self) -> None:
        """Select until the text is the phrase, or patience ends."""
        patience = 3 * len(self.keyboard.targets_for(self.phrase))
        self._spelling_began = self._now()
        table = SpellerTimetable(KEYBOARD_12.labels, stim_s=LONGEST_S + 0.2)
        while self.keyboard.text != self.phrase and self.tally.n < patience:
            wanted = self.keyboard.targets_for(self.phrase)[0]
            began = self._now()
            decision = self._show(table.trial(wanted, began), until_decided=True)
            self._judge(wanted, decision, self._now() - began)
        self.tally.n_typed_wrong = sum(a != b for a, b in zip(self.keyboard.text, self.phrase, strict=False))  # fmt: skip

    def _judge(self, wanted: str, decision: Decision | None, seconds: float) -> None:
        tally = self.tally
        tally.n += 1
        tally.durations.append(seconds)
        label = decision.label if decision is not None else None
        if label is None:
            tally.n_abstained += 1
            mark, did = "abstained", decision.quality.reasons if decision is not None else ()
        else:
            tally.n_right += label == wanted
            tally.n_forced += bool(decision and decision.forced)
            mark = "right" if label == wanted else "wrong"
            key = self.keyboard.key(label)
            did = (key.caption or "·",)
            self.keyboard = self.keyboard.select(label)
        p = max(decision.proba.values(), default=0.0) if decision is not None else 0.0
        self.console.print(
            f"  {tally.n:3d}  {label or '–':>8}  {' '.join(did):<4} {mark:<9} p={p:.2f} "
            f"{seconds:4.1f} s  [bold]{self.keyboard.text}▏[/bold]"
        )

    # --- the virtual session ---------------------------------------------------------------------

    def _now(self) -> float:
        """Seconds of the virtual clock."""
        return self.subject.position / SFREQ if hasattr(self, "subject") else 0.0

    def _show(self, trial: Trial, *, until_decided: bool) -> Decision | None:
        """Play one trial; the flicker ends with the decision, if asked. The decision, if any."""
        n_before = len(self.decisions)
        for marker in trial.markers:
            if marker.value == STIM_OFF and until_decided:
                self._advance(marker.t, lambda: len(self.decisions) > n_before)
            else:
                self._advance(marker.t)
            self._mark(marker.value)
        rest = trial.stop_s - trial.markers[-1].t
        self._advance(self._now() + rest)
        return self.decisions[n_before] if len(self.decisions) > n_before else None

    def _advance(self, until_s: float, enough: Callable[[], bool] = lambda: False) -> None:
        stop = round(until_s * SFREQ)
        while self.subject.position < stop and not enough():
            start = self.subject.position
            data = self.subject.generate(min(CHUNK, stop - start))
            stamps = (start + np.arange(len(data))) / SFREQ
            self._recorder.write_samples(self._samples_id, data, stamps)
            self._push(Chunk(start, data))
            if self.realtime:
                time.sleep(max(0.0, self._began + self._now() - time.monotonic()))

    def _mark(self, value: str) -> None:
        at = self.subject.position
        self.subject.see(value)
        self._recorder.write_marker(self._markers_id, value, at / SFREQ)
        self._push(Marker(at, at, value))

    def _push(self, event: Event) -> None:
        if not isinstance(event, Chunk):
            self._log.append(event)
        began = time.perf_counter()
        found = self.pipeline.push(event)
        if found:
            self._push_ms.append((time.perf_counter() - began) * 1e3)
        for decision in found:
            timed = replace(
                decision,
                t_first=decision.first / SFREQ,
                t_last=decision.last / SFREQ,
                t_decision=self._now(),
            )
            self.decisions.append(timed)
            self._jsonl.send(timed)

    def _close(self) -> None:
        self._recorder.close()
        self._log.close()
        self._jsonl.close()

    # --- how it went -----------------------------------------------------------------------------

    def _summarise(self) -> None:
        say, tally = self.console.print, self.tally
        seconds = self._now() - self._spelling_began
        accuracy = tally.n_right / tally.n
        low, high = accuracy_interval(tally.n_right, tally.n)
        mean_s = float(np.mean(tally.durations))
        p = chance_p_value(tally.n_right, tally.n, 12)
        typed = "typed" if self.keyboard.text == self.phrase else "not finished"
        say(f"\n[bold]{typed}[/bold]: “{self.keyboard.text}” of “{self.phrase}”")
        say(
            f"  selections  {tally.n_right} of {tally.n} right: accuracy {accuracy:.2f} "
            f"[{low:.2f}, {high:.2f}] (95 %), chance {1 / 12:.3f}; {tally.n_forced} forced at the "
            f"longest window, {tally.n_abstained} abstained"
        )
        if p > 0.05:
            say(f"  [bold red]not better than chance[/bold red] (p = {p:.2f})")
        say(
            f"  ITR         {itr(accuracy, 12, mean_s):.1f} bit/min (Wolpaw, M = 12, mean "
            f"{mean_s:.2f} s a selection, gaze shift and feedback included)"
        )
        rate = correct_characters_per_minute(self.keyboard.text, self.phrase, seconds)
        say(f"  speed       {rate:.1f} correct characters a minute, corrections included")
        self._report_latency()
        report = verify(self.xdf)
        say(f"  recording   {self.xdf}: {'verified' if report.ok else 'DAMAGED'}, "
            f"{self.subject.position} samples, {self._now() / 60:.1f} min")  # fmt: skip
        say(f"  took        {time.monotonic() - self._began:.1f} s of real time")
        say(
            "\nAll of this is simulated. Next:\n"
            f"  bci replay {self.xdf} --config {beside(self.xdf, 'config.yaml')}   "
            "the same decisions, from the file\n"
            "  bci demo --snr 0                       a brain that does not answer\n"
            "  bci doctor                             is this machine ready for an amplifier?\n"
            "  bci run configs/ssvep_lsl.yaml         decode a live LSL stream"
        )

    def _report_latency(self) -> None:
        found = latency_percentiles(self._push_ms)
        if found:
            self.console.print(
                f"  latency     {found[50.0]:.1f} ms median, {found[99.0]:.1f} ms p99 from a "
                "decision's last chunk to the decision (processing only)"
            )


def _config(seed: int) -> Config:
    labels = KEYBOARD_12.labels
    return loads(
        CONFIG.format(
            seed=seed,
            longest=LONGEST_S,
            events=", ".join(f"{label}: {CUE}{label}" for label in labels),
            frequencies=", ".join(f"{t.label}: {t.frequency_hz}" for t in TARGETS_12),
        ),
        "demo",
    )


def _remove_earlier(out: Path, xdf: Path) -> None:
    """Remove what an earlier demo left in `out`, and nothing else."""
    for ending in ("events.jsonl", "ledger.jsonl", "config.yaml"):
        beside(xdf, ending).unlink(missing_ok=True)
    xdf.unlink(missing_ok=True)
    (out / "decisions.jsonl").unlink(missing_ok=True)
    for model in (out / "models").glob("fbcca*"):
        for file in model.iterdir():
            file.unlink()
        model.rmdir()
