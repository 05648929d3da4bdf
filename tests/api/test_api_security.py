import os
import socket
import stat

import pytest
from websockets.exceptions import InvalidStatus

from bci.api import server as server_module
from bci.api.security import Access, is_loopback, write_token
from bci.api.server import ApiServer
from bci.errors import ConfigError

READING = ["/health", "/metrics", "/v1/status", "/docs", "/openapi.json"]
CONTROL = [
    "/v1/markers",
    "/v1/control",
    "/v1/feedback",
    "/v1/prior",
    "/v1/bypass",
    "/v1/decoder",
    "/v1/calibration",
    "/v1/ladder",
]
SOCKETS = ["/v1/decisions", "/v1/samples"]


@pytest.fixture(scope="module")
def remote(serve):
    """A server configured for all interfaces (bound to loopback: no port is opened to others)."""
    listen = server_module._listen
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "_listen", lambda host, port: listen("127.0.0.1", port))
        with serve(host="0.0.0.0") as site:
            yield site


def refused(site, path, **options):
    """Status and body of a WebSocket that is refused."""
    with pytest.raises(InvalidStatus) as caught, site.socket(path, **options):
        pass
    return caught.value.response.status_code, caught.value.response.body.decode()


# --- token ---


def test_loopback_is_read_without_a_token(site):
    assert [site.http.get(path).status_code for path in READING] == [200] * len(READING)
    for path in SOCKETS:
        with site.socket(path):
            pass


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", "bearer a-token-for-these-test",
     "Basic YTpi", "a-token-for-these-tests", "Bearer a-token-for-these-tests x",
     "Bearer \xe9", b"Bearer \xff\xfe"],
)  # fmt: skip
def test_control_needs_the_token_even_on_loopback(site, engine, header):
    headers = {} if header is None else {"Authorization": header}
    if isinstance(header, str):
        headers = {"Authorization": header.encode("latin-1")}
    for path in CONTROL:
        answer = site.http.post(path, content=b"{", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "token" in answer.json()["error"]
    assert engine.calls == []


def test_the_token_in_the_query_is_not_for_control(site):
    answer = site.http.post(f"/v1/control?token={site.server.token}", json={"action": "pause"})
    assert answer.status_code == 401


def test_beyond_loopback_reading_needs_the_token(remote):
    for path in [*READING, "/nowhere"]:
        assert remote.http.get(path).status_code == 401
        assert remote.http.get(path, headers={"Authorization": "Bearer no"}).status_code == 401
    assert all(remote.http.get(path, headers=remote.token).is_success for path in READING)


@pytest.mark.parametrize("path", SOCKETS)
def test_beyond_loopback_sockets_need_the_token(remote, path):
    for query, headers in [("", {}), ("?token=no", {}), ("", {"Authorization": "Bearer no"})]:
        status, body = refused(remote, path + query, additional_headers=headers)
        assert (status, "token" in body) == (401, True)
    with remote.socket(f"{path}?token={remote.server.token}"):
        pass
    with remote.socket(path, additional_headers=remote.token):
        pass


def test_the_token_is_made_written_for_the_owner_and_removed(serve, tmp_path):
    path = tmp_path / "session" / "api-token"
    tokens = set()
    for _ in range(2):
        with serve(token=None, token_file=path) as site:
            token = path.read_text().strip()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert len(token) >= 43  # 256 bits
            headers = {"Authorization": f"Bearer {token}"}
            assert site.http.post(
                "/v1/control", json={"action": "pause"}, headers=headers
            ).is_success
            tokens.add(token)
        assert not path.exists()
    assert len(tokens) == 2


def test_a_token_file_is_never_written_through_a_link(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "api-token"
    victim.write_text("precious")
    path.symlink_to(victim)
    old_mask = os.umask(0)
    try:
        write_token(path, "secret")
    finally:
        os.umask(old_mask)
    assert victim.read_text() == "precious"
    assert (path.is_symlink(), stat.S_IMODE(path.stat().st_mode)) == (False, 0o600)


def test_a_token_that_cannot_be_written_is_an_error(engine, tmp_path):
    (tmp_path / "file").write_text("")
    server = ApiServer(engine, port=0, token_file=tmp_path / "file" / "api-token")
    with pytest.raises(ConfigError, match="cannot be written"):
        server.start()
    assert not server.running


def test_a_given_token_is_not_written(serve, tmp_path):
    with serve(token_file=tmp_path / "api-token"):
        assert list(tmp_path.iterdir()) == []


def test_no_secret_in_logs_or_reprs(remote, caplog):
    with caplog.at_level("DEBUG"):
        with remote.socket(f"/v1/decisions?token={remote.server.token}"):
            pass
        remote.wait_for_clients(0)
        refused(remote, "/v1/decisions?token=almost-the-right-one")
    server_side = [r.getMessage() for r in caplog.records if r.name.startswith(("uvicorn", "bci"))]
    assert not any("token=" in line for line in server_side)
    assert remote.server.token not in repr(Access("::1", remote.server.token))


# --- Host: DNS rebinding ---


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1234", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8765", 200),
        ("evil.example", 403),
        ("evil.example:8765", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.1.7", 403),
        ("[::1", 403),
        ("", 403),
        ("localhost evil.example", 403),
    ],
)
def test_host_on_loopback(site, host, status):
    answer = site.http.get("/health", headers={"Host": host})
    assert answer.status_code == status
    if status == 403:
        assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("host", "status"),
    [("192.168.1.7:80", 200), (socket.gethostname(), 200), ("evil.example", 403)],
)
def test_host_beyond_loopback(remote, host, status):
    answer = remote.http.get("/health", headers={"Host": host, **remote.token})
    assert answer.status_code == status


