"""Data sets on files made here, where every sample and every error is known."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import signal

from bci.benchmark.data import Dataset
from bci.benchmark.datasets import KINDS, DatasetSettings, find
from bci.benchmark.datasets.epoching import cut, stack_bands, without_hum
from bci.benchmark.transforms import FilterBank
from bci.calibration.training import collect
from bci.config import load
from bci.errors import ConfigError, MissingDependency, SourceError
from bci.recording.export import export_bids
from bci.recording.layout import new_run
from bci.recording.writer import Recorder
from bci.sources.files import Recording, load_recording, place_markers
from bci.sources.formats.bci2000 import read_dat
from bci.types import StreamInfo


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_frozen_settings_of_its_kind(kind):
    cls = find(kind)
    assert issubclass(cls, DatasetSettings)
    assert cls.model_fields["kind"].default == kind
    for name, field in cls.model_fields.items():
        assert field.description or name == "kind", name
    assert find("nothing") is None


def test_the_kinds_alone_load_nothing_heavy():
    code = "import sys, bci.benchmark.datasets; print('mne' in sys.modules, 'moabb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_settings_that_do_not_fit_together_are_refused():
    settings = find("ssvep_exo")
    for wrong, message in (
        ({"tmin": 5, "tmax": 2}, "must lie before tmax"),
        ({"filters": [[30, 8]]}, "must lie below the upper one"),
        ({"filters": [[None, None]]}, "needs a lower or an upper edge"),
        ({"window_s": 9}, "is longer than the epoch"),
        ({"step_s": 1}, "goes with window_s"),
        ({"filter": [8, 30]}, "Extra inputs"),
    ):
        with pytest.raises(ValidationError, match=message):
            settings(path="x", **wrong)
    with pytest.raises(ValidationError, match="Field required"):
        settings()
    with pytest.raises(ValidationError, match="share one marker code"):
        find("xdf")(path="x", paradigm="imagery", events={"a": 1, "b": "1"})


# --- BCI2000 -------------------------------------------------------------------------------------


def write_dat(path, data, states, dtype="int16", gain="0.5", offset="10", cut=0, version="1.1"):
    """Write a file; `states` are (name, bits, byte, bit, values), packed by hand."""
    n, n_channels = data.shape
    n_bytes = max(byte + (bit + bits + 7) // 8 for _, bits, byte, bit, _ in states)
    vectors = np.zeros((n, n_bytes), np.uint8)
    for row in range(n):
        whole = 0
        for _, _, byte, bit, values in states:
            whole |= int(values[row]) << (8 * byte + bit)
        vectors[row] = list(whole.to_bytes(n_bytes, "little"))
    names = " ".join(["Fcz", "Cz", "Oz"][:n_channels])
    lines = [
        "[ State Vector Definition ] ",
        *(f"{name} {bits} 0 {byte} {bit}" for name, bits, byte, bit, _ in states),
        "[ Parameter Definition ] ",
        "Source:Signal int SamplingRate= 100Hz 256 1 % // rate",
        f"Source:Signal list ChannelNames= {n_channels} {names} // names",
        f"Source floatlist SourceChOffset= {n_channels} {' '.join([offset] * n_channels)} 0 % //",
        f"Source floatlist SourceChGain= {n_channels} {' '.join([gain] * n_channels)} 1 % % //",
    ]
    text = "\r\n".join(lines) + "\r\n\r\n"
    start = f"BCI2000V= {version} " if version else ""
    end = f" DataFormat= {dtype}" if version else ""
    length = 0
    for _ in range(3):  # the header tells its own length
        first = (
            f"{start}HeaderLen= {length} SourceCh= {n_channels} StatevectorLen= {n_bytes}{end}\r\n"
        )
        length = len(first) + len(text)
    stored = data.astype({"int16": "<i2", "int32": "<i4", "float32": "<f4"}[dtype])
    raw = stored.view(np.uint8).reshape(n, -1)
    body = np.concatenate([raw, vectors], axis=1).tobytes()
    path.write_bytes((first + text).encode() + body[: len(body) - cut])
    return path


def cursor_states(n=2000):
    target = np.zeros(n, int)
    for k, start in enumerate(range(100, n - 500, 600)):
        target[start : start + 400] = 1 + k % 2
    return [("Feedback", 1, 0, 3, target > 0), ("TargetCode", 8, 0, 4, target)]


@pytest.mark.parametrize(
    ("dtype", "version", "gain", "scale"),
    [
        ("int16", "", "0.5", 0.5), ("int16", "1.1", "0.5muV", 0.5), ("int32", "1.1", "2e-3mV", 2.0),
        ("float32", "1.1", "1", 1.0),
    ],
)  # fmt: skip
def test_bci2000_samples_and_states(tmp_path, dtype, version, gain, scale):
    rng = np.random.default_rng(0)
    data = rng.integers(-3000, 3000, (50, 3))
    wide, flag = rng.integers(0, 2**13, 50), rng.integers(0, 2, 50)
    states = [("Flag", 1, 0, 0, flag), ("Wide", 13, 0, 5, wide), ("Last", 2, 2, 2, flag + 1)]
    path = write_dat(tmp_path / "a.dat", data, states, dtype, gain, version=version)
    file = read_dat(path)
    assert file.sfreq == 100.0
    assert file.ch_names == ("FCz", "Cz", "Oz")
    np.testing.assert_allclose(file.data, (data - 10) * scale, rtol=1e-12)
    for name, expected in (("Flag", flag), ("Wide", wide), ("Last", flag + 1)):
        np.testing.assert_array_equal(file.state(name), expected)


def test_bci2000_trials_come_from_states_and_names_from_files(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("annS002R02", "annS002R01", "annS001R01"):
        write_dat(tmp_path / f"{name}.dat", rng.integers(-99, 99, (2000, 2)), cursor_states())
    write_dat(tmp_path / "other.dat", rng.integers(-99, 99, (50, 2)), [("X", 1, 0, 0, [1] * 50)])
    data = find("bci2000")(path=tmp_path, filters=[], tmin=0, tmax=3, window_s=1).build()
    assert data.subjects == ("ann",)
    first, second = data.epochs("ann")
    assert (first.session, second.session) == ("001", "002")
    assert first.X.shape == (9, 2, 100)
    assert first.y.tolist() == ["target 1"] * 3 + ["target 2"] * 3 + ["target 1"] * 3
    assert second.trials.tolist() == np.repeat(range(6), 3).tolist()  # numbered on over both runs
    file = read_dat(tmp_path / "annS001R01.dat")
    np.testing.assert_array_equal(first.X[1], file.data[200:300].T)  # from sample 100, window 2
    signal = load_recording(tmp_path / "annS001R01.dat")
    np.testing.assert_array_equal(signal.data, file.data)
    assert (signal.info.sfreq, signal.info.ch_names) == (file.sfreq, file.ch_names)
    runs = data.continuous("ann")
    assert [s.session for s in runs] == ["001", "002", "002"]
    marks = [(m.index, m.value) for m in runs[0].recording.markers]
    assert marks[:3] == [(100, "target 1"), (500, "rest"), (700, "target 2")]
    with pytest.raises(SourceError, match="no BCI2000 file with the states of task 'p300'"):
        _ = find("bci2000")(path=tmp_path, task="p300").build().subjects


def test_damaged_bci2000_files_say_so(tmp_path):
    data, states = np.zeros((20, 2), int), cursor_states(20)
    cut = write_dat(tmp_path / "cut.dat", data, states, cut=3)
    with pytest.raises(SourceError, match=r"cut\.dat: is cut off or damaged"):
        read_dat(cut)
    text = tmp_path / "text.dat"
    text.write_text("no header\n")
    with pytest.raises(SourceError, match="is no BCI2000 file: 'headerlen'"):
        read_dat(text)
    whole = write_dat(tmp_path / "b.dat", data, states).read_bytes()
    for name, wrong, message in (
        ("short", whole[:100], "its header is cut off"),
        ("gain", whole.replace(b"Gain= 2 0.5", b"Gain= 2 a.5"), "SourceChGain holds 'a.5'"),
        ("gains", whole.replace(b"Gain= 2 0.5", b"Gain= 1 0.5"), "SourceChGain has 1 values for 2"),
        ("rate", whole.replace(b"SamplingRate= 100Hz", b"SamplingRate= 0    "), "SamplingRate"),
        ("state", whole.replace(b"TargetCode 8 0 0", b"TargetCode 8 0 7"), "outside the state"),
        ("format", whole.replace(b"int16", b"int99"), "is no BCI2000 file: 'int99'"),
    ):
        assert wrong != whole
        path = tmp_path / f"{name}.dat"
        path.write_bytes(wrong)
        with pytest.raises(SourceError, match=message) as error:
            read_dat(path)
        assert "\n" not in str(error.value)


# --- other damaged files -------------------------------------------------------------------------


def test_damaged_files_of_other_sets_say_so(tmp_path):
    (tmp_path / "B0101T.npz").write_bytes(b"PK\x03\x04 nothing")
    np.savez(
        tmp_path / "B0201T.npz", X=np.zeros((3, 3, 9)), y=[1, 2, 7], sfreq=250, ch_names=list("abc")
    )
    np.savez(tmp_path / "B0301T.npz", X=np.zeros((3, 3, 9)))
    data = find("bci_iv_2b")(path=tmp_path, tmax=0.03).build()
    for subject, message in (("B01", "is damaged"), ("B02", "do not fit"), ("B03", "is damaged")):
        with pytest.raises(SourceError, match=message):
            data.epochs(subject)
    (tmp_path / "session1.csv").write_text("timestamps,TP9,AF7,AF8,TP10,Marker\n1,2,3\n")
    (tmp_path / "subject2.csv").write_text("time,TP9,AF7,AF8,TP10,Marker\n1,2,3,4,5,0\n")
    data = find("muse")(path=tmp_path).build()
    for subject, message in (("1", "is damaged"), ("2", "is no Muse CSV")):
        with pytest.raises(SourceError, match=message) as error:
            data.epochs(subject)
        assert "\n" not in str(error.value)


def test_samples_that_are_not_finite_are_not_smeared_by_a_filter(tmp_path):
    rows = np.column_stack([np.arange(2000) / 256, np.zeros((2000, 4)), np.zeros(2000)])
    rows[[100, 900], 5] = 1, 2
    rows[150, 2] = np.nan
    np.savetxt(
        tmp_path / "a.csv", rows, delimiter=",", header="timestamps,TP9,AF7,AF8,TP10,Marker",
        comments="",
    )  # fmt: skip
    with pytest.raises(SourceError, match=r"1 samples are not finite \(channel AF7 from 0\.59 s"):
        find("muse")(path=tmp_path).build().epochs("1")
    (epochs,) = find("muse")(path=tmp_path, filters=[], tmin=0).build().epochs("1")
    assert np.isnan(epochs.X).any(axis=(1, 2)).tolist() == [True, False]
    with pytest.raises(SourceError, match=r"no epoch fits at markers '1', '2'; .* '1' \(1\)"):
        find("muse")(path=tmp_path, filters=[], tmin=20, tmax=30).build().epochs("1")


# --- XDF, BIDS and the project's own recordings --------------------------------------------------

CONFIG = """\
source: {kind: simulated, paradigm: imagery}
channels: {montage: null}
events: {left: cue/left, right: cue/right}
processing: [{kind: bandpass, low_hz: 8, high_hz: 30, order: 2}]
window: {length_s: 1.0, hop_s: 0.1, offset_s: 0.5, markers: [go]}
decoder: {kind: tangent_space}
"""
INFO = StreamInfo("amp", 250.0, ("C3", "Cz", "C4"), ("eeg",) * 3)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two sessions of P001 with 12 trials, the go marker 100 samples after the cue; and one
    without a trial."""
    root = tmp_path_factory.mktemp("own") / "recordings"
    for session, n_trials in ((1, 12), (2, 12), (2, 0)):
        rng = np.random.default_rng(session)
        paths = new_run(root, "P001", session, "mi", CONFIG)
        data = rng.standard_normal((8000, 3)).astype(np.float32) * 10
        stamps = 50.0 + np.arange(8000) / 250
        with Recorder(paths.xdf) as recorder:
            eeg = recorder.add_stream(INFO, dtype=np.float32)
            marks = recorder.add_marker_stream("markers")
            for start in range(0, 8000, 500):
                recorder.write_samples(eeg, data[start : start + 500], stamps[start : start + 500])
            for k in range(n_trials):
                cue = 500 + 600 * k
                recorder.write_marker(marks, f"cue/{('left', 'right')[k % 2]}", stamps[cue])
                recorder.write_marker(marks, "go", stamps[cue + 100])
    return root


