"""Bad channels on a real recording: few are found where none is planted, planted ones are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bci.dsp.bad_channels import BadChannels
from bci.dsp.filters import Bandpass
from bci.types import Chunk, FloatArray, StreamInfo

EDF = Path("../shared/data/physionet-s001/S001R04.edf")


@pytest.fixture(scope="module")
def real(head) -> tuple[StreamInfo, FloatArray]:
    """Sixty seconds of motor imagery, those of the 64 channels whose positions are known."""
    if not EDF.exists():
        pytest.skip(f"{EDF} is not there")
    mne = pytest.importorskip("mne")
    raw = mne.io.read_raw_edf(EDF, preload=True, verbose=False)
    mne.datasets.eegbci.standardize(raw)
    raw.pick([name for name in raw.ch_names if name in head]).crop(tmax=60)
    names = tuple(raw.ch_names)
    positions = {name: head[name] for name in names}
    info = StreamInfo("S001R04", raw.info["sfreq"], names, ("eeg",) * len(names), positions)
    return info, np.ascontiguousarray(raw.get_data().T * 1e6)


def test_little_is_taken_for_bad(real, run) -> None:
    info, data = real
    stage = BadChannels(line_hz=60).build()
    stage.reset(info)
    flagged = run(stage, data, [1, 4000]).flagged
    share = sum(mask.sum() for mask in flagged.values()) / data.size
    assert share < 0.005
    assert all(channel.startswith(("Fp", "AF")) for _, channel, _ in flagged)  # blinks


def test_a_lost_electrode_is_found_and_its_eeg_restored(real, run) -> None:
    info, data = real
    at = info.ch_names.index("C3")
    broken = data.copy()
    broken[3200:, at] = 1e4 + 500 * np.random.default_rng(0).standard_normal(len(data) - 3200)
    stage = BadChannels(line_hz=60).build()
    stage.reset(info)
    out = run(stage, broken, [77, 5000])
    known = 3200 + 3 * 160
    np.testing.assert_array_equal(
        out.flagged["bad-channel", "C3", False], np.arange(len(data)) >= known
    )
    band = Bandpass(low_hz=1, high_hz=40).build()
    band.reset(info)
    wanted = band(Chunk(0, data)).data[known:, at]
    band.reset(info)
    restored = band(Chunk(0, np.vstack([data[:known], out.data[known:]]))).data[known:, at]
    assert np.corrcoef(wanted, restored)[0, 1] > 0.9
