"""What results depend on besides data and settings: this code, and the libraries under it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bci

ROOT = Path(bci.__file__).parent

#: Sources that epoched scores depend on; data come in by the hash of the epochs themselves.
SCORING = (
    "benchmark/dynamic.py",
    "benchmark/task.py",
    "benchmark/trials.py",
    "benchmark/memory.py",
    "benchmark/pipelines.py",
    "benchmark/scoring.py",
    "benchmark/work.py",
    "calibration/stopping.py",
    "decoders",
    "metrics.py",
    "../models",
)
#: Sources that pseudo-online scores depend on: the engine.
ENGINE = (
    *SCORING,
    *("benchmark/matching.py", "benchmark/online.py", "benchmark/operating_point.py"),
    *("benchmark/outcome.py", "benchmark/pseudo_online.py", "calibration", "channel_plan.py"),
    *("channels.py", "decision.py", "dsp", "metrics.py", "paradigms/cues.py", "pipeline.py"),
    *("playback.py", "ring.py", "windows.py"),
)
#: Sources that the choice of training and test depends on; a unit's key holds what they chose.
PLANNING = tuple(f"benchmark/{n}.py" for n in ("evaluations", "folds", "learning_curve", "plan"))
#: Sources that epochs depend on.
READING = ("benchmark/data.py", "benchmark/datasets", "dsp", "paradigms", "sources")

LIBRARIES = ("numpy", "scipy", "scikit-learn", "pyriemann", "torch")
_DISTRIBUTION = {"sklearn": "scikit-learn"}


@lru_cache
def code_version(sources: tuple[str, ...] = SCORING, libraries: tuple[str, ...] = LIBRARIES) -> str:
    """Twelve digits that change with these sources (below `bci`) and libraries."""
    digest = hashlib.sha256()
    for path in _files(sources):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    for name, number in versions(libraries).items():
        digest.update(f"{name}={number}".encode())
    return digest.hexdigest()[:12]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Version of each package that is installed, by its distribution's name."""
    found = {}
    for package in packages:
        name = _DISTRIBUTION.get(package, package)
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _files(sources: Iterable[str]) -> list[Path]:
    found: set[Path] = set()
    for source in sources:
        path = ROOT / source
        found |= set(path.rglob("*.py")) if path.is_dir() else {path} if path.exists() else set()
    return sorted(found)
