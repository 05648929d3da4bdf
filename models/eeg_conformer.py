"""EEG Conformer: convolutions find local patterns, attention relates them over the trial.

Song, Zheng, Liu & Gao, "EEG Conformer: convolutional transformer for EEG decoding and
visualization", IEEE Trans Neural Syst Rehabil Eng 31, 710-719, 2023,
doi:10.1109/TNSRE.2022.3230250.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from models.layers import Attention, TemporalSpatial, check_shape

#: Samples of the filters in time, of the average behind them, and from one to the next.
LENGTH, POOL, STRIDE = 25, 75, 15


@dataclass(frozen=True, slots=True)
class EEGConformerConfig:
    """Shape of the network.

    Attributes
    ----------
    n_channels, n_times, n_classes : int
        C, N and M below.
    width : int
        Features of each moment, F.
    n_layers, n_heads : int
        Of attention.
    dropout : float
    """

    n_channels: int
    n_times: int
    n_classes: int
    width: int = 40
    n_layers: int = 6
    n_heads: int = 10
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_shape(
            "EEGConformer", self.n_channels, self.n_times, self.n_classes, LENGTH - 1 + POOL
        )

    @property
    def n_moments(self) -> int:
        """Moments that attention relates, T."""
        return (self.n_times - LENGTH + 1 - POOL) // STRIDE + 1


class EEGConformer(nn.Module):
    """From (B, C, N) to scores (B, M)."""

    def __init__(self, config: EEGConformerConfig) -> None:
        super().__init__()
        self.config = c = config
        self.patches = nn.Sequential(
            TemporalSpatial(c.n_channels, c.width, LENGTH, c.width, bias=True),
            nn.BatchNorm1d(c.width), nn.ELU(), nn.AvgPool1d(POOL, STRIDE), nn.Dropout(c.dropout),
            nn.Conv1d(c.width, c.width, 1),
        )  # fmt: skip
        self.layers = nn.Sequential(
            *(_Layer(c.width, c.n_heads, c.dropout) for _ in range(c.n_layers))
        )
        self.classes = nn.Sequential(
            nn.Linear(c.width * c.n_moments, 256), nn.ELU(), nn.Dropout(c.dropout),
            nn.Linear(256, 32), nn.ELU(), nn.Dropout(0.3), nn.Linear(32, c.n_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        h = self.patches(x).transpose(1, 2)  #  (B, T, F)
        h = self.layers(h)  #                   (B, T, F)
        scores: Tensor = self.classes(h.flatten(1))
        return scores


class _Layer(nn.Module):
    """Attention and two linear layers, each added to what goes in, which is normalised first."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.LayerNorm(width),
            # in the paper by the length of a whole token, not by that of a head
            Attention(width, n_heads, width // n_heads, dropout, scale=width**-0.5),
            nn.Dropout(dropout),
        )  # fmt: skip
        self.forward_part = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(4 * width, width), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.attention(h)
        related: Tensor = h + self.forward_part(h)
        return related
