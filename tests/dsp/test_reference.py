"""References: values, rank, names, errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from bci.dsp.pick import Pick
from bci.dsp.reference import Reference
from bci.errors import ConfigError
from bci.types import Chunk, Flag


def eeg_of(info, data):
    return data[:, [i for i, t in enumerate(info.ch_types) if t == "eeg"]]


def rank_of(data):
    return int(np.linalg.matrix_rank(data - data.mean(axis=0)))


def test_average_is_zero_mean_and_costs_a_rank(info, recording) -> None:
    stage = Reference().build()
    after = stage.reset(info)
    assert after.rank == 9
    assert after.ch_names == info.ch_names
    out = stage(Chunk(0, recording[:400])).data
    np.testing.assert_allclose(eeg_of(info, out).mean(axis=1), 0, atol=1e-12)
    assert rank_of(eeg_of(info, out)) == after.rank
    np.testing.assert_array_equal(out[:, [4, -1]], recording[:400, [4, -1]])  # EOG, trigger


def test_average_equals_mne(info, recording) -> None:
    mne = pytest.importorskip("mne")
    raw = mne.io.RawArray(
        recording.T.copy(),
        mne.create_info(list(info.ch_names), 200.0, list(info.ch_types)),
        verbose=False,
    )
    raw.set_eeg_reference("average", verbose=False)
    stage = Reference().build()
    stage.reset(info)
    np.testing.assert_allclose(
        stage(Chunk(0, recording)).data, raw.get_data().T, rtol=0, atol=1e-11
    )


def test_previous_rank_loss_is_carried(info) -> None:
    assert Reference().build().reset(replace(info, rank=7)).rank == 6


@pytest.mark.parametrize("names", [["Cz"], ["P3", "P4"]])
def test_channel_reference_stays_and_costs_a_rank(names, info, recording) -> None:
    stage = Reference(mode="channel", channels=names).build()
    after = stage.reset(info)
    assert (after.rank, after.ch_names) == (9, info.ch_names)
    out = stage(Chunk(0, recording[:400])).data
    at = [info.ch_names.index(name) for name in names]
    np.testing.assert_allclose(out[:, at].mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(
        out[:, 0], recording[:400, 0] - recording[:400][:, at].mean(axis=1), atol=1e-12
    )
    assert rank_of(eeg_of(info, out)) == after.rank
    np.testing.assert_array_equal(out[:, [4, -1]], recording[:400, [4, -1]])


def test_bipolar_names_positions_and_values(info, recording) -> None:
    stage = Reference(mode="bipolar", pairs=[("O1", "Oz"), ("C3", "C4")]).build()
    after = stage.reset(info)
    assert after.ch_names == ("O1-Oz", "C3-C4", "VEOG", "TRIG")
    assert after.ch_types == ("eeg", "eeg", "eog", "stim")
    assert after.rank is None
    middle = np.mean([info.positions["C3"], info.positions["C4"]], axis=0)
    np.testing.assert_allclose(after.positions["C3-C4"], middle)
    assert set(after.positions) == {"O1-Oz", "C3-C4"}
    out = stage(Chunk(5, recording[5:50])).data
    at = {name: recording[5:50, i] for i, name in enumerate(info.ch_names)}
    expected = np.column_stack([at["O1"] - at["Oz"], at["C3"] - at["C4"], at["VEOG"], at["TRIG"]])
    np.testing.assert_array_equal(out, expected)


def test_bipolar_loop_loses_rank(info) -> None:
    loop = [("O1", "Oz"), ("Oz", "O2"), ("O1", "O2")]
    assert Reference(mode="bipolar", pairs=loop).build().reset(info).rank == 2


def test_bipolar_flags_follow_the_channel(info, recording) -> None:
    stage = Reference(mode="bipolar", pairs=[("O1", "Oz"), ("Oz", "O2")]).build()
    stage.reset(info)
    flags = (
        Flag(0, 9, "bad-channel", "Oz", False),
        Flag(0, 9, "bad-channel", "C3", False),  # is gone
        Flag(2, 3, "amplitude", "C3", True),  # would reject: kept
        Flag(1, 2, "gap"),
    )
    assert stage(Chunk(0, recording[:9], flags)).flags == (
        Flag(0, 9, "bad-channel", "O1-Oz", False),
        Flag(0, 9, "bad-channel", "Oz-O2", False),
        Flag(2, 3, "amplitude", "C3", True),
        Flag(1, 2, "gap"),
    )


def test_pick_orders_and_keeps_what_is_known(info, recording) -> None:
    stage = Pick(channels=("O2", "VEOG", "Fp1")).build()
    after = stage.reset(replace(info, rank=9))
    assert (after.ch_names, after.ch_types) == (("O2", "VEOG", "Fp1"), ("eeg", "eog", "eeg"))
    assert after.rank is None  # two channels of a space of nine dimensions are free
    assert stage.reset(replace(info, rank=1)).rank == 1
    assert set(after.positions) == {"O2", "Fp1"}
    flags = (
        Flag(0, 5, "bad-channel", "Cz", False),
        Flag(0, 5, "bad-channel", "O2", False),
        Flag(0, 5, "gap"),
    )
    out = stage(Chunk(0, recording[:5], flags))
    np.testing.assert_array_equal(out.data, recording[:5][:, [10, 4, 0]])
    assert out.flags == flags[1:]


def test_unknown_channel_names_the_nearest(info) -> None:
    for settings in [
        Pick(channels=("cz",)),
        Reference(mode="channel", channels=("cz",)),
        Reference(mode="bipolar", pairs=(("C3", "cz"),)),
    ]:
        with pytest.raises(ConfigError, match=r"no channel 'cz', did you mean 'Cz'\? the stream"):
            settings.build().reset(info)
    with pytest.raises(ConfigError, match="no channel 'XYZ', none is similar; the stream has Fp1"):
        Pick(channels=("XYZ",)).build().reset(info)


def test_only_eeg_takes_part(info) -> None:
    with pytest.raises(ConfigError, match="'VEOG' is of type 'eog', and only EEG"):
        Reference(mode="channel", channels=("VEOG",)).build().reset(info)
    with pytest.raises(ConfigError, match=r"no EEG channel \(its types: misc\)"):
        Reference().build().reset(replace(info, ch_types=("misc",) * info.n_channels))
    one = replace(info, ch_types=("eeg",) + ("misc",) * (info.n_channels - 1))
    with pytest.raises(ConfigError, match="two EEG channels or more, the stream has only 'Fp1'"):
        Reference().build().reset(one)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "average", "channels": ["Cz"]},
        {"mode": "channel"},
        {"mode": "bipolar", "channels": ["Cz"]},
        {"mode": "bipolar", "pairs": [["O1", "Oz"], ["O1", "Oz"]]},
    ],
)
def test_settings_that_do_not_fit_the_mode(wrong) -> None:
    with pytest.raises(ValidationError, match=r"goes with mode|stands twice"):
        Reference.model_validate(wrong)


def test_a_channel_picked_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="named twice: Cz"):
        Pick(channels=("Cz", "Oz", "Cz"))
