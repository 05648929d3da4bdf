"""The map of the head: where electrodes lie, and what is drawn between them."""

import numpy as np
import pytest

from bci.dsp.topography import EDGE, HeadMap, project
from bci.electrodes import montage_positions

NAMES = ("fpz", "oz", "t7", "t8", "cz", "fz", "pz", "c3", "c4", "o1", "o2", "f7", "f8")


@pytest.fixture(scope="module")
def places():
    known = montage_positions("standard_1005")
    return [known[name] for name in NAMES]


def test_electrodes_lie_where_a_person_looks_for_them(places):
    at = dict(zip(NAMES, project(places), strict=True))
    assert np.hypot(*at["cz"]) < 0.2
    for name, (x, y) in {"fpz": (0, 1), "oz": (0, -1), "t7": (-1, 0), "t8": (1, 0)}.items():
        assert at[name] == pytest.approx((x, y), abs=0.25)
    assert at["c3"][0] == pytest.approx(-at["c4"][0], abs=0.05)


def test_equal_values_give_one_value_and_electrodes_keep_theirs(places):
    head = HeadMap(places, 101)
    flat = head(np.full(len(places), 7.0))
    np.testing.assert_allclose(flat[head.inside], 7.0)
    assert np.isnan(flat[~head.inside]).all()
    values = np.random.default_rng(1).standard_normal(len(places))
    image = head(values)
    column = np.rint((head.xy[:, 0] + EDGE) / (2 * EDGE) * 100).astype(int)
    row = np.rint((EDGE - head.xy[:, 1]) / (2 * EDGE) * 100).astype(int)
    found = image[row, column]
    np.testing.assert_allclose(found, values, atol=0.15)
    assert image[row[0], column[0]] == pytest.approx(values[0], abs=0.15)
    assert row[0] < 50 < row[1]  # the nose is up


@pytest.mark.parametrize("places", [[(0, 0, 0.1)] * 2, [(0, 0.05, 0.1)] * 3])
def test_what_makes_no_map_is_an_error(places):
    with pytest.raises(ValueError, match=r"electrodes"):
        HeadMap(places)
