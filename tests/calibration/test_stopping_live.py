"""A stopping rule from training to the live decision: online equals offline."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from bci import config
from bci.calibration.stopping import stopped, trajectories
from bci.calibration.training import collect, fit, train
from bci.decoders.artifact import load, load_decoder
from bci.errors import ModelError
from bci.paradigms.speller import TARGETS_12
from bci.pipeline import Pipeline
from bci.playback import events
from bci.sources.files import Recording
from bci.sources.simulated import SimulatedSettings
from bci.types import DecoderSwap, RawMarker, Samples, SourceState

SPELLER = {
    "source": {"kind": "simulated", "paradigm": "ssvep12"},
    "channels": {"montage": None},
    "events": {t.label: f"cue/{t.label}" for t in TARGETS_12},
    "processing": [{"kind": "bandpass", "low_hz": 6, "high_hz": 90, "order": 4}],
    "window": {
        "kind": "growing", "markers": ["stim_on"], "offset_s": 0.14, "min_s": 0.6, "hop_s": 0.3,
        "length_s": 1.8,
    },
    "decoder": {
        "kind": "fbcca", "frequencies_hz": {t.label: t.frequency_hz for t in TARGETS_12},
        "bands": 2, "harmonics": 3,
    },
    "decision": {"kind": "dynamic", "target_error": 0.05},
}  # fmt: skip
LOOKS = (150, 225, 300, 375, 450)


def session(**changes):
    return config.loads(yaml.safe_dump({**SPELLER, **changes}))


def simulate(n_trials, seed=3, snr=2.0):
    source = SimulatedSettings(
        paradigm="ssvep12", snr=snr, seed=seed, n_trials=n_trials, speed=None, chunk=250
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
    return Recording(
        Path("simulated.npz"), info, samples, np.arange(len(samples)) / info.sfreq, markers
    )


@pytest.fixture(scope="module")
def recording():
    return simulate(72)


@pytest.fixture(scope="module")
def half(recording):
    """Sample at which the second half of the trials begins."""
    return [m.index for m in recording.markers if m.value.startswith("cue/")][36]


@pytest.fixture(scope="module")
def model(recording, half, tmp_path_factory):
    """Trained on the first half; its folder and what was said."""
    from bci.decoders.artifact import save

    windows = collect(session(), recording)
    part = type(windows)(windows.X[:36], windows.y[:36], windows.info, windows.processing, 0)
    fitted, manifest = fit(session(), part)
    folder = tmp_path_factory.mktemp("models") / "speller"
    save(fitted, manifest, folder)
    return folder


def test_the_model_carries_a_rule_that_stops_early(model):
    _, manifest = load(model)
    rule = manifest.stopping
    assert rule.fixed_because is None
    assert set(rule.looks) <= set(LOOKS)
    assert rule.expected.n == 36
    assert rule.expected.mean_s < rule.longest_s
    assert manifest.scores[0].n == 36


def test_live_decisions_are_those_of_the_rule_worked_out_offline(model, recording):
    live = session(decoder={"kind": "model", "path": str(model)})
    decoder, name, rule = load_decoder(live, Pipeline(live, recording.info).info)
    found = []
    for chunk in (25, [1, 0, 997]):
        pipeline = Pipeline(live, recording.info)
        pipeline.use(decoder, name, rule)
        found.append(list(pipeline.run(events(recording, chunk=chunk))))
    for one, other in zip(*found, strict=True):
        assert (one.first, one.last, one.label, one.forced) == (
            other.first, other.last, other.label, other.forced,
        )  # fmt: skip
    windows = collect(session(), recording)
    trials = trajectories(decoder, windows.X, windows.y, LOOKS, 250.0)
    at, passed = stopped(trials, rule.threshold, rule.looks)
    assert [d.last - d.first + 1 for d in found[0]] == [LOOKS[k] for k in at]
    assert [not d.forced for d in found[0]] == passed.tolist()
    right = [d.label == y for d, y in zip(found[0], windows.y, strict=True)]
    assert right == trials.right[np.arange(len(at)), at].tolist()
    assert len(set(at.tolist())) > 1


def test_a_swapped_in_model_brings_its_rule(model, recording, half):
    decoder, manifest = load(model)
    rule = manifest.stopping
    strict = rule.model_copy(update={"looks": (450,)})  # waits for the longest window
    pipeline = Pipeline(session(), recording.info)
    pipeline.use(decoder, "a", strict)
    pipeline.push(DecoderSwap(half, decoder, "b", rule))
    found = list(pipeline.run(events(recording)))
    waited = {model: [d.last - d.first + 1 for d in found if d.model == model] for model in "ab"}
    assert set(waited["a"]) == {450}
    assert min(waited["b"]) < 450


def test_training_says_when_to_stop(recording, tmp_path):
    markers = [(m.index, m.value) for m in recording.markers]
    np.savez(
        tmp_path / "speller.npz", data=recording.data, sfreq=250.0,
        ch_names=recording.info.ch_names, ch_types=recording.info.ch_types,
        markers=np.array(markers, dtype=str),
    )  # fmt: skip
    said = []
    train(session(), [tmp_path / "speller.npz"], tmp_path / "model", report=said.append)
    (line,) = [text for text in said if text.startswith("stopping: at a posterior of")]
    assert "for an error of 5 %, looking" in line
    assert "correct selections/min with undo; error" in line


def test_few_trials_and_noise_are_decided_at_a_fixed_length():
    few = fit(session(), collect(session(), simulate(24)))[1].stopping
    assert few.expected.n == 24
    noise = fit(session(), collect(session(), simulate(36, snr=0.0)))[1].stopping
    assert noise.fixed_because == "no posterior stands for an error of 5 %"
    assert len(noise.looks) == 1
    assert noise.expected.accuracy < 0.4


def test_windows_that_do_not_grow_have_no_rule(recording):
    whole = session(window=SPELLER["window"] | {"kind": "marker"}, decision={"kind": "each"})
    assert fit(whole, collect(whole, recording))[1].stopping is None


def test_a_look_that_is_too_short_for_the_decoder_is_said_so(recording):
    short = session(window=SPELLER["window"] | {"min_s": 0.05})
    with pytest.raises(ModelError, match="too short for FBCCA"):
        fit(short, collect(short, recording))
