"""Selections that a person has made so far: what a decoder may learn from, and be judged by.

A *cued* selection is one of a calibration block: it is known what was wanted. A
*spelled* one is known only by what was decided. Where the person went on, the
letter is taken as what was wanted; where it was undone, it was an error, and what
was wanted instead stays unknown.

So cued selections train and judge decoders; spelled ones that were confirmed train
only, for their labels come from the decoder in use, which they would flatter; undone
ones train nothing, but count as errors in the score of what was spelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.calibration.training import cutting, marked_windows, trials_cut_short
from bci.config import Config
from bci.decoders.manifest import describe_processing
from bci.errors import ConfigError
from bci.eventlog import LoggedEvent
from bci.paradigms.cues import labelled
from bci.sources.files import Recording
from bci.types import Feedback, FloatArray, StreamInfo


@dataclass(frozen=True, slots=True)
class Selections:
    """Selections in order of time.

    Attributes
    ----------
    X : array, shape (n, n_channels, n_times), µV
    y : array of str, shape (n,)
        What was wanted (cued), or decided (spelled).
    cued : array of bool, shape (n,)
        The others were spelled, and confirmed.
    blocks : array of int, shape (n,)
        Selections of one block are trained on together, or judged together.
    onsets_s : array, shape (n,)
        Seconds since the start of the stream.
    info : StreamInfo
        The processed stream.
    processing : tuple of dict
        The chain's settings and coefficients.
    n_spelled, n_undone : int
        All selections that were spelled, also those that there is nothing to learn
        from, and those of them that were taken back.
    """

    X: FloatArray = field(repr=False)
    y: NDArray[np.str_] = field(repr=False)
    cued: NDArray[np.bool_] = field(repr=False)
    blocks: NDArray[np.int64] = field(repr=False)
    onsets_s: FloatArray = field(repr=False)
    info: StreamInfo
    processing: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    n_spelled: int = 0
    n_undone: int = 0

    def cued_blocks(self) -> list[int]:
        """Numbers of the blocks with cued selections, in order."""
        found: list[int] = np.unique(self.blocks[self.cued]).tolist()
        return found

    def minutes_per_block(self) -> float:
        """How long a block of cued selections takes; NaN where there are too few to tell."""
        onsets = self.onsets_s[self.cued]
        if len(onsets) < 2:
            return float("nan")
        per_block = len(onsets) / len(self.cued_blocks())
        return float(np.median(np.diff(onsets))) * per_block / 60.0


def blocks_of(labels: Iterable[str]) -> NDArray[np.int64]:
    """Block of each selection: the n-th one of a label belongs to block n.

    Where every target is cued once in turn, those are the blocks that were shown.
    """
    seen: Counter[str] = Counter()
    blocks = []
    for label in labels:
        blocks.append(seen[label])
        seen[label] += 1
    return np.array(blocks, dtype=np.int64)


def cued_selections(
    X: FloatArray, y: NDArray[Any], onsets_s: FloatArray, info: StreamInfo
) -> Selections:
    """Make selections of labelled trials in order of time, all cued."""
    n = len(y)
    labels = np.asarray(y, dtype=str)
    return Selections(
        X, labels, np.ones(n, bool), blocks_of(labels.tolist()),
        np.asarray(onsets_s, np.float64), info,
    )  # fmt: skip


def gather(
    config: Config,
    recording: Recording,
    log: Sequence[LoggedEvent],
    decisions: Sequence[Mapping[str, Any]],
) -> Selections:
    """Selections of a session, from its recording, event log and decisions.

    A window opens at each marker that opens one live. One whose label was cued is
    cued; it is left out where its flicker ended sooner. One without a cue was spelled,
    and undone if feedback said that its decision was wrong. Otherwise its decision is its
    label, if it rests on as many samples as are trained on. The newest spelled letter
    waits, for it may still be undone.

    Raises
    ------
    ConfigError
        The configuration's windows don't open at markers.
    """
    if config.window.kind == "sliding":
        raise ConfigError("selections open at markers, but 'window.kind' is 'sliding'")
    pipeline = cutting(config, recording)
    window = pipeline.config.window
    openers = set(window.markers or config.labels)
    markers = [(m.index or 0, m.value) for m in recording.markers]
    cues = {(o.onset, o.value): o.label for o in labelled(markers, config.labels, openers)}
    short = trials_cut_short(config, recording)
    letters = _letters(log, decisions)
    rows = []
    n_spelled = n_undone = 0
    for (onset, value), cut in marked_windows(pipeline, recording):
        if cut.data is None or (onset, value) not in cues:
            continue
        label, spelled = cues[onset, value], letters.get(cut.first)
        if label is not None:
            if (onset, value) not in short:
                rows.append((cut.data, label, True, onset))
        elif spelled is not None:
            n_spelled, n_undone = n_spelled + 1, n_undone + spelled.undone
            if spelled.last >= cut.last and not spelled.undone:
                rows.append((cut.data, spelled.label, False, onset))
    n_channels, n_times = pipeline.info.n_channels, pipeline.cutter.length
    labels = [row[1] for row in rows]
    cued = np.array([row[2] for row in rows], dtype=bool)
    blocks = np.empty(len(rows), dtype=np.int64)
    blocks[cued] = blocks_of(label for label, c in zip(labels, cued, strict=True) if c)
    blocks[~cued] = blocks_of("" for _ in range(int((~cued).sum()))) + len(rows)
    return Selections(
        np.stack([row[0] for row in rows]) if rows else np.empty((0, n_channels, n_times)),
        np.array(labels, dtype=str),
        cued,
        blocks,
        np.array([row[3] for row in rows], dtype=np.float64) / recording.info.sfreq,
        pipeline.info,
        describe_processing(config.processing, pipeline.chain.stages),
        n_spelled,
        n_undone,
    )


@dataclass(frozen=True, slots=True)
class _Letter:
    label: str
    last: int
    undone: bool


def _letters(
    log: Sequence[LoggedEvent], decisions: Sequence[Mapping[str, Any]]
) -> dict[int, _Letter]:
    """What was decided, by the first sample it rests on; without the newest."""
    made = {int(d["seq"]): d for d in decisions if d["label"] is not None}
    told = [e for e in log if isinstance(e, Feedback) and e.seq in made]
    wrong = {e.seq for e in told if not e.confirms(str(made[e.seq]["label"]))}
    sure = {*list(made)[:-1], *(e.seq for e in told)}
    return {
        int(d["first"]): _Letter(str(d["label"]), int(d["last"]), seq in wrong)
        for seq, d in made.items()
        if seq in sure
    }
