"""RLEEGNet and its supervised twin on BCI Competition IV 2b: sessions 1 to 3 train, 4 and 5 test.

The defaults of the decoder are those of the paper's abstract and of the code closest to it;
nothing was chosen by a score on sessions 4 and 5. Both have the same network, initial
weights, trials, and trials held out.

The arrays are cut and filtered already, so figures compare with each other only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.benchmark.datasets.bci_iv_2b import BciIv2bSettings
from bci.decoders import CSPLDA, RLEEGNet
from bci.metrics import accuracy_interval, chance_p_value

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "bci-iv-2b"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"recordings are not at {DATA}"),
]


def test_rleegnet_beside_its_twin():
    """Prints accuracy per subject, and the difference with its interval over subjects."""
    data = BciIv2bSettings(path=DATA).build()
    found = {"csp": [], "rleegnet, supervised": [], "rleegnet, dqn": []}
    for subject in data.subjects:
        sessions = data.epochs(subject)
        X, y = ([np.asarray(getattr(s, part)) for s in sessions] for part in ("X", "y"))
        train = np.concatenate(X[:3]), np.concatenate(y[:3])
        test = np.concatenate(X[3:]), np.concatenate(y[3:])
        decoders = [CSPLDA(), RLEEGNet(250.0, "supervised"), RLEEGNet(250.0, "dqn")]
        for name, decoder in zip(found, decoders, strict=True):
            right = int((decoder.fit(*train).predict(test[0]) == test[1]).sum())
            found[name].append((right, len(test[1])))
            low, high = accuracy_interval(*found[name][-1])
            print(f"{subject} {name:21} {right / len(test[1]):.3f} [{low:.2f}, {high:.2f}]")
    mean = {name: np.divide(*np.transpose(scores)) for name, scores in found.items()}
    for name, scores in mean.items():
        print(f"mean {name:21} {scores.mean():.3f}")
    difference = mean["rleegnet, dqn"] - mean["rleegnet, supervised"]
    drawn = np.random.default_rng(0).choice(difference, (10_000, len(difference))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    print(f"dqn - supervised {difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
    for scores in found.values():  # more than nothing is learnt: fixed before the first run
        right, n = np.sum(scores, axis=0)
        assert chance_p_value(int(right), int(n), 2) < 0.001
