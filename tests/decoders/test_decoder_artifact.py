"""Models on disk: what comes back, what is refused, and that nothing is executed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline

from bci import config
from bci.decoders import (
    CCA,
    CSPLDA,
    FBCCA,
    FBCSP,
    MDM,
    TDCA,
    TRCA,
    ACMClassifier,
    BandPowerLR,
    BlockToeplitzMDM,
    ECoGLSTMCNN,
    ExtendedCCA,
    FgMDM,
    FilterBankTangentSpace,
    HighGammaKNN,
    HighGammaPower,
    MomentsDecoder,
    MultiStimulusCCA,
    Recentred,
    TangentSpaceEN,
    TangentSpaceLR,
    TangentSpaceSVM,
)
from bci.decoders.artifact import ModelSettings, load_decoder
from bci.decoders.manifest import (
    Manifest,
    Score,
    adaptation,
    check,
    describe_processing,
    training_hash,
)
from bci.decoders.stopping import StoppingRule
from bci.decoders.storage import load, save
from bci.dsp.filters import Bandpass
from bci.errors import ConfigError, ModelError
from bci.metrics import selection_report
from bci.types import Moments, StreamInfo

CHANNELS = ("C3", "Cz", "C4", "Pz")
PROCESSING = (
    {"kind": "notch", "freq_hz": 50.0},
    {"kind": "bandpass", "low_hz": 8.0, "high_hz": 30.0, "order": 4},
)
WINDOW = config.WindowSettings(length_s=1.0).model_dump(mode="json")


def training(labels=("left", "right", "feet")):
    rng = np.random.default_rng(0)
    y = np.array(labels)[np.arange(30) % len(labels)]
    gain = 1 + (np.arange(4) == (np.arange(30) % len(labels))[:, None])
    return gain[..., None] * rng.standard_normal((30, 4, 250)), y


def manifest_for(X, y, **changes):
    fields = {
        "ch_names": CHANNELS,
        "sfreq": 250.0,
        "processing": PROCESSING,
        "window": WINDOW,
        "training_sha256": training_hash(X, y),
        "n_trials": {str(k): int((y == k).sum()) for k in np.unique(y)},
        "scores": [
            Score(metric="accuracy", value=0.9, low=0.8, high=0.95, n=30, method="5-fold by trial")
        ],
    }
    return Manifest.model_validate(fields | changes)


def stream(**changes):
    fields = {"name": "amp", "sfreq": 250.0, "ch_names": CHANNELS}
    fields |= changes
    return StreamInfo(ch_types=("eeg",) * len(fields["ch_names"]), **fields)


@pytest.fixture
def model(tmp_path):
    X, y = training()
    save(TangentSpaceLR().fit(X, y), manifest_for(X, y), tmp_path / "model")
    return tmp_path / "model"


# --- there and back -------------------------------------------------------------------------------

HZ = {"left": 10.0, "right": 12.0, "feet": 15.0}


@pytest.mark.parametrize(
    "decoder",
    [
        FBCCA(250, HZ),
        FBCCA(250, HZ, 3, 2, channels=np.array([0, 2]), low_edges_hz=(5, 12)),
        CCA(250, HZ),
        ExtendedCCA(250, HZ),
        MultiStimulusCCA(250, HZ, phases={"left": 0.0, "right": 1.0, "feet": 2.0}),
        TRCA(250),
        TRCA(250, HZ, ensemble=False, reference=True, n_neighbours=1),
        TDCA(250, HZ, n_delays=3),
        TangentSpaceLR(C=0.3),
        TangentSpaceLR(rank=3, shrinkage=None),
        TangentSpaceSVM(kernels=("linear",)),
        TangentSpaceSVM(kernels=("rbf",), rank=3),
        TangentSpaceEN(random_state=0),
        make_pipeline(TangentSpaceSVM()),
        make_pipeline(TangentSpaceEN(random_state=0)),
        MDM(),
        ACMClassifier(2, 3, random_state=0),
        ACMClassifier(2, 3, kernel="rbf", rank=3, random_state=0),
        ACMClassifier(2, 3, "lr", "budget", n_points=3, random_state=0),
        ACMClassifier(2, 3, "mdm", random_state=0),
        BlockToeplitzMDM(3, 2, rank=3, random_state=0),
        make_pipeline(ACMClassifier(2, random_state=0)),
        CSPLDA(n_filters=1),
        FBCSP(250, bands=((8, 12), (12, 30)), random_state=1),
        FgMDM(rank=3),
        FilterBankTangentSpace(250, C=0.3),
        Recentred(MDM(rank=2), rate=0.1),
        BandPowerLR(250, [(8, 32), (76, 100)], C=0.3),
        HighGammaKNN(250, n_bins=1),
        ECoGLSTMCNN(250, n_epochs=3, device="cpu"),
        HighGammaKNN(250, highpass_hz=None),
        make_pipeline(BandPowerLR(250)),
        make_pipeline(HighGammaPower(250), HighGammaKNN(250, highpass_hz=None)),
        make_pipeline(Covariances("oas"), TangentSpace(), LogisticRegression(max_iter=1000)),
        make_pipeline(TangentSpaceLR(rank=2)),
        make_pipeline(CCA(250, HZ)),
        make_pipeline(CSPLDA()),
        make_pipeline(FBCSP(250)),
        make_pipeline(FgMDM()),
        make_pipeline(Recentred(TangentSpaceLR())),
        make_pipeline(FilterBankTangentSpace(250)),
        make_pipeline(ExtendedCCA(250, HZ)),
        make_pipeline(MultiStimulusCCA(250, HZ)),
        make_pipeline(TRCA(250)),
        make_pipeline(TDCA(250, HZ)),
    ],
    ids=repr,
)
def test_a_loaded_model_predicts_the_same_to_the_last_bit(decoder, tmp_path):
    X, y = training()
    decoder.fit(X, y)
    written = save(decoder, manifest_for(X, y), tmp_path / "m")
    loaded, manifest = load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(X), decoder.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), decoder.predict(X))
    assert type(loaded) is type(decoder)
    assert manifest == written
    assert manifest.classes == ("feet", "left", "right")
    assert isinstance(loaded, MomentsDecoder) == isinstance(decoder, MomentsDecoder)


def test_the_training_free_decoder_is_saved_without_fit(tmp_path):
    X, y = training()
    save(FBCCA(250, HZ), manifest_for(X, y), tmp_path / "m")
    loaded, manifest = load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(X), FBCCA(250, HZ).predict_proba(X))
    assert manifest.any_length


def test_arrays_come_back_whatever_their_order_in_memory(tmp_path):
    X, y = training()
    decoder = TRCA(250).fit(X, y)
    decoder.filters_ = np.asfortranarray(decoder.filters_)
    save(decoder, manifest_for(X, y), tmp_path / "m")
    loaded, _ = load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.filters_, decoder.filters_)


@pytest.mark.parametrize("labels", [("l", "r"), (1, 2), (0.5, 1.5), (False, True), ("µ", "ß", "Ж")])
def test_labels_keep_their_type(labels, tmp_path):
    X, y = training(labels)
    save(MDM().fit(X, y), manifest_for(X, y), tmp_path / "m")
    loaded, _ = load(tmp_path / "m")
    assert loaded.classes_.tolist() == sorted(labels)
    assert type(loaded.classes_.tolist()[0]) is type(labels[0])
    assert loaded.classes_.dtype.kind == np.asarray(labels).dtype.kind


def test_numbered_classes_of_fbcca_come_back(tmp_path):
    X, y = training((1, 2))
    save(FBCCA(250, {1: 10.0, 2: 12.0}).fit(X, y), manifest_for(X, y), tmp_path / "m")
    loaded, _ = load(tmp_path / "m")
    assert loaded.frequencies == {1: 10.0, 2: 12.0}
    assert loaded.predict(X).dtype.kind == "i"


def test_a_stopping_rule_travels_with_the_model_and_cannot_be_altered(tmp_path):
    X, y = training()
    report = selection_report([1.0, 0.5], [True, False], [True, True], 3)
    rule = StoppingRule(
        target_error=0.05, threshold=0.875, looks=(100, 150), sfreq=250.0,
        expected=report, best_fixed=report,
    )  # fmt: skip
    decoder = FBCCA(250, HZ).fit(X, y)
    save(decoder, manifest_for(X, y, stopping=rule), tmp_path / "m")
    assert load(tmp_path / "m")[1].stopping == rule
    opened = ModelSettings(path=tmp_path / "m").open(stream(), PROCESSING)
    assert opened[2] == rule
    altered(tmp_path / "m", "0.875", "0.5")
    with pytest.raises(ModelError, match="was altered after saving"):
        load(tmp_path / "m")


@pytest.mark.parametrize("missing", [("worth", "bypassed"), ("stopping", "worth", "bypassed")])
def test_models_from_before_an_entry_existed_still_load(model, missing):
    path = model / "manifest.json"
    fields = json.loads(path.read_text())
    assert not any(fields.pop(name) for name in missing)
    plain = {k: v for k, v in fields.items() if k not in ("digest", "created", "stopping")}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    fields["digest"] = hashlib.sha256(text.encode()).hexdigest()  # as it was then
    path.write_text(json.dumps(fields))
    found = load(model)[1]
    assert (found.stopping, found.worth, found.bypassed) == (None, (), ())


def test_the_manifest_says_what_the_model_is(model):
    text = json.loads((model / "manifest.json").read_text())
    assert text["ch_names"] == list(CHANNELS)
    assert text["unit"] == "uV"
    assert text["params"] == {
        "C": 1.0, "max_iter": 1000, "rank": None, "rate": 0.04, "shrinkage": "oas"
    }  # fmt: skip
    assert text["n_trials"] == {"feet": 10, "left": 10, "right": 10}
    assert text["scores"][0]["method"] == "5-fold by trial"
    assert {"numpy", "scipy", "scikit-learn", "pyriemann", "neuroloop"} == set(text["versions"])
    assert sorted(p.name for p in model.iterdir()) == ["arrays.safetensors", "manifest.json"]


def test_the_same_training_gives_the_same_name(tmp_path):
    X, y = training()
    names = []
    for folder, scale in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        decoder = TangentSpaceLR(C=scale).fit(X, y)
        names.append(save(decoder, manifest_for(X, y), tmp_path / folder).model_id)
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("tangent_space-")
    assert len(names[0]) == len("tangent_space-") + 8


def test_a_model_is_for_the_owner_only_and_overwrites_nothing(model):
    assert stat.S_IMODE(model.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in model.iterdir())
    X, y = training()
    before = (model / "manifest.json").read_bytes()
    with pytest.raises(ModelError, match="exists already"):
        save(MDM().fit(X, y), manifest_for(X, y), model)
    assert (model / "manifest.json").read_bytes() == before
    assert [p.name for p in model.parent.iterdir()] == ["model"]  # nothing half-written is left


def test_what_cannot_be_saved_is_refused(tmp_path):
    X, y = training()
    with pytest.raises(ModelError, match="MDM is not fitted"):
        save(MDM(), manifest_for(X, y), tmp_path / "m")

    class Bare:
        classes_ = np.array(["a", "b"])

    with pytest.raises(ModelError, match="Bare is neither"):
        save(Bare(), manifest_for(X, y), tmp_path / "m")

    class Own(MDM):
        pass

    with pytest.raises(ModelError, match="Own calls itself decoder kind 'mdm'"):
        save(Own().fit(X, y), manifest_for(X, y), tmp_path / "m")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be written"):
        save(MDM().fit(X, y), manifest_for(X, y), tmp_path / "file" / "m")
    assert not (tmp_path / "m").exists()


# --- damage ---------------------------------------------------------------------------------------


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def rewrite(folder, **changes):
    """Alter the manifest as someone would who also mends its digest."""
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    manifest = manifest.model_copy(update=changes)
    manifest = manifest.model_copy(update={"digest": manifest.content_digest()})
    (folder / "manifest.json").write_text(manifest.model_dump_json())


def altered(folder, old, new):
    text = (folder / "manifest.json").read_text()
    assert old in text
    (folder / "manifest.json").write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: flip(m / "arrays.safetensors", -9), "arrays.safetensors is not the file"),
        (
            lambda m: os.truncate(m / "arrays.safetensors", 100),
            "arrays.safetensors is not the file",
        ),
        (lambda m: (m / "arrays.safetensors").unlink(), "arrays.safetensors is missing"),
        (lambda m: (m / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda m: os.truncate(m / "manifest.json", 200), "manifest.json is damaged"),
        (
            lambda m: (m / "manifest.json").write_bytes(b"\x80\x04garbage"),
            "manifest.json is damaged",
        ),
        (lambda m: altered(m, "250.0", "256.0"), "was altered after saving"),
        (lambda m: altered(m, '"C3"', '"C5"'), "was altered after saving"),
        (lambda m: altered(m, "arrays.safetensors", "../x.safetensors"), "damaged: file"),
        (lambda m: altered(m, "bci.model/1", "bci.model/9"), "damaged: schema_version"),
        (lambda m: rewrite(m, kind="svm"), "kind 'svm', which is not installed; installed are"),
        (lambda m: rewrite(m, kind="model"), "kind 'model', which is not installed"),
        (lambda m: rewrite(m, kind="mdm"), "does not hold a decoder of kind 'mdm'"),
        (lambda m: rewrite(m, params={"gamma": 1}), "does not hold a decoder.*gamma"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(model, damage, message):
    damage(model)
    with pytest.raises(ModelError, match=message) as caught:
        load(model)
    assert "\n" not in str(caught.value)
    assert str(model) in str(caught.value)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        load(tmp_path / "nothing")
    (tmp_path / "file.json").touch()
    with pytest.raises(ModelError, match="is a file; a model is a folder"):
        load(tmp_path / "file.json")


# --- nothing is executed --------------------------------------------------------------------------


class Bomb:
    """Leaves a trace when unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "arrays.safetensors", "model.skops"])
