"""From the channels that a device delivers to those that a session asked for.

Names are compared as electrodes of the 10-05 system; see `bci.electrodes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from bci.channel_plan import Plan, make_plan
from bci.config import Channels
from bci.errors import ConfigError
from bci.types import Chunk, Flag, StreamInfo, rate_ratio

if TYPE_CHECKING:
    from bci.dsp import Stage

#: Relative difference of two rates that are the same rate.
RATE_TOLERANCE = 1e-4


class ChannelAdapter:
    """Renames, types, picks, interpolates and, where declared, resamples: a `bci.dsp.Stage`.

    Copies nothing when there is nothing to change.

    Attributes
    ----------
    adaptations : list of str
        What was changed, for the log and the recording; valid after `reset`.
    ratio : Fraction
        Rate of the output / rate of the input.
    """

    def __init__(self, settings: Channels) -> None:
        self.settings = settings
        self.delay_s = 0.0
        self.ratio = Fraction(1)
        self.adaptations: list[str] = []
        self._input: StreamInfo | None = None
        self._plan: Plan
        self._resampler: Stage | None = None

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """Fit the settings to a stream; see `bci.dsp.Stage.reset`.

        Raises
        ------
        ConfigError
            A channel or label is not there, the rate is another one, or a channel
            cannot be interpolated; names what was found.
        """
        if info != self._input:
            self._plan = make_plan(info, self.settings)
            self._resampler, note = _resampler(info, self.settings)
            self._input = info
            self.adaptations = [*self._plan.adaptations, *note]
        if self._resampler is None:
            return self._plan.info
        out = self._resampler.reset(self._plan.info, start)
        self.delay_s = self._resampler.delay_s
        self.ratio = rate_ratio(out.sfreq, info.sfreq)
        return out

    def __call__(self, chunk: Chunk) -> Chunk:
        """Make samples of the channels asked for, C-contiguous float64; see `bci.dsp.Stage`."""
        plan = self._plan
        if plan.identity:
            data = np.ascontiguousarray(chunk.data, np.float64)
        elif len(plan.missing) == 0:
            data = chunk.data.take(plan.columns, axis=1).astype(np.float64, copy=False)
        else:
            data = np.empty((len(chunk.data), plan.info.n_channels))
            data[:, plan.present] = chunk.data[:, plan.columns]
            sources = np.asarray(chunk.data[:, plan.sources], np.float64)
            data[:, plan.missing] = sources @ plan.weights.T
        flags = tuple(_renamed(chunk.flags, plan.renamed))
        if data is not chunk.data or flags != chunk.flags:
            chunk = Chunk(chunk.start, data, flags)
        return chunk if self._resampler is None else self._resampler(chunk)


def _renamed(flags: Iterable[Flag], names: Mapping[str, str]) -> Iterable[Flag]:
    """Put flags under the new labels; those of channels left out are dropped."""
    for flag in flags:
        if flag.channel is None or names.get(flag.channel) == flag.channel:
            yield flag
        elif flag.channel in names:
            yield replace(flag, channel=names[flag.channel])


def _resampler(info: StreamInfo, settings: Channels) -> tuple[Stage | None, list[str]]:
    wanted = settings.sfreq
    if wanted is None or abs(wanted - info.sfreq) <= RATE_TOLERANCE * wanted:
        return None, []
    if settings.sfreq_mismatch == "error":
        raise ConfigError(
            f"channels.sfreq expects {wanted:g} Hz, but stream '{info.name}' has "
            f"{info.sfreq:g} Hz; set the device to it, or channels.sfreq_mismatch: resample"
        )
    from bci.dsp.resample import Resample  # scipy, for this case only

    stage: Stage = Resample(sfreq=wanted).build()
    return stage, [f"resampled from {info.sfreq:g} to {wanted:g} Hz"]
