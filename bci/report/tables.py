"""Tables of a session's report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from bci.config import dump
from bci.html import Table
from bci.metrics import chance_bound, chance_p_value, latency_percentiles
from bci.paradigms.spelling_log import RecordedRun
from bci.report.record import SessionRecord
from bci.report.trials import RepairScore, TrialScore
from bci.types import Bypass, Command, Gap

_FACTS = ("", "")
_DEEDS = {"pause": "decisions paused", "resume": "decisions resumed"}


def facts(title: str, rows: dict[str, str]) -> Table:
    """Names and values; those without a value are left out."""
    return Table(title, _FACTS, tuple((k, v) for k, v in rows.items() if v), 2)


def clock(seconds: float) -> str:
    """Seconds as ``m:ss.s``."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"


def what_was_done(record: SessionRecord) -> Table:
    """Who, when, what, with which decoder."""
    config, info = record.config, record.info
    who = config.participant
    kinds = Counter(info.ch_types)
    started = "" if record.started is None else f"{record.started:%Y-%m-%d %H:%M:%S} UTC"
    decoder = "none" if config.decoder is None else config.decoder.kind
    return facts("", {
        "participant": f"{who.id}, session {who.session}",
        "started": started,
        "lasted": str(timedelta(seconds=round(record.n_samples / info.sfreq))),
        "source": f"{config.source.kind}: {info.name}" + (
            " (SIMULATED: no brain was measured)" if record.simulated else ""
        ),
        "channels": ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        + f" at {info.sfreq:g} Hz: {', '.join(info.ch_names)}",
        "decoder at the start": decoder,
        "decided": f"{len(record.decisions)} times",
        "recording": record.path.name,
    })  # fmt: skip


def spelling(run: RecordedRun) -> Table:
    """The figures of a speller's run."""
    found = run.score()
    rows = {
        "task": run.mode + (f" “{run.phrase}”" if run.phrase else ""),
        "written": f"“{run.text}”",
        "ended": run.why or "it broke off: what stands here is what was recorded until then",
        "selections": f"{found.n_trials} in {clock(found.seconds)} min, {found.n_unanswered} "
        f"without a decision, {run.n_void} trials cut short",
    }
    if found.accuracy is not None and found.n_right is not None:
        n, n_targets = found.n_trials, run.n_targets
        rows["accuracy"] = (
            f"{found.accuracy:.3f} [{found.accuracy_low:.3f}, {found.accuracy_high:.3f}] (95 %): "
            f"{found.n_right} of {n} right"
        )
        rows["chance"] = _against_chance(found.n_right, n, n_targets)
    if found.itr is not None:
        rows["ITR"] = (
            f"{found.itr:.1f} bit/min by Wolpaw's definition, of the decoder alone (no language "
            f"prior), with {run.n_targets} targets and {found.seconds / found.n_trials:.2f} s a "
            "selection, gaze shift and feedback included"
        )
    if found.correct_per_min is not None:
        rows["speed"] = f"{found.correct_per_min:.1f} correct characters a minute, undoing counted"
    elif found.characters_per_min is not None:
        rows["speed"] = f"{found.characters_per_min:.1f} characters a minute, right or wrong"
    shown = f"{run.n_flips} shown at {run.refresh_hz:.2f} Hz, {run.n_dropped} dropped"
    rows["frames"] = shown if run.n_flips else ""
    return facts("", rows)


def _against_chance(n_right: int, n: int, n_classes: int) -> str:
    bound, p = chance_bound(n, n_classes), chance_p_value(n_right, n, n_classes)
    verdict = "better" if n_right >= bound else "NOT better"
    from_so_many = f"; it is from {bound} right on" if bound <= n else f"; {n} are too few to be"
    return (
        f"{1 / n_classes:.3f}: {verdict} than guessing "
        f"(p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}{from_so_many})"
    )


