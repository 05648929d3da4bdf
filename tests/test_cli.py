"""The command line as a newcomer meets it: one clear line for every mistake, and the exit code."""

import io
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

from bci import cli, config, logs
from bci.cli.app import wrapped

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
EXO = ROOT / "configs" / "ssvep_exo.yaml"
IMAGERY = ROOT / "configs" / "imagery.yaml"
BROKEN = [DATA / "broken" / name for name in ("crlf-damaged.edf", "truncated.edf", "truncated.mat")]
LABRECORDER = {  # file: exit code of bci verify
    "sub-P001_ses-S001_task-MISwitch_run-002_eeg.xdf": 0,
    "sub-P001_ses-S001_task-P300Checkboard_run-001_eeg.xdf": 1,  # a footer is missing
    "ssvep_example.xdf": 0,
    "clock_resets.xdf": 0,
    "empty_streams.xdf": 0,
    "minimal.xdf": 0,
}


@pytest.fixture
def bci(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder; exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bci", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def recording(tmp_path):
    """Two seconds of two channels, with a marker that no configuration asks for."""
    path = tmp_path / "short.npz"
    data = np.random.default_rng(1).standard_normal((500, 2))
    np.savez(path, data=data, sfreq=250.0, ch_names=["O1", "O2"], markers=[["10", "go"]])
    return path


def commands():
    """Every command as its words, and its click object."""
    group = typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        if below is None:
            yield (name,), command
        else:
            yield from (((name, inner), c) for inner, c in below.items())


COMMANDS = dict(commands())


# --- help ----------------------------------------------------------------------------------------


def example(words):
    text = " ".join(COMMANDS[words].help.split())
    found = re.search(r"Example[^:]*: \[bold\](bci .*?)\[/bold\]", text)
    assert found, f"bci {' '.join(words)} has no example"
    return shlex.split(found[1].partition(" > ")[0])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_an_example_that_parses(words, bci):
    code, out, _ = bci(*words, "--help")
    assert code == 0
    assert "Example" in out
    said = example(words)
    assert tuple(said[1 : 1 + len(words)]) == words
    COMMANDS[words].make_context("bci", said[1 + len(words) :])  # no wrong option, no missing one
    for argument in said:
        assert not argument.startswith("configs/") or (ROOT / argument).is_file()


def test_help_lists_every_command_and_where_to_start(bci):
    code, out, _ = bci("--help")
    assert code == 0
    assert "bci demo" in out
    for words in COMMANDS:
        assert f" {words[0]} " in out


# --- wrong use -----------------------------------------------------------------------------------

WRONG_USE = [
    (["nonsense"], "No such command 'nonsense'"),
    (["run"], "Missing argument 'CONFIG'"),
    (["demo", "--snr", "-1"], "'--snr'"),
    (["demo", "--snr", "nan"], "'--snr'"),
    (["demo", "--seed", "-1"], "'--seed'"),
    (["demo", "--phrase", "Größe"], "the keyboard cannot type 'Ö' of 'Größe'"),
    (["demo", "--phrase", ""], "--phrase is empty"),
    (["run", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    (["run", "."], ".: cannot be read"),
    (["run", IMAGERY, "--set", "sorce.kind=lsl"], "unknown key 'sorce'; did you mean 'source'?"),
    (["run", IMAGERY, "--set", "window.lenght_s=1"], "did you mean 'length_s'?"),
    (["run", IMAGERY, "--set", "window"], "expected key.key=value"),
    (["run", IMAGERY, "--for", "-1"], "'--for'"),
    (["gui", "--token", "t"], "--token goes with --attach"),
    (["gui", EXO, "--attach", "http://localhost:8765"], "leave CONFIG and --set out"),
    (["gui", "--set", "api.port=0"], "name its file"),
    (["config", "check", "bad.yaml"], "bad.yaml:1: not YAML"),
    (["config", "check", "wrong.yaml"], "wrong.yaml:2: unknown key 'windw'"),
    (["replay", "short.npz"], "say either how to decode the recording (--config FILE), or"),
    (["replay", "short.npz", "--config", EXO, "--lsl"], "say either how to decode"),
    (["replay", "short.npz", "--config", EXO, "--speed", "2"], "--speed has no effect with"),
    (["replay", "short.npz", "--lsl", "--out", "x"], "--out has no effect with --lsl"),
    (["replay", "short.npz", "--config", EXO, "--out", "bad.yaml"], "exists already and is not"),
    (["replay", "short.npz", "--config", IMAGERY], "no channel 'C3'"),
    (["train", EXO, "short.npz"], "Missing option '--out'"),
    (["train", EXO, "short.npz", "--out", "m", "--decoder", "svm"], "no decoder kind 'svm'"),
    (["train", EXO, "short.npz", "--out", "m"], "the recording has 'go' (1)"),
]


@pytest.mark.parametrize(
    ("arguments", "said"), WRONG_USE, ids=[" ".join(map(str, a))[-40:] for a, _ in WRONG_USE]
)
def test_wrong_use_is_exit_code_2_and_says_what(arguments, said, bci, recording, tmp_path):
    (tmp_path / "bad.yaml").write_text("source: [")
    (tmp_path / "wrong.yaml").write_text("source: {kind: lsl}\nwindw: {}\n")
    code, _, err = bci(*arguments)
    assert code == 2
    assert said in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
    assert not (tmp_path / "bci-demo").exists()


def exo(**changes):
    return yaml.safe_dump(
        {**yaml.safe_load(EXO.read_text()), "channels": {"montage": None}, **changes}
    )


def test_decoders_that_cannot_decide_here(bci, recording, tmp_path):
    code, _, err = bci("replay", recording, "--config", EXO, "--set", "decoder={kind: mdm}")
    assert code == 2
    assert "must be trained before it can decide" in err
    code, _, err = bci(
        "replay", recording, "--config", EXO, "--set", "decoder={kind: model, path: nowhere}"
    )
    assert code == 1
    assert "model 'nowhere' does not exist" in err


@pytest.mark.parametrize("package", ["PySide6", "httpx"])
def test_the_application_says_which_package_it_lacks(bci, monkeypatch, package):
    for module in [m for m in sys.modules if m.partition(".")[0] in ("gui", package)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    code, _, said = bci("gui")
    assert code == 1
    assert f"needs the package '{package}'" in said
    assert "pip install 'neuroloop[gui]'" in said


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.name)
@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "{}", "--config", EXO),
        ("replay", "{}", "--lsl"),
        ("train", EXO, "{}", "--out", "model"),
        ("verify", "{}"),
        ("salvage", "{}"),
        ("export", "{}", "--bids", "bids"),
    ],
    ids=lambda a: f"{a[0]} {a[2]}" if len(a) > 2 else a[0],
)
def test_a_broken_file_is_one_line(path, arguments, bci):
    if not path.exists():
        pytest.skip(f"broken files are not at {path.parent}")
    code, out, err = bci(*(str(a).format(path) for a in arguments))
    assert (code, out) == (1, "")
    assert err.startswith("bci: ")
    assert path.name in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "salvage", "replay"])
