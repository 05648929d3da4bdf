"""The report: what it says, what it must not say, and that its files are whole."""

import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from bci.benchmark.report import write_report
from bci.benchmark.report.confusion import count
from bci.benchmark.report.curves import learning_curves, reliability, transfer_rates
from bci.benchmark.report.data import colours, panels
from bci.benchmark.report.intervals import (
    auc_interval,
    rate_interval,
    score_interval,
)
from bci.benchmark.report.online import counts
from bci.benchmark.report.rows import named, natural, prepare, rows_of
from bci.benchmark.report.statistics import compared
from bci.benchmark.report.svg import Scale, shorten
from bci.benchmark.statistics import compare
from bci.errors import BciError, ConfigError
from bci.metrics import itr, mean_interval

PIPELINES = {"MDM": 0.0, "FgMDM": 0.04, "TS+LR": 0.09, "CSP+LDA": 0.02, "FBCCA": -0.1}
CONFIG = "name: local <all> & more\nseed: 42\n"
ENVIRONMENT = {"bci": "0.1.0", "machine": {"cpu": "2 cores <x86>"}, "date": "2026-11-22"}
HANDS = ["left_hand", "right_hand"]
TARGETS = ["13 Hz", "17 Hz", "21 Hz", "rest"]


def scores(
    dataset, subjects, classes=TARGETS, *, sessions=("0",), pipelines=PIPELINES, folds=5,
    n_test=20, evaluation="within_session", seed=0, minutes=(4.0,), failed=None, **more,
):  # fmt: skip
    """Rows as the engine writes them, with labels that agree with the scores."""
    rng = np.random.default_rng(seed)
    found = []
    for subject in subjects:
        skill = rng.normal(0.7, 0.08)
        for session in sessions:
            for fold in range(folds):
                for length in minutes:
                    for pipeline, gain in pipelines.items():
                        y = np.resize(np.arange(len(classes)), n_test)
                        right = rng.random(n_test) < skill + gain
                        told = np.where(right, y, (y + 1) % len(classes))
                        reason = (failed or {}).get((subject, pipeline), "")
                        details = {
                            "y_true": [classes[k] for k in y],
                            "y_pred": [classes[k] for k in told],
                            "classes": list(classes), "proba": None,
                        }  # fmt: skip
                        found.append({
                            "dataset": dataset, "subject": subject, "session": session,
                            "evaluation": evaluation, "fold": fold, "pipeline": pipeline,
                            "score": np.nan if reason else float(right.mean()), "time": 0.1,
                            "metric": "roc_auc" if len(classes) == 2 else "accuracy",
                            "n_test": n_test, "n_classes": len(classes),
                            "chance": 1 / len(classes), "paradigm": "ssvep",
                            "simulated": False, "error": reason, "minutes_train": length,
                            "transductive": pipeline == "FgMDM", "predict_ms_p50": 0.5,
                            "predict_ms_p99": 1.25, "details": json.dumps(details),
                        } | more)  # fmt: skip
    return pd.DataFrame(found)


def online(subjects, pipelines=PIPELINES, sessions=("0",), **more):
    """Pseudo-online rows; every session: 8 of 10 hits, 3 false activations in 2 minutes."""
    details = {
        "y_true": ["a"] * 5 + ["b"] * 5, "y_pred": ["a"] * 5 + ["b"] * 3 + ["none", "a"],
        "hits": 8, "misses": 2, "silent": 1, "false_activations": 3, "minutes_idle": 2.0,
        "abstentions": 5, "abstention_reasons": {"amplitude": 4, "gap": 1},
        "time_to_decision_s": [1.0, 1.5, 2.0, 2.5, 3.0], "itr": 20.0, "itr_with_gaze": 15.0,
        "decode_ms_p50": 0.75, "decode_ms_p99": 2.5, "ece": 0.125,
        "reliability": [[0.55, 0.5, 4], [0.95, 1.0, 5]],
        "confusion": {"a": {"a": 5}, "b": {"b": 3, "none": 1, "a": 1}, "idle": {"a": 3}},
        "rules": "1. A decision <stands> at its last sample.",
    }  # fmt: skip
    return pd.DataFrame([
        {
            "dataset": "stream", "subject": subject, "session": session, "fold": 0,
            "evaluation": "pseudo_online", "pipeline": pipeline, "score": 0.8,
            "metric": "accuracy", "n_test": 10, "n_classes": 2, "chance": 0.5,
            "transductive": pipeline == "FgMDM", "simulated": False, "error": "",
            "details": json.dumps(details),
        } | more
        for subject in subjects for session in sessions for pipeline in pipelines
    ])  # fmt: skip


