"""Pseudo-online evaluation: counts worked out by hand, and the decisions of `bci replay`.

The table of the nine people of Kalunga et al. (about a minute):
    pytest -m slow tests/benchmark/test_pseudo_online.py -s
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import poisson

from bci import config
from bci.benchmark.data import ContinuousSession
from bci.benchmark.matching import Rules
from bci.benchmark.operating_point import (
    Decoded,
    choose_threshold,
    decide,
    decode,
    judged,
    with_threshold,
)
from bci.benchmark.outcome import expected_calibration_error, reliability_curve
from bci.benchmark.pseudo_online import evaluate, judge, pool, run
from bci.decoders.artifact import load_decoder
from bci.errors import ConfigError
from bci.metrics import chance_bound, itr
from bci.pipeline import Pipeline
from bci.replay import decisions
from bci.sources.files import Recording, load_recording
from bci.types import Break, Decision, Quality, RawMarker, StreamInfo

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "ssvep-exo"
needs_recordings = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}")

SFREQ = 100.0
SESSION = """
source: {kind: simulated}
channels: {pick: all, montage: null}
window: {kind: sliding, length_s: 1.0, hop_s: 0.2}
"""


def recording(n_samples, markers, data=None, path="nowhere.npz", breaks=()):
    info = StreamInfo("scripted", SFREQ, ("a", "b"), ("eeg", "eeg"))
    data = np.zeros((n_samples, 2)) if data is None else data
    found = [RawMarker(value, onset / SFREQ, onset) for onset, value in markers]
    return Recording(Path(path), info, data, np.arange(n_samples) / SFREQ, found, list(breaks))


def session(n_samples=6000, markers=(), labels=None, **more):
    labels = labels or {"L": "left", "R": "right"}
    return ContinuousSession(
        "scripted", "S1", "1", recording(n_samples, markers, **more), labels, ("0",), 4.0
    )


def said(last, label, p=0.9, first=None, reasons=()):
    """A decision on the 100 samples before `last` + 1."""
    other = {"left": "right", "right": "left", "rest": "left", None: "left"}[label]
    proba = {} if label is None else {label: p, other: 1.0 - p}
    quality = Quality(not reasons, tuple(reasons))
    start = last - 99 if first is None else first
    return Decision(0, start, last, label, proba, quality, "scripted")


CLASSES = ("left", "rest", "right")
#: Trials at 10 s (left), 20 s (right), 30 s (left), 50 s (right); rest at 40 s. 60 s in all.
MARKERS = ((1000, "L"), (2000, "R"), (3000, "L"), (4000, "0"), (5000, "R"), (5100, "photo"))
SCRIPT = (
    said(500, "left"),  # before the first trial: false
    said(999, "right"),  # one sample too early: false
    said(1099, "left", 0.8),  # trial 1: hit after 1.00 s
    said(1199, "left", 0.95),  # a repeat
    said(1250, "rest"),  # idle inside a trial: decides nothing
    said(1399, "right", 0.6),  # its last sample: an error after the hit
    said(1400, "left"),  # one sample after it: false, carried over, late
    said(1600, "rest"),  # right in idle
    said(1700, None, reasons=("amplitude",)),
    said(2149, "left", 0.7),  # trial 2: first is wrong, after 1.50 s
    said(2299, "right", 0.9),  # … but a hit after 3.00 s
    said(3100, None, reasons=("amplitude", "gap")),  # trial 3 stays silent
    said(3200, None),
    said(4050, "left"),  # rest: false, not carried over
    said(4100, "rest"),
    said(5399, "right", 1.0),  # trial 4: hit with its last sample, after 4.00 s
    said(5450, "left"),  # false, carried over, but not late: the trial asked for right
)


def test_a_scripted_stream_gives_counts_worked_out_by_hand():
    found = judge(session(markers=MARKERS), SCRIPT, CLASSES, Rules(), from_sample=100)
    details = found.details()
    assert details["trials"] == 4
    assert details["first_right"] == 2
    assert found.score == 0.5
    assert (details["hits"], details["misses"], details["silent"]) == (3, 1, 1)
    assert (details["errors"], details["repeats"]) == (2, 1)
    assert (details["false_activations"], details["false_in_rest"]) == (5, 1)
    assert (details["false_carried"], details["false_late"]) == (2, 1)
    assert (details["idle_right"], details["idle_in_trials"]) == (2, 1)
    assert details["abstentions"] == 3
    assert details["abstention_reasons"] == {"amplitude": 2, "gap": 1, "undecided": 1}
    assert details["time_to_decision_s"] == [1.0, 1.5, 4.0]
    assert [t.hit_s for t in found.trials] == [1.0, 3.0, None, 4.0]
    # 59 s from the end of the first window, less four trials of 4 s
    assert details["minutes_idle"] == pytest.approx(43 / 60)
    assert details["minutes_rest"] == pytest.approx(4 / 60)
    assert details["false_per_min"] == pytest.approx(5 / (43 / 60))
    assert details["false_per_min_rest"] == pytest.approx(15.0)
    assert details["confusion"] == {
        "left": {"left": 1, "none": 1},
        "right": {"left": 1, "right": 1},
        "idle": {"left": 4, "right": 1},
    }
    assert details["y_true"] == ["left", "right", "left", "right"]
    assert details["y_pred"] == ["left", "left", "none", "right"]
    seconds = (1.0 + 1.5 + 4.0 + 4.0) / 4
    assert details["itr"] == itr(0.5, 2, seconds) == 0.0
    assert details["chance"] == 0.5
    assert details["chance_bound"] == chance_bound(4, 2)


def test_calibration_by_hand():
    found = judge(session(markers=MARKERS), SCRIPT, CLASSES, Rules())
    # .6 wrong | .7 wrong | .8 right | .9 right | .95 and 1 right
    assert found.reliability == [
        (0.6, 0.0, 1), (0.7, 0.0, 1), (0.8, 1.0, 1), (0.9, 1.0, 1), (0.975, 1.0, 2)
    ]  # fmt: skip
    assert found.ece == pytest.approx((0.6 + 0.7 + 0.2 + 0.1 + 2 * 0.025) / 6)
    # five false activations at .9, all of them wrong
    joined = 6 * abs(1 / 6 - 0.9)
    assert found.ece_with_idle == pytest.approx((0.6 + 0.7 + 0.2 + joined + 2 * 0.025) / 11)


def test_a_calibrated_answer_has_a_small_error_and_an_empty_one_has_none():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1.0, 20_000)
    curve = reliability_curve(zip(p, rng.random(20_000) < p, strict=True))
    assert expected_calibration_error(curve) < 0.01
    assert reliability_curve([]) == []
    assert math.isnan(expected_calibration_error([]))
    assert reliability_curve([(float("nan"), True), (0.0, False)]) == [(0.0, 0.0, 1)]


def test_reaction_and_tolerance_move_the_ends_of_a_trial():
    found = judge(session(markers=MARKERS), SCRIPT, CLASSES, Rules(reaction_s=1.0, tolerance_s=1.0))
    # 1099 is too early now and 1400 an answer; 5450 is an error in trial 4
    assert [t.first for t in found.trials] == ["left", "left", None, "right"]
    assert found.trials[0].decided_s == 2.0
    assert found.trials[0].n_errors == 1
    assert found.trials[3].n_errors == 1
    assert [(f.at, f.carried, f.late) for f in found.false] == [
        (500, False, False), (999, False, False), (1099, False, False), (4050, False, False)
    ]  # fmt: skip
    assert [t.span_s for t in found.trials] == [5.0] * 4


def test_a_trial_does_not_reach_into_the_next_nor_beyond_the_recording():
    crowded = session(n_samples=1900, markers=((1000, "L"), (1300, "R"), (1600, "0"), (1700, "L")))
    found = judge(crowded, (), CLASSES, Rules(tolerance_s=1.0), from_sample=100)
    assert [t.span_s for t in found.trials] == [3.0, 3.0, 2.0]
    assert found.minutes_rest == pytest.approx(1.0 / 60)
    assert found.minutes_idle == pytest.approx((18.0 - 8.0) / 60)


def test_the_transfer_rate_counts_silence_and_gaze_shift():
    stream = [said(1099, "left"), said(2099, "right"), said(3099, "left")]
    found = judge(session(markers=MARKERS), stream, CLASSES, Rules(gaze_shift_s=0.5))
    seconds = (1.0 + 1.0 + 1.0 + 4.0) / 4
    assert found.itr == pytest.approx(itr(0.75, 2, seconds))
    assert found.itr_with_gaze == pytest.approx(itr(0.75, 2, seconds + 0.5))


def test_sessions_are_pooled_and_their_transfer_rates_averaged():
    good = [said(1099, "left"), said(2099, "right"), said(3099, "left"), said(5099, "right")]
    one = judge(session(markers=MARKERS), SCRIPT, CLASSES, Rules(), 100)
    two = judge(session(markers=MARKERS), good, CLASSES, Rules(), 100, np.array([2.0]))
    both = pool([one, two])
    assert both.score == 6 / 8
    assert both.n_abstained == 3
    assert both.abstentions == {"amplitude": 2, "gap": 1, "undecided": 1}
    assert both.minutes_idle == pytest.approx(2 * 43 / 60)
    assert both.itr == pytest.approx((0.0 + itr(1.0, 2, 1.0)) / 2)
    assert both.itr != pytest.approx(itr(both.score, 2, 14.5 / 8))
    assert pool([one]).details() == one.details()
    with pytest.raises(ValueError, match="judged by one rule"):
        pool([one, judge(session(markers=MARKERS), good, CLASSES, Rules(tolerance_s=1.0))])
    with pytest.raises(ValueError, match="judged by one rule"):
        pool([])


def test_details_are_json_and_carry_the_rules():
    found = judge(session(markers=((4000, "0"),)), (), CLASSES, Rules(0.25, 0.5, 0.7, ("rest",)))
    assert math.isnan(found.score)
    details = json.loads(json.dumps(found.details(), allow_nan=False))
    assert details["itr"] is None
    assert details["false_per_min"] == 0.0
    for number in ("0.25 s (reaction)", "4 s \nof", "0.5 s (tolerance)", "0.7 s are", "(rest)"):
        assert number.replace("\n", "") in details["rules"]
    assert "{" not in details["rules"]


def test_a_single_command_has_no_transfer_rate():
    switch = session(markers=((1000, "L"),), labels={"L": "left"})
    details = judge(switch, [said(1100, "left")], ("left", "rest"), Rules()).details()
    assert details["itr"] is None
    assert details["chance_bound"] is None
    assert details["hits"] == 1


# --- mistakes ------------------------------------------------------------------------------------


def test_mistakes_are_told():
    asked = session(markers=MARKERS)
    with pytest.raises(ConfigError, match=r"no marker is labelled.*'L', 'R', '0'; found 'x' \(1\)"):
        judge(session(markers=((5, "x"),)), (), CLASSES, Rules())
    with pytest.raises(ConfigError, match=r"asks for 'right', which the decoder never says"):
        judge(asked, (), ("left", "rest"), Rules())
    with pytest.raises(ConfigError, match=r"reaction_s is 5 s, the stimulation only 4 s"):
        judge(asked, (), CLASSES, Rules(reaction_s=5.0))
    with pytest.raises(ConfigError, match="must be 0 or more"):
        Rules(tolerance_s=-1.0)
    locked = config.loads(SESSION, overrides=["window.kind=marker", "events={left: L}"])
    with pytest.raises(ConfigError, match=r"free-running.*found 'marker'"):
        evaluate(asked, locked, Reader(), "reader")


# --- through the pipeline ------------------------------------------------------------------------


class Reader:
    """Reads the label off the first channel's mean: 1 left, 2 right, 0 rest; far below: fails."""

    classes_ = np.array(CLASSES)

    def predict_proba(self, X):
        rows = []
        for mean in X[:, 0].mean(axis=1):
            if mean < -5:
                raise ValueError("negative")
            distance = np.abs(np.array([1.0, 0.0, 2.0]) - mean)
            rows.append(np.exp(-5 * distance) / np.exp(-5 * distance).sum())
        return np.array(rows)


