"""The steps of a calibration, and what must be true before each of the next.

Without screen or engine: it is told what was found, and says what stands against
going on. First the signal, then consent to the flicker and a plan that the screen
can show (both only where something flickers), then blocks of cued trials, then the
choice of a decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from bci.calibration.looks import FEWEST_BLOCKS
from bci.dsp.signal_quality import ChannelQuality
from bci.paradigms.collisions import PROVOCATIVE_HZ

#: Flicker in this range can provoke seizures in people with photosensitive epilepsy, Hz.
FLICKER_HZ = (3.0, 60.0)
#: Share of bad channels from which somebody must say that it may go on all the same.
MAX_BAD = 0.25
WARNING = (
    "Flickering light can provoke epileptic seizures, also in people who never had one before, "
    f"above all between {PROVOCATIVE_HZ[0]:g} and {PROVOCATIVE_HZ[1]:g} Hz. Nobody takes part who "
    "has photosensitive epilepsy, who had a seizure, or whose close relatives did, without a "
    "physician's word. Esc or Space blanks the screen at once; stop at any unusual feeling, "
    "twitching, dizziness or change of sight."
)
CONSENT = "The participant has read this, knows of no such history, and agrees."


class Step(StrEnum):
    """Where a calibration stands."""

    QUALITY = "quality"
    CONSENT = "consent"
    PLAN = "plan"
    BLOCKS = "blocks"
    CHOICE = "choice"


class CalibrationGuide:
    """One calibration; see the module.

    Parameters
    ----------
    frequencies_hz : sequence of float
        Of the targets; empty where nothing flickers.
    n_needed : int
        Blocks or runs that the decoder is trained on, at least.

    Attributes
    ----------
    step : Step
    steps : tuple of Step
        Those of this calibration, in order.
    agreed : bool
        Whether the participant consents to the flicker.
    overruled : bool
        Whether somebody decided to go on with bad channels.
    n_blocks : int
        Done.
    """

    def __init__(self, frequencies_hz: Sequence[float], n_needed: int = FEWEST_BLOCKS) -> None:
        self.frequencies_hz = tuple(frequencies_hz)
        self.n_needed = n_needed
        low, high = FLICKER_HZ
        asks = any(low <= hz <= high for hz in self.frequencies_hz)
        self.steps = tuple(
            step
            for step in Step
            if (step is not Step.CONSENT or asks) and (step is not Step.PLAN or self.frequencies_hz)
        )
        self.step = self.steps[0]
        self.agreed = self.overruled = False
        self.n_blocks = 0
        self._quality: list[ChannelQuality] = []
        self._screen: list[str] | None = None

    # --- what is found ---------------------------------------------------------------------------

    def see_quality(self, found: Sequence[ChannelQuality]) -> None:
        """Take the newest judgement of the channels."""
        self._quality = list(found)

    def see_screen(self, objections: Sequence[str] | None) -> None:
        """Take what there is to object to the screen and the plan on it; nothing: it may begin.

        None: nobody knows, for it is being measured.
        """
        self._screen = None if objections is None else list(objections)

    def replan(self, frequencies_hz: Sequence[float]) -> None:
        """Other targets flicker: the screen is judged anew; signal and consent stand."""
        self.frequencies_hz = tuple(frequencies_hz)
        self._screen, self.n_blocks = None, 0
        self.step = Step.PLAN

    def see_block(self, n_blocks: int) -> None:
        """So many blocks are done."""
        self.n_blocks = n_blocks

    # --- steps -----------------------------------------------------------------------------------

    @property
    def bads(self) -> list[ChannelQuality]:
        """Channels with something wrong."""
        return [q for q in self._quality if not q.ok]

    @property
    def objections(self) -> list[str]:
        """What stands against the next step, one line each; empty: go on."""
        match self.step:
            case Step.QUALITY:
                return self._against_signal()
            case Step.CONSENT:
                return [] if self.agreed else ["the participant has not agreed to the flicker"]
            case Step.PLAN:
                return ["the screen is not measured yet"] if self._screen is None else self._screen
            case Step.BLOCKS if self.n_blocks < self.n_needed:
                what = "blocks" if self.frequencies_hz else "runs or cues of each label"
                return [f"{self.n_needed} {what} are needed, to train on some and judge by another"]
        return []

    def _against_signal(self) -> list[str]:
        if not self._quality:
            return ["no samples have come yet"]
        n, n_bad = len(self._quality), len(self.bads)
        if n_bad == n:
            return ["no channel is good: there is nothing to calibrate on"]
        if n_bad > MAX_BAD * n and not self.overruled:
            return [f"{n_bad} of {n} channels are not good: mend them, or go on all the same"]
        return []

    @property
    def can_overrule(self) -> bool:
        """Whether somebody may decide to go on with the channels as they are."""
        return self.step is Step.QUALITY and 0 < len(self.bads) < len(self._quality)

    @property
    def is_last(self) -> bool:
        """Whether no step follows."""
        return self.step is self.steps[-1]

    def go_on(self) -> bool:
        """Take the next step; False where something stands against it, or none follows."""
        if self.is_last or self.objections:
            return False
        self.step = self.steps[self.steps.index(self.step) + 1]
        return True

    def go_back(self) -> None:
        """Take the step before, if there is one."""
        self.step = self.steps[max(0, self.steps.index(self.step) - 1)]
