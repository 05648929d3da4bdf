"""The flicker's process, seen from the application."""

from __future__ import annotations

import json
import sys
from typing import Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, Signal

from gui.stimulus.settings import StimulusSettings

__all__ = ["StimulusProcess"]

#: Time to blank, to send the last markers and to end, seconds; then the process is killed.
STOP_S = 5.0


class StimulusProcess(QObject):
    """Starts the flicker's process, tells it what to do, and passes on what it says.

    Parameters
    ----------
    parent : QObject, optional

    Attributes
    ----------
    trouble : str
        The newest line on its standard error; empty while there is none.
    """

    #: A line of it: a mapping with ``say`` (see `gui.stimulus.talk`).
    said = Signal(dict)
    #: It has ended; its exit code, negative where it was killed.
    ended = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.trouble = ""
        self._partial = b""
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.readyReadStandardError.connect(self._read_error)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.state() is not QProcess.ProcessState.NotRunning

    def start(self, settings: StimulusSettings) -> None:
        """Open the window and measure the screen; nothing flickers before `send("start")`."""
        if self.running:
            return
        self.trouble, self._partial = "", b""
        environment = QProcessEnvironment.systemEnvironment()
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.insert(name, "1")
        self._process.setProcessEnvironment(environment)
        self._process.start(sys.executable, ["-m", "gui.stimulus"])
        self._process.write(settings.model_dump_json().encode() + b"\n")

    def send(self, do: str) -> None:
        """Tell it what to do; see `gui.stimulus.talk`."""
        if self.running:
            self._process.write(json.dumps({"do": do}).encode() + b"\n")

    def stop(self) -> None:
        """Blank and end; waits for that, and kills what does not end."""
        if not self.running:
            return
        self.send("stop")
        self._process.closeWriteChannel()
        if not self._process.waitForFinished(round(1e3 * STOP_S)):
            self._process.kill()
            self._process.waitForFinished(1000)

    def _read(self) -> None:
        text = self._partial + bytes(self._process.readAllStandardOutput().data())
        *lines, self._partial = text.split(b"\n")
        for line in lines:
            said: dict[str, Any] = json.loads(line)
            self.said.emit(said)

    def _read_error(self) -> None:
        text = bytes(self._process.readAllStandardError().data()).decode(errors="replace")
        lines = text.splitlines()
        self.trouble = next((line for line in reversed(lines) if line.strip()), self.trouble)

    def _finish(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self.ended.emit(-1 if status is QProcess.ExitStatus.CrashExit else code)

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self.trouble = f"{sys.executable} cannot be started: {self._process.errorString()}"
            self.ended.emit(-1)
