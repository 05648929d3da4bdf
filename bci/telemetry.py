"""How the engine is doing: latencies, load, counts and gauges, in fixed memory.

The threads of a session report here (a microsecond each); `/v1/status` and
`/metrics` read a snapshot. Latencies and loads are kept twice: as the newest
`N_KEPT` values, for exact percentiles of the recent past, and latencies also as
a cumulative histogram, which Prometheus can difference over any span.
"""

from __future__ import annotations

import logging
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from threading import Lock
from time import monotonic
from typing import Any

import numpy as np
import psutil
from numpy.typing import ArrayLike
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

__all__ = ["BUCKETS_MS", "BUDGET", "N_KEPT", "Telemetry", "summary", "to_prometheus"]

_log = logging.getLogger(__name__)

#: Number of newest latencies and loads from which percentiles are taken.
N_KEPT = 4096
#: Share of the time that data takes to arrive beyond which processing is too slow.
BUDGET = 0.75
#: Upper edges of the latency histogram, milliseconds.
BUCKETS_MS = (1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 200, 500, 1000, 5000)
_WARN_EVERY_S = 10.0


class _Recent:
    """The newest `N_KEPT` values, in memory allocated once."""

    def __init__(self) -> None:
        self._values = array("d", bytes(8 * N_KEPT))
        self.n_seen = 0

    def add(self, value: float) -> None:
        self._values[self.n_seen % N_KEPT] = value
        self.n_seen += 1

    def copy(self) -> array[float]:
        return self._values[: min(self.n_seen, N_KEPT)]


class Telemetry:
    """Counts, gauges and distributions of one session; safe to use from any thread.

    Parameters
    ----------
    hop_s : float or None
        Step between windows, seconds: the span over which processing time is
        compared with the time the data took to arrive. None: each push alone.

    Attributes
    ----------
    backlog_samples : int
        Samples received and not yet processed; set by the decode thread.
    effective_rate_hz : float
        Fitted rate of the stream; set by the session, NaN before it is known.
    """

    def __init__(self, hop_s: float | None = None) -> None:
        self.backlog_samples = 0
        self.effective_rate_hz = float("nan")
        self._hop_s = hop_s or 0.0
        self._lock = Lock()
        self._latency = _Recent()
        self._buckets = [0] * (len(BUCKETS_MS) + 1)
        self._latency_sum = 0.0
        self._load = _Recent()
        self._busy_s = self._data_s = 0.0
        self._n_samples = self._n_decisions = self._n_abstentions = 0
        self._n_gaps = self._n_jumps = self._n_over_budget = 0
        self._reasons: Counter[str] = Counter()
        self._n_repaired = 0
        self._repaired_by: Counter[str] = Counter()
        self._drops: Counter[str] = Counter()
        self._warn_after = -_WARN_EVERY_S
        self._process = psutil.Process()

    def observe_decision(
        self,
        latency_ms: float | None,
        *,
        abstained: bool,
        reasons: Sequence[str] = (),
        repaired: Sequence[str] = (),
    ) -> None:
        """Count a decision; an abstention also under each of its `reasons`.

        `repaired`: by what samples of its window were mended.
        """
        with self._lock:
            self._n_decisions += 1
            if abstained:
                self._n_abstentions += 1
                for reason in reasons or ("undecided",):
                    self._reasons[reason] += 1
            if repaired:
                self._n_repaired += 1
                self._repaired_by.update(repaired)
            if latency_ms is not None:
                self._latency.add(latency_ms)
                self._latency_sum += latency_ms
                self._buckets[bisect_left(BUCKETS_MS, latency_ms)] += 1

    def observe_push(self, n_samples: int, sfreq: float, busy_s: float) -> None:
        """Count `n_samples` at `sfreq` Hz that took `busy_s` seconds to process.

        Load is processing time over data time, taken over at least one hop, so
        that it does not depend on how the samples were chunked.
        """
        with self._lock:
            self._n_samples += n_samples
            self._busy_s += busy_s
            self._data_s += n_samples / sfreq
            if self._data_s <= 0.0 or self._data_s < self._hop_s * (1 - 1e-9):
                return
            load, self._busy_s, self._data_s = self._busy_s / self._data_s, 0.0, 0.0
            self._load.add(load)
            if load <= BUDGET:
                return
            self._n_over_budget += 1
            if monotonic() < self._warn_after:
                return
            self._warn_after = monotonic() + _WARN_EVERY_S
            n = self._n_over_budget
        _log.warning(
            "processing takes %.0f %% of the time that its data takes to arrive (limit %.0f %%, "
            "passed %d times); use fewer channels, a longer hop or a cheaper decoder",
            100 * load, 100 * BUDGET, n,
        )  # fmt: skip

    def count_drops(self, queue: str, n: int = 1) -> None:
        """Count `n` items that did not fit `queue` (an output, an API client)."""
        with self._lock:
            self._drops[queue] += n

    def count_gap(self) -> None:
        """Count one break of the stream."""
        with self._lock:
            self._n_gaps += 1

    def count_jump(self) -> None:
        """Count one jump of the stream's clock."""
        with self._lock:
            self._n_jumps += 1

    def snapshot(self) -> dict[str, Any]:
        """Everything as of now, JSON-able; percentiles are over the newest `N_KEPT` values."""
        with self._lock:
            latencies, loads = self._latency.copy(), self._load.copy()
            result: dict[str, Any] = {
                "samples": self._n_samples,
                "decisions": self._n_decisions,
                "abstentions": self._n_abstentions,
                "abstention_reasons": dict(self._reasons),
                "repaired": self._n_repaired,
                "repaired_by": dict(self._repaired_by),
                "drops": dict(self._drops),
                "gaps": self._n_gaps,
                "clock_jumps": self._n_jumps,
                "over_budget": self._n_over_budget,
                "latency_sum_ms": self._latency_sum,
                "latency_buckets": list(self._buckets),
            }
        rate = self.effective_rate_hz
        result["latency_ms"] = summary(latencies)
        result["load"] = summary(loads)
        result["backlog_samples"] = self.backlog_samples
        result["effective_rate_hz"] = rate if np.isfinite(rate) else None
        result["memory_bytes"] = self._process.memory_info().rss
        return result


