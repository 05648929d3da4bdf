"""ART: as many parameters as specified, no way past the noisy input; and its short relative."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.art import ART, ARTConfig, places
from models.art_patch import ARTPatch, ARTPatchConfig
from models.denoising import Denoiser, Recipe, build, clean, fit
from models.devices import seeded

SMALL = {"width": 16, "n_heads": 2, "n_hidden": 32, "n_layers": 1}


def made(name, n_channels=4, n_times=64, **settings):
    with seeded([0]):
        return build(name, n_channels, n_times, **(SMALL | settings)).eval()


@pytest.mark.parametrize(("n_layers", "n_parameters"), [(2, 2_517_022), (6, 7_526_430)])
def test_as_many_parameters_as_specified(n_layers, n_parameters):
    network = ART(ARTConfig(n_layers=n_layers))
    assert sum(p.numel() for p in network.parameters()) == n_parameters


def test_the_same_as_torchs_own_layers():
    """The weights in `torch.nn.Transformer`, put together here, give the same output."""
    c = ARTConfig(5, 40, width=16, n_layers=2, n_heads=4, n_hidden=24)
    with seeded([1]):
        ours = ART(c).eval()
        for parameter in ours.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    layer = {"dropout": 0.0, "batch_first": True, "norm_first": True}
    nn = torch.nn
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 4, 24, **layer), 2, nn.LayerNorm(16),
        enable_nested_tensor=False,
    )  # fmt: skip
    bare = nn.Transformer(16, 4, 2, 2, 24, custom_encoder=encoder, **layer).eval()

    def take(theirs, attention):
        parts = (attention.query, attention.key, attention.value)
        theirs.in_proj_weight.data = torch.cat([part.weight for part in parts])
        theirs.in_proj_bias.data = torch.cat([part.bias for part in parts])
        theirs.out_proj.load_state_dict(attention.out.state_dict())

    def take_linear(theirs, linear, norm):
        norm.load_state_dict(linear[0].state_dict())
        theirs.linear1.load_state_dict(linear[1].state_dict())
        theirs.linear2.load_state_dict(linear[4].state_dict())

    for theirs, own in zip(bare.encoder.layers, ours.encoder, strict=True):
        take(theirs.self_attn, own.attention)
        theirs.norm1.load_state_dict(own.attention_norm.state_dict())
        take_linear(theirs, own.linear, theirs.norm2)
    for theirs, own in zip(bare.decoder.layers, ours.decoder, strict=True):
        take(theirs.self_attn, own.own[1])
        take(theirs.multihead_attn, own.other[1])
        theirs.norm1.load_state_dict(own.own[0].state_dict())
        theirs.norm2.load_state_dict(own.other[0].state_dict())
        take_linear(theirs, own.linear, theirs.norm3)
    bare.encoder.norm.load_state_dict(ours.encoded.state_dict())
    bare.decoder.norm.load_state_dict(ours.decoded.state_dict())
    x = torch.randn(2, 5, 40)
    with torch.no_grad():
        sides = [
            part.features(x).transpose(1, 2) * 4.0 + places(40, 16)
            for part in (ours.source, ours.query)
        ]
        expected = ours.generator(bare(*sides)).transpose(1, 2)
        torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-5)


def test_places_are_those_of_vaswani():
    k, i = np.arange(7)[:, None], np.arange(4)
    angle = k / 10_000 ** (2 * i / 8)
    expected = np.empty((7, 8))
    expected[:, ::2], expected[:, 1::2] = np.sin(angle), np.cos(angle)
    np.testing.assert_allclose(places(7, 8).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["art", "art_patch"])
def test_shapes_and_windows_by_themselves(name):
    network = made(name)
    if name == "art_patch":
        torch.nn.init.normal_(network.artifact.weight)
    x = torch.randn(3, 4, 64)
    with torch.no_grad():
        together = network(x)
        torch.testing.assert_close(network(x[1:2]), together[1:2], atol=1e-5, rtol=1e-4)
    assert together.shape == x.shape
    assert torch.isfinite(together).all()


@pytest.mark.parametrize(("name", "settings"), [("art", {"skip": True}), ("art_patch", {})])
def test_what_says_what_to_take_away_begins_with_nothing(name, settings):
    x = torch.randn(2, 4, 64)
    with torch.no_grad():
        torch.testing.assert_close(made(name, **settings)(x), x)
        assert not torch.allclose(made("art")(x), x, atol=0.1)


def test_every_output_of_art_sees_the_whole_window_and_no_shift():
    """The decoder has no mask: a change anywhere is felt everywhere, and most where it is."""
    network, x = made("art"), torch.randn(1, 4, 64)
    changed = x.clone()
    changed[:, :, 40] += 3.0
    with torch.no_grad():
        difference = (network(changed) - network(x)).abs().amax(dim=(0, 1))
    assert (difference > 0).all()
    assert difference.argmax() == 40


@pytest.mark.parametrize("n_ahead", [0, 1, 2])
def test_a_patch_sees_no_further_ahead_than_said(n_ahead):
    network = made("art_patch", n_patch=8, n_ahead=n_ahead, n_layers=3)
    torch.nn.init.normal_(network.artifact.weight)
    x = torch.randn(1, 4, 64)
    changed = x.clone()
    changed[:, :, 40] += 3.0  # in patch 5
    with torch.no_grad():
        difference = (network(changed) - network(x)).abs().amax(dim=(0, 1))
    first = 8 * (5 - n_ahead)
    assert (difference[:first] == 0).all()
    assert (difference[first:] > 0).all()


def mixtures(n, seed):
    """Rhythms of the brain on four channels, and a slow wave that all of them share."""
    rng = np.random.default_rng(seed)
    t = np.arange(64) / 128
    phase = rng.uniform(0, 2 * np.pi, (2, n, 4, 1))
    brain = 10 * np.sin(2 * np.pi * 10 * t + phase[0])
    slow = np.sin(2 * np.pi * 2 * t + phase[1][:, :1]) * np.array([40, 30, 20, 10])[:, None]
    return (brain + slow).astype(np.float32), brain.astype(np.float32)


@pytest.mark.parametrize(
    ("name", "settings"),
    [pytest.param("art", {"skip": True}, marks=pytest.mark.slow), ("art_patch", {})],
)
def test_they_learn_to_take_a_common_wave_away(name, settings):
    with seeded([0]):
        denoiser = Denoiser(build(name, 4, 64, **(SMALL | {"dropout": 0.0} | settings)))
    recipe = Recipe(n_epochs=4, learning_rate=5e-3, patience=None)

    def batches(rng):
        for _ in range(16):
            yield mixtures(16, int(rng.integers(1 << 30)))

    fit(denoiser, batches, mixtures(32, 1), recipe)
    noisy, true = mixtures(64, 2)
    left = np.square(clean(denoiser, noisy) - true).mean() / np.square(noisy - true).mean()
    assert left < 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ARTConfig(0), "a channel, a sample and a layer"),
        (lambda: ARTConfig(width=100), "no multiple of twice its 8 heads"),
        (lambda: ARTPatchConfig(n_times=500), "a multiple of its 8 samples a patch, found 500"),
        (lambda: ARTPatchConfig(n_ahead=-1), "patches ahead of 0 or more"),
    ],
)
def test_settings_that_fit_no_network_are_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_network_is_moved_with_its_places():
    network = ARTPatch(ARTPatchConfig(4, 64, **SMALL)).double()
    assert network(torch.randn(1, 4, 64, dtype=torch.float64)).dtype == torch.float64
