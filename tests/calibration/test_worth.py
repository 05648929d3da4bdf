"""Stages that mend, judged by what they do to the decoder on held-out trials."""

import logging
from dataclasses import replace
from math import comb
from typing import ClassVar, Literal

import numpy as np
import pytest
import yaml

from bci import config, registry
from bci.calibration.training import train
from bci.calibration.worth import CHANCE, compare, in_words
from bci.config import StageSettings
from bci.decoders.artifact import bypassed, load, load_decoder
from bci.errors import ConfigError
from bci.pipeline import Pipeline
from bci.replay import decisions
from bci.sources.files import load_recording
from bci.types import Bypass, Chunk, DecoderSwap, Flag

SFREQ = 100.0
#: An artifact far above the signal, which only the stage below knows.
ARTIFACT = 80.0 * np.random.default_rng(42).standard_normal((997, 2))


class Mend(StageSettings):
    """Takes the artifact away, or (as most stages, of clean data) nothing; or does harm."""

    mends: ClassVar[bool] = True

    kind: Literal["mend"] = "mend"
    does: Literal["help", "nothing", "harm", "rename"] = "help"

    def build(self):
        return Mender(self.does)


class Mender:
    delay_s = 0.0

    def __init__(self, does):
        self.does = does

    def reset(self, info, start=0):
        return replace(info, ch_names=("A", "B")) if self.does == "rename" else info

    def __call__(self, chunk):
        data = np.array(chunk.data, np.float64)
        if self.does == "help":
            data -= ARTIFACT[np.arange(chunk.start, chunk.stop) % len(ARTIFACT)]
        elif self.does == "harm":
            data[:] = data[:, :1]
            data += np.random.default_rng(chunk.start).standard_normal(data.shape)
        note = Flag(chunk.start, chunk.stop, "mend", rejects=False, repairs=True)
        return Chunk(chunk.start, data, (*chunk.flags, note) if len(data) else chunk.flags)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(registry.BUILT_IN["stage"], "mend", f"{__name__}:Mend")


def session(*stages, **changes):
    return config.loads(
        yaml.safe_dump(
            {
                "source": {"kind": "lsl"},
                "channels": {"montage": None},
                "events": {"left": "l", "right": "r"},
                "processing": [{"kind": "mend", **stage} for stage in stages],
                "window": {"kind": "marker", "length_s": 0.5},
                "decoder": {"kind": "mdm"},
                **changes,
            }
        )
    )


