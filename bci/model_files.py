"""Files of a trained model: a folder that is there as a whole or not at all, and digests."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from pydantic import ValidationError

from bci.errors import ModelError

MANIFEST = "manifest.json"


class Digested(Protocol):
    """A manifest (one of pydantic's models) that knows the digest of what it says."""

    @property
    def digest(self) -> str:
        """As it was saved."""
        ...

    def content_digest(self) -> str:
        """As it is now; another one than `digest` where something was altered."""
        ...

    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> Self:
        """Read it; raises pydantic's ValidationError."""
        ...


M = TypeVar("M", bound=Digested)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write beside the target and rename, so that a crash leaves no half model.

    Parameters
    ----------
    folder : path
        New or empty; readable by the owner only.
    files : mapping of str to bytes
        Name and content of each.

    Raises
    ------
    ModelError
        The folder is in use, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"'{folder}' exists already; choose another name for the model")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".model-") as temporary:
            half = Path(temporary) / folder.name  # mkdtemp: for the owner only
            half.mkdir(mode=0o700)
            for name, data in files.items():
                descriptor = os.open(half / name, os.O_CREAT | os.O_WRONLY, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            half.rename(folder)
    except OSError as error:
        raise ModelError(
            f"model '{folder}' cannot be written: {error.strerror or error}"
        ) from error


def content_digest(fields: Mapping[str, Any]) -> str:
    """SHA-256 of what JSON can hold, in a form that does not depend on order or layout."""
    text = json.dumps(dict(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_file(path: Path) -> bytes:
    """Read a file of a model.

    Raises
    ------
    ModelError
        It is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(
            f"model '{path.parent}' is not complete: {path.name} is missing"
        ) from error
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read: {error.strerror or error}") from error


def read_manifest(folder: Path, kind: type[M], name: str, fault: str = "damaged") -> M:
    """Read the manifest of a folder, checked to be as it was saved.

    Parameters
    ----------
    folder : path
    kind : class
        Of the manifest.
    name : str
        What the folder holds, for messages: "model".
    fault : str
        What a manifest is that cannot be understood.

    Raises
    ------
    ModelError
        It is missing, damaged or altered.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ModelError(f"{name} '{folder}' {what}; a {name} is a folder with a {MANIFEST}")
    try:
        manifest = kind.model_validate_json(read_file(folder / MANIFEST))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or MANIFEST
        raise ModelError(
            f"{name} '{folder}': {MANIFEST} is {fault}: {where}: {first['msg']}"
        ) from error
    if manifest.content_digest() != manifest.digest:
        raise ModelError(
            f"{name} '{folder}': {MANIFEST} was altered after saving (its digest differs); copy or "
            f"train the {name} anew"
        )
    return manifest
