"""How studies of denoising are told: tables of figures, and of what cleaning is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bci.benchmark.report.rows import natural
from bci.benchmark.store import Row
from bci.html import Block, Section, Table
from bci.metrics import accuracy_interval, mean_interval

#: What a chain may cost where there is nothing to clean, points of accuracy.
MAX_LOSS = 1.0
#: Name of the chain without a stage.
UNTOUCHED = "untouched"

Scores = Mapping[str, Row]  # by subject


# --- single channels whose true EEG is known -----------------------------------------------------

FIGURES = {
    "rrmse_t": ("RRMSE, temporal", "less is better; an output of zeros has 1"),
    "rrmse_s": ("RRMSE, spectral", "of Welch's densities; less is better"),
    "cc": ("Correlation", "more is better"),
    "snr_gain_db": ("SNR gain, dB of EEGdenoiseNet", "more is better; halving the RRMSE gains 3"),
}
BANK = (
    "Mean over pairs [95 % over the people tested, each counted once: over those whose EEG it is, "
    "or whose artifacts, whichever is wider; not centred on the mean where people have unequally "
    "many epochs]. dB are EEGdenoiseNet's: ten times the logarithm of a ratio of amplitudes."
)


def bank_sections(rows: Sequence[Row]) -> list[Section]:
    """Sections of `bci.benchmark.cleaning.bank_study`: one for each artifact."""
    whole = [row for row in rows if not row["error"]]
    return [
        _of_artifact(name, [row for row in whole if row["artifact"] == name])
        for name in dict.fromkeys(row["artifact"] for row in whole)
    ]


def _of_artifact(name: str, rows: Sequence[Row]) -> Section:
    scored = [row for row in rows if "why" not in row]
    tables = tuple(_figure_table(scored, key, *of) for key, of in FIGURES.items()) if scored else ()
    left_out = tuple((row["method"], row["why"]) for row in rows if "why" in row)
    blocks = [Block(tables=tables, caption=BANK)] if tables else []
    if better := _better(scored):
        blocks.append(Block(tables=(better,)))
    if left_out:
        blocks.append(Block(tables=(Table("Not judged here", ("method", "reason"), left_out, 2),)))
    text = ""
    if scored:
        text = (
            f"{scored[0]['n']} pairs at each SNR, the same for every method, from "
            f"{scored[0]['n_eeg_sources']} people's EEG and {scored[0]['n_artifact_sources']} "
            "people's artifacts, of whom nothing was learned."
        )
    return Section(name, f"{name.upper()} artifacts", text, tuple(blocks))


def _figure_table(rows: Sequence[Row], key: str, title: str, told: str) -> Table:
    levels = sorted({row["snr_db"] for row in rows})
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        at = {row["snr_db"]: row for row in rows if row["method"] == method}
        mean = np.mean([row[key] for row in at.values()])
        lines.append((method, *(_cell(at.get(level), key) for level in levels), f"{mean:.3f}"))
    columns = ("method", *(f"{level:g} dB" for level in levels), "mean")
    return Table(f"{title} ({told})", columns, tuple(lines))


def _cell(row: Row | None, key: str) -> str:
    if row is None:
        return "–"
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    interval = "" if low is None else f" [{low:.2f} – {high:.2f}]"
    return f"{row[key]:.3f}{interval}"


def _better(rows: Sequence[Row]) -> Table | None:
    """At how many SNRs a method that learns is better than those that don't."""
    kinds = {r["method"]: r["kind"] for r in rows}
    learned = [m for m, kind in kinds.items() if kind in ("network", "denoiser", "wiener")]
    simple = [m for m, kind in kinds.items() if kind not in ("network", "denoiser")]
    found = {(r["method"], r["snr_db"]): r for r in rows}
    levels = sorted({r["snr_db"] for r in rows})
    lines = []
    for method in learned:
        for other in (m for m in simple if m != method):
            pairs = [(found[method, s], found[other, s]) for s in levels]
            lines.append((
                method, other,
                f"{sum(a['rrmse_t'] < b['rrmse_t'] for a, b in pairs)} of {len(levels)}",
                f"{sum(a['cc'] > b['cc'] for a, b in pairs)} of {len(levels)}",
            ))  # fmt: skip
    if not lines:
        return None
    columns = ("method", "better than", "in temporal RRMSE at", "in correlation at")
    return Table("SNRs at which a method is better", columns, tuple(lines), 2)


# --- what cleaning is worth ----------------------------------------------------------------------


