"""What notch, band-pass, reference and ring cost per chunk, beside bare scipy and other engines.

64 channels, 1000 Hz, chunks of 20 samples, notch 50 Hz + band-pass 1-40 Hz of
order 4 (5 second-order sections). Everything runs in one process with one BLAS
thread, in turn and in changing order, so that a busy machine hits all alike.

Run alone: ``pytest -m timing tests/timing/test_filters_timing.py -s``
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter_ns

import pytest

N_CHANNELS, SFREQ, N_SAMPLES = 64, 1000.0, 20
ROUNDS, CHUNKS = 150, 40
Contender = Callable[[int], object]


@pytest.mark.timing
def test_filters_against_bare_scipy() -> None:
    """In a process of its own: the BLAS reads its number of threads when numpy loads."""
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__], env=env, capture_output=True, text=True, timeout=110
    )
    print("\n" + done.stdout)
    assert done.returncode == 0, done.stderr
    assert "filters of the chain" in done.stdout


def contenders() -> dict[str, Contender]:
    """Name: what is called with the number of a chunk; all carry state on."""
    import numpy as np
    from scipy.signal import sosfilt, sosfilt_zi

    from bci.dsp.chain import Chain
    from bci.dsp.filters import Bandpass, Notch
    from bci.dsp.reference import Reference
    from bci.ring import RingBuffer
    from bci.types import Chunk, StreamInfo

    rng = np.random.default_rng(0)
    data = [50 * rng.standard_normal((N_SAMPLES, N_CHANNELS)) for _ in range(CHUNKS)]
    names = tuple(f"E{i}" for i in range(N_CHANNELS))
    info = StreamInfo("timing", SFREQ, names, ("eeg",) * N_CHANNELS)
    filters = [Notch(freq_hz=50), Bandpass(low_hz=1, high_hz=40, order=4)]

    chain = Chain([f.build() for f in filters])
    chain.reset(info)
    whole = Chain([*(f.build() for f in filters), Reference().build()])
    whole.reset(info)
    ring = RingBuffer(10 * int(SFREQ), N_CHANNELS)
    sos = np.concatenate([f.design(SFREQ) for f in filters])
    steady = sosfilt_zi(sos)
    state = {
        0: steady[:, :, None] * data[0][0],
        -1: steady[:, None, :] * data[0][0][:, None],
    }

    def bare(i: int) -> object:
        out, state[0] = sosfilt(sos, data[i], axis=0, zi=state[0])
        return out

    def bare_last_axis(i: int) -> object:
        out, state[-1] = sosfilt(sos, data[i].T, axis=-1, zi=state[-1])
        return out

    def chunk_through(i: int) -> object:
        return chain(Chunk(0, data[i]))

    def ring_filters_reference(i: int) -> object:
        ring.write(data[i])
        return whole(Chunk(0, data[i]))

    first, ours = bare(0), chain(Chunk(0, data[0]))
    assert np.allclose(first, ours.data, rtol=0, atol=1e-9), "not the same filter"
    found = {
        "scipy.signal.sosfilt, axis=0": bare,
        "scipy.signal.sosfilt, axis=-1 of data.T": bare_last_axis,
        "filters of the chain": chunk_through,
        "ring + filters + average reference": ring_filters_reference,
    }
    return found | ezmsg(sos, data) | timeflux(sos, data)


def ezmsg(sos, data) -> dict[str, Contender]:
    """ezmsg-sigproc's transformers, called directly (no graph, no processes between them)."""
    if find_spec("ezmsg") is None or find_spec("ezmsg.sigproc") is None:
        print("ezmsg-sigproc: not installed")
        return {}
    from ezmsg.sigproc.affinetransform import (
        CommonRereferenceSettings,
        CommonRereferenceTransformer,
    )
    from ezmsg.sigproc.filter import FilterSettings, FilterTransformer
    from ezmsg.util.messages.axisarray import AxisArray

    axes = {"time": AxisArray.TimeAxis(fs=SFREQ)}
    messages = [AxisArray(x, dims=["time", "ch"], axes=axes, key="timing") for x in data]
    alone = FilterTransformer(FilterSettings(coefs=sos, coef_type="sos"))
    slow = FilterTransformer(FilterSettings(coefs=sos, coef_type="sos", use_fast_sosfilt=False))
    first = FilterTransformer(FilterSettings(coefs=sos, coef_type="sos"))
    second = CommonRereferenceTransformer(CommonRereferenceSettings(axis="ch"))
    return {
        "ezmsg-sigproc: filter": lambda i: alone(messages[i]),
        "ezmsg-sigproc: filter, public scipy": lambda i: slow(messages[i]),
        "ezmsg-sigproc: filter + reference": lambda i: second(first(messages[i])),
    }


def timeflux(sos, data) -> dict[str, Contender]:
    """Timeflux's filter node on data frames with a time index, as its graphs pass them."""
    if find_spec("timeflux") is None or find_spec("timeflux_dsp") is None:
        print("Timeflux: not installed")
        return {}
    try:
        import pandas as pd
        from timeflux_dsp.nodes.filters import IIRFilter
    except (ImportError, AttributeError) as error:  # its networkx knows only numpy < 2
        print(f"Timeflux: installed, but does not load: {error}")
        return {}

    period = pd.Timedelta(seconds=1 / SFREQ)
    frames = [
        pd.DataFrame(x, index=pd.date_range("2026-01-01", periods=len(x), freq=period))
        for x in data
    ]
    node = IIRFilter(rate=SFREQ, sos=sos)

    def update(i: int) -> object:
        node.i.data, node.i.meta = frames[i], {"rate": SFREQ}
        node.update()
        return node.o.data

    return {"Timeflux: IIRFilter": update}


def measure(found: dict[str, Contender]) -> dict[str, tuple[float, float]]:
    """Median and 99th percentile of a call, µs, over `ROUNDS` × `CHUNKS` calls each."""
    import numpy as np

    times: dict[str, list[int]] = {name: [] for name in found}
    order = list(found)
    for turn in range(ROUNDS):
        order.append(order.pop(0))
        for name in order:
            call, kept = found[name], times[name]
            for i in range(CHUNKS):
                start = perf_counter_ns()
                call(i)
                if turn >= 5:  # the first rounds warm up
                    kept.append(perf_counter_ns() - start)
    return {
        name: (float(np.median(kept)) / 1e3, float(np.percentile(kept, 99)) / 1e3)
        for name, kept in times.items()
    }


def main() -> None:
    found = contenders()
    figures = measure(found)
    median, p99 = figures["scipy.signal.sosfilt, axis=0"]
    print(
        f"{N_CHANNELS} ch, {SFREQ:g} Hz, chunks of {N_SAMPLES}, 5 sections; 1 BLAS thread, "
        f"{(ROUNDS - 5) * CHUNKS} calls each; ratios to scipy axis=0"
    )
    print(f"{'':42s}{'median µs':>12s}{'ratio':>8s}{'p99 µs':>10s}{'ratio':>8s}")
    for name, (m, p) in figures.items():
        print(f"{name:42s}{m:12.1f}{m / median:8.2f}{p:10.1f}{p / p99:8.2f}")
    print("aimed at: filters 1.10, ring + filters + average reference 1.60")


if __name__ == "__main__":
    main()