def test_a_rebound_name_gets_no_socket(site):
    for path in SOCKETS:
        with socket.create_connection(("127.0.0.1", site.server.port)) as raw:
            raw.sendall(
                f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            assert raw.recv(4096).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "request_text",
    ["GET /health HTTP/1.0\r\n\r\n", "GET /health HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
     "GET /health HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n", "GET /\xff\xfe HTTP/1.1\r\n\r\n",
     "GET /v1/decisions HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n"],
)  # fmt: skip
def test_odd_requests_are_refused_and_leave_the_server_well(site, request_text):
    with socket.create_connection(("127.0.0.1", site.server.port)) as raw:
        raw.settimeout(5)
        raw.sendall(request_text.encode("latin-1"))
        assert raw.recv(4096)[:10] == b"HTTP/1.1 4"
    assert site.http.get("/health").is_success


# --- Origin: pages of others ---

ORIGINS = ["http://evil.example", "null", "http://localhost", "https://localhost:{port}",
           "http://127.0.0.1:{port}.evil.example", "", "http://127.0.0.1:{port}/"]  # fmt: skip


@pytest.mark.parametrize("origin", ORIGINS)
def test_pages_of_others_are_refused(site, engine, origin):
    origin = origin.format(port=site.server.port)
    headers = {"Origin": origin, **site.token}
    for path in READING:
        assert site.http.get(path, headers=headers).status_code == 403
    assert site.http.post("/v1/markers", json={"value": "x"}, headers=headers).status_code == 403
    for path in SOCKETS:
        assert refused(site, path, additional_headers={"Origin": origin})[0] == 403
    assert engine.calls == []


def test_its_own_pages_are_served(site):
    headers = {"Origin": site.server.url, **site.token}
    assert site.http.get("/health", headers=headers).is_success
    assert site.http.post("/v1/markers", json={"value": "x"}, headers=headers).is_success
    with site.socket("/v1/decisions", additional_headers={"Origin": site.server.url}):
        pass


def test_a_listed_origin_may_use_the_engine_from_a_browser(serve):
    lab = "https://lab.example.org"
    with serve(origins=[lab]) as site:
        headers = {"Origin": lab, **site.token}
        answer = site.http.get("/health", headers=headers)
        assert answer.headers["access-control-allow-origin"] == lab
        assert site.http.get("/health", headers={"Host": "lab.example.org"}).is_success
        preflight = {"Access-Control-Request-Method": "POST",
                     "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
        assert site.http.options("/v1/markers", headers={"Origin": lab, **preflight}).is_success
        evil = {"Origin": "https://evil.example", **preflight}
        assert site.http.options("/v1/markers", headers=evil).status_code == 400
        assert site.http.get("/health", headers={"Origin": evil["Origin"]}).status_code == 403
        with site.socket("/v1/decisions", additional_headers={"Origin": lab}):
            pass


@pytest.mark.parametrize(
    "origin", ["lab.example.org", "ftp://lab", "https://", "https://lab/x", "*"]
)
def test_what_is_no_origin_cannot_be_listed(engine, origin):
    with pytest.raises(ConfigError, match="not a web origin"):
        ApiServer(engine, origins=[origin])


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("lab", False), ("", False)],
)  # fmt: skip
def test_loopback(host, expected):
    assert is_loopback(host) is expected
