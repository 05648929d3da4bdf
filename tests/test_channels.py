"""Renaming, typing, picking, interpolating, resampling; the same for any cutting into chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.channels import ChannelAdapter
from bci.config import Channels
from bci.dsp import Stage
from bci.electrodes import canonical, montage_positions
from bci.errors import ConfigError
from bci.types import Chunk, Flag, StreamInfo

MONTAGE_19 = [
    *("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz"),
    *("C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2"),
]


def info_of(*names: str, sfreq: float = 250.0, **fields: object) -> StreamInfo:
    types = fields.pop("ch_types", ("eeg",) * len(names))
    return StreamInfo("amp", sfreq, names, types, **fields)  # type: ignore[arg-type]


def adapted(info: StreamInfo, **fields: object) -> tuple[ChannelAdapter, StreamInfo]:
    adapter = ChannelAdapter(Channels(**fields))  # type: ignore[arg-type]
    return adapter, adapter.reset(info)


def columns(adapter: ChannelAdapter, n_channels: int) -> list[float]:
    """Numbers of the input channels that come out."""
    out = adapter(Chunk(0, np.arange(float(n_channels))[None].repeat(4, axis=0)))
    assert out.data.flags.c_contiguous
    assert out.data.dtype == np.float64
    return out.data[0].tolist()


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Fc5.", "FC5"), ("Oz..", "Oz"), ("FP1", "Fp1"), ("fpz", "Fpz"), ("T3", "T7"), ("t4", "T8"),
        ("T5", "P7"), ("T6", "P8"), ("EEG Fp1", "Fp1"), ("EEG O1-REF", "O1"), ("AFF1H", "AFF1h"),
        ("POO10h", "POO10h"), ("TP10", "TP10"), ("Ch1", "Ch1"), ("Lead 2", "Lead 2"), ("X", "X"),
        ("", ""), ("A1", "A1"), ("C11", "C11"),
    ],
)  # fmt: skip
def test_canonical(label: str, name: str) -> None:
    assert canonical(label) == name
    assert canonical(canonical(label)) == name


def test_canonical_leaves_every_name_of_the_10_05_system() -> None:
    mne = pytest.importorskip("mne")
    known = mne.channels.make_standard_montage("colin27_1005").ch_names
    old = {"T3", "T4", "T5", "T6"}
    for name in set(known) - old:
        assert canonical(name) == name
        assert canonical(name.upper()) == name


def test_physionet_and_old_labels_come_under_their_names() -> None:
    adapter, out = adapted(info_of("Fc5.", "FP1", "T3", "Cz", "Extra"))
    assert out.ch_names == ("FC5", "Fp1", "T7", "Cz", "Extra")
    assert adapter.adaptations == ["channels renamed: Fc5. → FC5, FP1 → Fp1, T3 → T7"]


def test_two_channels_of_one_electrode_keep_their_labels() -> None:
    assert adapted(info_of("T3", "T7", "fz"))[1].ch_names == ("T3", "T7", "Fz")


def test_configured_names_win() -> None:
    _, out = adapted(info_of("1", "T3", "Cz"), rename={"1": "Oz", "T3": "T3"})
    assert out.ch_names == ("Oz", "T3", "Cz")
    with pytest.raises(ConfigError, match=r"rename: no channel 'Fz' \(nearest is 'Pz'\).*Pz, Oz"):
        adapted(info_of("Pz", "Oz"), rename={"Fz": "x"})
    with pytest.raises(ConfigError, match="two channels would be called 'Oz'"):
        adapted(info_of("Pz", "Oz"), rename={"Pz": "Oz"})


# --- picks ---------------------------------------------------------------------------------------


def test_pick_by_type_and_all() -> None:
    info = info_of("Cz", "EOG", "Pz", "STI", ch_types=("eeg", "eeg", "eeg", "stim"))
    adapter, out = adapted(info, types={"EOG": "eog"})
    assert out.ch_names == ("Cz", "Pz")
    assert columns(adapter, 4) == [0, 2]
    adapter, out = adapted(info, types={"EOG": "eog"}, pick="all")
    assert out.ch_types == ("eeg", "eog", "eeg", "stim")
    assert columns(adapter, 4) == [0, 1, 2, 3]
    assert adapter.adaptations == ["channel types changed: EOG is eog, not eeg"]
    with pytest.raises(ConfigError, match="no channel of type eeg; it has STI"):
        adapted(info_of("STI", ch_types=("stim",)))


def test_pick_a_list_in_its_order_under_the_names_asked_for() -> None:
    adapter, out = adapted(info_of("Fc5.", "T7", "Cz", "Oz"), pick=["Oz", "T3", "FC5"])
    assert out.ch_names == ("Oz", "T3", "FC5")
    assert columns(adapter, 4) == [3, 1, 0]
    assert adapter.adaptations == ["channels renamed: T7 → T3, Fc5. → FC5"]


def test_a_missing_channel_names_the_nearest_and_what_is_there() -> None:
    with pytest.raises(ConfigError) as error:
        adapted(info_of("Oz", "O1", "PO7"), pick=["Oz", "PO3"])
    text = str(error.value)
    assert "no channel 'PO3' (nearest is 'PO7')" in text
    assert "Oz, O1, PO7" in text
    assert "interpolate" in text
    with pytest.raises(ConfigError, match="name each channel once"):
        adapted(info_of("T7", "Cz"), pick=["T7", "T3"])
    with pytest.raises(ConfigError, match="types: no channel 'EOG'"):
        adapted(info_of("Cz"), types={"EOG": "eog"})


# --- places --------------------------------------------------------------------------------------


def test_positions_of_the_device_and_else_of_the_montage() -> None:
    own = (0.01, 0.02, 0.09)
    _, out = adapted(info_of("Cz", "Fc5.", "X1", positions={"Cz": own}))
    assert out.positions["Cz"] == own
    x, y, z = out.positions["FC5"]
    assert x < -0.05  # left, metres
    assert y > 0.0
    assert z > 0.0
    assert "X1" not in out.positions
    assert adapted(info_of("Cz"), montage=None)[1].positions == {}
    with pytest.raises(ConfigError, match="no montage 'biosemi65'; did you mean 'biosemi64'"):
        adapted(info_of("Cz"), montage="biosemi65")
    assert montage_positions("standard_1005")["cz"] == montage_positions("colin27_1005")["cz"]


def test_interpolation_is_mnes_spherical_spline() -> None:
    mne = pytest.importorskip("mne")
    present = [n for n in MONTAGE_19 if n not in ("Cz", "P4")]
    adapter, out = adapted(info_of(*present), pick=MONTAGE_19, missing="interpolate")
    assert out.ch_names == tuple(MONTAGE_19)
    assert out.rank == 17
    assert adapter.adaptations == ["missing channels interpolated: Cz, P4"]
    data = np.random.default_rng(0).normal(size=(50, 17))
    found = adapter(Chunk(0, data)).data
    info = mne.create_info(MONTAGE_19, 250.0, "eeg")
    info.set_montage("colin27_1005")
    info["bads"] = ["Cz", "P4"]
    full = np.zeros((19, 50))
    full[[MONTAGE_19.index(n) for n in present]] = data.T
    raw = mne.io.RawArray(full, info, verbose="ERROR").interpolate_bads(verbose="ERROR")
    np.testing.assert_allclose(found, raw.get_data().T, rtol=1e-6, atol=1e-9)


def test_interpolation_needs_to_know_where() -> None:
    info = info_of(*MONTAGE_19[:6])
    with pytest.raises(ConfigError, match="no position of 'Ear'"):
        adapted(info, pick=["Fp1", "Ear"], missing="interpolate")
    with pytest.raises(ConfigError, match=r"needs channels\.montage"):
        adapted(info, pick=["Fp1", "Cz"], missing="interpolate", montage=None)


def test_rank_is_carried_and_falls_with_the_pick() -> None:
    info = info_of("Fz", "Cz", "Pz", "Oz", rank=3)
    assert adapted(info)[1].rank == 3
    assert adapted(info, pick=["Fz", "Cz", "Pz"])[1].rank is None
    assert adapted(info_of("Fz", "Cz"))[1].rank is None


# --- rate ----------------------------------------------------------------------------------------


def test_another_rate_is_an_error_or_resampled() -> None:
    info = info_of("Cz", "Pz", sfreq=500.0)
    with pytest.raises(ConfigError, match="expects 250 Hz, but stream 'amp' has 500 Hz"):
        adapted(info, sfreq=250.0)
    adapter, out = adapted(info, sfreq=250.0, sfreq_mismatch="resample", pick=["Pz"])
    assert out.sfreq == 250.0
    assert out.ch_names == ("Pz",)
    assert adapter.ratio == 0.5
    assert adapter.delay_s > 0
    assert adapter.adaptations == ["resampled from 500 to 250 Hz"]
    assert adapter(Chunk(0, np.ones((100, 2)))).data.shape == (50, 1)
    assert adapted(info_of("Cz", sfreq=499.99), sfreq=500.0)[0].ratio == 1


# --- chunks --------------------------------------------------------------------------------------

CASES = {
    "nothing": {"pick": "all"},
    "picked": {"pick": ["P4", "Fz", "O1"]},
    "interpolated": {"pick": ["Cz", "FC1", "Oz"], "missing": "interpolate"},
    "resampled": {"pick": ["Pz", "Cz"], "sfreq": 100.0, "sfreq_mismatch": "resample"},
}


@pytest.mark.parametrize("case", CASES)
@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, 400), max_size=8))
def test_any_cutting_gives_the_same(case: str, cuts: list[int]) -> None:
    adapter, _ = adapted(info_of(*MONTAGE_19), **CASES[case])
    assert isinstance(adapter, Stage)
    data = np.random.default_rng(7).normal(0, 30, (400, 19))
    before = data.copy()
    whole = adapter(Chunk(0, data)).data
    adapter.reset(info_of(*MONTAGE_19))
    edges = sorted({0, 400, *cuts, *cuts})
    parts = [adapter(Chunk(a, data[a:b])) for a, b in zip([0, *edges], edges, strict=False)]
    np.testing.assert_allclose(np.concatenate([p.data for p in parts]), whole, rtol=0, atol=1e-12)
    assert all(p.data.flags.c_contiguous and p.data.dtype == np.float64 for p in parts)
    np.testing.assert_array_equal(data, before)


def test_nothing_to_change_copies_nothing() -> None:
    adapter, _ = adapted(info_of("Cz", "Pz"))
    chunk = Chunk(5, np.ones((10, 2)), (Flag(5, 6, "amplitude", "Cz"),))
    assert adapter(chunk) is chunk
    single = adapter(Chunk(0, np.ones((10, 2), np.float32)))
    assert single.data.dtype == np.float64


def test_flags_follow_their_channels() -> None:
    adapter, _ = adapted(info_of("T3", "Cz", "Pz"), pick=["Cz", "T7"])
    flags = (Flag(0, 1, "gap"), Flag(0, 1, "flat", "T3"), Flag(0, 1, "flat", "Pz"))
    out = adapter(Chunk(0, np.zeros((4, 3)), flags))
    assert out.flags == (Flag(0, 1, "gap"), Flag(0, 1, "flat", "T7"))


def test_reset_of_the_same_stream_works_nothing_out_again() -> None:
    info = info_of(*MONTAGE_19)
    adapter, out = adapted(info, pick=["Cz", "FC1"], missing="interpolate")
    assert adapter.reset(info, 1000) is out
