"""What was worked out lately in this process, so that it is worked out once.

One worker scores many pipelines on the same epochs: the epochs, their
covariances and fitted transformers are kept here, up to a number of bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from joblib import hash as content_hash

T = TypeVar("T")


class Recent:
    """Results by key; the least recently used go when there are too many bytes.

    Parameters
    ----------
    max_bytes : int
        Bytes of arrays to keep.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.n_made = 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under `key`, or else make and keep it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]  # type: ignore[no-any-return]
        value = make()
        size = _size(value)
        with self._lock:
            self.n_made += 1
            self._forget(key)  # another thread may have made it as well
            self._kept[key] = value, size
            self._bytes += size
            while self._bytes > self.max_bytes and len(self._kept) > 1:
                self._forget(next(iter(self._kept)))
        return value

    def drop(self, key: Hashable) -> None:
        """Forget what is kept under `key`."""
        with self._lock:
            self._forget(key)

    def _forget(self, key: Hashable) -> None:
        if key in self._kept:
            self._bytes -= self._kept.pop(key)[1]


def _size(value: Any) -> int:
    """Bytes of the arrays in a value, as far as they are found."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, (list, tuple)):
        return 64 + sum(_size(v) for v in value)
    if hasattr(value, "__dict__"):
        return 64 + sum(_size(v) for v in vars(value).values())
    return 64


class FitMemory:
    """`joblib.Memory`'s interface for scikit-learn's ``Pipeline(memory=…)``, in this process.

    A transformer fitted to the same data with the same parameters is fitted
    once, whichever pipeline or point of a grid asks for it. The key is a hash of
    the contents, as joblib's own.
    """

    #: scikit-learn clones a step before it is fitted unless this is None.
    location = "memory"

    def __init__(self, max_bytes: int = 64 * 2**20) -> None:
        self.recent = Recent(max_bytes)

    def cache(self, function: Callable[..., T], ignore: object = None) -> Callable[..., T]:
        """Make `function` remember; it is scikit-learn's ``_fit_transform_one``.

        `ignore` is what scikit-learn wants left out of the key, which is out anyway.
        """
        del ignore

        def remembered(transformer: Any, X: Any, y: Any, *args: Any, **kwargs: Any) -> T:
            # not in the key: the message to be printed, which counts the steps of one pipeline
            key = content_hash((transformer, X, y, args, kwargs.get("params")))
            return self.recent.get(key, lambda: function(transformer, X, y, *args, **kwargs))

        return remembered

    def __deepcopy__(self, memo: Any) -> FitMemory:
        return self  # clones of a pipeline share it; that is what it is for

    def __sklearn_clone__(self) -> FitMemory:
        return self
