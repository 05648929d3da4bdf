"""A stage that is calibrated: on the stream's first seconds, or from a file."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.dsp.artifacts.calibration import CalibratedSettings, CalibratedStage, load, save
from bci.dsp.chain import Chain
from bci.errors import CalibrationFailed, ConfigError
from bci.types import Chunk, Flag, StreamInfo


class Centre(CalibratedSettings):
    """Takes the mean of the calibration away."""

    kind: Literal["centre"] = "centre"

    def build(self):
        return Centring(self)


class Centring(CalibratedStage):
    def prepare(self, info, start):
        self.n_seen = 0
        return info

    def calibrate(self, block, usable):
        if usable.sum() < len(block) / 2:
            raise CalibrationFailed("centre: half of the calibration is needed without artifacts")
        return {"mean": block[usable].mean(axis=0)}

    def adopt(self, arrays):
        self.arrays = arrays

    def process(self, chunk):
        if self.arrays is None:
            return chunk
        note = Flag(chunk.start, chunk.stop, "centre", rejects=False, repairs=True)
        flags = (note,) if len(chunk.data) else ()
        return Chunk(chunk.start, chunk.data - self.arrays["mean"], (*chunk.flags, *flags))


INFO = StreamInfo("test", 100.0, ("C3", "C4"), ("eeg", "eeg"))
DATA = np.random.default_rng(0).standard_normal((600, 2)) + np.array([3.0, -2.0])
BAD = Flag(20, 80, "amplitude")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 600), max_size=8), st.integers(0, 999))
def test_any_chunking(run, cuts, start) -> None:
    stage = Centre(calibration_s=1.0).build()
    stage.reset(INFO, start)
    bad = (Flag(start + 20, start + 80, "amplitude"), Flag(start + 190, start + 199, "gap"))
    out = run(stage, DATA, cuts, start, bad)
    np.testing.assert_array_equal(out.data[:200], DATA[:200])  # the first second has no half
    mean = DATA[100:190].sum(axis=0) + DATA[199]
    np.testing.assert_allclose(out.data[200:], DATA[200:] - mean / 91, atol=1e-12)
    uncalibrated = out.flagged["uncalibrated", None, False]
    np.testing.assert_array_equal(np.flatnonzero(uncalibrated), np.arange(200))


def test_a_failure_is_said(run, caplog) -> None:
    stage = Centre(calibration_s=1.0).build()
    stage.reset(INFO)
    with caplog.at_level(logging.WARNING):
        run(stage, DATA[:150], (), 0, (BAD,))
    assert stage.arrays is None
    assert stage.problem is not None
    assert "half of the calibration" in stage.problem
    assert "samples pass as they are" in caplog.text
    run(stage, DATA[150:250], (), 150)
    assert stage.problem is None
    assert stage.arrays is not None


def test_a_break_keeps_what_was_learnt_and_another_stream_does_not(run) -> None:
    chain = Chain([Centre(calibration_s=1.0).build()])
    chain.reset(INFO)
    run(chain, DATA[:300])
    chain.reset(INFO, 400, keep_calibration=True)
    out = run(chain, DATA[400:], (), 400)
    np.testing.assert_allclose(out.data, DATA[400:] - DATA[:100].mean(axis=0), atol=1e-12)
    chain.bypass(0)
    assert run(chain, DATA[:10], (), 600).flagged == {}
    chain.bypass(0, active=False)
    assert ("uncalibrated", None, False) not in run(chain, DATA[:10], (), 610).flagged
    chain.reset(INFO, 0)
    assert run(chain, DATA[:50]).flagged["uncalibrated", None, False].all()


def test_a_file_is_held_against_the_stream(tmp_path, run) -> None:
    path = tmp_path / "centre.safetensors"
    save(path, {"mean": np.array([1.0, 2.0])}, "centre", INFO, {"seconds": 1})
    stage = Centre(calibration=path).build()
    stage.reset(INFO)
    np.testing.assert_array_equal(run(stage, DATA).data, DATA - [1.0, 2.0])
    other = StreamInfo("test", 100.0, ("C3", "Cz"), ("eeg", "eeg"))
    with pytest.raises(ConfigError, match="calibrated on the channels C3, C4, and C3, Cz enter"):
        stage.reset(other)
    with pytest.raises(ConfigError, match="at 100 Hz, and samples enter the stage at 250 Hz"):
        stage.reset(StreamInfo("test", 250.0, ("C3", "C4"), ("eeg", "eeg")))
    with pytest.raises(ConfigError, match="is the calibration of a stage 'centre'"):
        load(path, "asr", INFO)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match="was changed after it was written"):
        stage.reset(INFO)
    path.write_bytes(raw[:40])
    with pytest.raises(ConfigError, match="cannot be read as the calibration of a stage"):
        stage.reset(INFO)
    with pytest.raises(ConfigError, match=r"nowhere\.safetensors"):
        load(tmp_path / "nowhere.safetensors", "centre", INFO)
