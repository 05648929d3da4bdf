"""What regression, adaptive filters, line canceller and potato cost beside a band-pass.

64 EEG channels and one EOG channel, 500 Hz, chunks of 50 ms; the potato on 16 of them. The
process's own CPU time counts, with one BLAS thread, so that a busy machine changes little.

Run alone: ``pytest -m timing tests/timing/test_linear_artifacts_timing.py -s``
"""

from __future__ import annotations

import os
import subprocess
import sys
from time import process_time

import pytest

SFREQ, N_CHANNELS, N_SAMPLES = 500.0, 64, 25
ROUNDS, CHUNKS = 15, 40
CALIBRATION_S = 20.0
#: Largest share of one core, and largest multiple of what the band-pass costs.
LIMITS = {"share": 0.02, "ratio": 30.0}


@pytest.mark.timing
def test_linear_artifact_stages_beside_a_bandpass() -> None:
    """In a process of its own: the BLAS reads its number of threads when numpy loads."""
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__], env=env, capture_output=True, text=True, timeout=110
    )
    print("\n" + done.stdout)
    assert done.returncode == 0, done.stderr


def main() -> None:
    """Time all stages in turn; print each one's best, and hold it against the limits."""
    import numpy as np

    from bci.dsp.artifacts.adaptive import AdaptiveFilter
    from bci.dsp.artifacts.potato import PotatoField
    from bci.dsp.artifacts.regression import EOGRegression
    from bci.dsp.filters import Bandpass
    from bci.dsp.line_noise import LineNoise
    from bci.types import Chunk, StreamInfo

    rng = np.random.default_rng(0)
    names = tuple(f"E{i}" for i in range(N_CHANNELS))
    info = StreamInfo("timing", SFREQ, (*names, "EOG"), ("eeg",) * N_CHANNELS + ("eog",))
    n = round(CALIBRATION_S * SFREQ)
    data = 10 * rng.standard_normal((n + ROUNDS * CHUNKS * N_SAMPLES, N_CHANNELS + 1))
    data[:, -1] += np.where(np.arange(len(data)) // 150 % 8 == 0, 200.0, 0.0)
    stages = {
        "band-pass 1-40 Hz, order 4": Bandpass(low_hz=1, high_hz=40).build(),
        "eog_regression": EOGRegression(calibration_s=CALIBRATION_S).build(),
        "adaptive_filter, rls, 3 taps": AdaptiveFilter().build(),
        "adaptive_filter, lms, 3 taps": AdaptiveFilter(algorithm="lms").build(),
        "line_noise": LineNoise().build(),
        "potato, 16 channels, 2 bands": PotatoField(
            calibration_s=CALIBRATION_S, channels=names[:16]
        ).build(),
    }
    for stage in stages.values():
        stage.reset(info)
        stage(Chunk(0, data[:n]))
        assert getattr(stage, "problem", None) is None
    best = dict.fromkeys(stages, float("inf"))
    for i in range(ROUNDS):
        for name, stage in stages.items():
            start = n + i * CHUNKS * N_SAMPLES
            since = process_time()
            for at in range(start, start + CHUNKS * N_SAMPLES, N_SAMPLES):
                stage(Chunk(at, data[at : at + N_SAMPLES]))
            best[name] = min(best[name], process_time() - since)
    reference = best["band-pass 1-40 Hz, order 4"]
    for name, seconds in best.items():
        share = seconds / (CHUNKS * N_SAMPLES / SFREQ)
        ratio = seconds / reference
        print(f"{name:30s} {100 * share:6.2f} % of a core {ratio:6.1f} x the band-pass")
        assert share < LIMITS["share"], name
        assert ratio < LIMITS["ratio"], name


if __name__ == "__main__":
    main()
