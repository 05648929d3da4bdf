"""The shallow and the deep ConvNet of Schirrmeister et al.

Schirrmeister, Springenberg, Fiederer, Glasstetter, Eggensperger, Tangermann, Hutter,
Burgard & Ball, "Deep learning with convolutional neural networks for EEG decoding and
visualization", Hum Brain Mapp 38(11), 5391-5420, 2017, doi:10.1002/hbm.23730.

The shallow one takes the logarithm of the power behind spatial filters, as FBCSP does,
but learns all of it together; the deep one is four blocks of convolution and pooling.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import TemporalSpatial, check_shape, glorot

#: Samples of the shallow network's filters, of its average of power, and from one to the next.
LENGTH, POOL, STRIDE = 25, 75, 15
#: Taps of each convolution of the deep network, and what its pooling takes together.
DEEP_LENGTH, DEEP_POOL = 10, 3


@dataclass(frozen=True, slots=True)
class ShallowConvNetConfig:
    """Shape of the shallow network.

    Attributes
    ----------
    n_channels, n_times, n_classes : int
        C, N and M below.
    n_filters : int
        F, in time and as combinations of channels.
    dropout : float
    """

    n_channels: int
    n_times: int
    n_classes: int
    n_filters: int = 40
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_shape(
            "ShallowConvNet", self.n_channels, self.n_times, self.n_classes, LENGTH - 1 + POOL
        )


class ShallowConvNet(nn.Module):
    """From (B, C, N) to scores (B, M)."""

    def __init__(self, config: ShallowConvNetConfig) -> None:
        super().__init__()
        self.config = c = config
        self.filters = TemporalSpatial(c.n_channels, c.n_filters, LENGTH, c.n_filters, bias=False)
        self.norm = nn.BatchNorm1d(c.n_filters)
        self.pool = nn.AvgPool1d(POOL, STRIDE)
        self.dropout = nn.Dropout(c.dropout)
        n_pooled = (c.n_times - LENGTH + 1 - POOL) // STRIDE + 1
        self.classes = nn.Linear(c.n_filters * n_pooled, c.n_classes)
        glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        h = self.norm(self.filters(x))  #                        (B, F, N - 24)
        h = torch.log(self.pool(h.square()).clamp(min=1e-6))  #  (B, F, about N/15)
        scores: Tensor = self.classes(self.dropout(h).flatten(1))
        return scores


@dataclass(frozen=True, slots=True)
class DeepConvNetConfig:
    """Shape of the deep network.

    Attributes
    ----------
    n_channels, n_times, n_classes : int
        C, N and M below.
    n_filters : tuple of int
        Of each block.
    dropout : float
    """

    n_channels: int
    n_times: int
    n_classes: int
    n_filters: tuple[int, ...] = (25, 50, 100, 200)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        shortest = 1
        for _ in self.n_filters:
            shortest = shortest * DEEP_POOL + DEEP_LENGTH - 1
        check_shape("DeepConvNet", self.n_channels, self.n_times, self.n_classes, shortest)


class DeepConvNet(nn.Module):
    """From (B, C, N) to scores (B, M)."""

    def __init__(self, config: DeepConvNetConfig) -> None:
        super().__init__()
        self.config = c = config
        first = c.n_filters[0]
        layers: list[nn.Module] = [
            TemporalSpatial(c.n_channels, first, DEEP_LENGTH, first, bias=False),
            nn.BatchNorm1d(first),
            nn.ELU(),
            nn.MaxPool1d(DEEP_POOL),
        ]
        n_times = (c.n_times - DEEP_LENGTH + 1) // DEEP_POOL
        for before, after in zip(c.n_filters, c.n_filters[1:], strict=False):
            layers += [
                nn.Dropout(c.dropout),
                nn.Conv1d(before, after, DEEP_LENGTH, bias=False),
                nn.BatchNorm1d(after),
                nn.ELU(),
                nn.MaxPool1d(DEEP_POOL),
            ]
            n_times = (n_times - DEEP_LENGTH + 1) // DEEP_POOL
        self.blocks = nn.Sequential(*layers)  # each (B, F, N) → (B, F', (N - 9)/3)
        self.classes = nn.Linear(c.n_filters[-1] * n_times, c.n_classes)
        glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        scores: Tensor = self.classes(self.blocks(x).flatten(1))
        return scores
