"""`bci doctor`: what works on this machine, and a remedy for what does not.

What loads foreign libraries is tried in a child process: a library that is
missing, or crashes, is a finding like any other.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from bci import __version__

MIN_DISK_GB = 5.0
MIN_MEMORY_GB = 2.0
#: A child that takes longer hangs.
TIMEOUT_S = 60.0
GUI = "pip install 'neuroloop[gui]'"


class Finding(NamedTuple):
    """One check: `ok` None means optional and not there."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


Check = Callable[[], Finding]


def examine(report: Callable[[str], None]) -> bool:
    """Run every check and report it; False where something that is needed does not work."""
    n_wrong = 0
    for name, check in CHECKS.items():
        try:
            f = check()
        except Exception as error:  # whatever is broken, the other checks are still wanted
            f = Finding(name, False, f"the check failed: {type(error).__name__}: {error}")
        mark = {True: "ok", False: "TROUBLE", None: "missing"}[f.ok]
        report(f"{mark:<9}{f.name:<13}{f.found}")
        if f.ok is not True and f.remedy:
            report(f"{'':<22}→ {f.remedy}")
        n_wrong += f.ok is False
    report("all that is needed works" if not n_wrong else f"{n_wrong} of {len(CHECKS)} need care")
    return not n_wrong


# --- in a child process --------------------------------------------------------------------------


def _try(code: str, **environment: str) -> tuple[bool, str]:
    """Run Python code apart: whether it came to its end, and what it printed, or why it did not."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {TIMEOUT_S:g} s"
    if done.returncode == 0:
        return True, " ".join(done.stdout.split())
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode > 0:
        return False, said[-1] if said else f"ended with exit code {done.returncode}"
    crash = f"crashed ({signal.Signals(-done.returncode).name})"
    return False, f"{crash}: {said[0]}" if said else crash


def _package(name: str, code: str, remedy: str, needed: bool) -> Check:
    """A check that `code`, which uses the package and prints its version, runs."""

    def check() -> Finding:
        ok, found = _try(code)
        return Finding(name, ok or (False if needed else None), found, remedy)

    return check


_VERSION = "from importlib.metadata import version; print('{0}', version('{0}'))"

_LSL = """
import pylsl
from importlib.metadata import version
v = pylsl.library_version()
print(f"pylsl {version('pylsl')}, liblsl {v // 100}.{v % 100} at {pylsl.lib.lib._name}")
"""

_LSL_LOOP = """
import sys, time, uuid
import pylsl
name, began = "bci-doctor-" + uuid.uuid4().hex, time.monotonic()
outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "test", 1, 0.0, "float32", name))
found = pylsl.resolve_byprop("source_id", name, 1, 2.0)
if not found:
    sys.exit("a stream of this machine is not found by this machine within 2 s")
took = time.monotonic() - began
inlet = pylsl.StreamInlet(found[0], recover=False)
inlet.open_stream(2.0)
outlet.push_sample([1.0])
if inlet.pull_sample(2.0)[0] is None:
    sys.exit("a stream of this machine is found, but its samples do not come through")
print(f"a stream of this machine is found in {took:.2f} s, and its samples come through")
"""

_MULTICAST = """
import socket, struct, sys, uuid
word, heard, error = uuid.uuid4().bytes, [], "nothing comes back"
for group in ("224.0.0.183", "239.255.172.215"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(1.0)
        try:
            listener.bind(("", 16571))
            member = struct.pack("4sl", socket.inet_aton(group), socket.INADDR_ANY)
            listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)  # stays here
                sender.sendto(word, (group, 16571))
            while listener.recv(2048) != word:  # other programs look for streams
                pass
            heard.append(group)
        except OSError as failure:
            error = str(failure) or error
if not heard:
    sys.exit("this machine does not hear its own multicast: " + error)
print("this machine hears itself on", " and ".join(heard))
"""

_BRAINFLOW = """
from brainflow.board_shim import BoardShim
print("brainflow", BoardShim.get_version())
"""

_GL = """
import sys
from PySide6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
app = QGuiApplication([])
context, surface = QOpenGLContext(), QOffscreenSurface()
made = context.create()
surface.setFormat(context.format())
surface.create()
if not (made and context.makeCurrent(surface)):
    sys.exit("Qt makes no OpenGL context on the platform '%s'" % app.platformName())
