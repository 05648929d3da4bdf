"""Extended covariance and band power: against pyRiemann and by hand, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from pyriemann.tangentspace import TangentSpace
from scipy import signal
from sklearn.covariance import oas
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from bci.decoders.artifact import Manifest, load, save
from bci.decoders.ssvep.band_power import BandPower, BandPowerSettings
from bci.decoders.ssvep.cca import FBCCA
from bci.decoders.ssvep.extended_covariance import ExtendedCovariance, ExtendedCovarianceSettings
from bci.decoders.ssvep.offset_fbcca import OffsetFBCCA, OffsetFBCCASettings
from bci.errors import ConfigError
from bci.types import StreamInfo

SFREQ = 200.0
HZ = {"a": 9.0, "b": 11.0, "c": 14.0}
DECODERS = [ExtendedCovariance(SFREQ, HZ), BandPower(SFREQ, HZ), OffsetFBCCA(SFREQ, HZ)]
every_decoder = pytest.mark.parametrize("decoder", DECODERS, ids=lambda d: d.kind)


def draw(seed, n_windows=36, n_channels=4, n_times=300, amplitude=0.7):
    """White noise and, with a phase drawn for each window, the class's sinusoid."""
    rng = np.random.default_rng(seed)
    y = np.array(list(HZ))[np.arange(n_windows) % 3]
    X = rng.standard_normal((n_windows, n_channels, n_times))
    t = np.arange(n_times) / SFREQ
    for window, label in zip(X, y, strict=True):
        wave = np.sin(2 * np.pi * HZ[label] * t + rng.uniform(0, 2 * np.pi))
        window += amplitude * np.outer([1.0, 0.8, 0.5, 0.0][:n_channels], wave)
    return 10 * X, y


def test_extended_covariance_equals_the_tangent_space_of_its_bands():
    """Loops, scikit-learn's shrinkage and pyRiemann's features."""
    (X, y), (new, _) = draw(0), draw(1)
    features = []
    for hz in sorted(h * f for f in HZ.values() for h in (1, 2)):
        sos = signal.butter(2, [hz - 1, hz + 1], "bandpass", fs=SFREQ, output="sos")
        sets = [
            np.array([oas(signal.sosfiltfilt(sos, w, padlen=15).T)[0] for w in windows])
            for windows in (X, new)
        ]
        tangent = TangentSpace(metric={"mean": "logeuclid", "map": "riemann"}).fit(sets[0])
        features.append([tangent.transform(covariances) for covariances in sets])
    train, test = (np.hstack([band[k] for band in features]) for k in (0, 1))
    expected = LogisticRegression(max_iter=1000).fit(train, y)
    found = ExtendedCovariance(SFREQ, HZ).fit(X, y)
    np.testing.assert_allclose(
        found.decision_function(new), expected.decision_function(test), atol=1e-6
    )


def test_band_power_is_the_ratio_to_the_bins_beside():
    decoder = BandPower(SFREQ, {"a": 10.0, "b": 13.0}, n_harmonics=1)
    x = np.random.default_rng(2).standard_normal(400)  # bins of 0.5 Hz
    power = np.abs(np.fft.rfft(x - x.mean())) ** 2
    expected = [
        np.log(power[k] / np.mean(power[[k - 3, k - 2, k - 1, k + 1, k + 2, k + 3]]))
        for k in (20, 26)
    ]
    np.testing.assert_allclose(decoder._measure(x[None, None])[0], expected, rtol=1e-6)


@every_decoder
def test_phase_makes_no_difference_and_any_length_is_decoded(decoder):
    X, y = draw(3, n_windows=60, amplitude=0.5)
    new, truth = draw(4, n_windows=120, amplitude=0.5)
    fitted = type(decoder)(SFREQ, HZ).fit(X, y)
    accuracies = [(fitted.predict(new[..., :n]) == truth).mean() for n in (90, 200, 300, 250)]
    assert 0.4 < accuracies[0] < accuracies[2]
    assert min(accuracies[1:]) > 0.8
    longer, truth = draw(5, n_times=500)
    assert (fitted.predict(longer) == truth).mean() > 0.9


@every_decoder
def test_probabilities_are_calibrated_at_every_length(decoder):
    """The mean probability of the answer is near the share of right ones, on new windows."""
    X, y = draw(6, n_windows=90, amplitude=0.35)
    new, truth = draw(7, n_windows=300, amplitude=0.35)
    fitted = type(decoder)(SFREQ, HZ).fit(X, y)
    for n in (120, 200, 300):
        said = fitted.predict_proba(new[..., :n]).max(axis=1).mean()
        right = (fitted.predict(new[..., :n]) == truth).mean()
        assert said == pytest.approx(right, abs=0.1), n


@every_decoder
def test_a_lost_rank_a_scale_and_a_class_without_flicker_are_no_matter(decoder):
    X, y = draw(8)
    rest = 10 * np.random.default_rng(9).standard_normal((12, 4, 300))
    X, y = np.concatenate([X, rest]), np.concatenate([y, ["rest"] * 12])
    X -= X.mean(axis=1, keepdims=True)
    if isinstance(decoder, OffsetFBCCA):
        with pytest.raises(ValueError, match=r"y holds \['a', .*'rest'\], OffsetFBCCA needs"):
            OffsetFBCCA(SFREQ, HZ).fit(X, y)
        return
    fitted = type(decoder)(SFREQ, HZ).fit(1e-3 * X, y)
    assert fitted.classes_.tolist() == ["a", "b", "c", "rest"]
    assert (fitted.predict(1e-3 * X) == y).mean() > 0.8