def recorded(path, *, artifact=True, effect=2.5, n_trials=40):
    """Trials told by which channel is louder."""
    rng = np.random.default_rng(1)
    data = 4.0 * rng.standard_normal((int(SFREQ * (n_trials + 1)), 2))
    markers = []
    for k in range(n_trials):
        at, side = int(SFREQ * (k + 0.5)), k % 2
        data[at : at + 50, side] *= effect
        markers.append((at, "lr"[side]))
    if artifact:
        data += np.resize(ARTIFACT, data.shape)
    np.savez(
        path, data=data, sfreq=SFREQ, ch_names=["C3", "C4"], ch_types=["eeg"] * 2,
        markers=np.array(markers, dtype=str),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worth")
    return {
        "bad": recorded(folder / "bad.npz"),
        "clean": recorded(folder / "clean.npz", artifact=False),
        "noise": recorded(folder / "noise.npz", effect=1.0),
    }


@pytest.fixture
def trained(tmp_path, files):
    """Train; the manifest, what was said, and the session that decides by the model."""

    def make(recording, *stages, name="model", **changes):
        said, out = [], tmp_path / name
        train(session(*stages), [files[recording]], out, report=said.append, **changes)
        live = session(*stages, decoder={"kind": "model", "path": str(out)})
        return load(out)[1], said, live

    return make


@pytest.mark.parametrize(
    ("gained", "lost", "kept"), [(0, 0, False), (2, 0, False), (3, 0, True), (5, 2, False),
                                 (6, 2, True), (2, 6, False), (30, 20, True)],
)  # fmt: skip
def test_the_rule_is_a_sign_test_of_the_trials_that_differ(gained, lost, kept):
    both, neither = 11, 4
    right = np.repeat([True, False, True, False], [gained, lost, both, neither])
    without = np.repeat([False, True, True, False], [gained, lost, both, neither])
    found = compare(3, "asr", right, without)
    n = gained + lost
    p = sum(comb(n, k) for k in range(gained, n + 1)) / 2**n
    assert found.p == pytest.approx(p)
    assert found.kept == (p <= CHANCE) == kept
    assert (found.n_right, found.n_right_without) == (both + gained, both + lost)
    share, other = (100 * (both + k) / (both + neither + n) for k in (gained, lost))
    assert f"with it {share:.1f} %, without {other:.1f} %" in in_words(found)


def test_a_stage_that_helps_stays(trained, files):
    manifest, said, live = trained("bad", {"does": "help"})
    (found,) = manifest.worth
    assert found.kept
    assert found.n == 40
    assert found.n_right > found.n_right_without + 8
    assert manifest.bypassed == ()
    assert "the chain was chosen by the same trials" in manifest.scores[0].method
    assert any("stage 'mend': with it" in line and "stays in use" in line for line in said)
    recording = load_recording(files["bad"])
    decided = list(decisions(files["bad"], recording, live))
    assert {d.quality.repaired for d in decided} == {("mend",)}


@pytest.mark.parametrize("recording", ["clean", "bad", "noise"])
def test_one_that_does_nothing_is_bypassed_where_the_model_is_used(
    trained, files, recording, caplog
):
    manifest, said, live = trained(recording, {"does": "nothing"})
    (found,) = manifest.worth
    assert (found.kept, found.n_gained, found.n_lost, found.p) == (False, 0, 0, 1.0)
    assert manifest.bypassed == (0,)
    assert any("it is by-passed" in line for line in said)
    with caplog.at_level(logging.WARNING):
        decided = list(decisions(files[recording], load_recording(files[recording]), live))
    assert "stage 'mend' is by-passed: calibration showed no gain (with it" in caplog.text
    assert len(decided) == 40
    assert {d.quality.repaired for d in decided} == {()}


def test_what_does_nothing_is_kept_no_more_often_than_stated():
    rng = np.random.default_rng(0)
    right = rng.random((4000, 2, 30)) < 0.7
    n_kept = sum(compare(0, "mend", *pair).kept for pair in right)
    assert n_kept / len(right) < CHANCE + 3 * np.sqrt(CHANCE / len(right))


def test_noise_stays_chance(trained):
    manifest, _, _ = trained("noise", {"does": "help"})
    assert manifest.scores[0].low < 0.5


def test_stages_are_judged_one_after_the_other(trained):
    manifest, _, live = trained("bad", {"does": "harm"}, {"does": "help"}, {"does": "nothing"})
    assert [w.kept for w in manifest.worth] == [False, True, False]
    assert manifest.bypassed == (0, 2)
    plain, _, _ = trained("bad", {"does": "help"}, name="plain")
    assert manifest.scores == plain.scores  # of the very same windows
    assert manifest.training_sha256 == plain.training_sha256
    assert bypassed(live).keys() == {0, 2}


def test_a_stage_may_be_kept_or_left_out_unjudged(trained):
    manifest, said, _ = trained("clean", {"does": "nothing", "keep": True})
    assert (manifest.worth, manifest.bypassed) == ((), ())
    assert "chosen" not in manifest.scores[0].method
    assert not any("stage '" in line for line in said)
    manifest, _, live = trained("bad", {"does": "help"}, name="without", bypassed=[0])
    assert (manifest.worth, manifest.bypassed) == ((), (0,))
    assert bypassed(live) == {0: "the model was trained without it"}


def test_one_that_others_rely_on_stays_and_that_is_said(trained):
    manifest, said, _ = trained("clean", {"does": "rename"})
    assert (manifest.worth, manifest.bypassed) == ((), ())
    assert any("'mend' is not judged and stays in use: stage 0 (Mender) cannot be by-passed"
               in line for line in said)  # fmt: skip


def test_budget_and_keep_do_not_make_it_another_model(trained, files):
    _, _, live = trained("bad", {"does": "help"})
    changed = [live.processing[0].model_copy(update={"budget": 0.2, "keep": True})]
    info = load_recording(files["bad"]).info
    load_decoder(live.model_copy(update={"processing": tuple(changed)}), info)


def test_a_swap_brings_its_own_bypasses_and_a_persons_wish_stays(trained, files):
    manifest, _, live = trained("bad", {"does": "nothing"}, {"does": "help"})
    assert manifest.bypassed == (0,)
    info = load_recording(files["bad"]).info
    pipeline = Pipeline(live, info)
    pipeline.use(*load_decoder(live, info), bypassed(live))
    decoder, why = pipeline.decoder, bypassed(live)
    assert pipeline.chain.active == (False, True)
    pipeline.push(DecoderSwap(0, decoder, "of the whole chain"))
    assert pipeline.chain.active == (True, True)
    pipeline.push(DecoderSwap(0, decoder, "first again", None, why))
    pipeline.push(Bypass(0, 0, False))  # a person wants it
    pipeline.push(Bypass(0, 1, True, "too slow"))
    assert pipeline.chain.active == (True, False)
    assert pipeline.bypassed_by_events == [1]
    pipeline.push(DecoderSwap(0, decoder, "of the whole chain"))
    assert pipeline.chain.active == (True, False)  # still too slow
    assert pipeline.bypassed == {1: "too slow"}


def test_a_stage_number_that_is_none_is_said(trained):
    with pytest.raises(ConfigError, match="stage 7 asked for, but the chain has 1 stages"):
        trained("bad", {"does": "help"}, bypassed=[7])
