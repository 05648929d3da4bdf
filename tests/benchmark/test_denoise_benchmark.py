"""Studies of denoising: figures on a bank, decoders behind chains, and how they are told."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest

from bci.benchmark import main, study
from bci.benchmark.cleaning.contamination import AddedArtifacts, contaminate
from bci.benchmark.cleaning.decoder_study import decoded_right
from bci.benchmark.cleaning.methods import DenoiserMethod, NetworkMethod, Task
from bci.benchmark.cleaning.report import chosen, margins
from bci.benchmark.cleaning.windows import Windows
from bci.benchmark.config import PipelineSettings
from bci.benchmark.datasets.simulated import SimulatedSetSettings
from bci.denoise.bank import Bank
from bci.errors import ConfigError
from bci.sources.files import Recording
from bci.types import RawMarker, StreamInfo

SFREQ = 128.0


def slow(rng, n):
    """Random walks: a toy of eye movements."""
    x = np.cumsum(rng.standard_normal((n, 256)), axis=1)
    return x - x.mean(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """Four people's EEG (10 Hz in noise), eyes (slow) and muscles (white), 20 epochs each."""
    rng = np.random.default_rng(0)
    t = np.arange(256) / SFREQ
    phase = rng.uniform(0, 2 * np.pi, (80, 1))
    eeg = 20 * np.sin(2 * np.pi * 10 * t + phase) + rng.standard_normal((80, 256))
    held = {"eeg": eeg, "eog": 30 * slow(rng, 80), "emg": 9 * rng.standard_normal((80, 256))}
    path = tmp_path_factory.mktemp("bank") / "bank.npz"
    sources = {f"{k}_src": np.repeat([f"{k}{i}" for i in range(4)], 20) for k in held}
    np.savez(path, fs=SFREQ, **{k: v.astype(np.float32) for k, v in held.items()}, **sources)
    return path


def told(path):
    return json.loads((path / "results.json").read_text())


@pytest.fixture(scope="module")
def denoised(bank, tmp_path_factory):
    config = tmp_path_factory.mktemp("config") / "denoise.yaml"
    config.write_text(f"""
kind: denoise
name: a tiny bank
bank: {bank}
snr_db: [-7, 0]
n_train: 60
n_test: 40
test_share: 0.25
validation_share: 0.25
methods:
  untouched: {{kind: untouched}}
  band-pass: {{kind: filter, eog: {{low_hz: 4}}, emg: {{low_hz: 8, high_hz: 12}}}}
  regression: {{kind: regression}}
  ASR: {{kind: asr}}
  Wiener: {{kind: wiener, length_s: 0.25}}
  absent: {{kind: denoiser, eog: {config.parent / "none"}}}
""")
    said: list[str] = []
    out = config.parent / "out"
    done = main.run(config, out, None, 1, False, False, said.append)
    return SimpleNamespace(config=config, out=out, done=done, said=said, rows=told(out))


def test_a_bank_gives_every_figure_of_every_method(denoised):
    rows = {(r["artifact"], r["method"], r["snr_db"]): r for r in denoised.rows if r.get("snr_db")
            is not None}  # fmt: skip
    assert len(rows) == 2 * 3 * 2  # artifacts, methods, SNRs
    for artifact in ("eog", "emg"):
        for snr_db in (-7, 0):
            untouched = rows[artifact, "untouched", snr_db]
            assert untouched["rrmse_t"] == pytest.approx(10 ** (-snr_db / 10), rel=1e-5)
            assert untouched["snr_gain_db"] == pytest.approx(0, abs=1e-9)
            learned = rows[artifact, "Wiener", snr_db]
            assert learned["rrmse_t"] < untouched["rrmse_t"]
            assert learned["cc"] > untouched["cc"]
            assert learned["snr_gain_db"] > 1
    assert rows["emg", "band-pass", -7]["rrmse_t"] < 2.5


def test_what_one_channel_cannot_show_is_said_and_not_scored(denoised):
    rows = [r for r in denoised.rows if r.get("method") in ("regression", "ASR")]
    assert len(rows) == 4
    assert all("not applicable" in r["why"] and "rrmse_t" not in r for r in rows)
    assert "not applicable" in (denoised.out / "summary.md").read_text()


