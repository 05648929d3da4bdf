"""A small network for oscillations: power behind learned filters, read in time by an LSTM.

Filters in time and across channels, and the logarithm of the power behind them, as in
the shallow network of Schirrmeister et al. 2017 (see `models.convnets`), in shorter
stretches; where that one has a weight for each moment, here a long short-term memory
reads their course.

Hochreiter & Schmidhuber, "Long short-term memory", Neural Comput 9(8), 1735-1780, 1997,
doi:10.1162/neco.1997.9.8.1735.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import TemporalSpatial, check_shape, glorot

#: Samples of the filters in time, of the average of power, and from one to the next.
LENGTH, POOL, STRIDE = 25, 50, 25


@dataclass(frozen=True, slots=True)
class CNNLSTMConfig:
    """Shape of the network.

    Attributes
    ----------
    n_channels, n_times, n_classes : int
        C, N and M below.
    n_filters : int
        F, in time and as combinations of channels.
    n_hidden : int
        Cells of the LSTM, H.
    dropout : float
        Of what goes into the LSTM, and of what comes out.
    """

    n_channels: int
    n_times: int
    n_classes: int
    n_filters: int = 24
    n_hidden: int = 32
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_shape("CNNLSTM", self.n_channels, self.n_times, self.n_classes, LENGTH - 1 + POOL)


class CNNLSTM(nn.Module):
    """From (B, C, N) to scores (B, M)."""

    def __init__(self, config: CNNLSTMConfig) -> None:
        super().__init__()
        self.config = c = config
        self.filters = TemporalSpatial(c.n_channels, c.n_filters, LENGTH, c.n_filters, bias=False)
        self.norm = nn.BatchNorm1d(c.n_filters)
        self.pool = nn.AvgPool1d(POOL, STRIDE)
        self.dropout = nn.Dropout(c.dropout)
        self.lstm = nn.LSTM(c.n_filters, c.n_hidden, batch_first=True)
        self.classes = nn.Linear(c.n_hidden, c.n_classes)
        glorot(self)

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        h = self.norm(self.filters(x))  #                        (B, F, N - 24)
        h = torch.log(self.pool(h.square()).clamp(min=1e-6))  #  (B, F, about N/25)
        course, _ = self.lstm(self.dropout(h).transpose(1, 2))  # (B, about N/25, H)
        scores: Tensor = self.classes(self.dropout(course[:, -1]))
        return scores
