"""Artifact Removal Transformer: a window of multichannel EEG, each sample a token, cleaned.

Chuang et al., "Artifact removal transformer for reconstructing noise-free multichannel
electroencephalographic signals", NeuroImage 310, 121123, 2025; the transformer is that of
Vaswani et al., "Attention is all you need", NeurIPS 2017, arXiv:1706.03762, with
normalisation before each layer.

In the released training the decoder is fed the clean target behind a causal mask, and at use
the noisy input, one sample late: it learns to copy what it will never be given. Here the
decoder's query is the noisy input itself, in training as in use, without mask and shift.

With `skip` the network says what to add to its input instead of writing all of it anew, and
starts as the identity: of a training that a CPU has time for, learning to hand 30 channels on
would take the most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers import Attention


@dataclass(frozen=True, slots=True)
class ARTConfig:
    """Shape of the network.

    Attributes
    ----------
    n_channels, n_times : int
        C and N below; N is the length it is trained for, not one it is bound to.
    width : int
        Features of each sample, F.
    n_layers, n_heads : int
        Of the encoder, and again of the decoder.
    n_hidden : int
        Units between the two linear maps of a layer.
    dropout : float
    skip : bool
        Whether the input is added to the output; False, as published, it is not.
    """

    n_channels: int = 30
    n_times: int = 1024
    width: int = 128
    n_layers: int = 2
    n_heads: int = 8
    n_hidden: int = 2048
    dropout: float = 0.1
    skip: bool = False

    def __post_init__(self) -> None:
        if min(self.n_channels, self.n_times, self.n_layers) < 1:
            raise ValueError(
                f"ART needs a channel, a sample and a layer at least, found {self.n_channels}, "
                f"{self.n_times} and {self.n_layers}"
            )
        if self.width % (2 * self.n_heads):
            raise ValueError(
                f"ART's width is {self.width}, no multiple of twice its {self.n_heads} heads"
            )


class ART(nn.Module):
    """From noisy (B, C, N) to clean (B, C, N), both in units of the noisy window's deviation."""

    def __init__(self, config: ARTConfig) -> None:
        super().__init__()
        self.config = c = config
        self.source = Embedding(c.n_channels, c.width, c.dropout)
        self.query = Embedding(c.n_channels, c.width, c.dropout)
        self.encoder = nn.ModuleList(
            EncoderLayer(c.width, c.n_heads, c.n_hidden, c.dropout) for _ in range(c.n_layers)
        )
        self.encoded = nn.LayerNorm(c.width)
        self.decoder = nn.ModuleList(_DecoderLayer(c) for _ in range(c.n_layers))
        self.decoded = nn.LayerNorm(c.width)
        self.generator = nn.Linear(c.width, c.n_channels)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if c.skip:
            nn.init.zeros_(self.generator.weight)
            nn.init.zeros_(self.generator.bias)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        memory = self.source(x)  #                       (B, N, F)
        for layer in self.encoder:
            memory = layer(memory)
        memory = self.encoded(memory)
        h = self.query(x)  #                             (B, N, F)
        for layer in self.decoder:
            h = layer(h, memory)
        clean: Tensor = self.generator(self.decoded(h)).transpose(1, 2)  # (B, C, N)
        return x + clean if self.config.skip else clean


class Embedding(nn.Module):
    """Tokens (B, C, N) as features (B, N, F), scaled by √F, with their place in the window."""

    def __init__(self, n_channels: int, width: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Conv1d(n_channels, width, 1)
        self.scale = math.sqrt(width)
        self.dropout = nn.Dropout(dropout)
        self._places = torch.empty(0, width)  # made when the length is known

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        h = self.features(x).transpose(1, 2) * self.scale  # (B, N, F)
        if len(self._places) < h.shape[1] or self._places.device != h.device:
            self._places = places(h.shape[1], h.shape[2]).to(h)
        placed: Tensor = self.dropout(h + self._places[: h.shape[1]])
        return placed


def places(n: int, width: int) -> Tensor:
    """Sines and cosines that tell moments 0 … n - 1 apart, shape (n, width)."""
    angles = torch.arange(n)[:, None] * torch.exp(
        -math.log(10_000.0) * torch.arange(0, width, 2) / width
    )
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


class EncoderLayer(nn.Module):
    """Attention and two linear maps, each added to what goes in, which is normalised first."""

    def __init__(self, width: int, n_heads: int, n_hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads, width // n_heads, dropout)
        self.linear = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, n_hidden), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(n_hidden, width), nn.Dropout(dropout),
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """From (B, N, F) to the same; `mask` as in `Attention`."""
        h = h + self.dropout(self.attention(self.attention_norm(h), mask=mask))
        changed: Tensor = h + self.linear(h)
        return changed


class _DecoderLayer(nn.Module):
    """As the encoder's, with a look at the encoder's output between the two."""

    def __init__(self, c: ARTConfig) -> None:
        super().__init__()
        self.own = nn.ModuleList([nn.LayerNorm(c.width), _attention(c)])
        self.other = nn.ModuleList([nn.LayerNorm(c.width), _attention(c)])
        self.linear = nn.Sequential(
            nn.LayerNorm(c.width), nn.Linear(c.width, c.n_hidden), nn.ReLU(),
            nn.Dropout(c.dropout), nn.Linear(c.n_hidden, c.width), nn.Dropout(c.dropout),
        )  # fmt: skip
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, h: Tensor, memory: Tensor) -> Tensor:
        """From (B, N, F) to the same."""
        norm, attention = self.own
        h = h + self.dropout(attention(norm(h)))
        norm, attention = self.other
        h = h + self.dropout(attention(norm(h), memory))
        changed: Tensor = h + self.linear(h)
        return changed


def _attention(c: ARTConfig) -> Attention:
    return Attention(c.width, c.n_heads, c.width // c.n_heads, c.dropout)
