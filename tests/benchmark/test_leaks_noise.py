"""Noise in, chance out, for every decoder there is; a signal is found, a leak is caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from pyriemann.estimation import Covariances
from pyriemann.spatialfilters import CSP
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from bci import registry
from bci.benchmark.config import PipelineSettings
from bci.benchmark.leaks import NoiseCheck, Order, check_noise, noise_session, pink
from bci.types import FloatArray

#: What a decoder needs beyond its kind, and the labels that go with it.
NEEDED: dict[str, dict[str, Any]] = {
    "fbcca": {"frequencies_hz": [13, 17], "bands": 2, "harmonics": 2},
    "cca": {"frequencies_hz": [13, 17], "harmonics": 2},
    "trca": {"bands": 1},
    **{
        kind: {"frequencies_hz": [13, 17], "bands": 1, "harmonics": 1}
        for kind in ("offset_fbcca", "ecca", "mscca", "tdca")
    },
    "fbcsp": {"bands_hz": [(8, 16), (16, 32)], "filters": 1, "features": 2},
    "fb_tangent_space": {"bands_hz": [(8, 16), (16, 32)]},
    "extended_covariance": {"frequencies_hz": [13, 17]},
    "band_power": {"frequencies_hz": [13, 17]},
    # a short training: noise has nothing to learn, and the signal planted is strong
    "deep_ssvep": {"n_epochs": 20, "learning_rate": 5e-3, "dropout": 0.1, "calibration_folds": 0},
    "deep_imagery": {
        "network": "cnn_lstm",
        "n_epochs": 15,
        "batch_size": 16,
        "learning_rate": 1e-2,
    },
    "rleegnet": {"n_epochs": 15, "batch_size": 8, "learning_rate": 5e-3, "filters": 1},
    # what is planted lies lower than high gamma
    "high_gamma_knn": {"highpass_hz": 5, "n_bins": 1},
    "ecog_lstm_cnn": {"highpass_hz": 5, "n_epochs": 40, "learning_rate": 0.02, "device": "cpu"},
    "band_power_lr": {"bands_hz": [(8, 16), (16, 32)]},
    "acm": {"order": 2},
    "bt_acm": {"order": 2},
}
HZ = ("13 Hz", "17 Hz")
#: Their noise tests stand with them: they learn from several people, not within a session.
OF_SEVERAL_PEOPLE = ("deep_ssvep_ensemble", "source_free")
#: They train for long.
SLOW = (
    "band_power_lr",
    "contextual_bandit",
    "deep_imagery",
    "deep_ssvep",
    "ecog_lstm_cnn",
    "fb_tangent_space",
    "fbcsp",
    "high_gamma_knn",
    "rleegnet",
    "tangent_space_en",
    "tangent_space_svm",
)
LONG = (pytest.mark.slow, pytest.mark.timeout(1800))
DECODERS = [
    pytest.param(kind, marks=LONG if kind in SLOW else ())
    for kind in registry.kinds("decoder")
    if kind not in ("model", *OF_SEVERAL_PEOPLE)
]

CHAIN = PipelineSettings.model_validate(
    {
        "steps": [
            {"estimator": "pyriemann.estimation.Covariances", "params": {"estimator": "oas"}},
            {"estimator": "pyriemann.tangentspace.TangentSpace"},
            {"estimator": "sklearn.linear_model.LogisticRegression"},
        ]
    }
)


def decoder(kind: str) -> PipelineSettings:
    given = {"kind": kind} | NEEDED.get(kind, {})
    cls = registry.find("decoder", kind)
    assert cls is not None
    try:
        settings = cls.model_validate(given)
    except ValidationError as error:
        pytest.fail(f"say in NEEDED what decoder '{kind}' needs to be checked for leaks: {error}")
    if not hasattr(settings, "decoder"):
        pytest.skip(f"'{kind}' is no decoder of this package")
    return PipelineSettings(decoder=given)


@pytest.mark.parametrize("order", ["random", "blocks"])
@pytest.mark.parametrize("kind", DECODERS)
def test_noise_gives_chance(kind: str, order: Order) -> None:
    found = check_noise(decoder(kind), order=order, classes=HZ)
    assert found.n == 20 * 40
    assert found.passed, str(found)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_planted_signal_is_found(kind: str) -> None:
    found = check_noise(decoder(kind), classes=HZ, planted=1.0, seeds=4)
    assert found.exceeds, str(found)


def test_chains_of_estimators_are_checked_the_same_way() -> None:
    assert check_noise(CHAIN).passed
    assert check_noise(CHAIN, planted=1.0, seeds=4).exceeds


def filters_of_all(X: FloatArray, y: NDArray[Any]) -> FloatArray:
    """Spatial filters fitted to the labels of the whole session, before it is split."""
    csp = CSP(nfilter=2, log=False).fit(Covariances("oas").transform(X), y)
    return np.einsum("fc,nct->nft", csp.filters_, X)


def cleaned_by_class(X: FloatArray, y: NDArray[Any]) -> FloatArray:
    """Each trial drawn towards the mean of its class, the tested ones among them."""
    X = X.copy()
    for label in np.unique(y):
        X[y == label] += 3 * X[y == label].mean(axis=0)
    return X


@pytest.mark.parametrize("leak", [filters_of_all, cleaned_by_class])
def test_a_planted_leak_is_caught(leak: Any) -> None:
    found = check_noise(CHAIN, before_split=leak)
    assert not found.passed
    assert found.exceeds, str(found)


def test_windows_of_one_trial_on_both_sides_would_be_caught() -> None:
    """The guard by trials matters: with it chance, without it a nearest neighbour cheats."""
    nearest = PipelineSettings.model_validate(
        {
            "steps": [
                {"estimator": "pyriemann.estimation.Covariances"},
                {"estimator": "pyriemann.classification.KNearestNeighbor",
                 "params": {"n_neighbors": 1}},
            ]
        }
    )  # fmt: skip
    assert check_noise(nearest, windows_per_trial=3, seeds=5).passed
    careless = []
    for seed in range(5):
        X, y, trials = noise_session(seed, "random", ("left", "right"), 0.0, 40, 3)
        assert len(np.unique(trials)) == 40
        features = np.log(np.abs(np.fft.rfft(X)[..., 1:16])).reshape(len(X), -1)
        split = StratifiedKFold(5, shuffle=True, random_state=0)  # as if trials were unknown
        careless += cross_val_score(KNeighborsClassifier(1), features, y, cv=split).tolist()
    assert np.mean(careless) > 0.8


def test_noise_is_one_over_f() -> None:
    X = pink(np.random.default_rng(0), 4, 2**16)
    power = (np.abs(np.fft.rfft(X)) ** 2).mean(axis=0)
    f = np.fft.rfftfreq(2**16)
    inside = (f > 1e-3) & (f < 0.3)
    slope = np.polyfit(np.log(f[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.05)
    np.testing.assert_allclose(X.std(axis=1), 1.0)


def test_orders_are_balanced() -> None:
    for order in ("random", "blocks"):
        _, y, _ = noise_session(3, order, ("a", "b"), 0.0, 40)  # type: ignore[arg-type]
        assert (y == "a").sum() == 20
    assert y[:10].tolist() == ["a"] * 5 + ["b"] * 5


def test_the_band_is_binomial() -> None:
    found = NoiseCheck(440, 800, 364, 436, 2)
    assert found.exceeds
    assert not found.passed
    assert str(found) == "440 of 800 right (0.550); guessing among 2 has 364 to 436"
