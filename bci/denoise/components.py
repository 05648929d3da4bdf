"""What independent components are: brain, muscle, eye, heart, line, one electrode, or other.

The seven classes are those of ICLabel. `label_components` tells them by rules that each
state their limit, and needs no more than arrays; `iclabel` asks the trained network of
mne-icalabel where that is installed.

References
----------
Classes: Pion-Tonachini, Kreutz-Delgado & Makeig 2019, NeuroImage 198:181-197. Slope of
muscle spectra: Dharmaprani et al. 2016, Conf Proc IEEE Eng Med Biol Soc, 2091-2094.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt, welch
from scipy.stats import kurtosis

from bci.types import FloatArray

Label = Literal["Brain", "Muscle", "Eye", "Heart", "LineNoise", "ChannelNoise", "Other"]

#: |correlation| with an EOG channel, both at 1-10 Hz, from which on a component is the eyes'.
EOG_CORRELATION = 0.5
#: |correlation| of a topography with the field of the eyes, and share of 1-5 Hz in 1-40 Hz.
EYE_FIELD, EYE_SLOW = 0.8, 0.45
#: Muscle: slope of log power over log frequency, 20-45 Hz, and share of that band in 3-45 Hz.
MUSCLE_SLOPE, MUSCLE_SHARE = -0.5, 0.35
#: Share of the power at the line's 50 or 60 Hz (±1 Hz), 1 Hz to half the rate.
LINE_SHARE = 0.3
#: Share of one channel in the squared topography: an electrode's own noise; no brain's any more.
ONE_CHANNEL, BRAIN_CHANNEL = 0.8, 0.6
#: Heart: excess kurtosis, beats a minute, spread of their intervals / mean interval.
HEART_KURTOSIS, HEART_RATE, HEART_SPREAD = 4.0, (40.0, 130.0), 0.2
#: Brain: slope of log power over log frequency, 3-40 Hz, below this; no rare huge excursions.
BRAIN_SLOPE, BRAIN_KURTOSIS = -0.5, 15.0
#: Channels from which on the form of a topography means something.
MIN_CHANNELS = 6
#: Places of the eyes in metres, head coordinates.
EYES_M = ((-0.032, 0.085, -0.01), (0.032, 0.085, -0.01))

#: Columns of ICLabel's answer.
_ICLABEL: tuple[Label, ...] = (
    "Brain", "Muscle", "Eye", "Heart", "LineNoise", "ChannelNoise", "Other",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Component:
    """What an independent component is, the evidence in words, and how probable it is.

    Rules give no probability: 1.
    """

    label: Label
    evidence: str
    proba: float = 1.0


def label_components(
    sources: FloatArray,
    topographies: FloatArray,
    sfreq: float,
    positions: FloatArray | None = None,
    eog: FloatArray | None = None,
) -> tuple[Component, ...]:
    """Tell components by rules; the first that holds counts, in the order of `Rules.checks`.

    Parameters
    ----------
    sources : array, shape (n_components, n_times)
        Time courses, any scale; some 10 s or more.
    topographies : array, shape (n_channels, n_components)
        What one unit of each is at the channels (columns of the mixing matrix), any scale.
    sfreq : float
        Hz. Low-passed below 45 Hz, muscle looks like brain and is not told from it.
    positions : array, shape (n_channels, 3), or None
        Metres, head coordinates, NaN where unknown; None: the form of topographies says
        nothing of eyes.
    eog : array, shape (n_eog, n_times), or None
        EOG channels at the same samples, where there are any.

    Raises
    ------
    ValueError
        The shapes do not belong together, or there is less than a second.
    """
    n_channels, n_components = topographies.shape
    if sources.shape[0] != n_components or (eog is not None and eog.shape[1:] != sources.shape[1:]):
        raise ValueError(
            f"sources {sources.shape}, topographies {topographies.shape} and EOG "
            f"{None if eog is None else eog.shape} do not belong together: (n_components, n_times)"
            ", (n_channels, n_components) and (n_eog, n_times) are expected"
        )
    if positions is not None and positions.shape != (n_channels, 3):
        raise ValueError(f"positions must be ({n_channels}, 3), found {positions.shape}")
    if sources.shape[1] < sfreq:
        raise ValueError(
            f"components are told from a second of signal or more, found "
            f"{sources.shape[1] / sfreq:.2g} s"
        )
    rules = Rules(sources, topographies, sfreq, positions, eog)
    return tuple(rules.judge(k) for k in range(n_components))


class Rules:
    """Spectra, topographies and correlations of all components, and the rules on them."""

    def __init__(
        self,
        sources: FloatArray,
        topographies: FloatArray,
        sfreq: float,
        positions: FloatArray | None,
        eog: FloatArray | None,
    ) -> None:
        self._sfreq = sfreq
        self._sources = sources - sources.mean(axis=1, keepdims=True)
        n_fft = min(sources.shape[1], round(2 * sfreq))
        self._hz, self._psd = welch(self._sources, sfreq, nperseg=n_fft)
        squared = topographies**2
        total = np.maximum(squared.sum(axis=0), np.finfo(float).tiny)
        self._strongest: FloatArray = squared.max(axis=0) / total
        self._shaped = len(topographies) >= MIN_CHANNELS
        self._eyes = self._eye_fields(topographies, positions)
        self._eog = self._eog_correlations(eog)
        self._kurtosis: FloatArray = kurtosis(self._sources, axis=1)

    def judge(self, k: int) -> Component:
        """Say what component `k` is."""
        return next(self.checks(k))

    def checks(self, k: int) -> Iterator[Component]:
        """Rules that hold for component `k`, the most telling first; always ends in one."""
        if (line := self._line(k))[1] >= LINE_SHARE:
            yield Component("LineNoise", f"{line[1]:.0%} of its power at {line[0]:g} Hz")
        if self._eog[k] >= EOG_CORRELATION:
            yield Component("Eye", f"correlates {self._eog[k]:.2f} with an EOG channel")
        slow = self._share(k, (1, 5), (1, 40))
        if self._eyes[k] >= EYE_FIELD and slow >= EYE_SLOW:
            yield Component(
                "Eye",
                f"topography correlates {self._eyes[k]:.2f} with the field of the eyes, "
                f"{slow:.0%} of its power at 1-5 Hz",
            )
        if self._shaped and self._strongest[k] >= ONE_CHANNEL:
            yield Component("ChannelNoise", f"{self._strongest[k]:.0%} of it at one channel")
        slope, fast = self._slope(k, 20, 45), self._share(k, (20, 45), (3, 45))
        if slope >= MUSCLE_SLOPE and fast >= MUSCLE_SHARE:
            yield Component(
                "Muscle", f"spectral slope {slope:.1f} at 20-45 Hz, {fast:.0%} of its power there"
            )
        if rate := self._heart(k):
            yield Component("Heart", f"regular peaks, {rate:.0f} a minute")
        fall = self._slope(k, 3, 40)
        spread = not self._shaped or self._strongest[k] < BRAIN_CHANNEL
        if fall < BRAIN_SLOPE and spread and self._kurtosis[k] < BRAIN_KURTOSIS:
            yield Component("Brain", f"spectral slope {fall:.1f}, spread over channels")
        yield Component(
            "Other",
            f"spectral slope {fall:.1f}, {self._strongest[k]:.0%} of it at one channel, kurtosis "
            f"{self._kurtosis[k]:.0f}",
        )

    # --- evidence ----------------------------------------------------------------------------

    def _band(self, low: float, high: float) -> Any:
        return (self._hz >= low) & (self._hz <= min(high, 0.9 * self._sfreq / 2))

    def _share(self, k: int, part: tuple[float, float], whole: tuple[float, float]) -> float:
        power = self._psd[k]
        total = float(power[self._band(*whole)].sum())
        return float(power[self._band(*part)].sum()) / total if total > 0 else 0.0

    def _slope(self, k: int, low: float, high: float) -> float:
        """Slope of log power over log frequency; -inf where the rate leaves no such band."""
        band = self._band(low, high) & (self._psd[k] > 0)
        for hz in (50.0, 60.0):  # the line says nothing of the slope
            band &= np.abs(self._hz - hz) > 2.0
        if band.sum() < 5:
            return -np.inf
        return float(np.polyfit(np.log(self._hz[band]), np.log(self._psd[k][band]), 1)[0])

    def _line(self, k: int) -> tuple[float, float]:
        """Line frequency and its share of the power, the larger of 50 and 60 Hz."""
        power = self._psd[k]
        total = float(power[self._hz >= 1].sum())
        shares = {
            hz: float(power[np.abs(self._hz - hz) <= 1].sum()) / total if total > 0 else 0.0
            for hz in (50.0, 60.0)
        }
        return max(shares.items(), key=lambda item: item[1])

    def _eye_fields(self, topographies: FloatArray, positions: FloatArray | None) -> FloatArray:
        """|Correlation| of each topography with both eyes' field: blinks, or looks to the side."""
        found = np.zeros(topographies.shape[1])
        if positions is None:
            return found
        known = np.isfinite(positions).all(axis=1)
        if known.sum() < MIN_CHANNELS:
            return found
        left, right = (
            1.0 / np.sum((positions[known] - np.array(eye)) ** 2, axis=1) for eye in EYES_M
        )
        for field in (left + right, left - right):
            found = np.maximum(found, np.abs(_correlations(topographies[known].T, field[None])[0]))
        return found

    def _eog_correlations(self, eog: FloatArray | None) -> FloatArray:
        if eog is None or len(eog) == 0:
            return np.zeros(len(self._sources))
        sos = butter(2, (1.0, min(10.0, 0.45 * self._sfreq)), "bandpass", fs=self._sfreq,
                     output="sos")  # fmt: skip
        slow = [sosfiltfilt(sos, x - x.mean(axis=1, keepdims=True)) for x in (self._sources, eog)]
        found: FloatArray = np.abs(_correlations(*slow)).max(axis=0)
        return found

    def _heart(self, k: int) -> float:
        """Beats a minute, or 0 where there is no regular beat."""
        if self._kurtosis[k] < HEART_KURTOSIS:
            return 0.0
        x = np.abs(self._sources[k])
        peaks, _ = find_peaks(
            x, height=3.0 * float(x.std()), distance=max(1, round(60 / 150 * self._sfreq))
        )
        if len(peaks) < 5:
            return 0.0
        interval = np.diff(peaks) / self._sfreq
        rate = 60.0 / float(interval.mean())
        regular = float(interval.std() / interval.mean()) <= HEART_SPREAD
        return rate if regular and HEART_RATE[0] <= rate <= HEART_RATE[1] else 0.0


