"""Time of a window of ART against bare torch, and of a hop of its streaming relative."""

from __future__ import annotations

from time import thread_time

import mne
import numpy as np
import pytest
import torch

from bci.denoise.artifact import load, save
from bci.denoise.montage import TEMPLATE
from bci.dsp.artifacts.denoiser import DenoiserSettings
from bci.types import Chunk, StreamInfo
from models.art import ARTConfig, places
from models.denoising import Denoiser, build

pytestmark = pytest.mark.timing


class Bare(torch.nn.Module):
    """The same arithmetic of torch's own layers, without anything around."""

    def __init__(self, c: ARTConfig) -> None:
        super().__init__()
        self.source, self.query = (torch.nn.Conv1d(c.n_channels, c.width, 1) for _ in range(2))
        self.transformer = torch.nn.Transformer(
            c.width, c.n_heads, c.n_layers, c.n_layers, c.n_hidden, c.dropout,
            batch_first=True, norm_first=True,
            custom_encoder=torch.nn.TransformerEncoder(
                torch.nn.TransformerEncoderLayer(
                    c.width, c.n_heads, c.n_hidden, c.dropout, batch_first=True, norm_first=True
                ),
                c.n_layers, torch.nn.LayerNorm(c.width), enable_nested_tensor=False,
            ),
        )  # fmt: skip
        self.generator = torch.nn.Linear(c.width, c.n_channels)
        self.scale, self.places = c.width**0.5, places(c.n_times, c.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sides = [p(x).transpose(1, 2) * self.scale + self.places for p in (self.source, self.query)]
        return self.generator(self.transformer(*sides)).transpose(1, 2)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def saved(folder, network, n_times):
    manifest = {"network": network, "n_channels": 30, "n_times": n_times, "sfreq": 256.0,
                "ch_names": TEMPLATE}  # fmt: skip
    save(folder, Denoiser(build(network, 30, n_times)), manifest)
    return folder


def medians(calls, repeats):
    """Median of each call, milliseconds of this thread's own time, the calls in turn."""
    found = {name: [] for name in calls}
    for k in range(repeats + 2):
        for name, call in calls.items():
            start = thread_time()
            call()
            if k >= 2:
                found[name].append(1e3 * (thread_time() - start))
    return {name: float(np.median(ms)) for name, ms in found.items()}


def test_a_window_of_art(tmp_path):
    """30 channels, 1024 samples: microvolts in, microvolts out."""
    loaded = load(saved(tmp_path / "art", "art", 1024))
    config = ARTConfig()
    bare = Bare(config).eval()
    assert sum(p.numel() for p in bare.parameters()) == 2_517_022
    window = np.random.default_rng(0).standard_normal((1, 30, 1024)) * 10
    tensor = torch.tensor(window, dtype=torch.float32)
    with torch.inference_mode():
        found = medians(
            {
                "denoiser": lambda: loaded.clean(window),
                "network": lambda: loaded.denoiser.network(tensor),
                "torch": lambda: bare(tensor),
            },
            25,
        )
    print(
        f"\nART, 30 ch x 1024, one core: {found['denoiser']:.1f} ms a window, the network alone "
        f"{found['network']:.1f}, torch.nn.Transformer {found['torch']:.1f} "
        f"(ratio {found['denoiser'] / found['torch']:.2f})"
    )
    assert found["denoiser"] <= 1.1 * found["torch"]
    assert found["denoiser"] <= 1.1 * found["network"]


@pytest.mark.parametrize(
    ("network", "n_times", "hop_s", "n_channels"),
    [("art_patch", 512, 0.05, 30), ("art_patch", 512, 0.05, 64), ("art", 1024, 0.5, 30)],
)
def test_a_hop_of_the_stage(tmp_path, network, n_times, hop_s, n_channels):
    biosemi = mne.channels.make_standard_montage("biosemi64").ch_names
    names = TEMPLATE if n_channels == 30 else tuple(biosemi)
    stage = DenoiserSettings(path=saved(tmp_path / "d", network, n_times), hop_s=hop_s).build()
    stage.reset(StreamInfo("test", 256.0, names, ("eeg",) * len(names), rank=10))
    hop = int(hop_s * 256)
    data = np.random.default_rng(0).standard_normal((4 * n_times, len(names))) * 10
    stage(Chunk(0, data[: n_times // hop * hop + hop]))
    at = n_times // hop * hop + hop
    spent = []
    while at + hop <= len(data) and len(spent) < 60:
        start = thread_time()
        stage(Chunk(at, data[at : at + hop]))
        spent.append(1e3 * (thread_time() - start))
        at += hop
    ms = float(np.median(spent))
    print(
        f"\n{network}, {len(names)} ch, hop {1e3 * hop / 256:.0f} ms: {ms:.2f} ms a hop on one "
        f"core, signal delayed by {1e3 * stage.delay_s:.0f} ms"
    )
    if network == "art_patch":
        assert stage.delay_s <= 0.1
        assert ms <= 15.0