def everything():
    """Several data sets, evaluations, failures: what a large benchmark gives."""
    nine = [f"S{k}" for k in range(1, 13) if k not in (4, 7, 8)]
    six = [f"B0{k}" for k in range(1, 7)]
    error = "LinAlgError: order 3 is not positive <b>definite</b>"
    failed = {("S2", "CSP+LDA"): error, ("S10", "CSP+LDA"): error}
    return pd.concat([
        scores("ssvep-exo", nine, failed=failed),
        scores("bci-iv-2b", six, HANDS, sessions=("0", "1", "2")),
        scores("bci-iv-2b", six, HANDS, sessions=("3",), evaluation="transfer", folds=1),
        scores("bci-iv-2b", six, HANDS, evaluation="learning_curve", minutes=(1, 2, 4)),
        *(
            scores("sim-12", nine, simulated=True, window_s=length)
            for length in (0.5, 1.0, 2.0)
        ),
        online(nine),
    ])  # fmt: skip


class Page(HTMLParser):
    """A page's text by section, its tables and what it would load."""

    VOID = ("meta", "br", "link", "img")

    def __init__(self, html):
        super().__init__()
        self.open, self.loads, self.ids, self.links = [], [], [], []
        self.text, self.section = {"": ""}, ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.loads += [v for k, v in attributes if k in ("src", "srcset", "data", "xlink:href")]
        self.loads += [tag] if tag in ("script", "link", "iframe", "object", "image") else []
        if tag == "a":
            self.links.append(given["href"])
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "section":
            self.section = given["id"]
            self.text[self.section] = ""
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = ""

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text[self.section] += data


def write(frame, out, comparison=None, config=CONFIG):
    paths = write_report(
        frame, out, config_yaml=config, environment=ENVIRONMENT, comparison=comparison
    )
    assert [p.name for p in paths] == ["report.html", "results.csv", "summary.md"]
    return tuple(path.read_text(encoding="utf-8") for path in paths)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    frame = everything()
    return write(frame, tmp_path_factory.mktemp("report"), compare(frame))


def panel(frame, **kind):
    return next(panels(rows_of(prepare(frame)), **kind))


# --- the page ------------------------------------------------------------------------------------


def test_page_is_whole_and_loads_nothing(whole):
    html, _, _ = whole
    page = Page(html)
    assert page.loads == []
    assert "url(" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= {f"#{name}" for name in page.ids}
    for picture in re.findall(r"<svg.*?</svg>", html, re.S):
        ElementTree.fromstring(picture)
    assert not re.search(r'[ "(]-?(nan|inf)\b', re.sub(r">[^<]*<", "><", html))
    assert len(html.encode()) < 3_000_000


def test_page_has_every_section_in_order(whole):
    sections = list(Page(whole[0]).text)[1:]
    assert sections == [
        "run", "overview", "scores", "pairs", "effects", "confusion", "itr", "learning",
        "online", "latency", "failures", "environment", "configuration",
    ]  # fmt: skip


def test_failures_are_told_with_their_reason_and_missing_subjects_counted(whole):
    page = Page(whole[0])
    assert "10 of" in page.text[""]
    assert "failed and are in no mean" in page.text[""]
    assert "LinAlgError: order 3 is not positive <b>definite</b>" in page.text["failures"]
    assert "S2/0, S10/0" in page.text["failures"]
    assert "7 of 9" in page.text["overview"]


def test_simulated_sets_say_so_wherever_they_are_named(whole):
    html, csv, markdown = whole
    for text in (html, csv, markdown):
        for found in re.finditer(r"sim-12", text):
            assert "SIMULATED" in text[found.start() : found.end() + 14]
    for picture in re.findall(r"<svg.*?</svg>", html, re.S):
        if "sim-12" in picture:
            assert "SIMULATED" in re.sub(r'aria-label="[^"]*"', "", picture)


