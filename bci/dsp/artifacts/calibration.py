"""Stages that must learn the signal before they can mend it, and what they learnt, on disk.

Either from a file, which ``bci train --kind cleaning`` writes, or on the first seconds
of the stream itself: until those are over, and where they hold nothing to learn from,
samples pass as they are under the note "uncalibrated".

The file is one safetensors archive: arrays, and in its header what they fit.
"""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from bci.config import StageSettings
from bci.errors import CalibrationFailed, ConfigError
from bci.types import Chunk, Flag, FloatArray, StreamInfo

__all__ = ["Arrays", "CalibratedSettings", "CalibratedStage", "load", "save"]

log = logging.getLogger(__name__)

Arrays = Mapping[str, FloatArray]

SCHEMA = "bci.calibration/1"


class CalibratedSettings(StageSettings):
    """What stages that are calibrated have in common."""

    calibration: Path | None = Field(
        None, description="file of 'bci train --kind cleaning'; null: the stream's first seconds"
    )
    calibration_s: float = Field(
        30.0, gt=0, le=600, description="without a file: seconds of signal to calibrate on"
    )


class CalibratedStage(ABC):
    """A stage that is calibrated before it works; subclasses say on what and how.

    After `reset` the stage asks for `calibration_s` of samples without a break, counted
    from there. What they give is held until the next `reset`; where nothing can be learnt
    from them it says so in the log and in `problem`, and tries the next stretch.

    Attributes
    ----------
    arrays : mapping of str to array, or None
        What was learnt; None: not calibrated.
    problem : str or None
        Why the last calibration failed.
    digest : str or None
        Of the file that it is calibrated from.
    findings : tuple of str
        What the last calibration found, in words (`calibrate` sets it).
    """

    delay_s: float = 0.0

    def __init__(self, settings: CalibratedSettings) -> None:
        self._settings = settings
        self.arrays: Arrays | None = None
        self.problem: str | None = None
        self.digest: str | None = None
        self.findings: tuple[str, ...] = ()
        self._block: FloatArray | None = None  # samples to calibrate on, while it asks for them
        self._usable: NDArray[np.bool_] = np.empty(0, bool)
        self._filled = 0

    # --- what a stage says -------------------------------------------------------------------

    @abstractmethod
    def prepare(self, info: StreamInfo, start: int) -> StreamInfo:
        """Allocate and clear everything but the calibration; see `Stage.reset`."""

    @abstractmethod
    def calibrate(self, block: FloatArray, usable: NDArray[np.bool_]) -> Arrays:
        """Learn from signal as it enters the stage.

        Parameters
        ----------
        block : array, shape (n_samples, n_channels)
            All channels of the stream, µV.
        usable : array of bool, shape (n_samples,)
            False where a flag rejects the sample.

        Raises
        ------
        CalibrationFailed
            There is nothing to learn from; says what was asked and found.
        """

    @abstractmethod
    def adopt(self, arrays: Arrays) -> None:
        """Work with these arrays from the next sample on; sets `arrays` too.

        Raises
        ------
        ConfigError
            They do not fit the stream.
        """

    @abstractmethod
    def process(self, chunk: Chunk) -> Chunk:
        """Process contiguous float64 samples; with `arrays` None, only delay them as always."""

    # --- Stage -------------------------------------------------------------------------------

    def reset(self, info: StreamInfo, start: int = 0) -> StreamInfo:
        """See `Stage.reset`; the calibration, too, begins anew."""
        kind, settings = self._settings.kind, self._settings
        self.arrays, self.problem, self.digest = None, None, None
        out = self.prepare(info, start)
        self._filled = 0
        if settings.calibration is not None:
            self._block = None
            header, arrays = read(settings.calibration)
            _check(header, settings.calibration, kind, info)
            self.digest = header["digest"]
            self.adopt(arrays)
            return out
        n = max(1, round(settings.calibration_s * info.sfreq))
        self._block = np.empty((n, info.n_channels))
        self._usable = np.ones(n, bool)
        return out

    def resume(self, arrays: Arrays | None) -> None:
        """After a `reset` for a break in the same stream: go on with what was learnt before."""
        if arrays is not None:
            self._block = None
            self.adopt(arrays)

    def __call__(self, chunk: Chunk) -> Chunk:
        """See `Stage`."""
        data = np.ascontiguousarray(chunk.data, np.float64)
        chunk = Chunk(chunk.start, data, chunk.flags)
        if self._block is None:
            return self.process(chunk)
        outs = []
        while self._block is not None and len(chunk.data) >= len(self._block) - self._filled:
            head, chunk = _cut(chunk, len(self._block) - self._filled)
            outs.append(self._pass(head))
            self._learn()
        outs.append(self._pass(chunk) if self._block is not None else self.process(chunk))
        return _joined(outs)

    def _pass(self, chunk: Chunk) -> Chunk:
        """Take samples in for the calibration, and let them pass under a note."""
        assert self._block is not None
        n = len(chunk.data)
        self._block[self._filled : self._filled + n] = chunk.data
        usable = self._usable[self._filled : self._filled + n]
        usable[:] = True
        for flag in chunk.flags:
            if flag.rejects:
                usable[max(0, flag.start - chunk.start) : max(0, flag.stop - chunk.start)] = False
        self._filled += n
        out = self.process(chunk)
        if len(out.data) == 0:
            return out
        note = Flag(out.start, out.stop, "uncalibrated", rejects=False)
        return Chunk(out.start, out.data, (*out.flags, note))

    def _learn(self) -> None:
        """Calibrate on the samples taken in; where that fails, ask for as many again."""
        assert self._block is not None
        kind, self._filled = self._settings.kind, 0
        try:
            self.adopt(self.calibrate(self._block, self._usable))
        except CalibrationFailed as error:
            self.problem = str(error)
            log.warning(
                "%s; until it is calibrated samples pass as they are. It tries again on the next "
                "%g s",
                error, self._settings.calibration_s,
            )  # fmt: skip
            return
        self._block, self.problem = None, None
        log.info("stage '%s' is calibrated", kind)


