"""Decisions to send."""

from collections.abc import Callable
from typing import Any

import pytest

from bci.types import Decision, Quality


@pytest.fixture
def decide() -> Callable[..., Decision]:
    """Make a decision; what is not given is plausible."""

    def make(seq: int = 0, label: str | None = "13 Hz", **changes: Any) -> Decision:
        fields: dict[str, Any] = {
            "first": 100 * seq,
            "last": 100 * seq + 99,
            "proba": {"13 Hz": 0.75, "17 Hz": 0.25} if label else {},
            "quality": Quality() if label else Quality(False, ("amplitude", "gap"), ("O1",), 0.2),
            "model": "fbcca",
        }
        return Decision(seq=seq, label=label, **(fields | changes))

    return make
