"""What is chosen before a speller starts: task, phrase, keyboard, screen."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from bci.calibration.preparation import frequencies_of
from bci.config import Config, ScreenSettings
from bci.errors import BciError
from bci.paradigms import language, layouts
from bci.paradigms.frequencies import Flicker
from bci.paradigms.keyboard import KEYBOARD_12, KEYBOARD_40, KeyboardLayout
from bci.paradigms.planner import of_session
from bci.paradigms.speller import TARGETS_12, TARGETS_40, Target, retuned
from gui.pages.displays import DisplayBox
from gui.stimulus.settings import StimulusSettings

__all__ = ["SpellerChoices", "flicker_s", "tuned"]

#: Flicker beyond the decoder's longest window, seconds.
MARGIN_S = 0.06
#: Of the keyboards with enough keys, this language's is chosen at first.
FIRST = "en"

#: Keyboards without words; others come from files (`bci.paradigms.layouts`).
_PLAIN = {"12 keys, two levels": KEYBOARD_12, "40 keys": KEYBOARD_40}
_TARGETS = {len(targets): targets for targets in (TARGETS_12, TARGETS_40)}


def flicker_s(config: Config | None) -> float:
    """How long a trial must flicker, at most, so that a session's longest window fits into it."""
    if config is None or config.window.kind == "sliding":
        return 4.2
    return max(0.0, config.window.offset_s) + config.window.length_s + MARGIN_S


def tuned(
    layout: KeyboardLayout, config: Config | None
) -> tuple[tuple[Target, ...], KeyboardLayout, list[Flicker]]:
    """A keyboard's targets, flickering as the session's decoder knows them.

    Where it knows another number of them, as in the literature; whoever shows them then
    says what does not fit.

    Raises
    ------
    ConfigError
        They cannot be shown at all.
    """
    grid = _TARGETS[len(layout.labels)]
    known = {} if config is None or config.decoder is None else frequencies_of(config.decoder)
    if config is None or len(known) != len(grid):
        known = {target.label: target.frequency_hz for target in grid}
    screen = ScreenSettings() if config is None else config.screen
    flickers = of_session(known, screen.flicker, screen.refresh_hz)
    targets = retuned(grid, flickers)
    labels = tuple(target.label for target in targets)
    return targets, replace(layout, labels=labels), [flickers[label] for label in labels]


class SpellerChoices(QWidget):
    """One row of choices.

    Attributes
    ----------
    times : dict of str to float
        Durations of a trial's parts other than usual, seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, float] = {}
        self.copy, self.free = QPushButton("Copy"), QPushButton("Free")
        self.phrase = QLineEdit("HELLO WORLD")
        self.keyboard, self.display = QComboBox(), DisplayBox()
        self.consent = QCheckBox("Nobody in sight of the screen is photosensitive")
        self.consent.setToolTip(
            "Flicker from 3 to 60 Hz can provoke seizures in people with photosensitive epilepsy"
        )
        group, row, below = QButtonGroup(self), QHBoxLayout(), QVBoxLayout(self)
        below.setContentsMargins(0, 0, 0, 0)
        below.addLayout(row)
        below.addWidget(self.consent)
        for button in (self.copy, self.free):
            button.setCheckable(True)
            group.addButton(button)
            row.addWidget(button)
        self.copy.setChecked(True)
        self.copy.setToolTip("Copy the phrase; the screen shows each key to look at")
        self.free.setToolTip("Write freely; look away to let the speller sleep")
        self.copy.toggled.connect(self.phrase.setEnabled)
        self.phrase.setAccessibleName("Phrase to copy")
        self.phrase.setPlaceholderText("phrase to copy")
        for name in layouts.names() if language.installed() else ():
            self.keyboard.addItem(f"{name}, with words", layouts.load_layout(name))
        for name, layout in _PLAIN.items():
            self.keyboard.addItem(name, layout)
        self.keyboard.setToolTip(
            "Keyboards with words are files; others have symbols only"
            if language.installed()
            else "Keyboards with words need a package: pip install 'neuroloop[language]'"
        )
        row.addWidget(self.phrase, 1)
        row.addWidget(self.keyboard)
        row.addWidget(self.display)

    def _n_keys(self, index: int) -> int:
        return len(self.keyboard.itemData(index).labels)

    def suggest(self, config: Config | None) -> None:
        """Choose the keyboard that has as many keys as a session's decoder has targets."""
        decoder = None if config is None else config.decoder
        n_targets = len(getattr(decoder, "frequencies_hz", ())) or 12
        fitting = [i for i in range(self.keyboard.count()) if self._n_keys(i) >= n_targets]
        wanted = [i for i in fitting if self.keyboard.itemText(i).startswith(FIRST)]
        self.keyboard.setCurrentIndex((wanted or fitting or [0])[0])

    def settings(self, url: str, token: str, config: Config | None) -> StimulusSettings:
        """What the flicker's process is told.

        Raises
        ------
        ValueError
            Something is missing; the message says what.
        """
        if not self.consent.isChecked():
            raise ValueError(
                "flicker can provoke seizures in people with photosensitive epilepsy: confirm "
                "above that nobody in sight of the screen has it"
            )
        try:
            targets, layout, flickers = tuned(self.keyboard.currentData(), config)
            return StimulusSettings.describe(
                targets,
                layout,
                flickers,
                url=url,
                token=token or None,
                mode="copy" if self.copy.isChecked() else "free",
                phrase=self.phrase.text().strip(),
                times={"stim_s": flicker_s(config), **self.times},
                **self.display.where(),
            )
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(why) from error
        except BciError as error:
            raise ValueError(str(error)) from error
