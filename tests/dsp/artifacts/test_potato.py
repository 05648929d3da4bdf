"""Riemannian potatoes: against pyRiemann, and as a stage that rejects."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power, logm
from scipy.signal import butter, sosfilt, sosfilt_zi
from scipy.stats import norm

from bci.dsp.artifacts.calibration import save
from bci.dsp.artifacts.potato import PotatoField
from bci.dsp.artifacts.riemannian_potato import Potato, fit, karcher_mean
from bci.dsp.chain import Chain
from bci.dsp.line_noise import LineNoise
from bci.dsp.reference import Reference
from bci.errors import CalibrationFailed, ConfigError
from bci.types import Flag, StreamInfo

SFREQ = 200.0
INFO = StreamInfo("potato", SFREQ, ("Fp1", "C3", "Cz", "O1"), ("eeg",) * 4)
OPENBCI = Path(__file__).parents[3] / "../shared/data/openbci"
#: One second is ten hops of 20 samples.
WINDOW, HOP = 200, 20


def built(info=INFO, start=0, **settings):
    stage = PotatoField(**{"calibration_s": 30.0, **settings}).build()
    stage.reset(info, start)
    return stage


@pytest.fixture(scope="module")
def eeg():
    """90 s of mixed noise with a falling spectrum; four artifacts from 60 s on."""
    rng = np.random.default_rng(2)
    n = 18000
    sources = np.zeros((n, 4))
    noise = rng.standard_normal((n, 4))
    for i in range(1, n):
        sources[i] = 0.9 * sources[i - 1] + noise[i]
    data = 4.0 * sources @ rng.standard_normal((4, 4))
    data[12400:12480, 0] += 300 * np.hanning(80)  # blink
    data[13600:14000, 1:3] += 60 * rng.standard_normal((400, 2))  # muscle
    data[15000:15100] += np.linspace(0, 400, 100)[:, None]  # movement
    data.flags.writeable = False
    return data


@pytest.fixture(scope="module")
def wishart():
    """Covariances of white noise, shape (700, 4, 4)."""
    x = np.random.default_rng(0).standard_normal((700, 4, 60))
    return x @ x.swapaxes(1, 2) / 60


def covariances(data, band, shrinkage=0.01):
    """Of every window of a whole recording, and the sample after each."""
    sos = butter(4, band, "bandpass", fs=SFREQ, output="sos")
    x = sosfilt(sos, data, axis=0, zi=sosfilt_zi(sos)[..., None] * data[0])[0]
    stops = np.arange(WINDOW, len(data) + 1, HOP)
    found = np.stack([x[e - WINDOW : e].T @ x[e - WINDOW : e] / WINDOW for e in stops])
    scale = np.trace(found, axis1=1, axis2=2)[:, None, None] / 4
    return (1 - shrinkage) * found + shrinkage * scale * np.eye(4), stops


def rejected(stage, data, run):
    """Verdict of each window: what is flagged at its last sample."""
    out = run(stage, data, range(0, len(data), 37))
    flagged = out.flagged.get(("potato", None, True), np.zeros(len(data), bool))
    return flagged[np.arange(WINDOW, len(data) + 1, HOP) - 1]


# --- the mathematics -----------------------------------------------------------------------------


def test_fit_is_pyriemanns(wishart) -> None:
    detection = pytest.importorskip("pyriemann.artifact_detection")
    spoilt = wishart[:200].copy()
    spoilt[::20] *= 30.0
    theirs = detection.Potato(threshold=2.5).fit(spoilt)
    potato, kept = fit(spoilt, 2.5)
    np.testing.assert_allclose(potato.centroid, theirs.covmean_, rtol=1e-5, atol=1e-6)
    z = np.array([potato.z(c) for c in wishart[200:]])
    np.testing.assert_allclose(z, theirs.transform(wishart[200:]), atol=1e-5)
    assert not kept[::20].any()
    np.testing.assert_array_equal(kept, theirs.predict(spoilt) == 1)


def test_karcher_mean_is_where_logs_cancel(wishart) -> None:
    mean = karcher_mean(wishart[:30], np.eye(4))
    inverse = fractional_matrix_power(mean, -0.5)
    logs = [logm(inverse @ c @ inverse) for c in wishart[:30]]
    np.testing.assert_allclose(np.mean(logs, axis=0), 0, atol=1e-8)


def test_update_moves_along_the_geodesic(wishart) -> None:
    potato = Potato(wishart[0], -0.5, 0.2)
    expected, mean, variance, alpha = wishart[0], -0.5, 0.2**2, 0.3
    for c in wishart[1:5]:
        root, inverse = (fractional_matrix_power(expected, p) for p in (0.5, -0.5))
        log = np.log(np.linalg.norm(logm(inverse @ c @ inverse)))
        assert potato.z(c) == pytest.approx((log - mean) / np.sqrt(variance))
        potato.update(alpha)
        expected = root @ fractional_matrix_power(inverse @ c @ inverse, alpha) @ root
        # of two groups with the weights 1 - alpha and alpha, the second a single value
        new = (1 - alpha) * mean + alpha * log
        variance = (1 - alpha) * (variance + (mean - new) ** 2) + alpha * (log - new) ** 2
        mean = new
        np.testing.assert_allclose(potato.centroid, expected, atol=1e-10)
        assert (potato.mean, potato.std**2) == (pytest.approx(mean), pytest.approx(variance))


def test_following_clean_signal_does_not_drift_away(wishart) -> None:
    """Where pyRiemann's `partial_fit` ends up rejecting the very signal that it follows."""
    detection = pytest.importorskip("pyriemann.artifact_detection")
    theirs = detection.Potato().fit(wishart[:200])
    ours, _ = fit(wishart[:200], 3.0)
    n_ours = n_theirs = 0
    for c in wishart[200:]:
        if ours.z(c) < 3.0:
            ours.update(0.3)
            n_ours += 1
        if theirs.predict(c[None])[0] == 1:
            theirs.partial_fit(c[None], alpha=0.3)
            n_theirs += 1
    assert n_ours > 0.95 * 500
    if n_theirs > 0.95 * 500:
        pytest.skip("pyRiemann has mended its issue 317; the comment in Potato can say so")


