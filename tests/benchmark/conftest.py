from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:  # so that worker processes find the toys by their name
    sys.path.insert(0, str(HERE))


@pytest.fixture(autouse=True)
def toy_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set kind 'toy', made on the spot."""
    from bci.benchmark import datasets

    monkeypatch.setitem(datasets.KINDS, "toy", "benchmark_toys:ToySettings")
