"""Pairs of noisy and clean windows: from recordings by ICA, and from the simulated subject.

From a recording: components labelled brain, mixed back alone, are the clean signal; with the
components of one artifact class added they are the noisy one (Chuang et al. 2025, NeuroImage
310, 121123). Clean is what an ICA calls so: a cleaner judged by such pairs is judged by an
ICA's opinion. The simulated subject knows its parts exactly.

Windows are at 256 Hz, 1 to 50 Hz without phase shift, average-referenced, on the template's
channels. Every pair carries the recording it comes from, to be split by.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, firwin

from bci.denoise.components import Label
from bci.denoise.decomposition import Decomposition, Labeller, decompose
from bci.denoise.montage import TEMPLATE, map_montage, resampled
from bci.errors import ConfigError
from bci.paradigms.subject import BRAIN, SimulatedSubject
from bci.types import FloatArray, rate_ratio

#: What a multichannel denoiser sees: Hz, and its band.
SFREQ, BAND_HZ = 256.0, (1.0, 50.0)
#: Least probability of a label that counts; components below stand in neither member of a pair.
MIN_PROBA = 0.5
#: A class takes part in a window where its RMS there is at least this share of the clean one's.
MIN_SHARE = 0.05
#: Share of pairs without artifact in what is learnt from: clean signals are to stay as they are.
UNTOUCHED = 0.15
#: The simulated subject's artifacts by their classes; its sensors' noise is in both members.
SIMULATED: dict[Label, str] = {"Eye": "blinks", "Muscle": "emg", "LineNoise": "line"}

Windows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Windows with an artifact, and the same without.

    Attributes
    ----------
    noisy, clean : array, shape (n, n_channels, n_times), float32
        Microvolts.
    artifact : array of str, shape (n,)
        Class of the artifact, a `bci.denoise.components.Label`.
    source : array of str, shape (n,)
        Recording that it comes from.
    ch_names : tuple of str
    sfreq : float
        Hz.
    """

    noisy: Windows = field(repr=False)
    clean: Windows = field(repr=False)
    artifact: NDArray[np.str_] = field(repr=False)
    source: NDArray[np.str_] = field(repr=False)
    ch_names: tuple[str, ...] = TEMPLATE
    sfreq: float = SFREQ

    def __len__(self) -> int:
        return len(self.noisy)

    def of(self, sources: Collection[str]) -> Pairs:
        """The pairs of some recordings."""
        return self.rows(np.flatnonzero(np.isin(self.source, list(sources))))

    def rows(self, rows: NDArray[np.intp]) -> Pairs:
        """Some of the pairs, in the order asked for."""
        return Pairs(
            self.noisy[rows], self.clean[rows], self.artifact[rows], self.source[rows],
            self.ch_names, self.sfreq,
        )  # fmt: skip

    @classmethod
    def join(cls, parts: Sequence[Pairs]) -> Pairs:
        """Put pairs of the same channels one after the other.

        Raises
        ------
        ConfigError
            There are none, or their channels or rates differ.
        """
        kinds = {(part.ch_names, part.sfreq, part.clean.shape[1:]) for part in parts}
        if len(kinds) != 1:
            raise ConfigError(
                f"pairs to be joined have {len(kinds)} different channels, rates or lengths; "
                "make all of them alike"
            )
        return cls(
            np.concatenate([part.noisy for part in parts]),
            np.concatenate([part.clean for part in parts]),
            np.concatenate([part.artifact for part in parts]),
            np.concatenate([part.source for part in parts]),
            parts[0].ch_names, parts[0].sfreq,
        )  # fmt: skip

    def varied(self, rng: np.random.Generator) -> Pairs:
        """As many pairs to learn from, drawn anew: artifacts on other windows, of other strength.

        Each artifact moves to another clean window of its own recording and is made up to
        twice as strong or as weak; `UNTOUCHED` of the pairs have none. Each window is then
        turned round in time by any number of samples, and half have their sign turned, half
        left and right of the head exchanged: few recordings become more this way.
        """
        other = np.arange(len(self))
        for source in np.unique(self.source):
            rows = np.flatnonzero(self.source == source)
            other[rows] = rng.permutation(rows)
        n, n_times = len(self), self.clean.shape[2]
        gain = np.exp(rng.uniform(-np.log(2), np.log(2), n)) * (rng.random(n) >= UNTOUCHED)
        sign = rng.choice([-1.0, 1.0], n)
        strength, turned = (x.astype(np.float32)[:, None, None] for x in (gain * sign, sign))
        clean = self.clean * turned
        noisy = clean + strength * (self.noisy - self.clean)[other]
        straight, crossed = np.arange(len(self.ch_names)), mirrored(self.ch_names)
        for k in range(n):
            channels = crossed if rng.random() < 0.5 else straight
            shift = int(rng.integers(n_times))
            for windows in (noisy, clean):
                windows[k] = np.roll(windows[k, channels], shift, axis=1)
        return Pairs(noisy, clean, self.artifact[other], self.source, self.ch_names, self.sfreq)


