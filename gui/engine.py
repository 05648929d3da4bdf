"""The engine as a child process: `bci run` on a private copy of the session's YAML."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections import deque
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from bci.config import Api, Config, dump

__all__ = ["EngineProcess"]

#: Time to close the recording and end, seconds; then the process is killed.
STOP_S = 20.0
#: Lines kept of what the engine says.
KEPT_LINES = 2000


class EngineProcess(QObject):
    """An engine that ends with this application.

    It runs in the folder in which the application was started, so that paths in
    the configuration mean what they mean to `bci run`.

    Parameters
    ----------
    config : Config
        Its `api` section is replaced: this computer alone, a free port, a new token.
    folder : path or None
        Where ``session.yaml`` is written, readable by its owner only, since the
        token is in it; None: a temporary one that goes when the engine has ended.

    Attributes
    ----------
    url, token : str
        Of its API; the same after a restart.
    lines : deque of str
        The newest lines of its log.
    n_lines : int
        Lines so far, those no longer kept included.
    exit_code : int or None
        None before it has ended; negative: the number of the signal that killed it.
    """

    #: It has ended, by itself or not.
    ended = Signal()

    def __init__(self, config: Config, folder: Path | None = None) -> None:
        super().__init__()
        self._temporary = folder is None
        self.folder = folder or Path(mkdtemp(prefix="bci-engine-"))
        port, self.token = _free_port(), secrets.token_urlsafe(24)
        self.url = f"http://127.0.0.1:{port}"
        self.config = config.model_copy(update={"api": Api(port=port, token=self.token)})
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.n_lines = 0
        self.exit_code: int | None = None
        self._partial = b""
        self._process = QProcess(self)
        self._process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._process.setProcessEnvironment(_environment())
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail)
        self._killer = QTimer(self)
        self._killer.setSingleShot(True)
        self._killer.timeout.connect(self._process.kill)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.state() is not QProcess.ProcessState.NotRunning

    @property
    def pid(self) -> int:
        """Number of the process; 0 while there is none."""
        return int(self._process.processId())

    @property
    def error(self) -> str:
        """Why it ended, in its own words; empty while it runs or where it ended as asked."""
        if self.running or not self.exit_code:
            return ""
        said = list(self.lines)
        for i in reversed(range(len(said))):
            if said[i].startswith("bci: "):
                return "\n".join(said[i:]).removeprefix("bci: ")
        if self.exit_code < 0:
            return f"the engine was killed (signal {-self.exit_code})"
        return f"the engine ended with exit code {self.exit_code}; its log says why"

    def start(self) -> None:
        """Start it, or start it again after it has ended."""
        if self.running:
            return
        self.exit_code = None
        self.folder.mkdir(0o700, parents=True, exist_ok=True)
        path = self.folder / "session.yaml"
        _write_private(path, dump(self.config))
        self._process.start(sys.executable, ["-m", "bci.cli", "run", str(path)])

    def stop(self) -> None:
        """Ask it to end, and return; it is killed if it never does.

        Its recording is closed when `ended` comes.
        """
        if self.running and not self._killer.isActive():
            self._process.terminate()
            self._killer.start(round(1000 * STOP_S))

    def wait(self) -> None:
        """After `stop`: wait until it has ended; for whoever has no window to keep alive."""
        if self.running and not self._process.waitForFinished(round(1000 * STOP_S)):
            self._process.kill()
            self._process.waitForFinished(1000)

    def _read(self) -> None:
        *whole, self._partial = (
            self._partial + self._process.readAllStandardOutput().data()
        ).split(b"\n")
        self._keep(whole)

    def _keep(self, lines: list[bytes]) -> None:
        self.lines.extend(line.decode("utf-8", "replace").rstrip("\r") for line in lines)
        self.n_lines += len(lines)

    def _finish(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        if self._partial:
            self._keep([self._partial])
            self._partial = b""
        self.exit_code = -code if status is QProcess.ExitStatus.CrashExit else code
        self._end()

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart:
            self._keep([f"bci: the engine does not start: {self._process.errorString()}".encode()])
            self.exit_code = 1
            self._end()

    def _end(self) -> None:
        self._killer.stop()
        if self._temporary:
            rmtree(self.folder, ignore_errors=True)
        self.ended.emit()


def _environment() -> QProcessEnvironment:
    """As this process's, and what the engine prints comes at once."""
    environment = QProcessEnvironment.systemEnvironment()
    environment.insert("PYTHONUNBUFFERED", "1")
    environment.insert("PYTHONUTF8", "1")
    return environment


def _free_port() -> int:
    """A port of this computer that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first moment on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
