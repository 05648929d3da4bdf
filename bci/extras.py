"""Optional packages: imported when they are asked for, and where one is missing, what to do."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bci.errors import MissingDependency


def optional(module: str, asked_by: str, extra: str) -> Any:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
    asked_by : str
        What needs it, as the beginning of the message: "the network 'x'".
    extra : str
        The extra of this project that installs it.

    Raises
    ------
    MissingDependency
        It is not installed, or cannot be loaded.
    """
    try:
        return import_module(module)
    except (ImportError, OSError) as error:  # OSError: a compiled library of it does not load
        raise MissingDependency(
            f"{asked_by} needs the package '{module.partition('.')[0]}', which is not installed or "
            f"cannot be loaded ({' '.join(str(error).split())}); install it with: pip install "
            f"'neuroloop[{extra}]'"
        ) from error


def require_torch(asked_by: str = "a deep network") -> None:
    """Raise MissingDependency where torch is not installed or cannot be loaded."""
    optional("torch", asked_by, "deep")
