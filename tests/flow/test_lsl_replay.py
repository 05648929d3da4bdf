"""A recording streamed by `bci replay --lsl`, decoded by `bci run`: as the file itself, offline."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from bci import config
from bci.recording.verify import verify
from bci.replay import decisions
from bci.sources.files import Recording, load_recording
from bci.types import RawMarker

pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)

DATA = Path(__file__).parents[3] / "shared" / "data" / "ssvep-exo"
EXO = {"13 Hz": 2, "21 Hz": 3, "17 Hz": 4}

SLIDING = {"window": {"kind": "sliding", "length_s": 1.0, "hop_s": 0.1}}
LOCKED = {"window": {"kind": "marker", "markers": ["stim_on"], "offset_s": 0.14, "length_s": 1.0}}
EXO_LOCKED = {"window": {"kind": "marker", "offset_s": 2.0, "length_s": 3.0}, "events": EXO}


@pytest.fixture
def streamed(engine, bci, settings, unique, until, decided):
    """Decode a file live through LSL under each of some settings, at the same time."""

    def run(file, variants):
        recording = load_recording(file)
        replays = [bci("replay", file, "--lsl", "--name", f"{unique}-{k}", wait=False)
                   for k in range(len(variants))]  # fmt: skip
        for k, replay in enumerate(replays):  # waits for its consumer
            until(lambda replay=replay: "waits for someone" in "".join(replay.output), 15)
            assert replay.alive, k
        engines = [
            engine(
                settings(
                    f"{unique}-{k}",
                    markers={"kind": "lsl", "name": f"{unique}-{k}-markers"},
                    **variant,
                )
            )
            for k, variant in enumerate(variants)
        ]
        n = recording.n_samples
        results = []
        for process, replay in zip(engines, replays, strict=True):
            process.ready(30)
            until(lambda process=process: process.n_received == n, recording.duration_s + 10)
            paths = process.paths
            assert process.stop() == 0, process.text
            assert replay.wait() == 0
            assert verify(paths.xdf).ok
            results.append(decided(paths))
        return results

    return run


def offline(file, settings):
    """Decisions as the offline replay of the file gives them."""
    session = config.loads(yaml.safe_dump(settings))
    return [d.to_json() for d in decisions(file, load_recording(file), session)]


def compare(file, variants, live, settings, same):
    """Free-running windows are the same; marker-locked ones start within a sample."""
    free, locked = [offline(file, settings("any", **variant)) for variant in variants]
    assert len(free) > 50
    same(live[0], free, 1e-6)
    assert len(locked) >= 2
    assert [d["marker"] for d in live[1]] == [d["marker"] for d in locked]
    for one, other in zip(live[1], locked, strict=True):
        assert abs(one["first"] - other["first"]) <= 1
        if one["first"] == other["first"]:
            same([one], [other], 1e-6)


def test_live_equals_offline(streamed, settings, simulated, saved, tmp_path, same):
    recording = simulated("ssvep12", 7)
    file = saved(recording, tmp_path / "subject.npz")
    variants = [{"decoder": {"kind": "fbcca", "frequencies_hz": [9.25, 11.25, 13.25]}, **kind}
                for kind in (SLIDING, LOCKED)]  # fmt: skip
    compare(file, variants, streamed(file, variants), settings, same)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}")
def test_live_equals_offline_on_a_real_session(streamed, settings, saved, tmp_path, same):
    whole = load_recording(next(iter(sorted((DATA / "subject03").glob("*_raw.fif")))))
    file = saved(cut(whole, 40.0), tmp_path / "exo.npz")
    decoder = {"kind": "fbcca", "frequencies_hz": {"13 Hz": 13, "21 Hz": 21, "17 Hz": 17}}
    chain = [{"kind": "bandpass", "low_hz": 6, "high_hz": 80, "order": 4}]
    channels = {"pick": "all", "montage": None}
    variants = [{"decoder": decoder, "processing": chain, "channels": channels, **kind}
                for kind in (SLIDING, EXO_LOCKED)]  # fmt: skip
    live = streamed(file, variants)
    compare(file, variants, live, settings, same)
    right = sum(config_label(d["marker"]) == d["label"] for d in live[1])
    print(f"\n{right} of {len(live[1])} trials right, live")


def config_label(code):
    return next(label for label, value in EXO.items() if str(value) == code)


def cut(recording, seconds):
    """`seconds` from shortly before the first flicker on."""
    first = next(m.index for m in recording.markers if m.value in map(str, EXO.values()))
    start = max(0, first - 256)
    stop = start + round(seconds * recording.info.sfreq)
    stamps = np.arange(stop - start) / recording.info.sfreq
    markers = [
        RawMarker(m.value, float(stamps[m.index - start]), m.index - start)
        for m in recording.markers
        if start <= m.index < stop
    ]
    return Recording(recording.path, recording.info, recording.data[start:stop], stamps, markers)
