"""Training of one classifier: early stopping, seeds, going on after a stop, augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from models.augmentation import Augmentation
from models.classifier_training import ClassifierTraining, Recipe, scores
from models.devices import seeded
from models.network_training import load_weights, weights_of


def windows(n=48, seed=0, amplitude=0.5):
    """Three channels of noise; the class is which of them is shifted."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3, 32)).astype(np.float32)
    y = rng.permutation(np.arange(n) % 3)
    X[np.arange(n), y] += amplitude
    return X, y


def network(seed=0):
    with seeded([seed]):
        return nn.Sequential(
            nn.Conv1d(3, 8, 5), nn.BatchNorm1d(8), nn.ELU(), nn.Dropout(0.3),
            nn.Flatten(), nn.Linear(8 * 28, 3),
        )  # fmt: skip


def make(recipe, *, net=None, seed=(0,), validation=True, augment=None):
    X, y = windows()
    X_val, y_val = windows(24, seed=1) if validation else (None, None)
    return ClassifierTraining(
        net or network(), X, y, X_val, y_val, recipe, seed=seed, augment=augment, device="cpu"
    )


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(other[name], value, err_msg=name)


def test_it_learns_and_keeps_the_best_epoch():
    training = make(Recipe(40, 16, 3e-3, patience=10))
    after = {}
    assert training.run(lambda done, loss: after.update({done: weights_of(training.network)}))
    best = int(np.argmin(training.validation_losses)) + 1
    assert training.best_epoch == best
    assert best == training.epoch - 10 or training.epoch == 40
    assert_same(after[best], weights_of(training.network))
    assert not training.network.training
    X, y = windows(90, seed=2)
    assert (scores(training.network, X).argmax(axis=1) == y).mean() > 0.7


def test_one_step_is_adamw_with_decay_on_weights_alone():
    rate, decay = 1e-2, 0.3
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 3))
    training = make(Recipe(3, 48, rate, decay, None), net=net, validation=False)
    X, y = (torch.from_numpy(a) for a in windows())
    weights = {n: p.detach().double().clone() for n, p in net.named_parameters()}
    training.run()
    moments = {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in weights.items()}
    for step in range(1, 4):
        own = {n: p.clone().requires_grad_() for n, p in weights.items()}
        cross_entropy(X.double().flatten(1) @ own["1.weight"].T + own["1.bias"], y).backward()
        for name, p in weights.items():
            m, v = moments[name]
            m.mul_(0.9).add_(0.1 * own[name].grad)
            v.mul_(0.999).add_(0.001 * own[name].grad ** 2)
            if name == "1.weight":
                p *= 1 - rate * decay
            p -= rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    for name, p in net.named_parameters():
        np.testing.assert_allclose(p.detach().numpy(), weights[name].numpy(), atol=1e-5)


def test_the_seed_decides_and_nothing_else():
    def trained(seed, net_seed=0):
        training = make(Recipe(3, 16), net=network(net_seed), seed=(seed,))
        training.run()
        return training.state()

    first = trained(1)
    torch.rand(7)  # what others draw does not matter
    before = torch.get_rng_state()
    assert_same(first, trained(1))
    assert torch.equal(before, torch.get_rng_state())
    assert not np.array_equal(first["network.0.weight"], trained(2)["network.0.weight"])
    assert not np.array_equal(first["network.0.weight"], trained(1, 5)["network.0.weight"])


@pytest.mark.parametrize("stopped_after", [0, 4])
def test_a_training_that_stopped_ends_as_one_that_did_not(stopped_after):
    recipe = Recipe(9, 16, 3e-3, 1e-2, patience=6)
    augment = Augmentation(3, 0.2, 0.1)
    whole, first, rest = (make(recipe, augment=augment) for _ in range(3))
    assert whole.run()
    kept = []
    assert not first.run(should_stop=lambda: first.epoch == stopped_after, save=kept.append)
    on_disk = {name: np.ascontiguousarray(value) for name, value in kept[-1].items()}
    rest.restore(on_disk)
    assert rest.epoch == stopped_after
    assert rest.run()
    assert_same(whole.state(), rest.state())
    done = make(recipe)
    done.restore(whole.state())
    assert done.finished
    assert done.run()
    assert_same(weights_of(whole.network), weights_of(done.network))


