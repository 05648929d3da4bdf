"""Whether one decoder is credibly better than another on the same selections, look after look.

The test swaps: if both were equally good, it would be a coin's toss which of the two
outcomes of a selection belongs to which decoder. The transfer rates' difference is held
against those with outcomes swapped at random (a paired permutation test; Nichols &
Holmes, Hum Brain Mapp 15, 1, 2002), which asks nothing of their distribution, and counts
accuracy and time alike.

Who looks again and again until something is significant will find it. So the error
probability α of a whole session is spent in portions (alpha spending: DeMets & Lan, Stat
Med 13, 1341, 1994): look k may spend ``α / (k (k + 1))``, which adds up to α however often
one looks, and by Bonferroni's inequality bounds the probability of any false hand-over
by α, whatever the looks have to do with each other. Candidates that are compared in one
look share its portion. A look that could not have been significant spends nothing: with
d selections on which two decoders differ, no p is smaller than 2^-d, and under the null
hypothesis d says nothing about who is better.
"""

from __future__ import annotations

import numpy as np

from bci.calibration.outcomes import Outcomes

N_SWAPS = 9999


def level_of(look: int, alpha: float) -> float:
    """What look number `look`, from 1, may spend."""
    return alpha / (look * (look + 1))


def smallest_p(one: Outcomes, other: Outcomes) -> float:
    """Smallest p that `swap_test` could give for these pairs."""
    differ = (one.right != other.right) | (one.seconds != other.seconds)
    return max(0.5 ** int(differ.sum()), 1.0 / (N_SWAPS + 1))


def swap_test(one: Outcomes, other: Outcomes, seed: int = 0) -> float:
    """One-sided p that `one` has no higher transfer rate than `other`.

    All swaps where there are at most as many as `N_SWAPS`, random ones otherwise.
    """
    differ = np.flatnonzero((one.right != other.right) | (one.seconds != other.seconds))
    if 2 ** len(differ) <= N_SWAPS + 1:
        swaps = (np.arange(2 ** len(differ))[:, None] >> np.arange(len(differ)) & 1).astype(bool)
    else:
        random = np.random.default_rng(seed).random((N_SWAPS, len(differ))) < 0.5
        swaps = np.concatenate([np.zeros((1, len(differ)), bool), random])
    swapped = np.zeros((len(swaps), len(one.right)), bool)
    swapped[:, differ] = swaps
    gains = one.rates(
        np.where(swapped, other.right, one.right), np.where(swapped, other.seconds, one.seconds)
    ) - other.rates(
        np.where(swapped, one.right, other.right), np.where(swapped, one.seconds, other.seconds)
    )
    return float(np.mean(gains >= gains[0] - 1e-9))