def test_missing_files_and_folders_are_one_line(command, bci, tmp_path):
    more = ("--lsl",) if command == "replay" else ()
    for path in ("nowhere.xdf", tmp_path):
        code, _, err = bci(command, path, *more)
        assert code == 1
        assert str(path) in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("name", LABRECORDER)
def test_recordings_of_others(name, bci, tmp_path):
    path = DATA / "xdf" / name
    if not path.exists():
        pytest.skip(f"real recording {path} is not here")
    code, out, err = bci("verify", path)
    assert code == LABRECORDER[name]
    assert err == ""
    assert "segments" not in out
    # any of them replays where the configuration asks for nothing that it lacks
    (tmp_path / "any.yaml").write_text(
        exo(
            processing=[],
            channels={"pick": "all", "montage": None},
            events={},
            window={"kind": "sliding", "length_s": 2.0, "hop_s": 1.0},
            decoder={"kind": "fbcca", "frequencies_hz": [10, 12], "high_hz": 45, "bands": 1,
                     "harmonics": 2},
        )
    )  # fmt: skip
    code, out, err = bci("replay", path, "--config", "any.yaml")
    if name in ("empty_streams.xdf", "minimal.xdf"):  # 1 and 10 Hz
        assert (code, err.count("\n")) == (2, 1)
    else:
        assert code == 0, err
        assert re.search(r"^\d\d+ decisions", out, re.MULTILINE)


