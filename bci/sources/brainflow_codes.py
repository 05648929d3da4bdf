"""BrainFlow's exit codes as cause and next step, and what is known of its boards' counters."""

from __future__ import annotations

from typing import Any

#: Board id: (wrap, step) of its package counter, for boards that count each sample.
#: Others count packages of several samples, or nothing, and tell no loss.
COUNTERS = {
    -1: (256, 1),  # synthetic
    0: (256, 1),  # Cyton
    5: (256, 1),  # Cyton by WiFi
    2: (256, 2),  # Cyton Daisy: two packages make one sample
    6: (256, 2),  # Cyton Daisy by WiFi
}

_SERIAL = (
    "check that the dongle is plugged in and the port is right, that no other program holds it, "
    "and that you may use it (Linux: sudo usermod -aG dialout $USER, then log in again)"
)
_SWITCH = (
    "switch the board off and on (dongle first, switch on GPIO 6), charge or change its battery, "
    "bring it nearer, and see that the board chosen is the one there"
)
_CAUSES = {
    "PORT_ALREADY_OPEN_ERROR": f"its port is open already; {_SERIAL}",
    "UNABLE_TO_OPEN_PORT_ERROR": f"its port cannot be opened; {_SERIAL}",
    "SER_PORT_ERROR": f"its serial port cannot be set up; {_SERIAL}",
    "BOARD_WRITE_ERROR": f"it does not take commands; {_SWITCH}",
    "INCOMMING_MSG_ERROR": f"it sends nothing that can be understood; {_SWITCH}",
    "INITIAL_MSG_ERROR": f"it does not send its greeting; {_SWITCH}",
    "BOARD_NOT_READY_ERROR": f"it does not answer; {_SWITCH}",
    "STREAM_ALREADY_RUN_ERROR": "it is streaming already; stop the other session first",
    "INVALID_BUFFER_SIZE_ERROR": "its buffer is too large or too small; choose another 'buffer_s'",
    "STREAM_THREAD_ERROR": f"its stream could not be started; {_SWITCH}",
    "STREAM_THREAD_IS_NOT_RUNNING": f"its stream has stopped; {_SWITCH}",
    "EMPTY_BUFFER_ERROR": f"it has delivered no sample; {_SWITCH}",
    "INVALID_ARGUMENTS_ERROR": (
        "a setting is missing or wrong; see which of serial_port, mac_address, ip_address, "
        "ip_port, serial_number, file and master_board this board needs"
    ),
    "UNSUPPORTED_BOARD_ERROR": (
        "this board is not supported on this system or by this version of BrainFlow; "
        "see its list of boards"
    ),
    "BOARD_NOT_CREATED_ERROR": "its session was closed; open it again",
    "ANOTHER_BOARD_IS_CREATED_ERROR": (
        "this board is open already with the same settings; close the other session first"
    ),
    "GENERAL_ERROR": (
        "BrainFlow failed without a reason; check that Bluetooth or network is on and permitted, "
        "that a library of the maker is installed where the board needs one, and try again"
    ),
    "SYNC_TIMEOUT_ERROR": f"no answer came in time; {_SWITCH}",
    "JSON_NOT_FOUND_ERROR": "BrainFlow's list of boards is missing; install brainflow again",
    "NO_SUCH_DATA_IN_JSON_ERROR": "the board has no data of this kind; choose another board",
}


def explain(error: Any, board: str) -> str:
    """One line for a `BrainFlowError`: what failed, why, what to do."""
    name = str(error).partition(":")[0]
    cause = _CAUSES.get(name, f"BrainFlow says: {error}")
    return f"{board}: {cause} ({name} {getattr(error, 'exit_code', '')})"
