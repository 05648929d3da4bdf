"""A stage over its budget in a live session: by-passed, visibly, and a replay decides the same."""

import logging
from time import perf_counter
from typing import ClassVar, Literal

import httpx
import numpy as np
import pytest
import yaml

from bci import config, registry
from bci.budget import JUDGED_S, N_OVER
from bci.calibration.training import train
from bci.config import StageSettings
from bci.eventlog import read as read_events
from bci.replay import decisions
from bci.report.page import render_report
from bci.report.record import read_session
from bci.sources.files import load_recording
from bci.types import Bypass, Chunk, Flag


class Slow(StageSettings):
    """Halves the signal, looks ahead, and takes its time for it."""

    mends: ClassVar[bool] = True

    kind: Literal["slow"] = "slow"
    burns: float = 0.15  # of the time that its data lasts
    lag: int = 0  # samples

    def build(self):
        return Halver(self)


class Halver:
    def __init__(self, settings):
        self.settings = settings

    def reset(self, info, start=0):
        self.sfreq = info.sfreq
        self.delay_s = self.settings.lag / info.sfreq
        self.held = None
        return info

    def __call__(self, chunk):
        ends = perf_counter() + self.settings.burns * len(chunk.data) / self.sfreq
        while perf_counter() < ends:
            pass
        data = np.ascontiguousarray(chunk.data, np.float64)
        if len(data) == 0:
            return Chunk(chunk.start, data, chunk.flags)
        if self.held is None:
            self.held = np.repeat(data[:1], self.settings.lag, axis=0)
        seen = np.concatenate([self.held, data])
        self.held = seen[len(data) :]
        note = Flag(chunk.start, chunk.stop, "slow", rejects=False, repairs=True)
        return Chunk(chunk.start, 0.5 * seen[: len(data)], (*chunk.flags, note))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(registry.BUILT_IN["stage"], "slow", f"{__name__}:Slow")


@pytest.fixture
def slow(settings, tmp_path):
    """A session of six seconds, as fast as it goes, with the slow stage in it."""

    def make(**stage):
        return settings(
            "any",
            source={"kind": "simulated", "speed": None, "minutes": 0.1, "seed": 2},
            markers={"kind": "source"},
            processing=[
                {"kind": "slow", **stage},
                {"kind": "bandpass", "low_hz": 6, "high_hz": 40, "order": 4},
            ],
            recording={"root": str(tmp_path / "recordings")},
        )

    return make


@pytest.mark.parametrize("lag", [0, 25])
def test_a_stage_over_its_budget_is_bypassed(session, slow, decided, same, caplog, lag):
    with caplog.at_level(logging.WARNING):
        live = session(slow(budget=0.05, lag=lag))
        assert live.wait(60)
        stages, told = live.status()["processing"]["stages"], live.telemetry.snapshot()
        metrics = httpx.get(f"{live.api_url}/metrics", trust_env=False).text
        live.stop()
    assert live.error is None
    (bypass,) = [e for e in read_events(live.record.paths.events) if isinstance(e, Bypass)]
    assert (bypass.stage, bypass.active) == (0, True)
    assert "over its budget of 5 %" in bypass.reason
    sfreq = live.pipeline.raw_info.sfreq
    # the first second is not judged; chunks do not end with the seconds
    assert (1 + N_OVER) * JUDGED_S <= bypass.at / sfreq <= (2 + N_OVER) * JUDGED_S
    assert "stage 'slow' is by-passed: it takes" in caplog.text
    slow_row, filter_row = stages
    assert (slow_row["active"], filter_row["active"]) == (False, True)
    assert slow_row["why_bypassed"] == bypass.reason
    assert slow_row["load"] > 0.1
    assert slow_row["delay_s"] == pytest.approx(lag / sfreq)
    assert filter_row["hop_ms"]["p50"] > 0
    assert 'bci_stage_bypassed{kind="slow",stage="0"} 1.0' in metrics

    found = decided(live.record.paths)
    repaired = [d["quality"]["repaired_fraction"] for d in found]
    before = [r for d, r in zip(found, repaired, strict=True) if d["last"] < bypass.at]
    after = [r for d, r in zip(found, repaired, strict=True) if d["first"] >= bypass.at]
    assert set(before) == {1.0}
    assert set(after) == {0.0}
    assert any(0 < r < 1 for r in repaired)  # the windows in between
    assert len(found) == (live.pipeline.position - 125) // 25 + 1  # none is missing
    assert told["repaired"] == told["repaired_by"]["slow"] == sum(r > 0 for r in repaired)
    paths = live.record.paths
    for chunk in (1000, [250, 13, 60, 1]):
        again = decisions(paths.xdf, load_recording(paths.xdf), config.load(paths.config), chunk)
        same([d.to_json() for d in again], found, 1e-9)
    page = render_report(read_session(paths.xdf))
    assert "stage &#39;slow&#39; by-passed: it takes" in page


