"""The pipeline: events in, decisions out, deterministic.

No thread, no clock, no I/O. A live session, a replay, a benchmark and a test
push the same events into the same object and get the same decisions, whatever
the chunk sizes: an event that takes effect inside a chunk splits it there.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from itertools import count
from math import ceil
from typing import Any

import numpy as np

from bci.bar import FeedbackBar
from bci.channels import ChannelAdapter
from bci.config import Config
from bci.decision import Policy, Verdict, build_policy, noted
from bci.decoders import AdaptiveDecoder, Decoder, MomentsDecoder
from bci.decoders.learner import Learner
from bci.decoders.stopping import StoppingRule
from bci.dsp.chain import Chain
from bci.fusion import over_classes
from bci.types import (
    Bypass,
    Chunk,
    Command,
    Decision,
    DecoderSwap,
    Event,
    Feedback,
    Flag,
    FloatArray,
    Gap,
    Marker,
    Prior,
    StreamInfo,
    Window,
)
from bci.windows import WindowCutter

log = logging.getLogger(__name__)


class Pipeline:
    """Channels, processing, windows, decoder and decision for one stream.

    Parameters
    ----------
    config : Config
    info : StreamInfo
        The raw stream.
    decoder : Decoder or None
        None: windows are cut (see `windows`), nothing is decided.
    model : str
        Names the decoder in each decision.
    bypassed : mapping of int to str, or None
        Processing stages that are not in use from the start, and why.

    Attributes
    ----------
    info : StreamInfo
        The processed stream, as the decoder sees it.
    position : int
        Index of the next raw sample.
    adaptations : list of str
        What was changed to make the stream fit the configuration.
    classes : tuple of str
        Labels of the decoder.
    paused : bool
        No decisions are made at present.
    n_decoder_errors : int
        Windows on which the decoder failed, and what it failed to learn from.
    learner : Learner or None
        What the decoder has learnt in this session; None: it does not adapt.
    bypassed : dict of int to str
        Number of each processing stage that is by-passed: why.

    Raises
    ------
    ConfigError, StreamMismatch
        The configuration does not fit the stream.
    """

    def __init__(
        self,
        config: Config,
        info: StreamInfo,
        decoder: Decoder | None = None,
        model: str = "",
        bypassed: Mapping[int, str] | None = None,
    ) -> None:
        self.config = config
        self.raw_info = info
        self.adapter = ChannelAdapter(config.channels)
        self.chain = Chain([s.build() for s in config.processing])
        self.bypassed = dict(bypassed or {})
        for i in self.bypassed:
            self.chain.bypass(i)
        self.info = self._reset(0)
        self.adaptations: list[str] = self.adapter.adaptations
        self.ratio: Fraction = self.adapter.ratio * self.chain.ratio
        self.cutter = WindowCutter(
            config.window, config.quality, self.info.sfreq, self.info.n_channels, self.ratio,
            round(self.chain.lookahead),
        )  # fmt: skip
        self._policy: Policy = build_policy(config, info.sfreq)
        self._bar = FeedbackBar(config.labels)
        self._openers = set(config.window.markers or config.labels)
        self.position = 0
        self.paused = False
        self.n_decoder_errors = 0
        self._by_model: frozenset[int] = frozenset()  # those of them that the model asked for
        self._last = np.zeros(info.n_channels)  # newest good value of each channel
        self._pending: list[tuple[int, int, Event]] = []  # heap: at, order of arrival, event
        self._arrivals = count()
        self._prior: Mapping[str, float] | None = None  # waits for the next selection
        self._seq = 0
        self.use(decoder, model)

    def _reset(self, start: int, *, keep_calibration: bool = False) -> StreamInfo:
        adapted = self.adapter.reset(self.raw_info, start)
        at = ceil(start * self.adapter.ratio)
        return self.chain.reset(adapted, at, keep_calibration=keep_calibration)

    @property
    def delay_s(self) -> float:
        """Group delay of the processing in use, seconds."""
        return self.adapter.delay_s + self.chain.delay_s

    @property
    def bypassed_by_events(self) -> list[int]:
        """Stages that are by-passed whatever the model was trained with."""
        return sorted(self.bypassed.keys() - self._by_model)

    def use(
        self,
        decoder: Decoder | None,
        model: str,
        stopping: StoppingRule | None = None,
        bypassed: Mapping[int, str] | None = None,
    ) -> None:
        """Decide by `decoder` (before the first sample; later push a `DecoderSwap`).

        `stopping`: when growing windows are decided, as it was calibrated for this decoder.
        `bypassed`: stages that it was trained without, and why; they are by-passed, and those
        that only the decoder before was trained without come back.
        One that adapts is copied and starts as training left it: what it learns stays in
        this pipeline, and to swap in the same model again is a rollback.
        """
        self.learner = None
        if isinstance(decoder, AdaptiveDecoder):
            decoder = deepcopy(decoder)
            decoder.rollback()
            self.learner = Learner(decoder, decoder.classes_)
        self.decoder = decoder
        self.model = model
        by_moments = isinstance(decoder, MomentsDecoder)
        self.cutter.want_moments = by_moments
        self.cutter.want_data = not by_moments
        self.cutter.embedding = getattr(decoder, "embedding", (1, 1))
        self.classes = () if decoder is None else tuple(str(c) for c in decoder.classes_)
        self._policy.forget()
        self._policy.follow(stopping, self.classes)
        self._follow(bypassed or {})

    # --- events ------------------------------------------------------------------------------

    def push(self, event: Event) -> list[Decision]:
        """Take one event; return the decisions that it makes possible.

        An event with a later `at` waits for its sample, one with an earlier `at`
        takes effect now. Events of one `at` take effect in the order of their
        arrival.

        Raises
        ------
        ValueError
            Samples are missing before a chunk, or it has another number of channels.
        ConfigError
            A `Bypass` names a stage that is not there or cannot be by-passed.
        """
        decided = (self._decide(window) for window in self.windows(event))
        return [decision for decision in decided if decision is not None]

    def run(self, events: Iterable[Event]) -> Iterator[Decision]:
        """All decisions of a sequence of events."""
        for event in events:
            yield from self.push(event)

    def windows(self, event: Event) -> Iterator[Window]:
        """The windows that become complete with an event, also those of bad quality.

        To be run through to the end: the event is taken in meanwhile.
        """
        if isinstance(event, Chunk):
            yield from self._take(event)
        else:
            heapq.heappush(self._pending, (event.at, next(self._arrivals), event))
            yield from self._apply_due()

    def _take(self, chunk: Chunk) -> Iterator[Window]:
        n_channels = self.raw_info.n_channels
        if chunk.data.ndim != 2 or chunk.data.shape[1] != n_channels:
            raise ValueError(
                f"a chunk of shape {chunk.data.shape} comes, the stream has {n_channels} channels: "
                f"(n_samples, {n_channels}) is expected"
            )
        if chunk.start > self.position:
            raise ValueError(
                f"samples {self.position} to {chunk.start} are missing: push a Gap before them"
            )
        yield from self._apply_due()
        while self.position < chunk.stop:
            stop = min(chunk.stop, self.position + self.cutter.max_chunk)
            if self._pending:
                stop = min(stop, self._pending[0][0])
            piece = _part(chunk, self.position, stop)
            self.position = stop  # now, so that what a window triggers takes effect after it
            yield from self._process(piece)
            yield from self._apply_due()

    def _apply_due(self) -> Iterator[Window]:
        """Let the events take effect whose sample is reached; a gap may reach more of them."""
        while self._pending and self._pending[0][0] <= self.position:
            yield from self._apply(heapq.heappop(self._pending)[2])

    def _apply(self, event: Event) -> Iterator[Window]:
        if isinstance(event, Marker):
            self._bar.see(event.value)
            if event.value in self._openers and self.cutter.kind != "sliding":
                prior, self._prior = self._prior, None
                self.cutter.open_trial(event, prior)
                yield from self.cutter.due()
        elif isinstance(event, Gap):
            yield from self._break(event)
        elif isinstance(event, Prior):
            self._prior = event.proba
        elif isinstance(event, Command):
            self._pause(event.action == "pause")
        elif isinstance(event, DecoderSwap):
            self.use(event.decoder, event.model, event.stopping, event.bypassed)
        elif isinstance(event, Bypass):
            self._by_model -= {event.stage}  # from now on it is as somebody wanted it
            self._bypass(event.stage, event.active, event.reason)
        elif isinstance(event, Feedback):
            self._learn(event)

    def _follow(self, bypassed: Mapping[int, str]) -> None:
        """By-pass the stages that the model was trained without; use those of the last again."""
        for i in sorted(self._by_model - bypassed.keys()):
            self._bypass(i, False, "the model was trained with it")
        others = self.bypassed.keys() - self._by_model
        self._by_model = frozenset(bypassed.keys() - others)
        for i in sorted(self._by_model):
            self._bypass(i, True, bypassed[i])

    def _bypass(self, i: int, active: bool, reason: str) -> None:
        self.chain.bypass(i, active)
        if (i in self.bypassed) == active:
            return
        name, why = self.config.processing[i].kind, f": {reason}" if reason else ""
        if active:
            self.bypassed[i] = reason
            log.warning("from sample %d on stage '%s' is by-passed%s", self.position, name, why)
        else:
            del self.bypassed[i]
            log.info("from sample %d on stage '%s' is in use again%s", self.position, name, why)

    def _pause(self, paused: bool) -> None:
        if paused != self.paused:
            self._policy.forget()
        self.paused = paused

    def _break(self, gap: Gap) -> Iterator[Window]:
        lost = gap.resume <= self.position  # never received, so that no index counts them
        self.position = max(gap.resume, self.position)
        self._reset(self.position, keep_calibration=True)
        nothing = Chunk(self.position, np.empty((0, self.raw_info.n_channels)))
        resume = self.chain(self.adapter(nothing)).start  # where the processed stream goes on
        self.cutter.break_at(resume, gap.reason, lost)
        self._policy.forget()
        yield from self.cutter.due()

    # --- samples to windows --------------------------------------------------------------------

    def _process(self, chunk: Chunk) -> Iterator[Window]:
        self.cutter.add(self.chain(self.adapter(self._finite(chunk))))
        yield from self.cutter.due()

    def _finite(self, chunk: Chunk) -> Chunk:
        """Hold the last good value where a sample is not finite, and flag it.

        A NaN would stay in a recursive filter for ever.
        """
        data = chunk.data
        finite = np.isfinite(data)
        if finite.all():
            self._last = data[-1].copy()
            return chunk
        data = np.array(data, dtype=np.float64)
        flags = list(chunk.flags)
        for k in np.flatnonzero(~finite.all(axis=0)):
            good, name = finite[:, k], self.raw_info.ch_names[k]
            rows = np.maximum.accumulate(np.where(good, np.arange(1, len(data) + 1), 0))
            held = np.concatenate([self._last[k : k + 1], data[:, k]])
            data[:, k] = held[rows]  # row 0: the last good value of the chunk before
            edges = np.flatnonzero(np.diff(np.concatenate([[True], good, [True]])))
            flags += [
                Flag(chunk.start + int(a), chunk.start + int(b), "non-finite", name)
                for a, b in edges.reshape(-1, 2)
            ]
        self._last = data[-1]
        return replace(chunk, data=data, flags=tuple(flags))

    # --- windows to decisions --------------------------------------------------------------------

    def _decide(self, window: Window) -> Decision | None:
        if self.decoder is None or self.paused:
            return None
        proba = None
        if window.quality.ok:
            try:
                proba = self._probabilities(window)
            except Exception as error:  # of any decoder, also one from another package
                self._count_error(f"on samples {window.first} to {window.last}", error)
                window = replace(window, quality=noted(window.quality, "decoder-error"))
        if proba is None:
            verdict = self._policy.abstain(window)
        else:
            prior = None if window.prior is None else over_classes(window.prior, self.classes)
            verdict = self._policy.decide(window, proba, prior)
        if verdict is None:
            return None
        decision = self._word(window, verdict, proba)
        if self.learner is not None:
            self._adapt(self.learner, window, decision.seq, verdict, decoded=proba is not None)
        return decision

    def _adapt(
        self, learner: Learner, window: Window, seq: int, verdict: Verdict, *, decoded: bool
    ) -> None:
        if not decoded:
            learner.rejected()
            return
        try:
            learner.decided(window, seq, verdict.index)
        except Exception as error:
            self._count_error(f"to learn from samples {window.first} to {window.last}", error)

    def _probabilities(self, window: Window) -> FloatArray:
        decoder: Any = self.decoder
        if window.moments is not None:
            proba = decoder.predict_proba_moments(window.moments)
        elif window.data is not None:
            proba = decoder.predict_proba(window.data[np.newaxis])[0]
        else:
            raise ValueError("the window is too short for the decoder's order and lag")
        proba = np.asarray(proba, dtype=np.float64)
        if proba.shape != (len(self.classes),) or not np.isfinite(proba).all():
            raise ValueError(f"not a probability for each of {len(self.classes)} labels: {proba}")
        return proba

    def _learn(self, feedback: Feedback) -> None:
        learn = getattr(self.decoder, "feedback", None)
        try:
            if self.learner is not None:
                self.learner.feedback(feedback)
            elif learn is not None and feedback.label is None:
                learn(feedback.seq, feedback.correct)
        except Exception as error:
            self._count_error(f"on the feedback to decision {feedback.seq}", error)

    def _count_error(self, where: str, error: Exception) -> None:
        self.n_decoder_errors += 1
        n = self.n_decoder_errors
        if n & (n - 1) == 0:  # the 1st, 2nd, 4th, 8th …: it may fail on every window
            log.warning(
                "decoder failed %s: %s: %s (error %d)", where, type(error).__name__, error, n
            )

    def _word(self, window: Window, verdict: Verdict, decoded: FloatArray | None) -> Decision:
        if verdict.reason is not None:
            window = replace(window, quality=noted(window.quality, verdict.reason))
        self.cutter.close_trial(window.marker)
        proba = self._by_label(verdict.proba)
        decision = Decision(
            seq=self._seq,
            first=window.first,
            last=window.last,
            label=None if verdict.index is None else self.classes[verdict.index],
            proba=proba,
            quality=window.quality,
            model=self.model,
            delay_s=self.delay_s,
            marker=window.marker.value if window.marker else None,
            forced=verdict.forced,
            bar=self._bar.move(proba),
            prior=verdict.prior,
            proba_decoder=self._by_label(decoded if verdict.prior else None),
        )
        self._seq += 1
        return decision

    def _by_label(self, proba: FloatArray | None) -> dict[str, float]:
        return {} if proba is None else dict(zip(self.classes, proba.tolist(), strict=True))


def _part(chunk: Chunk, start: int, stop: int) -> Chunk:
    """Samples ``[start, stop)`` of a chunk, with the flags that lie in them."""
    if (start, stop) == (chunk.start, chunk.stop):
        return chunk
    data = chunk.data[start - chunk.start : stop - chunk.start]
    clipped = (replace(f, start=max(f.start, start), stop=min(f.stop, stop)) for f in chunk.flags)
    return Chunk(start, data, tuple(f for f in clipped if f.start < f.stop))
