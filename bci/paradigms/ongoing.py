"""EEG that no event changes: background, alpha, and all that is not brain.

It is made in blocks of `BLOCK` samples, always whole and always in order, so
that it does not depend on how much of it is asked for at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bci.paradigms import coloured, scalp
from bci.paradigms.physiology import Person, Physiology
from bci.types import FloatArray

#: Samples of a block.
BLOCK = 256

#: Where alpha comes from, and which muscles twitch (temples, forehead, neck).
ALPHA_SITES = ("PO3", "POz", "PO4")
MUSCLE_SITES = ("FT9", "FT10", "Fpz", "Iz")


class Ongoing:
    """Background, alpha, drift, sensor noise, mains, blinks and muscle bursts, in µV.

    Parameters
    ----------
    electrodes : array, shape (n_channels, 3)
        Positions, metres.
    sfreq : float
        Hz.
    typical, person : Physiology, Person
    seed : int
    """

    def __init__(
        self,
        electrodes: FloatArray,
        sfreq: float,
        typical: Physiology,
        person: Person,
        seed: int,
    ) -> None:
        n = len(electrodes)
        self._p, self._n, self._sfreq = typical, n, sfreq
        self._noise = np.random.default_rng([seed, 1])
        self._index = 0
        p = typical
        sos = coloured.power_law(
            p.aperiodic_exponent, p.aperiodic_psd_1hz, p.aperiodic_knee_hz, sfreq
        )
        self._aperiodic = coloured.Colour(sos, sfreq, n)
        self._alpha = coloured.Colour(
            coloured.rhythm(person.alpha_hz, p.alpha_width_hz, sfreq), sfreq, len(ALPHA_SITES)
        )
        self._alpha_field = alpha_field(electrodes, p)
        self._drift = coloured.Colour(coloured.wander(p.drift_time, sfreq), sfreq, n)
        self._drift.state[0, :, 0] = self._noise.standard_normal(n)  # stationary from the start
        self._mixing = spatial_mixing(electrodes, p)
        self._sensor = p.sensor_density * np.sqrt(0.5 * sfreq)
        self._mains = Mains(n, sfreq, p, person, np.random.default_rng([seed, 2]))
        self._blinks = Blinks(electrodes, sfreq, p, np.random.default_rng([seed, 3]))
        self._muscles = Muscles(electrodes, sfreq, p, np.random.default_rng([seed, 4]))
        self._settle()

    def _settle(self) -> None:
        """Run the filters until nothing is left of their start from zero."""
        for _ in range(int(np.ceil(6.0 * self._sfreq / BLOCK))):
            n = self._n + len(ALPHA_SITES)
            white = self._noise.standard_normal((n, BLOCK))
            self._aperiodic(white[: self._n])
            self._alpha(white[self._n :])

    def power(self, electrode: str) -> float:
        """Power of background and alpha at an electrode, 3 to 100 Hz, µV²."""
        f = np.linspace(3.0, min(100.0, 0.5 * self._sfreq), 4000)
        alpha = np.sum(alpha_field(scalp.positions([electrode]), self._p) ** 2)
        density = self._aperiodic.psd(f) + alpha * self._alpha.psd(f)
        return float(np.trapezoid(density, f))

    def next(self) -> dict[str, FloatArray]:
        """Make the next block: parts of shape (BLOCK, n_channels)."""
        n, p = self._n, self._p
        rows = np.cumsum([n, len(ALPHA_SITES), n, n])
        white = self._noise.standard_normal((rows[-1] + len(MUSCLE_SITES), BLOCK))
        background, alpha, drift, sensor, muscle = np.split(white, rows)
        start, self._index = self._index, self._index + BLOCK
        return {
            "background": self._aperiodic(background).T @ self._mixing.T,
            "alpha": self._alpha(alpha).T @ self._alpha_field.T,
            "drift": p.drift_rms * self._drift(drift).T,
            "sensor": self._sensor * sensor.T,
            "line": self._mains(start),
            "blinks": self._blinks(start),
            "emg": self._muscles(start, muscle),
        }


def spatial_mixing(electrodes: FloatArray, typical: Physiology) -> FloatArray:
    """Matrix, shape (n_channels, n_channels), that gives white rows the scalp's correlation."""
    d = scalp.distances(electrodes, electrodes)
    correlation = np.exp(-((d / typical.correlation_length) ** typical.correlation_power))
    correlation[np.diag_indices_from(correlation)] += 1e-9  # two labels of one place (T3, T7)
    result: FloatArray = np.linalg.cholesky(correlation / (1.0 + 1e-9)).astype(np.float64)
    return result


def alpha_field(electrodes: FloatArray, typical: Physiology) -> FloatArray:
    """Weights, shape (n_channels, n_sites), of unit sources of alpha, in µV."""
    radius = typical.visual_spread
    fields = np.stack([scalp.gaussian_field(electrodes, s, radius) for s in ALPHA_SITES], axis=1)
    at_oz = [scalp.gaussian_field(scalp.positions(["Oz"]), s, radius)[0] for s in ALPHA_SITES]
    result: FloatArray = typical.alpha_rms * fields / np.linalg.norm(at_oz)
    return result


