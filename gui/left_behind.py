"""An engine whose application has gone: found again, watched again, ended when asked.

When the application dies the engine goes on, for what it records must not suffer. Its
private ``session.yaml`` tells the next start where it is and how to control it.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from threading import Thread

import httpx
import psutil

from bci import config
from bci.errors import BciError
from gui.engine import STOP_S

__all__ = ["LeftBehind", "find"]

#: An engine of this computer that is there answers within this, seconds.
_ANSWERS_S = 1.0


class LeftBehind:
    """An engine that an earlier application has started.

    Parameters
    ----------
    folder : Path
        With its ``session.yaml``.
    session : Config
        What is in it.
    pid : int
        As the engine itself has told.
    """

    def __init__(self, folder: Path, session: config.Config, pid: int) -> None:
        assert session.api is not None
        self.folder, self.config, self.pid = folder, session, pid
        self.url = f"http://127.0.0.1:{session.api.port}"
        self.token = session.api.token or ""
        self._ender: Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there, or what it leaves is still being cleared away."""
        if self._ender is not None:
            return self._ender.is_alive()
        return self._is_there()

    def _is_there(self) -> bool:
        try:
            return bool(psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def stop(self) -> None:
        """Ask it to end, and return; it is killed if it never does."""
        if self._ender is None:
            self._ender = Thread(target=self._end, name="left-behind", daemon=True)
            self._ender.start()

    def _end(self) -> None:
        """Wait until the recording is closed."""
        with suppress(OSError):
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while self._is_there() and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._is_there():
            os.kill(self.pid, signal.SIGKILL)
        rmtree(self.folder, ignore_errors=True)


def find(folder: Path) -> LeftBehind | None:
    """The engine that `folder` belongs to, if it still answers; else the folder is removed."""
    try:
        session = config.load(folder / "session.yaml")
        if session.api is None:
            return None
        headers = {"Authorization": f"Bearer {session.api.token}"}
        answer = httpx.get(
            f"http://127.0.0.1:{session.api.port}/v1/status",
            headers=headers, timeout=_ANSWERS_S, trust_env=False,
        )  # fmt: skip
        # only this engine knows the token, so it is its own number that it tells
        probe = httpx.post(
            f"http://127.0.0.1:{session.api.port}/v1/control",
            headers=headers, json={"action": "none"}, timeout=_ANSWERS_S, trust_env=False,
        )  # fmt: skip
        pid = int(answer.json()["pid"])
    except (BciError, httpx.HTTPError, ValueError, KeyError, TypeError):
        rmtree(folder, ignore_errors=True)
        return None
    return None if probe.status_code == 401 else LeftBehind(folder, session, pid)
