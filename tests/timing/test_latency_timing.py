"""From the push of the chunk that holds a window's last sample to the decision published.

LSL on loopback, 64 channels at 1 kHz in chunks of 20, tangent-space decoder, hop 50 ms,
recorder and API running, the sender in a process of its own.
Run alone:  pytest -m timing tests/timing/test_latency_timing.py -s
"""

import json
import subprocess
import sys
import textwrap
import uuid

import numpy as np
import pytest

from bci import config
from bci.calibration.training import LabelledWindows
from bci.decoders.artifact import Manifest, save
from bci.decoders.covariance.riemann import TangentSpaceLR
from bci.decoders.manifest import describe_processing
from bci.pipeline import Pipeline
from bci.sources.files import load_recording
from bci.types import Chunk, StreamInfo

pytestmark = [pytest.mark.timing, pytest.mark.timeout(300)]

SFREQ, N_CHANNELS, CHUNK, SECONDS = 1000, 64, 20, 75
SENDER = textwrap.dedent("""
    import sys, time
    import numpy as np, pylsl
    name, seconds = sys.argv[1], float(sys.argv[2])
    info = pylsl.StreamInfo(name, "EEG", 64, 1000, pylsl.cf_float32, name)
    outlet = pylsl.StreamOutlet(info, 20)
    noise = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32) * 10
    outlet.wait_for_consumers(30)
    start, n = pylsl.local_clock(), 0
    while n < seconds * 1000:
        n += 20
        wait = start + n / 1000 - pylsl.local_clock()
        if wait > 0:
            time.sleep(wait)
        at = n % 20_000
        outlet.push_chunk(noise[at:at + 20], pylsl.local_clock())
""")
SESSION = """
source: {{kind: lsl, name: {name}}}
channels: {{pick: all, montage: null}}
processing:
  - {{kind: notch, freq_hz: 50}}
  - {{kind: bandpass, low_hz: 8, high_hz: 32, order: 4}}
  - {{kind: reference, mode: average}}
window: {{kind: sliding, length_s: 1.0, hop_s: 0.05}}
decoder: {{kind: model, path: {model}}}
recording: {{root: {root}}}
api: {{port: 0}}
"""


def save_model(session_text, folder):
    """A tangent-space model fitted to noise of the same shape."""
    untrained = config.loads(
        session_text.replace(f"{{kind: model, path: {folder}}}", "{kind: tangent_space}")
    )
    info = StreamInfo(
        "x", SFREQ, tuple(f"Ch{i + 1}" for i in range(N_CHANNELS)), ("eeg",) * N_CHANNELS
    )
    pipeline = Pipeline(untrained, info)
    data = np.random.default_rng(1).normal(size=(20_000, N_CHANNELS)) * 10
    X = np.stack([w.data for w in pipeline.windows(Chunk(0, data))])
    y = np.array(["left", "right"])[np.arange(len(X)) % 2]
    windows = LabelledWindows(
        X, y, pipeline.info, describe_processing(untrained.processing, pipeline.chain.stages), 0
    )
    manifest = Manifest(
        ch_names=windows.info.ch_names,
        sfreq=SFREQ,
        processing=windows.processing,
        window=untrained.window.model_dump(mode="json"),
    )
    save(TangentSpaceLR(rank=pipeline.info.rank).fit(X, y), manifest, folder)


def test_latency(tmp_path):
    name, model = f"latency-{uuid.uuid4().hex[:8]}", tmp_path / "model"
    text = SESSION.format(name=name, model=model, root=tmp_path / "rec")
    save_model(text, model)
    session = tmp_path / "session.yaml"
    session.write_text(text)
    with subprocess.Popen([sys.executable, "-c", SENDER, name, str(SECONDS)]) as sender:
        done = subprocess.run(
            [sys.executable, "-m", "bci.cli", "run", str(session), "--for", str(SECONDS - 2)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        sender.kill()
    assert done.returncode == 0, done.stderr
    (xdf,) = (tmp_path / "rec").rglob("*_eeg.xdf")
    stamps = load_recording(xdf).stamps
    lines = (xdf.with_name(xdf.name.replace("_eeg.xdf", "_decisions.jsonl"))).read_text()
    found = [json.loads(line) for line in lines.splitlines()][20:]  # after the first second
    pushed = [stamps[d["last"] // CHUNK * CHUNK + CHUNK - 1] for d in found]  # its chunk's stamp
    ms = np.array([(d["t_decision"] - t) * 1e3 for d, t in zip(found, pushed, strict=True)])
    own = np.array([d["latency_ms"] for d in found])
    assert len(ms) > 60 * 20 * 0.9
    print(
        f"\npush to decision, {N_CHANNELS} ch {SFREQ} Hz, chunks of {CHUNK}, hop 50 ms, "
        f"n = {len(ms)}: "
        f"p50 {np.median(ms):.2f} ms, p99 {np.percentile(ms, 99):.2f} ms, max {ms.max():.1f} ms "
        f"(inside the engine: p50 {np.median(own):.2f}, p99 {np.percentile(own, 99):.2f} ms)"
    )