# --- the stage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [((1.0, 20.0),), ((1.0, 20.0), (25.0, 45.0))])
def test_static_verdicts_are_pyriemanns(bands, eeg, run) -> None:
    detection = pytest.importorskip("pyriemann.artifact_detection")
    stage = built(bands=bands, adapt_s=None)
    verdicts = rejected(stage, eeg, run)
    found = [covariances(eeg, band) for band in bands]
    stops = found[0][1]
    # windows of the calibration half overlap, and begin when the filters have settled
    to_fit = (stops <= 6000) & (stops % 100 == 0) & (stops - WINDOW >= SFREQ / bands[0][0])
    field = detection.PotatoField(
        n_potatoes=len(bands), p_threshold=norm.sf(3.0), z_threshold=3.0, n_iter_max=100
    )
    field.fit([c[to_fit] for c, _ in found])
    expected = field.predict([c for c, _ in found]) == 0
    np.testing.assert_array_equal(verdicts[stops > 6000], expected[stops > 6000])
    assert not verdicts[stops <= 6000].any()
    if len(bands) == 1:
        alone = detection.Potato().fit(found[0][0][to_fit]).predict(found[0][0]) == 0
        np.testing.assert_array_equal(verdicts[stops > 6000], alone[stops > 6000])
    assert 0.05 < verdicts[stops > 12000].mean() < 0.5
    assert verdicts[(stops > 6000) & (stops <= 12400)].mean() < 0.05


def test_every_sample_of_a_rejected_window_is_flagged(eeg, run) -> None:
    """With the look-ahead of a whole window, samples and their flags come out together."""
    verdicts = rejected(built(), eeg, run)
    stage = built(lookahead_s=None)
    assert stage.delay_s == pytest.approx((WINDOW - 1) / SFREQ)
    out = run(stage, eeg, range(0, len(eeg), 53))
    np.testing.assert_array_equal(out.data[WINDOW - 1 :], eeg[: 1 - WINDOW])
    expected = np.zeros(len(eeg), bool)
    stops = np.arange(WINDOW, len(eeg) + 1, HOP)
    for stop in stops[verdicts]:
        expected[stop - WINDOW : stop] = True
    flagged = out.flagged["potato", None, True][WINDOW - 1 :]
    np.testing.assert_array_equal(flagged, expected[: 1 - WINDOW])
    for artifact in (slice(12420, 12460), slice(13600, 14000), slice(15010, 15100)):
        assert flagged[artifact].all()
    assert out.flagged["delay", None, True].nonzero()[0].tolist() == list(range(WINDOW - 1))