def told(seed=0, n_samples=6000, breaks=()):
    """A stream that shows the answer 0.3 s after each marker, with noise."""
    data = 0.3 * np.random.default_rng(seed).standard_normal((n_samples, 2))
    for onset, value in MARKERS:
        data[onset + 30 : onset + 430, 0] += {"L": 1.0, "R": 2.0}.get(value, 0.0)
    data[300:400, 0] = -50.0
    return session(n_samples, MARKERS, data=data, breaks=breaks)


def test_a_decoder_that_reads_the_answer_is_right():
    # a window that begins to show "right" looks like "left", for two or three windows of 0.2 s
    settings = config.loads(
        SESSION,
        overrides=["decision={kind: threshold, threshold: 0.5, dwell: 4, refractory_s: 0}"],
    )
    found = evaluate(told(), settings, Reader(), "reader", tolerance_s=1.0)
    details = found.details()
    assert found.score == 1.0
    assert details["silent"] == details["errors"] == 0
    # left: half of the window shows it after 0.8 s, dwell adds 0.6 s; right: 1.05 s + 0.6 s
    assert details["time_to_decision_s"] == pytest.approx([1.4, 1.65, 1.4, 1.65], abs=0.25)
    # the bad second lies in nine windows
    assert details["abstention_reasons"] == {"decoder-error": 9}
    assert details["false_activations"] == 0
    assert details["idle_right"] > 30
    assert details["decode_ms_p99"] >= details["decode_ms_p50"] > 0.0
    assert len(found.decode_ms) == (6000 - 100) // 20 + 1
    assert details["minutes_idle"] == pytest.approx((59.0 - 4 * 5.0) / 60)


