"""The chain: fused filters, by-pass, indices."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bci.dsp import Stage
from bci.dsp.amplitude import AmplitudeGate
from bci.dsp.chain import Chain, _Fused
from bci.dsp.filters import Bandpass, Highpass, Lowpass, Notch
from bci.dsp.pick import Pick
from bci.dsp.reference import Reference
from bci.dsp.resample import Resample
from bci.errors import ConfigError
from bci.types import Chunk

FILTERS = [
    Notch(harmonics=1, freq_hz=45),
    Bandpass(low_hz=1, high_hz=40),
    Highpass(freq_hz=0.5, order=1),
    Lowpass(freq_hz=60, order=3),
]
CUTS = [0, 1, 1, 20, 500, 501, 1700]


def one_by_one(stages, data, run, info, cuts=(), start=0):
    for stage in stages:
        info = stage.reset(info, start)
        out = run(stage, data, cuts, start)
        data, start, cuts = out.data, out.start, ()
    return data


def test_fused_filters_give_the_same_bits(info, recording, run) -> None:
    chain = Chain([s.build() for s in FILTERS])
    assert isinstance(chain, Stage)
    chain.reset(info, 10)
    expected = one_by_one([s.build() for s in FILTERS], recording, run, info, CUTS, 10)
    np.testing.assert_array_equal(run(chain, recording, CUTS, 10).data, expected)
    assert [type(r) for r in chain._runs] == [_Fused]


def test_an_empty_chain_passes_data_on(info, recording, run) -> None:
    chain = Chain([])
    assert chain.reset(info, 5) == info
    assert (chain.delay_s, chain.ratio, chain.active) == (0, 1, ())
    np.testing.assert_array_equal(run(chain, recording, CUTS, 5).data, recording)


def test_delay_rank_and_ratio_add_up(info) -> None:
    stages = [FILTERS[1].build(), Resample(sfreq=125).build(), Reference().build()]
    chain = Chain([*stages, Resample(sfreq=25).build()])
    after = chain.reset(info)
    assert (after.sfreq, after.rank) == (25, 9)
    assert chain.ratio == Fraction(1, 8)
    assert chain.delay_s == pytest.approx(sum(s.delay_s for s in chain.stages))
    full = chain.delay_s
    chain.bypass(0)
    assert chain.active == (False, True, True, True)
    assert chain.delay_s == pytest.approx(full - stages[0].delay_s)


def test_bypass_passes_through_and_others_carry_on(info, recording, run) -> None:
    """Filters on either side of the one by-passed keep their state to the last bit."""
    chain = Chain([s.build() for s in FILTERS])
    chain.reset(info)
    a, b = 700, 1200
    parts = [run(chain, recording[:a], CUTS[:5])]
    chain.bypass(1)
    parts.append(run(chain, recording[a:b], [3], a))
    chain.bypass(1, active=False)
    parts.append(run(chain, recording[b:], [3], b))

    notch, band, high, low = (s.build() for s in FILTERS)
    x = one_by_one([notch], recording, run, info)
    y = x.copy()
    y[:a] = one_by_one([band], x[:a], run, info)
    y[b:] = one_by_one([band], x[b:], run, info, (), b)  # starts anew in its steady state
    expected = one_by_one([high, low], y, run, info)
    np.testing.assert_array_equal(np.concatenate([p.data for p in parts]), expected)


@pytest.mark.parametrize("at", [0, 300])
def test_bypass_is_kept_over_a_reset(at, info, recording, run) -> None:
    chain = Chain([Notch().build(), Reference().build(), AmplitudeGate(max_uv=1.0).build()])
    if at:
        chain.reset(info)
        run(chain, recording[:at])
    chain.bypass(1)
    chain.bypass(1)  # twice is once
    chain.bypass(2)
    after = chain.reset(info, at)
    assert after.rank is None
    out = run(chain, recording[at:], [5], at)
    expected = one_by_one([Notch().build()], recording[at:], run, info, (), at)
    np.testing.assert_array_equal(out.data, expected)
    assert out.flagged == {}


def test_all_filters_bypassed_then_back(info, recording, run) -> None:
    chain = Chain([Notch().build(), Highpass(freq_hz=1).build()])
    chain.reset(info)
    chain.bypass(0)
    chain.bypass(1)
    np.testing.assert_array_equal(run(chain, recording[:50]).data, recording[:50])
    chain.bypass(0, active=False)
    chain.bypass(1, active=False)
    stages = [Notch().build(), Highpass(freq_hz=1).build()]
    expected = one_by_one(stages, recording[50:], run, info, (), 50)
    np.testing.assert_array_equal(run(chain, recording[50:], [0, 7], 50).data, expected)


def test_a_stage_behind_a_resampler_comes_back_on_its_own_grid(info, recording) -> None:
    """It starts at the index, in its own rate, of the next sample that it gets."""
    starts: list[int] = []

    class Spy:
        delay_s = 0.0

        def reset(self, info, start=0):
            starts.append(start)
            return info

        def __call__(self, chunk):
            return chunk

    chain = Chain([Resample(sfreq=125).build(), Resample(sfreq=50).build(), Spy()])
    chain.reset(info, 3)
    for at, stop in [(3, 3), (3, 10), (10, 11), (11, 48)]:
        out = chain(Chunk(at, recording[at:stop]))
        chain.bypass(2)
        chain.bypass(2, active=False)
        assert starts[-1] == out.stop


def test_a_stage_that_changes_the_stream_cannot_be_bypassed(info, recording) -> None:
    chain = Chain([Pick(channels=("Cz", "Oz")).build(), Resample(sfreq=50).build()])
    chain.reset(info)
    with pytest.raises(ConfigError, match=r"stage 0 \(ChannelPicker\) .* 12 channels at 200 Hz"):
        chain.bypass(0)
    with pytest.raises(ConfigError, match="into 2 at 50 Hz"):
        chain.bypass(1)
    with pytest.raises(ConfigError, match="stage 2 asked for, but the chain has 2 stages"):
        chain.bypass(2)
    assert chain.active == (True, True)
    assert chain(Chunk(0, recording[:40])).data.shape == (10, 2)


def test_a_bypass_set_before_the_first_reset_holds(info, recording, run) -> None:
    chain = Chain([s.build() for s in [Reference(), *FILTERS]])
    chain.bypass(0)
    assert chain.reset(info).rank is None
    expected = one_by_one([s.build() for s in FILTERS], recording, run, info, CUTS)
    np.testing.assert_array_equal(run(chain, recording, CUTS).data, expected)


def test_a_bypass_set_before_the_first_reset_is_checked_there(info) -> None:
    chain = Chain([Resample(sfreq=50).build()])
    chain.bypass(0)
    with pytest.raises(ConfigError, match="cannot be by-passed"):
        chain.reset(info)
    chain.reset(replace(info, sfreq=50.0))


def test_it_can_be_asked_while_it_is_reset(info) -> None:
    """As the status of a session is, by another thread, in the middle of a gap."""
    seen = []

    class Asking:
        delay_s = 0.01

        def reset(self, info, start=0):
            seen.append((chain.why_needed(1), chain.delays, chain.delay_s, chain.ratio))
            return info

        def __call__(self, chunk):
            return chunk

    chain = Chain([Asking(), Asking()])
    chain.reset(info)
    chain.reset(info, 400)
    assert seen[-1] == (None, (0.01, 0.01), 0.02, 1)
