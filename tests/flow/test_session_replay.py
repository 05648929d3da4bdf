"""A live session, replayed from its recording and its event log, decides again as it did."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import yaml

from bci import config
from bci.calibration.training import collect, fit
from bci.clock import now
from bci.config import SourceSettings
from bci.decoders.artifact import save
from bci.errors import ConfigError
from bci.eventlog import SwapRecord
from bci.eventlog import read as read_events
from bci.recording.verify import verify
from bci.replay import decisions
from bci.sources.files import load_recording
from bci.types import Command, Feedback, Gap, Marker, Prior

CHUNKS = (1000, 7, [1, 0, 997], [250, 13, 60, 1])

#: Left or right hand, free running.
IMAGERY = {
    "channels": {"pick": "eeg", "montage": None},
    "events": {"left": "cue/left", "right": "cue/right"},
    "processing": [
        {"kind": "bandpass", "low_hz": 8, "high_hz": 30, "order": 4},
        {"kind": "reference", "mode": "average"},
    ],
    "window": {
        "kind": "sliding",
        "length_s": 1.0,
        "hop_s": 0.1,
        "markers": ["imagery_on"],
        "offset_s": 0.5,
    },
}


@pytest.fixture
def trained(settings, simulated, tmp_path):
    """Train artifacts of some kinds on three quarters of a minute of the simulated subject."""

    def train(*kinds):
        recording = simulated("imagery", 45, seed=5)
        made = []
        for kind in kinds:
            session = config.loads(
                yaml.safe_dump(settings("any", **IMAGERY, decoder={"kind": kind}))
            )
            decoder, manifest = fit(session, collect(session, recording))
            path = tmp_path / f"model-{kind}"
            save(decoder, manifest, path)
            made.append(path)
        return made

    return train


def replayed(paths, chunk):
    """Decisions of the run's recording, by the configuration, models and log beside it."""
    found = decisions(paths.xdf, load_recording(paths.xdf), config.load(paths.config), chunk)
    return [d.to_json() for d in found]


class Feeder:
    """Sends rows of a recording by LSL, at real speed, in chunks of any size."""

    def __init__(self, pylsl, recording, name):
        info = recording.info
        described = pylsl.StreamInfo(
            name, "EEG", info.n_channels, info.sfreq, "float32", f"{name}-device"
        )
        channels = described.desc().append_child("channels")
        for label in info.ch_names:
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("type", "EEG")
            channel.append_child_value("unit", "microvolts")
        self.outlet = pylsl.StreamOutlet(described)
        self.sent = 0
        self._wait = pylsl.local_clock
        self._recording = recording
        self._rng = np.random.default_rng(0)

    def feed(self, n, until):
        """Send `n` samples."""
        stop, due = self.sent + n, now()
        while self.sent < stop:
            chunk = min(int(self._rng.integers(1, 40)), stop - self.sent)
            due += chunk / self._recording.info.sfreq
            until(lambda due=due: now() >= due, 5)
            self.outlet.push_chunk(self._recording.data[self.sent : self.sent + chunk], due)
            self.sent += chunk


