"""A small U-Net that predicts the artifact of one channel, which is then subtracted.

Ronneberger, Fischer & Brox, "U-Net", MICCAI 2015, arXiv:1505.04597, in one dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Settings of `UNet`.

    Attributes
    ----------
    n_channels : int
        Of a window; each is cleaned by itself, with the same weights.
    n_times : int
        Samples of a window, any number: zeros fill it up to whole strides.
    widths : tuple of int
        Features at each resolution, from the finest; the next has half the samples.
    taps : int
        Of each convolution; odd.
    """

    n_channels: int = 1
    n_times: int = 512
    widths: tuple[int, ...] = (16, 24, 32, 48, 64)
    taps: int = 7

    def __post_init__(self) -> None:
        sizes = (self.n_channels, self.n_times, self.taps, *self.widths)
        if min(sizes) < 1 or len(self.widths) < 2 or self.taps % 2 == 0:
            raise ValueError(
                "a U-Net needs sizes of 1 or more, two widths at least and an odd number of taps, "
                f"found {self}"
            )


class UNet(nn.Module):
    """From windows (B, n_channels, n_times) to clean ones, each channel by itself.

    Untrained it changes nothing: the last convolution is zero.
    """

    per_channel = True

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths, taps = config.widths, config.taps
        self.stride = 2 ** (len(widths) - 1)
        self.first = _Level(1, widths[0], taps)
        self.down = nn.ModuleList(
            nn.Conv1d(wide, narrow, 4, stride=2, padding=1) for wide, narrow in pairwise(widths)
        )
        self.below = nn.ModuleList(_Level(width, width, taps) for width in widths[1:])
        self.up = nn.ModuleList(
            nn.ConvTranspose1d(narrow, wide, 4, stride=2, padding=1)
            for wide, narrow in pairwise(widths)
        )
        self.beside = nn.ModuleList(_Level(2 * width, width, taps) for width in widths[:-1])
        self.last = nn.Conv1d(widths[0], 1, taps, padding=taps // 2)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Clean normalised windows."""
        n_times = x.shape[-1]
        each = x.flatten(0, 1).unsqueeze(1)
        features = self.first(F.pad(each, (0, -n_times % self.stride)))
        passed = []
        for down, level in zip(self.down, self.below, strict=True):
            passed.append(features)
            features = level(down(features))
        for up, level in reversed(list(zip(self.up, self.beside, strict=True))):
            features = level(torch.cat([passed.pop(), up(features)], dim=1))
        cleaned: Tensor = x - self.last(features)[..., :n_times].reshape(x.shape)
        return cleaned


class _Level(nn.Module):
    """Two convolutions at one resolution, the second beside a way past it."""

    def __init__(self, n_in: int, width: int, taps: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(n_in, width, taps, padding=taps // 2)
        self.second = nn.Conv1d(width, width, taps, padding=taps // 2)

    def forward(self, x: Tensor) -> Tensor:
        features = F.gelu(self.first(x))
        added: Tensor = features + F.gelu(self.second(features))
        return added
