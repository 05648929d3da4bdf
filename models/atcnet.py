"""ATCNet: convolutions, then attention and a causal network over sliding stretches of time.

Altaheri, Muhammad & Alsulaiman, "Physics-informed attention temporal convolutional
network for EEG-based motor imagery classification", IEEE Trans Ind Inform 19(2),
2249-2258, 2023, doi:10.1109/TII.2022.3197419.

As in EEGNet, running statistics follow with 0.1 of each batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models.layers import Attention, check_shape, glorot, same_length

#: What the two poolings take together, in samples.
POOLS = (8, 7)


@dataclass(frozen=True, slots=True)
class ATCNetConfig:
    """Shape of the network.

    Attributes
    ----------
    n_channels, n_times, n_classes : int
        C, N and M below.
    n_filters, depth : int
        Filters in time, and combinations of channels for each; F is their product.
    length, second_length : int
        Taps of the convolutions in time, before and after the first pooling.
    n_stretches : int
        Stretches of time, each one step later than the one before.
    n_heads, head_width : int
        Of the attention.
    tcn_depth, tcn_length : int
        Blocks of the causal network, and taps of their convolutions.
    dropout, attention_dropout : float
    """

    n_channels: int
    n_times: int
    n_classes: int
    n_filters: int = 16
    depth: int = 2
    length: int = 64
    second_length: int = 16
    n_stretches: int = 5
    n_heads: int = 2
    head_width: int = 8
    tcn_depth: int = 2
    tcn_length: int = 4
    dropout: float = 0.3
    attention_dropout: float = 0.5

    def __post_init__(self) -> None:
        shortest = POOLS[0] * POOLS[1] * self.n_stretches
        check_shape("ATCNet", self.n_channels, self.n_times, self.n_classes, shortest)


class ATCNet(nn.Module):
    """From (B, C, N) to scores (B, M), the mean of those of all stretches."""

    def __init__(self, config: ATCNetConfig) -> None:
        super().__init__()
        self.config = c = config
        width = c.n_filters * c.depth
        self.convolutions = nn.Sequential(
            same_length(c.length),
            nn.Conv2d(1, c.n_filters, (1, c.length), bias=False),
            nn.BatchNorm2d(c.n_filters),
            nn.Conv2d(c.n_filters, width, (c.n_channels, 1), groups=c.n_filters, bias=False),
            nn.BatchNorm2d(width), nn.ELU(), nn.AvgPool2d((1, POOLS[0])), nn.Dropout(c.dropout),
            same_length(c.second_length),
            nn.Conv2d(width, width, (1, c.second_length), bias=False),
            nn.BatchNorm2d(width), nn.ELU(), nn.AvgPool2d((1, POOLS[1])), nn.Dropout(c.dropout),
        )  # fmt: skip
        self.stretches = nn.ModuleList(_Stretch(c, width) for _ in range(c.n_stretches))
        glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        h = self.convolutions(x[:, None])[:, :, 0]  #  (B, F, N/56)
        length = h.shape[2] - len(self.stretches) + 1
        found = [part(h[..., k : k + length]) for k, part in enumerate(self.stretches)]
        return torch.stack(found).mean(dim=0)

    def constrain(self) -> None:
        """Bring the rows of the last layers back to norm 0.25."""
        for stretch in self.stretches:
            weight = stretch.get_parameter("classes.weight")
            weight.copy_(weight.renorm(2, 0, 0.25))


class _Stretch(nn.Module):
    """Attention, a causal network, and scores from its last moment."""

    def __init__(self, config: ATCNetConfig, width: int) -> None:
        super().__init__()
        c = config
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, c.n_heads, c.head_width, c.attention_dropout)
        self.dropout = nn.Dropout(c.dropout)
        self.blocks = nn.Sequential(
            *(_Causal(width, c.tcn_length, 2**k, c.dropout) for k in range(c.tcn_depth))
        )
        self.classes = nn.Linear(width, c.n_classes)

    def forward(self, h: Tensor) -> Tensor:
        moments = h.transpose(1, 2)  #                               (B, T, F)
        related = self.dropout(self.attention(self.norm(moments)))
        h = self.blocks((moments + related).transpose(1, 2))  #      (B, F, T)
        scores: Tensor = self.classes(h[..., -1])
        return scores


class _Causal(nn.Module):
    """Two dilated convolutions that see the past only, added to what goes in."""

    def __init__(self, width: int, length: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.before = (length - 1) * dilation
        self.first = nn.Conv1d(width, width, length, dilation=dilation)
        self.second = nn.Conv1d(width, width, length, dilation=dilation)
        self.after_first, self.after_second = (
            nn.Sequential(nn.BatchNorm1d(width), nn.ELU(), nn.Dropout(dropout)) for _ in range(2)
        )

    def forward(self, h: Tensor) -> Tensor:
        y = self.after_first(self.first(F.pad(h, (self.before, 0))))
        y = self.after_second(self.second(F.pad(y, (self.before, 0))))
        return F.elu(h + y)
