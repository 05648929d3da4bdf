"""The LSL source on loopback: every sample, in microvolts, on the local clock."""

import gc
import threading
import weakref

import numpy as np
import pytest

from bci import lsl
from bci.clock import now
from bci.errors import MissingDependency, SourceError, StreamMismatch
from bci.sources import Source
from bci.sources.lsl import LSLSettings, available_streams
from bci.types import Samples, SourceState, StreamInfo

pylsl = pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)


def outlet(name, n_channels=3, sfreq=500.0, channel_format="float32", unit=None, source_id=None):
    info = pylsl.StreamInfo(
        name, "EEG", n_channels, sfreq, channel_format, name if source_id is None else source_id
    )
    if unit:
        info.set_channel_units([unit] * n_channels)
        info.set_channel_types("EEG")
    return pylsl.StreamOutlet(info)


def opened(name, **settings):
    source = LSLSettings(name=name, **settings).build()
    source.open()
    return source


def receive(source, n, until, within_s=5.0):
    """Read until `n` samples are there; the readings must be samples alone."""
    got = []

    def step():
        got.extend(source.read(0.1))

    until(lambda: sum(len(r.data) for r in got) >= n, step, within_s)
    assert all(isinstance(r, Samples) for r in got)
    assert all(len(r.data) == len(r.stamps) for r in got)
    return np.concatenate([r.data for r in got]), np.concatenate([r.stamps for r in got])


def counting(start, n, n_channels):
    return np.arange(start, start + n)[:, None] + 0.0 * np.arange(n_channels)


@pytest.mark.parametrize("chunks", [(1,) * 50, (20,) * 10, (7, 1, 300, 2, 90), (2000,)])
def test_every_sample_arrives_once_and_in_order(unique, until, chunks):
    out = outlet(unique, unit="uV")
    source = opened(unique)
    start = 0
    for n in chunks:
        out.push_chunk(counting(start, n, 3).astype(np.float32))
        start += n
    data, stamps = receive(source, start, until)
    assert data.dtype == np.float32
    np.testing.assert_array_equal(data, counting(0, start, 3))
    assert stamps.dtype == np.float64
    assert source.read(0.01) == []
    assert isinstance(source, Source)
    source.close()


def test_the_stream_is_described(unique):
    info = StreamInfo(
        unique,
        512.0,
        ("O1", "Oz", "TRIG"),
        ("eeg", "eeg", "stim"),
        {"Oz": (0.0, -0.1, 0.0)},
        unique,
    )
    out = pylsl.StreamOutlet(lsl.stream_info(info))
    source = LSLSettings(source_id=unique).build()
    found = source.open()
    assert found.positions == {"Oz": pytest.approx((0.0, -0.1, 0.0))}
    assert (found.name, found.sfreq, found.source_id) == (unique, 512.0, unique)
    assert (found.ch_names, found.ch_types) == (info.ch_names, info.ch_types)
    assert source.state is SourceState.LIVE
    source.close()
    del out


@pytest.mark.parametrize(
    ("channel_format", "unit", "factor", "dtype"),
    [
        ("float32", "microvolts", 1.0, np.float32),
        ("double64", "microvolts", 1.0, np.float64),
        ("int16", "microvolts", 1.0, np.float64),
        ("int32", "millivolts", 1e3, np.float64),
        ("double64", "volts", 1e6, np.float64),
    ],
)
def test_samples_are_microvolts(unique, until, channel_format, unit, factor, dtype):
    out = outlet(unique, channel_format=channel_format, unit=unit)
    source = opened(unique)
    sent = counting(-5, 10, 3)
    out.push_chunk(sent)
    data, _ = receive(source, 10, until)
    assert data.dtype == dtype
    np.testing.assert_allclose(data, sent * factor, rtol=1e-12)
    source.close()


def test_a_result_is_not_overwritten_by_the_next_read(unique, until):
    out = outlet(unique, unit="uV")
    source = opened(unique)
    out.push_chunk(counting(0, 5, 3))
    first, _ = receive(source, 5, until)
    out.push_chunk(counting(5, 5, 3))
    receive(source, 5, until)
    np.testing.assert_array_equal(first, counting(0, 5, 3))
    source.close()


def test_nan_passes_through(unique, until):
    out = outlet(unique, unit="uV")
    source = opened(unique)
    sent = counting(0, 6, 3)
    sent[2, 1] = np.nan
    sent[4] = np.inf
    out.push_chunk(sent)
    data, _ = receive(source, 6, until)
    np.testing.assert_array_equal(data, sent)
    source.close()


