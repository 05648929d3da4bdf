import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from websockets.sync.client import connect

from bci.api.server import ApiServer
from bci.errors import ConfigError


def test_two_servers_on_one_port(site, engine):
    second = ApiServer(engine, port=site.server.port)
    with pytest.raises(ConfigError, match=rf"127.0.0.1:{site.server.port}: another program.*port"):
        second.start()
    second.stop()
    assert site.http.get("/health").is_success


@pytest.mark.parametrize(
    ("host", "says"), [("192.0.2.1", "no such address"), ("no.such.invalid", "no such address")]
)
def test_an_address_of_another_machine(engine, host, says):
    with pytest.raises(ConfigError, match=says):
        ApiServer(engine, host=host, port=0).start()


def test_a_port_is_free_again_at_once(engine):
    server = ApiServer(engine, port=0)
    server.start()
    assert httpx.get(f"{server.url}/health", trust_env=False).is_success
    server.stop()
    again = ApiServer(engine, port=server.port)
    again.start()
    again.stop()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_loopback(engine):
    server = ApiServer(engine, host="::1", port=0)
    try:
        server.start()
    except ConfigError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    try:
        assert server.url == f"http://[::1]:{server.port}"
        assert httpx.get(f"{server.url}/health", trust_env=False).is_success
    finally:
        server.stop()


def test_stopping_brings_the_last_decisions_and_a_farewell(serve, engine, decision):
    with serve() as site, site.socket("/v1/decisions") as client:
        site.wait_for_clients(1)
        for seq in range(500):
            site.server.publish(decision(seq))
        stopper = threading.Thread(target=site.server.stop)
        stopper.start()
        got = [json.loads(text)["seq"] for text in client]
        stopper.join(5)
        assert not stopper.is_alive()
    assert got == list(range(500))
    assert (client.close_code, client.close_reason) == (1001, "the session has ended")


def test_stopping_is_bounded_with_clients_of_every_sort(serve, engine, decision, caplog):
    """A reader, one that takes nothing, one that never finished its request, an idle one."""
    engine.open_stream()
    threads = set(threading.enumerate())
    with serve(backlog=100_000) as site, ExitStack() as stack:
        stack.enter_context(site.socket("/v1/samples"))
        stack.enter_context(site.socket("/v1/decisions", max_queue=1, close_timeout=0.1))
        half, slow_body = (
            stack.enter_context(socket.create_connection(("127.0.0.1", site.server.port)))
            for _ in range(2)
        )
        half.sendall(b"GET /health HTTP/1.1\r\nHost: loc")
        slow_body.sendall(
            b"POST /v1/control HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            + f"Authorization: Bearer {site.server.token}\r\n\r\n{{".encode()
        )
        site.http.get("/health")  # stays open, idle
        site.wait_for_clients(2)
        for seq in range(60_000):  # more than socket buffers take
            site.server.publish(decision(seq))
        before = time.monotonic()
        site.server.stop()
        assert time.monotonic() - before < 4.0
        assert not site.server.running
    assert set(threading.enumerate()) <= threads
    assert not [record for record in caplog.records if record.exc_info]


def test_small_answers_are_sent_at_once(site):
    """Nagle's algorithm would hold back each second packet until the first is acknowledged."""
    site.http.get("/health")
    connections = site.server._server.server_state.connections
    sockets = [c.transport.get_extra_info("socket") for c in connections]
    assert sockets
    assert all(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in sockets)


def test_publishing_after_the_end_is_harmless(engine, decision):
    server = ApiServer(engine, port=0)
    server.publish(decision(0))
    server.start()
    with connect(f"ws://127.0.0.1:{server.port}/v1/decisions?since=-1", proxy=None) as client:
        assert json.loads(client.recv(timeout=5))["seq"] == 0
    server.stop()
    server.stop()
    server.publish(decision(1))


def test_a_slow_engine_holds_up_neither_other_requests_nor_the_stop(serve, engine, until):
    engine.loading = threading.Event()
    with serve() as site, ThreadPoolExecutor(1) as pool:
        load = pool.submit(site.http.post, "/v1/decoder", json={"path": "x"}, headers=site.token)
        until(lambda: engine.calls)
        assert httpx.get(f"{site.server.url}/health", trust_env=False).is_success
        before = time.monotonic()
        site.server.stop()
        assert time.monotonic() - before < 4.0
        assert not site.server.running
        assert isinstance(load.exception(5), httpx.RemoteProtocolError)
        engine.loading.set()
