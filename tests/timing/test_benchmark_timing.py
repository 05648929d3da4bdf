"""Time of a within-session benchmark beside MOABB's own evaluation, same arrays, same run.

Needs moabb:  python -m pytest -m timing tests/timing/test_benchmark_timing.py -s
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bci.benchmark import config as configs
from bci.benchmark import pipelines
from bci.benchmark.pipelines import Context
from bci.benchmark.run import run
from bci.types import StreamInfo

pytestmark = [pytest.mark.timing, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
GRAZ = ROOT.parent / "shared/data/bci-iv-2b"
sys.path.insert(0, str(ROOT / "tests/benchmark"))

TEXT = f"""
datasets: [{{kind: bci_iv_2b, path: {GRAZ}}}]
pipelines:
  TS+LR:
    - &cov {{estimator: pyriemann.estimation.Covariances, params: {{estimator: oas}}}}
    - &ts {{estimator: pyriemann.tangentspace.TangentSpace, params: {{metric: riemann}}}}
    - {{estimator: sklearn.linear_model.LogisticRegression, params: {{C: 1.0}}}}
  TS+SVM:
    steps: [*cov, *ts, {{estimator: sklearn.svm.SVC}}]
    grid: {{svc__C: [0.5, 1, 1.5], svc__kernel: [linear, rbf]}}
  MDM: [*cov, {{estimator: pyriemann.classification.MDM}}]
  FgMDM: [*cov, {{estimator: pyriemann.classification.FgMDM}}]
  CSP+LDA:
    - *cov
    - {{estimator: pyriemann.spatialfilters.CSP, params: {{nfilter: 6}}}}
    - {{estimator: sklearn.discriminant_analysis.LinearDiscriminantAnalysis}}
evaluations: [{{kind: within_session}}]
"""


def theirs(config: configs.BenchmarkConfig, folder: Path) -> tuple[Any, float]:
    import moabb_side
    from moabb.evaluations import WithinSessionEvaluation

    dataset = config.datasets[0].build()
    first = dataset.epochs(dataset.subjects[0])[0]
    info = StreamInfo("", first.sfreq, first.ch_names, ("eeg",) * 3)
    context = Context(info, first.X.shape[2], dataset.classes, config.seed)
    chains = {n: pipelines.rest(p, context, whole=True) for n, p in config.pipelines.items()}
    grids = {n: p.grid for n, p in config.pipelines.items() if p.grid}
    start = time.perf_counter()
    found = moabb_side.evaluate(
        WithinSessionEvaluation, dataset, chains, grids, config.seed, folder
    )
    return found, time.perf_counter() - start


@pytest.mark.skipif(not GRAZ.exists(), reason=f"{GRAZ} is missing")
def test_within_session_beside_moabb(tmp_path: Path) -> None:
    pytest.importorskip("moabb", reason="moabb is not installed here")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = configs.loads(TEXT)
        with threadpool_limits(1):  # one process and one BLAS thread for both
            start = time.perf_counter()
            ours = run(config, tmp_path / "ours", n_jobs=1)
            took = time.perf_counter() - start
            found, their_time = theirs(config, tmp_path)
    key = ["subject", "session", "pipeline"]
    one = ours.groupby(key)["score"].mean()
    other = found.set_index(key).sort_index()["score"].astype(float)
    assert list(one.index) == list(other.index)
    worst = float(np.abs(one - other).max())
    print(
        f"\nbci-iv-2b, {len(one)} (subject, session, pipeline), 1 process, 1 thread, once each: "
        f"ours {took:.1f} s (reading, latencies and files included), MOABB {their_time:.1f} s, "
        f"{their_time / took:.1f} times; largest difference of scores {worst:.1e}"
    )
    assert worst < 1e-6
    assert their_time > 3 * took


RESUME = """
import time
start = time.perf_counter()
from bci.benchmark import config, run
run.run(config.load({path!r}), {out!r}, report=print)
print(time.perf_counter() - start)
"""


@pytest.mark.skipif(not GRAZ.exists(), reason=f"{GRAZ} is missing")
def test_resuming_a_finished_benchmark(tmp_path: Path) -> None:
    """A fresh process, imports included."""
    path, out = tmp_path / "b.yaml", tmp_path / "out"
    path.write_text(TEXT.replace("evaluations: [", "evaluations: [{kind: cross_session}, "))
    run(configs.load(path), out, n_jobs=2)
    code = RESUME.format(path=str(path), out=str(out))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        times.append(time.perf_counter() - start)
        assert "nothing to do" in done.stdout
    print(f"\nresuming 900 units: median {np.median(times):.2f} s, worst {max(times):.2f} s of 5")
    assert max(times) < 3.0