def test_names_that_say_simulated_say_it_aloud_once():
    assert named("simulated SSVEP, 12 targets", True) == "SIMULATED SSVEP, 12 targets"
    assert named("2 s (simulated)", True) == "2 s (SIMULATED)"
    assert named("ssvep", True) == "ssvep (SIMULATED)"
    assert named("not simulated at all", False) == "not simulated at all"


def test_transductive_pipelines_are_marked_wherever_they_are_scored(whole):
    for name, text in Page(whole[0]).text.items():
        if name in ("overview", "scores", "pairs", "effects", "confusion", "learning", "itr"):
            text, _, _ = text.partition("What was left out")
            assert "FgMDM (transductive)" in text
            assert not re.search(r"FgMDM(?! \(transductive\)|\*)", text), name


def test_everything_is_escaped(tmp_path):
    evil = "</title><script>alert('1')</script>\"&|`[x](y)"
    frame = pd.concat([
        scores(evil, [evil, "2"], [evil, "b", "c"], pipelines={evil: 0.1, "other": 0.0}),
        online([evil], pipelines={evil: 0}, dataset=evil),
        scores("x", [evil], pipelines={evil: 0.0}, failed={(evil, evil): evil}),
    ])  # fmt: skip
    config = f"name: {json.dumps(evil)}"
    html, csv, markdown = write(frame, tmp_path, compare(frame), config)
    page = Page(html)
    assert page.loads == []
    assert evil in page.text["failures"]
    assert not re.search(r"(?<!\\)[<`]", markdown)
    cells = [line for line in markdown.splitlines() if line.startswith("|")]
    assert cells
    assert all(re.search(r"(?<!\\)\|$", line) for line in cells)
    assert evil in set(pd.read_csv(io.StringIO(csv))["pipeline"])


def test_same_results_give_the_same_bytes_in_any_order(tmp_path):
    frame = everything()
    shuffled = frame.sample(frac=1.0, random_state=1)
    assert write(frame, tmp_path / "a") == write(shuffled, tmp_path / "b")


@pytest.mark.parametrize(
    ("frame", "present", "absent"),
    [
        (pd.DataFrame(), {"environment"}, {"run", "scores", "online", "failures"}),
        (online(["1"], {"A": 0}), {"online", "confusion", "latency"}, {"scores", "pairs"}),
        (scores("one", ["1"]), {"scores", "confusion"}, {"pairs", "online", "learning", "itr"}),
        (scores("x", ["1", "2"], pipelines={"MDM": 0}), {"scores"}, {"pairs", "effects"}),
        (
            scores("x", ["1"], pipelines={"MDM": 0}, failed={("1", "MDM"): "boom"}),
            {"run", "failures"}, {"scores", "overview"},
        ),
    ],
    ids=["empty", "only pseudo-online", "one subject", "one pipeline", "all failed"],
)  # fmt: skip
def test_what_is_not_there_is_left_out_and_named(tmp_path, frame, present, absent):
    comparison = compare(frame) if len(frame) else None
    html, _, markdown = write(frame, tmp_path, comparison)
    page = Page(html)
    assert present <= set(page.text)
    assert not absent & set(page.text)
    assert markdown.startswith("# ")
    assert "Not in these results" in page.text[""]


def test_without_a_comparison_its_section_is_left_out(tmp_path):
    page = Page(write(scores("x", ["1", "2"]), tmp_path)[0])
    assert "effects" not in page.text
    assert "effects and significance" in page.text[""]


def test_many_subjects_and_long_names_stay_small_and_whole(tmp_path):
    names = {f"{'Covariances(oas) | TangentSpace ' * 4}{k}": 0.02 * k for k in range(12)}
    subjects = [f"a subject with a long name {k}" for k in range(60)]
    frame = pd.concat(
        [scores(name * 30, subjects, HANDS, pipelines=names, folds=1) for name in "AB"]
    )
    html, _, _ = write(frame, tmp_path, compare(frame))
    assert len(html.encode()) < 3_000_000
    width = 5.5  # of a narrow character, px
    for picture in re.findall(r"<svg.*?</svg>", html, re.S):
        svg = ElementTree.fromstring(picture)
        limit = float(svg.attrib["viewBox"].split()[2])
        for text in svg.iter("text"):
            if "x" in text.attrib and text.attrib["text-anchor"] == "start":
                shown = (text[0].tail if len(text) else text.text) or ""
                assert float(text.attrib["x"]) + width * len(shown) <= limit + 40, shown