MARKED = {
    "paradigm": "imagery", "events": {"left": "cue/left", "right": "cue/right"}, "opens": ["go"],
    "tmin": 0.2, "tmax": 1.2, "idle": ["rest"],
}  # fmt: skip


def test_xdf_epochs_begin_at_the_opener_and_bear_the_label_of_the_cue(recorded):
    data = find("xdf")(path=recorded, **MARKED).build()
    assert data.subjects == ("P001",)
    assert isinstance(data, Dataset)
    first, second = data.epochs("P001")
    assert (first.session, second.session) == ("001", "002")
    assert first.y.tolist() == ["left", "right"] * 6
    (path,) = recorded.glob("sub-P001/ses-001/eeg/*.xdf")
    raw = load_recording(path).data
    np.testing.assert_array_equal(first.X[3], raw[2450:2700].T)  # cue 2300, go 2400, 0.2 s later
    sessions = data.continuous("P001")
    assert len(sessions) == 3
    assert sessions[0].labels == {"cue/left": "left", "cue/right": "right"}
    assert sessions[0].idle == ("rest",)
    assert sessions[0].stim_s == pytest.approx(1.2 + 0.4)  # from the cue, which comes 0.4 s before
    with pytest.raises(SourceError, match=r"no epoch fits at markers '7', '8'; .*'go' \(24\)"):
        find("xdf")(path=recorded, paradigm="p300", events={"a": 7, "b": 8}).build().epochs("P001")


