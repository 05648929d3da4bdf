"""Decoders in scikit-learn form, and what the pipeline asks of them.

The estimators are imported when they are asked for (``from bci.decoders import
FBCCA``), so that importing this package stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from bci.types import FloatArray, Moments

if TYPE_CHECKING:
    from bci.decoders.covariance.acm import ACMClassifier
    from bci.decoders.covariance.alignment import Alignment
    from bci.decoders.covariance.augmented import AugmentedCovariance
    from bci.decoders.covariance.bt_acm import BlockToeplitzMDM, BlockToeplitzTangentSpace
    from bci.decoders.covariance.contextual_bandit import ContextualBandit
    from bci.decoders.covariance.csp import CSPLDA, FBCSP
    from bci.decoders.covariance.csp_bank import OvRCSPBank
    from bci.decoders.covariance.fgmdm import FgMDM
    from bci.decoders.covariance.filter_bank_tangent_space import FilterBankTangentSpace
    from bci.decoders.covariance.recentred import Recentred
    from bci.decoders.covariance.riemann import MDM, TangentSpaceLR
    from bci.decoders.covariance.tangent_space_grid import TangentSpaceEN, TangentSpaceSVM
    from bci.decoders.deep.deep_ssvep import DeepSSVEP
    from bci.decoders.deep.ecog_lstm_cnn import ECoGLSTMCNN
    from bci.decoders.deep.ensemble import DeepSSVEPEnsemble
    from bci.decoders.deep.imagery import DeepImagery
    from bci.decoders.deep.rleegnet import RLEEGNet
    from bci.decoders.deep.source_free import SourceFreeAdaptation
    from bci.decoders.ecog.band_power_lr import BandPowerLR
    from bci.decoders.ecog.broadband import HighGammaPower
    from bci.decoders.ecog.high_gamma_knn import HighGammaKNN
    from bci.decoders.ssvep.band_power import BandPower
    from bci.decoders.ssvep.cca import CCA, FBCCA
    from bci.decoders.ssvep.ecca import ExtendedCCA
    from bci.decoders.ssvep.extended_covariance import ExtendedCovariance
    from bci.decoders.ssvep.mscca import MultiStimulusCCA
    from bci.decoders.ssvep.offset_fbcca import OffsetFBCCA
    from bci.decoders.ssvep.tdca import TDCA
    from bci.decoders.ssvep.trca import TRCA

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
    "BandPowerLR",
    "BlockToeplitzMDM",
    "BlockToeplitzTangentSpace",
    "ContextualBandit",
    "Decoder",
    "DeepImagery",
    "DeepSSVEP",
    "DeepSSVEPEnsemble",
    "ECoGLSTMCNN",
    "ExtendedCCA",
    "ExtendedCovariance",
    "FgMDM",
    "FilterBankTangentSpace",
    "HighGammaKNN",
    "HighGammaPower",
    "MomentsDecoder",
    "MultiStimulusCCA",
    "OffsetFBCCA",
    "OvRCSPBank",
    "RLEEGNet",
    "Recentred",
    "RewardedDecoder",
    "SourceFreeAdaptation",
    "TangentSpaceEN",
    "TangentSpaceLR",
    "TangentSpaceSVM",
]

_HOME = {
    "ACMClassifier": "bci.decoders.covariance.acm",
    "AugmentedCovariance": "bci.decoders.covariance.augmented",
    "BandPower": "bci.decoders.ssvep.band_power",
    "BlockToeplitzMDM": "bci.decoders.covariance.bt_acm",
    "BlockToeplitzTangentSpace": "bci.decoders.covariance.bt_acm",
    "CCA": "bci.decoders.ssvep.cca",
    "ExtendedCCA": "bci.decoders.ssvep.ecca",
    "ExtendedCovariance": "bci.decoders.ssvep.extended_covariance",
    "FBCCA": "bci.decoders.ssvep.cca",
    "MultiStimulusCCA": "bci.decoders.ssvep.mscca",
    "OffsetFBCCA": "bci.decoders.ssvep.offset_fbcca",
    "Alignment": "bci.decoders.covariance.alignment",
    "Recentred": "bci.decoders.covariance.recentred",
    "TDCA": "bci.decoders.ssvep.tdca",
    "TRCA": "bci.decoders.ssvep.trca",
    "TangentSpaceLR": "bci.decoders.covariance.riemann",
    "TangentSpaceEN": "bci.decoders.covariance.tangent_space_grid",
    "TangentSpaceSVM": "bci.decoders.covariance.tangent_space_grid",
    "MDM": "bci.decoders.covariance.riemann",
    "ContextualBandit": "bci.decoders.covariance.contextual_bandit",
    "CSPLDA": "bci.decoders.covariance.csp",
    "OvRCSPBank": "bci.decoders.covariance.csp_bank",
    "FBCSP": "bci.decoders.covariance.csp",
    "FgMDM": "bci.decoders.covariance.fgmdm",
    "FilterBankTangentSpace": "bci.decoders.covariance.filter_bank_tangent_space",
    "DeepImagery": "bci.decoders.deep.imagery",
    "BandPowerLR": "bci.decoders.ecog.band_power_lr",
    "ECoGLSTMCNN": "bci.decoders.deep.ecog_lstm_cnn",
    "HighGammaKNN": "bci.decoders.ecog.high_gamma_knn",
    "HighGammaPower": "bci.decoders.ecog.broadband",
    "DeepSSVEP": "bci.decoders.deep.deep_ssvep",
    "DeepSSVEPEnsemble": "bci.decoders.deep.ensemble",
    "RLEEGNet": "bci.decoders.deep.rleegnet",
    "SourceFreeAdaptation": "bci.decoders.deep.source_free",
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


@runtime_checkable
class RewardedDecoder(AdaptiveDecoder, Protocol):
    """One that learns from "right" and "wrong" too, and from nothing else: it needs no label."""

    def reward(self, window: FloatArray | Moments, label: Any, correct: bool) -> bool:
        """Learn whether it was right to decide `label` for a window that `update` accepted."""
        ...
