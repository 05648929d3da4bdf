"""Training on recordings of several people: who is told what, and what `bci train` says of it."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from bci import config
from bci.calibration.training import collect, fit, join
from bci.cli import app
from bci.decoders import MDM, Alignment, Recentred, TangentSpaceLR
from bci.decoders.storage import load, save
from bci.decoders.subjects import fit_to, subjects_for, takes_subjects
from bci.errors import ConfigError
from bci.sources.files import Recording
from bci.sources.simulated import SimulatedSettings
from bci.types import RawMarker, Samples, SourceState

SESSION = {
    "source": {"kind": "simulated", "paradigm": "imagery"},
    "channels": {"montage": None},
    "events": {"left": "cue/left", "right": "cue/right"},
    "processing": [{"kind": "bandpass", "low_hz": 8, "high_hz": 32, "order": 4}],
    "window": {"kind": "sliding", "length_s": 2.0, "markers": ["imagery_on"], "offset_s": 0.5},
    "decoder": {"kind": "recentred", "of": {"kind": "mdm"}},
}


def simulated(seed, gain=1.0, paradigm="imagery", n_trials=16):
    source = SimulatedSettings(
        paradigm=paradigm, snr=6, seed=seed, n_trials=n_trials, speed=None, chunk=250
    ).build()
    info, data, markers = source.open(), [], []
    while source.state is not SourceState.ENDED:
        for reading in source.read(0.0):
            if isinstance(reading, Samples):
                data.append(reading.data)
            elif isinstance(reading, RawMarker):
                markers.append(reading)
    samples = np.concatenate(data) * gain
    stamps = np.arange(len(samples)) / info.sfreq
    return Recording(Path(f"simulated-{seed}.npz"), info, samples, stamps, markers)


@pytest.fixture(scope="module")
def people():
    """Recordings of three people, whose amplifiers differ."""
    gains = (np.exp(np.random.default_rng(s).uniform(-1, 1, 9)) for s in range(3))
    return [simulated(seed, gain) for seed, gain in enumerate(gains)]


@pytest.fixture(scope="module")
def files(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    (folder / "session.yaml").write_text(yaml.safe_dump(SESSION))
    for number, recording in enumerate(people):
        markers = np.array([(m.index, m.value) for m in recording.markers], dtype=str)
        info = recording.info
        np.savez(
            folder / f"{number}.npz", data=recording.data, sfreq=info.sfreq, markers=markers,
            ch_names=info.ch_names, ch_types=info.ch_types,
        )  # fmt: skip
    return folder


def test_only_who_asks_is_told_and_only_of_several():
    whose, sessions = ["a", "a", "b"], ["1", "2", "1"]
    assert not takes_subjects(MDM())
    assert subjects_for(MDM(), whose, sessions) is None
    assert subjects_for(Recentred(MDM()), whose, sessions).tolist() == ["a 1", "a 2", "b 1"]
    assert subjects_for(Recentred(MDM()), ["a"] * 3, ["1"] * 3) is None

    class OfPeople:
        def fit(self, X, y, subjects=None):
            return subjects

    assert subjects_for(OfPeople(), whose, sessions).tolist() == whose
    assert subjects_for(OfPeople(), ["a"] * 3, sessions) is None
    assert fit_to(OfPeople(), [], [], None) is None
    assert fit_to(OfPeople(), [], [], whose) == whose


def test_a_decoder_for_somebody_new_is_judged_on_each_person_left_out(people):
    session = config.loads(yaml.safe_dump(SESSION))
    parts = [collect(session, r).of(f"P{k}", "1") for k, r in enumerate(people)]
    together = join(parts, [r.path for r in people])
    decoder, manifest = fit(session, together)
    assert manifest.scores[0].method == (
        "each person left out in turn, one window a trial, adapting without labels"
    )
    right = 0
    for k in range(3):
        others = [p for i, p in enumerate(parts) if i != k]
        X, y = (np.concatenate([getattr(p, name) for p in others]) for name in "Xy")
        whose = np.repeat(["a", "b"], [len(p.y) for p in others])
        fitted = Recentred(MDM()).fit(X, y, whose)
        for window, label in zip(parts[k].X, parts[k].y, strict=True):
            right += fitted.predict(window[np.newaxis])[0] == label
            fitted.update(window)
    assert manifest.scores[0].value == right / len(together.y)
    again = Recentred(MDM()).fit(together.X, together.y, together.people)
    np.testing.assert_array_equal(
        decoder.predict_proba(together.X), again.predict_proba(together.X)
    )


def test_somebody_new_is_aligned_as_the_people_of_the_training(people):
    session = config.loads(yaml.safe_dump(SESSION))
    old, new = collect(session, people[0]), collect(session, people[1])
    whose = np.repeat(["old", "new"], [len(old.y), len(new.y)])
    X, y = np.concatenate([old.X, new.X]), np.concatenate([old.y, new.y])
    decoder = Recentred(TangentSpaceLR()).fit(X, y, whose)
    aligned = np.concatenate([Alignment().fit_transform(part.X) for part in (old, new)])
    expected = TangentSpaceLR().fit(aligned, y).predict_proba(aligned[len(old.y) :])
    for _ in range(2):  # always from where training ended
        found = decoder.adapt(new.X).predict_proba(new.X)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        decoder.adapt(old.X)


def test_train_tells_people_apart_and_adapts(files):
    out = files / "model"
    said = CliRunner().invoke(app, [
        "train", str(files / "session.yaml"), str(files / "0.npz"), str(files / "1.npz"),
        "--subject", "Anna", "--subject", "Ben", "--adapt-to", str(files / "2.npz"),
        "--out", str(out),
    ])  # fmt: skip
    assert said.exit_code == 0, said.output
    assert "0.npz: 16 labelled windows (7 left, 9 right), of Anna" in said.output
    assert "each person left out in turn" in said.output
    assert "2.npz: 16 windows to adapt to" in said.output
    decoder, _ = load(out)
    assert decoder._n_before == 25  # the new person's reference is known


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--subject", "Anna"], "2 recordings and 1 people"),
        (["--adapt-to", "2.npz", "--decoder", "mdm"], "'mdm' cannot be adapted to somebody"),
    ],
)
def test_wrong_arguments_are_one_line(files, arguments, said, monkeypatch):
    monkeypatch.chdir(files)
    result = CliRunner().invoke(
        app, ["train", "session.yaml", "0.npz", "1.npz", "--out", "never", *arguments]
    )
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)
    assert not (files / "never").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deep_ssvep_ensemble", "source_free", "deep_ssvep"])
def test_deep_decoders_for_somebody_new_are_trained_on_several_people(kind, tmp_path):
    """A network needs longer than this to learn; here it is who learns from whom that counts."""
    pytest.importorskip("torch")
    hz = [9.25, 9.75]
    session = config.loads(
        yaml.safe_dump(
            SESSION
            | {
                "source": {"kind": "simulated"},
                "events": {f"{f:g} Hz": f"cue/{f:g} Hz" for f in hz},
                "processing": [],
                "window": {"kind": "marker", "length_s": 0.4, "markers": ["stim_on"]},
                "decoder": {"kind": kind, "window_s": [0.4], "n_epochs": 2}
                | ({} if kind == "deep_ssvep" else {"frequencies_hz": hz}),
            }
        )
    )
    parts = []
    for seed in range(4):
        recording = simulated(seed, paradigm="ssvep12", n_trials=36)
        parts.append(collect(session, recording).of(f"P{seed}", "1"))
    decoder, manifest = fit(session, join(parts, [Path(p.people[0]) for p in parts]))
    assert manifest.scores[0].method == "each person left out in turn, one window a trial"
    save(decoder, manifest, tmp_path / "model")
    loaded, _ = load(tmp_path / "model")
    np.testing.assert_allclose(
        loaded.predict_proba(parts[0].X), decoder.predict_proba(parts[0].X), atol=1e-6
    )
