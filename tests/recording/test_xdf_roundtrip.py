"""What is recorded comes back from pyxdf bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bci.recording import xdf
from bci.recording.verify import verify
from bci.recording.writer import Recorder
from bci.types import StreamInfo


def load(path, **options):
    """Streams by name, without pyxdf's corrections of time."""
    pyxdf = pytest.importorskip("pyxdf")
    streams, header = pyxdf.load_xdf(
        path, synchronize_clocks=False, dejitter_timestamps=False, **options
    )
    return {s["info"]["name"][0]: s for s in streams}, header


def info(n_channels=3, sfreq=250.0, name="EEG"):
    labels = tuple(f"C{i}" for i in range(n_channels))
    return StreamInfo(name, sfreq, labels, ("eeg",) * n_channels)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_and_stamps_are_bit_exact(tmp_path, dtype):
    rng = np.random.default_rng(1)
    data = (rng.standard_normal((500, 3)) * 1e3).astype(dtype)
    data[7] = [np.nan, np.inf, -0.0]
    data[8] = np.finfo(dtype).tiny / 4  # subnormal
    stamps = 12345.6789 + np.cumsum(rng.uniform(0, 0.01, 500))
    path = tmp_path / "a.xdf"
    with Recorder(path) as recorder:
        stream = recorder.add_stream(info(), dtype=dtype)
        for i in range(0, 500, 7):
            recorder.write_samples(stream, data[i : i + 7], stamps[i : i + 7])
    streams, _ = load(path)
    assert streams["EEG"]["time_series"].dtype == dtype
    assert streams["EEG"]["time_series"].tobytes() == data.tobytes()
    assert streams["EEG"]["time_stamps"].tobytes() == stamps.tobytes()
    assert verify(path).ok


def test_non_contiguous_and_big_endian_samples_are_stored_right(tmp_path):
    data = np.arange(40, dtype=">f4").reshape(4, 10).T[::2]
    path = tmp_path / "a.xdf"
    with Recorder(path) as recorder:
        stream = recorder.add_stream(info(4), dtype=np.float64)
        recorder.write_samples(stream, data, np.arange(5.0))
    assert np.array_equal(load(path)[0]["EEG"]["time_series"], data)


def test_text_with_any_characters(tmp_path):
    texts = ["", "13 Hz", "Grüße 🧠 \u0000\n\t", "x" * 300, "XDF:\x01\x04\x03\x00", "lone \ud800"]
    path = tmp_path / "a.xdf"
    with Recorder(path) as recorder:
        stream = recorder.add_marker_stream("markers")
        for i, text in enumerate(texts):
            recorder.write_marker(stream, text, 0.1 * i)
    streams, _ = load(path)
    assert [row[0] for row in streams["markers"]["time_series"]] == [*texts[:-1], "lone ?"]
    assert streams["markers"]["time_stamps"].tolist() == [0.1 * i for i in range(len(texts))]


def test_empty_streams_and_empty_chunks(tmp_path):
    path = tmp_path / "a.xdf"
    with Recorder(path) as recorder:
        stream = recorder.add_stream(info(2), dtype=np.float32)
        recorder.add_marker_stream("markers")
        recorder.write_samples(stream, np.empty((0, 2), np.float32), np.empty(0))
    streams, _ = load(path)
    assert streams["EEG"]["time_series"].shape == (0, 2)
    assert streams["EEG"]["footer"]["info"]["sample_count"] == ["0"]
    assert streams["markers"]["time_series"] == []
    assert verify(path).ok


def test_a_file_without_streams_opens(tmp_path):
    Recorder(tmp_path / "a.xdf").close()
    assert load(tmp_path / "a.xdf")[0] == {}


def test_description_follows_the_eeg_convention(tmp_path):
    described = StreamInfo(
        name="Amp <A&B>\x00",
        sfreq=512.5,
        ch_names=("Fz", "EOG", "TRIG"),
        ch_types=("eeg", "eog", "stim"),
        positions={"Fz": (0.0012, 0.0871, 0.0536)},
        source_id="serial-1",
    )
    path = tmp_path / "a.xdf"
    with Recorder(path) as recorder:
        recorder.add_stream(described)
    (stream,) = load(path)[0].values()
    channels = stream["info"]["desc"][0]["channels"][0]["channel"]
    assert stream["info"]["name"] == ["Amp <A&B>\ufffd"]
    assert stream["info"]["type"] == ["EEG"]
    assert float(stream["info"]["nominal_srate"][0]) == 512.5
    assert stream["info"]["source_id"] == ["serial-1"]
    assert [c["label"][0] for c in channels] == ["Fz", "EOG", "TRIG"]
    assert [c["type"][0] for c in channels] == ["EEG", "EOG", "STIM"]
    assert [c["unit"][0] for c in channels] == ["microvolts", "microvolts", "none"]
    location = channels[0]["location"][0]
    np.testing.assert_allclose([float(location[a][0]) for a in "XYZ"], [1.2, 87.1, 53.6])


