"""BCI Competition IV 2b: sessions 4 and 5 in order of time, learnt from right and wrong alone.

Trained on sessions 1 to 3, on which the defaults were chosen too (1 tells 2, 1 and 2 tell
3); sessions 4 and 5 were not looked at before. Each trial is decided first, and rewarded
then; each session starts as training left the decoder. What is asserted was fixed before
the first run. "Labels" is the same update by the true label of each trial; with two classes
rewards without an error are that. "Recentred" follows the drift as well: alone, told each
true label, and with the bandit inside.

The arrays are cut and filtered already, so figures compare with each other only.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bci.benchmark.datasets.bci_iv_2b import BciIv2bSettings
from bci.decoders import ContextualBandit, FilterBankTangentSpace, Recentred, TangentSpaceLR
from bci.metrics import accuracy_interval

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "bci-iv-2b"
N_SEEDS = 10
DECODERS = {"tangent_space": TangentSpaceLR(), "fb_tangent_space": FilterBankTangentSpace(250.0)}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"recordings are not at {DATA}"),
]


@cache
def sessions():
    """Windows and labels of each session, by subject."""
    data = BciIv2bSettings(path=DATA).build()
    return {s: [(e.X.astype(float), e.y) for e in data.epochs(s)] for s in data.subjects}


def train(decoder, subject):
    X, y = (np.concatenate(parts) for parts in zip(*sessions()[subject][:3], strict=True))
    if isinstance(decoder, Recentred):
        lengths = [len(labels) for _, labels in sessions()[subject][:3]]
        return decoder.fit(X, y, np.repeat([1, 2, 3], lengths))
    return decoder.fit(X, y)


def hits(decoder, subject, teach):
    """Whether each trial of sessions 4 and 5 was decided right; `teach` follows each decision."""
    right = []
    for X, y in sessions()[subject][3:]:
        if hasattr(decoder, "rollback"):
            decoder.rollback()
        for window, label in zip(X, y, strict=True):
            decided = decoder.predict(window[np.newaxis])[0]
            right.append(bool(decided == label))
            teach(decoder, window, decided, label)
    return np.array(right)


def nothing(decoder, window, decided, label):
    """Frozen."""


def windows(decoder, window, decided, label):
    decoder.update(window)


def labels(decoder, window, decided, label):
    if decoder.update(window):
        decoder.update(window, label)


def rewards(wrong, seed):
    rng = np.random.default_rng(seed)

    def teach(decoder, window, decided, label):
        told = bool(decided == label) != (rng.random() < wrong)
        if decoder.update(window):
            decoder.reward(window, decided, told)

    return teach


@pytest.mark.parametrize("kind", DECODERS)
def test_rewards_against_frozen_and_labels(kind):
    """Prints accuracy per subject; with wrong rewards the mean and range over seeds."""
    rows = {name: [] for name in (
        "frozen", "rewards, none wrong", "labels",
        "rewards, 15 % wrong, told", "rewards, 15 % wrong, not told", "recentred",
        "recentred, labels", "recentred, rewards, none wrong",
        "recentred, rewards, 15 % wrong, told",
    )}  # fmt: skip
    for subject in sessions():
        bandit = train(ContextualBandit(DECODERS[kind]), subject)
        rows["frozen"].append([hits(bandit.decoder_, subject, nothing)])
        rows["rewards, none wrong"].append([hits(bandit, subject, rewards(0.0, 0))])
        rows["labels"].append([hits(bandit, subject, labels)])
        for told, rate in (("told", 0.15), ("not told", 0.0)):
            bandit.set_params(reward_error=rate)
            rows[f"rewards, 15 % wrong, {told}"].append(
                [hits(bandit, subject, rewards(0.15, seed)) for seed in range(N_SEEDS)]
            )
        other = train(Recentred(DECODERS[kind]), subject)
        rows["recentred"].append([hits(other, subject, windows)])
        rows["recentred, labels"].append([hits(other, subject, labels)])
        both = train(Recentred(ContextualBandit(DECODERS[kind])), subject)
        rows["recentred, rewards, none wrong"].append([hits(both, subject, rewards(0.0, 0))])
        both = train(Recentred(ContextualBandit(DECODERS[kind], reward_error=0.15)), subject)
        rows["recentred, rewards, 15 % wrong, told"].append(
            [hits(both, subject, rewards(0.15, seed)) for seed in range(N_SEEDS)]
        )
    print(f"\n{kind}: {', '.join(sessions())}, mean")
    mean = {}
    for name, found in rows.items():
        cells = []
        for runs in found:
            right, n = round(float(np.sum(runs)) / len(runs)), len(runs[0])
            low, high = accuracy_interval(right, n)
            spread = np.mean(runs, axis=1)
            over = f" ({spread.min():.3f}-{spread.max():.3f})" if len(runs) > 1 else ""
            cells.append(f"{np.mean(runs):.3f} [{low:.2f}, {high:.2f}]{over}")
        mean[name] = float(np.mean([np.mean(runs) for runs in found]))
        print(f"  {name:36}", *cells, f"{mean[name]:.3f}", sep=" | ")
    for name in [name for name in rows if name not in ("frozen", "labels")]:
        difference = [np.mean(runs) - np.mean(alone) for runs, alone in
                      zip(rows[name], rows["frozen"], strict=True)]  # fmt: skip
        low, high = bootstrap(difference)
        print(f"  {name} - frozen: {np.mean(difference):+.3f}, 95 % [{low:+.3f}, {high:+.3f}] "
              "over subjects")  # fmt: skip
    for one, other in zip(rows["rewards, none wrong"], rows["labels"], strict=True):
        np.testing.assert_array_equal(one, other)
    assert mean["rewards, none wrong"] >= mean["frozen"] - 0.01
    assert mean["rewards, 15 % wrong, told"] >= mean["frozen"] - 0.02


def bootstrap(differences, n=10_000):
    """Interval of their mean, subjects drawn with replacement."""
    drawn = np.random.default_rng(0).choice(differences, (n, len(differences)))
    return np.quantile(drawn.mean(axis=1), [0.025, 0.975])
