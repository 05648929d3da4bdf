"""Decoders in scikit-learn form, and what the pipeline asks of them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from bci.types import FloatArray, Moments

__all__ = ["Decoder", "MomentsDecoder"]


@runtime_checkable
class Decoder(Protocol):
    """A (fitted or training-free) classifier of windows.

    `X` has shape (n_windows, n_channels, n_times), microvolts; labels are text.
    """

    #: Labels, in the order of the columns of `predict_proba`.
    classes_: Any

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Probability of each class, shape (n_windows, n_classes), rows summing to 1."""
        ...


@runtime_checkable
class MomentsDecoder(Decoder, Protocol):
    """A decoder that needs only a window's covariance: the pipeline keeps block sums for it."""

    def predict_proba_moments(self, moments: Moments) -> FloatArray:
        """As `predict_proba` for one window, shape (n_classes,), from its sums."""
        ...
