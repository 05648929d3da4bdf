"""Pseudo-online evaluation: a recording goes through the live pipeline, idle time included.

Epoched scores ask which class a trial was, given that it was one. A person
using the decoder is also at rest, between trials and looking elsewhere; here
the continuous recording is pushed through the very `bci.pipeline.Pipeline` of a
live session with free-running windows, and what comes out is judged by
`bci.benchmark.matching.RULES`. The decisions are those of `bci replay` on the
same file, whatever the chunk sizes.

Carrara & Papadopoulo (2024). Pseudo-online framework for BCI evaluation: a
MOABB perspective using various MI and SSVEP datasets. J. Neural Eng. 21, 016003.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import ceil, nan
from time import perf_counter
from typing import Any

import numpy as np

from bci import eventlog
from bci.benchmark.data import ContinuousSession
from bci.benchmark.matching import Matched, Rules, match, spans
from bci.benchmark.outcome import PseudoOnlineResult, mean_of, pool
from bci.config import Config
from bci.decoders import Decoder
from bci.errors import ConfigError
from bci.metrics import itr
from bci.pipeline import Pipeline
from bci.playback import events, log_beside
from bci.sources.files import Recording
from bci.types import Decision, Event, FloatArray, Gap, Marker

__all__ = [
    "PseudoOnlineResult",
    "Rules",
    "evaluate",
    "first_window",
    "judge",
    "pool",
    "rules_for",
    "run",
]


def evaluate(
    session: ContinuousSession,
    config: Config,
    decoder: Decoder,
    model: str,
    *,
    reaction_s: float = 0.0,
    tolerance_s: float = 0.0,
    gaze_shift_s: float = 0.5,
    idle_labels: Sequence[str] | None = None,
    n_bins: int = 10,
    chunk: int | Sequence[int] | None = None,
) -> PseudoOnlineResult:
    """Push a recording through the live pipeline and judge what comes out.

    Parameters
    ----------
    session : ContinuousSession
        Its `labels` and `idle` say what was asked when; those of the configuration
        are not used.
    config : Config
        Channels, processing, sliding window, quality and decision; its `decoder` is
        not used.
    decoder : Decoder
        Fitted on other data, or training-free.
    model : str
        Names it in the decisions.
    reaction_s, tolerance_s, gaze_shift_s, idle_labels, n_bins
        See `rules_for` and `bci.benchmark.matching.Rules`.
    chunk : int, sequence of int or None
        Samples at once, as for `Recording.events`; None: one hop, as live. No figure but
        `decode_ms` depends on it.

    Raises
    ------
    ConfigError
        Windows are not free-running, no marker of the recording is labelled, or the
        decoder does not know a label that is asked for.
    StreamMismatch
        Configuration and recording do not fit.
    """
    pipeline = Pipeline(config, session.recording.info, decoder, model)
    _must_slide(config)
    rules = rules_for(
        session, reaction_s=reaction_s, tolerance_s=tolerance_s, gaze_shift_s=gaze_shift_s,
        idle_labels=idle_labels, n_bins=n_bins,
    )  # fmt: skip
    decisions, decode_ms = run(pipeline, session.recording, chunk)
    return judge(session, decisions, pipeline.classes, rules, first_window(pipeline), decode_ms)


def rules_for(
    session: ContinuousSession, *, idle_labels: Sequence[str] | None = None, **more: Any
) -> Rules:
    """Rules for a session; idle labels None: "rest" and the labels of its markers of rest."""
    if idle_labels is None:
        of_markers = (session.labels.get(v, "rest") for v in session.idle)
        idle_labels = sorted({"rest", *of_markers})
    return Rules(idle_labels=tuple(idle_labels), **more)


def run(
    pipeline: Pipeline, recording: Recording, chunk: int | Sequence[int] | None = None
) -> tuple[list[Decision], FloatArray]:
    """Decisions of a recording, and the milliseconds that each window took.

    A push that completes several windows shares its time among them.
    """
    decisions: list[Decision] = []
    decode_ms: list[float] = []
    done = 0
    for event in _as_recorded(recording, chunk or _hop(pipeline)):
        began = perf_counter()
        decisions += pipeline.push(event)
        took = 1e3 * (perf_counter() - began)
        cutter = pipeline.cutter
        complete = max(0, (cutter.ring.written - cutter.length) // cutter.hop + 1)
        decode_ms += [took / (complete - done)] * (complete - done) if complete > done else []
        done = complete
    return decisions, np.array(decode_ms)


def judge(
    session: ContinuousSession,
    decisions: Iterable[Decision],
    classes: Sequence[str],
    rules: Rules,
    from_sample: int = 0,
    decode_ms: FloatArray | None = None,
) -> PseudoOnlineResult:
    """Judge the decisions of one session by `bci.benchmark.matching.RULES`.

    Parameters
    ----------
    session : ContinuousSession
    decisions : iterable of Decision
        In order of time.
    classes : sequence of str
        All labels that the decoder may say.
    rules : Rules
    from_sample : int
        Where idle time begins: the end of the first window.
    decode_ms : array or None
        See `run`.

    Raises
    ------
    ConfigError
        No marker of the recording is labelled, or a label cannot be said.
    """
    recording, sfreq = session.recording, session.recording.info.sfreq
    active = [c for c in classes if c not in rules.idle_labels]
    markers = [(m.index or 0, m.value) for m in recording.markers]
    n_stim, n_reaction, n_tolerance = (
        round(seconds * sfreq) for seconds in (session.stim_s, rules.reaction_s, rules.tolerance_s)
    )
    found = spans(
        markers, session.labels, session.idle, recording.n_samples, n_stim, n_reaction, n_tolerance
    )
    asked = {span.label for span in found if span.label is not None}
    _check(session, rules, asked, bool(found), active)
    matched = match(
        decisions, found, rules.idle_labels, sfreq, min(from_sample, recording.n_samples),
        recording.n_samples,
    )  # fmt: skip
    return PseudoOnlineResult(
        matched.trials, matched.false, matched.n_idle_right, matched.n_idle_in_trials,
        matched.n_abstained, matched.abstentions, matched.idle_s / 60.0, matched.rest_s / 60.0,
        len(active), (_itrs(matched, len(active), rules.gaze_shift_s),), matched.said,
        matched.said_idle, np.empty(0) if decode_ms is None else decode_ms, rules.n_bins,
        rules.text(session.stim_s, len(active)),
    )  # fmt: skip


def first_window(pipeline: Pipeline) -> int:
    """Raw samples after which the first sliding window is complete."""
    return ceil(pipeline.cutter.length / pipeline.ratio)


def _hop(pipeline: Pipeline) -> int:
    return max(1, round(pipeline.cutter.hop / pipeline.ratio))


def _as_recorded(recording: Recording, chunk: int | Sequence[int]) -> Iterator[Event]:
    """As `bci.playback.session_events`, without what was done to the decoder of that day.

    Of a session's log only gaps and markers count: a pause, another decoder or a
    by-passed stage belonged to the configuration that was live then.
    """
    path = log_beside(recording.path)
    if path is None:
        return events(recording, chunk=chunk)
    kept = [event for event in eventlog.read(path) if isinstance(event, Gap | Marker)]
    return events(recording, kept, chunk)


def _must_slide(config: Config) -> None:
    if config.window.kind != "sliding":
        raise ConfigError(
            "pseudo-online evaluation needs free-running windows: set window.kind to 'sliding', "
            f"found '{config.window.kind}', which is told when a trial begins"
        )


def _check(
    session: ContinuousSession,
    rules: Rules,
    asked: set[str],
    any_span: bool,
    active: Sequence[str],
) -> None:
    """Refuse what could only give figures without a meaning."""
    name = f"{session.dataset}, subject {session.subject}, session {session.session}"
    if not rules.reaction_s < session.stim_s:
        raise ConfigError(
            f"{name}: reaction_s is {rules.reaction_s:g} s, the stimulation only "
            f"{session.stim_s:g} s: no decision could be an answer"
        )
    if not any_span:
        there = Counter(m.value for m in session.recording.markers).most_common(12)
        listed = ", ".join(f"{value!r} ({n})" for value, n in there) or "none"
        wanted = ", ".join(map(repr, [*session.labels, *session.idle])) or "none"
        raise ConfigError(f"{name}: no marker is labelled: labels are for {wanted}; found {listed}")
    if missing := sorted(asked - set(active)):
        raise ConfigError(
            f"{name}: asks for {', '.join(map(repr, missing))}, which the decoder never says "
            f"(its labels: {', '.join(map(repr, active)) or 'none but idle'})"
        )


def _itrs(matched: Matched, n_classes: int, gaze_shift_s: float) -> tuple[float, float]:
    """Bit/min of one session, without and with gaze shift."""
    if not matched.trials or n_classes < 2:
        return nan, nan
    trials = matched.trials
    p = sum(t.first == t.asked for t in trials) / len(trials)
    seconds = mean_of([t.span_s if t.decided_s is None else t.decided_s for t in trials])
    return itr(p, n_classes, seconds), itr(p, n_classes, seconds + gaze_shift_s)