def selections(run: RecordedRun) -> Table:
    """Every selection of a run."""
    rows = []
    for number, s in enumerate(run.selections, start=1):
        right = {True: "right", False: "wrong", None: ""}[s.right]
        note = s.reason or ("forced by the time" if s.forced else "")
        rows.append((
            str(number), s.caption or "–", s.label or "–", s.wanted or "–", right, note,
            "–" if s.probability is None else f"{s.probability:.3f}", f"{s.seconds:.2f}",
        ))  # fmt: skip
    columns = ("", "key", "target", "wanted", "", "note", "probability", "seconds")
    return Table("", columns, tuple(rows), 6)


def cued(scores: list[TrialScore]) -> Table:
    """Accuracy on cued trials, by decoder."""
    rows = tuple(
        (
            s.model,
            _against_chance(s.n_right, s.n, s.n_classes),
            str(s.n),
            str(s.n_right),
            str(s.n_abstained),
            f"{s.accuracy:.3f} [{s.interval[0]:.3f}, {s.interval[1]:.3f}]",
            f"{s.mean_s:.2f}",
            f"{s.itr:.1f}",
        )
        for s in scores
    )
    columns = (
        "decoder", "chance", "trials", "right", "abstained", "accuracy (95 %)", "evidence, s",
        "ITR, bit/min",
    )  # fmt: skip
    return Table("", columns, rows, 2)


def models(record: SessionRecord) -> Table:
    """Which decoder took over when, and what its calibration says."""
    rows = []
    for swap in record.swaps:
        manifest = record.models.get(swap.model)
        scores = "no scores are kept"
        if manifest is not None:
            n = sum(manifest.n_trials.values())
            scores = "; ".join(
                f"{s.metric} {s.value:.3g} [{s.low:.3g}, {s.high:.3g}] ({100 * s.confidence:g} %, "
                f"n = {s.n}, {s.method})"
                for s in manifest.scores
            )
            scores = scores or f"no scores, {n} training trials"
        rows.append((clock(swap.at / record.info.sfreq), swap.model, scores))
    return Table("", ("from", "decoder", "held-out scores of its calibration"), tuple(rows), 3)


def ladder(record: SessionRecord) -> Iterator[Table]:
    """Every look of the ladder."""
    for number, look in enumerate(record.assessments, start=1):
        rows = []
        for s in look["scores"]:
            if s["why_not"]:
                rows.append((s["rung"], s["why_not"], "–", "–", "–", "–"))
                continue
            p = "–" if s["p"] is None else f"{s['p']:.4f}"
            rows.append((
                s["rung"], "in use" if s["rung"] == look["current"] else "",
                f"{s['n_right']} of {s['n']}", f"{s['seconds']:.2f}",
                f"{s['itr']:.1f} [{s['low']:.1f}, {s['high']:.1f}]", p,
            ))  # fmt: skip
        columns = ("rung", "", "right", "s a selection", "ITR, bit/min (95 %)", "p")
        yield Table(f"look {number}: {look['reason']}", columns, tuple(rows), 2)


def abstentions(record: SessionRecord) -> Table:
    """How often nothing was decided, and why."""
    abstained = [d for d in record.decisions if d["label"] is None]
    counts = Counter(r for d in abstained for r in d["quality"]["reasons"] or ("undecided",))
    n = max(1, len(record.decisions))
    rows = [(reason, str(k), f"{100 * k / n:.1f} %") for reason, k in counts.most_common()]
    return Table("", ("abstained because", "decisions", "share"), tuple(rows))


def bad_channels(record: SessionRecord) -> Table:
    """Channels that were bad in a decision's window."""
    counts = Counter(name for d in record.decisions for name in d["quality"]["bads"])
    n = max(1, len(record.decisions))
    rows = [(name, str(k), f"{100 * k / n:.1f} %") for name, k in counts.most_common()]
    return Table("", ("bad channel", "decisions", "share"), tuple(rows))