@pytest.mark.parametrize("seed", range(3))
def test_chunks_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    stream = told(seed, breaks=((2222, Break("lost", 0.5)),))
    settings = config.loads(SESSION, overrides=["decision={kind: threshold, dwell: 2}"])
    expected = evaluate(stream, settings, Reader(), "reader")
    for sizes in (1, 6000, 20, [0, *rng.integers(1, 300, 9).tolist()]):
        found = evaluate(stream, settings, Reader(), "reader", chunk=sizes)
        assert found.trials == expected.trials
        assert found.false == expected.false
        assert found.said == expected.said
        assert found.abstentions == expected.abstentions
        assert len(found.decode_ms) == len(expected.decode_ms)
        without = ("decode_ms_p50", "decode_ms_p99")
        one, two = found.details(), expected.details()
        assert all(one[key] == two[key] for key in one if key not in without)
    assert "lost" in expected.abstentions


def test_a_policy_applied_afterwards_decides_as_the_pipeline_does():
    stream = told(5, breaks=((2222, Break("lost", 0.5)),))
    for policy in (
        "{kind: each}",
        "{kind: threshold, threshold: 0.7, dwell: 3, refractory_s: 0.5}",
        "{kind: threshold, threshold: 0.6, smoothing: 4, dwell: 2}",
        "{kind: control, threshold: 0.6, smoothing: 2, dwell_s: 0.4, idle: [rest]}",
    ):
        settings = config.loads(SESSION, overrides=[f"decision={policy}"])
        pipeline = Pipeline(settings, stream.recording.info, Reader(), "")
        live, _ = run(pipeline, stream.recording)
        assert list(decide(decode(stream, settings, Reader()), settings)) == live
        assert live


