"""Which frequencies and phases a screen can flicker at, and which of them get in each other's way.

A screen changes its picture only with each frame. A *locked* flicker is on for
whole frames and off for whole frames, so its frequency is the refresh rate over
an integer: few frequencies, but every cycle looks the same. A *sampled* flicker
shows at each frame the luminance that a sinusoid has at the frame's scheduled
time [1]_ [2]_: any frequency below half the refresh rate, with images of it
mirrored at the refresh rate. Give the decoder the frequencies that come out, not
those that were wished for: 60 Hz over 7 is 8.571 Hz, and not 8.5.

.. [1] Chen, Wang, Nakanishi, Gao, Jung, Gao (2015). High-speed spelling with a
   noninvasive brain-computer interface. PNAS 112, E6058.
.. [2] Nakanishi, Wang, Wang, Mitsukura, Jung (2014). Generating visual flickers for
   eliciting robust steady-state visual evoked potentials at flexible frequencies
   using monitor refresh rate. PLOS ONE 9, e99235.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from bci.errors import ConfigError
from bci.paradigms.speller import Target

Method = Literal["locked", "sampled"]

#: Fewest frames of a locked cycle: one on, one off.
MIN_FRAMES = 2


@dataclass(frozen=True, slots=True)
class Flicker:
    """One target as the screen will show it.

    Attributes
    ----------
    wished_hz : float
    frequency_hz : float
        What the screen shows; this is what the decoder must know.
    phase : float
        Radians, 0 to 2π; of a locked flicker a whole number of frames.
    frames : tuple of int or None
        Frames on and frames off of a locked cycle; an odd cycle is on for one frame
        more than off, which adds even harmonics. None: sampled.
    """

    wished_hz: float
    frequency_hz: float
    phase: float
    frames: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """The class that a decoder names, as in `bci.paradigms.speller.Target`."""
        return f"{self.frequency_hz:g} Hz"


def locked_frames(refresh_hz: float, low_hz: float, high_hz: float) -> tuple[int, ...]:
    """Frames per cycle of every locked flicker from `low_hz` to `high_hz`, slowest first.

    Raises
    ------
    ConfigError
        The rate or the range is none.
    """
    _check_range(refresh_hz, low_hz, high_hz)
    tolerance = 1e-9  # 60 / 7.5 must count as 8
    fewest = max(MIN_FRAMES, math.ceil(refresh_hz / high_hz - tolerance))
    most = math.floor(refresh_hz / low_hz + tolerance)
    return tuple(range(most, fewest - 1, -1))


def spread(
    refresh_hz: float, n_targets: int, low_hz: float, high_hz: float, method: Method
) -> tuple[float, ...]:
    """Choose `n_targets` frequencies, Hz: equal steps from `low_hz` to `high_hz`.

    Of a locked flicker those nearest to the equal steps that there are.

    Raises
    ------
    ConfigError
        Rate, range or number make no sense, or there are not so many.
    """
    _check_range(refresh_hz, low_hz, high_hz)
    if n_targets < 2:
        raise ConfigError(f"a plan needs 2 targets or more, found {n_targets}")
    steps = tuple(np.linspace(low_hz, high_hz, n_targets).tolist())
    if method == "sampled":
        return steps
    there = [refresh_hz / n for n in locked_frames(refresh_hz, low_hz, high_hz)]
    if len(there) < n_targets:
        listed = ", ".join(f"{hz:.4g}" for hz in there) or "none"
        raise ConfigError(
            f"{n_targets} targets are asked for, but between {low_hz:g} and {high_hz:g} Hz a "
            f"screen at {refresh_hz:g} Hz has {len(there)} frame-locked frequencies ({listed}); "
            "widen the range, ask for fewer, or plan sampled flicker"
        )
    return tuple(there[i] for i in _nearest_distinct(steps, there))


def plan(
    refresh_hz: float,
    wished_hz: Sequence[float],
    phases: Sequence[float] | None = None,
    *,
    method: Method = "sampled",
    step_pi: float = 0.5,
) -> tuple[Flicker, ...]:
    """Turn wishes into what a screen can show.

    Parameters
    ----------
    refresh_hz : float
        Measured refresh rate, Hz.
    wished_hz : sequence of float
        One per target, Hz.
    phases : sequence of float or None
        Wished phases, radians. None: joint frequency-phase modulation, `step_pi`
        times π more from one target to the next.
    method : "sampled" or "locked"
        Sampled flicker keeps its frequency and phase. Locked flicker gets the
        nearest cycle of whole frames, another one for each target, and its phase is
        rounded to whole frames.
    step_pi : float

    Raises
    ------
    ConfigError
        A frequency cannot be shown, two are the same, or numbers don't fit together.
    """
    wishes = [float(hz) for hz in wished_hz]
    if not (math.isfinite(refresh_hz) and refresh_hz > 0.0):
        raise ConfigError(f"the refresh rate must be a number of Hz above 0, found {refresh_hz}")
    if len(wishes) < 2:
        raise ConfigError(f"a plan needs 2 targets or more, found {len(wishes)}")
    wrong = [hz for hz in wishes if not 0.0 < hz < math.inf]
    if wrong or len(set(wishes)) < len(wishes):
        raise ConfigError(f"frequencies must be different and above 0 Hz, found {_listed(wishes)}")
    if phases is None:
        phases = [k * step_pi * math.pi for k in range(len(wishes))]
    if len(phases) != len(wishes):
        raise ConfigError(f"{len(wishes)} frequencies need as many phases, found {len(phases)}")
    if method == "locked":
        return _locked(refresh_hz, wishes, phases)
    too_fast = [hz for hz in wishes if hz >= refresh_hz / 2]
    if too_fast:
        raise ConfigError(
            f"{_listed(too_fast)} Hz cannot be shown at {refresh_hz:g} Hz: a sampled flicker must "
            f"lie below half the refresh rate, {refresh_hz / 2:g} Hz"
        )
    return tuple(
        Flicker(hz, hz, phase % (2 * math.pi)) for hz, phase in zip(wishes, phases, strict=True)
    )


def _locked(
    refresh_hz: float, wishes: Sequence[float], phases: Sequence[float]
) -> tuple[Flicker, ...]:
    fastest = refresh_hz / MIN_FRAMES
    if max(wishes) > fastest * (1 + 1e-9):
        raise ConfigError(
            f"{max(wishes):g} Hz cannot be shown at {refresh_hz:g} Hz: the fastest frame-locked "
            f"flicker has {MIN_FRAMES} frames a cycle, {fastest:g} Hz"
        )
    room = len(wishes)  # so many longer cycles, so that each target finds one of its own
    cycles = list(range(MIN_FRAMES, math.ceil(refresh_hz / min(wishes)) + room + 1))
    chosen = _nearest_distinct(wishes, [refresh_hz / n for n in cycles])
    flickers = []
    for wish, phase, n in zip(wishes, phases, (cycles[i] for i in chosen), strict=True):
        shift = round(phase / (2 * math.pi) * n) % n
        frames = (n - n // 2, n // 2)
        flickers.append(Flicker(wish, refresh_hz / n, 2 * math.pi * shift / n, frames))
    return tuple(flickers)


def _nearest_distinct(wishes: Sequence[float], there: Sequence[float]) -> list[int]:
    """Give each wish a place of `there` of its own, so that they differ least in all."""
    cost = np.abs(np.subtract.outer(np.asarray(wishes), np.asarray(there)))
    return [int(i) for i in linear_sum_assignment(cost)[1]]


def luminance(flicker: Flicker, refresh_hz: float, n_frames: int) -> np.ndarray:
    """Luminance at each frame, 0 to 1, shape (n_frames,): what a screen in step shows."""
    frame = np.arange(n_frames)
    if flicker.frames is None:
        angle = 2 * np.pi * flicker.frequency_hz * frame / refresh_hz + flicker.phase
        return np.asarray(0.5 * (1.0 + np.sin(angle)))
    on, off = flicker.frames
    shift = round(flicker.phase / (2 * math.pi) * (on + off))
    return ((frame + shift) % (on + off) < on).astype(float)


def targets(flickers: Sequence[Flicker], n_rows: int) -> tuple[Target, ...]:
    """Targets of a speller with `n_rows` rows; frequencies grow down the columns."""
    return tuple(
        Target(f.label, f.frequency_hz, f.phase, k % n_rows, k // n_rows)
        for k, f in enumerate(flickers)
    )


def decoder_yaml(flickers: Sequence[Flicker], kind: str = "fbcca") -> str:
    """Lines for a session's configuration: the decoder with the frequencies that are shown."""
    lines = [f"  {f.label}: {round(f.frequency_hz, 9)!r}" for f in flickers]
    return "\n".join([f"decoder:\n  kind: {kind}\n  frequencies_hz:", *(f"  {x}" for x in lines)])


def _check_range(refresh_hz: float, low_hz: float, high_hz: float) -> None:
    if not (math.isfinite(refresh_hz) and refresh_hz > 0.0):
        raise ConfigError(f"the refresh rate must be a number of Hz above 0, found {refresh_hz}")
    if not 0.0 < low_hz < high_hz < math.inf:
        raise ConfigError(
            f"a range goes from a frequency above 0 Hz to a higher one, found {low_hz:g} to "
            f"{high_hz:g} Hz"
        )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
