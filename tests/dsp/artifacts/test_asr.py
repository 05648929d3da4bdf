"""Artifact subspace reconstruction: against asrpy and meegkit, and what it does to artifacts."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.signal import butter, freqz, lfilter, sosfilt, sosfiltfilt, sosfreqz

from bci.dsp.artifacts import shaping
from bci.dsp.artifacts.asr import ASR, HOP_S
from bci.dsp.artifacts.asr_calibration import _average, geometric_median, learn
from bci.dsp.artifacts.calibration import save
from bci.dsp.artifacts.clean_stretches import Windows, clean_amplitude, clean_windows
from bci.errors import CalibrationFailed, ConfigError
from bci.sources.files import load_recording
from bci.types import Chunk, Flag, StreamInfo

SFREQ, N_CHANNELS = 200.0, 12
HOP, LATE = 10, 50
CALIBRATION, TEST = 6000, 3000
INFO = StreamInfo("test", SFREQ, tuple(f"E{i}" for i in range(N_CHANNELS)), ("eeg",) * N_CHANNELS)
EEGLAB = Path(__file__).parents[3].joinpath("../shared/data/eeglab/eeglab_data.set")


@pytest.fixture(scope="module")
def clean():
    """Mixed sources with a falling spectrum, 45 s, some 20 µV; the first sample is zero."""
    rng = np.random.default_rng(3)
    mixing = rng.standard_normal((N_CHANNELS, N_CHANNELS)) * np.exp(-np.arange(N_CHANNELS) / 5)
    sources = lfilter([1], [1, -0.9], rng.standard_normal((N_CHANNELS, CALIBRATION + TEST)))
    x = (mixing @ sources).T * 4
    sos = butter(2, 0.5, "highpass", fs=SFREQ, output="sos")
    x = sosfilt(sos, x, axis=0)
    x[0] = 0.0
    x.flags.writeable = False
    return x


@pytest.fixture(scope="module")
def artifacts():
    """Blinks and bursts of muscle of the last 15 s, and where they are."""
    rng = np.random.default_rng(4)
    blink, jaw = rng.standard_normal((2, N_CHANNELS))
    x = np.zeros((TEST, N_CHANNELS))
    for at in (200, 1000, 1900):
        x[at : at + 60] += np.hanning(60)[:, None] * blink * 300
    sos = butter(2, (30, 80), "bandpass", fs=SFREQ, output="sos")
    for at in (600, 1500, 2400):
        burst = sosfilt(sos, rng.standard_normal(100)) * np.hanning(100)
        x[at : at + 100] += burst[:, None] * jaw * 200
    return x


@pytest.fixture(scope="module")
def calibrated(clean, tmp_path_factory):
    """Path of a calibration on the clean half minute, for each method."""
    folder = tmp_path_factory.mktemp("asr")
    paths = {}
    for method in ("euclid", "riemann"):
        stage = ASR(method=method, calibration_s=CALIBRATION / SFREQ).build()
        stage.reset(INFO)
        stage(Chunk(0, clean[:CALIBRATION]))
        assert stage.problem is None
        paths[method] = folder / f"{method}.safetensors"
        save(paths[method], stage.arrays, "asr", INFO)
    return paths


def made(calibrated, method="euclid", **changes):
    stage = ASR(method=method, calibration=calibrated[method], **changes).build()
    stage.reset(INFO)
    return stage


def matrices(stage, cutoff=20.0):
    """Mixing matrix and thresholds as asrpy and meegkit have them."""
    arrays = stage.arrays
    limits = arrays["mean"] + cutoff * arrays["sd"]
    return np.real(sqrtm(arrays["covariance"])), limits[:, None] * arrays["components"].T


# --- against other implementations ---------------------------------------------------------------


@pytest.mark.parametrize("cutoff", [20.0, 3.0])
def test_reconstruction_equals_asrpy(calibrated, clean, artifacts, run, cutoff) -> None:
    """At the same instants. asrpy ends a blend where this stage begins it: one hop less delay."""
    asrpy = pytest.importorskip("asrpy", reason="asrpy is not installed")
    stage = made(calibrated, cutoff=cutoff, lookahead_s=0.25 + HOP_S)
    x = np.concatenate([np.zeros((1, N_CHANNELS)), clean[CALIBRATION + 1 :] + artifacts[1:]])
    ours = run(stage, x)
    mixing, thresholds = matrices(stage, cutoff)
    half = SFREQ / 2
    hz = np.array([*shaping.FREQUENCIES_HZ, half])
    b, a = shaping.yule_walker(hz / half, np.array([*shaping.GAINS, 3.0]))
    theirs = asrpy.asr_process(
        x.T.copy(), SFREQ, mixing, thresholds, lookahead=0.25, stepsize=HOP, ab=(a, b),
        Zi=np.zeros((N_CHANNELS, len(a) - 1)), mem_splits=1,
    )  # fmt: skip
    theirs = theirs.T[LATE:]  # it gives back the delayed signal, cut to its length
    inner = ours.data[LATE + HOP :][: len(theirs) - 2 * HOP]
    assert ours.flagged["asr", None, False].any()
    np.testing.assert_allclose(inner, theirs[: len(inner)], atol=1e-8 * np.abs(x).max(), rtol=0)


def test_reconstruction_equals_meegkit(calibrated, clean, artifacts, run) -> None:
    """Given the same covariances: meegkit's own are of the chunks that it is called with."""
    meegkit = pytest.importorskip("meegkit.asr", reason="meegkit is not installed")
    stage = made(calibrated)
    x = clean[CALIBRATION:] + artifacts
    ours = run(stage, x).data
    mixing, thresholds = matrices(stage)
    zi = np.zeros((N_CHANNELS, 4, 2)) + _steady(x[0])
    shaped = _sosfilt(x, zi)
    state = {"M": mixing, "T": thresholds, "R": np.eye(N_CHANNELS)}
    delayed = np.concatenate([np.repeat(x[:1], LATE, axis=0), x])[: len(x)]
    for u in range(HOP, len(x), HOP):
        seen = shaped[max(0, u - 100) : u]
        out, state = meegkit.asr_process(
            delayed[u : u + HOP].T, None, state, cov=seen.T @ seen / 100, method="euclid"
        )
        np.testing.assert_allclose(ours[u : u + HOP], out.T, atol=1e-8 * np.abs(x).max(), rtol=0)


