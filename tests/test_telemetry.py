import json
import logging
import threading
import timeit

import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bci import telemetry as module
from bci.telemetry import BUCKETS_MS, N_KEPT, Telemetry, to_prometheus


@pytest.fixture
def telemetry():
    return Telemetry(hop_s=0.05)


def families(telemetry):
    text = to_prometheus(telemetry.snapshot()).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(family, **labels):
    (sample,) = [s for s in family.samples if s.labels == labels]
    return sample.value


def test_nothing_seen_yet(telemetry):
    snapshot = json.loads(json.dumps(telemetry.snapshot(), allow_nan=False))
    assert snapshot["latency_ms"] == snapshot["load"] == {"p50": None, "p99": None, "max": None}
    assert snapshot["effective_rate_hz"] is None
    assert snapshot["decisions"] == snapshot["samples"] == 0
    assert np.isnan(value(families(telemetry)["bci_recent_latency_seconds"], quantile="0.99"))


@pytest.mark.parametrize("n", [1, 2, 99, 100, 101, N_KEPT, 3 * N_KEPT + 17])
def test_percentiles_are_those_of_the_newest(telemetry, n):
    latencies = np.random.default_rng(n).lognormal(0.5, 1.0, n)
    for latency in latencies:
        telemetry.observe_decision(latency, abstained=False)
    kept = np.sort(latencies[-N_KEPT:])
    # the smallest value that at least this share of the values does not exceed
    expected = {
        name: kept[int(np.ceil(share * len(kept))) - 1]
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }
    snapshot = telemetry.snapshot()
    assert snapshot["latency_ms"] == expected
    assert sum(snapshot["latency_buckets"]) == n
    assert snapshot["latency_sum_ms"] == pytest.approx(latencies.sum())


def test_memory_does_not_grow(telemetry):
    def observe(n):
        for _ in range(n):
            telemetry.observe_decision(2.0, abstained=True, reasons=("gap",))
            telemetry.observe_push(20, 1000.0, 1e-4)

    observe(N_KEPT)
    before = psutil.Process().memory_info().rss
    observe(20 * N_KEPT)
    assert psutil.Process().memory_info().rss - before < 2**20


def test_abstentions_by_reason(telemetry):
    telemetry.observe_decision(2.0, abstained=False, reasons=("noisy",))  # decided all the same
    telemetry.observe_decision(2.0, abstained=True, reasons=("amplitude", "gap"))
    telemetry.observe_decision(None, abstained=True, reasons=("gap",))
    telemetry.observe_decision(2.0, abstained=True)
    snapshot = telemetry.snapshot()
    assert (snapshot["decisions"], snapshot["abstentions"]) == (4, 3)
    assert snapshot["abstention_reasons"] == {"amplitude": 1, "gap": 2, "undecided": 1}
    assert sum(snapshot["latency_buckets"]) == 3


def test_decisions_on_repaired_data_by_what(telemetry):
    telemetry.observe_decision(2.0, abstained=False)
    telemetry.observe_decision(2.0, abstained=False, repaired=("asr", "eog"))
    telemetry.observe_decision(2.0, abstained=True, reasons=("gap",), repaired=("asr",))
    snapshot = telemetry.snapshot()
    assert (snapshot["repaired"], snapshot["repaired_by"]) == (2, {"asr": 2, "eog": 1})
    found = families(telemetry)
    assert value(found["bci_repaired"]) == 2
    assert value(found["bci_repaired_by"], stage="asr") == 2


def test_stages_in_prometheus(telemetry):
    empty, rows = dict.fromkeys(("p50", "p99", "max")), []
    for i, (kind, active, load) in enumerate((("asr", False, None), ("notch", True, 0.02))):
        hop_ms = empty if load is None else {"p50": 1.0, "p99": 2.0, "max": 4.0}
        rows.append({"stage": i, "kind": kind, "active": active, "load": load,
                     "budget": 0.1 if load is None else None, "hop_ms": hop_ms})  # fmt: skip
    text = to_prometheus(telemetry.snapshot(), rows).decode()
    found = {family.name: family for family in text_string_to_metric_families(text)}
    asr, notch = ({"stage": str(i), "kind": kind} for i, kind in enumerate(("asr", "notch")))
    assert value(found["bci_stage_bypassed"], **asr) == 1
    assert value(found["bci_stage_bypassed"], **notch) == 0
    assert np.isnan(value(found["bci_stage_load_ratio"], **asr))
    assert value(found["bci_stage_load_ratio"], **notch) == 0.02
    assert value(found["bci_stage_budget_ratio"], **asr) == 0.1
    hop = found["bci_stage_recent_hop_seconds"]
    assert value(hop, **notch, quantile="0.99") == pytest.approx(2e-3)


