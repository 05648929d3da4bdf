"""The Q-network of RLEEGNet: convolutions over time, an LSTM, a value for each action.

Nallani & Ramachandran, "RLEEGNet: integrating brain-computer interfaces with adaptive AI
for intuitive responsiveness and high-accuracy motor imagery classification",
arXiv:2402.09465, 2024. The abstract names a "1D-CNN-LSTM"; sizes are those of the code
closest to it that is public, not confirmed by the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class RLEEGNetConfig:
    """Shape of the network.

    Attributes
    ----------
    n_components, n_times, n_actions : int
        C, T and M below.
    n_filters : int
        Of each convolution, F.
    n_taps : int
        Length of a filter, samples; odd.
    n_hidden : int
        Of the LSTM, H.
    n_dense : int
        Of the layer before the last, D.
    dropout : float
        Probability; whole filters behind a convolution.
    """

    n_components: int
    n_times: int
    n_actions: int
    n_filters: int = 32
    n_taps: int = 3
    n_hidden: int = 32
    n_dense: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        sizes = (self.n_components, self.n_filters, self.n_taps, self.n_hidden, self.n_dense)
        if min(sizes) < 1 or self.n_taps % 2 == 0:
            raise ValueError(f"a network needs one of everything and odd taps, found {self}")
        if self.n_times < 2 or self.n_actions < 2:
            raise ValueError(f"a network needs two samples and two actions at least, found {self}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, found {self.dropout}")


class RLEEGNet(nn.Module):
    """One network; its initial weights are drawn from torch's generator.

    Parameters
    ----------
    config : RLEEGNetConfig
    """

    def __init__(self, config: RLEEGNetConfig) -> None:
        super().__init__()
        self.config = config
        c, f, h, d = config.n_components, config.n_filters, config.n_hidden, config.n_dense
        self.before = nn.BatchNorm1d(c)
        self.convolutions = nn.Sequential(
            nn.Conv1d(c, f, config.n_taps, padding="same"),  # C × T → F × T
            nn.PReLU(),
            nn.BatchNorm1d(f),
            nn.Dropout1d(config.dropout),
            nn.Conv1d(f, f, config.n_taps, padding="same"),  # F × T → F × T
            nn.BatchNorm1d(f),
            nn.PReLU(),
            nn.Dropout1d(config.dropout),
        )
        self.lstm = nn.LSTM(f, h, batch_first=True)  # T × F → T × H
        self.behind = nn.BatchNorm1d(h)
        self.values = nn.Sequential(
            nn.BatchNorm1d(h),
            nn.Linear(h, d),  # H → D
            nn.ReLU(),
            nn.BatchNorm1d(d),
            nn.Dropout(config.dropout),
            nn.Linear(d, config.n_actions),  # D → M
        )

    def forward(self, x: Tensor) -> Tensor:
        """Value of each action, (B, M), of states, (B, C, T)."""
        h = self.convolutions(self.before(x))
        h = self.behind(self.lstm(h.transpose(1, 2))[0].transpose(1, 2))
        values: Tensor = self.values(h.amax(dim=2))  # the largest over time: H × T → H
        return values
