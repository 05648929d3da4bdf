import json
import socket
import struct
import threading
import time

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bci.api import sockets as sockets_module
from bci.api.broadcast import FRAME_S, MAX_LAG_S, Client, DecisionFeed, SampleFeed
from bci.api.wire import SampleFrame
from bci.ring import Cursor
from bci.telemetry import Telemetry

# --- decisions ---


def receive(connection, n):
    return [json.loads(connection.recv(timeout=10)) for _ in range(n)]


def test_a_decision_arrives_as_it_is(serve, engine, decision):
    sent = decision(3, t_first=1.5, latency_ms=float("nan"), marker="cue")
    with serve() as site, site.socket("/v1/decisions") as client:
        site.server.publish(sent)
        text = client.recv(timeout=5)
    got = json.loads(text, parse_constant=pytest.fail)
    assert got == {**sent.to_json(), "latency_ms": None}
    assert got["schema"] == "bci.decision/1"


def test_every_client_gets_every_decision_in_order(serve, engine, decision):
    with serve() as site, site.socket("/v1/decisions") as a, site.socket("/v1/decisions") as b:
        for seq in range(300):
            site.server.publish(decision(seq))
        for client in (a, b):
            assert [d["seq"] for d in receive(client, 300)] == list(range(300))
        status = site.http.get("/v1/status").json()["api"]["clients"]
        assert [(c["sent"], c["lost"], c["waiting"]) for c in status] == [(300, 0, 0)] * 2


@pytest.mark.parametrize(
    ("query", "first"),
    [("?since=-1", 32), ("?since=10", 32), ("?since=31", 32), ("?since=32", 33), ("?since=94", 95),
     ("?since=95", 96), ("?since=5000", 96), ("", 96)],
)  # fmt: skip
def test_a_client_resumes_after_the_decision_it_had(serve, engine, decision, query, first):
    with serve(backlog=64) as site:
        for seq in range(96):  # 32 of them are gone
            site.server.publish(decision(seq))
        with site.socket("/v1/decisions" + query) as client:
            assert [d["seq"] for d in receive(client, 96 - first)] == list(range(first, 96))
            for seq in range(96, 100):
                site.server.publish(decision(seq))
            assert [d["seq"] for d in receive(client, 4)] == list(range(96, 100))


@pytest.mark.parametrize("query", ["?since=x", "?since=-2", "?since=1.5", "?since="])
def test_a_wrong_since_is_refused(site, query):
    with pytest.raises(InvalidStatus) as caught, site.socket("/v1/decisions" + query):
        pass
    assert caught.value.response.status_code == 422
    assert "since" in json.loads(caught.value.response.body)["error"]


def test_one_slow_client_costs_nobody_else(serve, engine, decision, until):
    """50,000 decisions past a client that doesn't read: it alone loses, and to the last one."""
    n, backlog = 50_000, 2048
    fast: list[int] = []
    costs = np.empty(n)

    def read_all(client):
        fast.extend(json.loads(text)["seq"] for text in client)

    with serve(backlog=backlog) as site, site.socket("/v1/decisions", max_queue=1) as slow:
        site.wait_for_clients(1)
        with site.socket("/v1/decisions") as client:
            site.wait_for_clients(2)
            reader = threading.Thread(target=read_all, args=(client,))
            reader.start()
            decisions = [decision(seq) for seq in range(n)]
            for seq in range(n):
                before = time.perf_counter()
                site.server.publish(decisions[seq])
                costs[seq] = time.perf_counter() - before
                if seq % 1000 == 999:  # as fast as the good client reads, not faster
                    until(lambda limit=seq - 1000: len(fast) > limit)
            until(lambda: len(fast) == n)
            slow_account, fast_account = site.http.get("/v1/status").json()["api"]["clients"]
        reader.join(5)
        assert fast == list(range(n))
        assert (fast_account["sent"], fast_account["lost"]) == (n, 0)
        assert slow_account["lost"] > 0
        assert sum(slow_account[key] for key in ("sent", "lost", "waiting")) == n

        late = []
        while not late or late[-1] < n - 1:  # at last it reads
            late.append(json.loads(slow.recv(timeout=10))["seq"])
        (account,) = site.clients()
    assert late == sorted(set(late))
    assert late[-backlog:] == list(range(n - backlog, n))  # the newest are what it still got
    assert account["lost"] == n - len(late)
    assert engine.telemetry.snapshot()["drops"] == {"api/decisions": n - len(late)}
    assert np.median(costs) < 1e-4


def test_publishing_to_nobody_wakes_nobody(decision):
    feed = DecisionFeed(Telemetry().count_drops, backlog=8)
    for seq in range(100):
        feed.publish(decision(seq))
    assert feed._bell.empty()
    assert [feed.place(seq) for seq in (-1, 91, 95, 99)] == [92, 92, 96, 100]


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/samples"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_is_forgotten(serve, engine, counting, path, how):
    engine.open_stream().write(counting(0, 100))
    with serve() as site:
        with site.socket(path) as client:
            site.wait_for_clients(1)
            if how == "reset":
                linger = struct.pack("ii", 1, 0)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.socket.close()
        site.wait_for_clients(0)
        assert site.http.get("/health").is_success