def _correlations(x: FloatArray, y: FloatArray) -> FloatArray:
    """Correlation of each row of `y` with each of `x`, shape (n_y, n_x); 0 for constants."""
    x, y = (a - a.mean(axis=1, keepdims=True) for a in (x, y))
    norms = np.outer(np.linalg.norm(y, axis=1), np.linalg.norm(x, axis=1))
    result: FloatArray = np.divide(y @ x.T, norms, out=np.zeros_like(norms), where=norms > 0)
    return result


# --- ICLabel ---------------------------------------------------------------------------------


def has_iclabel() -> bool:
    """Whether mne-icalabel is installed, with ONNX Runtime to run its network."""
    return all(find_spec(name) is not None for name in ("mne_icalabel", "onnxruntime"))


def iclabel(raw: Any, ica: Any) -> tuple[Component, ...]:
    """Ask ICLabel's network.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        EEG channels with positions, average reference, 1-100 Hz as far as the rate allows.
    ica : mne.preprocessing.ICA
        Fitted to it.
    """
    with warnings.catch_warnings():
        # it wants the filter's settings of its training, which a lower rate cannot have
        warnings.simplefilter("ignore")
        from mne import use_log_level
        from mne_icalabel.iclabel import iclabel_label_components

        with use_log_level("ERROR"):
            proba: FloatArray = iclabel_label_components(raw, ica, inplace=False, backend="onnx")
    return tuple(
        Component(_ICLABEL[int(p.argmax())], f"ICLabel: {p.max():.0%}", float(p.max()))
        for p in proba
    )
