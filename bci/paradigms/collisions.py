"""What can go wrong between the flickers of a plan, and for the person in front of them.

Two targets are told apart by the lines that their flicker draws into the
spectrum of the EEG: the frequency, its harmonics, and, because vision is not
linear, sums and differences with whatever else flickers in view. A plan is good
where such lines don't fall on each other. All limits that no source fixes are
arguments with a default, marked "choice".

.. [1] Recommendation ITU-R BT.1702 (2005). Guidance for the reduction of
   photosensitive epileptic seizures caused by television: not more than three
   flashes a second on more than a quarter of the screen.
.. [2] Harding, Jeavons (1994). Photosensitive Epilepsy. Mac Keith Press. That the
   band of 15 to 25 Hz provokes most is quoted widely after such work; the figures
   of the book itself were not checked here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations, product

from bci.errors import ConfigError
from bci.paradigms.frequencies import Flicker

#: The band that provokes most [2]_, Hz, and the share of the screen that counts as large [1]_.
PROVOCATIVE_HZ = (15.0, 25.0)
LARGE_SHARE = 0.25
#: A sampled sinusoid with fewer frames a cycle beats visibly with the frames (choice).
FEWEST_SAMPLES = 4.0
#: Targets that are listed one by one.
N_SPELLED = 6


@dataclass(frozen=True, slots=True)
class Collision:
    """Two lines of the spectrum that fall on each other, in words, and where, Hz."""

    what: str
    hz: float


def harmonics(
    frequencies_hz: Sequence[float], n_harmonics: int = 5, resolution_hz: float = 0.1
) -> Iterator[Collision]:
    """Harmonics that two targets share, such as ``2 · 7.5 = 15 Hz``.

    Parameters
    ----------
    frequencies_hz : sequence of float
    n_harmonics : int
        Highest harmonic that the decoder uses.
    resolution_hz : float
        Lines nearer than this, Hz, count as one (choice).
    """
    orders = range(1, n_harmonics + 1)
    coprime = [(h, k) for h in orders for k in orders if h != k and math.gcd(h, k) == 1]
    for one, other in combinations(frequencies_hz, 2):
        for h, k in coprime:
            if abs(h * one - k * other) < resolution_hz:
                yield Collision(f"{_times(h, one)} = {_times(k, other)}", h * one)


def intermodulation(
    frequencies_hz: Sequence[float], order: int = 3, resolution_hz: float = 0.1
) -> Iterator[Collision]:
    """Sums and differences of two targets that fall on a third, such as ``2 · 10 − 8 = 12 Hz``.

    They matter where both flicker near the point that is looked at.

    Parameters
    ----------
    frequencies_hz : sequence of float
    order : int
        Largest m + n of ``m f1 ± n f2`` (choice).
    resolution_hz : float
        As in `harmonics`.
    """
    orders = [(m, n) for m in range(1, order) for n in range(1, order - m + 1)]
    for (i, one), (j, other) in permutations(enumerate(frequencies_hz), 2):
        thirds = [hz for k, hz in enumerate(frequencies_hz) if k not in (i, j)]
        for m, n in orders:
            lines = [(" − ", m * one - n * other)]
            if i < j:  # a sum is the same either way
                lines.insert(0, (" + ", m * one + n * other))
            for (sign, hz), third in product(lines, thirds):
                if abs(hz - third) < resolution_hz:
                    what = f"{_times(m, one)}{sign}{_times(n, other)} = {third:.4g}"
                    yield Collision(what, hz)


def aliases(
    flickers: Sequence[Flicker],
    refresh_hz: float,
    n_harmonics: int = 5,
    resolution_hz: float = 0.1,
) -> Iterator[Collision]:
    """Lines of a sampled flicker, folded at half the refresh rate, that fall on another target.

    Where the screen does not show luminance in proportion, a sampled sinusoid has
    harmonics, and those above half the refresh rate come back mirrored.
    """
    for flicker in flickers:
        if flicker.frames is not None:
            continue
        for h in range(2, n_harmonics + 1):
            line = h * flicker.frequency_hz
            if line <= refresh_hz / 2:
                continue
            folded = abs(line - refresh_hz * round(line / refresh_hz))
            for other in flickers:
                if other is not flicker and abs(folded - other.frequency_hz) < resolution_hz:
                    what = (
                        f"{_times(h, flicker.frequency_hz)}, folded at {refresh_hz / 2:g} Hz, = "
                        f"{other.frequency_hz:.4g}"
                    )
                    yield Collision(what, folded)


def findings(
    flickers: Sequence[Flicker],
    refresh_hz: float,
    *,
    window_s: float = 1.0,
    n_harmonics: int = 5,
    order: int = 3,
    resolution_hz: float = 0.1,
    flicker_share: float = 1.0,
    n_listed: int = 5,
) -> list[str]:
    """Everything to know about a plan before someone looks at it, one line each.

    Parameters
    ----------
    flickers, refresh_hz
        See `bci.paradigms.frequencies.plan`.
    window_s : float
        Longest window of the decoder, seconds; spectra resolve 1 / `window_s`.
    n_harmonics, order, resolution_hz
        See `harmonics` and `intermodulation`.
    flicker_share : float
        Share of the screen that flickers, all targets together; unknown: 1.
    n_listed : int
        Collisions of a kind that are spelled out; the others are counted.

    Raises
    ------
    ConfigError
        An argument is out of its range.
    """
    if not (window_s > 0.0 and resolution_hz > 0.0 and n_harmonics >= 1 and order >= 2):
        raise ConfigError(
            f"window {window_s:g} s and resolution {resolution_hz:g} Hz must be above 0, harmonics "
            f"{n_harmonics} at least 1, and the order of intermodulation {order} at least 2"
        )
    if not 0.0 <= flicker_share <= 1.0:
        raise ConfigError(f"the share of the screen lies between 0 and 1, found {flicker_share:g}")
    hz = [f.frequency_hz for f in flickers]
    found: Mapping[str, Iterator[Collision]] = {
        "harmonics fall on each other": harmonics(hz, n_harmonics, resolution_hz),
        "sums or differences of two targets fall on a third": intermodulation(
            hz, order, resolution_hz
        ),
        "folded harmonics fall on a target": aliases(
            flickers, refresh_hz, n_harmonics, resolution_hz
        ),
    }
    return [
        *_photosensitive(hz, flicker_share),
        *_close(hz, window_s),
        *(
            line
            for what, collisions in found.items()
            if (line := _told(what, [c.what for c in collisions], n_listed))
        ),
        *_beats(flickers, refresh_hz),
    ]


def _photosensitive(hz: Sequence[float], share: float) -> Iterator[str]:
    low, high = PROVOCATIVE_HZ
    inside = [f for f in sorted(hz) if low <= f <= high]
    if inside and share > LARGE_SHARE:
        listed = _some([f"{f:.4g}" for f in inside])
        yield (
            f"photosensitivity: {listed} Hz lie between {low:g} and {high:g} Hz, where flicker "
            f"provokes seizures most, on {100 * share:.0f} % of the screen (ITU-R BT.1702: not "
            f"more than {100 * LARGE_SHARE:.0f} %); make the targets smaller, or use other "
            "frequencies, and never show it to people with photosensitive epilepsy"
        )


def _close(hz: Sequence[float], window_s: float) -> Iterator[str]:
    ordered = sorted(hz)
    near = [(a, b) for a, b in pairwise(ordered) if b - a < (1 - 1e-9) / window_s]
    if near:
        a, b = min(near, key=lambda pair: pair[1] - pair[0])
        yield (
            f"{len(near)} pair{'s' * (len(near) > 1)} of neighbours closer than {1 / window_s:.3g} "
            f"Hz, which a window of {window_s:g} s resolves (closest: {a:.4g} and {b:.4g} Hz): "
            "only their phases, or longer windows, tell them apart"
        )


def _beats(flickers: Sequence[Flicker], refresh_hz: float) -> Iterator[str]:
    fast = [
        f"{f.frequency_hz:.4g} Hz at {refresh_hz - 2 * f.frequency_hz:.4g} Hz"
        for f in flickers
        if f.frames is None and f.frequency_hz > refresh_hz / FEWEST_SAMPLES
    ]
    if fast:
        yield (
            f"fewer than {FEWEST_SAMPLES:g} frames a cycle, so that the flicker beats with its "
            f"image beyond half the refresh rate: {_some(fast)}"
        )


def _told(what: str, collisions: Sequence[str], n_listed: int) -> str:
    if not collisions:
        return ""
    more = len(collisions) - n_listed
    rest = f"; and {more} more" if more > 0 else ""
    return f"{what}: {'; '.join(collisions[:n_listed])}{rest}"


def _some(values: Sequence[str]) -> str:
    """All of a few; of many the first and the last."""
    if len(values) <= N_SPELLED:
        return ", ".join(values)
    return f"{', '.join(values[: N_SPELLED - 1])} … {values[-1]} ({len(values)} in all)"


def _times(n: int, hz: float) -> str:
    return f"{hz:.4g}" if n == 1 else f"{n} · {hz:.4g}"
