"""Laying a montage on a template is undone on the channels that are there."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bci.denoise.montage import TEMPLATE, map_montage, resampled
from bci.errors import ConfigError

mne = pytest.importorskip("mne")
OLD = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
BIOSEMI = tuple(mne.channels.make_standard_montage("biosemi64").ch_names)


def signals(n_channels, n_times=40):
    return np.random.default_rng(n_channels).standard_normal((n_channels, n_times))


PUBLISHED = (
    "FP1", "FP2", "F7", "F3", "FZ", "F4", "F8", "FT7", "FC3", "FCZ", "FC4", "FT8", "T3", "C3", "CZ",
    "C4", "T4", "TP7", "CP3", "CPZ", "CP4", "TP8", "T5", "P3", "PZ", "P4", "T6", "O1", "OZ", "O2",
)  # fmt: skip


def test_the_template_has_the_published_order():
    assert tuple(OLD.get(name, name).upper() for name in TEMPLATE) == PUBLISHED


def test_the_template_itself_in_any_order_and_by_old_names():
    order = np.random.default_rng(0).permutation(30)
    names = [OLD.get(TEMPLATE[i], TEMPLATE[i]).upper() for i in order]
    laid = map_montage(names)
    x = signals(30)
    assert laid.n_groups == 1
    assert laid.filled == ()
    np.testing.assert_array_equal(laid.to_template(x[order])[0], x)
    np.testing.assert_array_equal(laid.from_template(x[None]), x[order])


@pytest.mark.parametrize("n_channels", [1, 8, 29, 31, 61, 64])
@pytest.mark.parametrize("missing", ["neighbours", "zeros"])
def test_back_is_the_inverse_on_channels_present(n_channels, missing):
    names = tuple(np.random.default_rng(n_channels).permutation(BIOSEMI)[:n_channels])
    laid = map_montage(names, missing=missing)
    x = signals(n_channels)
    assert laid.n_groups == -(-n_channels // 30)
    taken = list(zip(laid.group, laid.place, strict=True))
    assert len(set(taken)) == n_channels  # each from exactly one group, nothing twice
    np.testing.assert_array_equal(laid.from_template(laid.to_template(x)), x)


def test_named_channels_stand_at_their_own_place_in_the_first_group():
    laid = map_montage(BIOSEMI)
    for k, name in enumerate(BIOSEMI):
        if name in TEMPLATE:
            assert (laid.group[k], TEMPLATE[laid.place[k]]) == (0, name)
        else:
            assert laid.group[k] > 0


def test_a_missing_place_is_the_mean_of_the_channels_around_it_or_zero():
    names = [name for name in TEMPLATE if name != "Cz"]
    x = signals(29)
    laid = map_montage(names)
    around = [x[names.index(name)] for name in ("CPz", "FCz", "Pz", "C3")]  # 38 to 75 mm
    assert laid.filled == ("Cz",)
    np.testing.assert_allclose(laid.to_template(x)[0, 14], np.mean(around, axis=0), atol=1e-14)
    assert not map_montage(names, missing="zeros").to_template(x)[0, 14].any()
    far = map_montage(["O1", "Oz", "O2"])
    assert "Fp1" in far.filled
    assert not far.to_template(signals(3))[0, 0].any()  # nothing is near it


def test_a_channel_beside_the_template_goes_to_the_nearest_free_place():
    laid = map_montage(["AF7", "PO8"])
    assert [TEMPLATE[i] for i in laid.place] in (["F7", "P8"], ["Fp1", "P8"], ["Fp1", "O2"])


def test_positions_serve_labels_that_are_no_electrodes():
    laid = map_montage(["Lead 1"], positions={"Lead 1": (0.0, -0.11, 0.02)})
    assert TEMPLATE[laid.place[0]] == "Oz"


@pytest.mark.parametrize(
    ("names", "message"),
    [(["Cz", "Lead 1"], "Lead 1: no electrode"), (["T7", "T3"], "T7 more than once"), ([], "none")],
)
def test_what_cannot_be_laid_is_said(names, message):
    with pytest.raises(ConfigError, match=message):
        map_montage(names)


@pytest.mark.parametrize("sfreq", [160, 200, 250, 300, 500, 512, 1000])
def test_to_256_hz_and_back(sfreq):
    """A slow sine, away from the edges, comes back; the grid in between is that of 256 Hz."""
    ratio = Fraction(256, sfreq)
    n = 4 * sfreq
    wave = np.sin(2 * np.pi * 7.3 * np.arange(n) / sfreq)[None]
    there = resampled(wave, ratio, 1024)
    assert there.shape == (1, 1024)
    grid = np.sin(2 * np.pi * 7.3 * np.arange(1024) / 256)
    np.testing.assert_allclose(there[0, 128:-128], grid[128:-128], atol=2e-3)
    back = resampled(there, 1 / ratio, n)
    np.testing.assert_allclose(
        back[:, sfreq // 2 : -sfreq // 2], wave[:, sfreq // 2 : -sfreq // 2], atol=4e-3
    )
