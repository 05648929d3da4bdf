"""Data sets of a benchmark, one module each, found by the `kind` of their settings.

A local set is a folder in the layout that its module describes; nothing is
downloaded except by `moabb`. Epochs come out as MOABB cuts them: the whole
recording is filtered, forwards and backwards, and then cut at its markers.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bci.benchmark.datasets.settings import DatasetSettings

__all__ = ["KINDS", "DatasetSettings", "find"]

#: Kind: module and class of its settings, imported when the kind is asked for.
KINDS: dict[str, str] = {
    "ssvep_exo": "bci.benchmark.datasets.ssvep_exo:SsvepExoSettings",
    "bci_iv_2b": "bci.benchmark.datasets.bci_iv_2b:BciIv2bSettings",
    "physionet": "bci.benchmark.datasets.physionet:PhysionetSettings",
    "bci2000": "bci.benchmark.datasets.bci2000:BCI2000Settings",
    "muse": "bci.benchmark.datasets.muse:MuseSettings",
    "miller_motor": "bci.benchmark.datasets.miller_motor:MillerMotorSettings",
    "xdf": "bci.benchmark.datasets.xdf:XdfSettings",
    "bids": "bci.benchmark.datasets.bids:BidsSettings",
    "recordings": "bci.benchmark.datasets.recordings:RecordingsSettings",
    "simulated": "bci.benchmark.datasets.simulated:SimulatedSetSettings",
    "moabb": "bci.benchmark.datasets.moabb:MoabbSettings",
}


def find(kind: str) -> type[DatasetSettings] | None:
    """Find the settings class of `kind`; None where there is no such kind."""
    if kind not in KINDS:
        return None
    module, _, name = KINDS[kind].partition(":")
    found: Any = getattr(import_module(module), name)
    return found  # type: ignore[no-any-return]
