"""What `bci ladder` does: assess the rungs on a session's recording, and train the one chosen.

A running session climbs by this very command, in a process of its own: what is decided
live can be decided again from the files, and is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path

from bci import eventlog
from bci.calibration.ladder import Assessment, RungScore, assess
from bci.calibration.outcomes import Evidence
from bci.calibration.preparation import frequencies_of
from bci.calibration.selections import Selections, gather
from bci.calibration.training import LabelledWindows, fit
from bci.config import Config, DecoderSettings
from bci.decoders.artifact import Manifest, save
from bci.decoders.manifest import Score
from bci.errors import ConfigError, ModelError, RecordingError
from bci.playback import log_beside
from bci.recording.layout import beside
from bci.sources.files import load_recording

ASSESSMENT = "assessment.json"
MODEL = "model"


def rungs_of(config: Config) -> dict[str, DecoderSettings]:
    """Settings of the decoder that a session starts on, and of those above, by kind.

    Raises
    ------
    ConfigError
        The configuration has no ladder.
    """
    if config.ladder is None or config.decoder is None:
        raise ConfigError("the configuration has no 'ladder'; name its rungs there")
    return {rung.kind: rung for rung in (config.decoder, *config.ladder.rungs)}


def climb(
    config: Config,
    path: Path,
    *,
    out: Path | None,
    current: str | None = None,
    look: int = 1,
    held: Collection[str] = (),
    report: Callable[[str], None],
) -> Assessment:
    """Assess the rungs on the session at `path`; write findings, and the model if one climbs.

    Parameters
    ----------
    config : Config
        With a `ladder`.
    path : path
        The session's recording; event log and decisions lie beside it.
    out : path or None
        Folder that must not exist; gets ``assessment.json``, and ``model`` where
        another rung takes over.
    current, look, held
        Where the session stands, see `bci.calibration.ladder.assess`; None: at its start.
    report : callable
        Told each finding, a sentence.

    Raises
    ------
    ConfigError, RecordingError, SourceError, ModelError
        Configuration, recording and decoders do not fit.
    """
    rungs = rungs_of(config)
    assert config.ladder is not None
    start = next(iter(rungs))
    if (unknown := {current or start, *held} - rungs.keys()) != set():
        raise ConfigError(
            f"{', '.join(sorted(unknown))} is no rung of the ladder, which has {', '.join(rungs)}"
        )
    if out is not None and out.exists():
        raise ModelError(f"'{out}' exists already; choose another name")
    log, decisions = log_beside(path), beside(path, "decisions.jsonl")
    selections = gather(
        config,
        load_recording(path),
        eventlog.read(log) if log is not None else [],
        eventlog.read_lines(decisions) if decisions.is_file() else [],
    )
    report(_described(selections))
    assessment = assess(
        rungs, current or start, selections, Evidence.of(config, selections.info.sfreq),
        frequencies_of(rungs[start]), look=look, alpha=config.ladder.alpha, held=held,
    )  # fmt: skip
    for line in assessment.lines():
        report(line)
    if out is not None:
        _write(out, assessment)
        if assessment.hands_over:
            model = _train(config, rungs[assessment.chosen], selections, assessment, out / MODEL)
            report(f"wrote model {model.model_id} to {out / MODEL}")
    return assessment


def _described(selections: Selections) -> str:
    return (
        f"{int(selections.cued.sum())} cued selections in {len(selections.cued_blocks())} blocks, "
        f"{selections.n_spelled} spelled, {selections.n_undone} of them undone"
    )


def _train(
    config: Config,
    settings: DecoderSettings,
    selections: Selections,
    assessment: Assessment,
    out: Path,
) -> Manifest:
    """Train on all there is to learn from, with a stopping rule where one applies, and save."""
    windows = LabelledWindows(
        selections.X, selections.y, selections.info, selections.processing, n_rejected=0
    )
    fitted, manifest = fit(config.model_copy(update={"decoder": settings}), windows)
    (score,) = (s for s in assessment.scores if s.rung == settings.kind)
    scores = (*manifest.scores, _in_manifest(score))
    return save(fitted, manifest.model_copy(update={"scores": scores}), out)


def _in_manifest(score: RungScore) -> Score:
    return Score(
        metric="ITR, bit/min", value=score.itr, low=score.low, high=score.high, n=score.n,
        method="cued selections, each judged by training on other blocks",
    )  # fmt: skip


def _write(out: Path, assessment: Assessment) -> None:
    try:
        out.mkdir(mode=0o700, parents=True)
        text = json.dumps(assessment.to_json(), indent=1, ensure_ascii=False)
        (out / ASSESSMENT).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{out} cannot be written: {error.strerror}") from error
