"""Time of one decision of the networks for imagery, against the bare network."""

from __future__ import annotations

from time import thread_time

import numpy as np
import pytest
import torch

from bci.decoders import DeepImagery
from models.networks import NETWORKS, build

pytestmark = pytest.mark.timing


def times(calls, repeats=300):
    """Median of each call in milliseconds of this thread's own time, which load leaves alone."""
    found = {name: [] for name in calls}
    for k in range(repeats + 20):
        for name, call in calls.items():
            start = thread_time()
            call()
            if k >= 20:
                found[name].append(1e3 * (thread_time() - start))
    return {name: float(np.median(ms)) for name, ms in found.items()}


@pytest.mark.parametrize("n_channels", [3, 22])
@pytest.mark.parametrize("network", NETWORKS)
def test_one_decision(network, n_channels):
    """A window of 4 s at 250 Hz, four classes, one thread: standardised, decided, calibrated."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((16, n_channels, 1000)), np.arange(16) % 4
    decoder = DeepImagery(network, n_epochs=1, device="cpu").fit(X, y)
    bare = build(network, n_channels, 1000, 4).eval()
    window = torch.randn(1, n_channels, 1000)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            found = times(
                {"decoder": lambda: decoder.predict_proba(X[:1]), "network": lambda: bare(window)}
            )
    finally:
        torch.set_num_threads(threads)
    print(
        f"\n{network}, {n_channels} ch: {found['decoder']:.2f} ms, of which the bare network "
        f"{found['network']:.2f} ms (ratio {found['decoder'] / found['network']:.2f})"
    )
    if network == "eegnet":
        assert found["decoder"] <= 2.0