def test_overlapping_windows_of_one_class_are_one_trial_but_flashes_are_not():
    onsets, labels = [100, 150, 200, 300, 350, 500, 600, 650], "aaababbb"
    stamps = np.arange(1000) / 100
    markers = place_markers(zip(onsets, labels, strict=True), stamps, [])
    info = StreamInfo("x", 100.0, ("Cz",), ("eeg",))
    recording = Recording(Path("x"), info, np.zeros((1000, 1)), stamps, markers)
    given = {"path": Path(), "events": {"A": "a", "B": "b"}, "filters": [], "tmax": 1.0}

    def trials(**more):
        settings = find("xdf")(**given, **more)
        return cut(recording, settings.scheme(), settings).trials.tolist()

    assert trials(paradigm="ssvep") == [0, 0, 0, 1, 2, 3, 4, 4]
    assert trials(paradigm="p300") == list(range(8))


def test_bids_gives_what_the_recording_holds(recorded, tmp_path):
    export_bids(recorded, tmp_path / "bids")
    kinds = {
        k: find(k)(path=p, **MARKED) for k, p in (("xdf", recorded), ("bids", tmp_path / "bids"))
    }
    data = kinds["bids"].build()
    assert data.subjects == ("P001",)
    expected = kinds["xdf"].build().epochs("P001")
    for found, wanted in zip(data.epochs("P001"), expected, strict=True):
        assert found.session == wanted.session
        assert found.y.tolist() == wanted.y.tolist()
        assert found.ch_names == wanted.ch_names
        np.testing.assert_allclose(found.X, wanted.X, rtol=1e-5, atol=1e-5)
    with pytest.raises(SourceError, match="no recording of task 'rest'; there are mi"):
        _ = find("bids")(path=tmp_path / "bids", task="rest", **MARKED).build().subjects
    next((tmp_path / "bids").rglob("*.eeg")).write_bytes(b"")
    with pytest.raises(SourceError, match=r"_eeg\.vhdr: is damaged"):
        data.epochs("P001")


