"""Benchmarks of something else than decoders on epochs: told apart by the `kind` of their YAML.

A study's work comes in pieces. Each is stored as soon as it is done, under a hash of all
that it depends on: a run that was stopped goes on where it stopped, and what failed is
tried again. The results are ``results.csv`` and ``results.json``, a page and a summary.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from bci.benchmark import config as configs
from bci.benchmark.progress import Progress
from bci.benchmark.store import Damaged, Row, Store, replace
from bci.config import Settings
from bci.errors import BciError

if TYPE_CHECKING:
    from bci.html import Section

Say = Callable[[str], None]

#: Kind: module and class of its settings; a benchmark of decoders has none.
KINDS = {
    "denoise": "bci.benchmark.cleaning.bank_study:DenoiseStudy",
    "denoise_decoders": "bci.benchmark.cleaning.decoder_study:DecoderStudy",
    "denoise_recordings": "bci.benchmark.cleaning.recording_study:RecordingStudy",
}
_PAGE = "study.html.j2"


@dataclass(frozen=True)
class Piece:
    """Work that is done as one; `work` travels to a worker process.

    Attributes
    ----------
    title : str
    depends : str
        All that its rows depend on, as text.
    work : callable
        Gives the rows: flat mappings of JSON's values.
    """

    title: str
    depends: str
    work: Callable[[], list[Row]]

    @property
    def key(self) -> str:
        """Hash under which its rows are kept."""
        return hashlib.sha256(f"{self.title}\0{self.depends}".encode()).hexdigest()[:32]


class Study(Protocol):
    """Settings of a study, which know its work and how it is told."""

    name: str

    def pieces(self, out: Path) -> list[Piece]:
        """All work, in order; `out` is a folder for what shall be kept beside the results.

        Raises
        ------
        BciError
            The settings do not fit the data, or these are not there.
        """
        ...

    def sections(self, rows: Sequence[Row]) -> list[Section]:
        """Tables of the results; rows of failed pieces have a reason under `error`."""
        ...


def kind_of(text: str) -> str | None:
    """Kind of the study that a YAML describes; None for a benchmark of decoders."""
    with suppress(yaml.YAMLError):
        data = yaml.safe_load(text)
        kind = data.get("kind") if isinstance(data, dict) else None
        return str(kind) if kind in KINDS else None
    return None


def load(text: str, name: str) -> Study:
    """Read a study's settings; raises as `bci.benchmark.config.load`."""
    module, _, cls = KINDS[str(kind_of(text))].partition(":")
    study: Study = configs.parse(text, name, getattr(import_module(module), cls))
    return study


def run(
    study: Study,
    out: Path,
    *,
    config_yaml: str,
    environment: dict[str, str],
    scheduler: str | None = None,
    n_jobs: int | None = None,
    force: bool = False,
    dry_run: bool = False,
    say: Say,
) -> bool:
    """Do a study, or what is left of it, and write its results; False where a piece failed.

    Raises
    ------
    BciError
        Results cannot be written, or see `Study.pieces`.
    """
    from bci.benchmark import runners

    store = Store(out)
    store.create()
    pieces = study.pieces(store.out)
    done = {} if force else _done(store, pieces)
    say(f"{len(pieces)} pieces of work, {len(done)} of them done before")
    if dry_run:
        for piece in pieces:
            say(f"  {piece.title}: {'done' if piece.key in done else 'to do'}")
        return True
    left = [piece for piece in pieces if piece.key not in done]
    made: dict[str, list[Row]] = {}
    with runners.opened(scheduler, n_jobs) as runner, Progress("scoring", len(left), say) as shown:
        for key, rows in runner.map(_perform, [(piece,) for piece in left]):
            failed = bool(rows[0]["error"])
            if not failed:
                store.write(key, rows)
            made[key] = rows
            shown.advance(1, int(failed))
    rows = [{"piece": p.title, **row} for p in pieces for row in {**done, **made}[p.key]]
    for file in _write(study, store, rows, config_yaml, environment):
        say(f"see {file}")
    failures = {row["piece"]: row["error"] for row in rows if row["error"]}
    for title, reason in failures.items():
        say(f"failed: {title}: {reason}")
    return not failures


def _done(store: Store, pieces: Sequence[Piece]) -> dict[str, list[Row]]:
    found = {}
    for piece in pieces:
        with suppress(Damaged):  # it is done again, and written over
            rows = store.read(piece.key)
            if rows is not None:
                found[piece.key] = rows
    return found


def _perform(piece: Piece) -> tuple[str, list[Row]]:
    """Rows of a piece; what goes wrong in it is its own row's business."""
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(1):
            return piece.key, [{**row, "error": ""} for row in piece.work()]
    except Exception as error:  # of any stage, decoder or network
        told = " ".join(str(error).split())[:500] or "no message"
        name = "" if isinstance(error, BciError) else f"{type(error).__name__}: "
        return piece.key, [{"error": f"{name}{told}"}]


def _write(
    study: Study,
    store: Store,
    rows: Sequence[Row],
    config_yaml: str,
    environment: dict[str, str],
) -> list[Path]:
    from bci.html import render

    sections = [s for s in study.sections(rows) if s.blocks]
    texts = {
        "report.html": render(
            "bci.benchmark.report", _PAGE, title=study.name, kind="benchmark report",
            sections=sections, n_rows=len(rows), n_failed=sum(bool(r["error"]) for r in rows),
            config=config_yaml, environment=environment,
        ),
        "results.csv": _csv(rows),
        "results.json": json.dumps(list(rows), indent=1),
        "summary.md": _markdown(study.name, sections),
    }  # fmt: skip
    for name, text in texts.items():
        replace(store.out / name, text.encode())
    return [store.out / name for name in texts]


def _csv(rows: Sequence[Row]) -> str:
    """All plain values, one line a row; what is nested stands in the JSON alone."""
    nested = {key for row in rows for key, value in row.items() if isinstance(value, (list, dict))}
    columns = [c for c in dict.fromkeys(key for row in rows for key in row) if c not in nested]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(name: str, sections: Sequence[Section]) -> str:
    from bci.html import escape_markdown

    lines = [f"# {escape_markdown(name)}\n"]
    for section in sections:
        lines.append(f"## {escape_markdown(section.title)}\n")
        if section.text:
            lines.append(f"{escape_markdown(section.text)}\n")
        for block in section.blocks:
            if block.heading:
                lines.append(f"### {escape_markdown(block.heading)}\n")
            lines += [table.markdown() for table in block.tables]
            if block.caption:
                lines.append(f"{escape_markdown(block.caption)}\n")
    return "\n".join(lines)


def as_text(**parts: Any) -> str:
    """What a piece depends on, for `Piece.depends`."""
    return json.dumps(parts, sort_keys=True, default=str)


def digests(parts: Iterable[Settings | None]) -> list[str]:
    """Hash of each file or folder that settings name, for `Piece.depends`."""
    values = (getattr(part, name) for part in parts if part for name in type(part).model_fields)
    return [_digest(value) for value in values if isinstance(value, Path) and value.exists()]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()
