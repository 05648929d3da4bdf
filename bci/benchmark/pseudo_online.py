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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, isnan, nan
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bci import eventlog
from bci.benchmark.data import ContinuousSession
from bci.benchmark.matching import FalseActivation, Matched, Rules, Trial, match, spans
from bci.config import Config
from bci.decoders import Decoder
from bci.errors import ConfigError
from bci.eventlog import SwapRecord
from bci.metrics import accuracy_interval, chance_bound, itr, latency_percentiles
from bci.pipeline import Pipeline
from bci.playback import events, log_beside
from bci.sources.files import Recording
from bci.types import Chunk, Command, Decision, Event, Feedback, FloatArray

#: Key of false activations, and of silent trials, in the confusion table.
IDLE, NONE = "idle", "none"

#: (mean confidence, share of right ones, number) of the activations in one bin.
Bin = tuple[float, float, int]


@dataclass(frozen=True, slots=True)
class PseudoOnlineResult:
    """How a decoder did on continuous recordings; see `bci.benchmark.matching.RULES`.

    Attributes
    ----------
    trials, false : tuple
        Trials, and false activations, of all sessions in order.
    n_idle_right, n_idle_in_trials, n_abstained : int
    abstentions : mapping of str to int
        See `bci.benchmark.matching.Matched`.
    minutes_idle, minutes_rest : float
        Minutes outside trials, and those of them that are marked as rest.
    n_classes : int
        Labels of the decoder that are not idle.
    itrs : tuple of (float, float)
        Bit/min of each session, without and with gaze shift; NaN where not defined
        (no trial, or a single label).
    said, said_idle : tuple
        Confidence and rightness of activations; see `bci.benchmark.matching.Matched`.
    decode_ms : array, shape (n_windows,)
        Milliseconds from the push of the samples that completed a window to its decision:
        processing, window, decoder and policy.
    n_bins : int
    rules : str
        The matching rules with all their numbers.
    """

    trials: tuple[Trial, ...] = field(repr=False)
    false: tuple[FalseActivation, ...] = field(repr=False)
    n_idle_right: int
    n_idle_in_trials: int
    n_abstained: int
    abstentions: Mapping[str, int]
    minutes_idle: float
    minutes_rest: float
    n_classes: int
    itrs: tuple[tuple[float, float], ...]
    said: tuple[tuple[float, bool], ...] = field(repr=False)
    said_idle: tuple[float, ...] = field(repr=False)
    decode_ms: FloatArray = field(repr=False)
    n_bins: int
    rules: str = field(repr=False)

    # --- trials ----------------------------------------------------------------------------------

    @property
    def n_first_right(self) -> int:
        """Trials whose first activation is right."""
        return sum(t.first == t.asked for t in self.trials)

    @property
    def score(self) -> float:
        """Accuracy: share of trials whose first activation is right; NaN without trials."""
        return self.n_first_right / len(self.trials) if self.trials else nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of `score`."""
        return accuracy_interval(self.n_first_right, len(self.trials))

    @property
    def chance(self) -> float:
        """What guessing would reach that answers in every trial."""
        return 1.0 / self.n_classes

    @property
    def hits(self) -> int:
        """Trials with a right activation."""
        return sum(t.hit_s is not None for t in self.trials)

    @property
    def misses(self) -> int:
        """Trials without a right activation."""
        return len(self.trials) - self.hits

    @property
    def silent(self) -> int:
        """Trials without any activation."""
        return sum(t.first is None for t in self.trials)

    @property
    def errors(self) -> int:
        """Activations with a wrong label in trials."""
        return sum(t.n_errors for t in self.trials)

    @property
    def time_to_decision_s(self) -> list[float]:
        """Seconds from marker to first activation, of the trials that have one."""
        return [t.decided_s for t in self.trials if t.decided_s is not None]

    @property
    def itr(self) -> float:
        """Mean of the sessions' ITRs, bit/min, without gaze shift; NaN where not defined."""
        return _mean([without for without, _ in self.itrs])

    @property
    def itr_with_gaze(self) -> float:
        """Mean of the sessions' ITRs, bit/min, with gaze shift; NaN where not defined."""
        return _mean([with_gaze for _, with_gaze in self.itrs])

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        """``[asked][first activation]`` of the trials; row "idle": the false activations."""
        asked = sorted({t.asked for t in self.trials})
        rows = {a: Counter(t.first or NONE for t in self.trials if t.asked == a) for a in asked}
        rows[IDLE] = Counter(f.label for f in self.false)
        return {label: dict(sorted(row.items())) for label, row in rows.items()}

    # --- idle time -------------------------------------------------------------------------------

    @property
    def false_per_min(self) -> float:
        """False activations per minute of idle time; NaN without idle time."""
        return len(self.false) / self.minutes_idle if self.minutes_idle > 0.0 else nan

    @property
    def false_per_min_rest(self) -> float:
        """False activations per minute of marked rest; NaN without rest."""
        in_rest = sum(f.in_rest for f in self.false)
        return in_rest / self.minutes_rest if self.minutes_rest > 0.0 else nan

    # --- calibration -----------------------------------------------------------------------------

    @property
    def reliability(self) -> list[Bin]:
        """Non-empty bins of confidence; see `reliability_curve`."""
        return reliability_curve(self.said, self.n_bins)

    @property
    def ece(self) -> float:
        """Expected calibration error of the activations in trials; NaN without any."""
        return expected_calibration_error(self.reliability)

    @property
    def ece_with_idle(self) -> float:
        """The same where false activations count too, as wrong."""
        everything = [*self.said, *((confidence, False) for confidence in self.said_idle)]
        return expected_calibration_error(reliability_curve(everything, self.n_bins))

    def details(self) -> dict[str, Any]:
        """All of it as JSON holds it: undefined figures are None."""
        percentiles = latency_percentiles(self.decode_ms.tolist())
        low, high = self.interval
        found = {
            "trials": len(self.trials),
            "first_right": self.n_first_right,
            "interval": [low, high],
            "n_classes": self.n_classes,
            "chance": self.chance,
            "chance_bound": _bound(len(self.trials), self.n_classes),
            "y_true": [t.asked for t in self.trials],
            "y_pred": [t.first or NONE for t in self.trials],
            "hits": self.hits,
            "misses": self.misses,
            "silent": self.silent,
            "errors": self.errors,
            "repeats": sum(t.n_repeats for t in self.trials),
            "false_activations": len(self.false),
            "false_in_rest": sum(f.in_rest for f in self.false),
            "false_carried": sum(f.carried for f in self.false),
            "minutes_idle": self.minutes_idle,
            "minutes_rest": self.minutes_rest,
            "false_per_min": self.false_per_min,
            "false_per_min_rest": self.false_per_min_rest,
            "idle_right": self.n_idle_right,
            "idle_in_trials": self.n_idle_in_trials,
            "abstentions": self.n_abstained,
            "abstention_reasons": dict(self.abstentions),
            "time_to_decision_s": self.time_to_decision_s,
            "itr": self.itr,
            "itr_with_gaze": self.itr_with_gaze,
            "decode_ms_p50": percentiles.get(50.0, nan),
            "decode_ms_p99": percentiles.get(99.0, nan),
            "ece": self.ece,
            "ece_with_idle": self.ece_with_idle,
            "reliability": [list(b) for b in self.reliability],
            "confusion": self.confusion,
            "rules": self.rules,
        }
        return {key: None if _is_nan(value) else value for key, value in found.items()}