def test_own_recordings_give_the_windows_of_the_live_pipeline(recorded):
    data = find("recordings")(path=recorded, paradigm="imagery").build()
    assert data.classes == ("left", "right")
    first, second = data.epochs("P001")
    (path,) = recorded.glob("sub-P001/ses-001/eeg/*.xdf")
    config = load(next(path.parent.glob("*_config.yaml")))
    windows = collect(config, load_recording(path))
    np.testing.assert_array_equal(first.X, windows.X)
    assert first.y.tolist() == windows.y.tolist() == ["left", "right"] * 6
    assert (first.session, second.session) == ("001", "002")
    sessions = data.continuous("P001")  # the run without a trial is left out
    assert [s.session for s in sessions] == ["001", "002"]
    assert sessions[0].stim_s == pytest.approx(1.9)
    described = data.settings()
    assert len(described["configs"]) == 3
    with pytest.raises(SourceError, match="no recording of task 'x'"):
        find("recordings")(path=recorded, paradigm="imagery", task="x").build()


def test_the_description_changes_with_the_files(recorded):
    data = find("xdf")(path=recorded, **MARKED).build()
    before = data.settings()
    path = next(recorded.rglob("*_run-002_eeg.xdf"))
    with path.open("ab") as file:
        file.write(b"")
    assert data.settings() == before
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    assert data.settings() != before


