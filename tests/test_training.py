"""From labelled recordings to a model: which windows, which labels, and an honest score."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from bci import cli, config
from bci.calibration.training import collect, fit, join, judged, train, trainable
from bci.decoders.artifact import load
from bci.errors import ConfigError, ModelError
from bci.paradigms.cues import cut_short, labelled
from bci.sources.files import Recording
from bci.sources.simulated import SimulatedSettings
from bci.types import Break, RawMarker, Samples, SourceState

LABELS = {"cue/left": "left", "cue/right": "right"}
IMAGERY = {
    "source": {"kind": "simulated", "paradigm": "imagery"},
    "channels": {"montage": None},
    "events": {"left": "cue/left", "right": "cue/right"},
    "processing": [
        {"kind": "bandpass", "low_hz": 8, "high_hz": 32, "order": 4},
        {"kind": "reference", "mode": "average"},
    ],
    "window": {
        "kind": "sliding", "length_s": 2.0, "hop_s": 0.5, "markers": ["imagery_on"],
        "offset_s": 0.5,
    },
    "decoder": {"kind": "tangent_space"},
}  # fmt: skip


def session(**changes):
    return config.loads(yaml.safe_dump({**IMAGERY, **changes}))


def simulate(snr, n_trials=40, seed=5):
    source = SimulatedSettings(
        paradigm="imagery", snr=snr, seed=seed, n_trials=n_trials, speed=None, chunk=250
    ).build()
    info = source.open()
    data, markers = [], []
    while source.state is not SourceState.ENDED:
        for reading in source.read(0.0):
            if isinstance(reading, Samples):
                data.append(reading.data)
            elif isinstance(reading, RawMarker):
                markers.append(reading)
    samples = np.concatenate(data)
    stamps = np.arange(len(samples)) / info.sfreq
    return Recording(Path("simulated.npz"), info, samples, stamps, markers)


@pytest.fixture(scope="module")
def strong():
    return simulate(snr=4.0)


@pytest.fixture(scope="module")
def noise():
    return simulate(snr=0.0)


def changed(recording, **changes):
    parts = {
        name: getattr(recording, name) for name in ("info", "data", "stamps", "markers", "breaks")
    }
    return Recording(recording.path, **{**parts, **changes})


def saved(recording, path):
    markers = [(m.index, m.value) for m in recording.markers]
    np.savez(
        path,
        data=recording.data,
        sfreq=recording.info.sfreq,
        ch_names=recording.info.ch_names,
        ch_types=recording.info.ch_types,
        markers=np.array(markers, dtype=str),
    )
    return path


def onsets(recording, value="imagery_on"):
    return [m.index for m in recording.markers if m.value == value]


def told(recording):
    """Label of each trial, from its cue."""
    return [LABELS[m.value] for m in recording.markers if m.value in LABELS]


# --- labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markers", "expected"),
    [
        ([(0, "cue/left"), (9, "go")], [(9, "go", "left")]),
        ([(9, "go"), (9, "cue/left")], [(9, "go", "left")]),  # on one sample, in any order
        ([(0, "go"), (5, "cue/left")], [(0, "go", None)]),  # a cue does not work backwards
        # the trial of a class that is not asked for must not get the label of the one before
        (
            [(0, "cue/left"), (9, "go"), (20, "cue/rest"), (29, "go")],
            [(9, "go", "left"), (29, "go", None)],
        ),
        ([(0, "cue/left"), (1, "cue/right"), (9, "go")], [(9, "go", "right")]),
        ([(7, "13"), (3, "17")], [(3, "17", None), (7, "13", "13 Hz")]),
    ],
)
def test_a_cue_labels_the_window_that_opens_next(markers, expected):
    labels = {**LABELS, "13": "13 Hz"}
    assert list(labelled(markers, labels, {"go", "13", "17"})) == expected


def test_windows_are_those_after_the_cues(strong):
    plain = session(processing=[])
    windows = collect(plain, strong)
    assert windows.y.tolist() == told(strong)
    assert (windows.n_rejected, windows.n_unlabelled) == (0, 0)
    for onset, data in zip(onsets(strong), windows.X, strict=True):
        start = onset + 125  # 0.5 s
        np.testing.assert_array_equal(data, strong.data[start : start + 500].T)


def test_events_that_open_windows_need_no_cue(strong):
    by_cue = session(window={**IMAGERY["window"], "markers": None})
    assert collect(by_cue, strong).y.tolist() == told(strong)


def test_trials_of_another_class_are_left_out_and_counted(strong):
    only_left = session(events={"left": "cue/left", "other": "nowhere"})
    windows = collect(only_left, strong)
    n_left = told(strong).count("left")
    assert windows.y.tolist() == ["left"] * n_left
    assert windows.n_unlabelled == len(told(strong)) - n_left


@pytest.mark.parametrize(
    ("markers", "expected"),
    [
        ([(0, "go"), (99, "stim_off")], {(0, "go")}),
        ([(0, "go"), (100, "stim_off")], set()),
        ([(0, "go"), (120, "go"), (150, "stim_off")], {(120, "go")}),  # the first never ended
        ([(0, "stim_off"), (10, "go")], set()),
        ([(5, "go"), (6, "stim_off"), (200, "go"), (400, "stim_off")], {(5, "go")}),
    ],
)
def test_a_flicker_may_end_sooner_than_a_window(markers, expected):
    assert cut_short(markers, {"go"}, 100) == expected


def test_trials_whose_flicker_ended_sooner_are_left_out_and_counted(strong):
    """As after a decision of dynamic stopping; windows here last 2 s, 500 samples."""
    times = onsets(strong)
    off = [RawMarker("stim_off", 0.0, onset + 300) for onset in times[:3]]
    off += [RawMarker("stim_off", 0.0, onset + 495) for onset in times[3:]]  # a frame or two
    some = changed(strong, markers=[*strong.markers, *off])
    windows = collect(session(), some)
    assert windows.y.tolist() == told(strong)[3:]
    assert windows.n_cut_short == 3
    off = [RawMarker("stim_off", 0.0, onset + 300) for onset in times]
    with pytest.raises(ConfigError, match="the flicker of all .* sooner than a window of 2 s"):
        collect(session(), changed(strong, markers=[*strong.markers, *off]))


def test_calibration_begins_at_a_sample(strong):
    first = onsets(strong, "fixation")[10]
    assert collect(session(), strong, first).y.tolist() == told(strong)[10:]
    # a cue before the beginning is not there either
    assert collect(session(), strong, onsets(strong)[10] + 1).y.tolist() == told(strong)[11:]


def test_windows_of_bad_quality_are_left_out_and_counted(strong):
    data = np.array(strong.data)
    on = onsets(strong)
    data[on[3] + 300, 2] = 5000.0  # beyond the gate
    data[on[5] + 300, 0] = np.nan
    hurt = changed(strong, data=data, breaks=[(on[8] + 300, Break("lost"))])
    gated = session(processing=[{"kind": "amplitude", "max_uv": 2000}])
    windows = collect(gated, hurt)
    assert windows.n_rejected == 3
    expected = [label for i, label in enumerate(told(strong)) if i not in (3, 5, 8)]
    assert windows.y.tolist() == expected
    assert np.isfinite(windows.X).all()
    assert np.abs(windows.X).max() < 2000


def test_a_marker_set_that_matches_nothing_lists_what_is_there(strong):
    with pytest.raises(ConfigError) as caught:
        collect(session(events={"a": 769, "b": 770}), strong)
    said = str(caught.value)
    assert "'769', '770' before 'imagery_on'" in said
    assert "'cue/left' (20)" in said
    assert "simulated.npz" in said
    with pytest.raises(ConfigError, match=r"from sample 99999999 on: .* the recording has none"):
        collect(session(), strong, 99_999_999)
    with pytest.raises(ConfigError, match="map them to marker codes under 'events'"):
        collect(session(events={}), strong)
    cut = changed(strong, data=strong.data[:1000], stamps=strong.stamps[:1000],
                  markers=[m for m in strong.markers if m.index < 1000])  # fmt: skip
    with pytest.raises(ConfigError, match=r"no window of 2 s fits .* its end at 4\.0 s"):
        collect(session(), cut)


# --- scores --------------------------------------------------------------------------------------


def test_noise_is_called_chance(noise):
    _, manifest = fit(session(), collect(session(), noise))
    (score,) = manifest.scores
    assert score.low < 0.5 < score.high
    assert score.n == 40
    assert "NOT better than chance (0.500; from 26 of 40 right)" in judged(manifest)


def test_a_strong_rhythm_is_found(strong):
    decoder, manifest = fit(session(), collect(session(), strong))
    (score,) = manifest.scores
    assert score.low > 0.6
    assert ", better than chance" in judged(manifest)
    assert manifest.n_trials == {"left": 20, "right": 20}
    assert list(decoder.classes_) == ["left", "right"]


def test_too_little_to_train_on(strong):
    few = changed(strong, markers=[m for m in strong.markers if m.index < 3000])
    only = session(events={"left": "cue/left", "other": "nowhere"})
    for asked, recording in ((session(), few), (only, strong)):
        with pytest.raises(ModelError, match="two windows of each of two labels"):
            fit(asked, collect(asked, recording))


# --- which decoder -------------------------------------------------------------------------------


def test_the_decoder_to_train():
    own = session(decoder={"kind": "fbcca", "frequencies_hz": [10, 12]})
    assert trainable(own) is own.decoder
    assert trainable(own, "fbcca") is own.decoder  # with its settings
    assert trainable(own, "mdm").kind == "mdm"
    trained = session(decoder={"kind": "model", "path": "somewhere"})
    for asked, kind, said in (
        (
            session(),
            "nonsense",
            "no decoder kind 'nonsense' to train; known are: .*fbcca, .*mdm",
        ),
        (session(), "fbcca", "'fbcca' needs frequencies_hz"),
        (session(), "model", "say which decoder to train"),
        (trained, None, "say which decoder to train"),
        (session(decoder=None), None, "say which decoder to train"),
    ):
        with pytest.raises(ConfigError, match=said):
            trainable(asked, kind)


# --- several recordings --------------------------------------------------------------------------


def test_recordings_are_joined_where_they_fit(strong, noise):
    one, two = collect(session(), strong), collect(session(), noise)
    both = join([one, two], [Path("a"), Path("b")])
    assert len(both.X) == len(both.y) == 80
    with pytest.raises(ModelError, match="a and c hold the same windows"):
        join([one, two, one], [Path("a"), Path("b"), Path("c")])
    fewer = collect(session(channels={"pick": ["C3", "C4"], "montage": None}), noise)
    with pytest.raises(ModelError, match="C3, C4 at 250 Hz"):
        join([one, fewer], [Path("a"), Path("b")])


# --- the whole path ------------------------------------------------------------------------------


def run_cli(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["bci", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_train_then_replay(tmp_path, monkeypatch, capsys, strong):
    """`bci train` on one session, `bci replay` of another with what it wrote."""
    first = saved(strong, tmp_path / "first.npz")
    second = saved(simulate(snr=4.0, n_trials=20, seed=5), tmp_path / "second.npz")
    yaml_file, model = tmp_path / "session.yaml", tmp_path / "models" / "imagery"
    yaml_file.write_text(yaml.safe_dump(IMAGERY))
    code, out, _ = run_cli(monkeypatch, capsys, "train", yaml_file, first, "--out", model)
    assert code == 0
    assert "40 labelled windows (20 left, 20 right)" in out
    decoder, manifest = load(model)
    assert f"wrote model {manifest.model_id}" in out

    decode = IMAGERY | {
        "decoder": {"kind": "model", "path": str(model)},
        "window": IMAGERY["window"] | {"kind": "marker"},
    }
    yaml_file.write_text(yaml.safe_dump(decode))
    found = tmp_path / "decisions.jsonl"
    code, out, _ = run_cli(
        monkeypatch, capsys, "replay", second, "--config", yaml_file, "--out", found
    )
    assert code == 0
    decisions = [json.loads(line) for line in found.read_text().splitlines()]
    assert len(decisions) == 20
    assert {d["model"] for d in decisions} == {manifest.model_id}
    windows = collect(session(), simulate(snr=4.0, n_trials=20, seed=5))
    proba = decoder.predict_proba(windows.X)
    np.testing.assert_allclose([d["proba"]["left"] for d in decisions], proba[:, 0], atol=1e-9)
    right = sum(d["label"] == y for d, y in zip(decisions, windows.y, strict=True))
    assert f"{right} of 20 right, 0 abstained" in out

    code, _, err = run_cli(
        monkeypatch, capsys, "replay", second, "--config", yaml_file, "--set", "processing=[]"
    )
    assert code == 1
    assert "it was trained behind the stages bandpass > reference, the stream passes none" in err
    code, _, err = run_cli(monkeypatch, capsys, "train", yaml_file, first, "--out", model)
    assert code == 2  # {kind: model} cannot be trained
    assert "say which decoder to train" in err


def test_a_model_is_not_overwritten(tmp_path, strong):
    with pytest.raises(ModelError, match="exists already"):
        train(session(), [tmp_path / "never-read.xdf"], tmp_path, report=lambda line: None)


def test_a_deep_network_tells_how_far_it_is_and_goes_on_from_a_checkpoint(
    tmp_path, monkeypatch, strong
):
    monkeypatch.setattr("bci.decoders.deep.training.EVERY_S", 0.0)
    file = saved(strong, tmp_path / "first.npz")
    kept = tmp_path / "kept"
    asked = session(
        decoder={
            "kind": "deep_ssvep", "window_s": [0.2], "n_epochs": 2, "calibration_folds": 0,
            "checkpoint": str(kept), "device": "cpu",
        }
    )  # fmt: skip
    lines = []
    train(asked, [file], tmp_path / "model", report=lines.append)
    assert any(line.startswith("second stage: epoch 1 of 2, loss ") for line in lines)
    assert len(list(kept.iterdir())) == 6  # five folds, and all trials
    lines.clear()
    train(asked, [file], tmp_path / "again", report=lines.append)
    assert "second stage goes on after epoch 2 of 2" in lines
    assert not any("loss" in line for line in lines)
    X = collect(asked, strong).X[:3]
    one, two = (load(tmp_path / name)[0].predict_proba(X) for name in ("model", "again"))
    np.testing.assert_array_equal(one, two)
