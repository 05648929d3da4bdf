"""Where a network is trained, and how what is random there is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


def find_device(device: str | None) -> torch.device:
    """Return the device asked for; None: "cuda" where there is one, else "cpu".

    Raises
    ------
    ValueError
        A GPU is asked for and there is none.
    """
    found = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' is asked for, torch finds none; None takes what is there")
    return found


@contextmanager
def seeded(seed: Sequence[int], device: torch.device | None = None) -> Iterator[None]:
    """Draw what layers draw by themselves, initial weights and dropout, from a seed.

    Torch's own generators are afterwards as they were before.
    """
    gpus = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(int(np.random.default_rng(seed).integers(2**63)))
        yield