def mirrored(ch_names: Sequence[str]) -> NDArray[np.intp]:
    """Which channel lies where each one does on the other side of the head; itself if none."""
    at = {name: k for k, name in enumerate(ch_names)}
    digits = {str(k): str(k - 1 if k % 2 == 0 else k + 1) for k in range(1, 11)}
    names = [re.sub(r"\d+", lambda found: digits.get(found[0], found[0]), n) for n in ch_names]
    return np.array([at.get(name, k) for k, name in enumerate(names)], np.intp)


def recording_pairs(
    x: FloatArray,
    sfreq: float,
    ch_names: Sequence[str],
    source: str,
    *,
    n_times: int = 1024,
    labeller: Labeller = "auto",
    template: Sequence[str] = TEMPLATE,
    seed: int = 0,
) -> Pairs:
    """Pairs from a recording, by ICA; none where it has no artifact, or no brain component.

    Parameters
    ----------
    x : array, shape (n_channels, n_samples)
        EEG channels, µV, any reference.
    sfreq : float
        Hz.
    ch_names : sequence of str
    source : str
        What the recording is called.
    n_times : int
        Samples of a window, at 256 Hz.
    labeller, seed
        See `bci.denoise.decomposition.decompose`, whose errors it raises.
    template : sequence of str
        Channels of the pairs.
    """
    x = x - x.mean(axis=0)
    found = decompose(x, sfreq, ch_names, labeller=labeller, seed=seed)
    return decomposed_pairs(x, sfreq, ch_names, found, source, n_times, template)


def decomposed_pairs(
    x: FloatArray,
    sfreq: float,
    ch_names: Sequence[str],
    found: Decomposition,
    source: str,
    n_times: int = 1024,
    template: Sequence[str] = TEMPLATE,
) -> Pairs:
    """As `recording_pairs`, of average-referenced signals whose components are known."""
    laid = map_montage(ch_names, template)
    # the first group has the channels of the template's own names
    parts = {
        label: prepare(laid.weights[0] @ found.part(x, label, MIN_PROBA), sfreq)
        for label in set(found.labels)
    }
    clean = parts.pop("Brain", None)
    if clean is None:
        return _cut(np.zeros((len(template), 0)), {}, source, n_times, template)
    return _cut(clean, parts, source, n_times, template)


def simulated_pairs(
    seed: int, duration_s: float, *, n_times: int = 1024, template: Sequence[str] = TEMPLATE
) -> Pairs:
    """Pairs from a simulated subject at rest, whose parts are known exactly.

    The subject and all that happens to it is drawn from `seed`, which names the source.
    """
    subject = SimulatedSubject(sfreq=SFREQ, ch_names=tuple(template), seed=seed)
    made = subject.generate_parts(round(duration_s * SFREQ))

    def part(*names: str) -> FloatArray:
        signals = np.sum([made[name] for name in names], axis=0).T
        return prepare(signals - signals.mean(axis=0), SFREQ)

    artifacts = {label: part(name) for label, name in SIMULATED.items()}
    return _cut(part(*BRAIN, "sensor"), artifacts, f"simulated-{seed}", n_times, template)


def prepare(x: FloatArray, sfreq: float) -> FloatArray:
    """Bring signals, shape (n_channels, n_samples), to 256 Hz and the band, without delay."""
    ratio = rate_ratio(SFREQ, sfreq)
    x = resampled(x, ratio, int(x.shape[1] * ratio))
    taps = firwin(1001, BAND_HZ, pass_zero="bandpass", fs=SFREQ)
    filtered: FloatArray = fftconvolve(x, taps[None], mode="same", axes=1)
    return filtered


def _cut(
    clean: FloatArray,
    artifacts: Mapping[Label, FloatArray],
    source: str,
    n_times: int,
    template: Sequence[str],
) -> Pairs:
    """Windows one after the other; each with each of the classes that is there."""
    rows = []
    for start in range(0, clean.shape[1] - n_times + 1, n_times):
        window = clean[:, start : start + n_times]
        for label, signals in sorted(artifacts.items()):
            artifact = signals[:, start : start + n_times]
            if _rms(artifact) >= MIN_SHARE * _rms(window):
                rows.append((window + artifact, window, label))
    shape = (len(rows), len(template), n_times)
    noisy, kept = (np.array([row[i] for row in rows], np.float32).reshape(shape) for i in (0, 1))
    labels = np.array([row[2] for row in rows], np.str_)
    return Pairs(noisy, kept, labels, np.full(len(rows), source), tuple(template))


def _rms(x: FloatArray) -> float:
    return float(np.sqrt(np.mean(x**2)))
