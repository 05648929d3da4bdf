"""Event markers over LSL: text and numbers, lost and found."""

import numpy as np
import pytest

from bci.clock import now
from bci.config import MarkerSettings
from bci.errors import SourceError, StreamMismatch
from bci.sources.markers import LSLMarkers

pylsl = pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)


def outlet(name, channel_format="string", n_channels=1, sfreq=0.0, source_id=None):
    info = pylsl.StreamInfo(name, "Markers", n_channels, sfreq, channel_format, source_id or name)
    return pylsl.StreamOutlet(info)


def opened(name):
    markers = LSLMarkers(MarkerSettings(kind="lsl", name=name))
    markers.open()
    return markers


@pytest.mark.parametrize(
    ("channel_format", "sent", "expected"),
    [
        ("string", ["left", "13 Hz", "Übung", "  kept "], ["left", "13 Hz", "Übung", "  kept "]),
        ("int32", [2, 33025, -1], ["2", "33025", "-1"]),
        ("int8", [7], ["7"]),
        ("float32", [2.0, 2.5, 0.1, 33025.0], ["2", "2.5", "0.1", "33025"]),
        ("double64", [1e6, 0.125], ["1000000", "0.125"]),
    ],
)
def test_values_become_text(unique, until, channel_format, sent, expected):
    out = outlet(unique, channel_format)
    markers = opened(unique)
    offset = markers.take_clock_offsets()[0][1]
    times = [now() + 0.01 * i for i in range(len(sent))]
    for value, t in zip(sent, times, strict=True):
        out.push_sample([value], t)
    got = []
    until(lambda: len(got) >= len(sent), lambda: got.extend(markers.read(0.1)), 3)
    assert [m.value for m in got] == expected
    np.testing.assert_allclose([m.t - offset for m in got], times, rtol=0, atol=1e-9)
    assert all(m.index is None for m in got)
    assert markers.read(0.0) == []
    markers.close()
    markers.close()


def test_a_code_page_of_old_is_read(unique, until):
    out = outlet(unique)
    markers = opened(unique)
    out.push_sample(["Übung".encode("latin-1")])
    got = []
    until(lambda: got, lambda: got.extend(markers.read(0.1)), 3)
    assert got[0].value == "Übung"
    markers.close()


def test_several_channels_are_joined(unique, until):
    out = outlet(unique, n_channels=2)
    markers = opened(unique)
    out.push_sample(["cue", "left"])
    got = []
    until(lambda: got, lambda: got.extend(markers.read(0.1)), 3)
    assert got[0].value == "cue,left"
    markers.close()


def test_several_streams_are_refused(unique):
    outs = [outlet(unique, source_id=f"{unique}-{i}") for i in range(2)]
    with pytest.raises(SourceError, match="2 streams match LSL stream with name"):
        opened(unique)
    del outs


def test_a_missing_stream_is_said(unique):
    with pytest.raises(SourceError, match=f"no LSL stream with name '{unique}', type 'Markers'"):
        LSLMarkers(MarkerSettings(kind="lsl", name=unique), timeout_s=0.3).open()


def test_a_sampled_stream_is_no_marker_stream(unique):
    out = outlet(unique, "float32", sfreq=100.0)
    with pytest.raises(StreamMismatch, match="sampled at 100 Hz"):
        opened(unique)
    del out


def test_a_restarted_stimulus_program_is_found_again(unique, until):
    out = outlet(unique)
    markers = opened(unique)
    del out
    until(lambda: not markers.connected, lambda: markers.read(0.05), 2)
    out = outlet(unique)
    until(lambda: markers.connected, lambda: markers.read(0.05), 5)
    out.push_sample(["back"])
    got = []
    until(lambda: got, lambda: got.extend(markers.read(0.1)), 3)
    assert [m.value for m in got] == ["back"]
    markers.close()
