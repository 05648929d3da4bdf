"""The plug pulled and put back: states, breaks, and refusals."""

import signal
import time

import numpy as np
import pytest

from bci.errors import SourceError, StreamMismatch
from bci.sources.lsl import LSLSettings
from bci.types import Break, Samples, SourceState

pylsl = pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)

ALLOWANCE_S = 0.5  # of the scheduler, on a busy machine


def outlet(name, n_channels=2, source_id=None, channel_format="float32"):
    source_id = name if source_id is None else source_id
    return pylsl.StreamOutlet(
        pylsl.StreamInfo(name, "EEG", n_channels, 500.0, channel_format, source_id)
    )


def opened(name, **settings):
    source = LSLSettings(name=name, **settings).build()
    source.open()
    return source


def watch(source, got, states):
    def step():
        got.extend(source.read(0.1))
        if not states or states[-1] is not source.state:
            states.append(source.state)

    return step


def flat(readings):
    """Numbers of the samples, with each break as -1."""
    return np.concatenate([r.data[:, 0] if isinstance(r, Samples) else [-1] for r in readings])


def n_samples(readings):
    return sum(len(r.data) for r in readings if isinstance(r, Samples))


def test_a_silent_network_is_stale_within_a_second_and_goes_on(unique, sender, until):
    """A stopped sender looks like a pulled cable: the connection stays open, nothing comes."""
    process = sender(unique)
    source, got, states = opened(unique, lost_s=30.0), [], []
    step = watch(source, got, states)
    until(lambda: n_samples(got) > 100, step, 5)
    process.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    until(lambda: source.state is SourceState.STALE, step, 1.0 + ALLOWANCE_S)
    assert time.monotonic() - stopped > 0.9  # not at the first short silence
    process.signal(signal.SIGCONT)
    before = n_samples(got)
    until(lambda: n_samples(got) > before + 100, step, 5)
    assert states == [SourceState.LIVE, SourceState.STALE, SourceState.LIVE]
    (at,) = [i for i, r in enumerate(got) if isinstance(r, Break)]
    assert got[at].reason == "stalled"
    assert got[at].missing_s < 0.1  # the sender's own clock and count went on
    numbers = flat(got)
    numbers = numbers[numbers >= 0]
    np.testing.assert_array_equal(np.diff(numbers), 1)
    source.close()


def test_a_pause_of_the_sender_is_measured(unique, until):
    out = outlet(unique)
    source, got, states = opened(unique, stale_s=0.2), [], []
    step = watch(source, got, states)
    out.push_chunk(np.zeros((10, 2)), 1000.0)
    until(lambda: n_samples(got) == 10, step, 2)
    until(lambda: source.state is SourceState.STALE, step, 0.2 + ALLOWANCE_S)
    out.push_chunk(np.zeros((10, 2)), 1000.0 + 3.0 + 10 / 500)  # stamp of the chunk's last sample
    until(lambda: n_samples(got) == 20, step, 2)
    (gap,) = [r for r in got if isinstance(r, Break)]
    assert gap.missing_s == pytest.approx(3.0, abs=1e-3)
    source.close()


def test_a_killed_sender_is_lost_at_once_and_found_again(unique, sender, until):
    process = sender(unique)
    source, got, states = opened(unique), [], []
    step = watch(source, got, states)
    until(lambda: n_samples(got) > 100, step, 5)
    process.end()
    until(lambda: source.state is SourceState.LOST, step, 1.0 + ALLOWANCE_S)
    lost_at = time.monotonic()
    sender(unique)
    before = len(got)
    until(lambda: n_samples(got[before:]) > 100, step, 8)
    away = time.monotonic() - lost_at
    assert states == [
        SourceState.LIVE,
        SourceState.LOST,
        SourceState.RECOVERING,
        SourceState.LIVE,
    ]
    assert isinstance(got[before], Break)
    assert got[before].reason == "reconnected"
    assert 0.3 < got[before].missing_s < away + 1.0
    assert sum(isinstance(r, Break) for r in got) == 1
    np.testing.assert_array_equal(np.diff(flat(got[before + 1 :])), 1)
    assert len(source.take_clock_offsets()) == 2  # one of each connection
    source.close()


def test_silence_beyond_lost_s_makes_a_new_connection(unique, until):
    out = outlet(unique)
    source, got, states = opened(unique, stale_s=0.1, lost_s=0.3), [], []
    step = watch(source, got, states)
    until(lambda: SourceState.LOST in states, step, 1.0)
    until(lambda: source.state is SourceState.RECOVERING and out.have_consumers(), step, 3)
    until(lambda: source._link.connected, step, 3)
    out.push_chunk(np.zeros((10, 2)))
    until(lambda: n_samples(got) == 10, step, 2)
    assert isinstance(got[0], Break)
    assert source.state is SourceState.LIVE
    source.close()


def test_recovery_never_blocks_longer_than_told(unique, sender, until):
    process = sender(unique)
    source = opened(unique)
    process.end()
    until(lambda: source.state is SourceState.LOST, lambda: source.read(0.05), 2)
    process = sender(unique)
    longest = 0.0

    def step():
        nonlocal longest
        before = time.monotonic()
        source.read(0.05)
        longest = max(longest, time.monotonic() - before)

    until(lambda: source.state is SourceState.LIVE, step, 8)
    assert longest < 0.05 + ALLOWANCE_S
    source.close()


@pytest.mark.parametrize(
    ("back", "difference"),
    [
        ({"n_channels": 3}, "2 channels before, 3 now"),
        ({"channel_format": "double64"}, "float32 before, double64 now"),
    ],
)
def test_another_stream_of_the_same_id_is_refused(unique, until, back, difference):
    out = outlet(unique)
    source = opened(unique)
    del out
    until(lambda: source.state is SourceState.LOST, lambda: source.read(0.05), 2)
    out = outlet(unique, **back)
    with pytest.raises(StreamMismatch, match=difference):
        until(lambda: False, lambda: source.read(0.1), 5)
    source.close()
    del out


def test_two_streams_of_the_same_id_are_refused(unique, until):
    out = outlet(unique)
    source = opened(unique)
    del out
    until(lambda: source.state is SourceState.LOST, lambda: source.read(0.05), 2)
    outs = [outlet(unique), outlet(unique)]
    with pytest.raises(SourceError, match="2 streams match"):
        until(lambda: False, lambda: source.read(0.1), 5)
    source.close()
    del outs


def test_a_stream_without_source_id_is_found_by_name_and_type(unique, until):
    out = outlet(unique, source_id="")
    source = opened(unique)
    del out
    until(lambda: source.state is SourceState.LOST, lambda: source.read(0.05), 2)
    out = outlet(unique, source_id="")
    got, states = [], []
    until(lambda: source._link.connected, lambda: source.read(0.05), 5)
    out.push_chunk(np.zeros((10, 2)))
    until(lambda: n_samples(got) == 10, watch(source, got, states), 2)
    assert isinstance(got[0], Break)
    source.close()


def test_another_device_of_the_same_name_is_not_taken(unique, until, caplog):
    out = outlet(unique, source_id=f"{unique}-a")
    source = opened(unique)
    del out
    until(lambda: source.state is SourceState.LOST, lambda: source.read(0.05), 2)
    out = outlet(unique, source_id=f"{unique}-b")
    until(lambda: "source_id differs" in caplog.text, lambda: source.read(0.1), 3)
    assert source.read(0.7) == []
    assert source.state is SourceState.LOST
    assert caplog.text.count("source_id differs") == 1
    source.close()
    del out