def _steady(first):
    from scipy.signal import sosfilt_zi

    return sosfilt_zi(shaping.shaping_filter(SFREQ)) * first[:, None, None]


def _sosfilt(x, zi):
    out, _ = sosfilt(shaping.shaping_filter(SFREQ), x.T, zi=zi.swapaxes(0, 1))
    return out.T


def test_fitted_amplitudes_equal_those_of_meegkit() -> None:
    theirs = pytest.importorskip("meegkit.utils.asr", reason="meegkit is not installed")
    rng = np.random.default_rng(0)
    rms = np.abs(rng.normal(10, 1, (170, 6)))
    rms[:30] *= rng.uniform(1, 9, (30, 6))  # contaminated
    rms[-8:] *= 0.1  # drop-outs
    mean, sd = clean_amplitude(rms)
    expected = np.array([theirs.fit_eeg_distribution(column)[:2] for column in rms.T])
    np.testing.assert_allclose(np.column_stack([mean, sd]), expected, rtol=1e-12)


def test_calibration_is_near_that_of_meegkit(calibrated, clean) -> None:
    """Not equal: windows of the covariance are longer, and overlap by 2/3 and not .66.

    Means of clean amplitudes are compared: their standard deviation is as uncertain in half
    a minute, in both, as they differ from each other.
    """
    meegkit = pytest.importorskip("meegkit.asr", reason="meegkit is not installed")
    mixing, means = meegkit.asr_calibrate(clean[:CALIBRATION].T, SFREQ, cutoff=0)
    ours_mixing, ours_means = matrices(made(calibrated), cutoff=0)
    assert np.linalg.norm(ours_mixing - mixing) < 0.1 * np.linalg.norm(mixing)
    limits = np.linalg.norm(ours_means, axis=0) / np.linalg.norm(means, axis=0)
    np.testing.assert_allclose(limits, 1, atol=0.25)


def test_the_shaping_filter_has_the_gains_of_meegkit() -> None:
    meegkit = pytest.importorskip("meegkit.asr", reason="meegkit is not installed")
    for sfreq in (128, 160, 250, 256):  # at higher rates theirs does not tell 2 Hz from 9 Hz
        a, b = meegkit.ASR(sfreq=sfreq).ab_
        hz = np.linspace(0.5, 0.48 * sfreq, 400)
        ours = np.abs(sosfreqz(shaping.shaping_filter(sfreq), hz, fs=sfreq)[1])
        theirs = np.abs(freqz(b, a, hz, fs=sfreq)[1])
        assert np.abs(20 * np.log10(ours / theirs)).max() < 1.5


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sfreq", [100.0, 125.0, 200.0, 256.0, 512.0, 2048.0])
def test_the_shaping_filter_is_stable_and_spares_alpha(sfreq) -> None:
    sos = shaping.shaping_filter(sfreq)
    poles = np.concatenate([np.roots(section[3:]) for section in sos])
    assert np.abs(poles).max() < 1
    slow, alpha, fast = np.abs(sosfreqz(sos, [0.2, 9.0, 40.0], fs=sfreq)[1])
    assert slow > 3 * alpha  # aimed at: 3 and 0.33; eight poles give some 1.5 and 0.3
    assert fast > 2 * alpha
    with pytest.raises(ConfigError, match="a rate of 80 Hz has not; 90 Hz or more"):
        shaping.shaping_filter(80.0)


