"""One-sided tests of paired differences, their correction and combination; effect sizes.

Observations are one difference per subject. Every p lies strictly between 0 and
1, so that Stouffer's z is finite. See `bci.benchmark.statistics` for which test
is used when.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, t, wilcoxon
from sklearn.utils import check_random_state

from bci.types import FloatArray

#: From this number of subjects on Wilcoxon's test is used.
WILCOXON_FROM = 20
#: Up to this number all sign flips are tried.
EXACT_UP_TO = 13
N_FLIPS = 10_000
#: Of intervals of effects.
LEVEL = 0.95
#: Sums closer than this, relative to their size, are equal.
ROUNDING = 1e-12


def one_sided_p(differences: FloatArray, seed: int = 0) -> tuple[float, str]:
    """Test whether differences lie above 0, as the number of them asks for.

    Parameters
    ----------
    differences : array, shape (n_subjects,)
    seed : int
        For random sign flips.

    Returns
    -------
    p : float
        Strictly between 0 and 1.
    test : str
        "none", "exact permutation", "permutation" or "wilcoxon".
    """
    n = len(differences)
    if n < 2:
        return 0.5, "none"
    if n >= WILCOXON_FROM:
        return wilcoxon_p(differences), "wilcoxon"
    if n <= EXACT_UP_TO:
        return permutation_p(differences), "exact permutation"
    return permutation_p(differences, N_FLIPS, seed), "permutation"


def permutation_p(differences: FloatArray, n_flips: int | None = None, seed: int = 0) -> float:
    """Share of sign flips whose sum reaches that of the differences.

    All flips for `n_flips` None; else that many random ones, and the observed
    signs counted in. A share of 1 is told as one flip less, so that its z is finite.

    Parameters
    ----------
    differences : array, shape (n_subjects,)
    """
    n = len(differences)
    if not np.any(differences):
        return 0.5
    if n_flips is None:
        signs = 1 - 2 * (np.arange(2**n)[:, np.newaxis] >> np.arange(n) & 1)
        total, counted = 2**n, 0
    else:
        signs = check_random_state(seed).choice([1, -1], size=(n_flips, n))
        total, counted = n_flips, 1
    least = differences.sum() - ROUNDING * np.abs(differences).sum()
    counted += int(np.count_nonzero(signs @ differences >= least))
    return float(min(counted, total - 1) / total)


def wilcoxon_p(differences: FloatArray) -> float:
    """One-sided p of Wilcoxon's signed-rank test; differences of 0 are dropped.

    Half of the two-sided p where the ranks of positive differences prevail, else
    one minus it.
    """
    if not np.any(differences):
        return 0.5
    above, below = (
        float(wilcoxon(differences, alternative=side).pvalue) for side in ("greater", "less")
    )
    half = min(0.5, above, below)
    p = half if above <= below else 1.0 - half
    return float(np.clip(p, np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0)))


def stouffer(p: FloatArray, n_subjects: FloatArray) -> float:
    """Combine one-sided p of data sets, weighted by the roots of their numbers of subjects."""
    if len(p) == 1:
        return float(p[0])
    weights = np.sqrt(n_subjects)
    return float(norm.sf(weights @ norm.isf(p) / np.sqrt(weights @ weights)))


def effect_size(differences: FloatArray) -> float:
    """Mean over sample standard deviation of differences.

    0 where all are 0, infinite where all are one other value, NaN below two.
    """
    if len(differences) < 2:
        return float("nan")
    mean, spread = differences.mean(), np.ptp(differences)
    if spread <= ROUNDING * np.abs(differences).max():
        return 0.0 if mean == 0.0 else float(np.copysign(np.inf, mean))
    return float(mean / differences.std(ddof=1))


def bonferroni(p: FloatArray) -> FloatArray:
    """Multiply p by the number of tests, at most 1."""
    return np.minimum(1.0, np.asarray(p) * len(p))


def holm(p: FloatArray) -> FloatArray:
    """Holm's step-down correction; never larger than Bonferroni's.

    Holm (1979). A simple sequentially rejective multiple test procedure. Scand. J.
    Statist. 6, 65.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, stepped)
    return corrected


def half_width(n: int) -> float:
    """Of the 95 % interval of a mean difference, in standard deviations."""
    return float(t.ppf(0.5 + LEVEL / 2, n - 1) / np.sqrt(n)) if n > 1 else float("nan")


def average_effect(effects: FloatArray, n: FloatArray) -> tuple[float, float]:
    """Weighted mean of finite effects and half the width of its 95 % interval."""
    finite = np.isfinite(effects)
    if not finite.any():
        return float("nan"), float("nan")
    effects, n = effects[finite], n[finite]
    if len(n) == 1:
        return float(effects[0]), half_width(int(n[0]))
    weights = np.sqrt(n) / np.sqrt(n).sum()
    return float(weights @ effects), float(
        norm.ppf(0.5 + LEVEL / 2) * np.sqrt(weights**2 @ (1 / n))
    )
