"""The simulated subject in a session of the real engine, on a virtual clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

import numpy as np

from bci.config import Config, dump
from bci.decoders.artifact import load_decoder, save
from bci.decoders.manifest import Manifest
from bci.demo.folder import DemoFolder
from bci.eventlog import EventLog
from bci.outputs.jsonl import JSONLinesOutput
from bci.paradigms.subject import SimulatedSubject
from bci.paradigms.timetable import STIM_OFF, Trial
from bci.pipeline import Pipeline
from bci.recording.writer import Recorder
from bci.sources.files import Recording, load_recording
from bci.types import Chunk, Decision, DecoderSwap, Event, Marker, Prior, StreamInfo

CHUNK_S = 0.02  # as an amplifier would send them


class VirtualSession:
    """Shows trials to the subject; processes, decodes and records its EEG.

    A context manager: the recording is whole once it is left, however that is.

    Parameters
    ----------
    config : Config
    subject : SimulatedSubject
    folder : DemoFolder
        Cleared.
    pace : callable
        Called after each chunk with the virtual time, seconds; may wait.

    Attributes
    ----------
    decisions : list of Decision
    push_ms : list of float
        Milliseconds that the pipeline took for each chunk that brought a decision.
    """

    def __init__(
        self,
        config: Config,
        subject: SimulatedSubject,
        folder: DemoFolder,
        pace: Callable[[float], None],
    ) -> None:
        names = subject.ch_names
        self.info = StreamInfo(
            "simulated subject", subject.sfreq, names, ("eeg",) * len(names), source_id="simulated"
        )
        self.decisions: list[Decision] = []
        self.push_ms: list[float] = []
        self._config, self._subject, self._folder, self._pace = config, subject, folder, pace
        self._chunk = round(CHUNK_S * subject.sfreq)

    def __enter__(self) -> Self:
        folder = self._folder
        with ExitStack() as stack:
            stack.callback(folder.claim)  # last, when all files are closed
            folder.config.write_text(dump(self._config), encoding="utf-8")
            self._pipeline = Pipeline(self._config, self.info)
            self._pipeline.use(*load_decoder(self._config, self._pipeline.info))
            self._recorder = stack.enter_context(Recorder(folder.xdf, clock=lambda: self.now))
            self._samples_id = self._recorder.add_stream(self.info, dtype=np.float64)
            self._markers_id = self._recorder.add_marker_stream("markers")
            self._log = EventLog(folder.events, self.info)
            stack.callback(self._log.close)
            self._jsonl = JSONLinesOutput(path=folder.decisions).build()
            self._jsonl.open(self._pipeline.classes)
            stack.callback(self._jsonl.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def now(self) -> float:
        """Seconds of the virtual clock."""
        return self._subject.position / self._subject.sfreq

    def show(self, trial: Trial, *, until_decided: bool) -> Decision | None:
        """Play one trial; the flicker ends with the decision, if asked. The decision, if any."""
        before = len(self.decisions)
        for marker in trial.markers:
            ends_early = until_decided and marker.value == STIM_OFF
            self._advance(marker.t, (lambda: len(self.decisions) > before) if ends_early else None)
            self._mark(marker.value)
        self._advance(self.now + trial.stop_s - trial.markers[-1].t)
        return self.decisions[before] if len(self.decisions) > before else None

    def expect(self, proba: Mapping[str, float]) -> None:
        """Say how probable each target is in the trial that comes next."""
        self._push(Prior(self._subject.position, proba))

    def recording(self) -> Recording:
        """The recording so far, read from its file."""
        self._recorder.flush()
        return load_recording(self._folder.xdf)

    def decide_by(self, decoder: Any, manifest: Manifest) -> Manifest:
        """Save a trained decoder, and decide by it from the next sample on."""
        new = self._folder.models / "fbcca"
        model = save(decoder, manifest, new)
        new.rename(self._folder.models / model.model_id)
        self._push(
            DecoderSwap(
                self._pipeline.position, decoder, model.model_id, model.stopping,
                model.why_bypassed,
            )
        )  # fmt: skip
        return model

    def _advance(self, until_s: float, enough: Callable[[], bool] | None = None) -> None:
        stop = round(until_s * self._subject.sfreq)
        while (start := self._subject.position) < stop and not (enough and enough()):
            data = self._subject.generate(min(self._chunk, stop - start))
            stamps = (start + np.arange(len(data))) / self._subject.sfreq
            self._recorder.write_samples(self._samples_id, data, stamps)
            self._push(Chunk(start, data))
            self._pace(self.now)

    def _mark(self, value: str) -> None:
        at = self._subject.position
        self._subject.see(value)
        self._recorder.write_marker(self._markers_id, value, self.now)
        self._push(Marker(at, at, value))

    def _push(self, event: Event) -> None:
        if not isinstance(event, Chunk):
            self._log.append(event)
        began = time.perf_counter()
        found = self._pipeline.push(event)
        if found:
            self.push_ms.append((time.perf_counter() - began) * 1e3)
        for decision in found:
            timed = replace(
                decision,
                t_first=decision.first / self._subject.sfreq,
                t_last=decision.last / self._subject.sfreq,
                t_decision=self.now,
            )
            self.decisions.append(timed)
            self._jsonl.send(timed)
