"""What the simulated brain does in answer to markers: SSVEP and desynchronisation.

Both answers are functions of the absolute sample index and of the events seen.
An event changes nothing before its own sample, so a block may be computed again
when an event falls into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Protocol, TypeVar

import numpy as np

from bci.paradigms import coloured, scalp, timetable
from bci.paradigms.imagery import HANDS
from bci.paradigms.ongoing import BLOCK
from bci.paradigms.physiology import Person, Physiology
from bci.paradigms.speller import Target
from bci.types import FloatArray

_FOREVER = float("inf")
_FADED = 12.0  # time constants after which an exponential is forgotten


def rise_and_fall(t: FloatArray, start: float, stop: float, time: float) -> FloatArray:
    """From 0 at `start` towards 1, from `stop` on back to 0, with one time constant."""
    rising = 1.0 - np.exp(-np.maximum(0.0, t - start) / time)
    result: FloatArray = rising * np.exp(-np.maximum(0.0, t - stop) / time)
    return result


class _Span(Protocol):
    @property
    def start(self) -> float: ...


_S = TypeVar("_S", bound=_Span)


def _begun(spans: Sequence[_S], stop: int) -> list[_S]:
    """Those of `spans`, which are in order, that begin before sample `stop`."""
    return list(takewhile(lambda span: span.start < stop, spans))


@dataclass(frozen=True, slots=True)
class _Look:
    """From sample `start` on the gaze rests on `target`."""

    start: float
    target: Target | None
    gain: float
    jitter: float  # s, added to the latency


@dataclass(frozen=True, slots=True)
class _Flicker:
    start: float
    stop: float = _FOREVER


class FlickerResponse:
    """SSVEP to the flicker that is looked at.

    A cue moves the gaze to its target after a reaction time (or is missed, and
    the gaze rests nowhere); it stays there until another cue. While the targets
    flicker, the occipital cortex follows the one looked at, one visual latency
    later: harmonics ``a_h sin(2π h f (t - latency) + h phase + θ_h)``, strongest at
    Oz, running outwards over the scalp. The neighbours of that target, in the
    periphery, evoke nothing here.

    Parameters
    ----------
    targets : sequence of Target
    electrodes : array, shape (n_channels, 3)
    sfreq : float
    power : float
        Power of the steady response at Oz, µV²; 0: no response.
    typical, person : Physiology, Person
    rng : Generator
        Of the person's behaviour.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        electrodes: FloatArray,
        sfreq: float,
        power: float,
        typical: Physiology,
        person: Person,
        rng: np.random.Generator,
    ) -> None:
        self._targets = {target.label: target for target in targets}
        if any(not 0.0 < target.frequency_hz < 0.45 * sfreq for target in targets):
            raise ValueError(f"a target flickers faster than {sfreq} Hz sampling can show")
        self._p, self._person, self._rng = typical, person, rng
        self._sfreq, self._power = sfreq, power
        self._field = scalp.gaussian_field(electrodes, "Oz", typical.visual_spread)
        self._delays = (
            scalp.distances(electrodes, scalp.positions(["Oz"]))[:, 0] / typical.wave_speed
        )
        self._looks: list[_Look] = []
        self._flickers: list[_Flicker] = []

    def see(self, value: str, index: int) -> None:
        """Take notice of a marker at sample `index`; other paradigms' markers mean nothing."""
        label = timetable.cued_label(value)
        if label in self._targets:
            self._look(self._targets[label], index)
        elif value == timetable.STIM_ON:
            self._stop(index)
            self._flickers.append(_Flicker(index))
        elif value == timetable.STIM_OFF:
            self._stop(index)

    def _look(self, target: Target, index: int) -> None:
        p = self._p
        missed = self._rng.random() < p.lapse_rate
        z = self._rng.standard_normal(3)
        arrival = index + p.gaze_shift * np.exp(p.gaze_shift_sd * z[0]) * self._sfreq
        gain = float(np.exp(p.trial_gain_sd * z[1] - p.trial_gain_sd**2))  # mean power 1
        look = _Look(arrival, None if missed else target, gain, p.trial_jitter * float(z[2]))
        while self._looks and self._looks[-1].start >= arrival:
            self._looks.pop()  # a newer wish overtakes
        self._looks.append(look)

    def _stop(self, index: int) -> None:
        if self._flickers and self._flickers[-1].stop == _FOREVER:
            self._flickers[-1] = replace(self._flickers[-1], stop=index)

    def block(self, start: int) -> FloatArray:
        """Response in samples ``[start, start + BLOCK)``, shape (BLOCK, n_channels), µV."""
        self._forget(start)
        result = np.zeros((BLOCK, len(self._field)))
        if self._power == 0.0:
            return result
        flickers = _begun(self._flickers, start + BLOCK)
        ends = [*(look.start for look in self._looks[1:]), _FOREVER]
        for look, end in zip(_begun(self._looks, start + BLOCK), ends, strict=False):
            for flicker in flickers:
                self._add(result, start, look, end, flicker)
        return result

    def _add(self, result: FloatArray, at: int, look: _Look, end: float, flicker: _Flicker) -> None:
        start, stop = max(look.start, flicker.start), min(end, flicker.stop)
        if look.target is None or start >= stop:
            return
        index = np.arange(at, at + BLOCK, dtype=np.float64)
        latency = self._person.latency * self._sfreq
        envelope = rise_and_fall(
            index, start + latency, stop + latency, self._p.build_up * self._sfreq
        )
        t = (index - flicker.start) / self._sfreq - self._person.latency - look.jitter
        waves, weights = self._harmonics(t, look.target)
        result += (envelope * look.gain)[:, None] * (waves @ weights)

    def _harmonics(self, t: FloatArray, target: Target) -> tuple[FloatArray, FloatArray]:
        """Sines and cosines, shape (n_times, 2 n), and their weights, shape (2 n, n_channels)."""
        orders = np.arange(1, len(self._p.harmonics) + 1)
        seen = orders * target.frequency_hz < 0.45 * self._sfreq
        amplitudes = np.asarray(self._p.harmonics) * seen
        amplitudes *= np.sqrt(2.0 * self._power / np.sum(amplitudes**2))
        omega = 2.0 * np.pi * orders * target.frequency_hz
        phase = orders * target.phase + np.asarray(self._person.harmonic_phases)
        argument = t[:, None] * omega + phase
        lag = omega[:, None] * self._delays  # sin(x - lag) = sin x cos lag - cos x sin lag
        scale = amplitudes[:, None] * self._field
        weights = np.concatenate([scale * np.cos(lag), -scale * np.sin(lag)])
        return np.concatenate([np.sin(argument), np.cos(argument)], axis=1), weights

    def _forget(self, start: int) -> None:
        fade = (self._person.latency + _FADED * self._p.build_up) * self._sfreq
        self._flickers = [f for f in self._flickers if f.stop + fade > start]
        oldest = min([start - fade, *(f.start for f in self._flickers)])
        past = [look for look in self._looks if look.start <= oldest]
        self._looks = [*past[-1:], *(look for look in self._looks if look.start > oldest)]