def test_a_method_that_fails_fails_alone(denoised):
    assert not denoised.done
    failed = {r["piece"]: r["error"] for r in denoised.rows if r["error"]}
    assert set(failed) == {"eog · absent", "emg · absent"}
    assert "does not exist" in failed["eog · absent"]
    assert "no denoiser is named for 'emg'" in failed["emg · absent"]


def test_all_files_are_there_and_whole(denoised):
    page = (denoised.out / "report.html").read_text()
    assert "EMG artifacts" in page
    assert "2 failed" in page
    with (denoised.out / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(denoised.rows)
    assert float(lines[0]["rrmse_t"]) == pytest.approx(denoised.rows[0]["rrmse_t"])


def test_what_is_done_is_not_done_again(denoised):
    said: list[str] = []
    main.run(denoised.config, denoised.out, None, 1, False, False, said.append)
    assert "12 pieces of work, 10 of them done before" in said
    assert told(denoised.out) == denoised.rows


def test_a_denoiser_that_knows_the_test_is_refused(monkeypatch):
    from bci.denoise import artifact

    manifest = SimpleNamespace(sources={"eeg": ("a", "b"), "eog": ("c",)})
    monkeypatch.setattr(artifact, "load", lambda path: SimpleNamespace(manifest=manifest))
    task = Task({}, "eog", {"eeg": frozenset({"b"})}, 0, Path("x"), print)
    with pytest.raises(ConfigError, match="has learnt from b"):
        DenoiserMethod(eog=Path("x")).build(task)


def test_a_network_is_trained_on_the_training_sources_and_kept(bank, tmp_path):
    pytest.importorskip("torch")
    held = {"path": str(bank), "snr_db": [-7, 2], "test_share": 0.25, "validation_share": 0.25}
    task = Task(held, "emg", {}, 0, tmp_path / "kept" / "emg", print)
    method = NetworkMethod(
        network={"name": "u_net", "widths": [4, 8], "taps": 3}, recipe={"n_epochs": 1}
    )
    made = method.build(task)
    assert made.manifest.removes == ("emg",)
    _, _, test = Bank.load(bank).split(0.25, 0.25, 0)
    assert not set(made.manifest.sources["eeg"]) & set(test.clean_sources.tolist())
    noisy = np.random.default_rng(0).standard_normal((3, 256))
    cleaned = made.fit(noisy, noisy, SFREQ).clean(noisy)
    assert cleaned.shape == noisy.shape
    again = method.build(task)  # it is there, and not trained again
    np.testing.assert_array_equal(again.clean(noisy), cleaned)


def test_a_mistake_in_a_study_is_told_with_its_line():
    with pytest.raises(ConfigError, match=r"wrong.yaml:3: unknown key 'method'.*'methods'"):
        study.load("kind: denoise\nbank: x.npz\nmethod: {}\n", "wrong.yaml")
    text = DECODERS.replace("max_uv", "max_mv")
    with pytest.raises(ConfigError, match=r"x.yaml:6: unknown key 'chains.gate.0.max_mv'.*max_uv"):
        study.load(text, "x.yaml")
    text = DECODERS.replace("n_per_class", "n_per_clas")
    with pytest.raises(ConfigError, match=r"x.yaml:14: .*n_per_clas'.*'n_per_class'"):
        study.load(text, "x.yaml")


def test_a_study_has_nothing_to_deploy(denoised):
    with pytest.raises(ConfigError, match="this one is of denoising"):
        main.deploy(denoised.config, denoised.out, "Wiener", "1", None, print)


# --- artifacts added -----------------------------------------------------------------------------


def recording(ch_names=("Fp1", "Fp2", "T7", "Cz", "Oz"), seconds=120):
    rng = np.random.default_rng(1)
    info = StreamInfo("toy", SFREQ, ch_names, ("eeg",) * len(ch_names))
    data = 10 * rng.standard_normal((round(seconds * SFREQ), len(ch_names)))
    stamps = np.arange(len(data)) / SFREQ
    return Recording(Path("toy"), info, data, stamps, [RawMarker("a", 1.0, 128)])


def test_artifacts_are_added_as_strong_as_asked_where_they_are_strongest(bank):
    asked = AddedArtifacts(bank=bank, eog={"per_min": 20, "snr_db": (-4, -4)})
    pair = contaminate(recording(), asked, seed=3)
    added = pair.contaminated.data - pair.clean.data
    np.testing.assert_array_equal(pair.clean.data, recording().data)
    assert pair.contaminated.markers == recording().markers
    strongest = np.abs(added).max(axis=0)
    assert strongest.argmax() in (0, 1)
    assert strongest[3] == pytest.approx(0.093 * strongest[0], rel=0.05)  # Cz: physiology's share
    inside = added[:, 0] != 0
    assert 0.2 < inside.mean() < 0.9
    from scipy.signal import butter, sosfiltfilt

    sos = butter(2, (1, 45), "bandpass", fs=SFREQ, output="sos")
    own = np.sqrt(np.mean(sosfiltfilt(sos, pair.clean.data[:, 0]) ** 2))
    rms = np.sqrt(np.mean(added[inside, 0] ** 2))
    assert rms / own == pytest.approx(10**0.4, rel=0.1)  # -4 dB of amplitudes


def test_the_same_seed_adds_the_same(bank):
    asked = AddedArtifacts(bank=bank, emg={"per_min": 15}, eog={"per_min": 15})
    one, same, other = (contaminate(recording(), asked, seed).contaminated for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.data, same.data)
    assert not np.array_equal(one.data, other.data)


def test_what_the_eyes_sent_can_be_a_channel_of_its_own(bank):
    asked = AddedArtifacts(bank=bank, eog={"per_min": 20}, reference="EOG")
    pair = contaminate(recording(), asked, seed=0)
    assert pair.clean.info.ch_names[-1] == pair.contaminated.info.ch_names[-1] == "EOG"
    assert pair.clean.info.ch_types[-1] == "eog"
    added = (pair.contaminated.data - pair.clean.data)[:, [0, 5]]
    assert np.corrcoef(added.T)[0, 1] == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="choose another name"):
        contaminate(pair.clean, asked, seed=0)


