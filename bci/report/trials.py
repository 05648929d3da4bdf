"""Cued trials: what was asked, and what was decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bci.metrics import GAZE_SHIFT_S, accuracy_interval, chance_bound, itr
from bci.paradigms.cues import labelled
from bci.paradigms.timetable import cued_label
from bci.replay import NEAR_S
from bci.report.record import SessionRecord


@dataclass(frozen=True, slots=True)
class CuedTrial:
    """A window whose label was told.

    Attributes
    ----------
    onset : int
        Of the marker that opened it, in samples.
    label : str
    decision : mapping or None
        The one on it, as on the wire; None: there was none.
    """

    onset: int
    label: str
    decision: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RepairScore:
    """Decisions that rest on mended samples, or on none.

    Attributes
    ----------
    what : str
        By what they were mended: "untouched", "repaired", or the stage's word.
    n : int
        Decisions.
    fraction : float
        Mean share of their samples that were mended, 0 to 1.
    n_cued, n_right : int
        Those among them whose label was told, and the right ones of these.
    """

    what: str
    n: int
    fraction: float
    n_cued: int
    n_right: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %, of the accuracy on cued trials."""
        return accuracy_interval(self.n_right, self.n_cued)


@dataclass(frozen=True, slots=True)
class TrialScore:
    """Cued trials that one decoder decided.

    Attributes
    ----------
    model : str
    n, n_right, n_abstained : int
    n_classes : int
        Labels of the decoder.
    mean_s : float
        Mean evidence, seconds, without gaze shift.
    """

    model: str
    n: int
    n_right: int
    n_abstained: int
    n_classes: int
    mean_s: float

    @property
    def accuracy(self) -> float:
        """Share of right ones."""
        return self.n_right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %."""
        return accuracy_interval(self.n_right, self.n)

    @property
    def bound(self) -> int:
        """Fewest right ones that guessing reaches with a probability of at most 5 %."""
        return chance_bound(self.n, self.n_classes)

    @property
    def itr(self) -> float:
        """Bit/min at the mean evidence and the conventional gaze shift."""
        return itr(self.accuracy, self.n_classes, self.mean_s + GAZE_SHIFT_S)


def cued_trials(record: SessionRecord) -> list[CuedTrial]:
    """Find the trials whose label was cued, outside of the speller's copying.

    Those of a copied phrase are told with their run.
    """
    window, sfreq = record.config.window, record.info.sfreq
    if window.kind == "sliding":
        return []
    markers = [(m.onset, m.value) for m in record.markers]
    cues = {value: label for _, value in markers if (label := cued_label(value)) is not None}
    labels = {**cues, **record.config.labels}
    copied = [(run.start, run.stop) for run in record.runs if run.mode != "calibration"]
    by_onset = [(d["first"] - window.offset_s * sfreq, d) for d in record.decisions if d["marker"]]
    found = []
    for opened in labelled(markers, labels, set(window.markers or record.config.labels)):
        if opened.label is None or any(a <= opened.onset <= b for a, b in copied):
            continue
        near = [
            d
            for onset, d in by_onset
            if d["marker"] == opened.value and abs(onset - opened.onset) <= NEAR_S * sfreq
        ]
        found.append(CuedTrial(opened.onset, opened.label, near[-1] if near else None))
    return found


def scores(record: SessionRecord, trials: list[CuedTrial]) -> Iterator[TrialScore]:
    """Score the decided trials of each decoder, in the order in which they came into use."""
    decided = [t for t in trials if t.decision is not None]
    for model in dict.fromkeys(t.decision["model"] for t in decided if t.decision):
        some = [
            (t.label, t.decision) for t in decided if t.decision and t.decision["model"] == model
        ]
        n_labels = max(len(d["proba"]) for _, d in some)
        yield TrialScore(
            model,
            len(some),
            sum(label == d["label"] for label, d in some),
            sum(d["label"] is None for _, d in some),
            max(2, n_labels or len({t.label for t in trials})),
            sum(d["last"] - d["first"] + 1 for _, d in some) / len(some) / record.info.sfreq,
        )


def repairs(
    decisions: Sequence[Mapping[str, Any]], trials: Sequence[CuedTrial]
) -> Iterator[RepairScore]:
    """How many decisions rested on mended samples, by what, and how right the cued ones were.

    First the untouched ones, then all mended ones, then those under each way of mending,
    the most frequent first; a decision may be under several. Recordings from before it was
    noted have untouched ones only.
    """
    asked = {t.decision["seq"]: t.label for t in trials if t.decision is not None}
    by: dict[str, list[Mapping[str, Any]]] = {"untouched": [], "repaired": []}
    ways: dict[str, list[Mapping[str, Any]]] = {}
    for d in decisions:
        found = d["quality"].get("repaired", ())
        by["repaired" if found else "untouched"].append(d)
        for way in found:
            ways.setdefault(way, []).append(d)
    ordered = sorted(ways.items(), key=lambda item: (-len(item[1]), item[0]))
    for what, some in (*by.items(), *ordered):
        cued = [d for d in some if d["seq"] in asked]
        fractions = [d["quality"].get("repaired_fraction", 0.0) for d in some]
        yield RepairScore(
            what,
            len(some),
            sum(fractions) / max(1, len(some)),
            len(cued),
            sum(asked[d["seq"]] == d["label"] for d in cued),
        )
