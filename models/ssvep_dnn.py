"""The network of Guney, Oblokulov & Ozkan for steady-state responses (SSVEP).

Guney, Oblokulov & Ozkan, "A deep neural network for SSVEP-based brain-computer
interfaces", IEEE Trans Biomed Eng 69(2), 932-944, 2022,
doi:10.1109/TBME.2021.3110440.

Sub-bands are combined into one signal, channels into 120, time is halved; after
the only non-linearity a filter of ten taps mixes the 120, and one layer decides.

Several networks of one shape stand side by side along a leading axis and go
through grouped convolutions together: K people, or K folds, cost one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

#: Probability with which a value is dropped after the layers 2, 4 and 7.
Dropout = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class SSVEPNetConfig:
    """Shape of the network.

    Attributes
    ----------
    n_channels, n_times, n_classes : int
        C, N and M below; N samples, of which an odd last one is not used.
    n_bands : int
        Sub-bands, R.
    n_filters : int
        Combinations of channels, F.
    n_taps : int
        Length of the filter after the non-linearity.
    init_std : float
        Standard deviation of the initial weights, in the authors' code; the
        paper's text calls 0.01 the variance.
    """

    n_channels: int
    n_times: int
    n_classes: int
    n_bands: int = 3
    n_filters: int = 120
    n_taps: int = 10
    init_std: float = 0.01

    def __post_init__(self) -> None:
        if min(self.n_channels, self.n_bands, self.n_filters, self.n_taps) < 1:
            raise ValueError(f"a network needs one of everything at least, found {self}")
        if self.n_times < 2 or self.n_classes < 2:
            raise ValueError(f"a network needs two samples and two classes at least, found {self}")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter of one network."""
        bands, channels, filters, half = (
            self.n_bands, self.n_channels, self.n_filters, self.n_times // 2
        )  # fmt: skip
        return {
            "band_weight": (1, bands),
            "channel_weight": (filters, channels),
            "channel_bias": (filters,),
            "time_weight": (filters, filters, 2),
            "time_bias": (filters,),
            "fir_weight": (filters, filters, self.n_taps),
            "fir_bias": (filters,),
            "class_weight": (self.n_classes, filters * half),
            "class_bias": (self.n_classes,),
        }

    @property
    def n_weights(self) -> int:
        """Weights of one network, biases not counted."""
        sizes = {name: int(np.prod(shape)) for name, shape in self.shapes.items()}
        return sum(size for name, size in sizes.items() if name.endswith("_weight"))


class SSVEPNet(nn.Module):
    """K networks side by side.

    Parameters
    ----------
    config : SSVEPNetConfig
    n_models : int
        K.
    seed : sequence of int
        Of the initial weights. Network k is the same whatever K is, and no two are alike.
    """

    band_weight: Tensor
    channel_weight: Tensor
    channel_bias: Tensor
    time_weight: Tensor
    time_bias: Tensor
    fir_weight: Tensor
    fir_bias: Tensor
    class_weight: Tensor
    class_bias: Tensor

    def __init__(
        self, config: SSVEPNetConfig, n_models: int = 1, seed: Sequence[int] = (0,)
    ) -> None:
        super().__init__()
        self.config = config
        rngs = [np.random.default_rng([*seed, k]) for k in range(n_models)]
        for name, shape in config.shapes.items():
            values = np.empty((n_models, *shape), np.float32)
            for k, rng in enumerate(rngs):
                if name == "band_weight":
                    values[k] = 1.0
                elif name.endswith("_bias"):
                    values[k] = 0.0
                else:
                    values[k] = config.init_std * rng.standard_normal(shape)
            self.register_parameter(name, nn.Parameter(torch.from_numpy(values)))

    def forward(
        self, x: Tensor, dropout: Dropout | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Scores before the softmax, shape (B, K, M).

        Parameters
        ----------
        x : tensor, shape (B, K, R, C, N)
            Sub-bands of B windows for each network, microvolts.
        dropout : three floats or None
            None: nothing is dropped, as when deciding.
        generator : torch.Generator or None
            Of what is dropped; each network and window has its own.
        """
        p1, p2, p3 = dropout or (0.0, 0.0, 0.0)
        n_windows, k = x.shape[:2]
        taps = self.fir_weight.shape[-1]
        before = (taps - 1) // 2
        # 1  sub-bands: 1 × 1 convolution without bias (it is held at 0)   R → 1
        h = F.conv2d(x.flatten(1, 2), self.band_weight[..., None, None].flatten(0, 1), groups=k)
        # 2  channels: C × 1 convolution                                    C × N → F × N
        h = F.conv1d(
            h.flatten(1, 2), _rows(self.channel_weight[..., None]), _rows(self.channel_bias),
            groups=k,
        )  # fmt: skip
        h = _drop(h, p1, generator)  # 3
        # 4  time: 1 × 2 convolution, stride 2                              F × N → F × N/2
        h = F.conv1d(h, _rows(self.time_weight), _rows(self.time_bias), stride=2, groups=k)
        h = F.relu(_drop(h, p2, generator))  # 5, 6
        # 7  filter: 1 × 10 convolution, same length (4 before, 5 after)    F × N/2 → F × N/2
        h = F.pad(h, (before, taps - 1 - before))
        h = F.conv1d(h, _rows(self.fir_weight), _rows(self.fir_bias), groups=k)
        h = _drop(h, p3, generator).view(n_windows, k, -1)  # 8
        # 9  fully connected                                                F · N/2 → M
        return torch.einsum("bkd,kmd->bkm", h, self.class_weight) + self.class_bias


def _rows(parameter: Tensor) -> Tensor:
    """Parameters of all networks as those of one grouped convolution."""
    return parameter.flatten(0, 1)


def _drop(h: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    if p == 0.0:
        return h
    kept = torch.empty_like(h).bernoulli_(1.0 - p, generator=generator)
    return h * kept.div_(1.0 - p)
