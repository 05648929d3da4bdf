"""What loads what: the command line answers at once, and directions of import hold."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "mne", "sklearn", "pyriemann", "scipy", "PySide6", "pylsl", "brainflow")


def modules_after(statement):
    code = f"import sys; {statement}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import bci", "import bci.cli", "import bci.types, bci.registry, bci.config"]
)
def test_light_modules_load_nothing_heavy(statement):
    assert not modules_after(statement) & set(HEAVY)


def test_help_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bci.cli", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & set(HEAVY)
    assert "replay" in done.stdout


def test_the_engine_needs_neither_qt_nor_torch():
    loaded = modules_after("import bci.session, bci.calibration.denoising")
    assert not loaded & {"torch", "models", "PySide6", "pyqtgraph"}


def test_a_session_with_a_classical_decoder_loads_no_torch():
    asked = {
        "source": {"kind": "simulated", "paradigm": "ssvep12", "n_trials": 1, "speed": None},
        "window": {"length_s": 1.0, "hop_s": 0.5},
        "decoder": {"kind": "fbcca", "frequencies_hz": [9.25, 11.25]},
    }
    loaded = modules_after(
        "from bci.config import Config; from bci.session import Session; "
        f"session = Session(Config.model_validate({asked})); "
        "session.start(); assert session.wait(60); session.stop()"
    )
    assert "scipy" in loaded  # it has decoded
    assert not loaded & {"torch", "models"}


def test_directions_of_import_hold():
    root = Path(__file__).parent.parent
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
