"""Lines of JSON to and from the application, which may be slow, blocked or gone.

Commands, ``{"do": …}``: ``start`` (also goes on after a pause or a break), ``pause``,
``blank`` (as pause, from the keyboard), ``undo``, ``clear``, ``stop``. The end of
the commands counts as ``stop``: nothing flickers on without its application.

What is said, ``{"say": …}``: ``ready`` (the measured screen, and what there is to
object), ``state``, ``selection``, ``score``, ``frames`` (each second), ``flip`` (of a
timing check), ``beep`` (now, where there is a loudspeaker), ``trouble``, ``refused``, ``over``.
"""

from __future__ import annotations

import json
from collections import deque
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Any, TextIO

from bci.api.wire import dumps

__all__ = ["Talk"]

#: Lines that may wait for a blocked application; the oldest are dropped beyond it.
MAX_LINES = 1000
#: Seconds that the last lines get to leave.
CLOSE_S = 1.0


class Talk:
    """Reads commands and writes lines in threads of its own; its methods never block.

    Parameters
    ----------
    commands, lines : text file
        The process' standard input and output.

    Attributes
    ----------
    n_lost : int
        Lines that the application did not take in time.
    """

    def __init__(self, commands: TextIO, lines: TextIO) -> None:
        self.n_lost = 0
        self._in, self._out = commands, lines
        self._commands: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._waiting: deque[str] = deque()
        self._closed = False
        self._changed = Condition()
        self._writer = Thread(target=self._write, name="talk-out", daemon=True)
        self._reader = Thread(target=self._read, name="talk-in", daemon=True)

    def start(self) -> None:
        """Start to read and write."""
        self._writer.start()
        self._reader.start()

    def commands(self) -> list[dict[str, Any]]:
        """Give the commands that came since the last call."""
        found = []
        while not self._commands.empty():
            found.append(self._commands.get())
        return found

    def say(self, what: str, **content: Any) -> None:
        """Send a line."""
        with self._changed:
            if len(self._waiting) >= MAX_LINES:
                self._waiting.popleft()
                self.n_lost += 1
            self._waiting.append(dumps({"say": what, **content}))
            self._changed.notify()

    def close(self) -> None:
        """Let the last lines leave; an application that takes nothing is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._writer.join(CLOSE_S)

    def _read(self) -> None:
        for line in self._in:
            try:
                command = json.loads(line)
            except json.JSONDecodeError:
                command = None
            if isinstance(command, dict):
                self._commands.put(command)
            elif line.strip():
                self.say("trouble", why=f"not a command: {line.strip()[:200]}")
        self._commands.put({"do": "stop"})

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                line = self._waiting.popleft()
            try:
                self._out.write(line + "\n")
                self._out.flush()
            except (OSError, ValueError):  # nobody listens any more
                return
