"""A paradigm's runs in a session: when to train, and what became of it.

The decode thread tells it of markers. When the last calibration run has ended, a thread
of the session trains the decoder on all of them, in a process of its own, and hands it
over; the runs with feedback follow.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bci.calibration.worker import TrainingWorker
from bci.config import GrazSettings
from bci.errors import BciError
from bci.paradigms.timetable import RUN_CALIBRATION, RUN_FEEDBACK, RUN_OFF
from bci.recording.run import RunRecorder

log = logging.getLogger(__name__)


class Conductor:
    """Follows the runs of a paradigm by their markers.

    Parameters
    ----------
    settings : GrazSettings
    record : RunRecorder
        Of the session: what is trained on.
    """

    def __init__(self, settings: GrazSettings, record: RunRecorder) -> None:
        self._settings, self._record = settings, record
        self._worker = TrainingWorker(None, 0)
        self._due = threading.Event()
        self._open: str | None = None  # the marker that opened the run that goes on
        self._n_done = {RUN_CALIBRATION: 0, RUN_FEEDBACK: 0}
        self._error: str | None = None
        self.ready = threading.Event()  #: the runs with feedback may begin
        if not settings.calibration_runs:
            self.ready.set()

    def see(self, value: str) -> None:
        """Take notice of a marker (decode thread)."""
        if value in self._n_done:
            self._open = value
        elif value == RUN_OFF and self._open is not None:
            self._n_done[self._open] += 1
            done, wanted = self._n_done[RUN_CALIBRATION], self._settings.calibration_runs
            if self._open == RUN_CALIBRATION and done == wanted:
                self._due.set()
            self._open = None

    def train_when_due(
        self, timeout_s: float, use: Callable[[Path], None], bypassed: Callable[[], Iterable[int]]
    ) -> None:
        """Wait for the calibration runs to be over, at most `timeout_s`; train, and hand over.

        `bypassed` says which processing stages to train without.
        What goes wrong is logged and in the status; the session goes on without a decoder.
        """
        if not self._due.wait(timeout_s):
            return
        self._due.clear()
        try:
            log.info("the calibration runs are over: training")
            self._record.flush()
            use(self._worker.train(self._record.paths, bypassed()))
            log.info("the runs with feedback may begin")
        except BciError as error:
            self._error = str(error)
            log.error("%s; the runs with feedback have no decoder", error)
        finally:
            self.ready.set()

    def cancel(self) -> None:
        """Stop a training that is under way."""
        self._worker.cancel()

    def status(self) -> dict[str, Any]:
        """How far the paradigm is, JSON-able."""
        runs = self._n_done
        return {
            "run": None if self._open is None else self._open.removeprefix("run/"),
            "calibration_runs": [runs[RUN_CALIBRATION], self._settings.calibration_runs],
            "feedback_runs": [runs[RUN_FEEDBACK], self._settings.feedback_runs],
            "training": self._worker.running,
            "ready": self.ready.is_set(),
            "error": self._error,
        }
