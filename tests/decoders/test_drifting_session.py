"""A simulated session that drifts: who adapts keeps the accuracy that the frozen one loses.

Six simulated people (seeds 10 to 15), 200 trials each after 80 of calibration.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from imagery_drift import GAINS, MIXING, accuracy, calibration, rewarded, session

from bci.decoders import MDM, ContextualBandit, Recentred, TangentSpaceLR

SEEDS = range(10, 16)
DECODERS = {"mdm": MDM, "tangent_space": TangentSpaceLR}
CONDITIONS = {
    "steady": (None, 0.5),
    "unbalanced": (None, 0.75),
    "gains": (GAINS, 0.5),
    "mixing": (MIXING, 0.5),
}


@cache
def mean_accuracy(kind, condition, adapts, labels=False):
    found = []
    for seed in SEEDS:
        decoder = Recentred(DECODERS[kind]()) if adapts else DECODERS[kind]()
        decoder.fit(*calibration(seed))
        found.append(accuracy(decoder, *session(seed, *CONDITIONS[condition]), labels))
    return float(np.mean(found))


@pytest.mark.parametrize("kind", DECODERS)
def test_confirmed_labels_hold_the_accuracy_that_drift_costs(kind):
    steady = mean_accuracy(kind, "steady", adapts=False)
    assert mean_accuracy(kind, "gains", adapts=False) < steady - 0.15
    assert mean_accuracy(kind, "gains", adapts=True, labels=True) > steady - 0.05


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("condition", ["steady", "unbalanced"])
def test_where_nothing_drifts_adaptation_costs_a_point_at_most(kind, condition):
    frozen = mean_accuracy(kind, condition, adapts=False)
    assert mean_accuracy(kind, condition, adapts=True, labels=True) > frozen - 0.01


@pytest.mark.parametrize("kind", DECODERS)
def test_without_labels_most_of_the_loss_is_won_back(kind):
    steady = mean_accuracy(kind, "steady", adapts=False)
    lost = steady - mean_accuracy(kind, "gains", adapts=False)
    assert steady - mean_accuracy(kind, "gains", adapts=True) < 0.5 * lost
    assert mean_accuracy(kind, "steady", adapts=True) > steady - 0.01


@pytest.mark.parametrize("kind", DECODERS)
def test_without_labels_an_unbalanced_session_costs_and_the_readme_says_so(kind):
    """No window tells drift from a frequent class: if this passes no more, rejoice."""
    frozen = mean_accuracy(kind, "unbalanced", adapts=False)
    assert 0.01 < frozen - mean_accuracy(kind, "unbalanced", adapts=True) < 0.10


@pytest.mark.parametrize(("wrong", "share"), [(0.0, 0.5), (0.15, 0.75)])
def test_rewards_alone_win_back_a_part_of_what_the_drift_costs(wrong, share):
    """The defaults of the bandit were not chosen on these people, nor on any simulated one."""
    lost, still = [], []
    for seed in SEEDS[:4]:
        bandit = ContextualBandit(TangentSpaceLR(), reward_error=wrong).fit(*calibration(seed))
        steady = accuracy(bandit.decoder_, *session(seed))
        X, y = session(seed, GAINS)
        lost.append(steady - accuracy(bandit.decoder_, X, y))
        still.append(steady - rewarded(bandit, X, y, wrong, seed))
    print(f"lost {np.mean(lost):.3f}, with rewards (wrong: {wrong:.2f}) {np.mean(still):.3f}")
    assert np.mean(lost) > 0.15
    assert np.mean(still) < share * np.mean(lost)


def test_report():
    """Prints the table: ``pytest tests/decoders/test_drifting_session.py -k report -s``."""
    for kind in DECODERS:
        for condition in CONDITIONS:
            frozen = mean_accuracy(kind, condition, adapts=False)
            alone = mean_accuracy(kind, condition, adapts=True)
            told = mean_accuracy(kind, condition, adapts=True, labels=True)
            print(f"{kind:14} {condition:11} frozen {frozen:.3f} recentred {alone:.3f} "
                  f"with labels {told:.3f}")  # fmt: skip
            assert told > frozen - 0.01
