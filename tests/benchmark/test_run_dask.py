"""The same work on a Dask cluster: real processes on loopback, one killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest

from bci.benchmark import config as configs
from bci.benchmark import runners
from bci.benchmark.run import run
from bci.errors import BciError

HERE = Path(__file__).parent
TEXT = """
name: cluster
datasets: [{kind: toy, n_subjects: 4}]
pipelines:
  slow:
    - {estimator: benchmark_toys.Slow}
    - {estimator: sklearn.linear_model.LogisticRegression}
  mdm: {kind: mdm}
evaluations: [{kind: within_session}, {kind: cross_subject}]
"""


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    env = os.environ | {"PYTHONPATH": str(HERE), "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def until(condition: object, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.filterwarnings("ignore")  # of distributed, when a worker is lost
@pytest.mark.timeout(180)
def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    told = tmp_path / "scheduler.json"
    out = tmp_path / "out"
    with ExitStack() as stack:
        stack.enter_context(
            process("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                    "--scheduler-file", str(told))
        )  # fmt: skip
        until(told.exists, "no scheduler")
        worker = ("dask_worker", "--scheduler-file", str(told), "--nthreads", "1", "--no-nanny",
                  "--host", "127.0.0.1", "--no-dashboard",
                  "--local-directory", str(tmp_path))  # fmt: skip
        victim, _ = (stack.enter_context(process(*worker)) for _ in range(2))
        from distributed import Client

        address = json.loads(told.read_text())["address"]
        with Client(address, timeout=20) as client:
            client.wait_for_workers(2, timeout=60)
        found: list[pd.DataFrame] = []
        config = configs.loads(TEXT)
        runner = Thread(target=lambda: found.append(run(config, out, scheduler=address)))
        runner.start()
        until(lambda: len(list((out / "units").glob("*.jsonl"))) >= 10, "nothing is done")
        victim.send_signal(signal.SIGKILL)
        runner.join(120)
    assert len(found) == 1
    assert len(list((out / "units").glob("*.jsonl"))) == len(found[0]) - 2 * 4
    assert (found[0]["error"] == "").all()
    here = run(config, tmp_path / "here", n_jobs=1)
    timed = ["time", "predict_ms_p50", "predict_ms_p99"]
    pd.testing.assert_frame_equal(found[0].drop(columns=timed), here.drop(columns=timed))


@pytest.mark.filterwarnings("ignore")
def test_no_scheduler_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(runners, "CONNECT_S", 0.5)
    with pytest.raises(BciError, match="no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        run(configs.loads(TEXT), tmp_path, scheduler="tcp://127.0.0.1:9")