def test_a_planted_pickle_is_never_loaded(model, tmp_path, name):
    trace = tmp_path / "executed"
    bomb = pickle.dumps(Bomb(trace))
    pickle.loads(bomb)
    assert trace.exists()  # the bomb works
    trace.unlink()
    (model / name).write_bytes(bomb)
    if name == "arrays.safetensors":
        digest = hashlib.sha256(bomb).hexdigest()
        rewrite(model, file_sha256=digest)
        with pytest.raises(ModelError, match="does not hold a decoder"):
            load(model)
    elif name == "model.skops":
        digest = hashlib.sha256(bomb).hexdigest()
        rewrite(model, file=name, file_sha256=digest)
        with pytest.raises(ModelError, match=r"model\.skops"):
            load(model)
    else:
        load(model)
    assert not trace.exists()


class Homemade(ClassifierMixin, BaseEstimator):
    """An estimator that nobody has heard of."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def test_untrusted_types_are_named_and_can_be_trusted(tmp_path):
    X, y = training()
    save(make_pipeline(Homemade()).fit(X, y), manifest_for(X, y), tmp_path / "m")
    name = f"{Homemade.__module__}.Homemade"
    with pytest.raises(ModelError, match=f"not trusted: {name}; if you"):
        load(tmp_path / "m")
    loaded, manifest = load(tmp_path / "m", trusted=[name])
    assert loaded.predict_proba(X).shape == (30, 3)
    assert manifest.kind == "sklearn"


def test_an_estimator_without_probabilities_is_refused(tmp_path):
    X, y = training()
    ridge = make_pipeline(Covariances(), TangentSpace(), RidgeClassifier()).fit(X, y)
    save(ridge, manifest_for(X, y), tmp_path / "m")
    with pytest.raises(ModelError, match="holds a Pipeline, which gives no probabilities"):
        load(tmp_path / "m")


# --- does it fit the stream? ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "processing", "window", "message"),
    [
        ({"sfreq": 500.0}, PROCESSING, {}, "trained at 250 Hz, the stream has 500 Hz"),
        (
            {"ch_names": ("C3", "Cz", "C4")},
            PROCESSING,
            {},
            "channels Pz are missing: it was trained on C3, Cz, C4, Pz, the stream has C3, Cz, C4",
        ),
        (
            {"ch_names": ("Cz", "C3", "C4", "Pz")},
            PROCESSING,
            {},
            "other order of channels: .* C3, Cz, C4, Pz, the stream has Cz, C3, C4, Pz",
        ),
        ({"ch_names": (*CHANNELS, "Oz")}, PROCESSING, {}, "other channels: .* Pz, Oz"),
        ({}, PROCESSING[1:], {}, "behind the stages notch > bandpass, the stream passes bandpass"),
        (
            {},
            (*PROCESSING, {"kind": "reference"}),
            {},
            "behind the stages notch > bandpass, the stream passes notch > bandpass > reference",
        ),
        ({}, (), {}, "behind the stages notch > bandpass, the stream passes none"),
        (
            {},
            (PROCESSING[0], PROCESSING[1] | {"high_hz": 40.0}),
            {},
            r"stage 2 \(bandpass\): high_hz 30.0 in training, 40.0 now",
        ),
        ({}, PROCESSING, {"length_s": 2.0}, "windows of 1 s, the session cuts 2 s"),
        ({}, PROCESSING, {"kind": "growing"}, "kind 'sliding' .* cuts growing ones"),
    ],
)
def test_a_mismatch_names_both_sides(model, info, processing, window, message):
    _, manifest = load(model)
    with pytest.raises(ModelError, match=message) as caught:
        check(manifest, stream(**info), processing, WINDOW | window)
    assert manifest.model_id in str(caught.value)
    assert "'amp'" in str(caught.value)


def test_all_mismatches_are_in_one_message(model):
    _, manifest = load(model)
    with pytest.raises(ModelError, match=r"Pz are missing.*256 Hz.*trained behind"):
        check(manifest, stream(sfreq=256.0, ch_names=CHANNELS[:3]), (), WINDOW)


def test_what_fits_is_accepted(model):
    _, manifest = load(model)
    check(manifest, stream(), PROCESSING, WINDOW)
    check(manifest, stream(), [dict(stage) for stage in PROCESSING], WINDOW | {"hop_s": 0.5})
    check(manifest, stream())
    free = manifest.model_copy(update={"any_length": True})
    check(free, stream(), PROCESSING, WINDOW | {"length_s": 3.0, "kind": "growing"})


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ({"kind": "sliding"}, "templates that start at a marker, the session cuts sliding ones"),
        ({"kind": "growing", "length_s": 1.2}, "templates are 1 s long, .* cuts up to 1.2 s"),
        ({"kind": "marker", "offset_s": 0.2}, "start 0.14 s after the marker, .* windows 0.2 s"),
        ({"kind": "growing", "length_s": 0.8}, None),
        ({"kind": "marker"}, None),
    ],
)
def test_windows_of_decoders_with_templates_must_start_alike(window, message, tmp_path):
    X, y = training()
    trained = WINDOW | {"kind": "marker", "offset_s": 0.14}
    save(TRCA(250).fit(X, y), manifest_for(X, y, window=trained), tmp_path / "m")
    _, manifest = load(tmp_path / "m")
    if message is None:
        check(manifest, stream(), PROCESSING, trained | window)
    else:
        with pytest.raises(ModelError, match=message):
            check(manifest, stream(), PROCESSING, trained | window)


def test_coefficients_are_compared_where_both_sides_have_them():
    X, y = training()
    settings = [Bandpass(low_hz=8, high_hz=30)]

    def processing(sfreq):
        stage = settings[0].build()
        stage.reset(stream(sfreq=sfreq))
        return describe_processing(settings, [stage])

    manifest = manifest_for(X, y, processing=processing(250.0))
    assert len(manifest.processing[0]["coefficients"][0]) == 6
    check(manifest, stream(), processing(250.0))
    check(manifest, stream(), describe_processing(settings))
    with pytest.raises(ModelError, match=r"stage 1 \(bandpass\): other filter coefficients"):
        check(manifest, stream(), processing(500.0))


# --- adaptation -----------------------------------------------------------------------------------


def test_channels_are_found_by_name(model):
    _, manifest = load(model)
    assert adaptation(manifest, stream(ch_names=("Oz", "Pz", "C4", "Cz", "C3"))) == [4, 3, 2, 1]
    with pytest.raises(ModelError, match=r"cannot be adapted .* channels C3 are missing"):
        adaptation(manifest, stream(ch_names=("Oz", "Pz", "C4", "Cz")))


def test_leaving_channels_out_behind_a_stage_that_mixes_them_is_refused():
    X, y = training()
    manifest = manifest_for(X, y, processing=({"kind": "reference", "mode": "average"},))
    assert adaptation(manifest, stream(ch_names=CHANNELS[::-1])) == [3, 2, 1, 0]
    with pytest.raises(ModelError, match=r"'reference' mixes channels; set channels.pick to \[C3"):
        adaptation(manifest, stream(ch_names=("Oz", *CHANNELS)))


def test_an_adapted_decoder_decides_as_the_original(model, caplog):
    X, _ = training()
    other = np.random.default_rng(5).standard_normal((30, 6, 250))
    names = ("Oz", "Pz", "C3", "O1", "C4", "Cz")
    for i, name in enumerate(CHANNELS):
        other[:, names.index(name)] = X[:, i]
    info = stream(ch_names=names)
    with pytest.raises(ModelError, match="other channels"):
        ModelSettings(path=model).build(info)
    original, manifest = load(model)
    with caplog.at_level(logging.WARNING):
        decoder, name, _ = ModelSettings(path=model, adapt=True).open(info, PROCESSING, WINDOW)
    assert name == f"{manifest.model_id}+picked"
    assert "takes channels C3, Cz, C4, Pz from Oz, Pz, C3" in caplog.text
    np.testing.assert_array_equal(decoder.predict_proba(other), original.predict_proba(X))
    assert decoder.classes_.tolist() == original.classes_.tolist()
    assert isinstance(decoder, MomentsDecoder)
    sums = Moments(other[0] @ other[0].T, other[0].sum(axis=1), 250)
    np.testing.assert_allclose(
        decoder.predict_proba_moments(sums), original.predict_proba(X[:1])[0], atol=1e-9
    )


def test_an_adapted_decoder_takes_sums_only_where_the_original_does(tmp_path):
    X, y = training()
    save(FBCCA(250, HZ), manifest_for(X, y), tmp_path / "m")
    decoder = ModelSettings(path=tmp_path / "m", adapt=True).build(stream(ch_names=CHANNELS[::-1]))
    assert not isinstance(decoder, MomentsDecoder)
    np.testing.assert_allclose(
        decoder.predict_proba(X[:, ::-1]), FBCCA(250, HZ).predict_proba(X), atol=1e-12
    )


# --- the decoder of a session ---------------------------------------------------------------------


def session(decoder, processing=()):
    return config.Config.model_validate(
        {
            "source": {"kind": "simulated"},
            "processing": list(processing),
            "window": {"length_s": 1.0},
            "decoder": decoder,
        }
    )


@pytest.fixture
def simulated():
    return pytest.importorskip("bci.sources.simulated")


@pytest.mark.usefixtures("simulated")
def test_a_session_gets_its_decoder_and_the_name_for_decisions(model):
    decoder, name, _ = load_decoder(
        session({"kind": "fbcca", "frequencies_hz": [10, 12]}), stream()
    )
    assert (type(decoder), name) == (FBCCA, "fbcca")
    processing = [
        {"kind": "notch", "freq_hz": 50},
        {"kind": "bandpass", "low_hz": 8, "high_hz": 31},
    ]
    with pytest.raises(ModelError, match=r"high_hz 30\.0 in training, 31\.0 now"):
        load_decoder(session({"kind": "model", "path": str(model)}, processing), stream())
    with pytest.raises(ConfigError, match="'tangent_space' must be trained"):
        load_decoder(session({"kind": "tangent_space"}), stream())
    with pytest.raises(ConfigError, match="no 'decoder'"):
        load_decoder(session(None), stream())


@pytest.mark.usefixtures("simulated")
def test_a_saved_model_loads_into_the_session_it_was_trained_in(tmp_path):
    X, y = training()
    chain = [{"kind": "notch", "freq_hz": 50}, {"kind": "bandpass", "low_hz": 8, "high_hz": 30}]
    trained = session({"kind": "tangent_space"}, chain)
    manifest = manifest_for(
        X,
        y,
        processing=describe_processing(trained.processing),
        window=trained.window.model_dump(mode="json"),
    )
    written = save(TangentSpaceLR().fit(X, y), manifest, tmp_path / "m")
    live = session({"kind": "model", "path": str(tmp_path / "m")}, chain)
    decoder, name, _ = load_decoder(live, stream())
    assert name == written.model_id
    np.testing.assert_array_equal(
        decoder.predict_proba(X), TangentSpaceLR().fit(X, y).predict_proba(X)
    )
