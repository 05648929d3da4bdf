"""How readily a decoder should speak: a threshold for a wanted rate of false activations.

A threshold is chosen on sessions other than the one that is scored; choosing it
on the scored one would report the best of many, not what a user will get. The
recordings are decoded once and the policy is applied to the probabilities again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bci.benchmark.data import ContinuousSession
from bci.benchmark.matching import Rules
from bci.benchmark.pseudo_online import PseudoOnlineResult, first_window, judge, pool, run
from bci.config import Config, ControlDecision, EachDecision, ThresholdDecision
from bci.decision import build_policy, noted
from bci.decoders import Decoder
from bci.errors import ConfigError
from bci.pipeline import Pipeline
from bci.types import Decision, Window

#: Thresholds that are tried when nobody says otherwise.
CANDIDATES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A session with the probabilities of every sliding window; what policies work on."""

    session: ContinuousSession
    windows: tuple[Decision, ...]
    classes: tuple[str, ...]
    from_sample: int


def decode(session: ContinuousSession, config: Config, decoder: Decoder) -> Decoded:
    """Decode every sliding window of a session; the configuration's policy is not used."""
    each = config.model_copy(update={"decision": EachDecision()})
    pipeline = Pipeline(each, session.recording.info, decoder, "")
    windows, _ = run(pipeline, session.recording)
    return Decoded(session, tuple(windows), pipeline.classes, first_window(pipeline))


def decide(decoded: Decoded, config: Config) -> Iterator[Decision]:
    """The decisions that a pipeline with `config.decision` would have made of these windows."""
    policy = build_policy(config, decoded.session.recording.info.sfreq)
    policy.follow(None, decoded.classes)
    seq = 0
    for each in decoded.windows:
        window = Window(0, 0, each.first, each.last, None, each.quality)
        if each.label is None:
            verdict = policy.abstain(window)
        else:
            proba = np.array([each.proba[label] for label in decoded.classes])
            verdict = policy.decide(window, proba)
        if verdict is None:
            continue
        label = None if verdict.index is None else decoded.classes[verdict.index]
        smooth = {} if verdict.proba is None else verdict.proba.tolist()
        proba_of = dict(zip(decoded.classes, smooth, strict=True)) if smooth else {}
        yield replace(
            each, seq=seq, label=label, proba=proba_of, forced=verdict.forced,
            quality=noted(each.quality, verdict.reason),
        )  # fmt: skip
        seq += 1


def with_threshold(config: Config, threshold: float) -> Config:
    """The configuration with another threshold.

    Raises
    ------
    ConfigError
        Its decision is of neither kind 'threshold' nor 'control'.
    """
    if not isinstance(config.decision, ThresholdDecision | ControlDecision):
        raise ConfigError(
            "a threshold can be chosen only for decision kind 'threshold' or 'control', found "
            f"'{config.decision.kind}'"
        )
    decision = config.decision.model_copy(update={"threshold": threshold})
    return config.model_copy(update={"decision": decision})


def judged(decoded: Iterable[Decoded], config: Config, rules: Rules) -> PseudoOnlineResult:
    """What `config.decision` gives on sessions that are decoded already."""
    return pool(
        [judge(d.session, decide(d, config), d.classes, rules, d.from_sample) for d in decoded]
    )


def choose_threshold(
    decoded: Sequence[Decoded],
    config: Config,
    rules: Rules,
    *,
    false_per_min: float = 1.0,
    within: Literal["idle", "rest"] = "idle",
    candidates: Sequence[float] = CANDIDATES,
) -> float:
    """Find the lowest threshold whose false activations a minute stay within a limit.

    The highest candidate where none does. They are counted in all idle time, or
    in marked rest only: where people go on looking at their target until the
    next cue, what lies between trials is not idle.

    Raises
    ------
    ConfigError
        See `with_threshold`.
    """
    ordered = sorted(candidates)
    for threshold in ordered:
        found = judged(decoded, with_threshold(config, threshold), rules)
        rate = found.false_per_min if within == "idle" else found.false_per_min_rest
        if rate <= false_per_min:
            return threshold
    return ordered[-1]
