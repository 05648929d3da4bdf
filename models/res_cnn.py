"""1D-ResCNN: parallel residual convolutions of three widths, and a dense layer.

Sun et al., "A novel end-to-end 1D-ResCNN model to remove artifact from EEG signals",
Neurocomputing 404, 2020; in the form in which Zhang et al., "EEGdenoiseNet",
J. Neural Eng. 18, 056057 (2021), compare it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ResCNNConfig:
    """Settings of `ResCNN`.

    Attributes
    ----------
    n_channels : int
        Of a window; each is cleaned by itself, with the same weights.
    n_times : int
        Samples of a window; the dense layer has ``n_filters * n_times²`` weights.
    n_filters, n_inner : int
        Of a residual block's outer convolutions and of its inner one.
    kernels : tuple of int
        Taps of each branch's convolutions; odd.
    n_blocks : int
        Residual blocks in a row in each branch.
    """

    n_channels: int = 1
    n_times: int = 512
    n_filters: int = 32
    n_inner: int = 16
    kernels: tuple[int, ...] = (3, 5, 7)
    n_blocks: int = 2

    def __post_init__(self) -> None:
        sizes = (self.n_channels, self.n_times, self.n_filters, self.n_inner, self.n_blocks)
        if min(sizes) < 1 or not self.kernels or any(k < 1 or k % 2 == 0 for k in self.kernels):
            raise ValueError(
                "1D-ResCNN needs sizes of 1 or more and kernels of an odd number of taps, found "
                f"{self}"
            )


class ResCNN(nn.Module):
    """From windows (B, n_channels, n_times) to clean ones, each channel by itself."""

    per_channel = True

    def __init__(self, config: ResCNNConfig) -> None:
        super().__init__()
        width = config.n_filters
        self.first = _convolution(1, width, 5)
        self.branches = nn.ModuleList(
            nn.Sequential(*(_Block(width, config.n_inner, k) for _ in range(config.n_blocks)))
            for k in config.kernels
        )
        self.last = _convolution(width * len(config.kernels), width, 1)
        self.dense = nn.Linear(width * config.n_times, config.n_times)

    def forward(self, x: Tensor) -> Tensor:
        """Clean normalised windows."""
        features = self.first(x.flatten(0, 1).unsqueeze(1))
        together = torch.cat([branch(features) for branch in self.branches], dim=1)
        cleaned: Tensor = self.dense(self.last(together).flatten(1))
        return cleaned.reshape(x.shape)


class _Block(nn.Module):
    """Three convolutions, wide to narrow to wide, beside a way past them."""

    def __init__(self, width: int, inner: int, taps: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            _convolution(width, width, taps),
            _convolution(width, inner, taps),
            _convolution(inner, width, taps),
        )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.path(x)
        return added


def _convolution(n_in: int, n_out: int, taps: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, taps, padding=taps // 2), nn.BatchNorm1d(n_out), nn.ReLU()
    )