def test_without_look_ahead_the_verdict_falls_on_the_newest_hop(eeg, run) -> None:
    stage = built()
    assert stage.delay_s == 0.0
    out = run(stage, eeg)
    np.testing.assert_array_equal(out.data, eeg)
    flagged = out.flagged["potato", None, True]
    stops = np.arange(WINDOW, len(eeg) + 1, HOP)
    for stop, verdict in zip(stops, flagged[stops - 1], strict=True):
        assert np.all(flagged[stop - 1 : stop - 1 + HOP] == verdict)
    # wherever a decoder's window of that length ends: with a blink in it, it is rejected
    for stop in range(12480, 12600):
        assert flagged[stop - WINDOW : stop].any()


def test_it_follows_clean_signal(run) -> None:
    """Electrodes that drift for minutes: the adaptive potato comes along."""
    rng = np.random.default_rng(8)
    n = 30000
    gain = np.exp(np.linspace(0, 1.0, n))[:, None] ** np.array([1, -0.5, 0.3, 0.8])
    data = 10 * gain * (rng.standard_normal((n, 4)) @ rng.standard_normal((4, 4)))
    stops = np.arange(WINDOW, n + 1, HOP) > 24000
    static = rejected(built(adapt_s=None), data, run)[stops].mean()
    moving = rejected(built(adapt_s=20.0), data, run)[stops].mean()
    assert static > 0.5
    assert moving < 0.1


def test_flat_railed_and_loose_channels_are_rejected(eeg, run) -> None:
    for value in (0.0, 187500.0):
        data = np.array(eeg)
        data[9000:11000, 2] = value
        flagged = run(built(), data).flagged["potato", None, True]
        assert flagged[9200:11000].all()
        # the step back is forgotten by the 1 Hz filter in some 6 s
        assert flagged[12200:12400].mean() < 0.5


@pytest.mark.parametrize(
    ("spoil", "flags", "says"),
    [
        (lambda x: np.put(x, np.arange(2, x.size, 4), 5.0), (), "Cz is flat throughout"),
        (lambda x: np.clip(x, None, 0.0, out=x), (), "are railed throughout"),
        (lambda x: None, (Flag(0, 5900, "amplitude"),), "only 0.5 s are"),
        (
            lambda x: None,
            [Flag(i, i + 1, "amplitude") for i in range(0, 6000, 150)],
            "0 windows are without a flag",
        ),
    ],
)
def test_nothing_to_calibrate_on(spoil, flags, says, eeg, run, caplog) -> None:
    data = np.array(eeg[:7000])
    spoil(data)
    stage = built()
    with caplog.at_level(logging.WARNING):
        out = run(stage, data, (), 0, flags)
    assert says in stage.problem
    assert says in caplog.text
    assert out.flagged["uncalibrated", None, False].all()
    assert ("potato", None, True) not in out.flagged


def test_a_calibration_full_of_artifacts(run) -> None:
    """Windows of two kinds, the smaller of them half of all: which is clean?"""
    rng = np.random.default_rng(4)
    data = 10 * rng.standard_normal((6000, 4))
    data *= np.repeat(rng.permutation([1.0, 1.0, 1.05, 1.1, 30.0] * 12), 100)[:, None]
    stage = built(z=0.5)
    run(stage, data)
    assert "cannot be told what clean signal is" in stage.problem


def test_after_an_average_reference(eeg, run) -> None:
    """Covariances of lowered rank stay defined, and artifacts stand out all the same."""
    stage = PotatoField(calibration_s=30.0).build()
    chain = Chain([Reference().build(), stage])
    chain.reset(INFO)
    flagged = run(chain, eeg).flagged["potato", None, True]
    assert flagged[13700:14000].all()
    assert flagged[6000:12000].mean() < 0.05


