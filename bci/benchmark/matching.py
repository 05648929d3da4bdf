"""Which decision of a continuous recording counts as what: the rules, and nothing else.

The rules are those of `RULES`, which every result carries along. They judge a
decoder by what its user would notice: a command that came, one that was wrong,
one that nobody asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bci.errors import ConfigError
from bci.types import Decision

#: What counts as what. Formatted with the fields of `Rules`.
RULES = """\
1. A decision stands at the last raw sample that it rests on. It is an activation when its label \
is none of the idle labels ({idle}); with an idle label it says that nothing is asked.
2. A trial lasts from {reaction_s:g} s (reaction) after its marker to the end of its {stim_s:g} s \
of stimulation and {tolerance_s:g} s (tolerance) more, but not into the next trial or rest, nor \
beyond the recording. Marked rest begins with the same reaction and has no tolerance.
3. The first activation in a trial decides it. Accuracy is the share of trials whose first \
activation has the right label, of all trials; a trial without any (silent) is not right.
4. A trial is a hit when any activation in it is right, the first such one being the hit; else a \
miss. Every activation with a wrong label in a trial is an error, every right one after the hit a \
repeat.
5. An activation outside trials is a false activation, in rest (marked) as well as between trials. \
It is called carried over when its window reaches into a trial, and late when it also says what \
that trial asked for. Idle time is all time \
outside trials from the end of the first window on. No activation, an idle label or an \
abstention is right there.
6. A decision without a label is an abstention, counted by its reasons; it neither hits nor errs. \
A window of continuous control that gave no command counts as an idle label.
7. Time to decision goes from the marker to the end of the last sample of the evidence of the \
first activation, right or wrong; computing time is reported apart.
8. ITR is Wolpaw's at the accuracy of rule 3 with M = {n_classes}, the number of labels that are \
not idle; a trial takes its time to decision, a silent one all the time from its marker to its \
end. With gaze shift {gaze_shift_s:g} s are added to each trial. Of several sessions the mean of \
their ITRs is reported, not the ITR of their mean.
9. Calibration compares the largest probability of each activation in a trial with whether it was \
right, in {n_bins} bins of equal width; "with idle" also counts false activations, as wrong.
10. Chance is 1/M: what guessing would reach that answers in every trial.
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules leave open; see `RULES`.

    Attributes
    ----------
    reaction_s : float
        Seconds after a trial's marker in which a decision cannot be an answer yet. With
        reaction and tolerance of half a window a decision belongs to where most of its
        evidence lies.
    tolerance_s : float
        Seconds after the stimulation during which a decision still belongs to the trial.
    gaze_shift_s : float
        Seconds between two selections, for the ITR with gaze shift; 0.5 s is the
        convention of the SSVEP literature.
    idle_labels : tuple of str
        Labels that say that nothing is asked.
    n_bins : int
        Bins of the reliability curve.
    """

    reaction_s: float = 0.0
    tolerance_s: float = 0.0
    gaze_shift_s: float = 0.5
    idle_labels: tuple[str, ...] = ("rest",)
    n_bins: int = 10

    def __post_init__(self) -> None:
        seconds = (self.reaction_s, self.tolerance_s, self.gaze_shift_s)
        if not (min(seconds) >= 0.0 and self.n_bins >= 1):
            raise ConfigError(
                "pseudo-online rules: reaction_s, tolerance_s and gaze_shift_s must be 0 or more "
                f"and n_bins 1 or more; found {seconds} and {self.n_bins}"
            )

    def text(self, stim_s: float, n_classes: int) -> str:
        """The rules in words, with every number that was used."""
        return RULES.format(
            idle=", ".join(self.idle_labels) or "none",
            stim_s=stim_s,
            reaction_s=self.reaction_s,
            tolerance_s=self.tolerance_s,
            n_classes=n_classes,
            gaze_shift_s=self.gaze_shift_s,
            n_bins=self.n_bins,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """Samples ``[start, stop)`` of a trial, or of rest (`label` None), and its marker's."""

    onset: int
    start: int
    stop: int
    label: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one trial.

    Attributes
    ----------
    asked : str
        The label that was asked for.
    first : str or None
        Label of the first activation; None: the trial stayed silent.
    decided_s, hit_s : float or None
        Seconds from the marker to the first activation, and to the first right one.
    span_s : float
        From the marker to the end of the trial, tolerance included.
    n_errors, n_repeats : int
        Activations with a wrong label; right ones after the hit.
    """

    asked: str
    first: str | None
    decided_s: float | None
    hit_s: float | None
    span_s: float
    n_errors: int
    n_repeats: int


@dataclass(frozen=True, slots=True)
class FalseActivation:
    """A label that nobody asked for, at sample `at`.

    `in_rest`: a marker said that it was rest. `carried`, `late`: its window reaches into a
    trial, which asked for this very label.
    """

    label: str
    at: int
    in_rest: bool
    carried: bool
    late: bool


@dataclass(frozen=True, slots=True)
class Matched:
    """Decisions of one session, sorted by the rules.

    Attributes
    ----------
    trials : tuple of Trial
    false : tuple of FalseActivation
    n_idle_right : int
        Decisions with an idle label outside trials.
    n_idle_in_trials : int
        Decisions with an idle label in trials; they decide nothing.
    n_abstained : int
    abstentions : mapping of str to int
        How often each reason was given; one abstention may have several.
    said : tuple of (float, bool)
        Largest probability of each activation in a trial, and whether it was right.
    said_idle : tuple of float
        Largest probability of each false activation.
    idle_s, rest_s : float
        Seconds outside trials, and those of them that are marked as rest.
    """

    trials: tuple[Trial, ...]
    false: tuple[FalseActivation, ...]
    n_idle_right: int
    n_idle_in_trials: int
    n_abstained: int
    abstentions: Mapping[str, int]
    said: tuple[tuple[float, bool], ...] = field(repr=False)
    said_idle: tuple[float, ...] = field(repr=False)
    idle_s: float
    rest_s: float


def spans(
    markers: Iterable[tuple[int, str]],
    labels: Mapping[str, str],
    idle: Sequence[str],
    n_samples: int,
    n_stim: int,
    n_reaction: int,
    n_tolerance: int,
) -> list[Span]:
    """Trials and rests of a recording in order of time; none reaches into the next.

    Parameters
    ----------
    markers : iterable of (onset, value)
        Onsets in samples.
    labels : mapping
        Marker value: label.
    idle : sequence of str
        Marker values of rest.
    n_samples : int
        Length of the recording.
    n_stim, n_reaction, n_tolerance : int
        Length of the stimulation, and what is taken off and added to it, in samples.
    """
    known = sorted((onset, value) for onset, value in markers if value in labels or value in idle)
    found = []
    for (onset, value), (following, _) in pairwise([*known, (n_samples, "")]):
        rest = value in idle
        start = onset + n_reaction
        stop = onset + n_stim + (0 if rest else n_tolerance)
        stop = min(stop, following + n_reaction, n_samples)
        if stop > start:
            found.append(Span(onset, start, stop, None if rest else labels[value]))
    return found


def match(
    decisions: Iterable[Decision],
    found: Sequence[Span],
    idle_labels: Sequence[str],
    sfreq: float,
    from_sample: int,
    n_samples: int,
) -> Matched:
    """Sort decisions by `RULES`.

    Parameters
    ----------
    decisions : iterable of Decision
        In order of time.
    found : sequence of Span
        See `spans`.
    idle_labels : sequence of str
    sfreq : float
        Rate of the raw stream, Hz.
    from_sample, n_samples : int
        Idle time counts from here (the end of the first window) to there (the recording's end).
    """
    place = _Places(found)
    located = [(decision, place.at(decision.last)) for decision in decisions]
    abstained = [d for d, _ in located if d.abstained]
    idle = [
        span
        for d, span in located
        if not d.abstained and (d.label is None or d.label in idle_labels)
    ]
    activations = [
        (d, span) for d, span in located if d.label is not None and d.label not in idle_labels
    ]
    answers = [(d, s) for d, s in activations if s is not None and s.label is not None]
    false = [(d, s) for d, s in activations if _asked(s) is None]
    idle_samples, rest_samples = _idle_samples(found, from_sample, n_samples)
    return Matched(
        trials=tuple(
            _trial(span, [d for d, s in answers if s is span], sfreq)
            for span in found
            if span.label is not None
        ),
        false=tuple(_false(d, in_rest=s is not None, near=place.touched(d)) for d, s in false),
        n_idle_right=sum(_asked(s) is None for s in idle),
        n_idle_in_trials=sum(_asked(s) is not None for s in idle),
        n_abstained=len(abstained),
        abstentions=dict(
            Counter(r for d in abstained for r in d.quality.reasons or ("undecided",))
        ),
        said=tuple((_confidence(d), d.label == s.label) for d, s in answers),
        said_idle=tuple(_confidence(d) for d, _ in false),
        idle_s=idle_samples / sfreq,
        rest_s=rest_samples / sfreq,
    )


class _Places:
    """Where decisions fall among spans, which are in order and do not overlap."""

    def __init__(self, found: Sequence[Span]) -> None:
        self._found = found
        self._starts = [span.start for span in found]
        self._stops = [span.stop for span in found]

    def at(self, sample: int) -> Span | None:
        """The span in which a sample lies."""
        i = bisect_right(self._starts, sample) - 1
        return self._found[i] if i >= 0 and sample < self._stops[i] else None

    def touched(self, decision: Decision) -> set[str]:
        """Labels of the trials into which a decision's window reaches."""
        i = bisect_right(self._stops, decision.first)
        j = bisect_right(self._starts, decision.last)
        return {span.label for span in self._found[i:j] if span.label is not None}


def _false(decision: Decision, *, in_rest: bool, near: set[str]) -> FalseActivation:
    label = str(decision.label)
    return FalseActivation(label, decision.last, in_rest, bool(near), label in near)


def _asked(span: Span | None) -> str | None:
    return None if span is None else span.label


def _confidence(decision: Decision) -> float:
    return max(decision.proba.values(), default=float("nan"))


def _trial(span: Span, activations: Sequence[Decision], sfreq: float) -> Trial:
    assert span.label is not None
    right = [d for d in activations if d.label == span.label]

    def seconds(decision: Decision) -> float:
        return (decision.last + 1 - span.onset) / sfreq

    return Trial(
        asked=span.label,
        first=activations[0].label if activations else None,
        decided_s=seconds(activations[0]) if activations else None,
        hit_s=seconds(right[0]) if right else None,
        span_s=(span.stop - span.onset) / sfreq,
        n_errors=len(activations) - len(right),
        n_repeats=max(0, len(right) - 1),
    )


def _idle_samples(found: Sequence[Span], from_sample: int, n_samples: int) -> tuple[int, int]:
    """Samples outside trials, and those of them in marked rest."""

    def within(span: Span) -> int:
        return max(0, span.stop - max(span.start, from_sample))

    in_trials = sum(within(s) for s in found if s.label is not None)
    rest = sum(within(s) for s in found if s.label is None)
    return max(0, n_samples - from_sample) - in_trials, rest
