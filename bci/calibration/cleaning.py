"""Calibration of cleaning stages on a recording: one file for each, which the YAML then names.

Each stage learns from what enters it: the recording goes through the very `Pipeline` that
later cleans, up to that stage, those before it calibrated already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from bci.config import Config, StageSettings
from bci.dsp.artifacts.calibration import CalibratedSettings, CalibratedStage, save
from bci.errors import CalibrationFailed, ConfigError, ModelError
from bci.pipeline import Pipeline
from bci.playback import events
from bci.sources.files import Recording, load_recording
from bci.types import Chunk, FloatArray, StreamInfo


class _Tap:
    """As the last stage of a chain it keeps what comes out; settings and stage in one."""

    kind = "tap"
    delay_s = 0.0

    def __init__(self) -> None:
        self.info: StreamInfo | None = None
        self._chunks: list[Chunk] = []
        self._joins: list[int] = []  # first sample after each break

    def build(self) -> _Tap:
        return self

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        if self.info is not None:
            self._joins.append(start)
        self.info = info
        return info

    def __call__(self, chunk: Chunk) -> Chunk:
        self._chunks.append(chunk)
        return chunk

    def signal(self, first: int) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Samples from index `first` on, and which of them no flag rejects."""
        chunks = [c for c in self._chunks if len(c.data)]
        indices = np.concatenate([np.arange(c.start, c.stop) for c in chunks])
        data = np.concatenate([c.data for c in chunks])
        # a window must not reach over a break: the sample after it is in none
        usable = ~np.isin(indices, self._joins)
        for flag in (f for c in chunks for f in c.flags if f.rejects):
            start, stop = np.searchsorted(indices, (flag.start, flag.stop))
            usable[start:stop] = False
        since = indices >= first
        return data[since], usable[since]


def calibrated_stages(config: Config) -> Iterator[tuple[int, CalibratedSettings]]:
    """Number in `processing`, counted from 0, and settings of each stage that is calibrated."""
    for i, settings in enumerate(config.processing):
        if isinstance(settings, CalibratedSettings):
            yield i, settings


def self_calibrating(config: Config) -> Iterator[str]:
    """What to tell about stages that have no calibration file, a sentence each."""
    for i, settings in calibrated_stages(config):
        if settings.calibration is None:
            yield (
                f"processing stage {i + 1} ({settings.kind}) has no calibration file: it learns "
                f"from the first {settings.calibration_s:g} s of each recording, and live from "
                "those of each session, which differ; 'bci train --kind cleaning' makes a file"
            )


def train(
    config: Config,
    path: Path,
    out: Path,
    *,
    from_sample: int = 0,
    report: Callable[[str], None],
) -> Config:
    """Calibrate the stages of a configuration in their order, and write a file for each to `out`.

    Parameters
    ----------
    config : Config
        Calibration files that its stages name are not read.
    path : path
        The recording; of some minutes, with the artifacts that are to be taken out.
    out : path
        Folder; must not exist.
    from_sample : int
        Samples before it are not learnt from.
    report : callable
        Takes lines for the person.

    Returns
    -------
    Config
        With the files named.

    Raises
    ------
    ConfigError
        No stage is calibrated, or the configuration does not fit the recording.
    CalibrationFailed
        A stage can learn nothing from the recording.
    ModelError
        `out` exists.
    """
    numbers = [i for i, _ in calibrated_stages(config)]
    if not numbers:
        kinds = ", ".join(s.kind for s in config.processing) or "none"
        raise ConfigError(
            "--kind cleaning calibrates the stages under 'processing' that learn the signal, and "
            f"there is none among them ({kinds}); put one there, such as asr or ica"
        )
    if out.exists():
        raise ModelError(f"'{out}' exists already; choose another name for the folder")
    recording = load_recording(path)
    for i in numbers:
        config = _calibrated(config, i, recording, out, from_sample, report)
    report("\nname the files in 'processing':\n")
    report("\n".join(_yaml(config.processing[i]) for i in numbers))
    return config


def _calibrated(
    config: Config,
    i: int,
    recording: Recording,
    out: Path,
    from_sample: int,
    report: Callable[[str], None],
) -> Config:
    """Calibrate stage `i`; the configuration that names its file."""
    settings = config.processing[i]
    assert isinstance(settings, CalibratedSettings)
    info, block, usable = entering(config, i, recording, from_sample)
    stage: CalibratedStage = settings.build()
    stage.prepare(info, 0)
    seconds = f"{len(block) / info.sfreq:.1f} s"
    report(f"processing stage {i + 1} ({settings.kind}), {seconds} of {recording.path}:")
    try:
        arrays = stage.calibrate(block, usable)
    except (CalibrationFailed, ConfigError) as error:
        raise type(error)(f"{recording.path}: {error}") from error
    for finding in stage.findings:
        report(f"  {finding}")
    path = out / f"{i + 1}-{settings.kind}.safetensors"
    found = {"recording": str(recording.path), "findings": list(stage.findings)}
    digest = save(path, arrays, settings.kind, info, found)
    report(f"  wrote {path} ({digest[:8]})")
    named = settings.model_copy(update={"calibration": path})
    processing = (*config.processing[:i], named, *config.processing[i + 1 :])
    return config.model_copy(update={"processing": processing})


def entering(
    config: Config, i: int, recording: Recording, from_sample: int = 0
) -> tuple[StreamInfo, FloatArray, NDArray[np.bool_]]:
    """What of a recording enters stage `i`: the stream, its samples, and which can be used.

    Raises
    ------
    ConfigError
        The configuration does not fit the recording.
    CalibrationFailed
        Nothing comes out.
    """
    tap = _Tap()
    pipeline = Pipeline(
        config.model_copy(update={"processing": (*config.processing[:i], tap), "decoder": None}),
        recording.info,
    )
    for event in events(recording):
        pipeline.push(event)
    block, usable = tap.signal(ceil(from_sample * pipeline.ratio))
    if len(block) == 0:
        raise CalibrationFailed(
            f"{recording.path}: nothing is left from sample {from_sample} on to calibrate on; it "
            f"has {recording.n_samples}"
        )
    assert tap.info is not None
    return tap.info, block, usable


def _yaml(settings: StageSettings) -> str:
    """Settings of a stage as an item of a list, those that are not the default."""
    stated = settings.model_dump(mode="json", exclude_defaults=True)
    fields = {"kind": settings.kind, **stated}
    return yaml.safe_dump([fields], sort_keys=False, allow_unicode=True).rstrip()
