"""The SSVEP network against its specification, and against one built of torch's own layers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from models.ssvep_dnn import SSVEPNet, SSVEPNetConfig

SMALL = SSVEPNetConfig(n_channels=4, n_times=21, n_classes=5, n_filters=8)


def noisy(config, n_models, seed=0):
    """Networks in double precision whose parameters, biases too, are all random."""
    network = SSVEPNet(config, n_models).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.mark.parametrize(
    ("n_channels", "n_times", "n_weights"),
    [(9, 100, 413_883), (64, 100, 420_483), (9, 250, 773_883)],
)
def test_weight_counts_of_the_specification(n_channels, n_times, n_weights):
    config = SSVEPNetConfig(n_channels, n_times, 40)
    assert config.n_weights == n_weights
    network = SSVEPNet(config)
    assert sum(p.numel() for p in network.parameters()) == n_weights + 3 * 120 + 40


def test_layer_shapes_of_the_specification():
    shapes = {
        name: tuple(p.shape) for name, p in SSVEPNet(SSVEPNetConfig(9, 100, 40)).named_parameters()
    }
    assert shapes == {
        "band_weight": (1, 1, 3),
        "channel_weight": (1, 120, 9),
        "channel_bias": (1, 120),
        "time_weight": (1, 120, 120, 2),
        "time_bias": (1, 120),
        "fir_weight": (1, 120, 120, 10),
        "fir_bias": (1, 120),
        "class_weight": (1, 40, 6000),
        "class_bias": (1, 40),
    }


def test_initial_weights():
    network = SSVEPNet(SSVEPNetConfig(9, 100, 40), n_models=2, seed=(7,))
    for name, parameter in network.named_parameters():
        values = parameter.detach().numpy()
        if name == "band_weight":
            assert (values == 1).all()
        elif name.endswith("_bias"):
            assert (values == 0).all()
        else:
            n = values[0].size
            assert abs(values[0].mean()) < 5 * 0.01 / np.sqrt(n)
            assert values[0].std() == pytest.approx(0.01, rel=5 / np.sqrt(2 * n))
            assert not np.array_equal(values[0], values[1])


def test_a_network_is_the_same_whatever_stands_beside_it():
    one, three = SSVEPNet(SMALL, 1, (3,)), SSVEPNet(SMALL, 3, (3,))
    for a, b in zip(one.parameters(), three.parameters(), strict=True):
        torch.testing.assert_close(a[0], b[0], rtol=0, atol=0)


def plain(network, k):
    """Network k from layers of torch.nn, in the order and with the sizes of the paper."""
    c = network.config
    layers = nn.Sequential(
        nn.Conv2d(c.n_bands, 1, (1, 1), bias=False),
        nn.Conv2d(1, c.n_filters, (c.n_channels, 1)),
        nn.Conv2d(c.n_filters, c.n_filters, (1, 2), stride=(1, 2)),
        nn.ReLU(),
        nn.ZeroPad2d((4, 5, 0, 0)),
        nn.Conv2d(c.n_filters, c.n_filters, (1, 10)),
        nn.Flatten(),
        nn.Linear(c.n_filters * (c.n_times // 2), c.n_classes),
    ).double()
    own = dict(network.named_parameters())
    with torch.no_grad():
        for layer, name in zip(
            (0, 1, 2, 5, 7), ("band", "channel", "time", "fir", "class"), strict=True
        ):
            layers[layer].weight.copy_(own[f"{name}_weight"][k].reshape(layers[layer].weight.shape))
            if layer:
                layers[layer].bias.copy_(own[f"{name}_bias"][k])
    return layers


@pytest.mark.parametrize("n_times", [20, 21])
def test_equals_networks_of_plain_layers(n_times):
    network = noisy(SSVEPNetConfig(4, n_times, 5, n_filters=8), 3)
    x = torch.randn(
        6, 3, 3, 4, n_times, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    scores = network(x)
    assert scores.shape == (6, 3, 5)
    for k in range(3):
        torch.testing.assert_close(scores[:, k], plain(network, k)(x[:, k]), rtol=1e-10, atol=1e-10)


def test_dropout_is_independent_for_models_and_windows_and_keeps_the_mean():
    network = noisy(SMALL, 1)
    twins = SSVEPNet(SMALL, 2).double()
    twins.load_state_dict(
        {n: p.repeat(2, *[1] * (p.ndim - 1)) for n, p in network.state_dict().items()}
    )
    x = torch.randn(3, 4, 21, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x = x.expand(400, 2, 3, 4, 21)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        dropped = twins(x, (0.0, 0.0, 0.5), generator)  # behind the non-linearity: unbiased
        exact = twins(x)[0, 0]
    assert len({tuple(row) for row in dropped.flatten(0, 1).numpy().round(9)}) == 800
    error = dropped.std(dim=(0, 1)) / np.sqrt(800)
    assert ((dropped.mean(dim=(0, 1)) - exact).abs() < 5 * error).all()
    correlation = np.corrcoef(dropped[:, 0, 0].numpy(), dropped[:, 1, 0].numpy())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(400)


@pytest.mark.parametrize("wrong", [{"n_times": 1}, {"n_classes": 1}, {"n_filters": 0}])
def test_shapes_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match="a network needs"):
        SSVEPNetConfig(**{"n_channels": 4, "n_times": 20, "n_classes": 5, **wrong})


def test_networks_need_torch_and_numpy_alone():
    code = (
        "import sys, models.ssvep_dnn, models.training\n"
        "assert not {'scipy', 'sklearn', 'safetensors', 'bci', 'gui'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
