"""From a decoder's probabilities to what the engine says.

A policy sees the windows in order, each with the probabilities of its labels,
and answers with a verdict or with nothing. It never sees a window that quality
rules out: there the engine abstains, and the policy is told.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from bci.config import Config, ControlDecision, DynamicDecision, ThresholdDecision
from bci.decoders.stopping import StoppingRule
from bci.fusion import evidence_scale, fuse, fused_threshold, is_backed
from bci.types import NO_COMMAND, FloatArray, Quality, Window

log = logging.getLogger(__name__)

Proba = FloatArray


@dataclass(frozen=True, slots=True)
class Verdict:
    """Index of the label, or None with the reason to abstain; the probabilities behind it.

    `prior`: a client's prior is among them.
    """

    index: int | None
    proba: Proba | None
    reason: str | None = None
    forced: bool = False
    prior: bool = False


class Policy(Protocol):
    """Turns the probabilities of successive windows into verdicts."""

    def decide(self, window: Window, proba: Proba, prior: Proba | None = None) -> Verdict | None:
        """Judge one window; `proba` and `prior` have shape (n_classes,).

        `proba` is the decoder's, without the prior, which only `Dynamic` has a use for.
        """
        ...

    def abstain(self, window: Window) -> Verdict | None:
        """The window must not be decided on (its quality says why)."""
        ...

    def forget(self) -> None:
        """What comes next does not continue what was seen (pause, another decoder)."""
        ...

    def follow(self, rule: StoppingRule | None, classes: Sequence[str] = ()) -> None:
        """From here on a decoder of these classes decides, with this stopping rule or none."""
        ...


def noted(quality: Quality, reason: str | None) -> Quality:
    """Quality with the reason why there is no label; a missing command speaks against no sample."""
    if reason is None:
        return quality
    ok = quality.ok and reason in NO_COMMAND
    return replace(quality, ok=ok, reasons=(*quality.reasons, reason))


def _refuse() -> Verdict:
    return Verdict(None, None)


class Each:
    """Every window gives the most probable label."""

    def decide(self, window: Window, proba: Proba, prior: Proba | None = None) -> Verdict | None:
        """See `Policy`."""
        return Verdict(int(np.argmax(proba)), proba)

    def abstain(self, window: Window) -> Verdict | None:
        """See `Policy`."""
        return _refuse()

    def forget(self) -> None:
        """See `Policy`."""

    def follow(self, rule: StoppingRule | None, classes: Sequence[str] = ()) -> None:
        """See `Policy`."""


class Threshold:
    """A label whose smoothed probability stays above the threshold for `dwell` windows."""

    def __init__(self, settings: ThresholdDecision, sfreq: float) -> None:
        self.settings = settings
        self._recent: deque[Proba] = deque(maxlen=settings.smoothing)
        self._refractory = round(settings.refractory_s * sfreq)
        self._silent_until = -1
        self._candidate = -1
        self._n_above = 0

    def decide(self, window: Window, proba: Proba, prior: Proba | None = None) -> Verdict | None:
        """See `Policy`."""
        self._recent.append(proba)
        smooth = np.mean(self._recent, axis=0)
        best = int(np.argmax(smooth))
        above = len(self._recent) == self._recent.maxlen and smooth[best] >= self.settings.threshold
        self._n_above = (self._n_above + 1 if best == self._candidate else 1) if above else 0
        self._candidate = best
        if self._n_above < self.settings.dwell or window.last < self._silent_until:
            return None
        self._silent_until = window.last + self._refractory
        self.forget()
        return Verdict(best, smooth)

    def abstain(self, window: Window) -> Verdict | None:
        """See `Policy`."""
        self.forget()
        return _refuse()

    def forget(self) -> None:
        """See `Policy`."""
        self._recent.clear()
        self._n_above = 0

    def follow(self, rule: StoppingRule | None, classes: Sequence[str] = ()) -> None:
        """See `Policy`."""


class Control:
    """Every window is answered; a label is a command, given after its dwell time.

    A window without a command says which of the steps to one it stopped at: "idle"
    (an idle label is the most probable), "below-threshold", "dwell", "refractory".
    Its probabilities are smoothed, as those that commands are made from.

    Parameters
    ----------
    settings : ControlDecision
    sfreq : float
        Of the raw stream, Hz.
    """

    def __init__(self, settings: ControlDecision, sfreq: float) -> None:
        self.settings = settings
        self._recent: deque[Proba] = deque(maxlen=settings.smoothing)
        self._dwell, self._refractory = (
            round(seconds * sfreq) for seconds in (settings.dwell_s, settings.refractory_s)
        )
        self._idle: frozenset[int] = frozenset()
        self._free_from = -1  # sample from which on a command may come again
        self._candidate, self._since = -1, 0

    def decide(self, window: Window, proba: Proba, prior: Proba | None = None) -> Verdict | None:
        """See `Policy`."""
        self._recent.append(proba)
        smooth = np.mean(self._recent, axis=0)
        best = int(np.argmax(smooth))
        if reason := self._why_not(window, best, float(smooth[best])):
            return Verdict(None, smooth, reason)
        self._free_from = window.last + self._refractory
        self._candidate = -1
        return Verdict(best, smooth)

    def _why_not(self, window: Window, best: int, p: float) -> str | None:
        if best in self._idle or p < self.settings.threshold:
            self._candidate = -1
            return "idle" if best in self._idle else "below-threshold"
        if best != self._candidate:
            self._candidate, self._since = best, window.last
        if window.last - self._since < self._dwell:
            return "dwell"
        return "refractory" if window.last < self._free_from else None

    def abstain(self, window: Window) -> Verdict | None:
        """See `Policy`."""
        self.forget()
        return _refuse()

    def forget(self) -> None:
        """See `Policy`; the refractory time goes on."""
        self._recent.clear()
        self._candidate = -1

    def follow(self, rule: StoppingRule | None, classes: Sequence[str] = ()) -> None:
        """See `Policy`."""
        self._idle = frozenset(k for k, c in enumerate(classes) if c in self.settings.idle)


class Dynamic:
    """Stop once the decoder's stopping rule says so, or at the longest window.

    The rule says how high the posterior must be for the target error, as
    calibration found it, and after which of the windows no longer one is waited
    for. Without a rule the posterior is taken at its word. With a prior, `bci.fusion`
    says how high the fused posterior must be; where the decoder has no evidence for
    the label that it names, what is forced is forced without it.
    """

    def __init__(self, settings: DynamicDecision) -> None:
        self.settings = settings
        self._rule: StoppingRule | None = None

    def decide(self, window: Window, proba: Proba, prior: Proba | None = None) -> Verdict | None:
        """See `Policy`."""
        shown = proba if prior is None else fuse(proba, prior)
        best, fused = int(np.argmax(shown)), prior is not None
        threshold, backed = self._threshold, True
        if prior is not None:
            error, n_classes = self.settings.target_error, len(proba)
            scale = evidence_scale(threshold, error, n_classes)
            threshold = fused_threshold(float(prior[best]), scale, error)
            backed = is_backed(float(proba[best]), scale, error, n_classes)
        if self._is_look(window) and backed and shown[best] >= threshold:
            return Verdict(best, shown, prior=fused)
        if not self._is_last(window):
            return None
        if self.settings.at_longest == "abstain":
            return Verdict(None, shown, reason="undecided", prior=fused)
        if not backed:
            return Verdict(int(np.argmax(proba)), proba, forced=True)
        return Verdict(best, shown, forced=True, prior=fused)

    def abstain(self, window: Window) -> Verdict | None:
        """See `Policy`."""
        return _refuse() if self._is_last(window) else None

    def forget(self) -> None:
        """See `Policy`."""

    def follow(self, rule: StoppingRule | None, classes: Sequence[str] = ()) -> None:
        """See `Policy`; a rule for another target error is not followed, and the log says so."""
        asked = self.settings.target_error
        if rule is not None and rule.target_error != asked:
            log.warning(
                "the model's stopping rule is calibrated for a target error of %g, the session "
                "asks for %g: the posterior alone decides; train the model for this target",
                rule.target_error, asked,
            )  # fmt: skip
            rule = None
        self._rule = rule

    @property
    def _threshold(self) -> float:
        return 1.0 - self.settings.target_error if self._rule is None else self._rule.threshold

    def _is_look(self, window: Window) -> bool:
        return self._rule is None or self._rule.is_look(window.stop - window.start)

    def _is_last(self, window: Window) -> bool:
        if self._rule is not None and window.stop - window.start >= self._rule.looks[-1]:
            return True
        return window.final


def build_policy(config: Config, sfreq: float) -> Policy:
    """The policy that `config.decision` describes; `sfreq` is the raw stream's, Hz."""
    makers: Mapping[str, Callable[[Any], Policy]] = {
        "each": lambda settings: Each(),
        "threshold": lambda settings: Threshold(settings, sfreq),
        "control": lambda settings: Control(settings, sfreq),
        "dynamic": Dynamic,
    }
    return makers[config.decision.kind](config.decision)
