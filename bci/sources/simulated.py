"""The simulated subject as a device: it never gets tired.

It follows a timetable of its own, or does what a speller shows: with ``cues: told``
markers that a client sends lead it, as a screen leads a person.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from bci.clock import now
from bci.config import SourceSettings
from bci.errors import ConfigError, SourceError
from bci.paradigms import imagery, speller, timetable
from bci.types import RawMarker, Reading, Samples, SourceState, StreamInfo

if TYPE_CHECKING:
    from bci.paradigms.ecog import SimulatedECoG
    from bci.paradigms.subject import SimulatedSubject

__all__ = ["SimulatedSettings", "SimulatedSource"]

#: Markers that may wait to be shown.
MAX_TOLD = 1000
#: Between two looks whether a run may begin, seconds.
HELD_S = 0.05
_SPELLERS = {"ssvep12": speller.TARGETS_12, "ssvep40": speller.TARGETS_40}


class SimulatedSettings(SourceSettings):
    """Simulated participant who does cued trials in random order."""

    kind: Literal["simulated"] = "simulated"
    paradigm: Literal["ssvep12", "ssvep40", "imagery", "ecog"] = Field(
        default="ssvep12",
        description="speller with 12 or 40 targets, left/right hand imagery, or movement of hand "
        "and tongue in ECoG",
    )
    snr: float = Field(
        default=1.0,
        ge=0,
        description="SNR of the brain's responses as a multiple of a typical person's (SSVEP at Oz "
        "-10.6 dB, mu rhythm at C3 -6 dB, over ongoing EEG in 3 to 100 Hz), or strength of "
        "those in ECoG; 0: no response",
    )
    seed: int = Field(default=0, ge=0, description="of the person, the noise and the order of cues")
    sfreq: float = Field(default=250.0, ge=100, le=20_000, description="sampling rate, Hz")
    ch_names: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="labels of the 10-05 system; null: nine over the area in question, and all 48 "
        "of the grid of ECoG, whose labels cannot be chosen",
    )
    cues: Literal["own", "told"] = Field(
        default="own",
        description="who leads through trials: a timetable of its own, or markers that a client "
        "sends (cue/<label>, stim_on, stim_off)",
    )
    frequencies_hz: tuple[float, ...] | None = Field(
        default=None,
        description="of a speller's targets, each called by its own ('9.5 Hz'); null: those of the "
        "literature",
    )
    stim_s: float | None = Field(
        default=None, gt=0, description="flicker, imagery or movement, seconds; null: 2, 4, 3 s"
    )
    n_trials: int | None = Field(default=None, ge=1, description="ends after them; null: endless")
    minutes: float | None = Field(default=None, gt=0, description="ends after them; null: endless")
    speed: float | None = Field(
        default=1.0, gt=0, description="times real speed; null: as fast as it is read"
    )
    chunk: int = Field(default=16, ge=1, description="samples that arrive at once")

    @model_validator(mode="after")
    def _led_by_one(self) -> Self:
        if self.cues == "told" and (self.n_trials is not None or self.stim_s is not None):
            raise ValueError(
                "cues: told has no trials of its own: leave n_trials and stim_s out, or say "
                "cues: own"
            )
        return self

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        asked, known = self.frequencies_hz, _SPELLERS.get(self.paradigm, ())
        if asked is None:
            return self
        if len(set(asked)) != len(known) or len(asked) != len(known) or min(asked) <= 0:
            raise ValueError(
                f"frequencies_hz of paradigm {self.paradigm} are {len(known)} different ones above "
                f"0, found {len(asked)}"
            )
        return self

    def build(self) -> SimulatedSource:
        """Make the source; the person is drawn when it is opened."""
        return SimulatedSource(self)

    def timetable(self) -> timetable.Timetable:
        """Build the cued trials, endless."""
        if self.paradigm == "ecog":
            return imagery.ImageryTimetable(
                imagery.MOVEMENTS, imagery_s=self.stim_s or 3.0, seed=self.seed
            )
        if self.paradigm == "imagery":
            return imagery.ImageryTimetable(imagery_s=self.stim_s or 4.0, seed=self.seed)
        labels = tuple(target.label for target in self._targets())
        return speller.SpellerTimetable(labels, stim_s=self.stim_s or 2.0, seed=self.seed)

    def subject(self) -> SimulatedSubject | SimulatedECoG:
        """Draw the person from the seed.

        Raises
        ------
        ConfigError
            A channel is not in the 10-05 system, or ECoG is too slow or asked for by label.
        """
        from bci.paradigms import ecog, subject  # here: imports scipy and MNE

        if self.paradigm == "ecog":
            if self.ch_names is not None or self.sfreq < ecog.MIN_SFREQ:
                raise ConfigError(
                    f"simulated ECoG has a grid of its own and needs {ecog.MIN_SFREQ:g} Hz at "
                    f"least, found ch_names {self.ch_names} and sfreq {self.sfreq:g}; leave out "
                    "ch_names, or raise sfreq"
                )
            return ecog.SimulatedECoG(strength=self.snr, sfreq=self.sfreq, seed=self.seed)
        moves = self.paradigm == "imagery"
        return subject.SimulatedSubject(
            self._targets(),
            snr=self.snr,
            sfreq=self.sfreq,
            ch_names=self.ch_names or (subject.CENTRAL if moves else subject.OCCIPITAL),
            seed=self.seed,
        )

    def _targets(self) -> tuple[speller.Target, ...]:
        known = _SPELLERS.get(self.paradigm, ())
        if self.frequencies_hz is None:
            return known
        from bci.paradigms import planner  # here: imports scipy

        named = {f"{hz:g} Hz": hz for hz in self.frequencies_hz}
        return speller.retuned(known, planner.of_session(named, "sampled", None))


class SimulatedSource:
    """A `bci.sources.Source` that samples the simulated subject.

    The sample of index i is stamped ``start + i / sfreq`` on the local clock and
    arrives, with its chunk complete, at ``start + i / (sfreq * speed)``. Markers
    come before the samples that contain their onset, with their exact index.
    Samples and markers are the same for any speed, chunk and timing.

    Parameters
    ----------
    settings : SimulatedSettings
    clock, sleep : callable
        The local clock and how to wait on it, both in seconds; another pair
        makes the source run on a virtual clock.
    """

    def __init__(
        self,
        settings: SimulatedSettings,
        clock: Callable[[], float] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.state = SourceState.OPENING
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._start = 0.0  # time of sample 0
        self._subject: SimulatedSubject | SimulatedECoG | None = None
        self._markers: Iterator[RawMarker] = iter(())
        self._pending: RawMarker | None = None
        self._paradigm: timetable.Timetable | None = None
        self._ready: Callable[[], bool] = lambda: True
        self._late = 0  # samples by which the timetable is behind
        self._n_samples: int | None = None
        self._told: deque[tuple[str, float | None]] = deque()
        self._shown: list[RawMarker] = []  # told, and not yet given back

    def tell(self, value: str, t: float | None = None) -> bool:
        """Show the person a marker at time `t`, or now; from any thread.

        It comes back from `read` with its sample. False: nobody is led by markers here.

        Raises
        ------
        SourceError
            `MAX_TOLD` of them wait already.
        """
        if self._settings.cues != "told":
            return False
        if len(self._told) >= MAX_TOLD:
            raise SourceError(f"{MAX_TOLD} markers wait to be shown to the simulated subject")
        self._told.append((value, t))
        return True

    def follow(self, paradigm: timetable.Timetable, ready: Callable[[], bool]) -> None:
        """Do the trials of a session's paradigm instead of its own; to be called before `open`.

        Nothing changes where a client tells the cues. The paradigm is finite. A run with
        feedback waits until `ready` is true: without a speed no samples come meanwhile, at
        one the rest before it lasts longer.
        """
        if self._settings.cues == "own":
            self._paradigm, self._ready = paradigm, ready

    def open(self) -> StreamInfo:
        """Draw the person and start the clock.

        Raises
        ------
        ConfigError
            A channel is not in the 10-05 system.
        """
        asked = self._settings
        self._subject = asked.subject()
        self._start = self._clock()
        if asked.cues == "own":
            self._markers = self._timed_markers()
        self._pending = next(self._markers, None)
        self._n_samples = self._length()
        self.state = SourceState.LIVE
        names = self._subject.ch_names
        places = getattr(self._subject, "electrodes", None)  # a grid lies where the surgeon put it
        positions = (
            {} if places is None else dict(zip(names, map(tuple, places.tolist()), strict=True))
        )
        return StreamInfo(
            name=f"simulated {asked.paradigm}",
            sfreq=asked.sfreq,
            ch_names=names,
            ch_types=("eeg",) * len(names),
            positions=positions,
            source_id=f"simulated-{asked.paradigm}-{asked.seed}",
        )

    def read(self, timeout_s: float = 0.1) -> list[Reading]:
        """All whole chunks that are due, waiting for the first one; see `Source.read`.

        Without a speed, one chunk at once. After the last trial the state becomes
        ENDED and nothing comes any more.
        """
        if self._subject is None or self.state is SourceState.ENDED:
            return []
        start = self._subject.position
        if self._n_samples is not None and start >= self._n_samples:
            self.state = SourceState.ENDED
            return []
        if self._must_wait(start + self._settings.chunk):
            self._sleep(min(timeout_s, HELD_S))
            return []
        stop = self._wait(start, timeout_s)
        return self._take(start, stop) if stop > start else []

    def close(self) -> None:
        """Send the person home; harmless when called twice."""
        self._subject = None
        if self.state is not SourceState.ENDED:
            self.state = SourceState.LOST

    def _must_wait(self, stop: int) -> bool:
        """Whether a run with feedback would begin before sample `stop`, and must not yet."""
        marker = self._pending
        return (
            self._settings.speed is None
            and marker is not None
            and marker.value == timetable.RUN_FEEDBACK
            and (marker.index or 0) < stop
            and not self._ready()
        )

    def _postpone(self, marker: RawMarker, index: int) -> None:
        """Show the pending marker at sample `index`, and all that follow so much later."""
        late = index - (marker.index or 0)
        self._late += late
        self._pending = RawMarker(marker.value, marker.t + late / self._settings.sfreq, index)
        if self._n_samples is not None:
            self._n_samples += late

    def _timed_markers(self) -> Iterator[RawMarker]:
        sfreq = self._settings.sfreq
        for marker in timetable.markers(self._trials()):
            index = round(marker.t * sfreq) + self._late
            yield RawMarker(marker.value, self._start + index / sfreq, index)

    def _trials(self) -> Iterator[timetable.Trial]:
        table = self._paradigm or self._settings.timetable()
        return islice(table.trials(), self._settings.n_trials)

    def _length(self) -> int | None:
        """Count the samples until the end; None where there is none."""
        ends = []
        if self._settings.minutes is not None:
            ends.append(60.0 * self._settings.minutes)
        if self._settings.n_trials is not None or self._paradigm is not None:
            ends.append(max(trial.stop_s for trial in self._trials()))
        if self._paradigm is not None:
            ends[-1] += 1.0  # so that the marker of its end comes
        return round(min(ends) * self._settings.sfreq) if ends else None

    def _wait(self, start: int, timeout_s: float) -> int:
        """Index up to which chunks are complete, after waiting for the first of them."""
        chunk, speed = self._settings.chunk, self._settings.speed
        end = float("inf") if self._n_samples is None else self._n_samples
        complete = int(min(start + chunk, end))
        if speed is None:
            return complete
        rate = self._settings.sfreq * speed
        due = self._start + (complete - 1) / rate
        deadline = self._clock() + timeout_s
        while (t := self._clock()) < due:
            if t >= deadline:
                return start
            self._sleep(min(due, deadline) - t)
        arrived = int((t - self._start) * rate + 1e-6) + 1
        whole = start + (arrived - start) // chunk * chunk
        return int(end) if arrived >= end else max(complete, whole)

    def _take(self, start: int, stop: int) -> list[Reading]:
        assert self._subject is not None
        readings: list[Reading] = []
        while (marker := self._pending) is not None and (marker.index or 0) < stop:
            if marker.value == timetable.RUN_FEEDBACK and not self._ready():
                self._postpone(marker, stop)
                break
            self._subject.see(marker.value, marker.index)
            readings.append(marker)
            self._pending = next(self._markers, None)
        readings += self._see_told(start, stop)
        stamps = self._start + np.arange(start, stop, dtype=np.float64) / self._settings.sfreq
        readings.append(Samples(self._subject.generate(stop - start), stamps))
        return readings

    def _see_told(self, start: int, stop: int) -> list[RawMarker]:
        """Show what clients told; what belongs before `stop` is given back."""
        assert self._subject is not None
        while self._told:
            value, t = self._told.popleft()
            index = start
            if t is not None:
                index = max(start, round((t - self._start) * self._settings.sfreq))
            if self._shown:
                index = max(index, self._shown[-1].index or 0)  # in the order in which it was told
            self._subject.see(value, index)
            self._shown.append(RawMarker(value, self._start + index / self._settings.sfreq, index))
        due = [marker for marker in self._shown if (marker.index or 0) < stop]
        self._shown = self._shown[len(due) :]
        return due