def test_muscles_out_of_reach_are_told(bank):
    asked = AddedArtifacts(bank=bank, emg={"per_min": 20})
    with pytest.raises(ConfigError, match="no electrode lies near"):
        contaminate(recording(("C3", "Cz", "C4")), asked, seed=0)


# --- a simulated person with and without artifacts -----------------------------------------------


def test_a_person_without_artifacts_is_the_same_person():
    asked = SimulatedSetSettings(
        paradigm="imagery2", n_subjects=1, n_sessions=2, n_per_class=2, lead_s=4.0,
        electrodes=("Fp1", "T7", "C3", "C4"),
        artifacts={"blinks_per_min": 26, "emg_per_min": 60, "emg_uv": 100},
    )  # fmt: skip
    quiet = asked.model_copy(update={"artifacts": asked.artifacts.without()})
    both = [list(s.build().recordings("01")) for s in (asked, quiet)]
    for (_, loud), (_, calm) in zip(*both, strict=True):
        assert loud.markers == calm.markers
        assert min(m.index for m in loud.markers) >= 4 * 250
        added = loud.data - calm.data
        assert np.abs(added[:, 0]).max() > 80  # a blink at Fp1
        assert np.median(np.abs(added[:, 2])) < 5
    typical = asked.model_copy(update={"artifacts": None})
    rest = [np.ptp(r.data[:, 0]) for _, r in typical.build().recordings("01")]
    assert all(np.isfinite(rest))


def test_artifacts_are_for_those_who_have_them():
    with pytest.raises(ValueError, match="'electrodes' is for ssvep12"):
        SimulatedSetSettings(paradigm="ecog", electrodes=("Cz",))


# --- decoders behind chains ----------------------------------------------------------------------

