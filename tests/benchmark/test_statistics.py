"""Statistics of a benchmark against brute force, scipy, and (where installed) MOABB itself."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bci import metrics
from bci.benchmark.chance import beats_chance, chance_band
from bci.benchmark.significance import (
    bonferroni,
    effect_size,
    holm,
    one_sided_p,
    permutation_p,
    stouffer,
    wilcoxon_p,
)
from bci.benchmark.statistics import compare
from bci.errors import ConfigError


def frame(n_subjects, seed=0, pipelines=("A", "B", "C"), dataset="set", n_sessions=2, n_folds=3):
    """Scores of subjects who differ, and pipelines of which each next one is better."""
    rng = np.random.default_rng(seed)
    ability = rng.uniform(0.5, 0.9, n_subjects)
    return pd.DataFrame(
        {
            "dataset": dataset, "evaluation": "within_session", "metric": "accuracy",
            "subject": f"{s:02d}", "session": f"{k}", "fold": f, "pipeline": name,
            "score": ability[s] + 0.02 * i + 0.05 * rng.standard_normal(), "error": "",
        }
        for s in range(n_subjects) for k in range(n_sessions) for f in range(n_folds)
        for i, name in enumerate(pipelines)
    )  # fmt: skip


def row(table, **wanted):
    found = table[np.logical_and.reduce([table[k] == v for k, v in wanted.items()])]
    assert len(found) == 1
    return found.iloc[0]


def brute_force(differences):
    """Share of all sign flips whose sum is at least the observed, with exact integers."""
    scaled = [round(d * 10**6) for d in differences]
    sums = [
        sum(s * d for s, d in zip(signs, scaled, strict=True))
        for signs in itertools.product((1, -1), repeat=len(scaled))
    ]
    n_reached = sum(total >= sum(scaled) for total in sums)
    return min(n_reached, len(sums) - 1) / len(sums)


# --- single tests --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 7, 11])
@pytest.mark.parametrize("seed", range(3))
def test_the_exact_permutation_test_is_brute_force(n, seed):
    rng = np.random.default_rng(seed)
    # on a grid of hundredths sums tie all the time, and rounding must not break the ties
    differences = rng.integers(-8, 12, n) / 100.0
    if np.any(differences):
        assert permutation_p(differences) == brute_force(differences)


def test_ties_of_sums_are_not_broken_by_rounding():
    differences = np.array([0.1, 0.2, -0.3])  # their sum is 2.8e-17, 0 meant
    assert differences.sum() != 0.0
    assert permutation_p(differences) == brute_force(differences) == 5 / 8


def test_random_flips_approach_all_flips():
    differences = np.random.default_rng(4).normal(0.03, 0.05, 13)
    assert permutation_p(differences, 10_000, seed=1) == pytest.approx(
        permutation_p(differences), abs=0.01
    )


@pytest.mark.parametrize("n", [20, 35, 60])
@pytest.mark.parametrize("shift", [-0.02, 0.0, 0.03])
def test_wilcoxon_is_scipys_one_sided_test(n, shift):
    differences = np.random.default_rng(n).normal(shift, 0.05, n)
    two_sided = stats.wilcoxon(differences)
    positive = stats.rankdata(np.abs(differences))[differences > 0].sum() >= n * (n + 1) / 4
    expected = two_sided.pvalue / 2 if positive else 1 - two_sided.pvalue / 2
    assert wilcoxon_p(differences) == pytest.approx(expected, rel=1e-12)
    greater = stats.wilcoxon(differences, alternative="greater").pvalue
    # 1 - p/2 leaves out the probability of the observed rank sum itself
    assert wilcoxon_p(differences) == pytest.approx(greater, abs=0.01)


def test_wilcoxon_takes_the_side_of_the_ranks_and_not_of_the_mean():
    differences = np.r_[np.full(3, 1.0), np.linspace(-0.02, -0.01, 22)]
    assert differences.mean() > 0
    assert wilcoxon_p(differences) > 0.5
    assert wilcoxon_p(-differences) < 0.5


@pytest.mark.parametrize("n", [1, 2, 13, 14, 20, 80])
def test_equal_scores_show_nothing(n):
    assert one_sided_p(np.zeros(n))[0] == 0.5


@pytest.mark.parametrize("n", [2, 13, 14, 20, 80])
def test_p_has_a_finite_z_however_clear_the_case(n):
    clear = np.linspace(0.1, 0.2, n)
    low, high = one_sided_p(clear)[0], one_sided_p(-clear)[0]
    assert 0.0 < low < 0.5 < high < 1.0 or n == 2
    assert np.isfinite(stats.norm.isf([low, high])).all()


def test_which_test_is_used():
    named = {n: one_sided_p(np.linspace(-0.1, 0.2, n))[1] for n in (1, 2, 13, 14, 19, 20)}
    assert named == {
        1: "none", 2: "exact permutation", 13: "exact permutation", 14: "permutation",
        19: "permutation", 20: "wilcoxon",
    }  # fmt: skip


def test_p_is_uniform_where_pipelines_do_not_differ():
    rng = np.random.default_rng(0)
    p = [permutation_p(rng.standard_normal(8)) for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_stouffer_is_scipys():
    p, n = np.array([0.01, 0.4, 0.2]), np.array([9, 54, 14])
    expected = stats.combine_pvalues(p, method="stouffer", weights=np.sqrt(n)).pvalue
    assert stouffer(p, n) == pytest.approx(expected, rel=1e-12)
    by_hand = sum(math.sqrt(k) * stats.norm.isf(q) for k, q in zip(n, p, strict=True))
    assert stouffer(p, n) == pytest.approx(stats.norm.sf(by_hand / math.sqrt(n.sum())), rel=1e-12)
    assert stouffer(p[:1], n[:1]) == 0.01


def test_effect_size_by_hand_and_where_it_is_not_defined():
    assert effect_size(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert effect_size(np.zeros(4)) == 0.0
    assert effect_size(np.full(4, 0.1) + 1e-17) == np.inf
    assert effect_size(np.full(4, -0.1)) == -np.inf
    assert math.isnan(effect_size(np.array([0.1])))


def test_corrections_by_hand():
    p = np.array([0.04, 0.01, 0.03, 0.5])
    assert bonferroni(p).tolist() == pytest.approx([0.16, 0.04, 0.12, 1.0])
    assert holm(p).tolist() == pytest.approx([0.09, 0.04, 0.09, 0.5])


# --- comparisons ---------------------------------------------------------------------------------


def test_subjects_are_the_observations():
    table = frame(9)
    found = row(compare(table).pairs, pipe1="B", pipe2="A")
    means = table.groupby(["pipeline", "subject", "session"])["score"].mean()
    means = means.groupby(level=["pipeline", "subject"]).mean()
    differences = (means["B"] - means["A"]).to_numpy()
    assert found["n_subj"] == 9
    assert found["test"] == "exact permutation"
    assert found["mean_diff"] == pytest.approx(differences.mean())
    assert found["smd"] == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found["p"] == permutation_p(differences)
    low, high = stats.t.interval(0.95, 8, differences.mean(), stats.sem(differences))
    sd = differences.std(ddof=1)
    assert (found["smd_low"], found["smd_high"]) == pytest.approx((low / sd, high / sd))


def test_a_session_counts_as_much_as_another_however_many_folds_it_has():
    table = frame(5, pipelines=("A", "B"))
    more = table[(table["session"] == "0")].assign(fold=lambda t: t["fold"] + 10)
    once, twice = compare(table), compare(pd.concat([table, more]))
    pd.testing.assert_frame_equal(once.pairs, twice.pairs)


def test_data_sets_are_combined_by_their_subjects_and_simulated_ones_apart():
    table = pd.concat(
        [
            frame(9, 1, dataset="one"),
            frame(25, 2, dataset="two"),
            frame(6, 3, dataset="made up").assign(simulated=True),
        ]
    )
    found = compare(table.assign(simulated=table["simulated"].fillna(False).astype(bool)))
    real = row(found.combined, pipe1="C", pipe2="A", simulated=False)
    one, two = (row(found.pairs, pipe1="C", pipe2="A", dataset=d) for d in ("one", "two"))
    assert (real["n_datasets"], real["n_subj"]) == (2, 34)
    assert real["p"] == stouffer(np.array([one["p"], two["p"]]), np.array([9, 25]))
    assert real["smd"] == pytest.approx((3 * one["smd"] + 5 * two["smd"]) / 8)
    assert two["test"] == "wilcoxon"
    alone = row(found.combined, pipe1="C", pipe2="A", simulated=True)
    assert alone["p"] == row(found.pairs, pipe1="C", pipe2="A", dataset="made up")["p"]


def test_p_is_corrected_over_the_pairs_of_a_data_set():
    pairs = compare(pd.concat([frame(9, 1, dataset="one"), frame(9, 2, dataset="two")])).pairs
    for _, part in pairs.groupby("dataset"):
        assert len(part) == 6
        assert part["p_bonferroni"].tolist() == bonferroni(part["p"].to_numpy()).tolist()
        assert part["p_holm"].tolist() == holm(part["p"].to_numpy()).tolist()


def test_failed_units_are_left_out_of_their_pair_only_and_told():
    table = frame(8)
    lost = (table["subject"] == "03") & (table["pipeline"] == "B")
    part = (table["subject"] == "05") & (table["session"] == "1") & (table["pipeline"] == "B")
    failed = table.copy()
    failed.loc[lost, ["score", "error"]] = [np.nan, "LinAlgError: not positive definite"]
    failed.loc[part, "error"] = "raised"  # with a score that must not count
    found = compare(failed)
    clean = table[~(table["subject"] == "03")]
    clean = clean[~((clean["subject"] == "05") & (clean["session"] == "1"))]
    expected = row(compare(clean).pairs, pipe1="A", pipe2="B")
    pd.testing.assert_series_equal(
        row(found.pairs, pipe1="A", pipe2="B").drop(["p_holm", "p_bonferroni"]),
        expected.drop(["p_holm", "p_bonferroni"]),
        check_names=False,
    )
    assert row(found.pairs, pipe1="A", pipe2="B")["n_subj"] == 7
    assert row(found.pairs, pipe1="A", pipe2="C")["n_subj"] == 8
    assert any("9 of 144 rows have no score" in note for note in found.notes)
    assert any("A and B are compared on 39 of 48 units, 7 of 8 subjects" in n for n in found.notes)
    assert not any("A and C" in note for note in found.notes)


def test_a_pipeline_that_never_scored_is_compared_with_none():
    table = frame(4)
    table.loc[table["pipeline"] == "B", ["score", "error"]] = [np.nan, "raised"]
    found = compare(table)
    assert set(found.pairs["pipe1"]) == {"A", "C"}
    nothing = compare(table.assign(score=np.nan))
    assert nothing.pairs.empty
    assert nothing.combined.empty
    assert "p_holm" in nothing.pairs


def test_one_subject_shows_nothing_and_it_is_said():
    found = compare(pd.concat([frame(1, 1, dataset="one"), frame(9, 2, dataset="two")]))
    alone = row(found.pairs, pipe1="A", pipe2="B", dataset="one")
    assert (alone["p"], alone["test"]) == (0.5, "none")
    assert math.isnan(alone["smd"])
    two = row(found.pairs, pipe1="A", pipe2="B", dataset="two")
    both = row(found.combined, pipe1="A", pipe2="B")
    assert both["smd"] == two["smd"]
    assert any("one, within_session: one subject" in note for note in found.notes)


def test_identical_pipelines_tie():
    table = frame(9, pipelines=("A",))
    found = compare(pd.concat([table, table.assign(pipeline="twin")]))
    assert found.pairs["p"].tolist() == [0.5, 0.5]
    assert found.pairs["smd"].tolist() == [0.0, 0.0]


def test_the_same_unit_twice_is_not_compared_and_said():
    table = frame(3)
    found = compare(pd.concat([table, table]))
    assert found.pairs.empty
    assert any("stands there twice" in note for note in found.notes)


def test_learning_curves_are_not_tested_and_it_is_said():
    found = compare(frame(5).assign(evaluation="learning_curve"))
    assert found.pairs.empty
    assert any("learning curves" in note for note in found.notes)


def test_a_missing_column_is_named():
    with pytest.raises(ConfigError, match=r"no column 'subject'.*found dataset"):
        compare(frame(3).drop(columns="subject"))


def test_the_order_of_rows_does_not_matter():
    table = frame(16)
    shuffled = compare(table.sample(frac=1.0, random_state=1))
    pd.testing.assert_frame_equal(shuffled.pairs, compare(table).pairs)


# --- chance --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 7, 48, 100, 200])
@pytest.mark.parametrize("n_classes", [2, 3, 4, 12])
def test_chance_of_an_accuracy_is_binomial(n, n_classes):
    low, high = chance_band("accuracy", 1 / n_classes, 0, n)
    law = stats.binom(n, 1 / n_classes)
    assert law.cdf(round(n * high)) - law.cdf(round(n * low) - 1) >= 0.95
    assert law.cdf(round(n * low) - 1) <= 0.025
    assert law.sf(round(n * high)) <= 0.025
    bound = metrics.chance_bound(n, n_classes)
    assert not beats_chance("accuracy", (bound - 1) / n, 1 / n_classes, 0, n)
    if bound <= n:
        assert beats_chance("accuracy", bound / n, 1 / n_classes, 0, n)


@pytest.mark.parametrize(("ones", "twos"), [(30, 30), (10, 50)])
def test_chance_of_an_auc_covers_what_guessing_gives(ones, twos):
    rng = np.random.default_rng(0)
    ranks = rng.random((4000, ones + twos)).argsort(axis=1).argsort(axis=1) + 1
    auc = (ranks[:, :ones].sum(axis=1) - ones * (ones + 1) / 2) / (ones * twos)
    low, high = chance_band("roc_auc", 0.5, ones, ones + twos)
    assert np.mean((auc >= low) & (auc <= high)) == pytest.approx(0.95, abs=0.015)
    above = [beats_chance("roc_auc", a, 0.5, ones, ones + twos) for a in auc.tolist()]
    assert np.mean(above) == pytest.approx(0.05, abs=0.015)


def test_without_test_trials_nothing_is_known_of_chance():
    assert all(math.isnan(v) for v in chance_band("accuracy", 0.5, 0, 0))
    assert not beats_chance("accuracy", 1.0, 0.5, 0, 0)


# --- MOABB ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", [5, 13, 16, 24])
def test_moabb_gives_the_same_table(n):
    theirs = pytest.importorskip(
        "moabb.analysis.meta_analysis", reason="MOABB is not installed", exc_type=ImportError
    )
    table = pd.concat([frame(n, 1, dataset="one"), frame(n + 2, 2, dataset="two")])
    sessions = table.groupby(["dataset", "pipeline", "subject", "session"], as_index=False)[
        ["score"]
    ].mean()
    original = theirs.compute_pvals_perm
    theirs.compute_pvals_perm = lambda df, order=None: original(df, order, seed=0)
    try:
        expected = theirs.compute_dataset_statistics(sessions)
    finally:
        theirs.compute_pvals_perm = original
    found = compare(table, seed=0)
    for mine in found.pairs.itertuples():
        golden = row(expected, dataset=mine.dataset, pipe1=mine.pipe1, pipe2=mine.pipe2)
        assert mine.p == pytest.approx(golden["p"], rel=1e-12)
        assert mine.smd == pytest.approx(golden["smd"], rel=1e-9)
        assert mine.n_subj == golden["nsub"]
    p, effects = theirs.find_significant_differences(expected)
    for mine in found.combined.itertuples():
        assert mine.p == pytest.approx(p.loc[mine.pipe1, mine.pipe2], rel=1e-9)
        assert mine.smd == pytest.approx(effects.loc[mine.pipe1, mine.pipe2], rel=1e-9)
