"""Trained decoders on disk: one folder, a readable manifest, and arrays. No pickle.

::

    mymodel/
      manifest.json         what it was trained on, what it is, hashes
      arrays.safetensors    the numbers of this package's decoders and of plug-ins'
      model.skops           instead of it: any other scikit-learn estimator

Nothing in the folder is ever executed. The manifest's `kind` only chooses among
installed decoders, arrays are arrays, and skops builds nothing but types that
are trusted. The hashes find damage and mix-ups; they don't prove an origin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors
from sklearn.base import BaseEstimator

import bci
from bci import registry
from bci.decoders import Decoder
from bci.decoders.manifest import Manifest
from bci.errors import ModelError
from bci.model_files import MANIFEST, read_file, read_manifest, write_folder
from bci.types import FloatArray

#: Kind of a model that is no decoder of this package but any scikit-learn estimator.
SKLEARN = "sklearn"

#: Key of a decoder that is a parameter of another one.
INNER_KIND = "decoder_kind"

#: Types beyond scikit-learn's, numpy's and scipy's that skops may build: plain estimators.
TRUSTED = (
    "bci.decoders.covariance.acm.ACMClassifier",
    "bci.decoders.covariance.augmented.AugmentedCovariance",
    "bci.decoders.ssvep.band_power.BandPower",
    "bci.decoders.covariance.bt_acm.BlockToeplitzMDM",
    "bci.decoders.ssvep.cca.CCA",
    "bci.decoders.ssvep.cca.FBCCA",
    "bci.decoders.covariance.contextual_bandit.ContextualBandit",
    "bci.decoders.covariance.csp.CSPLDA",
    "bci.decoders.covariance.csp.FBCSP",
    "bci.decoders.deep.ensemble.DeepSSVEPEnsemble",
    "bci.decoders.deep.deep_ssvep.DeepSSVEP",
    "bci.decoders.deep.imagery.DeepImagery",
    "bci.decoders.deep.ecog_lstm_cnn.ECoGLSTMCNN",
    "bci.decoders.ecog.band_power_lr.BandPowerLR",
    "bci.decoders.ecog.broadband.HighGammaPower",
    "bci.decoders.ecog.high_gamma_knn.HighGammaKNN",
    "bci.decoders.ssvep.ecca.ExtendedCCA",
    "bci.decoders.ssvep.extended_covariance.ExtendedCovariance",
    "bci.decoders.covariance.csp_bank.OvRCSPBank",
    "bci.decoders.covariance.fgmdm.FgMDM",
    "bci.decoders.covariance.filter_bank_tangent_space.FilterBankTangentSpace",
    "bci.decoders.ssvep.mscca.MultiStimulusCCA",
    "bci.decoders.ssvep.offset_fbcca.OffsetFBCCA",
    "bci.decoders.covariance.recentred.Recentred",
    "bci.decoders.covariance.riemann.MDM",
    "bci.decoders.covariance.riemann.TangentSpaceLR",
    "bci.decoders.deep.rleegnet.RLEEGNet",
    "bci.decoders.covariance.tangent_space_grid.TangentSpaceEN",
    "bci.decoders.covariance.tangent_space_grid.TangentSpaceSVM",
    "bci.decoders.deep.source_free.SourceFreeAdaptation",
    "bci.decoders.ssvep.tdca.TDCA",
    "bci.decoders.ssvep.trca.TRCA",
    "builtins.range",
    "pyriemann.classification.MDM",
    "pyriemann.estimation.Covariances",
    "pyriemann.tangentspace.TangentSpace",
)


@runtime_checkable
class Storable(Protocol):
    """A decoder whose fitted state is arrays; its settings class names it as `decoder`."""

    kind: ClassVar[str]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the constructor; values that JSON can hold."""
        ...

    def state(self) -> dict[str, FloatArray]:
        """Return what `fit` found."""
        ...

    def restore(self, state: Mapping[str, FloatArray], classes: Sequence[Any]) -> None:
        """Take what `state` gave, in place of `fit`."""
        ...