def test_without_validation_the_last_epoch_is_kept():
    training = make(Recipe(4, 16, patience=1), validation=False)
    assert training.run()
    assert training.epoch == training.best_epoch == 4
    assert training.validation_losses == []


def test_weights_of_classes_weigh_the_loss():
    weights = np.array([0.5, 1.0, 4.0])
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 3))
    X, y = windows()
    log_p = torch.log_softmax(net(torch.from_numpy(X)), dim=1).detach().numpy()
    training = make(Recipe(1, 48, class_weights=tuple(weights)), net=net)
    training.run()
    expected = -(weights[y] * log_p[np.arange(48), y]).sum() / weights[y].sum()
    assert training.losses[0] == pytest.approx(expected, rel=1e-5)


def test_a_network_that_bounds_its_weights_is_asked_after_each_step():
    class Bounded(nn.Sequential):
        def constrain(self):
            self[1].weight.renorm_(2, 0, 0.05)

    net = Bounded(nn.Flatten(), nn.Linear(96, 3))
    make(Recipe(2, 16, 0.1), net=net).run()
    assert net[1].weight.norm(dim=1).max() <= 0.05 + 1e-6


def test_weights_go_into_another_network():
    one, other = network(0), network(1)
    load_weights(other, {n: np.ascontiguousarray(w) for n, w in weights_of(one).items()})
    X, _ = windows()
    np.testing.assert_array_equal(scores(one, X), scores(other, X))
    np.testing.assert_allclose(scores(one, X)[3:4], scores(one, X[3:4]), atol=1e-6)
    with pytest.raises(KeyError):
        load_weights(nn.Linear(2, 2), weights_of(one))


def test_augmentation_moves_drops_and_scales():
    x = torch.randn(200, 4, 50)
    draw = torch.Generator().manual_seed(0)
    moved = Augmentation(max_shift=5)(x, draw)
    shifts = {
        s for s in range(-8, 9)
        for k in range(200) if torch.equal(torch.roll(x[k], s, dims=1), moved[k])
    }  # fmt: skip
    assert shifts == set(range(-5, 6))
    dropped = Augmentation(channel_dropout=0.3)(x, draw)
    zero = (dropped == 0).all(dim=2)
    assert 0.2 < zero.float().mean() < 0.4
    torch.testing.assert_close(dropped[~zero], x[~zero] / 0.7)
    ratio = Augmentation(amplitude=0.2)(x, draw) / x
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio))
    assert 0.8 <= ratio.min() < 0.85 < 1.15 < ratio.max() <= 1.2
    assert Augmentation()(x, draw) is x


def test_what_cannot_be_trained_is_refused():
    X, y = windows()
    with pytest.raises(ValueError, match="found 48 windows and 47 labels"):
        ClassifierTraining(network(), X, y[1:], None, None, Recipe(), device="cpu")
    with pytest.raises(ValueError, match="X_val must hold one window or more"):
        ClassifierTraining(network(), X, y, X[:0], y[:0], Recipe(), device="cpu")
    with pytest.raises(ValueError, match="n_epochs, batch_size and patience"):
        Recipe(n_epochs=0)
    with pytest.raises(ValueError, match="learning_rate must be above 0"):
        Recipe(learning_rate=0.0)
    with pytest.raises(ValueError, match="max_shift must be 0"):
        Augmentation(max_shift=-1)
    with pytest.raises(ValueError, match="channel_dropout and amplitude"):
        Augmentation(channel_dropout=1.0)
