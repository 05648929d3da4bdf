"""The ladder of a running session: when to look, and what to change between two selections.

The decode thread tells it of markers and samples, and asks before each selection
whether another decoder is to decide it; that costs next to nothing. A thread of the
session looks: it waits for the command that compares the rungs in a process of its
own. A client's wish to roll back comes from a third.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections import Counter
from typing import Any

from bci.calibration.climb import ASSESSMENT, MODEL, rungs_of
from bci.calibration.ladder import Ladder
from bci.calibration.looks import own_looks
from bci.calibration.worker import CommandWorker
from bci.config import Config
from bci.decoders import Decoder
from bci.decoders.artifact import Manifest, ModelSettings, load_decoder, save
from bci.decoders.manifest import describe_processing
from bci.decoders.stopping import StoppingRule
from bci.errors import BciError, ConfigError
from bci.pipeline import Pipeline
from bci.recording.run import RunRecorder
from bci.types import DecoderSwap, Marker

log = logging.getLogger(__name__)

#: What a selection is decided by: decoder, its name, and when it stops.
Choice = tuple[Decoder, str, StoppingRule | None]


class Climber:
    """Climbs while a session runs.

    Parameters
    ----------
    config : Config
        With a `ladder`.
    pipeline : Pipeline
        With the decoder that the session starts on.
    record : RunRecorder
    """

    def __init__(self, config: Config, pipeline: Pipeline, record: RunRecorder) -> None:
        self._config, self._record = config, record
        self._info = pipeline.info
        self._manifest = Manifest(
            ch_names=pipeline.info.ch_names,
            sfreq=pipeline.info.sfreq,
            processing=describe_processing(config.processing, pipeline.chain.stages),
            window=config.window.model_dump(mode="json"),
        )
        assert pipeline.decoder is not None
        self._ladder = Ladder(list(rungs_of(config)))
        self._models: dict[str, Choice] = {}
        self._first: Decoder = pipeline.decoder
        self._worker = CommandWorker("comparing decoders")
        self._lock = threading.Lock()  # of what follows, and of the ladder
        self._next: Choice | None = None
        self._last: dict[str, Any] | None = None
        self._ended = False
        # what the decode thread counts
        window, sfreq = config.window, pipeline.raw_info.sfreq
        self._openers = set(window.markers or config.labels)
        self._whole = round((window.offset_s + window.length_s) * sfreq)
        self._cue: str | None = None
        self._counts: Counter[str] = Counter()
        self._looks = own_looks()
        self._n_blocks, self._next_look = 0, next(self._looks)
        self._complete_at: int | None = None
        self._due = threading.Event()
        self._n_looks = 0

    # --- decode thread -----------------------------------------------------------------------

    def opens(self, value: str) -> bool:
        """Whether a marker opens a selection."""
        return value in self._openers

    def swap(self, at: int) -> DecoderSwap | None:
        """The decoder for the selection that opens now, if it is another one."""
        with self._lock:
            chosen, self._next = self._next, None
        return None if chosen is None else DecoderSwap(at, *chosen)

    def see(self, marker: Marker) -> None:
        """Count the selections that were cued, and the blocks that they make."""
        labels = self._config.labels
        self._cue = labels.get(marker.value, self._cue)
        if not self.opens(marker.value):
            return
        cue, self._cue = self._cue, None
        if cue is None:
            return
        self._counts[cue] += 1
        n_blocks = min(self._counts[label] for label in set(labels.values()))
        if n_blocks > self._n_blocks:
            self._n_blocks = n_blocks
            self._complete_at = marker.onset + self._whole

    def advance(self, position: int) -> None:
        """Samples have come: a look is due when the block's last window is whole."""
        if self._complete_at is not None and position >= self._complete_at:
            self._complete_at = None
            if self._n_blocks >= self._next_look:
                self._next_look = next(n for n in self._looks if n > self._n_blocks)
                self._due.set()

    # --- thread that looks -------------------------------------------------------------------

    def look_when_due(self, timeout_s: float) -> None:
        """Wait for a look to be due, at most `timeout_s`, and look."""
        if not self._due.wait(timeout_s):
            return
        self._due.clear()
        with self._lock:
            ladder = self._ladder
            current, look, held = ladder.current, ladder.look, sorted(ladder.held)
            if self._ended or ladder.ends_here:
                return
        try:
            self._look(current, look, held)
        except BciError as error:
            if not self._ended:
                log.warning("ladder: %s", error)

    def _look(self, current: str, look: int, held: list[str]) -> None:
        paths = self._record.paths
        self._n_looks += 1
        out = paths.models / f"run-{paths.run:03d}_look-{self._n_looks}"
        self._record.flush()
        arguments = [
            "ladder", str(paths.config), str(paths.xdf), "--out", str(out),
            "--current", current, "--look", str(look),
        ]  # fmt: skip
        for kind in held:
            arguments += ["--hold", kind]
        self._worker.run(arguments)
        found = json.loads((out / ASSESSMENT).read_text(encoding="utf-8"))
        chosen = None
        if found["chosen"] != current:
            config = self._config.model_copy(update={"decoder": ModelSettings(path=out / MODEL)})
            chosen = load_decoder(config, self._info)
            self._record.keep_model(out / MODEL, chosen[1])
        with self._lock:
            self._last = found
            if self._ended or self._ladder.current != current:
                return  # somebody decided otherwise meanwhile
            self._ladder.take(found["chosen"], spent=bool(found["spent"]))
            if chosen is not None:
                self._models[found["chosen"]] = self._next = chosen
        log.info("ladder: %s", found["reason"])

    def cancel(self) -> None:
        """Stop a look that is under way; none follows."""
        with self._lock:
            self._ended = True
        self._worker.cancel()

    # --- clients -----------------------------------------------------------------------------

    def look(self) -> None:
        """Compare the rungs now, without waiting for the next block.

        Raises
        ------
        ConfigError
            The ladder has ended.
        """
        self._check_running()
        self._due.set()

    def rollback(self) -> None:
        """Go back to the rung before, from the next selection on.

        Raises
        ------
        ConfigError
            There was no hand-over, or the ladder has ended.
        """
        self._check_running()
        with self._lock:
            left = self._ladder.current
            try:
                rung = self._ladder.rollback()
            except ValueError as error:
                raise ConfigError(str(error)) from error
            if rung not in self._models:
                self._models[rung] = self._first, self._keep_first(), None
            self._next = self._models[rung]
        log.info("ladder: %s is rolled back; %s decides from the next selection on", left, rung)

    def _keep_first(self) -> str:
        """Save the decoder that the session started on, so that a replay finds it; its name."""
        models = self._record.paths.models
        new = models / f"run-{self._record.paths.run:03d}_start"
        model = save(self._first, self._manifest, new)
        kept = models / model.model_id
        if kept.exists():
            shutil.rmtree(new)  # of an earlier run, and the same
        else:
            new.rename(kept)
        return model.model_id

    def end(self) -> None:
        """Somebody else chose the decoder: the ladder doesn't interfere any more."""
        with self._lock:
            self._ended, self._next = True, None

    def _check_running(self) -> None:
        if self._ended:
            raise ConfigError("the ladder has ended, since another decoder was chosen by hand")

    def status(self) -> dict[str, Any]:
        """Where the ladder stands, JSON-able."""
        with self._lock:
            ladder = self._ladder
            comparing = "comparing" if self._worker.running else "collecting"
            return {
                "state": "ended" if self._ended else comparing,
                "rung": ladder.current,
                "waits_for_selection": self._next is not None,
                "previous": ladder.previous,
                "held": sorted(ladder.held),
                "n_blocks": self._n_blocks,
                "last": self._last,
            }
