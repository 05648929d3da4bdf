"""What several networks share: the first two convolutions, initial weights, attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def check_shape(name: str, n_channels: int, n_times: int, n_classes: int, shortest: int) -> None:
    """Raise ValueError where a network's input is too small for it."""
    if n_channels < 1 or n_classes < 2:
        raise ValueError(
            f"{name} needs a channel and two classes at least, found {n_channels} and {n_classes}"
        )
    if n_times < shortest:
        raise ValueError(
            f"{name} needs windows of {shortest} samples at least, found {n_times}; take longer "
            "windows, a higher rate or another network"
        )


def glorot(network: nn.Module) -> None:
    """Initial weights of convolutions and linear layers after Glorot & Bengio; biases 0.

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def same_length(length: int) -> nn.Module:
    """Zeros around (B, F, C, N) that a convolution in time of `length` taps takes off again.

    Torch's own way, `padding="same"`, warns about even lengths.
    """
    return nn.ZeroPad2d(((length - 1) // 2, length // 2, 0, 0))


class TemporalSpatial(nn.Module):
    """A convolution in time, of each channel, and one across channels, without anything between.

    Two linear maps in a row are one: their weights are multiplied before the pass, which
    saves the time course of each channel behind each filter. Parameters and gradients are
    those of the two.

    Parameters
    ----------
    n_channels : int
    n_filters : int
        Filters in time.
    length : int
        Taps of each.
    n_outputs : int
        Combinations of all channels behind all filters.
    bias : bool
        Whether the second has one; the first does.
    """

    def __init__(
        self, n_channels: int, n_filters: int, length: int, n_outputs: int, *, bias: bool
    ) -> None:
        super().__init__()
        self.time = nn.Conv2d(1, n_filters, (1, length))
        self.space = nn.Conv2d(n_filters, n_outputs, (n_channels, 1), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, N) to (B, n_outputs, N - length + 1)."""
        space = self.space.weight[..., 0]  # (output, filter, channel)
        weight = torch.einsum("ofc,fk->ock", space, self.time.weight[:, 0, 0])
        assert self.time.bias is not None
        bias = space.sum(dim=2) @ self.time.bias
        if self.space.bias is not None:
            bias = bias + self.space.bias
        return F.conv1d(x, weight, bias)


class Attention(nn.Module):
    """Each moment of a sequence looks at all of its own or of another one, with several heads.

    Vaswani et al., "Attention is all you need", NeurIPS 2017, arXiv:1706.03762.

    Parameters
    ----------
    width : int
        Features of each moment.
    n_heads, head_width : int
        Width of the heads' keys and values need not be that of the features.
    dropout : float
        Of the attention's weights.
    scale : float or None
        Of the products of queries and keys; None: ``1 / sqrt(head_width)``.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        head_width: int,
        dropout: float,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.n_heads, self.dropout, self.scale = n_heads, dropout, scale
        self.query = nn.Linear(width, n_heads * head_width)
        self.key = nn.Linear(width, n_heads * head_width)
        self.value = nn.Linear(width, n_heads * head_width)
        self.out = nn.Linear(n_heads * head_width, width)

    def forward(
        self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """From (B, moments, width) to the same shape.

        Looks at `memory`, shape (B, others, width), where it is given, else at `x` itself;
        `mask`, shape (moments, others), is False where a moment must not look.
        """
        seen = x if memory is None else memory
        q, k, v = (
            part(h).unflatten(2, (self.n_heads, -1)).transpose(1, 2)  # (B, heads, moments, head)
            for part, h in ((self.query, x), (self.key, seen), (self.value, seen))
        )
        p = self.dropout if self.training else 0.0
        heads = F.scaled_dot_product_attention(q, k, v, mask, dropout_p=p, scale=self.scale)
        mixed: Tensor = self.out(heads.transpose(1, 2).flatten(2))
        return mixed
