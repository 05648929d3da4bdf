"""A small network for the course of broadband power: a CNN, and an LSTM that reads it.

The order is that of the CNN-LSTM of Bafana, arXiv 2311.13507, 2023: convolutions, a long
short-term memory, a layer that decides. That one has some 10^7 weights for 90 windows
of one person; here electrodes are combined first and time is coarse, so that there are some
10^3: `ECoGNetConfig.n_parameters`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ECoGNetConfig:
    """Shape of the network.

    Attributes
    ----------
    n_channels, n_times, n_classes : int
        C, N and M below.
    n_filters : int
        Combinations of electrodes, and of those with their course, F.
    n_taps : int
        Samples of the filter in time; odd.
    n_pool : int
        Samples that are averaged into one before the LSTM.
    n_hidden : int
        Cells of the LSTM, H.
    dropout : float
        Of electrodes' combinations, and of what comes out of the LSTM.
    """

    n_channels: int
    n_times: int
    n_classes: int
    n_filters: int = 6
    n_taps: int = 5
    n_pool: int = 4
    n_hidden: int = 8
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if min(self.n_channels, self.n_filters, self.n_hidden, self.n_pool) < 1:
            raise ValueError(f"a network needs one of everything at least, found {self}")
        if self.n_classes < 2 or self.n_times < self.n_pool:
            raise ValueError(f"a network needs two classes and n_pool samples, found {self}")
        if self.n_taps % 2 == 0:
            raise ValueError(f"n_taps must be odd, found {self.n_taps}")

    @property
    def n_parameters(self) -> int:
        """Weights and biases; 1010 for 48 electrodes and two classes."""
        c, f, h, m = self.n_channels, self.n_filters, self.n_hidden, self.n_classes
        filters = (c + 1) * f + (f * self.n_taps + 1) * f
        return filters + 4 * h * (f + h + 2) + (h + 1) * m


class ECoGNet(nn.Module):
    """From broadband power (B, C, N), in standard scores, to scores (B, M)."""

    def __init__(self, config: ECoGNetConfig) -> None:
        super().__init__()
        self.config = c = config
        self.electrodes = nn.Conv1d(c.n_channels, c.n_filters, 1)
        self.time = nn.Conv1d(c.n_filters, c.n_filters, c.n_taps, padding=c.n_taps // 2)
        self.pool = nn.AvgPool1d(c.n_pool)
        self.dropout = nn.Dropout(c.dropout)
        self.lstm = nn.LSTM(c.n_filters, c.n_hidden, batch_first=True)
        self.classes = nn.Linear(c.n_hidden, c.n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        h = self.dropout(self.electrodes(x))  #         (B, F, N)
        h = self.pool(nn.functional.elu(self.time(h)))  # (B, F, N/4)
        course, _ = self.lstm(h.transpose(1, 2))  #     (B, N/4, H)
        scores: Tensor = self.classes(self.dropout(course.mean(dim=1)))
        return scores