def test_what_was_learnt_outlives_a_break_and_a_file(eeg, tmp_path, run) -> None:
    stage = PotatoField(calibration_s=30.0).build()
    chain = Chain([stage])
    chain.reset(INFO)
    run(chain, eeg[:9000])
    learnt = stage.arrays
    calibrated = built()
    run(calibrated, eeg[:6000])
    assert not np.allclose(learnt["centroids"], calibrated.arrays["centroids"], rtol=1e-4)
    chain.reset(INFO, 9500, keep_calibration=True)
    np.testing.assert_array_equal(stage.arrays["centroids"], learnt["centroids"])
    path = tmp_path / "potato.safetensors"
    save(path, learnt, "potato", INFO)
    from_file = built(start=9500, calibration=path)
    a, b = run(chain, eeg[9500:], (), 9500), run(from_file, eeg[9500:], (), 9500)
    np.testing.assert_array_equal(a.flagged["potato", None, True], b.flagged["potato", None, True])
    with pytest.raises(ConfigError, match="calibrated with other bands"):
        built(calibration=path, bands=((2.0, 20.0),))
    with pytest.raises(ConfigError, match="calibrated with other channels"):
        built(calibration=path, channels=("C3", "Cz"))


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"reaches 45 Hz, but the stream's sfreq of 80 Hz"):
        built(StreamInfo("potato", 80.0, INFO.ch_names, INFO.ch_types))
    with pytest.raises(ConfigError, match="no channel 'Fp3'"):
        built(channels=("Fp3",))
    many = StreamInfo("potato", SFREQ, tuple(f"E{i}" for i in range(33)), ("eeg",) * 33)
    with pytest.raises(ConfigError, match="33 EEG channels are more than a window of 1 s"):
        built(many)
    with pytest.raises(ValueError, match=r"\[20, 1\] is none"):
        PotatoField(bands=((20.0, 1.0),))


# --- real signals --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def openbci(run):
    """A recording of blinks and jaw clenches, then alpha, its 60 Hz line removed."""
    if not OPENBCI.exists():
        pytest.skip(f"real recordings are not there: {OPENBCI}")
    from bci.sources.files import load_recording

    recording = load_recording(next(OPENBCI.glob("*v5*.txt")))
    line = LineNoise(freq_hz=60.0).build()
    line.reset(recording.info)
    return recording.info, run(line, recording.data, range(0, 22490, 250)).data


#: Seconds of it.
BLINKS, JAW, ALPHA = ((4, 8), (14, 18), (77, 82)), ((8, 14), (82, 86)), (28, 75)


def test_blinks_and_jaw_clenches_are_flagged_and_alpha_is_not(openbci, run) -> None:
    """Calibrated on 15 s in the midst of alpha, on samples and flags that come out together."""
    info, data = openbci
    stage = built(info, lookahead_s=None)
    learnt = stage.calibrate(data[45 * 250 : 60 * 250], np.ones(15 * 250, bool))
    stage.reset(info)
    stage.resume(learnt)
    out = run(stage, data, range(0, 22490, 125))
    flagged = out.flagged["potato", None, True][249:]
    for start_s, stop_s in (*BLINKS, *JAW):
        assert flagged[start_s * 250 : stop_s * 250].mean() > 0.95
    assert flagged[ALPHA[0] * 250 : ALPHA[1] * 250].mean() < 0.05


def test_calibrated_among_artifacts(openbci, run) -> None:
    """On the first 30 s, half of them blinks and clenches, or not at all on their worst 20 s."""
    info, data = openbci
    flagged = run(built(info), data, range(0, 22490, 125)).flagged["potato", None, True]
    assert flagged[77 * 250 : 82 * 250].mean() > 0.8
    assert flagged[82 * 250 : 86 * 250].mean() > 0.95
    assert flagged[31 * 250 : 75 * 250].mean() < 0.1
    with pytest.raises(
        CalibrationFailed, match=r"of 20\.0 s to calibrate on, .* windows are clean"
    ):
        built(info).calibrate(data[:5000], np.ones(5000, bool))
