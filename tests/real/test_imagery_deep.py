"""Networks on BCI Competition IV 2b: sessions 1 to 3 train, 4 and 5 test, three seeds.

The recipe is one for all networks and was fixed before anything was scored here: Adam with
1e-3 and batches of 64, up to 500 epochs as in EEGNet's paper (Lawhern et al. 2018), a fifth
of the training trials held out as in MOABB's benchmark, the epoch of the best loss on them,
and patience of 75 epochs for a CPU's sake. The arrays are cut and band-passed already, so
scores compare side by side on these arrays and with nothing published.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.benchmark.datasets.bci_iv_2b import BciIv2bSettings
from bci.decoders import DeepImagery

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "bci-iv-2b"
#: Of filter-bank tangent space, in the folder's README.
REFERENCE = {"B04": 0.97, "B06": 0.83}
SEEDS = (0, 1, 2)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"recordings are not at {DATA}"),
]


def hits(network, subject, seed):
    """Trials of sessions 4 and 5 decided right, how many there are, and the decoder."""
    sessions = BciIv2bSettings(path=DATA).build().epochs(subject)
    X, y = [session.X for session in sessions], [session.y for session in sessions]
    decoder = DeepImagery(network, 250.0, random_state=seed, device="cpu")
    decoder.fit(np.concatenate(X[:3]), np.concatenate(y[:3]))
    found = decoder.predict(np.concatenate(X[3:])) == np.concatenate(y[3:])
    return int(found.sum()), len(found), decoder
