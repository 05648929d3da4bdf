"""What `bci replay` does: decode a recording as fast as it goes, or stream it over LSL."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bci.config import Config
from bci.decoders.artifact import bypassed, load_decoder
from bci.errors import ConfigError, RecordingError, UntrainedDecoder
from bci.metrics import accuracy_interval, chance_bound
from bci.paradigms.cues import Opened, labelled
from bci.pipeline import Pipeline
from bci.playback import CHUNK, log_beside, session_events
from bci.sources.files import Recording, load_recording
from bci.types import Decision

#: A decision's window is looked for so near, seconds, to where the marker's would begin.
NEAR_S = 0.05

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
        """Share of right decisions; NaN where there is none."""
        return self.n_right / self.n if self.n else float("nan")

    def __str__(self) -> str:
        low, high = accuracy_interval(self.n_right, self.n)
        bound = chance_bound(self.n, self.n_classes)
        verdict = "better than chance" if self.n_right >= bound else "NOT better than chance"
        return (
            f"{self.n_right} of {self.n} right, {self.n_abstained} abstained: accuracy "
            f"{self.accuracy:.3f} [{low:.3f}, {high:.3f}] (95 %), {verdict} "
            f"({1 / self.n_classes:.3f}; from {bound} right)"
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
    try:
        pipeline.use(*load_decoder(config, pipeline.info), bypassed(config))
    except UntrainedDecoder:
        if log_beside(path) is None:  # a session's log may swap in the decoder it trained
            raise
    yield from pipeline.run(session_events(path, recording, chunk))


def score(
    found: Iterable[Decision], config: Config, n_classes: int, recording: Recording | None = None
) -> Score:
    """Compare decisions with the labels of the markers that opened their windows.

    With the recording also those count whose label was told by a cue before
    (see `bci.paradigms.cues`).
    """
    trials = [] if recording is None else _trials(config, recording)
    sfreq = 1.0 if recording is None else recording.info.sfreq
    judged = []
    for decision in found:
        label = config.labels.get(decision.marker or "")
        if label is None and trials:
            onset = decision.first - config.window.offset_s * sfreq
            trial = min(_around(trials, onset), key=lambda t: abs(t.onset - onset))
            if trial.value == decision.marker and abs(trial.onset - onset) <= NEAR_S * sfreq:
                label = trial.label
        if label is not None:
            judged.append((label, decision.label))
    return Score(
        sum(asked == got for asked, got in judged),
        len(judged),
        sum(got is None for _, got in judged),
        n_classes,
    )


def _trials(config: Config, recording: Recording) -> list[Opened]:
    markers = [(m.index or 0, m.value) for m in recording.markers]
    return list(labelled(markers, config.labels, set(config.window.markers or config.labels)))


def _around(trials: list[Opened], onset: float) -> list[Opened]:
    at = bisect_left(trials, onset, key=lambda t: t.onset)
    return trials[max(0, at - 2) : at + 2]


def decode(
    path: Path, config: Config, *, chunk: int | None, out: Path | None, report: Report
) -> tuple[Recording, list[Decision]]:
    """Decode the recording at `path`, write its decisions to `out`, and report; return both."""
    if out is not None:
        _can_be_written(out)
    recording = _load(path, report)
    if (log := log_beside(path)) is not None:
        report(f"with the event log {log}")
    began = perf_counter()
    found = list(decisions(path, recording, config, chunk or CHUNK))
    took = perf_counter() - began
    if out is not None:
        _write(out, found)
    seconds, info = recording.duration_s, recording.info
    report(
        f"decoded {seconds:.1f} s of {info.n_channels} channels at {info.sfreq:g} Hz in "
        f"{took:.2f} s, {seconds / took:.0f} times real time"
    )
    abstained = [d for d in found if d.abstained]
    report(f"{len(found)} decisions, {len(abstained)} of them abstentions{_reasons(abstained)}")
    if repaired := [d for d in found if d.quality.repaired]:
        report(f"{len(repaired)} decisions rest on repaired data{_repairs(repaired)}")
    if not found:
        report(_why_none(recording, config))
    n_classes = max((len(d.proba) for d in found), default=0) or len(config.labels)
    judged = score(found, config, max(2, n_classes), recording)
    if judged.n:
        report(str(judged))
    if out is not None:
        report(f"wrote {out}")
    return recording, found


def _load(path: Path, report: Report) -> Recording:
    recording = load_recording(path)
    for note in recording.notes:
        report(f"note: {note}")
    return recording


def _reasons(abstained: Iterable[Decision]) -> str:
    counts = Counter(reason for d in abstained for reason in d.quality.reasons or ("undecided",))
    listed = ", ".join(f"{reason} {n}" for reason, n in counts.most_common())
    return f" ({listed})" if listed else ""


def _repairs(repaired: Iterable[Decision]) -> str:
    counts = Counter(way for d in repaired for way in d.quality.repaired)
    return f" ({', '.join(f'{way} {n}' for way, n in counts.most_common())})"


def _why_none(recording: Recording, config: Config) -> str:
    window = config.window
    if window.kind == "sliding":
        return f"no decision: the recording is shorter than a window of {window.length_s:g} s"
    openers = ", ".join(map(repr, window.markers or config.labels))
    there = Counter(m.value for m in recording.markers).most_common(12)
    listed = ", ".join(f"{value!r} ({n})" for value, n in there) or "none"
    return f"no decision: windows open at the markers {openers}; the recording has {listed}"


def _can_be_written(out: Path) -> None:
    """Refuse now what would fail after the work."""
    if out.exists():
        raise ConfigError(f"{out} exists already and is not overwritten; name another file")
    if not out.parent.is_dir():
        raise RecordingError(f"{out} cannot be written: there is no folder {out.parent}")


def _write(out: Path, found: Iterable[Decision]) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.writelines(json.dumps(d.to_json(), ensure_ascii=False) + "\n" for d in found)
    except OSError as error:
        raise RecordingError(f"{out} cannot be written: {error.strerror}") from error


def over_lsl(
    path: Path, *, speed: float, name: str | None, chunk: int | None, report: Report
) -> None:
    """Stream the recording at `path` over LSL, once somebody listens."""
    from bci.sources.replay_lsl import stream_to_lsl

    recording = _load(path, report)
    stream_to_lsl(recording, speed=speed, name=name, chunk=chunk, report=report)
