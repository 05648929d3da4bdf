"""Which fields the common BrainFlow boards need, for forms; other boards are offered all of them.

Field names are those of `bci.sources.brainflow.BrainFlowSettings`. After BrainFlow's
page "Supported Boards" (https://brainflow.readthedocs.io, release 5).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BOARDS", "FIELDS", "Board"]

#: Field: (its name for people, an example).
FIELDS = {
    "serial_port": ("Serial port", "/dev/ttyUSB0 or COM3"),
    "mac_address": ("Bluetooth address", "00:11:22:33:44:55"),
    "serial_number": ("Serial number", "as printed on the device"),
    "ip_address": ("IP address", "192.168.4.1"),
    "ip_port": ("IP port", "6987"),
    "other_info": ("Other information", "as BrainFlow's manual says"),
    "file": ("File", "recorded by BrainFlow"),
    "master_board": ("Recorded by board", "synthetic"),
}


@dataclass(frozen=True, slots=True)
class Board:
    """A board as BrainFlow names it, with the fields that it must and that it may have.

    `impedance`: whether it can deliver that of its electrodes, beside the samples.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    impedance: bool = False


_FOUND = ("mac_address", "serial_number")  # without either, the first device found is taken
_DONGLE = ("serial_port",)
_SHIELD = ("ip_port",)

BOARDS = (
    Board("synthetic", "Synthetic board (no hardware)", impedance=True),
    Board("cyton", "OpenBCI Cyton", _DONGLE),
    Board("cyton_daisy", "OpenBCI Cyton + Daisy", _DONGLE),
    Board("ganglion", "OpenBCI Ganglion, USB dongle", _DONGLE, ("mac_address",), True),
    Board("ganglion_native", "OpenBCI Ganglion, Bluetooth", (), _FOUND, True),
    Board("cyton_wifi", "OpenBCI Cyton, WiFi shield", _SHIELD, ("ip_address",)),
    Board("cyton_daisy_wifi", "OpenBCI Cyton + Daisy, WiFi shield", _SHIELD, ("ip_address",)),
    Board("muse_2", "Muse 2", (), _FOUND),
    Board("muse_s", "Muse S", (), _FOUND),
    Board("muse_2016", "Muse 2016", (), _FOUND),
    Board("muse_2_bled", "Muse 2, BLED112 dongle", _DONGLE, _FOUND),
    Board("muse_s_bled", "Muse S, BLED112 dongle", _DONGLE, _FOUND),
    Board("unicorn", "g.tec Unicorn", (), ("serial_number",)),
    Board("brainbit", "BrainBit", (), ("serial_number",), True),
    Board("freeeeg32", "FreeEEG32", _DONGLE),
    Board("freeeeg128", "FreeEEG128", _DONGLE),
    Board("neuropawn_knight", "NeuroPawn Knight", _DONGLE),
    Board("playback", "A file recorded by BrainFlow", ("file", "master_board")),
    Board("streaming", "Another BrainFlow program", ("ip_address", "ip_port", "master_board")),
)
