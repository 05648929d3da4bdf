"""What each processing stage costs while it streams, and when that is too much.

A stage's load is the time that it takes over the time that its data lasts. It is looked
at over each second of signal, so that chunks of any size are judged alike:

- a second over the stage's budget counts, and `N_OVER` of them make it too slow;
- a second below `CLEAR` of the budget forgets them; one in between does neither;
- the first second of a stage, and the first after it came back, is not judged: it
  imports, allocates and compiles.

So one outlier by-passes nothing, and a stage that is too slow is found within five
seconds of signal. It does not come back by itself: a person decides that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from bci.telemetry import N_KEPT, summary
from bci.types import FloatArray

__all__ = ["CLEAR", "JUDGED_S", "N_OVER", "StageMeter"]

#: Span over which a load is compared with the budget, seconds of signal.
JUDGED_S = 1.0
#: Spans over the budget after which a stage is too slow.
N_OVER = 3
#: Share of the budget below which a span clears those before.
CLEAR = 0.8
#: Spans of which the load that is shown is the mean.
N_SHOWN = 10


class _Load:
    """How one stage stands against its budget."""

    def __init__(self, since: int = 0) -> None:
        self.since = since  # hops before it do not count
        self.spans: deque[float] = deque(maxlen=N_SHOWN)
        self.n_over = 0
        self.excused = True


class StageMeter:
    """Loads of a chain's stages; the decode thread writes, any thread reads.

    Parameters
    ----------
    budgets : sequence of float or None
        Of each stage: highest load; None: any.
    hop_s : float
        Step between windows, seconds: the span of the times that are shown.
    """

    def __init__(self, budgets: Sequence[float | None], hop_s: float) -> None:
        self._budgets = tuple(budgets)
        self._hop_s = hop_s
        self._loads = [_Load() for _ in budgets]
        # what each stage had spent, and the seconds of signal, at the end of the newest hops
        self._hops = np.zeros((N_KEPT, len(self._budgets) + 1))
        self._n_hops = 1
        self._span = self._hops[0].copy()  # the same when the span began
        self._data_s = self._hop_from_s = 0.0

    def due(self, data_s: float) -> bool:
        """Count `data_s` seconds of signal; whether a hop is full, so that `observe` is next."""
        self._data_s += data_s
        return self._data_s > self._hop_from_s + self._hop_s * (1 - 1e-9)

    def observe(self, spent_s: Sequence[float], active: Sequence[bool]) -> list[int]:
        """Take the stages' times when a hop is full; the numbers of those that became too slow.

        Parameters
        ----------
        spent_s : sequence of float
            Of each stage: seconds since the start, as `Chain.spent_s`.
        active : sequence of bool
            Which stages are in use; others are not judged.
        """
        row = self._hops[self._n_hops % N_KEPT]
        row[:-1], row[-1] = spent_s, self._data_s
        self._n_hops += 1
        self._hop_from_s = self._data_s
        if self._data_s < self._span[-1] + JUDGED_S * (1 - 1e-9):
            return []
        shares = (row[:-1] - self._span[:-1]) / (row[-1] - self._span[-1])
        self._span = row.copy()
        return [i for i, used in enumerate(active) if used and self._judge(i, float(shares[i]))]

    def _judge(self, i: int, share: float) -> bool:
        """Whether a stage became too slow with the span that ends."""
        load, budget = self._loads[i], self._budgets[i]
        if load.excused:
            load.excused = False
            return False
        load.spans.append(share)
        if budget is None:
            return False
        if share > budget:
            load.n_over += 1
            return load.n_over == N_OVER
        if share < CLEAR * budget:
            load.n_over = 0
        return False

    def restart(self, i: int) -> None:
        """Stage `i` comes into use again: what it cost before is forgotten."""
        self._loads[i] = _Load(self._n_hops)

    def load(self, i: int) -> float | None:
        """Mean load of stage `i` over its newest ten seconds; None before there is one."""
        spans = list(self._loads[i].spans)
        return sum(spans) / len(spans) if spans else None

    def newest(self, i: int) -> float | None:
        """Load of stage `i` over the newest second; None before there is one."""
        spans = self._loads[i].spans
        return spans[-1] if spans else None

    def status(self, i: int) -> dict[str, Any]:
        """The cost of stage `i`, JSON-able: load, and milliseconds a hop."""
        ms = summary(1e3 * self._hop_s * self._per_hop(i))
        return {"budget": self._budgets[i], "load": self.load(i), "hop_ms": ms}

    def _per_hop(self, i: int) -> FloatArray:
        """Load of stage `i` in each of the newest hops in which it was in use."""
        n = self._n_hops
        first = max(n - N_KEPT + 1, self._loads[i].since - 1, 0)  # the oldest may be written now
        rows = self._hops[np.arange(first, n) % N_KEPT][:, [i, -1]]
        spent, data = np.diff(rows, axis=0).T
        loads: FloatArray = spent[spent > 0] / data[spent > 0]
        return loads
