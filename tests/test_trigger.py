"""Events off a trigger channel, for any chunking."""

import numpy as np
import pytest

from bci.errors import ConfigError
from bci.sources.trigger import TriggerChannel
from bci.types import Samples, StreamInfo

INFO = StreamInfo("box", 100.0, ("Cz", "Status"), ("eeg", "stim"))


def read(codes, chunks=None, dtype=np.float64):
    """(value, index, time) of the markers in a column of codes."""
    codes = np.asarray(codes, dtype)
    channel, found, start = TriggerChannel(INFO, "Status"), [], 0
    for n in chunks or [len(codes)]:
        column = codes[start : start + n]
        stamps = 10 + np.arange(start, start + n) / 100
        samples = Samples(np.column_stack([np.ones(n), column]).astype(dtype), stamps)
        found += channel.markers(samples, start)
        start += n
    return [(m.value, m.index, round(m.t, 6)) for m in found]


def test_each_change_to_another_code_than_zero_is_an_event():
    assert read([0, 0, 5, 5, 0, 5, 7, 7, 0]) == [
        ("5", 2, 10.02),
        ("5", 5, 10.05),
        ("7", 6, 10.06),
    ]


@pytest.mark.parametrize("chunks", [[1] * 12, [3, 0, 4, 5], [2, 10]])
def test_chunks_do_not_matter(chunks):
    codes = [0, 3, 3, 0, 0, 8, np.nan, 8, 9, 0, 1, 1]
    assert read(codes, chunks) == read(codes)


def test_a_level_that_was_there_from_the_start_is_no_event():
    assert read([255, 255, 0, 255]) == [("255", 3, 10.03)]


def test_what_is_no_number_holds_the_line():
    assert read([0, 4, np.nan, 4, np.inf, 4, 0, np.nan, 2]) == [("4", 1, 10.01), ("2", 8, 10.08)]
    assert read([np.nan, np.nan, 6, 6, 7]) == [("7", 4, 10.04)]
    assert read([np.nan] * 4) == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_keep_all_their_digits(dtype):
    assert read([0, 16_777_215, 0, 65_281, 0, -1], dtype=dtype) == [
        ("16777215", 1, 10.01),
        ("65281", 3, 10.03),
        ("-1", 5, 10.05),
    ]


def test_levels_that_are_no_whole_numbers_are_shown_short():
    assert [value for value, _, _ in read([0, 2.5])] == ["2.5"]


def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"'TRIG' is not in the stream; it has Cz, Status"):
        TriggerChannel(INFO, "TRIG")
