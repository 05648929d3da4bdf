"""The stages of a configuration, one after the other, as one stage."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby

import numpy as np

from bci.dsp import Stage
from bci.dsp.artifacts.calibration import CalibratedStage
from bci.dsp.filters import SosFilter, apply_sos
from bci.errors import ConfigError
from bci.types import Chunk, FloatArray, StreamInfo, rate_ratio


class Chain:
    """Stages in order; neighbouring filters run as one recursion, with the same arithmetic.

    A by-passed stage passes samples through, and stays by-passed over a
    `reset`. When it comes back it starts anew at the sample reached.

    Parameters
    ----------
    stages : sequence of Stage
        May be empty: the chain then makes data contiguous float64, no more.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self._active = [True] * len(self.stages)
        self._infos: list[StreamInfo] = []  # before each stage, and after the last
        self._ratios: list[Fraction] = []
        self._position = 0  # index of the next sample that enters
        self._runs: list[Stage | _Fused] = []

    @property
    def active(self) -> tuple[bool, ...]:
        """For each stage, whether it is in use (not by-passed)."""
        return tuple(self._active)

    @property
    def delay_s(self) -> float:
        """Sum of the group delays of the stages in use, seconds."""
        used = zip(self.stages, self._active, strict=True)
        return sum(stage.delay_s for stage, active in used if active)

    @property
    def ratio(self) -> Fraction:
        """Rate of the output / rate of the input, valid after `reset`."""
        product = Fraction(1)
        for ratio in self._ratios:
            product *= ratio
        return product

    def reset(
        self, info: StreamInfo, start: int = 0, *, keep_calibration: bool = False
    ) -> StreamInfo:
        """Clear the state of all stages; see `Stage.reset`.

        `keep_calibration`: the same stream goes on after a break, with the same electrodes,
        so what stages have learnt about it still holds.
        """
        self._position = start
        self._infos, self._ratios = [info], []
        for i, stage in enumerate(self.stages):
            before = self._infos[-1]
            after = _reset(stage, before, self._at(i), keep_calibration)
            self._ratios.append(rate_ratio(after.sfreq, before.sfreq))
            if not self._active[i]:
                self._check_bypass(i, before, after)
            self._infos.append(after if self._active[i] else before)
        self._join()
        return self._infos[-1]

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        self._position = chunk.stop
        for run in self._runs:
            chunk = run(chunk)
        if not self._runs:
            return Chunk(chunk.start, np.ascontiguousarray(chunk.data, np.float64), chunk.flags)
        return chunk

    def bypass(self, i: int, active: bool = True) -> None:
        """By-pass stage `i` from the next sample on, or (`active` False) use it again.

        Raises
        ------
        ConfigError
            There is no such stage, or it changes channels or rate, on which the
            decoder relies.
        """
        if not 0 <= i < len(self.stages):
            raise ConfigError(
                f"by-pass of stage {i} asked for, but the chain has {len(self.stages)} stages, "
                "counted from 0"
            )
        if self._active[i] != active:
            return
        if self._infos:
            self._switch(i, active)
        self._active[i] = not active
        self._join()

    def _switch(self, i: int, active: bool) -> None:
        """Take a running stage out (`active`: the by-pass is), or start it anew."""
        for run in self._runs:
            if isinstance(run, _Fused):
                run.release()
        if active:
            self._check_bypass(i, self._infos[i], self._infos[i + 1])
        else:
            _reset(self.stages[i], self._infos[i], self._at(i), keep_calibration=True)

    def _check_bypass(self, i: int, before: StreamInfo, after: StreamInfo) -> None:
        if before.ch_names != after.ch_names or before.sfreq != after.sfreq:
            name = type(self.stages[i]).__name__
            raise ConfigError(
                f"stage {i} ({name}) cannot be by-passed: it turns {before.n_channels} channels at "
                f"{before.sfreq:g} Hz into {after.n_channels} at {after.sfreq:g} Hz, on which all "
                "that follows relies; take it out of 'processing' instead"
            )

    def _at(self, i: int) -> int:
        """Index, in the rate before stage `i`, of the next sample that enters it."""
        index = self._position
        for ratio in self._ratios[:i]:
            index = -(-index * ratio.numerator // ratio.denominator)
        return index

    def _join(self) -> None:
        """Make the list of what is called: stages in use, neighbouring filters fused."""
        used = [s for s, active in zip(self.stages, self._active, strict=True) if active]
        self._runs = []
        for is_filter, group in groupby(used, lambda stage: isinstance(stage, SosFilter)):
            members = list(group)
            filters = [s for s in members if isinstance(s, SosFilter)]
            if is_filter and len(filters) > 1:
                self._runs.append(_Fused(filters))
            else:
                self._runs.extend(members)


def _reset(stage: Stage, info: StreamInfo, start: int, keep_calibration: bool) -> StreamInfo:
    """Reset a stage, which may go on with what it has learnt."""
    if not (keep_calibration and isinstance(stage, CalibratedStage)):
        return stage.reset(info, start)
    learnt = stage.arrays
    after = stage.reset(info, start)
    stage.resume(learnt)
    return after


class _Fused:
    """Neighbouring filters as one call: sections and states put one after the other.

    Until each has seen a sample (a filter starts in the steady state of its
    own first one) they are called separately.
    """

    def __init__(self, filters: list[SosFilter]) -> None:
        self._filters = filters
        self._sos: FloatArray = np.concatenate([f.sos for f in filters])
        self._zi: FloatArray | None = None

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        if self._zi is None or len(chunk.data) == 0:
            for f in self._filters:
                chunk = f(chunk)
            self._gather()
            return chunk
        columns = self._filters[0].columns
        return Chunk(chunk.start, apply_sos(self._sos, self._zi, chunk.data, columns), chunk.flags)

    def _gather(self) -> None:
        states = [f.zi for f in self._filters if f.zi is not None]
        if self._zi is None and len(states) == len(self._filters):
            self._zi = np.concatenate(states, axis=1)

    def release(self) -> None:
        """Give each filter its state back."""
        if self._zi is None:
            return
        at = 0
        for f in self._filters:
            f.zi = self._zi[:, at : at + len(f.sos)].copy()
            at += len(f.sos)
        self._zi = None
