"""Pairs: what is added is the artifact and nothing else, and every pair knows where it is from."""

from __future__ import annotations

import numpy as np
import pytest

from bci.denoise import components, decomposition
from bci.denoise.components import Component
from bci.denoise.decomposition import Decomposition, decompose
from bci.denoise.montage import TEMPLATE
from bci.denoise.pairs import (
    MIN_PROBA,
    UNTOUCHED,
    Pairs,
    decomposed_pairs,
    mirrored,
    prepare,
    recording_pairs,
    simulated_pairs,
)
from bci.errors import ConfigError, MissingDependency
from bci.paradigms.subject import BRAIN, SimulatedSubject

pytest.importorskip("mne")
NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "Cz", "C4", "Pz", "O1", "O2")


@pytest.fixture(scope="module")
def parts():
    """A minute of a simulated subject, ten channels, by parts, average-referenced."""
    made = SimulatedSubject(sfreq=128.0, ch_names=NAMES, seed=5).generate_parts(60 * 128)
    return {name: part.T - part.T.mean(axis=0) for name, part in made.items()}


@pytest.fixture(scope="module")
def recording(parts):
    return sum(parts.values())


@pytest.fixture(scope="module")
def found(recording):
    return decompose(recording, 128.0, NAMES, labeller="rules")


@pytest.fixture(scope="module")
def simulated():
    return Pairs.join([simulated_pairs(seed, 30.0, n_times=256) for seed in (1, 2)])


# --- decomposition -------------------------------------------------------------------------------


def test_all_components_together_are_the_recording(recording, found):
    assert found.mixing.shape == (10, 9)  # the average reference takes one
    whole = found.mixing @ (found.unmixing @ recording)
    np.testing.assert_allclose(whole, recording, atol=1e-6 * np.abs(recording).max())
    by_label = sum(found.part(recording, label) for label in set(found.labels))
    np.testing.assert_allclose(by_label, whole, atol=1e-9)


def test_the_eyes_are_found_where_the_simulation_has_blinks(recording, parts, found):
    eyes, blinks = (prepare(x, 128.0)[0] for x in (found.part(recording, "Eye"), parts["blinks"]))
    assert np.corrcoef(eyes, blinks)[0, 1] > 0.9
    assert "Brain" in found.labels
    assert found.labeller == "rules"


def test_components_of_doubtful_labels_take_no_part():
    made = Decomposition(
        np.eye(3), np.eye(3),
        (Component("Brain", "", 0.9), Component("Brain", "", 0.4), Component("Eye", "", 0.8)),
        "iclabel",
    )  # fmt: skip
    x = np.random.default_rng(0).standard_normal((3, 50))
    np.testing.assert_array_equal(made.part(x, "Brain", MIN_PROBA), x * [[1], [0], [0]])
    assert made.labels == ("Brain", "Brain", "Eye")


def test_a_short_recording_has_few_components(recording):
    few = decompose(recording[:, : 128 * 4], 128.0, NAMES, labeller="rules")
    assert few.mixing.shape == (10, 5)  # 5² weights of 20 samples each are 500 samples


def test_what_cannot_be_decomposed_is_said(recording, monkeypatch):
    with pytest.raises(ConfigError, match="Lead 1 is no electrode"):
        decompose(recording[:2], 128.0, ("Cz", "Lead 1"))
    with pytest.raises(ConfigError, match="give 1 components"):
        decompose(recording[:, :30], 128.0, NAMES)
    broken = recording.copy()
    broken[3, 100] = np.nan
    with pytest.raises(ConfigError, match="not finite"):
        decompose(broken, 128.0, NAMES)
    monkeypatch.setattr(components, "find_spec", lambda _: None)
    assert decomposition._labeller("auto") == "rules"


def test_iclabel_where_it_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mne_icalabel", None)
    with pytest.raises(MissingDependency, match=r"pip install 'neuroloop\[iclabel\]'"):
        decomposition._labeller("iclabel")


# --- pairs ---------------------------------------------------------------------------------------


def test_preparing_keeps_time_and_the_band():
    t, at = np.arange(8 * 160) / 160, np.arange(8 * 256) / 256
    keep, drop = 10 * np.sin(2 * np.pi * 10 * t), 50 * np.sin(2 * np.pi * 0.2 * t) + 30
    fast = 10 * np.sin(2 * np.pi * 70 * t)
    made = prepare((keep + drop + fast)[None], 160.0)
    assert made.shape == (1, 8 * 256)
    inner = slice(2 * 256, -2 * 256)
    np.testing.assert_allclose(made[0, inner], 10 * np.sin(2 * np.pi * 10 * at)[inner], atol=0.25)


def test_simulated_pairs_are_the_parts_of_the_subject():
    pairs = simulated_pairs(3, 20.0, n_times=512)
    made = SimulatedSubject(sfreq=256.0, ch_names=TEMPLATE, seed=3).generate_parts(20 * 256)
    blinks = made["blinks"].T - made["blinks"].T.mean(axis=0)
    brain = sum(made[name] for name in (*BRAIN, "sensor")).T
    filtered, true = prepare(blinks, 256.0), prepare(brain - brain.mean(axis=0), 256.0)
    eyes = pairs.rows(np.flatnonzero(pairs.artifact == "Eye"))
    assert len(eyes)
    for noisy, clean in zip(eyes.noisy, eyes.clean, strict=True):
        starts = [k * 512 for k in range(10)]
        errors = [np.abs(true[:, k : k + 512] - clean).max() for k in starts]
        k = starts[int(np.argmin(errors))]
        np.testing.assert_allclose(clean, true[:, k : k + 512], atol=1e-4)
        np.testing.assert_allclose(noisy - clean, filtered[:, k : k + 512], atol=1e-4)