@dataclass(frozen=True, slots=True)
class _Imagery:
    hand: str
    start: float
    stop: float = _FOREVER


class RolandicRhythms:
    """Mu and beta over both hand areas; imagery desynchronises the opposite one.

    From the cue of a hand (plus a delay) to `imagery_off` the rhythms over the
    other hemisphere lose a share of their power; beta rebounds afterwards. A cue
    is missed as often as a flicker's.

    Parameters as in `FlickerResponse`; `power` is that of mu at C3 at rest, µV²;
    0: there are no such rhythms.
    """

    SITES = ("C3", "C4")

    def __init__(
        self,
        electrodes: FloatArray,
        sfreq: float,
        power: float,
        typical: Physiology,
        person: Person,
        rng: np.random.Generator,
        noise: np.random.Generator,
    ) -> None:
        self._p, self._sfreq, self._power = typical, sfreq, power
        self._rng, self._noise = rng, noise
        p = typical
        self._mu = coloured.Colour(coloured.rhythm(person.mu_hz, p.mu_width_hz, sfreq), sfreq, 2)
        self._beta = coloured.Colour(
            coloured.rhythm(person.beta_hz, p.beta_width_hz, sfreq), sfreq, 2
        )
        fields = [scalp.gaussian_field(electrodes, s, p.rolandic_spread) for s in self.SITES]
        mu = np.sqrt(power) * np.stack(fields)
        self._weights = np.concatenate([mu, p.beta_to_mu * mu])  # (mu C3, mu C4, beta C3, beta C4)
        self._sources = np.zeros((4, BLOCK))
        self._imageries: list[_Imagery] = []
        for _ in range(int(np.ceil(6.0 * sfreq / BLOCK))):
            self.advance()

    def advance(self) -> None:
        """Go on to the next block."""
        white = self._noise.standard_normal((4, BLOCK))
        self._sources = np.concatenate([self._mu(white[:2]), self._beta(white[2:])])

    def see(self, value: str, index: int) -> None:
        """Take notice of a marker at sample `index`; other paradigms' markers mean nothing."""
        label = timetable.cued_label(value)
        delayed = index + self._p.erd_delay * self._sfreq
        if label in HANDS:
            missed = self._rng.random() < self._p.lapse_rate
            self._stop(delayed)
            if not missed:
                self._imageries.append(_Imagery(label, delayed))
        elif value == timetable.IMAGERY_OFF:
            self._stop(delayed)

    def _stop(self, index: float) -> None:
        if self._imageries and self._imageries[-1].stop == _FOREVER:
            self._imageries[-1] = replace(self._imageries[-1], stop=index)

    def block(self, start: int) -> FloatArray:
        """Rhythms in samples ``[start, start + BLOCK)``, shape (BLOCK, n_channels), µV."""
        slowest = max(self._p.erd_time, self._p.beta_rebound_time)
        self._imageries = [
            i for i in self._imageries if i.stop + 2.0 * _FADED * slowest * self._sfreq > start
        ]
        gains = np.ones((4, BLOCK))
        t = np.arange(start, start + BLOCK) / self._sfreq
        for imagery in _begun(self._imageries, start + BLOCK):
            gains += self._change(t, imagery)
        result: FloatArray = (np.maximum(gains, 0.0) * self._sources).T @ self._weights
        return result

    def _change(self, t: FloatArray, imagery: _Imagery) -> FloatArray:
        """Change of the four amplitudes, shape (4, n_times), relative to rest."""
        p = self._p
        start, stop = imagery.start / self._sfreq, imagery.stop / self._sfreq
        course = rise_and_fall(t, start, stop, p.erd_time)
        opposite = np.array([imagery.hand == "right", imagery.hand == "left"])  # C3, C4
        lost = np.where(opposite, p.erd_contralateral, p.erd_ipsilateral)
        fall = np.outer(np.sqrt(1.0 - lost) - 1.0, course)
        after = np.maximum(0.0, t - stop) / p.beta_rebound_time
        gained = np.sqrt(1.0 + p.beta_rebound * opposite) - 1.0
        return np.concatenate([fall, fall + np.outer(gained, after * np.exp(1.0 - after))])
