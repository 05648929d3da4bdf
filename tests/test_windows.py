"""Windows against their definition: positions, contents, quality, sums."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci.config import QualityRules, WindowSettings
from bci.types import Chunk, Flag, Marker, Quality
from bci.windows import WindowCutter, look_lengths

SFREQ = 100.0


def cutter(ratio=Fraction(1), rules=None, **settings):
    return WindowCutter(WindowSettings(**settings), rules or QualityRules(), SFREQ, 3, ratio)


def samples(start, stop):
    return np.column_stack([np.arange(start, stop)] * 3) * [1.0, 10.0, 0.1]


def feed(cut, n, chunk, flags=()):
    windows = []
    for start in range(0, n, chunk):
        cut.add(Chunk(start, samples(start, min(start + chunk, n)), flags))
        windows += cut.due()
    return windows


@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_sliding_windows_lie_on_the_absolute_grid(chunk):
    windows = feed(cutter(length_s=0.5, hop_s=0.2), 1000, chunk)
    assert [(w.start, w.stop) for w in windows] == [(k, k + 50) for k in range(0, 951, 20)]
    for w in windows:
        assert w.data.flags.c_contiguous
        np.testing.assert_array_equal(w.data, samples(w.start, w.stop).T)


@pytest.mark.parametrize("hop_s", [0.1, 0.07])
def test_moments_are_the_sums_of_the_window_for_any_chunking(hop_s):
    got = []
    for chunk in (1, 33, 400):
        cut = cutter(length_s=0.5, hop_s=hop_s)
        cut.want_moments, cut.want_data = True, False
        got.append(feed(cut, 1000, chunk))
    for rows in zip(*got, strict=True):
        x = samples(rows[0].start, rows[0].stop)
        np.testing.assert_allclose(rows[0].moments.second, x.T @ x, rtol=1e-12)
        np.testing.assert_allclose(rows[0].moments.first, x.sum(axis=0), rtol=1e-12)
        assert rows[0].data is None
        for other in rows[1:]:
            np.testing.assert_allclose(other.moments.second, rows[0].moments.second, rtol=1e-14)


def test_a_growing_trial_ends_when_it_is_closed():
    cut = cutter(kind="growing", min_s=0.2, hop_s=0.15, length_s=0.6, offset_s=0.1)
    first, second = Marker(0, 100, "a"), Marker(0, 300, "b")
    cut.open_trial(first)
    cut.open_trial(second)
    lengths = []
    for start in range(0, 500, 5):
        cut.add(Chunk(start, samples(start, start + 5)))
        for w in cut.due():
            lengths.append((w.marker.value, w.start, w.stop - w.start, w.final))
            if w.marker is first and w.stop - w.start == 35:
                cut.close_trial(first)
    assert lengths == [
        ("a", 110, 20, False),
        ("a", 110, 35, False),
        ("b", 310, 20, False),
        ("b", 310, 35, False),
        ("b", 310, 50, False),
        ("b", 310, 60, True),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "growing", "min_s": 0.2, "hop_s": 0.15, "length_s": 0.6},
        {"kind": "growing", "min_s": 0.2, "hop_s": 0.2, "length_s": 0.6},
        {"kind": "growing", "min_s": 0.6, "hop_s": 0.004, "length_s": 0.6},
        {"kind": "growing", "min_s": 0.57, "hop_s": 0.004, "length_s": 0.6},
        {"kind": "marker", "min_s": 0.2, "hop_s": 0.1, "length_s": 0.6},
    ],
)
def test_the_lengths_that_are_announced_are_those_that_are_cut(settings):
    cut = cutter(**settings)
    cut.open_trial(Marker(0, 100, "a"))
    lengths = tuple(w.stop - w.start for w in feed(cut, 400, 9))
    assert look_lengths(WindowSettings(**settings), SFREQ) == lengths


def test_a_marker_that_comes_late_still_gets_its_window():
    cut = cutter(kind="marker", length_s=0.5)
    feed(cut, 400, 40)
    cut.open_trial(Marker(400, 120, "x"))
    (window,) = cut.due()
    assert (window.start, window.quality.ok) == (120, True)
    np.testing.assert_array_equal(window.data, samples(120, 170).T)


def test_a_marker_that_comes_too_late_or_lies_before_the_start_is_said_so():
    cut = cutter(kind="marker", length_s=0.5)
    feed(cut, 9000, 40)
    cut.open_trial(Marker(9000, 120, "x"))
    cut.open_trial(Marker(9000, -5, "y"))
    early, late = cut.due()
    assert (early.quality.reasons, early.data) == (("before-start",), None)
    assert (late.quality.reasons, late.data) == (("too-late",), None)


def test_a_break_spoils_exactly_the_windows_that_contain_it():
    cut = cutter(length_s=0.5, hop_s=0.1)
    cut.add(Chunk(0, samples(0, 200)))
    windows = list(cut.due())
    cut.break_at(200, "lost")
    cut.add(Chunk(200, samples(200, 400)))
    windows += cut.due()
    assert [w.start for w in windows if not w.quality.ok] == [160, 170, 180, 190]


def test_skipped_samples_are_never_shown():
    cut = cutter(length_s=0.5, hop_s=0.1)
    cut.add(Chunk(0, samples(0, 200)))
    windows = list(cut.due())
    cut.break_at(5300, "backlog")
    cut.add(Chunk(5300, samples(5300, 5400)))
    windows += cut.due()
    bad = [w for w in windows if not w.quality.ok]
    assert {w.start for w in bad} == set(range(160, 5300, 10))
    assert [w.start for w in windows if w.quality.ok][-6:] == [5300, 5310, 5320, 5330, 5340, 5350]


def test_flags_reject_by_their_share():
    gate = Flag(100, 110, "amplitude")
    note = Flag(0, 400, "bad-channel", "Cz", rejects=False)
    strict = feed(cutter(length_s=0.5, hop_s=0.1), 400, 10, (gate, note))
    assert [w.start for w in strict if not w.quality.ok] == [60, 70, 80, 90, 100]
    assert all(w.quality.bads == ("Cz",) for w in strict)
    assert next(w for w in strict if w.start == 60).quality.bad_fraction == pytest.approx(0.2)
    lenient = QualityRules(max_bad_fraction=0.2)
    assert all(
        w.quality.ok
        for w in feed(cutter(length_s=0.5, hop_s=0.1, rules=lenient), 400, 10, (gate, note))
    )
    none_bad = QualityRules(max_bad_channels=0)
    assert not any(
        w.quality.ok for w in feed(cutter(length_s=0.5, rules=none_bad), 400, 10, (note,))
    )


def test_overlapping_flags_count_once():
    flags = (Flag(100, 110, "amplitude"), Flag(105, 115, "non-finite"))
    windows = feed(cutter(length_s=0.5, hop_s=0.5), 400, 100, flags)
    assert windows[2].quality.bad_fraction == pytest.approx(15 / 50)


def test_windows_of_a_resampled_stream_name_raw_samples():
    cut = WindowCutter(
        WindowSettings(length_s=0.5, hop_s=0.5), QualityRules(), 50.0, 3, Fraction(1, 5)
    )
    windows = feed(cut, 100, 10)
    assert [(w.first, w.last) for w in windows[:2]] == [(0, 120), (125, 245)]


def test_memory_of_the_ledger_is_bounded():
    cut = cutter(length_s=0.5, hop_s=0.1)
    for start in range(0, 200_000, 10):
        cut.add(Chunk(start, samples(start, start + 10), (Flag(start, start + 3, "amplitude"),)))
        cut.break_at(start + 10, "lost")  # twice before one sample
        cut.break_at(start + 10, "lost")
        list(cut.due())
    held = cut.ring.capacity // 10 + 1
    assert sum(len(runs) for runs in cut._ledger.runs.values()) <= held
    assert len(cut._ledger.breaks) <= held + 1


FLAGS = st.builds(
    lambda start, n, *rest: Flag(start, start + n, *rest),
    st.integers(0, 60), st.integers(0, 15), st.sampled_from(["a", "b"]),
    st.sampled_from([None, "Cz"]), st.booleans(), st.booleans(),
)  # fmt: skip


@given(flags=st.lists(FLAGS, max_size=12), at=st.integers(0, 70), length=st.integers(1, 30))
def test_quality_is_that_of_the_samples_one_by_one(flags, at, length):
    """Flags of one kind may overlap, touch, and come in any order (two gates in one chain)."""
    cut = WindowCutter(
        WindowSettings(length_s=length / SFREQ, hop_s=0.01),
        QualityRules(max_bad_fraction=0.3, max_repaired_fraction=0.5),
        SFREQ,
        3,
    )
    cut.add(Chunk(0, samples(0, 100), tuple(flags)))
    window = next(w for w in cut.due() if w.start == at)
    hit = [f for f in flags if any(f.start <= i < f.stop for i in range(at, at + length))]
    of = range(at, at + length)
    bad = [i for i in of if any(f.start <= i < f.stop and f.rejects for f in hit)]
    mended = [i for i in of if any(f.start <= i < f.stop and f.repairs for f in hit)]
    too_much = {"repaired-too-much"} if len(mended) / length > 0.5 else set()
    assert window.quality == Quality(
        len(bad) / length <= 0.3 and not too_much,
        tuple(sorted({f.reason for f in hit} | too_much)),
        tuple(sorted({f.channel for f in hit} - {None})),
        len(bad) / length,
        tuple(sorted({f.reason for f in hit if f.repairs})),
        len(mended) / length,
    )


def test_what_was_mended_is_told_and_the_rule_abstains_beyond_its_share():
    mended = (
        Flag(100, 130, "asr", rejects=False, repairs=True),
        Flag(120, 140, "eog", rejects=False, repairs=True),  # 10 samples are under both
    )
    for limit, spoilt in ((1.0, []), (0.6, [85, 90, 95, 100, 105]), (0.0, list(range(55, 140, 5)))):
        rules = QualityRules(max_repaired_fraction=limit)
        windows = feed(cutter(length_s=0.5, hop_s=0.05, rules=rules), 400, 20, mended)
        by_start = {w.start: w.quality for w in windows}
        assert [start for start, q in by_start.items() if not q.ok] == spoilt
        assert by_start[100].repaired == ("asr", "eog")
        assert by_start[100].repaired_fraction == pytest.approx(40 / 50)
        assert by_start[135].repaired == ("eog",)
        assert by_start[135].repaired_fraction == pytest.approx(5 / 50)
        assert (by_start[150].repaired, by_start[150].repaired_fraction) == ((), 0.0)
        for q in by_start.values():
            assert ("repaired-too-much" in q.reasons) == (not q.ok)
            assert q.bad_fraction == 0.0


def test_windows_of_one_channel_are_copies():
    cut = WindowCutter(WindowSettings(length_s=0.5, hop_s=0.1), QualityRules(), SFREQ, 1)
    windows = []
    for start in range(0, 20_000, 100):
        cut.add(Chunk(start, samples(start, start + 100)[:, :1]))
        windows += cut.due()
    for w in windows:
        np.testing.assert_array_equal(w.data[0], np.arange(w.start, w.stop))


def test_windows_over_a_gap_name_it_also_when_they_end_after_it():
    cut = cutter(length_s=0.5, hop_s=0.1, rules=QualityRules(max_bad_fraction=1.0))
    cut.add(Chunk(0, samples(0, 200)))
    assert all(w.quality.ok for w in cut.due())
    cut.break_at(5000, "backlog")
    cut.add(Chunk(5000, samples(5000, 5200)))
    bad = {w.start: w.quality for w in cut.due() if not w.quality.ok}
    assert set(bad) == set(range(160, 5000, 10))
    assert {q.reasons for q in bad.values()} == {("backlog",)}
    assert [bad[start].bad_fraction for start in (160, 1000, 4990)] == [0.2, 1.0, 0.2]


def test_samples_out_of_place_are_refused():
    cut = cutter()
    cut.add(Chunk(0, samples(0, 10)))
    with pytest.raises(ValueError, match="sample 10 is expected, 12 comes"):
        cut.add(Chunk(12, samples(12, 20)))


@pytest.mark.parametrize("n_channels", [3, 200])
def test_moments_begin_where_they_are_first_wanted(n_channels):
    """Whether blocks pay (few channels) or not, and whatever was skipped before."""
    x = np.random.default_rng(0).normal(size=(3000, n_channels))
    cut = WindowCutter(WindowSettings(length_s=0.5, hop_s=0.25), QualityRules(), SFREQ, n_channels)
    windows = []
    for start in range(0, 3000, 75):
        cut.want_moments = start < 700 or 1500 <= start < 2200 or start > 2250
        flags = (Flag(start, start + 1, "x"),) if 900 < start < 1700 else ()
        cut.add(Chunk(start, x[start : start + 75], flags))
        windows += cut.due()
    with_sums = [w for w in windows if w.moments is not None]
    assert len(with_sums) > 50
    for w in with_sums:
        np.testing.assert_allclose(w.moments.second, w.data @ w.data.T, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(w.moments.first, w.data.sum(axis=1), rtol=1e-9, atol=1e-9)


def test_trials_become_due_in_the_order_of_their_last_sample():
    rng = np.random.default_rng(0)
    cut = cutter(kind="growing", min_s=0.2, hop_s=0.15, length_s=0.6)
    onsets = rng.integers(0, 900, 200).tolist()
    for k, onset in enumerate(onsets):
        cut.open_trial(Marker(0, onset, str(k)))
    cut.add(Chunk(0, samples(0, 1000)))
    windows = [(w.stop, w.start, int(w.marker.value)) for w in cut.due()]
    assert windows == sorted(windows)
    assert len(windows) == sum(o + n <= 1000 for o in onsets for n in (20, 35, 50, 60))


def test_trials_are_bounded_and_counted():
    cut = cutter(kind="marker", length_s=0.5)
    for i in range(1200):
        cut.open_trial(Marker(0, 3000 - i, str(i)))
    assert cut.n_dropped_trials == 200
    cut.add(Chunk(0, samples(0, 3050)))
    assert [int(w.marker.value) for w in cut.due()] == list(range(1199, 199, -1))
