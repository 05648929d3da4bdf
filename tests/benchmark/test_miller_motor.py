"""The Miller set in Neuromatch's layout, written here; pickles that would run are not run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from bci.benchmark.data import Dataset
from bci.benchmark.datasets import find
from bci.benchmark.datasets.object_arrays import read_objects
from bci.errors import SourceError

N_CHANNELS = (3, 4, 5, 3, 4, 5, 3)


def entry(seed, n_channels, **changes):
    """Twelve stimuli in V, as integers with a scale, and lists of text as the file has them."""
    rng = np.random.default_rng(seed)
    V = rng.integers(-900, 900, (60_000, n_channels)).astype(np.float16)
    return {
        "V": V,
        "srate": 1000,
        "scale_uv": np.full(n_channels, 0.5 + seed, np.float32),
        "t_on": np.arange(1000, 55_000, 4500),
        "t_off": np.arange(4000, 58_000, 4500),
        "stim_id": np.array([11, 12] * 6, np.uint8),
        "locs": np.asfortranarray(rng.standard_normal((n_channels, 3))),
        "hemisphere": ["Left"] * n_channels,
        "gyrus": np.array(["Precentral Gyrus", "µ"]),
        "lobe": {"Frontal Lobe": (1, 2.5, None, True), "none": np.float64(2.0)},
    } | changes


def whole(**changes):
    dat = np.empty((7, 2), dtype=object)
    for k, n in enumerate(N_CHANNELS):
        dat[k] = entry(k, n, **changes), entry(k + 7, n, **changes)
    return dat


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("miller") / "motor_imagery.npz"
    np.savez_compressed(path, dat=whole())
    return path


def with_pickle(path, data: bytes, shape=(7, 2)):
    """A .npz whose one array of objects is any pickle."""
    header = io.BytesIO()
    described = {"descr": "|O", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dat.npy", header.getvalue() + data)
    return path


def same(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and (one == other).all()
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_objects_are_those_that_were_written(protocol, tmp_path):
    dat = np.empty((1, 2), dtype=object)
    dat[0] = entry(3, 2), dict(entry(4, 2), n=10**12, big=">f4")
    dat[0, 1]["swapped"] = np.arange(4, dtype=">f4")
    path = with_pickle(tmp_path / "x.npz", pickle.dumps(dat, protocol), dat.shape)
    if protocol == 2:  # its bytes are text for a codec, which would be another name to know
        with pytest.raises(SourceError, match="asks for '_codecs.encode'"):
            read_objects(path, "dat")
        return
    found = read_objects(path, "dat")
    assert found.shape == (1, 2)
    assert same(found[0, 0], dat[0, 0])
    assert same(found[0, 1], dat[0, 1])


def test_plain_arrays_are_read_as_well(tmp_path):
    np.savez(tmp_path / "x.npz", dat=np.arange(6).reshape(2, 3))
    assert read_objects(tmp_path / "x.npz", "dat").tolist() == [[0, 1, 2], [3, 4, 5]]


# --- the set --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "place"), [("executed", 0), ("imagined", 1)])
def test_epochs_are_what_the_file_holds(path, task, place):
    data = find("miller_motor")(path=path, task=task).build()
    assert isinstance(data, Dataset)
    assert data.subjects == tuple("1234567")
    assert data.classes == ("tongue", "hand")
    assert not data.simulated
    (epochs,) = data.epochs("2")
    given = entry(1 + 7 * place, 4)
    assert epochs.X.shape == (12, 4, 3000)
    assert epochs.y.tolist() == ["tongue", "hand"] * 6
    expected = given["V"][5500:8500].astype(float).T * given["scale_uv"][0]
    np.testing.assert_array_equal(epochs.X[1], expected)
    (session,) = data.continuous("2")
    assert session.stim_s == 3.0
    assert len(session.recording.markers) == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"V": np.zeros((5, 5, 5))}, r"person 1 has V \(5, 5, 5\).*do not fit together"),
        ({"scale_uv": np.ones(9)}, "9 values of scale_uv"),
        ({"stim_id": np.array([11])}, "1 of stim_id"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, message, tmp_path):
    np.savez(tmp_path / "x.npz", dat=whole(**{"V": np.zeros((9, 3), np.float16)} | changes))
    with pytest.raises(SourceError, match=message):
        find("miller_motor")(path=tmp_path / "x.npz").build().epochs("1")


def test_another_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match="'path' must be motor_imagery.npz"):
        _ = find("miller_motor")(path=tmp_path / "none.npz").build().subjects
    np.savez(tmp_path / "x.npz", dat=np.empty((2, 2), dtype=object))
    with pytest.raises(SourceError, match=r"'dat' has shape \(2, 2\), expected \(7, 2\)"):
        find("miller_motor")(path=tmp_path / "x.npz").build().epochs("1")
    np.savez(tmp_path / "y.npz", other=np.zeros(3))
    with pytest.raises(SourceError, match="array 'dat' cannot be read"):
        find("miller_motor")(path=tmp_path / "y.npz").build().epochs("1")


# --- pickles that would run -----------------------------------------------------------------------


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_pickle_that_would_run_is_refused_and_not_run(protocol, tmp_path):
    dat = np.empty((7, 2), dtype=object)
    dat[0, 0] = {"V": Runs(tmp_path / "ran")}
    path = with_pickle(tmp_path / "evil.npz", pickle.dumps(dat, protocol))
    with pytest.raises(SourceError, match=r"asks for 'posix.mkdir'|asks for 'nt.mkdir'"):
        read_objects(path, "dat")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(dat, protocol))  # the trap is a real one
    assert (tmp_path / "ran").exists()


DTYPE = b"cnumpy\ndtype\n"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"cbuiltins\neval\n(V1\ntR.", "asks for 'builtins.eval'"),
        (b"cbci.errors\nBciError\n(V1\ntR.", "asks for 'bci.errors.BciError'"),
        (b"(Vx\niposix\nsystem\n.", "holds 'INST'"),
        (b"Vx\nP0\n.", "holds 'PERSID'|holds 'PUT'"),
        (DTYPE + b"(VV8\nI00\nI01\ntR.", "array of type 'V8'"),
        (DTYPE + b"(Vlist\nI00\nI01\ntR.", "array of type 'list'"),
        (ARRAY + DTYPE + b"I1\nI1\n\x87R.", "do not fit together"),
        (b"]Vx\nVy\ns.", "do not fit together"),
        (b"Vx\n.", "do not fit together"),
        (b"]", "array 'dat' cannot be read"),
        (b"a.", "array 'dat' cannot be read"),
        (b"h\x05.", "array 'dat' cannot be read"),
        (b"", "array 'dat' cannot be read"),
    ],
)
def test_instructions_that_make_no_array_are_refused(data, message, tmp_path):
    with pytest.raises(SourceError, match=message):
        read_objects(with_pickle(tmp_path / "evil.npz", data), "dat")


def test_an_array_larger_than_what_it_holds_is_refused(tmp_path):
    small = pickle.dumps(np.arange(6.0), 3)
    assert small.count(b"K\x06\x85") == 1
    for grown in (b"J\x00\x00\x00\x7f\x85", b"K\x07\x85"):
        path = with_pickle(tmp_path / "x.npz", small.replace(b"K\x06\x85", grown), (6,))
        with pytest.raises(SourceError, match="cannot be read: cannot reshape"):
            read_objects(path, "dat")
