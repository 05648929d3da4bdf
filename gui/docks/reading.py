"""A panel's own place in the stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci.types import StreamInfo
from gui.stores import SampleStore

__all__ = ["Reading"]

#: A panel that was not looked at goes on with the newest so many seconds.
CATCH_UP_S = 16.0


class Reading:
    """Reads on from where it stopped, with no more than what a panel needs after a pause.

    Parameters
    ----------
    store : SampleStore
    """

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._generation = -1
        self._position = 0

    def next(self) -> tuple[StreamInfo, NDArray[np.float32], bool] | None:
        """Samples since the last call, and whether they do not continue those; None: none."""
        info = self._store.info
        if info is None:
            return None
        anew = self._store.generation != self._generation
        newest = self._store.position - round(CATCH_UP_S * info.sfreq)
        if anew or self._position < newest:
            anew, self._position = True, max(0, newest)
            self._generation = self._store.generation
        start, data = self._store.span(self._position, self._store.position)
        if len(data) == 0:
            return None
        self._position = start + len(data)
        return info, data, anew