# --- simulated -----------------------------------------------------------------------------------


def test_simulated_sets_are_seeded_and_called_simulated():
    settings = find("simulated")(paradigm="ssvep12", n_subjects=2, n_per_class=2, seed=5)
    data = settings.build()
    assert data.simulated
    assert "simulated" in data.name
    assert "simulated" in settings.model_copy(update={"name": "mine"}).build().name
    assert data.subjects == ("01", "02")
    first, again = data.epochs("01"), settings.build().epochs("01")
    other = data.epochs("02")
    assert [e.session for e in first] == ["1", "2"]
    assert [e.sha256 for e in first] == [e.sha256 for e in again]
    assert len({e.sha256 for e in [*first, *other]}) == 4
    assert first[0].X.shape == (24, 9, 500)
    assert sorted(first[1].y.tolist()) == sorted(2 * list(data.classes))
    (session, _) = data.continuous("01")
    assert session.stim_s == pytest.approx(2.5)  # cue 0.5 s before the flicker of 2 s
    assert session.recording.duration_s == pytest.approx(24 * 3.0 + 1.0)


def test_hum_is_notched_out_forwards():
    asked = {
        "paradigm": "ssvep12",
        "n_subjects": 1,
        "n_sessions": 1,
        "n_per_class": 2,
        "filters": [],
    }
    (clean,), (hummed,) = (
        find("simulated")(**asked, notch_hz=hz).build().epochs("01") for hz in (50, None)
    )
    spectrum = [np.abs(np.fft.rfft(e.X)).mean(axis=(0, 1)) for e in (clean, hummed)]
    hz = np.fft.rfftfreq(clean.X.shape[2], 1 / 250)
    gain = spectrum[0] / spectrum[1]
    assert gain[hz == 50] < 0.1
    assert np.all(np.abs(gain[(hz > 5) & (hz < 45)] - 1) < 0.05)
    with pytest.raises(ConfigError, match="notch: freq_hz"):
        find("simulated")(**asked, notch_hz=130).build().epochs("01")

    later = np.random.default_rng(0).standard_normal((2, 500))
    same = later.copy()
    same[:, 300:] += 9
    one, other = (without_hum(x, 250.0, 50.0) for x in (later, same))
    np.testing.assert_array_equal(one[:, :300], other[:, :300])
    assert np.all(without_hum(np.full((2, 9), 7.0), 250.0, 50.0) == pytest.approx(7.0))


def test_simulated_flicker_is_where_it_is_said():
    data = find("simulated")(paradigm="ssvep40", n_subjects=1, n_sessions=1, n_per_class=2, snr=30)
    (epochs,) = data.build().epochs("01")
    assert len(data.build().classes) == 40
    oz = epochs.X[:, epochs.ch_names.index("Oz"), 125:]
    t = np.arange(oz.shape[1]) / 250
    hz = np.array([float(label.removesuffix(" Hz")) for label in data.build().classes])
    power = np.abs(oz @ np.exp(-2j * np.pi * t[:, None] * hz)) ** 2
    found = np.array(data.build().classes)[power.argmax(axis=1)]
    assert np.mean(found == epochs.y) > 0.9