def test_a_gap_a_pause_a_marker_and_a_swap(
    session, settings, client, trained, simulated, unique, until, decided, same, bci, tmp_path
):
    pylsl = pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)
    first, second = trained("tangent_space", "mdm")
    feeder = Feeder(pylsl, simulated("imagery", 6), unique)
    live = session(
        settings(
            unique,
            **IMAGERY,
            source={"kind": "lsl", "name": unique, "stale_s": 0.6},
            decoder={"kind": "model", "path": str(first)},
            decision={"kind": "threshold", "threshold": 0.5, "refractory_s": 0.0},
            recording={"root": str(tmp_path / "recordings")},
        )
    )
    api = client(live)

    def n_received():
        return live.status()["source"]["n_received"]

    feeder.feed(300, until)
    api.post("/v1/markers", {"value": "hello"})
    feeder.feed(100, until)
    api.post("/v1/control", {"action": "pause"})
    feeder.feed(150, until)
    api.post("/v1/control", {"action": "resume"})
    feeder.feed(100, until)
    until(lambda: live.status()["source"]["state"] == "stale", 3)
    with ThreadPoolExecutor() as pool:
        feeder.feed(150, until)
        swap = pool.submit(api.post, "/v1/decoder", {"path": str(second)})
        feeder.feed(450, until)
        swap.result(10)
    feeder.feed(200, until)
    until(lambda: n_received() == feeder.sent, 3)
    live.stop()
    assert live.error is None

    paths = live.record.paths
    events = read_events(paths.events)
    (gap,) = [e for e in events if isinstance(e, Gap)]
    (marker,) = [e for e in events if isinstance(e, Marker)]
    (swapped,) = [e for e in events if isinstance(e, SwapRecord)]
    pause, resume = [e for e in events if isinstance(e, Command)]
    assert gap.at == gap.resume == 650
    assert marker.value == "hello"
    assert 260 < marker.onset < 400  # between the two feeds, as far as the sender keeps pace
    assert (pause.action, resume.action) == ("pause", "resume")
    assert 300 < pause.at < resume.at < 650 < swapped.at

    found = decided(paths)
    assert not any(pause.at < d["last"] < resume.at for d in found)
    over = [d for d in found if d["label"] is None]
    assert over
    assert all(d["quality"]["reasons"] == ["stalled"] for d in over)
    assert all(d["first"] < gap.at <= d["last"] for d in over)
    models = [d["model"] for d in found]
    assert len(set(models)) == 2
    assert all((d["model"] == swapped.model) == (d["last"] >= swapped.at) for d in found)

    recording = load_recording(paths.xdf)
    np.testing.assert_array_equal(recording.data, feeder._recording.data[: feeder.sent])
    for chunk in CHUNKS:
        same(replayed(paths, chunk), found, 1e-9)
    for model in (first, second):  # the run holds all that its replay needs
        model.rename(model.with_suffix(".moved"))
    out = tmp_path / "again.jsonl"
    command = bci(
        "replay", paths.xdf, "--config", paths.config, "--out", out, "--chunk", 33,
        "--set", f"decoder.path={paths.models / models[0]}",
    )  # fmt: skip
    assert command.code == 0, command.text
    same([json.loads(line) for line in out.read_text().splitlines()], found, 1e-9)


@pytest.mark.parametrize("start", ["a stranger's model", "untrained"])
def test_calibration_over_the_api(
    session, settings, client, trained, until, decided, same, tmp_path, start
):
    """Cued trials of the simulated subject, twenty times as fast as life."""
    if start == "untrained":
        decoder = {"kind": "tangent_space"}
    else:
        (stranger,) = trained("mdm")
        decoder = {"kind": "model", "path": str(stranger)}
    live = session(
        settings(
            "any",
            **IMAGERY,
            source={"kind": "simulated", "paradigm": "imagery", "speed": 20.0, "seed": 1},
            markers={"kind": "source"},
            decoder=decoder,
            recording={"root": str(tmp_path / "recordings")},
        )
    )
    api = client(live)
    before = live.status()["decoder"]["model"]
    until(lambda: live.status()["source"]["n_received"] > 1000, 5)
    api.post("/v1/calibration", {"action": "start", "decoder": "tangent_space"})
    calibration = live.status()["calibration"]
    assert calibration["state"] == "collecting"
    assert calibration["from_sample"] >= 1000
    until(lambda: live.status()["source"]["n_received"] > 80 * 250, 15)  # about ten trials
    api.post("/v1/calibration", {"action": "finish"})
    assert live.status()["calibration"] is None
    n = live.telemetry.snapshot()["decisions"]
    until(lambda: live.telemetry.snapshot()["decisions"] > n + 50, 5)
    seen = set()  # several trials pass before both hands had their turn
    until(lambda: seen.add(live.status()["decoder"]["last_label"]) or len(seen - {None}) == 2, 20)
    live.stop()
    assert live.error is None

    paths = live.record.paths
    (swap,) = [e for e in read_events(paths.events) if isinstance(e, SwapRecord)]
    assert swap.model != before
    assert (paths.models / swap.model).is_dir()
    found = decided(paths)
    models = {d["model"] for d in found if d["last"] < swap.at}
    assert models == (set() if start == "untrained" else {before})
    after = [d for d in found if d["last"] >= swap.at]
    assert {d["model"] for d in after} == {swap.model}
    assert {d["label"] for d in after} == {"left", "right"}
    assert verify(paths.xdf).ok
    for chunk in CHUNKS[:2]:
        same(replayed(paths, chunk), found, 1e-9)


