"""Plans that a measured screen can show, and which of them has least against it.

All have equal steps of frequency and joint phases (`bci.paradigms.frequencies`); they differ
in where they begin, how far they step, and in how they are shown. Sums and differences of
equal steps always fall on other targets, equally often whatever the step, so that they do not
rank plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from bci.errors import ConfigError
from bci.paradigms.collisions import (
    FEWEST_SAMPLES,
    LARGE_SHARE,
    PROVOCATIVE_HZ,
    aliases,
    findings,
    harmonics,
)
from bci.paradigms.frequencies import Flicker, Method, plan, spread

#: Lowest frequencies and steps that are tried for sampled flicker, Hz (choice: around those of
#: the literature, 8 to 16 Hz in steps of 0.2 or 0.5).
STARTS_HZ = (8.0, 8.5, 9.0, 9.25, 9.5, 10.0)
STEPS_HZ = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0)
#: Range in which frame-locked flicker is looked for, Hz (choice).
LOCKED_HZ = (6.0, 20.0)
#: A frequency may come out so far from its plan, Hz: a window of 4 s resolves five times that.
OFF_HZ = 0.05
#: Decimals of a frequency that is offered, Hz: its label says it whole.
DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What a screen would show.

    Attributes
    ----------
    method : "sampled" or "locked"
    refresh_hz : float
        Of the screen that it is for.
    flickers : tuple of Flicker
        Slowest first.
    window_s, flicker_share : float
        See `bci.paradigms.collisions.findings`.
    faults : tuple of int
        How often, worst first: targets in the range that provokes seizures on a large part of
        the screen, neighbours that a window cannot tell apart, harmonics that fall on another
        target's, flickers that beat with the frames.
    """

    method: Method
    refresh_hz: float
    flickers: tuple[Flicker, ...]
    window_s: float
    flicker_share: float
    faults: tuple[int, int, int, int]

    @property
    def findings(self) -> list[str]:
        """What is to be known about it, one line each."""
        return findings(
            self.flickers, self.refresh_hz,
            window_s=self.window_s, flicker_share=self.flicker_share, n_listed=1,
        )  # fmt: skip

    @property
    def n_collisions(self) -> int:
        """Harmonics that fall on each other or, folded, on another target."""
        return self.faults[2]

    def __str__(self) -> str:
        """Number, range, steps and how."""
        hz = [f.frequency_hz for f in self.flickers]
        steps = [b - a for a, b in pairwise(hz)]
        far = f"{min(steps):.3g}"
        if max(steps) - min(steps) > 10.0**-DECIMALS:
            far += f" to {max(steps):.3g}"
        how = "sampled sinusoids" if self.method == "sampled" else "whole frames on and off"
        return f"{len(hz)}, {hz[0]:.4g} to {hz[-1]:.4g} Hz in steps of {far} Hz, {how}"


def judge(
    flickers: Sequence[Flicker], refresh_hz: float, *, window_s: float, flicker_share: float
) -> Plan:
    """Say what there is to know about flickers on a screen.

    Parameters
    ----------
    flickers, refresh_hz
        See `bci.paradigms.frequencies.plan`.
    window_s, flicker_share
        See `bci.paradigms.collisions.findings`.

    Raises
    ------
    ConfigError
        This screen cannot show them.
    """
    ordered = tuple(sorted(flickers, key=lambda f: f.frequency_hz))
    hz = [f.frequency_hz for f in ordered]
    if ordered[0].frames is None:
        plan(refresh_hz, hz)  # says which are too fast
    low, high = PROVOCATIVE_HZ
    large = flicker_share > LARGE_SHARE
    return Plan(
        "sampled" if ordered[0].frames is None else "locked",
        refresh_hz,
        ordered,
        window_s,
        flicker_share,
        (
            sum(large and low <= f <= high for f in hz),
            sum(b - a < (1 - 1e-9) / window_s for a, b in pairwise(hz)),
            sum(1 for _ in harmonics(hz)) + sum(1 for _ in aliases(ordered, refresh_hz)),
            sum(f.frames is None and FEWEST_SAMPLES * f.frequency_hz > refresh_hz for f in ordered),
        ),
    )  # fmt: skip


def ask(
    refresh_hz: float, n_targets: int, low_hz: float, high_hz: float, method: Method,
    *, window_s: float, flicker_share: float,
) -> Plan:  # fmt: skip
    """Make the plan that somebody asks for.

    Raises
    ------
    ConfigError
        This screen cannot show it; the message says what it can.
    """
    hz = spread(refresh_hz, n_targets, low_hz, high_hz, method)
    if method == "sampled":
        hz = tuple(round(f, DECIMALS) for f in hz)
    shown = plan(refresh_hz, hz, method=method)
    return judge(shown, refresh_hz, window_s=window_s, flicker_share=flicker_share)


def offers(
    refresh_hz: float, n_targets: int, *, window_s: float, flicker_share: float
) -> list[Plan]:
    """Plans for a screen: the best of each step, those with least against them first.

    A frame-locked one is the last, where the screen has as many such frequencies.

    Raises
    ------
    ConfigError
        No such plan can be shown.
    """
    best: dict[float, Plan] = {}
    for step, start in product(STEPS_HZ, STARTS_HZ):
        high = start + (n_targets - 1) * step
        if high >= refresh_hz / 2:
            continue
        made = ask(
            refresh_hz, n_targets, start, high, "sampled",
            window_s=window_s, flicker_share=flicker_share,
        )  # fmt: skip
        if step not in best or made.faults < best[step].faults:
            best[step] = made
    wider_first = sorted(best, reverse=True)  # which counts where all else is equal
    found = sorted((best[step] for step in wider_first), key=lambda made: made.faults)
    try:
        found.append(
            ask(refresh_hz, n_targets, *LOCKED_HZ, "locked",
                window_s=window_s, flicker_share=flicker_share)
        )  # fmt: skip
    except ConfigError:
        if not found:
            raise
    return found


def of_session(
    frequencies_hz: Mapping[str, float], method: Method, refresh_hz: float | None
) -> dict[str, Flicker]:
    """How a session's targets flicker, by label; phases follow the frequencies.

    Parameters
    ----------
    frequencies_hz : mapping
        Label: Hz.
    method : "sampled" or "locked"
    refresh_hz : float or None
        Of the screen that the plan was made for; sampled flicker needs none.

    Raises
    ------
    ConfigError
        See `bci.paradigms.frequencies.plan`.
    """
    ordered = sorted(frequencies_hz, key=frequencies_hz.__getitem__)
    hz = [frequencies_hz[label] for label in ordered]
    rate = refresh_hz or 3.0 * max(hz)  # of sampled flicker nothing depends on it
    return dict(zip(ordered, plan(rate, hz, method=method), strict=True))


def off_plan(flickers: Sequence[Flicker], refresh_hz: float) -> Iterator[str]:
    """Say which frame-locked flickers come out at other frequencies on this screen."""
    shown = [(f.frequency_hz, refresh_hz / sum(f.frames)) for f in flickers if f.frames is not None]
    off = [pair for pair in shown if abs(pair[0] - pair[1]) > OFF_HZ]
    if off:
        planned, comes = off[0]
        yield (
            f"{len(off)} targets were planned for another screen: at {refresh_hz:.2f} Hz the one "
            f"of {planned:.4g} Hz flickers at {comes:.4g} Hz; plan them for this screen"
        )
