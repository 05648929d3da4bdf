"""What artifact subspace reconstruction costs of one core, beside asrpy and meegkit.

64 channels, 500 Hz, 60 s with a blink or a burst of muscle every 3 s, calibrated on a
minute before; chunks of 20 ms. All in one process with one BLAS thread, on the same array.
asrpy and meegkit get the calibration of this project, so that all decide alike; asrpy
takes the array as a whole and decides as often, meegkit hop by hop.

Run alone: ``pytest -m timing tests/timing/test_artifacts_timing.py -s``
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from time import perf_counter, process_time

import pytest

N_CHANNELS, SFREQ, HOP = 64, 500.0, 25
SECONDS, CHUNK = 60, 10


@pytest.mark.timing
def test_asr_against_asrpy_and_meegkit() -> None:
    """In a process of its own: the BLAS reads its number of threads when numpy loads."""
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__], env=env, capture_output=True, text=True, timeout=600
    )
    print("\n" + done.stdout)
    assert done.returncode == 0, done.stderr
    share = float(done.stdout.split("share of one core: ")[1].split()[0])
    assert share <= 10.0


def signals():
    """A minute to calibrate on, and a minute with artifacts, (n_samples, n_channels) each."""
    import numpy as np
    from scipy.signal import butter, lfilter, sosfilt

    rng = np.random.default_rng(0)
    n = round(SECONDS * SFREQ)
    mixing = rng.standard_normal((N_CHANNELS, N_CHANNELS)) * np.exp(-np.arange(N_CHANNELS) / 15)
    sources = lfilter([1], [1, -0.9], rng.standard_normal((N_CHANNELS, 2 * n)))
    x = 4 * (mixing @ sources).T
    x = sosfilt(butter(2, 0.5, "highpass", fs=SFREQ, output="sos"), x, axis=0)
    muscle = butter(2, (30, 100), "bandpass", fs=SFREQ, output="sos")
    for k, at in enumerate(range(n + 500, 2 * n - 500, 1500)):
        shape = np.hanning(200)
        if k % 2:
            shape = shape * sosfilt(muscle, rng.standard_normal(200)) * 3
        x[at : at + 200] += 600 * np.outer(shape, rng.standard_normal(N_CHANNELS))
    return x[:n], x[n:]


def timed(call) -> tuple[float, float]:
    """Seconds on the clock, and of one core."""
    start, start_core = perf_counter(), process_time()
    call()
    return perf_counter() - start, process_time() - start_core


def main() -> None:
    import numpy as np
    from scipy.linalg import sqrtm

    from bci.dsp.artifacts.asr import ASR
    from bci.types import Chunk, StreamInfo

    clean, dirty = signals()
    names = tuple(f"E{i}" for i in range(N_CHANNELS))
    info = StreamInfo("timing", SFREQ, names, ("eeg",) * N_CHANNELS)
    rows = {}
    for method in ("euclid", "riemann"):
        stage = ASR(method=method, calibration_s=SECONDS).build()
        stage.reset(info)
        rows[f"calibration on {SECONDS} s, {method}"] = timed(
            lambda stage=stage: stage(Chunk(0, clean))
        )
        assert stage.arrays is not None, stage.problem
        if method == "riemann":
            continue
        arrays, each = stage.arrays, []
        start, core = perf_counter(), process_time()
        for at in range(0, len(dirty), CHUNK):
            before = perf_counter()
            stage(Chunk(len(clean) + at, dirty[at : at + CHUNK]))
            each.append(perf_counter() - before)
        rows["asr, chunks of 20 ms"] = perf_counter() - start, process_time() - core
    share = 100 * rows["asr, chunks of 20 ms"][1] / SECONDS
    mixing = np.real(sqrtm(arrays["covariance"]))
    thresholds = (arrays["mean"] + 20 * arrays["sd"])[:, None] * arrays["components"].T
    if find_spec("asrpy"):
        import asrpy

        rows["asrpy.asr_process, stepsize 25"] = timed(
            lambda: asrpy.asr_process(
                dirty.T.copy(), SFREQ, mixing, thresholds, stepsize=HOP, mem_splits=12
            )
        )
    if find_spec("meegkit"):
        from meegkit import asr as meegkit

        theirs = meegkit.ASR(sfreq=SFREQ, method="euclid", cutoff=20)
        theirs.state_ = {"M": mixing, "T": thresholds, "R": None}
        theirs._fitted = True
        rows["meegkit.asr.ASR.transform, hops of 50 ms"] = timed(
            lambda: [theirs.transform(dirty[at : at + HOP].T) for at in range(0, len(dirty), HOP)]
        )
    print(f"{N_CHANNELS} ch, {SFREQ:g} Hz, {SECONDS} s of signal; 1 BLAS thread")
    print(f"{'':44s}{'clock s':>10s}{'core s':>10s}{'% of a core':>13s}")
    for name, (clock, core_s) in rows.items():
        print(f"{name:44s}{clock:10.2f}{core_s:10.2f}{100 * core_s / SECONDS:13.1f}")
    print(
        f"a chunk of 20 ms: median {1e3 * np.median(each):.2f} ms, 99 % below "
        f"{1e3 * np.percentile(each, 99):.2f} ms"
    )
    print(f"share of one core: {share:.2f} % (aimed at: 10)")


if __name__ == "__main__":
    main()
