"""The pipeline's edges, one by one; random sessions are in test_pipeline_reference.py."""

import gc
import logging
import tracemalloc

import numpy as np
import pytest

from bci import config, windows
from bci.errors import ConfigError
from bci.pipeline import Pipeline
from bci.types import (
    Bypass,
    Chunk,
    Command,
    DecoderSwap,
    Feedback,
    Gap,
    Marker,
    Prior,
    StreamInfo,
)

SFREQ = 100.0
INFO = StreamInfo("test", SFREQ, ("A", "B", "C"), ("eeg", "eeg", "eeg"))
SLIDING = "window: {length_s: 0.5, hop_s: 0.1}\n"
LOCKED = "window: {kind: marker, length_s: 0.5}\nevents: {x: 1, y: 2}\n"
GROWING = (
    "window: {kind: growing, length_s: 1.0, min_s: 0.4, hop_s: 0.2}\nevents: {x: 1, y: 2}\n"
    "decision: {kind: dynamic, target_error: 0.05}\n"
)


class Fixed:
    """Always the same answer, or what a function makes of the window's first sample."""

    def __init__(self, *proba, answer=None):
        self.classes_ = np.array(["x", "y", "z"][: len(proba)])
        self.answer = answer or (lambda first: np.array(proba))

    def predict_proba(self, X):
        return np.array([self.answer(X[0, 0, 0])])


class Moments(Fixed):
    """Decides on the mean of the first channel."""

    def predict_proba(self, X):
        return np.array([self._proba(X[0, 0].mean())])

    def predict_proba_moments(self, moments):
        return self._proba(moments.first[0] / moments.n_times)

    def _proba(self, mean):
        p = 1 / (1 + np.exp(-mean))
        return np.array([p, 1 - p])


def pipeline(text=SLIDING, decoder=None, info=INFO, model="m"):
    session = config.loads("source: {kind: lsl}\nchannels: {montage: null}\n" + text)
    return Pipeline(session, info, decoder, model)


def count(start, stop, n_channels=3):
    """Samples that tell their index."""
    return np.repeat(np.arange(start, stop, dtype=float)[:, None], n_channels, axis=1)


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3))


def spans(decisions):
    return [(d.first, d.last) for d in decisions]


# --- decoders that fail --------------------------------------------------------------------------


def raises(first):
    raise KeyError("weights")


@pytest.mark.parametrize(
    "answer",
    [raises, lambda first: [np.nan, 1.0], lambda first: [0.2, 0.3, 0.5], lambda first: ["?", "!"]],
    ids=["raises", "nan", "another number of classes", "text"],
)
def test_a_failing_decoder_abstains_and_is_counted(answer, caplog):
    line = pipeline(decoder=Fixed(0.5, 0.5, answer=answer))
    with caplog.at_level(logging.WARNING):
        decisions = line.push(Chunk(0, count(0, 200)))
    assert len(decisions) == line.n_decoder_errors == 16
    assert {d.label for d in decisions} == {None}
    assert {d.quality.reasons for d in decisions} == {("decoder-error",)}
    assert {len(d.proba) for d in decisions} == {0}
    assert len(caplog.messages) == 5  # the 1st, 2nd, 4th, 8th and 16th error
    assert "on samples 0 to 49" in caplog.messages[0]


def test_a_decoder_that_fails_once_goes_on():
    def once(first):
        if first == 10:
            raise RuntimeError
        return [0.2, 0.8]

    decisions = pipeline(decoder=Fixed(0.5, 0.5, answer=once)).push(Chunk(0, count(0, 100)))
    assert [d.label for d in decisions] == ["y", None, "y", "y", "y", "y"]


def test_feedback_that_fails_is_counted():
    decoder = Fixed(0.5, 0.5)
    decoder.feedback = lambda seq, correct: 1 / 0
    line = pipeline(decoder=decoder)
    line.push(Feedback(0, 0, True))
    assert line.n_decoder_errors == 1


# --- samples -------------------------------------------------------------------------------------


def test_missing_samples_are_refused():
    line = pipeline(decoder=Fixed(0.5, 0.5))
    line.push(Chunk(0, count(0, 60)))
    with pytest.raises(ValueError, match="samples 60 to 70 are missing: push a Gap"):
        line.push(Chunk(70, count(70, 80)))
    assert spans(line.push(Chunk(60, count(60, 70)))) == [(10, 59), (20, 69)][1:]


@pytest.mark.parametrize("shape", [(10, 4), (10, 1), (10,)])
def test_another_number_of_channels_is_refused(shape):
    with pytest.raises(ValueError, match="the stream has 3 channels"):
        pipeline().push(Chunk(0, np.zeros(shape)))