def repaired(scores: list[RepairScore]) -> Table:
    """Decisions that rested on mended samples, by what, beside those on untouched ones."""
    n = max(1, scores[0].n + scores[1].n)  # untouched, and mended in any way
    judged = any(s.n_cued for s in scores)
    rows = []
    for s in scores:
        row = [s.what, str(s.n), f"{100 * s.n / n:.1f} %", f"{100 * s.fraction:.1f} %"]
        if judged:
            low, high = s.interval if s.n_cued else (0.0, 1.0)
            row.append(
                f"{s.n_right} of {s.n_cued}: {s.n_right / s.n_cued:.3f} [{low:.3f}, {high:.3f}]"
                if s.n_cued
                else "–"
            )
        rows.append(tuple(row))
    columns = ("window", "decisions", "share", "of its samples, on average")
    return Table("", (*columns, "right on cued trials (95 %)") if judged else columns, tuple(rows))


def worth(record: SessionRecord) -> Table:
    """What the stages that mend were worth where decoders were trained."""
    rows = [
        (
            name,
            f"{w.stage}: {w.kind}",
            f"{w.n_right} of {w.n}",
            f"{w.n_right_without} of {w.n}",
            f"{w.n_gained} gained, {w.n_lost} lost, p = {w.p:.3f}",
            "in use" if w.kept else "by-passed",
        )
        for name, manifest in record.models.items()
        for w in manifest.worth
    ]
    columns = ("decoder", "stage", "right with it", "without it", "trials", "")
    return Table("", columns, tuple(rows), 2)


def wholeness(record: SessionRecord) -> Table:
    """The file: samples, rate, breaks, what is wrong."""
    stream, verified = record.stream, record.verified
    broken = [e for e in record.log if isinstance(e, Gap)]
    rate = None if stream is None else stream.effective_sfreq
    longest = max((g.seconds for g in stream.gaps), default=0.0, key=abs) if stream else 0.0
    gaps = "" if stream is None or not stream.gaps else (
        f"{len(stream.gaps)} in the time stamps, the longest {longest:.2f} s"
    )  # fmt: skip
    return facts("", {
        "file": "whole: verified chunk by chunk" if verified.ok else "NOT WHOLE",
        "problems": "; ".join(verified.problems),
        "samples": f"{record.n_samples}" + (f", {stream.n_nan} values missing" if stream and
                                            stream.n_nan else ""),
        "rate": "" if rate is None else f"{rate:.3f} Hz, nominal {record.info.sfreq:g} Hz",
        "breaks": f"{len(broken)} while it ran" if broken else "none while it ran",
        "gaps": gaps,
        "remarks": "; ".join(verified.notes),
    })  # fmt: skip


def latency(record: SessionRecord) -> Table:
    """From the last sample's arrival to the decision."""
    measured = [d["latency_ms"] for d in record.decisions if d["latency_ms"] is not None]
    found = latency_percentiles(measured, (50.0, 90.0, 99.0, 100.0))
    rows = [tuple(f"{ms:.1f}" for ms in found.values())] if found else []
    return Table("", ("median, ms", "90 %", "99 %", "longest"), tuple(rows), 0)


def notes(record: SessionRecord) -> Table:
    """What the operator noted and did."""
    sfreq = record.info.sfreq
    lines = list(record.notes)
    lines += [(e.at / sfreq, _DEEDS[e.action]) for e in record.log if isinstance(e, Command)]
    lines += [(e.at / sfreq, _bypass(record, e)) for e in record.log if isinstance(e, Bypass)]
    rows = tuple((clock(t), text) for t, text in sorted(lines))
    return Table("", ("at", "note"), rows, 2)


def _bypass(record: SessionRecord, event: Bypass) -> str:
    why = f": {event.reason}" if event.reason else ""
    deed = "by-passed" if event.active else "in use again"
    return f"stage '{record.config.processing[event.stage].kind}' {deed}{why}"


def settings(record: SessionRecord) -> str:
    """The configuration as YAML, without the token that controls an engine."""
    api = record.config.api
    hidden = None if api is None else api.model_copy(update={"token": None})
    return dump(record.config.model_copy(update={"api": hidden}))
