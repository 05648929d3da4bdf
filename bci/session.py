"""A live session: every thread of the engine is started and joined here.

    source thread   owns the source; indexes what arrives        (`bci.acquisition`)
    marker thread   owns the LSL marker inlet, where there is one
    decode thread   pushes events into the pipeline, publishes decisions
    recorder        writes the recording                         (`bci.recording`)
    ladder          waits for comparisons of decoders            (`bci.calibration`)
    paradigm        waits for the training after calibration runs
    outputs         one thread each, behind bounded queues       (`bci.outputs.queue`)
    API             HTTP and WebSocket                           (`bci.api`)

`start` returns when all of them run, or raises the error that kept one from it.
`stop` ends them in the order of the data's way, so that the last chunk is
decoded, recorded and sent.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from threadpoolctl import threadpool_limits

from bci import __version__
from bci.acquisition import StreamReader
from bci.calibration.climber import Climber
from bci.calibration.conductor import Conductor
from bci.calibration.worker import TrainingWorker
from bci.clock import now
from bci.config import Config, dump
from bci.decoders.artifact import ModelSettings, bypassed, load_decoder
from bci.errors import BciError, ConfigError, RecordingError, UntrainedDecoder
from bci.fusion import check
from bci.inbox import Inbox, Item
from bci.outputs.queue import OutputWorker
from bci.paradigms.graz import GrazTimetable
from bci.pipeline import Pipeline
from bci.recording.run import RunRecorder
from bci.ring import RingBuffer
from bci.sources import Source
from bci.sources.markers import LSLMarkers
from bci.stage_watch import StageWatch
from bci.telemetry import Telemetry
from bci.types import (
    Bypass,
    Chunk,
    Command,
    Decision,
    DecoderSwap,
    Event,
    Feedback,
    Gap,
    Marker,
    Prior,
    RawMarker,
    SourceState,
    StreamInfo,
)

log = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 60.0
OUTPUT_TIMEOUT_S = 5.0
#: Time that a thread gets to end; the recording is closed even when one hangs.
JOIN_TIMEOUT_S = 10.0
#: Data that may wait for the decoder before it jumps to the newest, seconds.
BACKLOG_S = 5.0
#: Where the token for control lies while the API runs.
TOKEN_FILE = ".bci-token"
#: Markers that may wait for the first samples.
MAX_EARLY_MARKERS = 1000
#: Newest markers in the status, for clients that draw them.
N_SHOWN_MARKERS = 64


class Session:
    """Runs one configuration until it is stopped or its source ends.

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.telemetry = Telemetry(config.window.hop_s)
        self.pipeline: Pipeline | None = None
        self.error: BciError | None = None
        self.done = threading.Event()
        #: Times real speed at which a recording or simulation runs; None: without a pace.
        self._speed: float | None = getattr(config.source, "speed", 1.0)
        self._conductor: Conductor | None = None
        self._reader = StreamReader(
            self._source(),
            config.markers,
            lambda info: Inbox(max(1, round(BACKLOG_S * info.sfreq))),
            on_jump=lambda jump: self.telemetry.count_jump(),
            on_gap=self.telemetry.count_gap,
            waits=self._speed is None,
        )
        self._marker_inlet = LSLMarkers(config.markers) if config.markers.kind == "lsl" else None
        self._markers_opened: Future[None] = Future()
        self._outputs = [OutputWorker(settings.build()) for settings in config.outputs]
        self._record: RunRecorder | None = None
        self._api: Any = None
        self._trainer: TrainingWorker | None = None
        self._climber: Climber | None = None
        self._id = uuid.uuid4().hex  # tells a client that another session answers now
        self._early: list[RawMarker] = []
        self._shown: deque[Marker] = deque(maxlen=N_SHOWN_MARKERS)
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._last_label: str | None = None
        self._n_skipped_seen = 0
        self._told_trouble: str | None = None

    def _source(self) -> Source:
        """The source; one that can show the session's paradigm does."""
        source: Any = self.config.source.build()
        if self.config.paradigm is not None and hasattr(source, "follow"):
            source.follow(
                GrazTimetable(self.config.paradigm),
                lambda: self._conductor is not None and self._conductor.ready.is_set(),
            )
        return cast(Source, source)

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Open everything, then let the samples flow.

        Raises
        ------
        BciError
            The first part that could not be opened; all others are closed again.
        """
        try:
            if self._marker_inlet is not None:  # beside the source: a replay sends once it is heard
                self._thread("markers", self._read_markers)
            info = self._open_source()
            self._open_pipeline(info)
            self._open_record(info)
            self._open_ladder()
            self._open_paradigm()
            self._open_outputs()
            if self._marker_inlet is not None:
                self._markers_opened.result(OPEN_TIMEOUT_S)
            self._open_api()
        except BaseException:
            self.stop()
            raise
        gc.collect()
        gc.freeze()  # what is loaded now stays; the collector need not walk it while streaming
        self._thread("decode", self._decode)
        if self._climber is not None:
            self._thread("ladder", self._climb)
        if self._conductor is not None:
            self._thread("paradigm", self._conduct)
        self._reader.go.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source has ended and all is decoded; False when time ran out."""
        return self.done.wait(timeout_s)

    def run_until(self, asked_to_stop: threading.Event, seconds: float | None = None) -> None:
        """Return when asked to stop, when `seconds` are over, or when the source has ended."""
        end = None if seconds is None else now() + seconds
        while not asked_to_stop.wait(0.1) and not self.done.is_set():
            self._tell_trouble()
            if end is not None and now() >= end:
                return

    def stop(self) -> None:
        """Stop in the order of the data's way; harmless when called twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._climber is not None:
            self._climber.cancel()
        if self._conductor is not None:
            self._conductor.cancel()
        self._reader.stop()
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT_S)
            if thread.is_alive() and self.error is None:
                self.error = BciError(
                    f"the thread {thread.name} did not end within {JOIN_TIMEOUT_S:g} s and was "
                    "left behind; the recording is closed"
                )
        if self._trainer is not None:
            self._trainer.cancel()
        for output in self._outputs:
            output.close()
        if self._api is not None:
            self._api.stop()
        if self._record is not None:
            self._record.close()
        self.done.set()
        if self.error is None:
            self.error = self._reader.error
        if self.error is None and self._record is not None and self._record.trouble is not None:
            self.error = RecordingError(self._record.trouble)

    def _tell_trouble(self) -> None:
        """Log what is wrong with the recording, once."""
        trouble = None if self._record is None else self._record.trouble
        if trouble is not None and trouble != self._told_trouble:
            log.error("%s", trouble)
        self._told_trouble = trouble

    def _thread(self, name: str, body: Any) -> None:
        thread = threading.Thread(target=body, name=f"bci-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _open_source(self) -> StreamInfo:
        self._thread("source", self._reader.run)
        try:
            return self._reader.opened.result(OPEN_TIMEOUT_S)
        except TimeoutError as error:
            raise BciError(
                f"the source '{self.config.source.kind}' did not open within {OPEN_TIMEOUT_S:g} s"
            ) from error

    def _open_pipeline(self, info: StreamInfo) -> None:
        self.pipeline = Pipeline(self.config, info)
        self._watch = StageWatch(self.pipeline)
        if self.config.decoder is not None:
            self._use_decoder(self.pipeline)
        for adaptation in self.pipeline.adaptations:
            log.info("adapted: %s", adaptation)

    def _use_decoder(self, pipeline: Pipeline) -> None:
        try:
            pipeline.use(*load_decoder(self.config, pipeline.info), bypassed(self.config))
        except UntrainedDecoder as error:
            if self.config.paradigm is not None and self.config.paradigm.calibration_runs:
                log.info("%s; this session trains it after its calibration runs", error)
                return
            if self.config.recording is None or self.config.api is None:
                raise
            log.warning(
                "%s; until then this session records, decides nothing, and can be calibrated "
                "through POST /v1/calibration",
                error,
            )

    def _open_record(self, info: StreamInfo) -> None:
        if self.config.recording is None:
            return
        self._record = RunRecorder(
            self.config.recording, self.config.participant, dump(self.config), info
        )
        decoder = self.config.decoder
        if isinstance(decoder, ModelSettings):
            self._record.keep_model(decoder.path, self._pipeline.model)
        self._reader.record = self._record
        log.info("recording to %s", self._record.paths.xdf)

    def _open_ladder(self) -> None:
        if self.config.ladder is None or self._record is None:
            return
        if self._pipeline.decoder is None:
            raise ConfigError(
                "a ladder starts on a decoder that needs no training, such as fbcca; "
                f"'{self.config.decoder and self.config.decoder.kind}' does"
            )
        self._climber = Climber(self.config, self._pipeline, self._record)

    def _open_paradigm(self) -> None:
        if self.config.paradigm is not None and self._record is not None:
            self._conductor = Conductor(self.config.paradigm, self._record)

    def _open_outputs(self) -> None:
        labels = self._pipeline.classes or tuple(self.config.events)
        for output in self._outputs:
            output.start(labels)
        for output in self._outputs:
            if not output.wait_open(OUTPUT_TIMEOUT_S):
                raise BciError(f"output {output.name} does not open: {output.last_error}")

    def _open_api(self) -> None:
        if self.config.api is None:
            return
        from bci.api.server import ApiServer

        api = self.config.api
        folder = self._record.paths.folder if self._record is not None else Path.cwd()
        self._api = ApiServer(
            self, api.host, api.port, token=api.token, token_file=folder / TOKEN_FILE,
            origins=api.origins,
        )  # fmt: skip
        self._api.start()
        log.info("API on %s", self._api.url)

    # --- threads -------------------------------------------------------------------------------

    def _read_markers(self) -> None:
        inlet = self._marker_inlet
        assert inlet is not None
        try:
            inlet.open()
        except BaseException as error:
            self._markers_opened.set_exception(error)
            return
        self._markers_opened.set_result(None)
        self._reader.go.wait()
        try:
            while not self._stopping.is_set() and not self._reader.ended.is_set():
                for marker in inlet.read(0.1):
                    self._reader.take_marker(marker)
        except BciError as error:
            self._fail(error)
        except Exception as error:
            log.exception("the marker thread failed")
            self._fail(BciError(f"the marker thread failed: {type(error).__name__}: {error}"))
        finally:
            inlet.close()

    def _decode(self) -> None:
        inbox = self._reader.inbox
        try:
            with threadpool_limits(1):
                while (items := inbox.get(0.1)) is not None:
                    for item in items:
                        self._take(item)
                    self.telemetry.backlog_samples = inbox.backlog
                    self.telemetry.effective_rate_hz = float(self._reader.dejitter.sfreq)
                    self._count_skipped(inbox)
        except Exception as error:
            log.exception("the decode thread failed")
            self._fail(BciError(f"the decode thread failed: {type(error).__name__}: {error}"))
        finally:
            self.done.set()

    def _climb(self) -> None:
        assert self._climber is not None
        while not self._stopping.is_set():
            self._climber.look_when_due(0.1)

    def _conduct(self) -> None:
        assert self._conductor is not None
        while not self._stopping.is_set():
            self._conductor.train_when_due(
                0.1, self.swap_decoder, lambda: self._pipeline.bypassed_by_events
            )

    def _fail(self, error: BciError) -> None:
        log.error("%s", error)
        self.error = error
        self._reader.stop()

    def _take(self, item: Item) -> None:
        event = item.event
        if isinstance(event, Chunk):
            began = now()
            self._push(event, item.arrived)
            self.telemetry.observe_push(len(event.data), self._reader.info.sfreq, now() - began)
            for bypass in self._watch.observe(len(event.data) / self._reader.info.sfreq):
                self._push(bypass, item.arrived)
            self._place_early_markers(item.arrived)
            if self._climber is not None:
                self._climber.advance(self._pipeline.position)
        elif isinstance(event, RawMarker):
            self._place(event, item.arrived)
        elif isinstance(event, Gap):
            self._push(event, item.arrived)
        else:  # takes effect with the next sample
            self._push(replace(event, at=self._pipeline.position), item.arrived)

    def _place(self, raw: RawMarker, arrived: float) -> None:
        """Give a marker its sample, as soon as samples have times."""
        index = raw.index
        if index is None:
            if not self._reader.dejitter.ready:
                self._early = [*self._early[-MAX_EARLY_MARKERS + 1 :], raw]
                return
            index = self._reader.dejitter.index_of(raw.t)
        marker = Marker(self._pipeline.position, index, raw.value)
        self._shown.append(marker)
        if self._climber is not None:
            if self._climber.opens(raw.value) and (swap := self._climber.swap(marker.at)):
                self._push(swap, arrived)
            self._climber.see(marker)
        self._push(marker, arrived)
        if self._conductor is not None:
            self._conductor.see(marker.value)

    def _place_early_markers(self, arrived: float) -> None:
        early, self._early = self._early, []
        for raw in early:
            self._place(raw, arrived)

    def _push(self, event: Event, arrived: float) -> None:
        if self._record is not None and not isinstance(event, Chunk):
            self._record.event(event)
        if isinstance(event, Bypass):
            self._watch.see(event)
        for decision in self._pipeline.push(event):
            self._publish(decision, arrived)

    def _publish(self, decision: Decision, arrived: float) -> None:
        dejitter, t = self._reader.dejitter, now()
        decision = replace(
            decision,
            t_first=dejitter.time_of(decision.first),
            t_last=dejitter.time_of(decision.last),
            t_decision=t,
            latency_ms=(t - arrived) * 1e3,
        )
        for output in self._outputs:
            output.put(decision)
        if self._api is not None:
            self._api.publish(decision)
        if self._record is not None:
            self._record.decision(decision)
        if decision.label is not None or decision.abstained:
            self._last_label = decision.label
        self.telemetry.observe_decision(
            decision.latency_ms, abstained=decision.abstained, reasons=decision.quality.reasons,
            repaired=decision.quality.repaired,
        )  # fmt: skip

    def _count_skipped(self, inbox: Inbox) -> None:
        n = inbox.n_skipped - self._n_skipped_seen
        if n:
            self._n_skipped_seen += n
            self.telemetry.count_drops("decoder", n)
            self.telemetry.count_gap()
            log.warning("the decoder was behind and skipped %d samples", n)

    # --- what a client may ask (bci.api.Engine) ------------------------------------------------

    @property
    def _pipeline(self) -> Pipeline:
        return cast(Pipeline, self.pipeline)

    @property
    def stream(self) -> tuple[RingBuffer, StreamInfo] | None:
        """Newest raw samples, and what they are."""
        if self.pipeline is None:
            return None
        return self._reader.ring, self._reader.info

    @property
    def outputs(self) -> Sequence[OutputWorker]:
        """Where decisions are sent."""
        return tuple(self._outputs)

    @property
    def record(self) -> RunRecorder | None:
        """What this run leaves on disk; None where nothing is recorded."""
        return self._record

    @property
    def api_url(self) -> str | None:
        """Where the API listens, with the port it really has."""
        return None if self._api is None else str(self._api.url)

    def status(self) -> dict[str, Any]:
        """All there is to show, JSON-able."""
        reader, pipeline = self._reader, self._pipeline
        n, line = reader.n_received, reader.dejitter
        return {
            "version": __version__,
            "session": self._id,
            "pid": os.getpid(),
            "clock": now(),
            "source": {
                "kind": self.config.source.kind,
                "name": reader.info.name,
                "state": reader.state.value,
                "sfreq": reader.info.sfreq,
                "ch_names": list(reader.info.ch_names),
                "n_received": n,
                "t_next": line.time_of(n) if line.ready else None,
                "clock_jumps": reader.dejitter.n_jumps,
            },
            "markers": {
                "kind": self.config.markers.kind,
                "connected": self._marker_inlet is None or self._marker_inlet.connected,
                "newest": [{"onset": m.onset, "value": m.value} for m in self._shown.copy()],
            },
            "processing": {
                "ch_names": list(pipeline.info.ch_names),
                "sfreq": pipeline.info.sfreq,
                "delay_s": pipeline.delay_s,
                "adaptations": pipeline.adaptations,
                "stages": self.stages(),
            },
            "decoder": {
                "model": pipeline.model,
                "labels": list(pipeline.classes),
                "errors": pipeline.n_decoder_errors,
                "last_label": self._last_label,
                "adaptation": None if pipeline.learner is None else pipeline.learner.status(),
            },
            "decision": self.config.decision.model_dump(),
            "paused": pipeline.paused,
            "calibration": None if self._trainer is None else self._trainer.status(),
            "paradigm": None if self._conductor is None else self._conductor.status(),
            "ladder": None if self._climber is None else self._climber.status(),
            "recording": None if self._record is None else self._record.status(),
            "outputs": [
                {
                    "name": o.name,
                    "sent": o.n_sent,
                    "dropped": o.n_dropped,
                    "errors": o.n_errors,
                    "waiting": o.backlog,
                    "last_error": o.last_error,
                }
                for o in self._outputs
            ],
            "telemetry": self.telemetry.snapshot(),
        }

    def stages(self) -> list[dict[str, Any]]:
        """The processing stages, see `StageWatch.status`; empty before the source is open."""
        return [] if self.pipeline is None else self._watch.status()

    def health(self) -> tuple[bool, list[str]]:
        """Whether samples come in, are decoded and are recorded; and what is wrong."""
        wrong = []
        if self._reader.state is not SourceState.LIVE:
            wrong.append(f"source is {self._reader.state.value}")
        if self._marker_inlet is not None and not self._marker_inlet.connected:
            wrong.append("the marker stream is lost")
        if self.error is not None:
            wrong.append(str(self.error))
        if self._record is not None and (trouble := self._record.trouble) is not None:
            wrong.append(trouble)
        wrong += [f"{o.name}: {o.last_error}" for o in self._outputs if o.last_error]
        return not wrong, wrong

    def command(self, action: Any) -> None:
        """Pause or resume deciding."""
        self._reader.inbox.put(Command(0, action), now())

    def insert_marker(self, value: str, t: float | None = None) -> None:
        """Mark the present sample, or the one at time `t` of `bci.clock.now`.

        Raises
        ------
        ConfigError
            `t` lies further from now than what is kept, or the source runs at another speed.
        """
        if t is not None:
            self._check_time(t)
        tell = getattr(self._reader.source, "tell", None)
        if tell is not None and tell(value, t):
            return  # the source places it, and gives it back with its sample
        if t is not None:
            self._reader.take_marker(RawMarker(value, t))
            return
        index, t = None, now()
        if self._speed != 1.0 and self._reader.dejitter.ready:  # its stamps leave the clock behind
            index = self._reader.n_received
            t = self._reader.dejitter.time_of(index)
        self._reader.take_marker(RawMarker(value, t, index))

    def _check_time(self, t: float) -> None:
        if self._speed != 1.0:
            raise ConfigError(
                "a marker's time says nothing where the source does not run at real speed; leave "
                "'t' out to mark the present sample"
            )
        late = now() - t
        if abs(late) > BACKLOG_S:
            where = "back" if late > 0 else "ahead"
            raise ConfigError(
                f"the marker's time lies {abs(late):.1f} s {where}; it must be within "
                f"{BACKLOG_S:g} s of the engine's clock, which is 'clock' in the status"
            )

    def feedback(self, seq: int, correct: bool | None = None, label: str | None = None) -> None:
        """Say whether decision `seq` was right, or its right label, for decoders that learn."""
        self._reader.inbox.put(Feedback(0, seq, correct, label), now())

    def expect(self, proba: Mapping[str, float] | None) -> None:
        """Say how probable the labels of the next selection are; None: take it back.

        Raises
        ------
        ConfigError
            It is no probability for each of the decoder's labels, or nothing here uses it.
        """
        if proba is not None:
            check(proba, self._pipeline.classes, self.config)
        self._reader.inbox.put(Prior(0, proba), now())

    def bypass(self, stage: int, active: bool) -> None:
        """By-pass a processing stage from the next sample on, or use it again.

        Raises
        ------
        ConfigError
            There is no such stage, or it changes channels or rate.
        """
        self._reader.inbox.put(self._watch.asked(stage, active), now())

    def swap_decoder(self, path: Path) -> None:
        """Load a model artifact and decide by it from the next sample on."""
        config = self.config.model_copy(update={"decoder": ModelSettings(path=path)})
        decoder, name, stopping = load_decoder(config, self._pipeline.info)
        if self._record is not None:
            self._record.keep_model(path, name)
        if self._climber is not None:
            self._climber.end()
        swap = DecoderSwap(0, decoder, name, stopping, bypassed(config))
        self._reader.inbox.put(swap, now())

    def climb(self, action: Any) -> None:
        """Compare the ladder's rungs now, or go back to the rung before."""
        if self._climber is None:
            raise ConfigError("this session has no ladder: name its rungs under 'ladder'")
        if action == "look":
            self._climber.look()
        else:
            self._climber.rollback()

    def calibrate(self, action: Any, decoder: str | None) -> None:
        """Train on what was recorded since calibration started, in a worker process."""
        if self._record is None:
            raise ConfigError(
                "calibration trains on the session's recording, but the configuration records "
                "nothing: add a 'recording:' section"
            )
        if action == "start":
            self._trainer = TrainingWorker(decoder, self._reader.n_received)
        elif self._trainer is None:
            raise ConfigError(f"calibration cannot {action}: it was not started")
        elif action == "cancel":
            self._trainer.cancel()
            self._trainer = None
        else:
            self._record.flush()
            paths = self._record.paths
            self.swap_decoder(self._trainer.train(paths, self._pipeline.bypassed_by_events))
            self._trainer = None
