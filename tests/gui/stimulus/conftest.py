"""A screen, an engine and an application for the presenter, all on a clock that tests set."""

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QImage

from bci.paradigms.frequencies import luminance
from bci.paradigms.keyboard import KEYBOARD_12, KEYBOARD_40
from bci.paradigms.speller import TARGETS_12, TARGETS_40
from gui.link import Answer
from gui.stimulus.presenter import Presenter
from gui.stimulus.settings import StimulusSettings
from gui.stores import DecisionStore

SPELLERS = {"12": (TARGETS_12, KEYBOARD_12), "40": (TARGETS_40, KEYBOARD_40)}
PERIOD = 1 / 60


class Clock:
    def __init__(self):
        self.t = 1000.0

    def __call__(self):
        return self.t


class Surface:
    """Paints into memory; a flip comes at the end of its frame's wait, and later where told."""

    keeps = True

    def __init__(self, clock, size, waits):
        self.waits = waits
        self.clock, self.image = clock, QImage(*size, QImage.Format.Format_RGB32)
        self.late = []  # periods that the next flips come late
        self.n_flips = 0

    def begin(self, region):
        return self.image

    def flip(self, region):
        self.n_flips += 1
        if self.late:
            self.clock.t += self.late.pop(0) * PERIOD


class Link:
    """An engine that takes every marker, until it is told not to."""

    def __init__(self, labels):
        self.state, self.reason = "live", ""
        self.status = {"decoder": {"labels": list(labels)}}
        self.decisions = DecisionStore()
        self.markers, self.kept, self.priors, self.answers = [], [], [], {}
        self.answer = Answer(True, 202)
        self._waiting = []

    def post(self, path, body, done=None):
        if path == "/v1/prior":
            self.priors.append(body["proba"])
        else:
            assert path == "/v1/markers"
            if "t" in body:
                self.markers.append((body["value"], body["t"]))
            else:
                self.kept.append(body["value"])
        self._waiting.append((path, done))

    def poll(self):
        for path, done in self._waiting:
            if done is not None:
                done(self.answers.get(path, self.answer))
        self._waiting.clear()

    @property
    def values(self):
        return [value for value, _ in self.markers]


class Talk:
    n_lost = 0

    def __init__(self):
        self.lines, self.asked = [], []

    def commands(self):
        asked, self.asked = self.asked, []
        return asked

    def say(self, what, **content):
        self.lines.append({"say": what, **content})

    def all(self, what):
        return [line for line in self.lines if line["say"] == what]


class Stage:
    """A presenter that is shown frame by frame."""

    def __init__(self, speller="12", flickers=(), size=(1366, 768), waits=False, **settings):
        targets, layout = speller if isinstance(speller, tuple) else SPELLERS[speller]
        self.settings = StimulusSettings.describe(
            targets,
            layout,
            flickers,
            url="http://127.0.0.1:1",
            window=size,
            measure_s=1,
            **settings,
        )
        self.clock, self.talk = Clock(), Talk()
        self.link = Link(t.label for t in targets)
        self.surface = Surface(self.clock, size, waits)
        self.presenter = Presenter(
            self.settings, self.link, self.talk, clock=self.clock, surface=self.surface
        )

    @property
    def run(self):
        return self.presenter.run

    def frame(self):
        """Wait for the next frame's time, as the timer does, and show it; its number."""
        QCoreApplication.processEvents()
        schedule = self.presenter.screen.schedule
        self.clock.t = max(self.clock.t, schedule.time_of(schedule.number + 1) + 1e-4)
        number = schedule.next(self.clock.t)
        self.presenter.show_frame()
        return number

    def frames(self, n):
        for _ in range(n):
            self.frame()

    def until(self, phase, n=2000):
        for _ in range(n):
            self.frame()
            if self.run.phase is phase:
                return
        raise AssertionError(f"no {phase} within {n} frames; it is {self.run.phase}")

    def measured(self):
        for _ in range(100):
            self.frame()
            if self.presenter.screen.timing is not None:
                return self
        raise AssertionError("the screen is not measured within 100 frames")

    def started(self):
        self.measured().presenter.go_on()
        return self

    def key_levels(self):
        """Level of each key, 0 to 255, as it is painted; shape (n_keys,)."""
        corners = [key.topLeft() for key in self.presenter.screen.picture.keys]
        return np.array(
            [self.surface.image.pixelColor(c.x() + 4, c.y() + 4).red() for c in corners]
        )

    def planned(self, n_frames):
        """Luminance as planned, shape (n_keys, n_frames)."""
        return np.array([luminance(t.flicker(), 60.0, n_frames) for t in self.settings.targets])


@pytest.fixture
def make(qapp):
    """Make a `Stage`."""
    return Stage


@pytest.fixture
def spellers():
    """Targets and keyboard of both spellers."""
    return SPELLERS