def test_at_noise_a_chosen_threshold_keeps_its_promise():
    """Chosen on 20 minutes of probabilities that mean nothing, kept on others."""
    policy = "{kind: control, smoothing: 3, dwell_s: 0.4, refractory_s: 1.0, idle: [rest]}"
    settings = config.loads(SESSION, overrides=[f"decision={policy}"])

    def noise(seed):
        rows = np.random.default_rng(seed).dirichlet((1, 1, 1), 6000)
        windows = (
            replace(said(100 + 20 * k, "left"), proba=dict(zip(CLASSES, row, strict=True)))
            for k, row in enumerate(rows.tolist())
        )
        return Decoded(session(120_000, [(1000, "0")]), tuple(windows), CLASSES, 100)

    threshold = choose_threshold(
        [noise(0)], settings, Rules(), false_per_min=0.5,
        candidates=np.round(np.arange(0.4, 0.95, 0.05), 2).tolist(),
    )  # fmt: skip
    assert 0.4 < threshold < 0.9
    quiet = with_threshold(settings, threshold)
    for seed in (1, 2):
        false = len(judged([noise(seed)], quiet, Rules()).false)
        assert false <= poisson.ppf(0.999, 10)  # promised: 10 in 20 minutes


def test_the_lowest_threshold_that_is_quiet_enough_is_chosen():
    settings = config.loads(SESSION, overrides=["decision={kind: threshold, refractory_s: 0}"])
    # 43 s of idle time: three windows pass 0.5, two 0.6, one 0.7, and that one is in rest
    windows = (said(300, "left", 0.55), said(600, "right", 0.65), said(4100, "left", 0.75))
    windows += (said(700, None, reasons=("gap",)), said(1100, "left", 0.95))
    spoken = tuple(replace(w, proba={**w.proba, "rest": 0.0} if w.label else {}) for w in windows)
    decoded = [Decoded(session(markers=MARKERS), spoken, CLASSES, 100)]

    def chosen(limit, within="idle"):
        return choose_threshold(
            decoded, settings, Rules(), false_per_min=limit, within=within,
            candidates=(0.8, 0.7, 0.6, 0.5),
        )  # fmt: skip

    per_min = 60 / 43
    assert chosen(3.1 * per_min) == 0.5
    assert chosen(2.1 * per_min) == 0.6
    assert chosen(1.1 * per_min) == 0.7
    assert chosen(0.0) == 0.8
    assert chosen(15.0, "rest") == 0.5
    assert chosen(14.9, "rest") == 0.8
    assert chosen(-1.0) == 0.8  # nothing is quiet enough
    with pytest.raises(ConfigError, match="'threshold' or 'control', found 'each'"):
        with_threshold(config.loads(SESSION), 0.5)


