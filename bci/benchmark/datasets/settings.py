"""What the settings of data sets share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from bci.benchmark.data import Dataset, ParadigmName
from bci.benchmark.datasets.scheme import Scheme
from bci.config import MarkerCode, Settings


def _band(band: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    low, high = band
    if low is None and high is None:
        raise ValueError("a filter needs a lower or an upper edge; leave it out for no filter")
    if low is not None and high is not None and low >= high:
        raise ValueError(f"the lower edge, {low:g} Hz, must lie below the upper one, {high:g} Hz")
    return band


Edge = Annotated[float, Field(gt=0)] | None
#: Lower and upper edge in Hz; null: open on that side.
Band = Annotated[tuple[Edge, Edge], AfterValidator(_band)]
Filters = tuple[Band, ...]
#: A subject by its name, or by the number in its name.
SubjectName = Annotated[str, StringConstraints(min_length=1)] | Annotated[int, Field(ge=0)]


class DatasetSettings(Settings):
    """Base of the settings of a data set; `build()` returns a `bci.benchmark.data.Dataset`."""

    kind: str
    name: str | None = Field(
        None, min_length=1, description="in tables and plots; null: from the kind and its task"
    )
    subjects: tuple[SubjectName, ...] | None = Field(
        None, min_length=1, description="which ones; a number is that in the name; null: all"
    )

    def build(self) -> Dataset:
        """Make the data set; nothing is read yet."""
        raise TypeError(f"{type(self).__name__} does not say how to build its data set")


def filters(*default: tuple[float, float]) -> Any:
    """Field for the bands of a data set."""
    return Field(
        default,
        description="bands in Hz, each a 4th-order Butterworth filter run forwards and backwards "
        "(zero phase) over the whole recording, as MOABB does offline; the channels of several "
        "bands are stacked; empty: unfiltered",
    )


def start(default: float) -> Any:
    """Field for the start of an epoch."""
    return Field(default, ge=-60, le=600, description="start, seconds after the marker")


def end(default: float) -> Any:
    """Field for the end of an epoch."""
    return Field(default, ge=-60, le=600, description="end (exclusive), seconds after the marker")


class EpochSettings(DatasetSettings):
    """How epochs are cut out of continuous recordings."""

    notch_hz: float | None = Field(
        None,
        gt=0,
        description="line frequency, taken out before the bands by the notch of live sessions, run "
        "forwards only: a window holds nothing from after it; null: left in",
    )
    filters: Filters = filters()
    tmin: float = start(0.0)
    tmax: float = end(1.0)
    resample: float | None = Field(
        None, gt=0, description="sampling rate of the epochs, Hz; null: that of the recording"
    )
    channels: tuple[str, ...] | None = Field(
        None, min_length=1, description="labels, in order; null: every EEG channel"
    )
    window_s: float | None = Field(
        None,
        gt=0,
        description="cut each epoch into windows of this length, seconds, which stay together "
        "in one trial; null: one window an epoch",
    )
    step_s: float | None = Field(
        None, gt=0, description="from window to window, seconds; null: their length"
    )

    @model_validator(mode="after")
    def _times_fit(self) -> EpochSettings:
        if self.tmin >= self.tmax:
            raise ValueError(f"tmin, {self.tmin:g} s, must lie before tmax, {self.tmax:g} s")
        if self.window_s is not None and self.window_s > self.tmax - self.tmin:
            raise ValueError(
                f"window_s, {self.window_s:g} s, is longer than the epoch, "
                f"{self.tmax - self.tmin:g} s"
            )
        if self.step_s is not None and self.window_s is None:
            raise ValueError("step_s goes with window_s; give both or neither")
        return self


class FolderSettings(EpochSettings):
    """Epochs out of recordings in a folder."""

    path: Path = Field(description="folder of the data set")


class MarkedFolderSettings(FolderSettings):
    """Epochs out of recordings whose markers mean what is said here, as in a session's YAML."""

    paradigm: ParadigmName = Field(description="what the participants did")
    events: dict[str, MarkerCode] = Field(
        min_length=2, description="label: marker code or string; the classes, in this order"
    )
    opens: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="marker values at which an epoch begins; its label is that of the mapped "
        "marker (the cue) before it; null: every mapped marker",
    )
    idle: tuple[str, ...] = Field(
        (), description="marker values of rest, for pseudo-online evaluation"
    )
    stim_s: float | None = Field(
        None,
        gt=0,
        description="how long a trial lasts after the marker that opens it, seconds; null: tmax",
    )

    @model_validator(mode="after")
    def _codes_differ(self) -> MarkedFolderSettings:
        codes = [str(code) for code in self.events.values()]
        if len(set(codes)) < len(codes):
            raise ValueError(f"two labels of 'events' share one marker code: {', '.join(codes)}")
        return self

    def scheme(self) -> Scheme:
        """Say what the markers mean."""
        labels = {str(code): label for label, code in self.events.items()}
        return Scheme(
            labels=labels,
            idle=self.idle,
            openers=None if self.opens is None else frozenset(self.opens),
            stim_s=self.tmax if self.stim_s is None else self.stim_s,
            joins_overlapping=self.paradigm != "p300",
        )
