"""Training in a process of its own, so that the decode thread never waits for it.

A worker is a command of the program on the session's own recording: ``bci train``
from the sample where calibration started, ``bci ladder`` to compare decoders. What
is trained or decided live can be done again from the files, and is the same.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bci.errors import ModelError
from bci.recording.layout import RunPaths

TIMEOUT_S = 600.0


class CommandWorker:
    """Runs one command of the program at a time, and can be stopped.

    Parameters
    ----------
    what : str
        What it does, for messages: "training".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._process: subprocess.Popen[str] | None = None
        self._running = threading.Lock()
        self._cancelled = False

    @property
    def running(self) -> bool:
        """Whether a command is under way."""
        return self._running.locked()

    def run(self, arguments: Sequence[str]) -> None:
        """Run ``bci ARGUMENTS``; blocks until done.

        Raises
        ------
        ModelError
            It failed (carries its one-line reason), was cancelled, took too long, or
            another one is under way.
        """
        if not self._running.acquire(blocking=False):
            raise ModelError(f"{self._what} is under way already; wait for it, or cancel it")
        try:
            self._run([sys.executable, "-m", "bci.cli", *arguments])
        finally:
            self._running.release()

    def _run(self, command: list[str]) -> None:
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
                    f"{self._what} took longer than {TIMEOUT_S:g} s and was stopped"
                ) from error
        if self._cancelled:
            raise ModelError(f"{self._what} was cancelled")
        if process.returncode != 0:
            lines = said.strip().splitlines()
            raise ModelError(f"{self._what} failed: {lines[-1] if lines else 'no reason given'}")

    def cancel(self) -> None:
        """Stop what is under way, and start nothing more."""
        self._cancelled = True
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


class TrainingWorker(CommandWorker):
    """One calibration of a running session.

    Parameters
    ----------
    decoder : str or None
        Kind to train; None: the configuration's.
    start : int
        Sample at which calibration starts.
    """

    def __init__(self, decoder: str | None, start: int) -> None:
        super().__init__("training")
        self._decoder = decoder
        self._start = start

    def status(self) -> dict[str, Any]:
        """Whether it collects or trains, JSON-able."""
        return {
            "state": "training" if self.running else "collecting",
            "from_sample": self._start,
            "decoder": self._decoder,
        }

    def train(self, paths: RunPaths, bypassed: Iterable[int] = ()) -> Path:
        """Train on the recording as far as it is written; blocks until done.

        `bypassed`: processing stages to train without.

        Raises
        ------
        ModelError
            See `CommandWorker.run`.
        """
        out = paths.models / f"run-{paths.run:03d}_sample-{self._start}"
        arguments = [
            "train", str(paths.config), str(paths.xdf), "--out", str(out),
            "--from-sample", str(self._start),
        ]  # fmt: skip
        if self._decoder is not None:
            arguments += ["--decoder", self._decoder]
        for stage in bypassed:
            arguments += ["--bypass", str(stage)]
        self.run(arguments)
        return out
