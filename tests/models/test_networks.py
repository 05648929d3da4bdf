"""The networks by name: parameters as published, shapes, the shortest windows, their parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from models.devices import seeded
from models.layers import Attention, TemporalSpatial
from models.networks import NETWORKS, build

#: Published for 22 channels and 4 classes: EEGNet at 4 s of 128 Hz, the others at 4 s of 250 Hz
#: (ATCNet's number does not depend on it).
PUBLISHED = {
    "eegnet": (512, 2_484),
    "shallow": (1000, 46_084),
    "deep4": (1000, 282_879),
    "conformer": (1000, 789_572),
    "atcnet": (1000, 113_732),
}
SHORTEST = {
    "eegnet": 32, "shallow": 99, "deep4": 441, "conformer": 99, "atcnet": 280, "cnn_lstm": 74,
}  # fmt: skip
every_network = pytest.mark.parametrize("name", NETWORKS)


def made(name, *shape):
    with seeded([0]):
        return build(name, *shape)


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_many_parameters_as_published(name):
    n_times, n_parameters = PUBLISHED[name]
    network = build(name, 22, n_times, 4)
    assert sum(p.numel() for p in network.parameters()) == n_parameters


@every_network
@pytest.mark.parametrize("shape", [(3, 1000, 2), (5, None, 3), (1, 501, 2)])
def test_shapes(name, shape):
    n_channels, n_times, n_classes = shape
    n_times = n_times or SHORTEST[name]
    network = made(name, n_channels, n_times, n_classes)
    x = torch.randn(4, n_channels, n_times)
    assert network(x).shape == (4, n_classes)
    network.eval()
    with torch.no_grad():
        together = network(x)
        assert torch.isfinite(together).all()
        torch.testing.assert_close(network(x[2:3]), together[2:3], atol=1e-5, rtol=1e-4)


@every_network
def test_windows_that_are_too_short_are_said(name):
    shortest = SHORTEST[name]
    with pytest.raises(ValueError, match=f"{shortest} samples at least, found {shortest - 1}"):
        build(name, 3, shortest - 1, 2)
    with pytest.raises(ValueError, match="two classes at least, found 3 and 1"):
        build(name, 3, 1000, 1)


@every_network
def test_every_parameter_learns(name):
    network = made(name, 3, 500, 2)
    cross_entropy(network(torch.randn(8, 3, 500)), torch.arange(8) % 2).backward()
    still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # a bias ahead of a normalisation is taken out again; and softmax ignores what adds to all keys
    assert all("bias" in n for n in still)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="no network 'resnet'; known are eegnet, shallow"):
        build("resnet", 3, 1000, 2)


@pytest.mark.parametrize("bias", [True, False])
def test_two_convolutions_in_one_are_the_two(bias):
    torch.manual_seed(0)
    layer = TemporalSpatial(4, 6, 9, 5, bias=bias).double()
    x = torch.randn(3, 4, 40, dtype=torch.float64)
    plain = layer.space(layer.time(x[:, None]))[:, :, 0]
    torch.testing.assert_close(layer(x), plain)
    target = torch.randn_like(plain)
    wanted = torch.autograd.grad((plain * target).sum(), list(layer.parameters()))
    found = torch.autograd.grad((layer(x) * target).sum(), list(layer.parameters()))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_eegnet_decides_with_channels_combined_first_and_the_same():
    network = made("eegnet", 3, 200, 2)
    x = torch.randn(16, 3, 200)
    for _ in range(5):
        network(x)  # so that running statistics are not those it starts with
    network.double().eval()
    torch.testing.assert_close(network._combined(x.double()), network._filtered(x.double()))


@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_is_the_weighted_mean_of_values(scale):
    torch.manual_seed(0)
    layer = Attention(6, 2, head_width=4, dropout=0.9, scale=scale).double().eval()
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        q, k, v = (part(x).numpy() for part in (layer.query, layer.key, layer.value))
        heads = []
        for part in (slice(0, 4), slice(4, 8)):
            logits = q[..., part] @ k[..., part].transpose(0, 2, 1) * (scale or 0.5)
            weights = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
            heads.append(weights @ v[..., part])
        expected = layer.out(torch.from_numpy(np.concatenate(heads, axis=2)))
        torch.testing.assert_close(layer(x), expected)


def test_atcnet_does_not_look_ahead_within_a_stretch():
    block = made("atcnet", 3, 1000, 2).eval().stretches[0].blocks
    h = torch.randn(1, 32, 13)
    later = h.clone()
    later[..., 8:] += 1.0
    torch.testing.assert_close(block(h)[..., :8], block(later)[..., :8])
    assert not torch.allclose(block(h)[..., 8], block(later)[..., 8])


@pytest.mark.parametrize(("name", "bounds"), [("eegnet", 2), ("atcnet", 5)])
def test_norms_are_bounded(name, bounds):
    network = made(name, 3, 500, 2)
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(50.0)
        network.constrain()
    bounded = 0
    for key, p in network.named_parameters():
        limit = 1.0 if key == "space.weight" else 0.25
        if key == "space.weight" or key.endswith("classes.weight"):
            assert p.flatten(1).norm(dim=1).max() <= limit + 1e-5
            bounded += 1
    assert bounded == bounds
