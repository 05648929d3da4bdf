"""Reads text aloud with the speech that the system has."""

from __future__ import annotations

import shutil

from PySide6.QtCore import QProcess

__all__ = ["Speaker"]

#: Programs that read their last argument aloud, the best first; how each is called.
_PROGRAMS = (("spd-say", "--wait"), ("say",), ("espeak-ng",), ("espeak",))


class Speaker:
    """Speaks one text at a time.

    Attributes
    ----------
    reason : str
        Why it cannot speak; empty where it can.
    """

    def __init__(self) -> None:
        self._command = next((c for c in _PROGRAMS if shutil.which(c[0])), ())
        names = ", ".join(c[0] for c in _PROGRAMS)
        self.reason = "" if self._command else f"no speech on this system (looked for {names})"
        self._process = QProcess()

    def speak(self, text: str) -> None:
        """Read `text` aloud; what is being read is broken off."""
        if not self._command or not text.strip():
            return
        if self._process.state() is not QProcess.ProcessState.NotRunning:
            self._process.kill()
            self._process.waitForFinished(500)
        program, *options = self._command
        self._process.start(program, [*options, "--", text.lower()])