def test_calibration_with_too_little_says_so_and_can_go_on(
    session, settings, client, trained, until, tmp_path
):
    import httpx

    (model,) = trained("mdm")
    live = session(
        settings(
            "any",
            **IMAGERY,
            source={"kind": "simulated", "paradigm": "imagery"},
            markers={"kind": "source"},
            decoder={"kind": "model", "path": str(model)},
            recording={"root": str(tmp_path / "recordings")},
        )
    )
    token = (live.record.paths.folder / ".bci-token").read_text().strip()

    def ask(action):
        return httpx.post(
            f"{live.api_url}/v1/calibration",
            json={"action": action, "decoder": "mdm"},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )

    assert ask("finish").status_code == 400
    assert "was not started" in ask("finish").json()["error"]
    assert ask("start").status_code == 202
    until(lambda: live.status()["source"]["n_received"] > 50, 5)
    answer = ask("finish")
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("training failed: bci: ")
    assert live.status()["calibration"]["state"] == "collecting"
    assert ask("cancel").status_code == 202
    assert live.status()["calibration"] is None
    assert live.health() == (True, [])


class Remote(SourceSettings):
    """A sender on another computer, whose clock is far off."""

    kind: str = "remote"

    def build(self):
        from bci.sources.simulated import SimulatedSettings

        return RemoteSource(SimulatedSettings(minutes=0.05, speed=None).build())


class RemoteSource:
    """The simulated subject, with clock offsets as an LSL source measures them."""

    OFFSET_S = -5000.0

    def __init__(self, source):
        self._source = source
        self._offsets = [(now(), self.OFFSET_S)]

    def __getattr__(self, name):
        return getattr(self._source, name)

    def take_clock_offsets(self):
        taken, self._offsets = self._offsets, []
        return taken


def test_a_remote_clock_is_in_the_recording(session, settings, tmp_path):
    """Raw stamps are the sender's; with the clock offset they are those of this computer."""
    pyxdf = pytest.importorskip("pyxdf")
    made = config.loads(
        yaml.safe_dump(
            settings(
                "any",
                source={"kind": "simulated", "speed": None},
                recording={"root": str(tmp_path / "recordings")},
            )
        )
    )
    live = session(made.model_copy(update={"source": Remote()}))
    assert live.wait(15)
    live.stop()
    path = live.record.paths.xdf
    for synchronize, shift in ((False, -RemoteSource.OFFSET_S), (True, 0.0)):
        streams, _ = pyxdf.load_xdf(path, dejitter_timestamps=False, synchronize_clocks=synchronize)
        (eeg,) = [s for s in streams if s["info"]["type"] == ["EEG"]]
        assert eeg["time_stamps"][0] - now() == pytest.approx(shift, abs=20)
        assert np.diff(eeg["time_stamps"]).max() < 0.01


