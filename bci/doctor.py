"""`bci doctor`: what works on this machine, and a remedy for what does not."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable
from typing import NamedTuple

import psutil

from bci import __version__, clock

MIN_DISK_GB = 5.0
MIN_MEMORY_GB = 2.0
MULTICAST = ("224.0.0.183", 16571)


class Finding(NamedTuple):
    """One check: `ok` None means optional and not there."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


def examine(report: Callable[[str], None]) -> bool:
    """Run every check and report it; False where something that is needed does not work."""
    findings = [check() for check in CHECKS]
    for f in findings:
        mark = {True: "ok      ", False: "TROUBLE ", None: "missing "}[f.ok]
        report(f"{mark}{f.name:<12} {f.found}")
        if f.ok is not True and f.remedy:
            report(f"{'':8}{'':<12} → {f.remedy}")
    n_wrong = sum(f.ok is False for f in findings)
    report("all that is needed works" if not n_wrong else f"{n_wrong} of {len(findings)} need care")
    return not n_wrong


def _system() -> Finding:
    return Finding(
        "system",
        sys.version_info >= (3, 11),
        f"bci {__version__}, Python {platform.python_version()}, {platform.platform()}",
        "install Python 3.11 or newer",
    )


def _lsl() -> Finding:
    try:
        import pylsl

        version = pylsl.library_version()
        where = getattr(pylsl.lib, "_name", "")
    except (ImportError, OSError, RuntimeError) as error:
        return Finding("LSL", False, f"liblsl does not load: {error}", _lsl_remedy())
    return Finding(
        "LSL",
        True,
        f"pylsl {importlib.metadata.version('pylsl')}, liblsl {version // 100}.{version % 100} {where}",
    )


def _lsl_remedy() -> str:
    return {
        "Darwin": "brew install labstreaminglayer/tap/lsl, or set PYLSL_LIB to the library",
        "Windows": "pip install --force-reinstall pylsl, or set PYLSL_LIB to lsl.dll",
    }.get(platform.system(), "pip install --force-reinstall pylsl, or set PYLSL_LIB to liblsl.so")


def _multicast() -> Finding:
    remedy = (
        "allow UDP 16571 and TCP/UDP 16572-16604 in the firewall, or name the sender under "
        "KnownPeers in lsl_api.cfg"
    )
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)  # stays on this machine
            sock.sendto(b"", MULTICAST)
    except OSError as error:
        return Finding("multicast", False, f"LSL's discovery cannot be sent: {error}", remedy)
    return Finding("multicast", True, "discovery packets can be sent")


def _package(name: str, module: str, remedy: str, needed: bool) -> Callable[[], Finding]:
    def check() -> Finding:
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken installation may raise anything
            return Finding(
                name, False if needed else None, f"{type(error).__name__}: {error}", remedy
            )
        package = module.partition(".")[0]
        return Finding(name, True, f"{package} {importlib.metadata.version(_dist(package))}")

    return check


def _dist(package: str) -> str:
    return importlib.metadata.packages_distributions().get(package, [package])[0]


def _gl() -> Finding:
    try:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen" if not _display() else "")
        surface = importlib.import_module("PySide6.QtGui").QOpenGLContext
    except Exception as error:
        return Finding(
            "GL", None, f"{type(error).__name__}: {error}", "pip install 'neuroloop[gui]'"
        )
    return Finding("GL", True, f"{surface.__name__} can be loaded, display: {_display() or 'none'}")


def _display() -> str:
    if platform.system() != "Linux":
        return "native"
    return os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY", "")


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / 1e9
    return Finding(
        "disk", free >= MIN_DISK_GB, f"{free:.0f} GB free here",
        f"free some: an hour of 64 channels at 1 kHz takes about 2 GB, keep {MIN_DISK_GB:g} GB",
    )  # fmt: skip


def _clock() -> Finding:
    ticks = [clock.now() for _ in range(10_000)]
    steps = [b - a for a, b in zip(ticks, ticks[1:], strict=False)]
    worst = max(steps) * 1e3
    return Finding(
        "clock", min(steps) >= 0, f"monotonic, longest step of 10,000 reads {worst:.2f} ms",
        "the clock runs backwards: check the machine's time source",
    )  # fmt: skip


def _cpu() -> Finding:
    memory = psutil.virtual_memory().available / 1e9
    return Finding(
        "CPU, memory", memory >= MIN_MEMORY_GB,
        f"{os.cpu_count()} cores, load {psutil.cpu_percent(0.2):.0f} %, {memory:.1f} GB free",
        f"close other programs: {MIN_MEMORY_GB:g} GB of memory should be free",
    )  # fmt: skip


CHECKS: tuple[Callable[[], Finding], ...] = (
    _system,
    _lsl,
    _multicast,
    _package("BrainFlow", "brainflow.board_shim", "pip install 'setuptools<81' brainflow", True),
    _package("MNE", "mne", "pip install mne", True),
    _package(
        "Qt",
        "PySide6.QtWidgets",
        "pip install 'neuroloop[gui]'; on Debian also: apt install libegl1 libxkbcommon0",
        False,
    ),  # fmt: skip
    _gl,
    _package("torch", "torch", "pip install 'neuroloop[deep]'", False),
    _disk,
    _clock,
    _cpu,
)