def test_empty_chunks_change_nothing():
    line = pipeline(decoder=Fixed(0.5, 0.5))
    assert line.push(Chunk(0, count(0, 0))) == []
    found = line.push(Chunk(0, count(0, 55))) + line.push(Chunk(55, count(0, 0)))
    assert spans(found) == [(0, 49)]


def test_a_chunk_far_longer_than_the_ring():
    line = pipeline(decoder=Fixed(0.5, 0.5))
    n = 20 * line.cutter.ring.capacity
    found = list(line.windows(Chunk(0, count(0, n))))
    assert [w.start for w in found] == list(range(0, n - 49, 10))
    for w in found:
        np.testing.assert_array_equal(w.data[2], np.arange(w.start, w.stop))


def test_samples_are_neither_changed_nor_kept_by_reference():
    data = noise(400)
    data[150:160, 1] = np.nan
    given = data.copy()
    given.flags.writeable = False
    text = SLIDING + "processing: [{kind: highpass, freq_hz: 1}]\n"  # it remembers what was held
    expected = pipeline(text, Moments(0, 0)).push(Chunk(0, given))
    np.testing.assert_array_equal(given, data)
    line, buffer, found = pipeline(text, Moments(0, 0)), np.empty((50, 3)), []
    for start in range(0, 400, 50):  # a driver that fills one buffer again and again
        buffer[:] = data[start : start + 50]
        found += line.push(Chunk(start, buffer))
        buffer[:] = 1e6
    assert found == expected


def test_infinities_of_both_signs_are_held_and_flagged():
    data = noise(100)
    data[60], data[61] = np.inf, -np.inf
    *rest, last = pipeline().windows(Chunk(0, data))
    assert [w.quality.ok for w in rest] == [True, True, False, False, False]
    assert last.quality.reasons == ("non-finite",)
    assert last.quality.bads == ("A", "B", "C")
    assert last.quality.bad_fraction == pytest.approx(2 / 50)


# --- events --------------------------------------------------------------------------------------


def test_however_many_events_wait_each_takes_effect_at_its_sample():
    line = pipeline(LOCKED, Fixed(0.9, 0.1))
    markers = [Marker(i, i, "1") for i in range(0, 24_000, 2)]
    for marker in markers:
        assert line.push(marker) == []
    decisions = line.push(Chunk(0, count(0, 24_050)))
    assert [d.first for d in decisions] == [m.onset for m in markers]
    assert line.cutter.n_dropped_trials == 0


def test_events_of_one_sample_take_effect_in_order_of_arrival():
    first, second = Fixed(1.0, 0.0), Fixed(0.0, 1.0)
    for early in (True, False):
        line = pipeline(LOCKED, Fixed(0.5, 0.5))
        events = [
            Command(60, "pause"),
            Marker(60, 0, "1"),
            Command(60, "resume"),
            DecoderSwap(60, first, "a"),
            Marker(60, 5, "1"),
            DecoderSwap(60, second, "b"),
            Marker(60, 10, "1"),
        ]
        found = line.run([*events, Chunk(0, count(0, 80))] if early else
                         [Chunk(0, count(0, 60)), *events, Chunk(60, count(60, 80))])  # fmt: skip
        assert [(d.first, d.label, d.model) for d in found] == [(5, "x", "a"), (10, "y", "b")]


@pytest.mark.parametrize("early", [True, False])
def test_events_inside_skipped_samples_keep_their_order(early):
    """The earlier command must not win over the later one because it waited longer."""
    line = pipeline(decoder=Fixed(0.9, 0.1))
    pause = Command(120, "pause")
    before, after = ([pause], []) if early else ([], [pause])
    found = line.run([
        *before, Chunk(0, count(0, 100)), Gap(100, 200, "backlog"), *after,
        Command(200, "resume"), Chunk(200, count(200, 300)),
    ])  # fmt: skip
    assert spans(found)[-1] == (250, 299)
    assert not line.paused


def test_skipped_samples_may_come_or_not():
    data, events = (
        noise(400),
        [Gap(100, 180, "backlog"), Marker(90, 20, "1"), Marker(300, 110, "2")],
    )
    whole, parts = pipeline(LOCKED, Moments(0, 0)), pipeline(LOCKED, Moments(0, 0))
    expected = list(whole.run([*events, Chunk(0, data)]))
    found = list(parts.run([*events, Chunk(0, data[:100]), Chunk(180, data[180:])]))
    assert found == expected
    assert [d.quality.reasons for d in found] == [(), ("backlog",)]


