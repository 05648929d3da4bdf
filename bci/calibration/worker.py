"""Training in a process of its own, so that the decode thread never waits for it.

The worker is the command ``bci train`` on the session's own recording, from the
sample where calibration started: what is trained live can be trained again from
the files, and is the same.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from bci.errors import ModelError
from bci.recording.layout import RunPaths

TIMEOUT_S = 600.0


class TrainingWorker:
    """One calibration of a running session.

    Parameters
    ----------
    decoder : str or None
        Kind to train; None: the configuration's.
    start : int
        Sample at which calibration starts.
    """

    def __init__(self, decoder: str | None, start: int) -> None:
        self._decoder = decoder
        self._start = start
        self._process: subprocess.Popen[str] | None = None
        self._training = threading.Lock()
        self._cancelled = False

    def status(self) -> dict[str, Any]:
        """Whether it collects or trains, JSON-able."""
        return {
            "state": "training" if self._training.locked() else "collecting",
            "from_sample": self._start,
            "decoder": self._decoder,
        }

    def train(self, paths: RunPaths) -> Path:
        """Train on the recording as far as it is written; blocks until done.

        Raises
        ------
        ModelError
            Training failed (carries its one-line reason), was cancelled, or is
            under way already.
        """
        if not self._training.acquire(blocking=False):
            raise ModelError("training is under way already; wait for it, or cancel it")
        try:
            return self._train(paths)
        finally:
            self._training.release()

    def _train(self, paths: RunPaths) -> Path:
        out = paths.models / f"run-{paths.run:03d}_sample-{self._start}"
        command = [
            sys.executable, "-m", "bci.cli", "train", str(paths.config), str(paths.xdf),
            "--out", str(out), "--from-sample", str(self._start),
        ]  # fmt: skip
        if self._decoder is not None:
            command += ["--decoder", self._decoder]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            self._process = process
            if self._cancelled:
                process.kill()
            try:
                _, said = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise ModelError(
                    f"training took longer than {TIMEOUT_S:g} s and was stopped"
                ) from error
        if self._cancelled:
            raise ModelError("training was cancelled")
        if process.returncode != 0:
            lines = said.strip().splitlines()
            raise ModelError(f"training failed: {lines[-1] if lines else 'no reason given'}")
        return out

    def cancel(self) -> None:
        """Stop a training that is under way."""
        self._cancelled = True
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