def test_without_a_budget_it_stays_and_a_person_may_bypass_it(
    session, slow, client, decided, until
):
    made = slow(burns=0.05)
    made["source"] |= {"speed": 5.0, "minutes": None}
    live = session(made)
    api = client(live)

    def row():
        return live.status()["processing"]["stages"][0]

    until(lambda: live.status()["source"]["n_received"] > 200, 20)
    api.post("/v1/bypass", {"stage": 0})
    until(lambda: not row()["active"], 20)
    assert row()["why_bypassed"] == "asked for by a client"
    at = live.pipeline.position
    until(lambda: live.pipeline.position > at + 200, 20)
    api.post("/v1/bypass", {"stage": 0, "active": False})
    until(lambda: row()["active"], 20)
    at = live.pipeline.position
    until(lambda: live.pipeline.position > at + 200, 20)
    live.stop()
    assert live.error is None
    events = [e for e in read_events(live.record.paths.events) if isinstance(e, Bypass)]
    assert [e.active for e in events] == [True, False]
    out, back = (e.at for e in events)
    for d in decided(live.record.paths):
        if d["first"] >= out and d["last"] < back:
            assert d["quality"]["repaired"] == []
        elif d["last"] < out or d["first"] >= back:
            assert d["quality"]["repaired"] == ["slow"]


def test_a_session_goes_without_what_its_model_was_trained_without(
    session, settings, simulated, saved, decided, same, tmp_path
):
    """Half the signal tells as much: the stage is no gain, and the live session leaves it out."""
    made = settings(
        "any",
        source={"kind": "simulated", "paradigm": "imagery", "speed": None, "minutes": 0.1},
        markers={"kind": "source"},
        events={"left": "cue/left", "right": "cue/right"},
        processing=[
            {"kind": "slow", "burns": 0.0},
            {"kind": "bandpass", "low_hz": 8, "high_hz": 30},
        ],
        window={"kind": "sliding", "hop_s": 0.1, "markers": ["imagery_on"], "offset_s": 0.5},
        decoder={"kind": "mdm"},
    )
    path, said = saved(simulated("imagery", 45, seed=5), tmp_path / "calibration.npz"), []
    train(config.loads(yaml.safe_dump(made)), [path], tmp_path / "model", report=said.append)
    assert any("stage 'slow': with it" in line and "by-passed" in line for line in said)
    live = session({**made, "decoder": {"kind": "model", "path": str(tmp_path / "model")}})
    assert live.wait(60)
    slow_row, filter_row = live.status()["processing"]["stages"]
    live.stop()
    assert live.error is None
    assert (slow_row["active"], filter_row["active"]) == (False, True)
    assert slow_row["why_bypassed"].startswith("calibration showed no gain (with it ")
    found, paths = decided(live.record.paths), live.record.paths
    assert len(found) > 40
    assert not any(d["quality"]["repaired"] for d in found)
    again = decisions(paths.xdf, load_recording(paths.xdf), config.load(paths.config), 77)
    same([d.to_json() for d in again], found, 1e-9)
    assert "What mends the signal" in render_report(read_session(paths.xdf))


def test_what_cannot_be_bypassed_is_said(session, slow, caplog):
    made = slow()
    made["processing"] = [{"kind": "resample", "sfreq": 125, "budget": 1e-9}]
    with caplog.at_level(logging.WARNING):
        live = session(made)
        with pytest.raises(config.ConfigError, match="there is no stage 3"):
            live.bypass(3, True)
        with pytest.raises(config.ConfigError, match="cannot be by-passed"):
            live.bypass(0, True)
        assert live.wait(60)
        live.stop()
    assert live.error is None
    assert live.status()["processing"]["stages"][0]["active"]
    warned = [r.getMessage() for r in caplog.records if "over its budget" in r.getMessage()]
    assert len(warned) == 1  # once, not each second
    assert "cannot be by-passed" in warned[0]