def test_clock_offsets_are_applied_by_readers_and_stand_in_the_footer(tmp_path):
    pyxdf = pytest.importorskip("pyxdf")
    path = tmp_path / "a.xdf"
    stamps = 100.0 + np.arange(1000) / 100.0
    with Recorder(path) as recorder:
        stream = recorder.add_stream(info(1, 100.0), dtype=np.float32)
        for i in range(0, 1000, 100):
            recorder.write_clock_offset(stream, stamps[i], -2.5)
            recorder.write_samples(stream, np.zeros((100, 1), np.float32), stamps[i : i + 100])
    (found,), _ = pyxdf.load_xdf(path)
    np.testing.assert_allclose(found["time_stamps"], stamps - 2.5, atol=1e-6)
    raw = load(path)[0]["EEG"]
    assert np.array_equal(raw["time_stamps"], stamps)
    assert raw["clock_values"] == [-2.5] * 10
    offsets = raw["footer"]["info"]["clock_offsets"][0]["offset"]
    assert [float(o["time"][0]) for o in offsets] == stamps[::100].tolist()


def test_lengths_of_every_size():
    assert xdf.varlen(255) == b"\x01\xff"
    assert xdf.varlen(256) == b"\x04\x00\x01\x00\x00"
    assert xdf.varlen(1 << 32) == b"\x08" + (1 << 32).to_bytes(8, "little")


def test_boundary_is_the_published_one():
    assert xdf.boundary() == bytes([1, 18, 5, 0]) + bytes.fromhex(
        "43a546dccbf5410fb30ed5467383cbe4"
    )


def test_a_type_xdf_lacks_is_refused():
    with pytest.raises(ValueError, match="complex128"):
        xdf.channel_format(np.complex128)


# any interleaving of two sample streams, text and clock offsets
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("f4"), st.integers(0, 300)),
        st.tuples(st.just("f8"), st.integers(0, 5)),
        st.tuples(st.just("text"), st.text(max_size=20)),
        st.tuples(st.just("offset"), st.floats(-1e3, 1e3)),
        st.tuples(st.just("time"), st.floats(0, 12)),
        st.tuples(st.just("flush"), st.none()),
    ),
    max_size=40,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=ACTIONS, seed=st.integers(0, 2**32 - 1))
def test_any_interleaving_comes_back(tmp_path_factory, actions, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("x") / "a.xdf"
    now = [0.0]
    recorder = Recorder(path, clock=lambda: now[0])
    f4 = recorder.add_stream(info(3, name="f4"), dtype=np.float32)
    f8 = recorder.add_stream(info(1, 0.0, name="f8"), dtype=np.float64)
    text = recorder.add_marker_stream("text")
    expected = {"f4": [], "f8": [], "text": [], "offset": []}
    for kind, value in actions:
        if kind in ("f4", "f8"):
            n_channels, stream = (3, f4) if kind == "f4" else (1, f8)
            data = rng.standard_normal((value, n_channels)).astype(kind)
            stamps = rng.uniform(-10, 1e6, value)
            recorder.write_samples(stream, data, stamps)
            expected[kind] += [(t, tuple(row)) for t, row in zip(stamps, data, strict=True)]
        elif kind == "text":
            recorder.write_marker(text, value, now[0])
            expected[kind].append((now[0], (value,)))
        elif kind == "offset":
            recorder.write_clock_offset(f8, now[0], value)
            expected[kind].append((now[0], value))
        elif kind == "time":
            now[0] += value
            recorder.tick()
        else:
            recorder.flush()
    recorder.close()
    streams, _ = load(path)
    for name in ("f4", "f8", "text"):
        found = streams[name]
        rows = [tuple(row) for row in found["time_series"]]
        assert list(zip(found["time_stamps"], rows, strict=True)) == expected[name]
    f8_clock = zip(streams["f8"]["clock_times"], streams["f8"]["clock_values"], strict=True)
    assert list(f8_clock) == expected["offset"]
    report = verify(path, reopen=False)
    assert report.ok, str(report)
    assert report.closed
    assert report.ledger
