"""A session climbs from a decoder that fails to one that learns, and goes back when told.

Simulated: the decoder that the session starts on was told wrong frequencies, so it selects
wrong targets; the next rung learns from cued selections what belongs to which.
"""

import threading

import pytest
import yaml

from bci import config
from bci import session as session_module
from bci.config import SourceSettings, dump
from bci.decoders.storage import load
from bci.eventlog import SwapRecord
from bci.eventlog import read as read_events
from bci.paradigms.speller import TARGETS_12, SpellerTimetable
from bci.paradigms.subject import SimulatedSubject
from bci.recording.verify import verify
from bci.replay import decisions
from bci.sources.files import load_recording
from bci.sources.simulated import SimulatedSettings, SimulatedSource
from bci.types import Marker

TARGETS = TARGETS_12[:3]  # 2 Hz apart
LABELS = tuple(target.label for target in TARGETS)
N = len(LABELS)
WRONG = {label: TARGETS[(k + 1) % N].frequency_hz for k, label in enumerate(LABELS)}
TABLE = SpellerTimetable(LABELS, cue_s=0.3, stim_s=2.3, rest_s=0.3, seed=1)

SESSION = {
    "source": {"kind": "simulated"},
    "channels": {"pick": "eeg", "montage": None},
    "events": {label: f"cue/{label}" for label in LABELS},
    "processing": [{"kind": "bandpass", "low_hz": 6, "high_hz": 60, "order": 4}],
    "window": {"kind": "marker", "markers": ["stim_on"], "offset_s": 0.14, "length_s": 2.0},
    "decoder": {"kind": "fbcca", "frequencies_hz": WRONG, "bands": 2, "harmonics": 2},
    "ladder": {"rungs": ["extended_covariance"]},
    "recording": {"root": "recordings"},
    "api": {"port": 0},
}


class Gated(SourceSettings):
    """The simulated subject, who goes on when the test says so."""

    kind: str = "gated"
    speed: None = None

    def build(self):
        return SOURCE[-1]


SOURCE = []


class GatedSource(SimulatedSource):
    def __init__(self):
        super().__init__(SimulatedSettings(speed=None, chunk=25))
        self._moved = threading.Condition()
        self._until = 0
        subject = SimulatedSubject(TARGETS, snr=30.0, seed=2)
        self._settings = _Asked(subject, TABLE)

    def allow(self, n_trials):
        with self._moved:
            self._until = round((TABLE.start_s + n_trials * TABLE.trial_s) * 250)
            self._moved.notify_all()

    def read(self, timeout_s=0.1):
        with self._moved:
            if self._subject.position >= self._until and not self._moved.wait(timeout_s):
                return []
        return super().read(timeout_s)


class _Asked:
    """The settings of the gated source: that of the simulated one, with three targets."""

    paradigm, seed, sfreq, chunk, speed, cues = "ssvep3", 2, 250.0, 25, None, "own"
    minutes = n_trials = None

    def __init__(self, subject, table):
        self._subject, self._table = subject, table

    def subject(self):
        return self._subject

    def timetable(self):
        return self._table


@pytest.fixture
def climbing(session, monkeypatch):
    """A running session and its source."""
    # the command that compares reads the run's configuration; it knows no gated source
    monkeypatch.setattr(
        session_module,
        "dump",
        lambda c: dump(c.model_copy(update={"source": SimulatedSettings()})),
    )
    source = GatedSource()
    SOURCE.append(source)
    made = config.loads(yaml.safe_dump(SESSION))
    return session(made.model_copy(update={"source": Gated()})), source


def test_a_hand_over_and_a_roll_back(climbing, client, until, decided, same):
    live, source = climbing
    api = client(live)

    def ladder():
        return live.status()["ladder"]

    def go(n_trials):
        source.allow(n_trials)
        stop = round((TABLE.start_s + n_trials * TABLE.trial_s) * 250)
        until(lambda: live.pipeline.position >= stop, 30, "the trials")

    assert ladder()["rung"] == "fbcca"
    go(3 * N)
    until(lambda: ladder()["waits_for_selection"], 40, "a hand-over")
    found = ladder()
    assert (found["rung"], found["previous"]) == ("extended_covariance", "fbcca")
    assert found["last"]["reason"].startswith("extended_covariance takes over from fbcca: +")
    assert live.status()["decoder"]["model"] == "fbcca"  # no selection has begun yet
    go(4 * N)
    api.post("/v1/ladder", {"action": "rollback"})
    assert (ladder()["rung"], ladder()["held"]) == ("fbcca", ["extended_covariance"])
    go(5 * N)
    live.stop()
    assert live.error is None

    paths = live.record.paths
    events = read_events(paths.events)
    climbed, back = [e for e in events if isinstance(e, SwapRecord)]
    opened = [e for e in events if isinstance(e, Marker) and e.value == "stim_on"]
    assert (climbed.at, back.at) == (opened[3 * N].at, opened[4 * N].at)
    assert climbed.model.startswith("extended_covariance-")
    assert back.model.startswith("fbcca-")

    made = decided(paths)
    models = [d["model"] for d in made]
    assert models == ["fbcca"] * 3 * N + [climbed.model] * N + [back.model] * N
    asked = [trial.label for trial, _ in zip(TABLE.trials(), made, strict=False)]
    right = [d["label"] == label for d, label in zip(made, asked, strict=True)]
    assert sum(right[: 3 * N]) <= 2
    assert sum(right[3 * N : 4 * N]) == N
    assert sum(right[4 * N :]) <= 1
    *_, score = load(paths.models / climbed.model)[1].scores
    assert score.metric == "ITR, bit/min"
    assert score.n == 3 * N

    assert verify(paths.xdf).ok
    session = config.load(paths.config)
    for chunk in (1000, 7, [1, 0, 997]):
        again = decisions(paths.xdf, load_recording(paths.xdf), session, chunk)
        same([d.to_json() for d in again], made, 1e-9)


def test_a_roll_back_needs_a_hand_over(climbing):
    import httpx

    live, _ = climbing
    token = (live.record.paths.folder / ".bci-token").read_text().strip()
    answer = httpx.post(
        f"{live.api_url}/v1/ladder",
        json={"action": "rollback"},
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "there is nothing to roll back: 'fbcca' is the first rung"
