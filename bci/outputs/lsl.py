"""Decisions as LSL streams: markers for what was decided, probabilities beside them."""

from __future__ import annotations

import math
import socket
from typing import Any, Literal

from pydantic import Field

from bci.clock import now
from bci.config import OutputSettings
from bci.errors import BciError
from bci.lsl import load
from bci.types import Decision

#: By type of stream: what its name ends with, and the type of its channels.
_ENDINGS = {"Markers": "", "Probabilities": "-probabilities", "Feedback": "-bar"}
_CHANNEL_TYPES = {"Markers": "Marker", "Probabilities": "Probability", "Feedback": "Feedback"}


class LSLOutput(OutputSettings):
    """Outlets, found again by receivers after a restart (stable source_id per computer).

    ``<name>``: type Markers, string, irregular; one label per decision, stamped
    with the time of the decision. An abstention sends no marker.

    ``<name>-probabilities``: type Probabilities, float32, irregular, one channel per
    class; stamped with the time of the last sample that the decision rests on, so
    that it lies over the EEG. Where nothing was decoded it is a row of NaN.

    ``<name>-bar``: if asked for; type Feedback, float32, irregular, one channel: the value
    of the feedback bar, -1 to 1, stamped with the time of the decision. NaN: no bar.
    """

    kind: Literal["lsl"] = "lsl"
    name: str = Field("decisions", min_length=1, description="name of the marker stream")
    probabilities: bool = Field(True, description="send the stream of probabilities too")
    bar: bool = Field(False, description="send the stream of the feedback bar too")

    def build(self) -> LSLSender:
        """Return the output, not yet open."""
        return LSLSender(self)


class LSLSender:
    """The outlets; made, fed and closed by one thread."""

    def __init__(self, settings: LSLOutput) -> None:
        self.name = f"lsl:{settings.name}"
        self._settings = settings
        self._labels: tuple[str, ...] = ()
        self._markers: Any = None
        self._probabilities: Any = None
        self._bar: Any = None

    def open(self, labels: tuple[str, ...]) -> None:
        """Announce the streams.

        Raises
        ------
        MissingDependency
            liblsl cannot be loaded.
        """
        self.close()
        lsl = load()
        self._labels = labels
        info = self._info(lsl, "Markers", ("decision",), "string")
        classes = info.desc().append_child("classes")
        for label in labels:
            classes.append_child_value("label", label)
        self._markers = lsl.StreamOutlet(info)
        if self._settings.probabilities and labels:
            info = self._info(lsl, "Probabilities", labels, "float32")
            self._probabilities = lsl.StreamOutlet(info)
        if self._settings.bar:
            self._bar = lsl.StreamOutlet(self._info(lsl, "Feedback", ("bar",), "float32"))

    def _info(self, lsl: Any, kind: str, channels: tuple[str, ...], channel_format: str) -> Any:
        name = self._settings.name + _ENDINGS[kind]
        source_id = f"neuroloop:{socket.gethostname()}:{name}"
        info = lsl.StreamInfo(name, kind, len(channels), 0.0, channel_format, source_id)
        described = info.desc().append_child("channels")
        for label in channels:
            channel = described.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("type", _CHANNEL_TYPES[kind])
        return info

    def send(self, decision: Decision) -> None:
        """Push the label (unless the decoder abstained) and the probabilities."""
        if self._markers is None:
            raise BciError(f"{self.name} is not open")
        decided_at = now() if decision.t_decision is None else decision.t_decision
        if decision.label is not None:
            self._markers.push_sample([decision.label], decided_at)
        if self._bar is not None:
            bar = decision.bar
            self._bar.push_sample([math.nan if bar is None else bar.value], decided_at)
        if self._probabilities is not None:
            unscored = 0.0 if decision.proba else math.nan
            row = [decision.proba.get(label, unscored) for label in self._labels]
            evidence_at = decided_at if decision.t_last is None else decision.t_last
            self._probabilities.push_sample(row, evidence_at)

    def close(self) -> None:
        """Withdraw the streams; harmless when called twice."""
        self._markers = self._probabilities = self._bar = None