def test_priors_of_a_client_are_recorded_and_replayed(
    session, settings, client, until, decided, same, tmp_path
):
    """The simulated subject's selections, some with a prior; twenty times as fast as life."""
    labels = [f"{9.25 + 0.5 * k:g} Hz" for k in range(12)]
    live = session(
        settings(
            "any",
            source={"kind": "simulated", "paradigm": "ssvep12", "speed": 20.0, "snr": 3.0},
            channels={"pick": "eeg", "montage": None},
            markers={"kind": "source"},
            events={},
            processing=[{"kind": "bandpass", "low_hz": 6, "high_hz": 60, "order": 4}],
            window={
                "kind": "growing", "markers": ["stim_on"], "offset_s": 0.14, "min_s": 0.5,
                "hop_s": 0.3, "length_s": 1.7,
            },
            decoder={
                "kind": "fbcca", "bands": 2, "harmonics": 2,
                "frequencies_hz": {label: float(label.split()[0]) for label in labels},
            },
            decision={"kind": "dynamic", "at_longest": "abstain"},
            recording={"root": str(tmp_path / "recordings")},
        )
    )  # fmt: skip
    api = client(live)

    def n_decided():
        return live.telemetry.snapshot()["decisions"]

    with pytest.raises(ConfigError, match="'99 Hz', which the decoder does not know"):
        live.expect({"99 Hz": 1.0})
    sent = [{label: 0.6, labels[5]: 0.4} for label in labels[:5]]
    for proba in sent:
        before = n_decided()
        api.post("/v1/prior", {"proba": proba})
        until(lambda before=before: n_decided() >= before + 3, 10)
    live.stop()
    assert live.error is None

    paths = live.record.paths
    assert [e.proba for e in read_events(paths.events) if isinstance(e, Prior)] == sent
    found = decided(paths)
    assert 1 <= sum(d["prior"] for d in found) <= len(sent)
    assert all((d["proba_decoder"] is not None) == d["prior"] for d in found)
    recording = load_recording(paths.xdf)
    for chunk in CHUNKS:
        again = list(decisions(paths.xdf, recording, config.load(paths.config), chunk))
        same([d.to_json() for d in again], found, 1e-9)
        for one, other in zip(again, found, strict=True):
            assert one.prior == other["prior"]
            assert one.proba_decoder == pytest.approx(other["proba_decoder"] or {}, abs=1e-9)


def test_rewards_reach_the_decoder_and_a_replay_learns_the_same(
    session, settings, client, trained, until, decided, same, tmp_path
):
    """Somebody says "right" or "wrong" to decisions of the simulated subject, and once a label."""
    (model,) = trained("contextual_bandit")
    live = session(
        settings(
            "any",
            **IMAGERY | {"window": {**IMAGERY["window"], "hop_s": 1.0}},  # none overlaps another
            source={"kind": "simulated", "paradigm": "imagery", "speed": 10.0, "seed": 1},
            markers={"kind": "source"},
            decoder={"kind": "model", "path": str(model)},
            decision={"kind": "threshold", "threshold": 0.5, "refractory_s": 0.0},
            recording={"root": str(tmp_path / "recordings")},
        )
    )
    api = client(live)

    for says in ({"correct": True}, {"correct": False}, {"label": "left"}, {"correct": True}):
        seq = live.telemetry.snapshot()["decisions"]
        until(lambda seq=seq: live.telemetry.snapshot()["decisions"] > seq, 10)
        api.post("/v1/feedback", {"seq": seq, **says})
    n = live.telemetry.snapshot()["decisions"]
    until(lambda: live.telemetry.snapshot()["decisions"] > n + 5, 10)
    learnt = live.status()["decoder"]["adaptation"]["learnt"]
    live.stop()
    assert live.error is None
    assert learnt >= 1

    paths = live.record.paths
    logged = [e for e in read_events(paths.events) if isinstance(e, Feedback)]
    assert {e.label for e in logged} == {None, "left"}
    assert {e.correct for e in logged} == {None, True, False}
    found = decided(paths)
    for chunk in CHUNKS[:2]:
        same(replayed(paths, chunk), found, 1e-9)