def test_a_frame_that_lacks_columns_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="columns pipeline, evaluation are missing"):
        write(scores("x", ["1"])[["dataset", "subject", "score"]], tmp_path)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BciError, match="cannot be written to"):
        write(scores("x", ["1"]), tmp_path / "file" / "report")


def test_bare_moabb_columns_are_enough(tmp_path):
    columns = ["dataset", "subject", "session", "pipeline", "evaluation", "score"]
    html, _, _ = write(scores("x", [1, 2])[columns], tmp_path)
    assert "0.0–100.0" in Page(html).text["scores"]  # nothing is known of the trials


def test_csv_holds_every_row_and_markdown_every_subject(whole):
    _, csv, markdown = whole
    table = pd.read_csv(io.StringIO(csv), keep_default_na=False)
    assert len(table) == len(everything())
    assert "details" not in table
    for name in ("S1", "S12", "B06"):
        assert f"\n| {name} |" in markdown
    for line in markdown.splitlines():
        if line.startswith("| S1 "):
            assert "NaN" not in line


# --- the numbers ---------------------------------------------------------------------------------


def test_a_subject_is_the_mean_over_folds_then_sessions():
    frame = pd.concat([
        scores("x", ["1"], pipelines={"A": 0}, folds=2).assign(score=[0.5, 0.7]),
        scores("x", ["1"], pipelines={"A": 0}, sessions=("1",), folds=1).assign(score=1.0),
    ])  # fmt: skip
    (lane,) = panel(frame).lanes
    (point,) = lane.points
    assert point.value == pytest.approx(0.8)
    assert point.n == 60
    assert point.low < 0.8 < point.high


def test_trials_tested_twice_count_once():
    frame = scores("x", ["1"], pipelines={"A": 0}, evaluation="transfer", folds=3)
    assert panel(frame).lanes[0].points[0].n == 20


def test_a_subject_with_a_failed_fold_says_so(tmp_path):
    frame = scores("x", ["1", "2"], pipelines={"A": 0})
    frame.loc[0, ["score", "error"]] = [np.nan, "boom"]
    assert panel(frame).lanes[0].points[0].note == "4 of 5 folds"
    assert "4 of 5 folds" in Page(write(frame, tmp_path)[0]).text["scores"]


def test_pipelines_keep_their_colour_and_subjects_their_order():
    rows = rows_of(prepare(everything()))
    number = colours(rows)
    for found in panels(rows):
        assert list(found.subjects) == sorted(found.subjects, key=natural)
        for lane in found.lanes:
            assert lane.colour == number[lane.pipeline]
            assert [p.name for p in lane.points] == [
                s for s in found.subjects if s in {p.name for p in lane.points}
            ]


def test_windows_of_one_data_set_are_not_mixed():
    frame = pd.concat([scores("x", ["1"], window_s=w) for w in (1.0, 2.0)])
    titles = [found.title for found in panels(rows_of(prepare(frame)))]
    assert titles == ["x · within-session · 1 s windows", "x · within-session · 2 s windows"]


def test_auc_interval_covers_the_truth_and_never_leaves_0_to_1():
    rng = np.random.default_rng(3)
    covered, n, shift = 0, 400, 1.2
    truth = 0.8019  # Φ(1.2 / √2)
    for _ in range(n):
        higher, lower = rng.normal(shift, 1, 25), rng.normal(0, 1, 15)
        auc = float(np.mean(higher[:, np.newaxis] > lower))
        low, high = auc_interval(auc, 25, 15)
        covered += low <= truth <= high
    assert covered / n == pytest.approx(0.95, abs=0.03)
    assert auc_interval(1.0, 10, 10)[0] < 0.9
    assert auc_interval(1.0, 10, 10)[1] == 1.0
    assert auc_interval(0.0, 10, 10)[0] == 0.0
    assert score_interval("roc_auc", 0.9, 5, 100) != score_interval("roc_auc", 0.9, 50, 100)