def test_the_geometric_median_is_not_moved_by_a_third() -> None:
    x = np.random.default_rng(0).normal(3.0, 0.1, (90, 4, 4))
    x[:30] += 1e4
    assert np.abs(geometric_median(x) - 3.0).max() < 0.2
    np.testing.assert_array_equal(geometric_median(np.ones((5, 2))), np.ones(2))


def test_the_riemannian_mean_is_affine_invariant() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 4)) * rng.uniform(0.5, 2, (3000, 1))
    mixing = rng.standard_normal((6, 4))  # and does not mind two dimensions without signal
    windows = Windows.over(np.ones(3000, bool), 100.0, 0.6)
    inner, outer = (_average(windows.covariances(y), windows, "riemann") for y in (x, x @ mixing.T))
    np.testing.assert_allclose(outer, mixing @ inner @ mixing.T, atol=1e-8 * np.abs(outer).max())


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 999), max_size=6), st.integers(1, 60))
def test_windows_hold_no_unusable_sample(bad, length) -> None:
    usable = np.ones(1000, bool)
    usable[bad] = False
    windows = Windows.over(usable, 100.0, length / 100)
    mask = windows.mask(1000)
    assert usable[mask].all()
    assert windows.seconds(100.0) == pytest.approx(mask.sum() / 100)
    x = np.random.default_rng(0).standard_normal((1000, 3))
    rms, covariances = windows.rms(x), windows.covariances(x)
    n = 3 * windows.step
    for k, start in enumerate(windows.starts.tolist()):
        piece = x[start : start + n]
        np.testing.assert_allclose(rms[k], np.sqrt(np.mean(piece**2, axis=0)))
        np.testing.assert_allclose(covariances[k], piece.T @ piece / n)


def test_clean_windows_are_those_without_bursts(clean) -> None:
    x = clean[:CALIBRATION].copy()
    x[1000:1400] *= 12.0  # everything, for 2 s
    x[3000:3300] *= 0.01  # a drop-out
    x[5000:5300, 2] *= 40.0  # one channel in twelve is let pass
    usable = np.ones(len(x), bool)
    usable[:200] = False
    kept = clean_windows(x, usable, SFREQ, 0.5, "asr").mask(len(x))
    assert not kept[:200].any()
    assert not kept[1100:1300].any()
    assert not kept[3100:3200].any()
    assert kept[5000:5300].all()
    assert kept.mean() > 0.8


# --- what holds for the stage ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["euclid", "riemann"])
def test_any_chunking_gives_the_same_output(calibrated, clean, artifacts, run, method) -> None:
    x = clean[CALIBRATION:] + artifacts
    stage = made(calibrated, method)

    @settings(max_examples=6, deadline=None, derandomize=True)
    @given(st.lists(st.integers(0, TEST), max_size=12), st.integers(0, 999))
    @example(list(range(TEST)), 7)
    def check(cuts, start) -> None:
        flags = (Flag(start + 500, start + 520, "gap"),)
        stage.reset(INFO, start)
        whole = run(stage, x, (), start, flags)
        stage.reset(INFO, start)
        cut = run(stage, x, cuts, start, flags)
        np.testing.assert_array_equal(cut.data, whole.data)
        assert cut.flagged.keys() == whole.flagged.keys()
        for key, mask in whole.flagged.items():
            np.testing.assert_array_equal(cut.flagged[key], mask)
        np.testing.assert_array_equal(
            np.flatnonzero(whole.flagged["gap", None, True]), np.arange(500, 520 + LATE)
        )

    check()


def test_calibration_on_the_stream_in_any_chunking(clean, artifacts, run) -> None:
    x = clean.copy()
    x[CALIBRATION:] += artifacts
    stage = ASR(calibration_s=CALIBRATION / SFREQ).build()
    outs = []
    for cuts in ((), range(0, len(x), 37), (CALIBRATION - 1, CALIBRATION + 3)):
        stage.reset(INFO, 4)
        outs.append(run(stage, x, tuple(cuts), 4))
        assert stage.arrays is not None
    for out in outs[1:]:
        np.testing.assert_array_equal(out.data, outs[0].data)
    uncalibrated = outs[0].flagged["uncalibrated", None, False]
    np.testing.assert_array_equal(np.flatnonzero(uncalibrated), np.arange(CALIBRATION))
    # the delay is the same before and after
    np.testing.assert_array_equal(outs[0].data[LATE:CALIBRATION], x[: CALIBRATION - LATE])
    assert stage.delay_s == LATE / SFREQ
    assert outs[0].flagged["asr", None, False][CALIBRATION:].any()


