"""What became of the feedback runs of a Graz-style session: the bar's trials, and the commands.

Commands are judged by `bci.benchmark.matching.RULES`, within runs only: what somebody
does between two runs is nobody's business. Reaction and tolerance are half a window, so
that a decision belongs to where most of its evidence lies.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from bci.benchmark.matching import Matched, match, spans
from bci.config import Config, GrazSettings
from bci.eventlog import read, read_info, read_lines
from bci.metrics import accuracy_interval, chance_bound
from bci.paradigms.timetable import (
    CUE,
    FEEDBACK_OFF,
    FEEDBACK_ON,
    RUN_FEEDBACK,
    RUN_OFF,
    cued_label,
)
from bci.playback import log_beside
from bci.recording.layout import RunPaths
from bci.sources.files import Recording
from bci.types import Bar, Decision, Marker, Quality

#: Label of a trial in which nothing was decoded.
NONE = "none"
#: A bar that goes away so much sooner than planned, seconds, belongs to a trial that is no trial.
CUT_SHORT_S = 0.2


@dataclass(frozen=True, slots=True)
class GrazResult:
    """The feedback runs of a session.

    Attributes
    ----------
    asked, decoded : tuple of str
        Of each trial what was cued, and the label of the largest mean probability while
        the bar was shown; "none" where nothing was decoded. Empty: no bar was shown.
    labels : tuple of str
        All that are cued.
    runs : tuple of Matched
        The commands of each run.
    movements : tuple of str
        Labels that are not idle.
    """

    asked: tuple[str, ...]
    decoded: tuple[str, ...]
    labels: tuple[str, ...]
    runs: tuple[Matched, ...]
    movements: tuple[str, ...]

    @property
    def n_right(self) -> int:
        """Trials whose decoded label is the cued one."""
        return sum(a == d for a, d in zip(self.asked, self.decoded, strict=True))

    @property
    def kappa(self) -> float:
        """Cohen's kappa of the trials; NaN without any."""
        if not self.asked:
            return float("nan")
        labels = [*self.labels, NONE]
        return float(cohen_kappa_score(self.asked, self.decoded, labels=labels))

    @property
    def false_per_min(self) -> float:
        """Commands outside trials, also in those that ask for nothing, a minute."""
        minutes = sum(run.idle_s for run in self.runs) / 60.0
        return sum(len(run.false) for run in self.runs) / minutes if minutes else float("nan")

    def lines(self) -> Iterator[str]:
        """The result in sentences."""
        n = len(self.asked)
        if n:
            low, high = accuracy_interval(self.n_right, n)
            bound = chance_bound(n, len(self.labels))
            verdict = "better than chance" if self.n_right >= bound else "NOT better than chance"
            nothing = self.decoded.count(NONE)
            yield (
                f"feedback: {self.n_right} of {n} trials right, accuracy {self.n_right / n:.3f} "
                f"[{low:.3f}, {high:.3f}] (95 %), kappa {self.kappa:.2f}, {verdict} "
                f"({1 / len(self.labels):.3f}; from {bound} right)"
                + (f"; in {nothing} nothing was decoded" if nothing else "")
            )
        else:
            yield (
                "feedback: no bar was shown: there was no decoder, or it was not decided on every "
                "window (decision kind 'control' or 'each')"
            )
        trials = [trial for run in self.runs for trial in run.trials]
        for label in self.movements:
            of = [trial for trial in trials if trial.asked == label]
            times = [trial.hit_s for trial in of if trial.hit_s is not None]
            typical = f", after {np.median(times):.1f} s (median)" if times else ""
            wrong = sum(trial.n_errors for trial in of)
            yield (
                f"control: {label} came in {len(times)} of {len(of)} trials{typical}; "
                f"{wrong} wrong commands in them"
            )
        if self.runs:
            n_false, idle_s, n_rest, rest_s = (
                sum(len(run.false) for run in self.runs), sum(run.idle_s for run in self.runs),
                sum(f.in_rest for run in self.runs for f in run.false),
                sum(run.rest_s for run in self.runs),
            )  # fmt: skip
            told = f", {60 * n_rest / rest_s:.1f} in trials that ask for nothing" if rest_s else ""
            yield (
                f"control: {self.false_per_min:.1f} false activations a minute ({n_false} in "
                f"{idle_s / 60:.1f} idle minutes{told})"
            )