def evaluate(
    session: ContinuousSession,
    config: Config,
    decoder: Decoder,
    model: str,
    *,
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
    tolerance_s, gaze_shift_s, idle_labels, n_bins
        See `bci.benchmark.matching.Rules`. Idle labels None: "rest" and the labels of the
        markers of rest.
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
    idle = idle_labels if idle_labels is not None else _idle_labels(session)
    rules = Rules(tolerance_s, gaze_shift_s, tuple(idle), n_bins)
    decisions, decode_ms = run(pipeline, session.recording, chunk)
    return judge(session, decisions, pipeline.classes, rules, first_window(pipeline), decode_ms)


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
    found = spans(
        markers, session.labels, session.idle, recording.n_samples,
        round(session.stim_s * sfreq), round(rules.tolerance_s * sfreq),
    )  # fmt: skip
    _check(session, {s.label for s in found if s.label is not None}, bool(found), active)
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


def pool(results: Sequence[PseudoOnlineResult]) -> PseudoOnlineResult:
    """Several sessions as one: counts are added, the ITR is the mean of the sessions' ITRs.

    Raises
    ------
    ValueError
        There is no result, or they were judged by other rules.
    """
    if len({r.rules for r in results}) != 1:
        raise ValueError("results can be pooled only where there are some, judged by one rule")
    first = results[0]
    return PseudoOnlineResult(
        tuple(t for r in results for t in r.trials),
        tuple(f for r in results for f in r.false),
        sum(r.n_idle_right for r in results),
        sum(r.n_idle_in_trials for r in results),
        sum(r.n_abstained for r in results),
        dict(sum((Counter(r.abstentions) for r in results), Counter())),
        sum(r.minutes_idle for r in results),
        sum(r.minutes_rest for r in results),
        first.n_classes,
        tuple(pair for r in results for pair in r.itrs),
        tuple(s for r in results for s in r.said),
        tuple(s for r in results for s in r.said_idle),
        np.concatenate([r.decode_ms for r in results]),
        first.n_bins,
        first.rules,
    )


def reliability_curve(said: Iterable[tuple[float, bool]], n_bins: int = 10) -> list[Bin]:
    """Confidence against accuracy in bins of equal width over 0 to 1; empty bins are left out.

    Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML.

    Parameters
    ----------
    said : iterable of (float, bool)
        Probability of what was said, and whether it was right; NaN is left out.
    """
    pairs = np.array([(p, right) for p, right in said if not isnan(p)], float).reshape(-1, 2)
    # bins (a, b], so that a probability of exactly 1 is in the last one
    number = np.clip(np.ceil(pairs[:, 0] * n_bins).astype(int) - 1, 0, n_bins - 1)
    curve = []
    for k in np.unique(number):
        confidence, right = pairs[number == k].T
        curve.append((float(confidence.mean()), float(right.mean()), len(right)))
    return curve


def expected_calibration_error(curve: Sequence[Bin]) -> float:
    """Mean distance of accuracy from confidence, weighted by the bins' numbers; NaN if empty."""
    n = sum(count for _, _, count in curve)
    return sum(count * abs(right - said) for said, right, count in curve) / n if n else nan


def first_window(pipeline: Pipeline) -> int:
    """Raw samples after which the first sliding window is complete."""
    return ceil(pipeline.cutter.length / pipeline.ratio)


def _hop(pipeline: Pipeline) -> int:
    return max(1, round(pipeline.cutter.hop / pipeline.ratio))


def _as_recorded(recording: Recording, chunk: int | Sequence[int]) -> Iterator[Event]:
    """As `bci.playback.session_events`, but no other decoder, lesson or pause of that day."""
    path: Path | None = log_beside(recording.path)
    log = None
    if path is not None:
        log = [e for e in eventlog.read(path) if not isinstance(e, SwapRecord | Feedback | Command)]
    return events(recording, log, chunk)


def _must_slide(config: Config) -> None:
    if config.window.kind != "sliding":
        raise ConfigError(
            "pseudo-online evaluation needs free-running windows: set window.kind to 'sliding', "
            f"found '{config.window.kind}', which is told when a trial begins"
        )


def _idle_labels(session: ContinuousSession) -> tuple[str, ...]:
    return tuple(sorted({"rest", *(session.labels.get(v, "rest") for v in session.idle)}))


def _check(
    session: ContinuousSession, asked: set[str], any_span: bool, active: Sequence[str]
) -> None:
    """Refuse what could only give figures without a meaning."""
    name = f"{session.dataset}, subject {session.subject}, session {session.session}"
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
    seconds = _mean([t.span_s if t.decided_s is None else t.decided_s for t in trials])
    return itr(p, n_classes, seconds), itr(p, n_classes, seconds + gaze_shift_s)


def _bound(n: int, n_classes: int) -> int | None:
    return chance_bound(n, n_classes) if n and n_classes >= 2 else None


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that are numbers; NaN where there is none."""
    numbers = [v for v in values if not isnan(v)]
    return sum(numbers) / len(numbers) if numbers else nan


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)
