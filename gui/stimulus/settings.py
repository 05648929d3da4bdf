"""What the flicker's process is told when it starts: one line of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from bci.config import GrazSettings, Settings
from bci.errors import ConfigError
from bci.paradigms.flash_run import FlashRun
from bci.paradigms.frequencies import Flicker
from bci.paradigms.graz import GrazTimetable
from bci.paradigms.graz_run import GrazRun
from bci.paradigms.keyboard import Key, Keyboard, KeyboardLayout
from bci.paradigms.language import load_language
from bci.paradigms.speller import Target
from bci.paradigms.spelling import SpellingRun
from bci.paradigms.spelling_scene import SpellingTimes
from bci.paradigms.spelling_tasks import Calibration, Copying, FreeSpelling, Task

__all__ = ["Mode", "StimulusSettings", "TargetSettings"]

Mode = Literal["calibration", "copy", "free", "graz", "measure", "timing"]


#: Modes in which there is one patch instead of keys, and what stands on it.
_PATCH = {"measure": "", "timing": "photodiode here"}


class TargetSettings(Settings):
    """One flickering key."""

    label: str = Field(description="the class that the decoder names")
    frequency_hz: float = Field(gt=0)
    phase: float = Field(0.0, description="radians")
    row: int = Field(ge=0)
    column: int = Field(ge=0)
    frames: tuple[int, int] | None = Field(
        None, description="frames on and off of a frame-locked cycle; null: sampled sinusoid"
    )

    def flicker(self) -> Flicker:
        """As the luminance is computed."""
        return Flicker(self.frequency_hz, self.frequency_hz, self.phase, self.frames)


class TimesSettings(Settings):
    """Duration of each part of a trial, seconds; see `bci.paradigms.spelling_scene`."""

    cue_s: float = Field(0.5, gt=0)
    stim_s: float = Field(4.2, gt=0, le=60)
    wait_s: float = Field(1.0, ge=0)
    feedback_s: float = Field(0.5, ge=0)
    rest_s: float = Field(0.25, ge=0)


class StimulusSettings(Settings):
    """The whole: engine, keys, task, window."""

    url: str = Field(description="of the engine's API")
    token: str | None = None
    targets: tuple[TargetSettings, ...] = Field(
        (), description="none where there is no speller: modes graz, measure and timing"
    )
    pages: dict[str, tuple[tuple[str, str, str], ...]] = Field(
        {}, description="keyboard: page: action, value and caption of each target's key"
    )
    language: str = Field(
        "", description="of the words that are offered, as wordfreq calls it; empty: none are"
    )
    expects: bool = Field(
        True, description="tell the engine which keys the language makes probable"
    )
    mode: Mode = "copy"
    phrase: str = Field("", description="to be copied")
    n_blocks: int = Field(2, ge=1, description="of calibration")
    seed: int = Field(
        0, ge=0, description="of calibration's order, and of the times of mode timing"
    )
    idle_after: int | None = Field(
        3, ge=1, description="free spelling falls asleep after so many trials without decision"
    )
    graz: GrazSettings | None = Field(None, description="timetable of mode graz")
    seconds: float = Field(120.0, ge=1, le=600, description="of mode timing")
    times: TimesSettings = TimesSettings()
    window: tuple[int, int] | None = Field(
        None, description="width and height of a window; null: the full screen"
    )
    screen: int = Field(0, ge=0, description="number of the screen")
    surface: Literal["auto", "gl", "raster"] = "auto"
    measure_s: float = Field(2.0, ge=1.0, le=60, description="to measure the refresh rate")
    max_dropped: float = Field(
        0.01, ge=0, le=1, description="share of dropped frames with which calibration starts"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.mode in _PATCH:
            return self
        if self.mode == "graz":
            if self.graz is None:
                raise ValueError("mode graz shows a timetable: say its settings under 'graz'")
            return self
        if len(self.targets) < 2:
            raise ValueError(f"a speller needs 2 targets or more, found {len(self.targets)}")
        try:
            self.keyboard()
            self.task()
        except ConfigError as error:  # it would pass through pydantic without its place
            raise ValueError(str(error)) from error
        return self

    @classmethod
    def describe(
        cls,
        targets: Sequence[Target],
        layout: KeyboardLayout,
        flickers: Sequence[Flicker] = (),
        **others: object,
    ) -> Self:
        """Settings for targets on a screen and the keyboard over them.

        Parameters
        ----------
        targets : sequence of Target
            In the order of `layout`.
        layout : KeyboardLayout
        flickers : sequence of Flicker
            What the screen shows of them, in the same order; none: sampled sinusoids.
        **others
            All else, by name.
        """
        frames = [f.frames for f in flickers] or [None] * len(targets)
        return cls.model_validate(
            {
                "targets": [
                    {
                        "label": t.label,
                        "frequency_hz": t.frequency_hz,
                        "phase": t.phase,
                        "row": t.row,
                        "column": t.column,
                        "frames": n,
                    }
                    for t, n in zip(targets, frames, strict=True)
                ],
                "pages": {
                    name: [(key.action, key.value, key.caption) for key in keys]
                    for name, keys in layout.pages.items()
                },
                "language": layout.language,
                **others,
            }
        )

    def run(self) -> SpellingRun | FlashRun | GrazRun:
        """Build the run, as it is before its start.

        Raises
        ------
        MissingDependency, ConfigError
            The words of the language cannot be had.
        """
        if self.mode in _PATCH:
            return FlashRun(self.seconds, self.seed, _PATCH[self.mode])
        if self.graz is not None and self.mode == "graz":
            return GrazRun(GrazTimetable(self.graz))
        keyboard = self.keyboard()
        if self.language and self.mode in ("copy", "free"):
            words = load_language(self.language, keyboard.layout.symbols)
            keyboard = replace(keyboard, words=words)
        return SpellingRun(self.task(), keyboard, self.spelling_times())

    @property
    def n_targets(self) -> int:
        """What can be selected, or imagined."""
        return len(self.targets) if self.graz is None else len(self.graz.asked)

    def cells(self) -> list[tuple[int, int]]:
        """Row and column of each key, or of the one patch."""
        if self.mode in _PATCH:
            return [(0, 0)]
        return [(target.row, target.column) for target in self.targets]

    def keyboard(self) -> Keyboard:
        """Build the keyboard, with nothing written and without words.

        Raises
        ------
        ValueError
            Pages and targets don't fit together.
        """
        pages = {name: tuple(Key(*key) for key in keys) for name, keys in self.pages.items()}  # type: ignore[arg-type]
        labels = tuple(t.label for t in self.targets)
        return Keyboard(KeyboardLayout(labels, pages, self.language))

    def task(self) -> Task:
        """Build what is to be done.

        Raises
        ------
        ConfigError
            The phrase is empty, or cannot be typed.
        """
        if self.mode == "calibration":
            labels = tuple(target.label for target in self.targets)
            return Calibration(labels, self.n_blocks, self.seed)
        if self.mode != "copy":
            return FreeSpelling(self.idle_after)
        phrase = self.keyboard().spellable(self.phrase)
        if not phrase:
            raise ConfigError("there is nothing to copy: the phrase is empty")
        return Copying(phrase)

    def spelling_times(self) -> SpellingTimes:
        """Durations for the run."""
        return SpellingTimes(**self.times.model_dump())
