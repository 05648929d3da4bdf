"""A long training's state in one file, from which it goes on after a stop or a crash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bci.errors import ModelError

Arrays = Mapping[str, NDArray[np.generic]]


class Checkpoint:
    """Arrays in a safetensors file, with a description (JSON) of the training they belong to.

    Parameters
    ----------
    path : path
    training : mapping
        All that the training depends on; values that JSON can hold.
    """

    def __init__(self, path: str | Path, training: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.training = json.dumps(dict(training), sort_keys=True)

    @classmethod
    def of(cls, folder: Path, name: str, training: Mapping[str, Any]) -> Checkpoint:
        """Return the file for a training in a folder that may hold those of others."""
        made = cls(folder, training)
        digest = hashlib.sha256(made.training.encode()).hexdigest()[:12]
        made.path = folder / f"{name.replace(' ', '-')}-{digest}.safetensors"
        return made

    def read(self) -> dict[str, NDArray[np.generic]] | None:
        """Return what was written last; None where nothing was.

        Raises
        ------
        ModelError
            The file is damaged, or belongs to another training.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="numpy") as file:
                described = (file.metadata() or {}).get("training")
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"checkpoint '{self.path}' cannot be read ({error}); delete it to train anew"
            ) from error
        if described != self.training:
            raise ModelError(
                f"checkpoint '{self.path}' belongs to another training: its data or settings "
                "differ; choose another folder, or delete it to train anew"
            )
        return arrays

    def write(self, arrays: Arrays) -> None:
        """Write beside the file and rename, so that a crash leaves the old one or the new one.

        Raises
        ------
        ModelError
            It cannot be written.
        """
        data = save(
            {key: np.ascontiguousarray(value) for key, value in arrays.items()},
            {"training": self.training},
        )
        half = self.path.with_name(self.path.name + ".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with half.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            half.replace(self.path)
        except OSError as error:
            raise ModelError(
                f"checkpoint '{self.path}' cannot be written: {error.strerror or error}"
            ) from error


def array_hash(*arrays: NDArray[np.generic]) -> str:
    """SHA-256 of arrays: their shapes, types and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype.str} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
