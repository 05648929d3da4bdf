"""What a real X server shows is what was painted: raster and OpenGL, on Xvfb."""

import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="Xvfb is not installed")

SCRIPT = """
import json, sys
import gui.stimulus
from PySide6.QtGui import QGuiApplication
from bci.paradigms.frequencies import luminance
from bci.paradigms.keyboard import KEYBOARD_40
from bci.paradigms.speller import TARGETS_40
from bci.paradigms.spelling_scene import Phase
from gui.link import EngineLink
from gui.stimulus.presenter import Presenter
from gui.stimulus.settings import StimulusSettings

class Talk:
    n_lost = 0
    def commands(self): return []
    def say(self, what, **content): pass

app = QGuiApplication([])
settings = StimulusSettings.describe(TARGETS_40, KEYBOARD_40, url="http://127.0.0.1:1", mode="free",
                                     window=None, measure_s=1, surface=sys.argv[1])
presenter = Presenter(settings, EngineLink(settings.url, samples=False), Talk())
presenter.window.present()
while presenter.screen.timing is None:  # as fast as it can, so that clock and screen do not matter
    app.processEvents()
    presenter.show_frame()
presenter.run.start()
asked, levels = {}, presenter.levels
def note(scene, due):
    asked["due"] = due
    return levels(scene, due)
presenter.levels = note
worst, frames, screen = 0.0, [], app.primaryScreen()
while len(frames) < 12:
    app.processEvents()
    presenter.show_frame()
    scene = presenter.screen.drawn
    if scene.phase is not Phase.FLICKER:
        continue
    n = round((asked["due"] - scene.flicker_since) / presenter.screen.schedule.period_s)
    frames.append(n)
    image = screen.grabWindow(0).toImage()
    for key, target in zip(presenter.screen.picture.keys, settings.targets):
        plan = 255 * luminance(target.flicker(), presenter.screen.timing.refresh_hz, n + 1)[n]
        worst = max(worst, abs(image.pixelColor(key.x() + 4, key.y() + 4).red() - plan))
print(json.dumps({"worst": worst, "frames": frames, "size": [image.width(), image.height()],
                  "surface": type(presenter.screen.surface).__name__}))
"""


@pytest.mark.parametrize("surface", ["raster", pytest.param("gl", marks=pytest.mark.slow)])
def test_the_screen_shows_the_plan_at_each_scheduled_frame(surface):
    asked = ["xvfb-run", "-a", "-s", "-screen 0 1366x768x24", sys.executable, "-c", SCRIPT, surface]
    done = subprocess.run(
        asked, capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "xcb"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.splitlines()[-1])
    assert shown["surface"].lower().startswith(surface)
    assert shown["size"] == [1366, 768]
    assert len(set(shown["frames"])) >= 8
    assert shown["worst"] <= 1.0