def test_a_log_beside_the_recording_adds_its_gaps_but_no_pause(tmp_path):
    header = {"schema": "bci.events/1", "stream": {}}
    lines = [
        {"event": "command", "at": 0, "action": "pause"},
        {"event": "gap", "at": 2000, "resume": 2500, "reason": "overrun"},
    ]
    (tmp_path / "recording_events.jsonl").write_text(
        "".join(json.dumps(x) + "\n" for x in (header, *lines))
    )
    stream = told()
    moved = replace(stream, recording=replace(stream.recording, path=tmp_path / "recording.npz"))
    found = evaluate(moved, config.loads(SESSION), Reader(), "reader")
    assert found.hits >= 3
    assert found.abstentions["overrun"] > 0


# --- real recordings -----------------------------------------------------------------------------

#: Windows every 0.2 s and five of one kind in a row are the authors' own for this set (Kalunga et
#: al. 2016 and their published code); 2 s is MOABB's length of its trials; 0.8 the default
#: threshold. Refractory time is one window, so that decisions share no evidence. Reaction and
#: tolerance are half a window: a decision belongs to where most of its evidence lies.
LIVE = [
    "window={kind: sliding, length_s: 2.0, hop_s: 0.2}",
    "decision={kind: threshold, threshold: 0.8, dwell: 5, refractory_s: 2.0}",
]
MATCHING = Rules(reaction_s=1.0, tolerance_s=1.0)
LABELS = {"2": "13 Hz", "4": "17 Hz", "3": "21 Hz"}


def exo(subject):
    return [
        ContinuousSession(
            "ssvep-exo", f"{subject:02d}", path.stem, load_recording(path), LABELS, ("1",), 5.0
        )
        for path in sorted((DATA / f"subject{subject:02d}").glob("*_raw.fif"))
    ]


