import json

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bci.api.security import MAX_BODY
from bci.errors import BciError, ConfigError, ModelError


def test_health_says_why_not(site, engine):
    answer = site.http.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "reasons": []})
    engine.reasons = ["stream lost for 3 s"]
    answer = site.http.get("/health")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["stream lost for 3 s"])


def test_status_is_versioned_json_without_nan(site):
    answer = site.http.get("/v1/status")
    status = json.loads(answer.text, parse_constant=pytest.fail)
    assert status["schema"] == "bci.status/1"
    assert status["streams"] == [{"state": "live", "rate": None}]
    assert status["api"] == {"clients": []}


def test_metrics_are_prometheus_text(site, engine):
    engine.telemetry.observe_decision(2.0, abstained=False)
    answer = site.http.get("/metrics")
    assert 'bci_stage_bypassed{kind="asr",stage="0"} 1.0' in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    assert families["bci_decisions"].samples[0].value == 1


@pytest.mark.parametrize(
    ("path", "body", "call"),
    [
        ("/v1/markers", {"value": "13 Hz"}, ("marker", "13 Hz")),
        ("/v1/markers", {"value": "stim_on", "t": 12.5}, ("marker", "stim_on", 12.5)),
        ("/v1/control", {"action": "pause"}, ("command", "pause")),
        ("/v1/control", {"action": "resume"}, ("command", "resume")),
        ("/v1/prior", {"proba": {"13 Hz": 1}}, ("prior", {"13 Hz": 1.0})),
        ("/v1/prior", {"proba": None}, ("prior", None)),
        ("/v1/bypass", {"stage": 1}, ("bypass", 1, True)),
        ("/v1/bypass", {"stage": 0, "active": False}, ("bypass", 0, False)),
        ("/v1/feedback", {"seq": 3, "correct": False}, ("feedback", 3, False, None)),
        ("/v1/feedback", {"seq": 3, "label": "13 Hz"}, ("feedback", 3, None, "13 Hz")),
        ("/v1/calibration", {"action": "start"}, ("calibrate", "start", None)),
        ("/v1/calibration", {"action": "finish", "decoder": "mdm"}, ("calibrate", "finish", "mdm")),
        ("/v1/ladder", {"action": "look"}, ("climb", "look")),
        ("/v1/ladder", {"action": "rollback"}, ("climb", "rollback")),
    ],
)
def test_control_reaches_the_engine(site, engine, path, body, call):
    answer = site.http.post(path, json=body, headers=site.token)
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    assert engine.calls == [call]


def test_decoder_path_reaches_the_engine(site, engine, tmp_path):
    answer = site.http.post("/v1/decoder", json={"path": str(tmp_path)}, headers=site.token)
    assert answer.status_code == 202
    assert engine.calls == [("decoder", tmp_path)]


@pytest.mark.parametrize(
    ("error", "status"), [(BciError, 409), (ConfigError, 400), (ModelError, 422)]
)
@pytest.mark.parametrize("path", ["/v1/markers", "/v1/decoder"])
def test_engine_says_no(site, engine, error, status, path):
    engine.error = error("this cannot be: do that")
    body = {"value": "x"} if path == "/v1/markers" else {"path": "x"}
    answer = site.http.post(path, json=body, headers=site.token)
    assert (answer.status_code, answer.json()) == (status, {"error": "this cannot be: do that"})