@pytest.mark.parametrize("method", ["euclid", "riemann"])
def test_artifacts_go_and_signal_stays(calibrated, clean, artifacts, run, method) -> None:
    """Blinks and muscle of ten times the signal: a tenth is left, clean signal is untouched."""
    signal = clean[CALIBRATION:]
    out = run(made(calibrated, method), signal + artifacts)
    left = out.data[LATE:] - signal[:-LATE]
    dirty = (artifacts != 0).any(axis=1)[:-LATE]
    before = np.sqrt(np.mean(artifacts[:-LATE][dirty] ** 2))
    assert np.sqrt(np.mean(left[dirty] ** 2)) < before / 10
    altered = out.flagged["asr", None, False][LATE:]
    assert altered[dirty].mean() > 0.8
    assert altered.mean() < 3 * dirty.mean()
    np.testing.assert_array_equal(left[~altered], 0.0)
    # and where there is nothing to take away, nothing is
    untouched = run(made(calibrated, method), signal)
    np.testing.assert_array_equal(untouched.data[LATE:], signal[:-LATE])
    assert untouched.flagged.keys() == {("delay", None, True)}
    np.testing.assert_array_equal(
        np.flatnonzero(untouched.flagged["delay", None, True]), np.arange(LATE)
    )


def test_only_as_many_dimensions_as_allowed(calibrated, clean, run) -> None:
    loud = clean[CALIBRATION:] * 100.0
    out = run(made(calibrated, max_dims=0.25), loud).data[1000:2000]
    power = np.linalg.eigvalsh(np.cov(out.T))
    assert np.sqrt(power[-1]) > 3 * 20.0  # most of it is still there
    assert made(calibrated, max_dims=0.25)._kept == 9


def test_average_reference_before_it(clean, artifacts, run) -> None:
    def referenced(x):
        return x - x.mean(axis=1, keepdims=True)

    for method in ("euclid", "riemann"):
        stage = ASR(method=method, calibration_s=CALIBRATION / SFREQ).build()
        stage.reset(INFO)
        run(stage, referenced(clean[:CALIBRATION]))
        assert f"of rank {N_CHANNELS - 1} in {N_CHANNELS} channels" in stage.findings[0]
        x = referenced(clean[CALIBRATION:])
        out = run(stage, x + referenced(artifacts), (), CALIBRATION)
        dirty = (artifacts != 0).any(axis=1)[:-LATE]
        left = (out.data[LATE:] - x[:-LATE])[dirty]
        assert np.sqrt(np.mean(left**2)) < np.sqrt(np.mean(referenced(artifacts) ** 2)) / 3
        np.testing.assert_allclose(out.data.sum(axis=1), 0, atol=1e-6)


def test_other_channels_are_only_delayed(calibrated, clean, artifacts, run) -> None:
    names = ("TRIG", *INFO.ch_names)
    info = StreamInfo("test", SFREQ, names, ("stim", *INFO.ch_types))
    x = clean[CALIBRATION:] + artifacts
    codes = np.arange(TEST)[:, None] // 300
    stage = ASR(calibration_s=CALIBRATION / SFREQ).build()
    stage.reset(info)
    run(stage, np.column_stack([np.zeros(CALIBRATION), clean[:CALIBRATION]]))
    out = run(stage, np.column_stack([codes, x]), (), CALIBRATION)
    np.testing.assert_array_equal(out.data[LATE:, 0], codes[:-LATE, 0])
    stage = made(calibrated)
    np.testing.assert_allclose(out.data[LATE:, 1:], run(stage, x).data[LATE:], atol=1e-3)


# --- where nothing can be learnt ------------------------------------------------------------------


def flat(x):
    x[:, 3] = 7.0


def railed(x):
    x[:, 5] = np.clip(x[:, 5] * 8, -40, 40)


