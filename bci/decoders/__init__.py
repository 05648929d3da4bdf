"""Decoders in scikit-learn form, and what the pipeline asks of them.

The estimators are imported when they are asked for (``from bci.decoders import
FBCCA``), so that importing this package stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from bci.types import FloatArray, Moments

if TYPE_CHECKING:
    from bci.decoders.acm import ACMClassifier
    from bci.decoders.alignment import Alignment
    from bci.decoders.augmented import AugmentedCovariance
    from bci.decoders.band_power import BandPower
    from bci.decoders.bt_acm import BlockToeplitzMDM, BlockToeplitzTangentSpace
    from bci.decoders.cca import CCA, FBCCA
    from bci.decoders.csp import CSPLDA, FBCSP
    from bci.decoders.deep_ensemble import DeepSSVEPEnsemble
    from bci.decoders.deep_ssvep import DeepSSVEP
    from bci.decoders.ecca import ExtendedCCA
    from bci.decoders.extended_covariance import ExtendedCovariance
    from bci.decoders.fgmdm import FgMDM
    from bci.decoders.filter_bank_tangent_space import FilterBankTangentSpace
    from bci.decoders.mscca import MultiStimulusCCA
    from bci.decoders.offset_fbcca import OffsetFBCCA
    from bci.decoders.recentred import Recentred
    from bci.decoders.riemann import MDM, TangentSpaceLR
    from bci.decoders.source_free import SourceFreeAdaptation
    from bci.decoders.tdca import TDCA
    from bci.decoders.trca import TRCA

__all__ = [
    "CCA",
    "CSPLDA",
    "FBCCA",
    "FBCSP",
    "MDM",
    "TDCA",
    "TRCA",
    "ACMClassifier",
    "AdaptiveDecoder",
    "Alignment",
    "AugmentedCovariance",
    "BandPower",
    "BlockToeplitzMDM",
    "BlockToeplitzTangentSpace",
    "Decoder",
    "DeepSSVEP",
    "DeepSSVEPEnsemble",
    "ExtendedCCA",
    "ExtendedCovariance",
    "FgMDM",
    "FilterBankTangentSpace",
    "MomentsDecoder",
    "MultiStimulusCCA",
    "OffsetFBCCA",
    "Recentred",
    "SourceFreeAdaptation",
    "TangentSpaceLR",
]

_HOME = {
    "ACMClassifier": "bci.decoders.acm",
    "AugmentedCovariance": "bci.decoders.augmented",
    "BandPower": "bci.decoders.band_power",
    "BlockToeplitzMDM": "bci.decoders.bt_acm",
    "BlockToeplitzTangentSpace": "bci.decoders.bt_acm",
    "CCA": "bci.decoders.cca",
    "ExtendedCCA": "bci.decoders.ecca",
    "ExtendedCovariance": "bci.decoders.extended_covariance",
    "FBCCA": "bci.decoders.cca",
    "MultiStimulusCCA": "bci.decoders.mscca",
    "OffsetFBCCA": "bci.decoders.offset_fbcca",
    "Alignment": "bci.decoders.alignment",
    "Recentred": "bci.decoders.recentred",
    "TDCA": "bci.decoders.tdca",
    "TRCA": "bci.decoders.trca",
    "TangentSpaceLR": "bci.decoders.riemann",
    "MDM": "bci.decoders.riemann",
    "CSPLDA": "bci.decoders.csp",
    "FBCSP": "bci.decoders.csp",
    "FgMDM": "bci.decoders.fgmdm",
    "FilterBankTangentSpace": "bci.decoders.filter_bank_tangent_space",
    "DeepSSVEP": "bci.decoders.deep_ssvep",
    "DeepSSVEPEnsemble": "bci.decoders.deep_ensemble",
    "SourceFreeAdaptation": "bci.decoders.source_free",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
    """A decoder that needs only a window's covariance: the pipeline keeps block sums for it.

    Where it has an `embedding`, (order, lag), the sums are those of the window beside
    delayed copies of itself, see `bci.decoders.AugmentedCovariance`.
    """

    def predict_proba_moments(self, moments: Moments) -> FloatArray:
        """As `predict_proba` for one window, shape (n_classes,), from its sums."""
        ...


@runtime_checkable
class AdaptiveDecoder(Decoder, Protocol):
    """A decoder that goes on learning while it decides; see `bci.decoders.learner`."""

    def update(self, window: FloatArray | Moments, label: Any = None) -> bool:
        """Learn from a window (n_channels, n_times) or its sums, decided on just now.

        A label comes later, if at all: once it is confirmed which one is right.
        False: the window was refused, and nothing has changed.
        """
        ...

    def rollback(self) -> None:
        """Be again as training left it."""
        ...
