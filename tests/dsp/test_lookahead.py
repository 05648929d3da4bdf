"""By-passing a stage that looks ahead loses and doubles no sample; what each stage costs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bci.dsp.chain import Chain, _Fused
from bci.dsp.filters import Bandpass, Lowpass, Notch
from bci.dsp.reference import Reference
from bci.types import Chunk, Flag, StreamInfo

INFO = StreamInfo("test", 100.0, ("A", "B"), ("eeg", "eeg"))
N = 400
DATA = np.arange(2.0 * N).reshape(N, 2)
FLAGS = (Flag(3, 9, "gap"), Flag(95, 130, "amplitude"), Flag(299, 301, "amplitude"))


class Ahead:
    """Gives each sample, doubled, once it has seen `lag` more; flags go with their samples."""

    def __init__(self, lag):
        self.lag = lag
        self.delay_s = 0.0
        self.starts = []

    def reset(self, info, start=0):
        self.delay_s = self.lag / info.sfreq
        self.starts.append(start)
        self.begin, self.seen, self.flags = start, np.empty((0, 2)), []
        return info

    def __call__(self, chunk):
        data = np.ascontiguousarray(chunk.data, np.float64)
        self.seen = np.concatenate([self.seen, data])
        self.flags += chunk.flags
        index = np.arange(chunk.start, chunk.stop) - self.lag - self.begin
        out = 2.0 * self.seen[np.maximum(index, 0)] if len(data) else data
        moved = [
            Flag(max(f.start + self.lag, chunk.start), min(f.stop + self.lag, chunk.stop), f.reason)
            for f in self.flags
        ]
        return Chunk(chunk.start, out, tuple(f for f in moved if f.start < f.stop))


def run(cuts, switches, lag, stages=None):
    """Samples and flags that come out; `switches`: sample, and whether it is by-passed there."""
    chain = Chain(stages or [Ahead(lag)])
    chain.reset(INFO, 0)
    out, flagged = [], np.zeros((N, 2), bool)
    at = dict(switches)
    for a, b in pairwise(sorted({0, N, *cuts, *at})):
        if a in at:
            chain.bypass(0, at[a])
        mine = tuple(
            Flag(max(f.start, a), min(f.stop, b), f.reason)
            for f in FLAGS
            if max(f.start, a) < min(f.stop, b)
        )
        nothing = chain(Chunk(a, DATA[a:a]))
        assert len(nothing.data) == 0
        assert nothing.flags == ()
        part = chain(Chunk(a, DATA[a:b], mine))
        assert part.start == a
        assert part.data.flags.c_contiguous
        out.append(part.data)
        for f in part.flags:
            assert a <= f.start < f.stop <= b
            if f.reason == "delay":  # what comes before the first sample is none
                assert f.stop <= lag
                continue
            assert not flagged[f.start : f.stop, f.reason == "gap"].any()  # none comes twice
            flagged[f.start : f.stop, f.reason == "gap"] = True
    return np.concatenate(out), flagged, chain


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    cuts=st.lists(st.integers(1, N - 1), max_size=12),
    out=st.integers(0, N - 2),
    back=st.integers(1, N),
    lag=st.sampled_from([0, 1, 7, 40]),
)
@example(cuts=list(range(1, N)), out=100, back=101, lag=40)
@example(cuts=[], out=0, back=3, lag=40)  # before as many samples came as it holds
def test_no_sample_is_lost_or_doubled(cuts, out, back, lag):
    back = max(back, out + 1)
    switches = [(out, True)] + ([(back, False)] if back < N else [])
    found, flagged, chain = run(cuts, switches, lag)
    index = np.maximum(np.arange(N) - lag, 0)
    expected = 2.0 * DATA[index]
    expected[out:back] /= 2.0  # the same samples, at the same places, untouched
    np.testing.assert_array_equal(found, expected)
    late = np.zeros((N, 2), bool)
    for f in FLAGS:
        late[f.start + lag : f.stop + lag, f.reason == "gap"] = True
    np.testing.assert_array_equal(flagged, late[:N])
    assert chain.delay_s == pytest.approx(lag / 100 if lag or back < N else 0)


def test_a_gap_forgets_what_was_held():
    chain = Chain([Ahead(10)])
    chain.reset(INFO)
    chain(Chunk(0, DATA[:50]))
    chain.bypass(0)
    chain.reset(INFO, 80)
    out = chain(Chunk(80, DATA[80:120]))
    np.testing.assert_array_equal(out.data, DATA[np.maximum(np.arange(80, 120) - 10, 80)])
    assert out.flags == (Flag(80, 90, "delay"),)  # ten samples that never came
    chain.bypass(0, active=False)
    np.testing.assert_array_equal(chain(Chunk(120, DATA[120:140])).data, 2 * DATA[110:130])
    assert chain.stages[0].starts == [0, 80, 110]


def test_a_filters_delay_goes_with_it():
    """It is no shift of the signal: it differs from frequency to frequency."""
    chain = Chain([Lowpass(freq_hz=10).build(), Ahead(5)])
    chain.reset(INFO)
    assert chain.delay_s > 0.05
    chain.bypass(0)
    chain.bypass(1)
    assert chain.delay_s == 0.05


class Clock:
    """Advances when a stage works."""

    def __init__(self):
        self.t = 0.0

    def __call__(self):
        return self.t


class Costly:
    delay_s = 0.0

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def reset(self, info, start=0):
        return info

    def __call__(self, chunk):
        self.clock.t += self.seconds
        return chunk


def test_each_stage_is_timed_and_fused_filters_share():
    clock = Clock()
    filters = [Notch(freq_hz=30).build(), Bandpass(low_hz=5, high_hz=40, order=4).build()]
    chain = Chain([Costly(clock, 0.5), *filters, Reference().build(), Costly(clock, 0.25)])
    info = StreamInfo("test", 100.0, ("A", "B"), ("eeg", "eeg"))
    chain.reset(info)
    chain(Chunk(0, DATA[:10]))
    assert chain.spent_s == [0.0] * 5  # nobody watched
    chain.watch(clock)
    (fused,) = [r for r in chain._runs if isinstance(r, _Fused)]
    chain(Chunk(10, DATA[10:20]))
    chain(Chunk(20, DATA[20:30]))
    assert chain.spent_s == [1.0, 0.0, 0.0, 0.0, 0.5]
    whole = fused.__class__.__call__

    class Slow:
        def __call__(self, chunk):
            clock.t += 0.9
            return whole(fused, chunk)

    chain._runs[chain._runs.index(fused)] = Slow()
    chain(Chunk(30, DATA[30:40]))
    n_sections = [len(f.sos) for f in filters]
    shares = [0.9 * n / sum(n_sections) for n in n_sections]
    np.testing.assert_allclose(chain.spent_s, [1.5, *shares, 0.0, 0.75])
    chain.bypass(0)
    chain(Chunk(40, DATA[40:50]))
    assert chain.spent_s[0] == 1.5
    chain.watch(None)
    assert chain.spent_s == [0.0] * 5


def test_what_comes_out_does_not_depend_on_being_watched(info, recording, run):
    stages = [Notch(), Bandpass(low_hz=1, high_hz=40), Reference()]
    plain, watched = (Chain([s.build() for s in stages]) for _ in range(2))
    plain.reset(info)
    watched.reset(info)
    watched.watch(Clock())
    np.testing.assert_array_equal(run(watched, recording).data, run(plain, recording).data)
