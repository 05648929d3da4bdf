"""Which class serves which `kind` of a configuration.

One line per built-in part. Parts from other packages come by entry points of
the groups ``bci.source``, ``bci.stage``, ``bci.decoder`` and ``bci.output``:
the name is the kind, the object a `bci.config.Settings` subclass. A class is
imported when its kind is asked for, not before.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from bci.errors import MissingDependency

if TYPE_CHECKING:
    from bci.config import Settings

Family = Literal["source", "stage", "decoder", "output"]

BUILT_IN: dict[Family, dict[str, str]] = {
    "source": {
        "lsl": "bci.sources.lsl:LSLSettings",
        "brainflow": "bci.sources.brainflow:BrainFlowSettings",
        "replay": "bci.sources.replay:ReplaySettings",
        "simulated": "bci.sources.simulated:SimulatedSettings",
    },
    "stage": {
        "bandpass": "bci.dsp.filters:Bandpass",
        "highpass": "bci.dsp.filters:Highpass",
        "lowpass": "bci.dsp.filters:Lowpass",
        "notch": "bci.dsp.filters:Notch",
        "reference": "bci.dsp.reference:Reference",
        "resample": "bci.dsp.resample:Resample",
        "pick": "bci.dsp.pick:Pick",
        "bad_channels": "bci.dsp.bad_channels:BadChannels",
        "amplitude": "bci.dsp.amplitude:AmplitudeGate",
        "broadband_power": "bci.dsp.broadband:BroadbandPower",
        "line_noise": "bci.dsp.line_noise:LineNoise",
        "eog_regression": "bci.dsp.artifacts.regression:EOGRegression",
        "adaptive_filter": "bci.dsp.artifacts.adaptive:AdaptiveFilter",
        "potato": "bci.dsp.artifacts.potato:PotatoField",
        "asr": "bci.dsp.artifacts.asr:ASR",
        "ica": "bci.dsp.artifacts.ica:ICA",
        "denoiser": "bci.dsp.artifacts.denoiser:DenoiserSettings",
    },
    "decoder": {
        "cca": "bci.decoders.ssvep.cca:CCASettings",
        "fbcca": "bci.decoders.ssvep.cca:FBCCASettings",
        "ecca": "bci.decoders.ssvep.ecca:ExtendedCCASettings",
        "mscca": "bci.decoders.ssvep.mscca:MultiStimulusCCASettings",
        "trca": "bci.decoders.ssvep.trca:TRCASettings",
        "tdca": "bci.decoders.ssvep.tdca:TDCASettings",
        "extended_covariance": "bci.decoders.ssvep.extended_covariance:ExtendedCovarianceSettings",
        "offset_fbcca": "bci.decoders.ssvep.offset_fbcca:OffsetFBCCASettings",
        "band_power": "bci.decoders.ssvep.band_power:BandPowerSettings",
        "tangent_space": "bci.decoders.covariance.riemann:TangentSpaceSettings",
        "tangent_space_svm": "bci.decoders.covariance.tangent_space_grid:TangentSpaceSVMSettings",
        "tangent_space_en": "bci.decoders.covariance.tangent_space_grid:TangentSpaceENSettings",
        "mdm": "bci.decoders.covariance.riemann:MDMSettings",
        "csp": "bci.decoders.covariance.csp:CSPSettings",
        "fbcsp": "bci.decoders.covariance.csp:FBCSPSettings",
        "fgmdm": "bci.decoders.covariance.fgmdm:FgMDMSettings",
        "fb_tangent_space": (
            "bci.decoders.covariance.filter_bank_tangent_space:FilterBankTangentSpaceSettings"
        ),
        "contextual_bandit": "bci.decoders.covariance.contextual_bandit:ContextualBanditSettings",
        "recentred": "bci.decoders.covariance.recentred:RecentredSettings",
        "deep_ssvep": "bci.decoders.deep.deep_ssvep:DeepSSVEPSettings",
        "deep_ssvep_ensemble": "bci.decoders.deep.ensemble:DeepSSVEPEnsembleSettings",
        "deep_imagery": "bci.decoders.deep.imagery_settings:DeepImagerySettings",
        "source_free": "bci.decoders.deep.source_free:SourceFreeSettings",
        "rleegnet": "bci.decoders.deep.rleegnet:RLEEGNetSettings",
        "high_gamma_knn": "bci.decoders.ecog.high_gamma_knn:HighGammaKNNSettings",
        "band_power_lr": "bci.decoders.ecog.band_power_lr:BandPowerLRSettings",
        "ecog_lstm_cnn": "bci.decoders.deep.ecog_lstm_cnn:ECoGLSTMCNNSettings",
        "acm": "bci.decoders.covariance.acm:ACMSettings",
        "bt_acm": "bci.decoders.covariance.bt_acm:BlockToeplitzSettings",
        "model": "bci.decoders.artifact:ModelSettings",
    },
    "output": {
        "lsl": "bci.outputs.lsl:LSLOutput",
        "osc": "bci.outputs.osc:OSCOutput",
        "jsonl": "bci.outputs.jsonl:JSONLinesOutput",
    },
}


def kinds(family: Family) -> list[str]:
    """All kinds of a family, built in and from other packages, sorted."""
    return sorted({*BUILT_IN[family], *(e.name for e in entry_points(group=f"bci.{family}"))})


def find(family: Family, kind: str) -> type[Settings] | None:
    """The settings class of `kind`, or None where there is no such kind.

    Raises
    ------
    MissingDependency
        The part exists, but a package it needs is not installed.
    """
    try:
        if kind in BUILT_IN[family]:
            module, _, name = BUILT_IN[family][kind].partition(":")
            found: Any = getattr(import_module(module), name)
            return found  # type: ignore[no-any-return]
        for entry in entry_points(group=f"bci.{family}", name=kind):
            return entry.load()  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("bci"):
            raise
        raise MissingDependency(
            f"{family} kind '{kind}' needs the package '{error.name}', which is not installed; "
            f"install it with: pip install {error.name}"
        ) from error
    return None