@every_decoder
def test_saved_and_loaded_it_decides_the_same(decoder, tmp_path):
    X, y = draw(10)
    fitted = type(decoder)(SFREQ, HZ, channels=[2, 0]).fit(X, y)
    save(fitted, Manifest(ch_names=tuple("wxyz"), sfreq=SFREQ), tmp_path / "model")
    loaded, manifest = load(tmp_path / "model")
    assert manifest.any_length
    np.testing.assert_array_equal(
        loaded.predict_proba(X[..., :222]), fitted.predict_proba(X[..., :222])
    )


@every_decoder
def test_wrong_input_is_refused(decoder):
    X, y = draw(11)
    make = type(decoder)
    with pytest.raises(NotFittedError):
        make(SFREQ, HZ).predict(X)
    with pytest.raises(ValueError, match="two windows of each class .* found one of 'c'"):
        make(SFREQ, HZ).fit(X[:10], [*"ababababa", "c"])
    with pytest.raises(ValueError, match=r"frequencies 9 to 95 Hz do not fit between 0 Hz and"):
        make(SFREQ, {"a": 9.0, "b": 95.0}).fit(X, y)
    with pytest.raises(ValueError, match="must map two or more labels to Hz"):
        make(SFREQ, {"a": 9.0}).fit(X, y)
    with pytest.raises(ValueError, match="X has 4 channels, the decoder uses number 7"):
        make(SFREQ, HZ, channels=[7]).fit(X, y)
    fitted = make(SFREQ, HZ).fit(X, y)
    with pytest.raises(ValueError, match="a window of 9 samples is too short"):
        fitted.predict(X[..., :9])
    with pytest.raises(ValueError, match="X has 3 channels, the decoder expects 4"):
        fitted.predict(X[:, :3])


def test_flat_windows_are_refused_or_known_to_say_nothing():
    X, y = draw(12)
    fitted = ExtendedCovariance(SFREQ, HZ).fit(X, y)
    with pytest.raises(ValueError, match="all channels of a window are flat"):
        fitted.predict(0 * X)
    assert np.isfinite(BandPower(SFREQ, HZ).fit(X, y).predict_proba(0 * X)).all()


@pytest.mark.parametrize(
    "settings", [ExtendedCovarianceSettings, BandPowerSettings, OffsetFBCCASettings]
)
def test_settings_build_for_the_stream(settings):
    info = StreamInfo("amp", 250.0, ("O1", "EOG", "O2"), ("eeg", "eog", "eeg"))
    made = settings(frequencies_hz=[9, 11.5], harmonics=3, C=0.5).build(info)
    assert made.frequencies == {"9 Hz": 9.0, "11.5 Hz": 11.5}
    assert (made.sfreq, made.n_harmonics, made.C, made.channels) == (250.0, 3, 0.5, [0, 2])
    assert settings(frequencies_hz=[9, 11], channels=["O2"]).build(info).channels == [2]
    with pytest.raises(ConfigError, match="channels Oz asked for, the stream has O1, EOG, O2"):
        settings(frequencies_hz=[9, 11], channels=["Oz"]).build(info)
    with pytest.raises(ConfigError, match=f"decoder {made.kind}: stimulus frequencies 9 to 120 Hz"):
        settings(frequencies_hz=[9, 120]).build(info)


def test_offsets_take_off_what_a_frequency_scores_by_itself():
    """A rhythm at one of the frequencies, whatever is looked at, draws FBCCA to it."""
    t = np.arange(300) / SFREQ

    def with_rhythm(seed, n_windows):
        X, y = draw(seed, n_windows=n_windows, amplitude=0.5)
        rng = np.random.default_rng(100 + seed)
        for window in X:
            wave = np.sin(2 * np.pi * HZ["b"] * t + rng.uniform(0, 2 * np.pi))
            window += 5.0 * np.outer([0.2, 0.5, 0.9, 1.0], wave)
        return X, y

    (X, y), (new, truth) = with_rhythm(20, 30), with_rhythm(21, 150)
    plain, learned = FBCCA(SFREQ, HZ), OffsetFBCCA(SFREQ, HZ).fit(X, y)
    assert (plain.predict(new) == "b").mean() > 0.5
    assert learned.score(new, truth) > plain.score(new, truth) + 0.15
    offsets = dict(zip(learned.classes_, learned.learned_["offsets"], strict=True))
    assert min(offsets, key=offsets.get) == "b"
    assert sum(offsets.values()) == pytest.approx(0.0, abs=1e-3)  # by the prior


def test_without_evidence_offsets_stay_with_fbcca():
    X, y = draw(22, amplitude=1.0)
    tight = OffsetFBCCA(SFREQ, HZ, C=1e-8).fit(X, y)
    np.testing.assert_array_equal(tight.predict(X), FBCCA(SFREQ, HZ).predict(X))