@needs_recordings
def test_decisions_are_those_of_replay_whatever_the_chunks():
    settings = config.load(ROOT / "configs" / "ssvep_exo.yaml", LIVE)
    stream = exo(4)[0]
    path = stream.recording.path
    expected = list(decisions(path, stream.recording, settings))
    assert len(expected) > 20
    pipeline = Pipeline(settings, stream.recording.info)
    decoder, model, _ = load_decoder(settings, pipeline.info)
    pipeline.use(decoder, model)
    found, decode_ms = run(pipeline, stream.recording, (17, 999, 64))
    assert found == expected
    assert len(decode_ms) == (stream.recording.n_samples - 512) // 51 + 1
    result = evaluate(stream, settings, decoder, model, reaction_s=1.0, tolerance_s=1.0)
    judged_again = judge(stream, expected, decoder.classes_.tolist(), MATCHING, 512)
    assert result.trials == judged_again.trials
    assert result.false == judged_again.false
    assert len(result.trials) == 24
    assert result.minutes_rest == pytest.approx(8 * 4.0 / 60)
    assert result.details()["first_right"] >= chance_bound(24, 3)


@pytest.mark.slow
@needs_recordings
def test_the_nine_people_with_rest_as_idle():
    """FBCCA without training, threshold fixed beforehand or chosen on the other sessions."""
    settings = config.load(ROOT / "configs" / "ssvep_exo.yaml", LIVE)
    fixed, chosen, thresholds = [], [], []
    for subject in range(1, 10):
        parts = []
        for stream in exo(subject):
            info = Pipeline(settings, stream.recording.info).info
            parts.append(decode(stream, settings, load_decoder(settings, info)[0]))
        fixed.append(judged(parts, settings, MATCHING))
        own, results = [], []
        for part in parts:
            others = [p for p in parts if p is not part]
            own.append(choose_threshold(others, settings, MATCHING, within="rest"))
            results.append(judged([part], with_threshold(settings, own[-1]), MATCHING))
        chosen.append(pool(results))
        thresholds.append(own)
    print("\n" + fixed[0].rules)
    _show("threshold 0.8, fixed beforehand", fixed, [[0.8]] * 9)
    _show(
        "threshold with at most 1 false activation a minute in the rest of the other sessions",
        chosen, thresholds,
    )  # fmt: skip
    for results in (fixed, chosen):
        everyone = pool(results)
        assert len(everyone.trials) == 480
        assert everyone.n_first_right >= chance_bound(480, 3)
        # what is said is right far more often than by chance
        assert everyone.hits / (everyone.hits + everyone.errors) > 0.8


def _show(title, results, thresholds):
    print(
        f"{title}\n  S  threshold            first right  accuracy [95 %]      bound  hits silent "
        "errors  false/min (in rest)  carried late  abstained  time s  ITR (gaze)    ECE (idle)"
    )
    for number, (r, own) in enumerate(zip(results, thresholds, strict=True), start=1):
        d, (low, high) = r.details(), r.interval
        print(
            f" {number:2d}  {', '.join(map(str, own)):20s} {r.n_first_right:4d}/{len(r.trials):3d}"
            f"     {r.score:.2f} [{low:.2f}, {high:.2f}]    {d['chance_bound']:3d}   {r.hits:3d}"
            f"  {r.silent:4d}  {r.errors:4d}    {r.false_per_min:5.2f} ({r.false_per_min_rest:.2f})"
            f"        {d['false_carried']:3d}   {d['false_late']:3d}   {r.n_abstained:5d}      "
            f"{np.mean(r.time_to_decision_s):5.2f}   {r.itr:4.1f} ({r.itr_with_gaze:.1f})"
            f"     {r.ece:.2f} ({r.ece_with_idle:.2f})"
        )
    mean = [
        np.mean([getattr(r, name) for r in results])
        for name in ("score", "false_per_min", "false_per_min_rest")
    ]
    print(
        "     means: accuracy {:.3f}, false/min {:.2f}, in rest {:.2f}; chance 0.333".format(*mean)
    )
