"""Networks that remove artifacts: shapes, units, training, going on after a stop, honesty."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.denoising import NETWORKS, Denoiser, DenoiserTraining, Recipe, build, clean, fit
from models.devices import seeded
from models.network_training import weights_of

N_TIMES = 64
SMALL = {
    "res_cnn": {"n_filters": 4, "n_inner": 2, "kernels": [3, 5], "n_blocks": 1},
    "u_net": {"widths": [6, 8, 8], "taps": 5},
}


def small(name="u_net", n_channels=1, n_times=N_TIMES, seed=0):
    with seeded([seed]):
        return build(name, n_channels, n_times, **SMALL[name])


def made(seed, n, freq=(6.0, 12.0), artifact=(0.5, 2.0), scale=(10.0, 30.0)):
    """Sines of one band with those of another added, µV."""
    rng = np.random.default_rng(seed)
    t = np.arange(N_TIMES) / N_TIMES

    def sines(band, amplitude):
        f, phase = rng.uniform(*band, (n, 1)), rng.uniform(0, 2 * np.pi, (n, 1))
        return amplitude * np.sin(2 * np.pi * f * t + phase)

    wanted = sines(freq, scale[0])
    return tuple(
        a[:, None].astype(np.float32) for a in (wanted + sines(artifact, scale[1]), wanted)
    )


def toy_batches(rng):
    for _ in range(6):
        yield made(int(rng.integers(2**31)), 16)


def train(recipe, *, batches=toy_batches, validation=None, seed=(0,), net=None, **watch):
    denoiser = Denoiser(net or small())
    given = made(99, 40) if validation is None else validation
    return fit(denoiser, batches, given, recipe, seed=seed, device="cpu", **watch)


# --- networks --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("n_channels", "n_times"), [(1, 64), (3, 61)])
def test_a_window_keeps_its_shape_and_each_channel_is_cleaned_by_itself(name, n_channels, n_times):
    denoiser = Denoiser(small(name, n_channels, n_times)).eval()
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.add_(0.05)  # the U-Net's last layer begins at zero
        x = 20.0 * torch.randn(5, n_channels, n_times)
        whole = denoiser(x)
        assert whole.shape == x.shape
        assert not torch.allclose(whole, x)
        each = [denoiser(x[:, k : k + 1]) for k in range(n_channels)]
    torch.testing.assert_close(torch.cat(each, dim=1), whole, atol=1e-4, rtol=1e-4)


def test_the_res_cnn_has_the_weights_of_its_specification():
    def convolution(n_in, n_out, taps):
        return n_in * n_out * taps + n_out + 2 * n_out  # with its batch normalisation

    block = {k: convolution(32, 32, k) + convolution(32, 16, k) + convolution(16, 32, k)
             for k in (3, 5, 7)}  # fmt: skip
    expected = (
        convolution(1, 32, 5) + 2 * sum(block.values()) + convolution(96, 32, 1)
        + (32 * 512 + 1) * 512
    )  # fmt: skip
    assert sum(p.numel() for p in build("res_cnn", 1, 512).parameters()) == expected


def test_the_u_net_begins_as_the_identity():
    x = torch.randn(3, 2, 50)
    torch.testing.assert_close(build("u_net", 2, 50)(x), x)


@pytest.mark.parametrize("name", SMALL)
def test_what_comes_out_is_in_microvolts(name):
    """Amplitude and offset of a window go in and come out again."""
    denoiser = Denoiser(small(name)).eval()
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.add_(0.05)
        x = torch.randn(4, 1, N_TIMES)
        torch.testing.assert_close(
            denoiser(30.0 * x - 200.0), 30.0 * denoiser(x) - 200.0, atol=2e-3, rtol=1e-4
        )
        flat = torch.full((1, 1, N_TIMES), 7.0)
        torch.testing.assert_close(denoiser(flat), flat)


def test_a_network_that_mixes_channels_is_normalised_over_all_of_them():
    class Mean(torch.nn.Module):
        def forward(self, x):
            assert abs(float(x.mean())) < 1e-6
            assert float(x.std()) == pytest.approx(1.0, abs=0.01)
            return x.mean(dim=1, keepdim=True).expand_as(x)

    x = torch.tensor([1.0, 50.0])[None, :, None] * torch.randn(1, 2, 300) + 5.0
    torch.testing.assert_close(Denoiser(Mean())(x), x.mean(dim=1, keepdim=True).expand_as(x))


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match=f"no network 'net'; known are {', '.join(NETWORKS)}"):
        build("net", 1, 64)
    with pytest.raises(ValueError, match="no setting 'depth'; it has widths, taps"):
        build("u_net", 1, 64, depth=3)
    with pytest.raises(ValueError, match="cannot take its settings"):
        build("u_net", 1, 64, widths=3)
    with pytest.raises(ValueError, match="odd number of taps"):
        build("u_net", 1, 64, taps=4)
    with pytest.raises(ValueError, match="kernels of an odd number"):
        build("res_cnn", 1, 64, kernels=[2])


# --- training --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_to_take_off_what_is_added(name):
    told = []
    recipe = Recipe(16, 2e-2, decay="cosine", patience=None, unit="clean")
    training = train(recipe, net=small(name), progress=lambda t: told.append(t.epoch))
    assert told == list(range(1, 17))
    assert training.finished
    assert not training.denoiser.training
    noisy, wanted = made(7, 50)
    before, after = (np.square(x - wanted).mean() for x in (noisy, clean(training.denoiser, noisy)))
    assert after < 0.3 * before
    # the relative error untouched: power 30² / 2 over 10² / 2
    assert training.untouched_loss() == pytest.approx(9.0, rel=0.4)


def test_the_best_epoch_on_validation_is_kept():
    after = []
    recipe = Recipe(12, 0.3, patience=3)
    training = train(recipe, progress=lambda t: after.append(weights_of(t.network)))
    best = int(np.argmin(training.validation_losses))
    assert training.epoch == min(12, best + 1 + 3)
    for name, value in weights_of(training.network).items():
        np.testing.assert_array_equal(value, after[best][name])


class Kept:
    """A checkpoint in memory."""

    def __init__(self):
        self.state = None

    def read(self):
        return self.state

    def write(self, arrays):
        self.state = {k: np.ascontiguousarray(v) for k, v in arrays.items()}


@pytest.mark.parametrize("name", SMALL)
def test_a_training_that_stopped_ends_as_one_that_did_not(name):
    recipe = Recipe(5, 3e-3, warm_up=9, decay="inverse_sqrt", weight_decay=1e-2)
    whole, kept = train(recipe, net=small(name)), Kept()
    epochs = iter([False, False, True])
    first = train(recipe, net=small(name), checkpoint=kept, should_stop=lambda: next(epochs))
    assert first.epoch == 2
    assert not first.finished
    rest = train(recipe, net=small(name, seed=5), checkpoint=kept)
    assert rest.losses == whole.losses
    assert rest.validation_losses == whole.validation_losses
    ended = rest.state()
    for key, value in whole.state().items():
        np.testing.assert_array_equal(ended[key], value, err_msg=key)


def test_the_seed_decides():
    recipe = Recipe(2, 3e-3)
    first = train(recipe).losses
    torch.rand(3)
    assert train(recipe).losses == first
    assert train(recipe, seed=(1,)).losses != first


@pytest.mark.parametrize("unit", ["noisy", "clean"])
def test_the_loss_by_hand(unit):
    noisy, wanted = made(3, 5)
    recipe = Recipe(1, spectral=0.25, unit=unit)
    training = DenoiserTraining(Denoiser(small()), toy_batches, (noisy, wanted), recipe,
                                device="cpu")  # fmt: skip
    of = (noisy if unit == "noisy" else wanted).astype(np.float64)
    scale = of.std(axis=-1, keepdims=True)
    a, b = (x.astype(np.float64) / scale for x in (noisy, wanted))
    spectra = [np.abs(np.fft.rfft(x)) / math.sqrt(N_TIMES) for x in (a, b)]
    expected = np.mean((a - b) ** 2) + 0.25 * np.mean((spectra[0] - spectra[1]) ** 2)
    assert training.untouched_loss() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("recipe", "rates"),
    [
        (Recipe(4, 0.1, warm_up=3), [0.1 / 3, 0.2 / 3, 0.1, 0.1, 0.1, 0.1]),
        (Recipe(4, 0.1, warm_up=2, decay="inverse_sqrt"),
         [0.05, 0.1, 0.1 * math.sqrt(2 / 3), 0.1 / math.sqrt(2), 0.1 * math.sqrt(2 / 5)]),
        (Recipe(2, 0.1, decay="cosine"), [0.1] * 6 + [0.05] * 6),
    ],
)  # fmt: skip
def test_the_learning_rate_rises_and_falls(recipe, rates):
    found = []
    training = DenoiserTraining(Denoiser(small()), toy_batches, made(0, 4), recipe, device="cpu")
    step = training._optimiser.step
    training._optimiser.step = lambda: (
        found.append(training._optimiser.param_groups[0]["lr"]), step()
    )  # fmt: skip
    training.run()
    np.testing.assert_allclose(found[: len(rates)], rates)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"n_epochs": 0}, "n_epochs and patience must be 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"spectral": -1.0}, "spectral 0 or more"),
    ],
)
def test_recipes_that_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        Recipe(**settings)


def test_data_that_is_refused():
    noisy, wanted = made(0, 4)
    with pytest.raises(ValueError, match="alike in shape"):
        train(Recipe(1), validation=(noisy, wanted[:2]))
    with pytest.raises(ValueError, match="no windows to learn from"):
        train(Recipe(1), batches=lambda rng: iter(()))


def test_a_loss_that_is_no_number_is_told():
    def broken(rng):
        noisy, wanted = made(0, 4)
        yield np.full_like(noisy, np.nan), wanted

    with pytest.raises(ValueError, match="diverged"):
        train(Recipe(2, max_gradient=None), batches=broken)


def test_of_white_noise_in_white_noise_nothing_can_be_learned():
    """No network tells one from the other: it can only make both smaller, in one proportion."""

    def noise(seed, n):
        rng = np.random.default_rng(seed)
        wanted, added = rng.normal(scale=10.0, size=(2, n, 1, N_TIMES)).astype(np.float32)
        return wanted + added, wanted

    def batches(rng):
        for _ in range(8):
            yield noise(int(rng.integers(2**31)), 16)

    recipe = Recipe(15, 1e-2, decay="cosine", patience=None)
    training = train(recipe, batches=batches, validation=noise(98, 60))
    noisy, wanted = noise(5, 200)
    cleaned = clean(training.denoiser, noisy)
    correlations = [np.corrcoef(x.ravel(), wanted.ravel())[0, 1] for x in (noisy, cleaned)]
    assert correlations[1] < correlations[0] + 0.01
    # half of the power is what the best of all estimates leaves
    assert np.square(cleaned - wanted).mean() > 0.48 * 100.0