def test_a_fault_of_the_engine_is_logged_and_not_shown(site, engine, caplog, until):
    engine.error = RuntimeError("inner secret")
    answer = site.http.post("/v1/markers", json={"value": "x"}, headers=site.token)
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    assert "inner secret" not in answer.text
    until(lambda: "inner secret" in caplog.text)
    engine.error = None
    assert site.http.post("/v1/markers", json={"value": "x"}, headers=site.token).is_success


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 422, "must be a JSON object"),
        (b"{", 400, "is not JSON"),
        (b"[]", 422, "must be a JSON object"),
        (b"null", 422, "must be a JSON object"),
        (b"\xff\xfe", 400, ""),
        (b"[" * 60_000, 400, ""),
        (b'{"value": ' + b"9" * 5000 + b"}", 400, ""),
        (b"{}", 422, "'value' is missing"),
        (b'{"value": 3}', 422, "'value'"),
        (b'{"value": ""}', 422, "'value'"),
        (b'{"value": "\\ud800"}', 422, "'value'"),
        (b'{"value": NaN}', 422, "'value'"),
        (b'{"value": "x", "valeu": "y"}', 422, "unknown key 'valeu'"),
        (b'{"value": "x", "\\ud800": "y"}', 422, ""),
        (b'{"value": "' + b"x" * 1025 + b'"}', 422, "'value'"),
        (b'{"value": "' + b"x" * MAX_BODY + b'"}', 413, "larger than 65536 bytes"),
    ],
)
def test_malformed_bodies(site, engine, body, status, says):
    headers = {**site.token, "Content-Type": "application/json"}
    answer = site.http.post("/v1/markers", content=body, headers=headers)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert says in answer.json()["error"]
    assert engine.calls == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "'proba' is missing"),
        ({"proba": {"13 Hz": -0.1}}, "'proba.13 Hz': Input should be greater than or equal to 0"),
        ({"proba": {"13 Hz": 1.5}}, "less than or equal to 1"),
        ({"proba": {"13 Hz": "much"}}, "'proba.13 Hz'"),
        ({"proba": 0.5}, "'proba'"),
    ],
)
def test_a_prior_that_is_none(site, engine, body, says):
    answer = site.http.post("/v1/prior", json=body, headers=site.token)
    assert (answer.status_code, engine.calls) == (422, [])
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    ("more", "found"), [({}, "neither"), ({"correct": True, "label": "A"}, "both")]
)
def test_feedback_is_a_reward_or_a_label(site, engine, more, found):
    answer = site.http.post("/v1/feedback", json={"seq": 3, **more}, headers=site.token)
    assert (answer.status_code, engine.calls) == (422, [])
    assert answer.json() == {
        "error": "feedback to decision 3 says either 'correct' (true or false) or the 'label' that "
        f"is right; found {found}"
    }


def test_a_body_of_undeclared_length_is_limited_too(site, engine):
    parts = (b" " * 8192 for _ in range(20))
    headers = {**site.token, "Content-Type": "application/json"}
    answer = site.http.post("/v1/markers", content=parts, headers=headers)
    assert (answer.status_code, list(answer.json())) == (413, ["error"])


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_a_body(site, engine, content_type):
    headers = {**site.token, "Content-Type": content_type}
    answer = site.http.post("/v1/markers", content=b'{"value": "x"}', headers=headers)
    assert (answer.status_code, engine.calls) == (422, [])
    assert "Content-Type: application/json" in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/", 404),
        ("GET", "/redoc", 404),
        ("GET", "/v1/decisions", 404),
        ("GET", "/v1/markers", 405),
        ("POST", "/health", 405),
        ("DELETE", "/v1/status", 405),
        ("GET", "/health/../../etc/passwd", 404),
    ],
)
def test_unknown_routes_answer_json(site, method, path, status):
    answer = site.http.request(method, path, headers=site.token)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert httpx.URL(path).path.rsplit("/", 1)[-1] in answer.json()["error"]


def test_docs_stay_on(site):
    assert "swagger" in site.http.get("/docs").text
    schema = site.http.get("/openapi.json").json()
    assert set(schema["paths"]) == {
        "/health", "/metrics", "/v1/status",
        "/v1/markers", "/v1/control", "/v1/feedback", "/v1/prior", "/v1/bypass",
        "/v1/decoder",
        "/v1/calibration", "/v1/ladder",
    }  # fmt: skip
    posts = [part["post"] for part in schema["paths"].values() if "post" in part]
    assert all(post["security"] for post in posts)
