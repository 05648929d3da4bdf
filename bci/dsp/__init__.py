"""Causal processing stages.

A stage is frozen settings (what the YAML says), explicit state, and one call
per chunk. For any cutting of a recording into chunks the output is the same:
bit for bit for recursive filters, to 1e-12 otherwise.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from bci.types import Chunk, StreamInfo

__all__ = ["Stage"]


@runtime_checkable
class Stage(Protocol):
    """One step of the processing chain."""

    #: Group delay in seconds, valid after `reset`. That of a stage which is no filter shifts the
    #: signal as a whole, by whole samples, and a by-pass keeps it (see `bci.dsp.lookahead`).
    delay_s: float

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """Allocate and clear all state for a stream that (re)starts at sample `start`.

        Returns the description of the stage's output. Called once before the
        first chunk and after every gap.

        Raises
        ------
        ConfigError
            The settings do not fit the stream (a channel is not there, a cut-off
            lies above half the sampling rate).
        """
        ...

    def __call__(self, chunk: Chunk) -> Chunk:
        """Process one chunk of any length, also 0; the input is not changed.

        Output data is C-contiguous float64, shape (n_samples, n_channels); flags
        of the input are passed on, with indices in the output's rate.
        """
        ...
