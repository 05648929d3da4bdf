"""The processing stages of a live session: what each costs, and which are by-passed and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from bci.budget import N_OVER, StageMeter
from bci.dsp.artifacts.calibration import CalibratedStage
from bci.errors import ConfigError
from bci.pipeline import Pipeline
from bci.types import Bypass

log = logging.getLogger(__name__)


class StageWatch:
    """Times the stages of a pipeline, and asks for the by-pass of one over its budget.

    Parameters
    ----------
    pipeline : Pipeline
    clock : callable
        Seconds; for stages, which take microseconds, the finest there is.
    """

    def __init__(self, pipeline: Pipeline, clock: Callable[[], float] = perf_counter) -> None:
        self._pipeline = pipeline
        self._settings = pipeline.config.processing
        self._meter = StageMeter(
            [settings.budget for settings in self._settings], pipeline.config.window.hop_s
        )
        pipeline.chain.watch(clock)

    def observe(self, data_s: float) -> Iterable[Bypass]:
        """Take what a chunk of `data_s` seconds has cost; the by-passes that follow.

        They take effect with the next sample. A stage on whose channels or rate the decoder
        relies stays in use: the log says that it is too slow.
        """
        return self._too_slow() if self._meter.due(data_s) else ()

    def _too_slow(self) -> Iterator[Bypass]:
        chain = self._pipeline.chain
        for i in self._meter.observe(chain.spent_s, chain.active):
            settings = self._settings[i]
            told = (
                f"it takes {100 * (self._meter.newest(i) or 0.0):.3g} % of real time, for {N_OVER} "
                f"s in a row over its budget of {100 * (settings.budget or 0.0):g} %"
            )
            needed = chain.why_needed(i)
            if needed is None:
                yield Bypass(self._pipeline.position, i, True, told)
            else:
                log.warning("stage '%s': %s; %s", settings.kind, told, needed)

    def see(self, bypass: Bypass) -> None:
        """Take notice of a by-pass on its way to the pipeline."""
        if not bypass.active:
            self._meter.restart(bypass.stage)

    def asked(self, stage: int, active: bool) -> Bypass:
        """What a client's wish to by-pass a stage, or to use it again, is as an event.

        Raises
        ------
        ConfigError
            There is no such stage, or it changes channels or rate.
        """
        chain = self._pipeline.chain
        if not 0 <= stage < len(chain.stages):
            raise ConfigError(
                f"there is no stage {stage}: 'processing' has {len(chain.stages)}, counted from 0"
            )
        if active and (needed := chain.why_needed(stage)) is not None:
            raise ConfigError(needed)
        return Bypass(0, stage, active, "asked for by a client")

    def status(self) -> list[dict[str, Any]]:
        """Each stage: in use or why not, calibrated or why not, delay and cost; JSON-able."""
        chain, reasons = self._pipeline.chain, dict(self._pipeline.bypassed)
        rows = zip(self._settings, chain.stages, chain.active, chain.delays, strict=True)
        return [
            {
                "stage": i,
                "kind": settings.kind,
                "active": active,
                "why_bypassed": None if active else reasons.get(i, ""),
                "why_needed": chain.why_needed(i),
                "calibrated": (
                    stage.arrays is not None if isinstance(stage, CalibratedStage) else None
                ),
                "problem": getattr(stage, "problem", None),
                "delay_s": delay_s,
                **self._meter.status(i),
            }
            for i, (settings, stage, active, delay_s) in enumerate(rows)
        ]
