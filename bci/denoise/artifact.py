"""A trained denoiser on disk: one folder, a readable manifest, and arrays. No pickle.

::

    mydenoiser/
      manifest.json         what it is, what it was trained on, hashes
      arrays.safetensors    the network's weights

The hashes find damage and mix-ups; they don't prove an origin. Torch is imported when a
denoiser is saved or loaded, not before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from safetensors import SafetensorError
from safetensors import numpy as safetensors

import bci
from bci.config import Settings
from bci.errors import ModelError
from bci.extras import require_torch
from bci.model_files import MANIFEST, content_digest, read_file, read_manifest, write_folder

if TYPE_CHECKING:
    from models.denoising import Denoiser

ARRAYS = "arrays.safetensors"


class DenoiserManifest(Settings):
    """Everything about a denoiser but its numbers.

    Whoever trains one fills the part "known from training"; `save` adds the rest.
    """

    # known from training
    network: str = Field(description="name of the network")
    settings: dict[str, Any] = Field(default={}, description="settings of the network")
    n_channels: int = Field(ge=1, description="of a window")
    n_times: int = Field(ge=1, description="samples of a window")
    sfreq: float = Field(gt=0, description="Hz")
    unit: Literal["uV"] = "uV"
    ch_names: tuple[str, ...] = Field(
        default=(), description="channels, in order; none: any channel, each by itself"
    )
    removes: tuple[str, ...] = Field(default=(), description="artifacts that it was trained on")
    training: dict[str, Any] = Field(
        default={}, description="data, settings and seed of its training"
    )
    sources: dict[str, tuple[str, ...]] = Field(
        default={}, description="sources of each kind of epochs that it learned from or was chosen "
        "with: what it must not be judged on",
    )  # fmt: skip
    scores: dict[str, Any] = Field(default={}, description="figures of merit, by name")
    # added while saving
    schema_version: Literal["bci.denoiser/1"] = "bci.denoiser/1"
    file_sha256: str = ""
    versions: dict[str, str] = Field(default={}, description="package: version at training")
    created: str = Field(default="", description="date and time of saving, UTC")
    digest: str = Field(default="", description="SHA-256 of all fields but `created` and this one")

    def content_digest(self) -> str:
        """SHA-256 of all fields but the date and the digest itself."""
        return content_digest(self.model_dump(mode="json", exclude={"digest", "created"}))

    @property
    def model_id(self) -> str:
        """Names the denoiser: its network and 8 digits of its content's hash."""
        return f"{self.network}-{self.digest[:8]}"


class LoadedDenoiser:
    """A trained denoiser, on the CPU.

    Attributes
    ----------
    manifest : DenoiserManifest
    denoiser : models.denoising.Denoiser
    """

    def __init__(self, denoiser: Denoiser, manifest: DenoiserManifest) -> None:
        self.denoiser, self.manifest = denoiser, manifest

    def fit(self, noisy: ArrayLike, clean: ArrayLike, sfreq: float) -> LoadedDenoiser:
        """Learn nothing, it is trained; for use in place of denoisers that do.

        Raises
        ------
        ValueError
            It was trained at another sampling rate.
        """
        if not np.isclose(sfreq, self.manifest.sfreq, rtol=1e-6, atol=0):
            raise ValueError(
                f"denoiser {self.manifest.model_id} was trained at {self.manifest.sfreq:g} Hz, the "
                f"windows have {sfreq:g} Hz; resample them"
            )
        return self

    def clean(self, x: ArrayLike) -> NDArray[np.float32]:
        """Remove artifacts from windows.

        Parameters
        ----------
        x : array, shape (n, n_channels, n_times) or, of one channel, (n, n_times), µV
            As many channels as it was trained on; or any number, where it cleans each by
            itself.

        Returns
        -------
        array, of the same shape, µV

        Raises
        ------
        ValueError
            The windows have another shape, or values that are no numbers.
        """
        from models.denoising import clean

        windows = np.asarray(x)
        if windows.ndim == 2:
            windows = windows[:, np.newaxis]
        asked = (self.manifest.n_channels, self.manifest.n_times)
        any_number = getattr(self.denoiser.network, "per_channel", False)
        if (
            windows.ndim != 3
            or windows.shape[2] != asked[1]
            or not (any_number or windows.shape[1] == asked[0])
        ):
            channels = "channels" if any_number else str(asked[0])
            raise ValueError(
                f"denoiser {self.manifest.model_id} takes windows of shape (n, {channels}, "
                f"{asked[1]}), found {np.shape(x)}"
            )
        if not np.isfinite(windows).all():
            raise ValueError("windows hold values that are no numbers; leave them out or mend them")
        return clean(self.denoiser, windows.astype(np.float32)).reshape(np.shape(x))


