"""The timing check finds the offset and the jitter that a simulated photodiode has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci import config
from bci.errors import SourceError
from bci.paradigms.timing_check import LONGEST_S, SHORTEST_S, changes, check, edges, with_offset

START = 500.0


def diode(
    offset_s, jitter_s=0.0, *, sfreq=1000.0, seconds=60.0, noise=0.5, gain=100.0, seed=0,
    lost=(), rise_s=0.0,
):  # fmt: skip
    """A channel that sees the patch: light in proportion to the part of a sample it is on."""
    rng = np.random.default_rng(seed)
    flips = [(START + t, k % 2 == 0) for k, t in enumerate(changes(seconds, seed))]
    seen = np.array([t for t, _ in flips]) + offset_s + rng.normal(0, 1, len(flips)) * jitter_s
    n = round((seconds + 3.0) * sfreq)
    times = START - 1.0 + np.arange(n) / sfreq
    light = np.zeros(n)
    for edge, (_, white) in zip(seen, flips, strict=True):
        passed = np.clip((times - edge) / max(rise_s, 1e-9) + 0.5, 0.0, 1.0)
        light = light * (1 - passed) + passed * white
    signal = gain * light + rng.normal(0, noise, n)
    for k in lost:
        signal[k] = np.nan
    return signal, times, flips


def test_the_patch_changes_irregularly_and_never_too_often():
    times = changes(120.0)
    steps = np.diff(times)
    assert steps.min() >= SHORTEST_S
    assert steps.max() <= LONGEST_S
    assert steps.std() > 0.05
    assert 1 / (2 * SHORTEST_S) < 3.0
    assert len(times) > 200
    assert np.array_equal(times, changes(120.0))


@settings(max_examples=15, deadline=None)
@given(
    offset=st.floats(-0.4, 0.8),
    sfreq=st.sampled_from([250.0, 500.0, 1000.0]),
    gain=st.sampled_from([100.0, -100.0, 3.0]),
    seed=st.integers(0, 9),
)
def test_any_offset_is_found_at_any_rate_gain_and_polarity(offset, sfreq, gain, seed):
    noise = abs(gain) / 200
    found = check(*diode(offset, sfreq=sfreq, gain=gain, noise=noise, seed=seed, seconds=30.0))
    assert found.n_seen == found.n_flips
    assert found.offset_s == pytest.approx(offset, abs=0.75 / sfreq)
    assert found.jitter_s < 0.5 / sfreq
    assert found.verdict.startswith("good")


@pytest.mark.parametrize(("jitter", "word"), [(0.001, "good"), (0.0035, "usable"), (0.009, "bad")])
def test_the_jitter_is_found_and_judged(jitter, word):
    found = check(*diode(0.042, jitter, seconds=120.0))
    assert found.offset_s == pytest.approx(0.042, abs=0.001)
    assert found.jitter_s == pytest.approx(jitter, rel=0.15)
    assert found.verdict.startswith(word)


def test_a_slow_screen_is_measured_at_half_its_step():
    found = check(*diode(0.030, rise_s=0.010))
    assert found.offset_s == pytest.approx(0.030, abs=0.0005)


def test_lost_samples_cost_their_edges_only():
    found = check(*diode(0.020, lost=[slice(20_000, 30_000)]))
    assert found.n_flips - found.n_seen in range(12, 30)
    assert found.offset_s == pytest.approx(0.020, abs=0.001)
    assert "did not reach the channel" in found.verdict


def test_edges_lie_between_samples():
    signal = np.repeat([0.0, 10.0, 2.5, 0.0], [50, 50, 1, 50])
    rising, falling = edges(signal, np.arange(len(signal), dtype=float))
    assert rising == pytest.approx([49.5])
    assert falling == pytest.approx([99 + 5 / 7.5])


def test_a_channel_without_light_says_so():
    rng = np.random.default_rng(0)
    _, times, flips = diode(0.0, seconds=30.0)
    with pytest.raises(SourceError, match="EXG1 shows no light"):
        check(rng.normal(0, 5, len(times)), times, flips, "EXG1")
    with pytest.raises(SourceError, match="no light"):
        check(np.zeros(len(times)), times, flips)
    with pytest.raises(SourceError, match="no samples"):
        edges(np.full(10, np.nan), np.arange(10.0))


def test_another_light_is_not_the_patch():
    signal, times, _ = diode(0.0, seed=1)
    other = [(START + t, k % 2 == 0) for k, t in enumerate(changes(60.0, seed=2))]
    with pytest.raises(SourceError, match="something else"):
        check(signal, times, other)


def test_few_flips_say_nothing():
    with pytest.raises(SourceError, match="too few"):
        check(*diode(0.0, seconds=5.0))


def test_a_session_takes_the_offset_over():
    before = config.loads("source: {kind: simulated}\nmarkers: {offset_s: 0.5}")
    after = with_offset(before, check(*diode(0.0421, seconds=30.0)))
    assert after.markers.offset_s == pytest.approx(0.0421, abs=0.0005)
    assert config.loads(config.dump(after)) == after
    assert before.markers.offset_s == 0.5