def test_pairs_of_a_recording_are_brain_and_brain_with_one_class(recording, found):
    pairs = decomposed_pairs(recording, 128.0, NAMES, found, "one", 512, NAMES)
    brain, eyes = (prepare(found.part(recording, label), 128.0) for label in ("Brain", "Eye"))
    assert pairs.ch_names == NAMES
    assert set(pairs.source.tolist()) == {"one"}
    chosen = pairs.rows(np.flatnonzero(pairs.artifact == "Eye"))
    assert len(chosen)
    inside = np.lib.stride_tricks.sliding_window_view(brain, 512, axis=1)[:, ::512]
    at = [int(np.abs(inside - c[:, None]).max(axis=(0, 2)).argmin()) for c in chosen.clean]
    for pair, k in enumerate(at):
        stretch = slice(512 * k, 512 * (k + 1))
        np.testing.assert_allclose(chosen.clean[pair], brain[:, stretch], atol=1e-4)
        difference = chosen.noisy[pair] - chosen.clean[pair]
        np.testing.assert_allclose(difference, eyes[:, stretch], atol=1e-4)


def test_without_brain_or_artifact_there_are_no_pairs(recording):
    for label in ("Other", "Brain"):
        labelled = tuple(Component(label, "") for _ in range(9))
        nothing = Decomposition(np.zeros((10, 9)), np.zeros((9, 10)), labelled, "rules")
        pairs = decomposed_pairs(recording, 128.0, NAMES, nothing, "none", 256)
        assert pairs.noisy.shape == pairs.clean.shape == (0, 30, 256)
        assert len(Pairs.join([pairs, pairs])) == 0


def test_the_reference_of_a_recording_does_not_matter(recording):
    common = 40 * np.sin(np.arange(recording.shape[1]) / 9)
    one, other = (
        recording_pairs(x, 128.0, NAMES, "x", n_times=512, labeller="rules", template=NAMES)
        for x in (recording[:, : 16 * 128], (recording + common)[:, : 16 * 128])
    )
    np.testing.assert_array_equal(one.artifact, other.artifact)
    np.testing.assert_allclose(one.noisy, other.noisy, atol=1e-3)


def test_pairs_are_split_by_source(simulated):
    one = simulated.of(["simulated-1"])
    assert set(one.source.tolist()) == {"simulated-1"}
    assert len(one) + len(simulated.of({"simulated-2"})) == len(simulated)
    assert len(simulated.of(["nobody"])) == 0


def test_varied_pairs_are_other_views_of_the_same_windows_and_artifacts():
    """Each is found again: turned in time, mirrored, with a sign, with one artifact scaled."""
    rng = np.random.default_rng(0)
    n, names = 200, ("F3", "Fz", "F4", "O1")
    clean, artifact = rng.standard_normal((2, n, 4, 16)).astype(np.float32)
    source = np.repeat(["one", "two"], n // 2)
    pairs = Pairs(clean + artifact, clean, np.arange(n).astype(str), source, names)
    varied = pairs.varied(np.random.default_rng(1))
    np.testing.assert_array_equal(varied.noisy, pairs.varied(np.random.default_rng(1)).noisy)
    seen = []
    for k in range(n):
        for channels in ([0, 1, 2, 3], [2, 1, 0, 3]):
            views = np.stack([np.roll(clean[k, channels], shift, axis=1) for shift in range(16)])
            dots = np.einsum("sct,ct->s", views, varied.clean[k]) / np.square(clean[k]).sum()
            if np.abs(dots).max() > 0.999:
                shift = int(np.abs(dots).argmax())
                sign = float(np.sign(dots[shift]))
                added = np.roll((varied.noisy - varied.clean)[k], -shift, axis=1)[channels] * sign
                moved = artifact[int(varied.artifact[k])]
                gain = float((added * moved).sum() / np.square(moved).sum())
                np.testing.assert_allclose(added, gain * moved, atol=1e-5)
                seen.append((channels[0], shift, sign, gain))
        assert len(seen) == k + 1
        assert source[int(varied.artifact[k])] == source[k]
    sides, shifts, signs, gains = map(np.array, zip(*seen, strict=True))
    assert 0.3 < np.mean(sides == 0) < 0.7
    assert 0.3 < np.mean(signs > 0) < 0.7
    assert set(shifts.tolist()) == set(range(16))
    assert abs(np.mean(np.abs(gains) < 1e-6) - UNTOUCHED) < 0.1
    there = gains[np.abs(gains) > 1e-6]
    assert there.min() > 0.49
    assert there.max() < 2.01


def test_left_and_right_of_the_head():
    crossed = [TEMPLATE[k] for k in mirrored(TEMPLATE)]
    expected = {"Fp1": "Fp2", "Fz": "Fz", "T7": "T8", "P8": "P7", "CP3": "CP4"}
    assert {name: crossed[TEMPLATE.index(name)] for name in expected} == expected
    assert mirrored(("PO10", "Cz", "PO9", "F3")).tolist() == [2, 1, 0, 3]


def test_pairs_of_other_shapes_are_not_joined(simulated):
    with pytest.raises(ConfigError, match="2 different channels, rates or lengths"):
        Pairs.join([simulated, simulated_pairs(1, 10.0, n_times=128)])
