"""Source-free adaptation: its clusters, its targets, and a person without labels."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.base import clone
from sklearn.metrics import silhouette_samples

from bci.decoders import SourceFreeAdaptation
from bci.decoders.artifact import Manifest, load, save
from bci.decoders.deep.clusters import Clusters, neighbours, silhouette
from bci.decoders.deep.source_free import SourceFreeSettings
from bci.errors import ConfigError, TrainingStopped
from bci.types import StreamInfo

_spec = importlib.util.spec_from_file_location(
    "deep_toys", Path(__file__).with_name("deep_toys.py")
)
toys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(toys)


def make(**parameters):
    quick = {**toys.QUICK, "n_epochs": (30, 5), "calibration_folds": 0, "shares": (0.0, 0.6)}
    return SourceFreeAdaptation(
        toys.SFREQ, toys.FREQUENCIES, window_s=(0.4,), **{**quick, **parameters}
    )


@pytest.fixture(scope="module")
def data():
    return toys.blocks_of(0, n_subjects=4, n_blocks=6)


@pytest.fixture(scope="module")
def fitted(data):
    X, y, subjects, _ = data
    known = subjects != "S3"
    return make().fit(X[known], y[known], subjects[known])


def test_silhouette_equals_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((30, 3))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    labels = np.array([7, *rng.integers(4, size=29)])  # the first is alone
    expected = silhouette_samples(distances, labels, metric="precomputed")
    np.testing.assert_allclose(silhouette(distances, labels), expected, atol=1e-12)
    assert (silhouette(distances, np.zeros(30, int)) == 0).all()


class OneFilter:
    """A network whose one combination of channels is the first channel."""

    filters = np.array([[1.0, 0.0]])

    def banded(self, X):
        return X


def test_targets_of_sure_and_unsure_windows():
    t = np.linspace(0, 1, 50, endpoint=False)
    angles = np.array([0.0, 0.1, 0.2, 1.5, 1.55, 3.0])
    X = np.zeros((6, 2, 50))
    X[:, 0] = 3 + np.sin(2 * np.pi * 3 * t + angles[:, None])
    found = Clusters(OneFilter(), X, np.array([0, 0, 1, 1, 1, 2]))
    np.testing.assert_allclose(found.similarity, np.cos(angles[:, None] - angles), atol=1e-12)
    # 2 is labelled as 3 and 4 are, but looks like 0 and 1; 5 is alone
    np.testing.assert_array_equal(found.silhouette >= 0, [True, True, False, True, True, True])
    assert found.silhouette[5] == 0
    targets = found.targets(share=0.6, delta=0.05, n_classes=3)
    own = 0.6 * 6 / 5  # the mean over five, in a loss that is the mean over six
    expected = [
        [own + 0.4, 0, 0],  # near 1 and 2; 2 is not sure
        [own + 0.4, 0, 0],
        [1, 0, 0],  # nothing for its own label, all for that of 1 and 0
        [0, own + 0.4, 0],
        [0, own + 0.4, 0],
        [0, 0.4, own],  # its nearest is 4
    ]
    np.testing.assert_allclose(targets, expected, atol=1e-6)


def test_who_has_no_sure_neighbour_is_its_own():
    class OddOnes(Clusters):
        def __init__(self):
            self.labels = np.array([0, 1, 1])
            self.silhouette = np.array([0.5, -0.1, -0.1])
            self.similarity = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]])

    targets = OddOnes().targets(share=0.6, delta=0.05, n_classes=2)
    np.testing.assert_allclose(targets, [[0.6 * 3 + 0.4, 0], [1, 0], [0, 0]], atol=1e-6)
    alone = OddOnes().targets(share=0.0, delta=0.05, n_classes=2)
    np.testing.assert_allclose(alone, [[0, 0], [1, 0], [0, 0]], atol=1e-6)


def test_neighbours_end_at_the_first_drop():
    ranks = np.array([1.0, 0.9, 0.88, 0.86, 0.6, 0.59])
    similarity = np.eye(6)
    similarity[0, [0, 3, 1, 5, 2, 4]] = ranks
    np.testing.assert_array_equal(np.flatnonzero(neighbours(similarity, 0.05)[0]), [1, 3, 5])
    np.testing.assert_array_equal(np.flatnonzero(neighbours(similarity, 0.01)[0]), [3])
    assert neighbours(similarity, 0.5)[0].sum() == 5


def test_a_label_that_fits_nothing_is_seen():
    t = np.linspace(0, 1, 50, endpoint=False)
    X = np.zeros((8, 2, 50))
    X[:4, 0], X[4:, 0] = np.sin(2 * np.pi * 3 * t), np.sin(2 * np.pi * 5 * t)
    X[:, 0] += 0.1 * np.random.default_rng(0).standard_normal((8, 50))
    good = Clusters(OneFilter(), X, np.repeat([0, 1], 4))
    bad = Clusters(OneFilter(), X, np.tile([0, 1], 4))
    assert good.total > 7
    assert bad.total < 0


def test_it_adapts_to_a_person_and_starts_anew_for_the_next(fitted, data):
    X, y, subjects, _ = data
    new = subjects == "S3"
    source = clone(fitted)
    source.restore(fitted.state(), fitted.classes_.tolist())
    before = source.predict_proba(X[new])
    np.testing.assert_array_equal(before, fitted.predict_proba(X[new]))
    once = source.adapt(X[new]).scores(X)
    assert source.shares_[0] in (0.0, 0.6)
    assert (source.predict(X[new]) == y[new]).sum() > binom.ppf(0.99, new.sum(), 1 / 3)
    source.adapt(X[~new])
    np.testing.assert_array_equal(source.adapt(X[new]).scores(X), once)


def test_what_is_kept_clusters_no_worse_than_the_source(fitted, data):
    X, _, subjects, _ = data
    windows = X[subjects == "S3"][..., :40]

    def total(weights):
        network = fitted._folded([weights], 40)[0]
        return Clusters(network, windows, network.scores(windows).argmax(axis=1)).total

    adapted = clone(fitted)
    adapted.restore(fitted.state(), fitted.classes_.tolist())
    adapted.adapt(windows)
    assert total(adapted.weights_[0]) >= total(fitted.weights_[0])


def test_it_goes_through_an_artifact_adapted(fitted, data, tmp_path):
    X, _, subjects, _ = data
    adapted = clone(fitted)
    adapted.restore(fitted.state(), fitted.classes_.tolist())
    adapted.adapt(X[subjects == "S3"])
    save(adapted, Manifest(ch_names=("Pz", "O1", "Oz", "O2"), sfreq=toys.SFREQ), tmp_path / "model")
    loaded, _ = load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), adapted.predict_proba(X))


def test_a_stop_leaves_the_decoder_as_it_was(fitted, data):
    X = data[0][-18:]
    before = fitted.predict_proba(X)
    calls = []
    with pytest.raises(TrainingStopped, match="adaptation, round 1 after epoch 3 of 5"):
        fitted.adapt(X, should_stop=lambda: calls.append(1) or len(calls) > 3)
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


def test_noise_in_chance_out():
    right = n = 0
    for seed in range(4):
        X, y, subjects, _ = toys.blocks_of(20 + seed, n_subjects=3, n_blocks=8, amplitude=0.0)
        known = subjects != "S2"
        decoder = make(n_epochs=(15, 5)).fit(X[known], y[known], subjects[known])
        right += int((decoder.adapt(X[~known]).predict(X[~known]) == y[~known]).sum())
        n += int((~known).sum())
    low, high = binom.interval(0.99, n, 1 / 3)
    assert low <= right <= high


def test_what_cannot_work_is_refused(fitted, data):
    X, y, _, _ = data
    with pytest.raises(ValueError, match="needs subjects to start from"):
        make().fit(X, y)
    with pytest.raises(ValueError, match=r"3 classes needs 6 windows of 40 samples, found 5 of 44"):
        fitted.adapt(X[:5])
    with pytest.raises(ValueError, match=r"found 9 of 30"):
        fitted.adapt(X[:9, :, :30])
    with pytest.raises(ValueError, match="3 channels, the decoder expects 4"):
        fitted.adapt(X[:, :3])
    info = StreamInfo("amp", 250.0, ("Oz",), ("eeg",))
    made = SourceFreeSettings(frequencies_hz=[10, 12], n_epochs=7, round_epochs=3).build(info)
    assert (made.frequencies, made.n_epochs) == ({"10 Hz": 10, "12 Hz": 12}, (7, 3))
    with pytest.raises(ConfigError, match="decoder source_free: "):
        SourceFreeSettings(frequencies_hz=[10, 12], window_s=[-1]).build(info)
