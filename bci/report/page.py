"""The sections of a session's report, and the page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bci import __version__
from bci.errors import BciError
from bci.html import Block, Section, Table, render
from bci.recording.layout import beside, parse
from bci.report import tables
from bci.report.record import SessionRecord, read_session
from bci.report.trials import cued_trials, repairs, scores

_CUED = (
    "Trials whose target was told, decided by the decoder in use at that time. An abstention is "
    "not right. The transfer rate rests on the mean evidence and the conventional gaze shift."
)
_LATENCY = (
    "From the arrival of a decision's last sample to the decision: reading, filters and decoder. "
    "The evidence that a decision waits for, and the display, are not in it."
)
_MODELS = "Scores of a calibration are cross-validated: of trials that the decoder had not seen."


def default_path(recording: Path) -> Path:
    """Where a recording's report lies when nobody says otherwise: beside it."""
    return beside(recording, "report.html")


def write_report(recording: Path, out: Path | None = None) -> Path:
    """Write a session's report, readable by its owner only; an earlier one is replaced.

    Parameters
    ----------
    recording : Path
        The session's XDF file; its companions lie beside.
    out : Path or None
        None: see `default_path`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    RecordingError, ConfigError
        A file of the session is missing or damaged.
    BciError
        The page cannot be written.
    """
    page = render_report(read_session(recording))
    out = default_path(recording) if out is None else out
    draft = out.with_name(f".{out.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(page.encode())
        draft.replace(out)
    except OSError as error:
        raise BciError(f"the report cannot be written to {out}: {error.strerror}") from error
    return out


def render_report(record: SessionRecord) -> str:
    """Make the page."""
    who = record.config.participant
    return render(
        "bci.report", "session.html.j2", title=f"Participant {who.id}, session {who.session}",
        kind="session report", sections=[s for s in _sections(record) if s.blocks],
        simulated=record.simulated, whole=record.verified.ok, version=__version__,
        texts=[run.text for run in record.runs if run.mode != "calibration"],
    )  # fmt: skip


def _sections(record: SessionRecord) -> Iterator[Section]:
    yield Section("session", "Session", "", _tables(tables.what_was_done(record)))
    yield Section("spelling", "Spelling", "", tuple(_runs(record)))
    yield Section("imagery", "Imagery", "", tuple(_imagery(record)))
    yield Section("cued", "Cued trials", _CUED, tuple(_cued(record)))
    yield Section("calibration", "Calibration and decoders", _MODELS, tuple(_models(record)))
    yield Section("quality", "Quality", "", tuple(_quality(record)))
    yield Section("recording", "Recording", "", _tables(tables.wholeness(record)))
    yield Section("latency", "Latency", _LATENCY, _tables(tables.latency(record)))
    yield Section("notes", "Notes", "", _tables(tables.notes(record)))
    yield Section("settings", "Settings", "", _settings(record))


def _tables(*found: Table) -> tuple[Block, ...]:
    shown = tuple(table for table in found if table.rows)
    return (Block(tables=shown),) if shown else ()


def _settings(record: SessionRecord) -> tuple[Block, ...]:
    return (Block(code=tables.settings(record).rstrip(), fold="as bci run takes them"),)


def _runs(record: SessionRecord) -> Iterator[Block]:
    for number, run in enumerate((r for r in record.runs if r.mode != "calibration"), start=1):
        yield Block(f"Run {number}, from {tables.clock(run.start / record.info.sfreq)}",
                    tables=(tables.spelling(run),))  # fmt: skip
        if run.selections:
            yield Block(tables=(tables.selections(run),), fold=f"selections: {len(run.selections)}")


def _imagery(record: SessionRecord) -> Iterator[Block]:
    """What a Graz session's own summary says, a sentence a row."""
    paths = parse(record.path)
    if record.config.paradigm is None or paths is None:
        return
    from bci.benchmark.graz import of_run  # here: other sessions need no part of benchmarks

    found = of_run(record.config, paths)
    lines = ["no run with feedback was finished"] if found is None else list(found.lines())
    rows = tuple((what, said) for what, _, said in (line.partition(": ") for line in lines))
    yield from _tables(Table("", ("", ""), rows, 2))


def _cued(record: SessionRecord) -> Iterator[Block]:
    trials = cued_trials(record)
    if not trials:
        return
    n_undecided = sum(t.decision is None for t in trials)
    said = f"{len(trials)} trials, {n_undecided} without a decision." if n_undecided else ""
    yield Block(tables=(tables.cued(list(scores(record, trials))),), caption=said)


def _models(record: SessionRecord) -> Iterator[Block]:
    yield from _tables(tables.models(record))
    if (judged := tables.worth(record)).rows:
        yield Block(
            "What mends the signal, judged by what it does to the decoder", tables=(judged,)
        )
    looks = tuple(tables.ladder(record))
    if looks:
        forecast = record.assessments[-1]["forecast"]
        yield Block(
            "The ladder", tables=looks, fold=f"comparisons of decoders: {len(looks)}",
            caption=f"Forecast at the last look: {forecast}." if forecast else "",
        )  # fmt: skip


def _quality(record: SessionRecord) -> Iterator[Block]:
    n = len(record.decisions)
    if n == 0:
        return
    abstained = sum(d["label"] is None for d in record.decisions)
    forced = sum(d["forced"] for d in record.decisions)
    told = f"{n} decisions: {abstained} abstained, {forced} were forced by the longest window."
    shown = (tables.abstentions(record), tables.bad_channels(record))
    yield Block(tables=tuple(table for table in shown if table.rows), caption=told)
    found = list(repairs(record.decisions, cued_trials(record)))
    n_repaired = found[1].n
    if n_repaired:
        told = (
            f"{n_repaired} of {n} decisions ({100 * n_repaired / n:.1f} %) rested on repaired data."
        )
        yield Block("Repaired data", tables=(tables.repaired(found),), caption=told)
    else:
        yield Block(caption="No decision rested on repaired data.")