gl = context.functions()
print(gl.glGetString(0x1F02), "by", gl.glGetString(0x1F01))
"""

_TORCH = """
import torch
print("torch", torch.__version__, "with CUDA" if torch.cuda.is_available() else "on the CPU")
"""

_QT_FOLDER = """
from PySide6 import QtWidgets
from PySide6.QtCore import QLibraryInfo
print(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath))
"""


# --- the checks ----------------------------------------------------------------------------------


def _system() -> Finding:
    return Finding(
        "system",
        sys.version_info >= (3, 11),
        f"bci {__version__}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.release()} {platform.machine()}",
        "install Python 3.11 or newer",
    )


def _lsl_remedy() -> str:
    return {
        "Darwin": "brew install labstreaminglayer/tap/lsl, or set PYLSL_LIB to the library",
        "Windows": "pip install --force-reinstall pylsl, or set PYLSL_LIB to lsl.dll",
    }.get(platform.system(), "pip install --force-reinstall pylsl, or set PYLSL_LIB to liblsl.so")


def _qt() -> Finding:
    ok, found = _try(_QT_FOLDER)
    if not ok:
        return Finding("Qt", None, found, _qt_remedy(_missing_libraries(found)))
    version = _try(_VERSION.format("PySide6-Essentials"))[1]
    if platform.system() == "Linux":
        missing = _unresolved(f"{found}/platforms/libqxcb.so")
        if missing:
            return Finding(
                "Qt", None, f"{version}; its windows lack {', '.join(missing)}", _qt_remedy(missing)
            )
    return Finding("Qt", True, version)


def _gl() -> Finding:
    on_screen = platform.system() != "Linux" or any(
        os.environ.get(name) for name in ("WAYLAND_DISPLAY", "DISPLAY", "QT_QPA_PLATFORM")
    )
    ok, found = _try(_GL) if on_screen else _try(_GL, QT_QPA_PLATFORM="offscreen")
    if ok:
        return Finding("OpenGL", True, found)
    if missing := _missing_libraries(found):
        return Finding("OpenGL", None, found, _qt_remedy(missing))
    if "PySide6" in found:
        return Finding("OpenGL", None, found, GUI)
    if not on_screen:
        return Finding(
            "OpenGL", None, f"{found}; there is no display here",
            "needed by stimuli only: run bci doctor in a desktop session, or apt install xvfb and "
            "xvfb-run -a bci doctor",
        )  # fmt: skip
    return Finding("OpenGL", None, found, "apt install libgl1 libegl1, and the graphics driver")


def _missing_libraries(text: str) -> list[str]:
    """Shared libraries that an error message says are missing."""
    return re.findall(r"(lib[\w.+-]+\.so[.\d]*): cannot open", text)


def _unresolved(library: str) -> list[str]:
    """Shared libraries that a library needs and the system has not."""
    if shutil.which("ldd") is None:
        return []
    done = subprocess.run(["ldd", library], capture_output=True, text=True, timeout=TIMEOUT_S)
    return sorted(set(re.findall(r"(\S+) => not found", done.stdout)))


def _qt_remedy(missing: list[str]) -> str:
    if not missing:
        return GUI
    return "on Debian or Ubuntu: apt install " + " ".join(map(debian_package, missing))


def debian_package(library: str) -> str:
    """The package of a shared library, by Debian's naming rule (policy, section 8.1).

    libxcb-cursor.so.0 is in libxcb-cursor0, libdbus-1.so.3 in libdbus-1-3.
    """
    name, _, number = library.lower().partition(".so.")
    if name == "libglib-2.0":
        name = "libglib2.0"  # the one that keeps to a rule of its own
    return f"{name}-{number}" if name[-1].isdigit() else f"{name}{number}"


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / 1e9
    return Finding(
        "disk", free >= MIN_DISK_GB, f"{free:.0f} GB free in {os.getcwd()}",  # noqa: PTH109
        f"free some: an hour of 64 channels at 1 kHz takes about 1 GB, keep {MIN_DISK_GB:g} GB",
    )  # fmt: skip


def _clock() -> Finding:
    from bci import clock

    ticks = [clock.now() for _ in range(10_000)]
    steps = [b - a for a, b in pairwise(ticks)]
    return Finding(
        "clock", min(steps) >= 0,
        f"monotonic, read 10,000 times in {(ticks[-1] - ticks[0]) * 1e3:.1f} ms, longest step "
        f"{max(steps) * 1e3:.2f} ms",
        "the clock runs backwards: check the machine's time source",
    )  # fmt: skip


def _cpu() -> Finding:
    import psutil

    memory = psutil.virtual_memory().available / 1e9
    load = psutil.cpu_percent(0.3)
    return Finding(
        "CPU, memory", memory >= MIN_MEMORY_GB,
        f"{os.cpu_count()} cores, load {load:.0f} %, {memory:.1f} GB free",
        f"close other programs: {MIN_MEMORY_GB:g} GB of memory should be free",
    )  # fmt: skip


_FIREWALL = (
    "allow UDP 16571 and TCP and UDP 16572-16604 in the firewall, or name the senders under "
    "[lab] KnownPeers in lsl_api.cfg"
)

CHECKS: dict[str, Check] = {
    "system": _system,
    "CPU, memory": _cpu,
    "disk": _disk,
    "clock": _clock,
    "LSL": _package("LSL", _LSL, _lsl_remedy(), True),
    "LSL network": _package("LSL network", _LSL_LOOP, _FIREWALL, True),
    "multicast": _package(
        "multicast", _MULTICAST, "streams of other computers need it: " + _FIREWALL, False
    ),
    "BrainFlow": _package("BrainFlow", _BRAINFLOW, "pip install 'setuptools<81' brainflow", True),
    "MNE": _package("MNE", "import mne; print('mne', mne.__version__)", "pip install mne", True),
    "Qt": _qt,
    "OpenGL": _gl,
    "torch": _package(
        "torch",
        _TORCH,
        "for deep networks only: pip install 'neuroloop[deep]'",
        False,
    ),
}
