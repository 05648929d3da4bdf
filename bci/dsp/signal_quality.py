"""What is wrong with each channel of the raw signal, said in words.

For a person who fits electrodes, and for displays; the pipeline has its own stage
(`bci.dsp.bad_channels`), with the same limits where both judge the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bci.dsp.bad_channels import BadChannels, Judge
from bci.types import FloatArray, SampleArray

__all__ = ["DRIFT_UV_S", "MIN_SECONDS", "ChannelQuality", "assess"]

#: Drift: the channel's trend is steeper than this, µV/s. A settling electrode moves so
#: fast; the slow potentials of a brain do not.
DRIFT_UV_S = 100.0
#: Impedance above which an electrode is not good, ohms: what Ferree et al. (2001, Clin.
#: Neurophysiol. 112, 536) find acceptable for amplifiers of today; for older ones, and for dry
#: electrodes, other limits hold.
MAX_IMPEDANCE = 40e3
#: Shortest stretch that can be judged, seconds.
MIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """What a few seconds of one channel say.

    Attributes
    ----------
    name : str
    reasons : tuple of str
        Of "lost samples", "flat", "railed", "noisy", "line noise", "drift", "impedance"; empty
        where it is good.
    sd_uv : float
        Standard deviation without trend, µV; NaN where samples are lost.
    line_share : float
        Share of that variance at the line frequency, 0 to 1.
    drift_uv_s : float
        Slope of the trend, µV/s.
    impedance_ohm : float
        Of the electrode; NaN where nobody measures it.
    """

    name: str
    reasons: tuple[str, ...]
    sd_uv: float
    line_share: float
    drift_uv_s: float
    impedance_ohm: float = float("nan")

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons


def assess(
    data: SampleArray,
    sfreq: float,
    ch_names: Sequence[str],
    line_hz: float | None = 50.0,
    impedance_ohm: Mapping[str, float] | None = None,
) -> list[ChannelQuality]:
    """Judge EEG channels by a few seconds of raw samples.

    Parameters
    ----------
    data : array, shape (n_samples, n_channels)
        Raw microvolts; NaN where samples are lost.
    sfreq : float
    ch_names : sequence of str
        EEG channels, in the order of the columns.
    line_hz : float or None
        Line frequency; None: not judged.
    impedance_ohm : mapping of str to float, optional
        Of the electrodes of some channels; 0 and NaN: not measured.

    Raises
    ------
    ValueError
        Less than `MIN_SECONDS` of samples.
    """
    n = len(data)
    if n < MIN_SECONDS * sfreq:
        raise ValueError(
            f"{n} samples at {sfreq:g} Hz are too few to judge a channel; "
            f"{MIN_SECONDS:g} s are needed"
        )
    block = np.asarray(data, np.float64)
    whole = np.flatnonzero(np.isfinite(block).all(axis=0))
    reasons: list[list[str]] = [["lost samples"] for _ in ch_names]
    sd, share, drift = np.full((3, len(reasons)), np.nan)
    if len(whole):
        t = (np.arange(n) - 0.5 * (n - 1)) / sfreq
        rest = block[:, whole] - block[:, whole].mean(axis=0)
        drift[whole] = t @ rest / (t @ t)
        rest -= np.outer(t, drift[whole])
        sd[whole] = rest.std(axis=0)
        share[whole] = _line_share(rest, sfreq, line_hz)
        defects = Judge(BadChannels(line_hz=line_hz), n, sfreq).defects(block[:, whole])
        defects["drift"] = np.abs(drift[whole]) > DRIFT_UV_S
        for column, i in enumerate(whole.tolist()):
            reasons[i] = [word for word, verdict in defects.items() if verdict[column]]
    ohms = [_measured((impedance_ohm or {}).get(name)) for name in ch_names]
    for i, ohm in enumerate(ohms):
        if ohm > MAX_IMPEDANCE:
            reasons[i].append("impedance")
    return [
        ChannelQuality(
            name,
            tuple(reasons[i]),
            float(sd[i]),
            float(share[i]),
            float(drift[i]),
            ohms[i],
        )
        for i, name in enumerate(ch_names)
    ]


def _measured(ohm: float | None) -> float:
    return float("nan") if ohm is None or not ohm > 0.0 else float(ohm)


def _line_share(rest: FloatArray, sfreq: float, line_hz: float | None) -> FloatArray:
    """Variance of the sinusoid at the line frequency over all variance."""
    power = np.mean(rest**2, axis=0)
    if line_hz is None or line_hz >= sfreq / 2:
        return np.zeros(len(power))
    taper = np.hanning(len(rest))
    carrier = taper / taper.sum() * np.exp(-2j * np.pi * line_hz / sfreq * np.arange(len(rest)))
    line = 2.0 * np.abs(carrier @ rest) ** 2
    share = np.zeros(len(power))
    np.divide(line, power, out=share, where=power > 0)
    return np.minimum(share, 1.0, out=share)
