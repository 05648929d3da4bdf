import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.api.wire import SampleFrame, dumps, info_to_json
from bci.errors import BciError
from bci.types import Decision, Quality, StreamInfo


@given(
    start=st.integers(0, 2**63),
    shape=st.tuples(st.integers(0, 7), st.integers(1, 5)),
    sfreq=st.floats(0.1, 1e6),
)
def test_frame_survives_the_wire(start: int, shape: tuple[int, int], sfreq: float) -> None:
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    frame = SampleFrame.from_bytes(SampleFrame(start, sfreq, data).to_bytes())
    assert (frame.start, frame.sfreq, frame.data.shape) == (start, sfreq, shape)
    np.testing.assert_array_equal(frame.data, data)


def test_frame_is_as_documented() -> None:
    data = np.array([[1, 2, 3], [4, 5, np.nan]], np.float32)
    message = SampleFrame(7, 250.0, data).to_bytes()
    assert message[:4] == b"BCIS"
    assert struct.unpack("<HHQIId", message[4:32]) == (1, 0, 7, 2, 3, 250.0)
    np.testing.assert_array_equal(struct.unpack("<6f", message[32:]), data.ravel())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda m: m[:31], "31 bytes is not a frame"),
        (lambda m: b"XXXX" + m[4:], "is not a frame"),
        (lambda m: m[:-1], "has 55 bytes instead of 56"),
        (lambda m: m + b"\0", "has 57 bytes instead of 56"),
        (lambda m: m[:4] + b"\2\0" + m[6:], "version 2, this program knows version 1"),
        (lambda m: b"", "0 bytes"),
    ],
)
def test_damaged_frame_is_an_error(damage, says):
    message = SampleFrame(0, 250.0, np.zeros((2, 3), np.float32)).to_bytes()
    with pytest.raises(BciError, match=says):
        SampleFrame.from_bytes(damage(message))


def test_json_has_no_nan() -> None:
    value = {"a": float("nan"), "b": [1.5, float("inf"), {"c": (float("-inf"), "x")}], "µ": None}
    assert json.loads(dumps(value), parse_constant=pytest.fail) == {
        "a": None, "b": [1.5, None, {"c": [None, "x"]}], "µ": None,
    }  # fmt: skip


def test_stream_description() -> None:
    info = StreamInfo("amp", 250.0, ("Cz", "TRIG"), ("eeg", "stim"), {"Cz": (0.0, 0.0, 0.1)}, "id1")
    assert json.loads(dumps(info_to_json(info))) == {
        "schema": "bci.stream/1",
        "name": "amp",
        "source_id": "id1",
        "sfreq": 250.0,
        "ch_names": ["Cz", "TRIG"],
        "ch_types": ["eeg", "stim"],
        "units": ["uV", None],
        "positions_m": {"Cz": [0.0, 0.0, 0.1]},
    }


def test_a_decision_says_on_what_it_rests():
    quality = Quality(True, ("asr", "bad-channel"), ("Oz",), 0.0, ("asr",), 0.25)
    decision = Decision(7, 0, 249, "a", {"a": 1.0}, quality, "fbcca")
    assert json.loads(dumps(decision.to_json()))["quality"] == {
        "ok": True, "reasons": ["asr", "bad-channel"], "bads": ["Oz"], "bad_fraction": 0.0,
        "repaired": ["asr"], "repaired_fraction": 0.25,
    }  # fmt: skip