def offset(x):
    x[:, 1] += 4000.0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flat, "asr: E3 is flat in the signal to calibrate on; mend the electrode"),
        (railed, "asr: E5 is railed"),
        (offset, "E1 has an offset of 4000 µV; put a highpass"),
    ],
)
def test_a_bad_channel_is_named(clean, run, caplog, spoil, message) -> None:
    x = clean[:CALIBRATION].copy()
    spoil(x)
    stage = ASR(calibration_s=CALIBRATION / SFREQ).build()
    stage.reset(INFO)
    with caplog.at_level(logging.WARNING):
        out = run(stage, x)
    assert message in str(stage.problem)
    assert message in caplog.text
    np.testing.assert_array_equal(out.data[LATE:], x[:-LATE])


def test_too_little_clean_signal_is_said(clean) -> None:
    names = INFO.ch_names

    def tried(x, usable=None):
        usable = np.ones(len(x), bool) if usable is None else usable
        learn(x, x, usable, SFREQ, 0.5, "euclid", names)

    with pytest.raises(CalibrationFailed, match="all of 30.0 s to calibrate on are rejected"):
        tried(clean[:CALIBRATION], np.zeros(CALIBRATION, bool))
    with pytest.raises(CalibrationFailed, match="10 windows are without a flag, and 20 are needed"):
        tried(clean[:400])
    usable = np.arange(CALIBRATION) % 90 > 0  # never half a second without a defect
    with pytest.raises(CalibrationFailed, match="0 windows are without a flag"):
        tried(clean[:CALIBRATION], usable)
    few = np.random.default_rng(0).standard_normal((1900, 200))
    with pytest.raises(CalibrationFailed, match="samples for each of 200 channels, and 10 are"):
        learn(few, few, np.ones(1900, bool), SFREQ, 0.5, "euclid", [f"E{i}" for i in range(200)])


def test_no_clean_stretch(clean) -> None:
    x = clean[:CALIBRATION].copy()
    # fewer than twenty windows look alike: of each channel another third is loud at a time
    for at in range(0, CALIBRATION, 100):
        x[at : at + 100] *= np.exp(np.random.default_rng(at).uniform(-6, 6, N_CHANNELS))
    with pytest.raises(
        CalibrationFailed, match=r"of 30.0 s to calibrate on, \d+ windows are clean"
    ):
        learn(x, x, np.ones(CALIBRATION, bool), SFREQ, 0.5, "euclid", INFO.ch_names)


def test_what_does_not_fit_is_said(calibrated) -> None:
    with pytest.raises(ConfigError, match="with method euclid and window_s 0.5, and is asked for"):
        made({"riemann": calibrated["euclid"]}, "riemann")
    with pytest.raises(ConfigError, match="asked for euclid and 1; set these"):
        made(calibrated, window_s=1.0)
    one = StreamInfo("test", SFREQ, ("Cz", "EOG"), ("eeg", "eog"))
    with pytest.raises(ConfigError, match="two EEG channels or more, the stream has only 'Cz'"):
        ASR().build().reset(one)
    types = ("eog", *INFO.ch_types[1:])
    with pytest.raises(ConfigError, match="expected for the 11 EEG channels"):
        ASR(calibration=calibrated["euclid"]).build().reset(
            StreamInfo("test", SFREQ, INFO.ch_names, types)
        )


# --- a real recording -----------------------------------------------------------------------------


@pytest.mark.skipif(not EEGLAB.exists(), reason="../shared/data/eeglab is not there")
def test_blinks_of_a_real_recording(run) -> None:
    """EEGLAB's sample: what the EOG channels say of the frontal channels becomes less."""
    recording = load_recording(EEGLAB)
    info = recording.info
    sos = butter(2, 1.0, "highpass", fs=info.sfreq, output="sos")
    x = sosfiltfilt(sos, np.asarray(recording.data, float), axis=0)
    types = tuple("eog" if "EOG" in n.upper() else "eeg" for n in info.ch_names)
    info = StreamInfo("eeglab", info.sfreq, info.ch_names, types)
    n = round(60 * info.sfreq)
    stage = ASR(calibration_s=60.0, cutoff=10.0).build()
    stage.reset(info)
    run(stage, x[:n])
    assert stage.problem is None, stage.problem
    out = run(stage, x[n:], (), n)
    late = round(stage.delay_s * info.sfreq)
    eog = x[n:-late, [i for i, t in enumerate(types) if t == "eog"]]
    before, after = x[n:-late], out.data[late:]
    front = info.ch_names.index("FPz")
    loud = np.abs(eog).max(axis=1) > 5 * np.median(np.abs(eog)) / 0.6745
    loud &= np.abs(before[:, front]) > 80
    assert loud.any()
    assert np.sum(after[loud, front] ** 2) < 0.5 * np.sum(before[loud, front] ** 2)
    share = out.flagged["asr", None, False].mean()
    assert share < 0.5