def summary(values: ArrayLike) -> dict[str, float | None]:
    """Median, 99th percentile (both values that occurred) and largest; None while empty."""
    values = np.asarray(values)
    if len(values) == 0:
        return {"p50": None, "p99": None, "max": None}
    p50, p99, top = np.quantile(values, (0.5, 0.99, 1.0), method="inverted_cdf")
    return {"p50": float(p50), "p99": float(p99), "max": float(top)}


# --- Prometheus ----------------------------------------------------------------------------------

_COUNTERS = (
    ("samples", "Samples processed"),
    ("decisions", "Decisions, abstentions among them"),
    ("abstentions", "Decisions without a label"),
    ("repaired", "Decisions whose window was mended, in part or whole"),
    ("gaps", "Breaks of the stream"),
    ("clock_jumps", "Jumps of the stream's clock"),
    ("over_budget", f"Hops whose processing took over {BUDGET:.0%} of the data's time"),
)
_LABELLED = (
    ("abstention_reasons", "reason", "Abstentions, once under each of their reasons"),
    ("repaired_by", "stage", "Decisions whose window was mended, once under each way"),
    ("drops", "queue", "Items that did not fit a queue"),
)
_GAUGES = (
    ("backlog_samples", "Samples received and not yet processed"),
    ("effective_rate_hz", "Fitted sampling rate of the stream"),
    ("memory_bytes", "Resident memory of the engine"),
)
_SUMMARIES = (
    ("latency_ms", "recent_latency_seconds", 1e-3, "Latency, over the newest decisions"),
    ("load", "recent_load_ratio", 1.0, "Processing time over data time, over the newest hops"),
)


class _SnapshotCollector(Collector):
    """A snapshot as metric families, named ``bci_…``, in seconds and bytes."""

    def __init__(self, snapshot: dict[str, Any], stages: Sequence[dict[str, Any]]) -> None:
        self._snapshot, self._stages = snapshot, stages

    def collect(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        for key, text in _COUNTERS:
            yield CounterMetricFamily(f"bci_{key}", text, value=snapshot[key])
        for key, label, text in _LABELLED:
            counter = CounterMetricFamily(f"bci_{key}", text, labels=[label])
            for name, n in sorted(snapshot[key].items()):
                counter.add_metric([name], n)
            yield counter
        for key, text in _GAUGES:
            value = snapshot[key]
            yield GaugeMetricFamily(f"bci_{key}", text, value=np.nan if value is None else value)
        for key, name, scale, text in _SUMMARIES:
            gauge = GaugeMetricFamily(f"bci_{name}", text, labels=["quantile"])
            for quantile, part in (("0.5", "p50"), ("0.99", "p99"), ("1", "max")):
                value = snapshot[key][part]
                gauge.add_metric([quantile], np.nan if value is None else scale * value)
            yield gauge
        yield self._histogram()
        yield from self._of_stages()

    def _of_stages(self) -> Iterator[Metric]:
        labels = ["stage", "kind"]
        load = GaugeMetricFamily(
            "bci_stage_load_ratio", "Time of a stage over data time, mean of ten seconds",
            labels=labels,
        )  # fmt: skip
        budget = GaugeMetricFamily(
            "bci_stage_budget_ratio", "Load from which a stage is by-passed", labels=labels
        )
        bypassed = GaugeMetricFamily(
            "bci_stage_bypassed", "Whether a stage is by-passed", labels=labels
        )
        hop = GaugeMetricFamily(
            "bci_stage_recent_hop_seconds", "Time of a stage a hop, over the newest hops",
            labels=[*labels, "quantile"],
        )  # fmt: skip
        for row in self._stages:
            names = [str(row["stage"]), row["kind"]]
            load.add_metric(names, _number(row["load"]))
            budget.add_metric(names, _number(row["budget"]))
            bypassed.add_metric(names, float(not row["active"]))
            for quantile, part in (("0.5", "p50"), ("0.99", "p99"), ("1", "max")):
                hop.add_metric([*names, quantile], 1e-3 * _number(row["hop_ms"][part]))
        yield from (load, budget, bypassed, hop)

    def _histogram(self) -> Metric:
        edges = [str(edge / 1e3) for edge in BUCKETS_MS] + ["+Inf"]
        totals = accumulate(self._snapshot["latency_buckets"])
        return HistogramMetricFamily(
            "bci_decision_latency_seconds",
            "From the arrival of a decision's last sample to its publication",
            buckets=list(zip(edges, totals, strict=True)),
            sum_value=self._snapshot["latency_sum_ms"] / 1e3,
        )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def to_prometheus(snapshot: dict[str, Any], stages: Sequence[dict[str, Any]] = ()) -> bytes:
    """Render a `Telemetry.snapshot` in Prometheus' text format, version 0.0.4.

    `stages`: the processing stages as in the status.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SnapshotCollector(snapshot, stages))
    return generate_latest(registry)
