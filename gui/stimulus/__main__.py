"""The flicker's process: ``python -m gui.stimulus``; see the package."""

from __future__ import annotations

import contextlib
import gc
import sys

import psutil
from pydantic import ValidationError
from PySide6.QtGui import QGuiApplication

from bci.api.wire import dumps
from bci.errors import BciError
from gui.link import EngineLink
from gui.stimulus.presenter import Presenter
from gui.stimulus.settings import StimulusSettings
from gui.stimulus.talk import Talk

#: Seconds that a thread may keep the interpreter from the one that draws.
SWITCH_S = 1e-3
#: Niceness that is asked for, on systems that know it.
NICENESS = -10


def main() -> int:
    """Run until told to stop; another code than 0: it cannot, and a line says why."""
    try:
        settings = StimulusSettings.model_validate_json(sys.stdin.readline())
    except ValidationError as error:
        why = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return _refuse(why, 2)
    sys.setswitchinterval(SWITCH_S)
    _hurry()
    app = QGuiApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    talk = Talk(sys.stdin, sys.stdout)
    link = EngineLink(settings.url, settings.token, samples=False)
    try:
        presenter = Presenter(settings, link, talk)
    except BciError as error:
        return _refuse(str(error), error.exit_code)
    talk.start()
    if settings.mode != "measure":
        link.start()
    presenter.begin()
    gc.collect()
    gc.freeze()  # what is loaded now stays; the collector need not walk it between two frames
    code = app.exec()
    talk.close()
    link.close()
    return code


def _hurry() -> None:
    """Ask to be served before other programs; systems grant it to whom they like."""
    with contextlib.suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            psutil.Process().nice(psutil.HIGH_PRIORITY_CLASS)
        else:
            psutil.Process().nice(NICENESS)


def _refuse(why: str, code: int) -> int:
    sys.stdout.write(dumps({"say": "refused", "why": [why]}) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
