"""What more calibration would bring: the learning curve, and where it leads.

A decoder is judged with ever more blocks to train on. Through its transfer rates goes an
inverse power law, ``a - b n^-c``, the usual form of a learning curve (Figueroa,
Zeng-Treitler, Kandula & Ngo, BMC Med Inform Decis Mak 12:8, 2012), with the ceiling that
the number of targets sets. Selections are drawn anew to see how sure the forecast is. It
reaches to twice the blocks that there are: beyond, the law alone would speak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bci.calibration.outcomes import Evidence, Outcomes, judge
from bci.calibration.selections import Selections
from bci.config import DecoderSettings
from bci.metrics import itr
from bci.types import FloatArray

#: Points of the curve: fewer don't show where it bends, more cost time.
FEWEST_SIZES = 3
MOST_SIZES = 4
#: Blocks are put together to be judged beyond so many parts.
MAX_PARTS = 5
EXPONENTS = np.array([0.5, 1.0, 1.5, 2.0])
N_DRAWS = 500
LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class Forecast:
    """More calibration, and what it is expected to bring.

    Attributes
    ----------
    rung : str
        Kind of decoder that would be trained.
    minutes : float
    gain, low, high : float
        Transfer rate, bit/min, over that of the decoder in use now; interval of 90 %.
    """

    rung: str
    minutes: float
    gain: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"about {self.minutes:.1f} more minutes of calibration for {self.gain:+.1f} bit/min "
            f"[{self.low:+.1f}, {self.high:+.1f}] with {self.rung}"
        )


def forecast(
    settings: DecoderSettings, selections: Selections, evidence: Evidence, current: Outcomes
) -> Forecast | None:
    """Forecast the transfer rate with twice the blocks; None where it can't be known.

    It can't with fewer than three points of the curve, and where the interval doesn't
    exclude that nothing is gained.

    Parameters
    ----------
    settings : DecoderSettings
        Of the decoder that would be trained.
    selections : Selections
    evidence : Evidence
    current : Outcomes
        Of the decoder in use, on the cued selections.
    """
    curve = learning_curve(settings, selections, evidence)
    if len(curve) < FEWEST_SIZES:
        return None
    n_blocks = len(selections.cued_blocks())
    sizes = np.array(list(curve), dtype=np.float64)
    n = len(current.right)
    rng = np.random.default_rng(0)
    draws = np.concatenate([np.arange(n)[None], rng.integers(n, size=(N_DRAWS, n))])
    rates = np.stack([o.rates(o.right[draws], o.seconds[draws]) for o in curve.values()], axis=1)
    fastest = min(float(o.seconds.mean()) for o in curve.values())
    ceiling = itr(1.0, current.n_classes, fastest)
    gains = extrapolate(sizes, rates, 2.0 * n_blocks, ceiling)
    gains -= current.rates(current.right[draws], current.seconds[draws])
    low, high = np.quantile(gains[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    minutes = n_blocks * selections.minutes_per_block()
    if not (low > 0.0 and np.isfinite(minutes)):
        return None
    return Forecast(settings.kind, minutes, float(gains[0]), float(low), float(high))


def learning_curve(
    settings: DecoderSettings, selections: Selections, evidence: Evidence
) -> dict[int, Outcomes]:
    """Outcomes on every cued selection, by the number of blocks trained on.

    The selections are judged in parts, each by a decoder trained on the blocks that
    follow it, the first following the last. Sizes that the decoder can't be trained
    on are left out.
    """
    blocks = np.array(selections.cued_blocks())
    if len(blocks) <= FEWEST_SIZES:
        return {}
    parts = np.array_split(np.arange(len(blocks)), min(MAX_PARTS, len(blocks)))
    most = len(blocks) - max(len(part) for part in parts)
    curve = {}
    for size in np.unique(np.linspace(1, most, MOST_SIZES).astype(int)).tolist():
        splits = []
        for part in parts:
            others = blocks[(part[-1] + 1 + np.arange(size)) % len(blocks)]
            train = selections.cued & np.isin(selections.blocks, others)
            splits.append((train, selections.cued & np.isin(selections.blocks, blocks[part])))
        try:
            curve[size] = judge(settings, selections, evidence, splits)
        except ValueError:
            continue
    return curve


def extrapolate(sizes: FloatArray, rates: FloatArray, to: float, ceiling: float) -> FloatArray:
    """Value at size `to` of the law that fits each row of `rates` best.

    Parameters
    ----------
    sizes : array, shape (n_sizes,)
    rates : array, shape (n_rows, n_sizes)
    to : float
    ceiling : float
        What a can't pass; b can't be negative, so that the curve never falls.
    """
    best = np.full(len(rates), np.inf)
    value = np.empty(len(rates))
    for exponent in EXPONENTS:
        falling = sizes**-exponent
        centred = falling - falling.mean()
        b = np.maximum(-(rates - rates.mean(axis=1, keepdims=True)) @ centred, 0.0)
        b /= centred @ centred
        a = rates.mean(axis=1) + b * falling.mean()
        over = a > ceiling  # the best fit with a at the ceiling
        b = np.where(over, np.maximum((ceiling - rates) @ falling / (falling @ falling), 0.0), b)
        a = np.minimum(a, ceiling)
        errors = np.sum((a[:, None] - b[:, None] * falling - rates) ** 2, axis=1)
        better = errors < best
        best = np.where(better, errors, best)
        value = np.where(better, a - b * to**-exponent, value)
    return value
