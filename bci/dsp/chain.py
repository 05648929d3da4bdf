"""The stages of a configuration, one after the other, as one stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import groupby

import numpy as np

from bci.dsp import Stage
from bci.dsp.artifacts.calibration import CalibratedStage
from bci.dsp.filters import SosFilter, apply_sos
from bci.dsp.lookahead import Lookahead
from bci.errors import ConfigError
from bci.types import Chunk, FloatArray, StreamInfo, rate_ratio


class Chain:
    """Stages in order; neighbouring filters run as one recursion, with the same arithmetic.

    A by-passed stage passes samples through, and stays by-passed over a
    `reset`. When it comes back it starts anew at the sample reached. The delay of
    a stage that looks ahead (of any that has a delay and is no filter) is kept by
    its by-pass, see `bci.dsp.lookahead`.

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
        self._looks: list[Lookahead | None] = [None] * len(self.stages)
        self._runs: list[Stage | _Fused | Lookahead] = []
        self._whose: list[list[tuple[int, float]]] = []  # of each run: stage, share of its time
        self._clock: Callable[[], float] | None = None
        self._run_s: list[float] = []  # that each run has taken, and no stage was told yet
        self._stage_s = [0.0] * len(self.stages)

    @property
    def active(self) -> tuple[bool, ...]:
        """For each stage, whether it is in use (not by-passed)."""
        return tuple(self._active)

    @property
    def delay_s(self) -> float:
        """Sum of the group delays of the stages in use, and of those kept, seconds."""
        return sum(self.delays)

    @property
    def delays(self) -> tuple[float, ...]:
        """Of each stage the group delay in effect, also of one by-passed, seconds."""
        rows = zip(self.stages, self._active, self._looks, strict=True)
        return tuple(
            stage.delay_s if active or look is not None else 0.0 for stage, active, look in rows
        )

    @property
    def lookahead(self) -> Fraction:
        """Samples of the output by which stages that look ahead lag; valid after `reset`.

        At index i stands what was sample i less this many, not only a filter's blur of it.
        """
        lag = Fraction(0)  # in samples of what enters the next stage
        for look, ratio in zip(self._looks, self._ratios, strict=True):
            lag = (lag + (look.n_held if look is not None else 0)) * ratio
        return lag

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
        infos: list[StreamInfo] = [info]
        ratios: list[Fraction] = []
        looks: list[Lookahead | None] = []
        for i, stage in enumerate(self.stages):
            before = infos[-1]
            after = _reset(stage, before, _index_after(ratios, start), keep_calibration)
            ratios.append(rate_ratio(after.sfreq, before.sfreq))
            why = self._difference(i, before, after)
            if why is not None and not self._active[i]:
                raise ConfigError(why)
            n_held = _n_held(stage, before) if why is None else 0
            looks.append(Lookahead(stage, n_held, self._active[i]) if n_held else None)
            infos.append(after if self._active[i] else before)
        # all at once: another thread may ask meanwhile what there is
        self._position, self._infos, self._ratios, self._looks = start, infos, ratios, looks
        self._join()
        return infos[-1]

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        self._position = chunk.stop
        if not self._runs:
            return Chunk(chunk.start, np.ascontiguousarray(chunk.data, np.float64), chunk.flags)
        if self._clock is not None:
            return self._timed(chunk, self._clock)
        for run in self._runs:
            chunk = run(chunk)
        return chunk

    def watch(self, clock: Callable[[], float] | None) -> None:
        """Time each stage by `clock`, in seconds, from now on; None: no longer.

        What the chain makes of samples does not depend on it.
        """
        self._clock = clock
        self._run_s = [0.0] * len(self._runs)
        self._stage_s = [0.0] * len(self.stages)

    @property
    def spent_s(self) -> list[float]:
        """Seconds that each stage has taken in use since `watch`.

        Neighbouring filters are timed as one and share their time by their sections.
        """
        for seconds, whose in zip(self._run_s, self._whose, strict=True):
            for i, share in whose:
                self._stage_s[i] += share * seconds
        self._run_s = [0.0] * len(self._runs)
        return list(self._stage_s)

    def _timed(self, chunk: Chunk, clock: Callable[[], float]) -> Chunk:
        spent = self._run_s
        since = clock()
        for k, run in enumerate(self._runs):
            chunk = run(chunk)
            reached = clock()
            spent[k] += reached - since
            since = reached
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
        if active and (why := self.why_needed(i)) is not None:
            raise ConfigError(why)
        if self._infos:
            self._switch(i, active)
        self._active[i] = not active
        if self._infos:
            self._join()

    def why_needed(self, i: int) -> str | None:
        """Why a stage cannot be by-passed; None: it can, or nothing is known before `reset`."""
        if not self._infos:
            return None
        return self._difference(i, self._infos[i], self._infos[i + 1])

    def _switch(self, i: int, active: bool) -> None:
        """Take a running stage out (`active`: the by-pass is), or start it anew."""
        for run in self._runs:
            if isinstance(run, _Fused):
                run.release()
        look = self._looks[i]
        if active:
            if look is not None:
                look.active = False
            return
        at, n_waiting = self._at(i), 0 if look is None else look.n_waiting
        _reset(self.stages[i], self._infos[i], at - n_waiting, keep_calibration=True)
        if look is not None:
            look.resume(at)

    def _difference(self, i: int, before: StreamInfo, after: StreamInfo) -> str | None:
        """What would change for all that follows if stage `i` were by-passed; None: nothing."""
        if before.ch_names == after.ch_names and before.sfreq == after.sfreq:
            return None
        name = type(self.stages[i]).__name__
        return (
            f"stage {i} ({name}) cannot be by-passed: it turns {before.n_channels} channels at "
            f"{before.sfreq:g} Hz into {after.n_channels} at {after.sfreq:g} Hz, on which all "
            "that follows relies; take it out of 'processing' instead"
        )

    def _at(self, i: int) -> int:
        """Index, in the rate before stage `i`, of the next sample that enters it."""
        return _index_after(self._ratios[:i], self._position)

    def _join(self) -> None:
        """Make the list of what is called: stages in use, neighbouring filters fused."""
        self._stage_s = self.spent_s
        used = [i for i, on in enumerate(self._active) if on or self._looks[i] is not None]
        self._runs, self._whose = [], []
        for _, group in groupby(used, lambda i: isinstance(self.stages[i], SosFilter)):
            members = list(group)
            filters = [s for i in members if isinstance(s := self.stages[i], SosFilter)]
            if len(filters) > 1:
                n_sections = sum(len(f.sos) for f in filters)
                shares = [len(f.sos) / n_sections for f in filters]
                self._runs.append(_Fused(filters))
                self._whose.append(list(zip(members, shares, strict=True)))
            else:
                self._runs.extend(self._looks[i] or self.stages[i] for i in members)
                self._whose.extend([(i, 1.0)] if self._active[i] else [] for i in members)
        self._run_s = [0.0] * len(self._runs)


def _index_after(ratios: Sequence[Fraction], index: int) -> int:
    """Index, behind stages that change the rate so, of the first sample from `index` on."""
    for ratio in ratios:
        index = -(-index * ratio.numerator // ratio.denominator)
    return index


def _n_held(stage: Stage, info: StreamInfo) -> int:
    """Samples by which a stage that looks ahead lags; 0: it does not look ahead."""
    return 0 if isinstance(stage, SosFilter) else round(stage.delay_s * info.sfreq)


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
