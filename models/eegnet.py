"""EEGNet, a compact network of convolutions that are separate in time and space.

Lawhern, Solon, Waytowich, Gordon, Hung & Lance, "EEGNet: a compact convolutional
neural network for EEG-based brain-computer interfaces", J Neural Eng 15(5), 056013,
2018, doi:10.1088/1741-2552/aace8c.

The running statistics of its normalisation follow faster than in the paper's code
(0.1 of each batch, not 0.01): one person's trials are a few batches an epoch, and the
epoch that is best must not be one whose statistics have not arrived yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.layers import check_shape, glorot, same_length

POOLS = (4, 8)


@dataclass(frozen=True, slots=True)
class EEGNetConfig:
    """Shape of the network; the defaults are EEGNet-8,2.

    Attributes
    ----------
    n_channels, n_times, n_classes : int
        C, N and M below.
    n_filters : int
        Filters in time, F1.
    depth : int
        Combinations of channels for each of them, D.
    length, separable_length : int
        Taps of the filters in time; in the paper half a second and, after the first
        pooling, as long again, at 128 Hz.
    dropout : float
        0.5 in the paper for one person's trials, 0.25 for those of many.
    """

    n_channels: int
    n_times: int
    n_classes: int
    n_filters: int = 8
    depth: int = 2
    length: int = 64
    separable_length: int = 16
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_shape("EEGNet", self.n_channels, self.n_times, self.n_classes, POOLS[0] * POOLS[1])


class EEGNet(nn.Module):
    """From (B, C, N) to scores (B, M)."""

    def __init__(self, config: EEGNetConfig) -> None:
        super().__init__()
        self.config = c = config
        width = c.n_filters * c.depth
        self.pad = same_length(c.length)
        self.time = nn.Conv2d(1, c.n_filters, (1, c.length), bias=False)
        self.time_norm = nn.BatchNorm2d(c.n_filters, eps=1e-3)
        self.space = nn.Conv2d(
            c.n_filters, width, (c.n_channels, 1), groups=c.n_filters, bias=False
        )
        self.pool1 = nn.Sequential(
            nn.BatchNorm2d(width, eps=1e-3), nn.ELU(), nn.AvgPool2d((1, POOLS[0])),
            nn.Dropout(c.dropout),
        )  # fmt: skip
        self.separable = nn.Sequential(
            same_length(c.separable_length),
            nn.Conv2d(width, width, (1, c.separable_length), groups=width, bias=False),
            nn.Conv2d(width, width, 1, bias=False),
        )
        self.pool2 = nn.Sequential(
            nn.BatchNorm2d(width, eps=1e-3), nn.ELU(), nn.AvgPool2d((1, POOLS[1])),
            nn.Dropout(c.dropout),
        )  # fmt: skip
        self.classes = nn.Linear(width * (c.n_times // POOLS[0] // POOLS[1]), c.n_classes)
        glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        h = self._filtered(x) if self.training else self._combined(x)  # (B, F1·D, 1, N)
        h = self.pool1(h)  #                                              (B, F1·D, 1, N/4)
        h = self.pool2(self.separable(h))  #                              (B, F1·D, 1, N/32)
        scores: Tensor = self.classes(h.flatten(1))
        return scores

    def _filtered(self, x: Tensor) -> Tensor:
        """Filters in time, normalised, and then combinations of channels."""
        filtered: Tensor = self.space(self.time_norm(self.time(self.pad(x[:, None]))))
        return filtered

    def _combined(self, x: Tensor) -> Tensor:
        """The same when deciding, where all of it is linear: combinations of channels first.

        F1·D signals go through a filter each, and not C through F1 of them: with 22
        channels an eighth of the arithmetic.
        """
        c, norm = self.config, self.time_norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - gain * norm.running_mean
        filters = (gain[:, None] * self.time.weight[:, 0, 0]).repeat_interleave(c.depth, dim=0)
        space = self.space.weight[:, 0, :, 0]  # (F1·D, C)
        h = self.pad((space @ x)[:, :, None])  # (B, F1·D, 1, N + padding)
        bias = shift.repeat_interleave(c.depth) * space.sum(dim=1)
        return F.conv2d(h, filters[:, None, None], bias, groups=len(filters))

    def constrain(self) -> None:
        """Bring combinations of channels back to norm 1, and the last layer's rows to 0.25."""
        self.space.weight.copy_(self.space.weight.renorm(2, 0, 1.0))
        self.classes.weight.copy_(self.classes.weight.renorm(2, 0, 0.25))
