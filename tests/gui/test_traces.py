"""Traces: what a column of pixels shows, whatever the chunks, and where it lies on screen."""

import numpy as np
import pytest
from PySide6.QtCore import Qt

from bci.dsp.filters import Highpass
from bci.types import StreamInfo
from gui.docks.traces import TracesDock
from gui.stores import SampleStore
from gui.theme import DARK, LIGHT
from gui.traces.envelope import DisplayFilter, Envelope
from gui.traces.raster import Raster
from gui.traces.view import TraceView, bgr

INFO = StreamInfo("s", 250.0, ("A", "B", "C"), ("eeg",) * 3)


def pushed(width, data, sizes, start=0):
    """Columns of an envelope fed with chunks of these sizes in turn, as (first, low, high)."""
    envelope, at, parts = Envelope(width), 0, []
    while at < len(data):
        for size in sizes:
            chunk = data[at : at + size]
            if len(chunk):
                parts.append(envelope.push(start + at, chunk))
            at += size
    low, high = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
    return parts[0][0], low, high


def brute(width, data, start, column):
    """Extremes of the polyline within one column, from a dense sampling of it."""
    x = np.linspace(column * width, (column + 1) * width, 2001) - start
    y = np.interp(x, np.arange(len(data)), data)
    return y.min(), y.max()


@pytest.mark.parametrize("width", [0.3, 1.0, 2.5, 8.3])
@pytest.mark.parametrize("start", [0, 1007])
def test_columns_are_the_polylines_extremes_whatever_the_chunks(width, start):
    data = np.random.default_rng(1).standard_normal((200, 2))
    first, low, high = pushed(width, data, [1000], start)
    for sizes in ([1], [7, 2, 40]):
        other = pushed(width, data, sizes, start)
        assert other[0] == first
        np.testing.assert_allclose(other[1], low, atol=1e-12)
        np.testing.assert_allclose(other[2], high, atol=1e-12)
    assert first == int(np.ceil(start / width - 1e-9))
    assert (first + len(low)) * width <= start + 199 < (first + len(low) + 1) * width
    for k in (0, 3, len(low) - 1):
        expected = brute(width, data[:, 1], start, first + k)
        assert (low[k, 1], high[k, 1]) == pytest.approx(expected, abs=0.02)


def test_a_lost_sample_empties_its_columns_only():
    data = np.zeros((100, 1))
    data[50] = np.nan
    _, low, _ = pushed(4.0, data, [10])
    assert np.flatnonzero(np.isnan(low[:, 0])).tolist() == [12]


def test_filters_begin_anew_after_a_loss_and_do_not_depend_on_chunks():
    data = np.random.default_rng(2).standard_normal((400, 3)) + 4000.0
    data[100:120] = np.nan
    whole = DisplayFilter(INFO, (Highpass(freq_hz=1, order=2),))(0, data)
    parts = DisplayFilter(INFO, (Highpass(freq_hz=1, order=2),))
    pieces = [parts(at, data[at : at + 30]) for at in range(0, 400, 30)]
    np.testing.assert_allclose(np.concatenate(pieces), whole)
    assert np.isnan(whole[100:120]).all()
    assert np.abs(whole[120:]).max() < 10  # no step from the offset


def test_pixels_lie_where_the_microvolts_say():
    raster = Raster(20, 90, 3, line=1.0)
    ground, ink, gap = (bgr(c) for c in ("#ffffff", "#000000", "#ff0000"))
    low = np.array([[0.0, -10.0, np.nan]] * 2)
    high = np.array([[0.0, 10.0, np.nan]] * 2)
    raster.draw(19, low, high, 60.0, np.stack([ink] * 3), ground, gap)  # column 19, then 0
    for x in (19, 0):
        shade = raster.pixels[:, x, 0]
        assert np.flatnonzero(shade[:30] < 200).tolist() == [14, 15]  # half a pixel on either side
        assert np.flatnonzero(shade < 100).tolist() == list(range(40, 50))  # 45 ± 5 pixels
    raster.draw(5, low[:1] * np.nan, high[:1] * np.nan, 60.0, np.stack([ink] * 3), ground, gap)
    assert (raster.pixels[:, 5, :3] == gap).all()


@pytest.fixture
def store():
    made = SampleStore()
    made.begin(INFO)
    return made


def noise(n, seed=3):
    return (20 * np.random.default_rng(seed).standard_normal((n, 3))).astype(np.float32)


def picture(view):
    """The image from the left edge to the right."""
    n = view.raster.width
    first = int(np.floor(view.edge / view.width)) - view._size[0]
    return view.raster.pixels[:, (first + np.arange(view._size[0])) % n, :3]


