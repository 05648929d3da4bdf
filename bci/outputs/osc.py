"""Decisions as OSC messages over UDP (Max, Pure Data, TouchDesigner, game engines)."""

from __future__ import annotations

import socket
from typing import Any, Literal

from pydantic import Field

from bci.config import OutputSettings
from bci.errors import ConfigError
from bci.types import Decision


class OSCOutput(OutputSettings):
    """Messages under `address`; UDP tells no sender whether they arrived.

    ``/labels``: the decoder's classes, once, at the start.
    ``/decision``: label (string), seq (int), probability of each class (floats, in
    the order of ``/labels``; none where nothing was decoded).
    ``/abstain``: the reasons, joined by commas (string), seq (int).
    ``/bar``: while a feedback bar is shown, before the decision that moved it: the cued
    label (string), its value, -1 to 1 (float).
    """

    kind: Literal["osc"] = "osc"
    host: str = Field("127.0.0.1", description="name or address of the receiver")
    port: int = Field(9000, ge=1, le=65535, description="UDP port of the receiver")
    address: str = Field(
        "/bci", pattern=r"^(/[^\s#*,?\[\]{}/]+)+$", description="OSC address prefix"
    )

    def build(self) -> OSCSender:
        """Return the output, not yet open."""
        return OSCSender(self)


class OSCSender:
    """Sends decisions to one UDP port."""

    def __init__(self, settings: OSCOutput) -> None:
        self.name = f"osc://{settings.host}:{settings.port}{settings.address}"
        self._settings = settings
        self._labels: tuple[str, ...] = ()
        self._client: Any = None

    def open(self, labels: tuple[str, ...]) -> None:
        """Make the socket and announce the labels.

        Raises
        ------
        ConfigError
            The host's name cannot be resolved.
        """
        from pythonosc.udp_client import SimpleUDPClient  # here, because few sessions use OSC

        self.close()
        self._labels = labels
        try:
            self._client = SimpleUDPClient(self._settings.host, self._settings.port)
        except socket.gaierror as error:
            raise ConfigError(
                f"OSC receiver '{self._settings.host}' is not a known host ({error.strerror}): "
                "correct 'host' of the output of kind 'osc'"
            ) from error
        self._send("labels", labels)

    def send(self, decision: Decision) -> None:
        """Send one decision, or one abstention with its reasons."""
        if decision.bar is not None:
            self._send("bar", (decision.bar.towards, float(decision.bar.value)))
        if decision.label is None and not decision.abstained:
            return
        if decision.label is None:
            self._send("abstain", (",".join(decision.quality.reasons), decision.seq))
            return
        # a class that the decoder did not score has probability 0
        labels = self._labels if decision.proba else ()
        proba = (float(decision.proba.get(label, 0.0)) for label in labels)
        self._send("decision", (decision.label, decision.seq, *proba))

    def _send(self, what: str, arguments: tuple[str | int | float, ...]) -> None:
        if self._client is None:
            raise ConfigError(f"{self.name} is not open")
        self._client.send_message(f"{self._settings.address}/{what}", arguments)

    def close(self) -> None:
        """Close the socket; harmless when called twice."""
        if self._client is not None:
            self._client.close()
        self._client = None