def test_a_client_that_takes_nothing_is_given_up(serve, engine, decision, caplog, until):
    with serve(stall_s=0.3) as site, site.socket("/v1/decisions", max_queue=1) as client:
        site.wait_for_clients(1)
        seq = 0
        deadline = time.monotonic() + 20
        while site.clients():
            assert time.monotonic() < deadline
            for _ in range(1000):
                site.server.publish(decision(seq))
                seq += 1
            threading.Event().wait(0.01)
        until(lambda: "took nothing for 0.3 s" in caplog.text)
        with pytest.raises(ConnectionClosed):
            frames_of_any_kind(client)


def test_what_a_client_says_is_ignored(serve, engine, decision):
    with serve() as site, site.socket("/v1/decisions") as client:
        site.wait_for_clients(1)
        for message in ("hello", b"\0" * 1000, "{}"):
            client.send(message)
        site.server.publish(decision(0))
        assert json.loads(client.recv(timeout=5))["seq"] == 0


def test_the_number_of_clients_is_limited(serve, engine, monkeypatch):
    monkeypatch.setattr(sockets_module, "MAX_CLIENTS", 2)
    with serve() as site, site.socket("/v1/decisions"), site.socket("/v1/samples"):
        site.wait_for_clients(2)
        with pytest.raises(InvalidStatus) as caught, site.socket("/v1/decisions"):
            pass
        assert caught.value.response.status_code == 503
        assert "2 WebSockets" in json.loads(caught.value.response.body)["error"]


def frames_of_any_kind(client):
    while True:
        client.recv(timeout=5)


# --- samples ---


def frames(client, until_index):
    result = []
    while not result or result[-1].start + len(result[-1].data) < until_index:
        result.append(SampleFrame.from_bytes(client.recv(timeout=5)))
    return result


def test_samples_come_whole_and_in_order(serve, engine, counting, until):
    ring = engine.open_stream(sfreq=1000.0)
    ring.write(counting(0, 500))  # before the client came
    with serve() as site, site.socket("/v1/samples") as client:
        info = json.loads(client.recv(timeout=5))
        assert (info["schema"], info["ch_names"]) == ("bci.stream/1", ["C0", "C1", "C2"])
        assert info["positions_m"] == {"C0": [0.0, 0.1, 0.0]}
        for start in range(500, 1500, 20):
            ring.write(counting(start, 20))
            threading.Event().wait(0.004)
        got = frames(client, 1500)
        until(lambda: site.clients()[0]["sent"] == 1000)  # counted once the send has returned
        account = site.clients()[0]
    data = np.concatenate([frame.data for frame in got])
    assert got[0].start == 500
    assert {frame.sfreq for frame in got} == {1000.0}
    np.testing.assert_array_equal(data, counting(500, 1000))
    assert (account["sent"], account["lost"]) == (1000, 0)
    assert 2 <= len(got) <= 0.25 / FRAME_S * 4  # some 25 a second, not one for each chunk


def test_a_client_may_come_before_the_stream(serve, engine, counting):
    with serve() as site, site.socket("/v1/samples") as client:
        site.wait_for_clients(1)
        engine.open_stream(n_channels=2)
        assert json.loads(client.recv(timeout=5))["ch_names"] == ["C0", "C1"]
        ring = engine.open_stream(n_channels=4)  # another amplifier
        assert json.loads(client.recv(timeout=5))["ch_names"] == ["C0", "C1", "C2", "C3"]
        ring.write(counting(0, 10, 4))
        np.testing.assert_array_equal(frames(client, 10)[0].data, counting(0, 10, 4))


@pytest.mark.parametrize("capacity_s", [1, 10])
def test_a_lagging_display_loses_the_oldest_and_it_is_counted(engine, counting, capacity_s):
    ring = engine.open_stream(sfreq=100.0, seconds=capacity_s)
    _, info = engine.stream
    feed = SampleFeed(lambda: engine.stream, engine.telemetry.count_drops)
    client, cursor = Client("samples", "here"), Cursor(ring)
    assert feed._next_frame(client, cursor, ring, info) is None
    for start in range(0, 500, 50):
        ring.write(counting(start, 50))
    frame = feed._next_frame(client, cursor, ring, info)
    kept = min(100 * capacity_s, round(100 * MAX_LAG_S))
    assert frame is not None
    assert frame.start == 500 - kept
    np.testing.assert_array_equal(frame.data, counting(500 - kept, kept))
    assert client.lost == 500 - kept
    assert engine.telemetry.snapshot()["drops"] == {"api/samples": 500 - kept}


def test_a_slow_display_loses_samples_and_the_ring_goes_on(serve, engine, until):
    ring = engine.open_stream(n_channels=64, sfreq=1000.0)
    block = np.zeros((1000, 64))
    with serve() as site, site.socket("/v1/samples", max_queue=1) as client:
        client.recv(timeout=5)
        site.wait_for_clients(1)

        def stuck() -> bool:  # frames of 0.5 MB soon fill what the sockets hold
            ring.write(block)
            sent = site.clients()[0]["sent"]
            threading.Event().wait(3 * FRAME_S)
            return site.clients()[0]["sent"] == sent

        until(stuck, 20)
        for _ in range(8):
            ring.write(block)
        got = frames(client, ring.written)
        starts = np.array([frame.start for frame in got])
        stops = starts + [len(frame.data) for frame in got]
        assert np.all(starts[1:] >= stops[:-1])  # in order, nothing twice
        lost = starts[0] + np.sum(starts[1:] - stops[:-1])
        assert lost >= 8000 - MAX_LAG_S * 1000
        # the client may have the last frame before the server has counted it
        until(lambda: site.clients()[0]["sent"] == ring.written - lost)
        assert site.clients()[0]["lost"] == lost