def test_what_was_drawn_bit_by_bit_is_what_is_drawn_at_once(store):
    live, later = TraceView(store, LIGHT), TraceView(store, LIGHT)
    live.resize(300, 120)
    later.resize(300, 120)
    live.stages = later.stages = (Highpass(freq_hz=2, order=2),)
    data = noise(6000)
    for at in range(0, 6000, 50):
        store.write(at, data[at : at + 50])
        live.advance()
    live.freeze()
    later.advance()
    later.show_at(live.edge)
    later.advance()
    assert np.abs(picture(live).astype(int) - picture(later).astype(int)).max() <= 3
    assert picture(live).min() < 100  # and there is something


def test_bad_channels_are_grey_and_an_offset_is_taken_out(store):
    view = TraceView(store, DARK)
    view.resize(100, 90)
    store.write(0, noise(3000) + np.array([0, 50_000, -50_000], np.float32))
    view.bads = frozenset({"B"})
    view.advance()
    np.testing.assert_array_equal(view.colours()[1], bgr(DARK.muted))
    image = picture(view)
    for lane in range(3):
        assert (image[lane * 30 : lane * 30 + 30] != bgr(DARK.ground)).any()


def test_a_new_stream_begins_anew(store):
    view = TraceView(store, LIGHT)
    view.resize(100, 90)
    store.write(0, noise(1000))
    view.advance()
    view.freeze()
    store.begin(StreamInfo("t", 500.0, ("X",), ("eeg",)))
    store.write(700, noise(100)[:, :1])
    view.advance()
    assert view.channels == (0,)
    assert not view.frozen
    assert view.edge <= 800


# --- the panel -----------------------------------------------------------------------------------


@pytest.fixture
def dock(fed, qtbot):
    link = fed()
    made = TracesDock(link, LIGHT)
    qtbot.addWidget(made)
    made.resize(900, 500)
    made.show()
    link.feed(np.random.default_rng(5).standard_normal((5000, 8)) * 30)
    made.refresh()
    return made


def test_keys_scroll_back_and_return_to_the_stream(dock, qtbot):
    canvas, view = dock.canvas, dock.view
    edge = view.edge
    qtbot.keyClick(canvas, Qt.Key.Key_PageUp)
    assert view.frozen
    assert dock.freeze.isChecked()
    dock.refresh()
    assert view.edge == pytest.approx(edge - 2500, abs=260)
    for _ in range(3):
        qtbot.keyClick(canvas, Qt.Key.Key_PageUp)
    assert view.edge == pytest.approx(2500)  # not before the first sample
    for _ in range(3):
        qtbot.keyClick(canvas, Qt.Key.Key_PageDown)
    assert not view.frozen
    qtbot.mouseClick(dock.freeze, Qt.MouseButton.LeftButton)
    assert view.frozen
    dock.link.feed(np.zeros((500, 8)))
    edge = view.edge
    dock.refresh()
    assert view.edge == edge


def test_scale_span_filter_and_page_are_chosen(dock, qtbot):
    qtbot.keyClick(dock.canvas, Qt.Key.Key_Minus)
    assert dock.view.uv_per_lane == 200.0
    dock.fit.click()
    assert dock.view.uv_per_lane == 200.0  # 30 µV of noise: 2.5 to 97.5 % are 118 µV
    dock.span.setCurrentText("5 s")
    assert dock.view.span_s == 5.0
    dock.band.setCurrentText("8–30 Hz")
    assert len(dock.view.stages) == 2
    dock.refresh()
    assert dock.view.raster is not None
    assert dock.trouble.text() == ""


def test_a_filter_that_the_rate_does_not_allow_is_said_in_place(fed, qtbot):
    link = fed(sfreq=60.0)
    dock = TracesDock(link, LIGHT)
    qtbot.addWidget(dock)
    link.feed(np.zeros((600, 8)))
    dock.show()
    dock.refresh()
    assert "60 Hz" in dock.trouble.text()
    assert dock.view.stages == ()
    dock.notch.setCurrentText("none")
    assert dock.trouble.text() == ""


def test_decisions_and_markers_are_drawn_in(dock):
    dock.link.status = {
        "decoder": {"labels": ["a", "b"]},
        "markers": {
            "newest": [
                {"onset": 4000, "value": "cue/a"},
                {"onset": 4100, "value": 'speller/end {"why": "x"}'},
            ]
        },
    }
    dock.link.decide("b", {"a": 0.1, "b": 0.9})
    dock.link.decide(None, {}, reasons=("gap",))
    dock.refresh()
    assert [(n.sample, n.text, n.given) for n in dock.canvas.decisions] == [
        (4999, "b", True),
        (4999, "– gap", False),
    ]
    assert [m.text for m in dock.canvas.markers] == ["cue/a", "speller/end"]
    before = dock.canvas.grab().toImage()
    dock.canvas.markers = []
    assert dock.canvas.grab().toImage() != before
