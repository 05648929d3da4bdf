"""Simulated sets: SSVEP with 12 and 40 targets, motor imagery of 2 and 4 classes, ECoG.

The participants are those of `bci.paradigms.subject` (four classes: of
`four_class`; ECoG: of `bci.paradigms.ecog`), drawn from the seed; sessions of one
participant follow each other without a new fitting of the cap. Targets are modulated in
frequency and phase together (JFPM). Figures reached here say that software works, not how
well a person would do, and the name says "simulated" everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field, model_validator

from bci.benchmark.data import ParadigmName
from bci.benchmark.datasets.recorded import Part, RecordedDataset, chosen
from bci.benchmark.datasets.scheme import Scheme
from bci.benchmark.datasets.settings import EpochSettings
from bci.config import Settings
from bci.paradigms import ecog, imagery, speller, timetable
from bci.paradigms.physiology import Physiology
from bci.sources.files import Recording, place_markers, regular_stamps
from bci.types import FloatArray, StreamInfo

SFREQ = 250.0
ECOG_SFREQ = 1000.0
#: Seeds of one set's participants; another set's begin after so many.
MAX_SUBJECTS = 1000
TARGETS = {"ssvep12": speller.TARGETS_12, "ssvep40": speller.TARGETS_40}
HANDS = imagery.HANDS
FOUR = ("left", "right", "feet", "rest")
TITLES = {
    "ssvep12": "simulated SSVEP, 12 targets",
    "ssvep40": "simulated SSVEP, 40 targets",
    "imagery2": "simulated imagery, 2 classes",
    "imagery4": "simulated imagery, 4 classes",
    "ecog": "simulated ECoG, movement",
    "ecog_imagery": "simulated ECoG, imagery",
}
#: Trials follow each other in whole periods of the mains: unless it is notched out, hum repeats
#: from trial to trial as a response does.
SSVEP_DEFAULTS: dict[str, Any] = {
    "notch_hz": 50, "filters": [[7, 90]], "tmax": 2.0, "n_per_class": 6,
}  # fmt: skip
IMAGERY_DEFAULTS: dict[str, Any] = {"filters": [[8, 32]], "tmin": 0.5, "tmax": 3.5}
#: As the set of Miller et al.: 30 cues of each movement, for 3 s each, one recording.
ECOG_DEFAULTS: dict[str, Any] = {"tmax": 3.0, "n_per_class": 30, "n_sessions": 1}


class ArtifactSettings(Settings):
    """Blinks and muscle bursts of simulated participants; null: as `bci.paradigms.physiology` says.

    That is a person at rest. In conversation people blink 26 times a minute [1]_; the jaw
    clenches of the OpenBCI GUI's sample recording have 70 to 100 µV RMS (20 to 112 Hz, half
    seconds) at C3 and P8, where 15 µV is the default of a burst.

    .. [1] Bentivoglio et al. (1997). Analysis of blink rate patterns in normal subjects.
       Mov. Disord. 12, 1028: 17 a minute at rest, 26 in conversation, 4.5 while reading.
    """

    blinks_per_min: float | None = Field(None, gt=0, le=120, description="rate of blinks")
    blink_uv: float | None = Field(None, ge=0, description="typical peak at Fp1, Fp2; 0: no blinks")
    emg_per_min: float | None = Field(None, gt=0, le=120, description="rate of muscle bursts")
    emg_uv: float | None = Field(
        None, ge=0, description="typical RMS of a burst at its muscle; 0: none"
    )

    def without(self) -> ArtifactSettings:
        """The same person, who neither blinks nor twitches: all the rest is the same."""
        return self.model_copy(update={"blink_uv": 0.0, "emg_uv": 0.0})

    def physiology(self) -> Physiology:
        """The population that participants are drawn from."""
        asked: dict[str, Any] = {
            "blink_rate": None if self.blinks_per_min is None else self.blinks_per_min / 60.0,
            "blink_amplitude": self.blink_uv,
            "emg_rate": None if self.emg_per_min is None else self.emg_per_min / 60.0,
            "emg_rms": self.emg_uv,
        }
        return replace(Physiology(), **{k: v for k, v in asked.items() if v is not None})


class SimulatedSetSettings(EpochSettings):
    """Simulated participants who do cued trials."""

    kind: Literal["simulated"] = "simulated"
    paradigm: Literal["ssvep12", "ssvep40", "imagery2", "imagery4", "ecog", "ecog_imagery"] = Field(
        "ssvep12",
        description="speller with 12 or 40 targets (hum notched out, 7-90 Hz, 0 to 2 s, 6 trials "
        "a class), or imagery of the hands, or of hands, feet and rest (8-32 Hz, 0.5 to 3.5 s, "
        "20 trials), or ECoG while hand or tongue are moved, or imagined to be (unfiltered, 0 to "
        "3 s, 30 trials, 1 session)",
    )
    n_subjects: int = Field(4, ge=1, le=MAX_SUBJECTS, description="participants")
    n_sessions: int = Field(2, ge=1, le=100, description="sessions of each participant")
    n_per_class: int = Field(20, ge=2, le=1000, description="trials of each class in a session")
    snr: float = Field(
        1.0,
        ge=0,
        description="SNR of the responses, as a multiple of a typical person's; of ECoG, their "
        "strength",
    )
    seed: int = Field(0, ge=0, le=10**6, description="of the participants and all that is random")
    electrodes: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="labels of the 10-05 system; null: nine over the area in question. Not for "
        "imagery4 and ECoG",
    )
    artifacts: ArtifactSettings | None = Field(
        None,
        description="blinks and muscle bursts, where they shall not be those of a person at rest. "
        "Not for imagery4 and ECoG",
    )
    lead_s: float = Field(
        0.0, ge=0, le=600, description="rest before the first trial of each session, seconds"
    )

    @model_validator(mode="after")
    def _of_one_subject(self) -> SimulatedSetSettings:
        asked = [k for k in ("electrodes", "artifacts") if getattr(self, k) is not None]
        if asked and self.paradigm not in (*TARGETS, "imagery2"):
            raise ValueError(
                f"'{asked[0]}' is for ssvep12, ssvep40 and imagery2; found {self.paradigm}"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _of_paradigm(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            family = str(data.get("paradigm", "ssvep12"))
            known = {"ssvep": SSVEP_DEFAULTS, "imagery": IMAGERY_DEFAULTS, "ecog": ECOG_DEFAULTS}
            return {**next((d for f, d in known.items() if family.startswith(f)), {}), **data}
        return data

    def build(self) -> SimulatedSet:
        """Make the data set."""
        return SimulatedSet(self)


class Participant(Protocol):
    """Who sees markers and has an EEG."""

    ch_names: tuple[str, ...]

    def see(self, value: str, index: int | None = None) -> None:
        """Take notice of a marker."""
        ...

    def generate(self, n: int) -> FloatArray:
        """Give the next samples, shape (n, n_channels), µV."""
        ...


class SimulatedSet(RecordedDataset):
    """Recordings made when they are asked for, the same each time."""

    simulated = True
    _settings: SimulatedSetSettings

    def __init__(self, settings: SimulatedSetSettings) -> None:
        scheme, kind = _scheme(settings.paradigm)
        super().__init__(settings, TITLES[settings.paradigm], kind, scheme)
        if "simulated" not in self.name.casefold():
            self.name = f"{self.name} (simulated)"

    def parts(self) -> Mapping[str, Sequence[Part]]:
        """Participants "01" and so on; there are no files."""
        return {f"{k:02d}": [] for k in range(1, self._settings.n_subjects + 1)}

    def load(self, part: Part) -> Recording:
        """There is nothing to read."""
        raise TypeError("simulated recordings are made, not read")

    def recordings(self, subject: str) -> Iterator[tuple[str, Recording]]:
        """Sessions of a participant, one after the other."""
        asked = self._settings
        (subject,) = chosen(self.name, list(self.parts()), [subject])
        seed = asked.seed * MAX_SUBJECTS + int(subject) - 1
        person, table = _person(asked, seed), _timetable(asked, self.classes, seed)
        sfreq = ECOG_SFREQ if asked.paradigm.startswith("ecog") else SFREQ
        lead = round(asked.lead_s * sfreq)
        trials, start = table.trials(), 0
        for session in range(1, asked.n_sessions + 1):
            wanted = list(islice(trials, asked.n_per_class * len(self.classes)))
            stop = round(wanted[-1].stop_s * sfreq)
            markers = [(round(m.t * sfreq) - start, m.value) for m in timetable.markers(wanted)]
            begin = start + (session - 1) * lead
            for index, value in markers:
                person.see(value, begin + lead + index)
            data = person.generate(lead + stop - start)
            stamps = regular_stamps(len(data), sfreq)
            names = person.ch_names
            info = StreamInfo(self.name, sfreq, names, ("eeg",) * len(names))
            placed = place_markers(((lead + i, value) for i, value in markers), stamps, [])
            path = Path(f"simulated-{asked.paradigm}-{seed}-{session}")
            yield str(session), Recording(path, info, data, stamps, placed)
            start = stop


def _scheme(paradigm: str) -> tuple[Scheme, ParadigmName]:
    """Trials begin with the cue; epochs with the flicker, or with imagery (at the cue)."""
    if paradigm in TARGETS:
        cues = {timetable.CUE + target.label: target.label for target in TARGETS[paradigm]}
        on = frozenset({timetable.STIM_ON})
        return Scheme(cues, speller.SpellerTimetable(()).stim_s, openers=on), "ssvep"
    labels = {"imagery2": HANDS, "imagery4": FOUR}.get(paradigm, imagery.MOVEMENTS)
    cues = {timetable.CUE + label: label for label in labels}
    idle = (timetable.FIXATION, timetable.CUE + "rest")
    on = frozenset({timetable.IMAGERY_ON})
    return Scheme(cues, imagery.ImageryTimetable().imagery_s, idle, on), "imagery"


def _person(asked: SimulatedSetSettings, seed: int) -> Participant:
    from bci.benchmark.datasets.four_class import FourClassSubject
    from bci.paradigms.subject import CENTRAL, OCCIPITAL, SimulatedSubject

    if asked.paradigm == "imagery4":
        return FourClassSubject(snr=asked.snr, sfreq=SFREQ, seed=seed)
    if asked.paradigm.startswith("ecog"):
        imagined = asked.paradigm == "ecog_imagery"
        return ecog.SimulatedECoG(
            strength=asked.snr, imagined=imagined, sfreq=ECOG_SFREQ, seed=seed
        )
    targets = TARGETS.get(asked.paradigm, ())
    names = asked.electrodes or (OCCIPITAL if targets else CENTRAL)
    typical = None if asked.artifacts is None else asked.artifacts.physiology()
    return SimulatedSubject(
        targets, snr=asked.snr, sfreq=SFREQ, ch_names=names, seed=seed, typical=typical
    )


def _timetable(
    asked: SimulatedSetSettings, labels: tuple[str, ...], seed: int
) -> timetable.Timetable:
    if asked.paradigm in TARGETS:
        return speller.SpellerTimetable(labels, seed=seed)
    # one block a session: nothing but the whole session is balanced
    return imagery.ImageryTimetable(labels, trials_per_label=asked.n_per_class, seed=seed)
