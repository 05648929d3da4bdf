"""Whatever the chunk sizes, every shipped configuration gives the same decisions."""

from pathlib import Path

import numpy as np
import pytest

from bci import config
from bci.calibration.training import collect, fit
from bci.config import GrazSettings
from bci.decoders.artifact import load_decoder
from bci.errors import ConfigError
from bci.paradigms.graz import GrazTimetable
from bci.pipeline import Pipeline
from bci.playback import events
from bci.sources.files import Recording
from bci.sources.simulated import SimulatedSettings
from bci.types import Command, Gap, Marker, RawMarker, Samples, SourceState

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(FOLDER.glob("*.yaml"))
GRAZ = ("FC3", "FC4", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "CP3", "CP4")


def record(paradigm, minutes, ch_names=None, graz=None):
    """The simulated subject's session as a recording; `graz`: the paradigm that it follows."""
    settings = SimulatedSettings(
        paradigm=paradigm, minutes=minutes, speed=None, seed=3, ch_names=ch_names, chunk=250
    )
    source = settings.build()
    if graz is not None:
        source.follow(GrazTimetable(graz), lambda: True)
    info = source.open()
    data, markers = [], []
    while source.state is not SourceState.ENDED:
        for reading in source.read(0.0):
            if isinstance(reading, Samples):
                data.append(reading.data)
            elif isinstance(reading, RawMarker):
                markers.append(reading)
    source.close()
    samples = np.concatenate(data)
    stamps = np.arange(len(samples)) / info.sfreq
    return Recording(Path("simulated.npz"), info, samples, stamps, markers)


@pytest.fixture(scope="module")
def recordings():
    speller = record("ssvep12", 0.6)
    imagery = record("imagery", 1.5, GRAZ)
    coded = [  # as a trigger box would number the flicker
        RawMarker("234"[i % 3], m.t, m.index)
        for i, m in enumerate(m for m in speller.markers if m.value == "stim_on")
    ]
    exo = Recording(speller.path, speller.info, speller.data, speller.stamps, coded)
    runs = GrazSettings(calibration_runs=1, feedback_runs=1, trials_per_label=2, rest_s=2.0)
    graz = record("imagery", None, graz=runs)
    return {"imagery": imagery, "graz_simulated": graz, "ssvep_exo": exo, "other": speller}


def decisions(session, recording, decoder, model, chunk, extra=()):
    pipeline = Pipeline(session, recording.info)
    pipeline.use(decoder, model)
    for event in extra:
        pipeline.push(event)
    return list(pipeline.run(events(recording, chunk=chunk)))


def ready(session, recording):
    """The configuration's decoder, trained on the recording where it must be."""
    pipeline = Pipeline(session, recording.info)
    try:
        return load_decoder(session, pipeline.info)[:2]
    except ConfigError:
        return fit(session, collect(session, recording))[0], "trained"


def chunkings(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    yield rng.integers(1, 60, 400).tolist()
    yield rng.integers(1, 3000, 50).tolist()
    yield [1, 0, 997]
    yield n_samples


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_any_chunking_gives_the_same_decisions(path, recordings):
    session = config.load(path)
    recording = recordings.get(path.stem, recordings["other"])
    decoder, model = ready(session, recording)
    extra = [Gap(3000, 3000, "lost"), Command(5000, "pause"), Command(5600, "resume")]
    reference = decisions(session, recording, decoder, model, 25, extra)
    assert reference
    if session.window.kind == "sliding":
        assert any("lost" in d.quality.reasons for d in reference)
        assert not any(5000 < d.last < 5600 for d in reference)
    for chunk in chunkings(len(recording.data)):
        found = decisions(session, recording, decoder, model, chunk, extra)
        assert_same(found, reference)


def test_one_sample_at_a_time(recordings):
    session = config.load(next(p for p in CONFIGS if p.stem == "speller_simulated"))
    recording = recordings["other"]
    decoder, model = ready(session, recording)
    assert_same(
        decisions(session, recording, decoder, model, 1),
        decisions(session, recording, decoder, model, 100),
    )


def test_a_marker_known_late_gives_the_same_window(recordings):
    """Live, markers come after their samples; only the order of decisions may tell."""
    session = config.load(next(p for p in CONFIGS if p.stem == "ssvep_exo"))
    recording = recordings["ssvep_exo"]
    decoder, model = ready(session, recording)
    on_time = decisions(session, recording, decoder, model, 100)
    pipeline = Pipeline(session, recording.info)
    pipeline.use(decoder, model)
    late = [Marker(m.index + 700, m.index, m.value) for m in recording.markers]
    assert_same(list(pipeline.run(events(recording, late, chunk=100))), on_time)


def assert_same(found, reference):
    assert [(d.seq, d.first, d.last, d.label, d.quality, d.forced) for d in found] == [
        (d.seq, d.first, d.last, d.label, d.quality, d.forced) for d in reference
    ]
    for one, other in zip(found, reference, strict=True):
        assert one.proba.keys() == other.proba.keys()
        for label, p in other.proba.items():
            assert one.proba[label] == pytest.approx(p, abs=1e-9)