class Mains:
    """Mains hum and its third harmonic, with another strength and sign at each channel."""

    def __init__(
        self,
        n_channels: int,
        sfreq: float,
        typical: Physiology,
        person: Person,
        rng: np.random.Generator,
    ) -> None:
        base = typical.line_hz + person.line_offset_hz
        strengths = ((base, 1.0), (3 * base, typical.line_third))
        parts = [(f / sfreq, a) for f, a in strengths if f < 0.5 * sfreq]
        self._cycles = np.array([f for f, _ in parts])
        self._phase = rng.uniform(0.0, 2.0 * np.pi, len(parts))
        pickup = typical.line_amplitude * np.exp(0.4 * rng.standard_normal(n_channels))
        pickup *= rng.choice([-1.0, 1.0], n_channels)
        self._weights = np.array([a for _, a in parts]).reshape(-1, 1) * pickup

    def __call__(self, start: int) -> FloatArray:
        """Hum in samples ``[start, start + BLOCK)``, shape (BLOCK, n_channels)."""
        index = np.arange(start, start + BLOCK)[:, None]
        waves: FloatArray = np.sin(2.0 * np.pi * (index * self._cycles % 1.0) + self._phase)
        return waves @ self._weights


@dataclass(frozen=True, slots=True)
class _Pulse:
    start: float  # sample
    stop: float  # sample
    strength: float
    site: int = 0


class Blinks:
    """Blinks at log-normal intervals; a steep rise, a slower fall, strongest at the forehead."""

    def __init__(
        self, electrodes: FloatArray, sfreq: float, typical: Physiology, rng: np.random.Generator
    ) -> None:
        self._p, self._sfreq, self._rng = typical, sfreq, rng
        self._field = scalp.blink_field(electrodes, typical.blink_at_vertex)
        self._pulses: list[_Pulse] = []
        self._next = rng.uniform(0.0, 1.0 / typical.blink_rate) * sfreq

    def _draw(self) -> None:
        p, start = self._p, self._next
        strength = p.blink_amplitude * np.exp(p.blink_amplitude_sd * self._rng.standard_normal())
        self._pulses.append(_Pulse(start, start + 10.0 * p.blink_peak * self._sfreq, strength))
        sd = p.blink_interval_sd
        gap = np.exp(sd * self._rng.standard_normal() - 0.5 * sd * sd) / p.blink_rate
        self._next = start + max(gap, 3.0 * p.blink_peak) * self._sfreq

    def __call__(self, start: int) -> FloatArray:
        """Blinks in samples ``[start, start + BLOCK)``, shape (BLOCK, n_channels)."""
        while self._next < start + BLOCK:
            self._draw()
        self._pulses = [pulse for pulse in self._pulses if pulse.stop > start]
        index = np.arange(start, start + BLOCK)
        course = np.zeros(BLOCK)
        for pulse in self._pulses:
            t = np.maximum(0.0, index - pulse.start) / (self._p.blink_peak * self._sfreq)
            course += pulse.strength * t * t * np.exp(2.0 * (1.0 - t))  # 1 at t = 1
        return np.outer(course, self._field)


class Muscles:
    """Bursts of high-frequency noise from one of four muscles, at random times."""

    def __init__(
        self, electrodes: FloatArray, sfreq: float, typical: Physiology, rng: np.random.Generator
    ) -> None:
        self._p, self._sfreq, self._rng = typical, sfreq, rng
        self._colour = coloured.Colour(
            coloured.band(*typical.emg_band, sfreq), sfreq, len(MUSCLE_SITES)
        )
        length = typical.emg_spread
        self._fields = np.stack(
            [scalp.exponential_field(electrodes, site, length) for site in MUSCLE_SITES]
        )
        self._pulses: list[_Pulse] = []
        self._next = rng.exponential(1.0 / typical.emg_rate) * sfreq

    def _draw(self) -> None:
        p, rng, start = self._p, self._rng, self._next
        stop = start + rng.uniform(*p.emg_duration) * self._sfreq
        strength = p.emg_rms * np.exp(p.emg_rms_sd * rng.standard_normal())
        self._pulses.append(_Pulse(start, stop, strength, int(rng.integers(len(MUSCLE_SITES)))))
        self._next = stop + rng.exponential(1.0 / p.emg_rate) * self._sfreq

    def __call__(self, start: int, white: FloatArray) -> FloatArray:
        """Bursts in ``[start, start + BLOCK)`` from white noise, shape (n_muscles, BLOCK)."""
        while self._next < start + BLOCK:
            self._draw()
        self._pulses = [pulse for pulse in self._pulses if pulse.stop > start]
        index = np.arange(start, start + BLOCK)
        strength = np.zeros((len(MUSCLE_SITES), BLOCK))
        for pulse in self._pulses:
            inside = np.clip((index - pulse.start) / (pulse.stop - pulse.start), 0.0, 1.0)
            strength[pulse.site] += pulse.strength * np.sin(np.pi * inside)
        return (strength * self._colour(white)).T @ self._fields