def test_small_intervals_by_hand():
    assert rate_interval(0, 1.0) == pytest.approx((0.0, 3.689), abs=1e-3)  # -ln 0.025
    assert rate_interval(10, 2.0) == pytest.approx((2.398, 9.195), abs=1e-3)  # Garwood's table / 2
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((-0.4841, 4.4841), abs=1e-3)
    assert np.isnan(mean_interval([1.0])[0])
    assert score_interval("accuracy", 0.5, 0, 0) == (0.0, 1.0)


def test_each_pair_stands_once_with_the_better_pipeline_first():
    frame = everything()
    for found in compared(compare(frame)):
        pairs = [frozenset((pair.one, pair.two)) for pair in found.pairs]
        assert len(pairs) == len(set(pairs)) == 10
        assert all(pair.overall.effect >= 0 for pair in found.pairs)
        simulated = "SIMULATED" in found.title
        assert all(("SIMULATED" in e.dataset) == simulated for p in found.pairs for e in p.effects)


def test_pooled_effect_is_the_statistics_own():
    frame = pd.concat([scores(name, list("12345"), seed=ord(name)) for name in "ABC"])
    comparison = compare(frame)
    (found,) = compared(comparison)
    combined = comparison.combined.set_index(["pipe1", "pipe2"])
    for pair in found.pairs:
        assert [e.dataset for e in pair.effects] == ["A", "B", "C", "all 3 data sets"]
        assert pair.overall.p == combined.loc[(pair.one, pair.two), "p"]
        assert pair.overall.n_subjects == 15


def test_of_two_classes_the_rate_is_that_of_the_accuracy_not_of_the_area():
    frame = pd.concat([
        scores("x", ["1"], HANDS, pipelines={"A": 0}, window_s=w, folds=1) for w in (1.0, 2.0)
    ]).assign(score=0.99)  # fmt: skip
    told = json.loads(frame["details"].iloc[0])
    accuracy = np.mean([a == b for a, b in zip(told["y_true"], told["y_pred"], strict=True)])
    (facets,) = transfer_rates(rows_of(prepare(frame)))
    assert facets.facets[0].subjects["1"][0].y == pytest.approx(itr(accuracy, 2, 1.5))


def test_transfer_rate_is_the_mean_of_the_sessions_rates(tmp_path):
    (facets,) = transfer_rates(rows_of(prepare(everything())))
    assert facets.title == "sim-12 (SIMULATED) · within-session"
    first, second = (
        scores("x", ["1"], pipelines={"A": 0}, sessions=(name,), window_s=w).assign(score=score)
        for name, w, score in (("0", 1.0, 1.0), ("1", 1.0, 0.5))
    )
    frame = pd.concat([first, second, first.assign(window_s=2.0)])
    (facets,) = transfer_rates(rows_of(prepare(frame)))
    knots = facets.facets[0].subjects["1"]
    both = (itr(1.0, 4, 1.5) + itr(0.5, 4, 1.5)) / 2
    assert both > itr(0.75, 4, 1.5)
    assert [(k.x, k.y) for k in knots] == [(1.0, both), (2.0, itr(1.0, 4, 2.5))]
    assert all(k.low < k.y <= k.high for k in knots)
    _, _, summary = write(frame, tmp_path)
    bare = (itr(1.0, 4, 1.0) + itr(0.5, 4, 1.0)) / 2
    line = f"| 1 | {both:.1f} / {bare:.1f} | {itr(1.0, 4, 2.5):.1f} / {itr(1.0, 4, 2.0):.1f} |"
    assert line in summary


def test_two_evaluations_of_one_kind_stand_apart(tmp_path):
    frame = pd.concat(
        scores("x", ["1", "2"], evaluation=name, evaluation_kind="within_session")
        for name in ("five folds", "two folds")
    )
    titles = [found.title for found in panels(rows_of(prepare(frame)))]
    assert titles == ["x · five folds", "x · two folds"]
    curves = scores("x", ["1", "2"], evaluation="growth", evaluation_kind="learning_curve",
                    minutes=(1, 2))  # fmt: skip
    (facets,) = learning_curves(rows_of(prepare(curves)))
    assert facets.title == "x · growth"
    assert not compare(curves).pairs.size
    assert [p.evaluation for p in panels(rows_of(prepare(curves)))] == []


