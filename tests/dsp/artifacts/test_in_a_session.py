"""The stages as a session runs them: from YAML, in a pipeline, over NaN and gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bci import config
from bci.pipeline import Pipeline
from bci.types import Chunk, Gap

TEXT = """
source: {kind: lsl}
channels: {pick: all, montage: null}
processing:
  - {kind: line_noise, freq_hz: 50}
  - {kind: highpass, freq_hz: 0.5, order: 2}
  - {kind: %s}
  - {kind: potato, calibration_s: 20, lookahead_s: 0.2}
window: {length_s: 1.0, hop_s: 0.5}
"""


class Finite:
    """Says no where a window holds anything but numbers."""

    classes_ = np.array(["no", "yes"])

    def predict_proba(self, X):
        yes = float(np.isfinite(X).all())
        return np.array([[1 - yes, yes]])


@pytest.mark.parametrize(
    "cleaning",
    [
        "eog_regression, calibration_s: 15, reference: frontal",
        "adaptive_filter",
    ],
)
def test_nan_and_gaps(cleaning, blinking) -> None:
    session = config.loads(TEXT % cleaning)
    data = np.array(blinking.data)
    data[5000:5400, 6] = np.nan  # the EOG channel
    data[6000:6300, 3] = np.nan  # Cz
    data[7000:7100] = np.nan
    made = []
    for bounds in (range(0, 12001, 400), [0, 1, 777, 3001, 9000, 12000]):
        pipeline = Pipeline(session, blinking.info, Finite(), "finite")
        decisions = []
        for a, b in pairwise(bounds):
            if a == 8000 or a < 8000 < b:
                decisions += pipeline.push(Chunk(a, data[a:8000]))
                decisions += pipeline.push(Gap(8000, 8000, "lost"))
                a = 8000
            decisions += pipeline.push(Chunk(a, data[a:b]))
        made.append(decisions)
    assert [(d.first, d.last, d.quality) for d in made[0]] == [
        (d.first, d.last, d.quality) for d in made[1]
    ]
    decided = [d for d in made[0] if d.label is not None]
    assert len(decided) > 10
    assert {d.label for d in decided} == {"yes"}
    rejected = [d for d in made[0] if d.first < 5400 and d.last >= 5000]
    assert all("non-finite" in d.quality.reasons and d.label is None for d in rejected)
    late = [d for d in made[0] if d.first > 8000]
    assert all("uncalibrated" not in d.quality.reasons for d in late)
    assert any("eog" in d.quality.repaired for d in made[0])