def summarise(
    config: Config,
    markers: Iterable[tuple[int, str]],
    decisions: Sequence[Decision],
    sfreq: float,
) -> GrazResult | None:
    """Judge the feedback runs of a session; None: there was none.

    Parameters
    ----------
    config : Config
        With a `paradigm`.
    markers : iterable of (onset, value)
        Onsets in samples.
    decisions : sequence of Decision
        In order of time.
    sfreq : float
        Of the raw stream, Hz.
    """
    graz = config.paradigm
    if graz is None:
        return None
    known = sorted(markers, key=lambda m: m[0])
    runs = list(_runs(known))
    if not runs:
        return None
    asked, decoded = _shown(known, decisions, graz, sfreq)
    return GrazResult(
        asked, decoded, graz.asked,
        tuple(_matched(config, graz, run, known, decisions, sfreq) for run in runs), graz.labels,
    )  # fmt: skip


def of_run(config: Config, paths: RunPaths) -> GrazResult | None:
    """As `summarise`, from the files of a session.

    Raises
    ------
    RecordingError
        A file is missing or damaged.
    """
    markers = logged_markers(paths.events)
    decisions = [_decision(line) for line in read_lines(paths.decisions)]
    return summarise(config, markers, decisions, read_info(paths.events).sfreq)


def of_replay(
    config: Config, recording: Recording, decisions: Sequence[Decision]
) -> GrazResult | None:
    """As `summarise`, from a session's recording and the decisions made of it again."""
    log = log_beside(recording.path)
    if log is None:
        markers = [(m.index or 0, m.value) for m in recording.markers]
    else:
        markers = logged_markers(log)
    return summarise(config, markers, decisions, recording.info.sfreq)


def logged_markers(log: Path) -> list[tuple[int, str]]:
    """Onset and value of the markers in a session's event log."""
    return [(e.onset, e.value) for e in read(log) if isinstance(e, Marker)]


def _decision(line: Mapping[str, Any]) -> Decision:
    """As it was written; of the bar only that there was one."""
    quality = line["quality"]
    bar = line.get("bar")
    return Decision(
        line["seq"], line["first"], line["last"], line["label"], line["proba"],
        Quality(quality["ok"], tuple(quality["reasons"])), line["model"],
        bar=None if bar is None else Bar(**bar),
    )  # fmt: skip


def _runs(markers: Sequence[tuple[int, str]]) -> Iterator[tuple[int, int]]:
    """First sample of each finished feedback run, and the one after its last."""
    start = None
    for onset, value in markers:
        if value == RUN_FEEDBACK:
            start = onset
        elif value == RUN_OFF and start is not None:
            yield start, onset
            start = None


def _shown(
    markers: Sequence[tuple[int, str]],
    decisions: Sequence[Decision],
    graz: GrazSettings,
    sfreq: float,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Cued and decoded label of each trial that had a bar; not of those that were cut short."""
    planned = (graz.imagery_s - graz.feedback_delay_s) * sfreq
    cued, trials, whole = None, list[tuple[int, str]](), list[bool]()
    for onset, value in markers:
        cued = cued_label(value) or cued
        if value == FEEDBACK_ON and cued in graz.asked:
            trials.append((onset, cued))
            whole.append(True)
        elif value == FEEDBACK_OFF and trials:
            whole[-1] = onset - trials[-1][0] >= planned - CUT_SHORT_S * sfreq
    starts = [onset for onset, _ in trials]
    sums: list[Counter[str]] = [Counter() for _ in trials]
    with_bar = [decision for decision in decisions if decision.bar is not None]
    if not with_bar:
        return (), ()
    for decision in with_bar:
        sums[bisect_right(starts, decision.last) - 1].update(decision.proba)
    decoded = (found.most_common(1)[0][0] if found else NONE for found in sums)
    kept = [
        (label, found)
        for (_, label), found, all_of_it in zip(trials, decoded, whole, strict=True)
        if all_of_it
    ]
    return tuple(asked for asked, _ in kept), tuple(found for _, found in kept)


def _matched(
    config: Config,
    graz: GrazSettings,
    run: tuple[int, int],
    markers: Sequence[tuple[int, str]],
    decisions: Sequence[Decision],
    sfreq: float,
) -> Matched:
    start, stop = run
    half = round(config.window.length_s / 2 * sfreq)
    cues = {f"{CUE}{label}": label for label in graz.labels}
    idle = () if graz.idle is None else (f"{CUE}{graz.idle}",)
    within = [(onset, value) for onset, value in markers if start <= onset < stop]
    n_imagery = round(graz.imagery_s * sfreq)
    found = spans(within, cues, idle, stop, n_imagery, half, half)
    idle_labels = () if graz.idle is None else (graz.idle,)
    said = [d for d in decisions if start <= d.last < stop]
    return match(said, found, idle_labels, sfreq, start, stop)
