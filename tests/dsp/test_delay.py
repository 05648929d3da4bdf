"""A delay of whole samples."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.dsp.delay import DelayLine
from bci.types import Chunk, Flag

DATA = np.random.default_rng(0).standard_normal((100, 2))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 100), max_size=8), st.integers(0, 999), st.integers(1, 120))
def test_samples_and_flags_come_late_together(run, cuts, start, n) -> None:
    flags = (Flag(start + 10, start + 40, "gap"), Flag(start + 39, start + 41, "eog", "Cz", False))
    out = run(DelayLine(n), DATA, cuts, start, flags)
    expected = np.concatenate([np.repeat(DATA[:1], n, axis=0), DATA])[:100]
    np.testing.assert_array_equal(out.data, expected)
    assert out.flagged["delay", None, True].sum() == min(n, 100)
    for key, span in (
        (("gap", None, True), slice(10 + n, 40 + n)),
        (("eog", "Cz", False), slice(39 + n, 41 + n)),
    ):
        mask = np.zeros(100, bool)
        mask[span] = True
        np.testing.assert_array_equal(out.flagged.get(key, np.zeros(100, bool)), mask)


def test_no_delay_is_no_copy() -> None:
    chunk = Chunk(5, DATA)
    assert DelayLine(0)(chunk) is chunk