def test_effects_of_several_window_lengths_are_told_apart():
    frame = pd.concat(scores("x", [*"123456"], window_s=w, seed=int(2 * w)) for w in (0.5, 1.0))
    titles = [found.title for found in compared(compare(frame))]
    assert titles == [f"within-session, {w} s windows, accuracy" for w in ("0.5", "1")]
    one_each = pd.concat(scores(f"x{w}", [*"1234"], window_s=w) for w in (0.5, 1.0))
    (found,) = compared(compare(one_each))
    assert found.several


def test_learning_curve_has_a_mean_with_an_interval_and_every_subject():
    (facets,) = learning_curves(rows_of(prepare(everything())))
    for facet in facets.facets:
        assert sorted(facet.subjects) == [f"B0{k}" for k in range(1, 7)]
        for place, knot in enumerate(facet.mean):
            values = [curve[place].y for curve in facet.subjects.values()]
            assert knot.y == pytest.approx(np.mean(values))
            assert knot.low < knot.y < knot.high


def test_confusion_keeps_the_classes_order_and_adds_up():
    found = count(json.loads(text) for text in scores("x", ["1", "2"])["details"])
    assert found.true == found.told == tuple(TARGETS)
    assert found.counts.sum() == 2 * 5 * 5 * 20
    found = count(json.loads(text) for text in online(["1"], {"A": 0})["details"])
    assert found.true == ("a", "b", "idle")
    assert found.told == ("a", "b", "none")
    assert found.counts.tolist() == [[5, 0, 0], [1, 3, 1], [3, 0, 0]]


def test_pseudo_online_sessions_add_up(tmp_path):
    frame = online(["1"], {"A": 0}, sessions=("0", "1"))
    c = counts(rows_of(prepare(frame)))
    assert (c.hits, c.misses, c.n, c.false, c.minutes_idle, c.silent) == (16, 4, 20, 6, 4.0, 2)
    assert (c.abstentions, dict(c.reasons)) == (10, {"amplitude": 8, "gap": 2})
    assert (c.itr, c.itr_with_gaze, c.ece) == (20.0, 15.0, 0.125)
    text = " ".join(Page(write(frame, tmp_path)[0]).text["online"].split())
    low, high = rate_interval(6, 4.0)
    assert f"1.50 [{low:.2f}–{high:.2f}], 6 in 4.0 min" in text
    assert "2.00 (1.00–3.00)" in text
    assert "15.0 / 20.0" in text
    assert "1. A decision <stands> at its last sample." in text


def test_reliability_pools_bins():
    facets = reliability(panel(online(["1", "2"], {"A": 0}), online=True))
    assert [(k.x, k.y) for k in facets.facets[0].mean] == [
        (pytest.approx(0.55), 0.5),
        (pytest.approx(0.95), 1.0),
    ]


def test_remarks_of_the_engine_are_told(tmp_path):
    frame = scores("x", ["1"], pipelines={"A": 0}, folds=2)
    frame["details"] = json.dumps({"note": "S9 left out: same samples", "warnings": ["no <conv>"]})
    text = " ".join(Page(write(frame, tmp_path)[0]).text["notes"].split())
    assert "S9 left out: same samples2" in text
    assert "no <conv>2" in text


# --- drawing -------------------------------------------------------------------------------------


def test_ticks_are_round_and_inside():
    for low, high in ((0.0, 1.0), (0.37, 1.0), (0.0, 1e-3), (-3.2, 3.2), (0, 12345)):
        ticks = list(Scale(low, high, 0, 100).ticks())
        assert 3 <= len(ticks) <= 13
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
        assert all(len(f"{tick:g}") <= 6 for tick in ticks)


def test_shortened_names_keep_both_ends():
    assert shorten("TS+LR", 9) == "TS+LR"
    assert shorten("TangentSpace+LogisticRegression", 9) == "Tang…sion"
    assert all(len(shorten("x" * 50, n)) == n for n in range(3, 50))
    assert sorted(["S10", "S2", "S1"], key=natural) == ["S1", "S2", "S10"]
