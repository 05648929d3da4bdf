"""Time of the deep network: one decision, and training many side by side against one by one."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from bci.decoders.deep.folded_network import FoldedNetwork
from models.ssvep_dnn import SSVEPNet, SSVEPNetConfig
from models.training import Schedule, Training

pytestmark = pytest.mark.timing

#: Nine channels, 0.4 s at 250 Hz, 40 targets.
CONFIG = SSVEPNetConfig(9, 100, 40)


def report(name, call, repeats=400):
    for _ in range(20):
        call()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(1e3 * (perf_counter() - start))
    median, p99 = np.median(times), np.percentile(times, 99)
    print(f"\n{name}: median {median:.3f} ms, p99 {p99:.3f} ms (1 thread, {repeats} repeats)")
    return median


def test_one_decision():
    network = SSVEPNet(CONFIG)
    weights = {name: p.detach().numpy()[0] for name, p in network.named_parameters()}
    folded = FoldedNetwork(weights, 250.0, 100)
    X = 20 * np.random.default_rng(0).standard_normal((1, 9, 100))
    bands = torch.randn(1, 1, 3, 9, 100)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), torch.inference_mode():
            mine = report("9 ch, 0.4 s, 40 targets, sub-bands included", lambda: folded.scores(X))
            theirs = report("the same by torch, sub-bands not included", lambda: network(bands))
    finally:
        torch.set_num_threads(threads)
    print(f"torch takes {theirs / mine:.1f} times as long")
    assert mine < 1.0
    assert mine < theirs


def throughput(device, n_models, n_epochs, repeats, n_parallel=None):
    """Model-epochs a second of the second stage, one after the other and at once.

    Each model has its person's 200 trials (40 targets, 5 blocks). The two take turns, and
    the best of each counts, so that other work on the machine touches both alike.
    """
    rng = np.random.default_rng(0)
    X = 20 * rng.standard_normal((200 * n_models, 3, 9, 100)).astype(np.float32)
    targets = np.eye(40, dtype=np.float32)[np.arange(len(X)) % 40]
    rows = np.split(np.arange(len(X)), n_models)
    schedule = Schedule(n_epochs, (0.6, 0.6, 0.95))

    def seconds(groups):
        total = 0.0
        for group in groups:
            network = SSVEPNet(CONFIG, len(group))
            training = Training(
                network, X, targets, group, schedule, device=device, n_parallel=n_parallel
            )
            training._one_epoch()  # warm
            start = perf_counter()
            training.run()  # its losses are read at each epoch's end: nothing is left running
            total += perf_counter() - start
        return total

    one_by_one, at_once = [], []
    for _ in range(repeats):
        one_by_one.append(seconds([[own] for own in rows]))
        at_once.append(seconds([rows]))
    model_epochs = n_models * n_epochs
    return model_epochs / min(one_by_one), model_epochs / min(at_once)


def test_second_stage_at_once_on_the_cpu():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone, together = throughput("cpu", n_models=6, n_epochs=3, repeats=3)
        _, one_pass = throughput("cpu", n_models=6, n_epochs=3, repeats=1, n_parallel=6)
    finally:
        torch.set_num_threads(threads)
    print(
        f"\nsecond stage, 6 models × 200 trials, 1 CPU thread: one after the other {alone:.2f}, "
        f"at once {together:.2f} model-epochs/s (ratio {together / alone:.2f}; in a single pass "
        f"{one_pass / alone:.2f})"
    )
    assert together >= 0.9 * alone


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_second_stage_at_once_on_a_gpu():
    alone, together = throughput("cuda", n_models=60, n_epochs=20, repeats=3)
    print(
        f"\nsecond stage, 10 subjects × 6 folds × 200 trials, {torch.cuda.get_device_name()}: one "
        f"after the other {alone:.0f}, at once {together:.0f} model-epochs/s (ratio "
        f"{together / alone:.1f})"
    )
    assert together >= 5 * alone