def test_stamps_are_the_senders_on_the_local_clock(unique, until):
    out = outlet(unique, unit="uV")
    source = opened(unique)
    offsets = source.take_clock_offsets()
    assert len(offsets) == 1
    assert abs(offsets[0][0] - now()) < 10
    assert abs(offsets[0][1]) < 0.01  # sender and receiver share a clock here
    assert source.take_clock_offsets() == []
    sent = now() + np.arange(10) / 500.0
    out.push_chunk(counting(0, 10, 3), sent.tolist())
    _, stamps = receive(source, 10, until)
    np.testing.assert_allclose(stamps - offsets[0][1], sent, rtol=0, atol=1e-9)
    source.close()


def test_the_clock_offset_is_measured_again(unique, until, monkeypatch):
    monkeypatch.setattr("bci.lsl.link.OFFSET_EVERY_S", 0.05)
    out = outlet(unique, unit="uV")
    source = opened(unique)
    taken = source.take_clock_offsets()
    until(
        lambda: len(taken) >= 3,
        lambda: (source.read(0.06), taken.extend(source.take_clock_offsets())),
        3,
    )
    times = [t for t, _ in taken]
    assert times == sorted(times)
    source.close()
    del out


def test_no_stream_lists_those_that_are_there(unique):
    out = outlet(unique)
    with pytest.raises(SourceError) as caught:
        LSLSettings(name=unique + "x", timeout_s=0.7).build().open()
    message = str(caught.value)
    assert f"no LSL stream with name '{unique}x', type 'EEG' within 0.7 s" in message
    assert f"name '{unique}', type 'EEG', source_id '{unique}'" in message
    assert "3 ch, 500 Hz, float32" in message
    del out


def test_nothing_visible_gives_hints():
    message = str(lsl.Wanted(name="amp").missing([], 5.0))
    assert "no LSL stream is visible at all; check that the sender runs" in message
    assert "16571" in message
    assert "KnownPeers" in message


def test_ambiguous_streams_are_listed_and_refused(unique):
    outs = [outlet(unique, n_channels=n, source_id=f"{unique}-{n}") for n in (2, 4)]
    with pytest.raises(SourceError, match="2 streams match") as caught:
        opened(unique)
    message = str(caught.value)
    assert f"source_id '{unique}-2'" in message
    assert f"source_id '{unique}-4'" in message
    assert message.endswith("choose one by its source_id")
    one = opened(unique, source_id=f"{unique}-4")
    one.close()
    del outs


def test_streams_alike_in_all_cannot_be_chosen(unique):
    outs = [outlet(unique), outlet(unique)]
    with pytest.raises(SourceError, match="cannot be told apart"):
        opened(unique)
    del outs


def test_text_and_irregular_streams_are_no_samples(unique):
    out = outlet(unique, n_channels=1, sfreq=0.0, channel_format="string")
    with pytest.raises(StreamMismatch, match="sends text"):
        opened(unique)
    out = outlet(unique, sfreq=0.0)
    with pytest.raises(StreamMismatch, match="no regular sampling rate"):
        opened(unique)
    del out


def test_available_streams(unique):
    out = outlet(unique, n_channels=5, sfreq=250.0, channel_format="double64")
    (found,) = [s for s in available_streams(0.6) if s.name == unique]
    assert (found.type, found.source_id, found.n_channels) == ("EEG", unique, 5)
    assert (found.sfreq, found.channel_format) == (250.0, "double64")
    assert found.hostname
    del out


def test_close_frees_the_inlet_in_the_calling_thread(unique, monkeypatch):
    """A destructor that runs later, in another thread, would share the inlet between threads."""
    freed_in = []
    alive = []
    original = pylsl.StreamInlet

    class Watched(original):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            alive.append(weakref.ref(self))

        def __del__(self):
            freed_in.append(threading.get_ident())
            super().__del__()

    monkeypatch.setattr(pylsl, "StreamInlet", Watched)
    out = outlet(unique, unit="uV")
    owner = []

    def own():
        owner.append(threading.get_ident())
        source = opened(unique)
        source.read(0.01)
        gc.disable()
        source.close()
        source.close()

    try:
        thread = threading.Thread(target=own)
        thread.start()
        thread.join(10)
        assert [ref() for ref in alive] == [None]
    finally:
        gc.enable()
    assert freed_in == owner
    del out


def test_reading_before_opening_is_an_error(unique):
    with pytest.raises(SourceError, match="not open"):
        LSLSettings(name=unique).build().read()


def test_lost_must_not_come_before_stale():
    with pytest.raises(ValueError, match="shorter than stale_s"):
        LSLSettings(stale_s=2.0, lost_s=1.0)


@pytest.mark.parametrize(
    ("platform", "remedy"), [("linux", "pip install"), ("darwin", "brew"), ("win32", "Visual C")]
)
def test_liblsl_that_does_not_load_has_a_remedy(monkeypatch, platform, remedy):
    import builtins

    original = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "pylsl":
            raise RuntimeError("LSL binary library file\nwas not found")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    monkeypatch.setattr("sys.platform", platform)
    with pytest.raises(MissingDependency, match=remedy) as caught:
        lsl.load()
    assert "\n" not in str(caught.value)
