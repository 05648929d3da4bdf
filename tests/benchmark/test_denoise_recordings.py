"""The benchmark of denoisers on held-out recordings, on simulated subjects."""

from __future__ import annotations

import numpy as np
import pytest

from bci.benchmark.cleaning.recording_methods import ICA, Task
from bci.benchmark.cleaning.recording_study import ALL, RecordingStudy, rows
from bci.denoise.pairs import Pairs, simulated_pairs
from bci.errors import ConfigError

pytest.importorskip("mne")


def asked(**methods):
    return RecordingStudy(
        train={"simulated": [1]}, test={"simulated": [2, 3]}, simulated_s=25.0, n_times=256,
        n_train=80, methods=methods,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found():
    study = asked(
        untouched={"kind": "untouched"},
        regression={"kind": "regression"},
        wiener={"kind": "wiener", "length_s": 0.01},
    )
    return study, [row for name in study.methods for row in rows(study, name)]


def test_each_method_and_class_has_its_figures(found):
    _, made = found
    of = {(row["method"], row["artifact"]): row for row in made}
    classes = {artifact for _, artifact in of}
    assert {ALL, "Eye", "LineNoise"} <= classes
    whole = of["untouched", ALL]
    assert whole["n"] == sum(of["untouched", c]["n"] for c in classes - {ALL})
    assert whole["n_sources"] == 2
    assert set(whole["rrmse_t_by_source"]) == {"simulated-2", "simulated-3"}
    eyes = {method: of[method, "Eye"]["rrmse_t"] for method, c in of if c == "Eye"}
    assert eyes["regression"] < eyes["untouched"]
    assert eyes["wiener"] < eyes["untouched"]


def test_untouched_is_what_was_added_over_what_was_there(found):
    _, made = found
    pairs = Pairs.join([simulated_pairs(seed, 25.0, n_times=768) for seed in (2, 3)])
    noisy, clean = (x[..., 256:512].astype(float) for x in (pairs.noisy, pairs.clean))
    expected = np.sqrt(np.mean((noisy - clean) ** 2, axis=(1, 2)) / np.mean(clean**2, axis=(1, 2)))
    assert made[0]["rrmse_t"] == pytest.approx(expected.mean(), rel=1e-6)


def test_it_is_told_in_tables(found):
    study, made = found
    (section,) = study.sections([{**row, "error": ""} for row in made])
    tables = section.blocks[0].tables
    assert [table.rows[0][0] for table in tables[:3]] == ["untouched"] * 3
    assert [row[0] for row in tables[3].rows] == ["regression", "wiener"]
    assert "favours ICA" in section.blocks[0].caption
    assert study.sections([{"error": "no"}]) == []


@pytest.mark.slow
def test_ica_takes_blinks_out():
    pairs = simulated_pairs(4, 120.0, n_times=512)
    eyes = pairs.rows(np.flatnonzero(pairs.artifact == "Eye"))
    task = Task(eyes, slice(0, 512), lambda: eyes, 1, 0)
    left = ICA(labeller="rules").cleaned(task) - eyes.clean
    assert np.sqrt(np.mean(left**2)) < 0.5 * np.sqrt(np.mean((eyes.noisy - eyes.clean) ** 2))


def test_a_denoiser_that_knows_the_test_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    from bci.denoise.artifact import save
    from bci.denoise.montage import TEMPLATE
    from models.denoising import Denoiser, build

    assert torch
    known = {
        "network": "art_patch", "n_channels": 30, "n_times": 256, "sfreq": 256.0,
        "ch_names": TEMPLATE, "settings": {"width": 16, "n_heads": 2, "n_layers": 1},
    }  # fmt: skip
    network = build("art_patch", 30, 256, **known["settings"])
    save(tmp_path / "knows", Denoiser(network), {**known, "sources": {"pairs": ["simulated-3"]}})
    save(tmp_path / "fair", Denoiser(network), {**known, "sources": {"pairs": ["simulated-1"]}})
    study = asked(
        knows={"kind": "denoiser", "path": tmp_path / "knows"},
        untouched={"kind": "untouched"},
        fair={"kind": "denoiser", "path": tmp_path / "fair"},
        streamed={"kind": "streamed", "path": tmp_path / "fair", "hop_s": 0.2},
    )
    with pytest.raises(ConfigError, match="has learnt from simulated-3"):
        rows(study, "knows")
    # untrained, it takes nothing away: streamed or not, its figures are those of no method
    of = {name: rows(study, name)[0]["rrmse_t"] for name in ("untouched", "fair", "streamed")}
    assert of["fair"] == pytest.approx(of["untouched"], rel=1e-4)
    assert of["streamed"] == pytest.approx(of["untouched"], rel=1e-4)


def test_training_and_test_are_apart():
    with pytest.raises(ValueError, match="in 'train' and in 'validation'"):
        RecordingStudy(
            train={"simulated": [1]}, test={"simulated": [1]}, methods={"u": {"kind": "untouched"}}
        )
