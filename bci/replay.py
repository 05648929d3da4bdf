"""What `bci replay` does: decode a recording as fast as it goes, or stream it over LSL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bci.config import Config
from bci.decoders.artifact import load_decoder
from bci.errors import ConfigError, RecordingError
from bci.metrics import accuracy_interval, chance_bound
from bci.pipeline import Pipeline
from bci.playback import CHUNK, log_beside, session_events
from bci.sources.files import Recording, load_recording
from bci.types import Decision

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Score:
    """Right decisions among those on labelled markers.

    `n` counts labelled windows, `n_abstained` those without a label (they are
    not right), `n_classes` the labels of the decoder.
    """

    n_right: int
    n: int
    n_abstained: int
    n_classes: int

    @property
    def accuracy(self) -> float:
        return self.n_right / self.n if self.n else float("nan")

    def __str__(self) -> str:
        low, high = accuracy_interval(self.n_right, self.n)
        return (
            f"{self.n_right} of {self.n} right: accuracy {self.accuracy:.3f} "
            f"[{low:.3f}, {high:.3f}] (95 %), chance {1 / self.n_classes:.3f} "
            f"(better than chance from {chance_bound(self.n, self.n_classes)} right), "
            f"{self.n_abstained} abstained"
        )


def decisions(
    path: str | Path,
    recording: Recording,
    config: Config,
    chunk: int | Sequence[int] = CHUNK,
) -> Iterator[Decision]:
    """Decisions of a recording: through the same pipeline as live.

    Raises
    ------
    ConfigError, SourceError, ModelError
        Configuration, recording and decoder do not fit.
    """
    if config.decoder is None:
        raise ConfigError("the configuration has no 'decoder', so there is nothing to decide")
    pipeline = Pipeline(config, recording.info)
    decoder, model = load_decoder(config, pipeline.info)
    pipeline.use(decoder, model)
    yield from pipeline.run(session_events(path, recording, chunk))


def score(found: Iterable[Decision], config: Config, n_classes: int) -> Score:
    """Compare decisions with the labels of the markers that opened their windows."""
    labels = config.labels
    judged = [d for d in found if d.marker is not None and d.marker in labels]
    return Score(
        sum(labels[d.marker] == d.label for d in judged if d.marker is not None),
        len(judged),
        sum(d.label is None for d in judged),
        n_classes,
    )


def decode(
    path: Path, config: Config, *, chunk: int | None, out: Path | None, report: Report
) -> None:
    """Decode the recording at `path`, write its decisions to `out`, and report."""
    recording = load_recording(path)
    for note in recording.notes:
        report(f"note: {note}")
    if log_beside(path) is not None:
        report(f"with the event log {log_beside(path)}")
    began = perf_counter()
    found = list(decisions(path, recording, config, chunk or CHUNK))
    took = perf_counter() - began
    if out is not None:
        _write(out, found)
        report(f"wrote {len(found)} decisions to {out}")
    seconds = len(recording.data) / recording.info.sfreq
    abstained = sum(d.label is None for d in found)
    report(
        f"{seconds:.1f} s of {recording.info.n_channels} channels at {recording.info.sfreq:g} Hz "
        f"in {took:.2f} s ({seconds / took:.0f} times real time): "
        f"{len(found)} decisions, {abstained} abstentions"
    )
    if any(d.marker in config.labels for d in found):
        n_classes = max(len(d.proba) for d in found) or len(config.labels)
        report(str(score(found, config, n_classes)))


def _write(out: Path, found: Iterable[Decision]) -> None:
    try:
        with out.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(d.to_json()) + "\n" for d in found)
    except OSError as error:
        raise RecordingError(f"{out} cannot be written: {error.strerror}") from error


def over_lsl(
    path: Path, *, speed: float, name: str | None, chunk: int | None, report: Report
) -> None:
    """Stream the recording at `path` over LSL, once somebody listens."""
    from bci.sources.replay_lsl import stream_to_lsl

    recording = load_recording(path)
    for note in recording.notes:
        report(f"note: {note}")
    stream_to_lsl(recording, speed=speed, name=name, chunk=chunk, report=report)
