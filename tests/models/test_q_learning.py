"""Q-learning on episodes of one step: what it is equal to, what it remembers, what it needs not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from models.devices import seeded
from models.network_training import weights_of
from models.q_learning import QRecipe, QTraining, Replay
from models.rleegnet import RLEEGNet, RLEEGNetConfig

SMALL = {"n_filters": 4, "n_hidden": 4, "n_dense": 8}


def trials(seed=0, n=48, amplitude=2.0):
    """States of three components; in class k the component k is strong."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = rng.standard_normal((n, 3, 20))
    X[np.arange(n), y] *= amplitude
    return X.astype(np.float32), y


def network(dropout=0.0):
    with seeded([7]):
        return RLEEGNet(RLEEGNetConfig(3, 20, 3, dropout=dropout, **SMALL))


def trained(X, y, recipe, seed=(0,), dropout=0.0, judged=(None, None)):
    training = QTraining(network(dropout), X, y, *judged, recipe, seed=seed, device="cpu")
    assert training.run()
    return training


def same(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_shapes_and_number_of_parameters():
    net = RLEEGNet(RLEEGNetConfig(16, 250, 4))
    assert net(torch.zeros(2, 16, 250)).shape == (2, 4)
    own = sum(p.numel() for p in net.parameters())
    batch_norms = 2 * (16 + 32 + 32 + 32 + 32 + 64)
    convolutions = (3 * 16 + 1) * 32 + (3 * 32 + 1) * 32 + 2
    lstm, dense = 4 * 32 * (32 + 32 + 2), (32 + 1) * 64 + (64 + 1) * 4
    assert own == batch_norms + convolutions + lstm + dense


def test_with_discount_0_it_is_regression_of_the_reward(monkeypatch):
    """The batches it drew, put through regression that is written here: the same weights."""
    X, y = trials()
    drawn = []
    draw = Replay.draw

    def recorded(self, n, rng):
        drawn.append(draw(self, n, rng))
        return drawn[-1]

    monkeypatch.setattr(Replay, "draw", recorded)
    training = trained(X, y, QRecipe(n_epochs=6, n_shown=16, learning_starts=32))
    plain = network().train()
    optimiser = torch.optim.Adam(plain.parameters(), lr=1e-3)
    for trial, action, reward, _ in drawn:
        np.testing.assert_array_equal(reward, np.where(action == y[trial], 1.0, -1.0))
        value = plain(torch.from_numpy(X[trial]))[torch.arange(len(trial)), action]
        optimiser.zero_grad()
        F.huber_loss(value, torch.from_numpy(reward)).backward()
        optimiser.step()
    assert len(drawn) == training.n_steps == 17  # of 18, one comes before there are 32
    learnt, expected = weights_of(training.network), weights_of(plain)
    for name, _ in plain.named_parameters():
        np.testing.assert_allclose(learnt[name], expected[name], rtol=1e-5, atol=1e-7)


def test_the_target_network_plays_no_part_with_discount_0():
    X, y = trials()
    for discount, alike in ((0.0, True), (0.9, False)):
        recipes = [
            QRecipe(n_epochs=4, n_shown=16, learning_starts=16, discount=discount, target_every=n)
            for n in (1, 1000)
        ]
        one, other = (weights_of(trained(X, y, recipe).network) for recipe in recipes)
        assert same(one, other) == alike


def test_replay_keeps_the_newest():
    replay = Replay(10)
    for k in range(7):
        at = np.array([2 * k, 2 * k + 1])
        replay.add(at, at % 3, at.astype(np.float32), at + 1)
        assert len(replay) == min(10, 2 * k + 2)
    trial, action, reward, following = replay.draw(500, np.random.default_rng(0))
    assert set(trial.tolist()) == set(range(4, 14))
    np.testing.assert_array_equal(action, trial % 3)
    np.testing.assert_array_equal(reward, trial)
    np.testing.assert_array_equal(following, trial + 1)


def test_the_seed_decides_and_torch_is_left_as_it_was():
    X, y = trials()
    recipe = QRecipe(n_epochs=3, n_shown=16, learning_starts=16)
    before = torch.random.get_rng_state()
    one, again, other = (
        weights_of(trained(X, y, recipe, seed, dropout=0.5).network) for seed in ((0,), (0,), (1,))
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(one, again)
    assert not same(one, other)


def test_it_learns_from_rewards_and_tries_out_less_and_less():
    X, y = trials(n=90, amplitude=4.0)
    judged = trials(1, 30, 4.0)
    recipe = QRecipe(n_epochs=16, n_shown=10, batch_size=32, learning_rate=1e-2)
    training = QTraining(network(), X, y, *judged, recipe, device="cpu")
    assert training.epsilon == 1.0
    assert training.run()
    assert training.epsilon == pytest.approx(0.05)
    assert abs(training.rewards[0] + 1 / 3) < 0.35  # by chance one of three is right
    assert training.rewards[-1] > 0.5
    values = training.network(torch.from_numpy(judged[0])).detach().numpy()
    assert (values.argmax(axis=1) == judged[1]).mean() > 0.8
    assert training.best_epoch == int(np.argmin(training.validation_losses)) + 1


def test_it_stops_early_and_when_asked_to():
    X, y = trials()
    noise = np.random.default_rng(5).permutation(y)
    training = trained(
        X, noise, QRecipe(n_epochs=200, patience=3, learning_rate=1e-2), judged=trials(1)
    )
    assert training.epoch < 200
    assert training.epoch == training.best_epoch + 3
    stopped = QTraining(network(), X, y, None, None, QRecipe(), device="cpu")
    assert not stopped.run(should_stop=lambda: stopped.epoch == 2)
    assert stopped.epoch == 2


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: QRecipe(batch_size=0), "needs one of everything"),
        (lambda: QRecipe(discount=1.0), "discount must be at least 0 and below 1"),
        (lambda: RLEEGNetConfig(3, 20, 1), "two samples and two actions"),
        (lambda: RLEEGNetConfig(3, 20, 2, n_taps=4), "odd taps"),
        (lambda: RLEEGNetConfig(3, 20, 2, dropout=1.0), "dropout must be"),
        (lambda: QTraining(network(), trials()[0], [0], None, None, QRecipe()), "48 and 1"),
    ],
)
def test_what_does_not_fit_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
