"""The evaluation of the deep network's paper, to be set beside the paper's own figures.

Guney, Oblokulov & Ozkan 2022 (see `bci.decoders.deep.deep_ssvep`) leave one block out:
everybody's other blocks train the first stage, the tested person's other blocks
are among them, and train the second. So it is no test with new users. Accuracy and
transfer rate are taken per person and block, and then averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bci.decoders._checks import check_labels, check_windows
from bci.decoders.deep.folded_network import FoldedNetwork
from bci.decoders.deep.subbands import subbands
from bci.decoders.deep.training import (
    Oversight,
    Recipe,
    Rows,
    Trials,
    one_hot,
    pick,
    two_stages,
    unstack,
)
from bci.metrics import GAZE_SHIFT_S, mean_itr
from bci.types import FloatArray

#: The paper's results with nine channels: accuracy (%) and ITR (bit/min) for each length of
#: window (s). Its headline, 265.23 and 196.59 bit/min, is for 64 channels and 0.4 s.
PAPER: dict[str, dict[float, tuple[float, float]]] = {
    "Benchmark": {
        0.2: (57.74, 192.35), 0.3: (72.89, 239.80), 0.4: (79.89, 244.48), 0.5: (84.45, 240.39),
        0.6: (88.45, 235.15), 0.7: (91.43, 227.42), 0.8: (93.62, 218.64), 0.9: (95.10, 208.11),
        1.0: (95.57, 195.97),
    },
    "BETA": {
        0.2: (46.33, 137.16), 0.3: (60.69, 180.21), 0.4: (67.52, 188.45), 0.5: (71.82, 185.87),
        0.6: (75.66, 183.23), 0.7: (78.62, 178.51), 0.8: (80.65, 171.33), 0.9: (82.16, 163.69),
        1.0: (83.78, 157.49),
    },
}  # fmt: skip

Stages = Literal["both", "first", "second"]


@dataclass(frozen=True, slots=True)
class BlockScore:
    """Trials of one person's block, decoded by networks that have not seen the block."""

    subject: Any
    block: Any
    window_s: float
    n_trials: int
    n_right: int

    @property
    def accuracy(self) -> float:
        """Share of the trials decoded right."""
        return self.n_right / self.n_trials


def leave_one_block_out(
    X: ArrayLike,
    y: ArrayLike,
    subjects: ArrayLike,
    blocks: ArrayLike,
    sfreq: float,
    *,
    window_s: Sequence[float] = (0.4,),
    n_bands: int = 3,
    stages: Stages = "both",
    recipe: Recipe | None = None,
    oversight: Oversight | None = None,
) -> list[BlockScore]:
    """Score the network on each person's each block.

    Each stage's networks (one for each block; one for each person and block) are trained at
    once. With a checkpoint folder a run that was stopped, or killed, goes on where it was.

    Parameters
    ----------
    X : array, shape (n_trials, n_channels, n_times)
        Microvolts, from the visual latency on (0.14 s after the onset for the Benchmark set,
        0.13 s for BETA), neither filtered nor centred: a window is cut, then filtered.
    y, subjects, blocks : arrays, shape (n_trials,)
        Label, person and block of each trial.
    sfreq : float
        Hz.
    window_s : sequence of float
        Lengths of window, each with networks of its own.
    n_bands : int
    stages : "both", "first" or "second"
        One alone for comparison: "first" decides with the networks for everybody; "second"
        trains each person's from initial weights.
    recipe : Recipe or None
        None: the paper's for its Benchmark set.
    oversight : Oversight or None
        Progress, stop and checkpoint.

    Returns
    -------
    list of BlockScore

    Raises
    ------
    ValueError
        Shapes do not fit, or a person or block lacks the trials to train on.
    TrainingStopped, MissingDependency, ModelError
        As `bci.decoders.deep.training.two_stages`.
    """
    windows = check_windows(X)
    classes, codes = check_labels(y, len(windows))
    people, person = _numbered("subjects", subjects, len(windows))
    names, block = _numbered("blocks", blocks, len(windows))
    pairs = [(p, b) for p in range(len(people)) for b in range(len(names))]
    tested = {(p, b): np.flatnonzero((person == p) & (block == b)) for p, b in pairs}
    pairs = [pair for pair in pairs if len(tested[pair])]
    first = [np.flatnonzero(block != b) for b in range(len(names))]
    second = [(np.flatnonzero((person == p) & (block != b)), b) for p, b in pairs]
    if len(names) < 2 or not all(len(rows) for rows, _ in second):
        raise ValueError(
            f"to leave a block out, each subject needs two or more; found blocks {names.tolist()}"
        )
    scores = []
    for length_s in window_s:
        n = round(length_s * sfreq)
        if windows.shape[2] < n:
            raise ValueError(f"trials of {windows.shape[2]} samples are shorter than {length_s} s")
        cut = windows[..., :n]
        bands = subbands(cut, sfreq, n_bands).astype(np.float32)
        trained = two_stages(
            Trials(bands, one_hot(codes, len(classes))),
            [] if stages == "second" else first,
            [] if stages == "first" else second,
            recipe or Recipe(),
            oversight,
        )
        if stages == "first":
            trained = pick(trained, [b for _, b in pairs])
        for (p, b), weights in zip(pairs, unstack(trained), strict=True):
            rows = tested[p, b]
            decided = FoldedNetwork(weights, sfreq, n).scores(cut[rows]).argmax(axis=1)
            n_right = int((decided == codes[rows]).sum())
            scores.append(BlockScore(people[p], names[b], length_s, len(rows), n_right))
    return scores


def transfer_rate(scores: Sequence[BlockScore], n_classes: int) -> dict[float, float]:
    """Mean over persons and blocks of the transfer rate, bit/min, for each length of window."""
    lengths = sorted({score.window_s for score in scores})
    return {
        length: mean_itr(
            [s.accuracy for s in scores if s.window_s == length], n_classes, length + GAZE_SHIFT_S
        )
        for length in lengths
    }


def subject_accuracies(scores: Sequence[BlockScore], window_s: float) -> FloatArray:
    """Mean over blocks of each person's accuracy, in the order of the scores' persons."""
    own: dict[Any, list[float]] = {}
    for score in scores:
        if score.window_s == window_s:
            own.setdefault(score.subject, []).append(score.accuracy)
    return np.array([np.mean(accuracies) for accuracies in own.values()])


def table(scores: Sequence[BlockScore], n_classes: int, paper: str | None = None) -> str:
    """Accuracy (%) with its standard deviation over persons, and bit/min, as lines of text.

    With `paper`, "Benchmark" or "BETA", the paper's own figures stand beside them; they are
    for its nine channels, and comparable with nothing else.
    """
    published = {} if paper is None else PAPER[paper]
    lines = ["window   accuracy   SD     bit/min" + "   paper: accuracy  bit/min" * bool(published)]
    for length, rate in transfer_rate(scores, n_classes).items():
        own = 100 * subject_accuracies(scores, length)
        spread = own.std(ddof=min(1, len(own) - 1))
        line = f"{length:4g} s   {own.mean():6.2f}   {spread:6.2f}   {rate:6.2f}"
        if length in published:
            line += "            {:6.2f}   {:6.2f}".format(*published[length])
        lines.append(line)
    return "\n".join(lines)


def _numbered(what: str, labels: ArrayLike, n: int) -> tuple[Any, Rows]:
    found = np.asarray(labels)
    if found.shape != (n,):
        raise ValueError(f"{what} must name one for each of {n} trials, found shape {found.shape}")
    names, numbers = np.unique(found, return_inverse=True)
    return names, numbers.astype(np.intp)