def test_a_window_before_skipped_samples_is_still_there_for_a_late_marker():
    line = pipeline(LOCKED, Moments(0, 0))
    line.push(Chunk(0, count(0, 200)))
    line.push(Gap(200, 600, "backlog"))
    (decision,) = line.push(Marker(600, 120, "1"))
    assert decision.quality.ok
    assert (decision.first, decision.last) == (120, 169)


def test_a_break_spoils_the_trials_that_are_open():
    line = pipeline(GROWING, Fixed(0.6, 0.4))
    found = line.run([
        Marker(10, 10, "1"), Marker(40, 40, "2"), Chunk(0, count(0, 120)), Gap(120, 120, "lost"),
        Marker(120, 120, "1"), Chunk(120, count(120, 300)),
    ])  # fmt: skip
    assert [(d.first, d.last, d.label, d.forced, d.quality.reasons) for d in found] == [
        (10, 109, "x", True, ()),
        (40, 139, None, False, ("lost",)),
        (120, 219, "x", True, ()),
    ]


def test_a_growing_trial_ends_with_its_first_sure_window():
    line = pipeline(GROWING, Fixed(0.98, 0.02))
    found = line.run([Marker(0, 0, "1"), Chunk(0, count(0, 500))])
    assert spans(found) == [(0, 39)]


def test_a_marker_before_the_stream_is_refused():
    line = pipeline(LOCKED, Fixed(0.9, 0.1))
    (early,) = line.run([Marker(0, -3, "1"), Chunk(0, count(0, 100))])
    assert (early.label, early.quality.reasons) == (None, ("before-start",))
    assert (early.first, early.last) == (-3, 46)


def test_a_decoder_with_other_classes_starts_smoothing_anew():
    text = SLIDING + "decision: {kind: threshold, smoothing: 3, threshold: 0.4, refractory_s: 0}\n"
    line = pipeline(text, Fixed(0.9, 0.1))
    found = line.run([
        Chunk(0, count(0, 85)),  # one window is smoothed already
        DecoderSwap(85, Fixed(0.2, 0.2, 0.6), "three"),
        Chunk(85, count(85, 140)),
    ])  # fmt: skip
    assert [(d.last, d.label) for d in found] == [(69, "x"), (109, "z"), (139, "z")]


def test_what_a_pause_or_a_break_cut_in_two_is_not_smoothed_together():
    text = (
        "window: {length_s: 0.1, hop_s: 0.1}\n"
        "decision: {kind: threshold, dwell: 3, threshold: 0.6, refractory_s: 0}\n"
    )
    for events in ([Command(20, "pause"), Command(50, "resume")], [Gap(20, 20, "lost")]):
        found = list(pipeline(text, Fixed(0.9, 0.1)).run([*events, Chunk(0, count(0, 100))]))
        assert found[0].last == (79 if len(events) == 2 else 49)


def test_swapping_between_decoders_of_samples_and_of_sums():
    data, moments = noise(1000), Moments(0, 0)
    plain = Fixed(0.5, 0.5, answer=lambda first: Moments(0, 0)._proba(first))
    swaps = [
        DecoderSwap(203, moments, "m"),
        DecoderSwap(477, plain, "p"),
        DecoderSwap(702, moments, "m"),
    ]
    found = list(pipeline(decoder=plain, model="p").run([*swaps, Chunk(0, data)]))
    only = {
        name: {d.first: d for d in pipeline(decoder=decoder, model=name).push(Chunk(0, data))}
        for name, decoder in (("m", moments), ("p", plain))
    }
    assert [d.model for d in found] == ["p"] * 16 + ["m"] * 27 + ["p"] * 23 + ["m"] * 30
    for d in found:
        assert d.proba == pytest.approx(only[d.model][d.first].proba, abs=1e-12)


def test_a_bypass_of_no_stage_is_an_error():
    line = pipeline("processing: [{kind: highpass, freq_hz: 1}]\n" + SLIDING, Fixed(0.5, 0.5))
    with pytest.raises(ConfigError, match="by-pass of stage 3"):
        line.push(Bypass(0, 3))
    assert len(line.push(Chunk(0, noise(100)))) == 6


def test_delay_is_that_of_the_stages_in_use():
    line = pipeline("processing: [{kind: highpass, freq_hz: 1}]\n" + SLIDING, Fixed(0.5, 0.5))
    found = line.run([Bypass(100, 0), Bypass(200, 0, active=False), Chunk(0, noise(300))])
    delays = {d.last: d.delay_s for d in found}
    assert delays[99] == delays[209] > 0 == delays[109] == delays[199]