@pytest.mark.parametrize(("paradigm", "n"), [("imagery2", 2), ("imagery4", 4)])
def test_simulated_imagery_desynchronises_the_right_place(paradigm, n):
    data = find("simulated")(
        paradigm=paradigm, n_subjects=1, n_sessions=1, n_per_class=12, snr=5, filters=[[9, 13]]
    ).build()
    (epochs,) = data.epochs("01")
    assert len(data.classes) == n
    power = {
        (site, label): epochs.X[epochs.y == label, epochs.ch_names.index(site)].var(axis=1).mean()
        for site in ("C3", "Cz", "C4")
        for label in data.classes
    }
    places = {"left": "C4", "right": "C3", "feet": "Cz"}
    for label, site in places.items():
        if label in data.classes:
            least = min(data.classes, key=lambda other, site=site: power[site, other])
            assert least == label
    (session,) = data.continuous("01")
    assert "cue/rest" not in session.labels


# --- filters -------------------------------------------------------------------------------------


def test_stacked_bands_are_butterworth_without_phase():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 3, 4000))
    found = stack_bands(X, 250.0, [(8, 12), (None, 30), (5, None)])
    assert found.shape == (2, 9, 4000)
    designs = [((8, 12), "bandpass"), (30, "lowpass"), (5, "highpass")]
    for k, (edges, kind) in enumerate(designs):
        sos = signal.butter(4, edges, kind, fs=250, output="sos")
        expected = signal.sosfiltfilt(sos, X, axis=-1)
        inner = slice(1500, -1500)  # the two pad differently
        part = found[:, 3 * k : 3 * k + 3, inner]
        np.testing.assert_allclose(part, expected[..., inner], atol=1e-6)
    assert stack_bands(X, 250.0, []) is X
    with pytest.raises(ConfigError, match="must lie below 125 Hz"):
        stack_bands(X, 250.0, [(8, 125)])


def test_filter_bank_is_an_estimator_that_learns_nothing():
    from sklearn.base import clone

    rng = np.random.default_rng(0)
    X = rng.standard_normal((5, 2, 500))
    bank = clone(FilterBank([(8, 12), (12, 16)], 250.0)).fit(X)
    out = bank.transform(X)
    assert out.shape == (5, 4, 500)
    np.testing.assert_array_equal(out[3:4], bank.transform(X[3:4]))
    sos = signal.butter(4, (12, 16), "bandpass", fs=250, output="sos")
    np.testing.assert_allclose(out[2, 3], signal.sosfiltfilt(sos, X[2, 1]), atol=1e-12)
    with pytest.raises(ValueError, match="does not lie between"):
        FilterBank([(8, 130)], 250.0).fit(X)


# --- MOABB ---------------------------------------------------------------------------------------


def test_moabb_is_needed_only_when_asked_for():
    settings = find("moabb")(dataset="FakeDataset", paradigm="LeftRightImagery")
    try:
        import moabb  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependency, match=r"pip install 'neuroloop\[moabb\]'"):
            settings.build()
    else:
        pytest.skip("moabb is installed")


@pytest.mark.filterwarnings("default")
def test_moabb_epochs_are_moabbs():
    pytest.importorskip("moabb")
    params = {"n_subjects": 2, "event_list": ["left_hand", "right_hand"], "seed": 3}
    settings = find("moabb")(
        dataset="FakeDataset", dataset_params=params, paradigm="LeftRightImagery"
    )
    data = settings.build()
    assert data.simulated
    assert data.classes == ("left_hand", "right_hand")
    found = data.epochs("2")
    X, y, meta = data._paradigm.get_data(data._dataset, [2])
    np.testing.assert_array_equal(np.concatenate([e.X for e in found]), X)
    assert np.concatenate([e.y for e in found]).tolist() == y.tolist()
    assert [e.session for e in found] == list(dict.fromkeys(meta["session"]))
    assert found[0].sfreq == 128.0
    assert found[0].ch_names == ("C3", "Cz", "C4")
    for wrong, message in (
        ({"dataset": "Nope"}, "MOABB has no data set 'Nope'"),
        ({"paradigm": "SSVEP"}, "cannot be used with FakeDataset"),
        ({"dataset_params": {"zz": 1}}, "refuses its arguments"),
    ):
        with pytest.raises(ConfigError, match=message):
            settings.model_copy(update=wrong).build()
    with pytest.raises(SourceError, match="has no subject '7'"):
        data.epochs("7")