@pytest.mark.parametrize("chunk", [1, 7, 20, 50, 200])
def test_load_does_not_depend_on_chunks(telemetry, chunk):
    for _ in range(20_000 // chunk):
        telemetry.observe_push(chunk, 1000.0, busy_s=chunk * 0.0004)
    snapshot = telemetry.snapshot()
    assert snapshot["samples"] == 20_000 // chunk * chunk
    assert snapshot["over_budget"] == 0
    for part in ("p50", "p99", "max"):
        assert snapshot["load"][part] == pytest.approx(0.4)


def test_a_slow_hop_is_counted_and_told_now_and_then(telemetry, caplog, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    with caplog.at_level(logging.WARNING):
        for busy_s in (0.0374, 0.0376, 0.06, 0.0374):  # 75 % of the hop are 37.5 ms
            telemetry.observe_push(50, 1000.0, busy_s)
        assert telemetry.snapshot()["over_budget"] == 2
        assert len(caplog.records) == 1  # not one per hop
        assert "75 % of the time" in caplog.records[0].getMessage()
        clock[0] += 11.0
        telemetry.observe_push(50, 1000.0, 0.06)
    assert "120 %" in caplog.records[1].getMessage()
    assert "passed 3 times" in caplog.records[1].getMessage()


def test_an_empty_push_and_no_hop(telemetry):
    telemetry.observe_push(0, 1000.0, 1e-3)
    assert telemetry.snapshot()["load"]["max"] is None
    free = Telemetry(hop_s=None)
    free.observe_push(0, 1000.0, 0.0)
    free.observe_push(10, 1000.0, 0.005)
    assert free.snapshot()["load"]["max"] == pytest.approx(0.5)


def test_counts_from_many_threads_are_exact(telemetry):
    def work():
        for _ in range(2000):
            telemetry.observe_decision(1.5, abstained=True, reasons=("gap",))
            telemetry.observe_push(20, 1000.0, 1e-4)
            telemetry.count_drops("osc", 3)
            telemetry.count_gap()
            telemetry.count_jump()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        telemetry.snapshot()
    for thread in threads:
        thread.join()
    snapshot = telemetry.snapshot()
    assert snapshot["decisions"] == snapshot["abstention_reasons"]["gap"] == 8000
    assert sum(snapshot["latency_buckets"]) == snapshot["gaps"] == snapshot["clock_jumps"] == 8000
    assert snapshot["samples"] == 160_000
    assert snapshot["drops"] == {"osc": 24_000}


def test_prometheus_says_the_same(telemetry):
    latencies = [0.5, 1.0, 1.01, 4.0, 9000.0]
    for latency in latencies:
        telemetry.observe_decision(latency, abstained=False)
    telemetry.observe_decision(2.0, abstained=True, reasons=('quote " and \n line',))
    telemetry.observe_push(1234, 1000.0, 0.1)
    telemetry.count_drops("api/decisions", 7)
    telemetry.count_gap()
    telemetry.backlog_samples = 40
    telemetry.effective_rate_hz = 999.5
    found = families(telemetry)
    assert value(found["bci_samples"]) == 1234
    assert value(found["bci_decisions"]) == 6
    assert value(found["bci_abstentions"]) == 1
    assert value(found["bci_gaps"]) == 1
    assert value(found["bci_clock_jumps"]) == 0
    assert value(found["bci_drops"], queue="api/decisions") == 7
    assert value(found["bci_abstention_reasons"], reason='quote " and \n line') == 1
    assert value(found["bci_backlog_samples"]) == 40
    assert value(found["bci_effective_rate_hz"]) == 999.5
    assert value(found["bci_memory_bytes"]) > 1e6
    assert value(found["bci_recent_latency_seconds"], quantile="1") == pytest.approx(9.0)
    assert value(found["bci_recent_load_ratio"], quantile="0.5") == pytest.approx(0.1 / 1.234)

    histogram = found["bci_decision_latency_seconds"]
    assert histogram.type == "histogram"
    buckets = [(s.labels["le"], s.value) for s in histogram.samples if s.name.endswith("_bucket")]
    assert [float(edge) for edge, _ in buckets] == [*(e / 1e3 for e in BUCKETS_MS), np.inf]
    seen = np.array([*latencies, 2.0]) / 1e3
    assert [n for _, n in buckets] == [np.sum(seen <= float(edge)) for edge, _ in buckets]
    (total,) = [s.value for s in histogram.samples if s.name.endswith("_sum")]
    assert total == pytest.approx(seen.sum())


@pytest.mark.timing
def test_an_observation_costs_microseconds(telemetry):
    for name, observe in {
        "decision": lambda: telemetry.observe_decision(2.1, abstained=False),
        "abstention": lambda: telemetry.observe_decision(2.1, abstained=True, reasons=("gap",)),
        "push": lambda: telemetry.observe_push(20, 1000.0, 1e-4),
        "drop": lambda: telemetry.count_drops("osc"),
    }.items():
        times = np.array(timeit.repeat(observe, number=1000, repeat=200)) * 1e3
        print(f"{name}: median {np.median(times):.2f} µs, p99 {np.quantile(times, 0.99):.2f} µs")
        assert np.median(times) < 2.0