def save(decoder: Any, manifest: Manifest, folder: str | Path) -> Manifest:
    """Write a fitted decoder; nothing is there, or all of it.

    Parameters
    ----------
    decoder : Storable or scikit-learn estimator
    manifest : Manifest
        With what is known from training; the rest is added here.
    folder : path
        New or empty; readable by the owner only.

    Returns
    -------
    Manifest
        As written.

    Raises
    ------
    ModelError
        The decoder is not fitted or of no kind that could be loaded again, the
        folder is in use, or it cannot be written.
    """
    folder = Path(folder)
    data, own = _serialise(decoder)
    filled = manifest.model_copy(
        update=own
        | {
            "classes": tuple(np.asarray(decoder.classes_).tolist()),
            "any_length": bool(getattr(decoder, "any_length", False)),
            "file_sha256": hashlib.sha256(data).hexdigest(),
            "versions": _versions(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
    filled = Manifest.model_validate_json(filled.model_dump_json())  # as it will be read
    filled = filled.model_copy(update={"digest": filled.content_digest()})
    write_folder(folder, {filled.file: data, MANIFEST: filled.model_dump_json(indent=1).encode()})
    return filled


def load(folder: str | Path, trusted: Sequence[str] = ()) -> tuple[Decoder, Manifest]:
    """Read a decoder and its manifest.

    Parameters
    ----------
    folder : path
    trusted : sequence of str
        Further types that a skops file may hold, by their full names.

    Raises
    ------
    ModelError
        The folder or a file is missing, damaged or altered, the kind is not
        installed, or a skops file holds types that are not trusted.
    """
    folder = Path(folder)
    manifest = read_manifest(folder, Manifest, "model")
    data = read_file(folder / manifest.file)
    if hashlib.sha256(data).hexdigest() != manifest.file_sha256:
        raise ModelError(
            f"model '{folder}': {manifest.file} is not the file that the manifest describes "
            "(SHA-256 differs); it was damaged or exchanged, so copy or train the model anew"
        )
    if manifest.file == "model.skops":
        return _load_skops(folder, data, trusted), manifest
    return _load_arrays(folder, data, manifest), manifest


# --- the two forms ---------------------------------------------------------------------------


def _serialise(decoder: Any) -> tuple[bytes, dict[str, Any]]:
    if not hasattr(decoder, "classes_"):
        raise ModelError(f"{type(decoder).__name__} is not fitted; there is no model to save")
    if isinstance(decoder, Storable):
        if _decoder_class(decoder.kind) is not type(decoder):
            raise ModelError(
                f"{type(decoder).__name__} calls itself decoder kind '{decoder.kind}', which no "
                "installed package provides by that class; a model of it could not be loaded"
            )
        params = _params(decoder)
        own = {"kind": decoder.kind, "params": params, "file": "arrays.safetensors"}
        # safetensors writes the memory as it lies there, whatever the strides say
        arrays = {name: np.ascontiguousarray(array) for name, array in decoder.state().items()}
        return safetensors.save(arrays), own
    if isinstance(decoder, BaseEstimator):
        import skops.io

        return skops.io.dumps(decoder), {"kind": SKLEARN, "params": {}, "file": "model.skops"}
    raise ModelError(
        f"{type(decoder).__name__} is neither a decoder that says its state nor a scikit-learn "
        "estimator; it cannot be saved without pickle"
    )


def _load_arrays(folder: Path, data: bytes, manifest: Manifest) -> Decoder:
    cls = _decoder_class(manifest.kind)
    if cls is None:
        raise ModelError(
            f"model '{folder}' is of kind '{manifest.kind}', which is not installed; installed are "
            f"{', '.join(registry.kinds('decoder'))}"
        )
    try:
        decoder = cls(**{k: _rebuilt(v) for k, v in manifest.params.items()})
        decoder.restore(safetensors.load(data), list(manifest.classes))
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(
            f"model '{folder}' does not hold a decoder of kind '{manifest.kind}': "
            f"{type(error).__name__}: {error}"
        ) from error
    return decoder  # type: ignore[no-any-return]


def _load_skops(folder: Path, data: bytes, trusted: Sequence[str]) -> Decoder:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    allowed = [*TRUSTED, *trusted]
    try:
        unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - set(allowed))
        if unknown:
            raise ModelError(
                f"model '{folder}' holds types that are not trusted: {', '.join(unknown)}; if you "
                "know where it comes from, list them as 'trusted' in the decoder's settings"
            )
        decoder = skops.io.loads(data, trusted=allowed)
    except ModelError:
        raise
    except (UntrustedTypesFoundException, BadZipFile) as error:
        raise ModelError(f"model '{folder}': model.skops is refused: {error}") from error
    except Exception as error:  # the format has no error class of its own
        raise ModelError(
            f"model '{folder}': model.skops cannot be read: {type(error).__name__}: {error}"
        ) from error
    if not (hasattr(decoder, "classes_") and hasattr(decoder, "predict_proba")):
        raise ModelError(
            f"model '{folder}' holds a {type(decoder).__name__}, which gives no probabilities"
        )
    return decoder  # type: ignore[no-any-return]


def _decoder_class(kind: str) -> Any:
    return getattr(registry.find("decoder", kind), "decoder", None)


def _params(decoder: Storable) -> dict[str, Any]:
    return {k: _plain(v) for k, v in decoder.get_params(deep=False).items()}


def _rebuilt(value: Any) -> Any:
    """A decoder within another's parameters, untrained; any other value as it is."""
    if isinstance(value, Mapping) and set(value) == {INNER_KIND, "params"}:
        cls = _decoder_class(value[INNER_KIND])
        if cls is None:
            raise ValueError(f"decoder kind '{value[INNER_KIND]}' is not installed")
        return cls(**{k: _rebuilt(v) for k, v in value["params"].items()})
    return value


def _plain(value: Any) -> Any:
    """Numpy's scalars and arrays, mappings, sequences and decoders as JSON has them."""
    if isinstance(value, Storable):
        return {INNER_KIND: value.kind, "params": _params(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(v) for v in value]
    return value


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "scikit-learn", "pyriemann")
    return {"neuroloop": bci.__version__, **{name: version(name) for name in packages}}


# --- files -----------------------------------------------------------------------------------
