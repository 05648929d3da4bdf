"""The doctor survives what it finds, and has a remedy for it."""

import os
import re
import subprocess
import sys

import pytest

from bci import doctor

BROKEN = {
    "pylsl": "raise RuntimeError('liblsl.so was not found')",
    "brainflow": "import os; os.abort()",
    "mne": "raise ImportError('libgomp.so.1: cannot open shared object file')",
    "torch": "import os; os._exit(3)",
    "PySide6": "raise ImportError('libEGL.so.1: cannot open shared object file: No such file')",
}


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Children find packages that fail in every way when they are imported."""
    for name, code in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def findings(*names):
    return {name: doctor.CHECKS[name]() for name in names}


def test_every_broken_package_is_a_finding_with_a_remedy(broken):
    found = findings("LSL", "LSL network", "BrainFlow", "MNE", "Qt", "OpenGL", "torch")
    assert {name: f.ok for name, f in found.items()} == {
        "LSL": False, "LSL network": False, "BrainFlow": False, "MNE": False,
        "Qt": None, "OpenGL": None, "torch": None,
    }  # fmt: skip
    assert all(f.remedy for f in found.values())
    assert "liblsl.so was not found" in found["LSL"].found
    assert found["BrainFlow"].found.startswith("crashed (SIGABRT)")
    assert "exit code 3" in found["torch"].found
    for name in ("Qt", "OpenGL"):
        assert "libEGL.so.1" in found[name].found
        assert found[name].remedy == "on Debian or Ubuntu: apt install libegl1"


def test_the_command_ends_with_1_and_no_traceback(broken):
    done = subprocess.run(
        [sys.executable, "-m", "bci.cli", "doctor"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    marks = dict(re.findall(r"^(ok|TROUBLE|missing) +(\S+)", done.stdout, re.MULTILINE))
    assert set(marks) == {"ok", "TROUBLE", "missing"}
    assert re.search(r"^\d+ of 12 need care$", done.stdout, re.MULTILINE)


def test_a_check_that_fails_does_not_end_the_examination(monkeypatch):
    def fails():
        raise RuntimeError("no such thing")

    good = doctor.Finding("good", True, "fine", "never said")
    optional = doctor.Finding("optional", None, "not here", "pip install it")
    checks = {"bad": fails, "optional": lambda: optional, "good": lambda: good}
    monkeypatch.setattr(doctor, "CHECKS", checks)
    lines = []
    assert not doctor.examine(lines.append)
    assert re.fullmatch("TROUBLE +bad +the check failed: RuntimeError: no such thing", lines[0])
    assert "not here" in lines[1]
    assert lines[2].strip() == "→ pip install it"
    assert lines[3].split() == ["ok", "good", "fine"]
    assert lines[4] == "1 of 3 need care"
    monkeypatch.setattr(doctor, "CHECKS", {"optional": lambda: optional})
    assert doctor.examine(lines.append)


def test_a_child_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(doctor, "TIMEOUT_S", 0.3)
    assert doctor._try("import time; time.sleep(30)") == (False, "no answer within 0.3 s")


def test_what_a_child_prints_is_what_is_found():
    assert doctor._try("print('a'); print('b')") == (True, "a b")
    assert doctor._try("raise SystemExit('said')") == (False, "said")


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libEGL.so.1", "libegl1"),
        ("libGL.so.1", "libgl1"),
        ("libxkbcommon.so.0", "libxkbcommon0"),
        ("libxcb-cursor.so.0", "libxcb-cursor0"),
        ("libxcb-icccm.so.4", "libxcb-icccm4"),
        ("libdbus-1.so.3", "libdbus-1-3"),
        ("libX11-xcb.so.1", "libx11-xcb1"),
        ("libX11.so.6", "libx11-6"),
        ("libglib-2.0.so.0", "libglib2.0-0"),
        ("libOpenGL.so.0", "libopengl0"),
    ],
)
def test_debian_names_of_libraries(library, package):
    assert doctor.debian_package(library) == package


def test_liblsl_is_found_and_streams_come_through():
    pytest.importorskip("pylsl", reason="liblsl does not load", exc_type=Exception)
    found = findings("LSL", "LSL network")
    assert found["LSL"].ok
    assert re.search(r"liblsl \d+\.\d+ at \S*lsl\S*$", found["LSL"].found)
    assert found["LSL network"].ok, found["LSL network"].found
    assert "samples come through" in found["LSL network"].found


FAKE_PYLSL = """
def StreamInfo(*_): ...
def StreamOutlet(*_): ...
def resolve_byprop(*_): return {found}
class StreamInlet:
    def __init__(self, *_, recover): ...
    def open_stream(self, *_): ...
    def pull_sample(self, *_): return None, None
    def push_sample(self, *_): ...
StreamOutlet = lambda *_: StreamInlet(recover=False)
"""


@pytest.mark.parametrize(
    ("found", "said"), [("[]", "is not found by this machine within 2 s"), ("[1]", "do not come")]
)
def test_a_network_that_lets_no_stream_through_is_trouble(found, said, tmp_path, monkeypatch):
    (tmp_path / "pylsl.py").write_text(FAKE_PYLSL.format(found=found))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = doctor.CHECKS["LSL network"]()
    assert result.ok is False
    assert said in result.found
    assert "16571" in result.remedy


def test_multicast_is_heard_or_trouble(tmp_path, monkeypatch):
    result = doctor.CHECKS["multicast"]()
    assert result.ok or "does not hear its own multicast" in result.found
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "class Deaf(socket.socket):\n"
        "    def sendto(self, *_): raise OSError(101, 'Network is unreachable')\n"
        "socket.socket = Deaf\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = doctor.CHECKS["multicast"]()
    assert result.ok is None
    assert "Network is unreachable" in result.found
    assert "16571" in result.remedy


def test_without_a_display_opengl_is_optional(monkeypatch):
    pytest.importorskip("PySide6", reason="PySide6 is not installed")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    found = doctor.CHECKS["OpenGL"]()
    assert found.ok is not False
    assert found.ok or found.remedy


def test_qt_names_the_libraries_that_its_windows_lack(monkeypatch):
    pytest.importorskip("PySide6", reason="PySide6 is not installed")
    monkeypatch.setattr(doctor.platform, "system", lambda: "Linux")
    monkeypatch.setattr(doctor, "_try", lambda code, **_: (True, "/plugins"))
    monkeypatch.setattr(doctor, "_unresolved", lambda library: ["libxcb-icccm.so.4"])
    found = doctor.CHECKS["Qt"]()
    assert found.ok is None
    assert "lack libxcb-icccm.so.4" in found.found
    assert found.remedy.endswith("apt install libxcb-icccm4")


def test_the_doctor_itself_loads_nothing_foreign():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, bci.doctor; print(*sys.modules)"],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    assert not {"numpy", "pylsl", "PySide6", "brainflow", "mne"} & set(done.stdout.split())