def _cut(chunk: Chunk, n: int) -> tuple[Chunk, Chunk]:
    """The first `n` samples of a chunk, and the rest, each with the flags that lie in it."""
    at = chunk.start + n
    return (
        Chunk(chunk.start, chunk.data[:n], _within(chunk.flags, chunk.start, at)),
        Chunk(at, chunk.data[n:], _within(chunk.flags, at, chunk.stop)),
    )


def _within(flags: tuple[Flag, ...], start: int, stop: int) -> tuple[Flag, ...]:
    clipped = (replace(f, start=max(f.start, start), stop=min(f.stop, stop)) for f in flags)
    return tuple(f for f in clipped if f.start < f.stop)


def _joined(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    data = np.concatenate([c.data for c in chunks])
    return Chunk(chunks[0].start, data, tuple(flag for c in chunks for flag in c.flags))


# --- on disk ---------------------------------------------------------------------------------


def save(
    path: Path, arrays: Arrays, kind: str, info: StreamInfo, found: Mapping[str, Any] | None = None
) -> str:
    """Write what a stage has learnt; returns the digest of its content.

    Parameters
    ----------
    path : path of the file
    arrays : mapping of str to array
    kind : str
        The stage's.
    info : StreamInfo
        The stream as it enters the stage.
    found : mapping, JSON-able
        What the person should know: what it was calibrated on, what was found.
    """
    plain = {key: np.ascontiguousarray(value, np.float64) for key, value in arrays.items()}
    header = {
        "schema": SCHEMA,
        "kind": kind,
        "sfreq": repr(info.sfreq),
        "ch_names": json.dumps(info.ch_names),
        "found": json.dumps(dict(found or {}), sort_keys=True),
    }
    header["digest"] = _digest(plain, header)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(safetensors.save(plain, header))
    return header["digest"]


def load(path: Path, kind: str, info: StreamInfo) -> dict[str, FloatArray]:
    """Read what a stage of `kind` has learnt, for the stream `info` that enters it.

    Raises
    ------
    ConfigError
        The file is missing, damaged, another stage's, or of another stream.
    """
    header, arrays = read(path)
    _check(header, path, kind, info)
    return arrays


def _check(header: Mapping[str, str], path: Path, kind: str, info: StreamInfo) -> None:
    if header["kind"] != kind:
        raise ConfigError(
            f"{kind}: {path} is the calibration of a stage '{header['kind']}'; name one of '{kind}'"
        )
    names = tuple(json.loads(header["ch_names"]))
    if names != info.ch_names:
        raise ConfigError(
            f"{kind}: {path} was calibrated on the channels {', '.join(names)}, and "
            f"{', '.join(info.ch_names)} enter the stage; calibrate it on these"
        )
    if not np.isclose(float(header["sfreq"]), info.sfreq, rtol=1e-4):
        raise ConfigError(
            f"{kind}: {path} was calibrated at {float(header['sfreq']):g} Hz, and samples enter "
            f"the stage at {info.sfreq:g} Hz; calibrate it at this rate"
        )


def read(path: Path) -> tuple[dict[str, str], dict[str, FloatArray]]:
    """Header and arrays of a calibration file, checked to be whole.

    Raises
    ------
    ConfigError
        The file is missing, damaged, or no calibration.
    """
    try:
        with safe_open(path, "numpy") as archive:
            header = dict(archive.metadata() or {})
            arrays = {key: archive.get_tensor(key) for key in archive.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise ConfigError(
            f"{path}: cannot be read as the calibration of a stage: {error}; write it with "
            "'bci train --kind cleaning'"
        ) from error
    digest = header.pop("digest", "")
    if header.get("schema") != SCHEMA or digest != _digest(arrays, header):
        raise ConfigError(
            f"{path}: is no calibration of a stage ({SCHEMA}), or was changed after it was "
            "written; make it again with 'bci train --kind cleaning'"
        )
    return {**header, "digest": digest}, arrays


def _digest(arrays: Arrays, header: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for key in sorted(arrays):
        digest.update(f"{key}{arrays[key].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[key], np.float64).tobytes())
    return digest.hexdigest()
