"""Eigenvalues and eigenvectors of many matrices: on the processor, or all at once on a GPU.

Nearly all the work of a search over augmented covariances is this. A GPU's last digits
are its own, so it is used where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from bci.extras import require_torch
from bci.types import FloatArray

_device: ContextVar[str] = ContextVar("device", default="cpu")


@contextmanager
def eigh_on(device: str) -> Iterator[None]:
    """Let `eigh` work on "cpu", by LAPACK, or on a device of torch ("cuda").

    Raises
    ------
    ValueError
        There is no such device.
    MissingDependency
        It takes torch, which is not installed.
    """
    if device != "cpu":
        _check(device)
    before = _device.set(device)
    try:
        yield
    finally:
        _device.reset(before)


def many_at_once() -> bool:
    """Whether matrices are better given all together than as many as a cache holds."""
    return _device.get() != "cpu"


def eigh(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """As `numpy.linalg.eigh`, in double precision; shape (n, d, d)."""
    device = _device.get()
    if device == "cpu":
        values, vectors = np.linalg.eigh(matrices)
        return values, vectors
    import torch

    found = torch.linalg.eigh(torch.as_tensor(np.ascontiguousarray(matrices)).to(device))
    return found.eigenvalues.cpu().numpy(), found.eigenvectors.cpu().numpy()


def _check(device: str) -> None:
    require_torch(f"device '{device}'")
    import torch

    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device '{device}' is asked for, torch finds none; 'cpu' is always there")