def decoder_sections(rows: Sequence[Row]) -> list[Section]:
    """Sections of `bci.benchmark.cleaning.decoder_study`: one for each data set."""
    whole = [row for row in rows if not row["error"]]
    names = dict.fromkeys(row["dataset"] for row in whole)
    return [_of_set(name, [row for row in whole if row["dataset"] == name]) for name in names]


def _of_set(name: str, rows: Sequence[Row]) -> Section:
    verdicts = _verdicts(rows)
    blocks = [Block(tables=(verdicts,), caption=VERDICT)] if verdicts.rows else []
    for decoder in dict.fromkeys(row["decoder"] for row in rows):
        some = [row for row in rows if row["decoder"] == decoder]
        tables = (_by_chain(some), _by_subject(some))
        blocks.append(Block(decoder, tables=tuple(table for table in tables if table.rows)))
    if counted := _census(rows):
        blocks.append(Block(tables=(counted,)))
    if said := _said(rows):
        blocks.append(Block(tables=(said,)))
    if any(row["simulated"] for row in rows):
        text = "SIMULATED participants: figures say that software works, not how a person would do."
    else:
        text = "Recordings, to which artifacts of other people were added."
    return Section(_slug(name), name, text, tuple(blocks))


VERDICT = (
    "The chain is chosen on the first subjects (the best contaminated score of those that lose "
    f"{MAX_LOSS:g} point or less on clean data there; 'untouched' where none gains) and told on "
    "the others. Cost: what artifacts take from untouched data. Margin: the chain's score on "
    "contaminated data above the middle between untouched contaminated and untouched clean data. "
    "Lost: untouched clean less cleaned clean. All in points of accuracy. "
    "Brackets are 95 % intervals of the mean over subjects (Student's t)."
)


def scores(rows: Sequence[Row], chain: str, condition: str, choosing: bool = False) -> Scores:
    """Rows of a decoder behind a chain, by subject."""
    return {
        row["subject"]: row
        for row in rows
        if (row["chain"], row["condition"], row["choosing"]) == (chain, condition, choosing)
    }


def chosen(rows: Sequence[Row]) -> str | None:
    """Chain that does best on the subjects to choose on; None where there are none."""
    clean, dirty = (_mean(scores(rows, UNTOUCHED, c, True)) for c in ("clean", "contaminated"))
    if clean is None or dirty is None:
        return None
    best, name = dirty, UNTOUCHED
    for chain in dict.fromkeys(row["chain"] for row in rows):
        kept, cleaned = (_mean(scores(rows, chain, c, True)) for c in ("clean", "contaminated"))
        if kept is None or cleaned is None or 100.0 * (clean - kept) > MAX_LOSS + 1e-9:
            continue
        if cleaned > best:
            best, name = cleaned, chain
    return name


def margins(rows: Sequence[Row], chain: str) -> tuple[list[float], list[float]]:
    """Of each subject told: points above half-way back, and points lost on clean data."""
    clean, dirty = (scores(rows, UNTOUCHED, c) for c in ("clean", "contaminated"))
    kept, cleaned = (scores(rows, chain, c) for c in ("clean", "contaminated"))
    subjects = [s for s in clean if s in dirty and s in kept and s in cleaned]
    above = [
        100.0 * (cleaned[s]["score"] - 0.5 * (clean[s]["score"] + dirty[s]["score"]))
        for s in subjects
    ]
    return above, [100.0 * (clean[s]["score"] - kept[s]["score"]) for s in subjects]


def _census(rows: Sequence[Row]) -> Table | None:
    """Components by ICLabel, of each subject, condition and chain asked for."""
    found = {
        (row["subject"], row["condition"], row["chain"]): row["census"]
        for row in rows
        if row["census"]
    }
    if not found:
        return None
    classes = tuple(next(iter(found.values())))
    lines = tuple((*key, *(str(of[name]) for name in classes)) for key, of in found.items())
    return Table(
        "Independent components by ICLabel", ("subject", "condition", "chain", *classes), lines, 3
    )


def _said(rows: Sequence[Row]) -> Table | None:
    """What stages warned of, and of how many people."""
    whose: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        for line in row["said"]:
            whose.setdefault((row["chain"], line), set()).add(row["subject"])
    first: dict[str, tuple[str, str]] = {}
    for (chain, line), people in whose.items():
        first.setdefault(chain, (line, str(len(people))))
    if not first:
        return None
    lines = tuple((chain, line, n) for chain, (line, n) in first.items())
    return Table("What stages warned of first", ("chain", "warning", "subjects"), lines, 2)


