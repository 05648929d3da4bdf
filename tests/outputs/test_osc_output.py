"""OSC messages as a receiver on UDP gets them."""

import queue
import socket
import threading

import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import ThreadingOSCUDPServer

from bci.errors import ConfigError
from bci.outputs import Output
from bci.outputs.osc import OSCOutput

LABELS = ("13 Hz", "17 Hz", "21 Hz")


@pytest.fixture
def receiver():
    """A real OSC server: (port, queue of (address, arguments))."""
    got = queue.Queue()
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(lambda address, *args: got.put((address, list(args))))
    with ThreadingOSCUDPServer(("127.0.0.1", 0), dispatcher) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1], got
        server.shutdown()
        thread.join()


def test_decisions_and_abstentions(receiver, decide):
    port, got = receiver
    output = OSCOutput(port=port, address="/cap/one").build()
    assert isinstance(output, Output)
    assert output.name == f"osc://127.0.0.1:{port}/cap/one"
    output.open(LABELS)
    assert got.get(timeout=2) == ("/cap/one/labels", list(LABELS))
    output.send(decide(3))
    assert got.get(timeout=2) == ("/cap/one/decision", ["13 Hz", 3, 0.75, 0.25, 0.0])
    output.send(decide(4, label=None))
    assert got.get(timeout=2) == ("/cap/one/abstain", ["amplitude,gap", 4])
    output.send(decide(5, proba={}))
    assert got.get(timeout=2) == ("/cap/one/decision", ["13 Hz", 5])
    output.close()
    output.close()


def test_nobody_needs_to_listen(decide):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    output = OSCOutput(port=port).build()
    output.open(LABELS)
    for seq in range(3):
        output.send(decide(seq))
    output.close()


def test_an_unknown_host_is_said(decide):
    output = OSCOutput(host="no-such-host.invalid").build()
    with pytest.raises(ConfigError, match=r"'no-such-host\.invalid' is not a known host"):
        output.open(LABELS)
    with pytest.raises(ConfigError, match="not open"):
        output.send(decide())


@pytest.mark.parametrize("address", ["bci", "/bci/", "/b ci", "/bci*", ""])
def test_an_address_must_be_one_of_osc(address):
    with pytest.raises(ValueError, match="pattern"):
        OSCOutput(address=address)
