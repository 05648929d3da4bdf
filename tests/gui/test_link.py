"""The link to a real engine: what it reads and sends, and what it says when the engine dies."""

import numpy as np
import pytest

from bci.types import StreamInfo
from gui.link import Answer, EngineLink
from gui.stores import DecisionStore, SampleStore


def test_reads_samples_status_and_decisions(link, qtbot):
    qtbot.waitUntil(lambda: len(link.decisions.since(-1)) >= 5, timeout=10_000)
    qtbot.waitUntil(lambda: link.samples.position - link.samples.oldest >= 150, timeout=10_000)
    assert link.reason == ""
    assert link.status["source"]["state"] == "live"
    info = link.samples.info
    assert info.sfreq == 250.0
    assert info.ch_names == tuple(link.status["source"]["ch_names"])
    assert set(info.positions) == set(info.ch_names)
    start, data = link.samples.latest(100)
    assert data.shape == (100, len(info.ch_names))
    assert data.dtype == np.float32
    assert np.isfinite(data).all()
    assert start + 100 <= link.samples.position
    seqs = [d["seq"] for d in link.decisions.since(-1)]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert [d["seq"] for d in link.decisions.since(seqs[-2])][:1] == [seqs[-1]]
    assert link.samples.n_lost == link.decisions.n_lost == 0


def test_markers_of_the_subject_are_in_the_status(link, qtbot):
    qtbot.waitUntil(lambda: bool(link.status["markers"]["newest"]), timeout=10_000)
    newest = link.status["markers"]["newest"]
    assert all(set(marker) == {"onset", "value"} for marker in newest)
    assert any(marker["value"].startswith("cue/") for marker in newest)


def post(link, qtbot, path, body):
    answers = []
    link.post(path, body, answers.append)
    qtbot.waitUntil(lambda: link.poll() or bool(answers), timeout=10_000)
    return answers[0]


def test_posts_and_delivers_answers_when_polled(link, qtbot):
    assert post(link, qtbot, "/v1/markers", {"value": "note"}).ok
    qtbot.waitUntil(
        lambda: any(m["value"] == "note" for m in link.status["markers"]["newest"]), timeout=5_000
    )
    refused = post(link, qtbot, "/v1/markers", {"value": "note", "when": 1})
    assert (refused.ok, refused.status, refused.error) == (False, 422, "unknown key 'when'")
    refused = post(link, qtbot, "/v1/calibration", {"action": "start"})
    assert not refused.ok
    assert "recording" in refused.error


def test_a_wrong_token_is_said_so(engine, link, qtbot):
    other = EngineLink(engine.url, "not-the-token-of-it", samples=False)
    other.start()
    try:
        answer = post(other, qtbot, "/v1/markers", {"value": "x"})
        assert answer.status == 401
        assert "token" in answer.error
    finally:
        other.close()


def test_requests_beyond_the_bound_are_refused_at_once(monkeypatch):
    monkeypatch.setattr("gui.link.MAX_REQUESTS", 2)
    link = EngineLink("http://127.0.0.1:9", samples=False)  # never started: nothing is sent
    answers = []
    for _ in range(4):
        link.post("/v1/markers", {"value": "x"}, answers.append)
    link.poll()
    assert answers == [Answer(False, error="2 requests wait already")] * 2


# --- the stores alone ---------------------------------------------------------------------------


@pytest.fixture
def store():
    made = SampleStore()
    made.begin(StreamInfo("s", 100.0, ("A", "B"), ("eeg", "eeg")))
    return made


def rows(start, n):
    return np.repeat(np.arange(start, start + n, dtype=np.float32)[:, None], 2, axis=1)


def test_samples_before_the_first_are_no_loss(store):
    store.write(5000, rows(5000, 10))
    start, data = store.latest(100)
    assert start == 5000
    np.testing.assert_array_equal(data, rows(5000, 10))
    assert (store.position, store.n_lost) == (5010, 0)


def test_lost_samples_are_nan_and_counted(store):
    store.write(0, rows(0, 10))
    store.write(14, rows(14, 6))
    start, data = store.latest(12)
    assert (start, store.n_lost) == (8, 4)
    np.testing.assert_array_equal(data[:2], rows(8, 2))
    assert np.isnan(data[2:6]).all()
    np.testing.assert_array_equal(data[6:], rows(14, 6))
    start, data = store.span(-3, 3)
    assert start == 0
    np.testing.assert_array_equal(data, rows(0, 3))


def test_a_place_that_a_stream_begun_anew_has_not_reached_is_empty(store):
    store.write(0, rows(0, 10))
    store.begin(store.info)
    start, data = store.span(8, 10)
    assert (start, data.shape) == (0, (0, 2))


def test_a_loss_longer_than_the_store_leaves_what_came_after(store):
    store.write(0, rows(0, 10))
    store.write(10**7, rows(10**7, 10))
    start, data = store.latest(20)
    assert start == 10**7 - 10
    assert np.isnan(data[:10]).all()
    np.testing.assert_array_equal(data[10:], rows(10**7, 10))
    assert store.n_lost == 10**7 - 10


def test_a_reader_of_the_stream_before_gets_nothing(store):
    store.write(0, rows(0, 500))
    store.begin(store.info)
    start, data = store.span(400, 500)
    assert (start, data.shape) == (0, (0, 2))
    store.write(0, rows(0, 5))
    assert len(store.span(400, 500)[1]) == 0


def test_memory_is_bounded():
    store = SampleStore()
    store.begin(StreamInfo("s", 4000.0, tuple(map(str, range(256))), ("eeg",) * 256))
    assert store._ring._data.nbytes <= 64 * 2**20


def test_missing_decisions_are_counted():
    store = DecisionStore()
    for seq in (3, 4, 7):
        store.append({"seq": seq})
    assert store.n_lost == 2
    assert [d["seq"] for d in store.since(3)] == [4, 7]
    assert store.last_seq == 7
