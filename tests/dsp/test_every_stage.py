"""What holds for each kind of stage: any chunking gives the same output."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_denoiser import tiny

from bci import registry
from bci.dsp import Stage
from bci.dsp.artifacts.calibration import CalibratedStage, save
from bci.dsp.chain import Chain
from bci.dsp.filters import SosFilter
from bci.errors import ConfigError
from bci.types import Flag, StreamInfo

EEG = ("Fp1", "Fp2", "C3", "Cz", "C4", "P3", "P4", "O1", "Oz", "O2")


def calibrated(kind: str) -> str:
    """Calibration file of a stage, for the ten EEG channels of the stream."""
    rng = np.random.default_rng(0)
    n, n_out = 10, 3
    arrays = {
        "asr": {
            "covariance": np.cov(rng.standard_normal((n, 99))) * 200,
            "components": np.eye(n),
            "mean": np.full(n, 15.0),
            "sd": np.full(n, 3.0),
            "window_s": np.array([0.5]),
            "riemann": np.array([0.0]),
        },
        "ica": {
            "unmixing": rng.standard_normal((n_out, n)),
            "mixing": rng.standard_normal((n, n_out)),
            "kept_spread": np.full(n, 20.0),
        },
    }[kind]
    names = (*EEG[:4], "VEOG", *EEG[4:], "TRIG")
    info = StreamInfo("test", 200.0, names, ("eeg",) * len(names))
    path = Path(mkdtemp(prefix="calibration-")) / f"{kind}.safetensors"
    save(path, arrays, kind, info)
    return str(path)


#: At least one entry for each kind that is registered; settings beside `kind`.
CASES: dict[str, list[dict[str, Any]]] = {
    "bandpass": [{"low_hz": 1.0, "high_hz": 40.0}, {"low_hz": 8, "high_hz": 12, "order": 2}],
    "highpass": [{"freq_hz": 0.5}],
    "lowpass": [{"freq_hz": 30.0, "order": 5}],
    "notch": [{}, {"freq_hz": 20.0, "harmonics": 10}],
    "reference": [
        {"mode": "average"},
        {"mode": "channel", "channels": ["P3", "P4"]},
        {"mode": "bipolar", "pairs": [["O1", "Oz"], ["Oz", "C3"], ["O1", "C3"]]},
    ],
    "resample": [{"sfreq": 125.0}, {"sfreq": 256.0}, {"sfreq": 50}, {"sfreq": 200}],
    "pick": [{"channels": ["Oz", "C3", "TRIG"]}],
    "bad_channels": [
        {"block_s": 0.5, "bad_after": 1, "good_after": 2},
        {"block_s": 0.33, "bad_after": 2, "action": "exclude", "always": ["Cz"]},
    ],
    "amplitude": [{"max_uv": 400.0}, {"max_uv": 400.0, "pad_s": 0.25}],
    "denoiser": [{"path": tiny("art"), "hop_s": 0.25}, {"path": tiny("u_net"), "hop_s": 0.2}],
    "broadband_power": [{"baseline_s": 2.5}, {"highpass_hz": 30.0, "baseline": [9.0] * 11}],
    "line_noise": [{}, {"freq_hz": 60.0, "harmonics": 1, "block_s": 0.05}],
    "eog_regression": [
        {"calibration_s": 3.0, "fit": "all"},
        {"calibration_s": 2.0, "fit": "all", "reference": "frontal", "channels": ["Fp1", "Fp2"]},
    ],
    "adaptive_filter": [
        {"taps": 2, "block_s": 0.1},
        {"algorithm": "lms", "block_s": 0.033, "reference": "frontal", "lowpass_hz": 8.0},
    ],
    "potato": [
        {
            "calibration_s": 4.5,
            "window_s": 0.4,
            "lookahead_s": None,
            "channels": ["P4", "O1", "Oz", "O2"],
        },
        {
            "calibration_s": 5.0,
            "window_s": 0.5,
            "hop_s": 0.13,
            "channels": ["C4", "P4", "O1"],
            "bands": [[2, 30]],
        },
    ],
    "asr": [  # the latter is refused its calibration by what the signal holds
        {"calibration": calibrated("asr"), "cutoff": 3.0},
        {"calibration_s": 2.0, "lookahead_s": 0.1, "method": "riemann"},
    ],
    "ica": [{"calibration": calibrated("ica")}],
}
#: Stages whose sums depend on the length of a chunk in the last digits; all others are exact.
INEXACT = {"resample"}

FLAGS = (
    Flag(20, 21, "non-finite"),
    Flag(400, 460, "bad-channel", "C3", False),
    Flag(450, 451, "bad-channel", "Cz", False),
    Flag(1790, 1800, "gap"),
)
ALL = [
    pytest.param(kind, case, id=f"{kind}-{i}")
    for kind, cases in CASES.items()
    for i, case in enumerate(cases)
]
CUTS = st.lists(st.integers(0, 1800), max_size=12)


def build(kind: str, case: dict[str, Any]) -> Stage:
    cls = registry.find("stage", kind)
    assert cls is not None
    stage: Stage = cls.model_validate({"kind": kind, **case}).build()
    return stage


def assert_same(kind: str, whole: Any, cut: Any) -> None:
    assert cut.start == whole.start
    if kind in INEXACT:
        scale = np.abs(whole.data).max()
        np.testing.assert_allclose(cut.data, whole.data, rtol=0, atol=1e-12 * scale)
    else:
        np.testing.assert_array_equal(cut.data, whole.data)
    assert cut.flagged.keys() == whole.flagged.keys()
    for key, mask in whole.flagged.items():
        np.testing.assert_array_equal(cut.flagged[key], mask, err_msg=str(key))


def test_every_registered_kind_is_here() -> None:
    assert sorted(CASES) == registry.kinds("stage")


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_any_chunking_gives_the_same_output(kind, case, info, recording, run) -> None:
    stage = build(kind, case)
    assert isinstance(stage, Stage)

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(cuts=CUTS, start=st.integers(0, 10_000))
    @example(cuts=[], start=0)
    @example(cuts=list(range(0, 1801)), start=77)  # an empty chunk, then one sample each
    @example(cuts=[0, 0, 900, 900, 900, 1800], start=3)
    def check(cuts: list[int], start: int) -> None:
        flags = [Flag(f.start + start, f.stop + start, *_rest(f)) for f in FLAGS]
        stage.reset(info, start)
        whole = run(stage, recording, (), start, flags)
        after = stage.reset(info, start)  # the same object again: nothing is left of before
        assert whole.data.shape[1] == after.n_channels == len(after.ch_types)
        assert_same(kind, whole, run(stage, recording, cuts, start, flags))

    check()


def _rest(flag: Flag) -> tuple[str, str | None, bool]:
    return flag.reason, flag.channel, flag.rejects


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_rejecting_flags_are_passed_on(kind, case, info, recording, run) -> None:
    stage = build(kind, case)
    stage.reset(info, 0)
    longer = np.concatenate([recording, recording[:200]])  # a stage may delay by up to a second
    out = run(stage, longer, [13, 21, 20, 800], 0, FLAGS)
    assert out.flagged["non-finite", None, True].any()
    assert out.flagged["gap", None, True].any()


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_no_output_depends_on_later_input(kind, case, info, recording, run) -> None:
    stage = build(kind, case)
    stage.reset(info, 0)
    whole = run(stage, recording)
    changed = recording.copy()
    changed[1000:] = changed[1000:] * -3 + 1
    stage.reset(info, 0)
    other = run(stage, changed)
    stage.reset(info, 0)
    n = len(run(stage, recording[:1000]).data)
    np.testing.assert_array_equal(other.data[:n], whole.data[:n])
    for key, mask in whole.flagged.items():
        if key in other.flagged:
            np.testing.assert_array_equal(other.flagged[key][:n], mask[:n])
        else:
            assert not mask[:n].any()


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_float32_is_taken_and_computed_in_float64(kind, case, info, recording, run) -> None:
    stage = build(kind, case)
    single = recording[:600].astype(np.float32)
    stage.reset(info, 0)
    expected = run(stage, single.astype(np.float64), [100, 333])
    stage.reset(info, 0)
    assert_same("exact", expected, run(stage, single, [100, 333]))


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_delay_is_stated(kind, case, info) -> None:
    stage = build(kind, case)
    stage.reset(info, 0)
    assert 0 <= stage.delay_s < 1


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_a_bypass_loses_and_doubles_no_sample(kind, case, info, recording, run) -> None:
    """By-passed, samples come as they went in, as late as ever; then the stage starts anew."""
    chain = Chain([build(kind, case)])
    chain.reset(info)
    if chain.why_needed(0) is not None:
        with pytest.raises(ConfigError, match="cannot be by-passed"):
            chain.bypass(0)
        return
    stage = chain.stages[0]
    late = 0 if isinstance(stage, SosFilter) else round(stage.delay_s * info.sfreq)
    out, back = 1000, 1400
    before = run(chain, recording[:out], [77, 78])
    chain.bypass(0)
    meanwhile = run(chain, recording[out:back], [3, 3, 100], out)
    chain.bypass(0, active=False)
    after = run(chain, recording[back:], [5, 250], back)

    other = build(kind, case)
    other.reset(info)
    assert_same(kind, run(other, recording[:out]), before)
    np.testing.assert_array_equal(meanwhile.data, recording[out - late : back - late])
    learnt = stage.arrays if isinstance(stage, CalibratedStage) else None
    other.reset(info, back - late)
    if isinstance(other, CalibratedStage):
        other.resume(learnt)
    anew = run(other, recording[back - late :], (), back - late)
    np.testing.assert_allclose(after.data, anew.data[late:], rtol=0, atol=1e-9)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(cuts=CUTS, start=st.integers(0, 10_000))
def test_any_chunking_of_a_chain(cuts, start, info, recording, run) -> None:
    kinds = ["amplitude", "bad_channels", "notch", "bandpass", "reference", "resample", "lowpass"]
    chain = Chain([build(kind, CASES[kind][0]) for kind in kinds])
    chain.reset(info, start)
    whole = run(chain, recording, (), start)
    chain.reset(info, start)
    assert_same("resample", whole, run(chain, recording, cuts, start))


@pytest.mark.parametrize(("kind", "case"), ALL)
def test_settings_survive_a_file_and_say_what_they_are(kind, case) -> None:
    cls = registry.find("stage", kind)
    assert cls is not None
    asked = cls.model_validate({"kind": kind, **case})
    assert cls.model_validate(asked.model_dump(mode="json")) == asked
    described = {name for name, field in cls.model_fields.items() if field.description}
    assert described | {"kind", "action", "mode"} >= set(cls.model_fields)
