"""Small changes of a trial that leave its class as it is, drawn anew in each epoch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is changed in each window of a batch.

    Attributes
    ----------
    max_shift : int
        Samples that a window is moved to either side, at most, in a circle.
    channel_dropout : float
        Probability with which a channel is set to 0; the others are made stronger by
        as much as is lost in the mean.
    amplitude : float
        Largest share by which a window is made stronger or weaker.
    """

    max_shift: int = 0
    channel_dropout: float = 0.0
    amplitude: float = 0.0

    def __post_init__(self) -> None:
        if self.max_shift < 0:
            raise ValueError(f"max_shift must be 0 samples or more, found {self.max_shift}")
        if not 0 <= self.channel_dropout < 1 or not 0 <= self.amplitude < 1:
            raise ValueError(
                "channel_dropout and amplitude must be from 0 up to less than 1, found "
                f"{self.channel_dropout} and {self.amplitude}"
            )

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed windows, shape (B, C, N) as `x`."""
        n_windows, n_channels, n_times = x.shape

        def draw(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=x.device)

        if self.max_shift:
            moved = (draw(n_windows) * (2 * self.max_shift + 1)).long() - self.max_shift
            at = (torch.arange(n_times, device=x.device) - moved[:, None]) % n_times
            x = x.gather(2, at[:, None].expand_as(x))
        if self.channel_dropout:
            kept = draw(n_windows, n_channels, 1) >= self.channel_dropout
            x = x * kept / (1.0 - self.channel_dropout)
        if self.amplitude:
            x = x * (1.0 + self.amplitude * (2.0 * draw(n_windows, 1, 1) - 1.0))
        return x
