"""A short-latency relative of ART: tokens are patches of all channels, the future is short.

Of the Artifact Removal Transformer (Chuang et al., NeuroImage 310, 121123, 2025; see
`models.art`) with its tokens cut as in Nie et al., "A time series is worth 64 words",
ICLR 2023, arXiv:2211.14730: a token for each `n_patch` samples makes attention and linear
maps `n_patch` times cheaper, so that a whole window fits into the time of a short hop. A
patch sees `n_ahead` patches after it and no more, in the first layer; the others look back
only. So a sample near the end of a window, where streaming uses it, is cleaned as one
anywhere else.

What it gives is the input less what it takes for artifact; it starts as the identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.art import Embedding, EncoderLayer


@dataclass(frozen=True, slots=True)
class ARTPatchConfig:
    """Shape of the network.

    Attributes
    ----------
    n_channels, n_times : int
        C and N below; N is a multiple of `n_patch`.
    n_patch : int
        Samples of a patch, P.
    n_ahead : int
        Patches after its own that a patch sees.
    width : int
        Features of a patch, F.
    n_layers, n_heads : int
    n_hidden : int
        Units between the two linear maps of a layer.
    dropout : float
    """

    n_channels: int = 30
    n_times: int = 512
    n_patch: int = 8
    n_ahead: int = 1
    width: int = 256
    n_layers: int = 3
    n_heads: int = 8
    n_hidden: int = 512
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.n_times < 1 or self.n_times % self.n_patch:
            raise ValueError(
                f"ARTPatch needs windows of a multiple of its {self.n_patch} samples a patch, "
                f"found {self.n_times}"
            )
        if self.n_channels < 1 or self.n_ahead < 0 or self.width % (2 * self.n_heads):
            raise ValueError(
                f"ARTPatch needs a channel, patches ahead of 0 or more and a width that is a "
                f"multiple of twice its heads, found {self.n_channels}, {self.n_ahead} and "
                f"{self.width} for {self.n_heads} heads"
            )


class ARTPatch(nn.Module):
    """From noisy (B, C, N) to clean (B, C, N), both in units of the noisy window's deviation."""

    def __init__(self, config: ARTPatchConfig) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = Embedding(c.n_channels * c.n_patch, c.width, c.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(c.width, c.n_heads, c.n_hidden, c.dropout) for _ in range(c.n_layers)
        )
        self.norm = nn.LayerNorm(c.width)
        self.artifact = nn.Linear(c.width, c.n_channels * c.n_patch)
        nn.init.zeros_(self.artifact.weight)
        nn.init.zeros_(self.artifact.bias)
        n = c.n_times // c.n_patch
        back = torch.ones(n, n, dtype=torch.bool)
        self.register_buffer("_first", back.tril(c.n_ahead), persistent=False)
        self.register_buffer("_later", back.tril(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        n_patch = self.config.n_patch
        cut = x.reshape(len(x), x.shape[1], -1, n_patch)  #                      (B, C, N/P, P)
        patches = cut.transpose(2, 3).flatten(1, 2)  #                           (B, C·P, N/P)
        h = self.embedding(patches)  #                                           (B, N/P, F)
        mask = self._first
        for layer in self.layers:
            h = layer(h, mask)
            mask = self._later
        artifact = self.artifact(self.norm(h)).transpose(1, 2)  #                (B, C·P, N/P)
        found: Tensor = artifact.reshape(len(x), x.shape[1], n_patch, -1)
        return x - found.transpose(2, 3).flatten(2)