def _verdicts(rows: Sequence[Row]) -> Table:
    lines = []
    for decoder in dict.fromkeys(row["decoder"] for row in rows):
        some = [row for row in rows if row["decoder"] == decoder]
        chain = chosen(some)
        if chain is None:
            continue
        above, lost = margins(some, chain)
        if not above:
            continue
        clean, dirty, cleaned = (
            scores(some, *of)
            for of in ((UNTOUCHED, "clean"), (UNTOUCHED, "contaminated"), (chain, "contaminated"))
        )
        cost = [100.0 * (clean[s]["score"] - dirty[s]["score"]) for s in clean if s in dirty]
        back = "yes" if np.mean(above) >= 0.0 else "no"
        lines.append((
            decoder, chain, str(len(above)), *(_percent(_mean(s)) for s in (clean, dirty, cleaned)),
            _points(cost), _points(above), _points(lost),
            back if np.mean(cost) > 0.0 else "nothing to win back",
            "yes" if np.mean(lost) <= MAX_LOSS else "no",
        ))  # fmt: skip
    columns = ("decoder", "chosen chain", "subjects", "clean, %", "contaminated, %", "cleaned, %")
    more = (
        "cost, points",
        "margin, points",
        "lost, points",
        "half-way back",
        f"≤ {MAX_LOSS:g} point lost",
    )
    return Table("The chosen chain", columns + more, tuple(lines), 2)


def _by_chain(rows: Sequence[Row]) -> Table:
    lines = []
    for chain in dict.fromkeys(row["chain"] for row in rows):
        clean, dirty = (scores(rows, chain, c) for c in ("clean", "contaminated"))
        if not dirty:
            continue
        above, lost = margins(rows, chain)
        lines.append((
            chain, _with_interval(clean), _with_interval(dirty), _back(rows, chain),
            _points(above), _points(lost), _percent(_average(dirty, "n_abstained", "n")),
            _percent(_average(dirty, "mended")), _figure(_average(dirty, "rrmse_t")),
            _figure(_average(clean, "rrmse_t")), f"{1e3 * (_average(dirty, 'delay_s') or 0.0):.0f}",
        ))  # fmt: skip
    columns = ("chain", "clean, %", "contaminated, %", "won back, %", "margin, points")
    more = (
        "lost on clean, points",
        "abstained, %",
        "samples mended, %",
        "RRMSE",
        "RRMSE, clean",
        "delay, ms",
    )
    return Table("Mean over the subjects told [95 %]", columns + more, tuple(lines))


def _by_subject(rows: Sequence[Row]) -> Table:
    chains = list(dict.fromkeys(row["chain"] for row in rows))
    lines = []
    for subject in sorted({row["subject"] for row in rows}, key=natural):
        own = [row for row in rows if row["subject"] == subject]
        found = {(row["chain"], row["condition"]): row for row in own}
        cells = [_of_subject(found.get((UNTOUCHED, "clean")))]
        cells += [_of_subject(found.get((chain, "contaminated"))) for chain in chains]
        note = " (chosen on)" if own[0]["choosing"] else ""
        lines.append((f"{subject}{note}", *cells))
    columns = ("subject", "clean", *(f"contaminated, {chain}" for chain in chains))
    return Table("By subject: accuracy, % [95 %, Wilson]", columns, tuple(lines))


def _back(rows: Sequence[Row], chain: str) -> str:
    """Share of what was lost to artifacts that a chain wins back, of the means."""
    told = (scores(rows, *of) for of in ((UNTOUCHED, "clean"), (UNTOUCHED, "contaminated"),
                                         (chain, "contaminated")))  # fmt: skip
    clean, dirty, cleaned = (_mean(s) for s in told)
    if clean is None or dirty is None or cleaned is None or clean <= dirty:
        return "–"
    return _percent((cleaned - dirty) / (clean - dirty))


def _mean(found: Scores) -> float | None:
    return float(np.mean([row["score"] for row in found.values()])) if found else None


def _average(found: Scores, key: str, over: str | None = None) -> float | None:
    values = [
        row[key] / (row[over] if over else 1) for row in found.values() if row[key] is not None
    ]
    return float(np.mean(values)) if values else None


def _of_subject(row: Row | None) -> str:
    if row is None:
        return "–"
    low, high = accuracy_interval(row["hits"], row["n"])
    return f"{100 * row['score']:.1f} [{100 * low:.0f} – {100 * high:.0f}]"


def _with_interval(found: Scores) -> str:
    values = [row["score"] for row in found.values()]
    return _points([100.0 * v for v in values]) if values else "–"


def _points(values: Sequence[float]) -> str:
    if not values:
        return "–"
    low, high = mean_interval(values)
    told = f" [{low:.1f} – {high:.1f}]" if math.isfinite(low) else ""
    return f"{np.mean(values):.1f}{told}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower())
