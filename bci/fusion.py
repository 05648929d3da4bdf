"""What a client expects of the next selection, fused with what the decoder found.

A decoder's posterior takes its labels to be equally likely. Where a language model
or a game knows better, its prior is multiplied in (Bayes' rule), and the stopping
rule judges the product. That leaves two questions.

*What is the threshold worth?* It was calibrated on posteriors without a prior,
and there its distance from chance is what the decoder must claim before the error
is the target's. A decoder that is too modest claims less than it could, one that
is too bold more: evidence counts by the ratio of what is claimed to what it stands
for. A prior means what it says, so that it must not be scaled along. With all
in log-odds, M labels, target error ε and calibrated threshold τ::

    scale = (logit τ + log(M - 1)) / (logit(1 - ε) + log(M - 1))
    a label of prior π needs   logit π + scale · (logit(1 - ε) - logit π)

That is τ again for a prior of 1/M, and 1 - ε, whatever the prior, for a decoder
whose posterior can be taken at its word. The error promised among decisions that
reach it is then kept if the prior is right on average: it is a posterior under
both. No rule can promise it for a prior that is wrong; the floor bounds the harm.

*What does the prior decide alone?* Nothing. A label that was singled out before can
reach a high product by a little luck, also where nobody looks at any target. So the
decoder itself must have found a part of what it needs without a prior::

    logit p ≥ scale · (logit(1 - ε) + ½ log(M - 1)) - log(M - 1)     p: without prior

Without a prior it is 1 in place of ½: M - 1 others are to be beaten, and any of M
may be by luck. For one label that is named before, 0 would have the same risk, by
Markov's bound on likelihood ratios; but a prior names several, and 0 let simulated
participants who answer to nothing be decided for in 22 instead of 16 of 100 trials. Half
way it was 16 to 18, at the price of 3 % in typing speed. Below it the prior has no say
in what is selected: what is forced is forced without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, log

import numpy as np
from scipy.special import expit, logit

from bci.config import Config
from bci.errors import ConfigError
from bci.types import FloatArray

#: Share of the prior that is spread evenly, so that no label becomes impossible (choice).
FLOOR = 0.05
#: Share of the log-odds against one of M labels that the decoder itself must make up (choice).
OWN_SHARE = 0.5
#: How far from 1 a prior may sum: it was rounded for its way.
TOLERANCE = 1e-3


def check(proba: Mapping[str, float], labels: Sequence[str], config: Config) -> None:
    """See that a client's prior can be used by a session that decides among `labels`.

    Raises
    ------
    ConfigError
        It cannot; the message says why.
    """
    if config.decision.kind != "dynamic":
        raise ConfigError(
            "a prior is for one selection that grows until it is sure: it needs 'decision: "
            f"{{kind: dynamic}}'; this session has '{config.decision.kind}'"
        )
    if not labels:
        raise ConfigError("there is no decoder yet, and so no label to have a prior")
    if unknown := sorted(set(proba) - set(labels)):
        raise ConfigError(
            f"a prior for {', '.join(map(repr, unknown))}, which the decoder does not know; its "
            f"labels are {', '.join(labels)}"
        )
    if wrong := sorted(label for label, p in proba.items() if not (isfinite(p) and p >= 0.0)):
        raise ConfigError(
            f"the prior of '{wrong[0]}' is {proba[wrong[0]]:g}; a probability is 0 or more"
        )
    total = sum(proba.values())
    if abs(total - 1.0) > TOLERANCE:
        raise ConfigError(
            f"the prior's probabilities sum to {total:.4g} instead of 1; labels that are left out "
            "count as 0"
        )


def over_classes(proba: Mapping[str, float], classes: Sequence[str]) -> FloatArray:
    """Put a prior in the decoder's order, `FLOOR` of it spread evenly.

    Labels that are left out have the floor alone; those that the decoder does not
    know are dropped.

    Returns
    -------
    prior : array, shape (n_classes,)
        Sums to 1, nowhere 0.
    """
    given = np.array([proba.get(label, 0.0) for label in classes], dtype=np.float64)
    flat = np.full(len(classes), 1.0 / len(classes))
    total = given.sum()
    return flat if total <= 0.0 else (1.0 - FLOOR) * given / total + FLOOR * flat


def fuse(posterior: FloatArray, prior: FloatArray) -> FloatArray:
    """Posterior under a prior, from one under equally likely labels; shapes (n_classes,)."""
    product = posterior * prior
    return np.asarray(product / product.sum())


def evidence_scale(threshold: float, target_error: float, n_classes: int) -> float:
    """What a decoder claims for each unit of evidence, by its calibrated threshold; see the module.

    1 where the threshold is 1 - `target_error`, and where the target is no better than chance.
    """
    others = log(max(1, n_classes - 1))
    asked = float(logit(1.0 - target_error)) + others
    return (float(logit(threshold)) + others) / asked if asked > 0.0 else 1.0


def fused_threshold(prior: float, scale: float, target_error: float) -> float:
    """Fused posterior that a label of this prior must reach for the target error."""
    given = float(logit(prior))
    return float(expit(given + scale * (float(logit(1.0 - target_error)) - given)))


def is_backed(posterior: float, scale: float, target_error: float, n_classes: int) -> bool:
    """Whether a label's posterior without prior is evidence enough for the prior to count."""
    others = log(max(1, n_classes - 1))
    needed = float(logit(1.0 - target_error)) + OWN_SHARE * others
    return float(logit(posterior)) + others >= scale * needed