def test_no_stream_to_be_seen(bci, tmp_path, monkeypatch):
    monkeypatch.setattr("bci.lsl.available_streams", lambda wait: [])
    code, out, err = bci("streams", "--wait", "0.1")
    assert (code, out) == (1, "")
    assert "no LSL stream can be seen within 0.1 s" in err
    assert err.count("\n") == 1


def test_a_plan_of_flicker(bci):
    code, out, err = bci(
        "plan", "59.94", "--locked", "--targets", "4", "--low", "7", "--high", "15"
    )
    assert (code, err) == (0, "")
    assert re.search(r"7\.4925 +7\.492500 +0 +4 \+ 4", out)
    assert "- harmonics fall on each other" in out
    session = (
        "source: {kind: simulated}\nchannels: {montage: null}\n" + out[out.index("decoder:") :]
    )
    hz = config.loads(session).decoder.frequencies.values()
    assert list(hz) == pytest.approx([59.94 / n for n in (8, 6, 5, 4)])
    code, out, _ = bci("plan", "144", "--wish", "9", "--wish", "11.3", "--wish", "13.1")
    assert code == 0
    assert "nothing collides" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0",), "the refresh rate must be"),
        (("60", "--wish", "8", "--wish", "31"), "31 Hz cannot be shown at 60 Hz"),
        (("60", "--locked", "--targets", "9"), "9 targets are asked for"),
        (("60", "--low", "9", "--high", "8"), "found 9 to 8 Hz"),
        (("60", "--share", "3"), "between 0 and 1, found 3"),
    ],
)
def test_a_plan_that_cannot_be_is_one_clear_line(arguments, message, bci):
    code, out, err = bci("plan", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_names_of_streams_are_never_cut(bci, monkeypatch):
    from bci.lsl.network import StreamSummary

    name = "a long name of a stream " * 3 + "end"
    found = StreamSummary(name, "EEG", "some-identity-" * 6, "host", 64, 1000.0, "float32", "uid")
    monkeypatch.setattr("bci.lsl.available_streams", lambda wait: [found])
    code, out, _ = bci("streams")
    assert code == 0
    assert name in out
    assert "1000 Hz" in out


def test_a_letter_that_the_terminal_lacks_is_no_failure(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setattr(sys, "argv", ["bci", "config", "check", str(EXO)])
    monkeypatch.setattr("bci.cli.machine.say", lambda text: sys.stdout.write("▏“é”\n"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    sys.stdout.flush()
    assert not ended.value.code
    assert raw.getvalue() == b"????\n"


# --- what the commands say -----------------------------------------------------------------------


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_config_check_sums_up(path, bci):
    code, out, err = bci("config", "check", path)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"{path}: ok"
    assert f"decoder     {config.load(path).decoder.kind}" in out


def test_nothing_decided_is_explained(bci, recording, tmp_path):
    (tmp_path / "s.yaml").write_text(exo(processing=[], events={"13 Hz": 2}))
    code, out, _ = bci("replay", recording, "--config", "s.yaml")
    assert code == 0
    assert "no decision: windows open at the markers '2'; the recording has 'go' (1)" in out
    (tmp_path / "s.yaml").write_text(exo(processing=[], window={"kind": "sliding", "length_s": 9}))
    code, out, _ = bci("replay", recording, "--config", "s.yaml")
    assert code == 0
    assert "no decision: the recording is shorter than a window of 9 s" in out


def test_replay_writes_one_json_a_line(bci, recording, tmp_path):
    (tmp_path / "s.yaml").write_text(
        exo(events={}, window={"kind": "sliding", "length_s": 1.0, "hop_s": 0.5}, processing=[])
    )
    code, out, _ = bci("replay", recording, "--config", "s.yaml", "--out", "found.jsonl")
    assert code == 0
    found = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [d["seq"] for d in found] == [0, 1, 2]
    assert out.splitlines()[-1] == "wrote found.jsonl"
    code, _, err = bci("replay", recording, "--config", "s.yaml", "--out", "no/where.jsonl")
    assert code == 1
    assert "there is no folder no" in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_long_lines_are_wrapped_in_a_terminal_only(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    text = (
        "missing  Qt           its windows lack libxcb-icccm.so.4, libxcb-keysyms.so.1 and others\n"
        "short\n"
        f"note: {'many words ' * 20}"
    )
    assert wrapped(text, io.StringIO()) == text
    lines = wrapped(text, Terminal()).splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    if width == 60:
        assert lines[1].startswith(" " * 22 + "libxcb")  # under its column


# --- the schema ----------------------------------------------------------------------------------

TYPES = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
    "boolean": bool, "null": type(None),
}  # fmt: skip


def mistakes(value, schema, root, at="$"):
    """What JSON Schema 2020-12 says of a value, for the keywords that ours uses."""
    if "$ref" in schema:
        return mistakes(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, at)
    for keyword, fits in (("anyOf", lambda n: n >= 1), ("oneOf", lambda n: n == 1)):
        if keyword in schema:
            n = sum(not mistakes(value, s, root, at) for s in schema[keyword])
            if not fits(n):
                return [f"{at}: {n} of {keyword}"]
    kind = schema.get("type")
    if kind and (
        not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")
    ):
        return [f"{at}: no {kind}"]
    found = []
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: not in {schema['enum']}")
    for keyword, wrong in (
        ("minimum", lambda v, x: v < x), ("maximum", lambda v, x: v > x),
        ("exclusiveMinimum", lambda v, x: v <= x), ("exclusiveMaximum", lambda v, x: v >= x),
    ):  # fmt: skip
        if keyword in schema and wrong(value, schema[keyword]):
            found.append(f"{at}: {keyword}")
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            found += mistakes(item, schema["items"], root, f"{at}[{i}]")
    if isinstance(value, dict):
        found += members(value, schema, root, at)
    return found


def members(value, schema, root, at):
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    found = [f"{at}: {key} is missing" for key in schema.get("required", []) if key not in value]
    for key, item in value.items():
        if key in known:
            found += mistakes(item, known[key], root, f"{at}.{key}")
        elif more is False:
            found.append(f"{at}: unknown {key}")
        elif isinstance(more, dict):
            found += mistakes(item, more, root, f"{at}.{key}")
    return found


def test_the_schema_takes_what_is_right_and_refuses_what_is_wrong(bci):
    code, out, _ = bci("config", "schema")
    assert code == 0
    schema = json.loads(out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for path in CONFIGS:
        assert mistakes(yaml.safe_load(path.read_text()), schema, schema) == []
    good = yaml.safe_load(IMAGERY.read_text())
    for change in (
        {"windw": {}},
        {"window": {"hop_s": "long"}},
        {"window": {"hop_s": 0}},
        {"decoder": {"kind": "nonsense"}},
        {"source": {"kind": "lsl", "nmae": "x"}},
        {"processing": [{"kind": "bandpass", "low_hz": 1, "hihg_hz": 2}]},
        {"decision": {"kind": "threshold", "threshold": 2}},
    ):
        assert mistakes({**good, **change}, schema, schema), change
    del good["source"]
    assert mistakes(good, schema, schema) == ["$: source is missing"]


# --- the status of a session ---------------------------------------------------------------------

STATUS = {
    "source": {"state": "live", "n_received": 2500},
    "decoder": {"labels": ["left", "right"], "last_label": "left"},
    "paused": False,
    "recording": None,
    "outputs": [{"dropped": 2}],
    "telemetry": {
        "effective_rate_hz": 249.98,
        "decisions": 96,
        "abstentions": 3,
        "latency_ms": {"p50": 2.1, "p99": 3.4, "max": 5.0},
        "drops": {"decoder": 5},
        "gaps": 1,
    },
}


def test_the_status_is_one_short_line():
    assert logs.status_line(STATUS, 75.0, 120) == (
        "1:15  live  250.0 Hz  96 decisions (3 abstained)  p50 2.1 p99 3.4 ms  7 dropped"
        "  last: left"
    )
    assert len(logs.status_line(STATUS, 75.0, 60)) < 60
    fresh = STATUS | {
        "telemetry": STATUS["telemetry"]
        | {"effective_rate_hz": None, "latency_ms": {"p50": None, "p99": None, "max": None}},
        "paused": True,
        "decoder": {"labels": [], "last_label": None},
    }
    assert logs.status_line(fresh, 0.0, 120) == "0:00  paused  7 dropped"


def test_the_summary_says_what_became_of_a_session():
    assert logs.summary(STATUS, 10.0) == (
        "stopped after 10.0 s: 2500 samples, 96 decisions (3 abstained), p50 2.1 p99 3.4 ms, "
        "7 dropped, 1 gap"
    )
    recorded = STATUS | {"recording": {"path": "here.xdf"}}
    assert logs.summary(recorded, 10.0).endswith("; recorded in here.xdf")


def test_log_lines_stand_above_the_status(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    handler = logs.TerminalHandler(stream)
    handler.show("0:01  live")
    handler.handle(logging.LogRecord("bci", logging.WARNING, "", 0, "a gap of %d s", (3,), None))
    handler.show("")
    assert re.fullmatch(
        r"\r\x1b\[K0:01  live"
        r"\r\x1b\[K\d\d:\d\d:\d\d warning: a gap of 3 s\n0:01  live"
        r"\r\x1b\[K",
        stream.getvalue(),
    )
    long = logging.LogRecord("bci", logging.INFO, "", 0, "word " * 30, (), None)
    assert max(map(len, handler.format(long).splitlines())) <= 40


# --- real processes ------------------------------------------------------------------------------

SIMULATED = (
    "source: {kind: simulated}\napi: null\ndecoder: {kind: fbcca, frequencies_hz: [10, 12]}\n"
)


def start(arguments, cwd, **options):
    command = [sys.executable, "-m", "bci.cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, **options)


def test_in_a_terminal_a_session_shows_its_status(tmp_path):
    pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
    (tmp_path / "s.yaml").write_text(SIMULATED)
    screen, terminal = pty.openpty()
    process = start(
        ["run", "s.yaml", "--for", "2.5"], tmp_path, stdin=terminal, stdout=terminal,
        stderr=terminal, env={**os.environ, "COLUMNS": "80", "TERM": "xterm"},
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    try:
        while chunk := os.read(screen, 4096):
            shown += chunk
    except OSError:  # the terminal's other end is closed
        pass
    finally:
        os.close(screen)
        process.kill()
    assert process.wait(20) in (0, -signal.SIGKILL)
    text = shown.decode()
    assert re.search(r"0:0\d  live  25\d\.\d Hz  \d+ decisions  p50 [\d.]+ p99 [\d.]+ ms", text), (
        text
    )
    assert re.search(r"stopped after 2\.\d s: \d+ samples, ", text)
    assert "{" not in text  # no JSON for people
    assert all(len(part) <= 80 for part in re.split(r"[\r\n]+|\x1b\[K", text))


def test_elsewhere_every_line_of_a_session_is_json(tmp_path):
    (tmp_path / "s.yaml").write_text(SIMULATED)
    process = start(["run", "s.yaml", "--for", "0.5"], tmp_path, stderr=subprocess.PIPE, text=True)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    (line,) = [json.loads(line) for line in err.splitlines()]
    assert line["event"].startswith("stopped after 0.")
    assert line["level"] == "info"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_asked_to_stop_while_it_waits_for_a_stream(tmp_path):
    pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)
    (tmp_path / "s.yaml").write_text(
        "source: {kind: lsl, name: nobody-sends-this, timeout_s: 4}\napi: null\n"
    )
    process = start(["run", "s.yaml"], tmp_path, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    try:
        deadline = time.monotonic() + 15
        while "liblsl" not in maps.read_text():  # then it looks for the stream
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "stopped before it started" in err
    assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_traceback(tmp_path):
    command = shlex.join([sys.executable, "-m", "bci.cli", "config", "schema"])
    done = subprocess.run(
        f"{command} | head -n 1", shell=True, cwd=tmp_path, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_a_shell_without_colours_gets_none(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bci.cli", "run"], capture_output=True, text=True, check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "Missing argument" in done.stderr
    assert "\x1b[" not in done.stderr
