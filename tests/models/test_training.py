"""Training of networks side by side: the optimiser, independence, stopping and going on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from models.ssvep_dnn import SSVEPNet, SSVEPNetConfig
from models.training import Schedule, Training

CONFIG = SSVEPNetConfig(n_channels=3, n_times=16, n_classes=4, n_filters=6, init_std=0.3)
NO_DROPOUT = (0.0, 0.0, 0.0)


def trials(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3, 3, 16)).astype(np.float32)
    return X, np.eye(4, dtype=np.float32)[rng.integers(4, size=n)]


def make(rows, schedule, network=None, **options):
    X, targets = trials()
    network = network or SSVEPNet(CONFIG, len(rows)).double()
    return Training(network, X, targets, rows, schedule, device="cpu", **options)


ROWS = [np.arange(0, 20), np.arange(10, 40), np.arange(5, 17)]


@pytest.mark.parametrize("n_parallel", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [None, 8])
def test_side_by_side_equals_one_after_the_other(n_parallel, batch_size):
    # the order within an epoch is drawn for each model, so with batches it must not matter
    rows = [np.full(16, k) for k in range(3)] if batch_size else ROWS
    schedule = Schedule(4, NO_DROPOUT, batch_size, learning_rate=1e-2)
    together = make(rows, schedule, n_parallel=n_parallel)
    start = together.weights()
    assert together.run()
    for k, own in enumerate(rows):
        network = SSVEPNet(CONFIG, 1).double()
        network.load_state_dict({n: torch.from_numpy(w[k : k + 1]) for n, w in start.items()})
        alone = make([own], schedule, network)
        alone.run()
        for name, weight in alone.weights().items():
            np.testing.assert_allclose(together.weights()[name][k], weight[0], rtol=0, atol=1e-10)
        np.testing.assert_allclose(
            np.array(together.losses)[:, k], np.array(alone.losses)[:, 0], atol=1e-10
        )


def test_adam_with_coupled_decay_on_weights_alone():
    rate, decay, n_steps = 1e-2, 0.3, 3
    training = make([np.arange(40)], Schedule(n_steps, NO_DROPOUT, None, rate, decay))
    X, targets = (torch.from_numpy(a).double() for a in trials())
    network = SSVEPNet(CONFIG).double()
    network.load_state_dict(training.network.state_dict())
    training.run()
    moments = {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in network.named_parameters()}
    for step in range(1, n_steps + 1):
        loss = cross_entropy(network(X[:, None])[:, 0], targets)
        network.zero_grad()
        loss.backward()
        with torch.no_grad():
            for name, p in network.named_parameters():
                gradient = p.grad + (decay * p if name.endswith("_weight") else 0)
                m, v = moments[name]
                m.mul_(0.9).add_(0.1 * gradient)
                v.mul_(0.999).add_(0.001 * gradient**2)
                p -= rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    for name, p in network.named_parameters():
        np.testing.assert_allclose(training.weights()[name], p.detach().numpy(), rtol=0, atol=1e-9)


def test_gradient_descent_with_momentum():
    training = make([np.arange(40)], Schedule(2, NO_DROPOUT, None, 0.1, 0.0, momentum=0.9))
    X, targets = (torch.from_numpy(a).double() for a in trials())
    network = SSVEPNet(CONFIG).double()
    network.load_state_dict(training.network.state_dict())
    training.run()
    velocity = {n: torch.zeros_like(p) for n, p in network.named_parameters()}
    for _ in range(2):
        network.zero_grad()
        cross_entropy(network(X[:, None])[:, 0], targets).backward()
        with torch.no_grad():
            for name, p in network.named_parameters():
                velocity[name].mul_(0.9).add_(p.grad)
                p -= 0.1 * velocity[name]
    for name, p in network.named_parameters():
        np.testing.assert_allclose(training.weights()[name], p.detach().numpy(), rtol=0, atol=1e-10)


def test_batches_of_an_epoch_hold_each_trial_once_in_a_new_order():
    training = make(ROWS, Schedule(1, NO_DROPOUT, 8))
    orders = []
    for epoch in range(2):
        batches = [b.numpy() for b in training._batches(np.random.default_rng(epoch))]
        assert len(batches) == 4  # of 30 trials at most
        seen = [np.concatenate([b[:, k][b[:, k] >= 0] for b in batches]) for k in range(3)]
        for rows, found in zip(ROWS, seen, strict=True):
            np.testing.assert_array_equal(np.sort(found), rows)
        orders.append(seen)
    assert not np.array_equal(orders[0][0], orders[1][0])


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_a_training_that_stopped_ends_as_one_that_did_not(momentum):
    schedule = Schedule(6, (0.2, 0.3, 0.5), 8, 1e-2, momentum=momentum)

    def start():
        X, targets = trials()
        return Training(SSVEPNet(CONFIG, 3), X, targets, ROWS, schedule, seed=(5,), device="cpu")

    whole, first, rest = start(), start(), start()
    assert whole.run()
    kept = []
    assert not first.run(should_stop=lambda: first.epoch == 2, save=kept.append)
    rest.restore({name: value.copy() for name, value in kept[-1].items()})
    assert rest.epoch == 2
    seen = []
    assert rest.run(progress=lambda done, loss: seen.append(done))
    assert seen == [3, 4, 5, 6]
    for name, value in whole.state().items():
        np.testing.assert_array_equal(rest.state()[name], value)


def test_state_is_saved_while_training_and_at_the_end():
    kept = []
    training = make(ROWS, Schedule(3, NO_DROPOUT))
    training.run(save=lambda state: kept.append(len(state["losses"])), save_every_s=0.0)
    assert kept == [1, 2, 3, 3]


def test_the_seed_decides_what_is_dropped():
    def weights(seed):
        training = make(ROWS, Schedule(2, (0.5, 0.5, 0.5)), seed=(seed,))
        training.run()
        return training.weights()["fir_weight"]

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_loss_falls():
    training = make(ROWS, Schedule(60, NO_DROPOUT, None, 1e-2))
    training.run()
    assert (np.array(training.losses)[-1] < 0.3 * np.array(training.losses)[0]).all()


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ValueError, match="hold 3 models"):
        make(ROWS, Schedule(1, NO_DROPOUT), SSVEPNet(CONFIG, 2).double())
    with pytest.raises(ValueError, match="no trial"):
        make([np.arange(0), np.arange(3)], Schedule(1, NO_DROPOUT))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said():
    X, targets = trials()
    with pytest.raises(ValueError, match="'cuda' is asked for, torch finds none"):
        Training(SSVEPNet(CONFIG, 3), X, targets, ROWS, Schedule(1, NO_DROPOUT), device="cuda")