DECODERS = """
kind: denoise_decoders
name: a tiny study
n_folds: 2
chains:
  gate: [{kind: amplitude, max_uv: 5}]
  copy: [{kind: pick, channels: [Fp1, C3, C4]}]
datasets:
  - dataset:
      kind: simulated
      paradigm: imagery2
      n_subjects: 2
      n_sessions: 1
      n_per_class: 4
      lead_s: 3
      electrodes: [Fp1, C3, C4]
      artifacts: {blinks_per_min: 60, emg_uv: 100, emg_per_min: 60}
    skip_s: 3
    window_s: 2.0
    offset_s: 1.0
    after: [{kind: bandpass, low_hz: 8, high_hz: 30}]
    decoders: {tangent space: {kind: tangent_space}}
"""


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoders")
    (folder / "study.yaml").write_text(DECODERS)
    done = main.run(folder / "study.yaml", folder / "out", None, 1, False, False, print)
    assert done
    rows = told(folder / "out")
    return {(r["subject"], r["chain"], r["condition"]): r for r in rows}, folder / "out"


def test_every_chain_is_judged_with_and_without_artifacts(decoded):
    rows, out = decoded
    assert len(rows) == 2 * 3 * 2
    assert all(r["n"] == 8 and len(r["right"]) == 8 and r["simulated"] for r in rows.values())
    assert rows["01", "untouched", "clean"]["rrmse_t"] == 0
    assert rows["01", "untouched", "contaminated"]["rrmse_t"] > 0.1
    assert "SIMULATED" in (out / "summary.md").read_text()


def test_a_chain_that_changes_nothing_scores_as_none(decoded):
    rows, _ = decoded
    for subject in ("01", "02"):
        for condition in ("clean", "contaminated"):
            same = rows[subject, "copy", condition], rows[subject, "untouched", condition]
            assert same[0]["right"] == same[1]["right"]


def test_a_rejected_trial_is_a_missed_one(decoded):
    rows, _ = decoded
    gated = rows["01", "gate", "contaminated"]
    assert (gated["score"], gated["n_abstained"], gated["rrmse_t"]) == (0.0, 8, None)


def test_noise_is_decoded_at_chance():
    rng = np.random.default_rng(5)
    n = 200
    info = StreamInfo("noise", SFREQ, ("C3", "C4"), ("eeg",) * 2)
    windows = Windows(
        rng.standard_normal((n, 2, 64)), np.resize(["left", "right"], n), np.ones(n, bool),
        np.zeros(n), info, 0.0, (),
    )  # fmt: skip
    settings = PipelineSettings(decoder={"kind": "mdm"})
    hits = int(decoded_right(windows, settings, ("left", "right"), 0, 5).sum())
    assert binomtest(hits, n).pvalue > 0.001
    empty = replace(windows, there=np.zeros(n, bool))
    assert not decoded_right(empty, settings, ("left", "right"), 0, 5).any()
    few = replace(windows, there=np.arange(n) < 3)
    assert not decoded_right(few, settings, ("left", "right"), 0, 5).any()


def test_the_first_subject_is_chosen_on_and_not_told(decoded):
    rows, _ = decoded
    assert rows["01", "copy", "clean"]["choosing"]
    assert not rows["02", "copy", "clean"]["choosing"]


def test_a_chain_has_a_name_of_its_own(tmp_path):
    text = DECODERS.replace("  copy:", "  untouched:")
    with pytest.raises(ConfigError, match="'untouched' is always judged"):
        study.load(text, "study.yaml")


def scored(**by_chain):
    """Rows of two subjects to choose on and two told: (clean, contaminated) of each chain."""
    return [
        {"subject": f"{k}", "chain": chain, "condition": condition, "choosing": k < 2,
         "score": value}
        for chain, values in by_chain.items()
        for condition, value in zip(("clean", "contaminated"), values, strict=True)
        for k in range(4)
    ]  # fmt: skip


def test_the_chain_chosen_gains_most_of_those_that_cost_nothing():
    rows = scored(untouched=(0.9, 0.5), gentle=(0.895, 0.7), rough=(0.85, 0.88), bad=(0.9, 0.4))
    assert chosen(rows) == "gentle"
    above, lost = margins(rows, "gentle")
    assert above == pytest.approx([0.0, 0.0])
    assert lost == pytest.approx([0.5, 0.5])
    assert chosen(scored(untouched=(0.9, 0.5), rough=(0.85, 0.88))) == "untouched"
    assert chosen([replaced for r in rows if not (replaced := {**r})["choosing"]]) is None
