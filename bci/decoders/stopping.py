"""When a trial of growing windows is decided: what calibration found, as it travels with a model.

How it is found: `bci.calibration.stopping`. Who applies it live: `bci.decision`.
"""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field, field_validator

from bci.config import Settings
from bci.metrics import SelectionReport


class StoppingRule(Settings):
    """Decide at the first look at which the posterior reaches the threshold, or at the last one.

    Look: a window of a growing row that is tested. Windows of other lengths
    are not, because every further look would be another chance to be wrong. A
    fixed length is a rule with a single look.
    """

    target_error: float = Field(
        gt=0, lt=1, description="error promised among decisions that reach the threshold"
    )
    threshold: float = Field(gt=0, lt=1, description="posterior of the best label to reach")
    looks: tuple[int, ...] = Field(
        min_length=1, description="window lengths at which it is tested, samples, increasing"
    )
    sfreq: float = Field(gt=0, description="Hz, of the processed stream")
    fixed_because: str | None = Field(
        default=None, description="why the length is fixed; null: it is dynamic"
    )
    expected: SelectionReport = Field(description="what the rule gives on the calibration trials")
    best_fixed: SelectionReport = Field(description="what the best fixed length gives on them")

    @field_validator("looks")
    @classmethod
    def _increasing(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if looks[0] < 1 or any(b <= a for a, b in pairwise(looks)):
            raise ValueError(f"looks must be increasing numbers of samples; found {looks}")
        return looks

    @property
    def longest_s(self) -> float:
        """Length of the last look, seconds."""
        return self.looks[-1] / self.sfreq

    def is_look(self, n_times: int) -> bool:
        """Whether a window of `n_times` samples is tested."""
        return n_times in self.looks
