"""How much later than its flip a picture is in the samples, and how constantly so.

A patch of the screen turns white and black at irregular times, each change stamped
with the clock when it was flipped. A photodiode on any channel (or a trigger cable
that loops the change back) puts the same changes into the samples. The time between
the two is what a marker must be shifted by (``markers.offset_s``), and its spread is
what no shift can mend.

Irregular times tell which edge belongs to which flip, however far apart they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bci.config import Config
from bci.errors import SourceError
from bci.types import FloatArray

Method = Literal["photodiode", "loop-back", "software"]

#: A patch stays so long, seconds: not more than three flashes a second (ITU-R BT.1702).
SHORTEST_S, LONGEST_S = 0.35, 0.75
#: Offsets that are looked for, seconds.
FARTHEST_S = 1.0
#: Edges this near to the offset of the others belong to their flip, seconds.
NEAR_S = 0.05
#: A step must be so many times larger than the noise.
CONTRAST = 6.0
#: Fewest flips that say something.
MIN_FLIPS = 10
#: Spread (standard deviation) up to which phases are kept, and up to which they suffer, seconds:
#: 2 ms are 11° of a 15 Hz flicker (choice).
GOOD_S, USABLE_S = 0.002, 0.005


def changes(seconds: float, seed: int = 0) -> FloatArray:
    """When the patch changes, seconds from the start: white first, then black, and so on."""
    rng = np.random.default_rng(seed)
    n = int(np.ceil(seconds / SHORTEST_S)) + 1
    times = 1.0 + np.cumsum(rng.uniform(SHORTEST_S, LONGEST_S, n))
    return np.asarray(times[times < seconds])


@dataclass(frozen=True, slots=True)
class TimingCheck:
    """What a check found.

    Attributes
    ----------
    n_flips, n_seen : int
        Flips while samples were taken, and those of them that the channel shows.
    offset_s : float
        Median time from a flip to its edge in the samples, seconds.
    jitter_s : float
        Standard deviation of that time, seconds, rising and falling edges apart.
    rise_s, fall_s : float
        Median for changes to white and to black: screens are not equally fast.
    differences : array, shape (n_seen,)
        From each flip to its edge, seconds.
    """

    n_flips: int
    n_seen: int
    offset_s: float
    jitter_s: float
    rise_s: float
    fall_s: float
    differences: FloatArray

    @property
    def verdict(self) -> str:
        """What it means, in one line."""
        ms = f"{1e3 * self.jitter_s:.1f} ms"
        if self.n_seen < 0.9 * self.n_flips:
            return (
                f"{self.n_flips - self.n_seen} of {self.n_flips} flips did not reach the "
                "channel: see whether the sensor sits firmly"
            )
        if self.jitter_s <= GOOD_S:
            return f"good: a jitter of {ms} leaves the phases of the flicker alone"
        if self.jitter_s <= USABLE_S:
            return f"usable: a jitter of {ms} costs some of the phase; frequencies are not touched"
        return (
            f"bad: a jitter of {ms} destroys the phase on which trained decoders rest; look for "
            "dropped frames, a wireless amplifier, or a second screen"
        )


def edges(
    signal: FloatArray, times: FloatArray, channel: str = "the channel"
) -> tuple[FloatArray, FloatArray]:
    """Find when a signal of two levels changes between them.

    Parameters
    ----------
    signal : array, shape (n_samples,)
        NaN where samples were lost.
    times : array, shape (n_samples,)
        Of the samples, seconds.
    channel : str
        Its name, for messages.

    Returns
    -------
    rising, falling : array
        Times at which half the step is passed, interpolated between samples.

    Raises
    ------
    SourceError
        The channel shows no two levels.
    """
    there = np.isfinite(signal)
    x, t = signal[there], times[there]
    if len(x) < 3:
        raise SourceError(f"{channel} has no samples yet")
    low, high = np.percentile(x, [10.0, 90.0])
    noise = 1.4826 * float(np.median(np.abs(np.diff(x) - np.median(np.diff(x))))) / np.sqrt(2.0)
    if not high - low > max(CONTRAST * noise, 0.0):
        raise SourceError(
            f"{channel} shows no light going on and off (levels {low:.3g} and {high:.3g}, noise "
            f"{noise:.3g}): put the photodiode on the patch, or choose its channel"
        )
    middle, margin = 0.5 * (low + high), 0.2 * (high - low)
    state = np.zeros(len(x), dtype=int)  # 1 above, -1 below, 0 in between
    state[x > middle + margin], state[x < middle - margin] = 1, -1
    known = np.flatnonzero(state)
    steps = np.flatnonzero(np.diff(state[known]))
    longest = 1.5 * float(np.median(np.diff(t)))
    rising: list[float] = []
    falling: list[float] = []
    for a, b in zip(known[steps], known[steps + 1], strict=True):
        up = bool(state[b] > 0)
        part = x[a : b + 1] if up else -x[a : b + 1]
        level = middle if up else -middle
        k = a + max(1, int(np.argmax(part >= level)))
        if t[k] - t[k - 1] > longest:
            continue  # it was somewhere in between, where samples are lost
        share = (middle - x[k - 1]) / (x[k] - x[k - 1])
        (rising if up else falling).append(t[k - 1] + share * (t[k] - t[k - 1]))
    return np.array(rising), np.array(falling)


def check(
    signal: FloatArray,
    times: FloatArray,
    flips: Sequence[tuple[float, bool]],
    channel: str = "the channel",
) -> TimingCheck:
    """Compare a sensor's channel with the flips.

    Parameters
    ----------
    signal, times : array, shape (n_samples,)
        See `edges`; times as the engine gives them to samples.
    flips : sequence of (time, white)
        Changes of the patch, seconds of the same clock.
    channel : str
        Its name, for messages.

    Raises
    ------
    SourceError
        The channel shows no light, too little of it, or something else's.
    """
    rising, falling = edges(signal, times, channel)
    first, last = float(times[0]), float(times[-1])
    inside = [(t, on) for t, on in flips if first + FARTHEST_S <= t <= last - FARTHEST_S]
    if len(inside) < MIN_FLIPS:
        raise SourceError(f"{len(inside)} changes of the patch are too few; wait for {MIN_FLIPS}")
    on = np.array([t for t, white in inside if white])
    off = np.array([t for t, white in inside if not white])
    # a sensor may also turn the signal upside down: then white is where it falls
    (n_up, at_up), (n_down, at_down) = (
        _common(on, off, rising, falling),
        _common(on, off, falling, rising),
    )
    (whites, blacks), at = ((rising, falling), at_up) if n_up >= n_down else (
        (falling, rising), at_down
    )  # fmt: skip
    rise, fall = _near(on, whites, at), _near(off, blacks, at)
    found = np.concatenate([rise, fall])
    if len(found) < 0.5 * len(inside):
        raise SourceError(
            f"only {len(found)} of {len(inside)} changes of the patch are in {channel}: what it "
            "shows is something else"
        )
    centred = np.concatenate([part - np.mean(part) for part in (rise, fall) if len(part)])
    return TimingCheck(
        n_flips=len(inside),
        n_seen=len(found),
        offset_s=float(np.median(found)),
        jitter_s=float(np.std(centred)),
        rise_s=float(np.median(rise)) if len(rise) else np.nan,
        fall_s=float(np.median(fall)) if len(fall) else np.nan,
        differences=found,
    )


def with_offset(config: Config, found: TimingCheck) -> Config:
    """Take a session whose markers are shifted by what a check found.

    The check compares flips with samples, so that an offset that was set before has no
    part in it: it is replaced.
    """
    markers = config.markers.model_copy(update={"offset_s": round(found.offset_s, 5)})
    return config.model_copy(update={"markers": markers})


def _common(
    on: FloatArray, off: FloatArray, whites: FloatArray, blacks: FloatArray
) -> tuple[int, float]:
    """The offset at which most flips have an edge, and how many have."""
    apart = np.concatenate(
        [np.subtract.outer(e, f).ravel() for e, f in ((whites, on), (blacks, off)) if len(f)]
    )
    apart = np.sort(apart[np.abs(apart) <= FARTHEST_S])
    if not len(apart):
        return 0, 0.0
    counts = np.searchsorted(apart, apart + NEAR_S, side="right") - np.arange(len(apart))
    best = int(np.argmax(counts))
    return int(counts[best]), float(np.median(apart[best : best + counts[best]]))


def _near(flips: FloatArray, found: FloatArray, offset: float) -> FloatArray:
    """Time from each flip to its edge, for those flips that have one near `offset`."""
    if not len(flips) or not len(found):
        return np.empty(0)
    apart = np.subtract.outer(found, flips)
    nearest = apart[np.argmin(np.abs(apart - offset), axis=0), np.arange(len(flips))]
    return np.asarray(nearest[np.abs(nearest - offset) <= NEAR_S])
