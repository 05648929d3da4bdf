"""Each defect by its name, and none where there is none."""

import numpy as np
import pytest

from bci.dsp.bad_channels import BadChannels, Judge
from bci.dsp.signal_quality import MAX_IMPEDANCE, assess

SFREQ, NAMES = 250.0, [f"E{i}" for i in range(8)]


@pytest.fixture
def eeg():
    """Four seconds of eight channels of coloured noise around offsets."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1000, 8)).cumsum(axis=0)
    x -= np.linspace(0, 1, 1000)[:, None] * x[-1]
    return x + 8 * rng.standard_normal((1000, 8)) + 3000.0


def reasons(data, **options):
    return [q.reasons for q in assess(data, SFREQ, NAMES, **options)]


def test_clean_channels_have_no_reason(eeg):
    found = assess(eeg, SFREQ, NAMES)
    assert [q.name for q in found] == NAMES
    assert all(q.ok for q in found)
    assert all(7 < q.sd_uv < 40 for q in found)
    assert all(q.line_share < 0.1 for q in found)


def test_each_defect_is_named(eeg):
    t = np.arange(1000) / SFREQ
    eeg[:, 0] = 17.0
    eeg[:, 1] = np.clip(eeg[:, 1], 2995, 3005)
    eeg[:, 2] += 120 * np.sin(2 * np.pi * 50 * t)
    eeg[:, 3] += 400 * t
    eeg[:, 4] += 300 * np.random.default_rng(4).standard_normal(1000)
    eeg[10, 5] = np.nan
    found = reasons(eeg)
    assert found[0] == ("flat",)
    assert "railed" in found[1]
    assert "line noise" in found[2]
    assert found[3] == ("drift",)
    assert "noisy" in found[4]
    assert found[5] == ("lost samples",)
    assert found[6:] == [(), ()]


def test_line_noise_is_looked_for_where_the_line_is(eeg):
    eeg[:, 2] += 60 * np.sin(2 * np.pi * 60 * np.arange(1000) / SFREQ)
    assert "line noise" in reasons(eeg, line_hz=60.0)[2]
    assert "line noise" not in reasons(eeg, line_hz=50.0)[2]
    assert "line noise" not in reasons(eeg, line_hz=None)[2]


def test_the_stage_and_the_words_agree(eeg):
    eeg[:, 0] = 0.0
    eeg[:, 1] *= 40
    judge = Judge(BadChannels(), len(eeg), SFREQ)
    defects = judge.defects(eeg)
    np.testing.assert_array_equal(judge(eeg), np.any(list(defects.values()), axis=0))


def test_too_short_a_stretch_is_an_error(eeg):
    with pytest.raises(ValueError, match="too few"):
        assess(eeg[:200], SFREQ, NAMES)


def test_an_impedance_that_is_measured_and_too_high_is_a_reason(eeg):
    measured = {NAMES[0]: 5e3, NAMES[1]: 1.01 * MAX_IMPEDANCE, NAMES[2]: 0.0}
    good, bad, silent, *others = assess(eeg, SFREQ, NAMES, impedance_ohm=measured)
    assert good.ok
    assert bad.reasons == ("impedance",)
    assert (good.impedance_ohm, bad.impedance_ohm) == (5e3, 1.01 * MAX_IMPEDANCE)
    assert silent.ok  # a board that does not measure now says 0
    assert all(np.isnan(q.impedance_ohm) for q in (silent, *others))