def save(
    folder: str | Path, denoiser: Denoiser, manifest: DenoiserManifest | Mapping[str, Any]
) -> DenoiserManifest:
    """Write a trained denoiser; nothing is there, or all of it.

    Parameters
    ----------
    folder : path
        New or empty; readable by the owner only.
    denoiser : models.denoising.Denoiser
    manifest : DenoiserManifest, or mapping with its fields
        With what is known from training; the rest is added here.

    Returns
    -------
    DenoiserManifest
        As written.

    Raises
    ------
    ModelError
        The network is not one that the manifest could make again, the folder is in use,
        or it cannot be written.
    """
    from models.network_training import weights_of

    folder = Path(folder)
    known = manifest if isinstance(manifest, DenoiserManifest) else DenoiserManifest(**manifest)
    weights = weights_of(denoiser.network)
    like = weights_of(_made(folder, known).network)
    if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in like.items()}:
        raise ModelError(
            f"the network of denoiser '{folder}' is not the one that its manifest describes, "
            f"'{known.network}' with settings {known.settings}"
        )
    data = safetensors.save({name: np.ascontiguousarray(w) for name, w in weights.items()})
    filled = known.model_copy(
        update={
            "file_sha256": hashlib.sha256(data).hexdigest(),
            "versions": {"neuroloop": bci.__version__}
            | {name: version(name) for name in ("numpy", "torch")},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )
    filled = DenoiserManifest.model_validate_json(filled.model_dump_json())  # as it will be read
    filled = filled.model_copy(update={"digest": filled.content_digest()})
    write_folder(folder, {ARRAYS: data, MANIFEST: filled.model_dump_json(indent=1).encode()})
    return filled


def load(folder: str | Path) -> LoadedDenoiser:
    """Read a denoiser and its manifest.

    Raises
    ------
    ModelError
        The folder or a file is missing, damaged or altered, or it is no denoiser.
    MissingDependency
        torch is not installed.
    """
    folder = Path(folder)
    manifest = read_manifest(
        folder, DenoiserManifest, "denoiser", "damaged, or is not that of a denoiser"
    )
    data = read_file(folder / ARRAYS)
    if hashlib.sha256(data).hexdigest() != manifest.file_sha256:
        raise ModelError(
            f"denoiser '{folder}': {ARRAYS} is not the file that the manifest describes (SHA-256 "
            "differs); it was damaged or exchanged, so copy or train the denoiser anew"
        )
    denoiser = _made(folder, manifest)
    from models.network_training import load_weights

    try:
        load_weights(denoiser.network, safetensors.load(data))
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(
            f"denoiser '{folder}': its arrays are not those of network '{manifest.network}' "
            f"({error}); train it anew"
        ) from error
    denoiser.eval()
    return LoadedDenoiser(denoiser, manifest)


def _made(folder: Path, manifest: DenoiserManifest) -> Denoiser:
    """The network that a manifest describes, untrained."""
    require_torch(f"denoiser '{folder}'")
    from models.denoising import Denoiser, build

    try:
        network = build(
            manifest.network, manifest.n_channels, manifest.n_times, **manifest.settings
        )
    except ValueError as error:
        raise ModelError(f"denoiser '{folder}' cannot be made: {error}") from error
    return Denoiser(network)