def test_without_a_decoder_windows_are_cut_and_nothing_is_decided():
    assert pipeline().push(Chunk(0, count(0, 100))) == []
    assert len(list(pipeline().windows(Chunk(0, count(0, 100))))) == 6


# --- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [SLIDING, LOCKED, GROWING], ids=["sliding", "marker", "growing"])
def test_memory_does_not_grow(text, monkeypatch):
    """Flags, gaps, markers, NaN: what is kept of them goes with the samples."""
    monkeypatch.setattr(windows, "MAX_TRIALS", 50)
    stages = "processing: [{kind: highpass, freq_hz: 1}, {kind: amplitude, max_uv: 3}]\n"
    line, data, sizes = pipeline(stages + text, Moments(0, 0)), noise(500), []
    data[7:11, 1] = np.nan

    def minute(k):
        for i in range(k * 60, (k + 1) * 60):
            start = i * 500
            line.push(Marker(start + 3, start - 20 + i % 9, "1"))
            line.push(Marker(start + 3, 10**12, "2"))
            if i % 7 == 0:
                line.push(Gap(start, start + i % 5, "lost"))
            line.push(Chunk(start, data))

    tracemalloc.start()
    try:
        for k in range(6):
            minute(k)
            gc.collect()
            ours = tracemalloc.take_snapshot().filter_traces(  # not what numpy keeps for reuse
                [tracemalloc.Filter(True, f"*/bci/{name}.py") for name in ("pipeline", "windows")]
            )
            sizes.append(sum(trace.size for trace in ours.traces))
    finally:
        tracemalloc.stop()
    assert max(sizes[2:]) - min(sizes[2:]) < 2_000


# --- a prior -------------------------------------------------------------------------------------


def test_a_prior_is_for_the_next_selection_alone():
    line = pipeline(GROWING, Fixed(0.94, 0.03, 0.03))  # not sure enough without a prior
    line.push(Prior(0, {"x": 0.1, "y": 0.9}))
    line.push(Prior(0, {"x": 0.8, "y": 0.2}))  # the newest counts
    for at in (10, 200, 400):
        line.push(Marker(at, at, "1"))
    line.push(Prior(150, {"x": 0.8, "y": 0.2}))
    line.push(Prior(160, None))  # taken back
    line.push(Prior(250, {"x": 0.9, "z": 0.1}))  # while a selection grows: for the one after it
    line.push(Marker(600, 600, "else"))  # opens nothing
    found = line.push(Chunk(0, noise(1000)))
    assert [(*span, d.prior, d.forced) for span, d in zip(spans(found), found, strict=True)] == [
        (10, 49, True, False), (200, 299, False, True), (400, 439, True, False)
    ]  # fmt: skip
    assert found[1].proba == {"x": 0.94, "y": 0.03, "z": 0.03}
    assert found[1].to_json()["proba_decoder"] is None
    assert found[0].proba_decoder == {"x": 0.94, "y": 0.03, "z": 0.03}
    assert found[0].proba["x"] > 0.95 > found[0].proba_decoder["x"]


def test_a_prior_belongs_to_labels_and_outlives_a_swap():
    line = pipeline(GROWING, Fixed(0.5, 0.5))
    line.push(Prior(0, {"z": 0.7, "x": 0.3}))
    line.push(DecoderSwap(5, Fixed(0.03, 0.03, 0.94), "of three"))
    line.push(Marker(10, 10, "1"))
    (decision,) = line.push(Chunk(0, noise(200)))
    assert (decision.label, decision.prior, decision.last) == ("z", True, 49)


# --- stages that look ahead ----------------------------------------------------------------------


@pytest.mark.parametrize("bypassed", [False, True])
def test_windows_at_markers_hold_what_followed_the_marker(bypassed):
    """A stage that looks ahead gives a sample later, under a later index."""
    ahead = "processing: [{kind: asr, calibration_s: 600, lookahead_s: 0.25}]\n"
    pipe = pipeline(LOCKED + ahead)
    if bypassed:
        pipe.push(Bypass(0, 0))
    assert list(pipe.windows(Marker(0, 40, "1"))) == []
    assert list(pipe.windows(Chunk(0, count(0, 114)))) == []
    (window,) = pipe.windows(Chunk(114, count(114, 200)))
    np.testing.assert_array_equal(window.data[0], np.arange(40.0, 90.0))
    assert (window.first, window.last) == (65, 114)
    assert pipe.delay_s == 0.25
